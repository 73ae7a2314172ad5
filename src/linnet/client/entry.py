"""An entry: one topic filter that the server knows, or is to know, for all subscriptions that have it."""

from __future__ import annotations

import asyncio
from typing import Any

from linnet.client.subscription import Subscription
from linnet.core.topics import Filter
from linnet.wire.subscribe import SubscriptionOptions


class Entry:
    """A filter that the server knows, or is to know, and the subscriptions that have it."""

    __slots__ = (
        "asked",
        "confirmed",
        "identifier",
        "is_kept",
        "name",
        "options",
        "subscriptions",
        "user_properties",
        "waiters",
    )

    def __init__(self, name: Filter, identifier: int) -> None:
        self.name = name
        self.identifier = identifier
        self.options = SubscriptionOptions()
        self.subscriptions: list[Subscription[Any]] = []  # the newest last
        self.user_properties: list[tuple[str, str]] = []  # of the newest
        self.asked = 0  # how often the server was asked; only the last answer counts
        self.confirmed = False
        self.is_kept = False  # left by the program, and not by the session
        self.waiters: list[asyncio.Future[int]] = []  # for its reason code

    def __repr__(self) -> str:
        return f"<Entry {self.name.name!r} as {self.identifier}, {len(self.subscriptions)} subscriptions>"

    def merge(self) -> None:
        """What to ask the server for: the highest QoS, all that one of them wants to hear, else as the newest says."""
        every = [subscription.options for subscription in self.subscriptions]
        newest = every[-1]
        self.user_properties = self.subscriptions[-1].user_properties
        qos = max(options.qos for options in every)
        no_local = all(options.no_local for options in every)
        self.options = SubscriptionOptions(qos, no_local, newest.retain_as_published, newest.retain_handling)

    def answer(self, reason_code: int) -> None:
        """Tell those who wait for it."""
        waiters = self.waiters
        self.waiters = []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(reason_code)
