"""The ledger: what the broker counted as a whole, which limits were reached, and who lost messages.

Nothing is counted twice on a message's way: each connection has its numbers, and the ledger adds them up when somebody
asks, and for good when a connection ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from linnet.core.statistics import DROPS, Statistics

if TYPE_CHECKING:
    from linnet.core.ports import Observer
    from linnet.core.server_connection import ServerConnection

MOST_NAMES = 100  # sessions named between two looks at `recent`; of the others only the sum is kept
OTHERS = "(others)"


class Ledger:
    """All numbers of one broker."""

    __slots__ = ("accepted", "limits", "losers", "most_connected", "observers", "past", "recent", "refused", "untold")

    def __init__(self, observers: tuple[Observer, ...]) -> None:
        self.observers = observers
        self.past = Statistics()  # of all connections that ended, and of sessions without one
        self.losers: list[Statistics] = []  # who dropped something since the last report
        self.recent: dict[str, dict[str, int]] = {}  # by client identifier and reason: what was dropped of late
        self.limits: dict[str, int] = {}  # by the name of the setting: how often it was reached
        self.untold: dict[str, tuple[int, str]] = {}  # limits counted since the last report: how often, by whom last
        self.accepted = 0  # connections
        self.refused = 0  # CONNECTs
        self.most_connected = 0  # clients at the same time

    def __repr__(self) -> str:
        return f"<Ledger {self.accepted} connections, {sum(self.limits.values())} times at a limit>"

    def reached(self, limit: str, client_id: str, address: str, detail: str) -> None:
        """A limit was reached: count it and tell. `limit` is the name of the setting."""
        self.limits[limit] = self.limits.get(limit, 0) + 1
        for observer in self.observers:
            observer.limit_reached(limit, client_id, address, detail)

    def count(self, limit: str, client_id: str, times: int = 1) -> None:
        """A limit was reached on the way of a message, as may be any number of times: it is told with the others."""
        self.limits[limit] = self.limits.get(limit, 0) + times
        self.untold[limit] = (self.untold.get(limit, (0, ""))[0] + times, client_id)

    def close(self, statistics: Statistics) -> None:
        """A connection has ended: keep its numbers, but for the drops that are added when they are reported."""
        self.past.add(statistics)
        add_drops(self.past, statistics, -1)
        statistics.whole = self.past

    def total(self, connections: Iterable[ServerConnection]) -> Statistics:
        """What the broker counted until now, with these connections that are open."""
        total = Statistics()
        total.add(self.past)
        for connection in connections:
            total.add(connection.statistics)
        for statistics in self.losers:
            if statistics.whole is not None:
                add_drops(total, statistics)
        return total

    def report(self) -> None:
        """Tell who dropped how many messages, and which limits messages met, since the last report."""
        losers = self.losers[:]
        self.losers.clear()
        for statistics in losers:
            if statistics.whole is not None:
                add_drops(statistics.whole, statistics)
            for reason, count in zip(DROPS, unreported(statistics), strict=True):
                if count:
                    self.note(statistics.client_id, reason, count)
            statistics.reported = None
        untold = self.untold
        self.untold = {}
        for limit, (times, client_id) in untold.items():
            last = ", by this client last" if client_id else ""
            for observer in self.observers:
                observer.limit_reached(limit, client_id, "", f"{times} times since the last report{last}")

    def note(self, client_id: str, reason: str, count: int) -> None:
        """Remember a session's drops, and tell of them."""
        if reason == "output_full":
            self.count("max_output_bytes", client_id, count)
        name = client_id if client_id in self.recent or len(self.recent) < MOST_NAMES else OTHERS
        reasons = self.recent.setdefault(name, {})
        reasons[reason] = reasons.get(reason, 0) + count
        for observer in self.observers:
            observer.dropped(client_id, reason, count)

    def take_recent(self) -> dict[str, dict[str, int]]:
        """What was dropped since this was called the last time, by client identifier and reason."""
        recent = self.recent
        self.recent = {}
        return recent


def unreported(statistics: Statistics) -> list[int]:
    """What was dropped since the last report, in the order of `DROPS`."""
    if statistics.reported is None:
        return [0] * len(DROPS)
    return [now - then for now, then in zip(statistics.drops(), statistics.reported, strict=True)]


def add_drops(total: Statistics, statistics: Statistics, sign: int = 1) -> None:
    """Add what was dropped since the last report, or take it off (-1)."""
    for reason, count in zip(DROPS, unreported(statistics), strict=True):
        name = f"dropped_{reason}"
        setattr(total, name, getattr(total, name) + sign * count)
