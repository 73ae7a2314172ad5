"""Returning: whether a client tries again after a failure, and when."""

from __future__ import annotations

from linnet.client.errors import ConnectRejected
from linnet.client.options import Options
from linnet.errors import ReasonCode

# After these a client that comes back would only be told the same, or would fight with another of its name
FINAL = {
    ReasonCode.MALFORMED_PACKET,
    ReasonCode.PROTOCOL_ERROR,
    ReasonCode.UNSUPPORTED_PROTOCOL_VERSION,
    ReasonCode.CLIENT_IDENTIFIER_NOT_VALID,
    ReasonCode.BAD_USER_NAME_OR_PASSWORD,
    ReasonCode.NOT_AUTHORIZED,
    ReasonCode.BANNED,
    ReasonCode.BAD_AUTHENTICATION_METHOD,
    ReasonCode.SESSION_TAKEN_OVER,
    ReasonCode.TOPIC_NAME_INVALID,
    ReasonCode.PACKET_TOO_LARGE,
    ReasonCode.RETAIN_NOT_SUPPORTED,
    ReasonCode.QOS_NOT_SUPPORTED,
}
PASSWORD_FAULTS = {ReasonCode.BAD_USER_NAME_OR_PASSWORD, ReasonCode.NOT_AUTHORIZED}  # a fresh one may do better
MOVES = {ReasonCode.USE_ANOTHER_SERVER, ReasonCode.SERVER_MOVED}


def pause_after(fault: Exception, attempt: int, is_first: bool, options: Options) -> float | None:
    """Seconds until the try with this number, counted from 1 since the last one that was of use; None: no more.

    `is_first` tells that there was no connection yet: its failure is told to the program, unless it wants to wait.
    """
    reconnect = options.reconnect
    if reconnect is None or (is_first and not reconnect.at_start):
        return None
    if isinstance(fault, ConnectRejected) and fault.reason_code in FINAL:
        may_improve = fault.reason_code in PASSWORD_FAULTS and callable(options.password)
        if not may_improve:
            return None
    if reconnect.attempts is not None and attempt > reconnect.attempts:
        return None
    return reconnect.pause(attempt)
