"""A tap: listens at one connection, and writes a line for each packet on the logger `linnet.packets`.

It is put between a stream and its transport while the broker runs, and taken out again; where there is none, nothing
is in its place. It has frame readers of its own and changes nothing of what goes by.

    what comes in:  socket -> [Tap.read] -> SocketTransport -> Stream      (asyncio's transports: -> [Inlet] -> Stream)
    what goes out:  Stream -> [Tap.write] -> transport -> socket
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container
from logging import DEBUG
from typing import Any

from linnet.errors import ProtocolError
from linnet.loggers import hears, named, write
from linnet.net.packet_lines import Words, fields_of
from linnet.net.stream import Stream
from linnet.wire.codec import Packet, decode
from linnet.wire.connect import Connect
from linnet.wire.frames import FrameReader
from linnet.wire.header import PacketType
from linnet.wire.publish import Publish

packets = named("packets")
logger = logging.getLogger("linnet.connections")

LARGEST_PACKET = 268_435_460  # what goes out was measured by the core


class Tap:
    """Stands in a stream's transport's place, with all that a transport has."""

    def __init__(self, stream: Stream, watched: Container[str]) -> None:
        connection = stream.connection
        assert connection is not None
        self.stream = stream
        self.transport: Any = stream.transport
        self.connection = connection
        self.watched = watched
        self.version = connection.version
        self.client_id = ""  # as CONNECT has it, until it was accepted
        self.incoming = Half(self, "in", connection.core.limits.max_packet_size)
        self.outgoing = Half(self, "out", LARGEST_PACKET)
        self.socket_read: Callable[[int], bytes] | None = None

    def __repr__(self) -> str:
        return f"<Tap at {self.stream!r}>"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def put_on(self, connect: Connect | None) -> None:
        """Listen from here on: first to a CONNECT that was taken before, then to what was read and still waits."""
        connection, transport = self.connection, self.transport
        if connection.aliases is not None:
            self.incoming.aliases.update(connection.aliases.topics)
        if connection.outbox.aliases is not None:
            numbers = connection.outbox.aliases.numbers
            self.outgoing.aliases.update((number, name) for name, number in numbers.items())
        self.stream.transport = self
        if hasattr(transport, "set_protocol"):
            transport.set_protocol(Inlet(self))
        else:
            self.socket_read = transport.read
            transport.read = self.read
        if connect is not None:
            self.version, self.client_id = connect.version, connect.client_id
            self.tell("in", connect)
        self.incoming.hear(unread(connection.frames))

    def take_off(self) -> None:
        """Leave everything as it was before."""
        transport = self.transport
        self.stream.transport = transport
        if self.socket_read is not None:
            transport.read = self.socket_read
        elif not self.stream.has_ended:
            transport.set_protocol(self.stream)

    def read(self, size: int) -> bytes:
        """What the socket has."""
        assert self.socket_read is not None
        data = self.socket_read(size)
        self.incoming.hear(data)
        return data

    def write(self, data: bytes) -> None:
        """Pass on what the stream says, and listen to it."""
        self.transport.write(data)
        self.outgoing.hear(data)

    def writelines(self, pieces: list[bytes]) -> None:
        """Pass on what the stream says in pieces, and listen to it."""
        self.transport.writelines(pieces)
        for piece in pieces:
            self.outgoing.hear(piece)

    def who(self) -> str:
        """The client identifier, as far as it is known."""
        return self.connection.session.client_id or self.client_id

    def tell(self, direction: str, packet: Packet, topic_name: bytes = b"") -> None:
        """Write the line for a packet, if it is wanted."""
        client_id = self.who()
        if not hears(packets, DEBUG, client_id, self.watched):
            return
        name = PacketType(packet.type).name
        fields = fields_of(packet, topic_name)
        about = {
            "client_id": client_id,
            "address": self.connection.peer.address,
            "direction": direction,
            "packet": name,
        }
        write(packets, DEBUG, "packet", about | fields, "%s %r %s%s", direction, client_id, name, Words(fields))

    def tell_fault(self, direction: str, what: str, detail: str) -> None:
        """Write the line for what is no packet, if it is wanted."""
        client_id = self.who()
        if hears(packets, DEBUG, client_id, self.watched):
            about = {"address": self.connection.peer.address, "direction": direction, "client_id": client_id}
            about["detail"] = detail
            write(packets, DEBUG, "no_packet", about, "%s %r %s: %s", direction, client_id, what, detail)


class Inlet:
    """Stands in a stream's place as the protocol of one of asyncio's transports."""

    def __init__(self, tap: Tap) -> None:
        self.tap = tap

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tap.stream, name)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came in."""
        self.tap.incoming.hear(data)
        self.tap.stream.data_received(data)


class Half:
    """What a tap hears in one direction."""

    __slots__ = ("aliases", "direction", "frames", "is_lost", "tap")

    def __init__(self, tap: Tap, direction: str, maximum_packet: int) -> None:
        self.tap = tap
        self.direction = direction
        self.frames = FrameReader(maximum_packet)
        self.aliases: dict[int, bytes] = {}  # topic names by their aliases
        self.is_lost = False  # where one packet ends and the next begins is not known any more

    def __repr__(self) -> str:
        return f"<Half {self.direction} {self.frames!r}>"

    def hear(self, data: bytes) -> None:
        """Listen to some bytes. Never raises."""
        if self.is_lost or not data:
            return
        try:
            self.frames.feed(bytes(data))
            while self.frames.next():
                self.decode()
        except ProtocolError as error:
            self.is_lost = True
            self.tap.tell_fault(self.direction, "cannot be followed any more", str(error))
        except Exception:
            self.is_lost = True
            logger.exception("the log of packets of %r ends with a fault of ours", self.tap.connection)

    def decode(self) -> None:
        """One whole packet is there."""
        frames, tap = self.frames, self.tap
        try:
            packet = decode(frames.data[frames.start : frames.stop], tap.version, self.direction == "in")
        except ProtocolError as error:
            what = f"{frames.stop - frames.start} bytes that begin with {frames.header:#04x}"
            tap.tell_fault(self.direction, what, str(error))
            return
        if isinstance(packet, Connect) and self.direction == "in" and tap.connection.is_opening:
            tap.version, tap.client_id = packet.version, packet.client_id
        tap.tell(self.direction, packet, self.topic_name(packet) if isinstance(packet, Publish) else b"")

    def topic_name(self, publish: Publish) -> bytes:
        """The topic name, told by its alias or by itself."""
        if not publish.alias:
            return publish.topic_name
        if publish.topic_name:
            self.aliases[publish.alias] = publish.topic_name
        return self.aliases.get(publish.alias, b"")


def unread(frames: FrameReader) -> bytes:
    """The bytes that were read and not taken yet: mostly none, or the beginning of a packet."""
    begun = b"".join(frames.pieces) if frames.missing else b""
    return begun + frames.data[frames.position :] + frames.after[frames.after_at :]


def tap_at(stream: Stream) -> Tap | None:
    """The tap at a stream, if there is one."""
    transport = stream.transport
    return transport if isinstance(transport, Tap) else None


def put_tap(stream: Stream, watched: Container[str], connect: Connect | None = None) -> None:
    """Put a tap at a stream, unless there is one already or nothing more to hear."""
    if stream.connection is not None and not stream.has_ended and tap_at(stream) is None:
        Tap(stream, watched).put_on(connect)
