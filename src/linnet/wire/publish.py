"""PUBLISH: the packet that carries an Application Message over one hop."""

from typing import ClassVar

from linnet.errors import MalformedPacket, ProtocolError, ReasonCode
from linnet.wire.message import NEVER, PUBLISH, Message, encode_start, forwardable, packet_id_bytes
from linnet.wire.properties import Properties
from linnet.wire.reader import Reader
from linnet.wire.varint import encode_varint
from linnet.wire.version import Version

# Bits of the fixed header [MQTT-3.3.1]
RETAIN = 0x01
DUP = 0x08
PLAIN = 0x30  # the first byte of a PUBLISH with QoS 0 and no flag

# Properties of one hop
SUBSCRIPTION_IDENTIFIER = 0x0B
TOPIC_ALIAS = 0x23


class Publish(Message):
    """A PUBLISH control packet: a message and what belongs to this one hop [MQTT-3.3].

    Attributes besides the message's: `dup`, `packet_id`, `alias` (0 = none), `identifiers` (the Subscription
    Identifiers, encoded one after the other), `user_property_count` (how many there are).
    """

    type: ClassVar[int] = PUBLISH

    __slots__ = ("alias", "dup", "identifiers", "packet_id", "user_property_count")

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
        self.user_property_count = 0
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
        self.user_property_count = len(properties.user_properties)

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
    publish.packet_id = publish.alias = publish.user_property_count = 0
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
        elif octets[at] == SUBSCRIPTION_IDENTIFIER:
            at += 1
            first = at
            while at < end and octets[at] & 0x80 and at < first + 3:
                at += 1
            if at >= end or octets[at] & 0x80 or octets[at] == 0:
                return False
            at += 1
            identifiers += packet[first:at]
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
