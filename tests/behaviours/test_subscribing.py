"""Subscriptions: those that overlap, those that are replaced, and filters made to hurt."""

import pytest

from linnet import Broker
from linnet.wire import Properties, Publish, Suback, Subscribe, SubscriptionOptions, Version
from tests.conformance.tools import EVERY_VERSION, ONLY_5, codes, complaint, lasting
from tests.conftest import MakeBroker
from tests.peer import Peer


@EVERY_VERSION
async def test_a_subscription_that_is_replaced_asks_for_retained_messages_each_time(
    broker: Broker, version: Version
) -> None:
    """Who subscribes to a filter again gets what is retained again, at the new QoS, and live messages once."""
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", version) as bob:
        for topic in ("a/1", "a/2"):
            await ann.publish(topic, b"kept", qos=1, retain=True)
        for qos in (0, 1, 0):
            await bob.subscribe("a/#", qos=qos)
            found = [await bob.receive() for _ in range(2)]
            assert {(each.topic, each.qos, each.retain) for each in found} == {("a/1", qos, True), ("a/2", qos, True)}
            await ann.publish("a/3", b"live", qos=1)
            message = await bob.receive()
            assert (message.topic, message.qos, message.retain) == ("a/3", qos, False)
            await bob.nothing()


@ONLY_5
async def test_no_local_is_a_matter_of_each_subscription(broker: Broker, version: Version) -> None:
    """A client's own message comes by the subscription without No Local, and not also by the one with it."""
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await bob.subscribe("a", qos=2, no_local=True, identifier=1)
        await bob.subscribe("#", qos=1, identifier=2)
        await bob.publish("a", b"own", qos=2)
        message = await bob.receive()
        assert (message.payload, message.qos, message.properties.subscription_identifiers) == (b"own", 1, [2])
        await ann.publish("a", b"other", qos=2)
        message = await bob.receive()
        assert (message.payload, message.qos) == (b"other", 2)
        assert sorted(message.properties.subscription_identifiers) == [1, 2]
        await bob.nothing()


@ONLY_5
async def test_no_local_looks_at_the_publisher_and_not_at_the_connection(broker: Broker, version: Version) -> None:
    """What a client published on an earlier connection, and what is retained from it, is its own still."""
    kept = lasting(version)
    async with Peer(broker, "bob", clean_start=False, properties=kept) as bob:
        await bob.publish("a", b"own", qos=1, retain=True)
    async with Peer(broker, "bob", clean_start=False, properties=kept) as again:
        await again.subscribe("a", qos=1, no_local=True)
        await again.nothing()
        await again.subscribe("a", qos=1)
        assert (await again.receive()).payload == b"own"


@ONLY_5
async def test_one_copy_or_one_for_each_subscription_and_never_both(make_broker: MakeBroker, version: Version) -> None:
    """Overlapping subscriptions bring one copy with all identifiers, or a copy each with its own, as is set."""
    for overlap, expected in (("merge", [[1, 2, 3]]), ("each", [[1], [2], [3]])):
        broker = await make_broker(overlap=overlap)
        async with Peer(broker, "bob") as bob:
            for identifier, name in enumerate(("a/b", "a/+", "#"), 1):
                await bob.subscribe(name, qos=identifier - 1, identifier=identifier)
            await bob.publish("a/b", b"x", qos=2)
            found = [await bob.receive() for _ in expected]
            assert sorted(sorted(each.properties.subscription_identifiers) for each in found) == expected
            assert sorted(each.qos for each in found) == ([2] if overlap == "merge" else [0, 1, 2])
            await bob.nothing()


@ONLY_5
async def test_options_and_identifier_of_a_subscription_last_as_long_as_the_session(
    broker: Broker, version: Version
) -> None:
    """On a later connection a subscription is what it was: its QoS, its identifier, and what it does with RETAIN."""
    async with Peer(broker, "bob", clean_start=False, properties=lasting(version)) as bob:
        await bob.subscribe("a", qos=1, retain_as_published=True, identifier=77)
    async with Peer(broker, "ann") as ann:
        await ann.publish("a", b"while away", qos=2, retain=True)
        async with Peer(broker, "bob", clean_start=False, properties=lasting(version)) as again:
            await ann.publish("a", b"while here", qos=2, retain=True)
            for payload in (b"while away", b"while here"):
                message = await again.receive()
                assert (message.payload, message.qos, message.retain) == (payload, 1, True)
                assert message.properties.subscription_identifiers == [77]
            await again.nothing()


@EVERY_VERSION
@pytest.mark.parametrize("qos", [1, 2])
async def test_a_member_of_several_groups_is_served_by_each_and_by_its_own_subscription(
    broker: Broker, version: Version, qos: int
) -> None:
    """Two groups and a plain subscription of one client are three claims, and each brings a copy."""
    async with Peer(broker, "bob", version) as bob:
        for name in ("$share/one/a", "$share/two/a", "a"):
            await bob.subscribe(name, qos=2)
        await bob.publish("a", b"x", qos=qos)
        assert [(await bob.expect(Publish)).payload for _ in range(3)] == [b"x"] * 3
        await bob.nothing()
        await bob.unsubscribe("$share/one/a")
        await bob.publish("a", b"y", qos=qos)
        assert [(await bob.expect(Publish)).payload for _ in range(2)] == [b"y"] * 2
        await bob.nothing()


@EVERY_VERSION
async def test_topics_and_filters_may_be_128_levels_deep_and_no_deeper(broker: Broker, version: Version) -> None:
    """A topic has a limit of levels: the last level allowed works, one more is refused for filter and name."""
    deep, deeper = "/" * 127, "/" * 128
    async with Peer(broker, "bob", version) as bob:
        assert (await bob.subscribe(deep)).reason_codes == [0]
        await bob.publish(deep, b"x")
        assert (await bob.receive()).topic == deep
        refused = await bob.subscribe([(deeper, SubscriptionOptions()), ("#", SubscriptionOptions())])
        assert refused.reason_codes == [0x8F if version.can_say_why else 0x80, 0]
        bob.send(Publish(deeper, b"x"))
        assert codes(await bob.closed()) == complaint(version, 0x90)


@EVERY_VERSION
@pytest.mark.parametrize("level", ["", "+", "x"])
async def test_a_topic_of_nothing_but_separators_is_only_a_long_topic(
    make_broker: MakeBroker, version: Version, level: str
) -> None:
    """Where the owner allows it, as many levels as a topic can have are subscribed to, matched and given up."""
    broker = await make_broker(max_topic_bytes=65535, max_topic_levels=65535)
    name = "/".join([level] * (65535 if not level else 32768))
    topic = name.replace("+", "y")
    async with Peer(broker, "bob", version) as bob:
        assert (await bob.subscribe(name, qos=1)).reason_codes == [1]
        await bob.publish(topic, b"live", qos=1, retain=True)
        assert (await bob.receive()).topic == topic
        await bob.subscribe(name, qos=1)
        message = await bob.receive()
        assert (message.topic, message.retain) == (topic, True)
        await bob.unsubscribe(name)
        await bob.publish(topic, b"nobody asked", qos=1)
        await bob.nothing()


@EVERY_VERSION
async def test_many_filters_along_one_path_bring_one_copy(broker: Broker, version: Version) -> None:
    """All the ways in which wildcards fit one deep topic are one client's wish to hear of it."""
    levels = 9
    names = ["/".join("+" if number >> level & 1 else "a" for level in range(levels)) for number in range(2**levels)]
    async with Peer(broker, "bob", version) as bob:
        suback = await bob.subscribe([(name, SubscriptionOptions(1)) for name in names])
        assert suback.reason_codes == [1] * 2**levels
        await bob.publish("/".join("a" * levels), b"x", qos=1)
        assert (await bob.receive()).payload == b"x"
        await bob.nothing()


@EVERY_VERSION
async def test_more_filters_in_a_packet_than_allowed_end_the_connection(
    make_broker: MakeBroker, version: Version
) -> None:
    """A SUBSCRIBE has a limit of filters; the last one allowed is answered, one more ends the connection."""
    broker = await make_broker(max_filters_per_packet=3)
    filters = [(name, SubscriptionOptions()) for name in "abcd"]
    async with Peer(broker, "bob", version) as bob:
        assert (await bob.subscribe(filters[:3])).reason_codes == [0, 0, 0]
        bob.send(Subscribe(1, filters, Properties()))
        found = await bob.closed()
        assert not any(isinstance(each, Suback) for each in found)
        assert codes(found) == complaint(version, 0x97)


@EVERY_VERSION
async def test_subscriptions_that_go_leave_nothing_behind(broker: Broker, version: Version) -> None:
    """Coming and going with plain and shared filters, in any order, leaves the broker as it was."""
    names = ["a", "a/b", "a/+", "#", "$share/g/a", "$share/g/#", "$share/h/a/b"]
    for round_ in range(4):
        async with Peer(broker, "bob", version) as bob:
            for name in names:
                await bob.subscribe(name)
            await bob.unsubscribe(*names[round_::2])
            await bob.subscribe(names[round_])
    core = broker.core
    assert core.router.subscription_count == 0
    assert core.router.tree.root.is_empty()
