"""Codecs: values to payloads and back, and what is said when that cannot be done."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, assert_type

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from linnet.client.codecs import (
    AUTO,
    JSON,
    RAW,
    TEXT,
    Codec,
    DecodeError,
    EncodeError,
    codec_by,
    codec_of,
    resolve_codec,
)
from linnet.errors import LinnetError
from tests.core.steady import STEADY


@dataclass
class Reading:
    celsius: float
    room: str | None = None


@dataclass
class Other:
    celsius: float


class Model(BaseModel):
    celsius: float


class Table(TypedDict):
    celsius: float


class Pair(NamedTuple):
    low: int
    high: int


class State(Enum):
    ON = "on"
    OFF = "off"


class Hex:
    """A codec of somebody else's making."""

    name = "hex"
    content_type = None
    payload_format = 1

    def encode(self, value: int) -> bytes:
        return b"%x" % value

    def decode(self, payload: bytes) -> int:
        return int(payload, 16)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("value", "payload"),
    [
        (b"\xff\0", b"\xff\0"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"abcd")[::2], b"ac"),
        ("ü", b"\xc3\xbc"),
        (21, b"21"),
        (21.5, b"21.5"),
        (True, b"True"),
        (None, b""),
    ],
)
def test_raw_takes_what_is_plainly_bytes(value: Any, payload: bytes) -> None:
    assert RAW.encode(value) == payload
    assert type(RAW.encode(value)) is bytes


def test_raw_hands_out_the_payload_itself() -> None:
    payload = b"\xff" * 10
    assert RAW.decode(payload) is payload
    assert RAW.encode(payload) is payload


def test_text_is_utf_8() -> None:
    assert TEXT.decode(TEXT.encode("ü\0")) == "ü\0"


def test_json_is_compact() -> None:
    assert JSON.encode({"a": [1, "ü"], "b": None}) == '{"a":[1,"ü"],"b":null}'.encode()


@STEADY
@given(json_values)
def test_json_comes_back(value: Any) -> None:
    assert JSON.decode(JSON.encode(value)) == value


@STEADY
@given(st.binary(max_size=20), st.sampled_from([TEXT, JSON, codec_of(Reading), codec_of(int)]))
def test_any_payload_is_a_value_or_a_decode_error(payload: bytes, codec: Codec[Any]) -> None:
    try:
        value = codec.decode(payload)
    except DecodeError as error:
        assert str(error).startswith(f"{codec.name} cannot decode {payload!r}: ")
    else:
        assert codec.decode(codec.encode(value)) == value


@pytest.mark.parametrize(
    ("type_", "value", "payload"),
    [
        (Reading, Reading(21.5), b'{"celsius":21.5,"room":null}'),
        (Model, Model(celsius=21.5), b'{"celsius":21.5}'),
        (Table, Table(celsius=21.5), b'{"celsius":21.5}'),
        (Pair, Pair(1, 2), b"[1,2]"),
        (State, State.ON, b'"on"'),
        (list[int], [1, 2], b"[1,2]"),
        (dict[str, Reading], {"a": Reading(1.0, "b")}, b'{"a":{"celsius":1.0,"room":"b"}}'),
        (int, 5, b"5"),
        (float, 5, b"5.0"),
        (bool, True, b"true"),
        (int | None, None, b"null"),
        (Literal["a", "b"], "b", b'"b"'),
        (Annotated[int, Field(json_schema_extra={"a": []})], 5, b"5"),
        (str, "ü", b"\xc3\xbc"),
        (bytes, b"\xff", b"\xff"),
        (Any, [1, {}], b"[1,{}]"),
        (object, [1, {}], b"[1,{}]"),
    ],
)
def test_a_type_has_a_codec(type_: Any, value: Any, payload: bytes) -> None:
    codec = codec_of(type_)
    assert codec.encode(value) == payload
    assert codec.decode(payload) == value


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (Reading, Other(1.0)),
        (Reading, {"celsius": 1.0}),
        (Reading, Reading("warm")),  # type: ignore[arg-type]
        (Reading, Reading(math.nan)),
        (Model, Reading(1.0)),
        (Model, Model.model_construct(celsius="warm")),  # type: ignore[arg-type]
        (Model, Model(celsius=math.inf)),
        (Table, {"celsius": "warm"}),
        (Table, {}),
        (Pair, (1, 2)),
        (State, "on"),
        (list[int], [1, "2"]),
        (int, "5"),
        (float, math.nan),
        (int | None, "5"),
        (Literal["a", "b"], "c"),
        (str, 5),
        (str, "\ud800"),
        (bytes, [1]),
        (Any, {1, 2}),
        (Any, math.nan),
        (Any, "\ud800"),
    ],
)
def test_a_value_that_is_not_of_the_type_is_refused(type_: Any, value: Any) -> None:
    codec = codec_of(type_)
    with pytest.raises(
        EncodeError, match=f"^{codec.name.replace('[', '.').replace('|', '.')} cannot encode "
    ) as caught:
        codec.encode(value)
    assert isinstance(caught.value, LinnetError)


@pytest.mark.parametrize("expected", [TypeError, ValueError])
def test_what_cannot_be_encoded_is_an_error_of_type_and_of_value(expected: type[Exception]) -> None:
    with pytest.raises(expected, match=r"RAW cannot encode \{\}: dict is not bytes"):
        RAW.encode({})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("codec", "payload", "why"),
    [
        (TEXT, b"\xff", "invalid start byte"),
        (JSON, b"\xff", "invalid start byte"),
        (JSON, b"", "Expecting value"),
        (JSON, b"[NaN]", "NaN is not JSON"),
        (JSON, b"-Infinity", "-Infinity is not JSON"),
        (JSON, b'"\xfe\xff\0a"', "invalid start byte"),
        (JSON, b"[" * 100_000, "recursion"),
        (codec_of(Reading), b"[" * 100_000, "recursion"),
        (codec_of(Reading), b'{"celsius":"warm"}', "celsius: Input should be a valid number"),
        (codec_of(Reading), b"", "Invalid JSON"),
        (codec_of(State), b'"of"', "Input should be 'on' or 'off'"),
        (codec_of(int), b"NaN", "finite number"),
    ],
)
def test_a_payload_that_says_no_value_is_refused(codec: Codec[Any], payload: bytes, why: str) -> None:
    with pytest.raises(DecodeError, match=why) as caught:
        codec.decode(payload)
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, LinnetError)


def test_a_large_payload_is_shown_in_part() -> None:
    with pytest.raises(DecodeError) as caught:
        JSON.decode(b"x" * 10_000)
    assert str(caught.value).startswith(f"JSON cannot decode b'{'x' * 60}'… (10000 bytes): ")
    assert len(str(caught.value)) < 200


def test_a_large_value_is_shown_in_part() -> None:
    with pytest.raises(EncodeError) as caught:
        codec_of(Reading).encode("x" * 10_000)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 200
    assert "xxx" in str(caught.value)


def test_a_value_whose_repr_fails_is_shown_too() -> None:
    class Silent:
        def __repr__(self) -> str:
            raise RuntimeError

    with pytest.raises(EncodeError, match="Silent instance"):
        JSON.encode(Silent())


def test_a_value_within_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(EncodeError, match="Circular"):
        JSON.encode(loop)


def test_receivers_are_told_what_a_payload_is() -> None:
    codecs: list[Codec[Any]] = [RAW, TEXT, JSON, codec_of(Reading)]
    assert [(codec.content_type, codec.payload_format) for codec in codecs] == [
        (None, None),
        ("text/plain", 1),
        ("application/json", 1),
        ("application/json", 1),
    ]


def test_a_codec_of_a_type_is_made_once() -> None:
    assert codec_of(list[Reading]) is codec_of(list[Reading])
    assert repr(codec_of(Reading)) == "codec_of(Reading)"
    assert repr(RAW) == "RAW"


@pytest.mark.parametrize("type_", [EncodeError, Codec, "Reading", 5, object()])
def test_what_is_no_type_has_no_codec(type_: Any) -> None:
    with pytest.raises(TypeError):
        codec_of(type_)
    with pytest.raises(TypeError):
        resolve_codec(type_)


def test_a_codec_is_found_for_what_is_named() -> None:
    mine = Hex()
    assert resolve_codec(None) is RAW
    assert resolve_codec(JSON) is JSON
    assert resolve_codec(mine) is mine
    assert resolve_codec(str) is TEXT
    assert resolve_codec(Reading) is codec_of(Reading)


def test_the_type_checker_knows_what_comes_back() -> None:
    assert_type(codec_of(Reading), Codec[Reading])
    assert_type(codec_of(list[int]), Codec[list[int]])
    assert_type(resolve_codec(Reading), Codec[Reading])
    assert_type(resolve_codec(Hex()), Codec[int])
    assert_type(resolve_codec(TEXT), Codec[str])
    assert_type(resolve_codec(None), Codec[bytes])
    makers: list[Callable[[], object]] = [lambda: assert_type(resolve_codec(RAW), Codec[bytes])]
    assert makers[0]() is RAW


@pytest.mark.parametrize(
    ("content_type", "payload_format", "codec"),
    [
        (None, None, RAW),
        (None, 0, RAW),
        (None, 1, TEXT),
        ("application/json", None, JSON),
        ("application/JSON; charset=utf-8", 1, JSON),
        ("application/senml+json", None, JSON),
        ("text/plain", None, TEXT),
        ("text/csv;charset=UTF-8", None, TEXT),
        ("text/plain; charset=latin-1", None, RAW),
        ("application/octet-stream", 1, RAW),
        ("image/png", None, RAW),
    ],
)
def test_a_message_says_of_itself_what_its_payload_is(
    content_type: str | None, payload_format: int | None, codec: object
) -> None:
    assert codec_by(content_type, payload_format) is codec


def test_auto_encodes_as_raw_does() -> None:
    assert AUTO.encode(21.5) == b"21.5"
    assert repr(AUTO) == "AUTO"
