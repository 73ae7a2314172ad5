"""Variable byte integers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.errors import MalformedPacket
from linnet.wire import decode_varint, encode_varint

# The borders between one, two, three and four bytes.
BORDERS = [
    (0, "00"),
    (1, "01"),
    (127, "7f"),
    (128, "8001"),
    (16_383, "ff7f"),
    (16_384, "808001"),
    (2_097_151, "ffff7f"),
    (2_097_152, "80808001"),
    (268_435_455, "ffffff7f"),
]


@pytest.mark.clause("5.0:MQTT-1.5.5-1")
@pytest.mark.parametrize(("value", "encoded"), BORDERS)
def test_the_shortest_form_is_written(value: int, encoded: str) -> None:
    assert encode_varint(value).hex() == encoded


@pytest.mark.parametrize(("value", "encoded"), BORDERS)
def test_the_value_and_the_place_behind_it_are_read(value: int, encoded: str) -> None:
    data = b"\xff" + bytes.fromhex(encoded) + b"\xff"
    assert decode_varint(data, 1) == (value, len(data) - 1)


@given(st.integers(0, 268_435_455), st.binary(max_size=5), st.binary(max_size=5))
def test_what_is_written_is_read(value: int, before: bytes, behind: bytes) -> None:
    encoded = encode_varint(value)
    assert decode_varint(before + encoded + behind, len(before)) == (value, len(before) + len(encoded))


@given(st.binary(max_size=5))
def test_every_form_that_is_read_is_the_one_that_is_written(data: bytes) -> None:
    try:
        value, end = decode_varint(data, 0)
    except MalformedPacket:
        return
    assert encode_varint(value) == data[:end]


@pytest.mark.parametrize("value", [-1, 268_435_456, 1 << 40])
def test_what_does_not_fit_is_not_written(value: int) -> None:
    with pytest.raises(MalformedPacket):
        encode_varint(value)


@pytest.mark.clause("5.0:MQTT-1.5.5-1")
@pytest.mark.parametrize("encoded", ["8000", "ff00", "808000", "80808000", "81808000"])
def test_more_bytes_than_needed_are_refused(encoded: str) -> None:
    with pytest.raises(MalformedPacket) as refusal:
        decode_varint(bytes.fromhex(encoded), 0)
    assert refusal.value.clause == "MQTT-1.5.5-1"


@pytest.mark.parametrize("encoded", ["80808080", "ffffffff", "8080808001", "8080808000"])
def test_a_fourth_continuation_bit_is_refused_whatever_follows(encoded: str) -> None:
    with pytest.raises(MalformedPacket, match="more than four bytes"):
        decode_varint(bytes.fromhex(encoded), 0)


@pytest.mark.parametrize("encoded", ["", "80", "ffff", "808080"])
def test_an_integer_that_the_data_cut_off_is_refused(encoded: str) -> None:
    with pytest.raises(MalformedPacket, match="ends within"):
        decode_varint(bytes.fromhex(encoded), 0)
