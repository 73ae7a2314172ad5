"""What went by: every packet that a broker got and sent, in order, to be looked at and to be waited for.

A packet that a wait has found is *taken*: the next wait finds another one. So a test may wait for what has happened
already, and two waits for the same thing mean that it happened twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Final, TypedDict, Unpack

from linnet.core.topics import covers, matches
from linnet.net.packet_lines import Words, fields_of
from linnet.wire import Packet, PacketType, Publish, Subscribe, Unsubscribe

CLOSED: Final = "CLOSED"  # the end of a client's connection, which is no packet
UNREADABLE: Final = "UNREADABLE"  # bytes that are no packet
NAMES: Final = frozenset((*PacketType.__members__, CLOSED, UNREADABLE))
SHOWN: Final = 60  # bytes of a payload
TOLD: Final = 20  # packets in the text of an error


class NotSeen(AssertionError):
    """What was waited for did not come in time; the text tells what came instead."""


@dataclass(slots=True, eq=False)
class Seen:
    """A packet that went by.

    `direction` is "in" (from the client to the broker) or "out"; `name` that of its type ("PUBLISH"), or "CLOSED" for
    the end of a connection and "UNREADABLE" for what is no packet; `fate` is "passed", "dropped", "delayed",
    "duplicated" or "refused"; `at` the broker's time in seconds; `taken` whether a wait has found it.
    """

    direction: str
    client_id: str
    name: str
    packet: Packet | None = None
    topics: tuple[str, ...] = ()  # of PUBLISH the topic name, found by its alias too; else the topic filters
    raw: bytes = b""
    detail: str = ""  # why a connection was closed, or what is wrong with the bytes
    fate: str = "passed"
    at: float = 0.0
    taken: bool = False

    def __repr__(self) -> str:
        return f"<Seen {self}>"

    def __str__(self) -> str:
        fate = "" if self.fate == "passed" else f", {self.fate}"
        return f"{self.direction} {self.client_id!r} {self.name}{self.about()}{fate}"

    def about(self) -> str:
        """What the packet says, for people."""
        if self.packet is None:
            return f": {self.detail}"
        fields = fields_of(self.packet, self.topic.encode())
        if isinstance(self.packet, Publish):
            del fields["payload_size"]
            payload = self.packet.payload
            fields["payload"] = payload[:SHOWN] if len(payload) <= SHOWN else payload[:SHOWN] + b"..."
        return str(Words(fields))

    @property
    def topic(self) -> str:
        """The topic name of a PUBLISH, or the first topic filter of a SUBSCRIBE or UNSUBSCRIBE; else empty."""
        return self.topics[0] if self.topics else ""

    @property
    def payload(self) -> bytes:
        """What a PUBLISH carries; of any other packet nothing."""
        return self.packet.payload if isinstance(self.packet, Publish) else b""

    @property
    def qos(self) -> int:
        """The QoS of a PUBLISH; of any other packet 0."""
        return self.packet.qos if isinstance(self.packet, Publish) else 0

    @property
    def retain(self) -> bool:
        """Whether a PUBLISH has RETAIN set."""
        return isinstance(self.packet, Publish) and bool(self.packet.retain)


class Filters(TypedDict, total=False):
    """Which packets are meant; what is left out does not matter.

    `by`: sent by this client. `to`: sent to this client. `client_id`: either. `direction`: "in" or "out". `topic`: a
    filter that the topic name matches (of SUBSCRIBE and UNSUBSCRIBE: that covers one of the topic filters). `where`: a
    function of the `Seen` that says so; it is called on the broker's thread.
    """

    by: str
    to: str
    client_id: str
    direction: str
    topic: str
    where: Callable[[Seen], object]


class Wanted:
    """A question that can be put to each packet."""

    __slots__ = ("client_id", "directions", "names", "topic", "where")

    def __init__(self, names: str | tuple[str, ...] | None = None, **filters: Unpack[Filters]) -> None:
        given = (names,) if isinstance(names, str) else names
        self.names = NAMES if given is None else frozenset(name.upper() for name in given)
        if unknown := self.names - NAMES:
            raise ValueError(f"{', '.join(sorted(unknown))}: no such packet; there are {', '.join(sorted(NAMES))}")
        clients = [filters[key] for key in ("by", "to", "client_id") if key in filters]
        if len(clients) > 1:
            raise ValueError("give one of by, to and client_id")
        self.client_id = clients[0] if clients else None
        directions = {"in", "out"} & {filters.get("direction", "in"), filters.get("direction", "out")}
        directions -= {"out"} if "by" in filters else {"in"} if "to" in filters else set()
        if not directions:
            raise ValueError('direction is "in" or "out", and goes with `by` or `to` as that is')
        self.directions = directions
        self.topic = filters.get("topic")
        self.where = filters.get("where")

    def __str__(self) -> str:
        words = "packet" if self.names == NAMES else " or ".join(sorted(self.names))
        if self.client_id is not None:
            both = len(self.directions) > 1
            words += f" {'by or to' if both else 'by' if 'in' in self.directions else 'to'} {self.client_id!r}"
        elif len(self.directions) == 1:
            words += " coming in" if "in" in self.directions else " going out"
        words += f" on {self.topic!r}" if self.topic is not None else ""
        return words + (" of the kind asked for" if self.where is not None else "")

    def __repr__(self) -> str:
        return f"<Wanted {self}>"

    def fits(self, seen: Seen) -> bool:
        """Whether this is one of those."""
        return (
            seen.name in self.names
            and seen.direction in self.directions
            and self.client_id in (None, seen.client_id)
            and (self.topic is None or any(is_about(self.topic, name, seen.name) for name in seen.topics))
            and (self.where is None or bool(self.where(seen)))
        )


def is_about(wanted: str, topic: str, name: str) -> bool:
    """Whether a filter matches a topic name, or covers a topic filter."""
    if name == "PUBLISH":
        return matches(topic.encode(), wanted.encode())
    plain = topic.split("/", 2)[-1] if topic.startswith("$share/") else topic
    return covers(wanted.encode(), plain.encode())


def topics_of(packet: Packet, topic_name: bytes) -> tuple[str, ...]:
    """What a packet is about."""
    if isinstance(packet, Publish):
        return (topic_name.decode("utf-8", "backslashreplace"),)
    if isinstance(packet, Subscribe):
        return tuple(name for name, _ in packet.filters)
    return tuple(packet.filters) if isinstance(packet, Unsubscribe) else ()


class Record:
    """The last packets, and who waits for the next ones. Waits and `add` belong to the broker's event loop."""

    def __init__(self, kept: int) -> None:
        self.lock = Lock()  # the test may read in another thread
        self.seen: deque[Seen] = deque(maxlen=kept)
        self.waiters: dict[asyncio.Future[Seen], Wanted] = {}

    def __repr__(self) -> str:
        return f"<Record of {len(self.seen)} packets, {len(self.waiters)} wait>"

    def add(self, seen: Seen) -> None:
        """A packet went by. The first who waits for one like it gets it."""
        with self.lock:
            self.seen.append(seen)
        for waiter, wanted in self.waiters.items():
            try:
                if not waiter.done() and wanted.fits(seen):
                    seen.taken = True
                    waiter.set_result(seen)
                    return
            except Exception as error:
                waiter.set_exception(error)

    def copy(self) -> list[Seen]:
        """What there is, the oldest first."""
        with self.lock:
            return list(self.seen)

    async def wait(self, wanted: Wanted, timeout: float) -> Seen:
        """The first packet like this that no wait has found yet; NotSeen when none comes within so many seconds."""
        __tracebackhide__ = True
        for seen in self.copy():
            if not seen.taken and wanted.fits(seen):
                seen.taken = True
                return seen
        waiter: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()
        self.waiters[waiter] = wanted
        try:
            async with asyncio.timeout(timeout):
                return await waiter
        except TimeoutError:
            if waiter.done() and not waiter.cancelled():
                return waiter.result()  # it came at the last moment
            raise NotSeen(f"no {wanted} within {timeout:g} s; {told(self.copy())}") from None
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                waiter.result().taken = False  # nobody has it
            raise
        finally:
            del self.waiters[waiter]


def told(seen: list[Seen]) -> str:
    """The last packets, one a line; with those that an earlier wait has found marked."""
    if not seen:
        return "the broker has seen no packet"
    lines = [f"  {one}{' (found by an earlier wait)' if one.taken else ''}" for one in seen[-TOLD:]]
    return "\n".join((f"the last of {len(seen)} packets were:", *lines))


class Packets:
    """The packets that a broker saw, the oldest first; of very many the last ones."""

    def __init__(self, record: Record) -> None:
        self.record = record

    def __repr__(self) -> str:
        return f"<Packets: {len(self)}>"

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    def __len__(self) -> int:
        return len(self.record.copy())

    def __iter__(self) -> Iterator[Seen]:
        return iter(self.record.copy())

    def __getitem__(self, index: int) -> Seen:
        return self.record.copy()[index]

    def select(self, name: str | tuple[str, ...] | None = None, **filters: Unpack[Filters]) -> list[Seen]:
        """Those of a type, or of several, that the filters let pass."""
        wanted = Wanted(name, **filters)
        return [seen for seen in self if wanted.fits(seen)]

    def clear(self) -> None:
        """Forget them, so that no wait finds them any more."""
        with self.record.lock:
            self.record.seen.clear()
