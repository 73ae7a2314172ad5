"""The broker goes and comes back, with and without what it knew."""

import pytest

from linnet import LinnetError, Properties, ReasonCode
from linnet.testing import Broker
from linnet.wire import Disconnect, Publish, Will
from tests.peer import Peer
from tests.testing.wires import Wire, connected

STAYS = Properties(session_expiry_interval=3600)


async def test_sessions_and_retained_messages_are_still_there(broker: Broker) -> None:
    port = broker.port
    bob = await Peer(broker, "bob", properties=STAYS)
    await bob.subscribe("a", qos=1)
    broker.publish("kept", "1", retain=True)
    await broker.restart()
    assert broker.port == port
    assert await bob.closed() == []
    broker.publish("a", "meanwhile", qos=1)
    async with Peer(broker, "bob", clean_start=False, properties=STAYS) as again:
        assert again.connack.session_present
        assert (await again.expect(Publish)).payload == b"meanwhile"
        await again.subscribe("kept")
        assert (await again.expect(Publish)).payload == b"1"


async def test_sessions_and_retained_messages_are_lost(broker: Broker) -> None:
    bob = await Peer(broker, "bob", properties=STAYS)
    await bob.subscribe("a", qos=1)
    broker.publish("kept", "1", retain=True)
    await broker.restart(sessions=False)
    await bob.closed()
    assert (broker.sessions, broker.retained) == ({}, {})
    async with Peer(broker, "bob", clean_start=False, properties=STAYS) as again:
        assert not again.connack.session_present
        assert broker.publish("a") == 0


async def test_nobody_can_connect_while_it_is_down(broker: Broker) -> None:
    await broker.stop()
    with pytest.raises(ConnectionRefusedError):
        await Peer(broker, "bob")
    with pytest.raises(ConnectionRefusedError, match="the broker is down"):
        await connected(broker, "bob")
    await broker.start()
    async with Peer(broker, "bob") as bob:
        await bob.ping()
    with pytest.raises(LinnetError, match="is up already"):
        await broker.start()


async def test_it_may_say_goodbye(broker: Broker) -> None:
    bob = await Peer(broker, "bob")
    await broker.restart(goodbye=True)
    said = await bob.closed()
    assert [packet.reason_code for packet in said] == [ReasonCode.SERVER_SHUTTING_DOWN]


async def test_who_goes_down_publishes_no_will(broker: Broker) -> None:
    will = Will("wills/bob", b"gone")
    bob = await Peer(broker, "bob", will=will)
    ann = await Peer(broker, "ann", properties=STAYS)
    await ann.subscribe("wills/#", qos=1)
    await broker.restart()
    await bob.closed()
    async with Peer(broker, "ann", clean_start=False, properties=STAYS) as again:
        await again.nothing()


async def test_the_fake_clock_and_the_rules_stay(broker: Broker) -> None:
    broker.advance()
    bob = await Peer(broker, "bob", properties=STAYS)
    broker.refuse(client_id="ann")
    await broker.restart()
    await bob.closed()
    broker.advance(3600)
    assert broker.sessions == {}
    assert (await Peer(broker, "ann")).connack.reason_code == ReasonCode.SERVER_UNAVAILABLE


async def test_a_client_in_memory_is_cut_off_by_it(broker: Broker) -> None:
    wire = await connected(broker, "bob")
    await broker.restart()
    assert isinstance(await wire.closed(), ConnectionResetError)
    again = await connected(broker, "bob")
    again.send(Disconnect())
    assert await again.closed() is None


async def test_what_has_not_started_says_so() -> None:
    broker = Broker()
    with pytest.raises(LinnetError, match="does not run"):
        broker.publish("a")
    with pytest.raises(ConnectionRefusedError):
        await broker.dial(Wire)
    async with broker:
        pass
    with pytest.raises(LinnetError, match="does not run"):
        broker.cut()
