"""An asyncio event loop that tells when a turn ends.

The standard loop runs what is ready. What is to happen after all of that has to be scheduled, and so costs another
round through the selector. But the selector is asked each time everything has run: one that does something first is
the end of the turn. Only public interfaces of `asyncio` and `selectors` are used.
"""

import asyncio
import selectors
from collections.abc import Callable
from contextvars import Context
from typing import TypeVarTuple

Arguments = TypeVarTuple("Arguments")
TurnEnd = Callable[[], None]


class TurnSelector(selectors.DefaultSelector):
    """A selector that lets the turn end before it waits."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[TurnEnd] = []
        self.has_more = False  # something was scheduled that the loop did not know of when it chose the timeout

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """End the turn; where that has left something to do, look at the sockets without waiting for them."""
        self.has_more = False
        for end in self.ends:
            end()
        return super().select(0 if self.has_more else timeout)


class TurnLoop(asyncio.SelectorEventLoop):
    """The standard event loop, with `at_turn_end`."""

    def __init__(self) -> None:
        self.turn_selector = TurnSelector()
        super().__init__(self.turn_selector)

    def call_soon(
        self, callback: Callable[[*Arguments], object], *args: *Arguments, context: Context | None = None
    ) -> asyncio.Handle:
        """As ever, and noted."""
        self.turn_selector.has_more = True
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Arguments], object], *args: *Arguments, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As ever, and noted."""
        self.turn_selector.has_more = True
        return super().call_at(when, callback, *args, context=context)

    def at_turn_end(self, end: TurnEnd) -> None:
        """Have `end` called whenever all that was ready has run."""
        self.turn_selector.ends.append(end)

    def not_at_turn_end(self, end: TurnEnd) -> None:
        """Call it no more."""
        self.turn_selector.ends.remove(end)
