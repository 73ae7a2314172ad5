"""UTF-8 strings and binary data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.errors import MalformedPacket
from linnet.wire import decode_utf8, encode_binary, encode_utf8, is_topic_name
from tests import strategies

ILL_FORMED = {
    "a lone continuation byte": "80",
    "a start without its continuation": "c3",
    "a wrong continuation": "c328",
    "an overlong slash": "c0af",
    "an overlong U+0000": "c080",
    "three overlong bytes": "e08080",
    "a high surrogate": "eda080",
    "a low surrogate": "edbfbf",
    "a pair of surrogates": "eda081edb080",
    "above U+10FFFF": "f4908080",
    "four bytes cut off": "f09f98",
    "five bytes": "f888808080",
    "the byte FE": "fe",
}


@pytest.mark.clause("5.0:MQTT-1.5.4-1", "3.1.1:MQTT-1.5.3-1")
@pytest.mark.parametrize("data", ILL_FORMED.values(), ids=ILL_FORMED)
def test_ill_formed_utf8_is_refused(data: str) -> None:
    with pytest.raises(MalformedPacket) as refusal:
        decode_utf8(b"a" + bytes.fromhex(data))
    assert refusal.value.clause == "MQTT-1.5.4-1"


@pytest.mark.clause("5.0:MQTT-1.5.4-2", "3.1.1:MQTT-1.5.3-2")
@pytest.mark.parametrize("data", [b"\0", b"a\0b", b"a\0"])
def test_u_0000_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedPacket) as refusal:
        decode_utf8(data)
    assert refusal.value.clause == "MQTT-1.5.4-2"


@pytest.mark.clause("5.0:MQTT-1.5.4-3", "3.1.1:MQTT-1.5.3-3")
def test_u_feff_is_kept_wherever_it_stands() -> None:
    assert decode_utf8(b"\xef\xbb\xbfa\xef\xbb\xbf") == "\ufeffa\ufeff"
    assert encode_utf8("\ufeffa") == b"\0\x04\xef\xbb\xbfa"


@pytest.mark.parametrize("text", ["", "a", "é", "€", "😀", "\x01\x1f\x7f\x9f", "\ufffe\uffff", "\U0010ffff"])
def test_all_other_text_is_read_and_written(text: str) -> None:
    data = text.encode()
    assert decode_utf8(data) == text
    assert encode_utf8(text) == bytes([0, len(data)]) + data


@given(strategies.text)
def test_what_is_written_is_read(text: str) -> None:
    assert decode_utf8(encode_utf8(text)[2:]) == text


@given(st.binary(max_size=8))
def test_bytes_are_refused_or_are_their_text(data: bytes) -> None:
    try:
        assert decode_utf8(data).encode() == data
    except MalformedPacket:
        assert b"\0" in data or data.decode(errors="replace") != data.decode(errors="ignore")


@pytest.mark.clause("5.0:MQTT-1.5.4-1", "3.1.1:MQTT-1.5.3-1", "5.0:MQTT-1.5.4-2", "3.1.1:MQTT-1.5.3-2")
@pytest.mark.parametrize("text", ["\ud800", "a\udfff", "\0", "a\0b"])
def test_text_that_must_not_be_sent_is_not_written(text: str) -> None:
    with pytest.raises(MalformedPacket):
        encode_utf8(text)


@pytest.mark.clause("5.0:MQTT-4.7.3-3", "3.1.1:MQTT-4.7.3-3")
def test_text_of_65535_bytes_fits_and_one_more_is_refused_not_cut() -> None:
    assert encode_utf8("x" * 65_535) == b"\xff\xff" + b"x" * 65_535
    for too_long in ("x" * 65_536, "é" * 32_768):
        with pytest.raises(MalformedPacket):
            encode_utf8(too_long)


def test_binary_data_are_written_with_their_length() -> None:
    assert encode_binary(b"") == b"\0\0"
    assert encode_binary(b"\0\xff") == b"\0\x02\0\xff"
    assert encode_binary(b"x" * 65_535)[:2] == b"\xff\xff"
    with pytest.raises(MalformedPacket):
        encode_binary(b"x" * 65_536)


@pytest.mark.parametrize("topic", ["a", "/", "//", "$SYS/x", "a b", " ", "é"])
def test_a_topic_name(topic: str) -> None:
    assert is_topic_name(topic)


@pytest.mark.clause("5.0:MQTT-4.7.0-1", "3.1.1:MQTT-4.7.1-1", "5.0:MQTT-4.7.3-1", "3.1.1:MQTT-4.7.3-1")
@pytest.mark.parametrize("topic", ["", "#", "+", "a/+", "a#", "+a"])
def test_no_topic_name(topic: str) -> None:
    assert not is_topic_name(topic)
