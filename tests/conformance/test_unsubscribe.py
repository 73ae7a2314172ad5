"""3.10 UNSUBSCRIBE and 3.11 UNSUBACK: how a client says what it no longer wants to hear of."""

import pytest

from linnet import Broker
from linnet.wire import (
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    SubscriptionOptions,
    Unsuback,
    Unsubscribe,
    Version,
)
from tests.conformance.tools import EVERY_VERSION, ONLY_5, codes, complaint, lasting, packet, properties, string
from tests.peer import Peer


@EVERY_VERSION
@pytest.mark.parametrize(
    "rest",
    [b"", b"\x00", b"\x00\x02a", b"\x00\x01a\x00", b"\x00\x01a\x00\x02b"],
    ids=["no filter", "half a length", "filter cut short", "half a second length", "second filter cut short"],
)
@pytest.mark.clause("3.1.1:MQTT-3.10.3-2", "5.0:MQTT-3.10.3-2")
async def test_an_unsubscribe_without_whole_filters_ends_the_connection(
    broker: Broker, version: Version, rest: bytes
) -> None:
    async with Peer(broker, "bob", version) as bob:
        bob.send(packet(0xA2, b"\x00\x01", properties(version), rest))
        found = codes(await bob.closed())
        assert found in (complaint(version, 0x81), complaint(version, 0x82))


@ONLY_5
async def test_an_unsubscribe_has_no_subscription_identifier(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob") as bob:
        bob.send(packet(0xA2, b"\x00\x01", properties(version, b"\x0b\x01"), string("a")))
        assert codes(await bob.closed()) == [("Disconnect", 0x82)]


@EVERY_VERSION
@pytest.mark.parametrize(
    "other",
    ["a", "a/", "/a/b", "a/b/", "A/b", "a/+", "+/b", "a/#", "#", "a/b/#", "a//b", "a/\ufeffb", "$share/group/a/b"],
)
@pytest.mark.clause("3.1.1:MQTT-3.10.4-1", "5.0:MQTT-3.10.4-1")
async def test_only_the_very_same_filter_is_unsubscribed_from(broker: Broker, version: Version, other: str) -> None:
    async with Peer(broker, "bob", version) as bob:
        await bob.subscribe("a/b")
        await bob.unsubscribe(other)
        await bob.publish("a/b", b"x")
        assert (await bob.receive()).payload == b"x"


@EVERY_VERSION
@pytest.mark.parametrize("name", ["a/b", "a/+", "+/b", "a/#", "#", "+/+", "$share/group/a/b", "$share/group/#"])
@pytest.mark.clause("3.1.1:MQTT-3.10.4-1", "3.1.1:MQTT-3.10.4-2", "5.0:MQTT-3.10.4-1", "5.0:MQTT-3.10.4-2")
async def test_what_was_unsubscribed_from_brings_no_more(broker: Broker, version: Version, name: str) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", version) as bob:
        await bob.subscribe(name, qos=1)
        await ann.publish("a/b", b"before", qos=1)
        assert (await bob.receive()).payload == b"before"
        await bob.unsubscribe(name)
        await ann.publish("a/b", b"after", qos=1)
        await bob.nothing()


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.10.4-2", "5.0:MQTT-3.10.4-2")
async def test_unsubscribing_from_one_filter_leaves_the_others_that_match(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as bob:
        for name in ("a/b", "a/+", "a/#"):
            await bob.subscribe(name)
        for name in ("a/b", "a/#"):
            await bob.unsubscribe(name)
            await bob.publish("a/b", b"x")
            assert (await bob.receive()).payload == b"x"
        await bob.nothing()


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.10.4-2", "5.0:MQTT-3.10.4-2")
async def test_an_unsubscribed_filter_stays_so_on_later_connections(broker: Broker, version: Version) -> None:
    kept = lasting(version)
    async with Peer(broker, "bob", version, False, properties=kept) as bob:
        await bob.subscribe("a", qos=1)
        await bob.unsubscribe("a")
    async with Peer(broker, "bob", version, False, properties=kept) as again:
        await again.publish("a", b"x", qos=1)
        await again.nothing()


@EVERY_VERSION
@pytest.mark.parametrize("name", ["a", "$share/group/a"])
@pytest.mark.clause("3.1.1:MQTT-3.10.4-3", "5.0:MQTT-3.10.4-3")
async def test_a_delivery_begun_is_completed_after_unsubscribing(broker: Broker, version: Version, name: str) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", version, manual=True) as bob:
        await bob.subscribe(name, qos=2)
        for qos in (1, 2, 2):
            await ann.publish("a", b"x", qos=qos)
        once, twice, released = [await bob.expect(Publish) for _ in range(3)]
        bob.send(Pubrec(released.packet_id))
        await bob.expect(Pubrel)
        await bob.unsubscribe(name)
        bob.send(Puback(once.packet_id))
        bob.send(Pubrec(twice.packet_id))
        pubrel = await bob.expect(Pubrel)
        assert (pubrel.packet_id, pubrel.reason_code) == (twice.packet_id, 0)
        for each in (twice, released):
            bob.send(Pubcomp(each.packet_id))
        await bob.nothing()


@EVERY_VERSION
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.clause("3.1.1:MQTT-3.10.4-3", "5.0:MQTT-3.10.4-3")
async def test_a_delivery_begun_survives_unsubscribing_and_a_new_connection(
    broker: Broker, version: Version, qos: int
) -> None:
    kept = lasting(version)
    async with Peer(broker, "ann") as ann:
        async with Peer(broker, "bob", version, False, properties=kept, manual=True) as bob:
            await bob.subscribe("a", qos=qos)
            await ann.publish("a", b"begun", qos=qos)
            first = await bob.expect(Publish)
            await bob.unsubscribe("a")
        async with Peer(broker, "bob", version, False, properties=kept) as again:
            second = await again.expect(Publish)
            assert (second.payload, second.dup, second.packet_id) == (b"begun", True, first.packet_id)
            await again.nothing()


@ONLY_5
@pytest.mark.parametrize("name", ["a", "$share/group/a"])
@pytest.mark.clause("5.0:MQTT-3.10.4-3")
async def test_completing_after_unsubscribing_makes_room_for_the_next_message(
    broker: Broker, version: Version, name: str
) -> None:
    narrow = Properties(receive_maximum=1)
    async with (
        Peer(broker, "ann") as ann,
        Peer(broker, "cat") as cat,
        Peer(broker, "bob", properties=narrow, manual=True) as bob,
    ):
        await bob.subscribe(name, qos=1)
        await ann.publish("a", b"begun", qos=1)
        message = await bob.expect(Publish)
        await cat.subscribe(name, qos=1)
        await bob.unsubscribe(name)
        await bob.subscribe("b", qos=1)
        await ann.publish("b", b"next", qos=1)
        bob.send(Puback(message.packet_id))
        assert (await bob.expect(Publish)).payload == b"next"


@EVERY_VERSION
@pytest.mark.clause(
    *("3.1.1:MQTT-3.10.4-4", "3.1.1:MQTT-3.10.4-5"),
    *("5.0:MQTT-3.10.4-4", "5.0:MQTT-3.10.4-5"),
)
async def test_every_unsubscribe_gets_an_unsuback_with_its_identifier(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as bob:
        await bob.subscribe("a")
        numbers = [9, 65535, 1, 256]
        for number in numbers:
            bob.send(Unsubscribe(number, ["a"], Properties()))
        found = [await bob.expect(Unsuback) for _ in numbers]
        assert [each.packet_id for each in found] == numbers
        if version.can_say_why:
            assert [each.reason_codes for each in found] == [[0], [0x11], [0x11], [0x11]]
        await bob.nothing()


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.10.4-6", "5.0:MQTT-3.10.4-6", "5.0:MQTT-3.11.3-1", "5.0:MQTT-3.11.3-2")
async def test_unsuback_answers_each_filter_in_its_place(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as bob:
        await bob.subscribe([(name, SubscriptionOptions()) for name in ("a", "b/+", "c", "$share/group/d")])
        unsuback = await bob.unsubscribe("b/+", "nobody/+", "a", "a", "$share/group/d", "d", "")
        if version.can_say_why:
            assert unsuback.reason_codes[:6] == [0, 0x11, 0, 0x11, 0, 0x11]
            assert len(unsuback.reason_codes) == 7
        for name in ("a", "b/x", "d", "c"):
            await bob.publish(name, name.encode())
        assert (await bob.receive()).topic == "c"
        await bob.nothing()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.11.2-1", "5.0:MQTT-3.11.2-2")
async def test_unsuback_leaves_out_what_would_make_it_too_large(broker: Broker, version: Version) -> None:
    spacious = Properties(maximum_packet_size=80)  # enough for CONNACK, too little for a long explanation
    async with Peer(broker, "bob", properties=spacious) as bob:
        unsuback = await bob.unsubscribe("nobody/" + "x" * 500)
        assert unsuback.reason_codes == [0x11]
        assert len(unsuback.encode(version)) <= 80
