"""What can go wrong, said in the words of the specification.

An error of the protocol *is* a reason code with a sentence and, where there is one, the clause that was
broken. Everything that `wire` and `core` raise about a peer's behaviour is a `ProtocolError`.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from enum import IntEnum
from typing import Any


class ReasonCode(IntEnum):
    """Every reason code of MQTT 5.0, chapter 2.4; the names that share the value 0 are one member."""

    SUCCESS = 0x00
    GRANTED_QOS_1 = 0x01
    GRANTED_QOS_2 = 0x02
    DISCONNECT_WITH_WILL = 0x04
    NO_MATCHING_SUBSCRIBERS = 0x10
    NO_SUBSCRIPTION_EXISTED = 0x11
    CONTINUE_AUTHENTICATION = 0x18
    REAUTHENTICATE = 0x19
    UNSPECIFIED_ERROR = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83
    UNSUPPORTED_PROTOCOL_VERSION = 0x84
    CLIENT_IDENTIFIER_NOT_VALID = 0x85
    BAD_USER_NAME_OR_PASSWORD = 0x86
    NOT_AUTHORIZED = 0x87
    SERVER_UNAVAILABLE = 0x88
    SERVER_BUSY = 0x89
    BANNED = 0x8A
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    PACKET_IDENTIFIER_IN_USE = 0x91
    PACKET_IDENTIFIER_NOT_FOUND = 0x92
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    MESSAGE_RATE_TOO_HIGH = 0x96
    QUOTA_EXCEEDED = 0x97
    ADMINISTRATIVE_ACTION = 0x98
    PAYLOAD_FORMAT_INVALID = 0x99
    RETAIN_NOT_SUPPORTED = 0x9A
    QOS_NOT_SUPPORTED = 0x9B
    USE_ANOTHER_SERVER = 0x9C
    SERVER_MOVED = 0x9D
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E
    CONNECTION_RATE_EXCEEDED = 0x9F
    MAXIMUM_CONNECT_TIME = 0xA0
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2


def reason_name(code: int) -> str:
    """The code in lower-case words, as logs and errors show it; a code nobody defined is called unknown."""
    try:
        return ReasonCode(code).name.lower().replace("_", " ")
    except ValueError:
        return "unknown reason"


class LinnetError(Exception):
    """The root of every exception that linnet raises on purpose."""


CLOSING = "MQTT-4.13.1-1"  # that malformed packets and protocol errors end the connection, whatever else they break


class ProtocolError(LinnetError):
    """Something the protocol forbids: a reason code, what was wrong, and the clause that says so.

    Where the settings forbid it, `limit` is the name of the one that was reached.
    """

    def __init__(self, reason_code: int, detail: str, clause: str = "", limit: str = "") -> None:
        super().__init__(reason_code, detail, clause, limit)
        self.reason_code = reason_code
        self.detail = detail
        is_general = reason_code in (ReasonCode.MALFORMED_PACKET, ReasonCode.PROTOCOL_ERROR)
        self.clause = clause or (CLOSING if is_general else "")
        self.limit = limit
        # The wire.Version of a broken CONNECT, so that it can be refused in that version. Its type cannot be
        # named here: wire lies above this room.
        self.version: Any = None

    def __str__(self) -> str:
        where = f" [{self.clause}]" if self.clause else ""
        return f"{self.detail}{where} (0x{self.reason_code:02X} {reason_name(self.reason_code)})"


class MalformedPacket(ProtocolError):
    """Bytes that cannot be read as the packet they claim to be: always 0x81."""

    def __init__(self, detail: str, clause: str = "") -> None:
        super().__init__(ReasonCode.MALFORMED_PACKET, detail, clause)
        self.args = (detail, clause)  # what pickle and copy call the class with again


class NotSupported(ProtocolError):
    """What the other side has said it does not take. It was not sent."""


class SettingsError(LinnetError):
    """An option that does not exist, or a value it cannot take."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question that names the known name most like this one, or nothing."""
    names = {one.lower(): one for one in known}
    close = get_close_matches(name.lower(), names, n=1)
    return f"; did you mean {names[close[0]]}?" if close else ""
