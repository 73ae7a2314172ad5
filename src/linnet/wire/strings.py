"""UTF-8 strings and binary data, both with two bytes of length in front (5.0: 1.5.4 and 1.5.6)."""

from __future__ import annotations

from linnet.errors import MalformedPacket

LONGEST = 65_535


def decode_utf8(data: bytes) -> str:
    """The text of well-formed UTF-8 without U+0000; U+FEFF is an ordinary character [MQTT-1.5.4-3]."""
    try:
        text = str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise MalformedPacket(f"a string is not UTF-8: {error.reason}", "MQTT-1.5.4-1") from None
    if "\0" in text:
        raise MalformedPacket("a string holds U+0000", "MQTT-1.5.4-2")
    return text


def encode_utf8(text: str) -> bytes:
    """The text as UTF-8 with its length in front, never cut, never with what a receiver must refuse."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise MalformedPacket("a string to send holds a surrogate", "MQTT-1.5.4-1") from None
    if "\0" in text:
        raise MalformedPacket("a string to send holds U+0000", "MQTT-1.5.4-2")
    return encode_binary(data)


def encode_binary(data: bytes) -> bytes:
    """The bytes with their length in front."""
    if len(data) > LONGEST:
        raise MalformedPacket(f"a field of {len(data)} bytes to send is longer than {LONGEST}")
    return len(data).to_bytes(2, "big") + data


def is_topic_name(text: str) -> bool:
    """Whether this can be a topic to publish to: not empty, no wildcards [MQTT-4.7.0-1] [MQTT-4.7.3-1]."""
    return bool(text) and "+" not in text and "#" not in text
