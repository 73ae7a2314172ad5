"""Pressure: watches, once a second, how much memory the process uses and how late the event loop is.

Above `memory_high` nobody is let in, no new topic is retained, and QoS 0 goes only to those who take it at once. Above
`memory_max` the client that most waits for is disconnected, one each second, until it is better. While the loop lags,
nobody is let in.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linnet.core.server_connection import ServerConnection
    from linnet.net.turn import Turn

logger = logging.getLogger("linnet.limits")

INTERVAL = 1.0
STATM = Path("/proc/self/statm")
CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


class Pressure:
    """The state of the process: calm, short of memory, or out of it; and the lag of its loop."""

    __slots__ = ("is_high", "is_lagging", "is_over", "lag", "limit", "longest_lag", "memory", "read", "started", "turn")

    def __init__(self, turn: Turn, read: Callable[[], int] | None = None) -> None:
        self.turn = turn
        self.read = read or resident_bytes
        self.limit = 0  # bytes
        self.memory = self.read()  # bytes, when it was last looked at
        self.is_high = False
        self.is_over = False
        self.is_lagging = False
        self.lag = 0.0  # seconds that the last look came late
        self.longest_lag = 0.0
        self.started = 0.0  # when the next look was asked for

    def __repr__(self) -> str:
        return f"<Pressure {self.memory >> 20} of {self.limit >> 20} MiB, {self.lag:.3f} s late>"

    def start(self, now: float) -> None:
        """Begin to watch."""
        self.started = perf_counter()
        self.turn.core.deadlines.at(now + INTERVAL, self.look)

    def look(self, now: float) -> None:
        """How is it?"""
        lag = max(0.0, perf_counter() - self.started - INTERVAL)
        self.start(now)  # whatever comes of this one
        self.look_at_lag(lag)
        self.look_at_memory()
        if self.is_over:
            self.relieve()
        self.close_or_open()

    def obey(self) -> None:
        """Judge anew what was seen last, since the settings have changed."""
        self.look_at_lag(self.lag)
        self.look_at_memory()
        self.close_or_open()

    def close_or_open(self) -> None:
        """Nobody is let in while it is bad."""
        admission = self.turn.core.admission
        if self.is_high:
            admission.is_closed = "memory_high"
        else:
            admission.is_closed = "max_loop_lag" if self.is_lagging else ""

    def look_at_lag(self, lag: float) -> None:
        """How late is this look?"""
        self.lag = lag
        self.longest_lag = max(self.longest_lag, lag)
        was_lagging, self.is_lagging = self.is_lagging, 0 < self.turn.settings.max_loop_lag < lag
        if self.is_lagging:
            detail = f"the event loop is {self.lag:.3f} s late: no connection is accepted until it is not"
            self.turn.core.ledger.reached("max_loop_lag", "", "", detail)
        elif was_lagging:
            logger.warning("the event loop is in time again")

    def look_at_memory(self) -> None:
        """How much is in use?"""
        core = self.turn.core
        settings = self.turn.settings
        self.limit = settings.memory_limit or available_bytes()
        self.memory = self.read()
        share = 100 * self.memory / self.limit if self.limit else 0.0
        was_high, self.is_high = self.is_high, 0 < settings.memory_high <= share
        self.is_over = 0 < settings.memory_max <= share
        if self.is_high != was_high:
            core.router.retained.is_closed = self.is_high
            for connection in core.connections:
                limit = 0 if self.is_high else core.limits.max_output_bytes
                connection.outbox.obey(limit, core.limits.max_output_bytes_hard)
        if self.is_high and not was_high:
            detail = f"{self.used()}: nobody connects, no new topic is retained, and QoS 0 does not wait"
            core.ledger.reached("memory_high", "", "", detail)
        elif was_high and not self.is_high:
            logger.warning("%s: everything is admitted again", self.used())

    def relieve(self) -> None:
        """Part with the client that most waits for."""
        connections = self.turn.core.connections
        weight, largest = max(((weight_of(one), one) for one in connections), key=itemgetter(0), default=(0, None))
        if largest is None or weight == 0:
            self.turn.core.ledger.reached("memory_max", "", "", f"{self.used()}, and no client has anything waiting")
            return
        largest.stream.give_up("memory_max", f"{self.used()}, and {weight} bytes wait for this client")

    def used(self) -> str:
        """How much is in use, for people."""
        return f"{self.memory >> 20} MiB of {self.limit >> 20} MiB are in use"


def weight_of(connection: ServerConnection) -> int:
    """About how many bytes would be free without this connection."""
    sender = connection.session.sender
    in_flight = sum(d.message.weight() for d in sender.in_flight.values() if d.message is not None)
    waits = sender.waiting.bytes if sender.waiting is not None and connection.session.expiry_interval == 0 else 0
    return int(connection.outbox.size + connection.stream.unsent() + in_flight + waits)


def resident_bytes() -> int:
    """The resident memory of this process, where the system tells; else 0."""
    try:
        return int(STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def available_bytes() -> int:
    """What this process may use: the memory of its control group or of the machine, whichever is less; 0 unknown."""
    amounts = []
    for path in CGROUP_LIMITS:
        try:
            amounts.append(int(path.read_bytes()))
        except (OSError, ValueError):
            continue
    try:
        amounts.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        pass
    return min(amounts, default=0)
