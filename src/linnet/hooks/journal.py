"""The journal: what happens in a broker, as lines of a log.

One logger per kind, so that each can be turned on and off by itself: `linnet.connections`, `linnet.subscriptions`,
`linnet.sessions`, `linnet.protocol`. What clients choose is quoted, so no client writes a line of its own.
"""

import logging

from linnet.core.ports import Observer
from linnet.core.server_connection import ServerConnection
from linnet.core.session import Session
from linnet.core.subscriptions import Subscription

connections = logging.getLogger("linnet.connections")
subscriptions = logging.getLogger("linnet.subscriptions")
sessions = logging.getLogger("linnet.sessions")
protocol = logging.getLogger("linnet.protocol")


class Journal(Observer):
    """Writes down what it is told."""

    def connected(self, session: Session, connection: ServerConnection, present: bool) -> None:
        """A CONNECT was accepted."""
        state = "resumed" if present else "new session"
        version = connection.version.name
        connections.info("%r connected from %s, MQTT %s, %s", session.client_id, peer_of(connection), version, state)

    def refused(self, connection: ServerConnection, client_id: str, reason_code: int, detail: str) -> None:
        """A CONNECT was answered with an error."""
        connections.warning("%r from %s refused: %s", client_id, peer_of(connection), detail)

    def disconnected(self, session: Session, connection: ServerConnection, detail: str) -> None:
        """A connection is over."""
        connections.info("%r disconnected: %s", session.client_id, detail)

    def failed(self, connection: ServerConnection, detail: str, packet: bytes) -> None:
        """A peer broke the protocol."""
        protocol.warning("%s broke the protocol: %s; it sent %s", peer_of(connection), detail, packet.hex(" "))

    def subscribed(self, session: Session, subscription: Subscription) -> None:
        """A subscription was made."""
        name = subscription.filter.name.decode()
        subscriptions.debug("%r subscribed to %r with QoS %d", session.client_id, name, subscription.qos)

    def unsubscribed(self, session: Session, name: str) -> None:
        """A subscription was taken away."""
        subscriptions.debug("%r unsubscribed from %r", session.client_id, name)

    def ended(self, session: Session) -> None:
        """A session's state was discarded."""
        sessions.debug("session %r ended", session.client_id)

    def hook_failed(self, session: Session, error: Exception) -> None:
        """A hook raised."""
        sessions.error("a hook failed at the will of %r", session.client_id, exc_info=error)


def peer_of(connection: ServerConnection) -> str:
    """Where a connection comes from."""
    return connection.peer.address
