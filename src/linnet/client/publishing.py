"""Publishing: what a program hands over, and the one truth about each message that it is told in the end.

A message of QoS 1 or 2 is the sender's until the server has acknowledged it, however many connections that takes. A
message of QoS 0 is done with when it was written to a connection. Whatever cannot go out at once waits in one queue,
which is bounded; the order in which messages were handed over is the order in which they go out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from linnet.client.errors import Closed, Kept, NotDelivered, PublishRejected, QueueFull
from linnet.client.options import Offline
from linnet.client.store import ClientStore, Saved
from linnet.core.backlog import Backlog
from linnet.core.sender import PUBACK, PUBCOMP, PUBREC, Delivery, Sender, SenderObserver, new_delivery
from linnet.core.server_limits import ServerLimits
from linnet.core.topics import TopicRules
from linnet.errors import NotSupported, ReasonCode
from linnet.wire.message import Message

if TYPE_CHECKING:
    from linnet.client.line import Line

QUEUED = "queued"
SENT = "sent"
RECEIVED = "received"  # PUBREC came
ACKNOWLEDGED = "acknowledged"  # with QoS 0: written
REJECTED = "rejected"
NOT_DELIVERED = "not delivered"
WITHDRAWN = "withdrawn"

UNLIMITED = 1 << 60
CHUNK = 65536  # bytes that gather before they are written within a turn
MOST_TOPICS = 10_000  # topic names whose check is remembered
FIRST_ERROR = 0x80
RULES = TopicRules()
WHY = {"expired": "it expired before it could be sent", "too_large": "it is larger than what the server takes"}


class Publication:
    """One message on its way. It can be awaited: for the reason code of the server's acknowledgement.

    Awaiting raises PublishRejected when the server has refused the message, and NotDelivered when it will not go out
    any more. `state` tells how far it has come: "queued", "sent", "received" (QoS 2, the server has it), and in the end
    "acknowledged", "rejected", "not delivered" or "withdrawn".
    """

    __slots__ = ("fault", "key", "message", "publisher", "reason_code", "state", "waiters", "was_sent")

    def __init__(self, publisher: Publisher, message: Message) -> None:
        self.publisher = publisher
        self.message = message
        self.key = 0  # in the store
        self.state = QUEUED
        self.was_sent = False
        self.reason_code = 0
        self.fault: Exception | None = None
        self.waiters: list[asyncio.Future[None]] | None = None

    def __repr__(self) -> str:
        return f"<Publication {self.state}: {self.message!r}>"

    @property
    def done(self) -> bool:
        """Whether its fate is known."""
        return self.fault is not None or self.state is ACKNOWLEDGED

    def __await__(self) -> Generator[Any, None, ReasonCode]:
        if self.state is not ACKNOWLEDGED and self.fault is None:
            waiter = asyncio.get_running_loop().create_future()
            if self.waiters is None:
                self.waiters = []
            self.waiters.append(waiter)
            yield from waiter
        if self.fault is not None:
            raise self.fault
        return ReasonCode(self.reason_code) if self.reason_code else ReasonCode.SUCCESS

    def cancel(self) -> bool:
        """Withdraw it if it was not written yet; whether it was. What was written runs on."""
        return self.publisher.withdraw(self)

    def finish(self, state: str, fault: Exception | None) -> None:
        """Its fate is known: tell those who wait."""
        self.state = state
        self.fault = fault
        waiters = self.waiters
        if waiters is not None:
            self.waiters = None
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)


class Publisher(SenderObserver):
    """All that one client publishes."""

    __slots__ = (
        "drop",
        "fault",
        "idle",
        "last_key",
        "limits",
        "line",
        "names",
        "never_left",
        "offline",
        "room",
        "sender",
        "store",
        "unwritten",
    )

    def __init__(self, offline: Offline, store: ClientStore, drop: Callable[[Publication, str], None]) -> None:
        self.offline = offline
        self.store = store
        self.drop = drop  # is told of each message that is given up
        self.sender = Sender(Backlog(UNLIMITED, UNLIMITED))
        self.sender.observer = self
        self.limits: ServerLimits | None = None  # of the server that we are connected to
        self.line: Line | None = None  # the connection, while messages may leave on it
        self.last_key = 0
        self.names: dict[str, bytes] = {}  # topics that were found to be right
        self.unwritten: list[Publication] = []  # on their way, but not written to the connection yet
        self.never_left: list[Publication] = []  # the same, of a connection that is gone
        self.idle: list[asyncio.Future[None]] = []  # whoever waits until nothing is on its way, or can be
        self.room: deque[asyncio.Future[None]] = deque()  # whoever waits to hand something over
        self.fault: Exception | None = None  # why nothing is taken any more

    def __repr__(self) -> str:
        return f"<Publisher {self.waiting} waiting, {len(self.sender.in_flight)} in flight>"

    @property
    def waiting(self) -> int:
        """Messages that have not been sent."""
        return len(self.sender.waiting) if self.sender.waiting is not None else 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way."""
        return not (self.waiting or self.sender.in_flight or self.unwritten)

    def name(self, topic: str) -> bytes:
        """A topic name as bytes; raises ProtocolError for what is none [MQTT-3.3.2-2]."""
        octets = self.names.get(topic)
        if octets is None:
            octets = topic.encode()
            RULES.check_name(octets)
            if len(self.names) >= MOST_TOPICS:
                self.names.clear()
            self.names[topic] = octets
        return octets

    def send(self, message: Message, now: float) -> Publication:
        """Take a message over. Raises NotSupported for what the server does not take, QueueFull, NotDelivered."""
        if self.fault is not None:
            raise self.fault
        line = self.line
        limits = self.limits
        if limits is not None and (message.qos > limits.maximum_qos or message.retain or message.size() > 1024):
            limits.check_publish(message)
        publication = Publication(self, message)
        message.received_at = now
        if message.qos == 0 and line is not None and not line.is_blocked and self.sender.waiting is None:
            self.write(publication, line, now)
            return publication
        if line is None and message.qos == 0 and self.offline.qos0 != "keep":
            return self.refuse(publication)
        if self.is_full(message):
            self.overflow()
        self.last_key += 1
        publication.key = self.last_key
        self.store.keep(publication.key, message, message.qos, now)
        if message.qos == 0:
            self.sender.keep(message, 0, message.retain, b"", publication)
        else:
            self.sender.deliver(message, message.qos, message.retain, b"", publication, now)
        return publication

    def write(self, publication: Publication, line: Line, now: float) -> None:
        """A message of QoS 0 leaves at once."""
        message = publication.message
        outbox = line.outbox
        if not outbox.publish(message, 0, message.retain, False, 0, b"", now):
            self.give_up(publication, WHY["too_large"])
            return
        self.unwritten.append(publication)
        if outbox.size > CHUNK:
            line.flush()

    def refuse(self, publication: Publication) -> Publication:
        """There is no connection, and messages of QoS 0 are not kept."""
        fault = NotDelivered("there is no connection", False)
        if self.offline.qos0 == "raise":
            raise fault
        self.give_up(publication, fault.why)
        return publication

    def is_full(self, message: Message) -> bool:
        """Whether a message would have to wait, and there is no room for it."""
        waiting = self.sender.waiting
        if waiting is None or (message.qos and self.sender.outbox is not None and self.sender.has_room()):
            return False
        offline = self.offline
        return len(waiting) >= offline.max_messages or waiting.bytes + message.weight() > offline.max_bytes

    def overflow(self) -> None:
        """The queue is full: drop the oldest message that was never sent, or take no more."""
        waiting = self.sender.waiting
        if self.offline.when_full != "drop_oldest" or not waiting:
            raise QueueFull(f"{self.waiting} messages wait to be sent, which is as many as may wait")
        delivery = next((one for one in waiting if not one.origin.was_sent), None)
        if delivery is None:
            raise QueueFull(f"{self.waiting} messages wait to be sent again")
        waiting.remove(delivery)
        self.give_up(delivery.origin, "newer messages took its place")

    async def wait_for_room(self, message: Message) -> None:
        """Wait until the message would be taken, if that is what is to be done when the queue is full."""
        while self.fault is None and self.offline.when_full == "wait" and self.is_full(message):
            waiter = asyncio.get_running_loop().create_future()
            self.room.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self.tell_room()
                raise

    async def drain(self, seconds: float) -> None:
        """Wait until nothing is on its way any more, or nothing can be, but not longer than this."""
        if self.is_idle or self.line is None:
            return
        waiter = asyncio.get_running_loop().create_future()
        self.idle.append(waiter)
        await asyncio.wait([waiter], timeout=seconds)

    def tell_idle(self) -> None:
        """Tell those who wait for it if nothing is on its way any more."""
        if self.line is None or self.is_idle:
            for waiter in self.idle:
                if not waiter.done():
                    waiter.set_result(None)
            self.idle.clear()

    def tell_room(self) -> None:
        """There may be room for one more."""
        while self.room:
            waiter = self.room.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def withdraw(self, publication: Publication) -> bool:
        """Take a message back that was never written."""
        waiting = self.sender.waiting
        if publication.state is not QUEUED or waiting is None:
            return False
        delivery = next((one for one in waiting if one.origin is publication), None)
        if delivery is None:
            return False
        waiting.remove(delivery)
        if not waiting:
            self.sender.waiting = None
        self.store.forget(publication.key)
        publication.finish(WITHDRAWN, NotDelivered("it was withdrawn", publication.was_sent))
        self.tell_room()
        return True

    def written(self) -> None:
        """All that was on its way has been written to the connection."""
        unwritten = self.unwritten
        self.unwritten = []
        for publication in unwritten:
            if publication.message.qos:
                publication.was_sent = True
                if publication.state is QUEUED:
                    publication.state = SENT
            else:
                if publication.key:
                    self.store.forget(publication.key)
                publication.finish(ACKNOWLEDGED, None)
        if self.idle:
            self.tell_idle()

    def launched(self, delivery: Delivery) -> None:
        """The sender has put it into the outbox."""
        publication = delivery.origin
        if delivery.packet_id:
            self.store.sent(publication.key, delivery.packet_id)
        self.unwritten.append(publication)
        if self.room:
            self.tell_room()

    def released(self, delivery: Delivery) -> None:
        """The server has it, and may not have it twice."""
        publication = delivery.origin
        publication.state = RECEIVED
        self.store.received(publication.key)

    def settled(self, delivery: Delivery, reason_code: int) -> None:
        """The server has acknowledged it, or refused it."""
        publication = delivery.origin
        publication.reason_code = reason_code
        self.store.forget(publication.key)
        if self.idle:
            self.tell_idle()
        if reason_code < FIRST_ERROR:
            publication.finish(ACKNOWLEDGED, None)
            return
        said = self.line.connection.reason_string if self.line is not None else ""
        what = f"the server refused a message to {publication.message.topic!r}"
        publication.finish(REJECTED, PublishRejected(what, reason_code, said))

    def dropped(self, delivery: Delivery, why: str) -> None:
        """The sender cannot send it."""
        self.give_up(delivery.origin, WHY[why])

    def give_up(self, publication: Publication, why: str) -> None:
        """A message will not go out any more."""
        self.fail(publication, NotDelivered(why, publication.was_sent))
        self.drop(publication, why)

    def fail(self, publication: Publication, fault: Exception) -> None:
        """The same, for a reason that the program is told as it is."""
        if publication.key:
            self.store.forget(publication.key)
        publication.finish(NOT_DELIVERED, fault)
        if self.room:
            self.tell_room()

    def attached(self, line: Line, limits: ServerLimits) -> None:
        """There is a connection, whose session goes on: from here on messages may leave."""
        self.line = line
        self.limits = limits
        self.unwritten.extend(one for one in self.never_left if one.message.qos and not one.done)
        self.never_left.clear()
        for delivery in list(self.sender.waiting or ()):
            assert delivery.message is not None
            try:
                limits.check_publish(delivery.message)
            except NotSupported as fault:
                self.sender.waiting.remove(delivery)  # type: ignore[union-attr]
                self.fail(delivery.origin, fault)
        if not self.sender.waiting:
            self.sender.waiting = None

    def detached(self) -> None:
        """The connection is gone. What was not written has never left."""
        self.line = self.limits = None
        self.tell_idle()
        unwritten = self.unwritten
        self.unwritten = []
        self.never_left.extend(one for one in unwritten if one.message.qos)
        zeros = [one for one in unwritten if not one.message.qos]
        if self.offline.qos0 == "keep":
            self.sender.put_back([new_delivery(one.message, 0, one.message.retain, b"", one) for one in zeros])
        else:
            for publication in zeros:
                self.give_up(publication, "the connection was lost before it was written")

    def session_lost(self) -> None:
        """The server has forgotten what was in flight: QoS 1 goes out as new, the fate of QoS 2 is unknown."""
        again = []
        for delivery in self.sender.begin_anew():
            publication = delivery.origin
            if delivery.awaits == PUBCOMP:
                self.settled(delivery, publication.reason_code)
            elif delivery.qos == 1 or not publication.was_sent or self.offline.resend_qos2:
                again.append(
                    new_delivery(publication.message, delivery.qos, publication.message.retain, b"", publication)
                )
                publication.state = QUEUED
                self.store.requeued(publication.key)
            else:
                self.give_up(publication, "the server lost the session")
        if again:
            self.sender.put_back(again)
        self.never_left.clear()

    def restore(self, saved: Saved) -> list[Publication]:
        """Go on with what an earlier program has left in the store."""
        sender = self.sender
        self.last_key = saved.last_key
        publications = {}
        for kept in saved.messages:
            publication = publications[kept.key] = Publication(self, kept.message)
            publication.key = kept.key
            publication.was_sent = kept.packet_id > 0
            delivery = new_delivery(kept.message, kept.qos, kept.message.retain, b"", publication)
            if not kept.packet_id:
                sender.enqueue(delivery)
                continue
            publication.state = RECEIVED if kept.is_released else SENT
            delivery.packet_id = sender.last_id = kept.packet_id
            delivery.awaits = PUBCOMP if kept.is_released else PUBACK if kept.qos == 1 else PUBREC
            sender.in_flight[kept.packet_id] = delivery
        for kept in saved.released:
            delivery = sender.in_flight[kept.packet_id]
            delivery.message = None
            sender.released[kept.packet_id] = delivery
        return list(publications.values())

    def close(self, why: str, is_kept: bool) -> None:
        """Nothing is taken any more, and nothing goes out. What a store keeps goes out at the next start."""
        self.fault = Closed(why)
        origins = [delivery.origin for delivery in self.sender.in_flight.values()]
        origins += [delivery.origin for delivery in self.sender.waiting or ()]
        for publication in dict.fromkeys((*origins, *self.unwritten, *self.never_left)):
            if publication.done:
                continue
            if is_kept and publication.key:
                publication.finish(QUEUED, Kept(f"{why}; the message is in the store"))
            else:
                self.give_up(publication, why)
        self.sender.discard()
        self.unwritten.clear()
        while self.room:
            self.tell_room()
