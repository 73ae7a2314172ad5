"""The class of properties itself; what each property may be and where is in the table of packets."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from linnet.errors import MalformedPacket, ProtocolError, ReasonCode
from linnet.wire import WILL, Connect, PacketType, Properties, Reader
from linnet.wire.properties import TABLE
from tests.packets import octets
from tests.wire.cases import properties as cases

EVERYTHING = {row.name: row.meaning for row in cases.TABLE if row.places}


def decoded(notation: str, packet_type: int = PacketType.CONNACK) -> Properties:
    data = octets(notation)
    return Properties.decode(Reader(bytes([len(data)]) + data), packet_type)


def test_there_is_an_attribute_for_each_property_and_no_other() -> None:
    assert [field.name for field in fields(Properties)] == [row.name for row in TABLE]
    assert {row.name for row in TABLE} == set(EVERYTHING)
    assert [row.identifier for row in TABLE] == sorted({row.identifier for row in TABLE})
    assert len(TABLE) == 27


def test_a_property_that_is_absent_is_none_or_an_empty_list() -> None:
    absent = Properties()
    values = [getattr(absent, row.name) for row in TABLE]
    assert [value for value in values if value is not None] == [[], []]
    assert absent.subscription_identifiers == []
    assert absent.user_properties == []


@pytest.mark.clause("5.0:MQTT-2.2.2-1")
@pytest.mark.parametrize("packet_type", [WILL, *PacketType])
def test_no_properties_are_a_length_of_0(packet_type: int) -> None:
    assert Properties().encode(packet_type) == b"\0"
    assert Properties.decode(Reader(b"\0"), packet_type) == Properties()


def test_packets_do_not_share_their_properties() -> None:
    first, second = (Properties.decode(Reader(b"\0"), PacketType.PUBLISH) for _ in range(2))
    first.topic_alias = 1
    first.user_properties.append(("k", "v"))
    assert second == Properties()


def test_the_properties_of_one_packet_end_where_their_length_says() -> None:
    reader = Reader(octets("02 24 01 24 01"))
    assert Properties.decode(reader, PacketType.CONNACK) == Properties(maximum_qos=1)
    assert reader.rest() == octets("24 01")


def test_any_order_is_read_and_the_order_of_the_table_is_written() -> None:
    some = decoded("2A 00 13 003C 26 0001'k' 0001'v' 12 0001'a'")
    assert some == Properties(
        assigned_client_identifier="a",
        server_keep_alive=60,
        user_properties=[("k", "v")],
        shared_subscription_available=0,
    )
    expected = octets("12 0001'a' 13 003C 26 0001'k' 0001'v' 2A 00")
    assert some.encode(PacketType.CONNACK) == bytes([len(expected)]) + expected


@pytest.mark.parametrize("row", [row for row in cases.TABLE if row.places], ids=lambda row: row.name)
def test_a_property_is_not_written_where_it_does_not_belong(row: cases.Row) -> None:
    some = Properties(**{row.name: row.meaning})
    kinds = {"will": WILL, **{kind.name: int(kind) for kind in PacketType}}
    for place, packet_type in kinds.items():
        if place in row.places.split():
            assert some.encode(packet_type) == bytes([len(row.octets)]) + row.octets
        else:
            with pytest.raises(ProtocolError) as refusal:
                some.encode(packet_type)
            assert refusal.value.reason_code == ReasonCode.PROTOCOL_ERROR
            assert row.name in str(refusal.value)


WRONG: list[tuple[str, Any, int]] = [
    ("payload_format_indicator", 2, PacketType.PUBLISH),
    ("payload_format_indicator", -1, PacketType.PUBLISH),
    ("message_expiry_interval", 1 << 32, PacketType.PUBLISH),
    ("subscription_identifiers", [0], PacketType.PUBLISH),
    ("subscription_identifiers", [268_435_456], PacketType.PUBLISH),
    ("subscription_identifiers", [1, 2], PacketType.SUBSCRIBE),
    ("receive_maximum", 0, PacketType.CONNACK),
    ("receive_maximum", 65_536, PacketType.CONNACK),
    ("topic_alias", 0, PacketType.PUBLISH),
    ("maximum_qos", 2, PacketType.CONNACK),
    ("response_topic", "a/#", PacketType.PUBLISH),
    ("content_type", "x" * 65_536, PacketType.PUBLISH),
    ("reason_string", "\0", PacketType.PUBACK),
    ("user_properties", [("k", "\ud800")], PacketType.PUBACK),
    ("correlation_data", b"x" * 65_536, PacketType.PUBLISH),
]


@pytest.mark.parametrize(("name", "value", "packet_type"), WRONG)
def test_a_value_that_must_not_be_sent_is_not_written(name: str, value: Any, packet_type: int) -> None:
    with pytest.raises(ProtocolError):
        Properties(**{name: value}).encode(packet_type)


@pytest.mark.parametrize("packet_type", [WILL, PacketType.PUBLISH])
def test_user_properties_keep_their_order(packet_type: int) -> None:
    pairs = [("b", "1"), ("a", "2"), ("b", "3"), ("", ""), ("b", "1")]
    encoded = Properties(user_properties=pairs).encode(packet_type)
    assert Properties.decode(Reader(encoded), packet_type).user_properties == pairs


class CountingReader(Reader):
    """Counts how many fields are read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reads = 0

    def byte(self) -> int:
        self.reads += 1
        return super().byte()

    def varint(self) -> int:
        self.reads += 1
        return super().varint()

    def binary(self) -> bytes:
        self.reads += 1
        return super().binary()


def test_thousands_of_user_properties_are_each_read_once() -> None:
    """The work grows with the properties, not with their square: no field is looked at twice."""
    pairs = [(f"k{number}", "v") for number in range(5000)]
    reader = CountingReader(Properties(user_properties=pairs).encode(PacketType.CONNECT))
    assert Properties.decode(reader, PacketType.CONNECT).user_properties == pairs
    assert reader.left() == 0
    assert reader.reads == 1 + 3 * len(pairs)  # the length; of each its identifier, its key and its value
    assert Connect("b", properties=Properties(user_properties=pairs)).encode()


def test_a_length_beyond_the_packet_is_refused_before_anything_is_read() -> None:
    with pytest.raises(MalformedPacket):
        Properties.decode(Reader(octets("FFFFFF7F 24 01")), PacketType.CONNACK)


def test_the_repr_says_what_is_there_and_nothing_else() -> None:
    assert repr(Properties()) == "Properties()"
    assert repr(Properties(topic_alias=1, user_properties=[("k", "v")])) == (
        "Properties(topic_alias=1, user_properties=[('k', 'v')])"
    )


def test_an_error_names_the_property() -> None:
    with pytest.raises(ProtocolError) as refusal:
        decoded("24 02")
    assert str(refusal.value) == "the property maximum_qos (0x24) cannot be 2 [MQTT-4.13.1-1] (0x82 protocol error)"
