"""What becomes of messages while there is no connection: where they wait, for how long, and when no more may wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from linnet import Client, Connected, Disconnected, Dropped, NotDelivered, Offline, QueueFull
from linnet.wire import Publish, Subscribe
from tests.client.proof.scripted import Scripted, ignore
from tests.client.proof.watching import AT_ONCE, Told, until, within


@asynccontextmanager
async def offline(server: Scripted, policy: Offline, **options: Any) -> AsyncIterator[tuple[Client, Told]]:
    """A client whose connection was lost, and that waits for another."""
    client = Client(server.url, **{"reconnect": AT_ONCE, "offline": policy, "close_timeout": 0, **options})
    told = Told(client)
    async with client:
        server.refuse()
        server.visit.cut()
        await told.until(Disconnected)
        yield client, told


def arrived(server: Scripted) -> list[bytes]:
    return [message.payload for message in server.visit.got(Publish)]


async def is_pending(task: asyncio.Task[Any]) -> bool:
    """Whether a task still waits when everything that could run has run."""
    for _ in range(20):
        await asyncio.sleep(0)
    return not task.done()


# Both bounds of the queue, each so that three messages of a byte fit
BOUNDS = pytest.mark.parametrize("bounds", [{"max_messages": 3}, {"max_bytes": 6}], ids=["messages", "bytes"])


@BOUNDS
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_full_queue_makes_publish_wait_and_send_fail(bounds: dict[str, Any], qos: int) -> None:
    async with Scripted() as server, offline(server, Offline(**bounds)) as (client, _):
        sent = [client.send("a", b"%d" % number, qos=qos) for number in range(3)]
        with pytest.raises(QueueFull):
            client.send("a", b"3", qos=qos)
        waiting = [asyncio.create_task(client.publish("a", b"%d" % number, qos=qos)) for number in (4, 5, 6)]
        assert all([await is_pending(task) for task in waiting])
        waiting[0].cancel()
        assert sent[1].cancel()  # whose room the next one gets
        assert not sent[1].cancel()
        await is_pending(waiting[1])
        assert client.publisher.waiting == 3
        await server.listen()
        await within(asyncio.gather(sent[0], sent[2], *waiting[1:]))
        await until(lambda: arrived(server) == [b"0", b"2", b"5", b"6"])
        assert waiting[0].cancelled()


@BOUNDS
async def test_a_full_queue_may_be_an_error(bounds: dict[str, Any]) -> None:
    async with Scripted() as server, offline(server, Offline(**bounds, when_full="raise")) as (client, _):
        sent = [client.send("a", b"%d" % number, qos=number) for number in range(3)]
        for hand_over in (client.send, client.publish):
            with pytest.raises(QueueFull):
                await within(hand_over("a", b"3", qos=1))
        await server.listen()
        await within(asyncio.gather(*sent))
        await until(lambda: arrived(server) == [b"0", b"1", b"2"])


@BOUNDS
async def test_a_full_queue_may_drop_the_oldest(bounds: dict[str, Any]) -> None:
    async with Scripted() as server, offline(server, Offline(**bounds, when_full="drop_oldest")) as (client, told):
        sent = [client.send("t", b"%d" % number, qos=number % 3) for number in range(5)]
        late = asyncio.create_task(client.publish("t", b"5", qos=1))
        await until(lambda: len(told.of(Dropped)) == 3)
        for publication in sent[:3]:
            with pytest.raises(NotDelivered) as fault:
                await within(publication)
            assert not fault.value.sent
            assert publication.state == "not delivered"
        await server.listen()
        await within(asyncio.gather(*sent[3:], late))
        await until(lambda: arrived(server) == [b"3", b"4", b"5"])
        assert {event.topic for event in told.of(Dropped)} == {"t"}


async def test_what_was_sent_before_is_not_dropped_for_something_newer() -> None:
    """It may have arrived, so it is sent again, and nothing can take its place."""
    async with Scripted() as server:
        server.on[Publish] = ignore
        client = Client(server.url, reconnect=AT_ONCE, offline=Offline(max_messages=2, when_full="drop_oldest"))
        told = Told(client)
        async with client:
            sent = [client.send("a", b"%d" % number, qos=1) for number in range(2)]
            await until(lambda: len(arrived(server)) == 2)
            server.refuse()
            server.visit.cut()
            await told.until(Disconnected)
            sent += [client.send("a", b"%d" % number, qos=1) for number in range(2, 5)]
            server.on[Publish] = server.acknowledge
            await server.listen()
            await within(asyncio.gather(sent[0], sent[1], *sent[3:]))
            assert arrived(server) == [b"0", b"1", b"3", b"4"]
            assert sent[2].state == "not delivered"


async def test_a_queue_that_is_full_for_a_slow_server_is_one_too() -> None:
    """The window is used up, so messages wait although there is a connection."""
    async with Scripted(receive_maximum=1) as server:
        server.on[Publish] = ignore
        async with Client(server.url, offline=Offline(max_messages=2)) as client:
            sent = [client.send("a", b"%d" % number, qos=1) for number in range(3)]
            with pytest.raises(QueueFull):
                client.send("a", b"no", qos=2)
            late = asyncio.create_task(client.publish("a", b"3", qos=1))
            assert await is_pending(late)
            await until(lambda: arrived(server) == [b"0"])
            server.on[Publish] = server.acknowledge
            server.acknowledge(server.visit, server.visit.got(Publish)[0])
            await within(asyncio.gather(*sent, late))
            assert arrived(server) == [b"0", b"1", b"2", b"3"]


@pytest.mark.parametrize("policy", ["keep", "drop", "raise"])
async def test_messages_of_qos_0_have_a_policy_of_their_own(policy: Any) -> None:
    async with Scripted() as server, offline(server, Offline(qos0=policy)) as (client, told):
        one = client.send("a", b"1", qos=1)
        if policy == "raise":
            for hand_over in (client.send, client.publish):
                with pytest.raises(NotDelivered) as fault:
                    await within(hand_over("a", b"0"))
                assert not fault.value.sent
        zero = None if policy == "raise" else client.send("a", b"0")
        if policy == "drop":
            assert zero is not None
            assert zero.state == "not delivered"
            assert [event.topic for event in told.of(Dropped)] == ["a"]
            with pytest.raises(NotDelivered):
                await within(zero)
        await server.listen()
        await within(one)
        if policy == "keep":
            assert zero is not None
            await within(zero)
        await within(client.publish("a", b"later", qos=1))
        assert arrived(server) == ([b"1", b"0", b"later"] if policy == "keep" else [b"1", b"later"])


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_the_seconds_without_a_connection_count(qos: int) -> None:
    """On a clock that the test moves: the messages are a hundred seconds old when there is a connection again."""
    async with Scripted() as server, offline(server, Offline()) as (client, told):
        now: Callable[[], float] = client.publisher.clock
        client.publisher.clock = lambda: now() - 100
        old = client.send("a", b"old", qos=qos, expiry=60)
        good = client.send("a", b"good", qos=qos, expiry=160)
        ever = client.send("a", b"ever", qos=qos)
        client.publisher.clock = now
        await server.listen()
        with pytest.raises(NotDelivered, match="expired") as fault:
            await within(old)
        assert not fault.value.sent
        await within(asyncio.gather(good, ever))
        await until(lambda: arrived(server) == [b"good", b"ever"])
        left = server.visit.got(Publish)[0].properties.message_expiry_interval
        assert left is not None
        assert 50 <= left <= 60
        assert len(told.of(Dropped)) == 1


async def test_the_order_is_kept_over_all_qualities() -> None:
    async with Scripted() as server, offline(server, Offline()) as (client, _):
        sent = [client.send("a", b"%d" % number, qos=number % 3) for number in range(30)]
        await server.listen()
        sent += [client.send("a", b"%d" % number, qos=number % 3) for number in range(30, 60)]
        await within(asyncio.gather(*sent))
        await until(lambda: arrived(server) == [b"%d" % number for number in range(60)])


async def test_subscriptions_are_made_before_anything_is_published() -> None:
    async with Scripted() as server, offline(server, Offline()) as (client, told):
        entering = asyncio.create_task(client.subscribe("a", qos=1).__aenter__())
        sent = client.send("a", qos=1)
        assert await is_pending(entering)
        await server.listen()
        await told.until(Connected, 2)
        await within(asyncio.gather(entering, sent))
        kinds = [type(packet) for packet in server.visit.received if isinstance(packet, (Subscribe, Publish))]
        assert kinds == [Subscribe, Publish]
