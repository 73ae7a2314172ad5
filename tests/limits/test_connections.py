"""The limits on connections: how many, from where, how fast, and how long they may take to say CONNECT."""

import asyncio

import pytest

from linnet.errors import ReasonCode
from linnet.wire import V3_1_1, V5, Connect, Version
from tests.limits.proof import ELSEWHERE, eventually, proving
from tests.peer import Peer

both = pytest.mark.parametrize("version", [V3_1_1, V5], ids=["3.1.1", "5.0"])
UNAVAILABLE = ReasonCode.SERVER_UNAVAILABLE  # all that 3.1.1 can say


@both
async def test_max_connections(caplog: pytest.LogCaptureFixture, version: Version) -> None:
    async with proving(caplog, max_connections=2) as proof, Peer(proof.broker, "bob"):
        await proof.refused("eve", ReasonCode.CONNECTION_RATE_EXCEEDED, version, UNAVAILABLE)
        await proof.reached("max_connections", client_id="eve")
        async with Peer(proof.broker, "bob"):
            pass  # in the place of the other one


async def test_max_connections_beyond_what_can_be_told(caplog: pytest.LogCaptureFixture) -> None:
    """A few more are accepted, to be told; the others wait in the system's backlog until one goes."""
    async with proving(caplog, max_connections=2) as proof:
        there = [await Peer.raw(proof.broker) for _ in range(40)]
        await proof.reached("max_connections")
        assert len(proof.broker.connections) == 2 + 32
        for peer in there:
            peer.abort()
        async with Peer(proof.broker, "bob"):
            pass


@both
async def test_max_connections_per_address(caplog: pytest.LogCaptureFixture, version: Version) -> None:
    async with proving(caplog, max_connections_per_address=1) as proof, Peer(proof.broker, "bob"):
        await proof.refused("eve", ReasonCode.CONNECTION_RATE_EXCEEDED, version, UNAVAILABLE)
        record = await proof.reached("max_connections_per_address", client_id="eve")
        assert record.address.startswith("127.0.0.1:")


@both
async def test_max_connect_rate_per_address(caplog: pytest.LogCaptureFixture, version: Version) -> None:
    async with proving(caplog, max_connect_rate_per_address=0.01) as proof:
        async with Peer(proof.broker, "bob"):
            pass
        await proof.refused("bob", ReasonCode.CONNECTION_RATE_EXCEEDED, version, UNAVAILABLE)
        await proof.reached("max_connect_rate_per_address", client_id="bob")


async def test_max_preconnect(caplog: pytest.LogCaptureFixture) -> None:
    async with proving(caplog, max_preconnect=2) as proof:
        silent = [await Peer.raw(proof.broker, host=host) for host in ("127.0.0.1", ELSEWHERE, "127.0.0.1")]
        assert await silent[0].closed() == []
        assert len(proof.broker.connections) == 1 + 2
        await proof.reached("max_preconnect")
        for peer in silent:
            peer.abort()


async def test_max_preconnect_per_address(caplog: pytest.LogCaptureFixture) -> None:
    async with proving(caplog, max_preconnect_per_address=2) as proof:
        other = await Peer.raw(proof.broker, host=ELSEWHERE)
        silent = [await Peer.raw(proof.broker) for _ in range(3)]
        assert await silent[0].closed() == []
        assert len(proof.broker.connections) == 1 + 1 + 2
        record = await proof.reached("max_preconnect_per_address")
        assert record.address.startswith("127.0.0.1:")
        for peer in (other, *silent):
            peer.abort()


async def test_accept_rate_and_burst(caplog: pytest.LogCaptureFixture) -> None:
    """Who comes too fast is let in later."""
    async with proving(caplog, accept_rate=50, accept_burst=5) as proof:
        peers = await asyncio.gather(*(Peer(proof.broker, f"c{number}") for number in range(15)))
        await proof.reached("accept_rate")
        assert proof.count("accept_rate") >= 2
        for peer in peers:
            peer.abort()


async def test_connect_timeout_of_a_client_that_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with proving(caplog, connect_timeout=0.1) as proof, Peer.raw(proof.broker) as silent:
        assert await silent.closed() == []
        await proof.reached("connect_timeout")


@both
async def test_connect_timeout_of_a_client_that_drips(caplog: pytest.LogCaptureFixture, version: Version) -> None:
    """Each byte comes in time, and the whole CONNECT does not."""
    connect = Connect("c" * 200, version=version).encode(version)
    async with proving(caplog, connect_timeout=0.2) as proof, Peer.raw(proof.broker) as slow:
        sent = 0
        while proof.count("connect_timeout") == 0:
            slow.send(connect[sent : sent + 1])
            sent += 1
            await asyncio.sleep(0.01)
        assert 1 < sent < len(connect)
        assert await slow.closed() == []
        await proof.reached("connect_timeout")
        await eventually(lambda: len(proof.broker.connections) == 1, "the connection to be forgotten")
