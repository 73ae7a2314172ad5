"""A line: an asyncio protocol on one side, a client's connection on the other.

Everything that enters the connection begins a turn; what is sent meanwhile gathers in the outbox, and is written once,
at the turn's end. What the store has to keep is kept before that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from linnet.client.outcomes import STORE_PAUSE
from linnet.client.publishing import Publisher
from linnet.client.store import StoreError
from linnet.core.client_connection import ClientConnection
from linnet.core.deadlines import Deadlines
from linnet.core.outbox import Outbox
from linnet.core.statistics import Statistics
from linnet.errors import ProtocolError, ReasonCode

if TYPE_CHECKING:
    from linnet.client.handshake import Handshake

logger = logging.getLogger("linnet.client")

UNLIMITED = 1 << 60
MOST_WRITES = 100  # of a program that never waits, before the rest of it has a turn
LINGER = 1.0  # seconds that the server has to take our last words


class Line:
    """One connection of a client, and the turns of its loop."""

    __slots__ = (
        "alarm",
        "answered",
        "connection",
        "handshake",
        "has_ended",
        "is_blocked",
        "is_closing",
        "is_open",
        "loop",
        "lost",
        "marked",
        "now",
        "outbox",
        "publisher",
        "task",
        "transport",
        "valve",
        "window",
        "writes",
    )

    def __init__(self, publisher: Publisher, handshake: Handshake) -> None:
        self.loop = asyncio.get_running_loop()
        self.publisher = publisher
        self.handshake = handshake
        self.valve = handshake.keeper.valve
        self.answered: asyncio.Future[Exception | None] = self.loop.create_future()  # what became of CONNECT
        self.marked: list[Outbox] = []
        self.outbox = Outbox(self.marked, UNLIMITED, None, UNLIMITED, Statistics())
        self.alarm = Alarm(self)
        self.connection: ClientConnection = None  # type: ignore[assignment]  # set by whoever makes both
        self.transport: Any = None
        self.is_open = False  # whether a turn is
        self.is_blocked = False  # the transport's buffer is full
        self.is_closing = False
        self.has_ended = False
        self.now = self.loop.time()
        self.task: asyncio.Task[None] | None = None  # asks the program for a step of authentication
        self.lost: asyncio.Future[None] = self.loop.create_future()  # done when it is over
        self.writes = 0  # since the last rest
        self.window = 0  # of the sender, while nothing blocks it

    def __repr__(self) -> str:
        return f"<Line of {self.connection!r}>"

    def answer(self, fault: Exception | None) -> None:
        """Say what became of CONNECT: None if it was accepted."""
        if not self.answered.done():
            self.answered.set_result(fault)

    def begin(self) -> float:
        """Enter the connection: the time of this turn, in seconds of the loop's clock."""
        if not self.is_open:
            self.is_open = True
            self.now = self.loop.time()
            self.loop.call_soon(self.end)
        return self.now

    def end(self) -> None:
        """Write what has gathered."""
        self.is_open = False
        if self.valve.held:
            self.valve.update()
        self.flush()
        if self.is_closing and self.transport is not None and not self.has_ended:
            hang_up(self.transport)

    def flush(self) -> None:
        """Keep what has to be kept, then write what there is."""
        publisher = self.publisher
        outbox = self.outbox
        try:
            publisher.store.commit()
        except StoreError:
            logger.exception("nothing is sent until the store can be written again")
            self.loop.call_later(STORE_PAUSE, self.begin)
            return
        if not outbox.pieces or self.transport is None or self.has_ended or self.transport.is_closing():
            return
        self.marked.clear()
        self.connection.last_sent = self.now
        if outbox.is_bulky():
            self.transport.writelines(outbox.take_pieces())
        else:
            self.transport.write(outbox.take())
        if publisher.outcomes.unwritten:
            publisher.outcomes.written()

    def said(self) -> str:
        """What the server has added to the acknowledgement that is being taken."""
        return self.connection.reason_string

    def rests(self) -> bool:
        """Whether so much was written in this turn that others should have theirs."""
        self.writes += 1
        if self.writes < MOST_WRITES:
            return False
        self.writes = 0
        return True

    # -- what asyncio calls

    def connection_made(self, transport: Any) -> None:
        """asyncio: the server is there."""
        self.transport = transport
        self.connection.begin(self.begin())
        self.flush()

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came in."""
        if self.is_closing:
            return
        now = self.begin()
        try:
            self.connection.receive(data, now)
        except Exception:
            logger.exception("a fault of ours ends %r", self.connection)
            self.connection.close(ReasonCode.UNSPECIFIED_ERROR, "a fault in the client", now)

    def eof_received(self) -> bool:
        """asyncio: the server sends no more."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio: it is over."""
        self.has_ended = True
        self.alarm.stop()
        if self.task is not None:
            self.task.cancel()
        detail = f"connection lost: {error}" if error is not None else "the server closed the connection"
        self.connection.finish(detail, self.loop.time())
        self.transport = None
        if not self.lost.done():
            self.lost.set_result(None)

    def pause_writing(self) -> None:
        """asyncio: the server does not take what we send. New messages wait, so that they can still be withdrawn."""
        self.is_blocked = True
        sender = self.connection.sender
        if sender.outbox is self.outbox:
            self.window, sender.window = sender.window, 0

    def resume_writing(self) -> None:
        """asyncio: the server takes more."""
        self.is_blocked = False
        sender = self.connection.sender
        if sender.outbox is self.outbox:
            sender.window = self.window
            sender.pump(self.begin())

    # -- what the connection calls

    def finish(self) -> None:
        """The connection is over for the protocol: close when our last words are written."""
        self.is_closing = True
        if not self.has_ended:
            self.begin()
            self.loop.call_later(LINGER, self.abort)

    def abort(self) -> None:
        """Cut the connection."""
        if self.transport is not None and not self.has_ended:
            self.transport.abort()

    def pause(self) -> None:
        """Leave in the socket what comes in."""
        if not self.has_ended and self.transport is not None:
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if not self.has_ended and not self.is_closing and self.transport is not None:
            self.transport.resume_reading()

    def wait(self, answer: Awaitable[Any], then: Callable[[Any, float], None]) -> None:
        """Read no more until an answer is there, and go on with it."""
        self.task = self.loop.create_task(self.ask(answer, then))

    async def ask(self, answer: Awaitable[Any], then: Callable[[Any, float], None]) -> None:
        """Wait for the program's answer; if it fails, so does the connection."""
        try:
            then(await answer, self.begin())
        except Exception as error:
            logger.exception("the authenticator failed")
            fault = ProtocolError(ReasonCode.UNSPECIFIED_ERROR, f"the authenticator failed: {error}")
            self.connection.fail(fault, self.begin())


class Alarm:
    """Has a line's deadlines met: wakes it when the next is due."""

    __slots__ = ("deadlines", "line", "timer")

    def __init__(self, line: Line) -> None:
        self.line = line
        self.deadlines = Deadlines()
        self.deadlines.on_earlier = self.due_at
        self.timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Alarm of {self.line!r}>"

    def due_at(self, when: float) -> None:
        """Come at a time, which is before all others that are due."""
        self.stop()
        self.timer = self.line.loop.call_at(when, self.ring)

    def ring(self) -> None:
        """Do what is due, and come back when the next is."""
        self.timer = None
        self.deadlines.run(self.line.begin())
        at = self.deadlines.next_at
        if at is not None:
            self.due_at(at)

    def stop(self) -> None:
        """Come no more."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


def hang_up(transport: Any) -> None:
    """Close a connection whose last words are written.

    What the server has sent and we have not read would make TCP answer with a reset, which may overtake our
    DISCONNECT: so where that can be, say that we are done, and read on until the server is done too.
    """
    if transport.can_write_eof():
        transport.write_eof()
        transport.resume_reading()
    else:
        transport.close()
