"""Retained messages: trees of them, limits, and changes while they are on their way."""

import pytest

from linnet import Broker
from linnet.wire import Properties, Puback, Publish, Version
from tests.conformance.tools import EVERY_VERSION, ONLY_5, lasting
from tests.conftest import MakeBroker
from tests.peer import Peer

ABOVE_0 = pytest.mark.parametrize("qos", [1, 2])


async def topics(broker: Broker, name: str) -> list[str]:
    """Which topics a new subscriber to this filter gets retained messages of."""
    async with Peer(broker, "curious") as peer:
        await peer.subscribe(name)
        await peer.ping()
        return sorted(message.topic for message in peer.inbox)


@ONLY_5
@ABOVE_0
async def test_each_new_subscription_gets_the_message_in_its_own_way(
    broker: Broker, version: Version, qos: int
) -> None:
    """A retained message comes at the lower QoS, with its properties and the subscription's identifier, every time."""
    said = Properties(content_type="text/plain", correlation_data=b"\x01", user_properties=[("a", "1"), ("a", "2")])
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await ann.publish("a/b", b"x", qos=qos, retain=True, properties=said)
        for name, granted, identifier in (("a/b", 0, 1), ("a/b", 2, 2), ("a/+", 1, 300), ("#", 2, 4)):
            await bob.subscribe(name, qos=granted, identifier=identifier)
            message = await bob.receive()
            assert (message.payload, message.qos, message.retain) == (b"x", min(qos, granted), True)
            said.subscription_identifiers = [identifier]
            assert message.properties == said
        await bob.nothing()


@EVERY_VERSION
@pytest.mark.parametrize("gone", ["a", "a/b", "a/b/c", "a//c", "/a"])
async def test_deleting_one_topic_leaves_those_above_and_below_it(broker: Broker, version: Version, gone: str) -> None:
    """A retained message in the middle of the topics may go: parents, children and siblings stay, and it may return."""
    everything = ["a", "a/b", "a/b/c", "a/b/c/d", "a/b/e", "a//c", "/a", "a/"]
    others = sorted(topic for topic in everything if topic != gone)
    async with Peer(broker, "ann", version) as ann:
        for topic in everything:
            await ann.publish(topic, b"x", qos=1, retain=True)
        await ann.publish(gone, b"", qos=1, retain=True)
        assert await topics(broker, "#") == others
        assert await topics(broker, gone) == []
        await ann.publish(gone, b"x", qos=1, retain=True)
        assert await topics(broker, "#") == sorted(everything)


@EVERY_VERSION
async def test_deleting_all_leaves_nothing_behind(broker: Broker, version: Version) -> None:
    """When the last retained message is deleted the broker holds no byte and no level of a topic for them."""
    async with Peer(broker, "ann", version) as ann:
        for payload in (b"x", b""):
            for topic in ("a/b", "a", "a/b/c/d", "e"):
                await ann.publish(topic, payload, qos=1, retain=True)
        kept = broker.core.router.retained
        assert (len(kept), kept.bytes, kept.root.children or {}) == (0, 0, {})


@EVERY_VERSION
async def test_deleting_what_was_never_retained_is_fine(broker: Broker, version: Version) -> None:
    """An empty retained message to a topic without one, above, below or beside the others, changes nothing."""
    async with Peer(broker, "ann", version) as ann:
        await ann.publish("a/b", b"x", qos=1, retain=True)
        for topic in ("a", "a/b/c", "b", "a/c"):
            assert (await ann.publish(topic, b"", qos=1, retain=True)).packet_id
        assert await topics(broker, "#") == ["a/b"]


# -- limits


@EVERY_VERSION
@ABOVE_0
@pytest.mark.parametrize(
    ("limit", "fits", "too_much"),
    [
        ({"max_retained": 1}, ("a", b"x"), ("b", b"x")),
        ({"max_retained_bytes": 10}, ("a", b"12345"), ("b", b"12345")),
        ({"max_retained_payload": 5}, ("a", b"12345"), ("b", b"123456")),
    ],
    ids=["count", "bytes", "payload"],
)
async def test_a_message_beyond_the_limits_is_not_retained_and_its_publisher_is_told(
    make_broker: MakeBroker,
    version: Version,
    limit: dict[str, int],
    fits: tuple[str, bytes],
    too_much: tuple[str, bytes],
    qos: int,
) -> None:
    """What there is no room for is not retained: 5.0 hears 0x97, older clients hear nothing of it."""
    broker = await make_broker(**limit)
    async with Peer(broker, "ann", version) as ann:
        assert (await ann.publish(*fits, qos=qos, retain=True)).reason_code < 0x80
        refusal = await ann.publish(*too_much, qos=qos, retain=True)
        assert refusal.reason_code == (0x97 if version.can_say_why else 0)
        assert await topics(broker, "#") == [fits[0]]
        again = await ann.publish(*fits, qos=qos, retain=True)  # it takes its own place, not another one
        assert again.reason_code < 0x80
        await ann.publish(fits[0], b"", qos=qos, retain=True)
        assert (await ann.publish(too_much[0], b"x", qos=qos, retain=True)).reason_code < 0x80
        assert await topics(broker, "#") == [too_much[0]]


@ONLY_5
async def test_a_larger_message_in_the_place_of_a_smaller_one_is_held_to_the_limit(
    make_broker: MakeBroker, version: Version
) -> None:
    """Replacing counts by what it adds: beyond the bytes allowed the old message stays."""
    broker = await make_broker(max_retained_bytes=10)
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await ann.publish("a", b"123456789", qos=1, retain=True)
        assert (await ann.publish("a", b"1234567890", qos=1, retain=True)).reason_code == 0x97
        await bob.subscribe("a")
        assert (await bob.receive()).payload == b"123456789"


# -- while they are on their way


@ONLY_5
async def test_a_message_on_its_way_is_the_last_one_of_its_topic(broker: Broker, version: Version) -> None:
    """Retained messages that wait for a slow receiver are sent as they are by then, those deleted not at all."""
    for topic in ("a", "b", "c"):
        await broker.publish(topic, b"old", qos=1, retain=True)
    async with (
        Peer(broker, "ann") as ann,
        Peer(broker, "bob", properties=Properties(receive_maximum=1), manual=True) as bob,
    ):
        await bob.subscribe("+", qos=1)
        first = await bob.expect(Publish)
        late, gone = sorted({"a", "b", "c"} - {first.topic})
        await broker.publish(late, b"new", qos=0, retain=True)
        await broker.publish(gone, b"", qos=0, retain=True)
        await ann.ping()
        assert [(await bob.expect(Publish)).payload for _ in range(2)] == [b"new", b""]  # live, at QoS 0
        bob.send(Puback(first.packet_id))
        message = await bob.expect(Publish)
        assert (message.topic, message.payload, message.retain) == (late, b"new", True)
        await bob.nothing()


@ONLY_5
async def test_unsubscribing_ends_the_retained_messages_too(broker: Broker, version: Version) -> None:
    """Retained messages of a subscription that is gone before they were sent are not sent."""
    for number in range(5):
        await broker.publish(f"many/{number}", b"x", qos=1, retain=True)
    async with Peer(broker, "bob", properties=Properties(receive_maximum=1), manual=True) as bob:
        await bob.subscribe("many/+", qos=1)
        first = await bob.expect(Publish)
        await bob.unsubscribe("many/+")
        bob.send(Puback(first.packet_id))
        await bob.nothing()


@EVERY_VERSION
async def test_retained_messages_go_on_after_a_reconnect(make_broker: MakeBroker, version: Version) -> None:
    """A session whose connection breaks amid its retained messages gets the rest on the next one."""
    broker = await make_broker(max_inflight=2)
    for number in range(6):
        await broker.publish(f"many/{number}", b"x", qos=1, retain=True)
    kept = lasting(version)
    async with Peer(broker, "bob", version, False, properties=kept, manual=True) as bob:
        await bob.subscribe("many/+", qos=1)
        seen = {(await bob.expect(Publish)).topic for _ in range(2)}
    async with Peer(broker, "bob", version, False, properties=kept) as again:
        found = [await again.expect(Publish) for _ in range(6)]
        assert {each.topic for each in found if each.dup} == seen
        assert sorted(each.topic for each in found) == [f"many/{number}" for number in range(6)]
        assert all(each.retain for each in found)
        await again.nothing()


@ONLY_5
async def test_no_local_holds_for_retained_messages(broker: Broker, version: Version) -> None:
    """A subscription with No Local gets the retained messages of others only."""
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await ann.publish("a/ann", b"x", qos=1, retain=True)
        await bob.publish("a/bob", b"x", qos=1, retain=True)
        await bob.subscribe("a/+", no_local=True)
        assert (await bob.receive()).topic == "a/ann"
        await bob.nothing()
