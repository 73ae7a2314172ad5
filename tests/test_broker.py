"""A broker within a program: started, used, looked at and stopped, with nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import linnet
from linnet import ApplicationMessage as Message
from linnet import Broker, LinnetError, ProtocolError, ReasonCode, Settings, SettingsError
from linnet.wire import V3_1_1, V5, Connack, Connect, Disconnect, Properties, Puback, Publish, Will
from tests.conftest import MakeBroker
from tests.peer import Peer

BOUND = 10.0  # seconds; whoever takes so long hangs


def descriptors() -> int:
    """How many files and sockets this process has open."""
    return len(os.listdir("/proc/self/fd"))


def in_new_loop(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run something on a loop of its own: what it leaves behind shows as a warning, a descriptor or a thread."""
    gc.collect()
    before = descriptors(), threading.active_count()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(asyncio.wait_for(work(), 4 * BOUND), debug=False)
        gc.collect()
    assert (descriptors(), threading.active_count()) == before


# -- starting and stopping


async def test_it_serves_within_async_with() -> None:
    async with Broker(listen="127.0.0.1:0") as broker:
        assert broker.is_running and broker.port > 0
        assert broker.addresses == [("127.0.0.1", broker.port)]
        async with Peer(broker, "bob") as bob:
            await bob.ping()
            assert list(broker.sessions) == ["bob"]
            assert [connection.session.client_id for connection in broker.connections] == ["bob"]
    assert not broker.is_running


async def test_it_listens_at_every_address() -> None:
    async with Broker(listen=("127.0.0.1:0", "127.0.0.1:0")) as broker:
        assert len({port for _, port in broker.addresses}) == 2
        for address in broker.addresses:
            async with Peer(address) as peer:
                await peer.ping()


async def test_several_brokers_live_in_a_process_and_know_nothing_of_each_other(make_broker: MakeBroker) -> None:
    brokers = [await make_broker() for _ in range(3)]
    for number, broker in enumerate(brokers):
        await broker.publish("t", b"%d" % number, retain=True)
    for number, broker in enumerate(brokers):
        async with Peer(broker, "same") as peer:
            await peer.subscribe("t")
            assert (await peer.receive()).payload == b"%d" % number


async def test_it_can_be_started_again_on_the_same_settings() -> None:
    broker = Broker(listen="127.0.0.1:0")
    for _ in range(3):
        async with broker, Peer(broker, "bob") as bob:
            await bob.subscribe("t")
            await broker.publish("t", b"x")
            assert (await bob.receive()).payload == b"x"
    assert repr(broker.core.deadlines) == "<Deadlines 0 due>"


async def test_started_twice_it_says_so(broker: Broker) -> None:
    with pytest.raises(LinnetError, match="runs already"):
        await broker.start()
    assert broker.is_running


async def test_not_started_it_says_so() -> None:
    broker = Broker(listen="127.0.0.1:0")
    await broker.stop()  # nothing wrong with that
    for question in (lambda: broker.port, lambda: broker.subscribe("t"), lambda: broker.move_clients("x")):
        with pytest.raises(LinnetError, match="does not run"):
            question()
    with pytest.raises(LinnetError):
        await broker.publish("t")


async def test_an_address_in_use_is_an_error_and_leaves_no_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        broker = Broker(listen=("127.0.0.1:0", f"127.0.0.1:{other.getsockname()[1]}"))
        with pytest.raises(OSError):
            await broker.start()
    assert not broker.is_running and broker.addresses == []
    assert broker not in linnet.live().brokers


def test_start_and_stop_leave_nothing_behind() -> None:
    async def work() -> None:
        before = asyncio.all_tasks()
        async with Broker(listen="127.0.0.1:0") as broker:
            will = Will("t", b"gone")
            peers = [await Peer(broker, f"c{n}", will=will, keep_alive=60) for n in range(5)]
            for peer in peers:
                await peer.subscribe("t", qos=1)
            await peers[0].publish("t", b"x", qos=1, retain=True)
            silent = await Peer.raw(broker)  # has not even said CONNECT
        for peer in (*peers, silent):
            await peer.closed()
        assert asyncio.all_tasks() == before
        loop: Any = asyncio.get_running_loop()
        timers = [one for one in getattr(loop, "_scheduled", ()) if not one.cancelled() and "linnet" in repr(one)]
        assert timers == []
        assert not broker.sessions and not broker.connections
        assert broker.core.router.tree.root.is_empty()

    in_new_loop(work)


@pytest.mark.parametrize("steps", range(6))
def test_a_client_that_comes_just_when_it_stops_leaves_nothing_behind(steps: int) -> None:
    async def work() -> None:
        broker = await Broker(listen="127.0.0.1:0").start()
        before = asyncio.all_tasks()
        with socket.create_connection(("127.0.0.1", broker.port), BOUND) as late:
            for _ in range(steps):
                await asyncio.sleep(0)
            await broker.stop()
            for _ in range(5):
                await asyncio.sleep(0)
            assert not broker.connections
            assert asyncio.all_tasks() <= before
            late.settimeout(BOUND)
            try:
                assert late.recv(1) == b""
            except ConnectionResetError:
                pass

    in_new_loop(work)


def test_a_client_that_does_not_read_does_not_hold_the_stop_up() -> None:
    async def work() -> None:
        async with Broker(listen="127.0.0.1:0", stop_timeout=0.05, max_output_bytes_hard=1 << 30) as broker:
            deaf = await Peer(broker, "deaf")
            await deaf.subscribe("t", qos=1)
            deaf.reading(False)
            session = broker.sessions["deaf"]
            while session.outbox is not None and not session.outbox.size:
                await broker.publish("t", b"x" * 100_000, qos=0)
                await asyncio.sleep(0)
        deaf.abort()
        await asyncio.sleep(0)

    in_new_loop(work)


def test_a_hook_that_still_thinks_does_not_hold_the_stop_up() -> None:
    class Thinking(linnet.Hooks):
        def __init__(self) -> None:
            self.asked = asyncio.Event()

        async def admit(self, connect: object, peer: object) -> ReasonCode:
            self.asked.set()
            await asyncio.get_running_loop().create_future()
            return ReasonCode.SUCCESS

    async def work() -> None:
        hooks = Thinking()
        before = asyncio.all_tasks()
        async with Broker(listen="127.0.0.1:0", hooks=hooks, stop_timeout=1) as broker:
            peer = await Peer.raw(broker)
            peer.send(Connect("bob"))
            await hooks.asked.wait()
        await peer.closed()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before

    in_new_loop(work)


async def test_stopping_tells_5_0_clients_why_and_sends_no_will() -> None:
    async with Broker(listen="127.0.0.1:0") as broker:
        new = await Peer(broker, "new", will=Will("t", b"gone"))
        old = await Peer(broker, "old", V3_1_1)
        await new.subscribe("t")
        await old.subscribe("t")
    (goodbye,) = await new.closed()
    assert isinstance(goodbye, Disconnect) and goodbye.reason_code == ReasonCode.SERVER_SHUTTING_DOWN
    assert await old.closed() == []


async def test_stopped_twice_at_once_it_stops_once() -> None:
    broker = await Broker(listen="127.0.0.1:0", stop_timeout=3600).start()
    peer = await Peer(broker, "bob")
    async with asyncio.timeout(BOUND):
        await asyncio.gather(broker.stop(), broker.stop())
    await peer.closed()
    assert not broker.is_running


# -- looking at what is there


async def test_live_names_everything_that_runs(make_broker: MakeBroker) -> None:
    one, other = await make_broker(), await make_broker()
    async with Peer(one, "bob"), Peer(other, "cid"):
        live = linnet.live()
        assert {one, other} <= set(live.brokers)
        assert {one.port, other.port} <= {listener.port for listener in live.listeners}
        assert {"bob", "cid"} <= {session.client_id for session in live.sessions}
        assert set(one.connections + other.connections) <= set(live.connections)
    await one.stop()
    assert one not in linnet.live().brokers


async def test_stop_all_stops_them_on_whatever_loop_they_run(make_broker: MakeBroker) -> None:
    here = await make_broker()
    other_loop = asyncio.new_event_loop()
    thread = threading.Thread(target=other_loop.run_forever)
    thread.start()
    try:
        elsewhere = Broker(listen="127.0.0.1:0")
        async with asyncio.timeout(BOUND):
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(elsewhere.start(), other_loop))
            bob = await Peer(elsewhere, "bob")
            await linnet.stop_all()
            (goodbye,) = await bob.closed()
    finally:
        other_loop.call_soon_threadsafe(other_loop.stop)
        await asyncio.to_thread(thread.join, BOUND)
        other_loop.close()
    assert goodbye.reason_code == ReasonCode.SERVER_SHUTTING_DOWN
    assert not here.is_running and not elsewhere.is_running
    assert linnet.live().brokers == []


def test_a_broker_can_be_read() -> None:
    broker = Broker(listen="127.0.0.1:0")
    assert repr(broker) == "<Broker stopped: 0 connections, 0 sessions>"


# -- publishing and subscribing without a socket


async def test_the_program_publishes_to_clients(broker: Broker) -> None:
    async with Peer(broker, "bob") as bob:
        await bob.subscribe("t/#", qos=2)
        count = await broker.publish("t/1", "grüße", qos=2, properties=Properties(content_type="text"))
        assert count == 1
        got = await bob.receive()
        assert (got.payload, got.qos, got.properties.content_type) == ("grüße".encode(), 2, "text")
        assert await broker.publish("other") == 0


@pytest.mark.parametrize("topic", ["", "a/+", "#", "a\0"])
async def test_the_program_cannot_publish_to_what_is_no_topic(broker: Broker, topic: str) -> None:
    with pytest.raises(ProtocolError):
        await broker.publish(topic, b"x")


async def test_the_program_subscribes_and_gets_what_clients_publish(broker: Broker) -> None:
    async with broker.subscribe("t/+") as readings, Peer(broker, "bob") as bob:
        for number in range(3):
            await bob.publish(f"t/{number}", b"%d" % number, qos=number)
        async with asyncio.timeout(BOUND):
            got = [await anext(readings) for _ in range(3)]
        assert [(one.topic, one.payload) for one in got] == [(f"t/{n}", b"%d" % n) for n in range(3)]
    assert broker.core.router.tree.root.is_empty()


async def test_what_is_retained_comes_first(broker: Broker) -> None:
    await broker.publish("t/1", b"kept", retain=True)
    async with broker.subscribe("t/#") as readings:
        await broker.publish("t/2", b"live")
        assert [(await anext(readings)).payload for _ in range(2)] == [b"kept", b"live"]


async def test_more_than_the_limit_is_dropped_and_counted(broker: Broker) -> None:
    async with broker.subscribe("t", limit=2) as readings:
        assert [await broker.publish("t", b"%d" % number) for number in range(5)] == [1, 1, 0, 0, 0]
        assert (readings.received, readings.dropped) == (2, 3)
        assert [(await anext(readings)).payload for _ in range(2)] == [b"0", b"1"]


async def test_retained_messages_beyond_the_limit_are_counted_too(broker: Broker) -> None:
    for number in range(5):
        await broker.publish(f"t/{number}", b"x", retain=True)
    async with broker.subscribe("t/+", limit=2) as readings:
        assert (readings.received, readings.dropped) == (2, 3)


async def test_a_cancelled_wait_loses_nothing(broker: Broker) -> None:
    async with broker.subscribe("t") as readings:
        for is_late in (False, True):
            waiting = asyncio.ensure_future(anext(readings))
            await asyncio.sleep(0)
            if is_late:
                await broker.publish("t", b"x")  # it is there already when the wait is given up
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        async with asyncio.timeout(BOUND):
            assert (await anext(readings)).payload == b"x"


async def test_two_who_wait_both_get_a_message(broker: Broker) -> None:
    async with broker.subscribe("t") as readings:
        waiting = [asyncio.ensure_future(anext(readings)) for _ in range(2)]
        await asyncio.sleep(0)
        for payload in (b"1", b"2"):
            await broker.publish("t", payload)
        async with asyncio.timeout(5):
            got = await asyncio.gather(*waiting)
        assert sorted(one.payload for one in got) == [b"1", b"2"]


async def test_the_iteration_ends_when_the_subscription_does(broker: Broker) -> None:
    readings = broker.subscribe("t")
    async with readings:
        await broker.publish("t", b"x")
    async with asyncio.timeout(BOUND):
        assert [one.payload async for one in readings] == [b"x"]


async def test_the_iteration_ends_when_the_broker_stops() -> None:
    broker = await Broker(listen="127.0.0.1:0").start()

    async def read() -> list[bytes]:
        async with broker.subscribe("t") as readings:
            return [one.payload async for one in readings]

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    await broker.publish("t", b"x")
    await broker.stop()
    async with asyncio.timeout(5):
        assert await reading == [b"x"]


async def test_the_program_shares_a_subscription_with_clients(broker: Broker) -> None:
    async with broker.subscribe("$share/g/t") as readings, Peer(broker, "bob") as bob:
        await bob.subscribe("$share/g/t", qos=1)
        for number in range(10):
            assert await broker.publish("t", b"%d" % number, qos=1) == 1
        mine = [(await anext(readings)).payload for _ in range(readings.received)]
        its = [(await bob.receive()).payload for _ in range(10 - len(mine))]
        assert mine and its
        assert sorted(mine + its) == [b"%d" % number for number in range(10)]


@pytest.mark.parametrize("name", ["", "a/#/b", "a+", "$share/g", "$share/+/a"])
async def test_what_is_no_filter_is_refused(broker: Broker, name: str) -> None:
    with pytest.raises(ProtocolError):
        broker.subscribe(name)


# -- sending clients away


async def test_the_owner_disconnects_a_client(broker: Broker) -> None:
    bob = await Peer(broker, "bob")
    assert broker.disconnect("bob")
    (goodbye,) = await bob.closed()
    assert goodbye.reason_code == ReasonCode.ADMINISTRATIVE_ACTION
    assert not broker.disconnect("bob")
    assert not broker.disconnect("nobody")


@pytest.mark.parametrize(
    ("permanently", "code"), [(False, ReasonCode.USE_ANOTHER_SERVER), (True, ReasonCode.SERVER_MOVED)]
)
async def test_clients_are_told_where_to_go(broker: Broker, permanently: bool, code: ReasonCode) -> None:
    new, old = await Peer(broker, "new"), await Peer(broker, "old", V3_1_1)
    assert broker.move_clients("other.example:1883", permanently) == 2
    (goodbye,) = await new.closed()
    assert (goodbye.reason_code, goodbye.properties.server_reference) == (code, "other.example:1883")
    assert await old.closed() == []
    late = await Peer(broker, "late")
    assert (late.connack.reason_code, late.connack.properties.server_reference) == (code, "other.example:1883")
    await late.closed()
    old_late = await Peer(broker, "late", V3_1_1)
    assert old_late.connack.reason_code == ReasonCode.SERVER_UNAVAILABLE
    await old_late.closed()


# -- settings


def test_settings_may_be_given_whole_or_by_name_or_both() -> None:
    assert Broker(Settings(max_qos=1)).settings.max_qos == 1
    assert Broker(max_qos=1).settings.max_qos == 1
    both = Broker(Settings(max_qos=1, max_sessions=5), max_qos=0).settings
    assert (both.max_qos, both.max_sessions) == (0, 5)


@pytest.mark.parametrize("wrong", [{"max_qos": 3}, {"max_quos": 1}, {"listen": "nowhere"}, {"max_packet_size": "1"}])
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        Broker(**wrong)
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        Broker(Settings(), **wrong)


async def test_a_message_of_the_program_s_own_is_no_client_s(broker: Broker) -> None:
    async with broker.subscribe("t") as readings, Peer(broker, "bob") as bob:
        await bob.publish("t", b"1", qos=1)
        await broker.publish("t", b"2")
        first, second = await anext(readings), await anext(readings)
        assert (first.publisher, second.publisher) == ("bob", None)
        assert isinstance(first, Message)


async def test_what_peers_send_is_bytes_as_everybody_else_sends_them(broker: Broker) -> None:
    async with Peer.raw(broker) as raw:
        raw.send(Connect("raw").encode(V5) + Publish("t", b"x", 1, packet_id=1).encode(V5))
        assert (await raw.expect(Connack)).reason_code == 0
        assert await raw.expect(Puback) == Puback(1, ReasonCode.NO_MATCHING_SUBSCRIBERS)


async def test_moving_clients_can_be_taken_back(broker: Broker) -> None:
    broker.move_clients("other.example")
    early = await Peer(broker, "early")
    assert isinstance(early.connack, Connack) and early.connack.reason_code == ReasonCode.USE_ANOTHER_SERVER
    await early.closed()
    assert broker.move_clients("") == 0
    async with Peer(broker, "late") as late:
        await late.ping()


async def test_a_local_subscription_gets_what_a_client_would(broker: Broker) -> None:
    await broker.publish("t/kept", b"kept", qos=2, retain=True)
    async with broker.subscribe("t/#", qos=1) as readings:
        await broker.publish("t/live", b"live", qos=2, retain=True)
        await broker.publish("t/least", b"least")
        found = [await anext(readings) for _ in range(3)]
    assert [(one.payload, one.qos, one.retain) for one in found] == [
        (b"kept", 1, True),
        (b"live", 1, False),
        (b"least", 0, False),
    ]


async def test_what_was_retained_in_memory_is_gone_after_a_stop() -> None:
    broker = Broker(listen="127.0.0.1:0")
    async with broker:
        await broker.publish("t", b"kept", retain=True)
    async with broker, Peer(broker, "bob") as bob:
        await bob.subscribe("t")
        await bob.nothing()


async def test_what_was_still_to_be_delivered_is_gone_after_a_stop() -> None:
    """Messages to very many are handed on in slices; those of yesterday's broker do not keep today's busy."""
    async with Broker(listen="127.0.0.1:0", delivery_budget=4) as broker:
        readers = [await Peer(broker, f"reader{number}") for number in range(3)]
        for reader in readers:
            await reader.subscribe("t")
        for _ in range(10):
            broker.core.publish(Message("t", b"x"), broker.running().begin())
        assert len(broker.core.chores) == 10
    assert len(broker.core.chores) == 0
    for reader in readers:
        assert isinstance((await reader.closed())[-1], Disconnect)
