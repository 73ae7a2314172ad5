"""A program is killed while it publishes through a store on disk, and started again."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.client.proof import publisher
from tests.client.proof.servers import Server
from tests.client.proof.watching import Watcher
from tests.interop.tools import Program, start

pytestmark = pytest.mark.system


async def program(server: Server, directory: Path, qos: int, *first: object) -> Program:
    """Starts the program, and waits until it is connected."""
    path = publisher.__file__
    running = await start(sys.executable, path, server.url, directory / "store.db", qos, *first)
    await running.until("connected")
    return running


async def killed(running: Program, after: int) -> int:
    """Kills a program when it has said so many numbers; the last number that it has said."""
    for _ in range(after):
        await running.line()
    running.process.kill()
    said, _ = await running.process.communicate()
    running.lines += [line for line in said.decode().split("\n")[:-1] if line.isdigit()]
    return int(running.lines[-1])


@pytest.mark.parametrize("qos", [1, 2])
async def test_what_a_killed_program_has_handed_over_arrives(server: Server, tmp_path: Path, qos: int) -> None:
    async with Watcher(server) as watcher:
        last = await killed(await program(server, tmp_path, qos, 0), 15)
        again = await program(server, tmp_path, qos)
        await again.ended()
        got = Counter(map(int, await watcher.all({b"%d" % number for number in range(last + 1)})))
    assert set(range(last + 1)) <= set(got)
    if qos == 2:
        assert set(got.values()) == {1}


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_what_waits_without_a_connection_outlives_the_program_too(
    server: Server, tmp_path: Path, qos: int
) -> None:
    async with Watcher(server) as watcher:
        running = await program(server, tmp_path, qos, 0)
        await running.line()
        server.link.cut()
        last = await killed(running, 15)
        await server.link.restore()
        again = await program(server, tmp_path, qos)
        await again.ended()
        owed = range(last - 19, last + 1) if qos == 0 else range(last + 1)
        got = Counter(map(int, await watcher.all({b"%d" % number for number in owed})))
    if qos == 2:
        assert set(got.values()) == {1}
