"""Every property of 5.0 in every packet: taken where it belongs, refused elsewhere, twice, cut and wrong.

The rows follow from `TABLE`, which is written down here a second time, apart from the one that is tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from linnet.errors import ReasonCode
from linnet.wire import (
    V5,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscriptionOptions,
    Unsuback,
    Unsubscribe,
    Will,
)
from tests.wire.cases.notation import MALFORMED, PROTOCOL, Case, bad, good, octets

ENDS = "CONNECT CONNACK"
MESSAGE = "PUBLISH will"
ACKS = "PUBACK PUBREC PUBREL PUBCOMP"
ANSWERS = f"CONNACK {ACKS} SUBACK UNSUBACK DISCONNECT AUTH"
EVERYWHERE = f"CONNECT will PUBLISH SUBSCRIBE UNSUBSCRIBE {ANSWERS}"


@dataclass(frozen=True)
class Row:
    """A property: a value as bytes and as object, where it belongs, and values that it never has."""

    identifier: str
    name: str
    value: str
    meaning: Any
    places: str
    forbidden: tuple[str, ...] = ()
    reason: int = PROTOCOL
    clauses: tuple[str, ...] = ()

    @property
    def octets(self) -> bytes:
        return octets(self.identifier + self.value)

    @property
    def is_list(self) -> bool:
        return isinstance(self.meaning, list)


BOOLEAN = ("02", "FF")
TABLE = (
    Row("01", "payload_format_indicator", "00", 0, MESSAGE, BOOLEAN),
    Row("02", "message_expiry_interval", "FFFFFFFF", 0xFFFFFFFF, MESSAGE),
    Row(
        "03",
        "content_type",
        "0004'text'",
        "text",
        MESSAGE,
        ("0001 FF", "0001 00"),
        MALFORMED,
        ("5.0:MQTT-3.3.2-19",),
    ),
    Row(
        "08",
        "response_topic",
        "0003'r/t'",
        "r/t",
        MESSAGE,
        ("0003'r/#'", "0003'+/t'", "0000"),
        PROTOCOL,
        ("5.0:MQTT-3.3.2-14",),
    ),
    Row("08", "response_topic", "0000", "", "", ("0001 80",), MALFORMED, ("5.0:MQTT-3.3.2-13",)),
    Row("09", "correlation_data", "0002 00FF", b"\0\xff", MESSAGE),
    Row("0B", "subscription_identifiers", "8001", [128], "PUBLISH SUBSCRIBE", ("00",)),
    Row("11", "session_expiry_interval", "00000E10", 3600, "CONNECT CONNACK DISCONNECT"),
    Row("12", "assigned_client_identifier", "0004'auto'", "auto", "CONNACK"),
    Row("13", "server_keep_alive", "003C", 60, "CONNACK"),
    Row("15", "authentication_method", "0005'PLAIN'", "PLAIN", "CONNECT CONNACK AUTH"),
    Row("16", "authentication_data", "0001 FF", b"\xff", "CONNECT CONNACK AUTH"),
    Row("17", "request_problem_information", "00", 0, "CONNECT", BOOLEAN),
    Row("18", "will_delay_interval", "00000005", 5, "will"),
    Row("19", "request_response_information", "01", 1, "CONNECT", BOOLEAN),
    Row("1A", "response_information", "0004'info'", "info", "CONNACK"),
    Row("1C", "server_reference", "0005'other'", "other", "CONNACK DISCONNECT"),
    Row("1F", "reason_string", "0003'why'", "why", ANSWERS, ("0002 C3 28",), MALFORMED),
    Row("21", "receive_maximum", "0001", 1, ENDS, ("0000",)),
    Row("22", "topic_alias_maximum", "0000", 0, ENDS),
    Row(
        "23",
        "topic_alias",
        "0001",
        1,
        "PUBLISH",
        ("0000",),
        ReasonCode.TOPIC_ALIAS_INVALID,
        ("5.0:MQTT-3.3.2-8",),
    ),
    Row("24", "maximum_qos", "01", 1, "CONNACK", BOOLEAN),
    Row("25", "retain_available", "00", 0, "CONNACK", BOOLEAN),
    Row(
        "26",
        "user_properties",
        "0001'k' 0001'v'",
        [("k", "v")],
        EVERYWHERE,
        ("0001 FF 0001'v'", "0001'k' 0001 00", "0003 EDA080 0000"),
        MALFORMED,
        ("5.0:MQTT-1.5.7-1",),
    ),
    Row("27", "maximum_packet_size", "00000001", 1, ENDS, ("00000000",)),
    Row("28", "wildcard_subscription_available", "00", 0, "CONNACK", BOOLEAN),
    Row("29", "subscription_identifiers_available", "00", 0, "CONNACK", BOOLEAN),
    Row("2A", "shared_subscription_available", "01", 1, "CONNACK", BOOLEAN),
)


def carry(place: str, properties: bytes) -> bytes:
    """A packet of that kind with these properties, all else as simple as it can be."""
    length = bytes([len(properties)])
    before, after = {
        "CONNECT": ("10 0004'MQTT' 05 02 0000", "0001'b'"),
        "will": ("10 0004'MQTT' 05 06 0000 00 0001'b'", "0001'w' 0001'x'"),
        "CONNACK": ("20 00 00", ""),
        "PUBLISH": ("30 0001'a'", "'x'"),
        "PUBACK": ("40 0001 00", ""),
        "PUBREC": ("50 0001 00", ""),
        "PUBREL": ("62 0001 00", ""),
        "PUBCOMP": ("70 0001 00", ""),
        "SUBSCRIBE": ("82 0001", "0001'a' 00"),
        "SUBACK": ("90 0001", "00"),
        "UNSUBSCRIBE": ("A2 0001", "0001'a'"),
        "UNSUBACK": ("B0 0001", "00"),
        "DISCONNECT": ("E0 00", ""),
        "AUTH": ("F0 18", ""),
    }[place]
    start = octets(before)
    body = start[1:] + length + properties + octets(after)
    assert len(body) < 128
    return start[:1] + bytes([len(body)]) + body


def meant(place: str, properties: Properties) -> Packet:
    """The object that `carry` writes the bytes of."""
    objects: dict[str, Packet] = {
        "CONNECT": Connect("b", properties=properties),
        "will": Connect("b", will=Will("w", b"x", properties=properties)),
        "CONNACK": Connack(properties=properties),
        "PUBLISH": Publish("a", b"x", properties=properties if place == "PUBLISH" else None),
        "PUBACK": Puback(1, properties=properties),
        "PUBREC": Pubrec(1, properties=properties),
        "PUBREL": Pubrel(1, properties=properties),
        "PUBCOMP": Pubcomp(1, properties=properties),
        "SUBSCRIBE": Subscribe(1, [("a", SubscriptionOptions())], properties),
        "SUBACK": Suback(1, [0], properties),
        "UNSUBSCRIBE": Unsubscribe(1, ["a"], properties),
        "UNSUBACK": Unsuback(1, [0], properties),
        "DISCONNECT": Disconnect(0, properties),
        "AUTH": Auth(0x18, properties),
    }
    return objects[place]


def needs_method(row: Row, place: str) -> bool:
    """AUTH and authentication data go with an authentication method."""
    return row.identifier != "15" and (place == "AUTH" or (row.identifier == "16" and place == "CONNECT"))


def taken(row: Row) -> Iterator[Case]:
    """Where the property belongs it is read and written."""
    for place in row.places.split():
        properties = Properties(**{row.name: row.meaning})
        company = b""
        if needs_method(row, place):
            properties.authentication_method = "m"
            company = octets("15 0001'm'")
        data = carry(place, company + row.octets)
        yield from good(f"{row.name} in {place}", [V5], data, meant(place, properties))


def refused(row: Row) -> Iterator[Case]:
    """Where it does not belong, twice where once is allowed, cut short, and with a forbidden value."""
    places = row.places.split()
    for place in EVERYWHERE.split():
        company = octets("15 0001'm'") if needs_method(row, place) else b""
        if places and place not in places:
            yield from bad(f"{row.name} in {place}", [V5], carry(place, company + row.octets), PROTOCOL)
        elif places and row.name != "user_properties" and (place, row.name) != ("PUBLISH", "subscription_identifiers"):
            twice = carry(place, company + row.octets * 2)
            yield from bad(f"{row.name} twice in {place}", [V5], twice, PROTOCOL)
    for place in (places or ["PUBLISH"])[:1]:
        company = octets("15 0001'm'") if needs_method(row, place) else b""
        if places:
            cut = carry(place, company + row.octets[:-1])
            yield from bad(f"{row.name} cut short in {place}", [V5], cut, MALFORMED)
            alone = carry(place, company + octets(row.identifier))
            yield from bad(f"{row.name} without a value in {place}", [V5], alone, MALFORMED)
        for value in row.forbidden:
            data = carry(place, company + octets(row.identifier + value))
            yield from bad(f"{row.name} of {value} in {place}", [V5], data, row.reason, *row.clauses)


def repeated() -> Iterator[Case]:
    """What may be there more than once, in order."""
    pairs = [("k", "1"), ("a", "2"), ("k", "1")]
    octets_of_pairs = octets("26 0001'k' 0001'1' 26 0001'a' 0001'2' 26 0001'k' 0001'1'")
    for place in EVERYWHERE.split():
        properties = Properties(user_properties=pairs)
        company = b""
        if place == "AUTH":
            properties.authentication_method = "m"
            company = octets("15 0001'm'")
        data = carry(place, company + octets_of_pairs)
        yield from good(f"user_properties three times in {place}", [V5], data, meant(place, properties))
    identifiers = Properties(subscription_identifiers=[1, 16384, 1])
    data = carry("PUBLISH", octets("0B 01 0B 808001 0B 01"))
    yield from good("subscription_identifiers three times in PUBLISH", [V5], data, meant("PUBLISH", identifiers))


def unknown() -> Iterator[Case]:
    """Identifiers that no property has, and one that is written in two bytes."""
    for identifier in ("00", "04", "07", "0A", "10", "14", "1B", "20", "2B", "7F", "8101", "FFFFFF7F"):
        data = carry("PUBLISH", octets(identifier + "00"))
        yield from bad(f"the unknown property {identifier}", [V5], data, MALFORMED)
    data = carry("PUBLISH", octets("8100 00"))
    yield from bad("a property identifier in two bytes", [V5], data, MALFORMED, "5.0:MQTT-1.5.5-1")
    data = carry("SUBSCRIBE", octets("0B 8000"))
    yield from bad("a subscription identifier in two bytes", [V5], data, MALFORMED, "5.0:MQTT-1.5.5-1")
    data = carry("SUBSCRIBE", octets("0B 80808001 00"))
    yield from bad("a subscription identifier of five bytes", [V5], data, MALFORMED)


CASES: list[Case] = [
    *(case for row in TABLE for case in taken(row)),
    *(case for row in TABLE for case in refused(row)),
    *repeated(),
    *unknown(),
]
