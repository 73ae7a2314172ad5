"""What a server has said in CONNACK that it takes, and the checks that keep a client within it [MQTT-3.2.2]."""

from __future__ import annotations

from dataclasses import dataclass, field

from linnet.core.topics import Filter
from linnet.errors import NotSupported, ReasonCode
from linnet.wire.connect import Connack
from linnet.wire.message import Message
from linnet.wire.properties import Properties
from linnet.wire.subscribe import SubscriptionOptions
from linnet.wire.version import V5, Version

LARGEST_PACKET = 268435460  # bytes
MOST_IN_FLIGHT = 65535
SAFE_OVERHEAD = 64  # bytes, more than a PUBLISH has besides topic, properties and payload


@dataclass(slots=True)
class ServerLimits:
    """What one server takes. Without a word of it, everything the protocol has."""

    version: Version = V5
    receive_maximum: int = MOST_IN_FLIGHT  # messages of QoS 1 and 2 without acknowledgement
    maximum_qos: int = 2
    retain: bool = True
    maximum_packet_size: int = LARGEST_PACKET  # bytes
    topic_alias_maximum: int = 0
    wildcard_subscriptions: bool = True
    subscription_identifiers: bool = True
    shared_subscriptions: bool = True
    keep_alive: int = 0  # seconds, 0 = none
    session_expiry: int = 0  # seconds
    response_information: str = ""
    properties: Properties = field(default_factory=Properties)  # all that CONNACK said

    @classmethod
    def told(cls, connack: Connack, version: Version, keep_alive: int, session_expiry: int) -> ServerLimits:
        """What CONNACK says; `keep_alive` and `session_expiry` are what the client asked for."""
        said = connack.properties
        return cls(
            version,
            said.receive_maximum or MOST_IN_FLIGHT,
            2 if said.maximum_qos is None else said.maximum_qos,
            said.retain_available != 0,
            said.maximum_packet_size or LARGEST_PACKET,
            said.topic_alias_maximum or 0,
            said.wildcard_subscription_available != 0,
            version.has_properties and said.subscription_identifiers_available != 0,
            said.shared_subscription_available != 0,
            keep_alive if said.server_keep_alive is None else said.server_keep_alive,
            session_expiry if said.session_expiry_interval is None else said.session_expiry_interval,
            said.response_information or "",
            said,
        )

    def check_publish(self, message: Message) -> None:
        """Raise NotSupported for a message that this server would end the connection for."""
        if message.qos > self.maximum_qos:
            detail = f"QoS {message.qos}, and the server takes {self.maximum_qos} at most"
            raise NotSupported(ReasonCode.QOS_NOT_SUPPORTED, detail, "MQTT-3.2.2-11")
        if message.retain and not self.retain:
            detail = "a retained message, and the server keeps none"
            raise NotSupported(ReasonCode.RETAIN_NOT_SUPPORTED, detail, "MQTT-3.2.2-14")
        if message.weight() + SAFE_OVERHEAD > self.maximum_packet_size:
            self.check_size(message)

    def check_size(self, message: Message) -> None:
        """Raise NotSupported for a PUBLISH that is too large, in its full form [MQTT-3.2.2-15]."""
        extra = b"\x02\0\0\0\0" if message.expiry >= 0 else b""
        extra += b"\x23\0\0" if self.topic_alias_maximum else b""
        has_properties = self.version.has_properties
        head = message.encode_head(message.qos, False, has_properties, 1, message.topic_name, extra)
        size = len(head) + message.size()
        if size > self.maximum_packet_size:
            detail = f"a message of {size} bytes, and the server takes {self.maximum_packet_size} at most"
            raise NotSupported(ReasonCode.PACKET_TOO_LARGE, detail, "MQTT-3.2.2-15")

    def check_subscribe(self, name: Filter, options: SubscriptionOptions) -> None:
        """Raise NotSupported for a subscription that this server would end the connection for, or not understand."""
        if not self.version.has_properties and options != SubscriptionOptions(options.qos):
            detail = f"MQTT {self.version.name} knows no subscription options, and the server speaks nothing newer"
            raise NotSupported(ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR, detail)
        if name.has_wildcard and not self.wildcard_subscriptions:
            detail = f"{name.name.decode()!r} has wildcards, and the server takes none"
            raise NotSupported(ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED, detail, "MQTT-3.2.2-16")
        if name.share and not self.shared_subscriptions:
            detail = f"{name.name.decode()!r} is shared, and the server has no shared subscriptions"
            raise NotSupported(ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED, detail, "MQTT-3.2.2-18")

    def check_packet(self, encoded: bytes) -> None:
        """Raise NotSupported for any other packet that is too large [MQTT-3.2.2-15]."""
        if len(encoded) > self.maximum_packet_size:
            detail = f"a packet of {len(encoded)} bytes, and the server takes {self.maximum_packet_size} at most"
            raise NotSupported(ReasonCode.PACKET_TOO_LARGE, detail, "MQTT-3.2.2-15")
