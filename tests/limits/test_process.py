"""The limits on what the process as a whole may use: memory, the time of its loop, what it remembers."""

import asyncio
import time

import pytest

from linnet.errors import ReasonCode
from linnet.wire import V3_1_1, V5, Connack, Connect, Publish, Version
from tests.limits.proof import Deaf, Proof, eventually, proving
from tests.peer import Peer

both = pytest.mark.parametrize("version", [V3_1_1, V5], ids=["3.1.1", "5.0"])
LITTLE = 1  # byte of memory, which is always less than what is in use


async def turned_away(proof: Proof, peer: Peer, client_id: str) -> None:
    """Who was accepted, and has not said CONNECT yet, is told to come later."""
    peer.send(Connect(client_id, version=peer.version))
    connack = await peer.expect(Connack)
    wanted = ReasonCode.SERVER_BUSY if peer.version is V5 else ReasonCode.SERVER_UNAVAILABLE
    assert connack.reason_code == wanted
    assert await peer.closed() == []


async def waits_in_the_backlog(proof: Proof) -> Peer:
    """A connection that the system has made and the broker does not accept."""
    accepted = proof.broker.statistics.accepted
    waiting = await Peer.raw(proof.broker)
    waiting.send(Connect("waiting"))
    await proof.beside.peer.ping()
    await proof.beside.peer.ping()
    assert proof.broker.statistics.accepted == accepted
    return waiting


@both
async def test_memory_high(caplog: pytest.LogCaptureFixture, version: Version) -> None:
    """Nobody is let in, no new topic is retained, QoS 0 does not wait; and all is well when there is memory again."""
    async with (
        proving(caplog, memory_max=0) as proof,
        Peer(proof.broker, "ann", version) as ann,
        Peer.raw(proof.broker, version) as early,
    ):
        deaf = await Deaf.connect(proof.broker, version)
        await ann.publish("old", b"x", qos=1, retain=True)
        proof.broker.reload(memory_limit=LITTLE)
        await proof.reached("memory_high")
        await turned_away(proof, early, "early")
        waiting = await waits_in_the_backlog(proof)
        code = (await ann.publish("new", b"x", qos=1, retain=True)).reason_code
        assert code == (ReasonCode.QUOTA_EXCEEDED if version is V5 else 0)
        await ann.publish("old", b"y", qos=1, retain=True)
        assert proof.broker.statistics.retained_messages == 1
        while proof.broker.statistics.traffic.dropped_output_full == 0:
            await ann.publish("t", b"x" * 10_000)
            await ann.ping()
        assert proof.broker.statistics.output_bytes <= 10_100
        proof.broker.reload(memory_limit=0, memory_high=100)
        assert (await waiting.expect(Connack)).reason_code == 0
        assert (await ann.publish("new", b"x", qos=1, retain=True)).reason_code in (
            0,
            ReasonCode.NO_MATCHING_SUBSCRIBERS,
        )
        assert proof.broker.statistics.retained_messages == 2
        waiting.abort()
        deaf.leave()


@both
async def test_memory_max(caplog: pytest.LogCaptureFixture, version: Version) -> None:
    """The client that most waits for is cut."""
    async with (
        proving(caplog, memory_high=0) as proof,
        Peer(proof.broker, "ann", version) as ann,
        Peer(proof.broker, "joe", manual=True) as joe,
    ):
        deaf = await Deaf.connect(proof.broker, version)
        await joe.subscribe("joe", qos=1)
        await ann.publish("joe", b"x" * 100, qos=1)
        for _ in range(20):
            await ann.publish("t", b"x" * 20_000)
        await eventually(lambda: proof.broker.statistics.output_bytes > 0, "something to wait for bob")
        proof.broker.reload(memory_limit=LITTLE)
        await eventually(lambda: proof.count("memory_max"), "the first to be cut")
        proof.broker.reload(memory_limit=0, memory_max=100)
        await proof.reached("memory_max", client_id="bob")
        await deaf.closed()
        assert "bob" not in proof.broker.sessions
        (line,) = proof.lines("connections", event="disconnected", client_id="bob")
        assert "memory_max" in line.detail
        await ann.ping()
        await joe.ping()


async def test_memory_max_and_nobody_to_blame(caplog: pytest.LogCaptureFixture) -> None:
    async with proving(caplog, memory_high=0, memory_limit=LITTLE) as proof, Peer(proof.broker, "ann") as ann:
        line = await proof.reached("memory_max")
        assert "no client has anything waiting" in line.detail or line.client_id == "well-behaved"
        await ann.ping()


@both
async def test_max_loop_lag(caplog: pytest.LogCaptureFixture, version: Version) -> None:
    async with proving(caplog, max_loop_lag=0.05) as proof, Peer.raw(proof.broker, version) as early:
        pressure = proof.broker.pressure
        assert pressure is not None
        while pressure.started > time.perf_counter() - 0.9:  # it is about to look  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        time.sleep(0.25)  # noqa: ASYNC251 the loop is held up
        await proof.reached("max_loop_lag")
        await turned_away(proof, early, "early")
        waiting = await waits_in_the_backlog(proof)
        assert (await waiting.expect(Connack)).reason_code == 0
        waiting.abort()


async def test_max_routes(caplog: pytest.LogCaptureFixture) -> None:
    """More topics than are remembered: they are forgotten and found again, and every message arrives."""
    async with (
        proving(caplog, max_routes=10) as proof,
        Peer(proof.broker, "bob") as bob,
        Peer(proof.broker, "ann") as ann,
    ):
        await bob.subscribe("t/+")
        for number in range(100):
            await ann.publish(f"t/{number % 50}", b"%d" % number)
            assert proof.broker.statistics.routes <= 10
        for number in range(100):
            assert (await bob.expect(Publish)).payload == b"%d" % number
        await proof.reached("max_routes", 5)


async def test_delivery_budget(caplog: pytest.LogCaptureFixture) -> None:
    """A message to many goes out in slices: its publisher waits, others do not, and order holds. That is no event."""
    async with (
        proving(caplog, pause=0, delivery_budget=8) as proof,
        Peer(proof.broker, "ann") as ann,
    ):
        many = [await Peer(proof.broker, f"c{number}") for number in range(100)]
        for peer in many:
            await peer.subscribe("t", qos=1)
        before = proof.beside.rounds
        acks = asyncio.gather(*(ann.publish("t", b"%d" % number, qos=1) for number in range(10)))
        await eventually(lambda: all(len(peer.inbox) == 10 for peer in many), "ten messages for each")
        for peer in many:
            assert [message.payload for message in peer.inbox] == [b"%d" % number for number in range(10)]
        assert [ack.reason_code for ack in await acks] == [0] * 10
        assert proof.beside.rounds > before
        assert proof.broker.statistics.limits == {}
        for peer in many:
            peer.abort()
