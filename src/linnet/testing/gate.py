"""A gate: stands between a connection and its socket, lets packets pass, or does not, and records them.

    what comes in:  socket -> [Gate.pull] -> SocketTransport -> Stream      (asyncio's transports: -> [Inlet] -> Stream)
    what goes out:  Stream -> [Gate.write] -> transport -> socket

It passes packets on whole. Bytes that are no packet are passed on as they are, with all that follows.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from linnet.core.outbox import Outbox
from linnet.errors import ProtocolError, ReasonCode
from linnet.net.stream import Stream, peer_name
from linnet.net.tap import LARGEST_PACKET, tap_at
from linnet.testing.faults import FATES, Fault
from linnet.testing.record import UNREADABLE, Seen, topics_of
from linnet.wire import V5, Connack, Connect, FrameReader, Packet, PacketType, Publish, decode

if TYPE_CHECKING:
    from linnet.testing.bench import Bench

CONNECT = 0x10  # the first byte of all
AT_ONCE = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)  # a linger of no seconds makes a close a reset


class Gate:
    """Stands in a stream's transport's place, with all that a transport has."""

    def __init__(self, bench: Bench, stream: Stream) -> None:
        connection = stream.connection
        assert connection is not None
        self.bench = bench
        self.stream = stream
        self.transport: Any = stream.transport
        self.address = peer_name(self.transport)
        self.client_id = ""
        self.version = V5
        self.hello: Seen | None = None  # the CONNECT
        self.incoming = Way(self, "in", connection.core.limits.max_packet_size)
        self.outgoing = Way(self, "out", LARGEST_PACKET)
        self.is_reading = True
        self.waiting = b""  # what came late, while the stream does not read
        self.socket_read: Callable[[int], bytes] | None = None

    def __repr__(self) -> str:
        return f"<Gate at {self.stream!r}>"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    @property
    def gate(self) -> Gate:
        """Itself, also for whoever asks a tap that stands before it."""
        return self

    def put_on(self) -> None:
        """Stand here from now on."""
        self.bench.guard.refusals.pop(self.address, None)
        transport = self.transport
        self.stream.transport = self
        if hasattr(transport, "set_protocol"):
            transport.set_protocol(Inlet(self))
        else:
            self.socket_read = transport.read
            transport.read = self.pull

    def set_protocol(self, protocol: object) -> None:
        """A tap stands before this gate now, or no more; `deliver` sees to it that it hears everything."""

    def pull(self, size: int) -> bytes:
        """What the socket has, as far as it passes. Raises BlockingIOError when nothing does."""
        assert self.socket_read is not None
        data = self.socket_read(size)
        if not data:
            return data
        passed = self.late() + self.incoming.through(data)
        if not passed:
            raise BlockingIOError
        self.hear(passed)
        return passed

    def deliver(self, data: bytes) -> None:
        """Hand the stream what came in, as soon as it reads."""
        if not self.is_reading:
            self.waiting += data
            return
        passed = self.late() + data
        if passed and not self.stream.has_ended:
            self.hear(passed)
            self.stream.data_received(passed)

    def late(self) -> bytes:
        """What had to wait."""
        waiting, self.waiting = self.waiting, b""
        return waiting

    def hear(self, data: bytes) -> None:
        """Let the log of packets hear it, if there is a tap."""
        tap = tap_at(self.stream)
        if tap is not None:
            tap.incoming.hear(data)

    def pause_reading(self) -> None:
        """The stream wants nothing for now."""
        self.is_reading = False
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        """The stream reads again."""
        self.is_reading = True
        self.transport.resume_reading()
        if self.waiting:
            self.bench.loop.call_soon(self.deliver, b"")

    def write(self, data: bytes) -> None:
        """Pass on what the stream says."""
        passed = self.outgoing.through(data)
        if passed:
            self.transport.write(passed)

    def writelines(self, pieces: list[bytes]) -> None:
        """Pass on what the stream says in pieces."""
        self.write(b"".join(pieces))

    def go_on(self, direction: str, raw: bytes) -> None:
        """A packet that was held back takes its way, if there is still one."""
        if self.stream.has_ended:
            return
        if direction == "in":
            self.deliver(raw)
        else:
            self.transport.write(raw)

    def cut(self, detail: str) -> None:
        """Reset the connection: no DISCONNECT, and what was not yet written is lost."""
        stream = self.stream
        connection = stream.connection
        if connection is None or stream.has_ended:
            return
        outbox: Outbox = connection.outbox
        outbox.discard()
        connection.finish(detail, self.bench.turn.begin())
        self.reset()

    def dismiss(self, reason_code: ReasonCode, detail: str) -> None:
        """Close with a DISCONNECT, where the version knows one from a server."""
        connection = self.stream.connection
        if connection is not None:
            connection.close(reason_code, detail, self.bench.turn.begin())

    def reset(self) -> None:
        """End the connection so that the peer notices."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        end = getattr(self.transport, "reset", self.transport.abort)
        end()


class Inlet:
    """Stands in a stream's place as the protocol of one of asyncio's transports."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    def __getattr__(self, name: str) -> Any:
        return getattr(self.gate.stream, name)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came in."""
        self.gate.deliver(self.gate.incoming.through(data))


class Way:
    """One direction through a gate."""

    def __init__(self, gate: Gate, direction: str, maximum_packet: int) -> None:
        self.gate = gate
        self.direction = direction
        self.frames = FrameReader(maximum_packet)
        self.aliases: dict[int, bytes] = {}  # topic names by their aliases
        self.is_lost = False  # where one packet ends and the next begins is not known any more

    def __repr__(self) -> str:
        return f"<Way {self.direction} {self.frames!r}>"

    def through(self, data: bytes) -> bytes:
        """What of these bytes, and of those before, goes on now."""
        if self.is_lost or not data:
            return data
        gate, frames = self.gate, self.frames
        if self.direction == "in" and gate.hello is None and not frames.rest() and data[0] != CONNECT:
            return self.lose(bytes(data), "the first packet is no CONNECT")
        passed = []
        try:
            frames.feed(bytes(data))
            while frames.next():
                passed.append(self.judged(frames.data[frames.start : frames.stop]))
        except ProtocolError as error:
            rest = frames.data[frames.start :] + frames.after[frames.after_at :]
            passed.append(self.lose(rest, str(error)))
        return b"".join(passed)

    def lose(self, rest: bytes, detail: str) -> bytes:
        """From here on nothing can be told apart."""
        self.is_lost = True
        self.gate.bench.see(Seen(self.direction, self.gate.client_id, UNREADABLE, raw=rest, detail=detail))
        return rest

    def judged(self, raw: bytes) -> bytes:
        """What passes for a packet: itself, itself twice, or nothing."""
        gate = self.gate
        seen = self.recognised(raw)
        fault = gate.bench.faults.applied_to(seen, FATES)
        if fault is not None:
            seen.fate = FATES[fault.kind]
        gate.bench.see(seen)
        return raw if fault is None else self.spoilt(raw, fault)

    def spoilt(self, raw: bytes, fault: Fault) -> bytes:
        """What passes for a packet that a rule is applied to."""
        gate = self.gate
        if fault.kind == "duplicate":
            return raw + raw
        if fault.kind == "delay":
            gate.bench.later(fault, lambda: gate.go_on(self.direction, raw))
        elif fault.kind == "refuse":
            if fault.reason_code is not None:
                gate.bench.guard.refusals[gate.address] = fault.reason_code
                return raw
            gate.cut("refused by the test")
        return b""

    def recognised(self, raw: bytes) -> Seen:
        """The packet, or what is wrong with it."""
        gate = self.gate
        try:
            packet = decode(raw, gate.version, self.direction == "in")
        except ProtocolError as error:
            return Seen(self.direction, gate.client_id, UNREADABLE, raw=raw, detail=str(error))
        name = PacketType(packet.type).name
        if isinstance(packet, Connect) and gate.hello is None:
            gate.client_id, gate.version = packet.client_id, packet.version
            gate.hello = Seen(self.direction, gate.client_id, name, packet, raw=raw)
            return gate.hello
        assigned = packet.properties.assigned_client_identifier if isinstance(packet, Connack) else None
        if assigned:
            gate.client_id = assigned
            if gate.hello is not None:
                gate.hello.client_id = assigned
        return Seen(self.direction, gate.client_id, name, packet, topics_of(packet, self.topic_name(packet)), raw)

    def topic_name(self, packet: Packet) -> bytes:
        """The topic name of a PUBLISH, told by its alias or by itself."""
        if not isinstance(packet, Publish):
            return b""
        if packet.alias and packet.topic_name:
            self.aliases[packet.alias] = packet.topic_name
        return packet.topic_name or self.aliases.get(packet.alias, b"")


def gate_at(stream: Stream) -> Gate | None:
    """The gate at a stream, if there is one."""
    return getattr(stream.transport, "gate", None)
