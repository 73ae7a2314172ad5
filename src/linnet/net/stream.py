"""A byte stream: an asyncio protocol on one side, a connection on the other.

It is not derived from `asyncio.Protocol`, which a compiled class cannot be; it has its methods.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import time
from typing import Any

from linnet.core.deadlines import Deadline
from linnet.core.outbox import HOLD_FACTOR, Outbox
from linnet.core.ports import Peer
from linnet.core.server_connection import ServerConnection
from linnet.errors import ProtocolError, ReasonCode
from linnet.net.turn import Turn

logger = logging.getLogger("linnet.connections")

HIGH_WATER = 65536  # bytes in the transport's own buffer, above which what there is to say stays in the outbox
LINGER = 1.0  # seconds that a peer has to read our last words before the connection is cut


class Stream:
    """One network connection of the broker."""

    __slots__ = (
        "connection",
        "has_ended",
        "is_blocked",
        "is_closing",
        "is_holding",
        "listener",
        "outbox",
        "stall",
        "task",
        "timer",
        "transport",
        "turn",
        "unsent_before",
    )

    def __init__(self, turn: Turn, listener: str) -> None:
        self.turn = turn
        self.listener = listener
        self.transport: Any = None
        self.connection: ServerConnection | None = None
        self.outbox: Outbox | None = None
        self.is_blocked = False  # the transport's buffer is full
        self.is_holding = False  # so much is unsent that nothing is read
        self.is_closing = False
        self.has_ended = False  # nothing comes in any more
        self.task: asyncio.Task[None] | None = None  # waits for a hook
        self.timer: asyncio.TimerHandle | None = None
        self.stall: Deadline | None = None  # when a peer that takes nothing is given up
        self.unsent_before = 0  # bytes in the transport when that was decided on

    def __repr__(self) -> str:
        return f"<Stream of {self.connection!r}>"

    def connection_made(self, transport: Any) -> None:
        """asyncio: a client is there."""
        turn = self.turn
        now = turn.begin()
        self.transport = transport
        if isinstance(transport, asyncio.WriteTransport):
            transport.set_write_buffer_limits(high=HIGH_WATER)
        turn.joined(self)
        peer = Peer(peer_name(transport), self.listener, time())
        self.connection = ServerConnection(turn.core, self, peer, now)
        self.outbox = self.connection.outbox
        turn.opened(self)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came in. From here a message goes to the outboxes without a pause."""
        connection = self.connection
        assert connection is not None
        if self.is_closing:
            return  # our last words are on their way; the peer's are not wanted
        now = self.turn.begin()
        try:
            connection.receive(data, now)
        except Exception:
            logger.exception("a fault of ours ends %r", connection)
            connection.close(ReasonCode.UNSPECIFIED_ERROR, "a fault in the broker", now)

    def eof_received(self) -> bool:
        """asyncio: the peer sends no more. Then we are done too, whether or not it reads what is pending."""
        if self.is_blocked and self.timer is None:
            self.timer = self.turn.loop.call_later(LINGER, self.transport.abort)
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio: it is over."""
        turn = self.turn
        self.has_ended = True
        turn.left(self)
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self.task is not None:
            self.task.cancel()
        turn.core.deadlines.cancel(self.stall)
        connection = self.connection
        if connection is not None:
            connection.outbox.discard()
            detail = f"connection lost: {error}" if error is not None else "the client closed the connection"
            connection.finish(detail, turn.begin())
        # Nothing of it is left to the garbage collector: these are what makes rings of references
        self.connection = self.outbox = self.transport = None

    def pause_writing(self) -> None:
        """asyncio: the peer does not take what we send."""
        self.is_blocked = True
        self.watch_stall(self.turn.begin())

    def watch_stall(self, now: float) -> None:
        """Look again in a while whether the peer has taken anything."""
        core = self.turn.core
        self.unsent_before = self.unsent()
        core.deadlines.cancel(self.stall)
        self.stall = core.deadlines.at(now + self.turn.settings.write_timeout, self.has_stalled)

    def has_stalled(self, now: float) -> None:
        """Has the peer taken anything?"""
        self.stall = None
        if not self.is_blocked or self.has_ended:
            return
        if self.unsent() != self.unsent_before:
            self.watch_stall(now)
            return
        self.give_up("write_timeout", f"it took no byte in {self.turn.settings.write_timeout:g} s")

    def unsent(self) -> int:
        """Bytes that the transport has yet to write."""
        size: int = self.transport.get_write_buffer_size()
        return size

    def resume_writing(self) -> None:
        """asyncio: the peer takes more."""
        self.is_blocked = False
        now = self.turn.begin()  # whoever waits for room may go on
        self.turn.core.deadlines.cancel(self.stall)
        self.stall = None
        self.write()
        if self.is_closing and not self.is_blocked:
            say_done(self)
        outbox, connection = self.outbox, self.connection
        if self.is_holding and outbox is not None and connection is not None and outbox.size <= outbox.limit:
            self.is_holding = False
            connection.go_on(now)

    def write(self) -> None:
        """Write the outbox as far as the transport takes it."""
        outbox = self.outbox
        if outbox is None or not outbox.pieces:
            return
        if self.is_blocked:
            self.hold_back(outbox)
        elif self.has_ended:
            outbox.discard()
        elif outbox.is_bulky():
            self.transport.writelines(outbox.take_pieces())
        else:
            self.transport.write(outbox.take())

    def hold_back(self, outbox: Outbox) -> None:
        """The peer does not take what it is sent: read no more of what makes us send more, and give it up at last."""
        connection = self.connection
        assert connection is not None
        if outbox.is_excessive:
            self.give_up("max_output_bytes_hard", f"{outbox.size} bytes wait, and it does not read them")
        elif outbox.size > outbox.limit * HOLD_FACTOR and not self.is_holding:
            self.is_holding = True
            self.turn.core.reached(
                "max_output_bytes", connection, f"{outbox.size} bytes wait: it is not read meanwhile"
            )
            connection.pause()

    def give_up(self, limit: str, detail: str) -> None:
        """Cut the connection: what is in the outbox would never be read."""
        connection = self.connection
        assert connection is not None
        now = self.turn.begin()
        self.turn.core.reached(limit, connection, detail)
        connection.outbox.discard()
        connection.finish(f"{limit}: {detail}", now)
        if not self.has_ended:
            self.transport.abort()

    def finish(self) -> None:
        """The connection is over for the core: close when the turn's last words are written."""
        if not self.has_ended:
            self.turn.closing.append(self)
            self.turn.begin()

    def close(self) -> None:
        """Say that we are done, let the peer read it, and then close.

        Closing at once would throw away bytes that the peer has sent and we have not read, and TCP would answer
        those with a reset that can overtake our DISCONNECT.
        """
        if self.is_closing or self.has_ended:
            return
        self.is_closing = True
        self.write()
        self.transport.resume_reading()  # to see that the peer is done too
        if self.is_blocked:
            self.timer = self.turn.loop.call_later(self.turn.patience, self.transport.abort)
        else:
            say_done(self)

    def wait(self, verdict: Awaitable[Any], then: Callable[[Any, float], None]) -> None:
        """Read no more until an answer is there, and go on with it."""
        self.task = self.turn.loop.create_task(self.ask(self.connection, verdict, then))

    async def ask(
        self, connection: ServerConnection | None, verdict: Awaitable[Any], then: Callable[[Any, float], None]
    ) -> None:
        """Wait for a hook; one that raises ends the connection."""
        assert connection is not None
        try:
            answer = await verdict
            self.task = None
            then(answer, self.turn.begin())
        except Exception:
            logger.exception("a hook failed for %r", connection)
            connection.fail(
                ProtocolError(ReasonCode.UNSPECIFIED_ERROR, "a hook of the broker failed"), self.turn.begin()
            )

    def pause(self) -> None:
        """Leave in the socket what comes in."""
        if not self.has_ended:
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if not self.has_ended:
            self.transport.resume_reading()


def say_done(stream: Stream) -> None:
    """All is written: the peer has a moment to read it, and to be done too."""
    if stream.timer is not None:
        stream.timer.cancel()
    stream.transport.write_eof()
    stream.timer = stream.turn.loop.call_later(LINGER, stream.transport.abort)


def peer_name(transport: Any) -> str:
    """The address of the other side, for people."""
    name = transport.get_extra_info("peername")
    if isinstance(name, tuple):
        host, port = name[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return str(name or "")
