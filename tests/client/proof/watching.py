"""Waiting for what happens, with a patience that only something broken meets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from linnet import Client, Event, Reconnect
from linnet.wire import Publish
from tests.client.proof.servers import Server
from tests.peer import PATIENCE, Peer

E = TypeVar("E", bound=Event)

AT_ONCE = Reconnect(first=0.01, factor=1.5, ceiling=0.05)


class Told:
    """All events of a client."""

    def __init__(self, client: Client) -> None:
        self.events: list[Event] = []
        self.changed = asyncio.Event()
        client.on(Event)(self.hear)

    def hear(self, event: Event) -> None:
        self.events.append(event)
        self.changed.set()

    def of(self, kind: type[E]) -> list[E]:
        """The events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, kind: type[E], count: int = 1) -> E:
        """Waits until there are so many events of a kind; the last of them."""
        async with asyncio.timeout(PATIENCE):
            while len(self.of(kind)) < count:
                self.changed.clear()
                await self.changed.wait()
        return self.of(kind)[count - 1]


async def until(is_so: Callable[[], bool]) -> None:
    """Waits for something that tells nobody when it comes true."""
    async with asyncio.timeout(PATIENCE):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def turn_by_turn(is_so: Callable[[], bool]) -> None:
    """The same, where it is true for one turn of the loop only."""
    async with asyncio.timeout(PATIENCE):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def within(awaitable: Any) -> Any:
    """Waits, and not for ever."""
    async with asyncio.timeout(PATIENCE):
        return await awaitable


class HasUrl(Protocol):
    """A server."""

    @property
    def url(self) -> str:
        """Where clients find it."""


def client_of(server: HasUrl, client_id: str = "", **options: Any) -> Client:
    """A client of a server, that comes back quickly."""
    return Client(server.url, client_id=client_id, **{"reconnect": AT_ONCE, **options})


class Watcher(Peer):
    """Subscribes to everything by a connection of its own, which nobody cuts."""

    def __init__(self, server: Server) -> None:
        super().__init__(server.port, "watcher")
        self.payloads: list[bytes] = []

    async def __aenter__(self) -> Watcher:
        await super().__aenter__()
        await self.subscribe("#", qos=2)
        return self

    def gather(self) -> list[bytes]:
        """The payloads that have come so far."""
        while self.inbox:
            packet = self.inbox.popleft()
            if isinstance(packet, Publish):
                self.payloads.append(packet.payload)
        return self.payloads

    async def until(self, wanted: set[bytes]) -> list[bytes]:
        """Waits until all these payloads have come; everything that has, in order."""
        left = set(wanted)
        at = 0

        def have_come() -> bool | None:
            nonlocal at
            payloads = self.gather()
            left.difference_update(payloads[at:])
            at = len(payloads)
            return None if left else True

        await self._line.until(have_come, f"{len(wanted)} messages")
        return self.payloads

    async def all(self, wanted: set[bytes]) -> list[bytes]:
        """The same, and whatever else has come by then."""
        await self.until(wanted)
        await self.ping()
        return self.gather()
