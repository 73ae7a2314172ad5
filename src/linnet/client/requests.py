"""Requests and their answers, on Response Topic and Correlation Data [MQTT-4.10].

Whoever asks names a topic of its own for the answer and a mark to know it by. Single answers share one topic and one
subscription, which are made with the first question; where many answers are expected, a question has its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from secrets import token_bytes, token_hex
from typing import TYPE_CHECKING, Any

from linnet.client.errors import RequestTimeout
from linnet.client.message import Message
from linnet.client.subscription import Subscription
from linnet.errors import NotSupported, ReasonCode

if TYPE_CHECKING:
    from linnet.client.client import Client

MARK = 8  # bytes of Correlation Data


class Requests:
    """The questions of one client that are open."""

    __slots__ = ("client", "codecs", "lock", "subscription", "task", "topic", "waiting")

    def __init__(self, client: Client) -> None:
        self.client = client
        self.waiting: dict[bytes, asyncio.Future[Message[Any]]] = {}  # by their mark
        self.topic = ""
        self.subscription: Subscription[bytes] | None = None
        self.task: asyncio.Task[None] | None = None
        self.lock = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Requests: {len(self.waiting)} open>"

    def new_topic(self) -> str:
        """A topic for answers, below what the server has named for it where it did [MQTT-3.2.2-28]."""
        client = self.client
        if not client.limits.version.has_properties:
            raise NotSupported(ReasonCode.UNSPECIFIED_ERROR, "requests need MQTT 5.0, and the server does not speak it")
        base = client.limits.response_information.rstrip("/") or "linnet/answers"
        return f"{base}/{client.client_id.translate(PLAIN)}/{token_hex(8)}"

    async def ask(self, send: Callable[[str, bytes], Any], timeout: float | None) -> Message[Any]:
        """Ask with `send(response_topic, correlation_data)`, and wait for the answer. Raises RequestTimeout."""
        await self.listen()
        mark = token_bytes(MARK)
        answer: asyncio.Future[Message[Any]] = asyncio.get_running_loop().create_future()
        self.waiting[mark] = answer
        try:
            async with asyncio.timeout(timeout):
                await send(self.topic, mark)
                return await answer
        except TimeoutError:
            raise RequestTimeout(f"no answer within {timeout:g} seconds") from None
        finally:
            del self.waiting[mark]

    async def listen(self) -> None:
        """Subscribe to the topic of single answers, once."""
        async with self.lock:
            if self.subscription is not None and not self.subscription.inbox.ended:
                return
            self.topic = self.new_topic()
            subscription = self.client.subscribe(self.topic, qos=1)
            await subscription.__aenter__()
            self.subscription = subscription
            self.task = asyncio.create_task(self.hear(subscription))

    async def hear(self, subscription: Subscription[bytes]) -> None:
        """Give each answer to whoever asked; one that comes too late is for nobody."""
        async for message in subscription:
            answer = self.waiting.get(message.correlation_data or b"")
            if answer is not None and not answer.done():
                answer.set_result(message)

    @asynccontextmanager
    async def many(self, send: Callable[[str, bytes], Any], codec: Any, limit: int) -> AsyncIterator[Subscription[Any]]:
        """Ask, and have all answers as they come, until the context is left."""
        topic = self.new_topic()
        async with self.client.subscribe(topic, qos=1, codec=codec, limit=limit) as answers:
            await send(topic, token_bytes(MARK))
            yield answers

    def close(self) -> None:
        """Nothing is asked any more."""
        if self.task is not None:
            self.task.cancel()


PLAIN = {ord(mark): "_" for mark in "/+#$\0"}  # what a client identifier may have and a level of a topic may not
