"""Whole packets: from bytes to the object that stands for them, by one table of types."""

from __future__ import annotations

from typing import Final

from linnet.errors import MalformedPacket
from linnet.wire.acks import Puback, Pubcomp, Pubrec, Pubrel
from linnet.wire.connect import Connack, Connect
from linnet.wire.control import Auth, Disconnect, Pingreq, Pingresp
from linnet.wire.header import check_first_byte
from linnet.wire.publish import Publish
from linnet.wire.subscribe import Suback, Subscribe, Unsuback, Unsubscribe
from linnet.wire.varint import decode_varint
from linnet.wire.version import Version

Packet = (
    Connect
    | Connack
    | Publish
    | Puback
    | Pubrec
    | Pubrel
    | Pubcomp
    | Subscribe
    | Suback
    | Unsubscribe
    | Unsuback
    | Pingreq
    | Pingresp
    | Disconnect
    | Auth
)
PACKETS: Final[dict[int, type[Packet]]] = {
    1: Connect,
    2: Connack,
    3: Publish,
    4: Puback,
    5: Pubrec,
    6: Pubrel,
    7: Pubcomp,
    8: Subscribe,
    9: Suback,
    10: Unsubscribe,
    11: Unsuback,
    12: Pingreq,
    13: Pingresp,
    14: Disconnect,
    15: Auth,
}


def decode(packet: bytes, version: Version, from_client: bool | None = None) -> Packet:
    """One whole packet, fixed header included; `from_client` tells which side sent it (None: either one)."""
    if not packet:
        raise MalformedPacket("a packet without any bytes")
    check_first_byte(packet[0], version, from_client)
    length, start = decode_varint(packet, 1)
    if len(packet) - start != length:
        raise MalformedPacket(f"{len(packet) - start} bytes instead of the {length} announced")
    return decode_body(packet[0], packet[start:], version, from_client)


def decode_body(first: int, body: bytes, version: Version, from_client: bool | None = None) -> Packet:
    """The packet of a first byte that `check_first_byte` let pass and of what follows the fixed header."""
    packet = PACKETS[first >> 4]
    if packet is Disconnect or packet is Auth:
        return packet.decode(first & 0x0F, body, version, from_client)
    return packet.decode(first & 0x0F, body, version)
