"""One client that is slow, silent or malicious delays no other."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from linnet.wire import (
    V3_1_1,
    V5,
    Connect,
    Pingreq,
    Properties,
    Publish,
    Subscribe,
    SubscriptionOptions,
    Unsubscribe,
    Version,
)
from tests.limits.proof import Deaf, Proof, all_of, eventually, proving
from tests.peer import Peer

both = pytest.mark.parametrize("version", [V3_1_1, V5], ids=["3.1.1", "5.0"])
PINGS = Pingreq().encode(V5) * 30_000


@asynccontextmanager
async def attacker(
    proof: Proof, octets: bytes, times: int, reads: bool = True, version: Version = V5
) -> AsyncIterator[threading.Thread]:
    """A client in a thread of its own, which sends this again and again as fast as it is taken, and perhaps reads."""
    sock = socket.create_connection(("127.0.0.1", proof.broker.port))
    sock.sendall(Connect("eve", version=version).encode(version))

    def attack() -> None:
        try:
            for _ in range(times):
                sock.sendall(octets)
        except OSError:
            pass  # it was cut

    def drain() -> None:
        try:
            while sock.recv(1 << 20):
                pass
        except OSError:
            pass

    threads = [threading.Thread(target=attack), *([threading.Thread(target=drain)] if reads else [])]
    for thread in threads:
        thread.start()
    try:
        yield threads[0]
    finally:
        sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            await asyncio.to_thread(thread.join)
        sock.close()


async def rounds(proof: Proof, count: int = 20) -> None:
    """The client beside is served so many times."""
    goal = proof.beside.rounds + count
    await eventually(lambda: proof.beside.rounds >= goal, "the client beside to be served")


async def subscribed(proof: Proof, count: int) -> None:
    """So many subscriptions there are."""
    await eventually(lambda: proof.broker.statistics.subscriptions == count, f"{count} subscriptions")


def counted(proof: Proof, what: str, count: int) -> Callable[[], bool]:
    return lambda: getattr(proof.broker.statistics.traffic, what) >= count


async def test_two_hundred_drip_their_connect(caplog: pytest.LogCaptureFixture) -> None:
    connect = Connect("c" * 100).encode(V5)
    async with proving(caplog, connect_timeout=0.5) as proof:
        slow = await all_of([Peer.raw(proof.broker).__aenter__() for _ in range(200)])
        for octet in connect:
            for peer in slow:
                if not peer._line.lost:
                    peer.send(bytes((octet,)))
            await asyncio.sleep(0.01)
            if proof.count("connect_timeout") == 200:
                break
        for peer in slow:
            assert await peer.closed() == []
        await proof.reached("connect_timeout", 200)


@pytest.mark.parametrize("reads", [True, False], ids=["reading", "deaf"])
async def test_a_flood_of_pings(caplog: pytest.LogCaptureFixture, reads: bool) -> None:
    async with proving(caplog, pause=0) as proof, attacker(proof, PINGS, 10, reads) as thread:
        if reads:
            await eventually(counted(proof, "pingreq", 300_000), "all the pings")
        await rounds(proof)
        assert reads or thread.is_alive() or proof.broker.statistics.output_bytes <= 8 << 20


async def test_a_churn_of_wildcard_subscriptions(caplog: pytest.LogCaptureFixture) -> None:
    names = [f"{'+/' * (number % 7)}x{number}/#" for number in range(500)]
    options = SubscriptionOptions(1)
    octets = Subscribe(1, [(name, options) for name in names], Properties()).encode(V5)
    octets += Unsubscribe(2, names, Properties()).encode(V5)
    async with proving(caplog, pause=0) as proof, attacker(proof, octets, 100):
        await eventually(counted(proof, "unsubscribe", 100), "all the churn")
        await rounds(proof)
        assert proof.broker.statistics.subscriptions == 1


async def test_everything_that_is_retained_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    async with proving(caplog, pause=0) as proof:
        for number in range(4_000):
            await proof.broker.publish(f"t/{number % 100}/{number}", b"x" * 20, retain=True)
            if number % 500 == 0:
                await asyncio.sleep(0)
        octets = b"".join(
            Subscribe(number, [("#", SubscriptionOptions(0))], Properties()).encode(V5) for number in (1, 2, 3)
        )
        async with attacker(proof, octets, 1):
            await eventually(counted(proof, "publish0_sent", 12_000), "all that is retained, three times")
            await rounds(proof)


@pytest.mark.parametrize("qos", [0, 1])
async def test_a_reader_that_never_reads(caplog: pytest.LogCaptureFixture, qos: int) -> None:
    async with proving(caplog, pause=0, max_output_bytes=100_000, max_queued_messages=100) as proof:
        bob = await Deaf.connect(proof.broker, V5, qos=qos)
        async with Peer(proof.broker, "joe") as joe:
            await joe.subscribe("t", qos=qos)
            packets = [Publish("t", b"x" * 1000, qos, packet_id=n if qos else 0).encode(V5) for n in range(1, 51)]
            async with attacker(proof, b"".join(packets), 40 if qos == 0 else 1):
                wanted = 2000 if qos == 0 else 50
                await eventually(lambda: len(joe.inbox) >= wanted, "all for the one who reads")
            assert "bob" in proof.broker.sessions
            if qos == 0:
                await proof.dropped("output_full", "bob")
            assert proof.broker.statistics.output_bytes <= 200_000
        bob.leave()


async def test_a_fan_out_to_two_thousand(caplog: pytest.LogCaptureFixture) -> None:
    """Every one gets each, in order, and nobody else has to wait for that."""
    octets = Subscribe(1, [("t", SubscriptionOptions(0))], Properties()).encode(V5)
    async with proving(caplog, pause=0) as proof:
        socks: list[socket.socket] = []
        for count in range(50, 2050, 50):
            socks += [socket.create_connection(("127.0.0.1", proof.broker.port)) for _ in range(50)]
            for number, sock in enumerate(socks[-50:], count):
                sock.sendall(Connect(f"c{number}").encode(V5) + octets)
            await subscribed(proof, 1 + count)
        packets = [Publish("t", b"%3d" % number).encode(V5) for number in range(20)]
        async with attacker(proof, b"".join(packets), 1):
            await eventually(counted(proof, "publish0_sent", 40_000), "all to be sent")
        for sock in socks:
            sock.settimeout(5)
            octets = b""
            while not octets.endswith(packets[-1]):
                octets += await asyncio.to_thread(sock.recv, 100_000)
            assert octets.endswith(b"".join(packets))
            sock.close()
        await eventually(lambda: proof.broker.statistics.clients == 1, "all to be gone")


@both
async def test_sixty_five_thousand_slashes(caplog: pytest.LogCaptureFixture, version: Version) -> None:
    """Nobody is made to wait, whether so many levels are allowed or not."""
    deep = "/" * 65_535
    packets: list[Publish | Subscribe] = [
        Publish(deep, b"x"),
        Subscribe(1, [(deep, SubscriptionOptions(0))], Properties()),
    ]
    deeper: dict[str, Any] = {"max_topic_levels": 65_535, "max_topic_bytes": 65_535}
    for allowed in ({}, deeper):
        async with proving(caplog, pause=0, **allowed) as proof:
            for packet in packets * 5:
                async with Peer.raw(proof.broker, version) as eve:
                    eve.send(Connect("eve", version=version).encode(version) + packet.encode(version))
                    eve.send(Publish("+", b"the end").encode(version))  # ends the connection
                    await eve.closed()
            await rounds(proof, 1)


@both
async def test_qos_2_that_is_never_released(caplog: pytest.LogCaptureFixture, version: Version) -> None:
    """As many as there are identifiers cost identifiers, and not messages."""
    packets = b"".join(Publish("t", b"x" * 100, 2, packet_id=n).encode(version) for n in range(1, 65_536))
    settings: dict[str, Any] = {"receive_maximum": 65_535, "receive_maximum_3": 65_535}
    async with proving(caplog, pause=0, **settings) as proof, Peer(proof.broker, "bob") as bob:
        await bob.subscribe("t", qos=0)
        async with attacker(proof, packets, 1, version=version):
            await eventually(counted(proof, "pubrec_sent", 65_535), "all to be received")
            session = proof.broker.sessions["eve"]
            assert len(session.receiver.unreleased) == 65_535
            await rounds(proof)
        bob.abort()
