"""The one table of packets: bytes, and what they are or why they are refused.

Every test that needs a packet, good or malformed, takes it from here. The rows stand in `tests/wire/cases`, a
file for each family of packets; the bytes are written by hand and share no code with what is tested.
"""

from tests.wire.cases import acks, connect, control, publish, subscribe
from tests.wire.cases import properties as properties_
from tests.wire.cases.notation import Case, octets, packet

__all__ = ["CASES", "GOOD", "MALFORMED", "Case", "octets", "packet"]

CASES: list[Case] = [
    *connect.CASES,
    *publish.CASES,
    *acks.CASES,
    *subscribe.CASES,
    *control.CASES,
    *properties_.CASES,
]
GOOD = [case for case in CASES if case.expected is not None]
MALFORMED = [case for case in CASES if case.expected is None]
