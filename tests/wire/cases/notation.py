"""How a row of the table of packets is written.

In the notation, hexadecimal digits are themselves and 'quoted' characters are their ASCII codes; `packet` puts
the remaining length behind the first byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from linnet.errors import ReasonCode
from linnet.wire import V3_1, V3_1_1, V5, Packet, Version

MALFORMED = ReasonCode.MALFORMED_PACKET
PROTOCOL = ReasonCode.PROTOCOL_ERROR
OLD = (V3_1, V3_1_1)
SINCE_3_1_1 = (V3_1_1, V5)
ALL = (V3_1, V3_1_1, V5)
ONLY_5 = (V5,)


@dataclass(frozen=True)
class Case:
    """One row: the packet these bytes are, or the reason code of their refusal."""

    name: str
    version: Version
    data: bytes
    expected: Packet | None = None
    reason: int | None = None
    canonical: bool = True  # whether encoding the packet gives these bytes again
    from_client: bool | None = None  # who is supposed to have sent it (None: does not matter)
    clauses: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.version.name} {self.name}".replace(" ", "-")


def octets(notation: str) -> bytes:
    """The bytes that the notation says."""
    data = b""
    for quoted, digits in re.findall(r"'([^']*)'|([0-9a-fA-F]+)", notation):
        data += quoted.encode("ascii") if quoted else bytes.fromhex(digits)
    return data


def packet(notation: str) -> bytes:
    """A whole packet: the first byte, then its remaining length, which is worked out here, then the rest."""
    data = octets(notation)
    body = data[1:]
    length = bytes([len(body)]) if len(body) < 128 else bytes([len(body) & 0x7F | 0x80, len(body) >> 7])
    assert len(body) < 16384
    return data[:1] + length + body


def good(
    name: str,
    versions: Iterable[Version],
    data: str | bytes,
    expected: Packet,
    *clauses: str,
    canonical: bool = True,
) -> list[Case]:
    """Rows for a packet that is right, one for each version; a clause says its version in front."""
    data = packet(data) if isinstance(data, str) else data
    return [
        Case(name, version, data, expected, canonical=canonical, clauses=_of(version, clauses)) for version in versions
    ]


def bad(
    name: str,
    versions: Iterable[Version],
    data: str | bytes,
    reason: int,
    *clauses: str,
    from_client: bool | None = None,
) -> list[Case]:
    """Rows for a packet that is refused, one for each version."""
    data = packet(data) if isinstance(data, str) else data
    return [
        Case(name, version, data, reason=reason, from_client=from_client, clauses=_of(version, clauses))
        for version in versions
    ]


def _of(version: Version, clauses: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(clause for clause in clauses if clause.startswith(version.name + ":"))
