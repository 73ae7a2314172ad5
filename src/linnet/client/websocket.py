"""MQTT over WebSocket, chapter 6 of the specification: the frames between a socket and a protocol.

The library `websockets` knows the format and the rules of frames; it reads and writes nothing itself. Here its
answers are carried to and fro: `Frames` stands towards the socket as the protocol of its transport, `WebSocket`
towards MQTT as a transport like any other. What is inside a frame is a part of a stream of bytes: packets may span
frames, and frames may hold several packets [MQTT-6.0.0-2]. Fragments of a message are handed on as they come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, cast

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidMessage, InvalidStatus
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

SUBPROTOCOL = Subprotocol("mqtt")  # [MQTT-6.0.0-3]
CLOSE_PATIENCE = 2.0  # seconds for the server to answer that we close
FINE = frozenset((CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RCVD))
DATA = frozenset((Opcode.BINARY, Opcode.CONT))
ADVICE = {401: "it wants authorization", 403: "it forbids access", 404: "is the path right?"}


class WebSocket(asyncio.Transport):
    """The transport that the inner protocol sees: what it writes becomes binary frames [MQTT-6.0.0-1].

    Until `start` nothing is handed on.
    """

    def __init__(self, frames: Frames, socket: asyncio.Transport, inner: asyncio.Protocol) -> None:
        super().__init__()
        self.frames = frames
        self.socket = socket
        self.inner = inner
        self.held: list[bytes] = []  # what came while nothing was to be read
        self.is_paused = True
        self.has_started = False
        self.has_closed = False  # by us: nothing is handed on any more

    def __repr__(self) -> str:
        return f"<WebSocket {'closing' if self.is_closing() else 'open'}, over {self.socket!r}>"

    def start(self) -> None:
        """Tell the inner protocol that it is connected, and hand on what comes."""
        self.has_started = True
        self.resume_reading()
        self.inner.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send a frame."""
        if data and self.frames.is_open and not self.has_closed:
            self.frames.rules.send_binary(data)
            self.frames.flush()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """Send the pieces in one frame."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """A WebSocket cannot be closed by halves."""
        return False

    def write_eof(self) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Send what is still to be sent, then close; the connection is lost when the server has answered."""
        if not self.has_closed:
            self.has_closed = True
            self.held.clear()
            self.socket.resume_reading()  # for the server's answer
            self.frames.close()

    def abort(self) -> None:
        """End the connection at once."""
        self.has_closed = True
        self.held.clear()
        self.socket.abort()

    def is_closing(self) -> bool:
        """Whether either side has closed it."""
        return self.has_closed or not self.frames.is_open or self.socket.is_closing()

    def is_reading(self) -> bool:
        """Whether what comes in is handed on."""
        return not self.is_paused and not self.is_closing()

    def pause_reading(self) -> None:
        """Hand nothing on, not even what has come already."""
        if not self.is_paused and not self.has_closed:
            self.is_paused = True
            self.socket.pause_reading()

    def resume_reading(self) -> None:
        """Hand on what was held back, in a turn of its own, and then what comes in."""
        if self.is_paused:
            self.is_paused = False
            asyncio.get_running_loop().call_soon(self.release)

    def release(self) -> None:
        """Hand on what was held back, unless reading was paused again; read on when there is nothing left."""
        if self.is_paused or self.has_closed:
            return
        held, self.held = b"".join(self.held), []
        try:
            if held:
                self.inner.data_received(held)
        except BaseException:
            self.abort()
            raise
        if not self.is_paused and not self.has_closed:
            self.socket.resume_reading()
            self.frames.look_for_end()

    def receive(self, data: bytes) -> None:
        """Hand on what has come, in its order."""
        if self.has_closed:
            return
        if self.is_paused or self.held:
            self.held.append(data)
        else:
            self.inner.data_received(data)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What asyncio knows of the socket."""
        return self.socket.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        """Bytes that the socket has not taken yet, the headers of frames among them."""
        return self.socket.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """When to tell the inner protocol to pause writing and to resume it, in bytes."""
        self.socket.set_write_buffer_limits(high, low)


class Frames(asyncio.Protocol):
    """The socket's protocol: asks the server for a WebSocket, then turns bytes into data and back.

    `opened` is done when the server agreed, or failed with a ConnectionError that says why it did not.
    """

    def __init__(self, uri: WebSocketURI, inner: asyncio.Protocol, headers: Mapping[str, str], limit: int) -> None:
        self.rules = ClientProtocol(uri, subprotocols=[SUBPROTOCOL], max_size=(None, limit))
        self.inner = inner
        self.headers = headers
        self.opened: asyncio.Future[WebSocket] = asyncio.get_running_loop().create_future()
        self.socket: asyncio.Transport | None = None
        self.transport: WebSocket | None = None  # the one that the inner protocol sees
        self.watch: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """Whether neither side has begun to close."""
        return self.rules.state is State.OPEN

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        self.socket = cast(asyncio.Transport, transport)
        request = self.rules.connect()
        for name, value in self.headers.items():
            request.headers.pop(name, None)
            request.headers[name] = value
        self.rules.send_request(request)
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Hand on what frames hold, all that came with one read at once, and answer pings."""
        self.rules.receive_data(data)
        pieces = []
        for event in self.rules.events_received():
            if isinstance(event, Response):
                self.answered()
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self.rules.fail(CloseCode.UNSUPPORTED_DATA, "MQTT is not text")  # [MQTT-6.0.0-1]
                self.rules.parser_exc = ValueError("a text frame came, which cannot be MQTT")
                break
            elif isinstance(event, Frame) and event.opcode in DATA:
                pieces.append(event.data)
        self.flush()
        if pieces and self.transport is not None:
            self.transport.receive(b"".join(pieces))
        self.look_for_end()

    def answered(self) -> None:
        """The server has answered in HTTP: it agrees only if it also speaks MQTT."""
        assert self.socket is not None
        if self.opened.done() or self.rules.handshake_exc is not None:
            return
        if self.rules.subprotocol != SUBPROTOCOL:  # [MQTT-6.0.0-4]
            self.opened.set_exception(ConnectionError("the server does not select the sub-protocol mqtt"))
            return
        self.transport = WebSocket(self, self.socket, self.inner)
        self.socket.pause_reading()
        self.opened.set_result(self.transport)

    def look_for_end(self) -> None:
        """Let the socket go when the server has closed or broken the rules, and all before that is handed on."""
        if self.rules.handshake_exc is not None and not self.opened.done():
            self.opened.set_exception(ConnectionError(refusal(self.rules.handshake_exc)))
            return
        has_ended = self.rules.close_rcvd is not None or self.rules.parser_exc is not None
        if has_ended and self.socket is not None and not (self.transport is not None and self.transport.held):
            self.socket.close()
            self.be_patient()

    def close(self) -> None:
        """Begin to close."""
        if self.is_open:
            self.rules.send_close(CloseCode.NORMAL_CLOSURE)
            self.flush()
        self.be_patient()

    def be_patient(self) -> None:
        """Wait for the end, and no longer than need be while nothing is left to be sent."""
        if self.watch is None:
            self.watch = asyncio.get_running_loop().call_later(CLOSE_PATIENCE, self.lose_patience)

    def lose_patience(self) -> None:
        """The server does not answer."""
        assert self.socket is not None
        self.watch = None
        if self.socket.get_write_buffer_size():
            self.be_patient()
        else:
            self.socket.abort()

    def flush(self) -> None:
        """Write what the rules have made; an end of writing is left to the closing of the socket."""
        assert self.socket is not None
        for data in self.rules.data_to_send():
            if data:
                self.socket.write(data)

    def eof_received(self) -> None:
        """The server has ended the connection; the socket closes itself."""
        self.rules.receive_eof()
        self.look_for_end()
        if self.transport is not None and self.transport.has_started:
            self.inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the inner protocol why: None if it was closed in peace by either side."""
        if self.watch is not None:
            self.watch.cancel()
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionError("the server ended the connection without an answer"))
        if self.transport is not None and self.transport.has_started:
            self.transport.has_closed = True
            self.inner.connection_lost(self.fault() or exc)

    def fault(self) -> ConnectionError | None:
        """What went wrong between the frames."""
        broken, closed = self.rules.parser_exc, self.rules.close_rcvd
        if broken is not None and not isinstance(broken, EOFError):
            return ConnectionAbortedError(f"WebSocket: {broken}")
        if closed is not None and closed.code not in FINE:
            return ConnectionResetError(f"the server closed the WebSocket: {closed}")
        return None

    def pause_writing(self) -> None:
        """Pass it on."""
        if self.transport is not None and self.transport.has_started:
            self.inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        if self.transport is not None and self.transport.has_started:
            self.inner.resume_writing()


def refusal(error: Exception) -> str:
    """What a failed handshake means."""
    if isinstance(error, InvalidStatus):
        response = error.response
        text = f"the server refuses the WebSocket: HTTP {response.status_code} {response.reason_phrase}".rstrip()
        if 300 <= response.status_code < 400 and "Location" in response.headers:
            return f"{text}, and points to {response.headers['Location'].partition('?')[0]}"
        advice = ADVICE.get(response.status_code)
        return f"{text}; {advice}" if advice else text
    if isinstance(error, InvalidMessage):
        if isinstance(error.__cause__, EOFError):
            return "the server ended the connection instead of answering in HTTP"
        return f"the server does not speak HTTP at this port: {error.__cause__ or error}"
    return f"the server refuses the WebSocket: {error}"
