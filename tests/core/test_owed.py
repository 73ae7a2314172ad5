"""Publishers that are held back: when their acknowledgements leave, in which order, and what may be sent meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from linnet.errors import ReasonCode
from linnet.wire import V3_1_1, V5, Disconnect, Puback, Pubcomp, Publish, Pubrec, Pubrel, SubscriptionOptions, Version
from tests.pair import FOR_EVER, Client, World

NEVER = 500.0  # seconds; no test waits so long


def holding(subscribers: int = 1, **settings: Any) -> tuple[World, list[Client]]:
    """Clients that acknowledge nothing, each with one message in flight and a full queue of one."""
    world = World(
        **{"queue_policy": "hold", "max_queued_messages": 1, "max_inflight": 1, "hold_timeout": NEVER, **settings}
    )
    slow = [world.client(f"slow-{number}", expiry=FOR_EVER) for number in range(subscribers)]
    for number, client in enumerate(slow):
        client.subscribe([(f"to/{number}", options(2)), ("to/all", options(2))])
        client.acknowledges = False
        for name in ("in flight", "waits"):
            world.publish(f"to/{number}", name.encode(), 1)
    world.settle()
    assert [len(client.got) for client in slow] == [1] * subscribers
    return world, slow


def options(qos: int) -> SubscriptionOptions:
    return SubscriptionOptions(qos)


def acks(client: Client) -> list[tuple[str, int, int]]:
    """The acknowledgements that a publisher got: their types, packet identifiers and reason codes."""
    return [
        (type(packet).__name__, packet.packet_id, packet.reason_code)
        for packet in client.packets
        if isinstance(packet, Puback | Pubrec)
    ]


def drain(client: Client) -> None:
    """The slow one takes everything from now on."""
    client.acknowledges = True
    client.acknowledge()
    client.settle()


@pytest.mark.parametrize("version", [V3_1_1, V5])
@pytest.mark.parametrize(("qos", "ack"), [(1, "Puback"), (2, "Pubrec")])
def test_an_acknowledgement_is_withheld_until_there_is_room(version: Version, qos: int, ack: str) -> None:
    world, (slow,) = holding()
    alice = world.client("alice", version=version)
    alice.publish("to/0", b"held", qos)
    world.settle()
    assert acks(alice) == []
    drain(slow)
    assert acks(alice) == [(ack, 1, 0)]
    assert slow.payloads == [b"in flight", b"waits", b"held"]


@pytest.mark.parametrize("version", [V3_1_1, V5])
def test_acknowledgements_leave_in_the_order_of_the_messages(version: Version) -> None:
    """[MQTT-4.6.0-2, MQTT-4.6.0-3]"""
    world, slow = holding(2)
    alice = world.client("alice", version=version)
    for topic, qos in (("to/0", 1), ("nobody", 1), ("to/1", 2), ("nobody", 2), ("to/0", 2), ("nobody", 1)):
        alice.publish(topic, b"x", qos)
    world.settle()
    assert acks(alice) == []
    drain(slow[1])
    assert acks(alice) == []  # what came before it still waits for another
    drain(slow[0])
    assert [packet_id for _, packet_id, _ in acks(alice)] == [1, 2, 3, 4, 5, 6]


def test_a_message_for_several_waits_for_all_of_them() -> None:
    world, slow = holding(3)
    alice = world.client("alice")
    alice.publish("to/all", b"x", 1)
    world.settle()
    drain(slow[0])
    drain(slow[2])
    assert acks(alice) == []
    drain(slow[1])
    assert acks(alice) == [("Puback", 1, 0)]


def end_by_cut(world: World, slow: Client) -> None:
    slow.cut()


def end_by_takeover(world: World, slow: Client) -> None:
    world.client(slow.client_id, clean_start=False, expiry=FOR_EVER).acknowledges = False


def end_by_clean_start(world: World, slow: Client) -> None:
    world.client(slow.client_id, clean_start=True)


def end_by_timeout(world: World, slow: Client) -> None:
    world.advance(NEVER + 2)
    assert not slow.is_open
    assert slow.the(Disconnect).reason_code == ReasonCode.QUOTA_EXCEEDED
    assert world.core.ledger.limits["hold_timeout"] == 1


@pytest.mark.parametrize("end", [end_by_cut, end_by_takeover, end_by_clean_start, end_by_timeout])
def test_every_hold_ends(end: Any) -> None:
    world, (slow,) = holding()
    alice = world.client("alice")
    alice.publish("to/0", b"held", 1)
    world.settle()
    assert acks(alice) == []
    end(world, slow)
    world.settle()
    assert acks(alice) == [("Puback", 1, 0)]
    assert alice.connection is not None and alice.connection.owed is None


def test_who_makes_progress_is_not_disconnected_however_slow_it_is() -> None:
    world, (slow,) = holding(hold_timeout=10.0)
    alice = world.client("alice")
    for _ in range(5):
        alice.publish("to/0", b"held", 1)
    world.settle()
    for _ in range(6):
        world.advance(8.0)
        slow.acknowledge(1)
        world.settle()
    assert slow.is_open
    world.advance(12.0)
    assert slow.is_open and acks(alice)[-1] == ("Puback", 5, 0)  # nobody waits for it any more


def test_a_5_0_publisher_may_have_as_many_under_way_as_it_was_told_whatever_their_qos() -> None:
    """[MQTT-3.3.4-9] A message of QoS 2 that is held is one message, not two."""
    world, _ = holding(receive_maximum=6)
    alice = world.client("alice")
    for qos in (1, 2, 2, 1, 2, 2, 2, 2):
        alice.publish("to/0", b"x", qos)
    world.settle()
    assert alice.is_open and len(alice.sender.in_flight) == 6
    alice.send(Publish("to/0", b"one too many", 1, packet_id=100))
    world.settle()
    assert not alice.is_open
    assert alice.the(Disconnect).reason_code == ReasonCode.RECEIVE_MAXIMUM_EXCEEDED
    assert world.core.ledger.limits["receive_maximum"] == 1


def test_a_refused_message_counts_until_its_publisher_is_told() -> None:
    world, _ = holding(receive_maximum=2)
    away = world.client("away", expiry=FOR_EVER)
    away.subscribe("away", 2)
    away.cut()
    world.publish("away", b"fills it", 1)
    alice = world.client("alice")
    alice.publish("to/0", b"x", 1)
    alice.publish("away", b"lost", 2)
    world.settle()
    assert acks(alice) == []
    alice.send(Publish("nobody", b"one too many", 2, packet_id=100))
    world.settle()
    assert alice.the(Disconnect).reason_code == ReasonCode.RECEIVE_MAXIMUM_EXCEEDED


def test_an_older_publisher_is_not_read_while_too_much_is_held() -> None:
    world, (slow,) = holding(receive_maximum_3=3)
    alice = world.client("alice", version=V3_1_1)
    for number in range(3):
        assert not alice.line.is_paused
        alice.publish("to/0", b"%d" % number, 1 + number % 2)
        world.settle()
    assert alice.line.is_paused
    for number in range(3, 8):
        alice.publish("to/0", b"%d" % number, 1)
    world.settle()
    assert slow.session.sender.waiting is not None and len(slow.session.sender.waiting) == 4
    drain(slow)
    assert not alice.line.is_paused
    assert [packet_id for _, packet_id, _ in acks(alice)] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert slow.payloads[2:] == [b"%d" % number for number in range(8)]


def test_a_held_message_of_qos_2_that_is_sent_again_is_not_delivered_twice() -> None:
    """[MQTT-4.3.3-10]"""
    world, (slow,) = holding()
    alice = world.client("alice", clean_start=False, expiry=FOR_EVER)
    alice.publish("to/0", b"once", 2)
    world.settle()
    alice.cut()
    alice.connect(clean_start=False, expiry=FOR_EVER)
    world.settle()
    assert [packet.reason_code for packet in alice.all(Pubcomp)] == [0]
    drain(slow)
    assert slow.payloads == [b"in flight", b"waits", b"once"]


def test_a_message_of_qos_2_sent_again_on_the_same_connection_waits_too() -> None:
    world, (slow,) = holding()
    alice = world.client("alice", version=V3_1_1)
    for dup in (False, True):
        alice.send(Publish("to/0", b"once", 2, dup=dup, packet_id=7))
    world.settle()
    assert acks(alice) == []
    drain(slow)
    assert acks(alice) == [("Pubrec", 7, 0)] * 2
    assert slow.payloads == [b"in flight", b"waits", b"once"]


def test_what_is_owed_to_who_has_gone_is_forgotten() -> None:
    world, (slow,) = holding()
    alice = world.client("alice")
    connection = alice.connection
    assert connection is not None
    alice.publish("to/0", b"x", 1)
    world.settle()
    alice.cut()
    count = connection.statistics.puback_sent
    drain(slow)
    assert slow.payloads == [b"in flight", b"waits", b"x"]
    assert (connection.statistics.puback_sent, connection.outbox.size) == (count, 0)
    assert world.core.ledger.past.bytes_sent == connection.statistics.bytes_sent


def test_a_refused_message_that_another_queue_took_waits_for_that_queue() -> None:
    """Else whoever is refused again and again could fill a queue that holds back, beyond every bound."""
    world, (slow,) = holding(receive_maximum=3)
    away = world.client("away", expiry=FOR_EVER)
    away.subscribe("to/all", 1)
    away.cut()
    world.publish("to/all", b"fills both", 1)
    alice = world.client("alice")
    for _ in range(20):
        alice.publish("to/all", b"x", 1)
    world.settle()
    assert acks(alice) == []
    assert slow.session.sender.waiting is not None and len(slow.session.sender.waiting) == 1 + 3
    drain(slow)
    assert acks(alice) == [("Puback", number, ReasonCode.QUOTA_EXCEEDED) for number in range(1, 21)]


def test_a_client_may_hold_itself_back() -> None:
    world = World(queue_policy="hold", max_queued_messages=1, max_inflight=1, hold_timeout=NEVER)
    alice = world.client("alice")
    alice.subscribe("own", 1)
    alice.acknowledges = False
    for number in range(6):
        alice.publish("own", b"%d" % number, 1)
    world.settle()
    assert len(acks(alice)) == 2
    drain(alice)
    assert len(acks(alice)) == 6
    assert alice.payloads == [b"%d" % number for number in range(6)]


def test_a_pubrel_of_what_is_held_is_answered_at_once() -> None:
    world, (slow,) = holding()
    alice = world.client("alice", version=V3_1_1)
    alice.send(Publish("to/0", b"once", 2, packet_id=7))
    alice.send(Pubrel(7))
    world.settle()
    assert [packet.packet_id for packet in alice.all(Pubcomp)] == [7]
    drain(slow)
    assert acks(alice) == [("Pubrec", 7, 0)]
