"""What happens at a full queue: each policy, whom it holds for, and what a publisher is told."""

from __future__ import annotations

from typing import Any

import pytest

from linnet.core.backlog import Backlog
from linnet.errors import ReasonCode
from linnet.wire import V3_1_1, V5, Disconnect, Puback, Pubrec, Version, Will
from tests.pair import FOR_EVER, Client, World

ROOM = 3  # messages that may wait for one session


def world_of(policy: str = "drop_newest", **settings: Any) -> World:
    return World(**{"queue_policy": policy, "max_queued_messages": ROOM, "max_inflight": 1, **settings})


def away(world: World, client_id: str = "away", name: str = "t", expiry: int = FOR_EVER) -> Client:
    """A client with a session, and no connection."""
    client = world.client(client_id, expiry=expiry)
    client.subscribe(name, 1)
    client.cut()
    return client


def slow(world: World, client_id: str = "slow", name: str = "t", expiry: int | None = None, **connect: Any) -> Client:
    """A client that acknowledges nothing."""
    client = world.client(client_id, expiry=expiry, **connect)
    client.acknowledges = False
    client.subscribe(name, 1)
    return client


def publish(client: Client, count: int, topic: str = "t", qos: int = 1) -> list[int]:
    """Publish so many messages, 0, 1, 2, ...; the reason codes that came back."""
    before = len(client.all(Puback)) + len(client.all(Pubrec))
    for number in range(count):
        client.publish(topic, b"%d" % number, qos)
        client.settle()
    return [packet.reason_code for packet in client.packets if isinstance(packet, Puback | Pubrec)][before:]


def come_back(client: Client) -> list[bytes]:
    """What a client gets that connects to its session."""
    client.acknowledges = True
    if client.connection is None:
        client.connect(clean_start=False, expiry=FOR_EVER)
    client.acknowledge()
    client.settle()
    return client.payloads


def dropped(world: World, client_id: str) -> int:
    return world.sessions[client_id].statistics.dropped_queue_full


LOST = ReasonCode.QUOTA_EXCEEDED


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize(
    ("policy", "codes", "payloads", "count"),
    [
        ("hold", [0, 0, 0, LOST, LOST], [b"0", b"1", b"2"], 2),  # who is away cannot be waited for
        ("refuse", [0, 0, 0, LOST, LOST], [b"0", b"1", b"2"], 0),
        ("drop_newest", [0, 0, 0, LOST, LOST], [b"0", b"1", b"2"], 2),
        ("drop_oldest", [0, 0, 0, 0, 0], [b"2", b"3", b"4"], 2),
        ("disconnect", [0, 0, 0, LOST, LOST], [b"0", b"1", b"2"], 2),
    ],
)
def test_each_policy_for_a_session_whose_client_is_away(
    policy: str, codes: list[int], payloads: list[bytes], count: int, qos: int
) -> None:
    world = world_of(policy)
    bob = away(world)
    assert publish(world.client("alice"), 5, qos=qos) == codes
    assert dropped(world, "away") == count
    assert come_back(bob) == payloads
    assert world.core.ledger.limits["max_queued_messages"] == 2


@pytest.mark.parametrize(
    ("policy", "codes", "payloads", "count"),
    [
        ("hold", [0] * 4, [b"0", b"1", b"2", b"3", b"4", b"5"], 0),
        ("refuse", [0, 0, 0, 0, LOST, LOST], [b"0", b"1", b"2", b"3"], 0),
        ("drop_newest", [0, 0, 0, 0, LOST, LOST], [b"0", b"1", b"2", b"3"], 2),
        ("drop_oldest", [0] * 6, [b"0", b"3", b"4", b"5"], 2),
        ("disconnect", [0, 0, 0, 0, LOST, LOST], [b"0", b"0", b"1", b"2", b"3"], 2),
    ],
)
def test_each_policy_for_a_client_that_is_slow(
    policy: str, codes: list[int], payloads: list[bytes], count: int
) -> None:
    world = world_of(policy)
    bob = slow(world, expiry=FOR_EVER)
    alice = world.client("alice")
    assert publish(alice, 6) == codes
    assert dropped(world, "slow") == count
    assert bob.is_open is (policy != "disconnect")
    if policy == "disconnect":
        assert bob.the(Disconnect).reason_code == ReasonCode.QUOTA_EXCEEDED
    assert come_back(bob) == payloads
    assert not alice.sender.in_flight


@pytest.mark.parametrize("policy", ["refuse", "drop_newest", "disconnect"])
def test_an_older_publisher_cannot_be_told(policy: str) -> None:
    world = world_of(policy)
    away(world)
    assert publish(world.client("alice", version=V3_1_1), 5) == [0] * 5
    assert dropped(world, "away") == 2  # so nothing can be refused either, and who has room gets it


@pytest.mark.parametrize("policy", ["hold", "drop_newest", "disconnect"])
def test_what_a_session_misses_that_ends_with_its_connection_is_no_error(policy: str) -> None:
    world = world_of(policy)
    bob = slow(world)
    codes = publish(world.client("alice"), 6)
    assert LOST not in codes
    assert bob.is_open is (policy != "disconnect")


@pytest.mark.parametrize("version", [V3_1_1, V5])
def test_others_get_what_one_session_misses(version: Version) -> None:
    world = world_of("drop_newest")
    bob = world.client("bob")
    bob.subscribe("t", 2)
    away(world)
    publish(world.client("alice", version=version), 8)
    assert bob.payloads == [b"%d" % number for number in range(8)]


def test_nobody_gets_what_is_refused() -> None:
    world = world_of("refuse")
    bob = world.client("bob")
    bob.subscribe("t", 2)
    away(world)
    assert publish(world.client("alice"), 5) == [0, 0, 0, LOST, LOST]
    assert bob.payloads == [b"0", b"1", b"2"]
    assert world.core.ledger.total(world.core.connections).refused == 2


def test_a_message_is_not_refused_for_a_subscription_that_would_not_get_it() -> None:
    """[MQTT-3.8.3-3] A publisher's own subscription with No Local has no say in what it publishes."""
    world = world_of("refuse")
    alice = world.client("alice", expiry=FOR_EVER)
    alice.subscribe("t", 1, no_local=True)
    alice.acknowledges = False
    world.publish("t", b"in flight", 1)
    for _ in range(ROOM):
        world.publish("t", b"waits", 1)
    assert publish(alice, 2) == [0, 0]


def test_a_shared_subscription_refuses_only_when_no_member_has_room() -> None:
    world = world_of("refuse")
    full = slow(world, "full", "$share/g/t", expiry=FOR_EVER)
    free = world.client("free")
    alice = world.client("alice")
    publish(alice, 1 + ROOM)
    free.subscribe("$share/g/t", 1)
    assert publish(alice, 3) == [0, 0, 0]
    assert free.payloads == [b"0", b"1", b"2"]
    free.disconnect()
    assert publish(alice, 1) == [LOST]
    assert full.is_open


@pytest.mark.parametrize("policy", ["hold", "drop_newest", "drop_oldest", "disconnect", "refuse"])
def test_a_shared_subscription_whose_members_are_all_full(policy: str) -> None:
    world = world_of(policy, hold_timeout=500.0)
    members = [slow(world, f"member-{number}", "$share/g/t", expiry=FOR_EVER) for number in range(2)]
    alice = world.client("alice")
    publish(alice, 20)
    world.settle()
    for member in members:
        come_back(member)
    got = {payload for member in members for payload in member.payloads}
    lost = {code for code in (p.reason_code for p in alice.all(Puback)) if code}
    if policy == "hold":
        assert got == {b"%d" % number for number in range(20)} and not lost
    assert len(alice.all(Puback)) == 20
    backlog = world.core.backlog
    assert (backlog.messages, backlog.bytes, backlog.in_flight) == (0, 0, 0)


def test_the_first_filter_that_covers_a_subscription_decides() -> None:
    backlog = Backlog(1, 1)
    backlog.set_policies("refuse", ("a/b=hold", "a/+=drop_oldest", "a/#=disconnect", "$share/x/c=hold"))
    chosen = {name: backlog.policy_for(name.encode()) for name in ("a/b", "a/c", "a/+", "a", "a/b/c", "a/#", "#", "c")}
    assert chosen == {
        "a/b": "hold",
        "a/c": "drop_oldest",
        "a/+": "drop_oldest",
        "a": "disconnect",
        "a/b/c": "disconnect",
        "a/#": "disconnect",
        "#": "refuse",
        "c": "refuse",
    }


def test_a_filter_with_an_equals_sign_may_have_a_policy() -> None:
    backlog = Backlog(1, 1)
    backlog.set_policies("refuse", ("a=b/#=hold",))
    assert backlog.policy_for(b"a=b/c") == "hold"


@pytest.mark.parametrize("overlap", ["merge", "each"])
def test_overlapping_subscriptions_with_two_policies(overlap: str) -> None:
    """Merged they are one, and the first that was found decides; each for itself they have their own."""
    world = world_of("drop_newest", queue_policies=("t/#=drop_oldest",), overlap=overlap)
    bob = away(world, name="t/#")
    bob.connect(clean_start=False, expiry=FOR_EVER)
    bob.subscribe("#", 1)
    bob.cut()
    codes = publish(world.client("alice"), 5, "t/x")
    assert set(codes) <= {0, LOST}
    assert len(bob.session.sender.waiting or ()) == ROOM
    assert dropped(world, "away") == (2 if overlap == "merge" else 7)
    come_back(bob)
    assert len(bob.got) == ROOM


def test_qos_0_that_waits_for_who_is_away_is_bounded_and_never_held_for() -> None:
    world = world_of("hold", queue_qos0=True)
    bob = away(world)
    alice = world.client("alice")
    for number in range(5):
        alice.publish("t", b"%d" % number, 0)
    world.settle()
    assert dropped(world, "away") == 2
    assert come_back(bob) == [b"0", b"1", b"2"]


def test_a_message_that_no_queue_has_room_for_drops_nothing_else() -> None:
    world = world_of("drop_oldest", max_queued_bytes=100)
    bob = away(world)
    alice = world.client("alice")
    publish(alice, 2)
    alice.publish("t", b"x" * 101, 1)
    world.settle()
    assert alice.all(Puback)[-1].reason_code == LOST
    assert come_back(bob) == [b"0", b"1"]


def test_a_queue_is_not_emptied_for_the_room_that_others_take() -> None:
    """What one session misses because of `max_store_bytes` is no reason to take from it all that it has."""
    world = world_of("drop_oldest", max_store_bytes=300, max_queued_bytes=290)
    bob, _ = away(world), away(world, "large", "large")
    publish(world.client("alice"), 2)
    world.publish("large", b"x" * 280, 1)
    alice = world.client("alice")
    alice.publish("t", b"x" * 50, 1)
    world.settle()
    assert alice.the(Puback).reason_code == LOST
    assert come_back(bob) == [b"0", b"1"]
    assert dropped(world, "away") == 1


def test_max_store_bytes_holds_for_all_and_nobody_is_held_back_for_it() -> None:
    world = world_of("hold", max_store_bytes=100, max_queued_messages=50)
    away(world, "large", "large")
    world.publish("large", b"x" * 90, 1)
    bob = slow(world, expiry=FOR_EVER)
    codes = publish(world.client("alice"), 12)
    assert codes.count(0) < len(codes) == 12
    assert world.core.backlog.bytes <= 100
    assert world.core.ledger.limits["max_store_bytes"] == codes.count(LOST)
    assert bob.is_open


def test_who_is_disconnected_may_leave_a_will_that_fills_the_next_queue() -> None:
    world = world_of("disconnect", max_queued_messages=1)
    count = 200
    for number in range(count):
        client = slow(world, f"{number}", f"t/{number}", will=Will(f"t/{number + 1}", b"gone", 1))
        for _ in range(2):
            world.publish(f"t/{number}", b"x", 1)
        assert client.is_open
    world.publish("t/0", b"one too many", 1)
    world.settle()
    assert not world.sessions
    assert world.core.wills.published == count
    backlog = world.core.backlog
    assert (backlog.messages, backlog.bytes, backlog.in_flight) == (0, 0, 0)


def test_the_will_of_who_is_disconnected_is_nothing_that_its_publisher_answers_for() -> None:
    world = world_of("disconnect")
    away(world, "full", "will")
    for _ in range(ROOM):
        world.publish("will", b"x", 1)
    slow(world, will=Will("will", b"gone", 1))
    assert publish(world.client("alice"), 3 + ROOM) == [0] * (1 + ROOM) + [0, ReasonCode.NO_MATCHING_SUBSCRIBERS]
    assert dropped(world, "full") == 1


def test_who_comes_back_in_the_same_turn_is_not_disconnected_for_the_connection_before() -> None:
    world = world_of("disconnect")
    slow(world, expiry=FOR_EVER)
    for _ in range(2 + ROOM):
        world.publish("t", b"x", 1)
    again = Client(world, "slow")
    again.connect(clean_start=False, expiry=FOR_EVER)
    assert again.connection is not None
    again.connection.receive(again.outbox.take(), world.now)
    world.settle()
    assert again.is_open


def test_a_client_that_does_not_read_qos_0_is_disconnected_where_that_is_the_policy() -> None:
    world = World(queue_policies=("t=disconnect",), max_output_bytes=200)
    bob, patient = world.client("bob"), world.client("patient")
    bob.subscribe("t", 0)
    patient.subscribe("+", 0)
    for client in (bob, patient):
        client.line.is_blocked = True
    for _ in range(5):
        world.publish("t", b"x" * 100)
    world.turn()
    assert bob.connection is not None and not bob.connection.is_open
    assert patient.connection is not None and patient.connection.is_open
    assert patient.session.statistics.dropped_output_full == 3
