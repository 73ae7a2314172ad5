"""4.6 Message ordering: what comes first goes first."""

import asyncio

import pytest

from linnet import Broker
from linnet.core.ports import Hooks
from linnet.core.session import Session
from linnet.wire import (
    Message,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    SubscriptionOptions,
    Version,
)
from tests.accidents import ENDS, end
from tests.conformance.tools import EVERY_VERSION, ONLY_5, lasting
from tests.conftest import MakeBroker
from tests.peer import Peer


class Ponderer(Hooks):
    """Decides at once on every message but those that say "slow", which take two turns of the event loop each."""

    async def publishing(self, session: Session, message: Message) -> Message:
        if message.payload == b"slow":
            for _ in range(2):
                await asyncio.sleep(0)
        return message


def durable(broker: Broker, version: Version, window: int | None = None) -> Peer:
    """A client that resumes its session, and acknowledges by hand."""
    kept = lasting(version, receive_maximum=window)
    return Peer(broker, "bob", version, False, properties=kept, manual=True)


def numbers(found: list[Publish]) -> list[int]:
    return [int(each.payload) for each in found]


# -- what the broker sends again


@EVERY_VERSION
@pytest.mark.parametrize("how", ENDS)
@pytest.mark.clause("3.1.1:MQTT-4.6.0-1", "5.0:MQTT-4.6.0-1", "5.0:MQTT-4.4.0-1")
async def test_what_is_sent_again_comes_in_the_order_of_its_first_sending_and_before_what_is_new(
    broker: Broker, version: Version, how: str
) -> None:
    async with Peer(broker, "ann") as ann:
        bob = await durable(broker, version)
        await bob.subscribe([("a", SubscriptionOptions(1)), ("b", SubscriptionOptions(2))])
        for number in range(8):
            await ann.publish("ab"[number % 2], str(number).encode(), qos=2)
        first = [await bob.expect(Publish) for _ in range(8)]
        assert numbers(first) == list(range(8))
        bob.send(Puback(first[4].packet_id))
        bob.send(Puback(first[0].packet_id))
        bob.send(Pubrec(first[3].packet_id, 0x97 if version.can_say_why else 0))
        if not version.can_say_why:
            await bob.expect(Pubrel)
            bob.send(Pubcomp(first[3].packet_id))
        await bob.nothing()
        await end(bob, how)
        async with durable(broker, version) as again:
            await ann.publish("a", b"8", qos=1)
            found = [await again.expect(Publish) for _ in range(6)]
            assert numbers(found) == [1, 2, 5, 6, 7, 8]
            assert [each.dup for each in found] == [True] * 5 + [False]
            assert [each.packet_id for each in found[:5]] == [first[number].packet_id for number in (1, 2, 5, 6, 7)]
            await again.nothing()


@ONLY_5
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.clause("5.0:MQTT-4.6.0-1")
async def test_what_is_sent_again_keeps_its_order_through_a_narrower_window(
    broker: Broker, version: Version, qos: int
) -> None:
    async with Peer(broker, "ann") as ann:
        async with durable(broker, version, window=5) as bob:
            await bob.subscribe("a", qos=qos)
            for number in range(9):
                await ann.publish("a", str(number).encode(), qos=qos)
            assert numbers([await bob.expect(Publish) for _ in range(5)]) == list(range(5))
        narrow = lasting(version, receive_maximum=2)
        async with Peer(broker, "bob", version, False, properties=narrow) as again:
            found = [await again.expect(Publish) for _ in range(9)]
            assert numbers(found) == list(range(9))
            assert [each.dup for each in found] == [True] * 5 + [False] * 4


# -- acknowledgements


@EVERY_VERSION
@pytest.mark.clause(
    *("3.1.1:MQTT-4.6.0-2", "3.1.1:MQTT-4.6.0-3"),
    *("5.0:MQTT-4.6.0-2", "5.0:MQTT-4.6.0-3"),
)
async def test_acknowledgements_come_in_the_order_of_the_messages(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version, manual=True) as bob:
        sent = [(packet_id, 1 + packet_id % 2) for packet_id in (9, 4, 65535, 1, 2, 8, 100, 7)]
        bob.send(b"".join(Publish("a", b"x", qos, packet_id=number).encode(version) for number, qos in sent))
        found = [await bob.receive() for _ in sent]
        assert [(each.packet_id, 1 if isinstance(each, Puback) else 2) for each in found] == sent
        assert {type(each) for each in found} == {Puback, Pubrec}


@EVERY_VERSION
@pytest.mark.clause(
    *("3.1.1:MQTT-4.6.0-2", "3.1.1:MQTT-4.6.0-3"),
    *("5.0:MQTT-4.6.0-2", "5.0:MQTT-4.6.0-3"),
)
async def test_a_decision_that_takes_its_time_lets_no_later_acknowledgement_pass(
    make_broker: MakeBroker, version: Version
) -> None:
    broker = await make_broker(hooks=Ponderer())
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", version, manual=True) as bob:
        await ann.subscribe("a", qos=2)
        sent = [
            Publish("a", payload, 1 + number % 2, packet_id=number + 1) for number, payload in enumerate(SLOW_AND_FAST)
        ]
        bob.send(b"".join(each.encode(version) for each in sent))
        acks = [await bob.receive() for _ in sent]
        assert [each.packet_id for each in acks] == [each.packet_id for each in sent]
        found = [await ann.receive() for _ in sent]
        assert [each.payload for each in found] == SLOW_AND_FAST


SLOW_AND_FAST = [b"slow", b"1", b"2", b"slow", b"slow", b"3"]


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-4.6.0-4", "5.0:MQTT-4.6.0-4")
async def test_pubrels_come_in_the_order_of_the_pubrecs(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", version, manual=True) as bob:
        await bob.subscribe("a", qos=2)
        for _ in range(5):
            await ann.publish("a", b"x", qos=2)
        found = [(await bob.expect(Publish)).packet_id for _ in range(5)]
        shuffled = [found[number] for number in (3, 0, 4, 2, 1)]
        bob.send(b"".join(Pubrec(packet_id).encode(version) for packet_id in shuffled))
        assert [(await bob.expect(Pubrel)).packet_id for _ in found] == shuffled
        for packet_id in found:
            bob.send(Pubcomp(packet_id))
        await bob.nothing()


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-4.6.0-4", "5.0:MQTT-4.6.0-4")
async def test_pubrels_sent_again_come_in_the_order_of_the_pubrecs_too(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann:
        async with durable(broker, version) as bob:
            await bob.subscribe("a", qos=2)
            for _ in range(3):
                await ann.publish("a", b"x", qos=2)
            found = [(await bob.expect(Publish)).packet_id for _ in range(3)]
            shuffled = [found[2], found[0], found[1]]
            for packet_id in shuffled:
                bob.send(Pubrec(packet_id))
                await bob.expect(Pubrel)
        async with durable(broker, version) as again:
            assert [(await again.expect(Pubrel)).packet_id for _ in found] == shuffled


# -- from publisher to subscriber


@EVERY_VERSION
@pytest.mark.parametrize("granted", [0, 1, 2])
@pytest.mark.parametrize("published", [0, 1, 2])
@pytest.mark.clause(
    *("3.1.1:MQTT-4.6.0-5", "3.1.1:MQTT-4.6.0-6"),
    *("5.0:MQTT-4.6.0-5", "5.0:MQTT-4.6.0-6"),
)
async def test_every_publishers_messages_come_in_the_order_it_sent_them(
    broker: Broker, version: Version, published: int, granted: int
) -> None:
    async with (
        Peer(broker, "ann", version) as ann,
        Peer(broker, "cat", version) as cat,
        Peer(broker, "bob", version) as bob,
    ):
        await bob.subscribe("#", qos=granted)
        for start in range(0, 60, 20):
            for peer in (ann, cat):
                peer.send(b"".join(numbered(peer, version, published, number) for number in range(start, start + 20)))
        found = [await bob.expect(Publish) for _ in range(120)]
        for peer in (ann, cat):
            part = [each for each in found if each.topic.startswith(peer.client_id)]
            assert numbers(part) == list(range(60))
        await bob.nothing()
        for peer in (ann, cat):
            await peer.ping()  # so that its acknowledgements were read


def numbered(peer: Peer, version: Version, qos: int, number: int) -> bytes:
    """A message on one of two topics of the peer, with its number as payload."""
    topic = f"{peer.client_id}/{number % 2}"
    return Publish(topic, str(number).encode(), qos, packet_id=number + 1 if qos else 0).encode(version)


@ONLY_5
@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.clause("5.0:MQTT-4.6.0-5", "5.0:MQTT-4.6.0-6")
async def test_what_waits_for_the_window_keeps_its_order(
    broker: Broker, version: Version, qos: int, window: int
) -> None:
    narrow = Properties(receive_maximum=window)
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", properties=narrow) as bob:
        await bob.subscribe("a", qos=qos)
        for number in range(40):
            await ann.publish("a", str(number).encode(), qos=qos)
        assert numbers([await bob.expect(Publish) for _ in range(40)]) == list(range(40))


@EVERY_VERSION
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.clause("3.1.1:MQTT-4.6.0-6", "5.0:MQTT-4.6.0-5")
async def test_what_waited_for_the_client_comes_before_what_is_published_then(
    make_broker: MakeBroker, version: Version, qos: int
) -> None:
    broker = await make_broker(max_inflight=3)
    kept = lasting(version)
    async with Peer(broker, "bob", version, False, properties=kept) as bob:
        await bob.subscribe("a", qos=qos)
    async with Peer(broker, "ann") as ann:
        for number in range(20):
            await ann.publish("a", str(number).encode(), qos=qos)
        async with Peer(broker, "bob", version, False, properties=kept) as again:
            for number in range(20, 40):
                await ann.publish("a", str(number).encode(), qos=qos)
            assert numbers([await again.expect(Publish) for _ in range(40)]) == list(range(40))
