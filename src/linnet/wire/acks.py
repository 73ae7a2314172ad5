"""PUBACK, PUBREC, PUBREL and PUBCOMP: one packet identifier and, since 5.0, how it went."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Self

from linnet.errors import ReasonCode
from linnet.wire.header import REQUEST_FLAGS, PacketType, check_reason, join_packet
from linnet.wire.properties import Properties
from linnet.wire.reader import Reader
from linnet.wire.version import Version

RECEIVED = frozenset(
    {
        ReasonCode.SUCCESS,
        ReasonCode.NO_MATCHING_SUBSCRIBERS,
        ReasonCode.UNSPECIFIED_ERROR,
        ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR,
        ReasonCode.NOT_AUTHORIZED,
        ReasonCode.TOPIC_NAME_INVALID,
        ReasonCode.PACKET_IDENTIFIER_IN_USE,
        ReasonCode.QUOTA_EXCEEDED,
        ReasonCode.PAYLOAD_FORMAT_INVALID,
    }
)
RELEASED = frozenset({ReasonCode.SUCCESS, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND})


@dataclass(slots=True)
class Ack:
    """What the four have in common; they differ in their facts only."""

    packet_id: int
    reason_code: int = ReasonCode.SUCCESS
    properties: Properties = field(default_factory=Properties)

    type: ClassVar[int]
    flags: ClassVar[int] = 0
    allowed: ClassVar[frozenset[int]]
    clause: ClassVar[str]

    def encode(self, version: Version) -> bytes:
        """The shortest form: the reason code goes with the properties, and 0 goes without saying."""
        body = self.packet_id.to_bytes(2, "big")
        if version.can_say_why:
            check_reason(self.reason_code, self.allowed, type(self).__name__, self.clause)
            properties = self.properties.encode(self.type)
            if len(properties) > 1:
                body += bytes((self.reason_code,)) + properties
            elif self.reason_code:
                body += bytes((self.reason_code,))
        return join_packet(self.type, self.flags, body)

    @classmethod
    def decode(cls, flags: int, body: bytes, version: Version) -> Self:
        """Any legal length: the reason code may be left out, and the properties with or without it."""
        reader = Reader(body)
        packet_id = reader.packet_id()
        code, properties = int(ReasonCode.SUCCESS), Properties()
        if version.can_say_why and reader.left():
            code = reader.byte()
            check_reason(code, cls.allowed, cls.__name__, cls.clause)
            if reader.left():
                properties = Properties.decode(reader, cls.type)
        reader.finish()
        return cls(packet_id, code, properties)


class Puback(Ack):
    """The answer to a PUBLISH of QoS 1."""

    __slots__ = ()
    type = PacketType.PUBACK
    allowed = RECEIVED
    clause = "MQTT-3.4.2-1"


class Pubrec(Ack):
    """The first answer to a PUBLISH of QoS 2."""

    __slots__ = ()
    type = PacketType.PUBREC
    allowed = RECEIVED
    clause = "MQTT-3.5.2-1"


class Pubrel(Ack):
    """The answer to PUBREC: from here on the message is the receiver's."""

    __slots__ = ()
    type = PacketType.PUBREL
    flags = REQUEST_FLAGS  # [MQTT-3.6.1-1]
    allowed = RELEASED
    clause = "MQTT-3.6.2-1"


class Pubcomp(Ack):
    """The answer to PUBREL: the packet identifier is free again."""

    __slots__ = ()
    type = PacketType.PUBCOMP
    allowed = RELEASED
    clause = "MQTT-3.7.2-1"
