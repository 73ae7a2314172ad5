"""What went by can be looked at and waited for."""

import asyncio
import logging

import pytest

from linnet import ReasonCode
from linnet.testing import Broker, NotSeen, Seen
from linnet.testing.record import Record, Wanted
from linnet.wire import Publish
from tests.net.loops import until
from tests.peer import Peer


async def test_every_packet_is_there(broker: Broker) -> None:
    async with Peer(broker, "bob") as bob:
        await bob.subscribe("a/+", qos=1)
        await bob.publish("a/b", b"hello", qos=1, retain=True)
        await bob.receive()
    limits = "receive_maximum=100 topic_alias_maximum=16 maximum_packet_size=1048576"
    assert str(broker.packets).splitlines() == [
        "in 'bob' CONNECT version='5.0' clean_start keep_alive=0",
        f"out 'bob' CONNACK reason_code=0 {limits}",
        "in 'bob' SUBSCRIBE packet_id=1 count=1 filters=['a/+' qos=1]",
        "out 'bob' SUBACK packet_id=1 reason_codes=[0x01 granted qos 1]",
        "in 'bob' PUBLISH topic='a/b' qos=1 packet_id=2 retain payload=b'hello'",
        "out 'bob' PUBLISH topic='a/b' qos=1 packet_id=1 payload=b'hello'",
        "out 'bob' PUBACK packet_id=2 reason_code=0",
        "in 'bob' PUBACK packet_id=1 reason_code=0",
        "in 'bob' DISCONNECT reason_code=0",
        "in 'bob' CLOSED: the client disconnected with reason code 0x00",
    ]
    first = broker.packets.select("PUBLISH")[0]
    assert (first.topic, first.payload, first.qos, first.retain) == ("a/b", b"hello", 1, True)
    assert (broker.packets[0].payload, broker.packets[0].qos, broker.packets[0].retain) == (b"", 0, False)
    assert repr(broker.packets[8]) == "<Seen in 'bob' DISCONNECT reason_code=0>"
    assert repr(broker.packets) == "<Packets: 10>"
    assert [seen.name for seen in broker.packets.select(("SUBSCRIBE", "SUBACK"), topic="a/#")] == ["SUBSCRIBE"]


async def test_a_client_has_the_name_that_it_was_given(broker: Broker) -> None:
    async with Peer(broker) as peer:
        name = peer.client_id
    assert name
    assert {seen.client_id for seen in broker.packets} == {name}


async def test_only_so_many_are_kept() -> None:
    async with Broker(packets_kept=3) as broker, Peer(broker, "bob") as bob:
        for _ in range(3):
            await bob.ping()
        assert [seen.name for seen in broker.packets] == ["PINGRESP", "PINGREQ", "PINGRESP"]
        broker.packets.clear()
        assert len(broker.packets) == 0


async def test_a_packet_is_waited_for(broker: Broker) -> None:
    waiting = asyncio.create_task(broker.wait_for("PUBLISH", by="bob", topic="a/#"))
    async with Peer(broker, "bob") as bob:
        await bob.publish("b")
        await bob.publish("a/b", b"1")
        assert (await waiting).payload == b"1"


async def test_a_packet_that_came_before_is_found_once(broker: Broker) -> None:
    async with Peer(broker, "bob") as bob:
        await bob.publish("a", b"1", qos=1)
        await bob.publish("a", b"2", qos=1)
        assert (await broker.wait_for_message("a")).payload == b"1"
        assert (await broker.wait_for_message("a", by="bob")).payload == b"2"
        with pytest.raises(NotSeen, match="found by an earlier wait"):
            await broker.wait_for_message("a", timeout=0)


async def test_a_message_with_a_payload_is_waited_for(broker: Broker) -> None:
    async with Peer(broker, "bob") as bob:
        await bob.publish("a", b"off")
        await bob.publish("a", "ön".encode())
        assert (await broker.wait_for_message("a", "ön")).topic == "a"
        assert (await broker.wait_for_message("a", b"off")).topic == "a"


async def test_the_error_tells_what_came_instead(broker: Broker) -> None:
    with pytest.raises(NotSeen, match=r"^no PUBLISH coming in on '#' within 0 s; the broker has seen no packet$"):
        await broker.wait_for_message(timeout=0)
    async with Peer(broker, "bob") as bob:
        await bob.publish("a/b", b"1", qos=1)
        with pytest.raises(NotSeen) as caught:
            await broker.wait_for("PUBLISH", by="bob", topic="a/c", timeout=0)
        with pytest.raises(NotSeen, match="no packet by or to 'ann' of the kind asked for within"):
            await broker.wait_for(client_id="ann", where=lambda seen: True, timeout=0)
    lines = str(caught.value).splitlines()
    assert lines[0] == "no PUBLISH by 'bob' on 'a/c' within 0 s; the last of 4 packets were:"
    assert lines[3] == "  in 'bob' PUBLISH topic='a/b' qos=1 packet_id=1 payload=b'1'"
    assert issubclass(NotSeen, AssertionError)


async def test_a_cancelled_wait_takes_nothing_with_it() -> None:
    record = Record(10)
    waiting = asyncio.create_task(record.wait(Wanted("PINGREQ"), 10))
    await until(lambda: record.waiters)
    ping = Seen("in", "bob", "PINGREQ")
    record.add(ping)
    assert ping.taken
    waiting.cancel()  # it has not run since the packet came
    await asyncio.wait([waiting])
    assert waiting.cancelled() and not record.waiters
    assert await record.wait(Wanted("PINGREQ"), 0) is ping


async def test_a_question_that_fails_fails_the_wait(broker: Broker) -> None:
    waiting = asyncio.create_task(broker.wait_for("PINGREQ", where=lambda seen: 1 // 0))
    async with Peer(broker, "bob") as bob:
        await bob.ping()
        with pytest.raises(ZeroDivisionError):
            await waiting


async def test_the_end_of_a_connection_is_waited_for(broker: Broker) -> None:
    async with Peer(broker, "bob") as bob:
        broker.cut("bob")
        assert (await broker.wait_for("CLOSED", by="bob")).detail == "cut off by the test"
        await bob.closed()
    assert broker.clients == []


async def test_a_tests_own_message_is_published(broker: Broker) -> None:
    async with Peer(broker, "bob") as bob:
        await bob.subscribe("a", qos=1)
        assert broker.publish("a", "hello", qos=1, retain=True) == 1
        message = await bob.expect(Publish)
        assert (message.payload, message.qos) == (b"hello", 1)
        assert {topic: message.payload for topic, message in broker.retained.items()} == {"a": b"hello"}
        assert broker.publish("a", retain=True) == 1
        assert broker.retained == {}
        assert list(broker.sessions) == ["bob"]
        assert list(broker.sessions["bob"].subscriptions) == [b"a"]


async def test_the_log_of_packets_hears_what_passes(caplog: pytest.LogCaptureFixture) -> None:
    async with Broker(log_levels=["packets=debug"]) as broker, Peer(broker, "bob") as bob:
        late = broker.delay("PINGREQ", count=1)
        broker.drop("PUBLISH", count=1)
        bob.send(b"\xc0\x00")
        await bob.publish("a")
        await broker.wait_for("PUBLISH")
        late.lift()
        broker.server.logs.level("packets", "off")
        await bob.ping()
    lines = [record.getMessage() for record in caplog.records if record.name == "linnet.packets"]
    assert [line.split()[:3] for line in lines if "CONN" not in line] == [["in", "'bob'", "PINGREQ"]]
    assert logging.getLogger("linnet.packets").level == logging.NOTSET


async def test_a_broker_has_an_address(broker: Broker) -> None:
    assert broker.url == f"mqtt://127.0.0.1:{broker.port}"
    assert repr(broker) == f"<testing.Broker <Broker 127.0.0.1:{broker.port}: 0 connections, 0 sessions>>"
    async with Broker(listen="[::1]:0") as six:
        assert six.url == f"mqtt://[::1]:{six.port}"


async def test_settings_are_those_of_a_broker() -> None:
    async with Broker(max_qos=1) as broker, Peer(broker, "bob") as bob:
        assert bob.connack.properties.maximum_qos == 1
        assert (await bob.publish("a", qos=1)).reason_code == ReasonCode.NO_MATCHING_SUBSCRIBERS
