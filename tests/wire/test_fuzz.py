"""The fuzz target, for a fixed number of packets; run `python -m tests.wire.fuzz` for more."""

from __future__ import annotations

import pytest

from linnet.wire import PACKETS, V5, Pingreq, codec
from tests.wire import fuzz


@pytest.mark.parametrize("seed", range(4))
def test_no_mutant_of_a_packet_breaks_the_decoder(seed: int) -> None:
    outcomes = fuzz.fuzz(seed, rounds=20_000)
    assert outcomes.total() == 20_000
    assert outcomes["refused 0x81"] > 5000, "the mutants are too tame"
    pings = {"Pingreq", "Pingresp"}  # two bytes each: hardly any mutant of them is good
    assert {kind.__name__ for kind in PACKETS.values()} - pings <= set(outcomes), "the mutants are too wild"


def test_the_fuzzer_reports_another_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(first: int, body: bytes, *_: object) -> object:
        raise IndexError("index out of range")

    monkeypatch.setattr(codec, "decode_body", careless)
    with pytest.raises(fuzz.Broken, match="IndexError") as report:
        fuzz.fuzz(0, rounds=100)
    assert "bytes.fromhex" in report.value.__notes__[1]


def test_the_fuzzer_reports_a_packet_that_is_not_written_as_it_was_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Pingreq, "encode", lambda self, version: b"\xd0\x00")
    with pytest.raises(fuzz.Broken, match="read again"):
        fuzz.check(b"\xc0\x00", V5, None)
