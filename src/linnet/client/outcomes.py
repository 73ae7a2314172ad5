"""Outcomes: the fate of each message that was handed over, from leaving to the end, as the sender tells it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from linnet.client.errors import NotDelivered, PublishRejected
from linnet.client.publication import ACKNOWLEDGED, NOT_DELIVERED, QUEUED, RECEIVED, REJECTED, SENT, Publication
from linnet.client.store import ClientStore, StoreError
from linnet.client.waiters import Waiters
from linnet.core.sender import Delivery, SenderObserver

logger = logging.getLogger("linnet.client")

STORE_PAUSE = 1.0  # seconds until a store that could not be written is tried again
FIRST_ERROR = 0x80
WHY = {"expired": "it expired before it could be sent", "too_large": "it is larger than what the server takes"}


class Outcomes(SenderObserver):
    """Tells the store, and those who wait, what becomes of messages."""

    __slots__ = ("drop", "idle", "is_committing", "room", "said", "store", "unwritten")

    def __init__(self, store: ClientStore, drop: Callable[[Publication, str], None]) -> None:
        self.store = store
        self.drop = drop  # is told of each message that is given up
        self.said: Callable[[], str] = nothing  # what the server has added to the acknowledgement that is being taken
        self.unwritten: list[Publication] = []  # on their way, but not written to the connection yet
        self.is_committing = False  # whether the store is written at the end of this turn, for nothing else does it
        self.idle = Waiters()  # whoever waits until nothing is on its way, or can be
        self.room = Waiters()  # whoever waits to hand something over

    def __repr__(self) -> str:
        return f"<Outcomes: {len(self.unwritten)} not written yet>"

    def commit_soon(self) -> None:
        """There is no connection whose turns end with writing the store: write it at the end of this one."""
        if not self.is_committing:
            self.is_committing = True
            asyncio.get_running_loop().call_soon(self.commit)

    def commit(self) -> None:
        """Write the store, or try again in a while."""
        self.is_committing = False
        try:
            self.store.commit()
        except StoreError:
            logger.exception("what is handed over cannot be kept until the store can be written again")
            self.is_committing = True
            asyncio.get_running_loop().call_later(STORE_PAUSE, self.commit)

    def written(self) -> None:
        """All that was on its way has been written to the connection."""
        unwritten = self.unwritten
        self.unwritten = []
        for publication in unwritten:
            if publication.message.qos:
                publication.was_sent = True
                if publication.state is QUEUED:
                    publication.state = SENT
            else:
                if publication.key:
                    self.store.forget(publication.key)
                publication.finish(ACKNOWLEDGED, None)
        if self.idle:
            self.idle.wake_all()

    def launched(self, delivery: Delivery) -> None:
        """The sender has put it into the outbox."""
        publication = delivery.origin
        if delivery.packet_id:
            self.store.sent(publication.key, delivery.packet_id)
        self.unwritten.append(publication)
        if self.room:
            self.room.wake()

    def released(self, delivery: Delivery, reason_code: int) -> None:
        """The server has it, and may not have it twice. What it says now is the answer; PUBCOMP only ends it."""
        publication = delivery.origin
        publication.reason_code = reason_code
        publication.state = RECEIVED
        self.store.received(publication.key)

    def settled(self, delivery: Delivery, reason_code: int) -> None:
        """The server has acknowledged it, or refused it."""
        publication = delivery.origin
        self.store.forget(publication.key)
        if self.idle:
            self.idle.wake_all()
        if publication.state is RECEIVED:  # a PUBCOMP with 0x92 ends it too: the one before was lost on its way
            publication.finish(ACKNOWLEDGED, None)
            return
        publication.reason_code = reason_code
        if reason_code < FIRST_ERROR:
            publication.finish(ACKNOWLEDGED, None)
            return
        said = self.said()
        what = f"the server refused a message to {publication.message.topic!r}"
        is_awaited = publication.waiters is not None
        publication.finish(REJECTED, PublishRejected(what, reason_code, said))
        if not is_awaited:
            self.drop(publication, str(publication.fault))

    def dropped(self, delivery: Delivery, why: str) -> None:
        """The sender cannot send it."""
        self.give_up(delivery.origin, WHY[why])

    def give_up(self, publication: Publication, why: str) -> None:
        """A message will not go out any more."""
        self.fail(publication, NotDelivered(why, publication.was_sent))
        self.drop(publication, why)

    def fail(self, publication: Publication, fault: Exception) -> None:
        """The same, for a reason that the program is told as it is."""
        if publication.key:
            self.store.forget(publication.key)
            if self.store.is_lasting:
                self.commit_soon()
        publication.finish(NOT_DELIVERED, fault)
        if self.room:
            self.room.wake()
        if self.idle:
            self.idle.wake_all()


def nothing() -> str:
    """No acknowledgement is being taken."""
    return ""
