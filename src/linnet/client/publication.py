"""A publication: one message that a program has handed over, and what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from linnet.errors import ReasonCode
from linnet.wire.message import Message

if TYPE_CHECKING:
    from linnet.client.publishing import Publisher

QUEUED = "queued"
SENT = "sent"
RECEIVED = "received"  # PUBREC came
ACKNOWLEDGED = "acknowledged"  # with QoS 0: written
REJECTED = "rejected"
NOT_DELIVERED = "not delivered"
WITHDRAWN = "withdrawn"


REASONS: dict[int, ReasonCode] = {int(code): code for code in ReasonCode}


class Publication:
    """One message on its way. It can be awaited: for the reason code of the server's acknowledgement.

    Awaiting raises PublishRejected when the server has refused the message, and NotDelivered when it will not go out
    any more. `state` tells how far it has come: "queued", "sent", "received" (QoS 2, the server has it), and in the end
    "acknowledged", "rejected", "not delivered" or "withdrawn".
    """

    __slots__ = ("fault", "key", "message", "publisher", "reason_code", "state", "waiters", "was_sent")

    def __init__(self, publisher: Publisher, message: Message) -> None:
        self.publisher = publisher
        self.message = message
        self.key = 0  # in the store
        self.state = QUEUED
        self.was_sent = False
        self.reason_code = 0
        self.fault: Exception | None = None
        self.waiters: list[asyncio.Future[None]] | None = None

    def __repr__(self) -> str:
        return f"<Publication {self.state}: {self.message!r}>"

    @property
    def done(self) -> bool:
        """Whether its fate is known."""
        return self.fault is not None or self.state is ACKNOWLEDGED

    def __await__(self) -> Generator[Any, None, ReasonCode]:
        if self.state is not ACKNOWLEDGED and self.fault is None:
            waiter = asyncio.get_running_loop().create_future()
            if self.waiters is None:
                self.waiters = []
            self.waiters.append(waiter)
            yield from waiter
        if self.fault is not None:
            raise self.fault
        return REASONS[self.reason_code]

    def cancel(self) -> bool:
        """Withdraw it if it was not written yet; whether it was. What was written runs on."""
        return self.publisher.withdraw(self)

    def finish(self, state: str, fault: Exception | None) -> None:
        """Its fate is known: tell those who wait."""
        self.state = state
        self.fault = fault
        waiters = self.waiters
        if waiters is not None:
            self.waiters = None
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
