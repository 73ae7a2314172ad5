"""Routes are found once, kept, and never out of date."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.core.retained import Retained
from linnet.core.router import Router
from linnet.core.session import Session
from linnet.core.topics import TopicRules, matches, parse_filter
from linnet.errors import ProtocolError, ReasonCode
from linnet.wire import Message
from tests.core.steady import STEADY
from tests.core.test_subscriptions import filters, names, session, subscription
from tests.pair import World

CLIENTS = ("ann", "bob", "cid")
steps = st.lists(st.tuples(st.booleans(), st.sampled_from(CLIENTS), filters, st.integers(0, 2)), max_size=25)


def router(is_merging: bool = True, max_routes: int = 1000) -> Router:
    return Router(TopicRules(), Retained(10, 1000, 0), max_routes, is_merging)


@STEADY
@given(steps, st.lists(names, min_size=1, max_size=5), st.booleans())
def test_a_route_leads_to_whom_a_list_of_subscriptions_names(
    changes: list[tuple[bool, str, str, int]], topics: list[str], is_merging: bool
) -> None:
    """Each route is asked for after each change, so that it is an old one wherever an old one may be kept."""
    routes = router(is_merging)
    sessions = {name: session(name) for name in CLIENTS}
    model: dict[tuple[str, str], int] = {}
    for is_new, who, name, qos in changes:
        if is_new:
            is_first = (who, name) not in model
            assert routes.subscribe(subscription(name, sessions[who], qos=qos)) is is_first
            model[who, name] = qos
        else:
            was_there = model.pop((who, name), None) is not None
            assert routes.unsubscribe(sessions[who], name.encode(), 0.0) is was_there
        assert routes.subscription_count == len(model)
        for topic in topics:
            wanted = [(who, qos) for (who, name), qos in model.items() if matches(topic.encode(), name.encode())]
            if is_merging:
                wanted = list({who: max(q for w, q in wanted if w == who) for who, _ in wanted}.items())
            targets = routes.find(topic.encode()).targets
            assert sorted((target.session.client_id, target.qos) for target in targets) == sorted(wanted)
    for (who, name), _ in list(model.items()):
        routes.unsubscribe(sessions[who], name.encode(), 0.0)
    assert routes.tree.root.is_empty()


def test_a_route_is_found_once() -> None:
    routes = router()
    routes.subscribe(subscription("a/+"))
    first = routes.find(b"a/b")
    assert routes.find(b"a/b") is first
    assert routes.misses == 1


def test_a_change_without_wildcards_forgets_only_the_route_of_that_topic() -> None:
    routes = router()
    other = routes.find(b"other")
    mine = routes.find(b"mine")
    routes.subscribe(subscription("mine"))
    assert routes.find(b"other") is other
    assert routes.find(b"mine") is not mine
    routes.subscribe(subscription("+"))
    assert routes.find(b"other") is not other


def test_there_are_never_more_routes_than_allowed() -> None:
    routes = router(max_routes=10)
    for number in range(100):
        routes.find(b"topic/%d" % number)
        assert len(routes.routes) <= 10
    assert routes.misses == 100


def test_what_is_no_topic_name_has_no_route() -> None:
    routes = router()
    for name in (b"", b"a/#", b"a+"):
        with pytest.raises(ProtocolError) as caught:
            routes.find(name)
        assert caught.value.reason_code == ReasonCode.TOPIC_NAME_INVALID
    assert routes.routes == {}


@pytest.mark.parametrize(
    ("name", "is_reserved"),
    [
        (b"$SYS", True),
        (b"$SYS/x", True),
        (b"$share/g/x", True),
        (b"$share", True),
        (b"$SYSTEM", False),
        (b"$x", False),
        (b"a", False),
    ],
)
def test_the_brokers_own_topics_are_marked(name: bytes, is_reserved: bool) -> None:
    assert router().find(name).is_reserved is is_reserved


def test_the_same_message_goes_to_all() -> None:
    class Listener(Session):
        __slots__ = ("got",)

        def __init__(self, client_id: str) -> None:
            one = session(client_id)
            super().__init__(client_id, one.sender, one.receiver)
            self.got: list[Message] = []

        def deliver(self, message: Message, subscription: object, is_retained: bool, now: float) -> bool:
            self.got.append(message)
            return True

    routes = router()
    listeners = [Listener(name) for name in CLIENTS]
    for one in listeners:
        routes.subscribe(subscription("a", one))
    message = Message("a", b"x")
    assert routes.publish(message, routes.find(b"a"), 0.0) == 3
    assert all(len(one.got) == 1 and one.got[0] is message for one in listeners)


def test_overlapping_subscriptions_give_one_copy_or_one_each() -> None:
    for overlap, copies in (("merge", [(2, [1, 2])]), ("each", [(1, [1]), (2, [2])])):
        world = World(overlap=overlap)
        bob = world.client("bob")
        bob.subscribe("a/+", 1, identifier=1)
        bob.subscribe("a/b", 2, identifier=2)
        world.publish("a/b", b"x", 2)
        world.settle()
        got = [(one.qos, one.properties.subscription_identifiers) for one in bob.got]
        assert sorted((qos, sorted(numbers)) for qos, numbers in got) == copies


def test_a_share_and_a_plain_filter_of_the_same_topics_do_not_touch_each_other() -> None:
    routes = router()
    bob = session("bob")
    routes.subscribe(subscription("$share/g/a", bob))
    routes.subscribe(subscription("a", bob))
    assert [len(routes.find(b"a").targets), len(routes.find(b"a").groups)] == [1, 1]
    assert routes.unsubscribe(bob, b"a", 0.0)
    assert [len(routes.find(b"a").targets), len(routes.find(b"a").groups)] == [0, 1]
    assert routes.unsubscribe(bob, b"$share/g/a", 0.0)
    assert [len(routes.find(b"a").targets), len(routes.find(b"a").groups)] == [0, 0]
    assert routes.tree.root.is_empty()


def test_the_filter_of_a_subscription_is_compared_letter_by_letter() -> None:
    routes = router()
    bob = session("bob")
    routes.subscribe(subscription("a/+", bob))
    for name in (b"a/#", b"a/b", b"A/+", b"a/+/"):
        assert not routes.unsubscribe(bob, name, 0.0)
    assert parse_filter(b"a/+", TopicRules()).name in bob.subscriptions
