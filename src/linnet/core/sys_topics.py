"""`$SYS`: what the broker says about itself, as retained messages below `$SYS/broker`.

Round after round the numbers are looked at, and those that differ from the round before are published. Nothing is done
for it between the rounds, and a round costs a sum over all connections. Only one topic is an event and not retained:
`drops` names the sessions that have lost messages since the round before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from math import exp
from operator import attrgetter
from typing import TYPE_CHECKING

from linnet.core.backlog import NOBODY_ASKS
from linnet.core.fanout import Fanout, nobody_waits
from linnet.core.sys_table import LOADS, SPANS, TOPICS
from linnet.errors import ProtocolError
from linnet.wire.message import Message

if TYPE_CHECKING:
    from linnet.core.broker import BrokerCore
    from linnet.core.deadlines import Deadline
    from linnet.core.overview import Overview

PREFIX = "$SYS/broker/"
SOON = 0.001  # seconds after which a round goes on that is too long for one turn


class Load:
    """How fast a number grows: averages of what it grows in a minute, in which the past counts less and less."""

    __slots__ = ("averages", "before")

    def __init__(self, count: float) -> None:
        self.before = count
        self.averages = dict.fromkeys(SPANS, 0.0)

    def __repr__(self) -> str:
        return f"<Load {', '.join(f'{average:.2f}' for average in self.averages.values())} a minute>"

    def update(self, count: float, seconds: float) -> None:
        """So far it has come after so many seconds more."""
        rate = (count - self.before) * 60 / seconds
        self.before = count
        for name, span in SPANS.items():
            self.averages[name] = rate + exp(-seconds / span) * (self.averages[name] - rate)


class SysTopics:
    """The rounds of one broker."""

    __slots__ = ("at", "core", "deadline", "interval", "loads", "look", "told", "version", "waiting")

    def __init__(self, core: BrokerCore, version: str, look: Callable[[], Overview]) -> None:
        self.core = core
        self.version = version
        self.look = look  # gives the numbers of this moment
        self.interval = 0.0  # seconds between two rounds; 0: there are none
        self.deadline: Deadline | None = None  # when the next one is due
        self.at = 0.0  # when the last one was
        self.told: dict[str, str] = {}  # by topic: what is retained
        self.waiting: dict[str, Message] = {}  # by topic: what this round has yet to send to those who subscribed
        self.loads: dict[str, Load] = {}

    def __repr__(self) -> str:
        return f"<SysTopics {len(self.told)}, every {self.interval:g} s>"

    def start(self, interval: float, now: float) -> None:
        """The broker starts: so does the first round."""
        overview = self.look()
        self.at = now
        self.loads = {name: Load(attrgetter(path)(overview)) for name, path in LOADS.items()}
        self.change(interval, now)

    def change(self, interval: float, now: float) -> None:
        """Rounds come so often from now on; with 0 there are no more, and what was told goes."""
        if interval == self.interval:
            return
        self.interval = interval
        self.core.deadlines.cancel(self.deadline)
        self.deadline = None
        if interval:
            self.due(now)
        else:
            self.withdraw()

    def stop(self) -> None:
        """The broker stops."""
        self.core.deadlines.cancel(self.deadline)
        self.deadline = None
        self.interval = 0.0
        self.withdraw()

    def withdraw(self) -> None:
        """Retain nothing any more: what nobody renews would become a lie."""
        for name in self.told:
            self.core.router.retained.drop((PREFIX + name).encode())
        self.told.clear()
        self.waiting.clear()

    def due(self, now: float) -> None:
        """It is time for a round, and then for the next."""
        self.deadline = self.core.deadlines.at(now + self.interval, self.due)
        self.tell(now)

    def tell(self, now: float) -> None:
        """One round."""
        for name, value in self.values(self.look(), now):
            if self.told.get(name) != value:
                self.told[name] = value
                message = self.message(name, value, True, now)
                self.core.router.retained.keep(message)
                self.waiting[name] = message
        losers = self.core.ledger.take_recent()
        if losers:
            self.waiting["drops"] = self.message("drops", json.dumps(losers), False, now)
        self.send(now)

    def values(self, overview: Overview, now: float) -> Iterator[tuple[str, str]]:
        """All that there is to tell, by topic."""
        yield "version", self.version
        yield "uptime", f"{int(overview.uptime)} seconds"
        for name, path in TOPICS.items():
            yield name, shown(attrgetter(path)(overview))
        for limit, count in overview.limits.items():
            yield f"limits/{limit}", str(count)
        seconds = now - self.at
        self.at = now
        for name, load in self.loads.items():
            if seconds > 0:
                load.update(attrgetter(LOADS[name])(overview), seconds)
            for span, average in load.averages.items():
                yield f"load/{name}/{span}", f"{average:.2f}"

    def message(self, name: str, value: str, retain: bool, now: float) -> Message:
        """What is published on one topic."""
        message = Message(PREFIX + name, value.encode(), 0, retain)
        message.received_at = now
        return message

    def send(self, now: float) -> None:
        """Hand out what waits; where very many want it, only so much in each turn."""
        budget = self.core.limits.delivery_budget
        while self.waiting and budget > 0:
            name = next(iter(self.waiting))
            budget -= self.publish(self.waiting.pop(name), now)
        if self.waiting:
            self.core.deadlines.at(now + SOON, self.send)

    def publish(self, message: Message, now: float) -> int:
        """Give a message to those who subscribed; to how many."""
        router = self.core.router
        if not router.tree.match(message.topic_name):
            return 0
        try:
            route = router.find(message.topic_name)
        except ProtocolError:
            return 0  # longer or deeper than the settings allow: it is retained, and that is all
        if route.is_wide:
            self.core.chores.fanouts.append(Fanout(message, route, self.core.backlog, nobody_waits, NOBODY_ASKS))
            return len(route.targets)
        return router.publish(message, route, now)


def shown(number: float) -> str:
    """A count as it is; seconds to the microsecond."""
    return f"{number:.6f}" if isinstance(number, float) else str(number)
