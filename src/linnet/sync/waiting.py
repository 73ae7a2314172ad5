"""Waiting in a thread for what another one does, so that Ctrl-C and time-outs work everywhere.

Signals are for the main thread, but a system may hand them to another one, and Windows wakes nobody who waits for a
lock. So the main thread waits in slices: what came meanwhile is heard between two of them.
"""

from __future__ import annotations

import sys
from threading import Lock, Thread, get_ident, main_thread
from time import monotonic

SLICE = 0.1 if sys.platform == "win32" else 1.0  # seconds that the main thread may be deaf
ENDLESS = 3600.0  # seconds: a wait without an end, in pieces that every system can measure


def piece() -> float:
    """Seconds that this thread may wait at a stretch."""
    return SLICE if get_ident() == main_thread().ident else ENDLESS


class Waiter:
    """Somebody who waits for one thing to happen. It looks like a future to whoever tells it."""

    __slots__ = ("is_done", "lock")

    def __init__(self) -> None:
        self.is_done = False
        self.lock = Lock()
        self.lock.acquire()

    def __repr__(self) -> str:
        return f"<Waiter {'done' if self.is_done else 'waiting'}>"

    def done(self) -> bool:
        """Whether it has happened."""
        return self.is_done

    def set_result(self, nothing: object = None) -> None:
        """It has happened. To be called once."""
        self.is_done = True
        self.lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait, but no longer than this many seconds; whether it has happened."""
        if self.is_done:
            return True
        if timeout is None:
            while not self.lock.acquire(timeout=piece()):
                pass
            return True
        until = monotonic() + timeout
        while True:
            left = until - monotonic()
            if self.lock.acquire(timeout=max(0.0, min(left, piece()))):
                return True
            if left <= piece():
                return False


class Patience:
    """How long several waits may take together."""

    __slots__ = ("timeout", "until")

    def __init__(self, timeout: float | None) -> None:
        self.timeout = timeout  # seconds; None: as long as it takes
        self.until = None if timeout is None else monotonic() + timeout

    def __repr__(self) -> str:
        return f"<Patience for {self.left}>"

    @property
    def left(self) -> float | None:
        """Seconds that are left, 0 or more."""
        return None if self.until is None else max(0.0, self.until - monotonic())


def join(thread: Thread, patience: Patience) -> bool:
    """Wait until a thread has ended; whether it has."""
    while thread.is_alive():
        left = patience.left
        thread.join(piece() if left is None else min(left, piece()))
        if left is not None and left <= piece():
            break
    return not thread.is_alive()
