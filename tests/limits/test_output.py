"""The limits on what one connection may cost: what it does not read, and how fast it sends."""

import asyncio

import pytest

from linnet.errors import ReasonCode
from linnet.wire import (
    V3_1_1,
    V5,
    FrameReader,
    Pingreq,
    Properties,
    Publish,
    Subscribe,
    SubscriptionOptions,
    Version,
)
from linnet.wire.header import PacketType
from tests.limits.proof import Deaf, Proof, ended, eventually, proving
from tests.peer import Peer

both = pytest.mark.parametrize("version", [V3_1_1, V5], ids=["3.1.1", "5.0"])
LARGE = b"x" * 50_000


@both
async def test_max_output_bytes_drops_qos_0(caplog: pytest.LogCaptureFixture, version: Version) -> None:
    """Who does not read misses some; who reads gets all, and who slept gets what comes after."""
    async with (
        proving(caplog, max_output_bytes=100_000) as proof,
        Peer(proof.broker, "joe") as joe,
        Peer(proof.broker, "ann") as ann,
    ):
        bob = await Deaf.connect(proof.broker, version, qos=1)
        await joe.subscribe("t", qos=1)
        sent = 0
        while proof.broker.statistics.traffic.dropped_output_full < 3:
            await ann.publish("t", LARGE)
            await ann.ping()
            sent += 1
        await proof.dropped("output_full", "bob", 3)
        await proof.reached("max_output_bytes", 3, client_id="bob")
        assert proof.broker.statistics.output_bytes < 100_000 + len(LARGE) + 100
        await ann.publish("t", b"important", qos=1)
        count = await bob.read(lambda frames: frames.data[frames.start : frames.stop].endswith(b"important"))
        assert count == sent - proof.broker.statistics.traffic.dropped_output_full + 1
        await eventually(lambda: len(joe.inbox) == sent + 1, "all for the one who reads")
        bob.leave()


@both
@pytest.mark.parametrize("question", ["PINGREQ", "SUBSCRIBE"])
async def test_max_output_bytes_and_who_asks_and_does_not_read(
    caplog: pytest.LogCaptureFixture, version: Version, question: str
) -> None:
    """It is not read either, until it reads; then it gets every answer."""
    filters = [("t", SubscriptionOptions(0))] * 100
    packet = Pingreq() if question == "PINGREQ" else Subscribe(7, filters, Properties())
    answer = PacketType.PINGRESP if question == "PINGREQ" else PacketType.SUBACK
    burst = packet.encode(version) * (2000 if question == "PINGREQ" else 20)
    async with proving(caplog, max_output_bytes=5_000) as proof:
        bob = await Deaf.connect(proof.broker, version, qos=1)
        while proof.count("max_output_bytes") == 0:
            bob.send(burst)
            await asyncio.sleep(0)
        line = await proof.reached("max_output_bytes", client_id="bob")
        assert "not read" in line.detail
        assert proof.broker.statistics.output_bytes < 2 * 5_000 + 10 * len(burst)
        bob.send(Publish("t", b"the end", 1, packet_id=1).encode(version))
        answers = 0

        def is_the_end(frames: FrameReader) -> bool:
            nonlocal answers
            answers += frames.header >> 4 == answer
            return frames.header >> 4 == Publish.type

        await bob.read(is_the_end)
        traffic = proof.broker.statistics.traffic
        assert answers == (
            traffic.pingreq - traffic_of_others(proof) if question == "PINGREQ" else traffic.subscribe - 1
        )
        bob.leave()


def traffic_of_others(proof: Proof) -> int:
    """PINGREQs of the client beside."""
    connection = proof.broker.sessions["well-behaved"].connection
    assert connection is not None
    return connection.statistics.pingreq


async def flood(proof: Proof, version: Version, limit: str, qos: int) -> None:
    """Bob does not read what he wants to have, and is given up; nobody else is."""
    bob = await Deaf.connect(proof.broker, version, qos=qos)
    async with Peer(proof.broker, "ann") as ann:
        while proof.count(limit) == 0:
            await ann.publish("t", LARGE, qos=qos)
            await ann.ping()
        await proof.reached(limit, client_id="bob")
        await ann.nothing()
    assert "bob" not in proof.broker.sessions
    (line,) = proof.lines("connections", event="disconnected", client_id="bob")
    assert limit in line.detail
    await bob.closed()


@both
async def test_max_output_bytes_hard(caplog: pytest.LogCaptureFixture, version: Version) -> None:
    """The connection is cut: what would say why would wait behind all the rest."""
    settings = {"max_inflight": 65535, "max_output_bytes": 100_000, "max_output_bytes_hard": 300_000}
    async with proving(caplog, **settings) as proof:
        await flood(proof, version, "max_output_bytes_hard", 1)


@both
async def test_write_timeout(caplog: pytest.LogCaptureFixture, version: Version) -> None:
    async with proving(caplog, write_timeout=0.1) as proof:
        await flood(proof, version, "write_timeout", 0)


async def test_write_timeout_spares_who_reads_slowly(caplog: pytest.LogCaptureFixture) -> None:
    async with proving(caplog, write_timeout=0.5) as proof:
        bob = await Deaf.connect(proof.broker, V5)
        for _ in range(20):
            await proof.broker.publish("t", LARGE)
        await proof.broker.publish("t", b"the end")
        for _ in range(20):
            await bob.reader.readexactly(len(LARGE))
            await asyncio.sleep(0.05)
        assert proof.count("write_timeout") == 0
        assert "bob" in proof.broker.sessions
        bob.leave()


rates = pytest.mark.parametrize(
    ("limit", "most", "payload"), [("max_publish_rate", 200, b"x"), ("max_byte_rate", 20_000, b"x" * 90)]
)


@both
@rates
@pytest.mark.parametrize("qos", [0, 1])
async def test_a_rate_delays(
    caplog: pytest.LogCaptureFixture, version: Version, limit: str, most: int, payload: bytes, qos: int
) -> None:
    """Who is too fast is not read for a while: all arrives, and later."""
    async with (
        proving(caplog, pause=0.05, **{limit: most}) as proof,
        Peer(proof.broker, "bob") as bob,
        Peer(proof.broker, "ann", version) as ann,
    ):
        await bob.subscribe("t")
        for number in range(250):
            ann.send(Publish("t", payload, qos, packet_id=number + 1 if qos else 0))
        line = await proof.reached(limit, client_id="ann")
        assert "not read for" in line.detail
        if limit == "max_publish_rate":
            assert len(bob.inbox) < 250
        await eventually(lambda: len(bob.inbox) == 250, "every message")
        await ann.ping()


@both
@rates
async def test_a_rate_disconnects(
    caplog: pytest.LogCaptureFixture, version: Version, limit: str, most: int, payload: bytes
) -> None:
    async with (
        proving(caplog, pause=0.05, rate_policy="disconnect", **{limit: most}) as proof,
        Peer(proof.broker, "ann", version) as ann,
    ):
        for _ in range(250):
            ann.send(Publish("t", payload))
        await ended(ann, ReasonCode.MESSAGE_RATE_TOO_HIGH)
        await proof.reached(limit, client_id="ann")
