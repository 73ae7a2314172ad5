"""What is done at the end of a turn: in slices, in its order, and for everybody whose turn it is."""

from __future__ import annotations

from typing import Any

from linnet.errors import ReasonCode
from linnet.wire import V3_1_1, Disconnect, Message, Puback
from tests.pair import FOR_EVER, Client, World


def wide(count: int, **settings: Any) -> tuple[World, list[Client]]:
    world = World(**{"delivery_budget": 16, **settings})
    clients = [world.client(f"{number}", expiry=FOR_EVER) for number in range(count)]
    for client in clients:
        client.subscribe("t", 1)
    return world, clients


def test_messages_to_very_many_are_served_in_their_order_one_slice_in_each_turn() -> None:
    world, clients = wide(6)
    finished: list[bytes] = []
    for name in (b"first", b"second"):
        message = Message("t", name, 1)
        message.received_at = world.now
        world.core.publish(message, world.now, lambda fanout, now: finished.append(fanout.message.payload))
    sizes = []
    while len(world.core.chores):
        world.turn()
        sizes.append(sum(len(client.session.sender.in_flight) for client in clients))
    assert sizes == [2, 4, 6, 8, 10, 12]
    assert finished == [b"first", b"second"]
    world.settle()
    assert all(client.payloads == [b"first", b"second"] for client in clients)


def test_a_publisher_that_delivers_much_yields_to_the_others() -> None:
    """QoS 0 that goes to few at a time is counted too."""
    world = World(delivery_budget=8)
    bob = world.client("bob")
    bob.subscribe("t", 0)
    alice, carol = world.client("alice"), world.client("carol")
    for number in range(100):
        alice.publish("t", b"%d" % number, 0)
    assert alice.connection is not None
    alice.connection.receive(alice.outbox.take(), world.now)
    assert alice.line.is_paused
    world.turn()
    assert 0 < bob.line.sent.count(b"t") < 30
    carol.publish("nobody", b"x", 1)
    carol.move()
    assert len(carol.all(Puback)) == 1
    world.settle()
    assert bob.payloads == [b"%d" % number for number in range(100)]
    assert not alice.line.is_paused


def holding(**settings: Any) -> tuple[World, Client, Client]:
    world = World(queue_policy="hold", max_queued_messages=1, max_inflight=1, hold_timeout=5.0, **settings)
    slow, alice = world.client("slow", expiry=FOR_EVER), world.client("alice", version=V3_1_1)
    slow.subscribe("t", 1)
    slow.acknowledges = False
    for number in range(4):
        alice.publish("t", b"%d" % number, 1)
    world.settle()
    assert list(world.core.chores.holding) == [slow.session]
    return world, slow, alice


def test_who_keeps_nobody_waiting_any_more_is_not_looked_at_any_more() -> None:
    world, slow, _ = holding()
    slow.acknowledges = True
    slow.acknowledge()
    world.settle()
    world.advance(1.0)
    assert not world.core.chores.holding
    slow.acknowledges = False
    world.advance(20.0)
    assert slow.is_open


def test_the_time_begins_anew_with_a_new_hold_and_a_new_connection() -> None:
    world, slow, alice = holding()
    world.advance(3.0)
    slow.cut()
    slow.connect(clean_start=False, expiry=FOR_EVER)
    world.advance(2.0)
    for number in range(4, 8):
        alice.publish("t", b"%d" % number, 1)
    world.settle()
    assert list(world.core.chores.holding) == [slow.session]
    world.advance(4.0)
    assert slow.is_open
    world.advance(2.0)
    assert not slow.is_open
    assert [packet.reason_code for packet in slow.all(Disconnect)] == [ReasonCode.QUOTA_EXCEEDED]
    assert len(alice.all(Puback)) == 8


def test_a_session_that_ends_is_no_chore_any_more() -> None:
    world, slow, alice = holding()
    world.core.backlog.slow[slow.session] = None
    slow.session.expiry_interval = 0
    slow.cut()
    world.settle()
    assert not world.core.chores.holding and not world.core.backlog.slow
    assert len(alice.all(Puback)) == 4


def test_a_connection_that_closed_before_it_could_go_on_does_nothing() -> None:
    world, clients = wide(6)
    alice = world.client("alice")
    alice.publish("t", b"x", 1)
    alice.publish("t", b"y", 1)
    assert alice.connection is not None
    alice.connection.receive(alice.outbox.take(), world.now)
    connection = alice.connection
    alice.cut()
    world.settle()
    assert connection.waiting == 0 and not connection.is_open
    assert all(client.payloads == [b"x"] for client in clients)  # what was not taken is not taken any more
