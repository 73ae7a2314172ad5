"""The broker at one moment: what it has counted, and what there is of everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linnet.core.broker import BrokerCore


class Overview:
    """All numbers of a broker, taken together at one time."""

    __slots__ = (
        "accepted",
        "clients",
        "clients_most",
        "in_flight",
        "lag",
        "lag_longest",
        "limits",
        "memory",
        "opening",
        "output_bytes",
        "queued_bytes",
        "queued_messages",
        "refused",
        "retained_bytes",
        "retained_messages",
        "routes",
        "sessions",
        "subscriptions",
        "traffic",
        "uptime",
        "wills_published",
    )

    described = ("clients_away", "stored_messages", "stored_bytes")

    def __init__(
        self, core: BrokerCore, now: float, memory: int = 0, lag: float = 0.0, lag_longest: float = 0.0
    ) -> None:
        router, ledger, backlog, admission = core.router, core.ledger, core.backlog, core.admission
        self.uptime = now - core.started_at  # seconds
        self.traffic = ledger.total(core.connections)  # packets, messages, bytes and drops of all clients, ever
        self.limits = dict(ledger.limits)  # by the name of the setting: how often it was reached
        self.accepted = ledger.accepted  # connections, ever
        self.refused = ledger.refused  # CONNECTs, ever
        self.opening = len(admission.opening)  # connections that have not been answered yet
        self.clients = admission.clients  # connected
        self.clients_most = ledger.most_connected  # at the same time
        self.sessions = len(core.sessions)  # connected or not
        self.subscriptions = router.subscription_count
        self.retained_messages = len(router.retained)
        self.retained_bytes = router.retained.bytes
        self.queued_messages = backlog.messages  # waiting for clients
        self.queued_bytes = backlog.bytes
        self.in_flight = backlog.in_flight  # sent with QoS 1 or 2, and not acknowledged
        self.output_bytes = sum(connection.outbox.size for connection in core.connections)  # not written yet
        self.routes = len(router.routes)
        self.wills_published = core.wills.published
        self.memory = memory  # bytes of the process
        self.lag = lag  # seconds that the event loop was late the last time
        self.lag_longest = lag_longest  # at any time

    def __repr__(self) -> str:
        return f"<Overview {self.clients} clients, {self.sessions} sessions, up {self.uptime:.0f} s>"

    @property
    def clients_away(self) -> int:
        """Sessions whose client is not connected."""
        return self.sessions - self.clients

    @property
    def stored_messages(self) -> int:
        """Messages that are retained, or wait for a client."""
        return self.retained_messages + self.queued_messages

    @property
    def stored_bytes(self) -> int:
        """What is retained, and what waits for clients."""
        return self.retained_bytes + self.queued_bytes
