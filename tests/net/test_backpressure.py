"""Whoever does not read is not read, and whoever does not make room holds back its publishers: on every event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple

import pytest

from linnet import Broker
from linnet.wire import V3_1_1, V5, Disconnect, FrameReader, Pingreq, Puback, Publish, Version
from linnet.wire.header import PacketType
from tests.limits.proof import Deaf, eventually
from tests.net.test_listener import loops
from tests.peer import Peer

PING = Pingreq().encode(V5)


class Served(NamedTuple):
    """A broker on an event loop of its own, in a thread of its own."""

    broker: Broker
    loop: asyncio.AbstractEventLoop

    async def there(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run something on the broker's loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self.loop))

    async def disconnect(self, client_id: str) -> None:
        async def disconnect() -> None:
            self.broker.disconnect(client_id)

        await self.there(disconnect())


Serve = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture(params=loops(), ids=["turns", "asyncio", "uvloop"][: len(loops())])
def serve(request: pytest.FixtureRequest) -> Serve:
    @asynccontextmanager
    async def served(**settings: Any) -> AsyncIterator[Served]:
        loop = request.param()
        faults: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: faults.append(context))
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        one = Served(Broker(listen="127.0.0.1:0", sys_interval=0, **settings), loop)
        try:
            await one.there(one.broker.start())
            yield one
        finally:
            await one.there(one.broker.stop())
            loop.call_soon_threadsafe(loop.stop)
            await asyncio.to_thread(thread.join)
            loop.close()
        assert faults == []

    return served


def count(served: Served, limit: str) -> int:
    return served.broker.core.ledger.limits.get(limit, 0)


async def test_who_asks_and_does_not_read_is_not_read_until_it_does(serve: Serve) -> None:
    async with serve(max_output_bytes=4000, write_timeout=60.0) as served:
        bob = await Deaf.connect(served.broker, V5)
        asked = answered = 0
        while count(served, "max_output_bytes") == 0:
            bob.send(PING * 1000)
            asked += 1000
            await asyncio.sleep(0.001)
        connection = served.broker.sessions["bob"].connection
        assert connection is not None
        await eventually(lambda: connection.waiting == 1, "it not to be read")
        before = connection.statistics.pingresp
        bob.send(PING * 1000)
        async with Peer(served.broker, "alice") as alice:
            await alice.ping()
        assert connection.statistics.pingresp == before

        def is_last(frames: FrameReader) -> bool:
            nonlocal answered
            answered += frames.header >> 4 == PacketType.PINGRESP
            return answered == asked + 1000

        await bob.read(is_last)
        await eventually(lambda: connection.waiting == 0, "it to be read again")
        bob.leave()


async def test_who_takes_no_byte_is_given_up_in_time(serve: Serve) -> None:
    async with serve(write_timeout=0.1, max_output_bytes=100_000) as served:
        bob = await Deaf.connect(served.broker, V5, qos=1)
        async with Peer(served.broker, "alice") as alice:
            while "bob" in served.broker.sessions:
                await alice.publish("t", bytes(50_000))
                await alice.ping()
        assert count(served, "write_timeout") == 1
        await bob.closed()


async def test_who_is_closed_while_it_does_not_read_gets_everything_when_it_does(serve: Serve) -> None:
    async with serve(max_output_bytes=4000, write_timeout=60.0) as served:
        bob = await Deaf.connect(served.broker, V5)
        connection = served.broker.sessions["bob"].connection
        assert connection is not None
        while not connection.stream.is_blocked:
            bob.send(PING * 1000)
            await asyncio.sleep(0.001)
        await served.disconnect("bob")
        said = []

        def is_last(frames: FrameReader) -> bool:
            said.append(frames.header >> 4)
            return said[-1] == Disconnect.type

        await bob.read(is_last)
        assert said.count(PacketType.PINGRESP) == connection.statistics.pingresp
        assert await bob.reader.read() == b""
        bob.leave()


@pytest.mark.parametrize("version", [V3_1_1, V5])
async def test_a_publisher_that_is_held_back_goes_on_when_there_is_room(serve: Serve, version: Version) -> None:
    limits = {"max_queued_messages": 2, "max_inflight": 1, "receive_maximum": 60, "receive_maximum_3": 3}
    async with (
        serve(queue_policy="hold", **limits) as served,
        Peer(served.broker, "bob", manual=True) as bob,
        Peer(served.broker, "alice", version) as alice,
    ):
        await bob.subscribe("t", qos=1)
        for number in range(60):
            alice.send(Publish("t", b"%d" % number, 1, packet_id=number + 1))
        await eventually(lambda: count(served, "max_queued_messages") > 0, "a full queue")
        for number in range(60):
            message = await bob.expect(Publish)
            assert message.payload == b"%d" % number
            bob.send(Puback(message.packet_id))
        assert [(await alice.expect(Puback)).packet_id for _ in range(60)] == list(range(1, 61))


@pytest.mark.parametrize("rate", [{"max_publish_rate": 500.0}, {"max_byte_rate": 20_000.0}])
async def test_who_is_too_fast_waits_and_loses_nothing(serve: Serve, rate: dict[str, float]) -> None:
    async with serve(**rate) as served, Peer(served.broker, "bob") as bob, Peer(served.broker, "alice") as alice:
        await bob.subscribe("t", qos=1)
        payload = bytes(50 if "max_byte_rate" in rate else 1)
        messages = [Publish("t", b"%03d" % number + payload, 1, packet_id=number + 1) for number in range(600)]
        alice.send(b"".join(message.encode(V5) for message in messages))  # at once: no machine is too slow for it
        for number in range(600):
            assert (await bob.expect(Publish)).payload == b"%03d" % number + payload
        assert [(await alice.expect(Puback)).packet_id for _ in range(600)] == list(range(1, 601))
        assert count(served, next(iter(rate))) > 0


@pytest.mark.parametrize("how", ["abort", "disconnect", "stop"])
async def test_who_goes_while_it_rests_leaves_nothing(serve: Serve, how: str) -> None:
    async with serve(max_publish_rate=1.0) as served:
        alice = await Peer(served.broker, "alice")
        for number in range(5):
            alice.send(Publish("t", b"x", 1, packet_id=number + 1))
        await eventually(lambda: count(served, "max_publish_rate") > 0, "a rest")
        if how == "abort":
            alice.abort()
            await served.disconnect("alice")
        elif how == "disconnect":
            await served.disconnect("alice")
            await alice.closed()
        else:
            await served.there(served.broker.stop())
            await alice.closed()
        await eventually(lambda: not served.broker.core.connections, "the end of the connection")
