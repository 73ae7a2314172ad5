"""Retained messages: a dictionary with a tree beside it, and limits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from linnet.core.retained import Retained
from linnet.core.topics import matches
from linnet.wire import Message, Properties
from tests.core.steady import STEADY, STORIES
from tests.core.test_subscriptions import filters, names

payloads = st.binary(max_size=3)


def retained(max_count: int = 1000, max_bytes: int = 1 << 20, max_payload: int = 0) -> Retained:
    return Retained(max_count, max_bytes, max_payload)


def message(topic: str, payload: bytes = b"x", expiry: int | None = None) -> Message:
    properties = None if expiry is None else Properties(message_expiry_interval=expiry)
    return Message(topic, payload, 0, True, properties)


def found(store: Retained, topics: str) -> list[str]:
    return sorted(name.decode() for name in store.matching(topics.encode()))


class Retaining(RuleBasedStateMachine):
    """The store beside a dictionary; walks go on while it changes."""

    def __init__(self) -> None:
        super().__init__()
        self.store = retained()
        self.model: dict[str, bytes] = {}
        self.walk: list[str] | None = None
        # What a walk may find lies between these two: topics that were there all the time, and that were ever there
        self.always: set[str] = set()
        self.ever: set[str] = set()

    @rule(topic=names, payload=payloads, expiry=st.sampled_from([None, 10]))
    def keep(self, topic: str, payload: bytes, expiry: int | None) -> None:
        self.store.keep(message(topic, payload, expiry))
        if payload:
            self.model[topic] = payload
            self.ever.add(topic)
        else:
            self.model.pop(topic, None)
            self.always.discard(topic)

    @rule(topic=names)
    def drop(self, topic: str) -> None:
        self.store.drop(topic.encode())
        self.model.pop(topic, None)
        self.always.discard(topic)

    @precondition(lambda self: self.walk is None)
    @rule(topics=filters)
    def begin_a_walk(self, topics: str) -> None:
        self.topics, self.walk = topics, []
        self.iterator = self.store.matching(topics.encode())
        self.always, self.ever = set(self.model), set(self.model)

    @precondition(lambda self: self.walk is not None)
    @rule(count=st.integers(1, 5))
    def walk_on(self, count: int) -> None:
        assert self.walk is not None
        for _ in range(count):
            name = next(self.iterator, None)
            if name is None:
                found = sorted(self.walk)
                assert len(set(found)) == len(found), "a topic was found twice"
                wanted = {n for n in self.always if matches(n.encode(), self.topics.encode())}
                allowed = {n for n in self.ever if matches(n.encode(), self.topics.encode())}
                assert wanted <= set(found) <= allowed
                self.walk = None
                return
            self.walk.append(name.decode())

    @invariant()
    def it_holds_what_the_dictionary_holds(self) -> None:
        store = self.store
        assert {name.decode(): kept.payload for name, kept in store.messages.items()} == self.model
        assert store.bytes == sum(len(name.encode()) + len(payload) for name, payload in self.model.items())
        assert set(store.expiring) <= set(store.messages)
        assert len(store) == len(self.model)
        assert bool(store.root.children) is bool(self.model)

    @rule(topics=filters)
    def a_whole_walk_finds_what_matches(self, topics: str) -> None:
        assert found(self.store, topics) == sorted(n for n in self.model if matches(n.encode(), topics.encode()))


TestRetaining = Retaining.TestCase
TestRetaining.settings = STORIES


@STEADY
@given(st.lists(names, unique=True, max_size=15), filters)
def test_matching_is_a_filter_over_all_topics(topics: list[str], wanted: str) -> None:
    store = retained()
    for topic in topics:
        store.keep(message(topic))
    assert found(store, wanted) == sorted(topic for topic in topics if matches(topic.encode(), wanted.encode()))


def test_a_topic_in_the_middle_goes_and_those_above_and_below_stay() -> None:
    store = retained()
    for topic in ("a", "a/b", "a/b/c"):
        store.keep(message(topic))
    store.drop(b"a/b")
    assert found(store, "#") == ["a", "a/b/c"]
    store.drop(b"a/b/c")
    store.drop(b"a")
    assert not store.root.children


def test_sixty_thousand_levels_overflow_nothing() -> None:
    store = retained()
    deep = "/" * 60000
    store.keep(message(deep))
    assert found(store, "#") == [deep]
    assert found(store, "+" + "/+" * 60000) == [deep]
    store.drop(deep.encode())
    assert len(store) == 0


def test_one_more_than_the_limit_is_refused_and_counted_but_a_topic_that_is_there_is_replaced() -> None:
    store = retained(max_count=2)
    for topic in ("a", "b"):
        assert not store.limit_reached(message(topic))
        store.keep(message(topic))
    assert store.limit_reached(message("c"))
    assert store.refused == 1
    assert not store.limit_reached(message("a", b"new"))
    assert not store.limit_reached(message("c", b""))  # it would only delete


def test_more_bytes_than_the_limit_are_refused_unless_they_become_fewer() -> None:
    store = retained(max_bytes=10)
    store.keep(message("a", b"123456789"))
    assert store.limit_reached(message("b", b""[:0] + b"1"))
    assert store.limit_reached(message("a", b"1234567890"))
    assert not store.limit_reached(message("a", b"12345678"))
    assert store.refused == 2


def test_a_payload_above_the_limit_is_refused() -> None:
    store = retained(max_payload=3)
    assert not store.limit_reached(message("a", b"123"))
    assert store.limit_reached(message("a", b"1234"))


def test_an_expired_message_is_not_found_and_gone() -> None:
    store = retained()
    store.keep(message("a", expiry=10))
    assert store.get(b"a", 9.9) is not None
    assert store.get(b"a", 10.0) is None
    assert len(store) == 0 and not store.root.children


def test_a_sweep_drops_what_expired_and_nothing_else() -> None:
    store = retained()
    for topic, expiry in (("a", 5), ("b", 50), ("c", None)):
        store.keep(message(topic, expiry=expiry))
    assert store.sweep(10.0) == 1
    assert found(store, "#") == ["b", "c"]


def test_a_newer_message_without_expiry_does_not_expire_with_the_old_one() -> None:
    store = retained()
    store.keep(message("a", expiry=5))
    store.keep(message("a"))
    assert store.sweep(10.0) == 0
    assert store.get(b"a", 10.0) is not None


def test_the_store_can_be_read() -> None:
    store = retained()
    store.keep(message("a", b"xy"))
    assert repr(store) == "<Retained 1 messages, 3 bytes>"
    assert repr(store.root) == "<RetainedNode None, 1 below>"
