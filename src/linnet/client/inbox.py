"""An inbox: the messages that one subscription has received and its program has not taken yet.

It never grows beyond what was agreed. With QoS 1 and 2 the server sends no more than the Receive Maximum until the
program has processed something; with QoS 0, which nothing holds back, a full inbox does what its policy says, and
counts it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from linnet.client.policies import ARRIVAL, DROP_OLDEST, PROCESSED, WAIT


class Valve:
    """Whether the connection is read: not while somebody has more than it can take.

    But it is read while the program waits for an answer, or one that asks while its inbox is full would never get it.
    """

    __slots__ = ("connection", "enter", "held", "is_closed")

    def __init__(self) -> None:
        self.connection: Any = None
        self.enter: Callable[[], float] = _never
        self.held: dict[object, None] = {}  # the inboxes that are full, for one
        self.is_closed = False

    def __repr__(self) -> str:
        return f"<Valve held by {len(self.held)}>"

    def attach(self, connection: Any, enter: Callable[[], float]) -> None:
        """A new connection: it is not read either, if somebody has too much still."""
        self.connection = connection
        self.enter = enter
        self.update()

    def detach(self) -> None:
        """The connection is gone."""
        self.connection = None
        self.is_closed = False

    def hold(self, who: object) -> None:
        """Read no more until this one has room."""
        self.held[who] = None
        self.update()

    def release(self, who: object) -> None:
        """This one has room."""
        if who in self.held:
            del self.held[who]
            self.update()

    def update(self) -> None:
        """Stop reading, or read on; to be called whenever an answer begins or ends to be waited for."""
        connection = self.connection
        if connection is None or not connection.is_open:
            return
        shuts = len(self.held) > 0 and not (connection.sender.in_flight or connection.requests)
        if shuts == self.is_closed:
            return
        self.is_closed = shuts
        if shuts:
            connection.pause()
        else:
            connection.go_on(self.enter())


class Inbox:
    """Messages in the order of arrival, and whoever waits for them."""

    __slots__ = (
        "acknowledges",
        "codec",
        "dropped",
        "ended",
        "fault",
        "limit",
        "orphans",
        "policy",
        "queue",
        "readers",
        "received",
        "tell",
        "valve",
        "waiters",
        "zeros",
    )

    def __init__(self, codec: Any, acknowledges: int, limit: int, policy: int, valve: Valve) -> None:
        self.codec = codec
        self.acknowledges = acknowledges
        self.limit = limit  # messages that wait, above which one of QoS 0 finds no room
        self.policy = policy
        self.valve = valve
        self.queue: deque[Any] = deque()
        self.zeros = 0  # how many of those have QoS 0
        self.readers: dict[Any, Reader] = {}  # by the task that reads
        self.orphans: list[Any] = []  # messages that were got by tasks that are over
        self.waiters: deque[asyncio.Future[None]] = deque()
        self.received = 0
        self.dropped = 0  # messages of QoS 0 that found no room
        self.ended = False
        self.fault: Exception | None = None  # why it ended, if not because the program wanted it
        self.tell: Callable[[str], None] | None = None  # is told the topic of each message that is dropped

    def __repr__(self) -> str:
        state = ", ended" if self.ended else ""
        return f"<Inbox {len(self.queue)} waiting, {self.received} received, {self.dropped} dropped{state}>"

    def put(self, message: Any) -> None:
        """A message came in. Its acknowledgement is held until the program is done with it."""
        message.codec = self.codec
        self.received += 1
        if message.arrival is None:
            if len(self.queue) >= self.limit and not self.make_room(message.topic):
                return
            self.zeros += 1
        elif self.acknowledges != ARRIVAL or len(self.queue) >= self.limit:
            message.arrival.hold()
        else:
            message.arrival = None
        self.queue.append(message)
        if self.waiters:
            self.wake()

    def make_room(self, topic: str) -> bool:
        """The inbox is full: whether a message of QoS 0 may be put in all the same."""
        if self.policy == WAIT:
            self.valve.hold(self)
            return True
        self.dropped += 1
        if self.policy == DROP_OLDEST and self.zeros:
            for index, message in enumerate(self.queue):
                if message.qos == 0:
                    del self.queue[index]
                    self.zeros -= 1
                    self.tell_of(message.topic)
                    return True
        self.tell_of(topic)
        return False

    def tell_of(self, topic: str) -> None:
        """A message was dropped."""
        if self.tell is not None:
            self.tell(topic)

    def wake(self) -> None:
        """Tell one of those who wait that there is something."""
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def wake_all(self) -> None:
        """Tell all who wait that it is over."""
        while self.waiters:
            self.wake()

    def take(self) -> Any:
        """The next message; there is one."""
        message = self.queue.popleft()
        if message.qos == 0:
            self.zeros -= 1
        elif self.acknowledges == ARRIVAL and message.arrival is not None:
            message.let_go(0)
        if self.valve.held and len(self.queue) <= self.limit // 2:
            self.valve.release(self)
        return message

    def reader(self) -> Reader:
        """What the current task reads with; the same one until that task is over."""
        task = asyncio.current_task()
        reader = self.readers.get(task)
        if reader is None:
            reader = self.readers[task] = Reader(self)
            if task is not None:
                task.add_done_callback(reader.finished)
        return reader

    def forget_orphans(self) -> None:
        """Another message is asked for: what tasks took that are over was processed."""
        orphans = self.orphans
        self.orphans = []
        for message in orphans:
            if message.arrival is not None:
                message.let_go(0)

    def end(self, fault: Exception | None) -> None:
        """Nothing more comes; what is there can still be taken."""
        if not self.ended:
            self.ended = True
            self.fault = fault
            self.wake_all()

    def abandon(self, reason_code: int, was_processed: bool) -> None:
        """The program wants no more: settle what it has, and what it has not taken.

        What it has was processed, or not. What it has not taken is refused with a reason code, or with none left to
        the server, which keeps it for the next connection of the session.
        """
        self.end(None)
        if was_processed:
            self.forget_orphans()
        for message in self.orphans:
            if message.arrival is not None:
                message.arrival.give_up()
                message.arrival = None
        for reader in self.readers.values():
            if was_processed:
                reader.processed()
            else:
                reader.give_up()
        for message in self.queue:
            if message.arrival is not None:
                if reason_code:
                    message.let_go(reason_code)
                else:
                    message.arrival.give_up()
                    message.arrival = None
        self.queue.clear()
        self.zeros = 0
        self.valve.release(self)


class Reader:
    """One task that takes messages out of an inbox, and the message that it is at."""

    __slots__ = ("current", "inbox", "is_for_one")

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self.is_for_one = False  # whether it was made to get one message, maybe by a task that does nothing else
        self.current: Any = None  # whose acknowledgement waits until the next is asked for

    def __repr__(self) -> str:
        return f"<Reader of {self.inbox!r} at {self.current!r}>"

    def __aiter__(self) -> Reader:
        return self

    async def __anext__(self) -> Any:
        """The next message. Whoever is cancelled while waiting takes none with it."""
        inbox = self.inbox
        if self.current is not None:
            self.processed()
        if inbox.orphans:
            inbox.forget_orphans()
        while not inbox.queue:
            if inbox.ended:
                if inbox.fault is not None:
                    raise inbox.fault
                raise StopAsyncIteration
            waiter = asyncio.get_running_loop().create_future()
            inbox.waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled() and inbox.queue:
                    inbox.wake()  # somebody else shall have what this one was woken for
                raise
        message = inbox.take()
        if inbox.acknowledges == PROCESSED and message.arrival is not None:
            self.current = message
        return message

    def processed(self) -> None:
        """The program is done with the message that it was given."""
        message = self.current
        self.current = None
        if message is not None and message.arrival is not None:
            message.let_go(0)

    def finished(self, task: asyncio.Task[Any]) -> None:
        """The task that read is over: what it was at was processed, unless it failed.

        If it has got one message, it may have done so for another task: that one will ask for the next.
        """
        self.inbox.readers.pop(task, None)
        if task.cancelled() or has_failed(task):
            self.give_up()
        elif self.is_for_one and self.current is not None:
            self.inbox.orphans.append(self.current)
            self.current = None
        else:
            self.processed()

    def give_up(self) -> None:
        """The program could not process the message that it was given."""
        message = self.current
        self.current = None
        if message is not None and message.arrival is not None:
            message.arrival.give_up()
            message.arrival = None


def _never() -> float:
    """There is no connection."""
    return 0.0


def has_failed(task: asyncio.Task[Any]) -> bool:
    """Whether a task that is over has raised. Its `exception()` would keep asyncio from telling that nobody asked."""
    return getattr(task, "_exception", None) is not None
