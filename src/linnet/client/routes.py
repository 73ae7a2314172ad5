"""Routes: a pattern of topics, the function that handles its messages, and how to call it.

A handler says with its parameters what it wants, and that is read once, when it is registered:

- one that is called like a capture of the pattern gets what stands there, converted as its annotation says;
- `message`, or whichever is annotated as a message, gets the message;
- `value` gets the payload as the codec decodes it, and its annotation names the codec where none was given;
- `**others` gets the captures that have no parameter of their own;
- what has a default is left to it. Anything else is a mistake, and told at once.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from functools import partial
from inspect import Parameter
from typing import Any, Final, Protocol
from uuid import UUID

from linnet.client.codecs import AUTO, Codec, codec_of, resolve_codec
from linnet.client.patterns import Converter, Pattern, text_of, to_float, to_int, to_uuid
from linnet.errors import LinnetError
from linnet.wire.message import Message

Handler = Callable[..., object]

# The annotations that need no pydantic, and mean here what they mean in a pattern
_PLAIN: Final[Mapping[object, Converter]] = {int: to_int, float: to_float, UUID: to_uuid}
_AS_IT_IS: Final = (Parameter.empty, Any, object, str)


class RouteError(LinnetError, TypeError):
    """A handler that cannot be called with what its pattern and a message give."""


class Incoming(Protocol):
    """What a route asks of a message."""

    @property
    def topic(self) -> str:
        """The topic name."""

    @property
    def value(self) -> object:
        """The payload as its codec decodes it; raises DecodeError."""


class Route:
    """What to call with the messages of a pattern.

    `codec` is the one given, else that of the annotation of `value` or of `Message[...]`, else AUTO. `is_async` says
    whether calling `handler` gives something to await. Raises PatternError and RouteError.
    """

    __slots__ = ("_converters", "_message", "_value", "codec", "handler", "is_async", "pattern")

    def __init__(self, pattern: str | Pattern, handler: Handler, codec: object = None) -> None:
        self.pattern = pattern if isinstance(pattern, Pattern) else Pattern(pattern)
        self.handler = handler
        function = _function_of(handler)
        self.is_async = inspect.iscoroutinefunction(function)
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise RouteError(f"{_name(handler)} is a generator, which nobody would iterate over")
        self._converters: dict[str, Converter | None] = {}
        self._message: str | None = None  # the name of the parameter that takes the message
        self._value = False
        decoded: object = Parameter.empty
        for parameter in _parameters(handler, function):
            if parameter.name in self.pattern.names and parameter.kind is not Parameter.VAR_KEYWORD:
                self._converters[parameter.name] = self._converter(parameter)
            elif parameter.name == "value" and parameter.kind is not Parameter.VAR_KEYWORD:
                self._value, decoded = True, _evaluated(parameter, handler)
            elif parameter.kind is Parameter.VAR_KEYWORD:
                rest = [name for name in self.pattern.names if name not in self._converters]
                self._converters |= {name: self.pattern.converters.get(name) for name in rest}
            elif _takes_message(parameter):
                self._message = self._only(parameter.name)
                decoded = _message_type(parameter) if decoded is Parameter.empty else decoded
            elif parameter.default is Parameter.empty:
                raise RouteError(self._unknown(parameter))
        self.codec: Codec[Any] = resolve_codec(codec) if codec is not None else self._codec_of(decoded)

    def __repr__(self) -> str:
        return f"<Route {self.pattern} to {_name(self.handler)}>"

    def arguments(self, message: Incoming) -> dict[str, object] | None:
        """The keyword arguments to call the handler with.

        None when the message does not belong to this route: another topic, or captures that do not convert. Raises
        DecodeError when the handler wants the value and the payload has none.
        """
        texts = self.pattern.match(message.topic)
        if texts is None:
            return None
        try:
            found: dict[str, object] = {
                name: texts[name] if converter is None else converter(texts[name])
                for name, converter in self._converters.items()
            }
        except ValueError:
            return None
        if self._message is not None:
            found[self._message] = message
        if self._value:
            found["value"] = message.value
        return found

    def _converter(self, parameter: Parameter) -> Converter | None:
        """What makes of a capture's text what its parameter is to get; None leaves the text."""
        wanted = _evaluated(parameter, self.handler)
        if wanted in _AS_IT_IS:
            return None if wanted is str else self.pattern.converters.get(parameter.name)
        if typing.get_origin(wanted) is typing.Literal:
            return partial(_choose, {text_of(choice): choice for choice in typing.get_args(wanted)})
        plain = _PLAIN.get(wanted) if isinstance(wanted, type) else None
        return plain or _validator(wanted, parameter.name)

    def _codec_of(self, decoded: object) -> Codec[Any]:
        if decoded in (Parameter.empty, Any, object):
            return AUTO
        try:
            return codec_of(decoded)
        except TypeError as error:
            raise RouteError(f"{_name(self.handler)} wants a value that no codec gives: {error}") from error

    def _only(self, name: str) -> str:
        if self._message is not None:
            raise RouteError(f"{_name(self.handler)} takes the message twice, as {self._message} and as {name}")
        return name

    def _unknown(self, parameter: Parameter) -> str:
        if "Message" in str(parameter.annotation):
            _evaluated(parameter, self.handler)
        known = ", ".join([*self.pattern.names, "message", "value"])
        return f"{_name(self.handler)} takes {parameter.name!r}, which {self.pattern} does not give; it gives {known}"


def _function_of(handler: Handler) -> Handler:
    """The function behind partials and callable objects, which knows whether it is async and what it can see."""
    while isinstance(handler, partial):
        handler = handler.func
    if inspect.isroutine(handler) or isinstance(handler, type):
        return handler
    return typing.cast("Handler", getattr(handler, "__call__", handler))  # noqa: B004


def _parameters(handler: Handler, function: Handler) -> list[Parameter]:
    """The parameters that are still open, their annotations evaluated where that is possible."""
    try:
        found = inspect.signature(handler).parameters.values()
    except (TypeError, ValueError):
        raise RouteError(f"{_name(handler)} cannot be called, or does not tell with what") from None
    names = getattr(inspect.unwrap(function), "__globals__", {})
    for parameter in found:
        if parameter.kind is Parameter.POSITIONAL_ONLY and parameter.default is Parameter.empty:
            raise RouteError(f"{_name(handler)} takes {parameter.name!r} by position only; it is called by names")
    bound = handler.keywords if isinstance(handler, partial) else {}  # what somebody decided already
    by_name = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY, Parameter.VAR_KEYWORD)
    return [
        _with_annotation(parameter, names)
        for parameter in found
        if parameter.kind in by_name and parameter.name not in bound
    ]


def _with_annotation(parameter: Parameter, names: dict[str, Any]) -> Parameter:
    """The parameter with an annotation that is an object: one written as text is looked up where it was written."""
    if not isinstance(parameter.annotation, str):
        return parameter
    try:
        return parameter.replace(annotation=eval(parameter.annotation, names))
    except Exception:
        return parameter  # it is a mistake only where the annotation matters


def _evaluated(parameter: Parameter, handler: Handler) -> Any:
    if isinstance(parameter.annotation, str):
        raise RouteError(
            f"{_name(handler)} annotates {parameter.name!r} as {parameter.annotation}, which cannot be looked up "
            "when the handler is registered: define or import it at the top of the module"
        )
    return parameter.annotation


def _takes_message(parameter: Parameter) -> bool:
    if parameter.name == "message":
        return True
    annotation = typing.get_origin(parameter.annotation) or parameter.annotation
    return isinstance(annotation, type) and issubclass(annotation, Message)


def _message_type(parameter: Parameter) -> object:
    """The T of `Message[T]`."""
    types = typing.get_args(parameter.annotation)
    return types[0] if len(types) == 1 and not isinstance(types[0], typing.TypeVar) else Parameter.empty


def _choose(choices: dict[str, object], text: str) -> object:
    """The value of a Literal that is written like this."""
    if text not in choices:
        raise ValueError("none of the choices")
    return choices[text]


def _validator(wanted: Any, name: str) -> Converter:
    """pydantic's reading of a text as a type; what it raises is a ValueError."""
    from pydantic import PydanticUserError, TypeAdapter

    try:
        return TypeAdapter(wanted).validate_strings
    except PydanticUserError as error:
        raise RouteError(f"no text can become the {wanted!r} that {name!r} is to be") from error


def _name(handler: Handler) -> str:
    function = _function_of(handler)
    name: str = getattr(function, "__qualname__", type(function).__name__)
    return name + "()"
