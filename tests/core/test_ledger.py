"""The ledger adds up: nothing is counted twice, and nothing is forgotten, whoever comes and goes meanwhile."""

from __future__ import annotations

from linnet.core.ledger import MOST_NAMES, OTHERS
from linnet.core.ports import Observer
from linnet.core.statistics import Statistics
from tests.pair import FOR_EVER, Client, World


def total(world: World) -> Statistics:
    """What the broker has counted."""
    return world.core.ledger.total(world.core.connections)


def losing(world: World, client_id: str = "bob", count: int = 10) -> Client:
    """A client that reads nothing, and for which messages were dropped."""
    client = world.client(client_id, expiry=FOR_EVER)
    client.subscribe("t", 0)
    client.line.is_blocked = True
    for _ in range(count):
        world.publish("t", b"x" * 50)
    return client


def test_what_was_dropped_before_a_connection_ends_is_counted_once() -> None:
    world = World(max_output_bytes=100)
    bob = losing(world)
    dropped = bob.session.statistics.dropped
    assert dropped == total(world).dropped > 0
    bob.cut()
    assert total(world).dropped_output_full == dropped
    world.core.ledger.report()
    assert total(world).dropped_output_full == dropped == world.sessions["bob"].statistics.dropped_output_full


def test_what_is_dropped_after_a_connection_ended_is_counted_too() -> None:
    world = World(max_output_bytes=100)
    bob = losing(world)
    dropped = bob.session.statistics.dropped
    bob.cut()
    for _ in range(3):
        world.publish("t")  # nobody is there
    assert total(world).dropped == dropped + 3
    world.core.ledger.report()
    world.publish("t")
    assert (total(world).dropped, total(world).dropped_offline) == (dropped + 4, 4)
    bob.connect(clean_start=False, expiry=FOR_EVER)
    world.settle()
    bob.cut()
    world.publish("t")
    world.core.ledger.report()
    assert (total(world).dropped_offline, world.sessions["bob"].statistics.dropped_offline) == (5, 5)


def test_what_two_connections_of_a_session_dropped_between_two_reports_is_counted_once() -> None:
    world = World(max_output_bytes=100)
    bob = world.client("bob", expiry=FOR_EVER)
    bob.subscribe("t", 0)
    bob.cut()
    world.publish("t")  # nobody is there
    bob.connect(clean_start=False, expiry=FOR_EVER)
    world.settle()
    bob.line.is_blocked = True
    for _ in range(10):
        world.publish("t", b"x" * 50)
    dropped = bob.session.statistics.dropped_output_full
    bob.cut()
    for _ in range(2):
        assert (total(world).dropped_output_full, total(world).dropped_offline) == (dropped, 1)
        world.core.ledger.report()
    assert world.core.ledger.take_recent() == {"bob": {"output_full": dropped, "offline": 1}}


def test_who_lost_messages_is_named_once_with_each_reason() -> None:
    world = World(max_output_bytes=100)
    bob = losing(world)
    dropped = bob.session.statistics.dropped
    bob.cut()
    world.publish("t")
    world.core.ledger.report()
    world.core.ledger.report()
    assert world.core.ledger.take_recent() == {"bob": {"output_full": dropped, "offline": 1}}
    assert world.core.ledger.take_recent() == {}


def test_observers_are_told_who_lost_how_many() -> None:
    told = []

    class Watcher(Observer):
        def dropped(self, client_id: str, reason: str, count: int) -> None:
            told.append((client_id, reason, count))

    world = World(observers=[Watcher()], max_output_bytes=100)
    dropped = losing(world).session.statistics.dropped
    assert told == []
    world.advance(1.0)
    assert told == [("bob", "output_full", dropped)]


def test_of_very_many_that_lost_messages_only_some_are_named() -> None:
    world = World()
    for number in range(MOST_NAMES + 5):
        client = world.client(f"{number}", expiry=FOR_EVER)
        client.subscribe("t", 0)
        client.cut()
    world.publish("t")
    world.core.ledger.report()
    recent = world.core.ledger.take_recent()
    assert len(recent) == MOST_NAMES + 1
    assert recent[OTHERS] == {"offline": 5}


def test_packets_of_both_ends_are_counted() -> None:
    world = World()
    bob = world.client("bob")
    bob.subscribe("t", 1)
    world.publish("t", b"x", 1)
    world.settle()
    counted = bob.session.statistics
    assert (counted.connect, counted.connack, counted.subscribe, counted.suback) == (1, 1, 1, 1)
    assert (counted.packets_received, counted.packets_sent) == (3, 3)  # and PUBACK, and PUBLISH
