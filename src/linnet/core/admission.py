"""Admission: how many connections there may be, of how many a host, and how fast they may come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linnet.core.pace import Pace
from linnet.errors import ProtocolError, ReasonCode

if TYPE_CHECKING:
    from linnet.core.broker import BrokerCore
    from linnet.core.server_connection import ServerConnection
    from linnet.wire.connect import Connect

MOST_HOSTS = 100_000  # remembered for their rate alone; beyond it they are forgotten, those that connected included


class Host:
    """One address that connections come from."""

    __slots__ = ("clients", "opening", "pace")

    def __init__(self, pace: Pace) -> None:
        self.pace = pace  # of its CONNECTs
        self.clients = 0
        self.opening: dict[ServerConnection, None] = {}  # before CONNECT was answered, the oldest first

    def __repr__(self) -> str:
        return f"<Host with {self.clients} clients, {len(self.opening)} opening>"


class Admission:
    """Who is on the way in, and who is in, by host."""

    __slots__ = ("clients", "core", "hosts", "is_closed", "opening")

    def __init__(self, core: BrokerCore) -> None:
        self.core = core
        self.hosts: dict[str, Host] = {}
        self.opening: dict[ServerConnection, None] = {}  # before CONNECT was answered, the oldest first
        self.clients = 0
        self.is_closed = ""  # the limit because of which nobody is let in: memory, or the loop that lags

    def __repr__(self) -> str:
        return f"<Admission {self.clients} clients, {len(self.opening)} opening, from {len(self.hosts)} hosts>"

    def arrive(self, connection: ServerConnection, now: float) -> None:
        """A connection was accepted. Where too many have not said CONNECT, the oldest of them has to go."""
        limits = self.core.limits
        host = self.host_of(connection.peer.host, now)
        self.opening[connection] = None
        host.opening[connection] = None
        while 0 < limits.max_preconnect_per_address < len(host.opening):
            self.turn_away(next(iter(host.opening)), "max_preconnect_per_address", now)
        while len(self.opening) > limits.max_preconnect:
            self.turn_away(next(iter(self.opening)), "max_preconnect", now)

    def turn_away(self, connection: ServerConnection, limit: str, now: float) -> None:
        """Close a connection that takes its time to say CONNECT."""
        detail = "too many connections have not sent CONNECT, and this is the oldest"
        self.core.reached(limit, connection, detail)
        connection.finish(detail, now)

    def check(self, connection: ServerConnection, connect: Connect, now: float) -> None:
        """May this client come in? Raises ProtocolError 0x9F when there are too many, or they come too fast."""
        limits = self.core.limits
        host = self.host_of(connection.peer.host, now)
        if self.is_closed:
            raise ProtocolError(ReasonCode.SERVER_BUSY, "the broker takes nobody for now", limit=self.is_closed)
        if not host.pace.admits(now):
            raise ProtocolError(
                ReasonCode.CONNECTION_RATE_EXCEEDED,
                f"more than {limits.max_connect_rate_per_address} connections a second from this address",
                limit="max_connect_rate_per_address",
            )
        session = self.core.sessions.get(connect.client_id)
        if session is not None and session.connection is not None:
            return  # it takes the place of one that is here
        if self.clients >= limits.max_connections:
            raise ProtocolError(
                ReasonCode.CONNECTION_RATE_EXCEEDED,
                f"{self.clients} clients are connected, which is the limit",
                limit="max_connections",
            )
        if limits.max_connections_per_address and host.clients >= limits.max_connections_per_address:
            raise ProtocolError(
                ReasonCode.CONNECTION_RATE_EXCEEDED,
                f"{host.clients} clients are connected from this address, which is the limit",
                limit="max_connections_per_address",
            )

    def enter(self, connection: ServerConnection, now: float) -> None:
        """A CONNECT was accepted."""
        name = connection.peer.host
        host = self.host_of(name, now)
        self.opening.pop(connection, None)
        host.opening.pop(connection, None)
        self.clients += 1
        host.clients += 1
        ledger = self.core.ledger
        ledger.most_connected = max(ledger.most_connected, self.clients)
        self.forget(name, now)

    def leave(self, connection: ServerConnection, was_open: bool, now: float) -> None:
        """A connection is over."""
        name = connection.peer.host
        host = self.host_of(name, now)
        self.opening.pop(connection, None)
        host.opening.pop(connection, None)
        if was_open:
            self.clients -= 1
            host.clients -= 1
        self.forget(name, now)

    def host_of(self, name: str, now: float) -> Host:
        """The host of this name."""
        host = self.hosts.get(name)
        if host is None:
            rate = self.core.limits.max_connect_rate_per_address
            host = self.hosts[name] = Host(Pace(rate, max(rate, 1), now))
        return host

    def forget(self, name: str, now: float) -> None:
        """Keep nothing of a host that has nothing here, and whose pace owes nothing."""
        host = self.hosts.get(name)
        if host is not None and not host.clients and not host.opening and host.pace.is_full(now):
            del self.hosts[name]

    def sweep(self, now: float) -> None:
        """Forget the hosts that were kept for their pace alone."""
        if len(self.hosts) > MOST_HOSTS:
            self.hosts = {name: host for name, host in self.hosts.items() if host.clients or host.opening}
        for name in list(self.hosts):
            self.forget(name, now)
