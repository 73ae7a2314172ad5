"""3.3.2.3.4: topic aliases, which stand for a topic name in one direction of one connection."""

import pytest

from linnet import Broker
from linnet.wire import Properties, Pubcomp, Publish, Pubrec, Pubrel, Version
from tests.conformance.tools import ONLY_5, codes, lasting
from tests.conftest import MakeBroker
from tests.peer import Peer

QOS = pytest.mark.parametrize("qos", [0, 1, 2])


def alias(number: int) -> Properties:
    """The property that sets or uses an alias."""
    return Properties(topic_alias=number)


async def sayings(bob: Peer, count: int) -> list[tuple[str, bytes]]:
    """Topics and payloads of the next messages."""
    found = [await bob.expect(Publish) for _ in range(count)]
    assert all(each.properties.topic_alias is None for each in found)
    return [(each.topic, each.payload) for each in found]


# -- from the client


@ONLY_5
@QOS
@pytest.mark.clause("5.0:MQTT-3.3.2-12")
async def test_every_alias_up_to_the_servers_maximum_may_be_used(broker: Broker, version: Version, qos: int) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await bob.subscribe("#", qos=2)
        last = ann.connack.properties.topic_alias_maximum
        assert last is not None
        for number in range(last, 0, -1):
            await ann.publish(f"topic/{number}", b"in full", qos=qos, properties=alias(number))
        for number in range(1, last + 1):
            await ann.publish("", b"alias", qos=qos, properties=alias(number))
        numbers = range(1, last + 1)
        full = [(f"topic/{number}", b"in full") for number in reversed(numbers)]
        assert await sayings(bob, 2 * last) == full + [(f"topic/{number}", b"alias") for number in numbers]


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.3.2-12")
async def test_an_alias_may_be_given_to_another_topic(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await bob.subscribe("#")
        for topic, number in (("a", 1), ("", 1), ("b", 1), ("", 1), ("b", 2), ("", 2), ("", 1), ("a", 1), ("", 2)):
            await ann.publish(topic, b"x", properties=alias(number))
        assert [topic for topic, _ in await sayings(bob, 9)] == ["a", "a", "b", "b", "b", "b", "b", "a", "b"]


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.3.2-12")
async def test_a_topic_without_its_alias_changes_no_alias(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await bob.subscribe("#")
        await ann.publish("a", b"sets", properties=alias(1))
        await ann.publish("b", b"sets nothing")
        await ann.publish("", b"uses", properties=alias(1))
        assert await sayings(bob, 3) == [("a", b"sets"), ("b", b"sets nothing"), ("a", b"uses")]


@ONLY_5
@QOS
@pytest.mark.clause("5.0:MQTT-3.3.2-8", "5.0:MQTT-3.3.2-9")
@pytest.mark.parametrize(
    ("topic", "number", "code"), [("a", 0, 0x94), ("", 0, 0x94), ("a", 17, 0x94), ("", 65535, 0x94)]
)
async def test_an_alias_out_of_range_ends_the_connection(
    broker: Broker, version: Version, topic: str, number: int, code: int, qos: int
) -> None:
    said = b"\x03\x23" + number.to_bytes(2, "big")
    head = len(topic).to_bytes(2, "big") + topic.encode() + (b"\x00\x01" if qos else b"") + said
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await bob.subscribe("#")
        ann.send(bytes((0x30 | qos << 1, len(head))) + head)
        assert codes(await ann.closed()) == [("Disconnect", code)]
        await bob.nothing()


@ONLY_5
@QOS
async def test_an_alias_that_was_never_set_ends_the_connection(broker: Broker, version: Version, qos: int) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await bob.subscribe("#")
        await ann.publish("a", b"x", properties=alias(1))
        assert await sayings(bob, 1) == [("a", b"x")]
        ann.send(Publish("", b"x", qos, packet_id=1 if qos else 0, properties=alias(2)))
        assert codes(await ann.closed()) == [("Disconnect", 0x82)]
        await bob.nothing()


@ONLY_5
async def test_an_alias_for_a_wildcard_ends_the_connection(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await bob.subscribe("#")
        ann.send(Publish("a/#", b"x", properties=alias(1)))
        assert codes(await ann.closed()) == [("Disconnect", 0x90)]
        await bob.nothing()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.3.2-7")
async def test_an_alias_ends_with_its_connection_and_not_with_the_session(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann", clean_start=False, properties=lasting(version)) as ann:
        await ann.publish("a", b"x", qos=1, properties=alias(1))
        await ann.publish("", b"x", qos=1, properties=alias(1))
    async with Peer(broker, "ann", clean_start=False, properties=lasting(version)) as again:
        assert again.connack.session_present
        again.send(Publish("", b"x", properties=alias(1)))
        assert codes(await again.closed()) == [("Disconnect", 0x82)]


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.3.2-7")
async def test_an_alias_belongs_to_one_connection(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "cat") as cat, Peer(broker, "bob") as bob:
        await bob.subscribe("#", qos=1)
        await ann.publish("of/ann", b"x", qos=1, properties=alias(1))
        await cat.publish("of/cat", b"x", qos=1, properties=alias(1))
        await ann.publish("", b"x", qos=1, properties=alias(1))
        await cat.publish("", b"x", qos=1, properties=alias(1))
        assert [topic for topic, _ in await sayings(bob, 4)] == ["of/ann", "of/cat", "of/ann", "of/cat"]


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.3.2-7")
async def test_the_directions_have_aliases_of_their_own(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", properties=Properties(topic_alias_maximum=3)) as bob:
        await bob.subscribe("#")
        await ann.publish("from/ann", b"x")
        theirs = (await bob.expect(Publish)).properties.topic_alias
        assert theirs is not None
        bob.send(Publish("", b"x", properties=alias(theirs)))
        assert codes(await bob.closed()) == [("Disconnect", 0x82)]


@ONLY_5
async def test_a_message_with_an_alias_is_retained_under_its_topic(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await ann.publish("a", b"first", qos=1, properties=alias(1))
        await ann.publish("", b"retained", qos=1, retain=True, properties=alias(1))
        await bob.subscribe("#")
        assert await sayings(bob, 1) == [("a", b"retained")]


@ONLY_5
async def test_a_repeated_qos_2_message_may_use_its_alias(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann", manual=True) as ann, Peer(broker, "bob") as bob:
        await bob.subscribe("#", qos=2)
        ann.send(Publish("a", b"x", 2, packet_id=1, properties=alias(1)))
        ann.send(Publish("", b"x", 2, packet_id=1, dup=True, properties=alias(1)))
        assert [(await ann.expect(Pubrec)).packet_id for _ in range(2)] == [1, 1]
        ann.send(Pubrel(1))
        await ann.expect(Pubcomp)
        assert await sayings(bob, 1) == [("a", b"x")]
        await bob.nothing()


# -- from the server


@ONLY_5
@QOS
@pytest.mark.clause("5.0:MQTT-3.3.2-11", "5.0:MQTT-3.3.2-8")
async def test_the_server_gives_the_topic_in_full_with_a_new_alias(broker: Broker, version: Version, qos: int) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", properties=Properties(topic_alias_maximum=2)) as bob:
        await bob.subscribe("#", qos=qos)
        known: dict[int, str] = {}
        for topic in ("a", "a", "b", "a", "c", "c", "a", "b", "a", "d", "d", "b"):
            await ann.publish(topic, b"x", qos=qos)
            message = await bob.expect(Publish)
            number = message.properties.topic_alias
            assert number in (1, 2, None)
            if message.topic and number:
                known[number] = message.topic
            assert (message.topic or known[number or 0]) == topic


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.3.2-7")
async def test_the_servers_aliases_end_with_the_connection_too(broker: Broker, version: Version) -> None:
    said = lasting(version, topic_alias_maximum=5)
    async with Peer(broker, "ann") as ann:
        for _ in range(2):
            async with Peer(broker, "bob", clean_start=False, properties=said) as bob:
                await bob.subscribe("a", qos=1)
                await ann.publish("a", b"x", qos=1)
                assert (await bob.expect(Publish)).topic == "a"


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.3.2-7", "5.0:MQTT-3.3.2-11")
async def test_what_is_sent_again_knows_only_the_aliases_of_its_connection(broker: Broker, version: Version) -> None:
    said = lasting(version, topic_alias_maximum=5)
    async with Peer(broker, "ann") as ann:
        async with Peer(broker, "bob", clean_start=False, properties=said, manual=True) as bob:
            await bob.subscribe("a", qos=1)
            for _ in range(2):
                await ann.publish("a", b"x", qos=1)
                await bob.expect(Publish)
        async with Peer(broker, "bob", clean_start=False, properties=said, manual=True) as again:
            first, second = await again.expect(Publish), await again.expect(Publish)
            assert first.topic == "a"
            assert second.topic in ("a", "")
            assert second.topic or second.properties.topic_alias == first.properties.topic_alias
        async with Peer(broker, "bob", clean_start=False, properties=lasting(version), manual=True) as plain:
            assert await sayings(plain, 2) == [("a", b"x"), ("a", b"x")]


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.3.2-11")
async def test_an_alias_whose_message_was_too_large_is_not_taken_for_known(broker: Broker, version: Version) -> None:
    said = Properties(topic_alias_maximum=1, maximum_packet_size=50)
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", properties=said) as bob:
        await bob.subscribe("#")
        for topic, payload in (("a", b"x" * 50), ("a", b"one"), ("b", b"x" * 50), ("b", b"two"), ("a", b"three")):
            await ann.publish(topic, payload, qos=1)
        found = [await bob.expect(Publish) for _ in range(3)]
        assert [(each.topic, each.payload) for each in found] == [("a", b"one"), ("b", b"two"), ("a", b"three")]


@ONLY_5
async def test_a_server_may_be_told_to_use_no_aliases(make_broker: MakeBroker, version: Version) -> None:
    broker = await make_broker(topic_alias_maximum_out=0)
    async with Peer(broker, "bob", properties=Properties(topic_alias_maximum=5)) as bob:
        await bob.subscribe("#")
        for _ in range(3):
            await bob.publish("a", b"x")
        assert await sayings(bob, 3) == [("a", b"x")] * 3
