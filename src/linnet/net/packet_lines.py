"""A packet as fields of a log line: what it is about, and never what it carries.

Left out, or told by their size or number only, are payloads, those of wills too, passwords, authentication data,
correlation data and user properties. A user name that comes without a password may be a secret itself, a token, and is
left out as well.
"""

from typing import Any, Final

from linnet.errors import reason_name
from linnet.wire import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Properties,
    Publish,
    Suback,
    Subscribe,
    SubscriptionOptions,
    Unsuback,
    Unsubscribe,
)
from linnet.wire.acks import Ack
from linnet.wire.properties import TABLE

LONGEST: Final = 500  # characters of one text
MOST: Final = 50  # items of one list
SIZES: Final = {
    "authentication_data": "authentication_data_size",
    "correlation_data": "correlation_data_size",
    "user_properties": "user_properties",
}


class Words(dict[str, Any]):
    """Fields that become words when, and only when, the line is printed."""

    def __str__(self) -> str:
        return "".join(f" {word}" for name, value in self.items() if (word := in_words(name, value)))


def in_words(name: str, value: object) -> str:
    """One field: `qos=1`, `topic='a/b'`; `retain` if it is true, and nothing if it is not."""
    if isinstance(value, bool):
        return name if value else ""
    if isinstance(value, list):
        return f"{name}=[{', '.join(item_in_words(name, item) for item in value)}]"
    return f"{name}={item_in_words(name, value)}"


def item_in_words(name: str, value: object) -> str:
    """One value; text as a literal, so that it ends where it ends and no control character is left in it."""
    if isinstance(value, dict):
        return f"{value['filter']!r}{Words({key: word for key, word in value.items() if key != 'filter'})}"
    if name.startswith("reason_code") and isinstance(value, int) and value:
        return f"0x{value:02X} {reason_name(value)}"
    return repr(value) if isinstance(value, str) else str(value)


def fields_of(packet: Packet, topic_name: bytes = b"") -> dict[str, Any]:
    """What a line tells of a packet; `topic_name` is the one that a PUBLISH's alias stands for."""
    fields: dict[str, Any] = {}
    match packet:
        case Publish():
            fields = publish_fields(packet, topic_name)
        case Connect():
            fields = connect_fields(packet)
        case Connack():
            fields = {"session_present": packet.session_present, "reason_code": int(packet.reason_code)}
        case Subscribe():
            wishes = [{"filter": cut(name)} | wish_fields(options) for name, options in packet.filters[:MOST]]
            fields = {"packet_id": packet.packet_id, "count": len(packet.filters), "filters": wishes}
        case Unsubscribe():
            filters = [cut(name) for name in packet.filters[:MOST]]
            fields = {"packet_id": packet.packet_id, "count": len(packet.filters), "filters": filters}
        case Suback() | Unsuback():
            fields = {"packet_id": packet.packet_id, "reason_codes": list(packet.reason_codes[:MOST])}
        case Ack():
            fields = {"packet_id": packet.packet_id, "reason_code": int(packet.reason_code)}
        case Disconnect() | Auth():
            fields = {"reason_code": int(packet.reason_code)}
    properties = getattr(packet, "properties", None)
    if properties is None or (isinstance(packet, Connect) and not packet.version.has_properties):
        return fields  # an older CONNECT only has what it means in 5.0
    return fields | property_fields(properties)


def publish_fields(packet: Publish, topic_name: bytes) -> dict[str, Any]:
    """Where it goes and how, and how large it is."""
    fields: dict[str, Any] = {"topic": cut((packet.topic_name or topic_name).decode("utf-8", "backslashreplace"))}
    fields["qos"] = int(packet.qos)
    if packet.qos:
        fields["packet_id"] = int(packet.packet_id)
    return fields | {"retain": bool(packet.retain), "dup": bool(packet.dup), "payload_size": int(packet.size())}


def connect_fields(packet: Connect) -> dict[str, Any]:
    """Who comes, what it expects and what it leaves behind."""
    fields: dict[str, Any] = {
        "version": packet.version.name,
        "clean_start": packet.clean_start,
        "keep_alive": packet.keep_alive,
    }
    if packet.user_name is not None and packet.password is not None:
        fields["user_name"] = cut(packet.user_name)
    fields["has_user_name"] = packet.user_name is not None
    fields["has_password"] = packet.password is not None
    will = packet.will
    if will is not None:
        about = {"topic": cut(will.topic), "qos": will.qos, "retain": will.retain, "payload_size": len(will.payload)}
        about |= property_fields(will.properties)
        fields |= {f"will_{name.removeprefix('will_')}": value for name, value in about.items()}
    return fields


def property_fields(properties: Properties) -> dict[str, Any]:
    """Those that are there, by their names."""
    fields: dict[str, Any] = {}
    for row in TABLE:
        value = getattr(properties, row.name)
        if value is None or value == []:
            continue
        if row.name in SIZES:
            fields[SIZES[row.name]] = len(value)
        else:
            fields[row.name] = cut(value) if isinstance(value, str) else value
    return fields


def wish_fields(options: SubscriptionOptions) -> dict[str, Any]:
    """The options of a subscription, which are usually the QoS alone."""
    fields: dict[str, Any] = {"qos": options.qos}
    if options.no_local or options.retain_as_published or options.retain_handling:
        fields |= {"no_local": options.no_local, "retain_as_published": options.retain_as_published}
        fields["retain_handling"] = options.retain_handling
    return fields


def cut(text: str) -> str:
    """A text, or as much of it as is bearable in a line."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
