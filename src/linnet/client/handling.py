"""Handling: functions that are called with the messages of a route, one after the other or several at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Literal

from linnet.client.codecs import DecodeError
from linnet.client.message import Message
from linnet.client.routes import Route
from linnet.client.subscription import Subscription
from linnet.errors import ReasonCode

logger = logging.getLogger("linnet.client")

OnError = Literal["hold", "reject", "raise"]


class Worker:
    """A route at work: its subscription, and the tasks that call its handler.

    A message is acknowledged when the handler has returned. When it raises, the fault is logged and counted, and the
    message is not acknowledged: with "hold" the server keeps it, and sends it again when the session is resumed; with
    "reject" the server is told; with "raise" the client ends with the handler's error. A function that is no coroutine
    function is called in a thread of its own, so it may take as long as it likes.
    """

    __slots__ = (
        "busy",
        "concurrency",
        "fail",
        "failed",
        "handled",
        "is_stopping",
        "on_error",
        "route",
        "subscription",
        "tasks",
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
        self.route = route
        self.subscription = subscription
        self.concurrency = concurrency
        self.on_error = on_error
        self.fail = fail  # ends the client
        self.tasks: list[asyncio.Task[None]] = []
        self.busy: set[asyncio.Task[Any]] = set()  # those that are in the handler
        self.is_stopping = False
        self.handled = 0
        self.failed = 0
        self.unmatched = 0  # messages whose captures cannot be what the handler wants

    def __repr__(self) -> str:
        return f"<Worker for {self.route.pattern.text!r}: {self.handled} handled, {self.failed} failed>"

    async def start(self) -> None:
        """Subscribe, and begin. Raises what entering a subscription raises."""
        await self.subscription.__aenter__()
        self.tasks = [asyncio.create_task(self.work()) for _ in range(self.concurrency)]

    async def stop(self, seconds: float) -> None:
        """Stop. A handler that is at something may end it within this time; otherwise it was not processed."""
        self.is_stopping = True
        here = asyncio.current_task()  # a handler may be what stops the client
        others = [task for task in self.tasks if task is not here]
        for task in others:
            if task not in self.busy:
                task.cancel()
        if self.busy - {here}:
            await asyncio.wait(self.busy - {here}, timeout=seconds)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self.tasks.clear()

    async def work(self) -> None:
        """Call the handler with one message after the other."""
        task = asyncio.current_task()
        assert task is not None
        async for message in self.subscription:
            self.busy.add(task)
            try:
                await self.handle(message)
            except asyncio.CancelledError:
                raise
            except Exception as fault:
                self.failed += 1
                self.refuse(message, fault)
            finally:
                self.busy.discard(task)
            if self.is_stopping:
                return

    async def handle(self, message: Message[Any]) -> None:
        """Call the handler."""
        arguments = self.route.arguments(message)
        if arguments is None:
            self.unmatched += 1
            return
        message.captures = self.route.pattern.match(message.topic) or {}
        if self.route.is_async:
            await self.route.handler(**arguments)  # type: ignore[misc]
        else:
            await asyncio.to_thread(self.route.handler, **arguments)
        self.handled += 1

    def refuse(self, message: Message[Any], fault: Exception) -> None:
        """The handler has failed, or the payload is not what it wants."""
        if isinstance(fault, DecodeError) and self.on_error != "raise":
            logger.error("a message to %r for %r: %s", message.topic, self.route.pattern.text, fault)
            if message.arrival is not None:  # it would be no better the next time
                message.reject(ReasonCode.PAYLOAD_FORMAT_INVALID)
            return
        logger.error("the handler of %r failed on %r", self.route.pattern.text, message, exc_info=fault)
        if self.on_error == "reject" and message.arrival is not None:
            message.reject(ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR)
            return
        arrivals = message.arrival.arrivals if message.arrival is not None else None
        self.subscription.inbox.reader().give_up()
        if arrivals is not None and len(arrivals.given_up) >= arrivals.maximum:
            logger.error("as many messages have failed as may be unacknowledged: no more come on this connection")
        if self.on_error == "raise":
            self.is_stopping = True  # what has come behind it is not to be handled
            self.fail(fault)
