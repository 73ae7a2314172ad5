"""3.3.2.3: the properties of PUBLISH, which reach every subscriber as they came."""

from collections.abc import Callable
from dataclasses import fields

import pytest

from linnet import Broker
from linnet.wire import V3_1, V3_1_1, V5, Properties, Publish, Version
from tests.conformance.tools import BEFORE_5, ONLY_5, codes, lasting, packet, properties, string, varint
from tests.conftest import MakeBroker
from tests.peer import Peer

QOS = pytest.mark.parametrize("qos", [0, 1, 2])
PAIRS = [("b", "1"), ("a", "2"), ("b", "1"), ("", ""), ("b", "0"), ("é\ufeff", "𝄞")]
EVERYTHING = Properties(
    payload_format_indicator=1,
    content_type="text/plain",
    response_topic="answers/to bob",
    correlation_data=b"\x00\xff\x00",
    user_properties=PAIRS,
)
# What is forwarded as it came, and whom it obeys
FORWARDED = [
    pytest.param(Properties(payload_format_indicator=0), id="format 0"),
    pytest.param(Properties(payload_format_indicator=1), id="format 1"),
    pytest.param(Properties(content_type="image/png; é"), id="content type"),
    pytest.param(Properties(content_type=""), id="empty content type"),
    pytest.param(Properties(response_topic="$answers//to bob/"), id="response topic"),
    pytest.param(Properties(correlation_data=bytes(range(256)) * 2), id="correlation data"),
    pytest.param(Properties(correlation_data=b""), id="empty correlation data"),
    pytest.param(Properties(user_properties=PAIRS), id="user properties"),
    pytest.param(EVERYTHING, id="everything"),
    pytest.param(Properties(), id="nothing"),
]
FORWARDING = pytest.mark.clause(
    *("5.0:MQTT-3.3.2-4", "5.0:MQTT-3.3.2-15", "5.0:MQTT-3.3.2-16", "5.0:MQTT-3.3.2-17"),
    *("5.0:MQTT-3.3.2-18", "5.0:MQTT-3.3.2-20"),
)
EXPIRY, IDENTIFIER, ALIAS = b"\x02\x00\x00\x00\x09", b"\x0b\x01", b"\x23\x00\x01"
FORMAT, CONTENT, RESPONSE, DATA = b"\x01\x00", b"\x03\x00\x01c", b"\x08\x00\x01r", b"\x09\x00\x01d"
PAIR = b"\x26\x00\x01n\x00\x01v"


def publish(*said: bytes, qos: int = 0) -> bytes:
    """A PUBLISH of MQTT 5.0 with these properties."""
    return packet(0x30 | qos << 1, string("a"), b"\x00\x01" if qos else b"", properties(V5, *said), b"x")


# -- what is forwarded


@ONLY_5
@QOS
@pytest.mark.parametrize("said", FORWARDED)
@FORWARDING
async def test_properties_are_forwarded_at_once(broker: Broker, version: Version, said: Properties, qos: int) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await bob.subscribe("a", qos=2)
        await ann.publish("a", b"x", qos=qos, properties=said)
        message = await bob.receive()
        assert (message.payload, message.properties) == (b"x", said)


@ONLY_5
@pytest.mark.parametrize("said", FORWARDED)
@FORWARDING
async def test_properties_are_forwarded_from_the_queue(broker: Broker, version: Version, said: Properties) -> None:
    async with Peer(broker, "bob", clean_start=False, properties=lasting(version)) as bob:
        await bob.subscribe("a", qos=2)
    async with Peer(broker, "ann") as ann:
        for qos in (1, 2):
            await ann.publish("a", b"x", qos=qos, properties=said)
    async with Peer(broker, "bob", clean_start=False, properties=lasting(version)) as again:
        assert [(await again.receive()).properties for _ in range(2)] == [said, said]


@ONLY_5
@QOS
@pytest.mark.parametrize("said", FORWARDED)
@FORWARDING
async def test_properties_are_kept_with_a_retained_message(
    broker: Broker, version: Version, said: Properties, qos: int
) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await ann.publish("a", b"x", qos=qos, retain=True, properties=said)
        await ann.ping()
        await bob.subscribe("a", qos=2)
        message = await bob.receive()
        assert (message.payload, message.properties) == (b"x", said)


@ONLY_5
@pytest.mark.parametrize("said", FORWARDED)
@FORWARDING
async def test_properties_are_the_same_when_a_message_is_sent_again(
    broker: Broker, version: Version, said: Properties
) -> None:
    async with Peer(broker, "ann") as ann:
        async with Peer(broker, "bob", clean_start=False, properties=lasting(version), manual=True) as bob:
            await bob.subscribe("a", qos=1)
            await ann.publish("a", b"x", qos=1, properties=said)
            assert (await bob.expect(Publish)).properties == said
        async with Peer(broker, "bob", clean_start=False, properties=lasting(version)) as again:
            assert (await again.expect(Publish)).properties == said


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.3.2-17", "5.0:MQTT-3.3.2-18")
async def test_user_properties_between_others_keep_their_order(broker: Broker, version: Version) -> None:
    first, second, third = (b"\x26" + string(name) + string(name) for name in "zya")
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await bob.subscribe("a", identifier=5)
        ann.send(publish(first, CONTENT, second, EXPIRY, third, FORMAT, second))
        told = (await bob.receive()).properties
        assert told.user_properties == [("z", "z"), ("y", "y"), ("a", "a"), ("y", "y")]
        assert (told.content_type, told.payload_format_indicator, told.message_expiry_interval) == ("c", 0, 9)
        assert told.subscription_identifiers == [5]


@ONLY_5
@QOS
@FORWARDING
async def test_what_belongs_to_one_hop_leaves_the_rest_alone(broker: Broker, version: Version, qos: int) -> None:
    mine = Properties(
        topic_alias=3, message_expiry_interval=100, **{row.name: getattr(EVERYTHING, row.name) for row in SET}
    )
    yours = Properties(
        subscription_identifiers=[200],
        message_expiry_interval=100,
        **{row.name: getattr(EVERYTHING, row.name) for row in SET},
    )
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await bob.subscribe("a", qos=qos, identifier=200)
        await ann.publish("a", b"x", qos=qos, properties=mine)
        assert (await bob.receive()).properties == yours


SET = [row for row in fields(EVERYTHING) if getattr(EVERYTHING, row.name)]


@ONLY_5
@pytest.mark.parametrize("size", [10, 100, 127, 128, 200, 20_000])
@pytest.mark.clause("5.0:MQTT-3.3.2-16")
async def test_properties_of_any_length_are_forwarded(broker: Broker, version: Version, size: int) -> None:
    said = Properties(correlation_data=b"d" * size)
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await bob.subscribe("a", qos=2, identifier=1)
        for qos in (0, 1, 2):
            await ann.publish("a", b"x", qos=qos, properties=said)
            message = await bob.receive()
            assert (message.payload, message.properties.correlation_data) == (b"x", b"d" * size)


@BEFORE_5
@QOS
async def test_clients_before_5_get_the_message_without_properties(broker: Broker, version: Version, qos: int) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", version) as bob:
        await bob.subscribe("a", qos=qos)
        await ann.publish("a", b"live", qos=qos, retain=True, properties=EVERYTHING)
        assert (await bob.receive()).payload == b"live"
        await bob.subscribe("a", qos=qos)
        message = await bob.receive()
        assert (message.payload, message.retain, message.properties) == (b"live", True, Properties())


@QOS
@pytest.mark.parametrize("other", [V3_1, V3_1_1], ids=lambda version: version.name)
async def test_a_message_from_before_5_has_no_properties_in_5(broker: Broker, other: Version, qos: int) -> None:
    async with Peer(broker, "ann", other) as ann, Peer(broker, "bob") as bob:
        await bob.subscribe("a", qos=qos)
        await ann.publish("a", b"\x00x", qos=qos, retain=True)
        live = await bob.receive()
        await bob.subscribe("a", qos=qos)
        kept = await bob.receive()
        assert (live.payload, live.retain, live.properties) == (b"\x00x", False, Properties())
        assert (kept.payload, kept.retain, kept.properties) == (b"\x00x", True, Properties())


# -- what is refused


@ONLY_5
@QOS
@pytest.mark.parametrize("value", [2, 0xFF])
@pytest.mark.clause("5.0:MQTT-3.3.2-4")
async def test_a_payload_format_other_than_0_and_1_is_a_protocol_error(
    broker: Broker, version: Version, value: int, qos: int
) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await ann.subscribe("#")
        bob.send(publish(b"\x01" + bytes((value,)), qos=qos))
        assert codes(await bob.closed()) == [("Disconnect", 0x82)]
        await ann.nothing()


@ONLY_5
@pytest.mark.parametrize("topic", ["#", "+", "answers/#", "answers/+/a", "answers+", ""])
@pytest.mark.clause("5.0:MQTT-3.3.2-14")
async def test_a_response_topic_has_no_wildcards(broker: Broker, version: Version, topic: str) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await ann.subscribe("#")
        bob.send(publish(b"\x08" + string(topic)))
        assert codes(await bob.closed()) == [("Disconnect", 0x82)]
        await ann.nothing()


@ONLY_5
@pytest.mark.parametrize(
    "text", [b"\xff", b"a\x00b", b"\xed\xa0\x80", b"\xc0\xaf"], ids=["not UTF-8", "null", "surrogate", "overlong"]
)
@pytest.mark.parametrize("identifier", [b"\x03", b"\x08"], ids=["content type", "response topic"])
@pytest.mark.clause("5.0:MQTT-3.3.2-13", "5.0:MQTT-3.3.2-19")
async def test_content_type_and_response_topic_are_text(
    broker: Broker, version: Version, identifier: bytes, text: bytes
) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await ann.subscribe("#")
        bob.send(publish(identifier + string(text)))
        assert codes(await bob.closed()) == [("Disconnect", 0x81)]
        await ann.nothing()


@ONLY_5
@pytest.mark.parametrize("said", [FORMAT, EXPIRY, CONTENT, RESPONSE, DATA, ALIAS], ids=lambda said: f"{said[0]:02x}")
async def test_all_but_user_properties_come_once(broker: Broker, version: Version, said: bytes) -> None:
    async with Peer(broker, "bob") as bob:
        await bob.subscribe("a")
        bob.send(publish(PAIR, said, PAIR))
        assert len((await bob.receive()).properties.user_properties) == 2
        bob.send(publish(said, PAIR, said))
        assert codes(await bob.closed()) == [("Disconnect", 0x82)]


FOREIGN: dict[str, bytes] = {
    "session expiry interval": b"\x11\x00\x00\x00\x01",
    "assigned client identifier": b"\x12\x00\x01a",
    "server keep alive": b"\x13\x00\x05",
    "authentication method": b"\x15\x00\x01a",
    "authentication data": b"\x16\x00\x01a",
    "request problem information": b"\x17\x01",
    "will delay interval": b"\x18\x00\x00\x00\x01",
    "request response information": b"\x19\x01",
    "response information": b"\x1a\x00\x01a",
    "server reference": b"\x1c\x00\x01a",
    "reason string": b"\x1f\x00\x01a",
    "receive maximum": b"\x21\x00\x05",
    "topic alias maximum": b"\x22\x00\x05",
    "maximum qos": b"\x24\x01",
    "retain available": b"\x25\x01",
    "maximum packet size": b"\x27\x00\x00\x01\x00",
    "wildcard subscription available": b"\x28\x01",
    "subscription identifiers available": b"\x29\x01",
    "shared subscription available": b"\x2a\x01",
}


@ONLY_5
@pytest.mark.parametrize("said", FOREIGN.values(), ids=FOREIGN)
async def test_a_property_of_another_packet_is_a_protocol_error(broker: Broker, version: Version, said: bytes) -> None:
    async with Peer(broker, "bob") as bob:
        bob.send(publish(said))
        assert codes(await bob.closed()) == [("Disconnect", 0x82)]


Cut = Callable[[bytes], bytes]


@ONLY_5
@pytest.mark.parametrize(
    "said", [FORMAT, EXPIRY, CONTENT, RESPONSE, DATA, ALIAS, PAIR], ids=lambda said: f"{said[0]:02x}"
)
@pytest.mark.parametrize(
    "cut",
    [
        lambda said: packet(0x30, string("a"), varint(len(said) - 1), said[:-1]),
        lambda said: packet(0x30, string("a"), varint(len(said) + 1), said),
        lambda said: packet(0x30, string("a"), varint(len(said) - 1), said, b"payload"),
    ],
    ids=["with the packet", "before its length", "by its length"],
)
async def test_a_property_cut_short_is_malformed(broker: Broker, version: Version, said: bytes, cut: Cut) -> None:
    async with Peer(broker, "bob") as bob:
        bob.send(cut(said))
        assert codes(await bob.closed()) == [("Disconnect", 0x81)]


# -- whether a payload is what it is said to be


@ONLY_5
@QOS
@pytest.mark.parametrize("checked", [False, True])
async def test_a_payload_that_is_not_the_text_it_is_said_to_be_is_refused_on_demand(
    make_broker: MakeBroker, version: Version, checked: bool, qos: int
) -> None:
    broker = await make_broker(check_payload_format=checked)
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await ann.subscribe("a")
        await bob.publish("a", "té".encode(), qos=qos, properties=Properties(payload_format_indicator=1))
        await bob.publish("a", b"\xff", qos=qos, properties=Properties(payload_format_indicator=0))
        bob.send(
            Publish("a", b"\xfe", qos, packet_id=9 if qos else 0, properties=Properties(payload_format_indicator=1))
        )
        if checked:
            left = await bob.closed()
            assert any(getattr(each, "reason_code", 0) == 0x99 for each in left)
        found = [(await ann.receive()).payload for _ in range(2 if checked else 3)]
        assert found == ["té".encode(), b"\xff", b"\xfe"][: len(found)]
        await ann.nothing()
