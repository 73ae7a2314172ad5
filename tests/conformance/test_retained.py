"""3.3.1.3: RETAIN, which keeps a topic's last message for those who subscribe later."""

import pytest

from linnet import Broker
from linnet.wire import Properties, Publish, SubscriptionOptions, Version
from tests.conformance.tools import EVERY_VERSION, ONLY_5, lasting
from tests.conftest import MakeBroker
from tests.peer import Peer

QOS = pytest.mark.parametrize("qos", [0, 1, 2])


async def retained(broker: Broker, name: str = "#") -> list[tuple[str, bytes]]:
    """Topics and payloads of what is retained now, as a new subscriber gets it."""
    async with Peer(broker, "curious") as peer:
        await peer.subscribe(name)
        await peer.ping()
        assert all(message.retain for message in peer.inbox)
        return sorted((message.topic, message.payload) for message in peer.inbox)


@EVERY_VERSION
@QOS
@pytest.mark.clause("3.1.1:MQTT-3.3.1-5", "3.1.1:MQTT-3.3.1-6", "5.0:MQTT-3.3.1-5")
async def test_a_retained_message_is_stored_with_its_qos(broker: Broker, version: Version, qos: int) -> None:
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        await ann.publish("a", b"x", qos=qos, retain=True)
        await ann.ping()
        await bob.subscribe("a", qos=2)
        message = await bob.receive()
        assert (message.topic, message.payload, message.qos, message.dup) == ("a", b"x", qos, False)
        await bob.nothing()


@EVERY_VERSION
@pytest.mark.parametrize("qos_then", [0, 1, 2])
@pytest.mark.parametrize("qos_now", [0, 1, 2])
@pytest.mark.clause("3.1.1:MQTT-3.3.1-5", "3.1.1:MQTT-3.3.1-6", "3.1.1:MQTT-3.3.1-7", "5.0:MQTT-3.3.1-5")
async def test_a_retained_message_displaces_the_one_before(
    broker: Broker, version: Version, qos_then: int, qos_now: int
) -> None:
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        await ann.publish("a", b"then", qos=qos_then, retain=True)
        await ann.publish("a", b"now", qos=qos_now, retain=True)
        await ann.ping()
        await bob.subscribe("a", qos=2)
        message = await bob.receive()
        assert (message.payload, message.qos) == (b"now", qos_now)
        await bob.nothing()


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.3.1-6", "5.0:MQTT-3.3.1-9")
async def test_a_new_subscription_gets_the_last_message_of_every_topic_it_matches(
    broker: Broker, version: Version
) -> None:
    topics = ["a", "a/b", "a/b/c", "a//c", "b", "/a", "$a/b"]
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        for payload in (b"old", b"new"):
            for topic in topics:
                await ann.publish(topic, payload, qos=1, retain=True)
        for name, expected in (
            ("a/#", ["a", "a/b", "a/b/c", "a//c"]),
            ("+", ["a", "b"]),
            ("+/b", ["a/b"]),
            ("a/+/c", ["a//c", "a/b/c"]),
            ("#", [topic for topic in topics if topic != "$a/b"]),
            ("$a/#", ["$a/b"]),
            ("b", ["b"]),
            ("c", []),
        ):
            await bob.subscribe(name)
            found = [await bob.receive() for _ in expected]
            assert sorted(each.topic for each in found) == sorted(expected), name
            assert {each.payload for each in found} <= {b"new"}
            await bob.nothing()


@EVERY_VERSION
@QOS
@pytest.mark.clause("3.1.1:MQTT-3.3.1-8", "5.0:MQTT-3.3.1-9")
async def test_what_a_new_subscription_gets_has_retain_set(broker: Broker, version: Version, qos: int) -> None:
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        await ann.publish("a", b"x", qos=2, retain=True)
        await bob.subscribe("a", qos=qos)
        message = await bob.receive()
        assert (message.retain, message.qos) == (True, qos)


@EVERY_VERSION
@QOS
@pytest.mark.clause("3.1.1:MQTT-3.3.1-9", "5.0:MQTT-3.3.1-12")
async def test_an_established_subscription_gets_retain_cleared(broker: Broker, version: Version, qos: int) -> None:
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        await bob.subscribe("a", qos=qos)
        for retain in (True, False):
            await ann.publish("a", b"x", qos=2, retain=retain)
            message = await bob.receive()
            assert (message.retain, message.qos) == (False, qos)


@ONLY_5
@QOS
@pytest.mark.clause("5.0:MQTT-3.3.1-13")
async def test_with_retain_as_published_retain_is_forwarded_as_it_came(
    broker: Broker, version: Version, qos: int
) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob, Peer(broker, "cat") as cat:
        await bob.subscribe("a", qos=qos, retain_as_published=True)
        await cat.subscribe("a", qos=qos)
        for retain in (True, False):
            await ann.publish("a", b"x", qos=2, retain=retain)
            assert (await bob.receive()).retain is retain
            assert (await cat.receive()).retain is False


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.3.1-12", "5.0:MQTT-3.3.1-13")
async def test_retain_as_published_holds_for_what_was_queued_too(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", clean_start=False, properties=lasting(version)) as bob:
        await bob.subscribe("as/published", qos=1, retain_as_published=True)
        await bob.subscribe("cleared", qos=1)
    async with Peer(broker, "ann") as ann:
        for topic in ("as/published", "cleared"):
            await ann.publish(topic, b"x", qos=1, retain=True)
    async with Peer(broker, "bob", clean_start=False, properties=lasting(version)) as again:
        found = [await again.receive() for _ in range(2)]
        assert [(each.topic, each.retain) for each in found] == [("as/published", True), ("cleared", False)]


@EVERY_VERSION
@QOS
@pytest.mark.clause("3.1.1:MQTT-3.3.1-10", "3.1.1:MQTT-3.3.1-11", "5.0:MQTT-3.3.1-6", "5.0:MQTT-3.3.1-7")
async def test_an_empty_retained_message_is_delivered_and_removes_what_was_retained(
    broker: Broker, version: Version, qos: int
) -> None:
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        for topic in ("a", "b"):
            await ann.publish(topic, b"x", qos=1, retain=True)
        await bob.subscribe([("never/retained", SubscriptionOptions(2)), ("a", SubscriptionOptions(2))])
        assert (await bob.receive()).retain
        for topic in ("a", "never/retained"):
            await ann.publish(topic, b"", qos=qos, retain=True)
            message = await bob.receive()
            assert (message.topic, message.payload, message.retain, message.qos) == (topic, b"", False, qos)
        assert await retained(broker) == [("b", b"x")]


@EVERY_VERSION
@QOS
@pytest.mark.clause("3.1.1:MQTT-3.3.1-12", "5.0:MQTT-3.3.1-8")
async def test_a_message_without_retain_is_not_kept_and_displaces_nothing(
    broker: Broker, version: Version, qos: int
) -> None:
    async with Peer(broker, "ann", version) as ann:
        await ann.publish("a", b"retained", qos=1, retain=True)
        for payload in (b"passing by", b""):
            await ann.publish("a", payload, qos=qos)
            await ann.publish("b", payload, qos=qos)
        await ann.ping()
    assert await retained(broker) == [("a", b"retained")]


# -- retain handling


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.3.1-6", "5.0:MQTT-3.3.1-9")
async def test_retained_messages_come_at_each_subscription(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        await ann.publish("a", b"x", qos=1, retain=True)
        for _ in range(3):
            await bob.subscribe("a")
            assert (await bob.receive()).payload == b"x"
        await bob.nothing()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.3.1-10")
async def test_retain_handling_1_sends_to_a_subscription_that_is_new(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann:
        await ann.publish("a", b"x", qos=1, retain=True)
        async with Peer(broker, "bob", clean_start=False, properties=lasting(version)) as bob:
            await bob.subscribe("a", retain_handling=1)
            assert (await bob.receive()).retain
            await bob.subscribe("a", qos=1, retain_handling=1, identifier=5)
            await bob.nothing()
            await bob.subscribe("+", retain_handling=1)
            assert (await bob.receive()).retain
        async with Peer(broker, "bob", clean_start=False, properties=lasting(version)) as again:
            await again.subscribe("a", retain_handling=1)
            await again.nothing()
            await again.unsubscribe("a")
            await again.subscribe("a", retain_handling=1)
            assert (await again.receive()).retain


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.3.1-11")
async def test_retain_handling_2_sends_nothing(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await ann.publish("a", b"x", qos=1, retain=True)
        for _ in range(2):
            await bob.subscribe("a", retain_handling=2)
            await bob.nothing()
        await ann.publish("a", b"live", qos=1, retain=True)
        assert (await bob.receive()).payload == b"live"


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.3.1-9", "5.0:MQTT-3.3.1-10", "5.0:MQTT-3.3.1-11")
async def test_each_filter_of_a_subscribe_has_its_own_retain_handling(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        for topic in ("zero", "one", "two"):
            await ann.publish(topic, b"x", qos=1, retain=True)
        filters = [
            (name, SubscriptionOptions(retain_handling=each)) for each, name in enumerate(("zero", "one", "two"))
        ]
        for expected in (["zero", "one"], ["zero"]):
            await bob.subscribe(filters)
            assert [(await bob.receive()).topic for _ in expected] == expected
            await bob.nothing()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.3.1-9", "5.0:MQTT-3.3.4-3")
async def test_a_retained_message_carries_the_identifier_of_the_new_subscription_only(
    broker: Broker, version: Version
) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await ann.publish("a", b"x", qos=1, retain=True)
        for name, identifier in (("a", 1), ("+", 2), ("#", None)):
            await bob.subscribe(name, identifier=identifier)
            told = (await bob.receive()).properties.subscription_identifiers
            assert told == ([] if identifier is None else [identifier])
        await bob.nothing()


# -- more of them than go at once


@EVERY_VERSION
@QOS
async def test_all_of_many_retained_messages_arrive(make_broker: MakeBroker, version: Version, qos: int) -> None:
    broker = await make_broker(retained_slice=7, max_inflight=5)
    for number in range(200):
        await broker.publish(f"many/{number}", str(number).encode(), qos=2, retain=True)
    async with Peer(broker, "bob", version) as bob:
        await bob.subscribe("many/+", qos=qos)
        found = [await bob.receive() for _ in range(200)]
        assert {(each.topic, each.payload) for each in found} == {(f"many/{n}", b"%d" % n) for n in range(200)}
        assert all(each.retain and each.qos == qos for each in found)
        await bob.nothing()


@ONLY_5
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.clause("5.0:MQTT-3.3.4-9")
async def test_retained_messages_keep_to_the_receive_maximum(broker: Broker, version: Version, qos: int) -> None:
    for number in range(6):
        await broker.publish(f"many/{number}", b"x", qos=2, retain=True)
    async with Peer(broker, "bob", properties=Properties(receive_maximum=2), manual=True) as bob:
        await bob.subscribe("many/+", qos=qos)
        assert [(await bob.expect(Publish)).qos for _ in range(2)] == [qos, qos]
        await bob.nothing()
