"""One end of one network connection: packets in, packets out.

What broker and client have in common lives here: cutting the stream into packets, and the acknowledgements of QoS 1
and 2. The path of a message is a plain chain of calls from `receive` to the outboxes; nothing in it waits. Whoever
reads the socket calls `receive` with what was read; whoever writes it empties the outbox.
"""

from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from linnet.core.outbox import Outbox
from linnet.core.receiver import Receiver
from linnet.core.sender import Sender
from linnet.core.session import NO_SESSION
from linnet.core.statistics import Statistics
from linnet.errors import MalformedPacket, ProtocolError
from linnet.wire.codec import Packet, decode_body
from linnet.wire.control import Disconnect
from linnet.wire.frames import FrameReader
from linnet.wire.header import check_first_byte
from linnet.wire.message import packet_id_bytes
from linnet.wire.properties import Properties
from linnet.wire.version import V5, Version

# What a connection is doing
OPENING = 0  # before CONNECT was answered
OPEN = 1
CLOSED = 2

PUBLISH = 3
PUBREC = 5
PUBREL = 6

# First bytes of the acknowledgements
PUBACK_HEADER = 0x40
PUBREC_HEADER = 0x50
PUBREL_HEADER = 0x62
PUBCOMP_HEADER = 0x70

NO_SUBSCRIBERS = 0x10

PUBREL_NOT_FOUND_START = b"\x62\x03"
PUBCOMP_START = b"\x70\x02"
PUBCOMP_NOT_FOUND_START = b"\x70\x03"
NOT_FOUND = b"\x92"
PUBREL_START = b"\x62\x02"


def is_ack(header: int) -> bool:
    """Whether this first byte begins a PUBACK, PUBREC, PUBREL or PUBCOMP."""
    return header in (PUBACK_HEADER, PUBREC_HEADER, PUBREL_HEADER, PUBCOMP_HEADER)


def is_for_nobody(header: int, data: bytes, stop: int) -> bool:
    """Whether this is a PUBACK or PUBREC of a message that nobody has subscribed to, without properties."""
    octets = data
    return header in (PUBACK_HEADER, PUBREC_HEADER) and octets[stop - 1] == NO_SUBSCRIBERS


class Connection:
    """What both ends of a connection do alike."""

    __slots__ = (
        "closed_because",
        "frames",
        "has_properties",
        "is_server",
        "last_heard",
        "outbox",
        "pace",
        "receiver",
        "sender",
        "state",
        "statistics",
        "stream",
        "version",
        "waiting",
        "wants_reasons",
    )

    def __init__(self, stream: Any, outbox: Outbox, maximum_packet: int) -> None:
        self.stream = stream  # has `finish()`, `wait(awaitable, then)`, `pause()` and `resume()`
        self.outbox = outbox
        self.frames = FrameReader(maximum_packet)
        self.version: Version = V5
        self.has_properties = True
        self.is_server = False  # whether the packets that come in are those of a client
        self.wants_reasons = True  # Request Problem Information [MQTT-3.1.2-29]
        self.state = OPENING
        self.waiting = 0  # for how many things; packets stay where they are meanwhile
        self.sender: Sender = NO_SESSION.sender
        self.receiver: Receiver = NO_SESSION.receiver
        self.last_heard = 0.0
        self.pace: Any = None  # has `spend_bytes()`, where the peer may send only so much in a second
        self.statistics: Statistics = outbox.statistics
        self.closed_because = ""

    @property
    def is_open(self) -> bool:
        """Whether CONNECT was accepted and the connection is not over."""
        return self.state == OPEN

    @property
    def is_opening(self) -> bool:
        """Whether CONNECT was not answered yet."""
        return self.state == OPENING

    def opened(self) -> None:
        """From here on every packet is taken."""
        self.state = OPEN

    def receive(self, data: bytes, now: float) -> None:
        """Take what was read from the peer. Never raises on what a peer sends."""
        self.last_heard = now
        if self.state == OPENING:
            self.opening(data[0], now)
        self.statistics.bytes_received += len(data)
        self.frames.feed(data)
        self.proceed(now)
        if self.pace is not None:
            self.pace.spend_bytes(len(data), now)

    def opening(self, first: int, now: float) -> None:
        """Look at the first byte of a read while the connection is not open yet."""

    def proceed(self, now: float) -> None:
        """Take the packets that are there, one after the other."""
        frames = self.frames
        try:
            while self.state != CLOSED and self.waiting == 0 and frames.next():
                header = frames.header
                if self.state == OPEN:
                    if header >> 4 == PUBLISH:
                        self.receive_publish(now)
                        continue
                    size = frames.stop - frames.body
                    if size == 2 and is_ack(header):
                        self.receive_short_ack(header >> 4, frames.data, frames.body, 0, now)
                        continue
                    if size == 3 and self.has_properties and is_for_nobody(header, frames.data, frames.stop):
                        self.receive_short_ack(header >> 4, frames.data, frames.body, NO_SUBSCRIBERS, now)
                        continue
                self.receive_other(header, frames.data[frames.body : frames.stop], now)
        except ProtocolError as error:
            self.fail(error, now)

    def receive_publish(self, now: float) -> None:
        """Take the PUBLISH that the frame reader stands at."""
        raise NotImplementedError

    def receive_short_ack(self, kind: int, data: bytes, at: int, reason_code: int, now: float) -> None:
        """Take an acknowledgement that has no properties."""
        octets = data
        packet_id = octets[at] << 8 | octets[at + 1]
        if packet_id == 0:
            raise MalformedPacket("acknowledgement of packet identifier 0", "MQTT-2.2.1-3")
        self.statistics.ack_received(kind)
        self.receive_ack(kind, packet_id, reason_code, now)

    def receive_ack(self, kind: int, packet_id: int, reason_code: int, now: float) -> None:
        """Take a PUBACK, PUBREC, PUBREL or PUBCOMP."""
        sender = self.sender
        receiver = self.receiver
        if kind == PUBREL:
            known = receiver.release(packet_id)
            self.statistics.pubcomp_sent += 1
            if known or not self.has_properties:
                self.outbox.put(PUBCOMP_START)  # [MQTT-4.3.3-11]
                self.outbox.put(packet_id_bytes(packet_id))
            else:
                self.outbox.put(PUBCOMP_NOT_FOUND_START + packet_id_bytes(packet_id) + NOT_FOUND)
        elif not sender.acknowledge(kind, packet_id, reason_code, now) and kind == PUBREC and reason_code < 0x80:
            self.statistics.pubrel_sent += 1
            if self.has_properties:
                self.outbox.put(PUBREL_NOT_FOUND_START + packet_id_bytes(packet_id) + NOT_FOUND)
            else:
                self.outbox.put(PUBREL_START + packet_id_bytes(packet_id))

    def receive_other(self, header: int, body: bytes, now: float) -> None:
        """Take any other packet: decode it and let the table of this side say who takes it."""
        check_first_byte(header, self.version, self.is_server)
        self.statistics.received(header >> 4)
        packet = decode_body(header, body, self.version, self.is_server)
        self.dispatch(packet, now)

    def dispatch(self, packet: Packet, now: float) -> None:
        """Take a decoded packet."""
        raise NotImplementedError

    def when(self, verdict: Any, then: Callable[[Any, float], None], now: float) -> None:
        """Go on with a hook's answer: at once, or when it is there; until then this connection alone waits."""
        if not isawaitable(verdict):
            then(verdict, now)
            return

        def answered(answer: Any, at: float) -> None:
            if self.state != CLOSED:
                try:
                    then(answer, at)
                except ProtocolError as error:
                    self.fail(error, at)
            self.go_on(at)

        self.pause()
        self.stream.wait(verdict, answered)

    def pause(self) -> None:
        """Take no more packets; whatever it is that we wait for, `go_on` is called once for it."""
        self.waiting += 1
        if self.waiting == 1:
            self.stream.pause()

    def go_on(self, now: float) -> None:
        """One thing less to wait for."""
        self.waiting -= 1
        if self.waiting:
            return
        self.last_heard = now
        self.proceed(now)
        if self.waiting == 0:
            self.stream.resume()

    def fail(self, error: ProtocolError, now: float) -> None:
        """The peer broke the protocol: say why where the version can, and close [MQTT-4.13.1-1]."""
        self.close(error.reason_code, str(error), now)

    def close(self, reason_code: int, detail: str, now: float) -> None:
        """Close, with a DISCONNECT where one may be sent."""
        if self.state == CLOSED:
            return
        if self.state == OPEN and self.version.can_say_why:
            why = Properties(reason_string=detail[:1024]) if self.wants_reasons else Properties()
            self.put_fitting(Disconnect(reason_code, why), Disconnect(reason_code))
        self.finish(detail, now)

    def finish(self, detail: str, now: float) -> None:
        """Close without another packet; what is in the outbox still goes out."""
        if self.state == CLOSED:
            return
        was_open = self.state == OPEN
        self.state = CLOSED
        self.closed_because = detail
        self.stream.finish()
        self.ended(was_open, now)

    def ended(self, was_open: bool, now: float) -> None:
        """The connection is over, whoever ended it."""

    def put_fitting(self, packet: Any, shorter: Any = None) -> bool:
        """Send the packet, or the shorter one where it is too large for the peer; False if neither fits."""
        for candidate in (packet, shorter):
            if candidate is not None:
                encoded = candidate.encode(self.version)
                if len(encoded) <= self.outbox.maximum_packet:
                    self.statistics.sent(candidate.type)
                    self.outbox.put(encoded)
                    return True
        return False
