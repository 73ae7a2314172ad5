"""Doors for a client to knock at: certificates, servers that echo or misbehave, proxies, and a mosquitto with all."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, cast

from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from linnet.client.address import Address, parse_addresses
from tests.interop.tools import free_port, mosquitto, program

HOST = "127.0.0.1"
CONNECT = bytes.fromhex("10 11 00 04 4d515454 05 02 000a 00 0004 646f6f72")  # MQTT 5.0, client identifier "door"
CONNACK = 0x20
PINGREQ, PINGRESP = b"\xc0\x00", b"\xd0\x00"

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Certificates(NamedTuple):
    """Files of an authority, and of those it has signed: PEM, with the keys beside them."""

    directory: Path

    def certificate(self, name: str) -> Path:
        """Of "authority", "server" (localhost and 127.0.0.1), "stranger" (another name), "expired" or "client"."""
        return self.directory / f"{name}.pem"

    def key(self, name: str) -> Path:
        """The client's is encrypted with the password "sesame"."""
        return self.directory / f"{name}_key.pem"

    @property
    def authority(self) -> Path:
        return self.certificate("authority")

    def of_server(self, name: str = "server") -> ssl.SSLContext:
        """What a server needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate(name), self.key(name))
        return context

    def demanding(self) -> ssl.SSLContext:
        """What a server needs that wants a certificate of its clients."""
        context = self.of_server()
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.authority)
        return context


@functools.cache
def certificates() -> Certificates:
    """Made once, by openssl."""
    directory = Path(tempfile.mkdtemp(prefix="linnet-certificates-"))
    atexit.register(shutil.rmtree, directory)
    openssl = program("openssl", "openssl")

    def run(*words: str) -> None:
        subprocess.run([openssl, *words], check=True, capture_output=True, cwd=directory)

    new = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1".split()
    purpose = ["-x509", "-days", "2", "-subj", "/CN=authority", "-addext", "keyUsage=critical,keyCertSign"]
    run(*new, *purpose, "-nodes", "-keyout", "authority_key.pem", "-out", "authority.pem")
    local = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    for name, days, extension in [
        ("server", 2, local),
        ("expired", -1, local),
        ("stranger", 2, "subjectAltName=DNS:example.org"),
        ("client", 2, "extendedKeyUsage=clientAuth"),
    ]:
        hidden = ["-passout", "pass:sesame"] if name == "client" else ["-nodes"]
        run(*new, *hidden, "-subj", f"/CN={name}", "-keyout", f"{name}_key.pem", "-out", f"{name}.csr")
        (directory / "extensions").write_text(f"{extension}\nauthorityKeyIdentifier=keyid\n")
        signing = "x509 -req -CA authority.pem -CAkey authority_key.pem -CAcreateserial -extfile extensions".split()
        run(*signing, "-in", f"{name}.csr", "-out", f"{name}.pem", "-days", str(days))
    return Certificates(directory)


class Inner(asyncio.Protocol):
    """A protocol that writes down what it is told, and lets a test wait for it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.told: list[str] = []
        self.pieces: list[bytes] = []
        self.error: Exception | None = None
        self.changed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # those of uvloop are none by their class
        self.tell("made")

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        self.pieces.append(data)
        self.tell("data")

    def eof_received(self) -> None:
        self.tell("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self.tell("lost")

    def pause_writing(self) -> None:
        self.tell("pause")

    def resume_writing(self) -> None:
        self.tell("resume")

    def tell(self, what: str) -> None:
        self.told.append(what)
        self.changed.set()

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until what was told makes it true."""
        while not condition():
            self.changed.clear()
            await self.changed.wait()

    async def received(self, length: int) -> bytes:
        """Wait for so many bytes, and return all there are."""
        await self.until(lambda: len(self.data) >= length)
        return self.data

    async def lost(self) -> Exception | None:
        """Wait for the end; why it came."""
        await self.until(lambda: "lost" in self.told)
        return self.error


def given(inner: Inner) -> Callable[[], Inner]:
    """A factory of this one protocol."""
    return lambda: inner


def address(url: str) -> Address:
    """The one address of a URL."""
    (found,) = parse_addresses(url)
    return found


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say again what was said."""
    while data := await reader.read(65536):
        writer.write(data)


@asynccontextmanager
async def door(
    answer: Answer = echo, tls: ssl.SSLContext | None = None, path: Path | None = None
) -> AsyncIterator[int]:
    """A server of streams at a port, or at a path; whatever is still open at the end is cut."""
    writers: set[asyncio.StreamWriter] = set()

    async def opened(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await answer(reader, writer)
        writer.close()

    if path is not None:
        server = await asyncio.start_unix_server(opened, path)
    else:
        server = await asyncio.start_server(opened, HOST, 0, ssl=tls)
    try:
        yield 0 if path is not None else server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        for writer in writers:
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        await server.wait_closed()


@asynccontextmanager
async def websocket_door(
    talk: Callable[[ServerConnection], Awaitable[None]],
    tls: ssl.SSLContext | None = None,
    subprotocols: tuple[str, ...] = ("mqtt",),
) -> AsyncIterator[int]:
    """A server of WebSockets at a port, by the library's own server."""
    offered = [Subprotocol(name) for name in subprotocols] or None
    async with serve(talk, HOST, 0, ssl=tls, subprotocols=offered, compression=None, ping_interval=None) as server:
        yield next(iter(server.sockets)).getsockname()[1]


@asynccontextmanager
async def refusing_door(context: ssl.SSLContext) -> AsyncIterator[int]:
    """A server in a thread whose TLS tells its clients why it refuses them, which asyncio's does not."""

    def refuse() -> None:
        accepted, _ = listening.accept()
        with contextlib.suppress(OSError), accepted, context.wrap_socket(accepted, server_side=True) as secured:
            secured.recv(1)

    with socket.create_server((HOST, 0)) as listening:
        refusing = asyncio.create_task(asyncio.to_thread(refuse))
        yield listening.getsockname()[1]
        await refusing


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
    """Carry bytes both ways until either side ends."""
    there_reader, there_writer = await asyncio.open_connection(host, port)

    async def one_way(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                sink.write(data)
        sink.close()

    await asyncio.gather(one_way(reader, there_writer), one_way(there_reader, writer))


class SmallProxy:
    """SOCKS 4 and 5, and CONNECT, at one port, told apart by the first byte; what is asked for is written down.

    `port` is that of the one server that every name leads to.
    """

    def __init__(self, port: int, user: str = "", password: str = "", split: bool = False) -> None:
        self.port = port
        self.user = user
        self.password = password
        self.split = split  # whether the answer to CONNECT comes in two parts
        self.asked: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readexactly(1)
        talk = {b"\x05": self.socks5, b"\x04": self.socks4}.get(first, self.http)
        if await talk(reader, writer):
            await relay(reader, writer, HOST, self.port)

    async def socks5(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        wanted = 2 if self.user else 0
        writer.write(bytes((5, wanted if wanted in methods else 0xFF)))
        if wanted not in methods:
            return False
        if self.user:
            user = await self.counted(reader, skip=1)
            password = await self.counted(reader)
            fits = (user.decode(), password.decode()) == (self.user, self.password)
            writer.write(bytes((1, not fits)))
            if not fits:
                return False
        kind = (await reader.readexactly(4))[3]
        name = await self.counted(reader) if kind == 3 else await reader.readexactly(4 if kind == 1 else 16)
        await reader.readexactly(2)
        self.asked.append(f"socks5 {name.decode() if kind == 3 else '.'.join(map(str, name))}")
        if name == b"nowhere.invalid":
            writer.write(bytes((5, 4, 0, 1, 0, 0, 0, 0, 0, 0)))
            return False
        writer.write(bytes((5, 0, 0, 1, 0, 0, 0, 0, 0, 0)))
        return True

    async def socks4(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        where = (await reader.readexactly(7))[3:]
        await reader.readuntil(b"\0")
        name = (await reader.readuntil(b"\0"))[:-1].decode() if where[:3] == b"\0\0\0" else ".".join(map(str, where))
        self.asked.append(f"socks4 {name}")
        writer.write(bytes((0, 90, 0, 0, 0, 0, 0, 0)))
        return True

    async def http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(f"http {head.split()[1]}")
        if self.user and "Proxy-Authorization: Basic dXNlcjpwQHNz" not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return False
        writer.write(b"HTTP/1.1 200 Connection established\r\n")
        if self.split:
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(b"Via: a test\r\n\r\n")
        return True

    async def counted(self, reader: asyncio.StreamReader, skip: int = 0) -> bytes:
        """A string after its length."""
        return await reader.readexactly((await reader.readexactly(skip + 1))[skip])


class Doors(NamedTuple):
    """The URLs at which a mosquitto listens; those with TLS have the server's certificate of these tests."""

    mqtt: str
    mqtts: str
    ws: str
    wss: str
    unix: str


@asynccontextmanager
async def mosquitto_doors(directory: Path) -> AsyncIterator[Doors]:
    """A mosquitto that listens in every way it can."""
    made = certificates()
    tls, ws, wss = free_port(), free_port(), free_port()
    path = directory / "m.sock"
    key = [f"certfile {made.certificate('server')}", f"keyfile {made.key('server')}"]
    settings = ["user root"]  # of the owner of these files, if that is root
    settings += [f"listener {tls} {HOST}", *key]
    settings += [f"listener {ws} {HOST}", "protocol websockets"]
    settings += [f"listener {wss} {HOST}", "protocol websockets", *key]
    settings += [f"listener 0 {path}"]
    async with mosquitto(directory, *settings) as port:
        yield Doors(
            mqtt=f"mqtt://{HOST}:{port}",
            mqtts=f"mqtts://{HOST}:{tls}",
            ws=f"ws://{HOST}:{ws}",
            wss=f"wss://{HOST}:{wss}",
            unix=f"unix://{path}",
        )
