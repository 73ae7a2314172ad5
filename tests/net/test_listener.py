"""Where clients come in: addresses, what happens when one cannot be had, and when there are too many clients."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from linnet.core.pace import Pace
from linnet.net import listener as module
from linnet.net.listener import Listener
from linnet.net.loop import TurnLoop
from linnet.net.turn import Turn
from linnet.server import Broker
from linnet.wire import V5, Connack, Connect, Pingreq, Pingresp
from tests.net.loops import run_on, until
from tests.net.transport import Place

PONG = Pingresp().encode(V5)

Story = Callable[[], Coroutine[Any, Any, None]]
Run = Callable[[Story], None]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def loops() -> list[Any]:
    found: list[Any] = [TurnLoop, asyncio.SelectorEventLoop]
    try:
        import uvloop
    except ImportError:
        return found
    return [*found, uvloop.new_event_loop]


@pytest.fixture(params=loops(), ids=["turns", "asyncio", "uvloop"][: len(loops())])
def run(request: pytest.FixtureRequest) -> Run:
    def run_story(story: Story) -> None:
        assert run_on(request.param, story) == []

    return run_story


async def is_let_in(port: int) -> None:
    """A client comes, is served and goes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(Connect("bob").encode(V5) + Pingreq().encode(V5))
    assert (await reader.readuntil(PONG))[0] == Connack.type << 4
    writer.close()
    await writer.wait_closed()


@asynccontextmanager
async def listening(host: str, port: int = 0) -> AsyncIterator[tuple[Listener, Turn]]:
    place = Place()
    listener = Listener(place.turn, host, port, 100)
    await listener.open()
    try:
        yield listener, place.turn
    finally:
        listener.close()
        for stream in list(place.turn.streams):
            stream.transport.abort()
        await until(lambda: not place.turn.streams)
        place.turn.stop()
        await asyncio.sleep(0)


def both_families(loop: asyncio.AbstractEventLoop) -> None:
    """Let every name stand for this machine in IPv4 and in IPv6."""

    async def getaddrinfo(host: str, port: int, **more: Any) -> list[Any]:
        kind = socket.SOCK_STREAM
        return [
            (socket.AF_INET6, kind, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, kind, 6, "", ("127.0.0.1", port)),
            (socket.AF_INET, kind, 6, "", ("127.0.0.1", port)),  # resolvers do that
        ]

    loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign, assignment]


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("factory", [TurnLoop, asyncio.SelectorEventLoop])
def test_a_name_with_several_addresses_is_one_port_on_all_of_them(factory: Any) -> None:
    async def story() -> None:
        both_families(asyncio.get_running_loop())
        async with listening("both.example") as (listener, _):
            assert len(listener.sockets) == 2
            assert {sock.getsockname()[1] for sock in listener.sockets} == {listener.port}
            with (
                socket.create_connection(("127.0.0.1", listener.port)),
                socket.create_connection(("::1", listener.port)),
            ):
                await until(lambda: listener.accepted == 2)
            assert listener.address == f"both.example:{listener.port}"

    assert run_on(factory, story) == []


def test_clients_are_let_in_by_every_loop(run: Run) -> None:
    async def story() -> None:
        async with listening("localhost") as (listener, turn):
            await is_let_in(listener.port)
            await is_let_in(listener.port)
            assert listener.accepted == 2
            await until(lambda: not turn.streams)

    run(story)


def test_a_port_that_is_taken_cannot_be_had_and_nothing_is_left(run: Run) -> None:
    async def story() -> None:
        place = Place()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            listener = Listener(place.turn, "127.0.0.1", taken.getsockname()[1], 100)
            with pytest.raises(OSError) as caught:
                await listener.open()
        assert caught.value.errno == errno.EADDRINUSE
        assert listener.sockets == [] and listener.servers == []
        await listener.open()  # now it can
        listener.close()
        place.turn.stop()

    run(story)


def test_a_name_that_stands_for_nothing_cannot_be_had(run: Run) -> None:
    async def story() -> None:
        place = Place()
        with pytest.raises(OSError):
            await Listener(place.turn, "nowhere.invalid", 0, 100).open()
        place.turn.stop()

    run(story)


def test_a_port_can_be_had_again_at_once(run: Run) -> None:
    async def story() -> None:
        async with listening("127.0.0.1") as (listener, _):
            port = listener.port
            await is_let_in(port)
        async with listening("127.0.0.1", port):
            await is_let_in(port)

    run(story)


class Exhausted:
    """A listening socket in a process that has no descriptors left, for so many attempts."""

    def __init__(self, sock: socket.socket, times: int, number: int) -> None:
        self.sock = sock
        self.left = times
        self.number = number

    def fileno(self) -> int:
        return self.sock.fileno()

    def close(self) -> None:
        self.sock.close()

    def accept(self) -> Any:
        if self.left:
            self.left -= 1
            raise OSError(self.number, "Too many open files")
        return self.sock.accept()


@pytest.mark.parametrize("factory", [TurnLoop, asyncio.SelectorEventLoop])
@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_without_descriptors_accepting_rests_and_comes_back(
    factory: Any, number: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "REST", 0.02, raising=True)

    async def story() -> None:
        async with listening("127.0.0.1") as (listener, turn):
            exhausted: Any = Exhausted(listener.sockets[0], 2, number)
            turn.loop.remove_reader(listener.sockets[0])
            listener.sockets[0] = exhausted
            turn.loop.add_reader(exhausted, listener.accept, exhausted)
            await is_let_in(listener.port)
            await is_let_in(listener.port)
            assert exhausted.left == 0 and listener.accepted == 2

    with caplog.at_level(logging.ERROR, "linnet.connections"):
        assert run_on(factory, story) == []
    assert caplog.text.count("no connection can be accepted: Too many open files") == 2


def test_closed_while_accepting_rests_it_does_not_come_back() -> None:
    async def story() -> None:
        async with listening("127.0.0.1") as (listener, _):
            exhausted: Any = Exhausted(listener.sockets[0], 1, errno.EMFILE)
            listener.accept(exhausted)
            listener.close()
            listener.accept_again(exhausted)
            assert exhausted.fileno() < 0

    assert run_on(TurnLoop, story) == []


@pytest.mark.parametrize("error", [BlockingIOError(), InterruptedError(), ConnectionAbortedError()])
def test_a_client_that_went_away_before_it_was_let_in_is_nothing(error: OSError) -> None:
    async def story() -> None:
        async with listening("127.0.0.1") as (listener, _):

            class Gone(Exhausted):
                def accept(self) -> Any:
                    raise error

            listener.accept(Gone(listener.sockets[0], 1, 0))  # type: ignore[arg-type]
            await is_let_in(listener.port)

    assert run_on(TurnLoop, story) == []


def test_a_machine_without_ipv6_listens_where_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """In many containers "localhost" stands for ::1 too, which is not there."""
    bind = Listener.bind

    def bind_without(self: Listener, family: int, address: Any) -> None:
        if family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        bind(self, family, address)

    monkeypatch.setattr(Listener, "bind", bind_without)

    async def story() -> None:
        both_families(asyncio.get_running_loop())
        async with listening("both.example") as (listener, _):
            await is_let_in(listener.port)

    assert run_on(TurnLoop, story) == []


def test_a_broker_that_cannot_listen_everywhere_listens_nowhere(run: Run) -> None:
    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            broker = Broker(listen=["127.0.0.1:0", f"127.0.0.1:{port}"])
            with pytest.raises(OSError):
                await broker.start()
            assert not broker.is_running and broker.listeners == []
        await broker.start()  # the port is free now
        try:
            assert broker.addresses[1] == ("127.0.0.1", port)
            for _, one in broker.addresses:
                await is_let_in(one)
        finally:
            await broker.stop()

    run(story)


def test_above_the_rate_nobody_is_served_on_any_event_loop(run: Run) -> None:
    """Who comes too fast waits in the backlog; where the event loop accepts by itself it is sent away."""

    async def story() -> None:
        async with listening("127.0.0.1") as (listener, turn):
            listener.pace = Pace(0.001, 1, turn.now)
            await is_let_in(listener.port)
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(Connect("eve").encode(V5) + Pingreq().encode(V5))
            limits = turn.core.ledger.limits
            await until(lambda: limits.get("accept_rate"))
            assert listener.accepted == 1 and "eve" not in turn.core.sessions
            if listener.servers:
                with suppress(ConnectionError):
                    assert await reader.read() == b""
            listener.pace = Pace(0, 1, turn.now)
            await is_let_in(listener.port)
            writer.transport.abort()

    run(story)
