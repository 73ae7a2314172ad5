"""A broker's clock in the hands of a test: it stands still until the test puts it forward.

    async with linnet.Broker(listen="127.0.0.1:0") as broker:
        with FakeClock(broker) as clock:
            clock.advance(3600)

Nothing that is due at a time happens by itself then: keep-alive, session and message expiry, delayed wills. Sockets
work as ever, and whoever waits for a client or a socket does so by the real time.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import asyncio

    from linnet.net.turn import Turn
    from linnet.server import Broker

LOOKS = 1000  # times at most that the broker looks round in one advance


class FakeClock:
    """The clock of one running broker, to be used on the broker's event loop. `now` is its time in seconds."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.now = 0.0
        self.turn: Turn | None = None  # whose clock stands still
        self.real: Callable[[], float] = monotonic

    def __repr__(self) -> str:
        return f"<FakeClock {'at ' + format(self.now, '.3f') if self.turn is not None else 'not in use'}>"

    def __enter__(self) -> Self:
        """Stop the clock. Raises LinnetError when the broker does not run."""
        turn = self.turn = self.broker.running()
        self.real = turn.clock
        self.now = float(ceil(turn.clock()))  # so that whole seconds add up to whole seconds
        turn.end()
        if turn.timer is not None:
            turn.timer.cancel()
        loop: Any = StoppedLoop(self, turn.loop)
        turn.loop = loop
        turn.clock = loop.time
        return self

    def __exit__(self, *exception: object) -> None:
        """Let the clock go again, by the event loop's."""
        turn, self.turn = self.turn, None
        if turn is None or not isinstance(turn.loop, StoppedLoop):
            return
        turn.end()
        turn.loop = turn.loop.loop
        turn.clock = self.real
        next_at = turn.core.deadlines.next_at
        if next_at is not None:
            turn.due_at(next_at)

    def advance(self, seconds: float) -> None:
        """Let so much time go by, and all that is due by then happen, each thing at its time."""
        turn = self.turn
        if turn is None:
            raise RuntimeError("the clock is not in use: `with clock:` stops the broker's clock")
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds}")
        end = self.now + seconds
        while True:
            turn.end()
            self.now = self.step(turn, end, seconds / LOOKS)
            turn.tick()
            turn.end()
            if self.now >= end:
                return

    def step(self, turn: Turn, end: float, coarse: float) -> float:
        """The next time at which something is due; what the broker does every second anyhow may come a little late."""
        pressure, core = self.broker.pressure, turn.core
        rounds = (core.look_round, core.sweep, pressure.look if pressure is not None else core.sweep)
        due = [one for one in core.deadlines.heap if one.action is not None]
        exact = min((one.at for one in due if one.action not in rounds), default=end)
        vague = max(min((one.at for one in due), default=end), self.now + coarse)
        return max(self.now, min(exact, vague, end))


class StoppedLoop:
    """Stands for the event loop towards one broker: the same in everything but the time."""

    def __init__(self, clock: FakeClock, loop: asyncio.AbstractEventLoop) -> None:
        self.clock = clock
        self.loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loop, name)

    def time(self) -> float:
        """The time at which the clock stands, in seconds."""
        return self.clock.now

    def call_at(self, when: float, action: Callable[[], None]) -> Uncalled:
        """Something that may be cancelled, and that only `advance` does."""
        return Uncalled()


class Uncalled:
    """Stands for a timer."""

    def cancel(self) -> None:
        """Nothing would have happened anyhow."""
