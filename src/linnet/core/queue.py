"""The queue of one receiver: messages that were never sent so far, and wait for a connection or for quota."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from linnet.core.backlog import Backlog

if TYPE_CHECKING:
    from linnet.core.owed import Promise
    from linnet.core.sender import Delivery
    from linnet.core.shared import SharedGroup
    from linnet.core.statistics import Statistics


class Queue:
    """Deliveries in their order, and the acknowledgements that are withheld until there is room for more."""

    __slots__ = ("backlog", "bytes", "deliveries", "held")

    def __init__(self, backlog: Backlog) -> None:
        self.backlog = backlog
        self.deliveries: deque[Delivery] = deque()
        self.bytes = 0
        self.held: list[Promise] | None = None  # what publishers get when there is room again

    def __repr__(self) -> str:
        return f"<Queue of {len(self.deliveries)} messages, {self.bytes} bytes>"

    def __len__(self) -> int:
        return len(self.deliveries)

    def __iter__(self) -> Iterator[Delivery]:
        return iter(self.deliveries)

    def is_full(self, weight: int) -> bool:
        """Whether there is no room for a message of this weight, in bytes."""
        backlog = self.backlog
        return (
            len(self.deliveries) >= backlog.max_queued_messages
            or self.bytes + weight > backlog.max_queued_bytes
            or backlog.bytes + weight > backlog.max_store_bytes
        )

    def put(self, delivery: Delivery, statistics: Statistics, has_receiver: bool) -> bool:
        """Append a delivery; False when it is dropped, for there was no room.

        `statistics` are those of the receiver, `has_receiver` tells whether it is connected.
        """
        message = delivery.message
        assert message is not None
        weight = message.weight()
        backlog = self.backlog
        if self.is_full(weight) and not backlog.overflow(self, delivery, statistics, has_receiver):
            return False
        self.bytes += weight
        backlog.bytes += weight
        backlog.messages += 1
        self.deliveries.append(delivery)
        return True

    def take(self) -> Delivery:
        """The next one, which waits no more."""
        delivery = self.deliveries.popleft()
        self.weigh_out(delivery)
        if self.held is not None:
            self.relax()
        return delivery

    def weigh_out(self, delivery: Delivery) -> None:
        """A delivery waits here no more."""
        message = delivery.message
        assert message is not None
        weight = message.weight()
        backlog = self.backlog
        self.bytes -= weight
        backlog.bytes -= weight
        backlog.messages -= 1
        if backlog.waiters:
            backlog.relax()

    def hold(self, promise: Promise) -> None:
        """Keep a publisher waiting until there is room."""
        if self.held is None:
            self.held = []
        self.held.append(promise)

    def is_overfull(self) -> bool:
        """Whether publishers have to wait: there is no room, and it is not that nothing may wait here at all."""
        return len(self.deliveries) > 0 and self.is_full(0)

    def relax(self) -> None:
        """Keep no publisher waiting if there is room by now."""
        if not self.is_overfull():
            self.let_go()

    def let_go(self) -> None:
        """Keep no publisher waiting."""
        held = self.held
        self.held = None
        for promise in held or ():
            promise.keep()

    def put_back(self, deliveries: list[Delivery]) -> None:
        """Let these be the next ones, whether or not there is room: they had their place."""
        for delivery in deliveries:
            assert delivery.message is not None
            weight = delivery.message.weight()
            self.bytes += weight
            self.backlog.bytes += weight
        self.backlog.messages += len(deliveries)
        self.deliveries.extendleft(reversed(deliveries))

    def remove(self, delivery: Delivery) -> bool:
        """Take one out that waits; False when it waits no more."""
        try:
            self.deliveries.remove(delivery)
        except ValueError:
            return False
        self.weigh_out(delivery)
        self.relax()
        return True

    def withdraw(self, group: SharedGroup, room: Room) -> list[Delivery]:
        """Take out what came by a shared subscription, as far as there is room for it elsewhere."""
        taken = []
        kept: deque[Delivery] = deque()
        for delivery in self.deliveries:
            if delivery.origin.group is group and room.takes(delivery):
                taken.append(delivery)
            else:
                kept.append(delivery)
        if taken:
            self.deliveries = kept
            for delivery in taken:
                self.weigh_out(delivery)
            self.relax()
        return taken

    def clear(self) -> None:
        """Forget all."""
        for delivery in self.deliveries:
            self.weigh_out(delivery)
        self.deliveries.clear()
        self.let_go()


class Room:
    """How much may be moved to other queues. What comes after something that did not fit stays: order is kept."""

    __slots__ = ("bytes", "messages")

    def __init__(self, messages: float, octets: float) -> None:
        self.messages = messages
        self.bytes = octets

    def __repr__(self) -> str:
        return f"<Room for {self.messages} messages, {self.bytes} bytes>"

    def takes(self, delivery: Delivery) -> bool:
        """Whether a delivery fits; it takes its part of the room then."""
        message = delivery.message
        weight = message.weight() if message is not None else 0
        if self.messages < 1 or self.bytes < weight:
            self.messages = 0
            return False
        self.messages -= 1
        self.bytes -= weight
        return True
