"""Retained messages on their way to a new subscription: in slices, while there is room, as they are then."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from linnet.core.replay import Replay
from linnet.wire import VERSIONS, Properties, Version
from tests.core.test_retained import message, retained
from tests.core.test_subscriptions import session, subscription
from tests.pair import FOR_EVER, World


def full(count: int, qos: int = 0, **settings: Any) -> World:
    """A world with so many retained messages on `r/0`, `r/1` and so on."""
    world = World(**settings)
    for number in range(count):
        world.publish(f"r/{number}", b"%d" % number, qos, retain=True)
    return world


def test_every_matching_message_comes_once_with_the_retain_flag() -> None:
    world = full(7)
    world.publish("other", b"x", retain=True)
    bob = world.client("bob")
    bob.subscribe("r/+")
    assert sorted(bob.payloads) == [b"%d" % number for number in range(7)]
    assert all(one.retain for one in bob.got)


def test_suback_comes_before_the_first_of_them() -> None:
    world = full(1)
    bob = world.client("bob")
    bob.subscribe("r/+")
    assert [type(packet).__name__ for packet in bob.packets] == ["Connack", "Suback", "Publish"]


def test_a_turn_sends_a_slice_and_the_next_turn_goes_on() -> None:
    world = full(10, retained_slice=4)
    bob = world.client("bob")
    world.core.chores.run(world.now)
    bob.send(b"\x82\x09\x00\x01\x00\x00\x03r/+\x00")
    bob.move(to_client=0)
    seen = []
    for _ in range(4):
        assert bob.connection is not None
        seen.append(bob.connection.outbox.statistics.messages_sent)
        world.turn()
    assert seen[-1] == 10
    assert all(later - earlier <= 4 for earlier, later in pairwise(seen))
    assert not world.core.chores.replaying


def test_no_more_is_sent_than_the_receiver_has_room_for() -> None:
    world = full(10, qos=1)
    bob = world.client("bob", receive_maximum=2)
    bob.acknowledges = False
    bob.subscribe("r/+", 1)
    assert len(bob.got) == 2
    assert not bob.session.sender.waiting
    bob.acknowledge(1)
    world.settle()
    assert len(bob.got) == 3
    bob.acknowledges = True
    bob.acknowledge()
    world.settle()
    assert len(bob.got) == 10


def test_a_receiver_that_does_not_read_gets_no_more_than_half_its_output_limit_in_advance() -> None:
    world = World(max_output_bytes=1000)
    for number in range(50):
        world.publish(f"r/{number}", b"x" * 100, retain=True)
    bob = world.client("bob")
    bob.line.is_blocked = True
    bob.subscribe("r/+")
    assert bob.connection is not None
    assert 300 <= bob.connection.outbox.size <= 700
    bob.line.is_blocked = False
    world.settle()
    assert len(bob.got) == 50
    assert bob.connection.outbox.statistics.dropped_output_full == 0


def test_what_is_sent_is_what_the_topic_holds_when_its_turn_comes() -> None:
    world = full(3, qos=1)
    bob = world.client("bob", receive_maximum=1)
    bob.acknowledges = False
    bob.subscribe("r/+", 1)
    (first,) = bob.payloads
    rest = [number for number in range(3) if b"%d" % number != first]
    world.core.router.retained.drop(b"r/%d" % rest[0])
    world.core.router.retained.keep(message(f"r/{rest[1]}", b"new"))
    bob.acknowledges = True
    bob.acknowledge()
    world.settle()
    assert bob.payloads == [first, b"new"]


def test_expired_messages_are_left_out() -> None:
    world = World()
    world.publish("r/old", b"old", retain=True, message_expiry_interval=5)
    world.publish("r/new", b"new", retain=True, message_expiry_interval=50)
    world.advance(10)
    bob = world.client("bob")
    bob.subscribe("r/+")
    assert bob.payloads == [b"new"]
    assert bob.got[0].properties.message_expiry_interval == 40


def test_no_local_keeps_one_s_own_message_back() -> None:
    world = World()
    ann, bob = world.client("ann"), world.client("bob")
    ann.publish("r/ann", b"x", retain=True)
    world.settle()
    for one in (ann, bob):
        one.subscribe("r/+", no_local=True)
    assert (ann.payloads, bob.payloads) == ([], [b"x"])


def test_it_stops_when_the_subscription_goes() -> None:
    world = full(10, qos=1)
    bob = world.client("bob", receive_maximum=1)
    bob.acknowledges = False
    bob.subscribe("r/+", 1)
    bob.unsubscribe("r/+")
    bob.acknowledges = True
    bob.acknowledge()
    world.settle()
    assert len(bob.got) == 1
    assert not world.core.chores.replaying


def test_it_begins_anew_when_the_subscription_is_replaced() -> None:
    world = full(5, qos=1)
    bob = world.client("bob", receive_maximum=1)
    bob.acknowledges = False
    bob.subscribe("r/+", 1)
    bob.subscribe("r/+", 1)
    bob.acknowledges = True
    bob.acknowledge()
    world.settle()
    assert len(bob.got) == 6


def test_it_waits_for_a_client_that_is_away_and_goes_on_when_it_is_back() -> None:
    world = full(5, qos=1)
    bob = world.client("bob", receive_maximum=1, expiry=FOR_EVER)
    bob.acknowledges = False
    bob.subscribe("r/+", 1)
    bob.cut()
    world.settle()
    bob.acknowledges = True
    bob.connect(clean_start=False, expiry=FOR_EVER)
    world.settle()
    assert sorted({one.topic for one in bob.got}) == [f"r/{number}" for number in range(5)]


def test_a_session_that_ends_takes_its_replay_with_it() -> None:
    world = full(5, qos=1)
    bob = world.client("bob", receive_maximum=1)
    bob.acknowledges = False
    bob.subscribe("r/+", 1)
    bob.cut()
    assert not world.core.chores.replaying


@pytest.mark.parametrize(("handling", "first", "again"), [(0, 1, 1), (1, 1, 0), (2, 0, 0)])
def test_retain_handling_says_when_they_are_sent(handling: int, first: int, again: int) -> None:
    world = full(1)
    bob = world.client("bob")
    bob.subscribe("r/0", retain_handling=handling)
    assert len(bob.got) == first
    bob.subscribe("r/0", retain_handling=handling)
    assert len(bob.got) == first + again


def test_a_shared_subscription_gets_none() -> None:
    world = full(3)
    bob = world.client("bob")
    bob.subscribe("$share/g/r/+")
    assert bob.got == []


def test_a_replay_can_be_read() -> None:
    store = retained()
    store.keep(message("r"))
    replay = Replay(store, subscription("r", session("bob")))
    assert repr(replay).startswith("<Replay of <Subscription 'r' QoS 0 of <Session 'bob'")
    assert repr(replay).endswith(", 0 sent>")


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("version", VERSIONS.values(), ids=str)
@pytest.mark.parametrize(
    "properties", [{}, {"message_expiry_interval": 60, "content_type": "text"}], ids=["", "properties"]
)
def test_all_receivers_are_sent_the_one_payload_that_is_retained(
    qos: int, version: Version, properties: dict[str, Any]
) -> None:
    world = World()
    world.client("ann").publish("r/0", b"x" * 10_000, qos, retain=True, properties=Properties(**properties))
    world.settle()
    clients = [world.client(f"c{number}", version=version) for number in range(3)]
    for client in clients:
        client.line.is_blocked = True  # so that what is to be written can be looked at
        client.subscribe("r/+", qos)
    pieces = [client.connection.outbox.pieces for client in clients if client.connection is not None]
    assert [sum(map(len, each)) > 10_000 for each in pieces] == [True] * 3
    assert len({id(piece) for each in pieces for piece in each if len(piece) >= 10_000}) == 1


@pytest.mark.parametrize("online", [True, False])
def test_all_who_wait_for_a_message_hold_the_same_one(online: bool) -> None:
    world = World()
    clients = [world.client(f"c{number}", expiry=FOR_EVER, receive_maximum=1) for number in range(3)]
    for client in clients:
        client.acknowledges = False
        client.subscribe("t", 2)
        if not online:
            client.cut()
    for payload in (b"first", b"x" * 10_000):
        world.publish("t", payload, 1)
    queues = [world.sessions[client.client_id].sender.waiting for client in clients]
    assert len({id(list(queue)[-1].message) for queue in queues if queue}) == 1 and all(queues)
