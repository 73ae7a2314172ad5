"""The session: what a client and the broker owe each other, whether or not they are connected [MQTT-4.1]."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from linnet.core.backlog import DISCONNECT, Backlog
from linnet.core.deadlines import Deadline
from linnet.core.outbox import Outbox
from linnet.core.receiver import Receiver
from linnet.core.replay import Replay
from linnet.core.sender import Sender
from linnet.core.statistics import Statistics
from linnet.core.subscriptions import Subscription
from linnet.wire.message import Message

if TYPE_CHECKING:
    from linnet.core.server_connection import ServerConnection


class Session:
    """A client's subscriptions, what is in flight to and from it, and what waits for it."""

    __slots__ = (
        "client_id",
        "connection",
        "deadline",
        "expiry_interval",
        "online",
        "outbox",
        "past",
        "queue_qos0",
        "receiver",
        "replays",
        "sender",
        "subscriptions",
        "user_name",
        "will",
        "will_deadline",
        "will_delay",
    )

    described = ("statistics", "queued", "in_flight")

    def __init__(self, client_id: str, sender: Sender, receiver: Receiver, queue_qos0: bool = False) -> None:
        self.client_id = client_id
        self.user_name: str | None = None
        self.subscriptions: dict[bytes, Subscription] = {}  # by the filter as it was subscribed to
        self.sender = sender
        self.receiver = receiver
        self.queue_qos0 = queue_qos0  # keep QoS 0 messages too while the client is away
        self.outbox: Outbox | None = None  # the connection's, while there is one
        self.connection: ServerConnection | None = None
        self.online = False
        self.expiry_interval = 0  # seconds after the connection, 0xFFFFFFFF = never
        self.deadline: Deadline | None = None  # when the session ends
        self.will: Message | None = None
        self.will_delay = 0  # seconds
        self.will_deadline: Deadline | None = None  # when a delayed will is published
        self.replays: deque[Replay] | None = None  # retained messages still to be sent
        self.past: Statistics | None = None  # of its connections before this one, and of the time between them

    def __repr__(self) -> str:
        where = "online" if self.online else "offline"
        return f"<Session {self.client_id!r} {where}, {len(self.subscriptions)} subscriptions>"

    @property
    def statistics(self) -> Statistics:
        """What all connections of this session counted, and what was dropped while there was none."""
        statistics = Statistics()
        statistics.client_id = self.client_id
        for part in (self.past, self.connection.statistics if self.connection is not None else None):
            if part is not None:
                statistics.add(part)
        return statistics

    @property
    def queued(self) -> int:
        """Messages that wait for the client."""
        waiting = self.sender.waiting
        return len(waiting) if waiting is not None else 0

    @property
    def in_flight(self) -> int:
        """Messages sent to the client with QoS 1 or 2 that it has not acknowledged."""
        return len(self.sender.in_flight)

    def attach(self, connection: ServerConnection, outbox: Outbox, window: int, now: float) -> None:
        """The client is here: what was in flight goes out again, and then what waited."""
        self.connection = connection
        self.outbox = outbox
        self.online = True
        self.sender.attach(outbox, window, now)

    def detach(self) -> None:
        """The client is gone. What its connection counted goes to the session."""
        outbox = self.outbox
        self.connection = None
        self.outbox = None
        self.online = False
        self.sender.detach()
        if outbox is None:
            return
        if self.past is None:
            self.past = outbox.statistics
        else:
            self.past.add(outbox.statistics)
            self.past.whole = outbox.statistics.whole
            outbox.statistics = self.past  # of what is still in it
        self.sender.statistics = self.past

    def deliver(self, message: Message, subscription: Subscription, is_retained: bool, now: float) -> bool:
        """Send a message that a subscription matched, at the lower QoS [MQTT-3.8.4-8]; False if it is dropped.

        `is_retained` tells a message out of the store from one that was just published [MQTT-3.3.1-8, -9, -12, -13].
        """
        if subscription.no_local and message.publisher == self.client_id:  # [MQTT-3.8.3-3]
            if subscription.own is None:
                return False
            subscription = subscription.own
        retain = is_retained or (message.retain and subscription.retain_as_published)
        qos = message.qos if message.qos < subscription.qos else subscription.qos
        if qos > 0:
            return self.sender.deliver(message, qos, retain, subscription.extra, subscription, now)
        outbox = self.outbox
        if outbox is not None:
            if outbox.publish(message, 0, retain, False, 0, subscription.extra, now):
                return True
            if subscription.policy == DISCONNECT and outbox.size > outbox.limit:
                self.sender.backlog.slow[self] = None
            return False
        if self.queue_qos0 and self.expiry_interval > 0:
            return self.sender.keep(message, 0, retain, subscription.extra, subscription)
        self.sender.statistics.lose()
        self.sender.statistics.dropped_offline += 1
        return False

    def has_room(self) -> bool:
        """Whether another message would leave at once."""
        outbox = self.outbox
        if outbox is None:
            return self.online
        return self.sender.has_room() and outbox.size <= outbox.limit // 2


# Whom a connection belongs to before its CONNECT was accepted
NO_SESSION = Session("", Sender(Backlog(0, 0)), Receiver(0))
