"""A subscription, as a program has it: a scope, and the stream of messages that come while it lasts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from linnet.client.errors import Closed
from linnet.client.inbox import Inbox, Reader
from linnet.client.message import Message
from linnet.core.topics import Filter, TopicRules, matches, parse_filter
from linnet.errors import LinnetError
from linnet.wire.subscribe import SubscriptionOptions

if TYPE_CHECKING:
    from linnet.client.subscriptions import Registry

T = TypeVar("T")
RULES = TopicRules()


class Subscription(Generic[T]):
    """A subscription: the messages that match its filters, from entering its context until leaving it.

        async with client.subscribe("home/+/temp", qos=1) as readings:
            async for message in readings:
                print(message.topic, message.value)

    Entering waits for the server's answer, and raises SubscribeRejected if it is no. Several tasks may read: each
    message goes to one of them. Leaving unsubscribes, unless it was made with `keep`; messages that were not taken are
    refused then (5.0), or stay with the server.
    """

    __slots__ = ("filters", "granted", "inbox", "is_open", "keep", "options", "registry", "user_properties")

    def __init__(
        self, registry: Registry, filters: tuple[str, ...], options: SubscriptionOptions, inbox: Inbox, keep: bool
    ) -> None:
        if not filters:
            raise LinnetError("a subscription needs a topic filter")
        self.registry = registry
        self.filters = tuple(dict.fromkeys(parse_filter(name.encode(), RULES) for name in filters))
        self.options = options
        self.inbox = inbox
        self.keep = keep
        self.granted: dict[str, int] = {}  # the QoS that the server allows, by filter
        self.is_open = False
        self.user_properties: list[tuple[str, str]] = []  # that SUBSCRIBE and UNSUBSCRIBE carry

    def __repr__(self) -> str:
        names = ", ".join(repr(name.name.decode()) for name in self.filters)
        return f"<Subscription {names}: {self.inbox!r}>"

    @property
    def received(self) -> int:
        """Messages that came in."""
        return self.inbox.received

    @property
    def dropped(self) -> int:
        """Messages of QoS 0 that were dropped, for the inbox was full."""
        return self.inbox.dropped

    @property
    def waiting(self) -> int:
        """Messages that are there to be taken."""
        return len(self.inbox.queue)

    async def __aenter__(self) -> Self:
        await self.registry.open(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.registry.close(self, fault is None)

    def __aiter__(self) -> AsyncIterator[Message[T]]:
        reader = self.reader()
        reader.is_for_one = False
        return reader

    def reader(self) -> Reader:
        """What the current task reads with. Raises LinnetError where nothing would ever come."""
        if not self.is_open and not self.inbox.ended:
            raise LinnetError("this subscription was not entered: use it as `async with client.subscribe(...) as ...`")
        return self.inbox.reader()

    async def get(self) -> Message[T]:
        """The next message. Asking for it says that the one before was processed. Raises Closed when none comes."""
        try:
            reader = self.reader()
            reader.is_for_one = True
            message: Message[T] = await reader.__anext__()
        except StopAsyncIteration:
            raise Closed("the subscription is closed") from None
        return message

    def first_match(self, topic_name: bytes, shared: bool) -> Filter | None:
        """The first of the filters that matches: where the server sends a copy for each, that one counts."""
        for name in self.filters:
            if bool(name.share) == shared and matches(topic_name, name.topics):
                return name
        return None
