"""The loop that ends the broker's turns is an asyncio loop like any other, for everything but the broker's sockets."""

from __future__ import annotations

import asyncio
import os
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from linnet.core.broker import BrokerCore
from linnet.net.loop import TurnLoop, TurnSelector, new_event_loop
from linnet.net.stream import Stream
from linnet.net.transport import SocketTransport
from linnet.net.turn import Turn
from linnet.server import Broker, limits_of
from linnet.settings import Settings
from linnet.wire import V5, Connect, Pingreq
from tests.net.loops import on_turns, until
from tests.peer import Peer

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
FEW, MANY = 3, 12  # events at once, of which the loop makes a turn each, and one turn of all


@pytest.fixture
def selector() -> Iterator[TurnSelector]:
    selector = TurnSelector()
    yield selector
    selector.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        yield ours, theirs


Pair = tuple[socket.socket, socket.socket]


def test_what_is_registered_is_found_by_socket_and_by_descriptor(selector: TurnSelector, pair: Pair) -> None:
    key = selector.register(pair[0], READ, "data")
    assert key == (pair[0], pair[0].fileno(), READ, "data")
    assert selector.get_key(pair[0]) is key and selector.get_key(pair[0].fileno()) is key
    assert selector.get_map().get(pair[0]) is key and selector.get_map().get(pair[0].fileno()) is key
    assert selector.get_map().get(pair[1]) is None and len(selector.get_map()) == 1
    with pytest.raises(KeyError):
        selector.get_key(pair[1])
    with pytest.raises(KeyError, match="registered already"):
        selector.register(pair[0].fileno(), WRITE)
    assert repr(selector) == "<TurnSelector 0 transports, 1 others>"


def test_it_tells_what_was_asked_for_and_no_more(selector: TurnSelector, pair: Pair) -> None:
    key = selector.register(pair[0], READ)
    assert selector.select(0) == []
    pair[1].send(b"x")
    assert selector.select(1) == [(key, READ)]
    key = selector.modify(pair[0], WRITE, "other")
    assert key.data == "other" and selector.select(1) == [(key, WRITE)]
    key = selector.modify(pair[0], READ | WRITE, "both")
    assert selector.select(1) == [(key, READ | WRITE)]
    key = selector.modify(pair[0], READ | WRITE, "other data")
    assert selector.select(1) == [(key, READ | WRITE)]
    assert selector.unregister(pair[0]) is key
    assert selector.select(0) == []
    with pytest.raises(KeyError):
        selector.unregister(pair[0])
    with pytest.raises(KeyError):
        selector.modify(pair[0], READ)


@pytest.mark.parametrize("events", [READ, WRITE])
def test_a_hang_up_is_told_to_whoever_waits(selector: TurnSelector, pair: Pair, events: int) -> None:
    key = selector.register(pair[0], events)
    pair[1].close()
    assert selector.select(1) == [(key, events)]


def test_a_descriptor_that_was_closed_can_still_be_unregistered(selector: TurnSelector) -> None:
    ours, theirs = socket.socketpair()
    fd = ours.fileno()
    key = selector.register(fd, READ)
    ours.close()
    theirs.close()
    assert selector.unregister(fd) is key
    assert not selector.get_map()


def test_what_the_kernel_does_not_watch_is_not_registered(selector: TurnSelector) -> None:
    """The number may stand for something else next time, which is then watched."""
    with Path(__file__).open() as file, pytest.raises(OSError):
        selector.register(file, READ)
    assert not selector.get_map()


def test_closed_it_knows_nothing(pair: Pair) -> None:
    selector = TurnSelector()
    selector.register(pair[0], READ)
    selector.close()
    assert not selector.get_map()


class Crowd:
    """Clients of one broker's core on a loop, each at the other end of a socket pair."""

    def __init__(self, count: int) -> None:
        self.turn = Turn(BrokerCore(limits_of(Settings()), lambda: "new"), asyncio.get_running_loop(), Settings())
        self.peers: list[socket.socket] = []
        self.streams: list[Stream] = []
        for _ in range(count):
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            theirs.setblocking(False)
            stream = Stream(self.turn, "here:1883")
            SocketTransport(self.turn.loop, ours, stream)
            self.peers.append(theirs)
            self.streams.append(stream)

    async def connect(self) -> None:
        for number, peer in enumerate(self.peers):
            peer.send(Connect(f"c{number}").encode(V5))
        await until(lambda: len(self.turn.core.connections) == len(self.peers))
        await until(lambda: len(self.turn.core.sessions) == len(self.peers))

    async def close(self) -> None:
        for peer in self.peers:
            peer.close()
        await until(lambda: not self.turn.streams)
        await asyncio.sleep(0)
        self.turn.stop()


class Busy(threading.Thread):
    """Keeps a client's connection busy until it is told to stop, and takes what it is answered."""

    def __init__(self, peer: socket.socket) -> None:
        super().__init__()
        self.peer = peer
        self.enough = threading.Event()
        self.rounds = 0

    def run(self) -> None:
        self.peer.setblocking(True)
        while not self.enough.is_set():
            self.peer.sendall(Pingreq().encode(V5) * 10)
            self.peer.recv(100_000)
            self.rounds += 1


async def while_busy(story: Callable[[Crowd, Busy], Any]) -> None:
    """Run a story while one of the loop's transports has always something to say."""
    crowd = Crowd(1)
    await crowd.connect()
    busy = Busy(crowd.peers[0])
    busy.start()
    try:
        await story(crowd, busy)
    finally:
        busy.enough.set()
        await asyncio.to_thread(busy.join)
    await crowd.close()


def test_timers_come_in_order_and_not_early_while_a_transport_is_busy() -> None:
    async def story(crowd: Crowd, busy: Busy) -> None:
        loop = asyncio.get_running_loop()
        came: asyncio.Queue[tuple[str, float]] = asyncio.Queue()
        due = {name: loop.time() + delay for name, delay in (("third", 0.06), ("first", 0.02), ("second", 0.04))}

        def come(name: str) -> None:
            came.put_nowait((name, loop.time()))

        for name, when in due.items():
            loop.call_at(when, come, name)
        for name in ("first", "second", "third"):
            told, at = await came.get()
            assert told == name
            assert at >= due[name] - 0.001
        assert busy.rounds > 0

    on_turns(lambda: while_busy(story))


def test_other_descriptors_and_threads_are_heard_while_a_transport_is_busy(pair: Pair) -> None:
    async def story(crowd: Crowd, busy: Busy) -> None:
        loop = asyncio.get_running_loop()
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        loop.add_reader(pair[0], lambda: heard.put_nowait(pair[0].recv(10)))
        pair[1].send(b"hello")
        assert await heard.get() == b"hello"
        assert loop.remove_reader(pair[0])
        assert await asyncio.to_thread(lambda: 7) == 7

    on_turns(lambda: while_busy(story))


def test_a_signal_is_heard_while_a_transport_is_busy() -> None:
    async def story(crowd: Crowd, busy: Busy) -> None:
        loop = asyncio.get_running_loop()
        heard = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, heard.set)
        os.kill(os.getpid(), signal.SIGUSR1)
        await heard.wait()
        assert loop.remove_signal_handler(signal.SIGUSR1)

    on_turns(lambda: while_busy(story))


def within_a_transport(turn: Turn, act: Callable[[], object]) -> None:
    """Have something done the next time that a transport of this turn has read something."""
    clock = turn.clock

    def act_and_tell() -> float:
        turn.clock = clock
        act()
        return clock()

    turn.clock = act_and_tell


@pytest.mark.parametrize("how", ["call_soon", "call_soon_threadsafe", "call_later", "future", "task"])
def test_what_a_transport_schedules_runs_although_nothing_else_happens(how: str) -> None:
    async def story() -> None:
        crowd = Crowd(1)
        await crowd.connect()
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        future = loop.create_future()
        future.add_done_callback(lambda _: done.set())
        tasks: list[asyncio.Task[None]] = []

        async def finish() -> None:
            done.set()

        ways: dict[str, Callable[[], object]] = {
            "call_soon": lambda: loop.call_soon(done.set),
            "call_soon_threadsafe": lambda: loop.call_soon_threadsafe(done.set),
            "call_later": lambda: loop.call_later(0.01, done.set),
            "future": lambda: future.set_result(None),
            "task": lambda: tasks.append(loop.create_task(finish())),
        }
        within_a_transport(crowd.turn, ways[how])
        crowd.peers[0].send(Pingreq().encode(V5))
        await done.wait()
        await crowd.close()

    on_turns(story)


def test_a_transport_may_stop_the_loop() -> None:
    loop = TurnLoop()
    ours, theirs = socket.socketpair()
    watch = threading.Timer(3.0, lambda: loop.call_soon_threadsafe(lambda: stopped.append("late")))
    stopped: list[str] = []

    async def prepare() -> Crowd:
        crowd = Crowd(1)
        await crowd.connect()
        return crowd

    with ours, theirs:
        crowd = loop.run_until_complete(prepare())
        within_a_transport(crowd.turn, loop.stop)
        crowd.peers[0].send(Pingreq().encode(V5))
        watch.start()
        loop.run_forever()
        watch.cancel()
        loop.run_until_complete(crowd.close())
        loop.close()
    assert stopped == []


def log_of_turns(crowd: Crowd, loop: TurnLoop) -> tuple[list[str], Callable[[], None]]:
    """From now on, note what is read and where a turn ends; and the function that does the latter."""
    log: list[str] = []
    clock = crowd.turn.clock

    def read() -> float:
        log.append("read")
        return clock()

    crowd.turn.clock = read

    def end() -> None:
        log.append("end")

    loop.at_turn_end(end)
    return log, end


def test_the_end_of_a_turn_comes_once_for_all_that_came_in_together() -> None:
    """Each connection is one event; the turn's own clock is read by the first of them."""

    async def story() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, TurnLoop)
        crowd = Crowd(MANY)
        await crowd.connect()
        log, end = log_of_turns(crowd, loop)
        for peer in crowd.peers:
            peer.send(Pingreq().encode(V5))
        await until(lambda: "read" in log)
        await asyncio.sleep(0)
        assert log.count("read") == 1
        assert log[log.index("read") + 1 :][0] == "end"
        for peer in crowd.peers:
            assert peer.recv(1000)
        loop.not_at_turn_end(end)
        log.clear()
        await asyncio.sleep(0)
        assert log == []
        await crowd.close()

    on_turns(story)


def test_where_little_comes_in_each_event_is_a_turn() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, TurnLoop)
        crowd = Crowd(FEW)
        await crowd.connect()
        log, end = log_of_turns(crowd, loop)
        for peer in crowd.peers:
            peer.send(Pingreq().encode(V5))
        await until(lambda: log.count("read") == FEW)
        await asyncio.sleep(0)
        first = log.index("read")
        assert log[first : first + 2 * (FEW)] == ["read", "end"] * (FEW)
        loop.not_at_turn_end(end)
        await crowd.close()

    on_turns(story)


def test_an_end_of_turn_that_fails_stops_neither_the_loop_nor_the_others() -> None:
    loop = TurnLoop()
    told: list[Any] = []
    loop.set_exception_handler(lambda _, context: told.append(context.get("exception")))
    ended: list[bool] = []
    fault = RuntimeError("a fault")

    def fail() -> None:
        if not told:
            raise fault

    async def story() -> None:
        loop.at_turn_end(fail)
        loop.at_turn_end(lambda: ended.append(True))
        for _ in range(3):
            await asyncio.sleep(0)

    try:
        loop.run_until_complete(story())
    finally:
        loop.turn_selector.ends.clear()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
    assert told == [fault] and ended


def test_tasks_futures_and_timeouts_work() -> None:
    async def story() -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(asyncio.sleep(0.001 * number, number)) for number in range(5)]
        assert [task.result() for task in tasks] == [0, 1, 2, 3, 4]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.get_running_loop().create_future()

    on_turns(story)


def test_another_thread_wakes_it() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(woken.set))
        thread.start()
        await woken.wait()
        await asyncio.to_thread(thread.join)

    on_turns(story)


def test_streams_of_asyncio_work() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def story() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            sent = os.urandom(1 << 20)
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
            writer.write(sent)
            writer.write_eof()
            assert await reader.read() == sent
            writer.close()
            await writer.wait_closed()

    on_turns(story)


def test_subprocesses_work() -> None:
    async def story() -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "print(input()[::-1])"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate(b"tennil\n")
        assert output.strip() == b"linnet" and process.returncode == 0

    on_turns(story)


def test_it_works_in_debug_mode_and_in_another_thread() -> None:
    came: list[int] = []

    async def story() -> None:
        await asyncio.sleep(0.001)
        came.append(await asyncio.to_thread(lambda: 7))

    def run() -> None:
        with asyncio.Runner(loop_factory=TurnLoop, debug=True) as runner:
            runner.run(story())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert came == [7]


def test_an_interrupt_ends_what_runs() -> None:
    async def story() -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
        await asyncio.get_running_loop().create_future()

    with pytest.raises(KeyboardInterrupt), asyncio.Runner(loop_factory=TurnLoop) as runner:
        runner.run(story())


def test_it_is_the_loop_that_is_used_here() -> None:
    loop = new_event_loop()
    assert isinstance(loop, TurnLoop)
    loop.close()
    loop.close()
    assert loop.is_closed()


def test_a_broker_works_on_it_and_leaves_nothing() -> None:
    async def story() -> None:
        before = set(os.listdir("/proc/self/fd"))
        loop = asyncio.get_running_loop()
        assert isinstance(loop, TurnLoop)
        async with Broker(listen="127.0.0.1:0") as broker:
            own = broker.subscribe("#", qos=2).open()
            async with Peer(broker, "bob") as bob, Peer(broker, "ann") as ann:
                await bob.subscribe("t", qos=2)
                for qos in (0, 1, 2):
                    await ann.publish("t", b"%d" % qos, qos=qos)
                    packet = await bob.receive()
                    assert (packet.payload, packet.qos) == (b"%d" % qos, qos)
                    assert (await anext(own)).payload == b"%d" % qos
                await broker.publish("t", b"x" * 1_000_000, qos=1)
                assert len((await bob.receive()).payload) == 1_000_000
                ann.abort()
                await until(lambda: "ann" not in broker.sessions)
        assert loop.turn_selector.ends == [] and not loop.turn_selector.transports
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await until(lambda: set(os.listdir("/proc/self/fd")) == before)

    on_turns(story)
