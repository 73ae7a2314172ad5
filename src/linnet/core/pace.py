"""Pace: how much of something may happen in a second. A bucket that fills at a rate, and from which is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linnet.errors import ProtocolError, ReasonCode

if TYPE_CHECKING:
    from linnet.core.limits import Limits
    from linnet.core.server_connection import ServerConnection


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
        """Go on at another pace."""
        self.left += burst - self.burst
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

    def admits(self, now: float) -> bool:
        """Take one if there is one."""
        if self.rate <= 0:
            return True
        if self.refill(now) < 1:
            return False
        self.left -= 1
        return True

    def is_full(self, now: float) -> bool:
        """Whether nothing is missing: then it may be forgotten and made anew."""
        return self.refill(now) >= self.burst


class ClientPace:
    """How many messages and bytes one client may send in a second.

    Above it the client is not read until it is within its pace again, or is disconnected with 0x96, as the
    settings say.
    """

    __slots__ = ("bytes", "connection", "is_resting", "messages", "policy")

    def __init__(self, connection: ServerConnection, limits: Limits, now: float) -> None:
        self.connection = connection
        self.messages = Pace(0, 0, now)
        self.bytes = Pace(0, 0, now)
        self.is_resting = False
        self.obey(limits)

    def __repr__(self) -> str:
        return f"<ClientPace {self.messages!r} messages, {self.bytes!r} bytes>"

    def obey(self, limits: Limits) -> None:
        """Take over these limits; what was spent is spent."""
        self.policy = limits.rate_policy
        self.messages.change(limits.max_publish_rate, max(limits.max_publish_rate, 1))
        self.bytes.change(limits.max_byte_rate, limits.max_byte_rate)

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
        if self.is_resting:
            return
        self.is_resting = True
        connection.core.reached(limit, connection, f"{detail}: it is not read for {seconds:.3f} s")
        connection.pause()
        connection.core.deadlines.at(now + seconds, self.rested)

    def rested(self, now: float) -> None:
        """Read again, if nothing is missing by now."""
        seconds = max(self.messages.take(0, now), self.bytes.take(0, now))
        if seconds > 0 and self.connection.is_open:
            self.connection.core.deadlines.at(now + seconds, self.rested)
            return
        self.is_resting = False
        self.connection.go_on(now)
