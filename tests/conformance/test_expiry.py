"""3.3.2.3.3: the message expiry interval, by a clock that the tests put forward."""

from collections.abc import Iterator

import pytest

from linnet import Broker
from linnet.wire import Properties, Puback, Pubcomp, Publish, Pubrec, Pubrel, Version, Will
from tests.clock import Clock, stopped_clock
from tests.conformance.tools import BEFORE_5, ONLY_5, broken_off, lasting
from tests.conftest import MakeBroker
from tests.peer import Peer

ABOVE_0 = pytest.mark.parametrize("qos", [1, 2])


def expiring(seconds: int) -> Properties:
    """The property of a message that expires."""
    return Properties(message_expiry_interval=seconds)


@pytest.fixture
def clock(broker: Broker) -> Iterator[Clock]:
    """The broker's clock, which stands still."""
    with stopped_clock(broker) as clock:
        yield clock


async def away(broker: Broker, version: Version, client_id: str = "bob", qos: int = 2) -> None:
    """Leaves a session that subscribed to `a` behind."""
    async with Peer(broker, client_id, version, False, properties=lasting(version)) as peer:
        await peer.subscribe("a", qos=qos)


async def told(peer: Peer) -> int | None:
    """The message expiry interval of the next message."""
    return (await peer.expect(Publish)).properties.message_expiry_interval


# -- while nothing waits


@ONLY_5
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("seconds", [0, 1, 100, 0xFFFFFFFF, None])
@pytest.mark.clause("5.0:MQTT-3.3.2-6")
async def test_the_interval_is_sent_on_as_it_came_when_nothing_waited(
    broker: Broker, clock: Clock, version: Version, seconds: int | None, qos: int
) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await bob.subscribe("a", qos=qos)
        await ann.publish("a", b"x", qos=qos, properties=Properties(message_expiry_interval=seconds))
        assert await told(bob) == seconds


# -- in the queue


@ONLY_5
@ABOVE_0
@pytest.mark.clause("5.0:MQTT-3.3.2-5")
async def test_what_expired_in_the_queue_is_not_delivered(
    broker: Broker, clock: Clock, version: Version, qos: int
) -> None:
    await away(broker, version)
    async with Peer(broker, "ann") as ann:
        for payload, seconds in ((b"0", 0), (b"4", 4), (b"5", 5), (b"6", 6), (b"never", None)):
            await ann.publish("a", payload, qos, properties=Properties(message_expiry_interval=seconds))
    clock.forward(5)
    async with Peer(broker, "bob", clean_start=False, properties=lasting(version)) as bob:
        found = [await bob.expect(Publish) for _ in range(2)]
        assert [each.payload for each in found] == [b"6", b"never"]
        await bob.nothing()


@BEFORE_5
@ABOVE_0
async def test_what_expired_is_not_delivered_to_older_clients_either(
    broker: Broker, clock: Clock, version: Version, qos: int
) -> None:
    await away(broker, version)
    async with Peer(broker, "ann") as ann:
        await ann.publish("a", b"expired", qos=qos, properties=expiring(5))
        await ann.publish("a", b"good", qos=qos, properties=expiring(50))
    clock.forward(5)
    async with Peer(broker, "bob", version, False) as bob:
        assert (await bob.expect(Publish)).payload == b"good"
        await bob.nothing()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.3.2-6")
async def test_the_interval_is_less_by_the_whole_seconds_waited(broker: Broker, clock: Clock, version: Version) -> None:
    await away(broker, version)
    async with Peer(broker, "ann") as ann:
        for seconds in (100, 10, 3, 0xFFFFFFFF):
            await ann.publish("a", b"x", qos=1, properties=expiring(seconds))
        clock.forward(1.5)
        await ann.publish("a", b"x", qos=1, properties=expiring(10))
        await ann.publish("a", b"x", qos=1)
    clock.forward(1.25)
    async with Peer(broker, "bob", clean_start=False, properties=lasting(version)) as bob:
        assert [await told(bob) for _ in range(6)] == [98, 8, 1, 0xFFFFFFFF - 2, 9, None]


@ONLY_5
@ABOVE_0
@pytest.mark.clause("5.0:MQTT-3.3.2-5", "5.0:MQTT-3.3.2-6")
async def test_what_waits_for_quota_expires_too(broker: Broker, clock: Clock, version: Version, qos: int) -> None:
    async with (
        Peer(broker, "ann") as ann,
        Peer(broker, "bob", properties=Properties(receive_maximum=1), manual=True) as bob,
    ):
        await bob.subscribe("a", qos=qos)
        for payload, seconds in ((b"in flight", 3), (b"expires", 4), (b"does not", 10)):
            await ann.publish("a", payload, qos=qos, properties=expiring(seconds))
        first = await bob.expect(Publish)
        clock.forward(4)
        if qos == 1:
            bob.send(Puback(first.packet_id))
        else:
            bob.send(Pubrec(first.packet_id))
            await bob.expect(Pubrel)
            bob.send(Pubcomp(first.packet_id))
        second = await bob.expect(Publish)
        assert (second.payload, second.properties.message_expiry_interval) == (b"does not", 6)
        assert second.packet_id == first.packet_id + 1, "an expired message has used a packet identifier"


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.3.2-5")
async def test_a_message_expires_for_one_subscriber_and_not_for_another(
    broker: Broker, clock: Clock, version: Version
) -> None:
    await away(broker, version, "bob")
    async with Peer(broker, "ann") as ann, Peer(broker, "cat") as cat:
        await cat.subscribe("a", qos=1)
        await ann.publish("a", b"x", qos=1, properties=expiring(5))
        assert (await cat.expect(Publish)).payload == b"x"
    clock.forward(5)
    async with Peer(broker, "bob", clean_start=False, properties=lasting(version)) as bob:
        await bob.nothing()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.3.2-5", "5.0:MQTT-3.3.2-6")
async def test_queued_messages_of_qos_0_expire(make_broker: MakeBroker, version: Version) -> None:
    broker = await make_broker(queue_qos0=True)
    with stopped_clock(broker) as clock:
        await away(broker, version)
        async with Peer(broker, "ann") as ann:
            for seconds in (5, 9):
                await ann.publish("a", b"x", properties=expiring(seconds))
            await ann.ping()
        clock.forward(5)
        async with Peer(broker, "bob", clean_start=False, properties=lasting(version)) as bob:
            assert await told(bob) == 4
            await bob.nothing()


# -- once sent


@ONLY_5
@ABOVE_0
@pytest.mark.clause("5.0:MQTT-4.3.3-7", "5.0:MQTT-3.3.2-6")
async def test_what_is_sent_again_after_its_time_has_no_second_left(
    broker: Broker, clock: Clock, version: Version, qos: int
) -> None:
    async with (
        Peer(broker, "ann") as ann,
        Peer(broker, "bob", clean_start=False, properties=lasting(version), manual=True) as bob,
    ):
        await bob.subscribe("a", qos=qos)
        await ann.publish("a", b"sent in time", qos=qos, properties=expiring(5))
        await bob.expect(Publish)
    clock.forward(50)
    async with Peer(broker, "bob", clean_start=False, properties=lasting(version)) as again:
        message = await again.expect(Publish)
        assert (message.payload, message.dup) == (b"sent in time", True)
        assert message.properties.message_expiry_interval == 0


# -- retained and wills


@ONLY_5
@pytest.mark.parametrize("name", ["a", "+"])
@pytest.mark.clause("5.0:MQTT-3.3.2-5")
async def test_a_retained_message_that_expired_is_not_sent(
    broker: Broker, clock: Clock, version: Version, name: str
) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await ann.publish("a", b"x", qos=1, retain=True, properties=expiring(5))
        clock.forward(4)
        await bob.subscribe(name)
        assert await told(bob) == 1
        clock.forward(1)
        await bob.subscribe(name)
        await bob.nothing()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.3.2-6")
async def test_a_retained_message_tells_each_subscriber_what_is_left(
    broker: Broker, clock: Clock, version: Version
) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await ann.publish("a", b"x", qos=1, retain=True, properties=expiring(100))
        for left in (90, 80, 70):
            clock.forward(10)
            await bob.subscribe("a", qos=1)
            message = await bob.expect(Publish)
            assert (message.retain, message.properties.message_expiry_interval) == (True, left)


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.3.2-5")
async def test_the_next_retained_message_expires_by_its_own_interval(
    broker: Broker, clock: Clock, version: Version
) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await ann.publish("a", b"first", qos=1, retain=True, properties=expiring(5))
        clock.forward(4)
        await ann.publish("a", b"second", qos=1, retain=True)
        clock.forward(1000)
        await bob.subscribe("a")
        message = await bob.expect(Publish)
        assert (message.payload, message.properties.message_expiry_interval) == (b"second", None)


@ONLY_5
async def test_retained_messages_that_expired_are_forgotten_without_being_asked_for(
    broker: Broker, clock: Clock, version: Version
) -> None:
    async with Peer(broker, "ann") as ann:
        for topic, seconds in (("a", 5), ("a/b", None), ("a/b/c", 10)):
            said = Properties(message_expiry_interval=seconds)
            await ann.publish(topic, b"x", qos=1, retain=True, properties=said)
        clock.forward(60)
        assert list(broker.core.router.retained.messages) == [b"a/b"]


@ONLY_5
@pytest.mark.parametrize("delay", [0, 20])
@pytest.mark.clause("5.0:MQTT-3.3.2-6")
async def test_the_interval_of_a_will_begins_when_it_is_published(
    broker: Broker, clock: Clock, version: Version, delay: int
) -> None:
    will = Will("a", b"bye", 1, properties=Properties(message_expiry_interval=10, will_delay_interval=delay))
    await away(broker, version, "ann")
    async with Peer(broker, "bob", will=will, properties=lasting(version)) as bob:
        clock.forward(30)
        await broken_off(bob)
    clock.forward(delay)
    clock.forward(4)
    async with Peer(broker, "ann", clean_start=False, properties=lasting(version)) as ann:
        assert await told(ann) == 6


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.3.2-5")
async def test_a_will_expires_in_the_queue_like_any_message(broker: Broker, clock: Clock, version: Version) -> None:
    await away(broker, version, "ann")
    async with Peer(broker, "bob", will=Will("a", b"bye", 1, properties=expiring(10))) as bob:
        await broken_off(bob)
    clock.forward(10)
    async with Peer(broker, "ann", clean_start=False, properties=lasting(version)) as ann:
        await ann.nothing()


# -- by the real clock


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.3.2-5")
async def test_a_second_is_a_second(broker: Broker, version: Version) -> None:
    await away(broker, version)
    async with Peer(broker, "ann") as ann, Peer(broker, "cat") as cat:
        await cat.subscribe("gone")
        await ann.publish("a", b"expires first", qos=1, properties=expiring(1))
        late = Will("gone", b"a second has passed", properties=Properties(will_delay_interval=1))
        async with Peer(broker, "dan", will=late, properties=lasting(version)) as dan:
            await broken_off(dan)
        await cat.expect(Publish)  # the broker's own clock says so
        async with Peer(broker, "bob", clean_start=False, properties=lasting(version)) as bob:
            await bob.nothing()
