"""A client's life: from connecting to disconnecting, with its threads and its part in the hidden one."""

from __future__ import annotations

import asyncio

from linnet.client.client import Client as AsyncClient
from linnet.client.errors import Closed
from linnet.client.keeping import CLOSED, NEW
from linnet.errors import LinnetError
from linnet.sync.handling import Dispatcher, Worker
from linnet.sync.loop import LoopThread, acquire, release
from linnet.sync.waiting import Patience


class Life:
    """What one blocking client has: the client that does the work, and threads."""

    __slots__ = ("aio", "dispatcher", "goodbye", "thread", "workers")

    def __init__(self, aio: AsyncClient) -> None:
        self.aio = aio
        self.thread: LoopThread | None = None  # between connecting and disconnecting
        self.workers: list[Worker] = []
        self.dispatcher = Dispatcher()
        self.goodbye: asyncio.Task[None] | None = None  # for which nobody waits

    def __repr__(self) -> str:
        return f"<Life of {self.aio!r}>"

    @property
    def close_timeout(self) -> float:
        """Seconds that what was handed over has to be acknowledged, and handlers have to return."""
        return self.aio.options.close_timeout

    def running(self) -> LoopThread:
        """The hidden thread. Raises LinnetError when there is none for this client, or not in this process."""
        thread = self.thread
        if thread is None:
            if self.aio.state == CLOSED:
                raise Closed("the client was closed")
            raise LinnetError("the client was not started: connect first")
        thread.check()
        return thread

    def start(self, timeout: float | None) -> None:
        """Connect, and let the routes work. Raises what the asyncio client raises, and TimeoutError."""
        if self.thread is not None:
            self.thread.check()
        if self.thread is not None or self.aio.state != NEW:
            raise LinnetError(f"this client is {self.aio.state}: make a new one")
        thread = self.thread = acquire(self)
        try:
            thread.run(self.aio.connect, timeout=timeout)
            for worker in self.workers:
                worker.start()
        except BaseException:
            self.stop(0, 0.0)
            raise

    def stop(self, reason_code: int, timeout: float | None) -> None:
        """Disconnect. In a process that was forked off there is nothing to be done: the connection is not its own."""
        thread = self.thread
        if thread is None or thread.is_lost:
            return
        options = self.aio.options
        if timeout is not None:
            options.close_timeout = min(options.close_timeout, timeout)
        try:
            self.closing(Patience(options.close_timeout))
            thread.run(self.aio.disconnect, reason_code)
        except BaseException:
            options.close_timeout = 0.0  # somebody is impatient
            thread.post(self.hurry, thread)
            raise
        finally:
            self.thread = None
            self.dispatcher.stop(Patience(options.close_timeout))
            release(self, thread)

    def closing(self, patience: Patience) -> None:
        """Let no handler begin, and those that are at work return."""
        thread = self.thread
        if thread is not None:
            for worker in self.workers:
                worker.end(thread)
            for worker in self.workers:
                worker.join(patience)

    async def close(self) -> None:
        """On the loop: say goodbye."""
        await self.aio.disconnect()

    def hurry(self, thread: LoopThread) -> None:
        """On the loop: the same, and nobody waits for it."""
        self.goodbye = thread.loop.create_task(self.close())
