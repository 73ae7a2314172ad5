"""Retained messages on their way to a new subscription, a slice at a time [MQTT-3.3.1-6].

Nothing is copied and nothing is queued: a replay is a place in a walk over the retained topics, and it goes on only
while the receiver has room. What it sends is the message that a topic holds when its turn comes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from linnet.core.subscriptions import Subscription

if TYPE_CHECKING:
    from linnet.core.retained import Retained
    from linnet.core.session import Session


class Replay:
    """The retained messages that a subscription has still to get."""

    __slots__ = ("retained", "sent", "subscription", "topics")

    def __init__(self, retained: Retained, subscription: Subscription) -> None:
        self.retained = retained
        self.subscription = subscription
        self.topics: Iterator[bytes] = retained.matching(subscription.topics)
        self.sent = 0

    def __repr__(self) -> str:
        return f"<Replay of {self.subscription!r}, {self.sent} sent>"

    def advance(self, session: Session, limit: int, now: float) -> bool:
        """Send at most `limit` messages, as long as the session has room; True when there are no more."""
        last = self.sent + limit
        while self.sent < last and session.has_room():
            topic_name = next(self.topics, None)
            if topic_name is None:
                return True
            message = self.retained.get(topic_name, now)
            if message is not None:
                session.deliver(message, self.subscription, True, now)
            self.sent += 1
        return False
