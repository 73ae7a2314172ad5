"""When all queues together are full: 5.0 publishers are refused, older ones, who know of no refusal, are not read."""

from __future__ import annotations

import pytest

from linnet.errors import ReasonCode
from linnet.wire import V3_1, V3_1_1, V5, Puback, Pubrec, Version
from tests.pair import FOR_EVER, Client, World

OLDER = pytest.mark.parametrize("version", [V3_1, V3_1_1], ids=lambda version: version.name)


def full_world() -> tuple[World, Client]:
    """A world whose store has no room, for `bob` is away and nine bytes of topic and payload wait for him."""
    world = World(max_store_bytes=10)
    bob = world.client("bob", expiry=FOR_EVER)
    bob.subscribe("t", 2)
    bob.cut()
    world.publish("t", b"12345678", 1)
    return world, bob


def kept_waiting(version: Version) -> tuple[World, Client, Client]:
    """The same world, with a publisher that has sent one message more, and is not read."""
    world, bob = full_world()
    ann = world.client("ann", version=version)
    ann.publish("t", b"more", 1)
    world.settle()
    assert ann.line.is_paused
    return world, bob, ann


def answers(client: Client) -> list[tuple[type, int]]:
    return [(type(packet), packet.reason_code) for packet in client.packets if isinstance(packet, Puback | Pubrec)]


def test_a_publisher_of_5_0_is_refused() -> None:
    world, _ = full_world()
    ann = world.client("ann", version=V5)
    ann.publish("t", b"more", 1)
    world.settle()
    assert answers(ann) == [(Puback, ReasonCode.QUOTA_EXCEEDED)]
    assert world.core.ledger.limits["max_store_bytes"] == 1
    assert not ann.line.is_paused


@OLDER
@pytest.mark.parametrize("qos", [1, 2])
def test_an_older_publisher_is_not_answered_and_not_read_until_there_is_room(version: Version, qos: int) -> None:
    world, bob = full_world()
    ann = world.client("ann", version=version)
    ann.publish("t", b"more", qos)
    world.settle()
    assert answers(ann) == [] and ann.line.is_paused
    ann.publish("t", b"behind", qos)
    world.settle()
    assert world.core.backlog.messages == 2, "one beyond the limit, and the next is not even read"
    bob.connect(version=V5, clean_start=False, expiry=FOR_EVER)
    world.settle()
    assert [message.payload for message in bob.got] == [b"12345678", b"more", b"behind"]
    assert [kind for kind, _ in answers(ann)] == [Puback if qos == 1 else Pubrec] * 2
    assert not ann.line.is_paused
    assert (world.core.backlog.messages, world.core.backlog.bytes, world.core.backlog.waiters) == (0, 0, [])


@OLDER
def test_when_the_session_ends_the_publisher_goes_on(version: Version) -> None:
    world, _, ann = kept_waiting(version)
    world.core.end(world.sessions["bob"], world.now)
    world.settle()
    assert [kind for kind, _ in answers(ann)] == [Puback] and not ann.line.is_paused


@OLDER
def test_a_limit_that_is_raised_lets_the_publisher_go_on(version: Version) -> None:
    world, _, ann = kept_waiting(version)
    world.core.backlog.max_store_bytes = 1000
    world.core.backlog.relax()
    world.settle()
    assert [kind for kind, _ in answers(ann)] == [Puback] and not ann.line.is_paused


@OLDER
def test_a_publisher_that_goes_meanwhile_leaves_nothing(version: Version) -> None:
    world, bob, ann = kept_waiting(version)
    ann.cut()
    bob.connect(version=V5, clean_start=False, expiry=FOR_EVER)
    world.settle()
    assert [message.payload for message in bob.got] == [b"12345678", b"more"]
    assert world.core.backlog.waiters == [] and "ann" not in world.sessions


def test_who_comes_again_and_again_does_not_fill_the_store_without_an_end() -> None:
    world, _ = full_world()
    for number in range(20):
        ann = world.client(f"ann{number}", version=V3_1_1)
        ann.publish("t", b"m", 1)
        world.settle()
        if number % 2:
            ann.cut()
    backlog = world.core.backlog
    assert backlog.bytes <= 15, "half as much again as the limit"
    assert len(backlog.waiters) == sum(client.is_open and client.line.is_paused for client in world.clients)
    assert world.sessions["bob"].statistics.dropped_queue_full > 0
