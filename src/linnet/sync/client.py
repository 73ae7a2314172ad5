"""The blocking client: what a program with threads uses to publish and to subscribe.

with linnet.sync.Client("mqtt://user@host/") as client:
    with client.subscribe("home/+/temp", qos=1) as readings:
        client.publish("home/kitchen/temp", 21.5, codec=linnet.JSON)
        for message in readings:
            print(message.topic, message.value)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from secrets import token_bytes
from types import TracebackType
from typing import Any, Self, Unpack

from typing_extensions import TypeVar

from linnet.client.client import Client as AsyncClient
from linnet.client.client import SubscribeOptions
from linnet.client.codecs import Codec
from linnet.client.composing import PublishOptions, composed
from linnet.client.errors import Closed
from linnet.client.events import E
from linnet.client.handling import OnError
from linnet.client.keeping import CLOSED, CONNECTED
from linnet.client.message import Message
from linnet.client.options import ClientOptions, Secret
from linnet.client.requests import MARK
from linnet.client.routes import Route
from linnet.core.server_limits import ServerLimits
from linnet.core.statistics import Statistics
from linnet.errors import LinnetError, ReasonCode
from linnet.sync.handling import Worker, check_plain
from linnet.sync.life import Life
from linnet.sync.publication import Publication
from linnet.sync.subscription import Subscription

T = TypeVar("T", default=bytes)
H = TypeVar("H", bound=Callable[..., object])


class Observed:
    """What can be seen of a client, at any time and from any thread."""

    described = ("client_id", "state", "limits", "statistics")

    _aio: AsyncClient
    _life: Life

    def __repr__(self) -> str:
        where = self._aio.keeper.address or ", ".join(map(str, self._aio.options.addresses))
        return f"<Client {self.client_id!r} at {where}, {self.state}>"

    @property
    def client_id(self) -> str:
        """The client identifier; the server's choice where we had none."""
        return self._aio.client_id

    @property
    def state(self) -> str:
        """One of "new", "connecting", "connected", "waiting" (for the next try to connect) or "closed"."""
        thread = self._life.thread
        return CLOSED if thread is not None and thread.is_lost else self._aio.state

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection at this moment."""
        return self.state == CONNECTED

    @property
    def limits(self) -> ServerLimits:
        """What the server takes, as it said when we connected last."""
        return self._aio.limits

    @property
    def statistics(self) -> Statistics:
        """What all connections of this client have counted."""
        return self._aio.statistics


class Client(Observed):
    """A blocking MQTT client: `linnet.Client` for programs that have threads and no event loop.

    Any thread may call it, handlers included; they are called in threads of their own. What waits can be interrupted
    by Ctrl-C, and takes a `timeout` in seconds, after which it raises TimeoutError. Who stops waiting withdraws what
    was not written yet, and takes no message along. Told what `linnet.Client` is told, except that functions for
    `on` and `route` are plain ones.

    A program that ends with a client still connected says goodbye. A process that was forked off cannot use its
    parent's client: whatever would, raises LinnetError.
    """

    def __init__(self, url: str | Sequence[str] = "mqtt://localhost", **options: Unpack[ClientOptions]) -> None:
        password = options.get("password")
        if callable(password) and not iscoroutinefunction(password):
            options["password"] = partial(ask_in_a_thread, password)
        self._aio = AsyncClient(url, **options)
        self._life = Life(self._aio)

    # -- coming and going

    def connect(self, timeout: float | None = None) -> Self:
        """Connect; from here on the client keeps connected. Raises ConnectFailed, ConnectRejected, StoreError."""
        self._life.start(timeout)
        return self

    def disconnect(self, reason_code: int = ReasonCode.SUCCESS, timeout: float | None = None) -> None:
        """Say goodbye. What was handed over has `timeout` to be acknowledged, and handlers have it to return.

        It is `close_timeout` if nothing else is said, and never longer. No message is taken any more.
        """
        self._life.stop(reason_code, timeout)

    def __enter__(self) -> Self:
        return self.connect()

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()
        ended = self._aio.keeper.fault
        if fault is None and ended is not None and not isinstance(ended, Closed):
            raise ended

    def reauthenticate(self, timeout: float | None = None) -> None:
        """Authenticate again, by the authenticator that connected us. Raises ConnectionLost."""
        self._life.running().run(self._aio.reauthenticate, timeout=timeout)

    # -- publishing

    def publish(
        self, topic: str, payload: Any = b"", *, timeout: float | None = None, **options: Unpack[PublishOptions]
    ) -> ReasonCode:
        """Publish, and return when the server has acknowledged it (QoS 0: when it was written); its reason code.

        However many connections that takes. Raises PublishRejected when the server refuses the message, NotDelivered
        when it will not go out any more, NotSupported when the server has said that it does not take such messages,
        QueueFull. After `timeout` seconds the message is withdrawn, unless it was written: then it goes its way.
        """
        thread = self._life.running()
        return Publication(thread, self._aio, composed(self._aio.publisher, topic, payload, options)).deliver(timeout)

    def send(self, topic: str, payload: Any = b"", **options: Unpack[PublishOptions]) -> Publication:
        """Hand a message over without waiting. What is returned tells what becomes of it.

        Raises QueueFull where `publish` would wait. One that the server does not take is told of by `result`, and to
        listeners for Dropped. Messages that one thread sends go out in the order in which it sends them.
        """
        thread = self._life.running()
        publication = Publication(thread, self._aio, composed(self._aio.publisher, topic, payload, options))
        publication.hand_over()
        return publication

    # -- subscribing

    def subscribe(
        self,
        *filters: str,
        codec: Codec[T] | type[T] | None = None,
        timeout: float | None = None,
        **options: Unpack[SubscribeOptions],
    ) -> Subscription[T]:
        """A subscription to one or several topic filters, to be entered; see `Subscription`.

        `codec`, a Codec or a type, makes the `value` of a message. `timeout` is for the server's answers when it is
        entered and left. Raises ProtocolError for what is no topic filter.
        """
        return Subscription(self._life, self._aio.subscribe(*filters, codec=codec, **options), timeout)

    def route(
        self,
        pattern: str,
        *,
        codec: Any = None,
        concurrency: int = 1,
        on_error: OnError = "hold",
        **options: Unpack[SubscribeOptions],
    ) -> Callable[[H], H]:
        """Have a function called with the messages of a pattern, as long as the client is connected; see `Route`.

        For use before `connect`. `concurrency` is how many calls there may be at once, each in its own thread.
        """

        def register(handler: H) -> H:
            route = Route(pattern, handler, codec)
            subscription = self.subscribe(route.pattern.filter, codec=route.codec, **options)
            self._life.workers.append(Worker(route, subscription, concurrency, on_error, self._aio.keeper.fail))
            return handler

        if self._life.thread is not None:
            raise LinnetError("routes are made before the client is connected")
        return register

    # -- asking and answering

    def request(
        self, topic: str, payload: Any = b"", *, timeout: float | None = 10.0, **options: Unpack[PublishOptions]
    ) -> Message[bytes]:
        """Publish a question, and return the first answer. Raises RequestTimeout, and what `publish` raises."""
        thread = self._life.running()
        options.setdefault("qos", 1)
        question = composed(self._aio.publisher, topic, payload, options)  # here, for the codec is the program's
        said = PublishOptions(qos=question.qos, retain=question.retain, properties=question.properties)
        return thread.run(partial(self._aio.request, topic, question.payload, timeout=timeout, **said))

    @contextmanager
    def requests(
        self,
        topic: str,
        payload: Any = b"",
        *,
        answers: Any = None,
        limit: int = 1000,
        timeout: float | None = None,
        **options: Unpack[PublishOptions],
    ) -> Iterator[Subscription[Any]]:
        """Publish a question to many, and have all answers as they come: a context, and a stream of messages.

        `answers` is the codec of the answers; `timeout` is for the question to be acknowledged, not for them.
        """
        self._life.running()
        options.setdefault("qos", 1)
        answer_topic = options["response_topic"] = self._aio.requests_open.new_topic()
        options["correlation_data"] = token_bytes(MARK)
        subscription = self.subscribe(answer_topic, qos=1, codec=answers, limit=limit, timeout=timeout)
        with subscription as replies:
            self.publish(topic, payload, timeout=timeout, **options)
            yield replies

    def reply(
        self,
        message: Message[Any],
        payload: Any = b"",
        *,
        timeout: float | None = None,
        **options: Unpack[PublishOptions],
    ) -> ReasonCode:
        """Answer a message. Raises LinnetError when it is no question, and what `publish` raises."""
        if message.response_topic is None:
            raise LinnetError(f"{message!r} has no response topic")
        options.setdefault("qos", message.qos)
        options["correlation_data"] = message.correlation_data
        return self.publish(message.response_topic, payload, timeout=timeout, **options)

    def on(self, kind: type[E]) -> Callable[[Callable[[E], object]], Callable[[E], object]]:
        """Have a function called with each event of a kind, in the one thread that calls all of these."""

        def register(listener: Callable[[E], object]) -> Callable[[E], object]:
            check_plain(listener)
            self._aio.events.add(kind, partial(self._life.dispatcher.tell, listener))
            return listener

        return register


async def ask_in_a_thread(password: Callable[[], Any]) -> Secret:
    """Call the program's function where it may take its time."""
    secret = await asyncio.to_thread(password)
    answer: Secret = await secret if isawaitable(secret) else secret
    return answer
