"""1.5 and 2: text, variable byte integers, fixed headers, packet identifiers, and where properties begin."""

import asyncio
from collections.abc import Callable

import pytest

from linnet import Broker
from linnet.wire import (
    V5,
    Connack,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Unsuback,
    Version,
)
from tests.conformance.tools import (
    EVERY_VERSION,
    ONLY_3_1_1,
    ONLY_5,
    SINCE_3_1_1,
    answers,
    codes,
    complaint,
    connect,
    lasting,
    packet,
    properties,
    string,
)
from tests.peer import PATIENCE, Peer, whole_packet

NULL = b"a\x00b"
ILL_FORMED = [b"\xff", b"a\xc0\x80b", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xe2\x82", b"\xf4\x90\x80\x80"]
BOM = "\ufeff"

Build = Callable[[Version, bytes], bytes]

# Every place for text in what a connected client sends
PLACES: dict[str, Build] = {
    "topic": lambda version, text: packet(0x30, string(text), properties(version), b"x"),
    "SUBSCRIBE": lambda version, text: packet(0x82, b"\x00\x01", properties(version), string(text), b"\x00"),
    "UNSUBSCRIBE": lambda version, text: packet(0xA2, b"\x00\x01", properties(version), string(text)),
}
PROPERTY_PLACES: dict[str, Build] = {
    "content type": lambda version, text: publish(b"\x03", text),
    "response topic": lambda version, text: publish(b"\x08", text),
    "user property's name": lambda version, text: publish(b"\x26", text, b"value"),
    "user property's value": lambda version, text: publish(b"\x26", b"name", text),
    "user property of SUBSCRIBE": lambda version, text: packet(
        0x82, b"\x00\x01", properties(V5, b"\x26", string(b"name"), string(text)), string(b"a"), b"\x00"
    ),
    "reason string": lambda version, text: packet(0xE0, b"\x00", properties(V5, b"\x1f", string(text))),
    "method": lambda version, text: packet(0xF0, b"\x19", properties(V5, b"\x15", string(text))),
}


def publish(identifier: bytes, *texts: bytes) -> bytes:
    """A PUBLISH of MQTT 5.0 with one property."""
    return packet(0x30, string(b"a"), properties(V5, identifier, *map(string, texts)), b"x")


async def exchange(broker: Broker, sent: bytes, count: int) -> bytes:
    """Sends bytes over a new connection, and returns that many of those that come back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
    try:
        writer.write(sent)
        async with asyncio.timeout(PATIENCE):
            return await reader.readexactly(count)
    finally:
        writer.close()
        await writer.wait_closed()


def cut(stream: bytes) -> list[bytes]:
    """The packets in a stream, sorted: a message and its acknowledgement may come in either order."""
    buffer, found = bytearray(stream), []
    while buffer:
        whole = whole_packet(buffer)
        assert whole is not None, f"ends with half a packet: {stream!r}"
        found.append(whole)
    return sorted(found)


# -- 1.5.4 (3.1.1: 1.5.3): text


@EVERY_VERSION
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", ILL_FORMED)
@pytest.mark.clause("3.1.1:MQTT-1.5.3-1", "5.0:MQTT-1.5.4-1")
async def test_ill_formed_text_ends_the_connection(broker: Broker, version: Version, place: str, text: bytes) -> None:
    async with Peer(broker, "bob", version) as bob:
        bob.send(PLACES[place](version, text))
        assert codes(await bob.closed()) == complaint(version, 0x81)


@EVERY_VERSION
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.clause("3.1.1:MQTT-1.5.3-2", "5.0:MQTT-1.5.4-2")
async def test_the_null_character_ends_the_connection(broker: Broker, version: Version, place: str) -> None:
    async with Peer(broker, "bob", version) as bob:
        bob.send(PLACES[place](version, NULL))
        assert codes(await bob.closed()) == complaint(version, 0x81)


@ONLY_5
@pytest.mark.parametrize("place", PROPERTY_PLACES)
@pytest.mark.parametrize("text", [*ILL_FORMED, NULL])
@pytest.mark.clause("5.0:MQTT-1.5.4-1", "5.0:MQTT-1.5.4-2", "5.0:MQTT-1.5.7-1")
async def test_ill_formed_text_in_a_property_ends_the_connection(
    broker: Broker, version: Version, place: str, text: bytes
) -> None:
    async with Peer(broker, "bob") as bob:
        bob.send(PROPERTY_PLACES[place](version, text))
        assert codes(await bob.closed()) == [("Disconnect", 0x81)]


@ONLY_5
@pytest.mark.parametrize("pair", [(b"\xff", b"value"), (b"name", b"\xff"), (NULL, b"value"), (b"name", NULL)])
@pytest.mark.clause("5.0:MQTT-1.5.7-1")
async def test_both_strings_of_a_pair_are_text_in_connect_too(
    broker: Broker, version: Version, pair: tuple[bytes, bytes]
) -> None:
    login = connect(version, said=b"\x26" + string(pair[0]) + string(pair[1]))
    assert codes(await answers(broker, login)) == [("Connack", 0x81)]


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-1.5.3-3", "5.0:MQTT-1.5.4-3")
async def test_a_byte_order_mark_is_a_character_of_topics(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as bob:
        await bob.subscribe(BOM + "a", qos=1)
        await bob.publish("a", b"without", qos=1)
        await bob.publish(BOM + "a", b"with", qos=1)
        message = await bob.receive()
        assert (message.topic, message.payload) == (BOM + "a", b"with")
        await bob.nothing()


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-1.5.3-3", "5.0:MQTT-1.5.4-3")
async def test_a_byte_order_mark_is_a_character_of_client_identifiers(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as bob, Peer(broker, BOM + "bob", version) as other:
        await bob.ping()
        await other.ping()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-1.5.4-3")
async def test_a_byte_order_mark_in_properties_is_forwarded(broker: Broker, version: Version) -> None:
    said = Properties(content_type=BOM + "text", user_properties=[(BOM, BOM + BOM)])
    async with Peer(broker, "bob") as bob:
        await bob.subscribe("a")
        await bob.publish("a", b"x", properties=said)
        assert (await bob.receive()).properties == said


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-1.5.3-1", "5.0:MQTT-1.5.4-1")
async def test_text_of_every_length_in_utf_8_is_fine(broker: Broker, version: Version) -> None:
    topic = "a\u007f\u00e9\u07ff\u0800\ud7ff\ue000\U00010000\U0010ffff".replace("\u007f", "")
    async with Peer(broker, "bob", version) as bob:
        await bob.subscribe(topic)
        await bob.publish(topic, b"x")
        assert (await bob.receive()).topic == topic


# -- 1.5.5: variable byte integers


@ONLY_5
@pytest.mark.parametrize(
    "wasteful",
    [
        b"\xc0\x80\x00",
        b"\x30\x85\x00" + b"\x00\x01a\x00x",
        b"\x30\x06" + b"\x00\x01a" + b"\x80\x00" + b"x",
        b"\x30\x0a" + b"\x00\x01a" + b"\x05" + b"\x83\x00\x00\x01t" + b"x",
        b"\x82\x0b" + b"\x00\x01" + b"\x03" + b"\x0b\x81\x00" + b"\x00\x02ab" + b"\x00",
    ],
    ids=["remaining length", "of PUBLISH", "property length", "property identifier", "value"],
)
@pytest.mark.clause("5.0:MQTT-1.5.5-1")
async def test_a_variable_byte_integer_in_more_bytes_than_needed_is_malformed(
    broker: Broker, version: Version, wasteful: bytes
) -> None:
    async with Peer(broker, "bob") as bob:
        bob.send(wasteful)
        assert codes(await bob.closed()) == [("Disconnect", 0x81)]


@EVERY_VERSION
@pytest.mark.clause("5.0:MQTT-1.5.5-1", "5.0:MQTT-4.13.1-1", "3.1.1:MQTT-4.8.0-1")
async def test_the_fourth_continuation_bit_is_malformed_before_more_comes(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as bob:
        bob.send(b"\xc0\x80\x80\x80\x80")
        assert codes(await bob.closed()) == complaint(version, 0x81)


@EVERY_VERSION
@pytest.mark.parametrize("size", [100, 127, 128, 16383, 16384])
@pytest.mark.clause("5.0:MQTT-1.5.5-1")
async def test_the_server_writes_lengths_in_as_few_bytes_as_it_can(broker: Broker, version: Version, size: int) -> None:
    head = string(b"a") + properties(version)
    suback = b"\x90\x03\x00\x01\x00" if version is not V5 else b"\x90\x04\x00\x01\x00\x00"
    message = packet(0x30, head, b"x" * (size - len(head)))
    async with Peer(broker, "ann", version) as ann:
        expected = ann.connack.encode(version) + suback + message
    request = packet(0x82, b"\x00\x01", properties(version), string(b"a"), b"\x00")
    assert await exchange(broker, connect(version) + request + message, len(expected)) == expected


# -- 2.1.3 (3.1.1: 2.2.2): flags

WHOLE: dict[int, Build] = {
    0x40: lambda version, _: b"\x40\x02\x00\x01",
    0x50: lambda version, _: b"\x50\x02\x00\x01",
    0x62: lambda version, _: b"\x62\x02\x00\x01",
    0x70: lambda version, _: b"\x70\x02\x00\x01",
    0x82: lambda version, _: packet(0x82, b"\x00\x01", properties(version), string(b"a"), b"\x00"),
    0xA2: lambda version, _: packet(0xA2, b"\x00\x01", properties(version), string(b"a")),
    0xC0: lambda version, _: b"\xc0\x00",
    0xE0: lambda version, _: b"\xe0\x00",
}


@SINCE_3_1_1
@pytest.mark.parametrize("first", WHOLE, ids=lambda first: f"{first:02x}")
@pytest.mark.clause(
    *("3.1.1:MQTT-2.2.2-2", "3.1.1:MQTT-3.6.1-1", "3.1.1:MQTT-3.8.1-1", "3.1.1:MQTT-3.10.1-1"),
    *("5.0:MQTT-2.1.3-1", "5.0:MQTT-3.6.1-1", "5.0:MQTT-3.8.1-1", "5.0:MQTT-3.10.1-1"),
)
async def test_every_wrong_flag_of_every_packet_is_malformed(broker: Broker, version: Version, first: int) -> None:
    for flags in set(range(16)) - {first & 0x0F}:
        async with Peer(broker, "bob", version) as bob:
            bob.send(bytes((first & 0xF0 | flags,)) + WHOLE[first](version, b"")[1:])
            assert codes(await bob.closed()) == complaint(version, 0x81), f"flags {flags:04b}"


@pytest.mark.parametrize("flags", range(1, 16))
@pytest.mark.clause("3.1.1:MQTT-2.2.2-2", "5.0:MQTT-2.1.3-1")
async def test_connect_with_flags_is_closed(broker: Broker, flags: int) -> None:
    assert await answers(broker, bytes((0x10 | flags,)) + connect(V5)[1:]) == []


@EVERY_VERSION
@pytest.mark.parametrize("flags", range(16))
@pytest.mark.clause("3.1.1:MQTT-2.2.2-2", "5.0:MQTT-2.1.3-1")
async def test_packet_type_0_does_not_exist(broker: Broker, version: Version, flags: int) -> None:
    async with Peer(broker, "bob", version) as bob:
        bob.send(bytes((flags, 0)))
        assert codes(await bob.closed()) == complaint(version, 0x81)


@ONLY_3_1_1
@pytest.mark.clause(
    *("3.1.1:MQTT-2.2.2-1", "3.1.1:MQTT-2.3.1-5", "3.1.1:MQTT-2.3.1-6", "3.1.1:MQTT-2.3.1-7"),
    *("3.1.1:MQTT-7.0.0-2", "3.1.1:MQTT-7.1.1-1"),
)
async def test_a_plain_client_of_3_1_1_gets_these_very_bytes(broker: Broker, version: Version) -> None:
    sent = (
        b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03bob"
        b"\x82\x06\x12\x34\x00\x01a\x02"
        b"\x30\x04\x00\x01ax"
        b"\x32\x06\x00\x01a\xab\xcdx"
        b"\x34\x06\x00\x01a\xfe\xffx"
        b"\x62\x02\xfe\xff"
        b"\x50\x02\x00\x02"
        b"\xa2\x05\x43\x21\x00\x01a"
        b"\xc0\x00"
    )
    answered = (
        b"\x20\x02\x00\x00"
        b"\x90\x03\x12\x34\x02"
        b"\x30\x04\x00\x01ax"
        b"\x32\x06\x00\x01a\x00\x01x"
        b"\x40\x02\xab\xcd"
        b"\x34\x06\x00\x01a\x00\x02x"
        b"\x50\x02\xfe\xff"
        b"\x70\x02\xfe\xff"
        b"\x62\x02\x00\x02"
        b"\xb0\x02\x43\x21"
        b"\xd0\x00"
    )
    assert cut(await exchange(broker, sent, len(answered))) == cut(answered)


@ONLY_5
@pytest.mark.clause(
    *("5.0:MQTT-2.1.3-1", "5.0:MQTT-2.2.1-2", "5.0:MQTT-2.2.1-5", "5.0:MQTT-2.2.1-6", "5.0:MQTT-2.2.2-1"),
    "5.0:MQTT-4.2.0-1",
)
async def test_a_plain_client_of_5_gets_these_very_bytes(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann", keep_alive=60) as ann:
        connack = ann.connack.encode(version)
    sent = (
        b"\x10\x10\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x03bob"
        b"\x82\x07\x12\x34\x00\x00\x01a\x02"
        b"\x30\x05\x00\x01a\x00x"
        b"\x32\x07\x00\x01a\xab\xcd\x00x"
        b"\x34\x07\x00\x01a\xfe\xff\x00x"
        b"\x62\x02\xfe\xff"
        b"\x50\x02\x00\x02"
        b"\xa2\x06\x43\x21\x00\x00\x01a"
        b"\xc0\x00"
    )
    answered = connack + (
        b"\x90\x04\x12\x34\x00\x02"
        b"\x30\x05\x00\x01a\x00x"
        b"\x32\x07\x00\x01a\x00\x01\x00x"
        b"\x40\x02\xab\xcd"
        b"\x34\x07\x00\x01a\x00\x02\x00x"
        b"\x50\x02\xfe\xff"
        b"\x70\x02\xfe\xff"
        b"\x62\x02\x00\x02"
        b"\xb0\x04\x43\x21\x00\x00"
        b"\xd0\x00"
    )
    assert cut(await exchange(broker, sent, len(answered))) == cut(answered)


@SINCE_3_1_1
@pytest.mark.clause("3.1.1:MQTT-7.1.1-1", "5.0:MQTT-4.2.0-1")
async def test_packets_may_be_cut_anywhere(broker: Broker, version: Version) -> None:
    whole = connect(version) + PLACES["SUBSCRIBE"](version, b"a") + PLACES["topic"](version, b"a") * 3
    async with Peer.raw(broker, version) as bob, Peer(broker, "ann", version) as ann:
        for at in range(len(whole)):
            bob.send(whole[at : at + 1])
            await ann.ping()  # the bytes before it have gone out by now
        await bob.expect(Connack)
        await bob.expect(Suback)
        assert [(await bob.receive()).payload for _ in range(3)] == [b"x"] * 3


# -- 2.2.1 (3.1.1: 2.3.1): packet identifiers


@EVERY_VERSION
@pytest.mark.parametrize(
    "build",
    [
        lambda version: packet(0x32, string(b"a"), b"\x00\x00", properties(version), b"x"),
        lambda version: packet(0x34, string(b"a"), b"\x00\x00", properties(version), b"x"),
        lambda version: packet(0x82, b"\x00\x00", properties(version), string(b"a"), b"\x00"),
        lambda version: packet(0xA2, b"\x00\x00", properties(version), string(b"a")),
        lambda version: b"\x40\x02\x00\x00",
        lambda version: b"\x62\x02\x00\x00",
    ],
    ids=["PUBLISH 1", "PUBLISH 2", "SUBSCRIBE", "UNSUBSCRIBE", "PUBACK", "PUBREL"],
)
@pytest.mark.clause("3.1.1:MQTT-2.3.1-1", "5.0:MQTT-2.2.1-3")
async def test_packet_identifier_0_ends_the_connection(
    broker: Broker, version: Version, build: Callable[[Version], bytes]
) -> None:
    async with Peer(broker, "bob", version) as bob:
        bob.send(build(version))
        found = codes(await bob.closed())
        assert found in (complaint(version, 0x81), complaint(version, 0x82))


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-2.3.1-3", "5.0:MQTT-2.2.1-3")
async def test_an_identifier_is_free_again_after_its_acknowledgement(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version, manual=True) as bob:
        await bob.subscribe("a")
        for payload in (b"one", b"two"):
            bob.send(Publish("a", payload, 1, packet_id=5))
            assert {type(await bob.receive()), type(await bob.receive())} == {Publish, Puback}
            bob.send(Publish("a", payload, 2, packet_id=5))
            assert {type(await bob.receive()), type(await bob.receive())} == {Publish, Pubrec}
            bob.send(Pubrel(5))
            assert (await bob.expect(Pubcomp)).packet_id == 5
        assert [each.payload for each in bob.received if isinstance(each, Publish)] == [
            *(b"one", b"one", b"two", b"two"),
        ]


@EVERY_VERSION
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.clause("3.1.1:MQTT-2.3.1-4", "5.0:MQTT-2.2.1-4")
async def test_the_server_gives_each_message_an_identifier_not_in_use(
    broker: Broker, version: Version, qos: int
) -> None:
    kept = lasting(version)
    async with Peer(broker, "ann") as ann:
        async with Peer(broker, "bob", version, False, properties=kept, manual=True) as bob:
            await bob.subscribe("a", qos=qos)
            for _ in range(5):
                await ann.publish("a", b"x", qos=qos)
            first = [(await bob.expect(Publish)).packet_id for _ in range(5)]
            assert first == [1, 2, 3, 4, 5]
        async with Peer(broker, "bob", version, False, properties=kept, manual=True) as again:
            await ann.publish("a", b"new", qos=qos)
            found = [await again.expect(Publish) for _ in range(6)]
            assert [each.packet_id for each in found[:5]] == first
            assert found[5].payload == b"new"
            assert found[5].packet_id not in {0, *first}


@SINCE_3_1_1
@pytest.mark.clause("3.1.1:MQTT-2.3.1-7", "5.0:MQTT-2.2.1-6")
async def test_suback_and_unsuback_have_the_identifier_of_their_request(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as bob:
        for number in (0xFFFF, 1, 0x0100):
            octets = number.to_bytes(2, "big")
            bob.send(packet(0x82, octets, properties(version), string(b"a"), b"\x00"))
            assert (await bob.expect(Suback)).packet_id == number
            bob.send(packet(0xA2, octets, properties(version), string(b"a")))
            assert (await bob.expect(Unsuback)).packet_id == number


@ONLY_5
@pytest.mark.parametrize(
    "without",
    [
        packet(0x30, string(b"a")),
        packet(0x82, b"\x00\x01", string(b"abcdefghijk"), b"\x00"),
        packet(0xA2, b"\x00\x01"),
    ],
    ids=["PUBLISH", "SUBSCRIBE", "UNSUBSCRIBE"],
)
@pytest.mark.clause("5.0:MQTT-2.2.2-1")
async def test_a_packet_without_a_property_length_is_malformed(
    broker: Broker, version: Version, without: bytes
) -> None:
    async with Peer(broker, "bob") as bob:
        bob.send(without)
        assert codes(await bob.closed())[-1:] in ([("Disconnect", 0x81)], [("Disconnect", 0x82)])


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-2.3.1-5", "5.0:MQTT-2.2.1-2")
async def test_a_payload_at_qos_0_begins_where_no_identifier_is(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as bob:
        await bob.subscribe("a", qos=2)
        bob.send(PLACES["topic"](version, b"a"))
        message = await bob.receive()
        assert (message.payload, message.packet_id) == (b"x", 0)
