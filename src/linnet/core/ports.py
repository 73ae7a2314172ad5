"""What the core asks of the world outside, as base classes that do nothing, rightly.

Whoever wants more derives from one and hands an object of it to the broker: hooks decide, observers watch, a store
keeps, a cluster forwards. The core calls them and imports none of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Container
from ipaddress import IPv6Address, IPv6Network
from typing import TYPE_CHECKING, NamedTuple

from linnet.errors import ReasonCode

if TYPE_CHECKING:
    from linnet.core.server_connection import ServerConnection
    from linnet.core.session import Session
    from linnet.core.subscriptions import Subscription
    from linnet.wire.connect import Connect
    from linnet.wire.message import Message
    from linnet.wire.subscribe import SubscriptionOptions


class Peer(NamedTuple):
    """Where a connection comes from, by which listener, and since when (seconds since 1970)."""

    address: str = ""
    listener: str = ""
    since: float = 0.0

    @property
    def host(self) -> str:
        """The address without its port; of IPv6 the /64, since a host has one of those."""
        host = self.address.rpartition(":")[0].strip("[]") or self.address
        if ":" not in host:
            return host
        try:
            address = IPv6Address(host)
        except ValueError:
            return host
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(IPv6Network((address.packed[:8] + bytes(8), 64)))


class Step(NamedTuple):
    """An answer in an authentication exchange: finished or not, and the data for the other side."""

    done: bool
    data: bytes | None = None


class Exchange:
    """One enhanced authentication [MQTT-4.12]: a conversation of AUTH packets, made anew for each connection."""

    def step(self, data: bytes | None) -> Step | ReasonCode | Awaitable[Step | ReasonCode]:
        """Answer the client's authentication data, or refuse with a reason code."""
        return ReasonCode.NOT_AUTHORIZED


class Observer:
    """Is told what happened. Every method is called between two packets and must not block."""

    def connected(self, session: Session, connection: ServerConnection, present: bool) -> None:
        """A CONNECT was accepted; `present`: the session was there before."""

    def refused(self, connection: ServerConnection, client_id: str, reason_code: int, detail: str) -> None:
        """A CONNECT was answered with an error."""

    def disconnected(self, session: Session, connection: ServerConnection, detail: str) -> None:
        """A connection that had been accepted is over."""

    def failed(self, connection: ServerConnection, detail: str, packet: bytes) -> None:
        """A peer broke the protocol; `packet` holds the first bytes of what it sent."""

    def subscribed(self, session: Session, subscription: Subscription) -> None:
        """A subscription was made or replaced."""

    def unsubscribed(self, session: Session, name: str) -> None:
        """A subscription was taken away."""

    def ended(self, session: Session) -> None:
        """A session's state was discarded."""

    def hook_failed(self, session: Session, error: Exception) -> None:
        """A hook raised when it was asked about a session's will; the will is not published."""

    def limit_reached(self, limit: str, client_id: str, address: str, detail: str) -> None:
        """A limit was reached; `limit` is the name of the setting. Called as often as that happens."""

    def dropped(self, client_id: str, reason: str, count: int) -> None:
        """Messages for a session were dropped, for one of the reasons in `core.statistics.DROPS`.

        Called at most once a second for each session and reason.
        """

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Hooks(Observer):
    """Decides, and is told like any observer. A decision may be a coroutine: then this one connection waits."""

    def admit(self, connect: Connect, peer: Peer) -> ReasonCode | Awaitable[ReasonCode]:
        """May this client connect? SUCCESS, or the reason code to refuse it with [MQTT-3.1.4-2]."""
        return ReasonCode.SUCCESS

    def exchange(self, method: str, connect: Connect) -> Exchange | None:
        """Begin an enhanced authentication; None: this method is not known, 0x8C."""
        return None

    def publishing(self, session: Session, message: Message) -> Message | ReasonCode | Awaitable[Message | ReasonCode]:
        """The message to go on with (this one or another), or the reason code to refuse it with."""
        return message

    def subscribing(
        self, session: Session, name: str, options: SubscriptionOptions
    ) -> int | ReasonCode | Awaitable[int | ReasonCode]:
        """The QoS to grant a topic filter (at most the one asked for), or the reason code to refuse it with."""
        return options.qos


class Store:
    """What survives the process. This one keeps nothing: what is in memory is all there is."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def opened(self, session: Session) -> None:
        """A session began, or has a new expiry interval or will."""

    def ended(self, session: Session) -> None:
        """A session's state is to be forgotten."""

    def subscribed(self, subscription: Subscription) -> None:
        """A subscription was made or replaced."""

    def unsubscribed(self, session: Session, name: bytes) -> None:
        """A subscription was taken away."""

    def retained(self, topic_name: bytes, message: Message | None) -> None:
        """A topic's retained message changed, or went."""


class Cluster:
    """Other nodes. This one is a cluster of one."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def interested(self, topics: bytes, wanted: bool) -> None:
        """Somebody here wants the topics of a filter, or nobody does any more."""

    def forward(self, message: Message) -> None:
        """A client of this node published a message."""


def fitting(reason_code: int, allowed: Container[int]) -> int:
    """A hook's reason code, or NOT_AUTHORIZED where the packet that is to carry it cannot."""
    return reason_code if reason_code in allowed else ReasonCode.NOT_AUTHORIZED


def is_overridden(port: object, base: type, name: str) -> bool:
    """Whether a port does more than its base class; what does nothing is left out of the message path."""
    return getattr(type(port), name) is not getattr(base, name)
