"""Publishing: what a program hands over, and the one truth about each message that it is told in the end.

A message of QoS 1 or 2 is the sender's until the server has acknowledged it, however many connections that takes. A
message of QoS 0 is done with when it was written to a connection. Whatever cannot go out at once waits in one queue,
which is bounded; the order in which messages were handed over is the order in which they go out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from linnet.client.errors import Kept, NotDelivered, QueueFull
from linnet.client.options import Offline
from linnet.client.outcomes import WHY, Outcomes, nothing
from linnet.client.publication import (
    QUEUED,
    WITHDRAWN,
    Publication,
)
from linnet.client.store import ClientStore
from linnet.core.backlog import Backlog
from linnet.core.sender import (
    Sender,
    begin_anew,
    new_delivery,
    put_back,
)
from linnet.core.server_limits import SAFE_OVERHEAD, ServerLimits
from linnet.core.topics import TopicRules
from linnet.errors import LinnetError, NotSupported
from linnet.wire.message import Message

if TYPE_CHECKING:
    from linnet.client.line import Line

UNLIMITED = 1 << 60
CHUNK = 65536  # bytes that gather before they are written within a turn
MOST_TOPICS = 10_000  # topic names whose check is remembered
RULES = TopicRules()


class Publisher:
    """All that one client publishes."""

    __slots__ = (
        "clock",
        "fault",
        "last_key",
        "limits",
        "line",
        "names",
        "offline",
        "outcomes",
        "sender",
        "store",
    )

    def __init__(self, offline: Offline, store: ClientStore, drop: Callable[[Publication, str], None]) -> None:
        self.offline = offline
        self.store = store
        self.clock: Callable[[], float] = not_started  # the loop's, in seconds
        self.sender = Sender(Backlog(UNLIMITED, UNLIMITED))
        self.outcomes = self.sender.observer = Outcomes(store, drop)
        self.limits: ServerLimits | None = None  # of the server that we are connected to
        self.line: Line | None = None  # the connection, while messages may leave on it
        self.last_key = 0
        self.names: dict[str, bytes] = {}  # topics that were found to be right
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
        return not (self.waiting or self.sender.in_flight or self.outcomes.unwritten)

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

    def send(self, message: Message) -> Publication:
        """Take a message over. Raises NotSupported for what the server does not take, QueueFull, NotDelivered."""
        if self.fault is not None:
            raise self.fault
        line = self.line
        now = self.clock() if line is None else line.begin()
        limits = self.limits
        if limits is not None and (
            message.qos > limits.maximum_qos
            or message.retain
            or message.weight() + SAFE_OVERHEAD > limits.maximum_packet_size
        ):
            limits.check_publish(message)
        publication = Publication(self, message)
        qos = message.qos
        message.received_at = now
        if qos == 0 and line is not None and not line.is_blocked and self.sender.waiting is None:
            self.write(publication, line, now)
            return publication
        if line is None and qos == 0 and self.offline.qos0 != "keep":
            return self.refuse(publication)
        if self.is_full(message):
            self.overflow()
        if line is None and self.store.is_lasting:
            self.outcomes.commit_soon()
        self.last_key += 1
        publication.key = self.last_key
        self.store.keep(publication.key, message, qos, now)
        if qos == 0:
            self.sender.keep(message, 0, message.retain, b"", publication)
        else:
            self.sender.deliver(message, qos, message.retain, b"", publication, now)
        return publication

    def write(self, publication: Publication, line: Line, now: float) -> None:
        """A message of QoS 0 leaves at once."""
        message = publication.message
        outbox = line.outbox
        if not outbox.publish(message, 0, message.retain, False, 0, b"", now):
            self.outcomes.give_up(publication, WHY["too_large"])
            return
        self.outcomes.unwritten.append(publication)
        if self.outcomes.room:
            self.outcomes.room.wake()
        if outbox.size > CHUNK:
            line.flush()

    def refuse(self, publication: Publication) -> Publication:
        """There is no connection, and messages of QoS 0 are not kept."""
        fault = NotDelivered("there is no connection", False)
        if self.offline.qos0 == "raise":
            raise fault
        self.outcomes.give_up(publication, fault.why)
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
        self.outcomes.give_up(delivery.origin, "newer messages took its place")

    async def wait_for_room(self, message: Message) -> None:
        """Wait until the message would be taken, if that is what is to be done when the queue is full."""
        while self.fault is None and self.offline.when_full == "wait" and self.is_full(message):
            await self.outcomes.room.wait()

    async def drain(self, seconds: float) -> None:
        """Wait until nothing is on its way any more, but not longer than this.

        A new connection is waited for too, unless the store keeps what cannot be sent.
        """
        try:
            async with asyncio.timeout(seconds):
                while not self.is_idle and self.fault is None and (self.line is not None or not self.store.is_lasting):
                    await self.outcomes.idle.wait()
        except TimeoutError:
            pass

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
        if publication.key:  # one of QoS 0 that was not written in time was never kept
            self.store.forget(publication.key)
            if self.line is None and self.store.is_lasting:
                self.outcomes.commit_soon()
        publication.finish(WITHDRAWN, NotDelivered("it was withdrawn", publication.was_sent))
        self.outcomes.idle.wake_all()
        self.outcomes.room.wake()
        return True

    def attached(self, line: Line, limits: ServerLimits) -> None:
        """There is a connection, whose session goes on: from here on messages may leave."""
        self.line = line
        self.limits = limits
        self.outcomes.said = line.said
        for delivery in list(self.sender.waiting or ()):
            assert delivery.message is not None
            try:
                limits.check_publish(delivery.message)
            except NotSupported as fault:
                self.sender.waiting.remove(delivery)  # type: ignore[union-attr]
                self.outcomes.fail(delivery.origin, fault)
        if not self.sender.waiting:
            self.sender.waiting = None
        for delivery in list(self.sender.in_flight.values()):  # of a session that goes on, with less than before
            try:
                if delivery.message is not None:
                    limits.check_publish(delivery.message)
            except NotSupported as fault:
                self.sender.forget(delivery)
                self.outcomes.give_up(delivery.origin, fault.detail)

    def detached(self) -> None:
        """The connection is gone. What was not written has never left."""
        self.line = self.limits = None
        self.outcomes.said = nothing
        self.outcomes.idle.wake_all()
        unwritten = self.outcomes.unwritten
        self.outcomes.unwritten = []
        zeros = [one for one in unwritten if not one.message.qos]
        if self.offline.qos0 == "keep":
            put_back(self.sender, [new_delivery(one.message, 0, one.message.retain, b"", one) for one in zeros])
        else:
            for publication in zeros:
                self.outcomes.give_up(publication, "the connection was lost before it was written")

    def session_lost(self) -> None:
        """The server has forgotten what was in flight: QoS 1 goes out as new, the fate of QoS 2 is unknown.

        A server may hand a message on at PUBLISH or at PUBREL, so it is not known after PUBREC either.
        """
        again = []
        for delivery in begin_anew(self.sender):
            publication = delivery.origin
            may_go = delivery.qos == 1 or not publication.was_sent or self.offline.resend_qos2
            if may_go and publication.message.topic_name:  # an earlier program's may have no content any more
                again.append(
                    new_delivery(publication.message, delivery.qos, publication.message.retain, b"", publication)
                )
                publication.state = QUEUED
                self.store.requeued(publication.key)
            else:
                self.outcomes.give_up(publication, "the server lost the session")
        if again:
            put_back(self.sender, again)

    def close(self, fault: Exception, is_kept: bool) -> None:
        """Nothing is taken any more, and nothing goes out. What a store keeps goes out at the next start."""
        self.fault = fault
        why = str(fault)
        origins = [delivery.origin for delivery in self.sender.in_flight.values()]
        origins += [delivery.origin for delivery in self.sender.waiting or ()]
        for publication in dict.fromkeys((*origins, *self.outcomes.unwritten)):
            if publication.done:
                continue
            if is_kept and publication.key:
                publication.finish(QUEUED, Kept(f"{why}; the message is in the store"))
            else:
                self.outcomes.give_up(publication, why)
        self.sender.discard()
        self.outcomes.unwritten.clear()
        self.outcomes.room.wake_all()
        self.outcomes.idle.wake_all()


def not_started() -> float:
    """There is no loop, and so no clock."""
    raise LinnetError("the client was not started: connect first")
