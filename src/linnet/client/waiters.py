"""Tasks that wait for something of which there may be less than there are tasks."""

from __future__ import annotations

import asyncio
from collections import deque


class Waiters:
    """A line of tasks, the first of which is told first."""

    __slots__ = ("futures",)

    def __init__(self) -> None:
        self.futures: deque[asyncio.Future[None]] = deque()

    def __repr__(self) -> str:
        return f"<Waiters: {len(self.futures)}>"

    def __len__(self) -> int:
        return len(self.futures)

    async def wait(self) -> None:
        """Wait to be told. Who is cancelled when it was told already lets the next one have it."""
        future = asyncio.get_running_loop().create_future()
        self.futures.append(future)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.wake()
            raise

    def wake(self) -> None:
        """Tell the first that still waits."""
        while self.futures:
            future = self.futures.popleft()
            if not future.done():
                future.set_result(None)
                return

    def wake_all(self) -> None:
        """Tell all."""
        while self.futures:
            self.wake()
