"""What a client is subscribed to, and which of its subscriptions a message is for.

The server knows filters; the program has subscriptions, each with one filter or several, and two may have the same.
Each filter gets a Subscription Identifier, where the server has them: it comes back with every message, so each copy
that the server sends is for those that asked for it, and no other [MQTT-3.3.4-3]. Elsewhere topics are matched.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from random import randrange
from typing import Any

from linnet.client.entry import Entry
from linnet.client.errors import Closed, SubscribeRejected
from linnet.client.inbox import Valve
from linnet.client.message import Message
from linnet.client.routing import Route, Routes
from linnet.client.strays import Later, Unclaimed, Unwanted
from linnet.client.subscription import Subscription
from linnet.core.client_connection import ClientConnection
from linnet.core.topics import Filter, matches
from linnet.errors import LinnetError, NotSupported, ReasonCode
from linnet.wire.properties import Properties
from linnet.wire.reader import Reader
from linnet.wire.subscribe import Suback, Subscribe, Unsuback, Unsubscribe

logger = logging.getLogger("linnet.client")

PATIENCE = 5.0  # seconds that the server has to answer UNSUBSCRIBE
MOST_LEFT = 10_000  # filters that were left, and that are remembered
FIRST_ERROR = 0x80
LATER = Later()
NO_RETAINED = 2  # the Retain Handling that asks for no retained messages
FIRST_STRANGE, LAST_STRANGE = 1 << 20, 1 << 27  # identifiers that no program before has come to


class Registry:
    """All subscriptions of one client."""

    __slots__ = (
        "by_identifier",
        "connection",
        "entries",
        "fault",
        "has_been_connected",
        "last_identifier",
        "leaving",
        "left_filters",
        "line",
        "routes",
        "unclaimed",
        "unwanted",
        "valve",
    )

    def __init__(self, valve: Valve, patience: float) -> None:
        self.valve = valve
        self.entries: dict[bytes, Entry] = {}  # by filter
        self.leaving: dict[bytes, Entry] = {}  # those that the server has not given up yet
        self.by_identifier: dict[int, Entry] = {}
        self.fault: Exception | None = LinnetError("the client was not started: connect first")  # why nothing comes
        self.last_identifier = 0
        self.has_been_connected = False
        self.routes = Routes(self.look_up)
        self.left_filters: dict[bytes, Entry] = {}  # of this session: the server may have something for them still
        self.unclaimed = Unclaimed(patience)
        self.unwanted = Unwanted()
        self.connection: ClientConnection | None = None
        self.line: Any = None

    def __repr__(self) -> str:
        return f"<Registry of {len(self.entries)} filters>"

    # -- who gets a message

    def look_up(self, message: Message[Any]) -> Route:
        """Who wants a message, where nothing is remembered, or for one that was retained."""
        entries = self.identified(message.identifiers)
        is_single = len(entries) == 1
        if not entries:
            entries = self.matching(message.topic_name)
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
            route = (LATER,) if any(entry.is_kept for entry in entries) else (self.unwanted,)
        self.routes.remember(message, route, is_simple)
        return route

    def matching(self, topic_name: bytes) -> list[Entry]:
        """The filters that match: those that are wanted or, where there is none, those that were."""
        for known in (self.entries, self.leaving, self.left_filters):
            entries = [entry for entry in known.values() if matches(topic_name, entry.name.topics)]
            if entries:
                return entries
        return []

    def identified(self, identifiers: bytes) -> list[Entry]:
        """The filters that these encoded Subscription Identifiers stand for."""
        entries = []
        reader = Reader(identifiers)
        while reader.left():
            entry = self.by_identifier.get(reader.varint())
            if entry is not None:
                entries.append(entry)
        return entries

    # -- subscribing

    async def open(self, subscription: Subscription[Any]) -> None:
        """Subscribe, and wait for the server's answer. Raises SubscribeRejected, NotSupported, or why there is none."""
        if self.fault is not None:
            raise self.fault
        if subscription.is_open:
            raise LinnetError(f"{subscription!r} is open already")
        if subscription.inbox.ended:
            raise Closed(f"{subscription!r} was closed") from subscription.inbox.fault
        connection = self.connection
        if connection is not None:
            for name in subscription.filters:
                connection.limits.check_subscribe(name, subscription.options)
        subscription.is_open = True
        self.routes.forget()
        try:
            answers = [self.declare(name, subscription) for name in subscription.filters]
            self.unclaimed.claim(subscription)
            for name, answer in zip(subscription.filters, answers, strict=True):
                reason_code = await answer
                text = name.name.decode()
                if reason_code >= FIRST_ERROR:
                    raise SubscribeRejected(f"the server refused to subscribe to {text!r}", reason_code, "", text)
                subscription.granted[text] = reason_code
            if subscription.inbox.ended and subscription.inbox.fault is not None:
                raise subscription.inbox.fault
        except BaseException:
            self.withdraw(subscription, True)  # whether or not the server ever answers
            raise

    def declare(self, name: Filter, subscription: Subscription[Any]) -> asyncio.Future[int]:
        """Add a subscription to a filter, and ask the server for it."""
        entry = self.entries.get(name.name)
        if entry is None:
            entry = self.leaving.pop(name.name, None) or self.left_filters.pop(name.name, None)
            if entry is None:  # the server does not know it: under an identifier of its own [MQTT-3.8.2-1]
                self.last_identifier += 1
                entry = self.by_identifier[self.last_identifier] = Entry(name, self.last_identifier)
            self.entries[name.name] = entry
        entry.subscriptions.append(subscription)
        entry.merge()
        entry.confirmed = entry.is_kept = False
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        entry.waiters.append(answer)
        if self.connection is not None:
            self.ask(entry)
        return answer

    def ask(self, entry: Entry) -> None:
        """Send a SUBSCRIBE."""
        connection = self.connection
        assert connection is not None
        entry.asked += 1
        identifiers = [entry.identifier] if connection.limits.subscription_identifiers else []
        packet = Subscribe(
            0,
            [(entry.name.name.decode(), entry.options)],
            Properties(subscription_identifiers=identifiers, user_properties=entry.user_properties),
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
        """Unsubscribe from what nobody else has, and settle what was not taken. A mute server is not waited for."""
        answers = self.withdraw(subscription, was_processed)
        if answers:
            await asyncio.wait(answers, timeout=PATIENCE)

    def withdraw(self, subscription: Subscription[Any], was_processed: bool) -> list[asyncio.Future[int]]:
        """The same; what the server is asked for by it."""
        if not subscription.is_open:
            return []
        subscription.is_open = False
        gone = []
        for name in subscription.filters:
            entry = self.entries.get(name.name)
            if entry is None or subscription not in entry.subscriptions:
                continue  # it was never asked for
            entry.subscriptions.remove(subscription)
            if entry.subscriptions:
                self.relax(entry)
            else:
                del self.entries[name.name]
                if subscription.keep:
                    entry.is_kept = True
                    self.left_filters[name.name] = entry
                else:
                    self.leaving[name.name] = entry
                    gone.append(entry)
        self.routes.forget()
        is_left = subscription.keep or not was_processed  # to the server, for the next connection of the session
        reason_code = 0 if is_left else ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR
        subscription.inbox.abandon(reason_code, was_processed)
        return [self.leave(entry) for entry in gone] if self.connection is not None else []

    def relax(self, entry: Entry) -> None:
        """One of several has left: ask for no more than the others want, without what was retained."""
        before = entry.options
        entry.merge()
        entry.options.retain_handling = before.retain_handling
        if entry.options != before and self.connection is not None:
            has_handling = self.connection.limits.version.has_properties
            entry.options.retain_handling = NO_RETAINED if has_handling else 0
            self.ask(entry)

    def leave(self, entry: Entry) -> asyncio.Future[int]:
        """Send an UNSUBSCRIBE."""
        connection = self.connection
        assert connection is not None
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        entry.waiters.append(answer)
        entry.asked += 1
        self.line.begin()
        packet = Unsubscribe(0, [entry.name.name.decode()], Properties(user_properties=entry.user_properties))
        try:
            connection.ask(packet, partial(self.unsubscribed, entry, entry.asked))
        except NotSupported:  # too large for this server, which then cannot have the subscription
            self.left(entry)
        return answer

    def unsubscribed(self, entry: Entry, asked: int, unsuback: Unsuback, now: float) -> None:
        """The server has answered."""
        if asked == entry.asked and self.leaving.get(entry.name.name) is entry:
            self.left(entry)

    def left(self, entry: Entry) -> None:
        """The server matches nothing more with it, but may have messages that it has matched before."""
        self.leaving.pop(entry.name.name, None)
        self.left_filters[entry.name.name] = entry
        if len(self.left_filters) > MOST_LEFT:
            oldest = self.left_filters.pop(next(iter(self.left_filters)))
            self.by_identifier.pop(oldest.identifier, None)
        self.routes.forget()
        entry.answer(0)

    # -- connections that come and go

    def attach(self, connection: ClientConnection, line: Any, session_present: bool) -> None:
        """There is a connection: subscribe to what the server does not know, and leave what it should not."""
        self.connection = connection
        self.line = line
        if session_present:
            self.unclaimed.begin()
            if not self.has_been_connected:
                self.renumber()
        else:
            for entry in list(self.leaving.values()):
                self.left(entry)
            for entry in self.left_filters.values():
                self.by_identifier.pop(entry.identifier, None)
            self.left_filters.clear()
        self.has_been_connected = True
        for entry in list(self.leaving.values()):
            self.leave(entry)
        for entry in list(self.entries.values()):
            if entry.confirmed and session_present:
                continue
            try:
                connection.limits.check_subscribe(entry.name, entry.options)
                self.ask(entry)
            except LinnetError as fault:
                refuse(entry, fault)

    def renumber(self) -> None:
        """The session is of an earlier program: use no identifiers that it may have used."""
        self.last_identifier = randrange(FIRST_STRANGE, LAST_STRANGE)
        self.by_identifier.clear()
        for entry in self.entries.values():
            self.last_identifier += 1
            entry.identifier = self.last_identifier
            self.by_identifier[entry.identifier] = entry
        self.routes.forget()

    def detach(self) -> None:
        """The connection is gone. Who waits to have left need not wait for the next one."""
        self.connection = self.line = None
        self.unclaimed.stop()
        for entry in self.leaving.values():
            entry.answer(0)

    def end(self, fault: Exception) -> None:
        """Nothing comes any more: because the program wanted it, or for a reason."""
        self.fault = fault
        told = None if isinstance(fault, Closed) else fault
        for entry in self.entries.values():
            for subscription in entry.subscriptions:
                subscription.inbox.end(told)
            entry.answer(0)


def refuse(entry: Entry, fault: LinnetError) -> None:
    """This server does not have what a filter needs."""
    for subscription in entry.subscriptions:
        subscription.inbox.end(fault)
    entry.answer(0)


def is_first(subscription: Subscription[Any], entry: Entry, message: Message[Any]) -> bool:
    """Whether a copy that came for one filter of a subscription is the one that counts, if there are several."""
    if len(subscription.filters) == 1:
        return True
    return subscription.first_match(message.topic_name, bool(entry.name.share)) in (entry.name, None)
