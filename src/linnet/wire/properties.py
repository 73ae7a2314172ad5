"""The properties of MQTT 5.0: one table, and one class with an attribute for each (5.0: 2.2.2).

The table says of every property which packets may carry it, whether it may be repeated and which values it
can take. Encoding, decoding and all refusals follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from linnet.errors import MalformedPacket, ProtocolError, ReasonCode
from linnet.wire.header import PacketType
from linnet.wire.reader import Reader
from linnet.wire.strings import encode_binary, encode_utf8, is_topic_name
from linnet.wire.varint import MAXIMUM, encode_varint

WILL = 0  # stands beside the packet types for the will properties within CONNECT
PLACES = ("will", *(packet_type.name for packet_type in PacketType))


@dataclass(frozen=True, slots=True)
class Kind:
    """How a value is written. Numbers have a largest value; text and bytes have none (0)."""

    name: str
    read: Callable[[Reader], Any]
    write: Callable[[Any], bytes]
    largest: int = 0


BYTE = Kind("byte", Reader.byte, lambda value: value.to_bytes(1, "big"), 0xFF)
U16 = Kind("two bytes", Reader.u16, lambda value: value.to_bytes(2, "big"), 0xFFFF)
U32 = Kind("four bytes", Reader.u32, lambda value: value.to_bytes(4, "big"), 0xFFFF_FFFF)
VARINT = Kind("variable byte integer", Reader.varint, encode_varint, MAXIMUM)
STRING = Kind("string", Reader.string, encode_utf8)
BINARY = Kind("binary", Reader.binary, encode_binary)
PAIR = Kind(
    "string pair",
    lambda reader: (reader.string(), reader.string()),
    lambda pair: encode_utf8(pair[0]) + encode_utf8(pair[1]),
)


@dataclass(frozen=True, slots=True)
class PropertyType:
    """A row of the table. `allowed` and `repeatable` have a bit for each packet type, `WILL` being bit 0."""

    identifier: int
    name: str  # the attribute of Properties
    kind: Kind
    allowed: int
    repeatable: int
    smallest: int
    largest: int
    is_topic: bool
    reason: ReasonCode  # why a value out of range is refused

    @property
    def many(self) -> bool:
        """Whether the attribute is a list."""
        return self.repeatable != 0

    def check(self, value: Any) -> None:
        """Refuse a value outside the range, or a topic that cannot be one."""
        if self.largest:
            if not self.smallest <= value <= self.largest:
                clause = "MQTT-3.3.2-8" if self.reason == ReasonCode.TOPIC_ALIAS_INVALID else ""
                raise ProtocolError(self.reason, f"{self} cannot be {value}", clause)
        elif self.is_topic and not is_topic_name(value):
            raise ProtocolError(self.reason, f"{self} is empty or has wildcards", "MQTT-3.3.2-14")

    def check_place(self, packet_type: int) -> None:
        """Refuse the property where it does not belong."""
        if not self.allowed >> packet_type & 1:
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, f"{self} does not belong in {PLACES[packet_type]}")

    def __str__(self) -> str:
        return f"the property {self.name} (0x{self.identifier:02X})"


def _row(
    identifier: int,
    name: str,
    kind: Kind,
    packets: tuple[int, ...],
    *,
    repeatable: tuple[int, ...] = (),
    smallest: int = 0,
    largest: int = 0,
    is_topic: bool = False,
    reason: ReasonCode = ReasonCode.PROTOCOL_ERROR,
) -> PropertyType:
    allowed = sum(1 << packet for packet in packets)
    repeats = sum(1 << packet for packet in repeatable)
    top = largest or kind.largest
    return PropertyType(identifier, name, kind, allowed, repeats, smallest, top, is_topic, reason)


_CONNECT, _CONNACK, _PUBLISH = PacketType.CONNECT, PacketType.CONNACK, PacketType.PUBLISH
_SUBSCRIBE, _DISCONNECT, _AUTH = PacketType.SUBSCRIBE, PacketType.DISCONNECT, PacketType.AUTH
_MESSAGE = (WILL, _PUBLISH)
_IDENTIFIED = (_PUBLISH, _SUBSCRIBE)
_ENDS = (_CONNECT, _CONNACK)
_LOGIN = (_CONNECT, _CONNACK, _AUTH)
_ALL = (WILL, *(packet for packet in PacketType if packet not in {PacketType.PINGREQ, PacketType.PINGRESP}))
_ACKS = (PacketType.PUBACK, PacketType.PUBREC, PacketType.PUBREL, PacketType.PUBCOMP)
_ANSWERS = (_CONNACK, *_ACKS, PacketType.SUBACK, PacketType.UNSUBACK, _DISCONNECT, _AUTH)
_ALIAS_INVALID = ReasonCode.TOPIC_ALIAS_INVALID

TABLE: tuple[PropertyType, ...] = (
    _row(0x01, "payload_format_indicator", BYTE, _MESSAGE, largest=1),
    _row(0x02, "message_expiry_interval", U32, _MESSAGE),
    _row(0x03, "content_type", STRING, _MESSAGE),
    _row(0x08, "response_topic", STRING, _MESSAGE, is_topic=True),
    _row(0x09, "correlation_data", BINARY, _MESSAGE),
    _row(0x0B, "subscription_identifiers", VARINT, _IDENTIFIED, repeatable=(_PUBLISH,), smallest=1),
    _row(0x11, "session_expiry_interval", U32, (_CONNECT, _CONNACK, _DISCONNECT)),
    _row(0x12, "assigned_client_identifier", STRING, (_CONNACK,)),
    _row(0x13, "server_keep_alive", U16, (_CONNACK,)),
    _row(0x15, "authentication_method", STRING, _LOGIN),
    _row(0x16, "authentication_data", BINARY, _LOGIN),
    _row(0x17, "request_problem_information", BYTE, (_CONNECT,), largest=1),
    _row(0x18, "will_delay_interval", U32, (WILL,)),
    _row(0x19, "request_response_information", BYTE, (_CONNECT,), largest=1),
    _row(0x1A, "response_information", STRING, (_CONNACK,)),
    _row(0x1C, "server_reference", STRING, (_CONNACK, _DISCONNECT)),
    _row(0x1F, "reason_string", STRING, _ANSWERS),
    _row(0x21, "receive_maximum", U16, _ENDS, smallest=1),
    _row(0x22, "topic_alias_maximum", U16, _ENDS),
    _row(0x23, "topic_alias", U16, (_PUBLISH,), smallest=1, reason=_ALIAS_INVALID),
    _row(0x24, "maximum_qos", BYTE, (_CONNACK,), largest=1),
    _row(0x25, "retain_available", BYTE, (_CONNACK,), largest=1),
    _row(0x26, "user_properties", PAIR, _ALL, repeatable=_ALL),
    _row(0x27, "maximum_packet_size", U32, _ENDS, smallest=1),
    _row(0x28, "wildcard_subscription_available", BYTE, (_CONNACK,), largest=1),
    _row(0x29, "subscription_identifiers_available", BYTE, (_CONNACK,), largest=1),
    _row(0x2A, "shared_subscription_available", BYTE, (_CONNACK,), largest=1),
)
BY_IDENTIFIER: dict[int, PropertyType] = {row.identifier: row for row in TABLE}
_values_of: Callable[[Properties], tuple[Any, ...]] = attrgetter(*(row.name for row in TABLE))


@dataclass(slots=True)
class Properties:
    """The properties of one packet: None, or an empty list, where the packet does not carry them."""

    payload_format_indicator: int | None = None
    message_expiry_interval: int | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    subscription_identifiers: list[int] = field(default_factory=list)
    session_expiry_interval: int | None = None
    assigned_client_identifier: str | None = None
    server_keep_alive: int | None = None
    authentication_method: str | None = None
    authentication_data: bytes | None = None
    request_problem_information: int | None = None
    will_delay_interval: int | None = None
    request_response_information: int | None = None
    response_information: str | None = None
    server_reference: str | None = None
    reason_string: str | None = None
    receive_maximum: int | None = None
    topic_alias_maximum: int | None = None
    topic_alias: int | None = None
    maximum_qos: int | None = None
    retain_available: int | None = None
    user_properties: list[tuple[str, str]] = field(default_factory=list)
    maximum_packet_size: int | None = None
    wildcard_subscription_available: int | None = None
    subscription_identifiers_available: int | None = None
    shared_subscription_available: int | None = None

    def __repr__(self) -> str:
        pairs = zip(TABLE, _values_of(self), strict=True)
        present = [f"{row.name}={value!r}" for row, value in pairs if value is not None and value != []]
        return f"Properties({', '.join(present)})"

    def strings(self) -> Iterator[str]:
        """Every text in them."""
        for value in _values_of(self):
            if isinstance(value, str):
                yield value
        for pair in self.user_properties:
            yield from pair

    def encode(self, packet_type: int) -> bytes:
        """The properties with their length in front, in the order of the table."""
        pieces: list[bytes] = []
        for row, value in zip(TABLE, _values_of(self), strict=True):
            if value is None or value == []:
                continue
            row.check_place(packet_type)
            values = value if row.many else (value,)
            if len(values) > 1 and not row.repeatable >> packet_type & 1:
                raise _twice(row)
            for each in values:
                row.check(each)
                pieces.append(encode_varint(row.identifier) + row.kind.write(each))
        encoded = b"".join(pieces)
        return encode_varint(len(encoded)) + encoded

    @classmethod
    def decode(cls, reader: Reader, packet_type: int) -> Properties:
        """Read the length and exactly that many bytes."""
        properties = cls()
        length = reader.varint()
        if not length:
            return properties
        outer = reader.enclose(length)
        seen = 0
        while reader.at < reader.end:
            identifier = reader.varint()
            row = BY_IDENTIFIER.get(identifier)
            if row is None:
                raise MalformedPacket(f"there is no property 0x{identifier:02X}")
            if not row.allowed >> packet_type & 1:
                row.check_place(packet_type)
            value = row.kind.read(reader)
            row.check(value)
            if seen >> identifier & 1 and not row.repeatable >> packet_type & 1:
                raise _twice(row)
            seen |= 1 << identifier
            if row.repeatable:
                getattr(properties, row.name).append(value)
            else:
                setattr(properties, row.name, value)
        reader.end = outer
        return properties


def _twice(row: PropertyType) -> ProtocolError:
    return ProtocolError(ReasonCode.PROTOCOL_ERROR, f"{row} is there twice")
