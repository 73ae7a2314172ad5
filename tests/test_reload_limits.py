"""Limits that change while the broker runs: whoever they hold back is held back at once, or let go at once."""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

import linnet
from linnet import ApplicationMessage as Message
from linnet.core.pace import Pace
from linnet.errors import ReasonCode
from linnet.net.descriptors import RESERVED
from linnet.server import limits_of
from linnet.settings import Settings
from linnet.wire import V3_1_1, Disconnect, Properties, Puback, Publish
from tests.conftest import MakeBroker
from tests.peer import Peer

SLOWLY = 0.001  # in a second: nothing of it comes back while a test runs
FOR_EVER = Properties(session_expiry_interval=0xFFFFFFFF)
ONE_AT_A_TIME = Properties(session_expiry_interval=0xFFFFFFFF, receive_maximum=1)


@pytest.fixture
async def broker(make_broker: MakeBroker) -> linnet.Broker:
    return await make_broker()


async def until(look: Callable[[], Any]) -> None:
    """Wait for something inside the broker, turn by turn."""
    async with asyncio.timeout(30):
        while not look():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def answer(broker: linnet.Broker, client_id: str = "newcomer") -> int:
    """The reason code that a client gets which comes and goes."""
    async with Peer(broker, client_id) as peer:
        return peer.connack.reason_code


def change(broker: linnet.Broker, name: str, value: Any) -> None:
    broker.reload(**{name: value})


def times(broker: linnet.Broker, limit: str) -> int:
    """How often a limit was reached so far."""
    return broker.statistics.limits.get(limit, 0)


async def test_sys_interval(broker: linnet.Broker) -> None:
    """Rounds begin at once, however long the one before would have lasted, and what was told goes with the last one."""
    async with Peer(broker, "one") as peer, Peer(broker, "two") as late:
        await peer.subscribe("$SYS/broker/publish/messages/received")
        await peer.nothing()
        broker.reload(sys_interval=3600)
        assert (await peer.expect(Publish)).payload == b"0"
        await late.publish("t", qos=1)
        await peer.nothing()
        broker.reload(sys_interval=1800)
        assert (await peer.expect(Publish)).payload == b"1"
        broker.reload(sys_interval=0)
        await late.subscribe("$SYS/#")
        await late.nothing()


# ---- who may come in ----


async def test_max_connections(broker: linnet.Broker) -> None:
    async with Peer(broker, "one") as one:
        broker.reload(max_connections=1)
        assert await answer(broker) == ReasonCode.CONNECTION_RATE_EXCEEDED
        await one.ping()
        broker.reload(max_connections=2)
        assert await answer(broker) == 0


async def test_max_connections_per_address(broker: linnet.Broker) -> None:
    """Those count that were there before the limit was."""
    async with Peer(broker, "one"), Peer(broker, "two") as two:
        broker.reload(max_connections_per_address=1)
        assert await answer(broker) == ReasonCode.CONNECTION_RATE_EXCEEDED
        await two.ping()
        broker.reload(max_connections_per_address=3)
        assert await answer(broker) == 0


async def test_max_connect_rate_per_address(broker: linnet.Broker) -> None:
    """Also for an address that is known already, with one client here."""
    async with Peer(broker, "one"):
        for _ in range(2):
            broker.reload(max_connect_rate_per_address=SLOWLY)
            assert await answer(broker) == 0  # the one that may come at any time
            assert await answer(broker) == ReasonCode.CONNECTION_RATE_EXCEEDED
            broker.reload(max_connect_rate_per_address=0)
            assert await answer(broker) == 0
        broker.reload(max_connect_rate_per_address=1000)
        assert await answer(broker) == 0


async def test_no_address_is_remembered_for_a_rate_that_is_no_limit_any_more(broker: linnet.Broker) -> None:
    broker.reload(max_connect_rate_per_address=5)
    assert await answer(broker) == 0
    broker.reload(max_connect_rate_per_address=0)
    assert await answer(broker) == 0
    await until(lambda: not broker.core.admission.hosts)


@pytest.mark.parametrize("name", ["max_preconnect", "max_preconnect_per_address"])
async def test_max_preconnect_and_max_preconnect_per_address(name: str, broker: linnet.Broker) -> None:
    """The next one that comes sends away all that are too many, the oldest first."""
    silent = []
    for _ in range(4):
        silent.append(await Peer.raw(broker))
        await until(lambda: len(broker.core.connections) == len(silent))
    change(broker, name, 2)
    assert len(broker.core.connections) == 4
    silent.append(await Peer.raw(broker))
    for peer in silent[:3]:
        assert await peer.closed() == []
    assert times(broker, name) == 3 and len(broker.core.connections) == 2
    assert await answer(broker) == 0
    for peer in silent:
        peer.abort()


async def test_max_preconnect_per_address_of_one_counts_each(broker: linnet.Broker) -> None:
    broker.reload(max_preconnect_per_address=1)
    silent = []
    for _ in range(4):
        silent.append(await Peer.raw(broker))
        await until(lambda: broker.core.ledger.accepted == len(silent))
        assert len(broker.core.connections) == 1
    for peer in silent:
        peer.abort()


@asynccontextmanager
async def kept_waiting(broker: linnet.Broker, limit: str) -> AsyncIterator[asyncio.Task[int]]:
    """Somebody who comes and waits in the backlog because of a limit; and is let in at the end."""
    before = times(broker, limit)
    newcomer = asyncio.create_task(answer(broker))
    await until(lambda: times(broker, limit) > before)
    assert not newcomer.done()
    yield newcomer
    assert await newcomer == 0


async def test_accept_rate(broker: linnet.Broker) -> None:
    """It waited for an hour, and is accepted as soon as there is no limit; nobody pays off the old burst."""
    broker.reload(accept_rate=SLOWLY, accept_burst=1)
    assert await answer(broker) == 0
    async with kept_waiting(broker, "accept_rate"):
        broker.reload(accept_rate=0)
    broker.reload(accept_rate=1000, accept_burst=1000)
    assert await answer(broker) == 0


async def test_accept_burst(broker: linnet.Broker) -> None:
    broker.reload(accept_rate=SLOWLY, accept_burst=2)
    assert [await answer(broker) for _ in range(2)] == [0, 0]
    assert times(broker, "accept_rate") == 0  # nobody had to wait so far
    async with kept_waiting(broker, "accept_rate"):
        broker.reload(accept_burst=3)


def test_a_pace_that_changes() -> None:
    pace = Pace(10, 100, 0)
    pace.take(90, 0)
    pace.change(10, 20)
    assert pace.left == 10  # less was spent than may be left
    pace.change(10, 5)
    assert pace.left == 5
    pace.take(25, 0)
    pace.change(10, 50)
    assert pace.left == 25  # what was spent is spent: 20 were too many, and 45 more may be spent at once
    pace.change(0, 50)
    assert pace.is_full(0)
    pace.change(1, 7)
    assert pace.left == 7


# ---- how many descriptors there are ----


@pytest.fixture
def few_descriptors() -> Any:
    """The system allows this process a hundred clients."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (RESERVED + 100, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("few_descriptors")
async def test_there_are_never_more_clients_than_descriptors(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "linnet.settings")
    text = "max_connections: %d, and the system has descriptors for 100 clients only"
    async with linnet.Broker(listen="127.0.0.1:0") as broker:
        assert broker.settings.max_connections == 100_000 and broker.core.limits.max_connections == 100
        assert not caplog.messages  # nobody asked for so many
        broker.reload(max_connections=101)
        assert broker.core.limits.max_connections == 100
        broker.reload(max_connections=99)
        assert broker.core.limits.max_connections == 99
    assert caplog.messages == [text % 101]
    assert limits_of(Settings(max_connections=100)).max_connections == 100
    async with linnet.Broker(listen="127.0.0.1:0", max_connections=200):
        assert caplog.messages == [text % 101, text % 200]


@pytest.mark.usefixtures("few_descriptors")
async def test_descriptors_that_come_later_count_at_the_next_start_or_reload() -> None:
    async with linnet.Broker(listen="127.0.0.1:0") as broker:
        resource.setrlimit(resource.RLIMIT_NOFILE, (RESERVED + 200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        broker.reload()
        assert broker.core.limits.max_connections == 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (RESERVED + 150, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    async with broker:
        assert broker.core.limits.max_connections == 150


# ---- how fast a client may be ----


async def rests(broker: linnet.Broker, peer: Peer, limit: str) -> asyncio.Task[None]:
    """The peer asks, and is not read because of a limit."""
    before = times(broker, limit)
    for _ in range(3):
        peer.send(Publish("t", bytes(100)))
    await until(lambda: times(broker, limit) > before)
    ping = asyncio.create_task(peer.ping())
    async with Peer.raw(broker) as other:  # who has not connected has no pace
        other.send(b"what is this?")
        await other.closed()
    assert not ping.done()
    return ping


@pytest.mark.parametrize("name", ["max_byte_rate", "max_publish_rate"])
async def test_max_byte_rate_and_max_publish_rate(name: str, broker: linnet.Broker) -> None:
    """Who would rest for a quarter of an hour is read as soon as the limit is gone, and rests again when it is back."""
    async with Peer(broker, "quick") as peer:
        for unlimited in (0, 1_000_000):
            await peer.ping()
            change(broker, name, 1)
            ping = await rests(broker, peer, name)
            change(broker, name, 2)
            change(broker, name, unlimited)
            await ping
            change(broker, name, 0)


async def test_who_rests_may_leave_and_is_not_kept_in_mind(broker: linnet.Broker) -> None:
    broker.reload(max_publish_rate=1)
    peer = await Peer(broker, "quick")
    await rests(broker, peer, "max_publish_rate")
    broker.disconnect("quick")
    broker.reload(max_publish_rate=0)
    await until(lambda: not broker.connections)
    peer.abort()


async def test_rate_policy(broker: linnet.Broker) -> None:
    async with Peer(broker, "quick") as peer:
        broker.reload(max_publish_rate=1, rate_policy="disconnect")
        for _ in range(3):
            peer.send(Publish("t"))
        assert (await peer.expect(Disconnect)).reason_code == ReasonCode.MESSAGE_RATE_TOO_HIGH
        broker.reload(rate_policy="delay")
    async with Peer(broker, "quick") as peer:
        await rests(broker, peer, "max_publish_rate")
        broker.reload(max_publish_rate=0)


async def test_delivery_budget(broker: linnet.Broker) -> None:
    """Three receivers are few, then many, then few; each gets each message, in order."""
    async with Peer(broker, "a") as a, Peer(broker, "b") as b, Peer(broker, "c") as c, Peer(broker, "pub") as publisher:
        for peer in (a, b, c):
            await peer.subscribe("t", 1)
        in_slices = []
        for number, budget in enumerate((50_000, 4, 50_000)):
            broker.reload(delivery_budget=budget)
            broker.core.publish(Message("t", b"%d" % number, 1), broker.running().begin())
            in_slices.append(len(broker.core.chores.fanouts))
            await publisher.publish("t", b"%d" % number, 1)
        assert in_slices == [0, 1, 0]
        for peer in (a, b, c):
            assert [(await peer.expect(Publish)).payload for _ in range(6)] == [b"0", b"0", b"1", b"1", b"2", b"2"]


# ---- full queues ----


@asynccontextmanager
async def full(broker: linnet.Broker, **settings: Any) -> AsyncIterator[tuple[Peer, Peer]]:
    """A client that takes one message at a time and has one waiting, as many as may wait; and a publisher."""
    broker.reload(max_queued_messages=1, **settings)
    slow = await Peer(broker, "slow", properties=ONE_AT_A_TIME, manual=True)
    publisher = await Peer(broker, "publisher")
    await slow.subscribe("t", 1)
    for payload in (b"under way", b"waits"):
        assert (await publisher.publish("t", payload, 1)).reason_code == 0
    yield slow, publisher
    slow.abort()
    await publisher.disconnect()


async def taken(slow: Peer) -> list[bytes]:
    """The payloads that a slow client gets when it takes them one after the other."""
    payloads = []
    await slow.ping()
    while slow.inbox:
        packet = await slow.expect(Publish)
        payloads.append(packet.payload)
        slow.send(Puback(packet.packet_id))
        await slow.ping()
    return payloads


async def held(broker: linnet.Broker, publisher: Peer, payload: bytes = b"held") -> asyncio.Task[Any]:
    """A message whose acknowledgement is withheld."""
    before = times(broker, "max_queued_messages")
    waits = asyncio.create_task(publisher.publish("t", payload, 1))
    await until(lambda: times(broker, "max_queued_messages") > before)
    await publisher.ping()
    assert not waits.done()
    return waits


@pytest.mark.parametrize(
    "settings", [{"max_queued_messages": 3}, {"queue_policy": "drop_newest"}, {"queue_policies": ("t=drop_oldest",)}]
)
async def test_publishers_that_are_held_go_on_when_there_is_room_or_nobody_holds_them(
    settings: dict[str, Any], broker: linnet.Broker
) -> None:
    async with full(broker, queue_policy="hold") as (slow, publisher):
        waits = await held(broker, publisher)
        broker.reload(max_queued_messages=2, max_store_bytes=1)  # still full
        await publisher.ping()
        assert not waits.done()
        broker.reload(max_store_bytes=1 << 30, **settings)
        assert (await waits).reason_code == 0
        assert await taken(slow) == [b"under way", b"waits", b"held"]


async def test_queue_policy(broker: linnet.Broker) -> None:
    """The same full queue under each policy; a client that could take more sees what became of the message."""
    async with full(broker) as (slow, publisher), Peer(broker, "other") as other:
        await other.subscribe("t", 1)
        codes, others = [], []
        for policy in ("drop_newest", "refuse", "drop_oldest", "drop_newest"):
            broker.reload(queue_policy=policy)
            codes.append((await publisher.publish("t", policy.encode(), 1)).reason_code)
            await other.ping()
            others.append(len(other.inbox))
        full_up = ReasonCode.QUOTA_EXCEEDED
        assert codes == [full_up, full_up, 0, full_up] and others == [1, 1, 2, 3]
        broker.reload(queue_policy="hold")
        waits = await held(broker, publisher)
        broker.reload(queue_policy="disconnect")
        assert (await waits).reason_code == 0
        assert (await publisher.publish("t", b"too many", 1)).reason_code == full_up
        assert [packet.payload for packet in (await slow.closed())[:1]] == [b"under way"]


async def test_queue_policies(broker: linnet.Broker) -> None:
    async with full(broker) as (_, publisher), Peer(broker, "other") as other:
        await other.subscribe("t", 1)
        counts = []
        for policies in ((), ("+=refuse",), ("t=drop_newest", "#=refuse"), ()):
            broker.reload(queue_policies=policies)
            await publisher.publish("t", b"x", 1)
            await other.ping()
            counts.append(len(other.inbox))
        assert counts == [1, 1, 2, 3]


async def test_max_store_bytes(broker: linnet.Broker) -> None:
    async with Peer(broker, "away", properties=FOR_EVER) as away:
        await away.subscribe("t", 1)
    async with Peer(broker, "publisher") as publisher:
        codes = []
        for most in (1 << 30, 1, 1 << 30):
            broker.reload(max_store_bytes=most)
            codes.append((await publisher.publish("t", b"x", 1)).reason_code)
    assert codes == [0, ReasonCode.QUOTA_EXCEEDED, 0]
    async with Peer(broker, "away", clean_start=False, properties=FOR_EVER) as away:
        await away.ping()
        assert len(away.inbox) == 2


async def test_hold_timeout(broker: linnet.Broker) -> None:
    async with full(broker, queue_policy="hold") as (slow, publisher):
        waits = await held(broker, publisher)
        broker.reload(hold_timeout=0.05)
        assert (await slow.closed())[-1].reason_code == ReasonCode.QUOTA_EXCEEDED
        assert (await waits).reason_code == 0
        assert times(broker, "hold_timeout") == 1


async def test_a_publisher_of_311_that_is_not_read_meanwhile_goes_on_too(broker: linnet.Broker) -> None:
    broker.reload(receive_maximum_3=2)
    async with full(broker, queue_policy="hold") as (slow, _), Peer(broker, "old", V3_1_1) as old:
        for packet_id in (1, 2, 3):
            old.send(Publish("t", b"%d" % packet_id, 1, packet_id=packet_id))
        await until(lambda: times(broker, "max_queued_messages") == 2)
        async with Peer(broker, "other") as other:
            await other.ping()
        assert not old.received[1:]  # nothing after CONNACK, and the third message was not looked at
        broker.reload(max_queued_messages=10)
        assert [(await old.expect(Puback)).packet_id for _ in range(3)] == [1, 2, 3]
        assert await taken(slow) == [b"under way", b"waits", b"1", b"2", b"3"]


async def test_nobody_waits_for_an_empty_queue(broker: linnet.Broker) -> None:
    """Where nothing may wait at all, a message that is held is acknowledged when it has left the queue."""
    broker.reload(queue_policy="hold", max_queued_messages=0)
    slow = await Peer(broker, "slow", properties=ONE_AT_A_TIME, manual=True)
    async with Peer(broker, "publisher") as publisher:
        await slow.subscribe("t", 1)
        assert (await publisher.publish("t", b"under way", 1)).reason_code == 0
        waits = await held(broker, publisher)
        slow.send(Puback((await slow.expect(Publish)).packet_id))
        assert (await slow.expect(Publish)).payload == b"held"
        assert (await waits).reason_code == 0
    slow.abort()


# ---- clients that do not read, memory, and the loop ----


@asynccontextmanager
async def clogged(broker: linnet.Broker) -> AsyncIterator[Peer]:
    """A client that reads nothing, of which the system's buffers are full."""
    peer = await Peer(broker, "clogged")
    await peer.subscribe("t")
    connection = broker.sessions["clogged"].connection
    assert connection is not None
    peer.reading(False)
    while not connection.outbox.size:
        await broker.publish("t", bytes(65536))
        await asyncio.sleep(0)
    yield peer
    peer.abort()


async def test_write_timeout(broker: linnet.Broker) -> None:
    """It holds for those who do not read already, counted from now on."""
    async with clogged(broker):
        broker.reload(write_timeout=3600)
        assert broker.connections
        broker.reload(write_timeout=0.05)
        await until(lambda: not broker.connections)
        assert times(broker, "write_timeout") == 1


def uses(broker: linnet.Broker, percent: int) -> None:
    """The broker uses so many bytes of a hundred."""
    assert broker.pressure is not None
    broker.pressure.read = lambda: percent


async def retains(peer: Peer, topic: str) -> bool:
    answer = await peer.publish(topic, b"x", 1, retain=True)
    return bool(answer.reason_code < 0x80)


async def test_memory_limit_and_memory_high(broker: linnet.Broker) -> None:
    uses(broker, 80)
    async with Peer(broker, "one") as peer:
        broker.reload(memory_limit=100, memory_max=0)
        assert not await retains(peer, "a")
        async with kept_waiting(broker, "memory_high"):
            broker.reload(memory_limit=200)
        assert await retains(peer, "a")
        broker.reload(memory_limit=100)
        assert not await retains(peer, "b")
        async with kept_waiting(broker, "memory_high"):
            broker.reload(memory_high=90)
        assert await retains(peer, "b")


async def test_a_reload_of_other_limits_does_not_forget_that_memory_is_short(broker: linnet.Broker) -> None:
    """QoS 0 still goes only to those who take it at once, and has its room again when there is memory."""
    uses(broker, 80)
    async with Peer(broker, "one") as peer, clogged(broker) as slow:
        broker.reload(memory_limit=100, memory_max=0)
        broker.reload(max_output_bytes=1 << 21, max_output_bytes_hard=1 << 22, max_retained=7)
        await broker.publish("t", b"dropped")
        assert not await retains(peer, "a")
        broker.reload(memory_limit=1000)
        await broker.publish("t", b"not dropped")
        assert {connection.outbox.limit for connection in broker.connections} == {1 << 21}
        slow.reading(True)
        async with asyncio.timeout(30):
            while (await slow.expect(Publish)).payload != b"not dropped":
                pass
        assert not [one for one in slow.received if isinstance(one, Publish) and one.payload == b"dropped"]


async def test_memory_max(broker: linnet.Broker) -> None:
    uses(broker, 80)
    async with Peer(broker, "one") as peer, clogged(broker):
        broker.reload(memory_limit=100, memory_high=0, memory_max=81)
        assert len(broker.connections) == 2
        broker.reload(memory_max=79)
        await until(lambda: len(broker.connections) == 1)
        await peer.ping()


async def test_max_loop_lag(broker: linnet.Broker) -> None:
    assert broker.pressure is not None
    broker.pressure.lag = 0.5
    broker.reload(max_loop_lag=0.1)
    assert broker.core.admission.is_closed == "max_loop_lag"
    broker.reload(max_loop_lag=0)
    assert broker.core.admission.is_closed == ""
    assert await answer(broker) == 0
