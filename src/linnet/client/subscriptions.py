"""What a client is subscribed to, and which of its subscriptions a message is for.

The server knows filters; the program has subscriptions, each with one filter or several, and two may have the same.
Each filter gets a Subscription Identifier, where the server has them: it comes back with every message, so each copy
that the server sends is for those that asked for it, and no other [MQTT-3.3.4-3]. Elsewhere topics are matched.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any

from linnet.client.errors import Closed, SubscribeRejected
from linnet.client.inbox import Valve
from linnet.client.message import Message
from linnet.client.subscription import Subscription
from linnet.core.client_connection import ClientConnection
from linnet.core.topics import Filter, matches
from linnet.errors import LinnetError, ReasonCode
from linnet.wire.properties import Properties
from linnet.wire.reader import Reader
from linnet.wire.subscribe import Suback, Subscribe, SubscriptionOptions, Unsuback, Unsubscribe

logger = logging.getLogger("linnet.client")

Route = tuple[Any, ...]  # who gets a message: objects with `put`

MOST_ROUTES = 10_000  # that are remembered
FIRST_ERROR = 0x80


class Entry:
    """A filter that the server knows, or is to know, and the subscriptions that have it."""

    __slots__ = ("asked", "confirmed", "identifier", "name", "options", "subscriptions", "waiters")

    def __init__(self, name: Filter, identifier: int) -> None:
        self.name = name
        self.identifier = identifier
        self.options = SubscriptionOptions()
        self.subscriptions: list[Subscription[Any]] = []  # the newest last
        self.asked = 0  # how often the server was asked; only the last answer counts
        self.confirmed = False
        self.waiters: list[asyncio.Future[int]] = []  # for its reason code

    def __repr__(self) -> str:
        return f"<Entry {self.name.name!r} as {self.identifier}, {len(self.subscriptions)} subscriptions>"

    def merge(self) -> None:
        """What to ask the server for: the highest QoS of all, and for the rest what the newest wants."""
        newest = self.subscriptions[-1].options
        qos = max(subscription.options.qos for subscription in self.subscriptions)
        self.options = SubscriptionOptions(qos, newest.no_local, newest.retain_as_published, newest.retain_handling)

    def answer(self, reason_code: int) -> None:
        """Tell those who wait for it."""
        waiters = self.waiters
        self.waiters = []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(reason_code)


class Unclaimed:
    """Messages that no subscription is there for: of a session from before, whose program has not subscribed yet.

    With QoS 1 and 2 they are kept, unacknowledged, for the subscription to come; with QoS 0 they are dropped.
    """

    __slots__ = ("dropped", "messages")

    def __init__(self) -> None:
        self.messages: list[Message[Any]] = []  # never more than the Receive Maximum
        self.dropped = 0

    def __repr__(self) -> str:
        return f"<Unclaimed: {len(self.messages)} kept, {self.dropped} dropped>"

    def put(self, message: Message[Any]) -> None:
        """A message came in that nobody wants, so far."""
        if message.arrival is None:
            self.dropped += 1
            return
        if not self.messages:
            logger.warning("a message to %r is for no subscription: it is kept until there is one", message.topic)
        message.arrival.hold()
        self.messages.append(message)

    def claim(self, subscription: Subscription[Any]) -> None:
        """Give a new subscription what was kept for it."""
        left = []
        for message in self.messages:
            arrival = message.arrival
            if arrival is not None and any(matches(message.topic_name, name.topics) for name in subscription.filters):
                subscription.inbox.put(message)
                arrival.done()
            else:
                left.append(message)
        self.messages = left


class Unwanted:
    """Takes what comes for a filter that is being left, and says that it was not processed."""

    __slots__ = ("refused",)

    def __init__(self) -> None:
        self.refused = 0

    def __repr__(self) -> str:
        return f"<Unwanted: {self.refused} refused>"

    def put(self, message: Message[Any]) -> None:
        """A message that nobody wants any more."""
        self.refused += 1
        if message.arrival is not None:
            message.arrival.reason_code = ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR


class Registry:
    """All subscriptions of one client."""

    __slots__ = (
        "by_identifier",
        "by_identifiers",
        "by_topic",
        "connection",
        "entries",
        "last_identifier",
        "leaving",
        "line",
        "unclaimed",
        "unwanted",
        "valve",
    )

    def __init__(self, valve: Valve) -> None:
        self.valve = valve
        self.entries: dict[bytes, Entry] = {}  # by filter
        self.leaving: dict[bytes, Entry] = {}  # those that the server has not given up yet
        self.by_identifier: dict[int, Entry] = {}
        self.last_identifier = 0
        self.by_identifiers: dict[bytes, Route] = {}  # remembered: by the identifiers alone, where they suffice
        self.by_topic: dict[tuple[bytes, bytes], Route] = {}  # and by identifiers and topic
        self.unclaimed = Unclaimed()
        self.unwanted = Unwanted()
        self.connection: ClientConnection | None = None
        self.line: Any = None

    def __repr__(self) -> str:
        return f"<Registry of {len(self.entries)} filters>"

    # -- who gets a message

    def find(self, message: Message[Any]) -> Route:
        """Who wants a message."""
        route = self.by_identifiers.get(message.identifiers)
        if route is None:
            route = self.by_topic.get((message.identifiers, message.topic_name))
            if route is None or message.retain:
                route = self.look_up(message)
        return route

    def look_up(self, message: Message[Any]) -> Route:
        """The same, for the first time, or for a message that was retained."""
        entries = self.identified(message.identifiers)
        is_single = len(entries) == 1
        if not entries:
            known = (*self.entries.values(), *self.leaving.values())
            entries = [entry for entry in known if matches(message.topic_name, entry.name.topics)]
        found: dict[Subscription[Any], None] = {}
        is_simple = is_single
        for entry in entries:
            for subscription in entry.subscriptions:
                is_simple = is_simple and len(subscription.filters) == 1 and len(entry.subscriptions) == 1
                if is_single and not is_first(subscription, entry, message):
                    continue
                found[subscription] = None
            if message.retain and not entry.options.retain_as_published and len(entry.subscriptions) > 1:
                for older in entry.subscriptions[:-1]:  # it has been sent because the newest has subscribed
                    found.pop(older, None)
        if not entries:
            return (self.unclaimed,)
        route: Route = tuple([subscription.inbox for subscription in found])
        if not any(entry.subscriptions for entry in entries):
            route = (self.unwanted,)
        self.remember(message, route, is_simple)
        return route

    def identified(self, identifiers: bytes) -> list[Entry]:
        """The filters that these encoded Subscription Identifiers stand for."""
        entries = []
        reader = Reader(identifiers)
        while reader.left():
            entry = self.by_identifier.get(reader.varint())
            if entry is not None:
                entries.append(entry)
        return entries

    def remember(self, message: Message[Any], route: Route, is_simple: bool) -> None:
        """Keep what was found, for the next message of the kind."""
        if len(self.by_topic) >= MOST_ROUTES or len(self.by_identifiers) >= MOST_ROUTES:
            self.forget_routes()
        if is_simple:
            self.by_identifiers[message.identifiers] = route
        elif not message.retain:
            self.by_topic[message.identifiers, message.topic_name] = route

    def forget_routes(self) -> None:
        """Subscriptions have changed."""
        self.by_identifiers.clear()
        self.by_topic.clear()

    # -- subscribing

    async def open(self, subscription: Subscription[Any]) -> None:
        """Subscribe, and wait for the server's answer. Raises SubscribeRejected, NotSupported, or why there is none."""
        if subscription.is_open:
            raise LinnetError(f"{subscription!r} is open already")
        if subscription.inbox.ended:
            raise Closed(f"{subscription!r} was closed") from subscription.inbox.fault
        connection = self.connection
        if connection is not None:
            for name in subscription.filters:
                connection.limits.check_subscribe(name, subscription.options)
        subscription.is_open = True
        answers = [self.declare(name, subscription) for name in subscription.filters]
        self.forget_routes()
        self.unclaimed.claim(subscription)
        try:
            for name, answer in zip(subscription.filters, answers, strict=True):
                reason_code = await answer
                if reason_code >= FIRST_ERROR:
                    raise SubscribeRejected(f"the server refused to subscribe to {name.name.decode()!r}", reason_code)
                subscription.granted[name.name.decode()] = reason_code
            if subscription.inbox.ended and subscription.inbox.fault is not None:
                raise subscription.inbox.fault
        except BaseException:
            await self.close(subscription, True)
            raise

    def declare(self, name: Filter, subscription: Subscription[Any]) -> asyncio.Future[int]:
        """Add a subscription to a filter, and ask the server for it."""
        entry = self.entries.get(name.name)
        if entry is None:
            left = self.leaving.pop(name.name) if name.name in self.leaving else None
            entry = self.entries[name.name] = left or self.new_entry(name)
        entry.subscriptions.append(subscription)
        entry.merge()
        entry.confirmed = False
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        entry.waiters.append(answer)
        if self.connection is not None:
            self.ask(entry)
        return answer

    def new_entry(self, name: Filter) -> Entry:
        """A filter that the server does not know, under an identifier of its own [MQTT-3.8.2-1]."""
        self.last_identifier += 1
        entry = self.by_identifier[self.last_identifier] = Entry(name, self.last_identifier)
        return entry

    def ask(self, entry: Entry) -> None:
        """Send a SUBSCRIBE."""
        connection = self.connection
        assert connection is not None
        entry.asked += 1
        identifiers = [entry.identifier] if connection.limits.subscription_identifiers else []
        packet = Subscribe(
            0, [(entry.name.name.decode(), entry.options)], Properties(subscription_identifiers=identifiers)
        )
        self.line.begin()
        connection.ask(packet, partial(self.subscribed, entry, entry.asked))

    def subscribed(self, entry: Entry, asked: int, suback: Suback, now: float) -> None:
        """The server has answered."""
        if asked != entry.asked or not entry.subscriptions:
            return
        reason_code = suback.reason_codes[0] if suback.reason_codes else ReasonCode.UNSPECIFIED_ERROR
        entry.confirmed = reason_code < FIRST_ERROR
        if not entry.confirmed and not entry.waiters:  # it was there before, and is not to be had again
            what = f"the server refused to subscribe to {entry.name.name.decode()!r} again"
            said = suback.properties.reason_string or ""
            for subscription in entry.subscriptions:
                subscription.inbox.end(SubscribeRejected(what, reason_code, said))
        entry.answer(reason_code)

    async def close(self, subscription: Subscription[Any], was_processed: bool) -> None:
        """Unsubscribe from what nobody else has, and settle what was not taken."""
        if not subscription.is_open:
            return
        subscription.is_open = False
        gone = []
        for name in subscription.filters:
            entry = self.entries[name.name]
            entry.subscriptions.remove(subscription)
            if not entry.subscriptions:
                del self.entries[name.name]
                if subscription.keep:
                    self.by_identifier.pop(entry.identifier, None)
                else:
                    self.leaving[name.name] = entry
                    gone.append(entry)
        self.forget_routes()
        reason_code = 0 if subscription.keep else ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR
        subscription.inbox.abandon(reason_code, was_processed)
        if self.connection is not None and gone:
            answers = [self.leave(entry) for entry in gone]
            for answer in answers:
                await answer

    def leave(self, entry: Entry) -> asyncio.Future[int]:
        """Send an UNSUBSCRIBE."""
        connection = self.connection
        assert connection is not None
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        entry.waiters.append(answer)
        entry.asked += 1
        self.line.begin()
        packet = Unsubscribe(0, [entry.name.name.decode()], Properties())
        connection.ask(packet, partial(self.unsubscribed, entry, entry.asked))
        return answer

    def unsubscribed(self, entry: Entry, asked: int, unsuback: Unsuback, now: float) -> None:
        """The server has answered."""
        if asked == entry.asked and self.leaving.get(entry.name.name) is entry:
            self.left(entry)

    def left(self, entry: Entry) -> None:
        """The server sends nothing more for it."""
        self.leaving.pop(entry.name.name, None)
        self.by_identifier.pop(entry.identifier, None)
        self.forget_routes()
        entry.answer(0)

    # -- connections that come and go

    def attach(self, connection: ClientConnection, line: Any, session_present: bool) -> None:
        """There is a connection: subscribe to what the server does not know, and leave what it should not."""
        self.connection = connection
        self.line = line
        if not session_present:
            for entry in list(self.leaving.values()):
                self.left(entry)
        for entry in list(self.leaving.values()):
            self.leave(entry)
        for entry in list(self.entries.values()):
            if entry.confirmed and session_present:
                continue
            try:
                connection.limits.check_subscribe(entry.name, entry.options)
                self.ask(entry)
            except LinnetError as fault:
                self.refuse(entry, fault)

    def refuse(self, entry: Entry, fault: LinnetError) -> None:
        """This server does not have what a subscription needs."""
        for subscription in entry.subscriptions:
            subscription.inbox.end(fault)
        entry.answer(0)

    def detach(self) -> None:
        """The connection is gone. Who waits to have left need not wait for the next one."""
        self.connection = self.line = None
        for entry in self.leaving.values():
            entry.answer(0)

    def end(self, fault: Exception | None) -> None:
        """Nothing comes any more: because the program wanted it, or for a reason."""
        for entry in self.entries.values():
            for subscription in entry.subscriptions:
                subscription.inbox.end(fault)
            entry.answer(0)


def is_first(subscription: Subscription[Any], entry: Entry, message: Message[Any]) -> bool:
    """Whether a copy that came for one filter of a subscription is the one that counts, if there are several."""
    if len(subscription.filters) == 1:
        return True
    return subscription.first_match(message.topic_name, bool(entry.name.share)) in (entry.name, None)
