"""Where very many have something to write, or to get, that happens in slices, and nobody else waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from linnet import Broker
from linnet.core.fanout import Fanout
from linnet.errors import ProtocolError, ReasonCode
from linnet.net import turn as turn_module
from linnet.net.loop import IS_AVAILABLE, TurnLoop
from linnet.wire import V3_1_1, V5, Disconnect, Message, Pingreq, Pingresp, Puback, Publish
from tests.conftest import MakeBroker
from tests.net.loops import LoopFactory, run_on
from tests.net.transport import Place, Transport, said, turns
from tests.peer import Peer

MOST = 4  # writes in a turn
MANY = 15


@pytest.fixture
def few_writes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A turn writes little."""
    monkeypatch.setattr(turn_module, "MOST_WRITES", MOST)
    yield


async def crowd(place: Place, count: int = MANY) -> list[tuple[Any, Transport]]:
    return [await place.client(f"{number}", "t") for number in range(count)]


def written(transports: list[tuple[Any, Transport]]) -> int:
    return sum(bool(transport.writes) for _, transport in transports)


@pytest.mark.usefixtures("few_writes")
async def test_very_many_writes_are_done_in_slices_and_none_is_forgotten() -> None:
    place = Place()
    streams = await crowd(place)
    alice, line = await place.client("alice")
    alice.data_received(Publish("t", b"x", 0).encode(V5) + Pingreq().encode(V5))
    place.turn.end()
    assert written(streams) == MOST
    assert [type(packet) for packet in said(line)] == [Pingresp]  # who has asked does not wait
    await turns(2 * MANY)
    assert [[packet.payload for packet in said(one)] for _, one in streams] == [[b"x"]] * MANY
    assert not place.turn.unwritten and not place.turn.is_open
    place.turn.stop()


@pytest.mark.usefixtures("few_writes")
async def test_what_comes_meanwhile_keeps_its_order() -> None:
    place = Place()
    streams = await crowd(place)
    alice, _ = await place.client("alice")
    for number in range(10):
        alice.data_received(Publish("t", b"%d" % number, 0).encode(V5))
        place.turn.end()
    await turns(3 * MANY)
    expected = [b"%d" % number for number in range(10)]
    assert [[packet.payload for packet in said(one)] for _, one in streams] == [expected] * MANY
    place.turn.stop()


@pytest.mark.usefixtures("few_writes")
async def test_last_words_are_written_before_the_end_whoever_has_to_wait() -> None:
    place = Place()
    streams = await crowd(place)
    alice, _ = await place.client("alice")
    alice.data_received(Publish("t", b"x", 0).encode(V5))
    last, line = streams[-1]
    last.connection.close(ReasonCode.ADMINISTRATIVE_ACTION, "go", place.turn.begin())
    place.turn.end()
    assert [type(packet) for packet in said(line)] == [Publish, Disconnect]
    assert line.said_eof
    await turns(2 * MANY)
    assert [type(packet) for packet in said(line)] == [Publish, Disconnect]
    for stream, _ in streams:
        stream.connection_lost(None)
    await turns()
    place.turn.stop()


@pytest.mark.usefixtures("few_writes")
async def test_a_stream_that_ended_meanwhile_is_passed_over() -> None:
    place = Place()
    streams = await crowd(place)
    alice, _ = await place.client("alice")
    alice.data_received(Publish("t", b"x", 0).encode(V5))
    for stream, _ in streams[::2]:
        stream.connection_lost(None)
    place.turn.end()
    for stream, _ in streams[1::4]:
        stream.connection_lost(ConnectionResetError())
    await turns(2 * MANY)
    assert not place.turn.unwritten
    for _, line in streams[3::4]:
        assert [type(packet) for packet in said(line)] == [Publish]
    place.turn.stop()


@pytest.mark.usefixtures("few_writes")
async def test_a_broker_that_stops_has_written_everything() -> None:
    place = Place()
    streams = await crowd(place)
    alice, _ = await place.client("alice")
    alice.data_received(Publish("t", b"x", 0).encode(V5))
    place.turn.end()
    now = place.turn.begin()
    for stream, _ in streams:
        stream.connection.close(ReasonCode.SERVER_SHUTTING_DOWN, "stop", now)
    draining = asyncio.create_task(place.turn.drain(10))
    await turns()
    assert all(line.said_eof for _, line in streams)
    for stream in list(place.turn.streams):
        stream.connection_lost(None)
    await draining
    assert [[type(packet) for packet in said(one)] for _, one in streams] == [[Publish, Disconnect]] * MANY
    place.turn.stop()


async def a_write_gives_somebody_up() -> None:
    """The slow one is given up while the turn's writes are done; whom it held back does not wait for the clock."""
    place = Place(
        queue_policy="hold",
        max_queued_messages=1,
        max_inflight=1,
        receive_maximum_3=1,
        max_output_bytes=100,
        max_output_bytes_hard=500,
    )
    slow, _ = await place.client("slow", "t", qos=1)
    alice, line = place.stream()
    alice.data_received(b"\x10\x11\x00\x04MQTT\x04\x02\x00\x00\x00\x05alice")
    for number in range(3):
        alice.data_received(Publish("t", b"x", 1, packet_id=number + 1).encode(V3_1_1))
    await turns()
    assert not line.is_reading
    assert slow.outbox is not None and slow.connection is not None
    slow.is_blocked = True
    place.turn.begin()
    slow.outbox.put(b"\xd0\x00" * 300)
    goes_on = asyncio.Event()
    setattr(line, "resume_reading", goes_on.set)  # noqa: B010
    async with asyncio.timeout(5):
        await goes_on.wait()
    assert not slow.connection.is_open
    place.turn.stop()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, *([TurnLoop] if IS_AVAILABLE else [])])
def test_who_may_go_on_because_a_write_failed_goes_on_in_the_next_turn(loop: LoopFactory) -> None:
    assert run_on(loop, a_write_gives_somebody_up) == []


async def subscribers(broker: Broker, count: int, qos: int = 1) -> list[Peer]:
    peers = [await Peer(broker, f"{number}") for number in range(count)]
    for peer in peers:
        await peer.subscribe("t", qos=qos)
    return peers


async def test_publish_returns_when_the_last_of_very_many_was_given_it(make_broker: MakeBroker) -> None:
    broker = await make_broker(delivery_budget=8)
    peers = await subscribers(broker, 9)
    assert await broker.publish("t", b"0", qos=1) == 9
    assert not broker.core.chores.fanouts
    for number in range(1, 4):
        assert await broker.publish("t", b"%d" % number, qos=1) == 9
    for peer in peers:
        assert [(await peer.expect(Publish)).payload for _ in range(4)] == [b"0", b"1", b"2", b"3"]
        await peer.disconnect()


async def test_publish_returns_when_the_broker_stops(make_broker: MakeBroker) -> None:
    broker = await make_broker(delivery_budget=4, stop_timeout=0.0)
    await subscribers(broker, 9)
    turn = broker.running()
    publishing = [asyncio.create_task(broker.publish("t", b"x", qos=1)) for _ in range(50)]
    await asyncio.sleep(0)
    assert len(broker.core.chores.fanouts) > 10
    assert turn.is_open
    await broker.stop()
    async with asyncio.timeout(10):
        counts = await asyncio.gather(*publishing)
    assert counts[-1] < 9


async def test_publish_may_be_cancelled_and_goes_on_all_the_same(make_broker: MakeBroker) -> None:
    broker = await make_broker(delivery_budget=4)
    peers = await subscribers(broker, 5)
    publishing = asyncio.create_task(broker.publish("t", b"x", qos=1))
    await asyncio.sleep(0)
    publishing.cancel()
    for peer in peers:
        assert (await peer.expect(Publish)).payload == b"x"
        await peer.disconnect()


async def test_publish_says_at_once_what_is_no_topic(make_broker: MakeBroker) -> None:
    broker = await make_broker(delivery_budget=4)
    with pytest.raises(ProtocolError):
        await broker.publish("t/#", b"x")


async def test_a_client_beside_a_wide_message_is_answered_before_the_last_one_has_it(make_broker: MakeBroker) -> None:
    broker = await make_broker(delivery_budget=4)
    peers = await subscribers(broker, 12)
    alice = await Peer(broker, "alice", version=V3_1_1)
    for number in range(5):
        alice.send(Publish("t", b"%d" % number, 1, packet_id=number + 1))
    for peer in peers:
        assert [(await peer.expect(Publish)).payload for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
    assert [(await alice.expect(Puback)).packet_id for _ in range(5)] == [1, 2, 3, 4, 5]
    for peer in (*peers, alice):
        await peer.disconnect()


def breaks(fanout: Fanout, now: float) -> None:
    raise RuntimeError("broken")


async def test_a_fault_in_one_fan_out_stops_nothing_else(
    make_broker: MakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once, and the broker goes on with everything else."""
    broker = await make_broker(delivery_budget=8)
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await ann.subscribe("t")
        await bob.subscribe("t")
        route = broker.core.router.find(b"t")
        broken = Message("t", b"broken")
        chores = broker.core.chores
        chores.fanouts.append(Fanout(broken, route, broker.core.backlog, breaks))
        await broker.publish("t", b"whole")
        for peer in (ann, bob):
            assert {(await peer.receive()).payload, (await peer.receive()).payload} == {b"broken", b"whole"}
            await peer.ping()
    faults = [record for record in caplog.records if record.exc_info]
    assert len(faults) == 1 and not chores.fanouts
