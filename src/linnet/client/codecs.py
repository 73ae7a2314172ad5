"""Codecs: what a program holds, to a payload and back.

MQTT carries bytes. A codec says which bytes a value is, and tells the receiver of them: a Content Type, and the
Payload Format Indicator where they are text (5.0: 3.3.2.3.2, 3.3.2.3.9). `AUTO` believes what a message says of itself,
`RAW` changes nothing, `TEXT` is a string, `JSON` is whatever JSON can say, and `codec_of` makes a codec of a type: a
dataclass, a pydantic model, an Enum, `list[int]` … Any object that looks like `Codec` is one.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Callable
from functools import lru_cache
from reprlib import Repr
from typing import Any, Final, NoReturn, Protocol, TypeVar, overload

from linnet.errors import LinnetError

if typing.TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")

Payload = bytes | bytearray | memoryview | str | int | float | None
"""What can be published without a codec."""

UTF_8: Final = 1  # the Payload Format Indicator of text
SHOWN: Final = 60  # bytes of a payload, or characters of a value, in an error's text


class EncodeError(LinnetError, TypeError, ValueError):
    """A value that the codec cannot turn into a payload, because of its type or of what it holds."""


class DecodeError(LinnetError, ValueError):
    """A payload that the codec cannot read."""


class Codec(Protocol[T]):
    """How values of the type T become payloads and come back."""

    @property
    def name(self) -> str:
        """What errors and logs call this codec."""

    @property
    def content_type(self) -> str | None:
        """The Content Type that is sent along, or None to send none."""

    @property
    def payload_format(self) -> int | None:
        """The Payload Format Indicator that is sent along: 1 for UTF-8 text, None to send none."""

    def encode(self, value: T) -> bytes:
        """The payload; raises EncodeError."""

    def decode(self, payload: bytes) -> T:
        """The value; raises DecodeError."""


class Raw:
    """Bytes as they are, and what can be written as bytes without a question; the payload itself comes back."""

    __slots__ = ()

    name: Final = "RAW"
    content_type: Final = None
    payload_format: Final = None

    def __repr__(self) -> str:
        return self.name

    def encode(self, value: Payload) -> bytes:
        """Bytes as they are, a string as UTF-8, a number as its text, None as nothing."""
        if isinstance(value, bytes):
            return value
        if isinstance(value, str):
            return _utf8(self, value)
        if value is None:
            return b""
        if isinstance(value, bytearray | memoryview):
            return bytes(value)
        if isinstance(value, int | float):
            return str(value).encode()
        _refuse(self, value, f"{type(value).__name__} is not bytes, text or a number; name a codec such as JSON")

    def decode(self, payload: bytes) -> bytes:
        """The payload itself."""
        return payload


class Auto(Raw):
    """What the publisher says that the payload is: JSON and text as such, anything else as bytes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "AUTO"


class Text:
    """A string as UTF-8."""

    __slots__ = ()

    name: Final = "TEXT"
    content_type: Final = "text/plain"
    payload_format: Final = UTF_8

    def __repr__(self) -> str:
        return self.name

    def encode(self, value: str) -> bytes:
        """The string as UTF-8."""
        if not isinstance(value, str):
            _refuse(self, value, f"{type(value).__name__} is not str")
        return _utf8(self, value)

    def decode(self, payload: bytes) -> str:
        """The string; bytes that are not UTF-8 raise DecodeError."""
        try:
            return str(payload, "utf-8")
        except UnicodeDecodeError as error:
            raise _undecodable(self, payload, str(error)) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_encode_json: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_decode_json: Final = json.JSONDecoder(parse_constant=_refuse_constant).decode


class Json:
    """Whatever JSON can say, as compact UTF-8. NaN and the infinities, which JSON does not have, are refused."""

    __slots__ = ()

    name: Final = "JSON"
    content_type: Final = "application/json"
    payload_format: Final = UTF_8

    def __repr__(self) -> str:
        return self.name

    def encode(self, value: Any) -> bytes:
        """The value as JSON."""
        try:
            return _encode_json(value).encode()
        except (TypeError, ValueError, RecursionError) as error:
            _refuse(self, value, str(error), error)

    def decode(self, payload: bytes) -> Any:
        """What the JSON says, in dicts, lists, strings, numbers, True, False and None."""
        try:
            return _decode_json(str(payload, "utf-8"))
        except (ValueError, RecursionError) as error:
            raise _undecodable(self, payload, str(error)) from error


class Typed(typing.Generic[T]):
    """Values of one type as JSON, checked both ways by pydantic."""

    __slots__ = ("_adapter", "_class", "name")

    content_type: Final = Json.content_type
    payload_format: Final = UTF_8

    def __init__(self, type_: Any, adapter: TypeAdapter[T]) -> None:
        self.name: Final = type_.__name__ if isinstance(type_, type) else str(type_)
        self._adapter = adapter
        # A float may be an int, and a TypedDict is a plain dict; the other classes know their instances.
        is_class = isinstance(type_, type) and type_ is not float and not hasattr(type_, "__total__")
        self._class: type | None = type_ if is_class else None

    def __repr__(self) -> str:
        return f"codec_of({self.name})"

    def encode(self, value: T) -> bytes:
        """The value as JSON; one that is not of the type is refused, NaN and the infinities too."""
        if self._class is not None and not isinstance(value, self._class):
            _refuse(self, value, f"{type(value).__name__} is not {self.name}")
        try:
            if self._class is None:
                self._adapter.validate_python(value, strict=True)
            payload = self._adapter.dump_json(value, warnings="error")
            if b"null" in payload:  # which is what pydantic writes for NaN too
                _encode_json(self._adapter.dump_python(value, mode="json"))
            return payload
        except (TypeError, ValueError, RecursionError) as error:
            _refuse(self, value, _sentence(error), error)

    def decode(self, payload: bytes) -> T:
        """The value that the JSON describes; what does not fit the type raises DecodeError."""
        try:
            return self._adapter.validate_json(payload)
        except (TypeError, ValueError, RecursionError) as error:
            raise _undecodable(self, payload, _sentence(error)) from error


RAW: Final = Raw()
AUTO: Final = Auto()
TEXT: Final = Text()
JSON: Final = Json()


@overload
def codec_of(type_: type[T]) -> Codec[T]:
    """The codec of a type."""


@overload
def codec_of(type_: object) -> Codec[Any]:
    """The codec of a type."""


def codec_of(type_: Any) -> Codec[Any]:
    """The codec of a type: RAW of bytes, TEXT of str, and JSON that pydantic checks of everything else.

    Raises TypeError for what pydantic cannot read and write. The codec of a type is made once.
    """
    try:
        return _codec_of(type_)
    except TypeError as error:
        if "unhashable" not in str(error):
            raise
        return _codec_of.__wrapped__(type_)  # an annotation with a list or a dict in it


@overload
def resolve_codec(codec: None) -> Codec[bytes]:
    """The codec that is meant."""


@overload
def resolve_codec(codec: Codec[T]) -> Codec[T]:
    """The codec that is meant."""


@overload
def resolve_codec(codec: type[T]) -> Codec[T]:
    """The codec that is meant."""


@overload
def resolve_codec(codec: object) -> Codec[Any]:
    """The codec that is meant."""


def resolve_codec(codec: Any) -> Codec[Any]:
    """The codec itself, the codec of a type, or RAW where none is named. Raises TypeError for anything else."""
    if codec is None:
        return RAW
    if not isinstance(codec, type) and hasattr(codec, "encode") and hasattr(codec, "decode"):
        return typing.cast("Codec[Any]", codec)
    return codec_of(codec)


def codec_by(content_type: str | None, payload_format: int | None) -> Codec[Any]:
    """The codec that a message's Content Type and Payload Format Indicator speak of; RAW for what we cannot read."""
    kind, _, parameters = (content_type or "").lower().replace(" ", "").partition(";")
    if "charset=" in parameters and "charset=utf-8" not in parameters:
        return RAW
    if kind == "application/json" or kind.endswith("+json"):
        return JSON
    if kind.startswith("text/") or (not kind and payload_format == UTF_8):
        return TEXT
    return RAW


@lru_cache(maxsize=512)
def _codec_of(type_: Any) -> Codec[Any]:
    if type_ is bytes:
        return RAW
    if type_ is str:
        return TEXT
    if type_ in (Any, object):
        return JSON
    if isinstance(type_, str):  # which pydantic would take for the name of a type
        raise TypeError(f"{type_[:SHOWN]!r} is neither a codec nor a type")
    # Only now: it takes longer to import than everything else here
    from pydantic import PydanticUserError, TypeAdapter
    from pydantic.errors import PydanticUndefinedAnnotation

    try:
        return Typed(type_, TypeAdapter(type_))
    except (PydanticUserError, PydanticUndefinedAnnotation) as error:
        raise TypeError(f"no codec can be made of {type_!r}: {_sentence(error)}") from error


def _utf8(codec: Codec[Any], text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        _refuse(codec, text, str(error.reason), error)


def _refuse(codec: Codec[Any], value: object, why: str, cause: Exception | None = None) -> NoReturn:
    raise EncodeError(f"{codec.name} cannot encode {_shown(value)}: {why}") from cause


def _undecodable(codec: Codec[Any], payload: bytes, why: str) -> DecodeError:
    size = len(payload)
    shown = repr(bytes(payload[:SHOWN])) + (f"… ({size} bytes)" if size > SHOWN else "")
    return DecodeError(f"{codec.name} cannot decode {shown}: {why}")


def _sentence(error: Exception) -> str:
    """The first thing that pydantic says, in one line and without the value, which may be large."""
    errors: Callable[..., list[dict[str, Any]]] | None = getattr(error, "errors", None)
    if errors is None:
        return str(error).partition("\n\n")[0].replace("\n", " ")[:200]
    first = errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else str(first["msg"])


def _shown(value: object) -> str:
    """The beginning of what the value looks like, whatever its `repr` does."""
    short = Repr()
    short.maxstring = short.maxother = short.maxlong = SHOWN
    text = short.repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
