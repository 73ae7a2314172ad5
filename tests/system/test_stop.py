"""`linnet serve` and SIGTERM: everybody is told, what was taken is handed on, and nobody holds up the end."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from linnet.errors import ReasonCode
from linnet.wire import V3_1_1, V5, Connack, Disconnect, Properties, Publish, Subscribe, SubscriptionOptions, Version
from tests.peer import Peer
from tests.system.test_serve import Served, serving

LARGE = bytes(100_000)
MUCH = 150  # large messages: more than the system's buffers take, so that the broker keeps some of them itself
ROOM = ("--set", "max_output_bytes=100000000", "--set", "max_output_bytes_hard=200000000", "--set", "log_level=error")

pytestmark = pytest.mark.system


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> str:
    """Each event loop that `linnet serve` runs on."""
    if request.param == "uvloop" and find_spec("uvloop") is None and not os.environ.get("CI"):
        pytest.skip("uvloop is not installed")
    return str(request.param)


async def ended_well(served: Served, code: int = 0) -> str:
    """The process ends with this code; what it had logged."""
    found, errors = await served.ended()
    assert found == code, errors
    assert "Traceback" not in errors and "Warning" not in errors, errors
    return errors


def numbers(peer: Peer) -> list[int]:
    """The first word of each message that a peer got, as a number."""
    return [int(one.payload.split()[0]) for one in peer.received if isinstance(one, Publish)]


@asynccontextmanager
async def told_to_stop(served: Served, version: Version = V5) -> AsyncIterator[Peer]:
    """A subscriber that reads nothing, for whom the broker has much more than the system's buffers take, and stops."""
    slow = await Peer(served, "slow", version)
    await slow.subscribe("t")
    slow.reading(False)
    async with Peer(served, "source") as source:
        for number in range(MUCH):
            await source.publish("t", b"%d " % number + LARGE)
        await source.ping()  # the broker has taken them all
        served.process.send_signal(signal.SIGTERM)
        assert (await source.closed())[-1].reason_code == ReasonCode.SERVER_SHUTTING_DOWN
    yield slow
    slow.abort()


@pytest.mark.parametrize("version", [V3_1_1, V5])
async def test_a_subscriber_that_reads_gets_all_that_was_taken(version: Version, loop: str) -> None:
    async with serving(loop, *ROOM) as served, told_to_stop(served, version) as slow:
        slow.reading(True)
        left = await slow.closed()
        assert numbers(slow) == list(range(MUCH))
        if version is V5:
            assert left[-1].reason_code == ReasonCode.SERVER_SHUTTING_DOWN
        await ended_well(served)


@pytest.mark.parametrize("version", [V3_1_1, V5])
async def test_what_was_acknowledged_just_before_is_handed_on(version: Version, loop: str) -> None:
    async with serving(loop) as served, Peer(served, "source") as source:
        reader = await Peer(served, "reader", version)
        await reader.subscribe("t", 2)
        for number in range(30):
            await source.publish("t", b"%d" % number, number % 3)
        served.process.send_signal(signal.SIGTERM)
        await asyncio.gather(reader.closed(), source.closed())
        assert numbers(reader) == list(range(30))
        assert isinstance(source.received[-1], Disconnect)
        await ended_well(served)


async def test_a_subscriber_that_does_not_read_does_not_hold_up_the_end(loop: str) -> None:
    words = (*ROOM, "--set", "stop_timeout=0.2", "--set", "write_timeout=3600")
    async with serving(loop, *words) as served, told_to_stop(served), asyncio.timeout(10):
        await ended_well(served)


async def test_a_second_signal_does_not_wait_for_it(loop: str) -> None:
    words = (*ROOM, "--set", "stop_timeout=3600", "--set", "write_timeout=3600")
    async with serving(loop, *words) as served, told_to_stop(served):
        served.process.send_signal(signal.SIGTERM)
        await ended_well(served, -signal.SIGTERM)


async def test_who_waits_in_the_backlog_is_not_kept_waiting(loop: str) -> None:
    """Of connections that were never accepted the system takes leave."""
    words = ("--set", "accept_rate=0.001", "--set", "accept_burst=1") if loop == "asyncio" else ()
    async with serving(loop, *words, "--set", "log_level=error") as served, Peer(served, "first") as first:
        waiting = [await Peer.raw(served) for _ in range(20)]
        await first.ping()
        served.process.send_signal(signal.SIGTERM)
        await asyncio.gather(first.closed(), *(peer.closed() for peer in waiting))
        assert [one for peer in waiting for one in peer.received if isinstance(one, Connack)] == []
        await ended_well(served)


async def test_a_signal_in_the_midst_of_many_deliveries(loop: str) -> None:
    """Messages to many are under way in slices. Nobody gets one twice, out of order, or after the goodbye."""
    words = ("--set", "delivery_budget=8", "--set", "log_level=error")
    async with serving(loop, *words) as served:
        sources = [await Peer(served, f"source{number}") for number in range(4)]
        readers = [await Peer(served, f"reader{number}") for number in range(30)]
        for reader in readers:
            await reader.subscribe("t/+", 1)
        for number in range(200):
            for source in sources:
                source.send(Publish(f"t/{source.client_id}", b"%d" % number, 1, packet_id=number + 1))
        await readers[-1].receive()
        served.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*(peer.closed() for peer in (*sources, *readers)))
        for reader in readers:
            assert isinstance(reader.received[-1], Disconnect)
            for source in sources:
                mine = [
                    one for one in reader.received if isinstance(one, Publish) and one.topic[2:] == source.client_id
                ]
                assert [int(one.payload) for one in mine] == list(range(len(mine)))
        await ended_well(served)


async def test_a_signal_in_the_midst_of_retained_messages(loop: str) -> None:
    async with serving(loop, "--set", "retained_slice=1", "--set", "log_level=error") as served:
        async with Peer(served, "source") as source:
            for number in range(500):
                await source.publish(f"r/{number}", b"%d" % number, retain=True)
            await source.ping()
        reader = await Peer(served, "reader", properties=Properties(session_expiry_interval=100))
        reader.send(Subscribe(1, [("r/#", SubscriptionOptions(1))]))
        await reader.receive()
        served.process.send_signal(signal.SIGTERM)
        await reader.closed()
        assert isinstance(reader.received[-1], Disconnect)
        assert len(set(numbers(reader))) == len(numbers(reader))
        await ended_well(served)


async def test_it_logs_why_it_stops_and_who_was_told(loop: str) -> None:
    async with serving(loop) as served, Peer(served, "one") as one, Peer(served, "two") as two:
        served.process.send_signal(signal.SIGTERM)
        await asyncio.gather(one.closed(), two.closed())
        lines = [line.partition(" INFO linnet.connections: ")[2] for line in (await ended_well(served)).splitlines()]
        assert lines[-3] == "SIGTERM: the broker stops; its clients (2) have 5 s to take what is left"
        assert sorted(lines[-2:]) == [f"'{name}' disconnected: the broker stops" for name in ("one", "two")]


async def test_it_takes_all_the_descriptors_that_it_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """And it says so when it is to have more clients than that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, soft), hard))
    try:
        async with serving("asyncio", "--set", "max_connections=1000000000") as served:
            rows = Path(f"/proc/{served.process.pid}/limits").read_text().splitlines()
            now = next(row.split()[3] for row in rows if row.startswith("Max open files"))
            assert now == ("unlimited" if hard == resource.RLIM_INFINITY else str(hard))
            served.process.send_signal(signal.SIGTERM)
            errors = await ended_well(served)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    text = f"max_connections: 1000000000, and the system has descriptors for {int(now) - 64} clients only"
    assert f"WARNING linnet.settings: {text}" in errors
