"""The fixed header: the types of the control packets, their flags, and who may send them."""

from __future__ import annotations

from enum import IntEnum

from linnet.errors import MalformedPacket, ProtocolError, ReasonCode
from linnet.wire.varint import encode_varint
from linnet.wire.version import Version


class PacketType(IntEnum):
    """The upper four bits of a packet's first byte (5.0: 2.1.2)."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


DUP = 0x08
REQUEST_FLAGS = 0x02  # what was QoS 1 in 3.1 is a fixed value since 3.1.1
REQUESTS = frozenset({PacketType.PUBREL, PacketType.SUBSCRIBE, PacketType.UNSUBSCRIBE})
ONLY_FROM_SERVER = frozenset({PacketType.CONNACK, PacketType.SUBACK, PacketType.UNSUBACK, PacketType.PINGRESP})
ONLY_FROM_CLIENT = frozenset({PacketType.CONNECT, PacketType.SUBSCRIBE, PacketType.UNSUBSCRIBE, PacketType.PINGREQ})


def join_packet(packet_type: int, flags: int, body: bytes) -> bytes:
    """A whole packet of its parts."""
    return bytes((packet_type << 4 | flags,)) + encode_varint(len(body)) + body


def check_first_byte(first: int, version: Version, from_client: bool | None = None) -> int:
    """The packet type in the first byte, its flags and its direction checked (None: from either side).

    It needs the first byte only, so that a packet which must not come is refused before it is buffered.
    The flags of PUBLISH are looked at where PUBLISH is decoded.
    """
    packet_type = first >> 4
    flags = first & 0x0F
    if packet_type == 0 or (packet_type == PacketType.AUTH and not version.can_say_why):
        raise MalformedPacket(f"MQTT {version.name} has no packet of type {packet_type}")
    if packet_type != PacketType.PUBLISH:
        expected = REQUEST_FLAGS if packet_type in REQUESTS else 0
        may_repeat = version.requests_may_be_duplicates and expected == REQUEST_FLAGS
        if flags != expected and not (may_repeat and flags == expected | DUP):
            name = PacketType(packet_type).name
            raise MalformedPacket(f"{name} with the flags 0x{flags:X}, not 0x{expected:X}", "MQTT-2.1.3-1")
    if (from_client is True and packet_type in ONLY_FROM_SERVER) or (
        from_client is False and packet_type in ONLY_FROM_CLIENT
    ):
        sender = "client" if from_client else "server"
        name = PacketType(packet_type).name
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, f"a {sender} never sends {name}")
    return packet_type


def check_reason(code: int, allowed: frozenset[int], packet: str, clause: str) -> None:
    """A reason code that this packet may carry; any other makes it malformed."""
    if code not in allowed:
        raise MalformedPacket(f"{packet} cannot carry the reason code 0x{code:02X}", clause)
