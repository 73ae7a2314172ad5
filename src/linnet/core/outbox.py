"""The outbox: what a connection has to say in this turn of the loop.

Whatever is sent, by whomever, is appended here; the first piece marks the outbox, and at the end of the turn whoever
keeps the marks writes each marked outbox out in one go. So a burst to one peer is one write, and the core never waits.
"""

from typing import Any

from linnet.core.aliases import OutgoingAliases
from linnet.core.statistics import Statistics
from linnet.wire.frames import FrameReader
from linnet.wire.message import Message, packet_id_bytes

DUP = 0x08
PLAIN = 0x30  # the first byte of a PUBLISH with QoS 0, but for DUP and RETAIN
HOLD_FACTOR = 2  # times the limit for QoS 0, above which the peer is not read if it does not read
NEVER = 1 << 60
BULKY = 4096  # bytes of an average piece
MESSAGE_EXPIRY_INTERVAL = b"\x02"
TOPIC_ALIAS = b"\x23"


class Outbox:
    """What is to be written to one peer, and what the peer is able to take."""

    __slots__ = (
        "alarm",
        "aliases",
        "hard_limit",
        "has_properties",
        "is_excessive",
        "limit",
        "marked",
        "maximum_packet",
        "pieces",
        "size",
        "statistics",
        "stream",
    )

    def __init__(
        self,
        marked: list["Outbox"],
        limit: int,
        stream: Any = None,
        hard_limit: int = 1 << 60,
        statistics: Statistics | None = None,
    ) -> None:
        self.marked = marked  # shared by all outboxes of a loop: those with something to write
        self.limit = limit  # bytes waiting here, above which new QoS 0 messages are dropped
        self.hard_limit = hard_limit  # bytes, above which the peer is given up
        self.stream = stream  # has `write()`, which empties the outbox as far as the peer takes it
        self.pieces: list[bytes] = []
        self.size = 0
        self.alarm = 0  # bytes, above which the outbox is marked again, for whoever writes to look at what piles up
        self.is_excessive = False  # above the hard limit, and marked for it
        self.has_properties = False
        self.maximum_packet = 268435460  # bytes, of a whole packet, that the peer accepts [MQTT-3.1.2-24]
        self.aliases: OutgoingAliases | None = None
        self.statistics = statistics or Statistics()  # of the connection

    def __repr__(self) -> str:
        return f"<Outbox {len(self.pieces)} pieces, {self.size} bytes>"

    def obey(self, limit: int, hard_limit: int) -> None:
        """Take over these limits, for what waits already too."""
        self.limit = limit
        self.hard_limit = hard_limit
        self.alarm = 0

    def put(self, piece: bytes) -> None:
        """Append a packet, or the next part of one."""
        if not self.pieces:
            self.marked.append(self)
        self.pieces.append(piece)
        self.size += len(piece)
        self.statistics.bytes_sent += len(piece)
        if self.size > self.alarm:
            self.pile_up()

    def pile_up(self) -> None:
        """Much waits: mark the outbox anew where it is above a limit, so that `write` is called though it has said so.

        `alarm` is low while the outbox is empty, so that it follows limits that change.
        """
        held = self.limit * HOLD_FACTOR
        if self.size <= held and self.size <= self.hard_limit:
            self.alarm = min(held, self.hard_limit)
            return
        self.is_excessive = self.size > self.hard_limit
        self.alarm = NEVER if self.is_excessive else self.hard_limit
        self.marked.append(self)

    def take(self) -> bytes:
        """Everything there is, joined; the outbox is empty after that."""
        pieces = self.take_pieces()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def take_pieces(self) -> list[bytes]:
        """Everything there is; the outbox is empty after that."""
        pieces = self.pieces
        self.pieces = []
        self.size = self.alarm = 0
        self.is_excessive = False
        return pieces

    def discard(self) -> None:
        """Forget everything there is, for it will never be read. QoS 0 messages in it are lost, and are counted."""
        if not self.pieces:
            return
        statistics = self.statistics
        lost = messages_in(b"".join(self.pieces))
        if lost:
            statistics.lose()
            statistics.dropped_unsent += lost
        for one in (statistics, statistics.whole):
            if one is not None:
                one.bytes_sent -= self.size
                one.publish0_sent -= lost
        self.pieces = []
        self.size = self.alarm = 0
        self.is_excessive = False

    def is_bulky(self) -> bool:
        """Whether its pieces are so large that to join them costs more than to write them one after the other."""
        return self.size >= BULKY * len(self.pieces) and len(self.pieces) > 1

    def publish(
        self, message: Message, qos: int, retain: bool, dup: bool, packet_id: int, extra: bytes, now: float
    ) -> bool:
        """Append a PUBLISH; False when it is dropped: too large for this peer [MQTT-3.1.2-24], or QoS 0 at the limit.

        `extra` are the encoded Subscription Identifiers, `now` the monotonic time in seconds.
        """
        if self.size > self.limit and qos == 0 and not self.make_room():
            self.statistics.lose()
            self.statistics.dropped_output_full += 1
            return False
        if dup or (self.has_properties and (message.expiry >= 0 or extra or self.aliases is not None)):
            return self.publish_own(message, qos, retain, dup, packet_id, extra, now)
        if qos == 0 and not retain and message.is_plain and message.has_properties == self.has_properties:
            packet = message.packet
            if len(packet) > self.maximum_packet:
                return self.too_large()
            self.put(packet)
        else:
            head = message.encode_start(qos, retain, self.has_properties)
            tail = message.tail(self.has_properties)
            if len(head) + (2 if qos else 0) + len(tail) > self.maximum_packet:
                return self.too_large()
            self.put(head)
            if qos:
                self.put(packet_id_bytes(packet_id))
            if tail:
                self.put(tail)
        self.statistics.publish_sent(qos)
        return True

    def publish_own(
        self, message: Message, qos: int, retain: bool, dup: bool, packet_id: int, extra: bytes, now: float
    ) -> bool:
        """Append a PUBLISH that says something to this receiver alone; only the payload is shared."""
        topic_name = message.topic_name
        if self.has_properties:
            if message.expiry >= 0:
                left = max(message.seconds_left(now), 0)
                extra += MESSAGE_EXPIRY_INTERVAL + left.to_bytes(4, "big")
            if self.aliases is not None:
                alias, known = self.aliases.use(topic_name)
                extra += TOPIC_ALIAS + packet_id_bytes(alias)
                if known:
                    topic_name = b""
        else:
            extra = b""
        head = message.encode_head(qos, retain, self.has_properties, packet_id, topic_name, extra)
        if len(head) + message.size() > self.maximum_packet:
            if topic_name and self.aliases is not None:
                self.aliases.forget(topic_name)
            return self.too_large()
        if dup:
            head = bytes((head[0] | DUP,)) + head[1:]
        self.put(head)
        if message.size():
            self.put(message.payload)
        self.statistics.publish_sent(qos)
        return True

    def too_large(self) -> bool:
        """Count a message that the peer could not take."""
        self.statistics.lose()
        self.statistics.dropped_too_large += 1
        return False

    def make_room(self) -> bool:
        """Above the limit within a turn: try to write now rather than drop."""
        if self.stream is not None:
            self.stream.write()
        return self.size <= self.limit


def messages_in(octets: bytes) -> int:
    """How many PUBLISH packets with QoS 0 there are among whole packets."""
    frames = FrameReader(len(octets) + 1)
    frames.feed(octets)
    count = 0
    while frames.next():
        count += frames.header & 0xF6 == PLAIN
    return count
