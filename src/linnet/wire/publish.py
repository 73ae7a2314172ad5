"""PUBLISH, and the Application Message that it carries.

This is the packet that everything else is for, so it is built for speed without being bent:

- A message keeps the packet it arrived in, as bytes. Towards a subscriber of the same kind that packet *is* the
  encoding, and nobody's payload is copied to make another.
- Any other form of it is encoded once and kept (`form`), in two pieces between which each receiver's packet
  identifier goes. What differs per receiver (subscription identifiers, topic alias, the time left) is put
  together by `encode_head` around the shared payload.
- Properties are looked at once. Those that are forwarded unaltered [MQTT-3.3.2-4, -15, -16, -17, -18, -20] are
  kept as the bytes they came in.
"""

from typing import ClassVar

from linnet.errors import MalformedPacket, ProtocolError, ReasonCode
from linnet.wire.properties import Properties
from linnet.wire.reader import Reader
from linnet.wire.varint import encode_varint
from linnet.wire.version import Version

PUBLISH = 3
NEVER = -1  # a message expiry interval that is absent

# Bits of the fixed header [MQTT-3.3.1]
RETAIN = 0x01
DUP = 0x08
PLAIN = 0x30  # the first byte of a PUBLISH with QoS 0 and no flag

# Properties of one hop
SUBSCRIPTION_IDENTIFIER = 0x0B
TOPIC_ALIAS = 0x23

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
            header = PUBLISH << 4 | qos << 1 | retain
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
        return encode_start(PUBLISH << 4 | qos << 1 | retain, remaining, topic_name) + middle


class Publish(Message):
    """A PUBLISH control packet: a message and what belongs to this one hop [MQTT-3.3].

    Attributes besides the message's: `dup`, `packet_id`, `alias` (0 = none), `identifiers` (the Subscription
    Identifiers, encoded one after the other), `user_properties` (how many there are).
    """

    type: ClassVar[int] = PUBLISH

    __slots__ = ("alias", "dup", "identifiers", "packet_id", "user_properties")

    def __init__(
        self,
        topic: str | bytes,
        payload: bytes = b"",
        qos: int = 0,
        retain: bool = False,
        dup: bool = False,
        packet_id: int = 0,
        properties: Properties | None = None,
    ) -> None:
        self.dup = dup
        self.packet_id = packet_id
        self.alias = 0
        self.identifiers = b""
        self.user_properties = 0
        super().__init__(topic, payload, qos, retain, properties)

    def key(self) -> tuple[object, ...]:
        """What makes two packets equal."""
        return (*super().key(), self.dup, self.packet_id, self.alias, self.identifiers)

    @property
    def properties(self) -> Properties:
        """The properties of the packet, those of this hop included."""
        properties = super().properties
        properties.topic_alias = self.alias or None
        reader = Reader(self.identifiers)
        while reader.left():
            properties.subscription_identifiers.append(reader.varint())
        return properties

    def take_hop(self, properties: Properties) -> None:
        """Keep this hop's properties beside the message's."""
        super().take_hop(properties)
        self.alias = properties.topic_alias or 0
        self.identifiers = b"".join(map(encode_varint, properties.subscription_identifiers))
        self.user_properties = len(properties.user_properties)

    def encode(self, version: Version) -> bytes:
        """The whole packet. Raises ProtocolError when it cannot be said in MQTT."""
        if len(self.topic_name) > 65535:
            raise ProtocolError(ReasonCode.TOPIC_NAME_INVALID, f"topic name of {len(self.topic_name)} bytes")
        if bool(self.qos) != bool(self.packet_id):
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "a packet identifier goes with QoS 1 and 2", "MQTT-2.2.1-2")
        middle = packet_id_bytes(self.packet_id) if self.qos else b""
        if version.has_properties:
            middle += self.properties.encode(PUBLISH)
        header = PUBLISH << 4 | self.dup << 3 | self.qos << 1 | self.retain
        remaining = 2 + len(self.topic_name) + len(middle) + self.size()
        return encode_start(header, remaining, self.topic_name) + middle + self.payload

    @classmethod
    def decode(cls, flags: int, body: bytes, version: Version) -> "Publish":
        """Decode what follows the fixed header."""
        header = PUBLISH << 4 | flags
        start = bytes((header,)) + encode_varint(len(body))
        packet = start + body
        return read_publish(packet, header, 0, len(start), len(packet), version.has_properties, None)


def encode_start(header: int, remaining: int, topic_name: bytes) -> bytes:
    """Fixed header and topic name."""
    return bytes((header,)) + encode_varint(remaining) + len(topic_name).to_bytes(2, "big") + topic_name


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


def read_publish(
    data: bytes, header: int, start: int, body: int, stop: int, has_properties: bool, publisher: str | None
) -> Publish:
    """Decode the PUBLISH at `data[start:stop]`, whose variable header begins at `body`.

    The topic name's characters are not looked at: that is done once for each topic, where it is routed.
    Raises MalformedPacket [MQTT-3.3.1-4, MQTT-3.3.1-2, MQTT-2.2.1-3].
    """
    publish = Publish.__new__(Publish)
    read_into(publish, data, header, start, body, stop, has_properties)
    publish.publisher = publisher
    return publish


def read_into(
    publish: Publish, data: bytes, header: int, start: int, body: int, stop: int, has_properties: bool
) -> None:
    """Decode into a packet that was made without its constructor, of this class or one derived from it."""
    octets = data
    qos = (header >> 1) & 3
    if qos == 3 or (qos == 0 and header & DUP):
        raise MalformedPacket(f"PUBLISH with flags {header & 15:#06b}", "MQTT-3.3.1-4" if qos else "MQTT-3.3.1-2")
    at = body + 2
    topic_end = at + (octets[body] << 8 | octets[body + 1]) if at <= stop else stop
    after = topic_end + 2 if qos else topic_end
    if at > stop or after > stop:
        raise MalformedPacket("PUBLISH ends within its topic name or packet identifier", "MQTT-3.3.2-1")
    packet = data if start == 0 and stop == len(data) else octets[start:stop]
    begin_publish(publish, header, octets[at:topic_end], packet)
    if qos:
        publish.packet_id = octets[topic_end] << 8 | octets[topic_end + 1]
        if publish.packet_id == 0:
            raise MalformedPacket("PUBLISH with packet identifier 0", "MQTT-2.2.1-3")
    if not has_properties:
        publish.payload_at = after - start
        publish.is_plain = header == PLAIN
        return
    publish.has_properties = True
    if after == stop:
        raise MalformedPacket("PUBLISH without a property length", "MQTT-2.2.2-1")
    if octets[after] == 0:
        publish.payload_at = after + 1 - start
        publish.is_plain = header == PLAIN
    elif not read_hop_properties(publish, packet, after - start):
        read_properties(publish, after - start)


def begin_publish(publish: Publish, header: int, topic_name: bytes, packet: bytes) -> None:
    """Set the fields that the fixed header tells, and those that nothing else sets."""
    publish.topic_name = topic_name
    publish.packet = packet
    publish.publisher = None
    publish.qos = header >> 1 & 3
    publish.retain = header & RETAIN != 0
    publish.dup = header & DUP != 0
    publish.packet_id = publish.alias = publish.user_properties = 0
    publish.has_properties = publish.is_plain = False
    publish.expiry = NEVER
    publish.received_at = 0.0
    publish.forwarded = publish.identifiers = b""
    publish.body = publish.tail5 = publish.head = None


def read_hop_properties(publish: Publish, packet: bytes, at: int) -> bool:
    """Decode properties that are nothing but this hop's: a Topic Alias, and Subscription Identifiers.

    Most messages that have any have only these. False, and nothing is changed, where there are others or faults.
    """
    octets = packet
    end = at + 1 + octets[at]
    if octets[at] & 0x80 or end > len(packet):
        return False
    at += 1
    alias = 0
    identifiers = b""
    while at < end:
        if octets[at] == TOPIC_ALIAS and alias == 0 and at + 3 <= end:
            alias = octets[at + 1] << 8 | octets[at + 2]
            at += 3
            if alias == 0:
                return False
        elif octets[at] == SUBSCRIPTION_IDENTIFIER and at + 2 <= end and 0 < octets[at + 1] < 0x80:
            identifiers += packet[at + 1 : at + 2]
            at += 2
        else:
            return False
    publish.alias = alias
    publish.identifiers = identifiers
    publish.payload_at = end
    publish.body = packet[end:]
    publish.packet = b""  # it is not what is sent on
    return True


def read_properties(publish: Publish, at: int) -> None:
    """Decode the properties, which begin `at` that place of the received packet."""
    packet = publish.packet
    reader = Reader(packet, at)
    properties = Properties.decode(reader, PUBLISH)
    publish.take_hop(properties)
    publish.payload_at = len(packet) - reader.left()
    if publish.alias or publish.expiry >= 0 or publish.identifiers:
        publish.forwarded = forwardable(properties)
        publish.body = packet[publish.payload_at :]
        publish.packet = b""  # these are not what is sent on
        return
    reader = Reader(packet, at)
    publish.forwarded = packet[publish.payload_at - reader.varint() : publish.payload_at]
    publish.is_plain = packet[0] == PLAIN
