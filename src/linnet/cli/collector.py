"""The garbage collector, kept from stopping everything.

A full collection looks at all that lives: with a million subscriptions or retained messages it takes a second, in which
nobody is served. What the broker makes and throws away is freed by counting references, so what has survived one full
collection is not looked at again (`gc.freeze`), and a full collection comes so often that each has little to look at.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Any

YOUNG = 2000  # objects more than were freed, after which the youngest are looked at
MIDDLE = 10  # looks at the youngest, after which those that survived are looked at: 20,000, or five milliseconds
NEVER = 1 << 30


class Collector:
    """Looks after the collector for as long as one event loop runs."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    def __repr__(self) -> str:
        return f"<Collector, {gc.get_freeze_count()} objects frozen>"

    def start(self) -> None:
        """From here on."""
        self.collect()
        gc.set_threshold(YOUNG, MIDDLE, NEVER)
        gc.callbacks.append(self.saw)

    def stop(self) -> None:
        """Leave the collector to itself."""
        gc.callbacks.remove(self.saw)
        gc.unfreeze()

    def saw(self, phase: str, about: dict[str, Any]) -> None:
        """gc: a collection begins or ends."""
        if phase == "stop" and about["generation"] == 1:
            self.loop.call_soon_threadsafe(self.collect)

    def collect(self) -> None:
        """Look at all that was not looked at before, and freeze what is left."""
        gc.collect()
        gc.freeze()
