"""Reading fields, never past the end."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.errors import MalformedPacket
from linnet.wire import Reader

FIELDS: dict[str, tuple[Callable[[Reader], object], str, object]] = {
    "byte": (Reader.byte, "ff", 255),
    "u16": (Reader.u16, "0102", 258),
    "u32": (Reader.u32, "01020304", 16_909_060),
    "varint": (Reader.varint, "ff7f", 16_383),
    "packet_id": (Reader.packet_id, "ffff", 65_535),
    "binary": (Reader.binary, "000200ff", b"\0\xff"),
    "string": (Reader.string, "0003e282ac", "€"),
    "rest": (Reader.rest, "0102", b"\x01\x02"),
}
every_field = pytest.mark.parametrize(("read", "data", "value"), FIELDS.values(), ids=FIELDS)
every_field_with_an_end = pytest.mark.parametrize(
    ("read", "data"), [(read, data) for name, (read, data, _) in FIELDS.items() if name != "rest"]
)


@every_field
def test_a_field_is_read_from_where_the_reader_stands(
    read: Callable[[Reader], object], data: str, value: object
) -> None:
    octets = bytes.fromhex(data)
    reader = Reader(b"__" + octets + b"__", 2, 2 + len(octets))
    assert read(reader) == value
    assert reader.left() == 0
    reader.finish()


@every_field_with_an_end
def test_a_field_that_the_end_cuts_is_refused(read: Callable[[Reader], object], data: str) -> None:
    """The bytes are there, but behind the end: they belong to someone else."""
    octets = bytes.fromhex(data)
    for length in range(len(octets)):
        with pytest.raises(MalformedPacket):
            read(Reader(octets, 0, length))
        with pytest.raises(MalformedPacket):
            read(Reader(octets[:length]))


def test_fields_follow_each_other() -> None:
    reader = Reader(bytes.fromhex("01 0002 00000003 04 0001 61 0001 ff 7a"))
    assert [reader.byte(), reader.u16(), reader.u32(), reader.varint()] == [1, 2, 3, 4]
    assert [reader.string(), reader.binary(), reader.rest()] == ["a", b"\xff", b"z"]
    assert reader.rest() == b""


@pytest.mark.clause("5.0:MQTT-2.2.1-3", "3.1.1:MQTT-2.3.1-1")
def test_a_packet_identifier_is_never_0() -> None:
    with pytest.raises(MalformedPacket):
        Reader(b"\0\0").packet_id()


def test_what_is_left_at_the_end_is_refused() -> None:
    reader = Reader(b"\x01\x02")
    reader.byte()
    assert reader.left() == 1
    with pytest.raises(MalformedPacket, match="1 bytes follow"):
        reader.finish()


def test_an_enclosed_part_has_an_end_of_its_own() -> None:
    reader = Reader(b"\x01\x02\x03\x04")
    reader.byte()
    outer = reader.enclose(2)
    assert reader.left() == 2
    assert reader.rest() == b"\x02\x03"
    with pytest.raises(MalformedPacket):
        reader.byte()
    reader.end = outer
    assert reader.byte() == 4


def test_an_enclosed_part_ends_within_the_packet() -> None:
    with pytest.raises(MalformedPacket):
        Reader(b"\x01\x02").enclose(3)


@given(st.binary(max_size=30), st.lists(st.sampled_from(sorted(FIELDS)), max_size=8))
def test_any_reads_of_any_bytes_fit_or_are_refused(data: bytes, names: list[str]) -> None:
    reader = Reader(data)
    try:
        for name in names:
            FIELDS[name][0](reader)
    except MalformedPacket:
        pass
    assert 0 <= reader.at <= reader.end == len(data)
    assert repr(reader) == f"<Reader at {reader.at} of {len(data)}>"
