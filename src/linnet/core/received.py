"""A message that a client has received: the part of it that every message takes, compiled."""

from __future__ import annotations

from typing import Any

from linnet.errors import LinnetError
from linnet.wire.publish import Publish


class Received(Publish):
    """A PUBLISH on its way to the program, and what is owed for it."""

    __slots__ = ("arrival", "codec")

    arrival: Any  # an Arrival, or what stands for one; None when nothing is owed
    codec: Any  # what makes a value of the payload

    def let_go(self, reason_code: int) -> None:
        """Give up what is owed for it."""
        arrival = self.arrival
        if arrival is None:
            if self.qos == 0:
                return
            raise LinnetError(f"{self!r} was acknowledged already")
        self.arrival = None
        if reason_code:
            arrival.reject(reason_code)
        else:
            arrival.done()
