"""What the proof of each limit has in common.

    async with proving(caplog, max_connections=2) as proof:
        async with Peer(proof.broker, "bob"):
            await proof.refused("eve", CONNECTION_RATE_EXCEEDED)
        await proof.reached("max_connections", client_id="eve")

A broker runs with these settings. Beside the test a well-behaved client, which was there before, goes on pinging and
publishing to itself; at the end it must never have waited for half a second. That one bound of time is a requirement.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from time import perf_counter, process_time
from typing import Any, Self, TypeVar

import pytest

from linnet import Broker, Settings
from linnet.describe import describe
from linnet.wire import (
    V5,
    Connack,
    Connect,
    Disconnect,
    FrameReader,
    Properties,
    Publish,
    Subscribe,
    SubscriptionOptions,
    Version,
)
from tests.peer import PATIENCE, Peer

# Seconds that a well-behaved client waits at most, whatever the others do: of this process' own time, and by the clock
# where the machine may have been busy with something else.
BOUND = 0.5
STARVED = 2.5
ELSEWHERE = "127.0.0.2"  # where the well-behaved client comes from

T = TypeVar("T")


class WellBehaved:
    """A client that does nothing wrong, and measures how long it waits."""

    def __init__(self, broker: Broker, qos: int, pause: float) -> None:
        self.peer = Peer(broker, "well-behaved", host=ELSEWHERE)
        self.qos = qos
        self.pause = pause  # seconds between two rounds
        self.rounds = 0
        self.longest = 0.0
        self.is_leaving = False
        self.task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.peer
        await self.peer.subscribe("well/behaved", qos=self.qos)
        await self.round()
        self.task = asyncio.create_task(self.go_round())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self.task is not None
        self.is_leaving = True
        try:
            await self.task
        finally:
            self.peer.abort()

    async def go_round(self) -> None:
        while not self.is_leaving:
            await self.round()
            await asyncio.sleep(self.pause)

    async def round(self) -> None:
        """A ping, and a message to itself."""
        await self.timed(self.peer.ping())
        assert await self.timed(self.to_itself(b"%d" % self.rounds)) == b"%d" % self.rounds
        self.rounds += 1

    async def to_itself(self, payload: bytes) -> bytes:
        acknowledged = self.peer.publish("well/behaved", payload, qos=self.qos)
        _, message = await asyncio.gather(acknowledged, self.peer.receive())
        received: bytes = message.payload
        return received

    async def timed(self, doing: Coroutine[Any, Any, T]) -> T:
        began, worked = perf_counter(), process_time()
        done = await doing
        waited = perf_counter() - began
        if waited < STARVED:
            waited = min(waited, process_time() - worked)
        self.longest = max(self.longest, waited)
        return done


class Proof:
    """A broker with a limit that is about to be reached."""

    def __init__(self, broker: Broker, beside: WellBehaved, caplog: pytest.LogCaptureFixture) -> None:
        self.broker = broker
        self.beside = beside
        self.caplog = caplog

    def lines(self, logger: str, **fields: object) -> list[Any]:
        """The log lines of a logger with these fields."""
        return [
            record
            for record in self.caplog.records
            if record.name == f"linnet.{logger}"
            and all(getattr(record, name, None) == value for name, value in fields.items())
        ]

    async def reached(self, limit: str, count: int = 1, **fields: object) -> Any:
        """The limit has been reached so often, is counted wherever one can look, and logged; returns the line."""
        await eventually(lambda: self.count(limit) >= count, f"{limit} to be counted {count} times")
        await eventually(lambda: self.lines("limits", limit=limit, **fields), f"a line about {limit} with {fields}")
        described = describe(self.broker.statistics)["limits"]
        assert described[limit] == self.count(limit)
        await self.told(limit)
        return self.lines("limits", limit=limit, **fields)[0]

    async def told(self, limit: str) -> None:
        """Who subscribes to the broker's own topics gets the count."""
        self.broker.reload(sys_interval=0.05)
        async with self.broker.subscribe(f"$SYS/broker/limits/{limit}") as messages, asyncio.timeout(PATIENCE):
            async for message in messages:
                if int(message.payload) == self.count(limit):
                    break
        self.broker.reload(sys_interval=0)

    def count(self, limit: str) -> int:
        """How often a limit was reached."""
        return self.broker.statistics.limits.get(limit, 0)

    async def dropped(self, reason: str, client_id: str, count: int = 1) -> None:
        """So many messages for a client were dropped, which is counted, in all and for the client, and logged."""
        name = f"dropped_{reason}"
        await eventually(lambda: getattr(self.broker.statistics.traffic, name) >= count, f"{count} {name}")
        session = self.broker.sessions.get(client_id)
        assert session is None or getattr(session.statistics, name) >= count
        await eventually(lambda: self.lines("drops", reason=reason, client_id=client_id), f"a line about {name}")

    def failures(self) -> list[Any]:
        """The lines about clients that broke the protocol."""
        return self.lines("protocol", event="failed")

    async def refused(
        self, client_id: str, code: int, version: Version = V5, code_3: int | None = None, **connect: Any
    ) -> None:
        """A CONNECT is answered with a code, or with another one before 5.0, and the connection closed."""
        peer = Peer.raw(self.broker, version)
        async with peer:
            peer.send(Connect(client_id, version=version, **connect))
            connack = await peer.expect(Connack)
            assert connack.reason_code == (code if version is V5 or code_3 is None else code_3)
            assert await peer.closed() == []
        assert self.broker.sessions.get(client_id) is None


async def ended(peer: Peer, code: int) -> None:
    """The broker closes the connection, and says why where the version can; nothing else comes before that."""
    left = await peer.closed()
    said = [packet.reason_code for packet in left if isinstance(packet, Disconnect)]
    assert said == ([code] if peer.version is V5 else []), f"closed with {said}"
    assert len(left) == len(said), f"{left} came before the end"


async def eventually(condition: Callable[[], object], what: str) -> None:
    """Waits until something is so."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"awaited {what}: {PATIENCE:g} seconds went by") from None


class Deaf:
    """A client that takes nothing of what it is sent unless it is told to, and for whom the system keeps little."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, broker: Broker, version: Version, topic: str = "t", qos: int = 0) -> Self:
        """Bob, who has subscribed, and has not read the answers."""
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        await loop.sock_connect(sock, ("127.0.0.1", broker.port))
        deaf = cls(*await asyncio.open_connection(sock=sock, limit=1024))
        filters = [(topic, SubscriptionOptions(qos))]
        deaf.send(Connect("bob", version=version).encode(version) + Subscribe(1, filters, Properties()).encode(version))
        await eventually(
            lambda: "bob" in broker.sessions and broker.sessions["bob"].subscriptions, "bob's subscription"
        )
        connection = broker.sessions["bob"].connection
        assert connection is not None
        server: socket.socket = connection.stream.transport.get_extra_info("socket")
        server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        return deaf

    def send(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def read(self, wanted: Callable[[FrameReader], bool]) -> int:
        """Take packets at last, until one is wanted; how many PUBLISHes there were up to that one."""
        frames = FrameReader(1 << 28)
        count = 0
        while True:
            while frames.next():
                count += frames.header >> 4 == Publish.type
                if wanted(frames):
                    return count
            frames.feed(await self.reader.read(65_536))

    async def closed(self) -> None:
        """The connection ends, in whatever way."""
        try:
            while await self.reader.read(65_536):
                pass
        except ConnectionError:
            pass
        self.leave()

    def leave(self) -> None:
        self.writer.transport.abort()


@asynccontextmanager
async def proving(caplog: pytest.LogCaptureFixture, pause: float = 0.01, **settings: Any) -> AsyncIterator[Proof]:
    """A broker with these settings and a client beside it, which is served in time to the end."""
    caplog.set_level(logging.INFO, "linnet")
    given = Settings(**{"listen": "127.0.0.1:0", "sys_interval": 0, **settings})
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(Broker(given))
        beside = await stack.enter_async_context(WellBehaved(broker, min(given.max_qos, 1), pause))
        yield Proof(broker, beside, caplog)
        rounds = beside.rounds
        await eventually(lambda: beside.rounds > rounds or beside.task is None or beside.task.done(), "another round")
    assert beside.longest < BOUND, f"the client beside waited for {beside.longest:.3f} s in one of {rounds} rounds"


async def all_of(doings: list[Awaitable[Any]]) -> list[Any]:
    """Do many things at once, a hundred at a time."""
    done: list[Any] = []
    for at in range(0, len(doings), 100):
        done += await asyncio.gather(*doings[at : at + 100])
    return done
