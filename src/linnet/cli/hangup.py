"""SIGHUP: it has the settings read again, and never ends the process, however early or late it comes.

But a hangup is still what it was invented for, too: when the terminal is closed that a broker was started in, the
broker stops as it does at SIGTERM. Under `nohup` it stays.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from types import FrameType

GONE = (errno.ENXIO, errno.EIO)  # anything else, such as too many open files, says nothing about the terminal


class Hangups:
    """The hangups of this process. One that comes before anybody waits for it is kept until then."""

    __slots__ = ("had_terminal", "has_come", "then")

    def __init__(self) -> None:
        self.then: Callable[[], object] | None = None
        self.has_come = False  # and nobody was told
        self.had_terminal = False
        if hasattr(signal, "SIGHUP"):  # not everywhere
            self.had_terminal = signal.getsignal(signal.SIGHUP) != signal.SIG_IGN and terminal_fault() == 0
            signal.signal(signal.SIGHUP, self.come)

    def __repr__(self) -> str:
        return f"<Hangups{', one waits' if self.has_come else ''}>"

    def come(self, number: int, frame: FrameType | None) -> None:
        """The signal's handler. It runs between any two instructions of the program, so it does next to nothing."""
        if self.then is None:
            self.has_come = True
        else:
            self.then()

    def call(self, then: Callable[[], object]) -> None:
        """Call this at each hangup from now on, and at once if there was one already."""
        self.then = then
        if self.has_come:
            self.has_come = False
            then()

    def ignore(self) -> None:
        """No hangup matters any more."""
        self.then = nothing
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def lost_terminal(self) -> bool:
        """Whether the terminal is gone that this process was started in."""
        return self.had_terminal and terminal_fault() in GONE


def nothing() -> None:
    """What a hangup has done when the process is about to end."""


def terminal_fault() -> int:
    """Why the terminal of this process cannot be opened, as a number of `errno`; 0 if it can."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError as error:
        return error.errno or errno.EIO
    return 0
