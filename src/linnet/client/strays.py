"""Strays: messages that no subscription of the program is there for.

A session that is resumed may have messages for a program that has not subscribed again yet: those with QoS 1 and 2 are
kept for it, unacknowledged, for a while. Whatever comes for a filter that was left is refused at once, and so is what
nobody has claimed in time; for while a message is not acknowledged, it takes one of the places for all others. What
comes for a filter that the program has left but kept stays with the server.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from linnet.client.message import Message
from linnet.client.subscription import Subscription
from linnet.core.topics import matches
from linnet.errors import ReasonCode

logger = logging.getLogger("linnet.client")

REFUSAL = ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR


class Unwanted:
    """Takes what comes for a filter that was left, and says that it was not processed."""

    __slots__ = ("refused",)

    def __init__(self) -> None:
        self.refused = 0

    def __repr__(self) -> str:
        return f"<Unwanted: {self.refused} refused>"

    def put(self, message: Message[Any]) -> None:
        """A message that nobody wants any more."""
        self.refused += 1
        if message.arrival is not None:
            message.arrival.reason_code = REFUSAL


class Later:
    """Takes what comes for a filter that was left and kept: the server has it for the next connection."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<Later>"

    def put(self, message: Message[Any]) -> None:
        """A message that is wanted, but not now."""
        if message.arrival is not None:
            message.arrival.hold()
            message.arrival.give_up()


class Unclaimed:
    """Messages of a session from before, whose program has not subscribed yet. Those of QoS 0 are dropped."""

    __slots__ = ("dropped", "messages", "patience", "timer", "until")

    def __init__(self, patience: float) -> None:
        self.patience = patience  # seconds that messages are kept for a subscription to come
        self.messages: list[Message[Any]] = []  # never more than the Receive Maximum
        self.dropped = 0  # or refused
        self.until = 0.0  # when patience ends, on the loop's clock
        self.timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Unclaimed: {len(self.messages)} kept, {self.dropped} dropped>"

    def begin(self) -> None:
        """A session is resumed: be patient from now on."""
        loop = asyncio.get_running_loop()
        self.stop()
        self.until = loop.time() + self.patience
        self.timer = loop.call_at(self.until, self.refuse)

    def stop(self) -> None:
        """There is no connection. What was kept is handed on anew when the server sends it again."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        for message in self.messages:
            if message.arrival is not None:
                message.arrival.give_up()
        self.messages.clear()

    def put(self, message: Message[Any]) -> None:
        """A message came in that nobody wants, so far."""
        if message.arrival is None or self.timer is None:
            self.dropped += 1
            if message.arrival is not None:
                message.arrival.reason_code = REFUSAL
            return
        if not self.messages:
            logger.warning("a message to %r is for no subscription: it is kept for a while", message.topic)
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

    def refuse(self) -> None:
        """Nobody has subscribed to these in time."""
        self.timer = None
        messages = self.messages
        self.messages = []
        if messages:
            logger.error("%d messages were refused: there is no subscription for them", len(messages))
        for message in messages:
            self.dropped += 1
            message.let_go(REFUSAL)
