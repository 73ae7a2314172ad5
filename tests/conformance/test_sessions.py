"""4.1 Session state: what server and client remember of each other, and for how long."""

import pytest

from linnet import Broker
from linnet.wire import Properties, Publish, Pubrec, Pubrel, Version
from tests.accidents import ENDS, end, seconds_pass
from tests.conformance.tools import EVERY_VERSION, ONLY_5, SINCE_3_1_1, lasting
from tests.peer import Peer


def durable(broker: Broker, version: Version, manual: bool = False) -> Peer:
    """A client that resumes its session."""
    return Peer(broker, "bob", version, False, properties=lasting(version), manual=manual)


@EVERY_VERSION
@pytest.mark.parametrize("how", ENDS)
@pytest.mark.clause("3.1.1:MQTT-4.1.0-1", "5.0:MQTT-4.1.0-1", "5.0:MQTT-4.4.0-1")
async def test_every_part_of_a_session_outlives_its_connection(broker: Broker, version: Version, how: str) -> None:
    async with Peer(broker, "ann") as ann:
        bob = await durable(broker, version, manual=True)
        await bob.subscribe("a", qos=2)
        for qos, payload in ((2, b"received"), (2, b"sent twice"), (1, b"sent once")):
            await ann.publish("a", payload, qos=qos)
        received, twice, once = [await bob.expect(Publish) for _ in range(3)]
        bob.send(Pubrec(received.packet_id))
        await bob.expect(Pubrel)
        bob.send(Publish("b", b"unreleased", 2, packet_id=9))
        await bob.expect(Pubrec)
        await end(bob, how)
        async with durable(broker, version, manual=True) as again:
            await ann.publish("a", b"later", qos=1)
            assert (await again.expect(Pubrel)).packet_id == received.packet_id
            found = [await again.expect(Publish) for _ in range(3)]
            assert [(each.payload, each.dup) for each in found] == [
                *((b"sent twice", True), (b"sent once", True), (b"later", False)),
            ]
            assert [each.packet_id for each in found[:2]] == [twice.packet_id, once.packet_id]
            await ann.subscribe("b", qos=2)
            again.send(Publish("b", b"unreleased", 2, dup=True, packet_id=9))
            await again.expect(Pubrec)
            await ann.nothing()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-4.1.0-1")
async def test_a_session_does_not_expire_while_its_client_is_connected(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", properties=lasting(version, 1)) as bob:
        await bob.subscribe("a", qos=1)
        await seconds_pass(broker, 3)
        await bob.publish("a", b"x", qos=1)
        assert (await bob.receive()).payload == b"x"
    async with durable(broker, version) as again:
        assert again.connack.session_present


@SINCE_3_1_1
@pytest.mark.clause("3.1.1:MQTT-4.1.0-2", "5.0:MQTT-4.1.0-1")
async def test_a_session_lasts_as_long_as_its_connection_even_if_no_longer(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as bob, Peer(broker, "ann") as ann:
        await bob.subscribe("a", qos=2)
        for qos in range(3):
            await ann.publish("a", b"x", qos=qos)
            assert (await bob.receive()).qos == qos
    async with durable(broker, version) as again:
        assert not again.connack.session_present


@ONLY_5
@pytest.mark.clause("5.0:MQTT-4.1.0-2")
async def test_a_session_is_discarded_when_it_expired(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann:
        async with Peer(broker, "bob", properties=lasting(version, 1), manual=True) as bob:
            await bob.subscribe("a", qos=1)
            await ann.publish("a", b"unacknowledged", qos=1)
            await bob.expect(Publish)
        await ann.publish("a", b"waiting", qos=1)
        await seconds_pass(broker, 2)
        assert "bob" not in broker.sessions
        async with durable(broker, version) as again:
            assert not again.connack.session_present
            await ann.publish("a", b"nobody asked", qos=1)
            await again.nothing()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-4.1.0-2")
async def test_coming_back_in_time_begins_the_expiry_anew(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", properties=lasting(version, 1)) as bob:
        await bob.subscribe("a", qos=1)
    async with durable(broker, version) as again:
        assert again.connack.session_present
    await seconds_pass(broker, 2)
    async with durable(broker, version) as later:
        assert later.connack.session_present
        await later.disconnect(0, Properties(session_expiry_interval=1))
    await seconds_pass(broker, 2)
    async with durable(broker, version) as at_last:
        assert not at_last.connack.session_present
