"""A broker's clock in the hands of a test: it stands still until the test puts it forward.

    with stopped_clock(broker) as clock:
        await ann.publish("a", b"old", properties=Properties(message_expiry_interval=10))
        clock.forward(4)

Sockets work as ever, and the test's own waits go by the real time. Nothing that is due at a time happens by itself;
`forward` makes it happen at once.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from linnet import Broker


class Clock:
    """Stands for the event loop towards one broker: the same in everything but the time."""

    def __init__(self, broker: Broker) -> None:
        self.turn = broker.running()
        self.loop = self.turn.loop
        self.now = self.loop.time()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loop, name)

    def time(self) -> float:
        """The time at which the clock stands, in seconds."""
        return self.now

    def call_at(self, when: float, action: Callable[[], None]) -> asyncio.TimerHandle:
        """A handle that may be cancelled, of a call that only `forward` makes."""
        return asyncio.TimerHandle(when, action, (), self.loop)

    def forward(self, seconds: float) -> None:
        """Lets so much time go by, and what is due by then happen."""
        self.now += seconds
        if self.turn.timer is not None:
            self.turn.timer.cancel()
        self.turn.tick()


@contextmanager
def stopped_clock(broker: Broker) -> Iterator[Clock]:
    """Stops the clock of a running broker; afterwards it goes by the event loop again."""
    clock = Clock(broker)
    real = clock.turn.clock
    setattr(clock.turn, "loop", clock)  # noqa: B010
    clock.turn.clock = clock.time
    try:
        yield clock
    finally:
        clock.turn.loop = clock.loop
        clock.turn.clock = real
