"""Variable Byte Integers: seven bits a byte, lowest first; the top bit says that more follow (5.0: 1.5.5)."""

from __future__ import annotations

from linnet.errors import MalformedPacket

MAXIMUM = 268_435_455  # four bytes of seven bits
SHORT = [bytes((value,)) for value in range(0x80)]  # those of one byte, which most are


def encode_varint(value: int) -> bytes:
    """The shortest form, which is the only one allowed [MQTT-1.5.5-1]."""
    if 0 <= value < 0x80:
        return SHORT[value]
    if value < 0 or value > MAXIMUM:
        raise MalformedPacket(f"{value} does not fit a variable byte integer")
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def decode_varint(data: bytes, at: int) -> tuple[int, int]:
    """The value that starts at `at`, and where the next field starts."""
    value = shift = 0
    end = min(at + 4, len(data))
    for position in range(at, end):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 and shift:
                raise MalformedPacket("a variable byte integer has more bytes than it needs", "MQTT-1.5.5-1")
            return value, position + 1
        shift += 7
    if end - at < 4:
        raise MalformedPacket("the packet ends within a variable byte integer")
    raise MalformedPacket("a variable byte integer has more than four bytes")
