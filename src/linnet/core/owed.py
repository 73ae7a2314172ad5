"""What a publisher is owed: acknowledgements that are withheld, in the order of its messages [MQTT-4.6.0-2, -3].

Mostly an acknowledgement leaves at once, and nothing of this is made. When one has to wait, those that come after it
wait behind it. The client's own Receive Maximum then stops it; a client of 3.x, which knows of none, is not read.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from linnet.core.backlog import LOST, SHORT
from linnet.errors import ProtocolError, ReasonCode
from linnet.wire.message import packet_id_bytes

if TYPE_CHECKING:
    from linnet.core.server_connection import ServerConnection
    from linnet.core.session import Session
    from linnet.wire.publish import Publish

# How the acknowledgements begin, without and with a reason code, by the QoS of the message
STARTS = {1: (4, b"\x40\x02", b"\x40\x03"), 2: (5, b"\x50\x02", b"\x50\x03")}
NO_SUBSCRIBERS = b"\x10"
QUOTA_EXCEEDED = b"\x97"
PUBACK = 4
FIRST_ERROR = b"\x80"


class Promise:
    """One acknowledgement, and how many have to let go before it may leave."""

    __slots__ = ("holders", "octets", "owed", "packet_type")

    def __init__(self, owed: Owed, packet_type: int, octets: bytes, holders: int) -> None:
        self.owed = owed
        self.packet_type = packet_type
        self.octets = octets
        self.holders = holders

    def __repr__(self) -> str:
        return f"<Promise of {self.octets.hex(' ')}, held by {self.holders}>"

    def is_final(self) -> bool:
        """Whether nothing comes after it: a PUBACK, or a PUBREC with an error."""
        return self.packet_type == PUBACK or self.octets[4:] >= FIRST_ERROR

    def keep(self) -> None:
        """One of those that held it lets go."""
        self.holders -= 1
        self.owed.advance()


class Owed:
    """The acknowledgements that one connection has yet to get."""

    __slots__ = ("connection", "finals", "is_stopped", "promises", "waits_for_room")

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.promises: deque[Promise] = deque()
        self.finals = 0  # promises that end their exchange; the others are of messages that await their PUBREL
        self.is_stopped = False  # a client that knows no Receive Maximum is not read meanwhile
        self.waits_for_room = False  # until it has all, for there is no room for more of anybody's

    def __repr__(self) -> str:
        return f"<Owed {len(self.promises)} acknowledgements to {self.connection!r}>"

    def promise(self, packet_type: int, octets: bytes, holders: int) -> Promise:
        """Send an acknowledgement later: when those before it are sent, and all that hold it have let go."""
        promise = Promise(self, packet_type, octets, holders)
        self.promises.append(promise)
        self.finals += promise.is_final()
        connection = self.connection
        if not connection.has_properties and self.is_at_limit():
            self.stop()
        return promise

    def stop(self) -> None:
        """Read nothing more of the client for now."""
        if not self.is_stopped:
            self.is_stopped = True
            self.connection.pause()

    def is_at_limit(self) -> bool:
        """Whether the client has as many messages under way as it may."""
        return len(self.promises) >= self.connection.receiver.maximum

    def advance(self) -> None:
        """Send what may be sent; nothing to who is gone."""
        connection = self.connection
        promises = self.promises
        while promises and promises[0].holders <= 0:
            promise = promises.popleft()
            self.finals -= promise.is_final()
            if connection.is_open:
                connection.statistics.sent(promise.packet_type)
                connection.outbox.put(promise.octets)
        if self.is_stopped and not (promises if self.waits_for_room else self.is_at_limit()):
            self.is_stopped = self.waits_for_room = False
            connection.core.resume(connection)
        if not promises and connection.owed is self:
            connection.owed = None


def acknowledge(
    connection: ServerConnection, packet_type: int, octets: bytes, holders: list[Session], is_short: bool = False
) -> None:
    """Send an acknowledgement of a PUBLISH, or promise it to a client that has to wait.

    `holders` have got more than their queues may hold. Since then they may have gone, or have room again. `is_short`:
    all queues together hold more than they may.
    """
    holders = [session for session in holders if keeps_waiting(session)]
    owed = connection.owed
    if owed is None and not holders and not is_short:
        connection.statistics.sent(packet_type)
        connection.outbox.put(octets)
        return
    if owed is None:
        owed = connection.owed = Owed(connection)
    promise = owed.promise(packet_type, octets, len(holders) + is_short)
    if is_short:
        owed.waits_for_room = True
        owed.stop()
        connection.backlog.waiters.append(promise)
    for session in holders:
        waiting = session.sender.waiting
        assert waiting is not None
        waiting.hold(promise)
        connection.core.chores.hold(session, connection.last_heard)


def keeps_waiting(session: Session) -> bool:
    """Whether a session is a reason to wait: its queue is full, and somebody is there to empty it."""
    waiting = session.sender.waiting
    return session.online and waiting is not None and waiting.is_overfull()


def check_owed(connection: ServerConnection, qos: int) -> None:
    """Raise ProtocolError 0x93 when a client sends more than its Receive Maximum allows [MQTT-3.3.4-9]."""
    owed = connection.owed
    if owed is None or not connection.has_properties:
        return
    if qos and owed.finals + len(connection.receiver.unreleased) >= connection.receiver.maximum:
        raise ProtocolError(
            ReasonCode.RECEIVE_MAXIMUM_EXCEEDED,
            f"more than {connection.receiver.maximum} messages without acknowledgement",
            "MQTT-3.3.4-9",
            limit="receive_maximum",
        )


def settle(
    connection: ServerConnection, publish: Publish, verdict: int, is_for_nobody: bool, holders: list[Session]
) -> None:
    """Acknowledge a message that is not simply accepted: nobody wants it, or somebody could not be given it."""
    packet_type, start, why_start = STARTS[publish.qos]
    octets = packet_id_bytes(publish.packet_id)
    packet = start + octets
    is_refused = verdict & LOST and connection.version.can_say_why
    if is_refused:
        connection.statistics.refused += 1
        packet = why_start + octets + QUOTA_EXCEEDED
    elif is_for_nobody and connection.tells_no_subscribers:
        packet = why_start + octets + NO_SUBSCRIBERS
    if publish.qos == 2 and not is_refused:
        connection.receiver.keep(publish.packet_id)
    # One that is refused waits too, for it fills queues as well
    acknowledge(connection, packet_type, packet, holders, verdict & SHORT > 0)
