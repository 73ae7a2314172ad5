"""The Application Message: what a publisher said, apart from how it travels.

This is what everything else is for, so it is built for speed without being bent:

- A message keeps the packet it arrived in, as bytes. Towards a subscriber of the same kind that packet *is* the
  encoding, and nobody's payload is copied to make another.
- Any other form of it is encoded once and kept (`form`), in two pieces between which each receiver's packet
  identifier goes. What differs per receiver (subscription identifiers, topic alias, the time left) is put
  together by `encode_head` around the shared payload.
- Properties are looked at once. Those that are forwarded unaltered [MQTT-3.3.2-4, -15, -16, -17, -18, -20] are
  kept as the bytes they came in.
"""

from linnet.wire.properties import Properties
from linnet.wire.reader import Reader
from linnet.wire.varint import encode_varint

PUBLISH = 3
HEADER = 0x30  # the first byte of a PUBLISH, without flags
NEVER = -1  # a message expiry interval that is absent

FIRST_BYTES = [bytes((first,)) for first in range(256)]
PACKET_IDS: list[bytes | None] = [None] * 65536


def packet_id_bytes(packet_id: int) -> bytes:
    """A packet identifier as it is on the wire; each is made once, when it is first used."""
    octets = PACKET_IDS[packet_id]
    if octets is None:
        octets = PACKET_IDS[packet_id] = packet_id.to_bytes(2, "big")
    return octets


class Message:
    """An Application Message: what a publisher said, apart from how it travelled.

    Attributes: `topic_name` (UTF-8 bytes), `qos` (0..2), `retain`, `expiry` (seconds, -1 = never), `received_at`
    (the broker's monotonic clock), `publisher` (the client identifier it came from, or None), `forwarded` (the
    encoded properties that every receiver gets).
    """

    __slots__ = (
        "body",
        "expiry",
        "forwarded",
        "has_properties",
        "head",
        "head_form",
        "is_plain",
        "packet",
        "payload_at",
        "publisher",
        "qos",
        "received_at",
        "retain",
        "tail5",
        "topic_name",
    )

    def __init__(
        self,
        topic: str | bytes,
        payload: bytes = b"",
        qos: int = 0,
        retain: bool = False,
        properties: Properties | None = None,
    ) -> None:
        if qos not in (0, 1, 2):
            raise ValueError(f"qos is 0, 1 or 2, not {qos!r}")
        self.topic_name = topic.encode() if isinstance(topic, str) else topic
        self.qos = qos
        self.retain = retain
        self.expiry = NEVER
        self.received_at = 0.0
        self.publisher: str | None = None
        self.packet = b""  # the PUBLISH it arrived in, where its bytes can be used again
        self.has_properties = False  # whether that packet has them
        self.is_plain = False  # whether it is, as it is, the packet with QoS 0 and nothing added
        self.payload_at = 0
        self.body: bytes | None = bytes(payload)
        self.forwarded = b""
        self.tail5: bytes | None = None
        self.head: bytes | None = None  # the last one made, which is mostly the next one wanted
        self.head_form = NEVER
        if properties is not None:
            self.take_properties(properties)

    def __repr__(self) -> str:
        retain = " retained" if self.retain else ""
        return f"<{type(self).__name__} {self.topic_name!r} QoS {self.qos}{retain}, {self.size()} bytes>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and self.key() == other.key()

    def key(self) -> tuple[object, ...]:
        """What makes two messages the same message."""
        return (self.topic_name, self.payload, self.qos, self.retain, self.expiry, self.forwarded)

    @property
    def topic(self) -> str:
        """The topic name as text."""
        return self.topic_name.decode()

    @property
    def payload(self) -> bytes:
        """What was published: bytes without a meaning to the broker."""
        return self.tail(False)

    @property
    def properties(self) -> Properties:
        """The properties, decoded anew at each call."""
        properties = Properties.decode(Reader(encode_varint(len(self.forwarded)) + self.forwarded), PUBLISH)
        if self.expiry >= 0:
            properties.message_expiry_interval = self.expiry
        return properties

    def size(self) -> int:
        """Payload size in bytes."""
        return len(self.packet) - self.payload_at if self.body is None else len(self.body)

    def weight(self) -> int:
        """About how many bytes it takes to keep this message."""
        return len(self.topic_name) + len(self.forwarded) + self.size()

    def delivered(self, qos: int, retain: bool) -> "Message":
        """The message as a receiver gets it who was granted less, or for whom it is not a retained one."""
        if qos == self.qos and retain == self.retain:
            return self
        message = Message(self.topic_name, self.payload, qos, retain)
        message.forwarded = self.forwarded
        message.expiry = self.expiry
        message.received_at = self.received_at
        message.publisher = self.publisher
        return message

    def take_properties(self, properties: Properties) -> None:
        """Part what is forwarded as it is from what each hop says anew."""
        self.take_hop(properties)
        self.forwarded = forwardable(properties)

    def take_hop(self, properties: Properties) -> None:
        """Take what is not forwarded as it is."""
        if properties.message_expiry_interval is not None:
            self.expiry = properties.message_expiry_interval

    def seconds_left(self, now: float) -> int:
        """The message expiry interval that is left, in whole seconds [MQTT-3.3.2-6]; below 0 when it expired.

        Only for a message that has one. A message that is sent in the second it came in keeps its interval.
        """
        waited = int(now - self.received_at)
        return self.expiry - waited if waited < self.expiry or waited == 0 else -1

    def tail(self, has_properties: bool) -> bytes:
        """What follows the packet identifier when nothing is added for the receiver; made once and shared."""
        octets = self.packet
        stop = len(self.packet)
        if not has_properties:
            if self.body is None:
                self.body = octets[self.payload_at : stop]
            return self.body
        if self.tail5 is None:
            if stop and self.has_properties:
                self.tail5 = octets[self.tail_at() : stop]
            else:
                self.tail5 = encode_varint(len(self.forwarded)) + self.forwarded + self.tail(False)
        return self.tail5

    def encode_start(self, qos: int, retain: bool, has_properties: bool) -> bytes:
        """What precedes the packet identifier, to go with `tail`."""
        form = qos << 2 | retain << 1 | has_properties
        if self.head is None or self.head_form != form:
            header = HEADER | qos << 1 | retain
            octets = self.packet
            if qos and self.packet and octets[0] == header and self.has_properties == has_properties:
                self.head = octets[0 : self.tail_at() - 2]
            else:
                remaining = 2 + len(self.topic_name) + (2 if qos else 0) + len(self.tail(has_properties))
                self.head = encode_start(header, remaining, self.topic_name)
            self.head_form = form
        return self.head

    def tail_at(self) -> int:
        """Where the bytes after the packet identifier begin in the received packet."""
        if not self.has_properties or not self.forwarded:
            return self.payload_at - self.has_properties
        return self.payload_at - len(self.forwarded) - len(encode_varint(len(self.forwarded)))

    def encode_head(
        self,
        qos: int,
        retain: bool,
        has_properties: bool,
        packet_id: int,
        topic_name: bytes,
        extra: bytes,
    ) -> bytes:
        """Everything before the payload, for one receiver.

        `topic_name` is empty when a topic alias stands for it; `extra` are properties for this receiver alone.
        """
        middle = packet_id_bytes(packet_id) if qos else b""
        if has_properties:
            middle += encode_varint(len(extra) + len(self.forwarded)) + extra + self.forwarded
        remaining = 2 + len(topic_name) + len(middle) + self.size()
        return encode_start(HEADER | qos << 1 | retain, remaining, topic_name) + middle


def encode_start(header: int, remaining: int, topic_name: bytes) -> bytes:
    """Fixed header and topic name."""
    return FIRST_BYTES[header] + encode_varint(remaining) + packet_id_bytes(len(topic_name)) + topic_name


def forwardable(properties: Properties) -> bytes:
    """Encode the properties that go on unaltered, without those that each hop sets anew."""
    hop = (properties.message_expiry_interval, properties.topic_alias, properties.subscription_identifiers)
    properties.message_expiry_interval = properties.topic_alias = None
    properties.subscription_identifiers = []
    try:
        encoded = Reader(properties.encode(PUBLISH))
    finally:
        properties.message_expiry_interval, properties.topic_alias, properties.subscription_identifiers = hop
    encoded.varint()
    return encoded.rest()
