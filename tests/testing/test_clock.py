"""Time goes by when the test says so."""

import pytest

import linnet
from linnet import Properties, ReasonCode
from linnet.testing import Broker, FakeClock
from linnet.wire import Publish, Will
from tests.peer import Peer


async def test_a_session_expires(broker: Broker) -> None:
    broker.advance()
    async with Peer(broker, "bob", properties=Properties(session_expiry_interval=3600)):
        pass
    broker.advance(3599)
    assert list(broker.sessions) == ["bob"]
    broker.advance(1)
    assert broker.sessions == {}


async def test_a_message_expires(broker: Broker) -> None:
    async with Peer(broker, "ann") as ann:
        broker.advance()
        hour = Properties(message_expiry_interval=3600)
        await ann.publish("a", b"news", retain=True, properties=hour, qos=1)
        broker.advance(600)
        await ann.subscribe("a")
        assert (await ann.expect(Publish)).properties.message_expiry_interval == 3000
        broker.advance(3000)
        await ann.subscribe("a")
        await ann.nothing()


async def test_a_silent_client_is_given_up_and_all_that_follows_comes_at_its_time(broker: Broker) -> None:
    broker.advance()
    wishes = Properties(session_expiry_interval=300)
    will = Will("wills/bob", b"gone", properties=Properties(will_delay_interval=100))
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", keep_alive=60, will=will, properties=wishes) as bob:
        await ann.subscribe("#")
        with broker.drop("DISCONNECT", count=1, to="bob"):
            broker.advance(89)
            await bob.ping()
            broker.advance(90)  # 1.5 times the keep-alive after the ping
            await bob.closed()
        assert "nothing heard for 90.0 s" in (await broker.wait_for("CLOSED", by="bob")).detail
        broker.advance(99)
        await ann.nothing()
        broker.advance(1)
        assert (await ann.expect(Publish)).payload == b"gone"
        broker.advance(199)
        assert "bob" in broker.sessions
        broker.advance(1)
        assert "bob" not in broker.sessions


async def test_one_step_is_as_good_as_many(broker: Broker) -> None:
    broker.advance()
    wishes = Properties(session_expiry_interval=300)
    async with Peer(broker, "bob", keep_alive=60, properties=wishes) as bob:
        broker.advance(24 * 3600)
        said = await bob.closed()
        assert [packet.reason_code for packet in said] == [ReasonCode.KEEP_ALIVE_TIMEOUT]
        assert broker.sessions == {}
        closed = await broker.wait_for("CLOSED")
        assert "nothing heard for 90.0 s" in closed.detail


async def test_a_late_connect_is_not_waited_for(broker: Broker) -> None:
    broker.advance()
    async with Peer.raw(broker) as peer, Peer(broker, "bob") as bob:
        await bob.ping()
        broker.advance(10)
        await peer.closed()
        await bob.ping()


async def test_time_does_not_go_back(broker: Broker) -> None:
    with pytest.raises(ValueError, match="time does not go back"):
        broker.advance(-1)


async def test_any_brokers_clock_can_be_stopped(broker: Broker) -> None:
    async with linnet.Broker(listen="127.0.0.1:0") as plain:
        with FakeClock(plain) as clock:
            async with Peer(plain, "bob", properties=Properties(session_expiry_interval=60)):
                pass
            before = clock.now
            clock.advance(59)
            assert list(plain.sessions) == ["bob"]
            clock.advance(1)
            assert plain.sessions == {}
            assert clock.now == before + 60
        with pytest.raises(RuntimeError, match="not in use"):
            clock.advance(1)
        async with Peer(plain, "bob") as bob:
            await bob.ping()
        with pytest.raises(RuntimeError, match="not in use"):
            clock.advance(1)


async def test_the_clock_goes_on_afterwards(broker: Broker) -> None:
    async with linnet.Broker(listen="127.0.0.1:0") as plain:
        turn = plain.running()
        done: list[float] = []
        with FakeClock(plain):
            plain.core.deadlines.at(turn.begin(), done.append)
        async with Peer(plain, "bob") as bob:
            while not done:
                await bob.ping()
