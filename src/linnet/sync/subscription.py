"""A subscription, as the threads of a program have it."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from linnet.client.errors import Closed
from linnet.client.message import Message
from linnet.client.subscription import Subscription as Origin
from linnet.errors import LinnetError
from linnet.sync.inbox import ThreadInbox

if TYPE_CHECKING:
    from linnet.sync.life import Life

T = TypeVar("T")


class Subscription(Generic[T]):
    """A subscription: the messages that match its filters, from entering its context until leaving it.

        with client.subscribe("home/+/temp", qos=1) as readings:
            for message in readings:
                print(message.topic, message.value)

    Entering waits for the server's answer, and raises SubscribeRejected if it is no. Any thread may read, and several
    may: each message goes to one of them. A message was processed when the thread that took it asks for the next one,
    calls `message.ack()`, or when the scope is left without an exception. Leaving unsubscribes, unless it was made with
    `keep`.
    """

    __slots__ = ("_inbox", "_life", "_origin", "_timeout")

    described = ("filters", "granted", "received", "dropped", "waiting")

    def __init__(self, life: Life, origin: Origin[T], timeout: float | None) -> None:
        self._life = life
        self._origin = origin
        self._timeout = timeout
        self._inbox: ThreadInbox | None = None  # since it was entered

    def __repr__(self) -> str:
        return f"<Subscription {', '.join(map(repr, self.filters))}: {self._inbox or 'not entered'!r}>"

    @property
    def filters(self) -> tuple[str, ...]:
        """The topic filters."""
        return tuple(name.name.decode() for name in self._origin.filters)

    @property
    def granted(self) -> dict[str, int]:
        """The QoS that the server allows, by filter."""
        return dict(self._origin.granted)

    @property
    def received(self) -> int:
        """Messages that came in."""
        return self._origin.received

    @property
    def dropped(self) -> int:
        """Messages of QoS 0 that were dropped, for the inbox was full."""
        return self._origin.dropped

    @property
    def waiting(self) -> int:
        """Messages that are there to be taken."""
        return self._origin.waiting

    @property
    def inbox(self) -> ThreadInbox:
        """Where the messages are. Raises LinnetError when it was not entered."""
        if self._inbox is None:
            raise LinnetError(f"{self!r}: a subscription begins when its context is entered")
        return self._inbox

    def __enter__(self) -> Self:
        thread = self._life.running()
        if self._inbox is None:
            self._inbox = ThreadInbox(self._origin.inbox, thread)
            self._origin.inbox = self._inbox  # type: ignore[assignment]  # it does what is asked of one on the loop
        thread.run(self._origin.__aenter__, timeout=self._timeout)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        thread = self._life.thread
        if thread is None or thread.is_lost:
            return  # the client is closed, or is another process's, and so is this
        thread.run(self._origin.__aexit__, kind, fault, trace, timeout=self._timeout)

    def __iter__(self) -> Iterator[Message[T]]:
        return self

    def __next__(self) -> Message[T]:
        try:
            return self.get()
        except Closed as fault:
            if fault is self.inbox.fault:
                raise
            raise StopIteration from None

    def get(self, timeout: float | None = None) -> Message[T]:
        """The next message. Asking for it says that the one before, in this thread, was processed.

        Raises TimeoutError when none comes within this many seconds, Closed when none comes at all.
        """
        inbox = self.inbox
        inbox.thread.check()
        message: Any = inbox.get(timeout)
        return message  # type: ignore[no-any-return]
