"""A TCP socket on asyncio's event loop, for one stream.

asyncio has such a transport; this one does less. It never buffers more than the rest of one write, since what else
there is to say waits in the outbox; it has no options; and it is compiled. A broker reads and writes little, often: so
what surrounds each read and write is a good part of all that it does.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

IN = 0x001  # EPOLLIN
OUT = 0x004  # EPOLLOUT
MOST_PIECES = 512  # in one system call
READ_SIZE = 131072  # bytes at most taken from one socket before the next one's turn


class SocketTransport:
    """One connected, non-blocking socket, with those methods of `asyncio.Transport` that a stream calls."""

    __slots__ = (
        "fd",
        "has_ended",
        "is_closing",
        "is_reading",
        "loop",
        "pending",
        "read",
        "send",
        "sock",
        "stream",
        "wants_eof",
        "watch",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, stream: Any) -> None:
        self.loop = loop
        self.sock = sock
        self.fd = sock.fileno()
        self.watch: Callable[[SocketTransport, bool, bool], None] = getattr(loop, "watch", watch_by_loop)
        self.stream = stream
        self.read: Callable[[int], bytes] = sock.recv
        self.send: Callable[[Any], int] = sock.send
        self.pending: memoryview | None = None  # the rest of a write that the socket did not take
        self.is_reading = False
        self.is_closing = False  # reads no more, and ends when nothing is pending
        self.wants_eof = False  # says that it is done when nothing is pending
        self.has_ended = False
        stream.connection_made(self)
        self.resume_reading()

    def __repr__(self) -> str:
        return f"<SocketTransport {self.fd}>"

    def get_extra_info(self, name: str) -> Any:
        """The peer's address, or the socket."""
        if name == "peername":
            try:
                return self.sock.getpeername()
            except OSError:  # it has gone already
                return None
        return self.sock if name == "socket" else None

    def ready(self, bits: int) -> None:
        """The selector has seen something: EPOLLOUT, or anything else, which a read will tell."""
        try:
            if bits & OUT:
                self.writable()
            if bits & ~OUT and self.is_reading:
                self.readable()
        except Exception as error:
            self.loop.call_exception_handler({"message": "a stream failed", "exception": error, "transport": self})
            self.end(error)

    def readable(self) -> None:
        """There is something to read, or the end of it."""
        try:
            data = self.read(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.end(error)
            return
        if data:
            self.stream.data_received(data)
        elif not self.stream.eof_received():
            self.close()

    def write(self, data: bytes) -> None:
        """Write; what the socket does not take is kept, and the stream told not to write until it is gone."""
        if self.is_closing or self.has_ended:
            return
        if self.pending is not None:
            self.pending = memoryview(bytes(self.pending) + data)
            return
        try:
            sent = self.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self.end(error)
            return
        if sent < len(data):
            self.keep(memoryview(data)[sent:])

    def writelines(self, pieces: list[bytes]) -> None:
        """Write large pieces without joining them."""
        if self.is_closing or self.has_ended or self.pending is not None or len(pieces) > MOST_PIECES:
            self.write(b"".join(pieces))
            return
        try:
            sent = self.sock.sendmsg(pieces)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self.end(error)
            return
        for index, piece in enumerate(pieces):
            if sent < len(piece):
                self.keep(memoryview(b"".join(pieces[index:]))[sent:])
                return
            sent -= len(piece)

    def get_write_buffer_size(self) -> int:
        """Bytes that the socket has not taken yet."""
        return len(self.pending) if self.pending is not None else 0

    def keep(self, rest: memoryview) -> None:
        """Write the rest when the socket takes it, and let the stream hold back more until then."""
        self.pending = rest
        self.watch(self, self.is_reading, True)
        self.stream.pause_writing()

    def writable(self) -> None:
        """The socket takes more."""
        if self.pending is None:
            return
        try:
            sent = self.send(self.pending)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.end(error)
            return
        if sent < len(self.pending):
            self.pending = self.pending[sent:]
            return
        self.pending = None
        if self.is_closing:
            self.end(None)
            return
        self.watch(self, self.is_reading, False)
        if self.wants_eof:
            self.write_eof()
        self.stream.resume_writing()

    def pause_reading(self) -> None:
        """Leave what comes in in the socket."""
        self.is_reading = False
        if not self.has_ended:
            self.watch(self, False, self.pending is not None)

    def resume_reading(self) -> None:
        """Read again."""
        if not self.is_closing and not self.has_ended:
            self.is_reading = True
            self.watch(self, True, self.pending is not None)

    def write_eof(self) -> None:
        """Say that nothing more will be written, after what is pending."""
        self.wants_eof = True
        if self.pending is None and not self.has_ended:
            try:
                self.sock.shutdown(socket.SHUT_WR)
            except OSError as error:
                self.end(error)

    def close(self) -> None:
        """Read no more; end when what is pending is written."""
        if self.is_closing or self.has_ended:
            return
        self.is_closing = True
        if self.pending is None:
            self.end(None)
        else:
            self.pause_reading()

    def abort(self) -> None:
        """End at once; what is pending is lost."""
        self.end(None)

    def end(self, error: Exception | None) -> None:
        """Let go of the socket, and tell the stream in a turn of its own."""
        if self.has_ended:
            return
        self.has_ended = True
        self.is_reading = False
        self.pending = None
        self.watch(self, False, False)
        self.loop.call_soon(self.ended, error)

    def ended(self, error: Exception | None) -> None:
        """It is over."""
        try:
            self.stream.connection_lost(error)
        finally:
            self.sock.close()


def watch_by_loop(transport: SocketTransport, reads: bool, writes: bool) -> None:
    """Let an ordinary event loop tell a transport when its socket can be read or written, or neither."""
    loop = transport.loop
    if reads:
        loop.add_reader(transport.fd, transport.ready, IN)
    else:
        loop.remove_reader(transport.fd)
    if writes:
        loop.add_writer(transport.fd, transport.ready, OUT)
    else:
        loop.remove_writer(transport.fd)
