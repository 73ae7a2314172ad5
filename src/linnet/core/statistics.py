"""What was counted: packets by type, messages by QoS, bytes, round trips, and every message that was dropped.

Each connection counts for itself, in plain numbers, so that counting costs an addition and nothing else. What a session
or the broker counted is the sum: when a connection ends, its numbers are added to those of its session and its broker.
Most types of packet travel one way only; those that travel both ways have two numbers.
"""

from __future__ import annotations

from linnet.wire.header import PacketType

# Why a message was dropped; each has a number `dropped_...`
DROPS = {
    "queue_full": "as many wait for the session, or for all sessions, as may wait",
    "output_full": "QoS 0, and the client does not read what it is sent",
    "too_large": "above the client's Maximum Packet Size",
    "expired": "waited longer than its Message Expiry Interval",
    "offline": "QoS 0, and the client is away",
    "unsent": "QoS 0, and the connection was cut before it was written",
    "ended": "the session ended while it waited",
}

PUBACK = 4
PUBREC = 5
PUBREL = 6

# Where packets of the other types are counted
ONE_WAY: dict[int, str] = {
    PacketType.CONNECT: "connect",
    PacketType.CONNACK: "connack",
    PacketType.SUBSCRIBE: "subscribe",
    PacketType.SUBACK: "suback",
    PacketType.UNSUBSCRIBE: "unsubscribe",
    PacketType.UNSUBACK: "unsuback",
    PacketType.PINGREQ: "pingreq",
    PacketType.PINGRESP: "pingresp",
}
RECEIVED: dict[int, str] = {
    **ONE_WAY,
    PacketType.PUBACK: "puback_received",
    PacketType.PUBREC: "pubrec_received",
    PacketType.PUBREL: "pubrel_received",
    PacketType.PUBCOMP: "pubcomp_received",
    PacketType.DISCONNECT: "disconnect_received",
    PacketType.AUTH: "auth_received",
}
SENT: dict[int, str] = {
    **ONE_WAY,
    PacketType.PUBACK: "puback_sent",
    PacketType.PUBREC: "pubrec_sent",
    PacketType.PUBREL: "pubrel_sent",
    PacketType.PUBCOMP: "pubcomp_sent",
    PacketType.DISCONNECT: "disconnect_sent",
    PacketType.AUTH: "auth_sent",
}


class Statistics:
    """The numbers of one connection, one session, or one broker."""

    __slots__ = (
        "ack_longest",
        "ack_seconds",
        "acks",
        "auth_received",
        "auth_sent",
        "bytes_received",
        "bytes_sent",
        "client_id",
        "connack",
        "connect",
        "disconnect_received",
        "disconnect_sent",
        "dropped_ended",
        "dropped_expired",
        "dropped_offline",
        "dropped_output_full",
        "dropped_queue_full",
        "dropped_too_large",
        "dropped_unsent",
        "losers",
        "pingreq",
        "pingresp",
        "puback_received",
        "puback_sent",
        "pubcomp_received",
        "pubcomp_sent",
        "publish0_received",
        "publish0_sent",
        "publish1_received",
        "publish1_sent",
        "publish2_received",
        "publish2_sent",
        "pubrec_received",
        "pubrec_sent",
        "pubrel_received",
        "pubrel_sent",
        "refused",
        "reported",
        "suback",
        "subscribe",
        "unsuback",
        "unsubscribe",
        "whole",
    )

    described = ("packets_received", "packets_sent", "messages_received", "messages_sent", "dropped", "ack_mean")

    def __init__(self, losers: list[Statistics] | None = None) -> None:
        self.client_id = ""  # of the session that the numbers belong to
        self.whole: Statistics | None = None  # where these numbers were added, and later drops still have to be
        self.losers = losers  # those that have dropped something since somebody looked
        self.reported: tuple[int, ...] | None = None  # what had been dropped before, if it is one of them
        self.bytes_received = self.bytes_sent = 0
        self.publish0_received = self.publish1_received = self.publish2_received = 0  # by QoS
        self.publish0_sent = self.publish1_sent = self.publish2_sent = 0
        self.refused = 0  # PUBLISHes that were answered with an error
        self.puback_received = self.pubrec_received = self.pubrel_received = self.pubcomp_received = 0
        self.puback_sent = self.pubrec_sent = self.pubrel_sent = self.pubcomp_sent = 0
        self.acks = 0  # messages that were sent and acknowledged for good
        self.ack_longest = self.ack_seconds = 0.0  # from a PUBLISH to what ends it, PUBACK or PUBCOMP
        self.connect = self.connack = self.pingreq = self.pingresp = 0
        self.subscribe = self.suback = self.unsubscribe = self.unsuback = 0
        self.disconnect_received = self.disconnect_sent = self.auth_received = self.auth_sent = 0
        self.dropped_queue_full = self.dropped_output_full = self.dropped_too_large = self.dropped_expired = 0
        self.dropped_offline = self.dropped_unsent = self.dropped_ended = 0

    def __repr__(self) -> str:
        dropped = sum(self.drops())
        return f"<Statistics {self.bytes_received} bytes in, {self.bytes_sent} bytes out, {dropped} dropped>"

    @property
    def packets_received(self) -> int:
        """Packets of any type that came in."""
        acks = self.puback_received + self.pubrec_received + self.pubrel_received + self.pubcomp_received
        control = self.connect + self.subscribe + self.unsubscribe + self.pingreq
        return self.messages_received + acks + control + self.disconnect_received + self.auth_received

    @property
    def packets_sent(self) -> int:
        """Packets of any type that went out."""
        acks = self.puback_sent + self.pubrec_sent + self.pubrel_sent + self.pubcomp_sent
        control = self.connack + self.suback + self.unsuback + self.pingresp
        return self.messages_sent + acks + control + self.disconnect_sent + self.auth_sent

    @property
    def messages_received(self) -> int:
        """PUBLISH packets of any QoS that came in."""
        return self.publish0_received + self.publish1_received + self.publish2_received

    @property
    def messages_sent(self) -> int:
        """PUBLISH packets of any QoS that went out."""
        return self.publish0_sent + self.publish1_sent + self.publish2_sent

    @property
    def dropped(self) -> int:
        """Messages that were dropped, for whatever reason."""
        return sum(self.drops())

    @property
    def ack_mean(self) -> float:
        """Seconds from a PUBLISH to what ends it, on average."""
        return self.ack_seconds / self.acks if self.acks else 0.0

    def drops(self) -> tuple[int, ...]:
        """How many messages were dropped, in the order of `DROPS`."""
        return (
            self.dropped_queue_full,
            self.dropped_output_full,
            self.dropped_too_large,
            self.dropped_expired,
            self.dropped_offline,
            self.dropped_unsent,
            self.dropped_ended,
        )

    def lose(self) -> None:
        """Say, before a drop is counted, that there is one: whoever reports them will look."""
        if self.reported is None and self.losers is not None:
            self.reported = self.drops()
            self.losers.append(self)

    def acknowledged(self, seconds: float) -> None:
        """A message that was sent has been acknowledged, after so long."""
        self.acks += 1
        self.ack_seconds += seconds
        if seconds > self.ack_longest:
            self.ack_longest = seconds

    def publish_received(self, qos: int) -> None:
        """A PUBLISH came in."""
        if qos == 0:
            self.publish0_received += 1
        elif qos == 1:
            self.publish1_received += 1
        else:
            self.publish2_received += 1

    def publish_sent(self, qos: int) -> None:
        """A PUBLISH is on its way out."""
        if qos == 0:
            self.publish0_sent += 1
        elif qos == 1:
            self.publish1_sent += 1
        else:
            self.publish2_sent += 1

    def ack_received(self, kind: int) -> None:
        """A PUBACK, PUBREC, PUBREL or PUBCOMP of four bytes came in."""
        if kind == PUBACK:
            self.puback_received += 1
        elif kind == PUBREC:
            self.pubrec_received += 1
        elif kind == PUBREL:
            self.pubrel_received += 1
        else:
            self.pubcomp_received += 1

    def received(self, packet_type: int) -> None:
        """A packet came in that is no PUBLISH and no acknowledgement of four bytes."""
        name = RECEIVED.get(packet_type)
        if name is not None:
            setattr(self, name, getattr(self, name) + 1)

    def sent(self, packet_type: int) -> None:
        """A packet went out that is no PUBLISH, and was not counted where it was made."""
        name = SENT.get(packet_type)
        if name is not None:
            setattr(self, name, getattr(self, name) + 1)

    def add(self, other: Statistics) -> None:
        """Add what another one counted."""
        self.add_messages(other)
        self.add_packets(other)
        self.add_drops(other)

    def add_messages(self, other: Statistics) -> None:
        """Bytes, and PUBLISH packets."""
        self.bytes_received += other.bytes_received
        self.bytes_sent += other.bytes_sent
        self.publish0_received += other.publish0_received
        self.publish1_received += other.publish1_received
        self.publish2_received += other.publish2_received
        self.publish0_sent += other.publish0_sent
        self.publish1_sent += other.publish1_sent
        self.publish2_sent += other.publish2_sent
        self.refused += other.refused

    def add_packets(self, other: Statistics) -> None:
        """All other packets, and how long acknowledgements took."""
        self.puback_received += other.puback_received
        self.pubrec_received += other.pubrec_received
        self.pubrel_received += other.pubrel_received
        self.pubcomp_received += other.pubcomp_received
        self.puback_sent += other.puback_sent
        self.pubrec_sent += other.pubrec_sent
        self.pubrel_sent += other.pubrel_sent
        self.pubcomp_sent += other.pubcomp_sent
        self.acks += other.acks
        self.ack_seconds += other.ack_seconds
        if other.ack_longest > self.ack_longest:
            self.ack_longest = other.ack_longest
        self.connect += other.connect
        self.connack += other.connack
        self.subscribe += other.subscribe
        self.suback += other.suback
        self.unsubscribe += other.unsubscribe
        self.unsuback += other.unsuback
        self.pingreq += other.pingreq
        self.pingresp += other.pingresp
        self.disconnect_received += other.disconnect_received
        self.disconnect_sent += other.disconnect_sent
        self.auth_received += other.auth_received
        self.auth_sent += other.auth_sent

    def add_drops(self, other: Statistics) -> None:
        """What was dropped, which the other one reports."""
        if self.reported is not None:
            self.reported = tuple([mine + more for mine, more in zip(self.reported, other.drops(), strict=True)])
        self.dropped_queue_full += other.dropped_queue_full
        self.dropped_output_full += other.dropped_output_full
        self.dropped_too_large += other.dropped_too_large
        self.dropped_expired += other.dropped_expired
        self.dropped_offline += other.dropped_offline
        self.dropped_unsent += other.dropped_unsent
        self.dropped_ended += other.dropped_ended
