"""Both ends of a client's connection, joined without a socket, on a clock that only a test moves.

    with Ends() as ends:
        bob = ends.client("bob")
        publication = bob.send("a/b", b"hello", qos=1)
        ends.settle()
        assert publication.state == "acknowledged"

The client is the whole `linnet.Client`; the server is the core of a broker, the `World` of `tests.pair`. Bytes lie on
the line, in both directions, until `settle` moves them all or `move` moves some. A line that was cut stays so until
`come_back`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

import linnet
from linnet.client.message import Message
from linnet.client.options import Reconnect
from linnet.client.store import ClientStore, Saved
from linnet.client.subscription import Subscription
from linnet.core.ports import Peer
from linnet.core.server_connection import ServerConnection
from linnet.wire import FrameReader, Packet, decode
from linnet.wire import Message as Sent
from tests import pair

T = TypeVar("T")
AT_ONCE = Reconnect(first=0.0, jitter=0.0)
MOST_ROUNDS = 10_000


class ManualLoop(asyncio.SelectorEventLoop):
    """An event loop that runs as many turns as it is told to, at the time that it is told."""

    def __init__(self, world: pair.World) -> None:
        self.world = world
        super().__init__()

    def time(self) -> float:
        """The time of the world."""
        return self.world.now

    def turn(self) -> None:
        """Call what is ready, and nothing that comes of it."""
        self.call_soon(self.stop)
        self.run_forever()


class Link(asyncio.Transport):
    """What the client has for a transport, with the broker at its other end."""

    def __init__(self, ends: Ends, protocol: Any) -> None:
        super().__init__()
        self.ends = ends
        self.protocol = protocol
        self.to_server = bytearray()
        self.said = bytearray()  # all that the client has ever written
        self.heard = bytearray()  # all that it has ever read
        self.reads = True
        self.closes = False
        self.has_said_all = False  # the client has closed its half
        self.has_ended = False
        self.far = pair.Line()
        self.server: ServerConnection | None = ServerConnection(
            ends.world.core, self.far, Peer("ends", "ends"), ends.world.now
        )
        self.far.outbox = self.server.outbox

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.has_said_all:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not self.has_ended:
            self.to_server += data
        self.said += data

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        self.closes = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.has_said_all = True

    def is_closing(self) -> bool:
        return self.closes or self.has_ended

    def abort(self) -> None:
        self.end()

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def end(self) -> None:
        """The connection is over, and what was on it is lost."""
        if not self.has_ended:
            self.has_ended = True
            server, self.server = self.server, None
            if server is not None:
                server.finish("cut", self.ends.world.now)
            self.ends.loop.call_soon(self.protocol.connection_lost, None)

    def move(self, to_server: int | None = None, to_client: int | None = None) -> bool:
        """Move so many bytes in each direction (None: all there are); whether anything happened."""
        moved = self.move_up(to_server)
        if self.has_ended or self.server is None:
            return moved
        self.far.write()
        if self.reads and not self.closes:
            data = bytes(self.far.sent if to_client is None else self.far.sent[:to_client])
            del self.far.sent[: len(data)]
            if data:
                self.heard += data
                self.ends.inside(self.protocol.data_received, data)
                moved = True
        is_done = self.closes or self.has_said_all
        if (is_done and not self.to_server) or (self.far.has_finished and not self.far.sent):
            self.end()
            moved = True
        return moved

    def move_up(self, count: int | None) -> bool:
        """Move bytes to the server."""
        data = bytes(self.to_server if count is None else self.to_server[:count])
        del self.to_server[: len(data)]
        if not data:
            return False
        if self.server is not None and not self.far.has_finished:
            self.server.receive(data, self.ends.world.now)
            self.ends.world.turn()
        return True

    @property
    def packets(self) -> list[Packet]:
        """All whole packets that the client has written."""
        return self.whole(self.said, True)

    @property
    def received(self) -> list[Packet]:
        """All whole packets that it has read."""
        return self.whole(self.heard, False)

    def whole(self, data: bytearray, from_client: bool) -> list[Packet]:
        frames = FrameReader(1 << 28)
        if data:
            frames.feed(bytes(data))
        found = []
        while frames.next():
            packet = frames.data[frames.start : frames.stop]
            found.append(decode(packet, self.protocol.connection.version, from_client))
        return found


class RecordingStore(ClientStore):
    """Keeps in memory what it is told, and fails a test when it is told something out of turn."""

    def __init__(self) -> None:
        self.kept: dict[int, list[Any]] = {}  # key: [QoS, packet identifier, whether released, message]
        self.incoming: set[int] = set()
        self.client_id = ""
        self.last_key = 0

    def open(self, now: float) -> Saved:
        return Saved("", False, [], [])

    def remember(self, client_id: str) -> None:
        self.client_id = client_id

    def forget_session(self) -> None:
        self.incoming.clear()

    def keep(self, key: int, message: Sent, qos: int, now: float) -> None:
        assert key > self.last_key
        self.last_key = key
        self.kept[key] = [qos, 0, False, message]

    def sent(self, key: int, packet_id: int) -> None:
        assert self.kept[key][0] > 0
        assert not self.kept[key][2], "sent again after PUBREC"
        assert self.kept[key][1] in (0, packet_id), "sent again under another identifier"
        self.kept[key][1] = packet_id

    def received(self, key: int) -> None:
        assert self.kept[key][:1] == [2]
        assert self.kept[key][1], "PUBREC for what was never sent"
        self.kept[key][2] = True

    def requeued(self, key: int) -> None:
        assert not self.kept[key][2], "sent as new after PUBREC"
        self.kept[key][1] = 0

    def forget(self, key: int) -> None:
        del self.kept[key]

    def keep_incoming(self, packet_id: int) -> None:
        self.incoming.add(packet_id)

    def release_incoming(self, packet_id: int) -> None:
        self.incoming.discard(packet_id)


class Ends:
    """A broker, the time, and clients; to be used as a context."""

    def __init__(self, **settings: Any) -> None:
        self.world = pair.World(**settings)
        self.loop = ManualLoop(self.world)
        self.links: dict[linnet.Client, Link] = {}  # the last of each
        self.lines: list[Link] = []  # all there ever were
        self.gates: dict[str, asyncio.Event] = {}  # by client identifier: open while there is a line to be had
        self.errors: list[dict[str, Any]] = []  # what the loop has caught
        self.tasks: set[asyncio.Task[Any]] = set()
        self.loop.set_exception_handler(lambda loop, context: self.errors.append(context))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            tasks = asyncio.all_tasks(self.loop)
            for task in tasks:
                task.cancel()
            if tasks:
                self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self.loop.turn()
        finally:
            self.loop.close()
        if fault is None:
            assert self.errors == []

    # -- time

    def settle(self) -> None:
        """Run the loop and move bytes both ways until nothing moves any more."""
        quiet = 0
        for _ in range(MOST_ROUNDS):
            self.loop.turn()
            moved = self.world.turn()
            for link in list(self.links.values()):
                if not link.has_ended:
                    moved |= link.move()
            for client in self.world.clients:
                moved |= client.move()
            quiet = 0 if moved else quiet + 1
            if quiet > 4:
                return
        raise AssertionError("it never settles")

    def think(self, turns: int = 4) -> None:
        """Let the clients run, and move nothing."""
        for _ in range(turns):
            self.loop.turn()

    def advance(self, seconds: float, step: float | None = None) -> None:
        """Let time go by in so many steps, with all that is due on the way."""
        end = self.world.now + seconds
        while self.world.now < end:
            self.world.now = min(end, self.world.now + (step or seconds))
            self.world.core.deadlines.run(self.world.now)
            self.settle()

    def inside(self, action: Callable[..., object], *arguments: Any) -> None:
        """Call something where the loop runs, as the loop would."""
        self.loop.call_soon(action, *arguments)
        self.loop.turn()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Let a coroutine run to its end, with all that it needs."""
        task = self.start(work)
        for _ in range(100):
            self.settle()
            if task.done():
                return task.result()
        raise AssertionError(f"it never ends: {task}")

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Let a coroutine run beside the test."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        return task

    # -- clients

    def client(self, client_id: str = "bob", **options: Any) -> linnet.Client:
        """A client that is connected."""
        client = self.stranger(client_id, **options)
        self.run(client.connect())
        return client

    def stranger(self, client_id: str = "bob", **options: Any) -> linnet.Client:
        """A client that is not connected yet."""
        options.setdefault("version", linnet.wire.V5)
        options.setdefault("reconnect", AT_ONCE)

        gate = self.gates.setdefault(client_id, asyncio.Event())
        gate.set()

        async def dial(make: Callable[[], Any]) -> Link:
            await gate.wait()
            protocol = make()
            link = self.links[client] = Link(self, protocol)
            self.lines.append(link)
            protocol.connection_made(link)
            return link

        client = linnet.Client("mqtt://ends", client_id=client_id, dial=dial, **options)
        return client

    def cut(self, client: linnet.Client) -> None:
        """The line breaks, and stays broken; what is on it is lost in both directions."""
        self.gates[client.options.client_id].clear()
        self.links[client].end()
        self.think()

    def cut_at_once(self, client: linnet.Client) -> None:
        """The same, and the client hears of it before it has written what it was told in this turn."""
        self.gates[client.options.client_id].clear()
        link = self.links[client]
        link.end()
        link.protocol.connection_lost(None)
        self.think()

    def come_back(self, client: linnet.Client) -> None:
        """The line can be had again."""
        self.gates[client.options.client_id].set()

    def lose_session(self, client: linnet.Client) -> None:
        """The broker forgets the session of a client that is cut off."""
        session = self.world.sessions.get(client.client_id)
        if session is not None:
            self.world.core.end(session, self.world.now)

    def subscribe(self, client: linnet.Client, *filters: str, **options: Any) -> Subscription[Any]:
        """A subscription that the server has confirmed."""
        subscription: Subscription[Any] = client.subscribe(*filters, **options)
        return self.run(subscription.__aenter__())

    def leave(self, subscription: Subscription[Any]) -> None:
        """End a subscription."""
        self.run(subscription.__aexit__(None, None, None))

    def get(self, subscription: Subscription[Any]) -> Message[Any]:
        """The next message; the test fails when none comes."""
        return self.run(subscription.get())
