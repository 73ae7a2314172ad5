"""Messages that no subscription is there for: kept for one to come, left to the server, or refused."""

from __future__ import annotations

import pytest

import linnet
from linnet.errors import ReasonCode
from linnet.wire import V3_1_1, V5, Puback, Version
from tests.client.ends import Ends

REFUSED = ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR


def answers(ends: Ends, client: linnet.Client) -> list[int]:
    """The reason codes of the PUBACKs on the last connection."""
    return [packet.reason_code for packet in ends.links[client].packets if isinstance(packet, Puback)]


def returned(ends: Ends, *published: tuple[str, bytes], version: Version = V5) -> linnet.Client:
    """A client that comes back to a session that is subscribed to "one", and has got these messages meanwhile."""
    bob = ends.client("bob", session_expiry=1000, version=version, clean_start=False)
    ends.subscribe(bob, "one", qos=2, keep=True)
    ends.run(bob.disconnect())
    for topic, payload in published:
        ends.world.publish(topic, payload, 1)
    bob = ends.client("bob", session_expiry=1000, version=version, clean_start=False)
    ends.settle()
    return bob


@pytest.mark.parametrize("version", [V3_1_1, V5], ids=["3.1.1", "5.0"])
def test_messages_of_a_resumed_session_wait_for_the_subscription_to_come(version: Version) -> None:
    with Ends() as ends:
        bob = returned(ends, ("one", b"1"), ("one", b"2"), version=version)
        assert answers(ends, bob) == []
        readings = ends.subscribe(bob, "one", qos=2)
        assert [ends.get(readings).payload for _ in range(2)] == [b"1", b"2"]
        assert bob.registry.unclaimed.messages == []


def test_what_nobody_claims_in_time_is_refused() -> None:
    with Ends() as ends:
        bob = returned(ends, ("one", b"1"), ("one", b"2"))
        two = ends.subscribe(bob, "two", qos=1)
        ends.world.publish("two", b"!", 1)
        ends.advance(29)
        assert answers(ends, bob) == []
        ends.advance(2)
        assert answers(ends, bob) == [REFUSED, REFUSED]
        assert ends.get(two).payload == b"!"
        assert bob.registry.unclaimed.dropped == 2


def test_patience_is_what_the_program_says() -> None:
    with Ends() as ends:
        bob = ends.client("bob", session_expiry=1000)
        ends.subscribe(bob, "one", qos=1, keep=True)
        ends.run(bob.disconnect())
        ends.world.publish("one", b"", 1)
        bob = ends.client("bob", session_expiry=1000, clean_start=False, claim_timeout=5)
        ends.advance(4)
        assert answers(ends, bob) == []
        ends.advance(2)
        assert answers(ends, bob) == [REFUSED]


def test_what_waits_to_be_claimed_waits_on_after_the_line_broke() -> None:
    with Ends() as ends:
        bob = returned(ends, ("one", b"1"), ("one", b"2"))
        ends.cut(bob)
        ends.come_back(bob)
        ends.settle()
        readings = ends.subscribe(bob, "one", qos=2)
        assert [ends.get(readings).payload for _ in range(2)] == [b"1", b"2"]


def test_a_subscription_claims_what_is_for_it_and_nothing_else() -> None:
    with Ends() as ends:
        bob = returned(ends, ("one", b"1"))
        two = ends.subscribe(bob, "two", qos=1)
        ends.world.publish("one", b"2", 1)
        ends.settle()
        assert two.waiting == 0
        assert len(bob.registry.unclaimed.messages) == 2


@pytest.mark.parametrize("version", [V3_1_1, V5], ids=["3.1.1", "5.0"])
def test_what_comes_for_a_filter_that_was_left_takes_no_place(version: Version) -> None:
    with Ends() as ends:
        bob = ends.client("bob", receive_maximum=2, version=version)
        one = ends.subscribe(bob, "one", qos=1)
        two = ends.subscribe(bob, "two", qos=1)
        for n in range(10):
            ends.world.publish("one", b"%d" % n, 1)
        ends.settle()
        ends.leave(one)
        ends.world.publish("two", b"!", 1)
        assert ends.get(two).payload == b"!"
        assert len(answers(ends, bob)) == 10
        assert set(answers(ends, bob)) == {REFUSED if version is V5 else 0}


def test_what_comes_for_a_filter_that_was_left_and_kept_stays_with_the_server() -> None:
    with Ends() as ends:
        bob = ends.client("bob", session_expiry=1000)
        ends.leave(ends.subscribe(bob, "one", qos=2, keep=True))
        for n in range(3):
            ends.world.publish("one", b"%d" % n, n)
        ends.settle()
        assert answers(ends, bob) == []
        ends.run(bob.disconnect())
        bob = ends.client("bob", session_expiry=1000, clean_start=False)
        readings = ends.subscribe(bob, "one", qos=2)
        assert [ends.get(readings).payload for _ in range(2)] == [b"1", b"2"]


def test_a_filter_that_was_kept_can_be_had_again() -> None:
    with Ends() as ends:
        bob = ends.client("bob", session_expiry=1000)
        ends.leave(ends.subscribe(bob, "one", qos=1, keep=True))
        readings = ends.subscribe(bob, "one", qos=1)
        ends.world.publish("one", b"!", 1)
        assert ends.get(readings).payload == b"!"


def test_a_message_of_qos_0_that_nobody_wants_is_dropped() -> None:
    with Ends() as ends:
        bob = returned(ends)
        ends.world.publish("one", b"")
        ends.settle()
        assert bob.registry.unclaimed.messages == []
        assert bob.registry.unclaimed.dropped == 1


def test_an_identifier_of_an_earlier_program_means_nothing_now() -> None:
    with Ends() as ends:
        bob = returned(ends, ("one", b"for one"))
        two = ends.subscribe(bob, "two", qos=1)
        ends.world.publish("one", b"for one too", 1)
        ends.settle()
        assert two.waiting == 0


def test_the_strays_tell_what_they_are() -> None:
    with Ends() as ends:
        bob = returned(ends, ("one", b"1"))
        registry = bob.registry
        assert repr(registry.unclaimed) == "<Unclaimed: 1 kept, 0 dropped>"
        assert repr(registry.unwanted) == "<Unwanted: 0 refused>"
