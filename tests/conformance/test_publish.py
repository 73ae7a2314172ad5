"""3.3 PUBLISH: flags, topic name and payload, and how it is answered and handed on."""

import pytest

from linnet import Broker
from linnet.core.ports import Hooks
from linnet.core.session import Session
from linnet.errors import ReasonCode
from linnet.wire import (
    Message,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    SubscriptionOptions,
    Version,
)
from tests.conformance.tools import (
    EVERY_VERSION,
    ONLY_5,
    codes,
    complaint,
    lasting,
    packet,
    properties,
    string,
)
from tests.conftest import MakeBroker
from tests.peer import Peer

QOS = pytest.mark.parametrize("qos", [0, 1, 2])
ABOVE_0 = pytest.mark.parametrize("qos", [1, 2])


def publish(version: Version, flags: int, topic: str, *said: bytes) -> bytes:
    """A PUBLISH of any flags, with packet identifier 7 where they ask for one."""
    number = b"\x00\x07" if flags & 0x06 else b""
    return packet(0x30 | flags, string(topic), number, properties(version, *said), b"x")


# -- 3.3.1: DUP and QoS


@EVERY_VERSION
@ABOVE_0
@pytest.mark.clause("3.1.1:MQTT-3.3.1-1", "5.0:MQTT-3.3.1-1")
async def test_what_is_sent_again_has_dup_set(broker: Broker, version: Version, qos: int) -> None:
    async with Peer(broker, "ann", version) as ann:
        async with Peer(broker, "bob", version, False, properties=lasting(version), manual=True) as bob:
            await bob.subscribe("a", qos=qos)
            await ann.publish("a", b"unacknowledged", qos=qos)
            first = await bob.expect(Publish)
        async with Peer(broker, "bob", version, False, properties=lasting(version), manual=True) as again:
            second = await again.expect(Publish)
            await again.nothing()
    assert (first.dup, second.dup) == (False, True)
    assert (second.packet_id, second.payload, second.qos) == (first.packet_id, b"unacknowledged", qos)


@EVERY_VERSION
@ABOVE_0
@pytest.mark.clause("3.1.1:MQTT-3.3.1-3", "5.0:MQTT-3.3.1-3")
async def test_the_dup_of_a_publisher_is_not_passed_on(broker: Broker, version: Version, qos: int) -> None:
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        await bob.subscribe([("a", SubscriptionOptions(qos)), ("b", SubscriptionOptions(0))])
        for number, topic in ((1, "a"), (2, "b")):
            ann.send(Publish(topic, b"x", qos, dup=True, packet_id=number))
            assert not (await bob.expect(Publish)).dup


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.3.1-3", "5.0:MQTT-3.3.1-3")
async def test_a_repetition_to_one_subscriber_is_none_to_another(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann", version) as ann, Peer(broker, "cat", version) as cat:
        await cat.subscribe("a", qos=1)
        for _ in range(2):
            async with Peer(broker, "bob", version, False, properties=lasting(version), manual=True) as bob:
                await bob.subscribe("a", qos=1)
                await ann.publish("a", b"x", qos=1)
                await bob.expect(Publish)
                assert not (await cat.expect(Publish)).dup
        assert [each.dup for each in bob.received if isinstance(each, Publish)] == [True, False]


@EVERY_VERSION
@pytest.mark.parametrize("flags", [0x06, 0x07, 0x0E, 0x0F, 0x08, 0x09], ids="{:04b}".format)
@pytest.mark.clause("3.1.1:MQTT-3.3.1-2", "3.1.1:MQTT-3.3.1-4", "5.0:MQTT-3.3.1-2", "5.0:MQTT-3.3.1-4")
async def test_qos_3_and_dup_at_qos_0_are_malformed(broker: Broker, version: Version, flags: int) -> None:
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        await ann.subscribe("#", qos=2)
        bob.send(publish(version, flags, "a"))
        assert codes(await bob.closed()) == complaint(version, 0x81)
        await ann.nothing()


# -- 3.3.2.1: topic names


@EVERY_VERSION
@pytest.mark.parametrize("flags", [0x00, 0x01, 0x02, 0x04])
@pytest.mark.parametrize("topic", ["#", "+", "a/#", "a/+", "+/a", "#/a", "a/+/b", "a#", "a+b"])
@pytest.mark.clause("3.1.1:MQTT-3.3.2-2", "3.1.1:MQTT-4.7.1-1", "5.0:MQTT-3.3.2-2", "5.0:MQTT-4.7.0-1")
async def test_a_wildcard_in_a_topic_name_ends_the_connection(
    broker: Broker, version: Version, flags: int, topic: str
) -> None:
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        await ann.subscribe("#")
        bob.send(publish(version, flags, topic))
        assert codes(await bob.closed()) == complaint(version, 0x90)
        await ann.subscribe("#")  # once more, should it have been retained
        await ann.nothing()


@EVERY_VERSION
@QOS
@pytest.mark.clause("3.1.1:MQTT-4.7.3-1", "5.0:MQTT-4.7.3-1")
async def test_an_empty_topic_name_ends_the_connection(broker: Broker, version: Version, qos: int) -> None:
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        await ann.subscribe("#")
        bob.send(publish(version, qos << 1, ""))
        assert codes(await bob.closed()) == complaint(version, 0x82)
        await ann.nothing()


@EVERY_VERSION
@QOS
@pytest.mark.parametrize("size", [1, 127, 128, 4096])
@pytest.mark.clause("3.1.1:MQTT-3.3.2-1", "5.0:MQTT-3.3.2-1")
async def test_the_topic_name_comes_first_at_any_length(broker: Broker, version: Version, qos: int, size: int) -> None:
    topic = "é" * (size // 2) + "x" * (size % 2)
    async with Peer(broker, "bob", version) as bob:
        await bob.subscribe("#", qos=2)
        await bob.publish(topic, b"payload", qos=qos)
        message = await bob.receive()
        assert (message.topic, message.payload, message.qos) == (topic, b"payload", qos)


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.3.2-3", "5.0:MQTT-3.3.2-3")
async def test_a_subscriber_gets_nothing_but_what_its_filters_match(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        await bob.subscribe([("a/+", SubscriptionOptions()), ("b/#", SubscriptionOptions())])
        for topic in ("a", "a/x", "a/x/y", "b", "b/x/y", "c", "A/x", "a/", "/a/x", "ba"):
            await ann.publish(topic, topic.encode(), qos=1)
        found = [await bob.receive() for _ in range(4)]
        assert [message.topic for message in found] == ["a/x", "b", "b/x/y", "a/"]
        assert all(message.payload == message.topic_name for message in found)
        await bob.nothing()


# -- 3.3.3: payloads


@EVERY_VERSION
@QOS
@pytest.mark.parametrize("size", [0, 1, 127, 128, 16384, 300_000])
async def test_a_payload_of_any_size_arrives_as_it_was(broker: Broker, version: Version, qos: int, size: int) -> None:
    payload = bytes(number % 251 for number in range(size))
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        await bob.subscribe("a", qos=qos)
        await ann.publish("a", payload, qos=qos)
        message = await bob.receive()
        assert message.payload == payload
        assert (message.qos, message.retain, message.dup) == (qos, False, False)


# -- 3.3.4: answers


@EVERY_VERSION
@pytest.mark.parametrize("filters", [[], ["a"]], ids=["nobody", "somebody"])
@pytest.mark.clause("3.1.1:MQTT-3.3.4-1", "5.0:MQTT-3.3.4-1")
async def test_a_publish_is_answered_as_its_qos_says(broker: Broker, version: Version, filters: list[str]) -> None:
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version, manual=True) as bob:
        for name in filters:
            await ann.subscribe(name, qos=2)
        bob.send(Publish("a", b"x"))
        await bob.nothing()
        bob.send(Publish("a", b"x", 1, packet_id=0xABCD))
        assert (await bob.expect(Puback)).packet_id == 0xABCD
        await bob.nothing()
        bob.send(Publish("a", b"x", 2, packet_id=0xFFFF))
        assert (await bob.expect(Pubrec)).packet_id == 0xFFFF
        await bob.nothing()
        bob.send(Pubrel(0xFFFF))
        assert (await bob.expect(Pubcomp)).packet_id == 0xFFFF
        await bob.nothing()


@EVERY_VERSION
@pytest.mark.parametrize("granted", [(2, 0, 1), (0, 1, 2), (1, 0, 0), (0, 0, 0)])
@QOS
@pytest.mark.clause("3.1.1:MQTT-3.3.5-1", "5.0:MQTT-3.3.4-2")
async def test_overlapping_subscriptions_are_served_at_the_highest_of_their_qos(
    broker: Broker, version: Version, granted: tuple[int, int, int], qos: int
) -> None:
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        for name, each in zip(("a/b", "a/+", "#"), granted, strict=True):
            await bob.subscribe(name, qos=each)
        await ann.publish("a/b", b"x", qos=qos)
        assert (await bob.receive()).qos == min(qos, max(granted))
        await bob.nothing()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.3.4-3", "5.0:MQTT-3.3.4-4")
async def test_a_single_copy_carries_the_identifiers_of_all_that_match(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as bob:
        for name, identifier in (("a/b", 1), ("a/+", None), ("#", 268_435_455), ("a/#", 1), ("b", 4)):
            await bob.subscribe(name, qos=1, identifier=identifier)
        for qos in (0, 1, 1):
            await bob.publish("a/b", b"x", qos=qos)
            message = await bob.receive()
            assert sorted(message.properties.subscription_identifiers) in ([1, 1, 268_435_455], [1, 268_435_455])
        await bob.nothing()


@ONLY_5
@QOS
@pytest.mark.clause("5.0:MQTT-3.3.4-3", "5.0:MQTT-3.3.4-5")
async def test_each_of_several_copies_carries_its_own_identifier(
    make_broker: MakeBroker, version: Version, qos: int
) -> None:
    broker = await make_broker(overlap="each")
    async with Peer(broker, "bob", version) as bob:
        for number, (name, identifier) in enumerate((("a/b", 7), ("a/+", None), ("#", 300))):
            await bob.subscribe(name, qos=number, identifier=identifier)
        await bob.publish("a/b", b"x", qos=qos)
        found = [await bob.receive() for _ in range(3)]
        told = {tuple(each.properties.subscription_identifiers): each.qos for each in found}
        assert told == {(7,): 0, (): min(1, qos), (300,): qos}
        await bob.nothing()


@ONLY_5
async def test_a_subscription_identifier_is_for_its_own_session_alone(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob, Peer(broker, "cat") as cat:
        for peer, identifier in ((ann, 1), (bob, None), (cat, 3)):
            await peer.subscribe("a", qos=1, identifier=identifier)
        await ann.publish("a", b"x", qos=1)
        told = [(await peer.expect(Publish)).properties.subscription_identifiers for peer in (ann, bob, cat)]
        assert told == [[1], [], [3]]


@ONLY_5
@QOS
@pytest.mark.parametrize("topic", ["a", ""])
@pytest.mark.clause("5.0:MQTT-3.3.4-6")
async def test_a_client_that_sends_a_subscription_identifier_is_disconnected(
    broker: Broker, version: Version, qos: int, topic: str
) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await ann.subscribe("#")
        bob.send(publish(version, qos << 1, topic, b"\x0b\x01"))
        assert codes(await bob.closed()) == [("Disconnect", 0x82)]
        await ann.nothing()


class Guard(Hooks):
    """Lets nobody publish to topics below `secret`."""

    def publishing(self, session: Session, message: Message) -> Message | ReasonCode:
        return ReasonCode.NOT_AUTHORIZED if message.topic.startswith("secret") else message


@EVERY_VERSION
@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.clause("3.1.1:MQTT-3.3.5-2", "5.0:MQTT-3.4.2-1", "5.0:MQTT-3.5.2-1")
async def test_what_may_not_be_published_is_acknowledged_and_goes_nowhere(
    make_broker: MakeBroker, version: Version, retain: bool
) -> None:
    broker = await make_broker(hooks=Guard())
    refusal = 0x87 if version.can_say_why else 0
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        await ann.subscribe("secret/#", qos=2)
        await bob.publish("secret/0", b"x", retain=retain)
        for qos in (1, 2):
            assert (await bob.publish(f"secret/{qos}", b"x", qos=qos, retain=retain)).reason_code == refusal
        await bob.ping()
        await ann.subscribe("secret/+", qos=2)  # nothing is retained either
        await ann.nothing()
