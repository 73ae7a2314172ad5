"""A transport over a socket: what is written, kept, read and told, on our own loop and on asyncio's."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from linnet.net.loop import TurnLoop
from linnet.net.stream import Stream
from linnet.net.transport import SocketTransport
from linnet.wire import V5, Connect, Pingreq, Pingresp, Publish
from tests.net.loops import run_on, until
from tests.net.transport import Place, turns

PING, PONG = Pingreq().encode(V5), Pingresp().encode(V5)
LARGE = bytes(range(256)) * 8192  # 2 MiB

Story = Callable[..., Coroutine[Any, Any, None]]


@pytest.fixture(params=[TurnLoop, asyncio.SelectorEventLoop], ids=["turns", "asyncio"])
def run(request: pytest.FixtureRequest) -> Callable[[Story], list[dict[str, Any]]]:
    """Runs a story with a line; what the loop's exception handler was told."""

    def run_story(story: Story) -> list[dict[str, Any]]:
        async def with_a_line() -> None:
            async with a_line() as line:
                await story(line)

        return run_on(request.param, with_a_line)

    return run_story


Run = Callable[[Story], list[dict[str, Any]]]


class Line:
    """A stream of the broker with its transport, and the peer's socket in the test's hands."""

    def __init__(self) -> None:
        self.place = Place()
        ours, self.peer = connected()
        self.stream = Stream(self.place.turn, "here:1883")
        self.transport = SocketTransport(asyncio.get_running_loop(), ours, self.stream)
        assert self.stream.connection is not None
        self.connection = self.stream.connection  # the stream lets go of it at its end

    async def connect(self) -> None:
        self.peer.send(Connect("bob").encode(V5))
        await self.take(2)
        await turns()
        self.drain()

    async def take(self, count: int) -> bytes:
        """So many bytes that the peer gets."""
        taken = b""
        while len(taken) < count:
            try:
                data = self.peer.recv(min(65536, count - len(taken)))
            except BlockingIOError:
                await asyncio.sleep(0)
                continue
            assert data, "the end came before that"
            taken += data
        return taken

    async def take_all(self) -> bytes:
        """Everything that the peer gets until the end."""
        taken = b""
        while True:
            try:
                data = self.peer.recv(65536)
            except BlockingIOError:
                await asyncio.sleep(0)
                continue
            if not data:
                return taken
            taken += data

    def drain(self) -> bytes:
        """What has come to the peer by now."""
        try:
            return self.peer.recv(1 << 20)
        except BlockingIOError:
            return b""

    async def lost(self) -> str:
        """Wait until the stream is told that it is over: why."""
        await until(lambda: self.stream.has_ended)
        await until(lambda: self.transport.sock.fileno() < 0)
        return self.connection.closed_because


def connected() -> tuple[socket.socket, socket.socket]:
    """Two TCP sockets that are connected with each other, and take less than LARGE between them."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer.connect(server.getsockname())
        ours, _ = server.accept()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    ours.setblocking(False)
    peer.setblocking(False)
    return ours, peer


@asynccontextmanager
async def a_line() -> AsyncIterator[Line]:
    line = Line()
    await line.connect()
    try:
        yield line
    finally:
        line.transport.abort()
        await line.lost()
        line.place.turn.stop()
        line.peer.close()


def test_what_comes_in_is_answered(run: Run) -> None:
    async def story(line: Line) -> None:
        for _ in range(3):
            line.peer.send(PING)
            assert await line.take(2) == PONG
        host, port = line.peer.getsockname()
        assert line.connection.peer.address == f"{host}:{port}"
        assert line.transport.get_extra_info("peername") == (host, port)
        assert line.transport.get_extra_info("socket") is line.transport.sock
        assert line.transport.get_extra_info("sslcontext") is None
        assert repr(line.transport) == f"<SocketTransport {line.transport.fd}>"

    assert run(story) == []


def test_more_than_one_read_takes_comes_in_whole(run: Run) -> None:
    async def story(line: Line) -> None:
        packet = Publish("t", b"x" * 400_000, 1, packet_id=7).encode(V5) + PING
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(line.peer, packet)
        answers = await line.take(6)
        assert answers[:4] in (b"\x40\x03\x00\x07", b"\x40\x02\x00\x07")
        assert (answers + line.drain()).endswith(PONG)

    assert run(story) == []


def test_what_the_socket_does_not_take_follows_when_it_does_in_order(run: Run) -> None:
    async def story(line: Line) -> None:
        line.transport.write(b"first")
        line.transport.write(LARGE)
        assert line.stream.is_blocked and line.transport.pending is not None
        line.transport.write(b"between")
        line.transport.write(LARGE)
        assert await line.take(5 + len(LARGE) + 7 + len(LARGE)) == b"first" + LARGE + b"between" + LARGE
        await until(lambda: not line.stream.is_blocked)
        assert line.transport.pending is None
        line.transport.write(b"last")
        assert await line.take(4) == b"last"

    assert run(story) == []


def test_while_the_peer_takes_nothing_it_is_still_heard(run: Run) -> None:
    async def story(line: Line) -> None:
        line.transport.write(LARGE)
        line.peer.send(PING)
        await until(lambda: line.stream.outbox is not None and line.stream.outbox.pieces)
        assert (await line.take(len(LARGE) + 2)).endswith(PONG)

    assert run(story) == []


def test_paused_it_reads_nothing_and_resumed_everything(run: Run) -> None:
    async def story(line: Line) -> None:
        line.transport.pause_reading()
        line.peer.send(PING)
        await turns(20)
        assert line.drain() == b""
        line.transport.pause_reading()
        line.transport.resume_reading()
        line.transport.resume_reading()
        assert await line.take(2) == PONG

    assert run(story) == []


def test_paused_it_writes_what_is_pending(run: Run) -> None:
    async def story(line: Line) -> None:
        line.transport.write(LARGE)
        line.transport.pause_reading()
        assert await line.take(len(LARGE)) == LARGE
        line.transport.resume_reading()
        line.peer.send(PING)
        assert await line.take(2) == PONG

    assert run(story) == []


def test_the_end_of_what_the_peer_sends_ends_it(run: Run) -> None:
    async def story(line: Line) -> None:
        line.peer.send(PING)
        line.peer.shutdown(socket.SHUT_WR)
        assert await line.take_all() in (b"", PONG)
        assert await line.lost() == "the client closed the connection"

    assert run(story) == []


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def test_a_reset_ends_it_and_tells_why(run: Run) -> None:
    async def story(line: Line) -> None:
        reset(line.peer)
        assert "reset by peer" in await line.lost()
        line.transport.write(b"nobody reads this")
        line.transport.close()
        line.transport.abort()
        line.transport.resume_reading()
        line.transport.write_eof()
        await turns()

    assert run(story) == []


@pytest.mark.parametrize("reads", [True, False])
def test_a_reset_while_much_is_pending_ends_it(run: Run, reads: bool) -> None:
    async def story(line: Line) -> None:
        line.transport.write(LARGE)
        if not reads:
            line.transport.pause_reading()
        reset(line.peer)
        assert "connection lost" in await line.lost()

    assert run(story) == []


def test_a_write_that_fails_ends_it(run: Run) -> None:
    async def story(line: Line) -> None:
        line.transport.pause_reading()  # so that the write is the first to notice
        reset(line.peer)
        line.transport.write(b"x")
        line.transport.write(b"y")
        assert "connection lost" in await line.lost()

    assert run(story) == []


def test_abort_ends_it_at_once_and_tells_the_stream_once_in_a_turn_of_its_own(run: Run) -> None:
    async def story(line: Line) -> None:
        line.transport.write(LARGE)
        line.transport.abort()
        line.transport.abort()
        assert line.transport.pending is None and not line.stream.has_ended
        assert await line.lost() == "the client closed the connection"
        assert len(await line.take_all()) < len(LARGE)

    assert run(story) == []


def test_close_with_nothing_pending_ends_it(run: Run) -> None:
    async def story(line: Line) -> None:
        line.transport.close()
        line.transport.close()
        assert not line.stream.has_ended
        await line.lost()
        assert await line.take_all() == b""

    assert run(story) == []


def test_close_writes_what_is_pending_and_nothing_more(run: Run) -> None:
    async def story(line: Line) -> None:
        line.transport.write(LARGE)
        line.transport.close()
        line.transport.write(b"too late")
        line.transport.resume_reading()
        assert not line.transport.is_reading
        await turns(20)
        assert not line.stream.has_ended
        assert await line.take_all() == LARGE
        await line.lost()

    assert run(story) == []


def test_eof_comes_after_what_is_pending_and_the_peer_is_still_read(run: Run) -> None:
    async def story(line: Line) -> None:
        line.transport.write(LARGE)
        line.transport.write_eof()
        assert await line.take_all() == LARGE
        assert not line.stream.has_ended
        line.peer.close()
        assert await line.lost() == "the client closed the connection"

    assert run(story) == []


def test_eof_with_nothing_pending_comes_at_once(run: Run) -> None:
    async def story(line: Line) -> None:
        line.transport.write(b"goodbye")
        line.transport.write_eof()
        assert await line.take_all() == b"goodbye"
        assert not line.stream.has_ended

    assert run(story) == []


def test_a_stream_that_fails_is_ended_and_that_is_told(run: Run, request: pytest.FixtureRequest) -> None:
    async def story(line: Line) -> None:
        clock = line.place.turn.clock

        def fail() -> float:
            line.place.turn.clock = clock
            raise fault

        await until(lambda: not line.place.turn.is_open)
        line.place.turn.clock = fail
        line.peer.send(PING)
        await until(lambda: line.place.turn.clock is clock)
        await turns()
        assert line.transport.has_ended
        assert await line.lost() == "connection lost: a fault"

    fault = RuntimeError("a fault")
    (told,) = run(story)
    assert told["exception"] is fault


def test_a_stream_that_fails_at_the_end_leaves_no_socket(run: Run) -> None:
    async def story(line: Line) -> None:
        clock = line.place.turn.clock

        def fail() -> float:
            line.place.turn.clock = clock
            raise fault

        await until(lambda: not line.place.turn.is_open)
        line.place.turn.clock = fail
        line.transport.abort()
        await turns()
        try:
            assert line.transport.sock.fileno() < 0
        finally:
            line.transport.sock.close()

    fault = RuntimeError("a fault")
    (told,) = run(story)
    assert told["exception"] is fault


def test_one_that_is_ended_before_it_was_ever_read_is_told_so() -> None:
    async def story() -> None:
        place = Place()
        ours, peer = connected()
        stream = Stream(place.turn, "here:1883")
        transport = SocketTransport(asyncio.get_running_loop(), ours, stream)
        peer.send(Connect("bob").encode(V5))
        transport.abort()
        await until(lambda: ours.fileno() < 0)
        assert stream.has_ended and not place.turn.streams and not place.core.connections
        place.turn.stop()
        peer.close()

    assert run_on(TurnLoop, story) == []


def test_a_peer_that_sends_no_more_and_does_not_read_is_over_soon(run: Run) -> None:
    """Its end of the line is closed for good, and nobody else can tell how long the rest would take."""

    async def story(line: Line) -> None:
        line.transport.write(LARGE)
        line.peer.shutdown(socket.SHUT_WR)
        await until(lambda: line.transport.is_closing or line.stream.has_ended)
        assert line.stream.timer is not None or line.stream.has_ended

    assert run(story) == []
