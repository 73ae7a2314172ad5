"""Clients, sessions and messages that come and go leave nothing: no object, no descriptor, no memory.

The long form is `make soak`. Here a few hundred of each come and go in three rounds; after the second one everything
that a broker makes but once is made, so a third leaves exactly what the second left.
"""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import linnet
from linnet.net.loop import TurnLoop
from linnet.wire import V3_1_1, V5, Properties, SubscriptionOptions, Version, Will
from tests.net.loops import LoopFactory, run_on, until
from tests.peer import Peer

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
GUESTS = 40
KEPT = 20
MESSAGES = 200
SLOW = 4

TWICE = SubscriptionOptions(2)

pytestmark = pytest.mark.system


async def come_and_go(broker: linnet.Broker) -> None:
    """Clients with a will that send and receive at every QoS, and leave politely, without a word, or half way in."""
    for number in range(GUESTS):
        version: Version = (V3_1_1, V5)[number % 2]
        async with Peer(broker, f"guest-{number}", version, keep_alive=60, will=Will("wills", b"gone")) as guest:
            await guest.subscribe("guests/+", qos=2)
            for qos in range(3):
                await guest.publish("guests/hello", b"x", qos=qos)
                assert (await guest.receive()).qos == qos
            if number % 4 < 2:
                guest.abort()
        stranger = await Peer.raw(broker)
        stranger.send(b"\x10\x20\x00\x04MQ")
        stranger.abort()


async def keep_sessions(broker: linnet.Broker) -> None:
    """Sessions with subscriptions, a queue, messages in flight and a will; half are ended by their clients."""
    forever = Properties(session_expiry_interval=3600)
    names = [f"kept-{number}" for number in range(KEPT)]
    async with Peer(broker, "source") as source:
        for name in names:
            will = Will("wills", b"gone", properties=Properties(will_delay_interval=3600))
            async with Peer(broker, name, properties=forever, will=will, manual=True) as client:
                await client.subscribe([("kept/+", TWICE), (f"$share/all/{name}", TWICE), (f"{name}/#", TWICE)])
                await source.publish("kept/now", b"in flight", qos=2)
                await client.receive()
                client.abort()
            for _ in range(3):
                await source.publish(f"kept/{name}", b"waits", qos=1)
    assert set(names) <= set(broker.sessions)
    for number, name in enumerate(names):
        soon = Properties(session_expiry_interval=1)
        async with Peer(broker, name, clean_start=bool(number % 2), properties=soon, manual=True) as client:
            if number % 4 < 2:
                await client.disconnect(properties=Properties(session_expiry_interval=0))
            else:
                client.abort()  # this one expires


async def flood(broker: linnet.Broker) -> None:
    """More messages than fit anywhere, to clients that read nothing of it, and then are cut."""
    slow = []
    for number in range(SLOW):
        peer = await Peer(broker, f"slow-{number}")
        await peer.subscribe("flood", qos=number % 3)
        peer.reading(False)
        slow.append(peer)
    async with Peer(broker, "source") as source:
        for number in range(MESSAGES):
            source.send(linnet.wire.Publish("flood", b"x" * 50_000))
            if number % 20 == 0:
                await source.ping()
    for peer in slow:
        peer.abort()


def objects() -> Counter[str]:
    """How many objects of each of linnet's classes are alive. What is due, but was cancelled, may still wait."""
    gc.collect()
    kinds = (type(one) for one in gc.get_objects())
    names = Counter(f"{kind.__module__}.{kind.__name__}" for kind in kinds if isinstance(kind.__module__, str))
    return Counter({n: c for n, c in names.items() if n.startswith("linnet.") and not n.endswith(".Deadline")})


def tables(broker: linnet.Broker) -> dict[str, int]:
    """How much stands in the broker's own tables."""
    core = broker.core
    return {
        "sessions": len(broker.sessions),
        "connections": len(broker.connections),
        "streams": len(broker.running().streams),
        "subscriptions": core.router.subscription_count,
        "first levels": len(core.router.tree.root.children or ()),
        "chores": len(core.chores) + len(core.chores.holding),
        "marked": len(core.marked),
        "due": len(core.deadlines.heap) - core.deadlines.cancelled,
    }


@pytest.mark.parametrize("factory", [TurnLoop, asyncio.SelectorEventLoop], ids=["turns", "asyncio"])
def test_what_comes_and_goes_leaves_no_object(factory: LoopFactory) -> None:
    async def story() -> None:
        quiet: dict[str, Any] = {"log_level": "error", "max_loop_lag": 0}  # looking at all objects takes its time
        async with linnet.Broker(listen="127.0.0.1:0", max_output_bytes_hard=1 << 23, **quiet) as broker:
            at_first = tables(broker), len(os.listdir("/proc/self/fd"))
            left: list[Counter[str]] = []
            for _ in range(3):
                for load in (come_and_go, keep_sessions, flood):
                    await load(broker)
                await until(lambda: not broker.running().streams and not broker.sessions)
                assert (tables(broker), len(os.listdir("/proc/self/fd"))) == at_first
                broker.core.ledger.report()  # who lost messages is kept until it was told, once a second
                left.append(objects())
            assert left[2] - left[1] == Counter(), "more objects after the third round than after the second"

    assert run_on(factory, story) == []


def test_a_process_is_back_where_it_was() -> None:
    """Each connection, session or queue that was kept would take some 4 KB: 1 MiB is less than half of them."""
    paths = [str(Path(path).resolve()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    command = [sys.executable, str(BENCHMARKS / "soak.py"), "--bin", str(Path(sys.executable).parent)]
    command += ["--connects", "600", "--sessions", "200", "--messages", "60000", "--expiry", "1", "--allowance", "1024"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=55, env=environment)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "back where it was: " in run.stdout and run.stdout.count(" files") == 1 + 3 * 3, run.stdout
