"""What a client keeps for the day after its program was killed: the interface, and the one that keeps nothing.

A client tells its store every step of a message's way:

    keep -> forget                              QoS 0, where it has to wait
    keep -> sent -> forget                      QoS 1: PUBLISH, PUBACK
    keep -> sent -> received -> forget          QoS 2: PUBLISH, PUBREC, PUBCOMP
    keep -> sent -> requeued -> sent -> ...     the broker lost the session: it goes out as new

and `commit` before the bytes that follow from these steps are written to the socket. So whatever the broker may have
seen is in the store, and a client that is started again goes on where the last one was stopped: under the same packet
identifiers where the broker still has the session [MQTT-4.4.0-1], so that nothing arrives twice at QoS 2.

Calls other than `open`, `commit` and `close` do no I/O. All of them come from one thread at a time.
"""

from typing import ClassVar, NamedTuple

from linnet.errors import LinnetError
from linnet.wire.message import Message


class StoreError(LinnetError):
    """A store could not be opened, or could not write: nothing of what `commit` was to write is stored."""


class Kept(NamedTuple):
    """A message that was not done with.

    `packet_id` is 0 when its PUBLISH was never sent. `released` is its place in the order of the PUBRECs, from 1, and 0
    when none came; what is released has an empty message, for only PUBREL and PUBCOMP are left to it.
    """

    key: int
    message: Message
    qos: int
    packet_id: int = 0
    released: int = 0

    @property
    def is_released(self) -> bool:
        """Whether PUBREC came: PUBREL is what has to be sent again."""
        return self.released > 0


class Saved(NamedTuple):
    """What a store had when it was opened.

    `client_id` is "" when there is none; `has_session` tells whether the broker may have a session of it. `messages`
    are in the order of their keys: the order they were handed over, and sent in. `unreleased` are the packet
    identifiers of received QoS 2 messages that await PUBREL.
    """

    client_id: str
    has_session: bool
    messages: list[Kept]
    unreleased: list[int]

    @property
    def last_key(self) -> int:
        """The highest key in use, 0 for none: new ones begin above it."""
        return self.messages[-1].key if self.messages else 0

    @property
    def in_flight(self) -> list[Kept]:
        """What was sent, in the order it was first sent in; the PUBLISHes keep that order [MQTT-4.6.0-1]."""
        return [kept for kept in self.messages if kept.packet_id]

    @property
    def released(self) -> list[Kept]:
        """Of those, what awaits PUBCOMP, in the order of the PUBRECs [MQTT-4.6.0-4]."""
        return sorted((kept for kept in self.messages if kept.released), key=lambda kept: kept.released)


class ClientStore:
    """What survives the program. This one keeps nothing: what is in memory is all there is."""

    is_lasting: ClassVar[bool] = False  # whether anything is there at the next start

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def open(self, now: float) -> Saved:
        """Begin, and tell what the last program left; `now` in monotonic seconds.

        Expiry was counted on while nobody was there: the `received_at` of each message lies so far before `now` that
        `seconds_left` is right. What has expired is told too, for its sender may want to know.
        Raises StoreError when that cannot be read, or another program has it open.
        """
        return Saved("", False, [], [])

    def remember(self, client_id: str) -> None:
        """The broker accepted a connection under this client identifier, which it may have assigned."""

    def forget_session(self) -> None:
        """The broker has no session of ours (any more): the unreleased identifiers mean nothing now [MQTT-3.2.2-5].

        The client identifier stays. What becomes of each message in flight is told by `requeued` or `forget`.
        """

    def keep(self, key: int, message: Message, qos: int, now: float) -> None:
        """A message was handed over and waits; `key` is above every one before, `now` in monotonic seconds."""

    def sent(self, key: int, packet_id: int) -> None:
        """Its PUBLISH of QoS 1 or 2 is about to leave, for the first time or again."""

    def received(self, key: int) -> None:
        """PUBREC came: the broker has the message for sure, and its content is not needed again [MQTT-4.3.3-1]."""

    def requeued(self, key: int) -> None:
        """It was in flight in a session that is gone, and waits to go out as new. Not for what was received."""

    def forget(self, key: int) -> None:
        """It is done with, one way or the other."""

    def keep_incoming(self, packet_id: int) -> None:
        """A QoS 2 message came in; until it is released, a repetition is not a new message [MQTT-4.3.3-2]."""

    def release_incoming(self, packet_id: int) -> None:
        """PUBREL came for it."""

    def commit(self) -> None:
        """When this returns, everything that was told before is stored. Costs nothing when there is nothing new.

        Raises StoreError when it cannot be. Then nothing of it is, all of it stays to be tried again by the next call,
        and a message that is given up by `forget` is out of its way.
        """

    def close(self) -> None:
        """Commit, and let go. The store can be opened again. Raises StoreError as `commit` does, but is closed then."""
