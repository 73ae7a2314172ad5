"""`$SYS/broker/...`: what it says, to whom, when, and what it must not disturb."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import exp
from typing import Any

import pytest

import linnet
from linnet import Broker, Overview, ReasonCode
from linnet.core.sys_table import LOADS, SPANS, TOPICS
from linnet.core.sys_topics import Load, SysTopics
from linnet.wire import V3_1_1, V5, Message, Properties, Publish, Version
from tests.conftest import MakeBroker
from tests.pair import World
from tests.peer import Peer

SOON = 0.02  # seconds between two rounds, where a test wants rounds


def tell(broker: Broker) -> None:
    """A round now."""
    broker.sys_topics.tell(broker.running().begin())


def retained(broker: Broker) -> dict[str, str]:
    """Everything that is retained below `$SYS`, as a subscriber gets it."""
    with_all = broker.subscribe("$SYS/#").open()
    with_all.close()
    assert with_all.dropped == 0
    return {message.topic: message.payload.decode() for message in with_all.queue}


async def until(peer: Peer, found: Callable[[Publish], bool]) -> Publish:
    """The first message that is what was awaited."""
    while True:
        message = await peer.expect(Publish)
        if found(message):
            return message


@pytest.mark.parametrize("version", [V3_1_1, V5], ids=lambda version: version.name)
async def test_who_subscribes_right_after_the_start_gets_every_topic(make_broker: MakeBroker, version: Version) -> None:
    broker = await make_broker(sys_interval=3600)
    async with Peer(broker, "bob", version) as bob:
        await bob.subscribe("$SYS/#")
        loads = {f"load/{name}/{span}" for name in LOADS for span in SPANS}
        wanted = {f"$SYS/broker/{name}" for name in {"version", "uptime", *TOPICS, *loads}}
        got: dict[str, str] = {}
        while len(got) < len(wanted):
            message = await bob.expect(Publish)
            assert message.retain
            got[message.topic] = message.payload.decode()
        await bob.nothing()
        assert got.keys() == wanted
        assert got["$SYS/broker/version"] == f"linnet version {linnet.__version__}"
        assert got["$SYS/broker/uptime"] == "0 seconds"
        assert {got[f"$SYS/broker/{name}"] for name in loads} == {"0.00"}


async def test_round_after_round_those_who_subscribed_are_told_what_changed(make_broker: MakeBroker) -> None:
    broker = await make_broker(sys_interval=SOON)
    async with Peer(broker, "bob") as bob:
        await bob.subscribe("$SYS/broker/clients/connected")
        await until(bob, lambda message: message.payload == b"1")
        async with Peer(broker, "ann"):
            message = await until(bob, lambda message: message.payload == b"2")
            assert not message.retain  # it was there before the message was
        await until(bob, lambda message: message.payload == b"1")


async def test_what_did_not_change_is_not_told_again(broker: Broker) -> None:
    async with Peer(broker, "bob") as bob:
        tell(broker)
        await bob.subscribe("$SYS/broker/subscriptions/count")
        assert (await bob.expect(Publish)).payload == b"0"
        for _ in range(3):
            tell(broker)
        assert (await bob.expect(Publish)).payload == b"1"
        await bob.nothing()


async def test_it_is_for_nobody_who_did_not_ask_for_it_by_name(make_broker: MakeBroker) -> None:
    broker = await make_broker(sys_interval=SOON)
    async with Peer(broker, "bob") as bob, Peer(broker, "ann") as ann:
        for name in ("#", "+/broker/#", "$SYS"):
            await bob.subscribe(name)
        await ann.subscribe("$SYS/broker/publish/messages/sent")
        for _ in range(5):  # each is told of the one before it
            await ann.expect(Publish)
        await bob.nothing()


async def test_no_client_may_publish_there(broker: Broker) -> None:
    tell(broker)
    async with Peer(broker, "bob") as bob:
        ack = await bob.publish("$SYS/broker/version", b"mine", qos=1, retain=True)
        assert ack.reason_code == ReasonCode.NOT_AUTHORIZED
    assert retained(broker)["$SYS/broker/version"] == f"linnet version {linnet.__version__}"


async def test_it_takes_no_retained_message_from_anybody(make_broker: MakeBroker) -> None:
    broker = await make_broker(sys_interval=3600, max_retained=2, max_retained_bytes=100, max_retained_payload=1)
    async with Peer(broker, "bob") as bob:
        for topic in ("a", "b"):
            assert (await bob.publish(topic, b"x", qos=1, retain=True)).reason_code < 0x80
        assert (await bob.publish("c", b"x", qos=1, retain=True)).reason_code == ReasonCode.QUOTA_EXCEEDED
    tell(broker)
    told = retained(broker)
    assert told["$SYS/broker/retained messages/count"] == "2"
    assert told["$SYS/broker/retained messages/bytes"] == str(2 * Message("a", b"x").weight())
    assert told["$SYS/broker/limits/max_retained"] == "1"


async def test_what_the_program_publishes_there_is_not_counted_either(broker: Broker) -> None:
    await broker.publish("$SYS/house/lamp", b"on", retain=True)
    assert (broker.statistics.retained_messages, broker.statistics.retained_bytes) == (0, 0)
    assert retained(broker) == {"$SYS/house/lamp": "on"}
    await broker.publish("$SYS/house/lamp", b"", retain=True)
    assert retained(broker) == {}
    assert (broker.statistics.retained_messages, broker.statistics.retained_bytes) == (0, 0)


async def test_an_interval_of_none_takes_everything_back_and_another_brings_it_at_once(broker: Broker) -> None:
    assert retained(broker) == {}
    broker.reload(sys_interval=3600)
    everything = retained(broker)
    assert len(everything) > len(TOPICS)
    await broker.publish("$SYS/house/lamp", b"on", retain=True)
    broker.reload(sys_interval=0)
    assert retained(broker) == {"$SYS/house/lamp": "on"}
    broker.reload(sys_interval=3600)
    assert retained(broker).keys() == everything.keys() | {"$SYS/house/lamp"}


async def test_another_interval_holds_at_once(make_broker: MakeBroker) -> None:
    broker = await make_broker(sys_interval=3600)
    async with Peer(broker, "bob") as bob:
        await bob.subscribe("$SYS/broker/publish/messages/sent")
        assert (await bob.expect(Publish)).retain
        broker.reload(sys_interval=SOON)
        for _ in range(3):
            assert not (await bob.expect(Publish)).retain


async def test_a_broker_that_is_started_again_begins_anew(make_broker: MakeBroker) -> None:
    broker = await make_broker(sys_interval=3600)
    async with Peer(broker, "bob"):
        pass
    await broker.stop()
    assert len(broker.core.router.retained.messages) == 0
    await broker.start()
    told = retained(broker)
    assert told["$SYS/broker/uptime"] == "0 seconds"
    assert told["$SYS/broker/connections/accepted"] == "1"  # a broker's numbers are those of its life
    assert told["$SYS/broker/load/sockets/1min"] == "0.00"
    assert broker.core.deadlines.cancelled == 0


async def test_who_lost_messages_is_named_once_and_then_never_again(make_broker: MakeBroker) -> None:
    """An event and no state: it is not retained, so no stale name stays."""
    broker = await make_broker(sys_interval=SOON)
    away = Properties(session_expiry_interval=60)
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("$SYS/broker/drops")
        async with Peer(broker, "bob", properties=away) as bob:
            await bob.subscribe("t")
        for _ in range(3):
            await broker.publish("t", b"x")
        message = await ann.expect(Publish)
        assert json.loads(message.payload) == {"bob": {"offline": 3}}
        assert not message.retain
        tell(broker)
        await ann.nothing()
    assert "$SYS/broker/drops" not in retained(broker)


async def test_very_many_topics_for_very_many_who_want_them_take_several_turns(make_broker: MakeBroker) -> None:
    broker = await make_broker(delivery_budget=20)
    async with Peer(broker, "bob") as bob, Peer(broker, "ann") as ann:
        for peer in (bob, ann):
            await peer.subscribe("$SYS/#")
        tell(broker)
        sent = broker.statistics.traffic.messages_sent
        assert 20 <= sent < len(TOPICS)
        for peer in (bob, ann):
            for _ in range(len(broker.sys_topics.told)):
                await peer.expect(Publish)
            await peer.nothing()
        assert broker.sys_topics.waiting == {}


async def test_so_many_subscribers_that_each_message_goes_out_in_slices(make_broker: MakeBroker) -> None:
    broker = await make_broker(delivery_budget=4)  # which makes two receivers many
    async with Peer(broker, "bob") as bob, Peer(broker, "ann") as ann:
        for peer in (bob, ann):
            await peer.subscribe("$SYS/broker/version")
        tell(broker)
        for peer in (bob, ann):
            assert (await peer.expect(Publish)).topic == "$SYS/broker/version"
            await peer.nothing()


async def test_topics_beyond_the_settings_are_retained_and_disturb_nobody(make_broker: MakeBroker) -> None:
    broker = await make_broker(max_topic_levels=3)
    async with Peer(broker, "bob") as bob:
        await bob.subscribe("$SYS/#")
        tell(broker)
        names = [(await bob.expect(Publish)).topic for _ in range(2)]
        assert sorted(names) == ["$SYS/broker/uptime", "$SYS/broker/version"]
        await bob.nothing()
    assert "$SYS/broker/clients/connected" in retained(broker)


def test_a_load_is_what_a_number_grows_by_in_a_minute_and_forgets_the_past_slowly() -> None:
    load = Load(100)
    load.update(200, 60)  # 100 in a minute
    assert load.averages == pytest.approx({name: 100 * (1 - exp(-60 / span)) for name, span in SPANS.items()})
    for _ in range(1000):
        load.update(load.before + 50, 30)
    assert load.averages == pytest.approx(dict.fromkeys(SPANS, 100))
    for _ in range(1000):
        load.update(load.before, 30)
    assert load.averages == pytest.approx(dict.fromkeys(SPANS, 0))


async def test_every_load_follows_its_number(broker: Broker) -> None:
    turn = broker.running()
    start = turn.begin()
    at = [start]
    tell(broker)
    turn.clock = lambda: at[0]
    async with Peer(broker, "bob") as bob:
        await bob.subscribe("t")
        await bob.publish("t", b"x")
        await bob.expect(Publish)
        await bob.publish("t", b"x")
        await bob.expect(Publish)
        await bob.ping()
        at[0] += 60
        broker.sys_topics.tell(at[0])
        traffic = broker.statistics.traffic
        counts: dict[str, Any] = {
            "bytes/received": traffic.bytes_received,
            "bytes/sent": traffic.bytes_sent,
            "connections": 1,
            "messages/received": 5,
            "messages/sent": 5,
            "publish/dropped": 0,
            "publish/received": 2,
            "publish/sent": 2,
            "sockets": 1,
        }
        assert counts.keys() == LOADS.keys()
        told = retained(broker)
        for name, count in counts.items():
            for span, seconds in SPANS.items():
                expected = count * (1 - exp(-60 / seconds))
                assert float(told[f"$SYS/broker/load/{name}/{span}"]) == pytest.approx(expected, abs=0.2), name


def test_a_round_that_nobody_hears_of_finds_no_routes_and_delivers_nothing() -> None:
    world = World()
    bob = world.client("bob")
    bob.subscribe("#")
    topics = SysTopics(world.core, "linnet version 1", lambda: Overview(world.core, world.now))
    topics.start(10, world.now)
    for _ in range(3):
        world.advance(10)
    assert len(world.core.router.retained.messages) == len(topics.told) > len(TOPICS)
    assert (len(world.core.router.routes), bob.got, topics.waiting) == (0, [], {})
    assert world.core.router.retained.messages[b"$SYS/broker/uptime"].payload == b"30 seconds"
