"""An inbox that is filled on the loop, and emptied by threads.

It keeps the rules of `linnet.client.inbox`, which see. Its queue is a dictionary by serial number: to take the first
and to drop one in the middle are single operations, of which exactly one thread gets each message. Whatever a thread
owes the server for a message is left in the loop's mailbox.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from threading import current_thread, local
from typing import Any

from linnet.client.errors import Closed
from linnet.client.inbox import Inbox
from linnet.client.policies import ARRIVAL, DROP_OLDEST, PROCESSED, WAIT
from linnet.core.arrivals import Arrival
from linnet.sync.loop import LoopThread
from linnet.sync.waiting import Patience, Waiter

logger = logging.getLogger("linnet.client")


class Debt:
    """The acknowledgement that is owed for a message: any thread may settle it, once."""

    __slots__ = ("arrival", "thread")

    def __init__(self, arrival: Arrival, thread: LoopThread) -> None:
        self.arrival: Arrival | None = arrival
        self.thread = thread

    def __repr__(self) -> str:
        return f"<Debt {self.arrival!r}>"

    def done(self) -> None:
        """It was processed."""
        self.thread.post(self.settle, Arrival.done)

    def reject(self, reason_code: int) -> None:
        """It was not, and the server is told so."""
        self.thread.post(self.settle, Arrival.reject, reason_code)

    def give_up(self) -> None:
        """It was not, and may come again."""
        self.thread.post(self.settle, Arrival.give_up)

    def settle(self, how: Callable[..., None], *arguments: int) -> None:
        """On the loop: let go."""
        arrival = self.arrival
        self.arrival = None
        if arrival is not None:
            how(arrival, *arguments)


class Reader:
    """One thread that takes messages out of an inbox, and the message that it is at."""

    __slots__ = ("current", "name")

    def __init__(self) -> None:
        self.current: Any = None  # whose acknowledgement waits until the next is asked for
        self.name = current_thread().name

    def __repr__(self) -> str:
        return f"<Reader in {self.name} at {self.current!r}>"

    def processed(self) -> None:
        """The thread is done with the message that it was given."""
        message = self.current
        self.current = None
        if message is not None and message.arrival is not None:
            message.let_go(0)

    def give_up(self) -> None:
        """It could not process it."""
        message = self.current
        self.current = None
        if message is not None and message.arrival is not None:
            message.arrival.give_up()
            message.arrival = None


class Presence:
    """Lives as long as a thread that reads, and no longer."""

    __slots__ = ("reader", "readers", "thread")

    def __init__(self, reader: Reader, readers: dict[Reader, None], thread: LoopThread) -> None:
        self.reader = reader
        self.readers = readers
        self.thread = thread

    def __del__(self) -> None:
        self.thread.post(gone, self.reader, self.readers)


def gone(reader: Reader, readers: dict[Reader, None]) -> None:
    """A thread has ended. Nobody knows why, so what it was at was not processed, unless it has said so."""
    readers.pop(reader, None)
    message = reader.current
    if message is not None and message.arrival is not None:
        logger.warning("%s ended while it was at %r, which is not acknowledged", reader.name, message)
        reader.give_up()


class ThreadInbox:
    """Messages in the order of arrival, and the threads that wait for them."""

    __slots__ = (
        "acknowledges",
        "codec",
        "dropped",
        "ended",
        "fault",
        "limit",
        "local",
        "policy",
        "queue",
        "readers",
        "received",
        "tell",
        "thread",
        "valve",
        "waiters",
        "zeros",
    )

    def __init__(self, plain: Inbox, thread: LoopThread) -> None:
        self.codec = plain.codec
        self.acknowledges = plain.acknowledges
        self.limit = plain.limit
        self.policy = plain.policy
        self.valve = plain.valve
        self.tell = plain.tell
        self.thread = thread
        self.queue: OrderedDict[int, Any] = OrderedDict()  # by how many were received when it came
        self.zeros: deque[int] = deque()  # which of those have QoS 0; those at the front may be gone
        self.readers: dict[Reader, None] = {}
        self.local = local()  # each thread's own
        self.waiters: deque[Waiter] = deque()
        self.received = 0
        self.dropped = 0
        self.ended = False
        self.fault: Exception | None = None

    def __repr__(self) -> str:
        state = ", ended" if self.ended else ""
        return f"<ThreadInbox {len(self.queue)} waiting, {self.received} received, {self.dropped} dropped{state}>"

    # -- on the loop

    def put(self, message: Any) -> None:
        """A message came in. Its acknowledgement is held until the program is done with it."""
        message.codec = self.codec
        self.received += 1
        arrival = message.arrival
        if arrival is None:
            if len(self.queue) >= self.limit and not self.make_room(message.topic):
                return
            while self.zeros and self.zeros[0] not in self.queue:
                self.zeros.popleft()
            self.zeros.append(self.received)
        elif self.acknowledges != ARRIVAL or len(self.queue) >= self.limit:
            arrival.hold()
            message.arrival = Debt(arrival, self.thread)
        else:
            message.arrival = None
        self.queue[self.received] = message
        if self.waiters:
            self.wake()

    def make_room(self, topic: str) -> bool:
        """The inbox is full: whether a message of QoS 0 may be put in all the same."""
        if self.policy == WAIT:
            self.valve.hold(self)  # to the valve one inbox is as good as another
            return True
        self.dropped += 1
        while self.policy == DROP_OLDEST and self.zeros:
            oldest = self.queue.pop(self.zeros.popleft(), None)
            if oldest is not None:
                self.tell_of(oldest.topic)
                return True
        self.tell_of(topic)
        return False

    def tell_of(self, topic: str) -> None:
        """A message was dropped."""
        if self.tell is not None:
            self.tell(topic)

    def end(self, fault: Exception | None) -> None:
        """Nothing more comes; what is there can still be taken."""
        if not self.ended:
            self.fault = fault
            self.ended = True
            while self.waiters:
                self.wake()

    def abandon(self, reason_code: int, was_processed: bool) -> None:
        """The program wants no more: settle what it has, and what it has not taken; see `Inbox`."""
        self.end(None)
        for reader in list(self.readers):
            if was_processed:
                reader.processed()
            else:
                reader.give_up()
        while self.queue:
            message = self.pop()
            if message is None or message.arrival is None:
                continue
            if reason_code:
                message.let_go(reason_code)
            else:
                message.arrival.give_up()
                message.arrival = None
        self.release()

    def release(self) -> None:
        """There is room again."""
        self.valve.release(self)

    # -- from all threads

    def wake(self) -> None:
        """Tell one of those who wait that there is something."""
        try:
            self.waiters.popleft().set_result()
        except IndexError:
            pass

    def pop(self) -> Any:
        """The first message, for exactly one of those who ask; None if there is none."""
        try:
            return self.queue.popitem(last=False)[1]
        except KeyError:
            return None

    def reader(self) -> Reader:
        """What this thread reads with."""
        try:
            reader: Reader = self.local.presence.reader
        except AttributeError:
            reader = Reader()
            self.readers[reader] = None
            self.local.presence = Presence(reader, self.readers, self.thread)
        return reader

    def get(self, timeout: float | None) -> Any:
        """The next message. Whoever is interrupted while waiting, or waits in vain, takes none with it."""
        reader = self.reader()
        if reader.current is not None:
            reader.processed()
        message = self.pop()
        if message is None:
            message = self.wait(Patience(timeout))
        if self.acknowledges == PROCESSED:
            if message.arrival is not None:
                reader.current = message
        elif self.acknowledges == ARRIVAL and message.arrival is not None:
            message.let_go(0)
        if self.valve.held and len(self.queue) <= self.limit // 2:
            self.thread.post(self.release)
        return message

    def wait(self, patience: Patience) -> Any:
        """Wait for a message. Raises TimeoutError, and when there will be none Closed, or why."""
        while True:
            waiter = Waiter()
            self.waiters.append(waiter)
            try:  # whatever came before it was put down as waiting is here by now, and what comes later tells it
                message = self.pop()
                if message is None and not self.ended:
                    waiter.wait(patience.left)
                    message = self.pop()
            finally:
                self.leave(waiter)
            if message is not None:
                return message
            if self.ended:
                raise self.fault or Closed("the subscription is closed")
            if not waiter.is_done:
                raise TimeoutError(f"no message within {patience.timeout:g} seconds")

    def leave(self, waiter: Waiter) -> None:
        """Wait no more; if it was told of a message that is still there, another one is."""
        try:
            self.waiters.remove(waiter)
        except ValueError:
            if self.queue:
                self.wake()
