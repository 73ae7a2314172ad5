"""A turn of the event loop, as the core sees it.

Everything that enters the core begins a turn and is given its time; all that is sent meanwhile gathers in outboxes. At
the turn's end each outbox that has something is written once. So a burst costs one write per peer, the clock is asked
once per turn, and no message waits for a timer.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from linnet.core.broker import BrokerCore
from linnet.core.outbox import Outbox

if TYPE_CHECKING:
    from linnet.net.stream import Stream
    from linnet.settings import Settings

PATIENCE = 1.0  # seconds
MOST_WRITES = 200  # in one turn, where it would be more
logger = logging.getLogger("linnet.hooks")


class Turn:
    """The turns of one broker on one event loop."""

    __slots__ = (
        "clock",
        "closing",
        "core",
        "empty",
        "is_open",
        "is_scheduling",
        "loop",
        "now",
        "opened",
        "patience",
        "settings",
        "streams",
        "tasks",
        "timer",
        "unwritten",
    )

    def __init__(self, core: BrokerCore, loop: asyncio.AbstractEventLoop, settings: "Settings") -> None:
        self.core = core
        self.settings = settings
        self.loop = loop
        self.now = loop.time()
        self.is_open = False
        # The standard loop's clock is this one, behind another call
        at_turn_end = getattr(loop, "at_turn_end", None)  # TurnLoop notices the end of a turn by itself
        self.clock: Callable[[], float] = loop.time if at_turn_end is None else monotonic
        self.is_scheduling = at_turn_end is None  # whether the end of a turn has to be scheduled
        if at_turn_end is not None:
            at_turn_end(self.end)
        self.unwritten: deque[Outbox] = deque()  # marked in earlier turns, when there were very many
        self.closing: list[Stream] = []  # to be closed after what they have to say is written
        self.streams: dict[Stream, None] = {}  # all open ones
        self.opened: Callable[[Stream], None] = _nobody_asks  # is told of each new one, before it has read anything
        self.empty: asyncio.Future[None] | None = None  # whoever waits until there are none
        self.patience = PATIENCE  # seconds that a peer has to take what is left when its connection is closed
        self.timer: asyncio.TimerHandle | None = None
        self.tasks: set[asyncio.Task[None]] = set()  # hooks that are waited for on nobody's connection
        core.deadlines.on_earlier = self.due_at
        core.in_background = self.in_background

    def __repr__(self) -> str:
        return f"<Turn {'open' if self.is_open else 'idle'}, {len(self.streams)} streams>"

    def begin(self) -> float:
        """Enter the core: the time of this turn, in seconds of the loop's clock."""
        if not self.is_open:
            self.is_open = True
            self.now = self.clock()
            if self.is_scheduling:
                self.loop.call_soon(self.end)
        return self.now

    def end(self) -> None:
        """Write what gathered, go on with what is done in slices, close what is to be closed."""
        if not self.is_open:
            return
        self.is_open = False
        core = self.core
        more = len(core.chores) > 0 and self.do_chores()
        marked = core.marked
        if len(marked) > MOST_WRITES or self.unwritten:
            self.write_slice(marked)
            more = more or len(self.unwritten) > 0
        else:
            for outbox in marked:
                outbox.stream.write()
            marked.clear()
        if self.closing:
            closing = self.closing
            self.closing = []
            for stream in closing:
                stream.close()
        if more:
            self.loop.call_soon(self.begin)

    def do_chores(self) -> bool:
        """Do a slice of what is done in slices; True if there is more. A fault of ours stops that one thing alone."""
        try:
            return self.core.chores.run(self.now)
        except Exception:
            logging.getLogger("linnet.connections").exception("a fault of ours, in what is done in slices")
            return True

    def write_slice(self, marked: list[Outbox]) -> None:
        """Where very many have something to write, write for those who have just asked, and for some of the others.

        A write is a system call: ten thousand of them would keep everybody waiting for a tenth of a second.
        """
        now = self.now
        if len(marked) <= MOST_WRITES:
            urgent = marked[:]
        else:
            heard = [was_heard(outbox.stream, now) for outbox in marked]
            urgent = [outbox for outbox, asked in zip(marked, heard, strict=True) if asked]
            self.unwritten.extend(outbox for outbox, asked in zip(marked, heard, strict=True) if not asked)
        marked.clear()
        for outbox in urgent:
            outbox.stream.write()
        for _ in range(min(MOST_WRITES, len(self.unwritten))):
            self.unwritten.popleft().stream.write()

    def due_at(self, when: float) -> None:
        """Have `tick` called at a time, which is before all others that are due."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = self.loop.call_at(when, self.tick)

    def tick(self) -> None:
        """Do what is due, and come back when the next is."""
        deadlines = self.core.deadlines
        self.timer = None
        now = self.begin()
        while (next_at := deadlines.next_at) is not None and next_at <= now:
            try:
                deadlines.run(now)
            except Exception:
                logger.exception("what was due failed")  # and is done with; the clock goes on
        if next_at is not None:
            self.due_at(next_at)

    async def drain(self, timeout: float) -> None:
        """Wait until every stream has closed, with all that was for its peer; those that have not by then are cut."""
        self.patience = timeout
        deadline = self.loop.time() + timeout
        while self.streams and self.loop.time() < deadline:
            await self.emptied(deadline - self.loop.time())
        for stream in list(self.streams):
            stream.transport.abort()
        while self.streams:
            await self.emptied(1.0)
        while self.is_open:  # noqa: ASYNC110
            await asyncio.sleep(0)  # the turn's own end is already on its way

    async def emptied(self, timeout: float) -> None:
        """Wait until the last stream is closed, or for so long."""
        if self.empty is None or self.empty.done():
            self.empty = self.loop.create_future()
        await asyncio.wait((self.empty,), timeout=timeout)

    def joined(self, stream: "Stream") -> None:
        """A stream is open."""
        self.streams[stream] = None

    def left(self, stream: "Stream") -> None:
        """A stream is closed for good."""
        self.streams.pop(stream, None)
        if self.empty is not None and not self.streams and not self.empty.done():
            self.empty.set_result(None)

    def in_background(self, verdict: Awaitable[Any], then: Callable[[Any, float], None]) -> None:
        """Wait for a hook and go on with its answer."""
        task = self.loop.create_task(self.ask(verdict, then))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def ask(self, verdict: Awaitable[Any], then: Callable[[Any, float], None]) -> None:
        """Wait for a hook; what it was asked about is dropped when it fails."""
        try:
            answer = await verdict
        except Exception:
            logger.exception("a hook failed")
        else:
            then(answer, self.begin())

    def stop(self) -> None:
        """Let nothing happen any more."""
        for task in self.tasks:
            task.cancel()
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self.core.deadlines.clear()
        not_at_turn_end = getattr(self.loop, "not_at_turn_end", None)
        if not_at_turn_end is not None:
            not_at_turn_end(self.end)


def was_heard(stream: "Stream", now: float) -> bool:
    """Whether the peer of a stream has sent something in this turn."""
    connection = stream.connection
    return connection is not None and connection.last_heard == now


def _nobody_asks(stream: "Stream") -> None:
    """A stream is open, and nobody wants to know."""
