"""A broker for tests that are coroutines. What has to wait is awaited; everything else is done when it returns.

async with Broker() as broker:
    ...                                                     # the program under test connects to broker.port
    order = await broker.wait_for_message("orders/+", by="shop")
    broker.cut("shop")
    await broker.wait_for("CONNECT", by="shop")
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, Unpack

from linnet.core.ports import Hooks, Observer
from linnet.errors import LinnetError
from linnet.testing.bench import ANY_PORT, Bench
from linnet.testing.record import Filters, Seen, Wanted
from linnet.testing.verbs import Names, Verbs

PATIENCE = 5.0  # seconds
KEPT = 10_000  # packets


class Broker(Verbs):
    """A broker on this event loop, for one test.

    `listen` is HOST:PORT, where port 0 takes any that is free, or None: then it can only be reached by `dial`.
    `packets_kept` says how many packets are remembered. `hooks`, `observers` and the settings are those of
    `linnet.Broker`; but nothing here depends on how fast the machine is or on how much memory it has, and nothing is
    published below `$SYS`, unless a setting wants it.
    """

    def __init__(
        self,
        *,
        listen: str | None = ANY_PORT,
        packets_kept: int = KEPT,
        hooks: Hooks | None = None,
        observers: Sequence[Observer] = (),
        **settings: Any,
    ) -> None:
        super().__init__(Bench(listen, packets_kept, hooks, observers, settings))

    async def __aenter__(self) -> Self:
        await self.bench.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.bench.stop()

    async def stop(self, *, sessions: bool = True, goodbye: bool = False) -> None:
        """Be down until `start`: every connection is reset, and nobody can connect.

        `sessions`: whether sessions and retained messages are still there afterwards, as with a durable store.
        `goodbye`: close the connections with DISCONNECT 0x8B (5.0) instead. No will is published.
        """
        await self.bench.hop(self.bench.go_down(sessions, goodbye))

    async def start(self) -> None:
        """Be up again, at the same port."""
        if self.bench.is_up:
            raise LinnetError(f"{self!r} is up already")
        await self.bench.hop(self.bench.come_up())

    async def restart(self, *, sessions: bool = True, goodbye: bool = False) -> None:
        """`stop`, and `start` at once."""
        await self.stop(sessions=sessions, goodbye=goodbye)
        await self.start()

    async def wait_for(self, name: Names = None, *, timeout: float = PATIENCE, **filters: Unpack[Filters]) -> Seen:
        """Wait for a packet, or take one that went by and that no wait has found yet.

        Raises NotSeen, an AssertionError, when none comes within `timeout` seconds of real time.
        """
        __tracebackhide__ = True
        return await self.bench.hop(self.bench.record.wait(Wanted(name, **filters), timeout))

    async def wait_for_message(
        self,
        topic: str = "#",
        payload: bytes | str | None = None,
        *,
        by: str | None = None,
        timeout: float = PATIENCE,
    ) -> Seen:
        """Wait for a message that a client publishes: to a topic that matches the filter, with this payload.

        As with `wait_for`, it may have come before, and each message is found once.
        """
        __tracebackhide__ = True
        filters: Filters = {"direction": "in", "topic": topic}
        if by is not None:
            filters["by"] = by
        octets = payload.encode() if isinstance(payload, str) else payload
        if octets is not None:
            filters["where"] = lambda seen: seen.payload == octets
        return await self.wait_for("PUBLISH", timeout=timeout, **filters)
