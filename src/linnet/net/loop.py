"""An asyncio event loop that knows where a turn ends, and reads the broker's sockets itself.

The standard loop asks its selector what is ready each time everything that was ready has run. So a selector of our own
can do two things at no cost that the loop does at some: end the broker's turn (write what gathered) before it waits,
and hand what came in on the broker's own sockets straight to their transports, without a handle, a context and a queue
for each. Everything else goes the loop's usual way. Only public interfaces of asyncio are used.
"""

import asyncio
import math
import select
from collections.abc import Callable, Mapping
from contextvars import Context
from selectors import EVENT_READ, EVENT_WRITE, SelectorKey
from time import monotonic
from typing import Any, TypeVarTuple

from linnet.net.transport import SocketTransport

Arguments = TypeVarTuple("Arguments")
TurnEnd = Callable[[], None]

IN = 0x001  # EPOLLIN
OUT = 0x004  # EPOLLOUT
FEW_EVENTS = 8  # at once, up to which each is a turn of its own
MOST_EVENTS = 128  # taken from the kernel at once: more would keep a late one waiting

IS_AVAILABLE = hasattr(select, "epoll")


class Keys(dict[int, SelectorKey]):
    """What is registered, by descriptor; a socket is as good as its descriptor."""

    def get(self, fileobj: Any, default: Any = None) -> Any:
        """The key of a descriptor or socket."""
        return super().get(descriptor(fileobj), default)


class TurnSelector:
    """What asyncio expects of a selector, and `watch` for the broker's transports."""

    __slots__ = ("ends", "epoll", "has_more", "keys", "report", "transports")

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.keys = Keys()
        self.transports: dict[int, SocketTransport] = {}
        self.ends: list[TurnEnd] = []
        self.report: Callable[[dict[str, Any]], object] = no_report  # of faults, to the loop's exception handler
        self.has_more = False  # something was scheduled that the loop did not know of when it chose the timeout

    def __repr__(self) -> str:
        return f"<TurnSelector {len(self.transports)} transports, {len(self.keys)} others>"

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """End the turn, wait, let the transports read and write; again, until the loop has something to run."""
        until = -1.0 if timeout is None else monotonic() + timeout
        ready: list[tuple[SelectorKey, int]] = []
        while True:
            self.has_more = False
            self.end_turn()
            wait = -1.0
            if self.has_more or timeout == 0:
                wait = 0.0
            elif until >= 0:
                wait = max(0.0, until - monotonic())
            events = self.poll(wait)
            self.dispatch(events, ready)
            if ready or self.has_more or wait == 0 or not events:
                return ready

    def poll(self, wait: float) -> list[tuple[int, int]]:
        """Ask the kernel, for whole milliseconds and not less than wanted; below 0 for as long as it takes."""
        try:
            return self.epoll.poll(wait if wait <= 0 else math.ceil(wait * 1000) / 1000, MOST_EVENTS)
        except InterruptedError:
            return []

    def dispatch(self, events: list[tuple[int, int]], ready: list[tuple[SelectorKey, int]]) -> None:
        """Hand each event to its transport, or note it for the loop.

        Where little comes in there is nothing to be gained by gathering what goes out: then each event is a turn, and
        the first message does not wait for the last. But where a turn has left something to the next, that comes once
        for all events.
        """
        transports = self.transports
        is_quiet = len(events) <= FEW_EVENTS and not self.has_more
        for fd, bits in events:
            transport = transports.get(fd)
            if transport is not None:
                transport.ready(bits)
                if is_quiet:
                    self.end_turn()
            else:
                self.note(fd, bits, ready)

    def end_turn(self) -> None:
        """Everything that came in has been handled."""
        for end in self.ends:
            try:
                end()
            except Exception as error:
                self.report({"message": "the end of a turn failed", "exception": error})

    def note(self, fd: int, bits: int, ready: list[tuple[SelectorKey, int]]) -> None:
        """Tell asyncio of what it registered; errors and hang-ups are for readers and writers alike."""
        key = self.keys.get(fd)
        if key is not None:
            events = (EVENT_READ if bits & ~OUT else 0) | (EVENT_WRITE if bits & ~IN else 0)
            if events & key.events:
                ready.append((key, events & key.events))

    def watch(self, transport: SocketTransport, reads: bool, writes: bool) -> None:
        """From now on tell a transport when its socket can be read or written, or neither."""
        fd = transport.fd
        mask = (IN if reads else 0) | (OUT if writes else 0)
        if fd not in self.transports:
            if mask:
                self.epoll.register(fd, mask)
                self.transports[fd] = transport
        elif mask:
            self.epoll.modify(fd, mask)
        else:
            del self.transports[fd]
            self.epoll.unregister(fd)

    def register(self, fileobj: Any, events: int, data: Any = None) -> SelectorKey:
        """asyncio: begin to watch a descriptor. Raises KeyError when it is registered already."""
        fd = descriptor(fileobj)
        if fd in self.keys:
            raise KeyError(f"{fileobj!r} is registered already")
        self.epoll.register(fd, mask_of(events))
        key = self.keys[fd] = SelectorKey(fileobj, fd, events, data)
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> SelectorKey:
        """asyncio: watch for something else, or with other data."""
        fd = descriptor(fileobj)
        old = self.keys[fd]
        if events != old.events:
            self.epoll.modify(fd, mask_of(events))
        key = self.keys[fd] = SelectorKey(fileobj, fd, events, data)
        return key

    def unregister(self, fileobj: Any) -> SelectorKey:
        """asyncio: watch it no more. One that was closed before is gone from the kernel's list already."""
        key = self.keys.pop(descriptor(fileobj))
        try:
            self.epoll.unregister(key.fd)
        except OSError:
            pass
        return key

    def get_key(self, fileobj: Any) -> SelectorKey:
        """asyncio: what is registered for a descriptor. Raises KeyError when nothing is."""
        return self.keys[descriptor(fileobj)]

    def get_map(self) -> Mapping[Any, SelectorKey]:
        """asyncio: everything that is registered."""
        return self.keys

    def close(self) -> None:
        """asyncio: no more."""
        self.epoll.close()
        self.keys.clear()
        self.transports.clear()


class TurnLoop(asyncio.SelectorEventLoop):
    """The standard event loop on a `TurnSelector`."""

    def __init__(self) -> None:
        self.turn_selector = TurnSelector()
        super().__init__(self.turn_selector)  # type: ignore[arg-type]
        self.turn_selector.report = self.call_exception_handler
        self.watch = self.turn_selector.watch  # kept by each transport: one method for all

    def call_soon(
        self, callback: Callable[[*Arguments], object], *args: *Arguments, context: Context | None = None
    ) -> asyncio.Handle:
        """As ever, and noted."""
        self.turn_selector.has_more = True
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Arguments], object], *args: *Arguments, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As ever, and noted."""
        self.turn_selector.has_more = True
        return super().call_at(when, callback, *args, context=context)

    def stop(self) -> None:
        """As ever, and noted."""
        self.turn_selector.has_more = True
        super().stop()

    def at_turn_end(self, end: TurnEnd) -> None:
        """Have `end` called whenever all that was ready has run."""
        self.turn_selector.ends.append(end)

    def not_at_turn_end(self, end: TurnEnd) -> None:
        """Call it no more."""
        self.turn_selector.ends.remove(end)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """The best loop of the standard library's kind that this system has."""
    return TurnLoop() if IS_AVAILABLE else asyncio.new_event_loop()


def no_report(fault: dict[str, Any]) -> None:
    """A selector without a loop has nobody to tell."""


def descriptor(fileobj: Any) -> int:
    """The number of a descriptor, or of something that has one."""
    return fileobj if isinstance(fileobj, int) else int(fileobj.fileno())


def mask_of(events: int) -> int:
    """What epoll calls these events."""
    return (IN if events & EVENT_READ else 0) | (OUT if events & EVENT_WRITE else 0)
