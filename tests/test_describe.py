"""Any live object can be looked at: as plain data, and as one readable line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import pytest

import linnet
from linnet import Broker, ReasonCode, describe
from linnet.describe import MOST, slots_of
from linnet.wire import Connect, FrameReader, Message, Properties, Publish, SubscriptionOptions, Will
from tests.peer import Peer


class Colour(Enum):
    RED = 1


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Flat:
    name: str
    size: int


class Slotted:
    __slots__ = ("_hidden", "deep", "name")

    def __init__(self, name: str, deep: object = None) -> None:
        self.name = name
        self.deep = deep
        self._hidden = "secret"

    def __repr__(self) -> str:
        return f"<Slotted {self.name}>"


class More(Slotted):
    __slots__ = ("more", "unset")

    def __init__(self) -> None:
        super().__init__("more")
        self.more = 1


@pytest.mark.parametrize(
    ("thing", "described"),
    [
        (None, None),
        (True, True),
        (5, 5),
        (1.5, 1.5),
        ("text", "text"),
        (b"octets \xff", r"octets \xff"),
        (bytearray(b"x"), "x"),
        (Colour.RED, "RED"),
        (ReasonCode.NOT_AUTHORIZED, "NOT_AUTHORIZED"),
        (Point(1, 2), {"x": 1, "y": 2}),
        ([1, "a"], [1, "a"]),
        ((1, 2), [1, 2]),
        ({"a": 1, b"b": 2, 3: 4}, {"a": 1, "b": 2, "3": 4}),
        (frozenset({7}), [7]),
        (Flat("a", 1), {"class": "Flat", "repr": "Flat(name='a', size=1)", "name": "a", "size": 1}),
    ],
)
def test_plain_things_stay_plain(thing: object, described: object) -> None:
    assert describe(thing) == described


def test_an_object_is_its_class_and_its_slots_those_of_its_base_first() -> None:
    assert describe(Slotted("a")) == {"class": "Slotted", "repr": "<Slotted a>", "deep": None, "name": "a"}
    assert list(describe(More())) == ["class", "repr", "deep", "name", "more", "unset"]
    assert describe(More())["unset"] is None


def test_deeper_than_asked_an_object_is_its_repr() -> None:
    nested = Slotted("a", Slotted("b", Slotted("c", Slotted("d"))))
    assert describe(nested, 1)["deep"] == "<Slotted b>"
    assert describe(nested, 3)["deep"]["deep"]["deep"] == "<Slotted d>"
    assert describe(nested, 0) == "<Slotted a>"


def test_of_a_large_collection_the_first_are_shown_and_the_rest_counted() -> None:
    assert describe(list(range(1000)))[-1] == f"... {1000 - MOST} more"
    assert len(describe(list(range(1000)))) == MOST + 1
    many = describe({number: number for number in range(1000)})
    assert many["..."] == f"{1000 - MOST} more" and len(many) == MOST + 1


def test_long_bytes_are_cut() -> None:
    assert len(describe(b"x" * 5000)) == 1024


def test_a_dictionary_that_stands_for_a_set_is_a_list_of_its_members() -> None:
    assert describe({Slotted("a"): None, Slotted("b"): None}, 1) == ["<Slotted a>", "<Slotted b>"]


def every_object(thing: object, seen: dict[int, object], depth: int = 6) -> Iterator[object]:
    """All of our objects that can be reached through slots, dictionaries and lists."""
    if id(thing) in seen or depth == 0:
        return
    seen[id(thing)] = thing
    if type(thing).__module__.startswith("linnet"):
        yield thing
        names = slots_of(thing) or list(getattr(thing, "__dict__", ()))
        for name in names:
            yield from every_object(getattr(thing, name, None), seen, depth - 1)
    elif isinstance(thing, dict):
        for key, value in list(thing.items())[:10]:
            yield from every_object(key, seen, depth)
            yield from every_object(value, seen, depth)
    elif isinstance(thing, list | tuple | set | frozenset):
        for member in list(thing)[:10]:
            yield from every_object(member, seen, depth)


async def test_every_live_object_can_be_described_and_read(broker: Broker) -> None:
    """Found by walking through a broker at work: nothing is too odd to be looked at."""
    will = Will("will", b"gone", properties=Properties(will_delay_interval=5))
    limits = Properties(topic_alias_maximum=5, receive_maximum=1, session_expiry_interval=60)
    async with (
        Peer(broker, "bob", keep_alive=60, will=will, properties=limits, manual=True) as bob,
        Peer(broker, "ann") as ann,
        broker.subscribe("local/#") as readings,
    ):
        await bob.subscribe([("t/+", SubscriptionOptions(1)), ("$share/g/t/1", SubscriptionOptions(2))])
        for number in range(3):
            await ann.publish("t/1", b"%d" % number, qos=2, retain=True)
        await ann.publish("local/x", b"x")
        await ann.ping()
        found = list(every_object(broker, {})) + list(every_object(linnet.live(), {})) + [readings]
        classes = {type(thing).__name__ for thing in found}
        assert {
            "Broker", "BrokerCore", "Router", "Retained", "SubscriptionTree", "Session", "ServerConnection", "Outbox",
            "Sender", "Delivery", "Receiver", "Subscription", "SharedGroup", "Deadlines", "Wills", "Turn", "Stream",
            "Listener", "FrameReader", "Settings", "Limits", "LocalSubscription", "Publish",
        } <= classes, classes  # fmt: skip
        nameless = set()
        for thing in found:
            assert len(json.dumps(describe(thing, 3))) < 1_000_000
            line = repr(thing)
            assert "\n" not in line
            if " object at 0x" in line:
                nameless.add(type(thing).__name__)
        assert nameless == set(), "they have no repr of their own"
        bob.abort()


async def test_a_session_shows_what_it_owes(broker: Broker) -> None:
    async with Peer(broker, "bob", manual=True) as bob:
        await bob.subscribe("t", qos=1)
        await broker.publish("t", b"x", qos=1)
        await bob.receive()
        seen = describe(broker.sessions["bob"], 3)
        assert seen["class"] == "Session"
        assert (seen["client_id"], seen["online"]) == ("bob", True)
        assert list(seen["subscriptions"]) == ["t"]
        assert list(seen["sender"]["in_flight"]) == ["1"]
        bob.abort()


@pytest.mark.parametrize(
    "thing",
    [Message("t", b"x"), Publish("t", b"x"), FrameReader(10), Connect("bob")],
    ids=lambda thing: type(thing).__name__,
)
def test_compiled_classes_have_their_slots(thing: Any) -> None:
    """Without them there would be nothing to see in the compiled form."""
    seen = describe(thing)
    assert seen["class"] == type(thing).__name__
    assert len(seen) > 4
    assert json.dumps(seen)


def test_classes_and_functions_are_named() -> None:
    assert describe(Slotted) == repr(Slotted)
    assert describe(len) == repr(len)


def test_looking_changes_nothing() -> None:
    async def work() -> None:
        async with Broker(listen="127.0.0.1:0") as broker, Peer(broker, "bob") as bob:
            await bob.subscribe("t")
            first = json.dumps(describe(broker.sessions, 4))
            assert json.dumps(describe(broker.sessions, 4)) == first
            await bob.ping()

    asyncio.run(work())
