"""The receiver's side of QoS 2: which packet identifiers were received and not released yet [MQTT-4.3.3-2].

A message is handed on when its PUBLISH comes, and only its identifier is kept: a repetition costs bytes, not a message.
"""

from linnet.errors import ProtocolError, ReasonCode


class Receiver:
    """The unreleased identifiers of one sender. They outlive the connection, like what the sender has in flight."""

    __slots__ = ("maximum", "unreleased")

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum  # our Receive Maximum
        self.unreleased: dict[int, None] = {}

    def __repr__(self) -> str:
        return f"<Receiver {len(self.unreleased)} unreleased of {self.maximum}>"

    def is_repeated(self, packet_id: int) -> bool:
        """Whether this identifier's message was handed on already."""
        return packet_id in self.unreleased

    def check_quota(self) -> None:
        """Raise ProtocolError 0x93 when one more would exceed what the sender was allowed [MQTT-3.3.4-7]."""
        if len(self.unreleased) >= self.maximum:
            raise ProtocolError(
                ReasonCode.RECEIVE_MAXIMUM_EXCEEDED,
                f"more than {self.maximum} messages without acknowledgement",
                "MQTT-3.3.4-9",
                limit="receive_maximum",
            )

    def keep(self, packet_id: int) -> None:
        """Remember an identifier until it is released."""
        self.unreleased[packet_id] = None

    def release(self, packet_id: int) -> bool:
        """Forget an identifier: the next PUBLISH with it is a new message. False when it was not known."""
        if packet_id not in self.unreleased:
            return False
        del self.unreleased[packet_id]
        return True
