"""4.3 Quality of service, 4.4 Message delivery retry and 4.5 Message receipt: each message as often as promised."""

from typing import Any

import pytest

from linnet import Broker
from linnet.wire import Properties, Puback, Pubcomp, Publish, Pubrec, Pubrel, Version
from tests.accidents import ENDS, end, seconds_pass
from tests.conformance.tools import EVERY_VERSION, ONLY_5, codes, lasting
from tests.peer import Packet, Peer


def durable(broker: Broker, version: Version, manual: bool = True, client_id: str = "bob") -> Peer:
    """A client that resumes its session, and acknowledges by hand."""
    return Peer(broker, client_id, version, False, properties=lasting(version), manual=manual)


async def answer(peer: Peer, packet: Packet, kind: type) -> int:
    """Sends a packet, and returns the reason code of the acknowledgement of that kind, which is for it."""
    peer.send(packet)
    found: Any = await peer.expect(kind)
    assert found.packet_id == packet.packet_id
    return int(found.reason_code)


# -- the broker as sender


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-4.3.1-1", "5.0:MQTT-4.3.1-1")
async def test_qos_0_comes_once_without_dup_and_identifier(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", version) as bob:
        await bob.subscribe("a")
        for qos in range(3):
            await ann.publish("a", b"x", qos=qos)
            message = await bob.receive()
            assert (message.qos, message.dup, message.packet_id) == (0, False, 0)
        await bob.nothing()


@EVERY_VERSION
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.clause(
    *("3.1.1:MQTT-4.3.2-1", "3.1.1:MQTT-4.3.3-1"),
    *("5.0:MQTT-4.3.2-1", "5.0:MQTT-4.3.2-2", "5.0:MQTT-4.3.3-1", "5.0:MQTT-4.3.3-2"),
)
async def test_each_message_has_an_identifier_of_its_own_and_no_dup(broker: Broker, version: Version, qos: int) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", version, manual=True) as bob:
        await bob.subscribe("a", qos=qos)
        for _ in range(20):
            await ann.publish("a", b"x", qos=qos)
        found = [await bob.expect(Publish) for _ in range(20)]
        assert all((each.qos, each.dup) == (qos, False) for each in found)
        assert len({each.packet_id for each in found} - {0}) == 20


@EVERY_VERSION
@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.clause(
    *("3.1.1:MQTT-4.3.2-1", "3.1.1:MQTT-4.3.3-1", "3.1.1:MQTT-4.4.0-1", "3.1.1:MQTT-3.3.1-1"),
    *("5.0:MQTT-4.3.2-3", "5.0:MQTT-4.3.3-3", "5.0:MQTT-4.4.0-1", "5.0:MQTT-3.3.1-1"),
)
async def test_an_unacknowledged_message_comes_again_on_the_next_connection_and_not_before(
    broker: Broker, version: Version, qos: int, how: str
) -> None:
    async with Peer(broker, "ann") as ann:
        bob = await durable(broker, version)
        await bob.subscribe("a", qos=qos)
        await ann.publish("a", b"x", qos=qos)
        first = await bob.expect(Publish)
        await bob.nothing()
        for _ in range(2):
            await end(bob, how)
            bob = await durable(broker, version)
            again = await bob.expect(Publish)
            assert (again.payload, again.packet_id, again.qos, again.dup) == (b"x", first.packet_id, qos, True)
            await bob.nothing()
        await bob.disconnect()


@EVERY_VERSION
@pytest.mark.parametrize("how", ENDS)
@pytest.mark.clause("3.1.1:MQTT-4.3.2-1", "5.0:MQTT-4.3.2-3", "5.0:MQTT-4.4.0-2")
async def test_what_was_acknowledged_does_not_come_again(broker: Broker, version: Version, how: str) -> None:
    async with Peer(broker, "ann") as ann:
        bob = await durable(broker, version)
        await bob.subscribe("a", qos=1)
        await ann.publish("a", b"x", qos=1)
        bob.send(Puback((await bob.expect(Publish)).packet_id))
        await bob.nothing()
        await end(bob, how)
        async with durable(broker, version) as again:
            await again.nothing()


@EVERY_VERSION
@pytest.mark.parametrize("how", ENDS)
@pytest.mark.clause(
    *("3.1.1:MQTT-4.3.3-1", "3.1.1:MQTT-4.4.0-1"),
    *("5.0:MQTT-4.3.3-4", "5.0:MQTT-4.3.3-5", "5.0:MQTT-4.3.3-6", "5.0:MQTT-4.4.0-1"),
)
async def test_after_pubrec_only_pubrel_comes_again_until_pubcomp(broker: Broker, version: Version, how: str) -> None:
    async with Peer(broker, "ann") as ann:
        bob = await durable(broker, version)
        await bob.subscribe("a", qos=2)
        await ann.publish("a", b"x", qos=2)
        message = await bob.expect(Publish)
        assert await answer(bob, Pubrec(message.packet_id), Pubrel) == 0
        await bob.nothing()
        for _ in range(2):
            await end(bob, how)
            bob = await durable(broker, version)
            assert (await bob.expect(Pubrel)).packet_id == message.packet_id
            await bob.nothing()
        bob.send(Pubcomp(message.packet_id))
        await bob.nothing()
        await end(bob, how)
        async with durable(broker, version) as again:
            await again.nothing()


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-4.3.3-1", "5.0:MQTT-4.3.3-6")
async def test_a_repeated_pubrec_gets_pubrel_again_and_nothing_else(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", version, manual=True) as bob:
        await bob.subscribe("a", qos=2)
        await ann.publish("a", b"x", qos=2)
        message = await bob.expect(Publish)
        for _ in range(3):
            assert await answer(bob, Pubrec(message.packet_id), Pubrel) == 0
        bob.send(Pubcomp(message.packet_id))
        await bob.nothing()


@ONLY_5
@pytest.mark.parametrize("code", [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99])
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.clause("5.0:MQTT-4.4.0-2", "5.0:MQTT-4.3.3-4")
async def test_a_refused_message_is_done_with(broker: Broker, version: Version, qos: int, code: int) -> None:
    async with Peer(broker, "ann") as ann:
        async with durable(broker, version) as bob:
            await bob.subscribe("a", qos=qos)
            await ann.publish("a", b"x", qos=qos)
            message = await bob.expect(Publish)
            bob.send((Puback if qos == 1 else Pubrec)(message.packet_id, code))
            await bob.nothing()
        async with durable(broker, version) as again:
            await again.nothing()


@ONLY_5
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.clause("5.0:MQTT-4.3.3-7", "5.0:MQTT-4.3.3-13")
async def test_a_message_once_sent_does_not_expire(broker: Broker, version: Version, qos: int) -> None:
    async with Peer(broker, "ann") as ann:
        async with durable(broker, version) as bob:
            await bob.subscribe("a", qos=qos)
            await ann.publish("a", b"x", qos=qos, properties=Properties(message_expiry_interval=1))
            first = await bob.expect(Publish)
        await seconds_pass(broker, 2)
        async with durable(broker, version) as again:
            second = await again.expect(Publish)
            assert (second.payload, second.packet_id, second.dup) == (b"x", first.packet_id, True)
            if qos == 2:
                assert await answer(again, Pubrec(second.packet_id), Pubrel) == 0
                again.send(Pubcomp(second.packet_id))
                await again.nothing()


# -- the broker as receiver


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-4.3.2-2", "5.0:MQTT-4.3.2-4", "5.0:MQTT-4.3.2-5")
async def test_after_puback_the_same_identifier_is_a_new_message(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", version, manual=True) as bob:
        await ann.subscribe("a", qos=1)
        for dup in (False, True, True, False):
            assert await answer(bob, Publish("a", b"x", 1, dup=dup, packet_id=7), Puback) == 0
            assert (await ann.receive()).dup is False
        await ann.nothing()
        await bob.nothing()


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-4.3.3-2", "5.0:MQTT-4.3.3-8", "5.0:MQTT-4.3.3-10", "5.0:MQTT-4.3.3-11")
async def test_qos_2_is_delivered_once_however_often_it_is_published_before_pubrel(
    broker: Broker, version: Version
) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", version, manual=True) as bob:
        await ann.subscribe("a", qos=2)
        for dup in (False, True, True):
            assert await answer(bob, Publish("a", b"x", 2, dup=dup, packet_id=7), Pubrec) == 0
        assert (await ann.receive()).payload == b"x"
        assert await answer(bob, Pubrel(7), Pubcomp) == 0
        await ann.nothing()
        await bob.nothing()


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-4.3.3-2", "5.0:MQTT-4.3.3-12")
async def test_after_pubcomp_the_same_identifier_is_a_new_message(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", version, manual=True) as bob:
        await ann.subscribe("a", qos=2)
        for payload in (b"one", b"two", b"three"):
            assert await answer(bob, Publish("a", payload, 2, dup=payload != b"one", packet_id=7), Pubrec) == 0
            assert await answer(bob, Pubrel(7), Pubcomp) == 0
            assert (await ann.receive()).payload == payload
        await ann.nothing()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-4.3.3-9")
async def test_after_a_pubrec_that_refuses_the_same_identifier_is_a_new_message(
    broker: Broker, version: Version
) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", manual=True) as bob:
        await ann.subscribe("a", qos=2)
        assert await answer(bob, Publish("$SYS/broker", b"refused", 2, packet_id=7), Pubrec) == 0x87
        assert await answer(bob, Publish("a", b"taken", 2, packet_id=7), Pubrec) == 0
        assert (await ann.receive()).payload == b"taken"


@ONLY_5
@pytest.mark.clause("5.0:MQTT-4.3.3-13")
async def test_the_exchange_goes_on_for_a_received_message_that_expired(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", manual=True) as bob:
        await ann.subscribe("a", qos=2)
        brief = Publish("a", b"x", 2, packet_id=7, properties=Properties(message_expiry_interval=1))
        assert await answer(bob, brief, Pubrec) == 0
        await seconds_pass(broker, 2)
        assert await answer(bob, brief, Pubrec) == 0
        assert await answer(bob, Pubrel(7), Pubcomp) == 0
        assert (await ann.receive()).payload == b"x"
        await ann.nothing()


@EVERY_VERSION
@pytest.mark.parametrize("how", ENDS)
@pytest.mark.clause("3.1.1:MQTT-4.3.3-2", "5.0:MQTT-4.3.3-10")
async def test_a_message_published_again_on_the_next_connection_is_delivered_once(
    broker: Broker, version: Version, how: str
) -> None:
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("a", qos=2)
        bob = await durable(broker, version)
        assert await answer(bob, Publish("a", b"x", 2, packet_id=7), Pubrec) == 0
        for _ in range(2):
            await end(bob, how)
            bob = await durable(broker, version)
            assert await answer(bob, Publish("a", b"x", 2, dup=True, packet_id=7), Pubrec) == 0
        await end(bob, how)
        async with durable(broker, version) as again:
            assert await answer(again, Pubrel(7), Pubcomp) == 0
            assert await answer(again, Publish("a", b"new", 2, packet_id=7), Pubrec) == 0
        assert [(await ann.receive()).payload for _ in range(2)] == [b"x", b"new"]
        await ann.nothing()


@EVERY_VERSION
@pytest.mark.parametrize("how", ENDS)
@pytest.mark.clause("3.1.1:MQTT-4.3.3-2", "5.0:MQTT-4.3.3-11", "5.0:MQTT-4.3.3-12")
async def test_a_release_repeated_on_the_next_connection_is_completed_again(
    broker: Broker, version: Version, how: str
) -> None:
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("a", qos=2)
        bob = await durable(broker, version)
        assert await answer(bob, Publish("a", b"x", 2, packet_id=7), Pubrec) == 0
        assert await answer(bob, Pubrel(7), Pubcomp) == 0
        await end(bob, how)
        async with durable(broker, version) as again:
            assert await answer(again, Pubrel(7), Pubcomp) == (0x92 if version.can_say_why else 0)
        assert (await ann.receive()).payload == b"x"
        await ann.nothing()


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-4.3.3-2", "5.0:MQTT-4.3.3-12")
async def test_a_clean_start_forgets_what_was_not_released(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("a", qos=2)
        async with durable(broker, version) as bob:
            assert await answer(bob, Publish("a", b"one", 2, packet_id=7), Pubrec) == 0
        async with Peer(broker, "bob", version, clean_start=True, manual=True) as new:
            assert await answer(new, Publish("a", b"two", 2, dup=True, packet_id=7), Pubrec) == 0
        assert [(await ann.receive()).payload for _ in range(2)] == [b"one", b"two"]


# -- 4.5


@EVERY_VERSION
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.clause("3.1.1:MQTT-4.5.0-1", "5.0:MQTT-4.5.0-1")
async def test_a_message_goes_to_every_session_that_matches_be_its_client_there_or_not(
    broker: Broker, version: Version, qos: int
) -> None:
    names = [f"client-{number}" for number in range(6)]
    for name in names:
        async with durable(broker, version, client_id=name) as each:
            await each.subscribe("a/+", qos=qos)
    here = [await durable(broker, version, manual=False, client_id=name) for name in names[:3]]
    async with Peer(broker, "ann", version) as ann:
        ack = await ann.publish("a/b", b"x", qos=qos)
        assert codes([ack]) == [("Puback" if qos == 1 else "Pubcomp", 0)]
    there = [await durable(broker, version, manual=False, client_id=name) for name in names[3:]]
    for each in (*here, *there):
        assert (await each.receive()).payload == b"x"
        await each.nothing()
        await each.disconnect()
