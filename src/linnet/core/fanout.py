"""A message on its way to very many sessions, a slice in each turn of the loop, so that nobody else waits for it.

Its publisher is not read until the last one has it: so its messages keep their order, and it has one such message under
way at most. Then it gets its acknowledgement.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from linnet.core.backlog import FINE, NOBODY_ASKS, Backlog
from linnet.core.session import Session

if TYPE_CHECKING:
    from linnet.core.router import Route
    from linnet.wire.message import Message

Finish = Callable[["Fanout", float], None]


class Fanout:
    """A message, and those who have yet to get it."""

    __slots__ = (
        "at",
        "backlog",
        "count",
        "finish",
        "first_verdict",
        "holders",
        "knows_no_refusal",
        "message",
        "route",
        "verdict",
    )

    def __init__(
        self,
        message: Message,
        route: Route,
        backlog: Backlog,
        finish: Finish,
        first_verdict: int = FINE,
        knows_no_refusal: bool = False,
    ) -> None:
        self.message = message
        self.route = route
        self.backlog = backlog
        self.finish = finish  # called when everybody has it
        self.at = 0
        self.count = 0  # to how many it went
        self.first_verdict = first_verdict  # FINE, or NOBODY_ASKS where its publisher cannot be held back
        self.knows_no_refusal = knows_no_refusal  # its publisher speaks 3.x
        self.verdict = first_verdict  # of all slices together
        self.holders: list[Session] = []  # whose queues it filled beyond their limits

    def __repr__(self) -> str:
        return f"<Fanout of {self.message!r}, {self.at} of {len(self.route.targets)}>"

    def advance(self, limit: int, now: float) -> bool:
        """Deliver to the next `limit` sessions; True when that were the last ones."""
        backlog = self.backlog
        backlog.verdict = self.first_verdict
        backlog.knows_no_refusal = self.knows_no_refusal
        targets = self.route.targets[self.at : self.at + limit]
        for subscription in targets:
            session = subscription.session
            if session.subscriptions:  # else it has ended meanwhile, and nothing may wait for it any more
                self.count += session.deliver(self.message, subscription, False, now)
        self.at += len(targets)
        is_done = self.at >= len(self.route.targets)
        if is_done:
            for group in self.route.groups:
                self.count += group.deliver(self.message, now)
        self.verdict |= backlog.verdict
        self.holders += backlog.take_overfull()
        backlog.verdict = NOBODY_ASKS
        return is_done


def nobody_waits(fanout: Fanout, now: float) -> None:
    """Nobody wants to know when a message has reached everybody."""
