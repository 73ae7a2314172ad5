"""What is to happen at a time: keep-alive, session expiry, delayed wills, expired retained messages.

The core never asks for the time; whoever runs it calls `run(now)` when `next_at` has come.
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush

Action = Callable[[float], None]


class Deadline:
    """One thing that is due at a monotonic time in seconds, unless it is cancelled before."""

    __slots__ = ("action", "at", "order")

    def __init__(self, at: float, action: Action, order: int = 0) -> None:
        self.at = at
        self.order = order  # among those that are due at the same time
        self.action: Action | None = action

    def __repr__(self) -> str:
        return f"<Deadline at {self.at:.3f}{'' if self.action else ', cancelled'}>"

    def __lt__(self, other: "Deadline") -> bool:
        return (self.at, self.order) < (other.at, other.order)


class Deadlines:
    """All that is due, the earliest first."""

    __slots__ = ("cancelled", "count", "heap", "on_earlier")

    def __init__(self) -> None:
        self.heap: list[Deadline] = []
        self.cancelled = 0
        self.count = 0  # ever asked for
        self.on_earlier: Callable[[float], None] = _nobody  # told when something comes before all the rest

    def __repr__(self) -> str:
        return f"<Deadlines {len(self.heap) - self.cancelled} due>"

    def at(self, when: float, action: Action) -> Deadline:
        """Have `action(now)` called at a time."""
        self.count += 1
        deadline = Deadline(when, action, self.count)
        heappush(self.heap, deadline)
        if self.heap[0] is deadline:
            self.on_earlier(when)
        return deadline

    def cancel(self, deadline: Deadline | None) -> None:
        """Let it not happen. Nothing wrong with cancelling what is past or None."""
        if deadline is None or deadline.action is None:
            return
        deadline.action = None
        self.cancelled += 1
        if self.cancelled > 64 and self.cancelled * 2 > len(self.heap):
            self.heap = [kept for kept in self.heap if kept.action is not None]
            heapify(self.heap)
            self.cancelled = 0

    def clear(self) -> None:
        """Forget all."""
        self.heap.clear()
        self.cancelled = 0

    @property
    def next_at(self) -> float | None:
        """When the earliest is due."""
        while self.heap and self.heap[0].action is None:
            heappop(self.heap)
            self.cancelled -= 1
        return self.heap[0].at if self.heap else None

    def run(self, now: float) -> None:
        """Do all that is due by now."""
        while (at := self.next_at) is not None and at <= now:
            deadline = heappop(self.heap)
            action = deadline.action
            deadline.action = None
            if action is not None:
                action(now)


def _nobody(when: float) -> None:
    """Nobody wants to be told."""
