"""Two transports in memory, joined: what is written to one is received by the protocol of the other.

They behave as the two ends of a TCP connection do: half-closed, closed, reset, and full when the other end does not
read. Each end belongs to an event loop of its own, which may be the same one or run in another thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

HIGH_WATER = 65536  # bytes unread at the other end, above which the writer is asked to pause


class WritingHalf(asyncio.Transport):
    """What one end writes, and how much of it the other end has not read."""

    def __init__(self, loop: asyncio.AbstractEventLoop, peername: str) -> None:
        super().__init__({"peername": peername})
        self.loop = loop
        self.other: WritingHalf = self
        self.protocol: Any = None
        self.unread = 0  # bytes written that the other end has not read
        self.high, self.low = HIGH_WATER, HIGH_WATER // 4
        self.is_full = False  # our protocol was asked to write no more
        self.has_said_all = False
        self.has_ended = False

    def arrive(self, data: bytes) -> None:
        """The other end has written, or has said that it will no more."""
        raise NotImplementedError

    def end(self, error: Exception | None) -> None:
        """Tell the protocol in a turn of its own."""
        if not self.has_ended:
            self.has_ended = True
            if self.protocol is not None:
                self.loop.call_soon(self.protocol.connection_lost, error)

    def broken(self) -> None:
        """The other end is gone; what it wrote and was not read is lost."""
        self.end(ConnectionResetError("the connection was reset"))

    def tell(self, action: Callable[..., None], *arguments: object) -> None:
        """Call a method of the other end, on its event loop."""
        loop = self.other.loop
        try:
            if loop is self.loop:
                loop.call_soon(action, *arguments)
            else:
                loop.call_soon_threadsafe(action, *arguments)
        except RuntimeError:  # that loop is closed, and so is whatever was there
            self.end(ConnectionResetError("the other end's event loop is closed"))

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send."""
        if self.has_ended or self.has_said_all or not data:
            return
        self.unread += len(data)
        self.tell(self.other.arrive, bytes(data))
        if self.unread > self.high and not self.is_full:
            self.is_full = True
            self.protocol.pause_writing()

    def took(self, count: int) -> None:
        """The other end has read so many bytes."""
        self.unread -= count
        if self.is_full and self.unread <= self.low and not self.has_ended:
            self.is_full = False
            self.protocol.resume_writing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """How much may be unread at the other end before our protocol is asked to pause, and to go on."""
        self.high = HIGH_WATER if high is None else high
        self.low = self.high // 4 if low is None else low

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Low and high."""
        return self.low, self.high

    def get_write_buffer_size(self) -> int:
        """Bytes that the other end has not read."""
        return self.unread

    def can_write_eof(self) -> bool:
        """It can."""
        return True

    def write_eof(self) -> None:
        """Say that nothing more will come."""
        if not self.has_said_all and not self.has_ended:
            self.has_said_all = True
            self.tell(self.other.arrive, b"")


class MemoryTransport(WritingHalf):
    """One end. Its methods are to be called on its own event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, peername: str) -> None:
        super().__init__(loop, peername)
        self.inbox: deque[bytes] = deque()  # what has come and was not read; nothing (b"") at its end
        self.reads = False

    def __repr__(self) -> str:
        return f"<MemoryTransport to {self.get_extra_info('peername')}{', closed' if self.has_ended else ''}>"

    def join(self, other: MemoryTransport) -> None:
        """Make a pair."""
        self.other, other.other = other, self

    def start(self, protocol: asyncio.BaseProtocol | Any) -> None:
        """Let a protocol have this end."""
        self.protocol = protocol
        protocol.connection_made(self)
        self.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol | Any) -> None:
        """Let another protocol have what comes from now on."""
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that has this end."""
        protocol: asyncio.BaseProtocol = self.protocol
        return protocol

    def arrive(self, data: bytes) -> None:
        """The other end has written, or has said that it will no more."""
        if not self.has_ended:
            self.inbox.append(data)
            self.drain()
        elif data:
            self.tell(self.other.broken)

    def drain(self) -> None:
        """Let the protocol have what has come."""
        try:
            while self.inbox and self.reads and not self.has_ended:
                data = self.inbox.popleft()
                if data:
                    self.protocol.data_received(data)
                    self.tell(self.other.took, len(data))
                elif not self.protocol.eof_received():
                    self.close()
        except Exception as error:
            about = {"message": "a protocol failed", "exception": error, "transport": self, "protocol": self.protocol}
            self.loop.call_exception_handler(about)
            self.abort()

    def is_reading(self) -> bool:
        """Whether the protocol is given what comes."""
        return self.reads and not self.has_ended

    def pause_reading(self) -> None:
        """Keep what comes."""
        self.reads = False

    def resume_reading(self) -> None:
        """Let the protocol have it again."""
        if not self.reads and not self.has_ended:
            self.reads = True
            self.loop.call_soon(self.drain)

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self.has_ended

    def close(self) -> None:
        """Be done: the other end still gets what was written."""
        self.write_eof()
        self.end(None)

    def abort(self) -> None:
        """The same; nothing is buffered here that could be lost."""
        self.close()

    def reset(self) -> None:
        """Be gone: the other end loses what it has not read, and is told that the connection was reset."""
        if not self.has_ended:
            self.tell(self.other.broken)
            self.end(None)
