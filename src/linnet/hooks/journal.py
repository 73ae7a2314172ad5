"""The journal: what happens in a broker, as lines of a log.

One logger per kind, so that each can be turned on and off by itself, see `linnet.loggers`. Nothing is put together for
a line that nobody wants.
"""

from collections.abc import Callable, Container
from logging import DEBUG, ERROR, INFO, WARNING
from time import monotonic

from linnet.core.ports import Observer
from linnet.core.server_connection import ServerConnection
from linnet.core.session import Session
from linnet.core.subscriptions import Subscription
from linnet.loggers import hears, named, write

connections = named("connections")
subscriptions = named("subscriptions")
sessions = named("sessions")
protocol = named("protocol")
hooks = named("hooks")
limits = named("limits")
drops = named("drops")

CONNECT_HEADER = 0x10
INTERVAL = 1.0  # seconds between two lines about the same limit, or about drops for the same reason


class Pace:
    """Lets one line pass in each interval for each name, and counts what is left out in between."""

    __slots__ = ("clock", "left_out", "passed")

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.passed: dict[str, float] = {}  # when a line was let through last
        self.left_out: dict[str, int] = {}  # how many were not, since then

    def __repr__(self) -> str:
        return f"<Pace {self.left_out}>"

    def admits(self, name: str, count: int = 1) -> bool:
        """Whether it is time for a line with this name; if not, it is counted with those left out."""
        last = self.passed.get(name)
        if last is None or self.clock() - last >= INTERVAL:
            return True
        self.left_out[name] = self.left_out.get(name, 0) + count
        return False

    def take(self, name: str) -> tuple[int, str]:
        """How many were left out since the last line with this name, as a number and in words; the count is 0 again."""
        now = self.clock()
        last = self.passed.get(name, now)
        self.passed[name] = now
        count = self.left_out.pop(name, 0)
        return count, f"; and {count} more in the last {now - last:.1f} s" if count else ""


class Journal(Observer):
    """Writes down what it is told: what the loggers' levels let pass, and everything about the clients watched."""

    def __init__(self, watched: Container[str] = frozenset(), clock: Callable[[], float] = monotonic) -> None:
        self.watched = watched
        self.limits = Pace(clock)
        self.drops = Pace(clock)

    def connected(self, session: Session, connection: ServerConnection, present: bool) -> None:
        """A CONNECT was accepted."""
        client_id, address = session.client_id, connection.peer.address
        if not hears(connections, INFO, client_id, self.watched):
            return
        state = "resumed" if present else "new session"
        version = connection.version.name
        fields = {"client_id": client_id, "address": address, "version": version, "session_present": present}
        text = "%r connected from %s, MQTT %s, %s"
        write(connections, INFO, "connected", fields, text, client_id, address, version, state)

    def refused(self, connection: ServerConnection, client_id: str, reason_code: int, detail: str) -> None:
        """A CONNECT was answered with an error."""
        if not hears(connections, WARNING, client_id, self.watched):
            return
        address = connection.peer.address
        fields = {"client_id": client_id, "address": address, "reason_code": int(reason_code), "detail": detail}
        write(connections, WARNING, "refused", fields, "%r from %s refused: %s", client_id, address, detail)

    def disconnected(self, session: Session, connection: ServerConnection, detail: str) -> None:
        """A connection is over."""
        client_id = session.client_id
        if hears(connections, INFO, client_id, self.watched):
            fields = {"client_id": client_id, "address": connection.peer.address, "detail": detail}
            write(connections, INFO, "disconnected", fields, "%r disconnected: %s", client_id, detail)

    def failed(self, connection: ServerConnection, detail: str, packet: bytes) -> None:
        """A peer broke the protocol."""
        client_id, address = connection.session.client_id, connection.peer.address
        if not hears(protocol, WARNING, client_id, self.watched):
            return
        is_secret = packet[:1] == bytes((CONNECT_HEADER,))  # there is a password in it
        octets = "a CONNECT" if is_secret else packet.hex(" ")
        fields = {"client_id": client_id, "address": address, "detail": detail, "packet": octets}
        text = "%s broke the protocol: %s; it sent %s"
        write(protocol, WARNING, "failed", fields, text, address, detail, octets)

    def subscribed(self, session: Session, subscription: Subscription) -> None:
        """A subscription was made."""
        client_id = session.client_id
        if hears(subscriptions, DEBUG, client_id, self.watched):
            name, qos = subscription.name.decode(), int(subscription.qos)
            fields = {"client_id": client_id, "filter": name, "qos": qos}
            write(subscriptions, DEBUG, "subscribed", fields, "%r subscribed to %r with QoS %d", client_id, name, qos)

    def unsubscribed(self, session: Session, name: str) -> None:
        """A subscription was taken away."""
        client_id = session.client_id
        if hears(subscriptions, DEBUG, client_id, self.watched):
            fields = {"client_id": client_id, "filter": name}
            write(subscriptions, DEBUG, "unsubscribed", fields, "%r unsubscribed from %r", client_id, name)

    def ended(self, session: Session) -> None:
        """A session's state was discarded."""
        client_id = session.client_id
        if hears(sessions, DEBUG, client_id, self.watched):
            write(sessions, DEBUG, "ended", {"client_id": client_id}, "session %r ended", client_id)

    def hook_failed(self, session: Session, error: Exception) -> None:
        """A hook raised."""
        client_id = session.client_id
        if hears(hooks, ERROR, client_id, self.watched):
            fields = {"client_id": client_id}
            write(hooks, ERROR, "hook_failed", fields, "a hook failed at the will of %r", client_id, error=error)

    def limit_reached(self, limit: str, client_id: str, address: str, detail: str) -> None:
        """Somebody met a limit: one line a second for each limit, which tells how many there were meanwhile."""
        if not hears(limits, WARNING, client_id, self.watched) or not self.limits.admits(limit):
            return
        count, more = self.limits.take(limit)
        fields = {"client_id": client_id, "address": address, "limit": limit, "detail": detail, "left_out": count}
        who = f" by {client_id!r}" if client_id or address else ""
        where = f" from {address}" if address else ""
        write(limits, WARNING, "limit_reached", fields, "%s reached%s%s: %s%s", limit, who, where, detail, more)

    def dropped(self, client_id: str, reason: str, count: int) -> None:
        """Messages for a client were dropped: one line a second for each reason, with the others' count."""
        if not hears(drops, WARNING, client_id, self.watched) or not self.drops.admits(reason, count):
            return
        left_out, more = self.drops.take(reason)
        fields = {"client_id": client_id, "reason": reason, "count": count, "left_out": left_out}
        text = "messages for %r dropped, %d of them: %s%s"
        write(drops, WARNING, "dropped", fields, text, client_id, count, reason, more)
