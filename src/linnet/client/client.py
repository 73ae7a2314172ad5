"""The client: what a program uses to publish and to subscribe.

async with linnet.Client("mqtt://user@host/") as client:
    async with client.subscribe("home/+/temp", qos=1) as readings:
        await client.publish("home/kitchen/temp", 21.5, codec=linnet.JSON)
        async for message in readings:
            print(message.topic, message.value)
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, Unpack

from typing_extensions import TypeVar

from linnet.client.codecs import AUTO, Codec, resolve_codec
from linnet.client.composing import PublishOptions, composed, pairs
from linnet.client.errors import Closed, RequestTimeout
from linnet.client.events import Dropped, E, Event, Events
from linnet.client.handling import OnError, Worker
from linnet.client.inbox import Inbox
from linnet.client.keeping import CONNECTED, Keeper
from linnet.client.message import Message
from linnet.client.options import ClientOptions, Options
from linnet.client.policies import ACKNOWLEDGEMENTS, POLICIES
from linnet.client.publication import Publication
from linnet.client.requests import Requests
from linnet.client.routes import Route
from linnet.client.subscription import Subscription
from linnet.core.server_limits import ServerLimits
from linnet.core.statistics import Statistics
from linnet.errors import LinnetError, ReasonCode, did_you_mean
from linnet.wire.properties import Properties
from linnet.wire.subscribe import SubscriptionOptions

T = TypeVar("T", default=Any)
H = TypeVar("H", bound=Callable[..., object])
Acknowledge = Literal["processed", "arrival", "manual"]
WhenFull = Literal["drop_oldest", "drop_newest", "wait"]

CLIENTS: weakref.WeakSet[Client] = weakref.WeakSet()


class SubscribeOptions(TypedDict, total=False):
    """How to subscribe."""

    qos: int
    no_local: bool  # not what this client publishes itself
    retain_as_published: bool
    retain_handling: int  # 0: retained messages at each subscribing, 1: only at the first, 2: never
    ack: Acknowledge
    limit: int  # messages that wait, above which one of QoS 0 finds no room
    when_full: WhenFull  # what is done with it then
    user_properties: Mapping[str, str] | Sequence[tuple[str, str]]  # that SUBSCRIBE and UNSUBSCRIBE carry
    keep: bool  # stay subscribed when the scope is left: for a session that outlives the program


class Client:
    """An MQTT client. It keeps connected, and what was handed over to it is not lost while it lives.

    `url` is one address or several, which are tried in turn; what else it is told has names: see `ClientOptions`.
    Raises AddressError, TypeError for an option that there is not.
    """

    described = ("state", "statistics")

    def __init__(
        self,
        url: str | Sequence[str] = "mqtt://localhost",
        port: int | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        self.options = Options.made(url, port, options)
        self.events = Events()
        self.keeper = Keeper(self.options, self.events)
        self.publisher = self.keeper.publisher
        self.registry = self.keeper.registry
        self.requests_open = Requests(self)
        self.workers: list[Worker] = []
        self.restored: list[Publication] = []  # what an earlier program has left in the store
        self.loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        where = str(self.keeper.address or ", ".join(map(str, self.options.addresses)))
        return f"<Client {self.client_id!r} at {where}, {self.state}>"

    # -- coming and going

    async def connect(self) -> Self:
        """Connect; from here on the client keeps connected. Raises ConnectFailed, ConnectRejected, StoreError."""
        self.loop = asyncio.get_running_loop()
        await self.keeper.start()
        self.restored = self.keeper.restored
        CLIENTS.add(self)
        try:
            for worker in self.workers:
                await worker.start()
        except BaseException:
            await self.disconnect()
            raise
        return self

    async def disconnect(self, reason_code: int = ReasonCode.SUCCESS, properties: Properties | None = None) -> None:
        """Say goodbye. What was handed over has `close_timeout` to be acknowledged; no message is taken any more."""
        CLIENTS.discard(self)
        for worker in self.workers:
            await worker.stop(self.options.close_timeout)
        self.requests_open.close()
        await self.keeper.stop(reason_code, "the client was closed", properties)

    __aenter__ = connect

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.disconnect()
        ended = self.keeper.fault
        if fault is None and ended is not None and not isinstance(ended, Closed):
            raise ended

    async def closed(self) -> None:
        """Wait until there is no connection and none will be; raises why, unless the program has closed the client."""
        await self.keeper.over.wait()
        if not isinstance(self.keeper.fault, Closed) and self.keeper.fault is not None:
            raise self.keeper.fault

    # -- publishing

    async def publish(self, topic: str, payload: Any = b"", **options: Unpack[PublishOptions]) -> ReasonCode:
        """Publish, and return when the server has acknowledged it (QoS 0: when it was written); its reason code.

        However many connections that takes. Raises PublishRejected when the server refuses the message, NotDelivered
        when it will not go out any more, NotSupported when the server has said that it does not take such messages,
        QueueFull. Whoever cancels it withdraws a message that was not written yet.
        """
        publisher = self.publisher
        message = composed(publisher, topic, payload, options)
        if publisher.sender.waiting is not None:
            await publisher.wait_for_room(message)
        publication = publisher.send(message)
        line = publisher.line
        if message.qos == 0 and line is not None:
            line.flush()
            if line.rests():
                await asyncio.sleep(0)  # let the others have their turn
        try:
            return await publication
        except asyncio.CancelledError:
            publication.cancel()
            raise

    def send(self, topic: str, payload: Any = b"", **options: Unpack[PublishOptions]) -> Publication:
        """Hand a message over without waiting. What is returned tells what becomes of it, and can be awaited.

        Raises what `publish` raises before anything is sent; QueueFull where that would wait.
        """
        return self.publisher.send(composed(self.publisher, topic, payload, options))

    # -- subscribing

    def subscribe(
        self, *filters: str, codec: Codec[T] | type[T] | None = None, **options: Unpack[SubscribeOptions]
    ) -> Subscription[T]:
        """A subscription to one or several topic filters, to be entered; see `Subscription`.

        `codec`, a Codec or a type, makes the `value` of a message; without one it is what the message says of itself.
        Raises ProtocolError for what is no topic filter.
        """
        chosen = SubscriptionOptions(
            options.get("qos", 0),
            options.get("no_local", False),
            options.get("retain_as_published", False),
            options.get("retain_handling", 0),
        )
        check_options(filters, options)
        inbox = Inbox(
            AUTO if codec is None else resolve_codec(codec),
            ACKNOWLEDGEMENTS[options.get("ack", "processed")],
            options.get("limit", 1000),
            POLICIES[options.get("when_full", "drop_oldest")],
            self.keeper.valve,
        )
        subscription: Subscription[T] = Subscription(self.registry, filters, chosen, inbox, options.get("keep", False))
        subscription.user_properties = list(pairs(options.get("user_properties", ())))
        inbox.tell = lambda topic: self.events.tell(Dropped(topic, "its subscription's inbox was full"))
        return subscription

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

        For use before `connect`. `concurrency` is how many calls there may be at once.
        """

        def register(handler: H) -> H:
            route = Route(pattern, handler, codec)
            subscription = self.subscribe(route.pattern.filter, codec=route.codec, **options)
            self.workers.append(Worker(route, subscription, concurrency, on_error, self.keeper.fail))
            return handler

        if concurrency < 1 or on_error not in ("hold", "reject", "raise"):
            raise ValueError(f"concurrency={concurrency!r}, on_error={on_error!r}: at least 1; hold, reject or raise")
        if self.loop is not None:
            raise LinnetError("routes are made before the client is connected")
        return register

    # -- asking and answering

    async def request(
        self,
        topic: str,
        payload: Any = b"",
        *,
        answer: Codec[T] | type[T] | None = None,
        timeout: float | None = 10.0,
        **options: Unpack[PublishOptions],
    ) -> Message[T]:
        """Publish a question, and return the first answer, whose codec is `answer`.

        Raises RequestTimeout, at once where the server says that nobody has subscribed, and what `publish` raises.
        """
        options.setdefault("qos", 1)

        async def send(response_topic: str, mark: bytes) -> None:
            asked = options | {"response_topic": response_topic, "correlation_data": mark}
            if await self.publish(topic, payload, **asked) == ReasonCode.NO_MATCHING_SUBSCRIBERS:
                raise RequestTimeout(f"nobody has subscribed to {topic!r}")

        message: Message[Any] = await self.requests_open.ask(send, timeout)
        message.codec = AUTO if answer is None else resolve_codec(answer)
        return message

    def requests(
        self,
        topic: str,
        payload: Any = b"",
        *,
        answers: Codec[T] | type[T] | None = None,
        limit: int = 1000,
        **options: Unpack[PublishOptions],
    ) -> AbstractAsyncContextManager[Subscription[T]]:
        """Publish a question to many, and have all answers as they come: a context, and a stream of messages.

        `answers` is the codec of the answers.
        """
        options.setdefault("qos", 1)

        async def send(response_topic: str, mark: bytes) -> None:
            asked = options | {"response_topic": response_topic, "correlation_data": mark}
            await self.publish(topic, payload, **asked)

        return self.requests_open.many(send, answers, limit)

    async def reply(self, message: Message[Any], payload: Any = b"", **options: Unpack[PublishOptions]) -> ReasonCode:
        """Answer a message. Raises LinnetError when it is no question, and what `publish` raises."""
        if message.response_topic is None:
            raise LinnetError(f"{message!r} has no response topic")
        options.setdefault("qos", message.qos)
        options["correlation_data"] = message.correlation_data
        return await self.publish(message.response_topic, payload, **options)

    async def reauthenticate(self) -> None:
        """Authenticate again, by the authenticator that connected us [MQTT-4.12.1-1]. Raises ConnectionLost."""
        await self.keeper.authentication.repeat(self.keeper.line)

    def on(self, kind: type[E]) -> Callable[[Callable[[E], object]], Callable[[E], object]]:
        """Have a function or coroutine function called with each event of a kind."""
        if not (isinstance(kind, type) and issubclass(kind, Event)):
            raise TypeError(f"on() takes a kind of event, such as linnet.Connected, not {kind!r}")

        def register(listener: Callable[[E], object]) -> Callable[[E], object]:
            self.events.add(kind, listener)
            return listener

        return register

    # -- looking at it

    @property
    def client_id(self) -> str:
        """The client identifier; the server's choice where we had none."""
        return self.keeper.client_id

    @property
    def state(self) -> str:
        """One of "new", "connecting", "connected", "waiting" (for the next try to connect) or "closed"."""
        return self.keeper.state

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection at this moment."""
        return self.keeper.state == CONNECTED

    @property
    def limits(self) -> ServerLimits:
        """What the server takes, as it said when we connected last."""
        return self.keeper.limits

    @property
    def statistics(self) -> Statistics:
        """What all connections of this client have counted."""
        return self.keeper.statistics


def check_options(filters: tuple[str, ...], options: SubscribeOptions) -> None:
    """Raise TypeError or ValueError for what subscribing cannot be told."""
    for name in options.keys() - SubscribeOptions.__annotations__.keys():
        raise TypeError(f"subscribe() has no option {name!r}{did_you_mean(name, SubscribeOptions.__annotations__)}")
    for name in filters:
        if not isinstance(name, str):
            raise TypeError(f"a topic filter is text, and each one an argument of its own, not {name!r}")
    for name, known in (("ack", ACKNOWLEDGEMENTS), ("when_full", POLICIES)):
        if options.get(name, next(iter(known))) not in known:
            raise ValueError(f"{name} is one of {', '.join(known)}, not {options.get(name)!r}")
    if options.get("limit", 1) < 1:
        raise ValueError(f"limit is at least 1, not {options.get('limit')!r}")
