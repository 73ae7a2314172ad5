"""What happens to a client besides messages, and who is told.

@client.on(linnet.Disconnected)
def gone(event: linnet.Disconnected) -> None:
    print("lost:", event.detail)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, TypeVar

from linnet.client.address import Address

logger = logging.getLogger("linnet.client")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""


E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class Connected(Event):
    """There is a connection. `session_present` tells whether the server has gone on with the session."""

    address: Address | None
    session_present: bool
    client_id: str


@dataclass(frozen=True, slots=True)
class Disconnected(Event):
    """The connection is over, or could not be had.

    `reason_code` is what the server has said, or None. `again_in` tells in how many seconds the next try comes; None
    when there will be none.
    """

    detail: str
    reason_code: int | None
    again_in: float | None


@dataclass(frozen=True, slots=True)
class SessionLost(Event):
    """The server has forgotten the session: what it had for us is gone. The subscriptions are made again."""


@dataclass(frozen=True, slots=True)
class Dropped(Event):
    """A message was lost on our side: one that was to be published, or one of QoS 0 that nobody took in time."""

    topic: str
    why: str


@dataclass(frozen=True, slots=True)
class Moved(Event):
    """The server wants us to use another one, for now or for good [MQTT-4.11]."""

    reference: str
    permanently: bool


class Events:
    """Who is told of what."""

    __slots__ = ("listeners", "tasks")

    def __init__(self) -> None:
        self.listeners: dict[type[Event], list[Callable[[Any], object]]] = {}
        self.tasks: set[asyncio.Future[Any]] = set()  # listeners that are coroutines

    def __repr__(self) -> str:
        return f"<Events heard by {sum(map(len, self.listeners.values()))}>"

    def add(self, kind: type[E], listener: Callable[[E], object]) -> None:
        """Have a function or coroutine function called with each event of a kind."""
        self.listeners.setdefault(kind, []).append(listener)

    def tell(self, event: Event) -> None:
        """Call whoever wants to know. A listener that fails is logged, and stops nothing."""
        for kind in type(event).__mro__:
            for listener in self.listeners.get(kind, ()):
                try:
                    answer = listener(event)
                except Exception:
                    logger.exception("a listener for %s failed", type(event).__name__)
                    continue
                if isawaitable(answer):
                    self.follow(answer)

    def follow(self, answer: Awaitable[Any]) -> None:
        """Let a coroutine run, and hear how it ends."""
        task = asyncio.ensure_future(answer)
        self.tasks.add(task)
        task.add_done_callback(self.done)

    def done(self, task: asyncio.Future[Any]) -> None:
        """A listener has ended."""
        self.tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            logger.error("a listener failed", exc_info=fault)
