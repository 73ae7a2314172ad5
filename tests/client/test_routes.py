"""Routes: which handler gets what of a message, and which is refused when it is registered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import partial, wraps
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import pytest
from pydantic import Field

from linnet.client.codecs import AUTO, JSON, TEXT, Codec, DecodeError, codec_of
from linnet.client.patterns import Pattern, PatternError
from linnet.client.routes import Route, RouteError
from linnet.errors import LinnetError
from linnet.wire.publish import Publish

if TYPE_CHECKING:
    from decimal import Decimal

    from linnet.wire.message import Message as WireMessage

T = TypeVar("T")
ID = UUID("a2f5b3ac-58a9-4f4c-9d47-0f6b8d3c2e11")


@dataclass
class Reading:
    celsius: float


class Room(Enum):
    KITCHEN = "kitchen"


class Message(Publish, Generic[T]):
    """A message that has a value, as the client hands them out."""

    codec: Codec[Any] = JSON

    @property
    def value(self) -> Any:
        return self.codec.decode(self.payload)


def message(topic: str, payload: bytes = b"5") -> Message[Any]:
    return Message(topic, payload)


def given(pattern: str, handler: Callable[..., object], topic: str) -> dict[str, object] | None:
    return Route(pattern, handler).arguments(message(topic))


def test_captures_are_given_by_name() -> None:
    def handler(room: str, floor: str) -> None: ...

    assert given("{floor}/{room}/temp", handler, "1/kitchen/temp") == {"room": "kitchen", "floor": "1"}


def test_a_handler_need_not_take_every_capture() -> None:
    def handler(room: str) -> None: ...

    assert given("{floor}/{room}", handler, "1/kitchen") == {"room": "kitchen"}
    assert given("{floor}/{room}", lambda: None, "1/kitchen") == {}


def test_the_message_and_its_value_are_given() -> None:
    def handler(value: object, message: object) -> None: ...

    hello = message("a")
    assert Route("a", handler).arguments(hello) == {"message": hello, "value": 5}


def test_a_message_is_known_by_its_annotation() -> None:
    def handler(said: Message[Reading], room: str) -> None: ...

    route = Route("home/{room}", handler)
    hello = message("home/kitchen")
    assert route.arguments(hello) == {"said": hello, "room": "kitchen"}
    assert route.codec is codec_of(Reading)


def test_a_message_of_any_type_names_no_codec() -> None:
    def plain(said: Message) -> None: ...  # type: ignore[type-arg]
    def of_any(said: Message[Any]) -> None: ...
    def of_some(said: Message[T]) -> None: ...

    assert [Route("a", handler).codec for handler in (plain, of_any, of_some)] == [AUTO, AUTO, AUTO]


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (int, "-5", -5),
        (float, "1e2", 100.0),
        (bool, "true", True),
        (UUID, str(ID), ID),
        (Room, "kitchen", Room.KITCHEN),
        (Literal["a", "b"], "b", "b"),
        (Literal[1, 2], "2", 2),
        (Literal[Room.KITCHEN], "kitchen", Room.KITCHEN),
        (Annotated[int, Field(json_schema_extra={"a": []})], "5", 5),
        (int | None, "5", 5),
        (Annotated[int, Field(gt=3)], "4", 4),
        (str, "5", "5"),
        (object, "5", "5"),
        (Any, "5", "5"),
    ],
)
def test_a_capture_becomes_what_its_annotation_says(annotation: Any, text: str, value: object) -> None:
    def handler(x: Any) -> None: ...

    handler.__annotations__["x"] = annotation
    assert given("a/{x}", handler, f"a/{text}") == {"x": value}


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "5.0"),
        (int, "1_000"),
        (float, "nan"),
        (bool, "perhaps"),
        (UUID, "5"),
        (Room, "attic"),
        (Literal["a", "b"], "c"),
        (Literal[1, 2], "3"),
        (Annotated[int, Field(gt=3)], "3"),
    ],
)
def test_a_message_whose_captures_do_not_convert_belongs_to_another_route(annotation: Any, text: str) -> None:
    def handler(x: Any) -> None: ...

    handler.__annotations__["x"] = annotation
    assert given("a/{x}", handler, f"a/{text}") is None


def test_the_pattern_converts_too() -> None:
    def plain(x) -> None: ...  # type: ignore[no-untyped-def]
    def text(x: str) -> None: ...
    def number(x: float) -> None: ...

    assert given("{x:int}", plain, "5") == {"x": 5}
    assert given("{x:int}", text, "05") == {"x": "05"}
    assert given("{x:int}", number, "5") == {"x": 5.0}
    assert given("{x:int}", number, "5.5") is None
    assert given("{x:int}", lambda: None, "five") is None


def test_another_topic_belongs_to_another_route() -> None:
    assert given("a/{x}", lambda x: None, "b/c") is None


def test_a_tail_of_any_length_is_a_capture() -> None:
    assert given("a/{rest...}", lambda rest: None, "a/b/c") == {"rest": "b/c"}


def test_the_other_captures_go_where_any_name_is_taken() -> None:
    def handler(x: int, **others: str) -> None: ...

    assert given("{x}/{y:int}/{z}", handler, "1/2/3") == {"x": 1, "y": 2, "z": "3"}


def test_what_a_partial_decided_stays() -> None:
    def handler(x: str, y: str) -> None: ...

    assert given("{x}/{y}", partial(handler, x="mine"), "1/2") == {"y": "2"}


def test_a_capture_comes_before_everything_else() -> None:
    def handler(value: int, message: str) -> None: ...

    assert given("{value}/{message}", handler, "1/2") == {"value": 1, "message": "2"}


def test_what_has_a_default_is_left_to_it() -> None:
    def handler(x: str, /, y: int = 5, *more: object, log: object = None) -> None: ...

    assert given("a/{y}", partial(handler, "x"), "a/7") == {"y": 7}
    assert given("a/{z}", partial(handler, "x"), "a/7") == {}


def test_the_annotation_of_value_names_the_codec() -> None:
    def handler(value: Reading) -> None: ...
    def text(value: str) -> None: ...
    def plain(value) -> None: ...  # type: ignore[no-untyped-def]
    def anything(value: Any) -> None: ...
    def both(said: Message[str], value: Reading) -> None: ...

    assert Route("a", handler).codec is Route("a", both).codec is codec_of(Reading)
    assert Route("a", text).codec is TEXT
    assert Route("a", plain).codec is Route("a", anything).codec is AUTO


def test_a_codec_that_was_given_stays() -> None:
    def handler(value: Reading) -> None: ...

    assert Route("a", handler, JSON).codec is JSON
    assert Route("a", handler, dict[str, float]).codec is codec_of(dict[str, float])


def test_a_payload_without_a_value_is_told_to_who_wants_the_value() -> None:
    broken = message("a", b"{")
    assert Route("a", lambda message: None).arguments(broken) == {"message": broken}
    with pytest.raises(DecodeError):
        Route("a", lambda value: None).arguments(broken)


def test_a_value_is_not_decoded_for_another_route() -> None:
    def handler(x: int, value: object) -> None: ...

    assert Route("{x}", handler).arguments(message("five", b"{")) is None


class Handlers:
    """Handlers of every kind."""

    def __call__(self, x: int) -> None: ...

    def method(self, x: int) -> None: ...

    async def method_async(self, x: int) -> None: ...

    @staticmethod
    async def static_async(x: int) -> None: ...


class AsyncHandler:
    """An object that is called and awaited."""

    async def __call__(self, x: int) -> None: ...


async def function_async(y: object, x: int) -> None: ...


@wraps(function_async)
async def wrapped(*args: object, **kwargs: object) -> None: ...


@pytest.mark.parametrize(
    ("handler", "is_async"),
    [
        (Handlers(), False),
        (Handlers().method, False),
        (Handlers().method_async, True),
        (Handlers.static_async, True),
        (AsyncHandler(), True),
        (partial(AsyncHandler()), True),
        (partial(function_async, None), True),
        (partial(partial(function_async, y=None)), True),
        (partial(wrapped, None), True),
        (partial(Handlers().method), False),
    ],
)
def test_a_handler_is_anything_that_can_be_called(handler: Callable[..., object], is_async: bool) -> None:
    route = Route("a/{x}", handler)
    assert route.is_async is is_async
    assert route.arguments(message("a/5")) == {"x": 5}


def by_position(x: str, /) -> None: ...


def decimal(x: Decimal) -> None: ...


def decimal_value(value: Decimal) -> None: ...


def message_unseen(said: WireMessage) -> None: ...


def unreadable(x: Route) -> None: ...


def unreadable_value(value: Route) -> None: ...


def twice(said: Message[str], message: object) -> None: ...


def generator() -> Iterator[None]:
    yield


async def generator_async() -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (lambda room: None, "takes 'room', which a/{x} does not give; it gives x, message, value"),
        (by_position, "by position only"),
        (decimal, "annotates 'x' as Decimal, which cannot be looked up"),
        (decimal_value, "annotates 'value' as Decimal, which cannot be looked up"),
        (message_unseen, "annotates 'said' as WireMessage, which cannot be looked up"),
        (unreadable, "no text can become"),
        (unreadable_value, "wants a value that no codec gives"),
        (twice, "takes the message twice, as said and as message"),
        (generator, "is a generator"),
        (generator_async, "is a generator"),
        (5, "cannot be called"),
    ],
)
def test_a_handler_that_could_not_be_called_is_refused_at_once(handler: Any, why: str) -> None:
    with pytest.raises(RouteError, match=why) as caught:
        Route("a/{x}", handler)
    assert isinstance(caught.value, LinnetError) and isinstance(caught.value, TypeError)


def test_a_pattern_is_made_once() -> None:
    pattern = Pattern("a/{x}")
    assert Route(pattern, by_name).pattern is pattern
    assert repr(Route(pattern, by_name)) == "<Route a/{x} to by_name()>"
    with pytest.raises(PatternError):
        Route("a{x}", by_name)


def by_name(x: str) -> None: ...
