"""A link between a client and a server: it can be cut and restored, held and released, and it keeps what went by."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any, Self, TypeVar

from linnet.wire import V5, Connect, FrameReader, Packet, Publish, Version, decode

AT_ONCE = struct.pack("ii", 1, 0)  # a linger of no seconds makes the close a reset
LARGEST = 1 << 28

P = TypeVar("P", bound=Packet)


def packets_in(octets: bytes, version: Version, from_client: bool) -> list[Packet]:
    """The whole packets at the beginning of a stream of bytes."""
    frames = FrameReader(LARGEST)
    frames.feed(octets)
    packets = []
    while frames.next():
        packets.append(decode(bytes(frames.data[frames.start : frames.stop]), version, from_client))
    return packets


def reset(transport: asyncio.Transport) -> None:
    """Close without a word: what is on its way is lost."""
    if not transport.is_closing():
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    transport.abort()


class End(asyncio.Protocol):
    """One end of a passage: what comes in here goes out at the other."""

    def __init__(self, passage: Passage, is_client: bool) -> None:
        self.passage = passage
        self.is_client = is_client
        self.seen = bytearray()  # what came in here
        self.held = bytearray()  # and was not passed on
        self.other: End = self
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.is_client:
            self.passage.begin()
        else:
            self.pass_on()

    def data_received(self, data: bytes) -> None:
        self.seen += data
        self.held += data
        self.other.pass_on()

    def pass_on(self) -> None:
        """Write what has come in at the other end, unless it is to be held."""
        held = self.other.held
        link = self.passage.link
        if self.transport is None or not held or (link.holds_server and not self.other.is_client):
            return
        if link.holds_client_at is not None and self.other.is_client:
            link.check(self.passage)
        if link.holds_client and self.other.is_client:
            return
        self.transport.write(bytes(held))
        held.clear()

    def pause_writing(self) -> None:
        if self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self.passage.end()


class Passage:
    """One connection through a link, and what was said on it."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.client = End(self, True)
        self.server = End(self, False)
        self.client.other, self.server.other = self.server, self.client
        self.task: asyncio.Task[Any] | None = None

    def begin(self) -> None:
        """The client is there: open the server's side."""
        loop = asyncio.get_running_loop()
        self.task = loop.create_task(loop.create_connection(lambda: self.server, "127.0.0.1", self.link.server_port()))
        self.task.add_done_callback(self.reached)

    def reached(self, task: asyncio.Task[Any]) -> None:
        """The server is there, or is not."""
        if task.cancelled() or task.exception() is not None:
            self.cut()

    def end(self) -> None:
        """One end is closed: close the other when all is written."""
        for end in (self.client, self.server):
            if end.transport is not None:
                end.transport.close()

    def cut(self) -> None:
        """Reset both ends."""
        if self.task is not None:
            self.task.cancel()
        for end in (self.client, self.server):
            if end.transport is not None:
                reset(end.transport)

    @property
    def version(self) -> Version:
        """What CONNECT speaks."""
        connect = packets_in(bytes(self.client.seen), V5, True)[0] if self.client.seen[8] == 5 else None
        return connect.version if isinstance(connect, Connect) else self.link.older

    def sent(self, kind: type[P]) -> list[P]:
        """The packets of one kind that the client has sent."""
        if not self.client.seen:
            return []
        packets = packets_in(bytes(self.client.seen), self.version, True)
        return [packet for packet in packets if isinstance(packet, kind)]

    def said(self, kind: type[P]) -> list[P]:
        """The packets of one kind that the server has sent."""
        if not self.server.seen:
            return []
        packets = packets_in(bytes(self.server.seen), self.version, False)
        return [packet for packet in packets if isinstance(packet, kind)]


class Link:
    """A port of this machine that leads to a server, as long as nobody cuts it."""

    def __init__(self, server_port: Callable[[], int], older: Version) -> None:
        self.server_port = server_port
        self.older = older  # the version that is spoken where it is not 5.0
        self.passages: list[Passage] = []
        self.listener: asyncio.Server | None = None
        self.port = 0
        self.holds_server = False  # whether what the server says is held back
        self.holds_client = False
        self.holds_client_at: type[Packet] | None = None  # from the first packet of this kind on

    async def __aenter__(self) -> Self:
        await self.restore()
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.cut()
        await asyncio.gather(*(one.task for one in self.passages if one.task is not None), return_exceptions=True)

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    async def restore(self) -> None:
        """Let connections through: at first, or again."""
        loop = asyncio.get_running_loop()
        self.listener = await loop.create_server(self.enter, "127.0.0.1", self.port)
        self.port = self.listener.sockets[0].getsockname()[1]

    def enter(self) -> End:
        """Somebody connects."""
        passage = Passage(self)
        self.passages.append(passage)
        return passage.client

    def cut(self) -> None:
        """Reset every connection, and refuse new ones until the link is restored."""
        if self.listener is not None:
            self.listener.close()
            self.listener = None
        for passage in self.passages:
            passage.cut()

    def check(self, passage: Passage) -> None:
        """Hold back what the client says from the first packet of a kind on."""
        kind = self.holds_client_at
        if kind is not None and passage.sent(kind):
            self.holds_client = True

    def release(self) -> None:
        """Pass on what was held back, and hold no more."""
        self.holds_server = self.holds_client = False
        self.holds_client_at = None
        for passage in self.passages:
            passage.client.pass_on()
            passage.server.pass_on()

    def published(self) -> list[Publish]:
        """Every PUBLISH that has left the client, on whatever connection."""
        return [packet for passage in self.passages for packet in passage.sent(Publish)]
