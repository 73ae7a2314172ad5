"""Opening a connection: from an address to a transport of asyncio, over whatever lies between.

    a socket        by TCP, by a Unix socket, or by a proxy
    TLS             if the address asks for it
    WebSocket       if the address asks for it

Each layer is finished before the next one begins, and the protocol is told of its connection as the very last thing.
So whoever is refused, cancelled or too late has never been connected, and leaves nothing behind. Only what every event
loop of asyncio can do is used here.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from linnet.client import proxies, sockets
from linnet.client import tls as security
from linnet.client.address import Address
from linnet.errors import LinnetError

if TYPE_CHECKING:
    from linnet.client.websocket import WebSocket

LARGEST_FRAME = 268_435_460  # bytes: the largest packet of MQTT, in one WebSocket frame
SHUTDOWN_PATIENCE = 5.0  # seconds that TLS may take to say goodbye; then the socket is closed all the same
ENDED = "the server ended the connection at once"

NO_HEADERS: Mapping[str, str] = {}


class ConnectFailed(LinnetError, ConnectionError):
    """A connection could not be opened: `address` as a text without a password, and `detail`, what happened."""

    def __init__(self, address: str, detail: str) -> None:
        super().__init__(address, detail)
        self.args = (address, detail)  # what pickle and copy call the class with again
        self.address = address
        self.detail = detail

    def __str__(self) -> str:
        return f"cannot connect to {self.address}: {self.detail}"


async def dial(
    address: Address,
    protocol_factory: Callable[[], asyncio.Protocol],
    *,
    tls: ssl.SSLContext | bool | None = None,
    proxy: str | None = None,
    timeout: float | None = 10.0,
    headers: Mapping[str, str] = NO_HEADERS,
    frame_limit: int = LARGEST_FRAME,
) -> asyncio.Transport:
    """Connect, call the protocol's `connection_made`, and return its transport.

    `tls` is for mqtts and wss; without a context, one with the machine's authorities is made. `proxy` is
    `socks5://user:password@host:port`, socks5h, socks4, socks4a or http, or "env" for what environment variables say;
    a Unix socket is reached without. `timeout`, in seconds, is for all there is to do together, None for no limit.
    `headers` are sent with the request for a WebSocket, whose frames may have `frame_limit` bytes at most.
    Raises ConnectFailed when it cannot be done, and ValueError when the proxy's URL is wrong.
    """
    by = None if address.scheme == "unix" else proxies.chosen(proxy, address.scheme, address.host)
    deadline = asyncio.timeout(timeout)
    try:
        async with deadline:
            plain = await reached(address, by)
            try:
                return await dressed(plain, address, protocol_factory, tls, headers, frame_limit)
            except BaseException:
                plain.abort()
                raise
    except OSError as error:
        if deadline.expired():
            raise ConnectFailed(str(address), f"not connected within {timeout:g} seconds") from error
        raise ConnectFailed(str(address), sentence(error, address)) from error


async def reached(address: Address, proxy: proxies.Proxy | None) -> asyncio.Transport:
    """A connected transport, whose protocol only waits."""
    loop = asyncio.get_running_loop()
    if address.scheme == "unix":
        if not hasattr(socket, "AF_UNIX"):
            raise ConnectionError("this system has no Unix sockets")
        transport, _ = await loop.create_unix_connection(Anteroom, address.path)
        return transport
    if proxy is not None:
        sock = await proxies.connected(proxy, address.host, address.port)
    else:
        sock = await sockets.connected(address.host, address.port)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport, _ = await loop.create_connection(Anteroom, sock=sock)
    except BaseException:
        sock.close()
        raise
    return transport


async def dressed(
    plain: asyncio.Transport,
    address: Address,
    protocol_factory: Callable[[], asyncio.Protocol],
    tls: ssl.SSLContext | bool | None,
    headers: Mapping[str, str],
    frame_limit: int,
) -> asyncio.Transport:
    """TLS and WebSocket put on, where the address asks for them, and the protocol told."""
    transport = plain
    if address.is_tls:
        transport = await secured(plain, address, tls)
    if address.is_websocket:
        websocket = await framed(transport, address, protocol_factory(), headers, frame_limit)
        websocket.start()
        return websocket
    protocol = protocol_factory()
    hand_over(transport, protocol)
    return transport


async def secured(plain: asyncio.Transport, address: Address, tls: ssl.SSLContext | bool | None) -> asyncio.Transport:
    """The same connection in TLS, whose protocol only waits."""
    context = security.chosen(tls, address.is_websocket)
    if left_behind(plain):
        raise ConnectionError(security.NO_TLS)
    transport = await asyncio.get_running_loop().start_tls(
        plain, Anteroom(), context, server_hostname=address.host, ssl_shutdown_timeout=SHUTDOWN_PATIENCE
    )
    if transport is None:
        raise ConnectionResetError
    return transport


async def framed(
    transport: asyncio.Transport,
    address: Address,
    protocol: asyncio.Protocol,
    headers: Mapping[str, str],
    frame_limit: int,
) -> WebSocket:
    """A WebSocket on the connection, which the server has agreed to and which has not started."""
    from websockets.uri import WebSocketURI

    from linnet.client.websocket import Frames

    uri = WebSocketURI(address.is_tls, address.host, address.port, address.path, "")
    frames = Frames(uri, protocol, headers, frame_limit)
    hand_over(transport, frames)
    websocket = await frames.opened
    if transport.is_closing():
        raise frames.fault() or ConnectionError(ENDED)
    return websocket


def hand_over(transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
    """Let the protocol have the connection, and what has come in meanwhile."""
    early = left_behind(transport)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if early:
        protocol.data_received(early)


def left_behind(transport: asyncio.Transport) -> bytes:
    """What came while nobody was ready for it."""
    anteroom = cast(Anteroom, transport.get_protocol())
    if anteroom.has_ended or transport.is_closing():
        raise ConnectionError(ENDED)
    return b"".join(anteroom.held)


class Anteroom(asyncio.Protocol):
    """The protocol of a connection that is not ready yet: what comes early is kept."""

    def __init__(self) -> None:
        self.held: list[bytes] = []
        self.has_ended = False

    def data_received(self, data: bytes) -> None:
        """Keep it."""
        self.held.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Remember it."""
        self.has_ended = True


def sentence(error: OSError, address: Address) -> str:
    """What happened, for those who have to do something about it."""
    if isinstance(error, ssl.SSLError):
        return security.explained(error)
    if isinstance(error, FileNotFoundError):
        return "there is no such socket"
    has_reset = isinstance(error, (ConnectionResetError, BrokenPipeError)) and (error.errno or not error.args)
    if has_reset and (address.is_tls or address.is_websocket):
        return "the server ended the connection during the handshake"
    return sockets.meaning(error)
