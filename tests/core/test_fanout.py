"""Messages to very many: they go in slices, and nobody notices but by the time it takes."""

from __future__ import annotations

from typing import Any

import pytest

from linnet.errors import ReasonCode
from linnet.wire import V3_1_1, V5, Disconnect, Puback, Pubcomp, Publish, Pubrec, SubscriptionOptions, Version, Will
from tests.pair import FOR_EVER, Client, World

BUDGET = 16  # an eighth of it are the sessions of a slice
SLICE = 2
MANY = 11


def wide(count: int = MANY, qos: int = 2, expiry: int | None = None, **settings: Any) -> tuple[World, list[Client]]:
    """So many subscribers that a message to them goes in slices."""
    world = World(**{"delivery_budget": BUDGET, **settings})
    clients = [world.client(f"{number}", expiry=expiry) for number in range(count)]
    for client in clients:
        client.subscribe("t", qos)
    return world, clients


def feed(client: Client) -> None:
    """What the client has to say reaches the broker, and nothing else happens yet."""
    assert client.connection is not None
    client.connection.receive(client.outbox.take(), client.world.now)


def slice_of(world: World) -> None:
    """One turn: a slice of everything."""
    world.turn()


def in_queue(world: World) -> int:
    """Messages that wait, as all the queues there are have them."""
    return sum(len(session.sender.waiting or ()) for session in world.sessions.values())


@pytest.mark.parametrize("version", [V3_1_1, V5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_everybody_gets_every_message_in_order(version: Version, qos: int) -> None:
    world, clients = wide()
    alice = world.client("alice", version=version)
    for number in range(4):
        alice.publish("t", b"%d" % number, qos)
    feed(alice)
    slice_of(world)
    assert [bool(client.line.sent) for client in clients[: SLICE + 1]] == [True] * SLICE + [False]
    world.settle()
    assert [client.payloads for client in clients] == [[b"0", b"1", b"2", b"3"]] * MANY
    assert not alice.sender.in_flight
    assert not alice.line.is_paused


@pytest.mark.parametrize(("qos", "ack"), [(1, Puback), (2, Pubrec)])
def test_the_acknowledgement_comes_after_the_last_slice(qos: int, ack: type) -> None:
    world, clients = wide()
    alice = world.client("alice")
    alice.publish("t", b"x", qos)
    alice.publish("elsewhere", b"y", 1)
    feed(alice)
    for _ in range(MANY // SLICE):
        slice_of(world)
        assert not alice.line.sent
        assert alice.line.is_paused
    world.settle()
    assert isinstance(alice.packets[1], ack)
    assert all(client.payloads == [b"x"] for client in clients)


def test_others_are_served_between_the_slices() -> None:
    world, clients = wide()
    alice, bob = world.client("alice"), world.client("bob")
    alice.publish("t", b"wide", 1)
    feed(alice)
    slice_of(world)
    bob.publish("nobody", b"narrow", 1)
    bob.move()
    assert len(bob.all(Puback)) == 1
    assert not clients[-1].got and clients[-1].session.sender.in_flight == {}
    world.settle()


def test_a_session_that_ends_meanwhile_gets_nothing_and_leaves_nothing() -> None:
    world, clients = wide()
    alice = world.client("alice")
    alice.publish("t", b"x", 1)
    feed(alice)
    slice_of(world)
    for client in clients[::2]:
        client.cut()
    world.settle()
    assert [client.payloads for client in clients[1::2]] == [[b"x"]] * len(clients[1::2])
    assert len(alice.all(Puback)) == 1
    backlog = world.core.backlog
    assert (backlog.messages, backlog.bytes, backlog.in_flight) == (0, 0, 0)


def test_a_session_that_outlives_its_connection_gets_it_later() -> None:
    world, clients = wide(expiry=FOR_EVER)
    alice = world.client("alice")
    alice.publish("t", b"x", 1)
    feed(alice)
    slice_of(world)
    for client in clients:
        client.cut()
    world.settle()
    assert len(alice.all(Puback)) == 1
    for client in clients:
        client.connect(clean_start=False, expiry=FOR_EVER)
    world.settle()
    assert [client.payloads for client in clients] == [[b"x"]] * MANY


def test_subscribing_and_unsubscribing_meanwhile_harms_nobody() -> None:
    world, clients = wide()
    alice, late = world.client("alice"), world.client("late")
    for number in range(2):
        alice.publish("t", b"%d" % number, 1)
    feed(alice)
    slice_of(world)
    clients[-1].send(b"\xa2\x06\x00\x01\x00\x00\x01t")
    feed(clients[-1])
    late.subscribe("t", 1)
    world.settle()
    assert [client.payloads for client in clients[:-1]] == [[b"0", b"1"]] * (MANY - 1)
    assert b"1" not in clients[-1].payloads
    assert late.payloads == [b"1"]
    assert len(alice.all(Puback)) == 2


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_message_outlives_its_publisher(qos: int) -> None:
    world, clients = wide()
    alice = world.client("alice")
    alice.publish("t", b"x", qos)
    feed(alice)
    slice_of(world)
    connection = alice.connection
    alice.cut()
    world.settle()
    assert [client.payloads for client in clients] == [[b"x"]] * MANY
    assert connection is not None and connection.outbox.size == 0


def test_a_message_of_qos_2_that_is_sent_again_meanwhile_goes_out_once() -> None:
    """[MQTT-4.3.3-10]"""
    world, clients = wide()
    alice = world.client("alice", clean_start=False, expiry=FOR_EVER)
    alice.publish("t", b"once", 2)
    feed(alice)
    slice_of(world)
    alice.cut()
    alice.connect(clean_start=False, expiry=FOR_EVER)
    for _ in range(2):
        alice.move()
    alice.publish("t", b"next", 2)
    world.settle()
    assert [client.payloads for client in clients] == [[b"once", b"next"]] * MANY
    assert [packet.reason_code for packet in alice.all(Pubcomp)] == [0, 0]


def test_a_message_of_qos_2_that_could_not_be_given_to_all_is_refused_and_may_come_again() -> None:
    world, clients = wide(expiry=FOR_EVER, max_queued_messages=1)
    clients[4].cut()
    alice = world.client("alice")
    for number in range(3):
        alice.publish("t", b"%d" % number, 2)
    world.settle()
    assert [packet.reason_code for packet in alice.all(Pubrec)] == [0, *[ReasonCode.QUOTA_EXCEEDED] * 2]
    assert alice.connection is not None and not alice.connection.receiver.unreleased
    clients[4].connect(clean_start=False, expiry=FOR_EVER)
    alice.publish("t", b"3", 2)
    world.settle()
    assert clients[4].payloads == [b"0", b"3"]
    assert clients[5].payloads == [b"0", b"1", b"2", b"3"]


@pytest.mark.parametrize("gone", ["cut", "drain", "end"])
def test_who_filled_up_in_an_early_slice_and_has_room_or_is_gone_in_the_last_keeps_nobody_waiting(gone: str) -> None:
    expiry = None if gone == "end" else FOR_EVER
    world, clients = wide(expiry=expiry, queue_policy="hold", max_queued_messages=1, max_inflight=1)
    slow = clients[0]
    slow.acknowledges = False
    alice = world.client("alice")
    for number in range(2):
        alice.publish("t", b"%d" % number, 1)
        world.settle()
    assert len(alice.all(Puback)) == 2
    alice.publish("t", b"2", 1)
    feed(alice)
    slice_of(world)
    assert slow.session.sender.waiting is not None and len(slow.session.sender.waiting) == 2
    if gone == "drain":
        slow.acknowledges = True
        slow.acknowledge()
        for _ in range(3):
            slow.move()
    else:
        slow.cut()
    world.settle()
    assert len(alice.all(Puback)) == 3
    assert alice.connection is not None and alice.connection.owed is None


def test_who_is_full_at_the_end_keeps_the_publisher_waiting() -> None:
    world, clients = wide(queue_policy="hold", max_queued_messages=1, max_inflight=1)
    for client in clients[::3]:
        client.acknowledges = False
    alice = world.client("alice")
    for number in range(4):
        alice.publish("t", b"%d" % number, 1)
    world.settle()
    assert len(alice.all(Puback)) == 2
    for client in clients[::3]:
        client.acknowledges = True
        client.acknowledge()
    world.settle()
    assert len(alice.all(Puback)) == 4
    assert [client.payloads for client in clients] == [[b"0", b"1", b"2", b"3"]] * MANY


def test_receive_maximum_counts_what_is_held_of_wide_messages() -> None:
    world, clients = wide(queue_policy="hold", max_queued_messages=1, max_inflight=1, receive_maximum=3)
    clients[0].acknowledges = False
    alice = world.client("alice")
    for number in range(12):
        alice.publish("t", b"%d" % number, 1 + number % 2)
    world.settle()
    assert alice.is_open
    alice.send(Publish("t", b"too many", 1, packet_id=100))
    world.settle()
    assert alice.the(Disconnect).reason_code == ReasonCode.RECEIVE_MAXIMUM_EXCEEDED


def test_wills_go_to_very_many_in_order() -> None:
    world, clients = wide()
    leaving = [world.client(f"leaving-{n}", will=Will("t", b"will %d" % n, 1)) for n in range(3)]
    alice = world.client("alice")
    alice.publish("t", b"before", 1)
    feed(alice)
    for client in leaving:
        client.cut()
    world.settle()
    assert [client.payloads for client in clients] == [[b"before", b"will 0", b"will 1", b"will 2"]] * MANY


def test_what_nobody_can_be_held_back_for_does_not_outgrow_the_queues() -> None:
    """A will, or a message of the program's own, has no publisher that could be made to wait."""
    world, clients = wide(queue_policy="hold", max_queued_messages=2, max_inflight=1)
    clients[0].acknowledges = False
    for number in range(10):
        world.publish("t", b"%d" % number, 1)
        world.settle()
    assert in_queue(world) == 2
    assert clients[0].session.statistics.dropped_queue_full == 7
    assert clients[1].payloads == [b"%d" % number for number in range(10)]


def test_a_shared_subscription_beside_very_many_gets_one_copy() -> None:
    world, _ = wide()
    members = [world.client(f"member-{number}") for number in range(2)]
    for member in members:
        member.subscribe("$share/g/t", 1)
    alice = world.client("alice")
    for _ in range(4):
        alice.publish("t", b"x", 1)
    world.settle()
    assert [len(member.got) for member in members] == [2, 2]


@pytest.mark.parametrize("overlap", ["merge", "each"])
def test_overlapping_subscriptions_in_slices(overlap: str) -> None:
    world, clients = wide(overlap=overlap)
    for client in clients:
        client.subscribe([("+", SubscriptionOptions(1)), ("#", SubscriptionOptions(0))])
    alice = world.client("alice")
    alice.publish("t", b"x", 2)
    feed(alice)
    slice_of(world)
    clients[3].cut()
    world.settle()
    assert {len(client.got) for client in clients[4:]} == {1 if overlap == "merge" else 3}
    assert (world.core.backlog.messages, world.core.backlog.bytes) == (0, 0)


def test_a_broker_that_stops_keeps_nobody_waiting() -> None:
    world, _ = wide()
    finished: list[int] = []
    message = Publish("t", b"x", 1)
    message.received_at = world.now
    world.core.publish(message, world.now, lambda fanout, now: finished.append(fanout.count))
    slice_of(world)
    assert finished == []
    world.core.forget(world.now)
    assert finished == [SLICE]
    assert len(world.core.chores.fanouts) == 0
