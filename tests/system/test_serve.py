"""`linnet serve` as a process under load: it starts at once, serves many, suffers from nobody, and ends well."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from linnet.errors import ReasonCode
from linnet.wire import V3_1_1, Will
from tests.peer import Peer

BOUND = 30.0  # seconds; whatever takes so long hangs
MANY = 1000

pytestmark = pytest.mark.system


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> str:
    """Each event loop that `linnet serve` runs on."""
    if request.param == "uvloop" and find_spec("uvloop") is None and not os.environ.get("CI"):
        pytest.skip("uvloop is not installed")
    return str(request.param)


class Served:
    """A running process and its port."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    async def ended(self) -> tuple[int, str]:
        """Exit code, and what was printed to standard error."""
        async with asyncio.timeout(BOUND):
            _, errors = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, errors.decode()


@asynccontextmanager
async def serving(loop: str, *words: str) -> AsyncIterator[Served]:
    """`linnet serve` on a free port and an event loop, in the form that this test run imports."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("LINNET_")}
    paths = [str(Path(path).resolve()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "linnet", "serve", "--listen", "127.0.0.1:0"),
        *("--set", f"event_loop={loop}", *words),
        env={**ours, "PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(BOUND):
            line = (await process.stdout.readline()).decode()
        assert "mqtt://127.0.0.1:" in line, (line, await process.communicate())
        assert line.endswith(f", {loop})\n"), line
        yield Served(process, int(line.split("mqtt://127.0.0.1:")[1].split()[0]))
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def gone_back_to(served: Served, before: int) -> None:
    """Wait until the process has so many descriptors again."""
    async with asyncio.timeout(BOUND):
        while served.descriptors() > before:
            async with Peer(served, "asking") as peer:  # a round through its loop for each look
                await peer.ping()


async def test_whoever_comes_when_the_line_is_printed_is_served(loop: str) -> None:
    async with serving(loop) as served, Peer(served, "first") as first:
        await first.ping()


async def test_a_signal_ends_it_well_while_clients_are_connected(loop: str) -> None:
    async with serving(loop) as served:
        will = Will("t", b"gone")
        peers = [await Peer(served, f"c{number}", will=will, keep_alive=60) for number in range(20)]
        old = await Peer(served, "old", V3_1_1)
        for peer in peers:
            await peer.subscribe("t", qos=1)
        await peers[0].publish("t", b"x", qos=1)
        served.process.send_signal(signal.SIGTERM)
        for peer in peers:
            goodbye = (await peer.closed())[-1]
            assert goodbye.reason_code == ReasonCode.SERVER_SHUTTING_DOWN
        assert await old.closed() == []
        code, errors = await served.ended()
        assert code == 0
        assert "Traceback" not in errors and "Warning" not in errors, errors


async def test_a_thousand_connections_come_and_go_and_leave_no_descriptor(loop: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 2 * MANY:
        if hard != resource.RLIM_INFINITY and hard < 2 * MANY:
            pytest.skip("this machine allows too few open files")
        resource.setrlimit(resource.RLIMIT_NOFILE, (2 * MANY, hard))
    async with serving(loop, "--set", "log_level=warning") as served:
        before = served.descriptors()
        for is_polite in (True, False):
            peers: list[Peer] = []
            for start in range(0, MANY, 100):
                peers += await asyncio.gather(*(Peer(served, f"c{n}").__aenter__() for n in range(start, start + 100)))
            await peers[-1].subscribe("t", qos=1)
            await peers[0].publish("t", b"x", qos=1)
            assert (await peers[-1].receive()).payload == b"x"
            assert served.descriptors() >= before + MANY
            if is_polite:
                await asyncio.gather(*(peer.disconnect() for peer in peers))
            else:
                for peer in peers:
                    peer.abort()
            await gone_back_to(served, before)


async def test_a_peer_that_stops_reading_delays_nobody_else(loop: str) -> None:
    """It is sent more than any buffer holds; the other one gets every message meanwhile."""
    async with serving(loop, "--set", "log_level=warning") as served:
        async with Peer(served, "quick") as quick, Peer(served, "source") as source:
            deaf = await Peer(served, "deaf")
            await deaf.subscribe("t", qos=1)
            await quick.subscribe("t", qos=1)
            deaf.reading(False)
            payload = b"x" * 100_000
            for number in range(200):
                answer = await source.publish("t", b"%d " % number + payload, qos=1)
                assert answer.reason_code == 0
                got = await quick.receive()
                assert got.payload.startswith(b"%d " % number)
            deaf.abort()
        served.process.send_signal(signal.SIGTERM)
        code, errors = await served.ended()
        assert code == 0 and "Traceback" not in errors, errors


async def test_a_peer_that_sends_half_a_connect_delays_nobody_else(loop: str) -> None:
    async with serving(loop) as served:
        slow = await Peer.raw(served)
        slow.send(b"\x10\x20\x00\x04MQ")
        async with Peer(served, "bob") as bob:
            await bob.subscribe("t")
            await bob.publish("t", b"x")
            assert (await bob.receive()).payload == b"x"
        slow.abort()
