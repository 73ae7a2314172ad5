"""MQTT in WebSocket frames: what comes out is a stream of bytes, whatever the frames, and the end is an orderly one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from linnet.client import websocket
from linnet.client.dialling import ConnectFailed, dial
from tests.client.doors import HOST, Inner, address, door, given, websocket_door
from tests.net.loops import run_on

LOOPS = pytest.mark.parametrize(
    "factory", [asyncio.SelectorEventLoop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)

Talk = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def connected(talk: Talk, path: str = "/mqtt", **options: Any) -> AsyncIterator[tuple[Inner, asyncio.Transport]]:
    """A protocol connected with a server; at the end it is closed and its loss awaited."""
    async with websocket_door(talk) as port:
        inner = Inner()
        transport = await dial(address(f"ws://{HOST}:{port}{path}"), given(inner), **options)
        assert inner.told[:1] == ["made"]
        yield inner, transport
        transport.close()
        await inner.lost()


async def failure(port: int, **options: Any) -> str:
    """What is said of a WebSocket that is not opened, of which the inner protocol is never told."""
    inner = Inner()
    with pytest.raises(ConnectFailed) as caught:
        await dial(address(f"ws://{HOST}:{port}"), given(inner), **options)
    assert inner.told == []
    return caught.value.detail


async def listen(connection: ServerConnection) -> None:
    """Take everything."""
    async for _ in connection:
        pass


def frame(data: bytes, opcode: Opcode = Opcode.BINARY, fin: bool = True) -> bytes:
    """A frame as servers send it."""
    return Frame(opcode, data, fin).serialize(mask=False)


class Server:
    """A server that answers the request properly and then writes what bytes it likes."""

    def __init__(self, *writes: bytes, with_answer: bytes = b"") -> None:
        self.writes = writes
        self.with_answer = with_answer  # what comes with the same bytes as the answer in HTTP
        self.rules = ServerProtocol(subprotocols=[Subprotocol("mqtt")])
        self.came: list[Frame] = []
        self.changed = asyncio.Event()
        self.ended = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.rules.receive_data(await reader.readuntil(b"\r\n\r\n"))
        (request,) = self.rules.events_received()
        assert isinstance(request, Request)
        self.rules.send_response(self.rules.accept(request))
        writer.write(b"".join(self.rules.data_to_send()) + self.with_answer)
        for data in self.writes:
            writer.write(data)
            await writer.drain()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                self.rules.receive_data(data)
                self.came += [event for event in self.rules.events_received() if isinstance(event, Frame)]
                self.changed.set()
        self.ended.set()

    async def until(self, opcode: Opcode) -> Frame:
        """Wait for such a frame."""
        while True:
            for one in self.came:
                if one.opcode is opcode:
                    return one
            self.changed.clear()
            await self.changed.wait()


# Frames out


async def test_one_write_is_one_frame() -> None:
    got: asyncio.Queue[Any] = asyncio.Queue()

    async def talk(connection: ServerConnection) -> None:
        async for data in connection:
            got.put_nowait(data)

    async with connected(talk) as (_, transport):
        transport.write(b"one")
        transport.write(bytearray(b"two"))
        transport.write(memoryview(b"three"))
        transport.write(b"")
        transport.writelines([b"fo", b"ur"])
        transport.write(b"5" * 100_000)
        assert [await got.get() for _ in range(5)] == [b"one", b"two", b"three", b"four", b"5" * 100_000]


async def test_the_request_names_path_sub_protocol_and_headers() -> None:
    seen: list[Request] = []

    async def talk(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append(connection.request)
        await listen(connection)

    headers = {"Authorization": "Bearer me", "Origin": "https://example.org", "Host": "example.org"}
    async with connected(talk, "/some/path?token=1", headers=headers):
        pass
    (request,) = seen
    assert request.path == "/some/path?token=1"
    assert request.headers["Sec-WebSocket-Protocol"] == "mqtt"  # [MQTT-6.0.0-3]
    assert {name: request.headers[name] for name in headers} == headers


@LOOPS
def test_a_slow_server_makes_writing_pause(factory: Any) -> None:
    async def story() -> None:
        read = asyncio.Event()

        async def talk(connection: ServerConnection) -> None:
            await read.wait()
            await listen(connection)

        async with connected(talk) as (inner, transport):
            transport.set_write_buffer_limits(high=1000)
            for _ in range(100):
                transport.write(bytes(1_000_000))
                if "pause" in inner.told:
                    break
            assert inner.told == ["made", "pause"]
            assert transport.get_write_buffer_size() > 1000
            read.set()
            await inner.until(lambda: "resume" in inner.told)

    assert run_on(factory, story) == []


# Frames in


async def test_packets_may_span_frames_and_share_them() -> None:
    server = Server(
        frame(b"one-tw") + frame(b"o-three"),
        frame(b"-fo", fin=False) + frame(b"ping?", Opcode.PING) + frame(b"u", Opcode.CONT, fin=False),
        frame(b"r", Opcode.CONT) + frame(b"") + frame(b"-five"),
        *[bytes((byte,)) for byte in frame(b"-six")],
    )
    async with door(server) as port:
        inner = Inner()
        transport = await dial(address(f"ws://{HOST}:{port}"), given(inner))
        assert await inner.received(27) == b"one-two-three-four-five-six"
        assert (await server.until(Opcode.PONG)).data == b"ping?"
        transport.close()
        assert (await server.until(Opcode.CLOSE)).data[:2] == CloseCode.NORMAL_CLOSURE.to_bytes(2, "big")
        transport.abort()
        await inner.lost()


async def test_what_comes_with_the_answer_is_handed_on_after_it() -> None:
    async with door(Server(with_answer=frame(b"early"))) as port:
        inner = Inner()
        transport = await dial(address(f"ws://{HOST}:{port}"), given(inner))
        assert inner.told == ["made"]
        assert await inner.received(5) == b"early"
        transport.abort()
        await inner.lost()


@LOOPS
def test_while_reading_pauses_nothing_is_handed_on(factory: Any) -> None:
    async def story() -> None:
        async def talk(connection: ServerConnection) -> None:
            async for data in connection:
                await connection.send(data)

        async with connected(talk) as (inner, transport):
            transport.pause_reading()
            transport.pause_reading()
            assert not transport.is_reading()
            transport.write(b"held")
            for _ in range(20):
                await asyncio.sleep(0)
            assert inner.told == ["made"]
            transport.resume_reading()
            transport.resume_reading()
            assert inner.told == ["made"]  # not within the call
            assert transport.is_reading()
            assert await inner.received(4) == b"held"

    assert run_on(factory, story) == []


class Sipping(Inner):
    """Pauses reading whenever something comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.halt()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.halt()

    def halt(self) -> None:
        assert self.transport is not None
        self.transport.pause_reading()


async def test_a_protocol_may_pause_from_its_first_moment_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "CLOSE_PATIENCE", 0.01)
    async with door(Server(with_answer=frame(b"one"))) as port:
        inner = Sipping()
        transport = await dial(address(f"ws://{HOST}:{port}"), given(inner))
        for _ in range(20):
            await asyncio.sleep(0)
        assert inner.told == ["made"]
        transport.resume_reading()
        assert await inner.received(3) == b"one"
        assert not transport.is_reading()
        transport.close()  # which goes on although nothing is read
        await inner.lost()


class Wire(asyncio.Transport):
    """A socket of which only what is written and done is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        """Nothing comes by itself."""

    resume_reading = pause_reading


def agreement(wire: Wire) -> bytes:
    """A server's answer to the request that was written."""
    server = ServerProtocol(subprotocols=[Subprotocol("mqtt")])
    server.receive_data(wire.written)
    (request,) = server.events_received()
    assert isinstance(request, Request)
    server.send_response(server.accept(request))
    return b"".join(server.data_to_send())


async def test_what_was_held_back_keeps_its_order_and_comes_before_the_end() -> None:
    closing = frame(CloseCode.GOING_AWAY.to_bytes(2, "big"), Opcode.CLOSE)
    inner = Inner()
    frames = websocket.Frames(WebSocketURI(False, HOST, 1, "/", ""), inner, {}, 1000)
    wire = Wire()
    frames.connection_made(wire)
    frames.data_received(agreement(wire))
    transport = await frames.opened
    transport.start()
    transport.pause_reading()
    frames.data_received(frame(b"one, "))
    frames.data_received(frame(b"two, "))
    transport.resume_reading()
    frames.data_received(frame(b"three") + closing)  # before it is its turn
    assert inner.told == ["made"]
    assert not wire.is_closed
    await inner.received(15)
    assert inner.pieces == [b"one, two, three"]
    assert wire.is_closed
    frames.connection_lost(None)
    assert inner.told == ["made", "data", "lost"]
    assert inner.error is None


@pytest.mark.parametrize(
    ("bad", "code", "words"),
    [
        (frame(b"hello", Opcode.TEXT), CloseCode.UNSUPPORTED_DATA, "text frame"),
        (frame(b"hel", Opcode.TEXT, fin=False) + frame(b"lo", Opcode.CONT), CloseCode.UNSUPPORTED_DATA, "text frame"),
        (frame(bytes(1001)), CloseCode.MESSAGE_TOO_BIG, "1001"),
        (b"\x83\x00", CloseCode.PROTOCOL_ERROR, "opcode"),
        (frame(b"lo", Opcode.CONT), CloseCode.PROTOCOL_ERROR, "continuation"),
        (b"\x82\x81\0\0\0\0x", CloseCode.PROTOCOL_ERROR, "masking"),
    ],
    ids=["text", "text in fragments", "too large", "unknown", "continuation of nothing", "masked"],
)
async def test_what_may_not_be_ends_the_connection(bad: bytes, code: CloseCode, words: str) -> None:
    server = Server(frame(b"good") + bad + frame(b"after"))
    async with door(server) as port:
        inner = Inner()
        transport = await dial(address(f"ws://{HOST}:{port}"), given(inner), frame_limit=1000)
        error = await inner.lost()
        assert transport.is_closing()
        assert isinstance(error, ConnectionAbortedError)
        assert words in str(error)
        assert inner.data == b"good"
        assert (await server.until(Opcode.CLOSE)).data[:2] == code.to_bytes(2, "big")
        await server.ended.wait()


# The end


@LOOPS
def test_closing_sends_what_was_written_and_is_answered(factory: Any) -> None:
    async def story() -> None:
        got: list[Any] = []
        closed = asyncio.Event()
        codes: list[int | None] = []

        async def talk(connection: ServerConnection) -> None:
            async for data in connection:
                got.append(data)
            codes.append(connection.close_code)
            closed.set()

        async with connected(talk) as (inner, transport):
            for _ in range(4):
                transport.write(bytes(900_000))
            transport.write(b"goodbye")
            assert not transport.is_closing()
            transport.close()
            assert transport.is_closing()
            transport.write(b"too late")
            transport.close()
            assert await inner.lost() is None
            await closed.wait()
            assert [len(data) for data in got] == [900_000] * 4 + [7]
            assert codes == [CloseCode.NORMAL_CLOSURE]
            assert inner.told[-1] == "lost"

    assert run_on(factory, story) == []


@pytest.mark.parametrize(
    ("code", "words"),
    [(1000, None), (1001, None), (1008, "policy"), (1011, "1011")],
    ids=["fine", "leaving", "bad", "broken"],
)
async def test_the_servers_reason_for_closing_is_told(code: int, words: str | None) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.send(b"last")
        await connection.close(code, "as it is")

    async with connected(talk) as (inner, transport):
        error = await inner.lost()
        assert inner.data == b"last"
        assert transport.is_closing()
        if words is None:
            assert error is None
        else:
            assert isinstance(error, ConnectionResetError)
            assert words in str(error) and "as it is" in str(error)


async def test_a_server_that_only_hangs_up_is_heard() -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.send(b"last")
        connection.transport.close()

    async with connected(talk) as (inner, _):
        assert await inner.lost() is None
        assert inner.told == ["made", "data", "eof", "lost"]


async def test_a_server_that_does_not_answer_the_closing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "CLOSE_PATIENCE", 0.01)
    server = Server()
    async with door(server) as port:
        inner = Inner()
        transport = await dial(address(f"ws://{HOST}:{port}"), given(inner))
        transport.close()
        assert await inner.lost() is None
        await server.ended.wait()


@LOOPS
def test_aborting_ends_at_once_and_hands_nothing_on(factory: Any) -> None:
    async def story() -> None:
        async def talk(connection: ServerConnection) -> None:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await connection.send(b"more")
                    await asyncio.sleep(0)

        async with connected(talk) as (inner, transport):
            await inner.received(4)
            transport.abort()
            pieces = len(inner.pieces)
            await inner.lost()
            assert len(inner.pieces) == pieces
            transport.write(b"too late")
            transport.resume_reading()
            transport.pause_reading()

    assert run_on(factory, story) == []


async def test_the_end_of_writing_is_the_end() -> None:
    async with connected(listen) as (inner, transport):
        assert not transport.can_write_eof()
        transport.write_eof()
        assert await inner.lost() is None


async def test_a_protocol_that_fails_loses_its_connection() -> None:
    class Failing(Inner):
        def data_received(self, data: bytes) -> None:
            raise RuntimeError("not mine")

    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    for server in (Server(with_answer=frame(b"early")), Server(frame(b"late"))):
        async with door(server) as port:
            inner = Failing()
            await dial(address(f"ws://{HOST}:{port}"), given(inner))
            await inner.lost()
            await server.ended.wait()
    assert [str(context["exception"]) for context in told] == ["not mine", "not mine"]


async def test_what_is_known_of_the_socket_is_known_of_the_websocket() -> None:
    async with connected(listen) as (_, transport):
        assert transport.get_extra_info("peername")[0] == HOST
        assert transport.get_extra_info("nothing", 7) == 7
        assert "open" in repr(transport)


# Servers that refuse


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            "404 Not Found\r\nContent-Length: 0",
            "the server refuses the WebSocket: HTTP 404 Not Found; is the path right?",
        ),
        ("401 Unauthorized\r\nContent-Length: 3\r\n\r\nno!", "HTTP 401 Unauthorized; it wants authorization"),
        ("503 Busy\r\nContent-Length: 0", "HTTP 503 Busy"),
        (
            "302 Found\r\nLocation: wss://other.example/mqtt?token=secret\r\nContent-Length: 0",
            "HTTP 302 Found, and points to wss://other.example/mqtt",
        ),
        ("200 OK\r\nContent-Length: 0", "HTTP 200 OK"),
        ("101 Switching\r\nConnection: Upgrade\r\nUpgrade: h2c", "the server refuses the WebSocket: invalid Upgrade"),
        (
            "101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: no",
            "Sec-WebSocket-Accept",
        ),
    ],
    ids=["not found", "unauthorized", "busy", "redirect", "no upgrade", "other upgrade", "wrong key"],
)
async def test_a_refusal_in_http_is_told(answer: str, words: str) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {answer}".encode() + (b"" if "\r\n\r\n" in answer else b"\r\n\r\n"))
        await reader.read()

    async with door(refuse) as port:
        said = await failure(port)
        assert words in said
        assert "secret" not in said


@pytest.mark.parametrize("subprotocols", [(), ("chat",)], ids=["none", "another"])
async def test_a_server_without_mqtt_is_refused(subprotocols: tuple[str, ...]) -> None:
    """[MQTT-6.0.0-4]"""

    async def talk(connection: ServerConnection) -> None:
        await listen(connection)

    async with websocket_door(talk, subprotocols=subprotocols) as port:
        assert "mqtt" in await failure(port) or subprotocols


async def test_a_server_that_selects_another_sub_protocol_is_refused() -> None:
    server = Server()

    def accept(request: Request) -> Response:
        response = ServerProtocol.accept(server.rules, request)
        response.headers.pop("Sec-WebSocket-Protocol", None)
        response.headers["Sec-WebSocket-Protocol"] = "chat"
        return response

    server.rules.accept = accept  # type: ignore[method-assign]
    async with door(server) as port:
        assert "unsupported subprotocol: chat" in await failure(port)


async def test_a_server_that_speaks_no_http_is_told() -> None:
    async def mqtt(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"\x20\x02\x00\x01\r\n\r\n")

    async with door(mqtt) as port:
        assert (await failure(port)).startswith("the server does not speak HTTP at this port")


async def test_a_server_that_closes_with_its_answer_is_told() -> None:
    closing = frame(CloseCode.TRY_AGAIN_LATER.to_bytes(2, "big"), Opcode.CLOSE)
    async with door(Server(with_answer=closing)) as port:
        assert await failure(port) == "the server closed the WebSocket: 1013 (try again later)"
