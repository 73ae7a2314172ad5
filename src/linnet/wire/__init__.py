"""Bytes to packets and back: MQTT 3.1, 3.1.1 and 5.0.

Each control packet is a small class that knows its own bytes; `codec` is the table of them, `properties` the
table of properties, `version` says how the three versions differ, `frames` cuts a stream into packets.

No I/O, no clock, no state of a session may come in here, and no other room: `wire` knows `errors` alone. What
the bytes of one packet tell by themselves is judged here; what depends on anything else is judged in `core`.
"""

from linnet.wire.acks import Puback, Pubcomp, Pubrec, Pubrel
from linnet.wire.codec import PACKETS, Packet, decode, decode_body
from linnet.wire.connect import NEVER, Connack, Connect, Will
from linnet.wire.control import Auth, Disconnect, Pingreq, Pingresp
from linnet.wire.frames import FrameReader
from linnet.wire.header import PacketType, check_first_byte
from linnet.wire.message import Message
from linnet.wire.properties import WILL, Properties
from linnet.wire.publish import Publish
from linnet.wire.reader import Reader
from linnet.wire.strings import decode_utf8, encode_binary, encode_utf8, is_topic_name
from linnet.wire.subscribe import Suback, Subscribe, SubscriptionOptions, Unsuback, Unsubscribe
from linnet.wire.varint import decode_varint, encode_varint
from linnet.wire.version import V3_1, V3_1_1, V5, VERSIONS, Version

__all__ = [
    "NEVER",
    "PACKETS",
    "V3_1",
    "V3_1_1",
    "V5",
    "VERSIONS",
    "WILL",
    "Auth",
    "Connack",
    "Connect",
    "Disconnect",
    "FrameReader",
    "Message",
    "Packet",
    "PacketType",
    "Pingreq",
    "Pingresp",
    "Properties",
    "Puback",
    "Pubcomp",
    "Publish",
    "Pubrec",
    "Pubrel",
    "Reader",
    "Suback",
    "Subscribe",
    "SubscriptionOptions",
    "Unsuback",
    "Unsubscribe",
    "Version",
    "Will",
    "check_first_byte",
    "decode",
    "decode_body",
    "decode_utf8",
    "decode_varint",
    "encode_binary",
    "encode_utf8",
    "encode_varint",
    "is_topic_name",
]
