"""4.8 Shared subscriptions: a group of clients among whom each message goes to one."""

from collections import Counter

import pytest

from linnet import Broker
from linnet.wire import (
    Disconnect,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscriptionOptions,
    Version,
)
from tests.accidents import ENDS, NOTICED, end
from tests.conformance.tools import EVERY_VERSION, ONLY_5, lasting
from tests.conftest import MakeBroker
from tests.peer import Peer

SHARE = "$share/group/a"


def durable(broker: Broker, version: Version, client_id: str, manual: bool = False, window: int | None = None) -> Peer:
    """A client that resumes its session."""
    kept = lasting(version, receive_maximum=window)
    return Peer(broker, client_id, version, False, properties=kept, manual=manual)


async def publish(broker: Broker, *payloads: bytes, qos: int = 1) -> None:
    async with Peer(broker, "publisher") as publisher:
        for payload in payloads:
            await publisher.publish("a", payload, qos=qos)


async def receive(peer: Peer, count: int) -> list[bytes]:
    return [(await peer.expect(Publish)).payload for _ in range(count)]


# -- what a shared filter is


@EVERY_VERSION
@pytest.mark.parametrize(
    "name",
    [
        *("$share/", "$share//", "$share//a", "$share/g", "$share/g/", "$share/#", "$share/+"),
        *("$share/+/a", "$share/#/a", "$share/g+/a", "$share/g#/a", "$share/+/#"),
    ],
)
@pytest.mark.clause("5.0:MQTT-4.8.2-1", "5.0:MQTT-4.8.2-2")
async def test_what_has_no_share_name_or_no_filter_is_refused(broker: Broker, version: Version, name: str) -> None:
    async with Peer(broker, "bob", version) as bob:
        bob.send(Subscribe(1, [(name, SubscriptionOptions())], Properties()))
        bob.send(b"\xe0\x00")
        (answer,) = await bob.closed() or [None]
        if isinstance(answer, Suback):
            assert answer.reason_codes == [0x8F if version.can_say_why else 0x80]
        elif version.can_say_why:
            assert isinstance(answer, Disconnect)
            assert answer.reason_code in (0x81, 0x82, 0x8F)
        else:
            assert answer is None


@EVERY_VERSION
@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("$share/g/a", "a"),
        ("$share/g/#", "a/b"),
        ("$share/g/+/b", "a/b"),
        ("$share/g//", "/"),
        ("$share/g//a", "/a"),
        ("$share/g/$a/#", "$a/b"),
        ("$share/\u00e4 $/a", "a"),
        ("$share/$share/a", "a"),
    ],
)
@pytest.mark.clause("5.0:MQTT-4.8.2-1", "5.0:MQTT-4.8.2-2")
async def test_a_shared_filter_matches_by_what_follows_the_share_name(
    broker: Broker, version: Version, name: str, topic: str
) -> None:
    async with Peer(broker, "bob", version) as bob:
        assert (await bob.subscribe(name)).reason_codes == [0]
        await bob.publish("other/topic/of/many/levels" if "#" not in name else "$other", b"not this")
        await bob.publish(topic, b"x")
        assert (await bob.receive()).topic == topic
        await bob.nothing()


@ONLY_5
async def test_shared_subscriptions_can_be_switched_off(make_broker: MakeBroker, version: Version) -> None:
    broker = await make_broker(shared_subscriptions=False)
    async with Peer(broker, "bob") as bob:
        bob.send(Subscribe(1, [(SHARE, SubscriptionOptions())], Properties()))
        (answer,) = await bob.closed()
        assert answer.reason_code == 0x9E


# -- who gets what


@EVERY_VERSION
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_each_message_goes_to_one_and_all_get_their_part_in_order(
    broker: Broker, version: Version, qos: int
) -> None:
    names = ("ann", "bob", "cat")
    members = [await Peer(broker, name, version) for name in names]
    for member in members:
        await member.subscribe(SHARE, qos=2)
    await publish(broker, *(bytes((number,)) for number in range(30)), qos=qos)
    found = []
    for member in members:
        await member.ping()
        part = [packet.payload for packet in member.received if isinstance(packet, Publish)]
        assert part == sorted(part)
        assert 9 <= len(part) <= 11
        found += part
        await member.disconnect()
    assert sorted(found) == [bytes((number,)) for number in range(30)]


@EVERY_VERSION
@pytest.mark.clause("5.0:MQTT-4.8.2-3")
async def test_each_member_is_served_at_its_own_qos(broker: Broker, version: Version) -> None:
    members = [await Peer(broker, f"qos-{qos}", version) for qos in range(3)]
    for qos, member in enumerate(members):
        assert (await member.subscribe(SHARE, qos=qos)).reason_codes == [qos]
    for published in range(3):
        await publish(broker, b"1", b"2", b"3", qos=published)
        for granted, member in enumerate(members):
            assert (await member.receive()).qos == min(granted, published)
    for member in members:
        await member.nothing()
        await member.disconnect()


@EVERY_VERSION
async def test_every_group_and_every_plain_subscription_gets_its_copy(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        for name in ("$share/one/a", "$share/two/a", "$share/one/+", "a"):
            await bob.subscribe(name, qos=1)
        for name in ("$share/one/a", "$share/two/a", "a"):
            await ann.subscribe(name, qos=1)
        await publish(broker, b"1", b"2")
        for peer in (ann, bob):
            await peer.ping()
        count = Counter(p.payload for peer in (ann, bob) for p in peer.received if isinstance(p, Publish))
        assert count == {b"1": 5, b"2": 5}  # one/a, two/a, one/+, and two plain ones
        ours = Counter(packet.payload for packet in bob.received if isinstance(packet, Publish))
        assert all(3 >= number - 1 >= 1 for number in ours.values())


@EVERY_VERSION
async def test_subscribing_to_a_share_again_does_not_make_two_members_of_one(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        for _ in range(3):
            await bob.subscribe(SHARE, qos=1)
        await ann.subscribe(SHARE, qos=1)
        await publish(broker, b"1", b"2", b"3", b"4")
        assert len({*await receive(ann, 2), *await receive(bob, 2)}) == 4
        await ann.nothing()
        await bob.nothing()


@ONLY_5
async def test_subscribing_to_a_share_sends_no_retained_messages(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await ann.publish("a", b"kept", qos=1, retain=True)
        await bob.subscribe(SHARE, qos=1, retain_handling=0)
        await bob.subscribe(SHARE, qos=1, retain_handling=1)
        await bob.nothing()


@ONLY_5
async def test_a_member_with_a_full_window_is_passed_over(broker: Broker, version: Version) -> None:
    async with durable(broker, version, "busy", manual=True, window=1) as busy, Peer(broker, "idle") as idle:
        for member in (busy, idle):
            await member.subscribe(SHARE, qos=1)
        await publish(broker, *(bytes((number,)) for number in range(10)))
        assert len({*await receive(busy, 1), *await receive(idle, 9)}) == 10
        await busy.nothing()


# -- when a member goes


@EVERY_VERSION
@pytest.mark.parametrize("how", ["goodbye", "reset", "violation"])
@pytest.mark.parametrize("kept", [True, False], ids=["session kept", "session ends"])
async def test_what_a_member_did_not_acknowledge_goes_to_another_in_order(
    broker: Broker, version: Version, how: str, kept: bool
) -> None:
    async with Peer(broker, "cat", version) as cat:
        bob = await (durable(broker, version, "bob", True) if kept else Peer(broker, "bob", version, manual=True))
        await bob.subscribe(SHARE, qos=1)
        await publish(broker, b"0", b"1", b"2", b"3", b"4")
        found = [await bob.expect(Publish) for _ in range(5)]
        await cat.subscribe(SHARE, qos=1)
        for number in (0, 2):
            bob.send(Puback(found[number].packet_id))
        await bob.nothing()
        await end(bob, how)
        messages = [await cat.expect(Publish) for _ in range(3)]
        assert [(each.payload, each.dup, each.qos) for each in messages] == [
            *((b"1", False, 1), (b"3", False, 1), (b"4", False, 1)),
        ]
        await cat.nothing()
        async with durable(broker, version, "bob") as again:
            await again.nothing()


@EVERY_VERSION
async def test_what_a_member_got_before_it_subscribed_again_goes_to_another_too(
    broker: Broker, version: Version
) -> None:
    async with Peer(broker, "cat", version) as cat, durable(broker, version, "bob", manual=True) as bob:
        await bob.subscribe(SHARE, qos=2)
        await publish(broker, b"x")
        await bob.expect(Publish)
        await bob.subscribe(SHARE, qos=1)
        await cat.subscribe(SHARE, qos=1)
        await end(bob, "violation")
        assert await receive(cat, 1) == [b"x"]
        async with durable(broker, version, "bob") as again:
            await again.nothing()


@ONLY_5
async def test_what_waits_behind_a_members_window_goes_to_another(broker: Broker, version: Version) -> None:
    async with Peer(broker, "cat") as cat, durable(broker, version, "bob", manual=True, window=1) as bob:
        await bob.subscribe(SHARE, qos=2)
        await publish(broker, b"begun", b"one", b"two", qos=2)
        assert await receive(bob, 1) == [b"begun"]
        await cat.subscribe(SHARE, qos=2)
        await end(bob, "violation")
        assert await receive(cat, 2) == [b"one", b"two"]
        await cat.nothing()


@EVERY_VERSION
@pytest.mark.parametrize("how", ENDS)
@pytest.mark.clause("5.0:MQTT-4.8.2-4")
async def test_a_qos_2_delivery_begun_is_completed_to_the_same_member(
    broker: Broker, version: Version, how: str
) -> None:
    async with Peer(broker, "cat", version) as cat:
        await cat.subscribe(SHARE, qos=2)
        bob = await durable(broker, version, "bob", manual=True)
        await bob.subscribe(SHARE, qos=2)
        await publish(broker, b"1", b"2", b"3", b"4", qos=2)
        await receive(cat, 2)
        released, begun = await bob.expect(Publish), await bob.expect(Publish)
        bob.send(Pubrec(released.packet_id))
        assert (await bob.expect(Pubrel)).packet_id == released.packet_id
        await end(bob, how)
        async with durable(broker, version, "bob", manual=True) as again:
            assert (await again.expect(Pubrel)).packet_id == released.packet_id
            message = await again.expect(Publish)
            assert (message.payload, message.packet_id, message.dup) == (begun.payload, begun.packet_id, True)
            again.send(Pubrec(message.packet_id))
            await again.expect(Pubrel)
            for packet_id in (released.packet_id, begun.packet_id):
                again.send(Pubcomp(packet_id))
            await again.nothing()
        await cat.nothing()


@EVERY_VERSION
@pytest.mark.parametrize("how", NOTICED)
@pytest.mark.clause("5.0:MQTT-4.8.2-5")
async def test_a_qos_2_delivery_begun_ends_with_its_members_session(broker: Broker, version: Version, how: str) -> None:
    async with Peer(broker, "cat", version) as cat, Peer(broker, "bob", version, manual=True) as bob:
        await bob.subscribe(SHARE, qos=2)
        await publish(broker, b"x", qos=2)
        await bob.expect(Publish)
        await cat.subscribe(SHARE, qos=2)
        await end(bob, how)
        await cat.nothing()


@ONLY_5
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.clause("5.0:MQTT-4.8.2-6")
async def test_a_message_that_a_member_refuses_is_discarded(broker: Broker, version: Version, qos: int) -> None:
    async with Peer(broker, "cat") as cat:
        async with durable(broker, version, "bob", manual=True) as bob:
            await bob.subscribe(SHARE, qos=2)
            await publish(broker, b"x", qos=qos)
            message = await bob.expect(Publish)
            await cat.subscribe(SHARE, qos=2)
            bob.send((Puback if qos == 1 else Pubrec)(message.packet_id, 0x97))
            await bob.nothing()
        await cat.nothing()


@EVERY_VERSION
@pytest.mark.parametrize("qos", [1, 2])
async def test_a_member_that_is_away_gets_nothing_while_another_is_here(
    broker: Broker, version: Version, qos: int
) -> None:
    async with durable(broker, version, "bob") as bob:
        await bob.subscribe(SHARE, qos=2)
    async with Peer(broker, "cat", version) as cat:
        await cat.subscribe(SHARE, qos=2)
        await publish(broker, b"1", b"2", b"3", b"4", qos=qos)
        assert await receive(cat, 4) == [b"1", b"2", b"3", b"4"]
    async with durable(broker, version, "bob") as again:
        await again.nothing()


@EVERY_VERSION
@pytest.mark.parametrize("qos", [1, 2])
async def test_what_waits_while_all_are_away_goes_to_the_first_that_comes(
    broker: Broker, version: Version, qos: int
) -> None:
    payloads = await leave_waiting(broker, version, qos)
    async with durable(broker, version, "bob") as first, durable(broker, version, "cat") as second:
        assert sorted(await receive(first, 9)) == payloads
        await first.nothing()
        await second.nothing()


@EVERY_VERSION
@pytest.mark.parametrize("qos", [1, 2])
async def test_what_waits_while_all_are_away_comes_in_the_order_it_was_published_in(
    broker: Broker, version: Version, qos: int
) -> None:
    payloads = await leave_waiting(broker, version, qos)
    async with durable(broker, version, "bob") as first:
        assert await receive(first, 9) == payloads


async def leave_waiting(broker: Broker, version: Version, qos: int) -> list[bytes]:
    """Nine messages for a group whose three members are all away."""
    for name in ("ann", "bob", "cat"):
        async with durable(broker, version, name) as member:
            await member.subscribe(SHARE, qos=2)
    payloads = [bytes((number,)) for number in range(9)]
    await publish(broker, *payloads, qos=qos)
    return payloads


@EVERY_VERSION
async def test_what_waits_for_a_session_that_ends_stays_with_the_group(broker: Broker, version: Version) -> None:
    for name in ("ann", "bob"):
        async with durable(broker, version, name) as member:
            await member.subscribe(SHARE, qos=1)
    await publish(broker, b"1", b"2", b"3", b"4")
    async with Peer(broker, "ann", version) as stranger:  # a clean start: no member any more
        await stranger.nothing()
    async with durable(broker, version, "bob") as bob:
        assert sorted(await receive(bob, 4)) == [b"1", b"2", b"3", b"4"]
        await bob.nothing()


@EVERY_VERSION
async def test_a_lone_member_gets_on_return_what_it_did_not_acknowledge(broker: Broker, version: Version) -> None:
    async with durable(broker, version, "bob", manual=True) as bob:
        await bob.subscribe(SHARE, qos=1)
        await publish(broker, b"1")
        first = await bob.expect(Publish)
    await publish(broker, b"2")
    async with durable(broker, version, "bob") as again:
        second = await again.expect(Publish)
        assert (second.payload, second.packet_id, second.dup) == (b"1", first.packet_id, True)
        assert (await again.expect(Publish)).payload == b"2"
        await again.nothing()


@EVERY_VERSION
async def test_unsubscribing_from_the_plain_filter_leaves_the_share_and_the_reverse(
    broker: Broker, version: Version
) -> None:
    async with Peer(broker, "bob", version) as bob:
        for name, other in (("a", SHARE), (SHARE, "a")):
            await bob.subscribe("a", qos=1)
            await bob.subscribe(SHARE, qos=1)
            await bob.unsubscribe(name)
            await bob.publish("a", other.encode())
            assert (await bob.receive()).payload == other.encode()
            await bob.nothing()
