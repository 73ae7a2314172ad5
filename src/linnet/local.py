"""Subscriptions of the program that the broker runs in: messages without a socket.

async with broker.subscribe("home/+/temp", qos=1) as readings:
    async for message in readings:
        print(message.topic, message.payload)
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Self

from linnet.core.backlog import Backlog
from linnet.core.broker import BrokerCore
from linnet.core.receiver import Receiver
from linnet.core.replay import Replay
from linnet.core.sender import Sender
from linnet.core.session import Session
from linnet.core.subscriptions import Subscription
from linnet.core.topics import parse_filter
from linnet.wire.message import Message
from linnet.wire.subscribe import SubscriptionOptions


class LocalSession(Session):
    """A session whose client is a function of this process. It is always online and has no window."""

    __slots__ = ("receive",)

    def __init__(self, client_id: str, receive: Callable[[Message], bool]) -> None:
        super().__init__(client_id, Sender(Backlog(0, 0)), Receiver(0))
        self.online = True
        self.receive = receive

    def deliver(self, message: Message, subscription: Subscription, is_retained: bool, now: float) -> bool:
        """Hand the message over; False when it is dropped."""
        retain = is_retained or (message.retain and subscription.retain_as_published)
        return self.receive(message.delivered(min(message.qos, subscription.qos), retain))

    def has_room(self) -> bool:
        """A function takes what it is given."""
        return True


class LocalSubscription:
    """Messages that match a filter, in a queue of their own: an async context manager and an async iterator.

    At most `limit` messages wait; what comes then is dropped and counted in `dropped`.
    """

    __slots__ = (
        "begin",
        "core",
        "dropped",
        "limit",
        "name",
        "opened",
        "queue",
        "received",
        "session",
        "subscription",
        "waiters",
    )

    def __init__(
        self,
        core: BrokerCore,
        begin: Callable[[], float],
        name: str,
        options: SubscriptionOptions,
        limit: int,
        opened: set[LocalSubscription],
    ) -> None:
        self.core = core
        self.begin = begin  # enters the core, and tells the time
        self.name = name
        self.limit = limit
        self.queue: deque[Message] = deque()
        self.opened = opened  # all that are open
        self.waiters: deque[asyncio.Future[None]] = deque()
        self.received = 0
        self.dropped = 0
        self.session = LocalSession(f"local:{name}", self.take)
        self.subscription = Subscription(self.session, parse_filter(name.encode(), core.router.rules), options)

    def __repr__(self) -> str:
        return f"<LocalSubscription {self.name!r}, {len(self.queue)} waiting, {self.dropped} dropped>"

    def open(self) -> Self:
        """Subscribe; retained messages are the first to come."""
        now = self.begin()
        self.core.router.subscribe(self.subscription)
        if not self.subscription.share:
            retained = self.core.router.retained
            Replay(retained, self.subscription).advance(self.session, len(retained.messages) + 1, now)
        self.opened.add(self)
        return self

    def close(self) -> None:
        """Unsubscribe. What waits can still be read; then the iteration ends."""
        if self.session.subscriptions:
            self.core.router.unsubscribe(self.session, self.subscription.name, self.begin())
        self.opened.discard(self)
        self.wake()

    def take(self, message: Message) -> bool:
        """Called by the broker for each message."""
        if len(self.queue) >= self.limit:
            self.dropped += 1
            return False
        self.received += 1
        self.queue.append(message)
        self.wake()
        return True

    def wake(self) -> None:
        """Tell whoever waits that there is something."""
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

    async def __aenter__(self) -> Self:
        return self.open()

    async def __aexit__(self, *exception: object) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        """The next message. A cancelled wait takes none with it."""
        while not self.queue:
            if not self.session.subscriptions:
                raise StopAsyncIteration
            waiter = asyncio.get_running_loop().create_future()
            self.waiters.append(waiter)
            await waiter
        return self.queue.popleft()
