"""What the conformance tests share: the versions to run for, packets spelled out in bytes, and questions."""

from typing import Any

import pytest

from linnet.wire import V3_1, V3_1_1, V5, Connect, Properties, Version
from tests.peer import Packet, Peer, Target


def versions(*wanted: Version) -> pytest.MarkDecorator:
    """Runs the test for each of these versions, as its parameter `version`."""
    return pytest.mark.parametrize("version", wanted, ids=lambda version: version.name)


EVERY_VERSION = versions(V3_1, V3_1_1, V5)
SINCE_3_1_1 = versions(V3_1_1, V5)
BEFORE_5 = versions(V3_1, V3_1_1)
ONLY_3_1_1 = versions(V3_1_1)
ONLY_5 = versions(V5)

TOO_LONG = "x" * 300  # a client identifier beyond max_client_id_bytes, by default

# The connect flags
CLEAN, WILL, WILL_QOS_1, WILL_QOS_2, WILL_RETAIN, PASSWORD, USER_NAME = (
    0x02,
    0x04,
    0x08,
    0x10,
    0x20,
    0x40,
    0x80,
)


def lasting(version: Version, seconds: int = 3600, **more: Any) -> Properties:
    """Properties of a CONNECT whose session outlives the connection; before 5.0 clean start 0 says it all."""
    return Properties(session_expiry_interval=seconds, **more) if version.has_properties else Properties()


def varint(value: int) -> bytes:
    """A variable byte integer, written out here so that the tests do not lean on the code they test."""
    octets = bytearray()
    while True:
        value, low = divmod(value, 128)
        octets.append(low | (0x80 if value else 0))
        if not value:
            return bytes(octets)


def string(text: str | bytes) -> bytes:
    """Two bytes of length and the bytes themselves, be they good or not."""
    octets = text.encode() if isinstance(text, str) else text
    return len(octets).to_bytes(2, "big") + octets


def packet(first: int, *parts: bytes) -> bytes:
    """First byte, remaining length, and the rest as given."""
    body = b"".join(parts)
    return bytes((first,)) + varint(len(body)) + body


def properties(version: Version, *parts: bytes) -> bytes:
    """Encoded properties with their length in front, and nothing at all before 5.0."""
    body = b"".join(parts)
    return varint(len(body)) + body if version.has_properties else b""


def connect(
    version: Version,
    flags: int = CLEAN,
    *payload: bytes,
    said: bytes = b"",
    name: bytes | None = None,
    level: int | None = None,
    keep_alive: int = 0,
) -> bytes:
    """A CONNECT of these connect flags and payload fields, of which the client identifier is the least."""
    return packet(
        0x10,
        string(version.protocol_name if name is None else name),
        bytes((version.level if level is None else level, flags)),
        keep_alive.to_bytes(2, "big"),
        properties(version, said),
        *(payload or (string("bob"),)),
    )


def refused(version: Version, code: int) -> list[tuple[str, int]]:
    """How a CONNECT that does not conform is answered: in 5.0 by this code, before by the close alone."""
    return [("Connack", code)] if version.can_say_why else []


def complaint(version: Version, code: int) -> list[tuple[str, int]]:
    """How a connected client learns what it did wrong: in 5.0 by this code, before by the close alone."""
    return [("Disconnect", code)] if version.can_say_why else []


async def answers(target: Target, *sent: Packet, version: Version = V5) -> list[Packet]:
    """Opens a connection, sends all this, and returns what came until the broker closed it."""
    async with Peer.raw(target, version=version) as peer:
        for each in sent:
            peer.send(each)
        return await peer.closed()


async def broken_off(peer: Peer) -> list[Packet]:
    """Makes the broker end a connection for a violation: a second CONNECT. Returns what came until then."""
    peer.send(Connect("somebody-else", version=peer.version))
    return await peer.closed()


def kinds(packets: list[Packet]) -> list[str]:
    """The types of packets, by name."""
    return [type(each).__name__ for each in packets]


def codes(packets: list[Packet]) -> list[tuple[str, int]]:
    """The types of packets and their reason codes."""
    return [(type(each).__name__, each.reason_code) for each in packets]
