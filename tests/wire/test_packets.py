"""The whole table of packets, both ways."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from linnet.errors import ProtocolError
from linnet.wire import V3_1, V3_1_1, V5, VERSIONS, PacketType, Publish, Version, decode
from tests.packets import CASES, GOOD, MALFORMED, Case


def rows(cases: list[Case]) -> list[Any]:
    """The cases as parameters of a test, each with the clauses it proves."""
    return [pytest.param(case, id=str(case), marks=pytest.mark.clause(*case.clauses)) for case in cases]


@pytest.mark.parametrize("case", rows(GOOD))
def test_a_good_packet_is_decoded(case: Case) -> None:
    assert decode(case.data, case.version, case.from_client) == case.expected


@pytest.mark.parametrize("case", rows([case for case in GOOD if case.canonical]))
def test_a_packet_is_encoded(case: Case) -> None:
    assert case.expected is not None
    assert case.expected.encode(case.version).hex(" ") == case.data.hex(" ")


@pytest.mark.parametrize("case", rows([case for case in GOOD if not case.canonical]))
def test_a_packet_is_encoded_in_its_canonical_form(case: Case) -> None:
    assert case.expected is not None
    encoded = case.expected.encode(case.version)
    assert encoded != case.data
    assert decode(encoded, case.version) == case.expected


@pytest.mark.parametrize("case", rows(MALFORMED))
def test_a_malformed_packet_is_refused(case: Case) -> None:
    with pytest.raises(ProtocolError) as refusal:
        decode(case.data, case.version, case.from_client)
    assert refusal.value.reason_code == case.reason, str(refusal.value)


@pytest.mark.parametrize("case", rows([case for case in GOOD if not isinstance(case.expected, Publish)]))
def test_a_packet_cut_short_is_never_taken_for_the_whole(case: Case) -> None:
    """Fields that may be left out make a shorter packet another one; all else is refused."""
    body = case.data[2:]
    for length in range(len(body)):
        try:
            found = decode(case.data[:1] + bytes([length]) + body[:length], case.version)
        except ProtocolError:
            continue
        assert found != case.expected or not case.canonical


@pytest.mark.parametrize("case", [case for case in MALFORMED if case.data[:1] == b"\x10"], ids=str)
def test_an_error_found_after_the_level_of_connect_knows_the_version(case: Case) -> None:
    """So that the refusal can be written in the version that the client understands."""
    with pytest.raises(ProtocolError) as refusal:
        decode(case.data, V3_1)
    known = {b"\x06MQIsdp\x03": V3_1, b"\x04MQTT\x04": V3_1_1, b"\x04MQTT\x05": V5, b"\x04MQTT\x84": V3_1_1}
    names = [case.data[3 : 3 + len(name)] for name in known]
    announced = [known[name] for name in names if name in known]
    assert refusal.value.version is (announced[0] if announced else None)


def test_no_two_rows_have_the_same_name() -> None:
    assert [name for name, count in Counter(map(str, CASES)).items() if count > 1] == []


KINDS = [(version, kind) for version in VERSIONS.values() for kind in PacketType]


@pytest.mark.parametrize(("version", "kind"), KINDS, ids=lambda part: part.name)
def test_the_table_has_every_packet_good_and_malformed(kind: PacketType, version: Version) -> None:
    """In every version, except that AUTH cannot be good before 5.0."""
    theirs = [case for case in CASES if case.version is version and case.data[:1] and case.data[0] >> 4 == kind]
    assert [case for case in theirs if case.expected is None]
    assert [case for case in theirs if case.expected is not None] or kind is PacketType.AUTH
