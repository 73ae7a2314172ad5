"""Handling: the threads in which a program's functions are called with messages and events."""

from __future__ import annotations

import logging
from collections.abc import Callable
from inspect import iscoroutinefunction
from queue import SimpleQueue
from threading import Lock, Thread, current_thread
from typing import Any

from linnet.client.codecs import DecodeError
from linnet.client.handling import OnError
from linnet.client.message import Message
from linnet.client.routes import Route
from linnet.errors import ReasonCode
from linnet.sync.loop import LoopThread
from linnet.sync.subscription import Subscription
from linnet.sync.waiting import Patience, join

logger = logging.getLogger("linnet.client")

Call = tuple[Callable[[Any], object], Any]


def check_plain(function: Callable[..., object]) -> None:
    """Raise TypeError for what a thread cannot call."""
    if iscoroutinefunction(function):
        raise TypeError(f"{function!r} is a coroutine function: a blocking client calls plain ones")


class Dispatcher:
    """One thread for all listeners of a client: they are called with one event after the other."""

    __slots__ = ("calls", "thread")

    def __init__(self) -> None:
        self.calls: SimpleQueue[Call | None] = SimpleQueue()  # None: that was the last
        self.thread: Thread | None = None

    def __repr__(self) -> str:
        return f"<Dispatcher {self.calls.qsize()} waiting>"

    def tell(self, listener: Callable[[Any], object], event: Any) -> None:
        """On the loop: have a listener called."""
        self.calls.put((listener, event))
        if self.thread is None:
            self.thread = Thread(target=self.work, name="linnet events", daemon=True)
            self.thread.start()

    def work(self) -> None:
        """The thread."""
        while (call := self.calls.get()) is not None:
            listener, event = call
            try:
                listener(event)
            except Exception:
                logger.exception("a listener for %s failed", type(event).__name__)

    def stop(self, patience: Patience) -> None:
        """Let it end when all was told; wait for that, unless it is a listener that wants it."""
        self.calls.put(None)
        if self.thread is not None and self.thread is not current_thread():
            join(self.thread, patience)


class Worker:
    """A route at work: its subscription, and the threads that call its handler; see `linnet.client.handling.Worker`.

    Each route has threads of its own, as many as it may have calls at once, so a slow handler keeps no other waiting.
    """

    __slots__ = (
        "concurrency",
        "fail",
        "failed",
        "handled",
        "is_stopping",
        "lock",
        "on_error",
        "route",
        "subscription",
        "threads",
        "unmatched",
    )

    def __init__(
        self,
        route: Route,
        subscription: Subscription[Any],
        concurrency: int,
        on_error: OnError,
        fail: Callable[[Exception], None],
    ) -> None:
        check_plain(route.handler)
        self.route = route
        self.subscription = subscription
        self.concurrency = concurrency
        self.on_error = on_error
        self.fail = fail  # ends the client; to be called on the loop
        self.threads: list[Thread] = []
        self.is_stopping = False
        self.lock = Lock()  # of the counters
        self.handled = 0
        self.failed = 0
        self.unmatched = 0  # messages whose captures cannot be what the handler wants

    def __repr__(self) -> str:
        return f"<Worker for {self.route.pattern.text!r}: {self.handled} handled, {self.failed} failed>"

    def start(self) -> None:
        """Subscribe, and begin. Raises what entering a subscription raises."""
        self.subscription.__enter__()
        for _ in range(self.concurrency):
            thread = Thread(target=self.work, name=f"linnet {self.route.pattern.text}", daemon=True)
            self.threads.append(thread)
            thread.start()

    def end(self, thread: LoopThread) -> None:
        """Take no more messages."""
        self.is_stopping = True
        if self.threads:
            thread.post(self.subscription.inbox.end, None)

    def join(self, patience: Patience) -> None:
        """Wait until no handler is called any more, apart from one that wants this itself."""
        for thread in self.threads:
            if thread is not current_thread():
                join(thread, patience)

    def work(self) -> None:
        """One of the threads: call the handler with one message after the other."""
        reader = self.subscription.inbox.reader()
        while not self.is_stopping:
            try:
                message = self.subscription.get()
            except Exception:
                return  # it is over, and whoever has the client is told why
            if self.is_stopping:
                reader.give_up()
                return
            try:
                self.handle(message)
                reader.processed()
            except Exception as fault:
                self.count("failed")
                self.refuse(message, fault)
                reader.give_up()

    def count(self, name: str) -> None:
        """Count a call."""
        with self.lock:
            setattr(self, name, getattr(self, name) + 1)

    def handle(self, message: Message[Any]) -> None:
        """Call the handler."""
        arguments = self.route.arguments(message)
        if arguments is None:
            self.count("unmatched")
            return
        message.captures = self.route.pattern.match(message.topic) or {}
        self.route.handler(**arguments)
        self.count("handled")

    def refuse(self, message: Message[Any], fault: Exception) -> None:
        """The handler has failed, or the payload is not what it wants."""
        if isinstance(fault, DecodeError):
            logger.error("a message to %r for %r: %s", message.topic, self.route.pattern.text, fault)
        else:
            logger.error("the handler of %r failed on %r", self.route.pattern.text, message, exc_info=fault)
        if self.on_error == "reject" and message.arrival is not None:
            message.reject(ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR)
        elif self.on_error == "raise":
            self.subscription.inbox.thread.post(self.fail, fault)
