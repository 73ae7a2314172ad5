"""SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Self

from linnet.errors import MalformedPacket, ProtocolError, ReasonCode
from linnet.wire.header import REQUEST_FLAGS, PacketType, check_reason, join_packet
from linnet.wire.properties import Properties
from linnet.wire.reader import Reader
from linnet.wire.strings import encode_utf8
from linnet.wire.version import Version

NO_LOCAL = 0x04
RETAIN_AS_PUBLISHED = 0x08
FAILURE = int(ReasonCode.UNSPECIFIED_ERROR)  # the only failure that SUBACK knows before 5.0

GRANTED = frozenset({ReasonCode.SUCCESS, ReasonCode.GRANTED_QOS_1, ReasonCode.GRANTED_QOS_2})
REFUSED = frozenset(
    {
        ReasonCode.UNSPECIFIED_ERROR,
        ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR,
        ReasonCode.NOT_AUTHORIZED,
        ReasonCode.TOPIC_FILTER_INVALID,
        ReasonCode.PACKET_IDENTIFIER_IN_USE,
    }
)
SUBSCRIBED = (
    GRANTED
    | REFUSED
    | {
        ReasonCode.QUOTA_EXCEEDED,
        ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
        ReasonCode.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
        ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
    }
)
UNSUBSCRIBED = REFUSED | {ReasonCode.SUCCESS, ReasonCode.NO_SUBSCRIPTION_EXISTED}


@dataclass(slots=True)
class SubscriptionOptions:
    """How a subscription wants its messages; before 5.0 only the QoS could be said, the rest is as here."""

    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0

    def encode(self, version: Version) -> bytes:
        """The options byte; before 5.0 it holds the QoS alone."""
        if not 0 <= self.qos <= 2:
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, f"a subscription with QoS {self.qos}")
        if not version.has_properties:
            return bytes((self.qos,))
        if not 0 <= self.retain_handling <= 2:
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, f"retain handling {self.retain_handling}")
        flags = self.no_local * NO_LOCAL | self.retain_as_published * RETAIN_AS_PUBLISHED
        return bytes((self.qos | flags | self.retain_handling << 4,))

    @classmethod
    def decode(cls, options: int, version: Version) -> Self:
        """Refuse reserved bits first [3.1.1: MQTT-3.8.3-4] [5.0: MQTT-3.8.3-5], then impossible values."""
        if options & (0xC0 if version.has_properties else 0xFC):
            raise MalformedPacket(f"reserved subscription options in 0x{options:02X}", "MQTT-3.8.3-5")
        qos, retain_handling = options & 0x03, options >> 4
        if qos > 2:
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "a subscription with QoS 3")
        if retain_handling > 2:
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "a subscription with retain handling 3")
        return cls(qos, bool(options & NO_LOCAL), bool(options & RETAIN_AS_PUBLISHED), retain_handling)


def _start(packet_id: int, properties: Properties, packet_type: int, version: Version) -> bytes:
    """What all four packets begin with."""
    start = packet_id.to_bytes(2, "big")
    return start + properties.encode(packet_type) if version.has_properties else start


def _read_start(body: bytes, packet_type: int, version: Version) -> tuple[Reader, int, Properties]:
    reader = Reader(body)
    packet_id = reader.packet_id()
    properties = Properties.decode(reader, packet_type) if version.has_properties else Properties()
    return reader, packet_id, properties


def _check_some(filters: int, packet: str, clause: str) -> None:
    if not filters:
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, f"{packet} without a topic filter", clause)


@dataclass(slots=True)
class Subscribe:
    """A client asks for the messages of some topic filters."""

    packet_id: int
    filters: list[tuple[str, SubscriptionOptions]]
    properties: Properties = field(default_factory=Properties)

    type: ClassVar[int] = PacketType.SUBSCRIBE

    def encode(self, version: Version) -> bytes:
        """Every filter with its options."""
        _check_some(len(self.filters), "SUBSCRIBE", "MQTT-3.8.3-2")
        pieces = [_start(self.packet_id, self.properties, self.type, version)]
        for topic_filter, options in self.filters:
            pieces += (encode_utf8(topic_filter), options.encode(version))
        return join_packet(self.type, REQUEST_FLAGS, b"".join(pieces))

    @classmethod
    def decode(cls, flags: int, body: bytes, version: Version) -> Self:
        """At least one filter [3.1.1: MQTT-3.8.3-3] [5.0: MQTT-3.8.3-2], each with its options."""
        reader, packet_id, properties = _read_start(body, cls.type, version)
        _check_some(reader.left(), "SUBSCRIBE", "MQTT-3.8.3-2")
        filters: list[tuple[str, SubscriptionOptions]] = []
        while reader.left():
            topic_filter = reader.string()
            filters.append((topic_filter, SubscriptionOptions.decode(reader.byte(), version)))
        return cls(packet_id, filters, properties)


@dataclass(slots=True)
class Suback:
    """The server's answer, a reason code for each filter in their order [MQTT-3.8.4-6]."""

    packet_id: int
    reason_codes: list[int]
    properties: Properties = field(default_factory=Properties)

    type: ClassVar[int] = PacketType.SUBACK

    def encode(self, version: Version) -> bytes:
        """Before 5.0 every refusal is the one failure code."""
        codes = self.reason_codes
        if version.can_say_why:
            _check_codes(codes, SUBSCRIBED, "SUBACK", "MQTT-3.9.3-2")
        else:
            codes = [min(code, FAILURE) for code in codes]
            _check_codes(codes, GRANTED | {FAILURE}, "SUBACK", "MQTT-3.9.3-2")
        body = _start(self.packet_id, self.properties, self.type, version) + bytes(codes)
        return join_packet(self.type, 0, body)

    @classmethod
    def decode(cls, flags: int, body: bytes, version: Version) -> Self:
        """At least one code, and only those that the version has [MQTT-3.9.3-2]."""
        reader, packet_id, properties = _read_start(body, cls.type, version)
        codes = list(reader.rest())
        allowed = SUBSCRIBED if version.can_say_why else GRANTED | {FAILURE}
        _check_codes(codes, allowed, "SUBACK", "MQTT-3.9.3-2")
        return cls(packet_id, codes, properties)


@dataclass(slots=True)
class Unsubscribe:
    """A client no longer wants the messages of some topic filters."""

    packet_id: int
    filters: list[str]
    properties: Properties = field(default_factory=Properties)

    type: ClassVar[int] = PacketType.UNSUBSCRIBE

    def encode(self, version: Version) -> bytes:
        """Every filter."""
        _check_some(len(self.filters), "UNSUBSCRIBE", "MQTT-3.10.3-2")
        pieces = [_start(self.packet_id, self.properties, self.type, version)]
        pieces += [encode_utf8(topic_filter) for topic_filter in self.filters]
        return join_packet(self.type, REQUEST_FLAGS, b"".join(pieces))

    @classmethod
    def decode(cls, flags: int, body: bytes, version: Version) -> Self:
        """At least one filter [MQTT-3.10.3-2]."""
        reader, packet_id, properties = _read_start(body, cls.type, version)
        _check_some(reader.left(), "UNSUBSCRIBE", "MQTT-3.10.3-2")
        filters: list[str] = []
        while reader.left():
            filters.append(reader.string())
        return cls(packet_id, filters, properties)


@dataclass(slots=True)
class Unsuback:
    """The server's answer; before 5.0 it has no reason codes."""

    packet_id: int
    reason_codes: list[int] = field(default_factory=list)
    properties: Properties = field(default_factory=Properties)

    type: ClassVar[int] = PacketType.UNSUBACK

    def encode(self, version: Version) -> bytes:
        """The reason codes, in the order of the filters [MQTT-3.11.3-1]."""
        body = _start(self.packet_id, self.properties, self.type, version)
        if version.can_say_why:
            _check_codes(self.reason_codes, UNSUBSCRIBED, "UNSUBACK", "MQTT-3.11.3-2")
            body += bytes(self.reason_codes)
        return join_packet(self.type, 0, body)

    @classmethod
    def decode(cls, flags: int, body: bytes, version: Version) -> Self:
        """At least one code since 5.0, none before."""
        reader, packet_id, properties = _read_start(body, cls.type, version)
        codes: list[int] = []
        if version.can_say_why:
            codes = list(reader.rest())
            _check_codes(codes, UNSUBSCRIBED, "UNSUBACK", "MQTT-3.11.3-2")
        reader.finish()
        return cls(packet_id, codes, properties)


def _check_codes(codes: list[int], allowed: frozenset[int], packet: str, clause: str) -> None:
    """One code for each filter, so at least one, and only legal ones."""
    if not codes:
        raise MalformedPacket(f"{packet} without a reason code", clause)
    for code in codes:
        check_reason(code, allowed, packet, clause)
