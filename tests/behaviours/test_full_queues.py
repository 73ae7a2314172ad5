"""Full queues, seen from outside: what the publisher is told, what the slow one gets, and whom it concerns besides."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from linnet import Broker
from linnet.errors import ReasonCode
from linnet.wire import V3_1, V3_1_1, V5, Disconnect, Properties, Puback, Pubcomp, Publish, Pubrec, Pubrel, Version
from tests.limits.proof import ended, eventually, proving
from tests.peer import Peer

STAYS = Properties(session_expiry_interval=600)
LOST = ReasonCode.QUOTA_EXCEEDED
ROOM = 3
SMALL: dict[str, Any] = {"max_queued_messages": ROOM, "max_inflight": 1}
versions = pytest.mark.parametrize("version", [V3_1, V3_1_1, V5])


async def publish(peer: Peer, count: int, qos: int, topic: str = "t") -> list[int]:
    """The reason codes of so many messages 0, 1, 2, ... that are published one after the other."""
    return [(await peer.publish(topic, b"%d" % number, qos)).reason_code for number in range(count)]


async def send(peer: Peer, numbers: range, qos: int = 1, topic: str = "t") -> None:
    """Publish without waiting for an acknowledgement."""
    for number in numbers:
        peer.send(Publish(topic, b"%d" % number, qos, packet_id=1000 + number))


async def take(peer: Peer, count: int) -> list[bytes]:
    """What a client gets that acknowledges from now on."""
    got: list[bytes] = []
    for packet in [one for one in peer.received if isinstance(one, Publish)]:
        peer.send(Puback(packet.packet_id) if packet.qos == 1 else Pubrec(packet.packet_id))
    peer.inbox.clear()
    while len(got) < count:
        packet = await peer.receive()
        if isinstance(packet, Publish):
            got.append(packet.payload)
            peer.send(Puback(packet.packet_id) if packet.qos == 1 else Pubrec(packet.packet_id))
        elif isinstance(packet, Pubrel):
            peer.send(Pubcomp(packet.packet_id))
    return got


@versions
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize(
    ("policy", "lost", "kept", "dropped"),
    [
        ("hold", 2, b"012", 2),
        ("refuse", 2, b"012", 0),
        ("drop_newest", 2, b"012", 2),
        ("drop_oldest", 0, b"234", 2),
        ("disconnect", 2, b"012", 2),
    ],
)
async def test_a_session_whose_client_is_away(
    caplog: pytest.LogCaptureFixture,
    version: Version,
    qos: int,
    policy: str,
    lost: int,
    kept: bytes,
    dropped: int,
) -> None:
    async with proving(caplog, queue_policy=policy, **SMALL) as proof:
        async with Peer(proof.broker, "bob", properties=STAYS) as bob:
            await bob.subscribe("t", qos=2)
        async with Peer(proof.broker, "alice", version) as alice:
            codes = await publish(alice, 5, qos)
        is_told = version is V5
        assert codes == [0] * (5 - lost) + [LOST if is_told else 0] * lost
        if not is_told and policy == "refuse":
            dropped = 2  # whoever cannot be told is not refused
        assert proof.broker.sessions["bob"].statistics.dropped_queue_full == dropped
        assert proof.broker.statistics.traffic.dropped == dropped
        assert proof.count("max_queued_messages") == 2
        async with Peer(proof.broker, "bob", clean_start=False) as bob:
            assert [(await bob.expect(Publish)).payload for _ in kept] == [b"%c" % one for one in kept]
            await bob.nothing()


@versions
@pytest.mark.parametrize("qos", [1, 2])
async def test_whoever_is_held_back_gets_its_acknowledgements_in_order_when_there_is_room(
    caplog: pytest.LogCaptureFixture, version: Version, qos: int
) -> None:
    """[MQTT-4.6.0-2, MQTT-4.6.0-3] A client of 3.x is not read meanwhile; one of 5.0 keeps to its Receive Maximum."""
    limits = {"receive_maximum": 40, "receive_maximum_3": 5}
    async with (
        proving(caplog, queue_policy="hold", **SMALL, **limits) as proof,
        Peer(proof.broker, "bob", version, manual=True) as bob,
        Peer(proof.broker, "alice", version, manual=True) as alice,
        Peer(proof.broker, "carol") as carol,
    ):
        await bob.subscribe("t", qos=qos)
        await carol.subscribe("t", qos=0)
        count = 20
        await send(alice, range(count), qos)
        unheld = 1 + ROOM
        kind = Puback if qos == 1 else Pubrec
        assert [(await alice.expect(kind)).packet_id for _ in range(unheld)] == [1000 + n for n in range(unheld)]
        seen = count if version is V5 else unheld + 5 - (unheld if qos == 2 else 0)
        assert [(await carol.expect(Publish)).payload for _ in range(seen)] == [b"%d" % n for n in range(seen)]
        await carol.nothing()  # of the others nothing has been read
        if version is V5:
            await alice.nothing()
        elif qos == 2:
            return  # whoever does not release does not get on: that is another limit, and another test
        assert await take(bob, count - 1) == [b"%d" % n for n in range(1, count)]
        assert [(await alice.expect(kind)).packet_id for _ in range(count - unheld)] == [
            1000 + n for n in range(unheld, count)
        ]
        await alice.ping()
        assert proof.broker.statistics.traffic.dropped == 0


@pytest.mark.parametrize("end", ["reset", "silence", "takeover", "disconnect"])
async def test_whoever_is_held_back_goes_on_when_the_slow_one_has_gone(
    caplog: pytest.LogCaptureFixture, end: str
) -> None:
    async with proving(caplog, queue_policy="hold", hold_timeout=0.1 if end == "silence" else 60.0, **SMALL) as proof:
        bob = await Peer(proof.broker, "bob", manual=True)
        await bob.subscribe("t", qos=1)
        async with Peer(proof.broker, "alice") as alice, Peer(proof.broker, "old", V3_1_1) as old:
            await send(alice, range(10))
            await send(old, range(10, 20))
            await eventually(lambda: proof.count("max_queued_messages") >= 1, "the queue to be full")
            if end == "reset":
                bob.abort()
            elif end == "takeover":
                await (await Peer(proof.broker, "bob")).disconnect()
            elif end == "disconnect":
                await bob.disconnect()
            else:
                assert (await bob.expect(Publish)).payload == b"0"
                await ended(bob, LOST)
                await proof.reached("hold_timeout", client_id="bob")
            acks = [(await alice.expect(Puback)).packet_id for _ in range(10)]
            assert acks == [1000 + number for number in range(10)]
            acks = [(await old.expect(Puback)).packet_id for _ in range(10)]
            assert acks == [1010 + number for number in range(10)]
        bob.abort()
        backlog = proof.broker.core.backlog
        await eventually(lambda: "bob" not in proof.broker.sessions, "the session to end")
        beside = len(proof.broker.sessions["well-behaved"].sender.in_flight)
        assert (backlog.messages, backlog.bytes, backlog.in_flight) == (0, 0, beside)


async def test_one_that_takes_no_byte_holds_back_its_own_publishers_and_nobody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings: dict[str, Any] = {
        "queue_policies": ["slow/#=hold"],
        "hold_timeout": 60.0,
        "max_queued_messages": 20,
        "max_inflight": 20,
    }
    async with (
        proving(caplog, **settings) as proof,
        Peer(proof.broker, "bob") as bob,
        Peer(proof.broker, "alice") as alice,
        Peer(proof.broker, "carol") as carol,
    ):
        await bob.subscribe("slow/#", qos=1)
        bob.reading(False)
        held = [asyncio.create_task(alice.publish("slow/t", bytes(20_000), qos=1)) for _ in range(60)]
        await eventually(lambda: proof.count("max_queued_messages") > 0, "the queue to be full")
        assert (await carol.publish("t", b"x", qos=2)).reason_code == 0
        bob.reading(True)
        assert [len((await bob.expect(Publish)).payload) for _ in range(60)] == [20_000] * 60
        assert {(await one).reason_code for one in held} == {0}


async def test_a_publisher_that_is_held_back_and_comes_back_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """[MQTT-4.3.3-10] What it sends again with QoS 2 is not delivered again."""
    async with (
        proving(caplog, queue_policy="hold", hold_timeout=60.0, **SMALL) as proof,
        Peer(proof.broker, "bob", manual=True) as bob,
    ):
        await bob.subscribe("t", qos=2)
        alice = await Peer(proof.broker, "alice", properties=STAYS, manual=True)
        await send(alice, range(6), 2)
        for _ in range(4):
            await alice.expect(Pubrec)
        await alice.nothing()
        alice.abort()
        async with Peer(proof.broker, "alice", clean_start=False, properties=STAYS, manual=True) as alice:
            for number in range(6):
                alice.send(Publish("t", b"%d" % number, 2, dup=True, packet_id=1000 + number))
            assert [(await alice.expect(Pubrec)).packet_id for _ in range(6)] == [1000 + n for n in range(6)]
            for number in range(6):
                alice.send(Pubrel(1000 + number))
            assert [(await alice.expect(Pubcomp)).reason_code for _ in range(6)] == [0] * 6
        assert await take(bob, 5) == [b"%d" % number for number in range(1, 6)]


@versions
async def test_the_slow_one_is_disconnected_and_gets_what_waited_when_it_returns(
    caplog: pytest.LogCaptureFixture, version: Version
) -> None:
    async with proving(caplog, queue_policy="disconnect", **SMALL) as proof:
        bob = await Peer(proof.broker, "bob", version, clean_start=False, properties=stays(version), manual=True)
        await bob.subscribe("t", qos=1)
        async with Peer(proof.broker, "alice") as alice:
            codes = await publish(alice, 6, 1)
        assert codes == [0] * 4 + [LOST] * 2
        assert (await bob.expect(Publish)).payload == b"0"
        await ended(bob, LOST)
        assert proof.broker.statistics.traffic.dropped_queue_full == 2
        async with Peer(proof.broker, "bob", version, clean_start=False, properties=stays(version)) as bob:
            got = [await bob.expect(Publish) for _ in range(4)]
            assert [(one.payload, one.dup) for one in got] == [
                (b"0", True),
                (b"1", False),
                (b"2", False),
                (b"3", False),
            ]
            await bob.nothing()


def stays(version: Version) -> Properties | None:
    return STAYS if version is V5 else None


async def test_drops_are_logged_once_a_second_with_their_number(caplog: pytest.LogCaptureFixture) -> None:
    async with proving(caplog, queue_policy="drop_newest", **SMALL) as proof:
        async with Peer(proof.broker, "bob", properties=STAYS) as bob:
            await bob.subscribe("t", qos=1)
        async with Peer(proof.broker, "alice") as alice:
            await publish(alice, ROOM, 1)
            await asyncio.gather(*(alice.publish("t", b"x", 1) for _ in range(60)))
        await proof.dropped("queue_full", "bob", 60)
        lines = proof.lines("drops")
        assert len(lines) <= 2
        await eventually(lambda: sum(line.count + line.left_out for line in proof.lines("drops")) == 60, "all told")
        assert "bob" in lines[0].getMessage() and "queue_full" in lines[0].getMessage()
        assert len(proof.lines("limits", limit="max_queued_messages")) <= 2


async def test_control_packets_are_never_dropped(broker: Broker) -> None:
    """Whatever the queues are like, every request has its answer."""
    broker.reload(max_queued_messages=0, max_inflight=1, max_output_bytes=1)
    async with Peer(broker, "bob", manual=True) as bob, Peer(broker, "alice") as alice:
        await bob.subscribe("t", qos=2)
        for number in range(50):
            assert (await alice.publish("t", b"%d" % number, qos=2)).reason_code in (0, ReasonCode.SUCCESS)
        first = await bob.expect(Publish)
        bob.send(Pubrec(first.packet_id))
        assert (await bob.expect(Pubrel)).packet_id == first.packet_id
        bob.send(Pubcomp(first.packet_id))
        assert (await bob.subscribe("u", qos=1)).reason_codes == [1]
        assert (await bob.unsubscribe("t")).reason_codes == [0]
        await bob.nothing()
    assert not any(isinstance(packet, Disconnect) for packet in bob.received)
