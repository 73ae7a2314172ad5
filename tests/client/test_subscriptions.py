"""Subscriptions: what the server is asked for, and who gets which message."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import linnet
from linnet.client.subscription import Subscription
from linnet.core.topics import matches
from linnet.errors import NotSupported, ReasonCode
from linnet.wire import V3_1_1, V5, Suback, Subscribe, Unsubscribe, Version
from tests.client.ends import Ends
from tests.core.steady import STEADY

VERSIONS = pytest.mark.parametrize("version", [V3_1_1, V5], ids=["3.1.1", "5.0"])


def asked(ends: Ends, client: linnet.Client) -> list[str]:
    """The filters of all SUBSCRIBEs of the last connection."""
    return [packet.filters[0][0] for packet in ends.links[client].packets if isinstance(packet, Subscribe)]


def payloads(ends: Ends, subscription: Subscription[Any]) -> list[bytes]:
    """All that is there."""
    ends.settle()
    return [ends.get(subscription).payload for _ in range(subscription.waiting)]


# -- who gets a message


@VERSIONS
def test_each_message_reaches_each_subscription_once(version: Version) -> None:
    with Ends() as ends:
        bob = ends.client("bob", version=version)
        every = ends.subscribe(bob, "#")
        both = ends.subscribe(bob, "a/+", "+/b")
        same = ends.subscribe(bob, "a/+")
        for topic in ("a/b", "a/c", "d"):
            ends.world.publish(topic, topic.encode())
        assert payloads(ends, both) == [b"a/b", b"a/c"]
        assert payloads(ends, same) == [b"a/b", b"a/c"]
        found = payloads(ends, every)
        assert list(dict.fromkeys(found)) == [b"a/b", b"a/c", b"d"]
        if version is V5:
            assert len(found) == 3


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_two_that_get_the_same_message_have_a_copy_each_and_acknowledge_it_together(qos: int) -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        one, two = (ends.subscribe(bob, "a", qos=qos, ack="manual", codec=codec) for codec in (linnet.TEXT, None))
        ends.world.publish("a", b"hello", qos)
        first, second = ends.get(one), ends.get(two)
        assert (first.value, second.value) == ("hello", b"hello")
        if qos:
            first.ack()
            ends.settle()
            assert len(bob.keeper.arrivals.pending) == 1
            second.ack()
            ends.settle()
            assert len(bob.keeper.arrivals.pending) == 0


@VERSIONS
def test_a_shared_subscription_gets_its_own_messages(version: Version) -> None:
    with Ends() as ends:
        bob = ends.client("bob", version=version)
        shared = ends.subscribe(bob, "$share/g/a")
        for n in range(3):
            ends.world.publish("a", b"%d" % n)
        assert payloads(ends, shared) == [b"0", b"1", b"2"]


def test_a_shared_subscription_beside_a_plain_one_of_the_same_filter() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        shared, plain = ends.subscribe(bob, "$share/g/a"), ends.subscribe(bob, "a")
        for n in range(3):
            ends.world.publish("a", b"%d" % n)
        assert payloads(ends, shared) == payloads(ends, plain) == [b"0", b"1", b"2"]


@VERSIONS
def test_retained_messages_come_to_who_has_just_subscribed(version: Version) -> None:
    with Ends() as ends:
        ends.world.publish("a", b"kept", 0, True)
        bob = ends.client("bob", version=version)
        first = ends.subscribe(bob, "a")
        assert payloads(ends, first) == [b"kept"]
        second = ends.subscribe(bob, "a")
        assert payloads(ends, second) == [b"kept"]
        assert payloads(ends, first) == []


@st.composite
def filters(draw: st.DrawFn) -> str:
    levels = draw(st.lists(st.sampled_from(["a", "b", "+"]), min_size=1, max_size=3))
    return "/".join([*levels, "#"] if draw(st.booleans()) else levels)


TOPICS = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=4).map("/".join)


@settings(STEADY, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    wanted=st.lists(st.lists(filters(), min_size=1, max_size=3), min_size=1, max_size=4),
    leaves=st.lists(st.integers(0, 3), max_size=2),
    topics=st.lists(TOPICS, min_size=1, max_size=6),
    loses=st.sampled_from(["nothing", "line", "session"]),
    qos=st.integers(0, 2),
)
@pytest.mark.clause("5.0:MQTT-3.3.4-3")
def test_whoever_subscribes_to_whatever_gets_each_message_that_matches_once(
    wanted: list[list[str]], leaves: list[int], topics: list[str], loses: str, qos: int
) -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        subscriptions = [ends.subscribe(bob, *names, qos=qos) for names in wanted]
        for index in leaves:
            if index < len(subscriptions):
                ends.leave(subscriptions.pop(index))
        if loses != "nothing":
            ends.cut(bob)
            if loses == "session":
                ends.lose_session(bob)
            ends.come_back(bob)
            ends.settle()
        for n, topic in enumerate(topics):
            ends.world.publish(topic, b"%d" % n, qos)
        for subscription in subscriptions:
            expected = [
                b"%d" % n
                for n, topic in enumerate(topics)
                if any(matches(topic.encode(), name.topics) for name in subscription.filters)
            ]
            assert payloads(ends, subscription) == expected
        known = ends.world.sessions["bob"].subscriptions
        assert len(known) == len({name.name for one in subscriptions for name in one.filters})


# -- what the server is asked for


@VERSIONS
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_what_was_granted_is_told(qos: int, version: Version) -> None:
    with Ends(max_qos=1) as ends:
        bob = ends.client("bob", version=version)
        assert ends.subscribe(bob, "a", "b/#", qos=qos).granted == {"a": min(qos, 1), "b/#": min(qos, 1)}


def test_the_server_is_asked_for_what_all_want_together() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        ends.subscribe(bob, "t", qos=2, no_local=True)
        ends.subscribe(bob, "t", qos=0)
        packets = [packet for packet in ends.links[bob].packets if isinstance(packet, Subscribe)]
        assert [(packet.filters[0][1].qos, packet.filters[0][1].no_local) for packet in packets] == [
            (2, True),
            (2, False),
        ]


def test_one_that_wants_less_does_not_take_from_the_other() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        first = ends.subscribe(bob, "t", qos=1)
        second = ends.subscribe(bob, "t", qos=1, no_local=True)
        bob.send("t", b"1", qos=1)
        assert payloads(ends, first) == [b"1"]
        ends.leave(second)
        bob.send("t", b"2", qos=1)
        assert payloads(ends, first) == [b"2"]


def test_when_one_leaves_the_server_is_asked_for_what_the_others_want() -> None:
    with Ends() as ends:
        ends.world.publish("t", b"kept", 0, True)
        bob = ends.client("bob")
        mine = ends.subscribe(bob, "t", no_local=True)
        everything = ends.subscribe(bob, "t")
        payloads(ends, mine)
        ends.leave(everything)
        bob.send("t", b"local")
        assert payloads(ends, mine) == []  # neither that nor what is retained once more
        assert len(asked(ends, bob)) == 3


def test_only_the_last_one_to_leave_unsubscribes() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        first, second = ends.subscribe(bob, "t"), ends.subscribe(bob, "t")
        ends.leave(first)
        assert len(ends.world.sessions["bob"].subscriptions) == 1
        ends.leave(second)
        assert len(ends.world.sessions["bob"].subscriptions) == 0
        assert sum(isinstance(packet, Unsubscribe) for packet in ends.links[bob].packets) == 1
        assert not bob.registry.entries
        assert not bob.registry.leaving


# -- connections that come and go


def test_subscriptions_are_made_again_when_the_session_was_lost() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        lost: list[linnet.SessionLost] = []
        bob.on(linnet.SessionLost)(lost.append)
        readings = ends.subscribe(bob, "a", "b")
        ends.cut(bob)
        ends.lose_session(bob)
        ends.come_back(bob)
        ends.settle()
        assert asked(ends, bob) == ["a", "b"]
        assert len(lost) == 1
        ends.world.publish("b", b"!")
        assert payloads(ends, readings) == [b"!"]


def test_subscriptions_are_not_made_again_when_the_session_is_there() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        readings = ends.subscribe(bob, "a", qos=1)
        ends.cut(bob)
        ends.world.publish("a", b"!", 1)
        ends.come_back(bob)
        ends.settle()
        assert asked(ends, bob) == []
        assert payloads(ends, readings) == [b"!"]


def test_one_that_waits_for_its_answer_when_the_line_breaks_gets_it_later() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        subscription = bob.subscribe("a", qos=1)
        entering = ends.start(subscription.__aenter__())
        ends.think()
        ends.cut(bob)
        assert not entering.done()
        ends.come_back(bob)
        ends.settle()
        assert entering.done()
        assert subscription.granted == {"a": 1}


def test_one_that_leaves_when_the_line_breaks_has_left() -> None:
    with Ends() as ends:
        bob = ends.client("bob", session_expiry=1000)
        readings = ends.subscribe(bob, "t", qos=1)
        leaving = ends.start(readings.__aexit__(None, None, None))
        ends.think()
        ends.cut(bob)
        assert leaving.done()
        ends.come_back(bob)
        ends.settle()
        assert not ends.world.sessions["bob"].subscriptions
        assert not bob.registry.leaving


def test_one_that_comes_back_while_it_leaves_stays() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        first = ends.subscribe(bob, "t")
        ends.start(first.__aexit__(None, None, None))
        second = bob.subscribe("t")
        ends.start(second.__aenter__())
        ends.settle()
        assert len(ends.world.sessions["bob"].subscriptions) == 1
        ends.world.publish("t", b"!")
        assert payloads(ends, second) == [b"!"]


def test_one_that_is_cancelled_while_it_enters_is_not_subscribed() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        entering = ends.start(bob.subscribe("t").__aenter__())
        ends.think()
        entering.cancel()
        ends.settle()
        assert entering.cancelled()
        assert not ends.world.sessions["bob"].subscriptions
        assert not bob.registry.entries


# -- refusals


@pytest.mark.parametrize(
    ("server", "name"),
    [({"wildcard_subscriptions": False}, "a/#"), ({"shared_subscriptions": False}, "$share/g/a"), ({}, "x" * 200)],
)
def test_what_the_server_does_not_have_is_refused_before_it_is_asked(server: dict[str, Any], name: str) -> None:
    with Ends(max_packet_size=150, **server) as ends:
        bob = ends.client("bob")
        with pytest.raises(NotSupported):
            ends.run(bob.subscribe(name).__aenter__())
        assert asked(ends, bob) == []
        assert not bob.registry.entries
        assert len(ends.lines) == 1


def test_a_refusal_raises_and_leaves_nothing_behind() -> None:
    with Ends(max_subscriptions=1) as ends:
        bob = ends.client("bob")
        with pytest.raises(linnet.SubscribeRejected) as caught:
            ends.run(bob.subscribe("a", "b").__aenter__())
        assert caught.value.reason_code == ReasonCode.QUOTA_EXCEEDED
        assert not bob.registry.entries
        assert not ends.world.sessions["bob"].subscriptions


def test_a_refusal_after_the_session_was_lost_ends_the_stream() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        first = ends.subscribe(bob, "a")
        ends.cut(bob)
        ends.lose_session(bob)
        ends.come_back(bob)
        while len(ends.lines) < 2 or not asked(ends, bob):
            ends.links[bob].move()
            ends.think()
        refusal = Suback(65535, [ReasonCode.NOT_AUTHORIZED])
        ends.inside(ends.links[bob].protocol.data_received, refusal.encode(V5))
        getting = ends.start(first.get())
        ends.think()
        assert isinstance(getting.exception(), linnet.SubscribeRejected)
        ends.cut(bob)  # before the server's own answer, to which there is no question now


def test_what_is_no_filter_is_refused() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        for names in (("",), ("a#",), ("a/#/b",), ("$share/g",), ()):
            with pytest.raises(linnet.LinnetError):
                bob.subscribe(*names)


def test_a_subscription_is_entered_once() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        readings = ends.subscribe(bob, "a")
        with pytest.raises(linnet.LinnetError):
            ends.run(readings.__aenter__())
        ends.leave(readings)
        ends.leave(readings)
        with pytest.raises(linnet.LinnetError):
            ends.run(readings.__aenter__())


def test_the_end_of_the_client_is_the_end_of_all_streams() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        readings = ends.subscribe(bob, "a")
        waiting = ends.start(readings.get())
        ends.settle()
        ends.run(bob.disconnect())
        assert isinstance(waiting.exception(), linnet.LinnetError)
