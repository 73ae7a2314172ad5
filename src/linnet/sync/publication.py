"""A message on its way, as the threads of a program see it."""

from __future__ import annotations

import asyncio
from typing import Any

from linnet.client.client import Client as AsyncClient
from linnet.client.errors import NotDelivered
from linnet.client.events import Dropped
from linnet.client.publication import NOT_DELIVERED, QUEUED, WITHDRAWN
from linnet.client.publication import Publication as Origin
from linnet.errors import ReasonCode
from linnet.sync.loop import LoopThread
from linnet.sync.waiting import Waiter
from linnet.wire.message import Message


class Publication:
    """One message on its way; any thread may ask what became of it.

    `state` tells how far it has come: "queued", "sent", "received" (QoS 2, the server has it), and in the end
    "acknowledged", "rejected", "not delivered" or "withdrawn".
    """

    __slots__ = ("_client", "_fault", "_origin", "_task", "_thread", "message")

    def __init__(self, thread: LoopThread, client: AsyncClient, message: Message) -> None:
        self.message = message
        self._thread = thread
        self._client = client
        self._origin: Origin | None = None  # once it was handed over
        self._fault: Exception | None = None  # why it was not
        self._task: asyncio.Task[None] | None = None  # waits until there is room for it

    def __repr__(self) -> str:
        return f"<Publication {self.state}: {self.message!r}>"

    @property
    def state(self) -> str:
        """How far it has come."""
        if self._origin is not None:
            return self._origin.state
        if self._fault is None:
            return QUEUED
        return WITHDRAWN if isinstance(self._fault, NotDelivered) else NOT_DELIVERED

    @property
    def done(self) -> bool:
        """Whether its fate is known."""
        return self._fault is not None or (self._origin is not None and self._origin.done)

    @property
    def reason_code(self) -> ReasonCode:
        """What the server has acknowledged it with; 0 until then."""
        return ReasonCode(self._origin.reason_code) if self._origin is not None else ReasonCode.SUCCESS

    def result(self, timeout: float | None = None) -> ReasonCode:
        """Wait until its fate is known: for the reason code of the server's acknowledgement.

        Raises TimeoutError, and the message goes its way all the same; PublishRejected when the server has refused it;
        NotDelivered when it will not go out any more; NotSupported or Closed when it was not taken at all.
        """
        if not self.done:
            self._thread.check()
            waiter = Waiter()
            self._thread.post(self._join, waiter)
            try:
                waiter.wait(timeout)
            finally:
                if not waiter.is_done:
                    self._thread.post(self._leave, waiter)
            if not waiter.is_done:
                raise TimeoutError(f"the message to {self.message.topic!r} is {self.state} after {timeout:g} seconds")
        return self._outcome()

    def cancel(self) -> bool:
        """Withdraw it if it was not written yet; whether it was. What was written runs on."""
        return not self.done and self._thread.run(self._cancelled)

    # -- what the client does with it

    def hand_over(self) -> None:
        """Send it without waiting. Raises QueueFull where there may be no room.

        Any other fault comes to light later, and nobody may ever ask for it, so it is an event too.
        """
        thread = self._thread
        thread.check()
        if self._may_be_too_much():
            thread.run(self._started)
            if self._fault is not None:
                raise self._fault
            return
        thread.post(self._start, True)
        thread.rest()

    def _may_be_too_much(self) -> bool:
        """Whether the queue may be full by the time that the loop comes to this."""
        publisher = self._client.publisher
        offline = publisher.offline
        if len(self._thread.left) + publisher.waiting >= offline.max_messages - 1:
            return True
        waiting = publisher.sender.waiting
        return waiting is not None and waiting.bytes + self.message.weight() > offline.max_bytes // 2

    def deliver(self, timeout: float | None) -> ReasonCode:
        """Send it, and wait. Who waits no more withdraws it if it was not written."""
        thread = self._thread
        thread.check()
        waiter = Waiter()
        try:
            thread.post(self._start_patiently, waiter)
            waiter.wait(timeout)
        except BaseException:
            thread.post(self._withdraw)
            raise
        if not waiter.is_done and not thread.run(self._given_up, waiter):
            what = "was withdrawn" if self.state == WITHDRAWN else f"is {self.state}, and goes its way"
            raise TimeoutError(f"the message to {self.message.topic!r} {what} after {timeout:g} seconds")
        return self._outcome()

    def _outcome(self) -> ReasonCode:
        fault = self._fault or (self._origin.fault if self._origin is not None else None)
        if fault is not None:
            raise fault
        return self.reason_code

    # -- on the loop

    def _start(self, is_told: bool = False) -> None:
        """Hand it to the client."""
        try:
            self._origin = self._client.publisher.send(self.message)
        except Exception as fault:
            self._fault = fault
            if is_told:
                self._client.events.tell(Dropped(self.message.topic, str(fault)))

    async def _started(self) -> None:
        self._start()

    def _start_patiently(self, waiter: Waiter) -> None:
        """The same, when there is room for it."""
        publisher = self._client.publisher
        if publisher.offline.when_full == "wait" and publisher.fault is None and publisher.is_full(self.message):
            self._task = self._thread.loop.create_task(self._wait_for_room(waiter))
        else:
            self._start()
            self._join(waiter)

    async def _wait_for_room(self, waiter: Waiter) -> None:
        try:
            await self._client.publisher.wait_for_room(self.message)
            self._start()
        except asyncio.CancelledError:
            self._fault = self._fault or NotDelivered("it was withdrawn", False)
        self._join(waiter)

    def _join(self, waiter: Waiter) -> None:
        """Tell somebody when its fate is known."""
        if self.done:
            waiter.set_result()
        elif self._origin is not None:
            waiters: list[Any] = self._origin.waiters or []  # futures there, and this is like one
            waiters.append(waiter)
            self._origin.waiters = waiters

    def _leave(self, waiter: Waiter) -> None:
        """Somebody does not wait any more."""
        waiters: list[Any] | None = self._origin.waiters if self._origin is not None else None
        if waiters and waiter in waiters:
            waiters.remove(waiter)

    def _withdraw(self) -> bool:
        """Take it back, if it was not written; whether it was."""
        if self._task is not None and self._origin is None and self._fault is None:
            self._fault = NotDelivered("it was withdrawn", False)
            self._task.cancel()
            return True
        return self._origin is not None and self._origin.cancel()

    async def _cancelled(self) -> bool:
        return self._withdraw()

    async def _given_up(self, waiter: Waiter) -> bool:
        """Nobody waits any more; whether its fate was known all the same."""
        if self.done:
            return True
        self._leave(waiter)
        self._withdraw()
        return False
