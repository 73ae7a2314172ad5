"""Pace: how much of something may happen in a second. A bucket that fills at a rate, and from which is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linnet.errors import ProtocolError, ReasonCode

if TYPE_CHECKING:
    from linnet.core.deadlines import Deadline
    from linnet.core.limits import Limits
    from linnet.core.server_connection import ServerConnection

LONGEST = 1.0  # seconds between two looks at a client that rests
SHORTEST = 0.001


class Pace:
    """So many per second, and at most one burst of them at once. A rate of 0 sets no limit."""

    __slots__ = ("at", "burst", "left", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self.left = burst
        self.at = now

    def __repr__(self) -> str:
        return f"<Pace {self.left:.1f} left of {self.burst:g}, {self.rate:g}/s>"

    def change(self, rate: float, burst: float) -> None:
        """Go on at another pace. What was spent is spent, but nobody waits until a larger burst would be full."""
        if self.rate <= 0 or rate <= 0:
            self.left = burst
        else:
            self.left = min(burst, self.left + max(burst - self.burst, 0))
        self.rate = rate
        self.burst = burst

    def refill(self, now: float) -> float:
        """What is left at this time; below 0 when more was taken than was there."""
        if now > self.at:
            self.left = min(self.burst, self.left + (now - self.at) * self.rate)
            self.at = now
        return self.left

    def take(self, amount: float, now: float) -> float:
        """Take, whether or not it is there; seconds until it will have been."""
        if self.rate <= 0:
            return 0.0
        self.left = self.refill(now) - amount
        return -self.left / self.rate if self.left < 0 else 0.0

    def has_one(self, now: float) -> bool:
        """Whether one may be taken."""
        return self.rate <= 0 or self.refill(now) >= 1

    def admits(self, now: float) -> bool:
        """Take one if there is one."""
        if not self.has_one(now):
            return False
        self.take(1, now)
        return True

    def is_full(self, now: float) -> bool:
        """Whether nothing is missing: then it may be forgotten and made anew."""
        return self.refill(now) >= self.burst


class ClientPace:
    """How many messages and bytes one client may send in a second.

    Above it the client is not read until it is within its pace again, or is disconnected with 0x96, as the
    settings say.
    """

    __slots__ = ("bytes", "connection", "deadline", "messages", "policy")

    def __init__(self, connection: ServerConnection, limits: Limits, now: float) -> None:
        self.connection = connection
        self.messages = Pace(0, 0, now)
        self.bytes = Pace(0, 0, now)
        self.deadline: Deadline | None = None  # when to look whether the client may be read again
        self.obey(limits)

    def __repr__(self) -> str:
        return f"<ClientPace {self.messages!r} messages, {self.bytes!r} bytes>"

    def obey(self, limits: Limits) -> None:
        """Take over these limits; what was spent is spent."""
        self.policy = limits.rate_policy
        self.messages.change(limits.max_publish_rate, max(limits.max_publish_rate, 1))
        self.bytes.change(limits.max_byte_rate, limits.max_byte_rate)
        if self.deadline is not None:  # it rests by the old pace: look again at once
            deadlines = self.connection.core.deadlines
            deadlines.cancel(self.deadline)
            self.deadline = deadlines.at(self.connection.last_heard, self.rested)

    def spend_message(self, now: float) -> None:
        """A PUBLISH came in."""
        self.rest(self.messages.take(1, now), "max_publish_rate", now)

    def spend_bytes(self, count: int, now: float) -> None:
        """So many bytes came in."""
        self.rest(self.bytes.take(count, now), "max_byte_rate", now)

    def rest(self, seconds: float, limit: str, now: float) -> None:
        """Do what the policy says, where the client was too fast by so much."""
        connection = self.connection
        if seconds <= 0 or not connection.is_open:
            return
        detail = f"{limit} is exceeded"
        if self.policy == "disconnect":
            error = ProtocolError(ReasonCode.MESSAGE_RATE_TOO_HIGH, detail, limit=limit)
            connection.core.reached(limit, connection, str(error))
            connection.close(error.reason_code, str(error), now)
            return
        if self.deadline is not None:
            return
        connection.core.reached(limit, connection, f"{detail}: it is not read for {seconds:.3f} s")
        connection.pause()
        self.look_again(seconds, now)

    def rested(self, now: float) -> None:
        """Read again, if nothing is missing by now."""
        seconds = max(self.messages.take(0, now), self.bytes.take(0, now))
        if seconds > 0 and self.connection.is_open:
            self.look_again(seconds, now)
            return
        self.deadline = None
        self.connection.go_on(now)

    def look_again(self, seconds: float, now: float) -> None:
        """Come back when nothing will be missing, and now and then before, for the connection may be over by then."""
        self.deadline = self.connection.core.deadlines.at(now + max(SHORTEST, min(seconds, LONGEST)), self.rested)
