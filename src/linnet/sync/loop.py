"""The hidden thread: one event loop for all blocking clients of a process, while there are any.

One, not one for each client: it only ever moves bytes, for nothing that takes long is called on it, so a second would
but compete for the interpreter; and a hundred clients cost a hundred sockets, not a hundred threads. It begins with
the first client that connects, and ends with the last that disconnects, so a program that has disconnected has no
thread left over.

Threads talk to it by leaving calls in a mailbox. Only the first of a batch wakes the loop; they are made in the order
in which they were left.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
from collections import deque
from collections.abc import Callable, Coroutine
from threading import RLock, Thread, get_ident
from typing import Any, Generic, Protocol, TypeVar

from linnet.client.errors import Closed
from linnet.errors import LinnetError
from linnet.sync.waiting import Patience, Waiter, join

LAST_TURNS = 3  # of the loop, before it is closed
T = TypeVar("T")
logger = logging.getLogger("linnet.client")

GRACE = 1.0  # seconds that what was cancelled has to end
PATIENCE = 10.0  # seconds that the thread has to end; it never needs them, unless a program keeps it from it
MOST_LEFT = 1000  # calls in the mailbox, above which whoever sends more waits for the loop


class User(Protocol):
    """A client that needs the loop."""

    def closing(self, patience: Patience) -> None:
        """The program ends: let no handler begin."""

    async def close(self) -> None:
        """Say goodbye."""

    @property
    def close_timeout(self) -> float:
        """Seconds that this may take."""


class LoopThread:
    """A thread, its event loop, and its mailbox."""

    __slots__ = (
        "fault",
        "ident",
        "is_awake",
        "is_lost",
        "is_over",
        "left",
        "loop",
        "ready",
        "stopped",
        "thread",
        "users",
    )

    def __init__(self) -> None:
        self.left: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.is_awake = False  # whether the loop will look into the mailbox anyway
        self.is_over = False
        self.is_lost = False  # this is another process now, and the thread is not in it
        self.loop: asyncio.AbstractEventLoop = None  # type: ignore[assignment]  # set when the thread runs
        self.stopped: asyncio.Future[None] = None  # type: ignore[assignment]  # the same
        self.ident = 0
        self.fault: BaseException | None = None
        self.ready = Waiter()
        self.users: dict[User, None] = {}
        self.thread = Thread(target=self.main, name="linnet", daemon=True)

    def __repr__(self) -> str:
        state = "lost" if self.is_lost else "over" if self.is_over else "running"
        return f"<LoopThread {state}, for {len(self.users)} clients>"

    # -- in the thread

    def main(self) -> None:
        """The thread."""
        try:
            loop = asyncio.new_event_loop()
            try:
                loop.run_until_complete(self.serve())
            finally:
                loop.close()  # without waiting for a name server that does not answer
        except BaseException as fault:
            self.fault = fault
        finally:
            self.is_over = True
            if not self.ready.is_done:
                self.ready.set_result()
            self.empty()

    async def serve(self) -> None:
        """Let the clients run until there are none, and end what they have left."""
        self.loop = asyncio.get_running_loop()
        self.stopped = self.loop.create_future()
        self.ident = get_ident()
        self.ready.set_result()
        await self.stopped
        while left := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in left:
                task.cancel()
            await asyncio.wait(left)
        for _ in range(LAST_TURNS):  # in which sockets that were given up are closed
            await asyncio.sleep(0)

    def look(self) -> None:
        """Make the calls that were left, but not those that come meanwhile: the sockets have their turn first."""
        self.is_awake = False
        self.empty(len(self.left))
        if self.left and not self.is_awake:
            self.is_awake = True
            self.loop.call_soon(self.look)

    def empty(self, most: int = 1 << 60) -> None:
        """Make calls that were left, up to a number."""
        left = self.left
        while most > 0 and left:
            most -= 1
            try:
                call, arguments = left.popleft()
            except IndexError:
                return  # the loop is over, and somebody else was faster
            try:
                call(*arguments)
            except Exception:
                logger.exception("a fault of ours in %r", call)

    # -- from all threads

    def post(self, call: Callable[..., object], *arguments: Any) -> None:
        """Have something called on the loop, soon."""
        if self.is_lost:
            return  # and so is whatever this was about
        self.left.append((call, arguments))
        if self.is_over:
            self.empty()  # nobody else would tell those who wait for it
        elif not self.is_awake:
            try:
                self.is_awake = True
                self.loop.call_soon_threadsafe(self.look)
            except RuntimeError:
                pass  # it ends at this very moment, and empties its mailbox last of all
            except BaseException:
                self.is_awake = False  # interrupted: whoever comes next wakes it
                raise

    def run(self, make: Callable[..., Coroutine[Any, Any, T]], *arguments: Any, timeout: float | None = None) -> T:
        """Run a coroutine on the loop, and return its result. Raises TimeoutError, when it was cancelled for that.

        What comes true while it is being cancelled counts, so nothing is lost.
        """
        self.check()
        call = Call(self, make, arguments)
        self.post(call.start)
        try:
            if call.waiter.wait(timeout):
                return call.result()
            self.post(call.cancel)
            call.waiter.wait(GRACE)
        except BaseException:
            self.post(call.cancel)
            raise
        if call.was_cancelled or not call.waiter.is_done:
            raise TimeoutError(f"not done within {timeout:g} seconds")
        return call.result()

    def check(self) -> None:
        """Raise LinnetError where waiting for the loop would be in vain."""
        if self.is_lost:
            raise LinnetError("this client belongs to the process that was forked: make a new one in this one")
        if get_ident() == self.ident and not self.is_over:
            raise LinnetError("this would wait for the thread that it is called in, which moves the client's bytes")

    def rest(self) -> None:
        """Wait for the loop if it cannot follow."""
        if len(self.left) > MOST_LEFT and get_ident() != self.ident:
            waiter = Waiter()
            self.post(waiter.set_result)
            waiter.wait()

    def start(self) -> None:
        """Begin. Raises what keeps it from it."""
        self.thread.start()
        self.ready.wait()
        if self.fault is not None:
            raise self.fault

    def stop(self) -> None:
        """End, and wait for it."""
        self.post(self.end)
        join(self.thread, Patience(PATIENCE))

    def end(self) -> None:
        """On the loop: there is nobody left."""
        if not self.stopped.done():
            self.stopped.set_result(None)


class Call(Generic[T]):
    """A coroutine that somebody in another thread waits for."""

    __slots__ = ("arguments", "fault", "make", "task", "thread", "waiter")

    def __init__(
        self, thread: LoopThread, make: Callable[..., Coroutine[Any, Any, T]], arguments: tuple[Any, ...]
    ) -> None:
        self.thread = thread
        self.make = make
        self.arguments = arguments
        self.waiter = Waiter()
        self.task: asyncio.Task[T] | None = None
        self.fault: Exception | None = None

    def __repr__(self) -> str:
        return f"<Call of {self.make!r}>"

    def start(self) -> None:
        """On the loop: begin."""
        if self.thread.loop.is_closed():
            self.waiter.set_result()
            return
        self.task = self.thread.loop.create_task(self.make(*self.arguments))
        self.task.add_done_callback(self.finished)

    def finished(self, task: asyncio.Task[T]) -> None:
        """On the loop: it is over."""
        if not task.cancelled():
            task.exception()  # whoever waited may be gone
        self.waiter.set_result()

    def cancel(self) -> None:
        """On the loop: nobody waits for it any more."""
        if self.task is not None:
            self.task.cancel()

    @property
    def was_cancelled(self) -> bool:
        """Whether it was cancelled before it came true."""
        return self.task is not None and self.task.cancelled()

    def result(self) -> T:
        """What came of it. Raises Closed when the loop has ended before it."""
        if self.task is None or self.task.cancelled():
            raise Closed("the client was closed")
        return self.task.result()


# The one that runs. A signal handler may come in between, so the lock is one that the same thread may have twice
current: LoopThread | None = None
lock = RLock()
lost: list[LoopThread] = []  # of the process that this one was forked from: nothing of theirs may be closed here


def acquire(user: User) -> LoopThread:
    """The loop, for a client that connects. Raises OSError and RuntimeError when there cannot be one."""
    global current
    with lock:
        if current is None:
            thread = LoopThread()
            thread.start()
            current = thread
        current.users[user] = None
        return current


def release(user: User, thread: LoopThread) -> None:
    """A client is gone."""
    global current
    with lock:
        if user not in thread.users:
            return
        del thread.users[user]
        if thread.users:
            return
        if current is thread:
            current = None
        thread.stop()


def forked() -> None:
    """In a new process: the thread is not here, its sockets belong to the other."""
    global current, lock
    lock = RLock()
    if current is not None:
        current.is_lost = True
        lost.append(current)
        current = None


def close_all() -> None:
    """The program ends: say goodbye for clients that did not."""
    thread = current
    if thread is None or not thread.users:
        return
    users = list(thread.users)
    patience = Patience(max(user.close_timeout for user in users) + GRACE)
    for user in users:
        user.closing(patience)

    async def close() -> None:
        await asyncio.gather(*(user.close() for user in users), return_exceptions=True)

    try:
        thread.run(close, timeout=patience.left)
    except TimeoutError:
        pass  # the servers will notice that we are gone
    for user in users:
        release(user, thread)


atexit.register(close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forked)
