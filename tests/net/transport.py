"""A transport that a test holds in its hands: it keeps what is written, and is full when the test says so."""

from __future__ import annotations

import asyncio
from typing import Any

from linnet.core.broker import BrokerCore
from linnet.core.ports import Hooks, Observer
from linnet.net.stream import Stream
from linnet.net.turn import Turn
from linnet.server import limits_of
from linnet.settings import Settings
from linnet.wire import V5, Connect, FrameReader, Packet, Properties, Subscribe, SubscriptionOptions, decode


class Transport:
    """The other side of a stream."""

    def __init__(self, peer: object = ("192.0.2.7", 1234)) -> None:
        self.peer = peer
        self.writes: list[bytes] = []
        self.is_reading = True
        self.is_closed = False
        self.is_aborted = False
        self.said_eof = False
        self.unsent = 0  # bytes that the test says are still in it

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def get_extra_info(self, name: str) -> object:
        return self.peer if name == "peername" else None

    def set_write_buffer_limits(self, high: int) -> None:
        assert high > 0

    def write(self, data: bytes) -> None:
        assert not self.said_eof, "nothing may be written after the end"
        self.writes.append(bytes(data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.said_eof = True

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def is_closing(self) -> bool:
        return self.is_closed or self.is_aborted

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_aborted = True


class Place:
    """A broker's core on the running loop, with streams whose transports are the test's."""

    def __init__(self, hooks: Hooks | None = None, observers: tuple[Observer, ...] = (), **settings: Any) -> None:
        chosen = Settings(**settings)
        self.core = BrokerCore(limits_of(chosen), lambda: "new", hooks, observers)
        self.turn = Turn(self.core, asyncio.get_running_loop(), chosen)

    def stream(self, peer: object = ("192.0.2.7", 1234)) -> tuple[Stream, Transport]:
        stream, transport = Stream(self.turn, "here:1883"), Transport(peer)
        stream.connection_made(transport)
        return stream, transport

    async def client(self, client_id: str, *filters: str, qos: int = 0) -> tuple[Stream, Transport]:
        """A stream whose client has connected and subscribed; what it was answered is taken away."""
        stream, transport = self.stream()
        packets: list[Packet] = [Connect(client_id, properties=Properties(receive_maximum=65535))]
        if filters:
            packets.append(Subscribe(1, [(name, SubscriptionOptions(qos)) for name in filters], Properties()))
        stream.data_received(b"".join(packet.encode(V5) for packet in packets))
        await turns()
        transport.writes.clear()
        return stream, transport


async def turns(count: int = 3) -> None:
    """Let the loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)


def said(transport: Transport) -> list[Any]:
    """The packets that were written."""
    frames, found = FrameReader(1 << 28), list[Any]()
    if transport.writes:
        frames.feed(b"".join(transport.writes))
        while frames.next():
            found.append(decode(frames.data[frames.start : frames.stop], V5, from_client=False))
    return found
