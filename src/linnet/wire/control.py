"""PINGREQ, PINGRESP, DISCONNECT and AUTH: the packets about the connection itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Self

from linnet.errors import MalformedPacket, ProtocolError, ReasonCode
from linnet.wire.header import PacketType, check_reason, join_packet
from linnet.wire.properties import Properties
from linnet.wire.reader import Reader
from linnet.wire.version import Version

FROM_EITHER = frozenset(
    {
        ReasonCode.SUCCESS,
        ReasonCode.UNSPECIFIED_ERROR,
        ReasonCode.MALFORMED_PACKET,
        ReasonCode.PROTOCOL_ERROR,
        ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR,
        ReasonCode.TOPIC_NAME_INVALID,
        ReasonCode.RECEIVE_MAXIMUM_EXCEEDED,
        ReasonCode.TOPIC_ALIAS_INVALID,
        ReasonCode.PACKET_TOO_LARGE,
        ReasonCode.MESSAGE_RATE_TOO_HIGH,
        ReasonCode.QUOTA_EXCEEDED,
        ReasonCode.ADMINISTRATIVE_ACTION,
        ReasonCode.PAYLOAD_FORMAT_INVALID,
    }
)
FROM_SERVER = frozenset(
    {
        ReasonCode.NOT_AUTHORIZED,
        ReasonCode.SERVER_BUSY,
        ReasonCode.SERVER_SHUTTING_DOWN,
        ReasonCode.BAD_AUTHENTICATION_METHOD,
        ReasonCode.KEEP_ALIVE_TIMEOUT,
        ReasonCode.SESSION_TAKEN_OVER,
        ReasonCode.TOPIC_FILTER_INVALID,
        ReasonCode.RETAIN_NOT_SUPPORTED,
        ReasonCode.QOS_NOT_SUPPORTED,
        ReasonCode.USE_ANOTHER_SERVER,
        ReasonCode.SERVER_MOVED,
        ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
        ReasonCode.CONNECTION_RATE_EXCEEDED,
        ReasonCode.MAXIMUM_CONNECT_TIME,
        ReasonCode.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
        ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
    }
)


@dataclass(slots=True)
class Ping:
    """A packet that is its fixed header and nothing else."""

    type: ClassVar[int]

    def encode(self, version: Version) -> bytes:
        """Two bytes."""
        return join_packet(self.type, 0, b"")

    @classmethod
    def decode(cls, flags: int, body: bytes, version: Version) -> Self:
        """Nothing may follow."""
        Reader(body).finish()
        return cls()


class Pingreq(Ping):
    """A client asks whether the server is there."""

    __slots__ = ()
    type = PacketType.PINGREQ


class Pingresp(Ping):
    """The server is there."""

    __slots__ = ()
    type = PacketType.PINGRESP


@dataclass(slots=True)
class Disconnect:
    """The last packet of a connection. Before 5.0 only clients send it, and it says nothing more."""

    reason_code: int = ReasonCode.SUCCESS
    properties: Properties = field(default_factory=Properties)

    type: ClassVar[int] = PacketType.DISCONNECT
    from_client_allowed: ClassVar[frozenset[int]] = FROM_EITHER | {ReasonCode.DISCONNECT_WITH_WILL}
    from_server_allowed: ClassVar[frozenset[int]] = FROM_EITHER | FROM_SERVER

    def encode(self, version: Version) -> bytes:
        """The shortest form; before 5.0 that is the fixed header alone."""
        body = b""
        if version.can_say_why:
            self._check_code(None)
            properties = self.properties.encode(self.type)
            if len(properties) > 1:
                body = bytes((self.reason_code,)) + properties
            elif self.reason_code:
                body = bytes((self.reason_code,))
        return join_packet(self.type, 0, body)

    @classmethod
    def decode(cls, flags: int, body: bytes, version: Version, from_client: bool | None = True) -> Self:
        """Decode what that side may send (None: what either may)."""
        reader = Reader(body)
        packet = cls()
        if version.can_say_why and reader.left():
            packet.reason_code = reader.byte()
            packet._check_code(from_client)
            if reader.left():
                packet.properties = Properties.decode(reader, cls.type)
                packet._check_properties(from_client)
        reader.finish()
        return packet

    def _check_code(self, from_client: bool | None) -> None:
        either = self.from_client_allowed | self.from_server_allowed
        check_reason(self.reason_code, either, "Disconnect", "MQTT-3.14.2-1")
        if from_client is not None:
            allowed = self.from_client_allowed if from_client else self.from_server_allowed
            if self.reason_code not in allowed:
                raise _wrong_side(f"DISCONNECT with 0x{self.reason_code:02X}", from_client)

    def _check_properties(self, from_client: bool | None) -> None:
        if from_client is True and self.properties.server_reference is not None:
            raise _wrong_side("DISCONNECT with a server reference", from_client)
        if from_client is False and self.properties.session_expiry_interval is not None:
            raise _wrong_side("DISCONNECT with a session expiry interval", from_client, "MQTT-3.14.2-2")


@dataclass(slots=True)
class Auth:
    """A step of enhanced authentication (5.0: 3.15)."""

    reason_code: int = ReasonCode.SUCCESS
    properties: Properties = field(default_factory=Properties)

    type: ClassVar[int] = PacketType.AUTH
    from_client_allowed: ClassVar[frozenset[int]] = frozenset(
        {ReasonCode.CONTINUE_AUTHENTICATION, ReasonCode.REAUTHENTICATE}
    )
    from_server_allowed: ClassVar[frozenset[int]] = frozenset({ReasonCode.SUCCESS, ReasonCode.CONTINUE_AUTHENTICATION})

    def encode(self, version: Version) -> bytes:
        """Empty for a success with nothing to say, else the reason code and the properties."""
        if not version.can_say_why:
            raise MalformedPacket(f"MQTT {version.name} has no AUTH")
        self._check_code(None)
        properties = self.properties.encode(self.type)
        body = bytes((self.reason_code,)) + properties if self.reason_code or len(properties) > 1 else b""
        return join_packet(self.type, 0, body)

    @classmethod
    def decode(cls, flags: int, body: bytes, version: Version, from_client: bool | None = True) -> Self:
        """Decode what that side may send (None: what either may)."""
        reader = Reader(body)
        packet = cls()
        if reader.left():
            packet.reason_code = reader.byte()
            packet.properties = Properties.decode(reader, cls.type)
            if packet.properties.authentication_method is None:
                raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "AUTH without an authentication method")
        packet._check_code(from_client)
        reader.finish()
        return packet

    def _check_code(self, from_client: bool | None) -> None:
        either = self.from_client_allowed | self.from_server_allowed
        check_reason(self.reason_code, either, "Auth", "MQTT-3.15.2-1")
        if from_client is not None:
            allowed = self.from_client_allowed if from_client else self.from_server_allowed
            if self.reason_code not in allowed:
                raise _wrong_side(f"AUTH with 0x{self.reason_code:02X}", from_client, "MQTT-3.15.2-1")


def _wrong_side(what: str, from_client: bool, clause: str = "") -> ProtocolError:
    sender = "client" if from_client else "server"
    return ProtocolError(ReasonCode.PROTOCOL_ERROR, f"a {sender} never sends {what}", clause)
