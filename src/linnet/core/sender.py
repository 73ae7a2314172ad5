"""The sender's side of QoS 1 and 2: what is in flight to one receiver, and what waits for its turn (4.3, 4.4, 4.9).

The state of a delivery is the acknowledgement that it awaits:

    PUBLISH (QoS 1) -> PUBACK
    PUBLISH (QoS 2) -> PUBREC -> (PUBREL) -> PUBCOMP

Another acknowledgement than the awaited one ends the connection. What is in flight outlives the connection; the send
quota does not.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from linnet.core.backlog import Backlog
from linnet.core.outbox import Outbox
from linnet.core.queue import Queue, Room
from linnet.core.statistics import Statistics
from linnet.errors import ProtocolError, ReasonCode
from linnet.wire.message import Message, packet_id_bytes

if TYPE_CHECKING:
    from linnet.core.shared import SharedGroup

PUBACK = 4
PUBREC = 5
PUBCOMP = 7
PUBREL_START = b"\x62\x02"
LAST_PACKET_ID = 65535
FIRST_ERROR = 0x80


class Delivery:
    """One message on its way to one receiver."""

    __slots__ = ("awaits", "counts", "extra", "message", "origin", "packet_id", "qos", "retain", "sent_at")

    message: Message | None  # None once the receiver has it for sure
    qos: int
    retain: bool
    extra: bytes  # encoded subscription identifiers
    origin: Any  # the subscription that it matched, or the publication that a client's program waits for
    packet_id: int
    awaits: int  # the packet type of the acknowledgement
    counts: bool  # whether its PUBLISH went out on this connection, and takes one of its quota
    sent_at: float  # when, in monotonic seconds

    def __repr__(self) -> str:
        return f"<Delivery {self.packet_id} QoS {self.qos} awaits {self.awaits}: {self.message!r}>"


def new_delivery(message: Message, qos: int, retain: bool, extra: bytes, origin: Any) -> Delivery:
    """A delivery, made without calling a constructor: this is on every message's way."""
    delivery = Delivery.__new__(Delivery)
    delivery.message = message
    delivery.qos = qos
    delivery.retain = retain
    delivery.extra = extra
    delivery.origin = origin
    delivery.packet_id = delivery.awaits = 0
    delivery.counts = False
    return delivery


class SenderObserver:
    """Is told what becomes of each delivery. The broker has none; a client's program waits to hear it."""

    __slots__ = ()

    def launched(self, delivery: Delivery) -> None:
        """It is on its way: for the first time, or again."""

    def released(self, delivery: Delivery, reason_code: int) -> None:
        """PUBREC came: the receiver has it [MQTT-4.3.3-3]."""

    def settled(self, delivery: Delivery, reason_code: int) -> None:
        """What ends the exchange came: PUBACK, PUBCOMP, or PUBREC with an error."""

    def dropped(self, delivery: Delivery, why: str) -> None:
        """It will not be sent: "expired", or "too_large"."""


class Sender:
    """Messages of QoS 1 and 2 to one session."""

    __slots__ = (
        "backlog",
        "in_flight",
        "last_id",
        "observer",
        "outbox",
        "quota",
        "released",
        "resending",
        "reserved",
        "statistics",
        "waiting",
        "window",
    )

    def __init__(self, backlog: Backlog) -> None:
        self.backlog = backlog  # of the broker: its limits, and what happens when one is reached
        self.statistics = Statistics()  # the connection's, or those that the session has without one
        self.in_flight: dict[int, Delivery] = {}  # by packet identifier, in the order they were first sent
        # Made when first needed, for most sessions never have anything in them
        self.released: dict[int, Delivery] = {}  # of those, what awaits PUBCOMP, in the order of the PUBRECs
        self.resending: deque[Delivery] | None = None  # of those in flight, what this connection has not seen yet
        self.waiting: Queue | None = None  # never sent so far
        self.outbox: Outbox | None = None
        self.observer: SenderObserver | None = None  # is told what becomes of each delivery
        self.reserved: dict[int, Any] | None = None  # packet identifiers that something else uses
        self.window = 65535  # the receiver's Receive Maximum, or our own limit where that is less
        self.quota = 65535
        self.last_id = 0

    def __repr__(self) -> str:
        return f"<Sender {len(self.in_flight)} in flight of {self.window}, {len(self.waiting or ())} waiting>"

    def attach(self, outbox: Outbox, window: int, now: float) -> None:
        """A connection is there: send again what was not acknowledged, in order, then go on [MQTT-4.4.0-1]."""
        self.outbox = outbox
        self.statistics = outbox.statistics
        self.window = self.quota = window
        if self.in_flight:
            self.resending = deque(self.in_order())
            for delivery in self.resending:
                delivery.counts = False
        self.pump(now)

    def in_order(self) -> list[Delivery]:
        """What is in flight as it is to be sent again.

        Each PUBLISH keeps its place [MQTT-4.6.0-1]; the PUBRELs between them come in the order of the PUBRECs
        [MQTT-4.6.0-4].
        """
        released = iter(self.released.values())
        return [next(released) if d.awaits == PUBCOMP else d for d in self.in_flight.values()]

    def detach(self) -> None:
        """The connection is gone. What is in flight stays; nobody is held back for who is not here."""
        self.outbox = None
        self.resending = None
        if self.waiting is not None:
            self.waiting.let_go()

    def deliver(self, message: Message, qos: int, retain: bool, extra: bytes, origin: Any, now: float) -> bool:
        """Send a message now or keep it until there is room; False when the queue is full and it is dropped."""
        delivery = new_delivery(message, qos, retain, extra, origin)
        if self.has_room() and self.outbox is not None:
            return self.launch(delivery, now)
        return self.enqueue(delivery)

    def keep(self, message: Message, qos: int, retain: bool, extra: bytes, origin: Any) -> bool:
        """Queue a message of any QoS for later; False when the queue is full."""
        return self.enqueue(new_delivery(message, qos, retain, extra, origin))

    def enqueue(self, delivery: Delivery) -> bool:
        """Let a delivery wait for a connection or for quota."""
        if self.waiting is None:
            self.waiting = Queue(self.backlog)
        return self.waiting.put(delivery, self.statistics, self.outbox is not None)

    def would_drop(self, message: Message) -> bool:
        """Whether a message would find a full queue, which is counted then."""
        if self.has_room() and self.outbox is not None:
            return False
        queue = self.waiting if self.waiting is not None else Queue(self.backlog)
        weight = message.weight()
        if not queue.is_full(weight):
            return False
        self.backlog.count(self.backlog.limit_of(queue, weight), self.statistics.client_id)
        return True

    def launch(self, delivery: Delivery, now: float) -> bool:
        """Send a delivery for the first time; False when this receiver cannot take a message of that size."""
        packet_id = self.last_id
        while True:
            packet_id = packet_id % LAST_PACKET_ID + 1
            if packet_id not in self.in_flight and (self.reserved is None or packet_id not in self.reserved):
                break
        outbox = self.outbox
        assert outbox is not None
        message = delivery.message
        assert message is not None
        if not outbox.publish(message, delivery.qos, delivery.retain, False, packet_id, delivery.extra, now):
            if self.observer is not None:
                self.observer.dropped(delivery, "too_large")
            return False
        self.last_id = delivery.packet_id = packet_id
        delivery.awaits = PUBACK if delivery.qos == 1 else PUBREC
        self.in_flight[packet_id] = delivery
        self.backlog.in_flight += 1
        self.take_quota(delivery, now)
        if self.observer is not None:
            self.observer.launched(delivery)
        return True

    def has_room(self) -> bool:
        """Whether a new message would leave at once.

        The quota counts what went out on this connection; what an earlier one left half done counts too, or a
        client that always leaves before PUBCOMP would pile it up.
        """
        return self.quota > 0 and len(self.in_flight) < self.window and not self.waiting and not self.resending

    def take_quota(self, delivery: Delivery, now: float) -> None:
        """A PUBLISH went out [MQTT-4.9.0-1]."""
        self.quota -= 1
        delivery.counts = True
        delivery.sent_at = now

    def pump(self, now: float) -> None:
        """Send what may be sent: first again, then anew, never more than the quota [MQTT-4.9.0-2]."""
        while self.outbox is not None:
            if self.resending:
                if not self.resend(self.resending[0], now):
                    return
                self.resending.popleft()
            elif self.waiting and self.quota > 0 and len(self.in_flight) < self.window:
                self.launch_next(now)
            else:
                return

    def launch_next(self, now: float) -> None:
        """Take the next one off the queue and send it, unless it expired while it waited [MQTT-3.3.2-5]."""
        assert self.waiting is not None
        delivery = self.waiting.take()
        if not self.waiting:
            self.waiting = None  # an empty one takes its room too
        message = delivery.message
        assert message is not None
        if message.expiry >= 0 and message.seconds_left(now) < 0:
            self.statistics.lose()
            self.statistics.dropped_expired += 1
            if self.observer is not None:
                self.observer.dropped(delivery, "expired")
        elif delivery.qos > 0:
            self.launch(delivery, now)
        elif self.outbox is not None:  # kept while the client was away
            went = self.outbox.publish(message, 0, delivery.retain, False, 0, delivery.extra, now)
            if self.observer is not None:
                if went:
                    self.observer.launched(delivery)
                else:
                    self.observer.dropped(delivery, "too_large")

    def resend(self, delivery: Delivery, now: float) -> bool:
        """Send again what is in flight, under the identifier it had; False when there is no quota for it."""
        outbox = self.outbox
        assert outbox is not None
        if self.in_flight.get(delivery.packet_id) is not delivery:
            return True
        if delivery.awaits == PUBCOMP:
            outbox.statistics.pubrel_sent += 1
            outbox.put(PUBREL_START + packet_id_bytes(delivery.packet_id))
            return True
        if self.quota <= 0:
            return False
        message = delivery.message
        assert message is not None
        if outbox.publish(message, delivery.qos, delivery.retain, True, delivery.packet_id, delivery.extra, now):
            self.take_quota(delivery, now)
            if self.observer is not None:
                self.observer.launched(delivery)
        else:
            self.forget(delivery)
            if self.observer is not None:
                self.observer.dropped(delivery, "too_large")
        return True

    def forget(self, delivery: Delivery) -> None:
        """A delivery is done with, one way or the other."""
        del self.in_flight[delivery.packet_id]
        self.backlog.in_flight -= 1

    def acknowledge(self, kind: int, packet_id: int, reason_code: int, now: float) -> bool:
        """Take a PUBACK, PUBREC or PUBCOMP; False when nothing with this identifier is in flight.

        Raises ProtocolError 0x82 for one that does not fit the delivery's QoS and state.
        """
        delivery = self.in_flight.get(packet_id)
        if delivery is None:
            return False
        if kind != delivery.awaits:
            if kind != PUBREC or delivery.awaits != PUBCOMP:
                raise ProtocolError(
                    ReasonCode.PROTOCOL_ERROR,
                    f"packet type {kind} acknowledges {packet_id}, which awaits {delivery.awaits}",
                    "MQTT-4.3.3-1",
                )
            self.release(delivery, reason_code)
        elif kind == PUBREC and reason_code < FIRST_ERROR:
            self.release(delivery, reason_code)
        else:
            self.forget(delivery)
            if kind == PUBCOMP:
                del self.released[packet_id]
            if delivery.counts:
                self.quota += 1
                self.statistics.acknowledged(now - delivery.sent_at)
            if self.observer is not None:
                self.observer.settled(delivery, reason_code)
            if self.waiting or self.resending:
                self.pump(now)
        return True

    def release(self, delivery: Delivery, reason_code: int) -> None:
        """The receiver has it: forget the message, and say PUBREL until PUBCOMP comes [MQTT-4.3.3-1]."""
        if delivery.awaits != PUBCOMP:
            delivery.awaits = PUBCOMP
            delivery.message = None
            self.released[delivery.packet_id] = delivery
            if self.observer is not None:
                self.observer.released(delivery, reason_code)
        outbox = self.outbox
        if outbox is not None:
            outbox.statistics.pubrel_sent += 1
            outbox.put(PUBREL_START)
            outbox.put(packet_id_bytes(delivery.packet_id))

    def withdraw(self, group: SharedGroup, room: Room) -> list[Delivery]:
        """Give back what another member of a shared subscription may still get, as far as there is room for it.

        That is what was never sent and, when the connection is gone, what was sent with QoS 1 and is unacknowledged.
        QoS 2 that was sent belongs to this receiver for good [MQTT-4.8.2-4, MQTT-4.8.2-5].
        """
        taken: list[Delivery] = []
        if self.outbox is None:
            unacknowledged = [d for d in self.in_flight.values() if d.origin.group is group]
            taken = [d for d in unacknowledged if d.awaits == PUBACK and room.takes(d)]
            for delivery in taken:
                self.forget(delivery)
        if self.waiting is not None:
            taken += self.waiting.withdraw(group, room)
        return taken

    def discard(self) -> int:
        """Forget everything, for the session has ended; how many messages the receiver may never have got."""
        lost = sum(delivery.message is not None for delivery in self.in_flight.values())
        self.backlog.in_flight -= len(self.in_flight)
        self.in_flight.clear()
        self.released.clear()
        if self.waiting is not None:
            lost += len(self.waiting)
            self.waiting.clear()
        return lost


def begin_anew(sender: Sender) -> list[Delivery]:
    """The receiver has forgotten what was in flight: take it out, in order. What waits goes on waiting."""
    deliveries = list(sender.in_flight.values())
    sender.backlog.in_flight -= len(deliveries)
    sender.in_flight.clear()
    sender.released.clear()
    return deliveries


def put_back(sender: Sender, deliveries: list[Delivery]) -> None:
    """Let these wait before all others, as if they had never been sent."""
    if deliveries:
        if sender.waiting is None:
            sender.waiting = Queue(sender.backlog)
        sender.waiting.put_back(deliveries)
