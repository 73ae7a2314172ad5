"""What a client verb's exit code says.

What the broker says no with is told as it is: reason codes of MQTT 5.0 from 128 on, and for a connection that was
asked for in 3.1 or 3.1.1 (-V) the return codes 1 to 5 of CONNACK.
"""

from __future__ import annotations

from linnet.errors import LinnetError, ReasonCode
from linnet.wire.connect import return_code
from linnet.wire.version import Version

FINE = 0
FAILED = 1  # wrongly asked, or no connection could be opened
LOST = 7  # the connection was lost, and something was not done
TIMED_OUT = 27
INTERRUPTED = 130  # by Ctrl-C
PIPE_CLOSED = 141  # whoever read our output has gone
TERMINATED = 143

FIRST_REFUSAL = 128


def of_refusal(reason_code: int, version: Version | None, is_connect: bool) -> int:
    """The exit code for a refusal of the broker's."""
    if is_connect and version is not None and not version.can_say_why:
        return return_code(reason_code)
    return reason_code if FIRST_REFUSAL <= reason_code <= 255 else FAILED


def of_error(error: LinnetError, version: Version | None) -> int:
    """The exit code for an error of the client."""
    from linnet.client.errors import ConnectionLost, ConnectRejected, NotDelivered, Refused

    if isinstance(error, Refused):
        return of_refusal(error.reason_code, version, isinstance(error, ConnectRejected))
    if isinstance(error, ConnectionLost | NotDelivered):
        return LOST
    reason_code = getattr(error, "reason_code", ReasonCode.SUCCESS)
    return of_refusal(int(reason_code), version, False)
