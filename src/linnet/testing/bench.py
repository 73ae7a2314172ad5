"""The bench that a broker is put on for a test: the broker itself, and all that a test does to it.

Everything here belongs to one event loop, the one that the broker runs on. `call` and `hop` lead there from any thread
and any other event loop.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from itertools import count
from typing import Any, Final, ParamSpec, TypeVar

from linnet.core.ports import Hooks, Observer
from linnet.errors import LinnetError, ReasonCode
from linnet.net.stream import Stream
from linnet.net.turn import Turn
from linnet.server import Broker
from linnet.testing.clock import FakeClock
from linnet.testing.faults import Fault, Faults, Guard
from linnet.testing.gate import Gate, gate_at
from linnet.testing.memory import MemoryTransport
from linnet.testing.record import Record, Seen

ANY_PORT: Final = "127.0.0.1:0"
PATIENCE: Final = 30.0  # seconds that another thread's event loop has to do what it is asked for
GOODBYE: Final = 1.0  # seconds that clients have to read our DISCONNECT

# A test is about the program, not about the machine that it runs on; who wants no keep-alive gets none, whatever time
# goes by; and nobody waits for a broker that is done with.
SETTINGS: Final[dict[str, Any]] = {
    "accept_rate": 0,
    "max_keep_alive": 0,
    "max_loop_lag": 0,
    "memory_high": 0,
    "memory_max": 0,
    "stop_timeout": 0,
    "sys_interval": 0,
}

Parameters = ParamSpec("Parameters")
T = TypeVar("T")


class Bench:
    """One broker, its record, its rules and its clock."""

    def __init__(
        self,
        listen: str | None,
        kept: int,
        hooks: Hooks | None,
        observers: Sequence[Observer],
        settings: dict[str, Any],
    ) -> None:
        self.listens = listen is not None
        self.record = Record(kept)
        self.faults = Faults(self.call)
        self.guard = Guard(self.faults, self.record, hooks or Hooks())
        self.server = Broker(
            hooks=self.guard,
            observers=(*observers, *(() if hooks is None else (hooks,))),
            **{**SETTINGS, **settings, "listen": (listen or ANY_PORT,)},
        )
        self.clock: FakeClock | None = None
        self.is_up = False  # whether clients can connect
        self.thread = 0
        self.numbers = count(1)  # of connections in memory
        self._loop: asyncio.AbstractEventLoop | None = None
        self.places: list[socket.socket] = []  # that keep the ports while the broker is down

    def __repr__(self) -> str:
        return f"<Bench of {self.server!r}>"

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that the broker runs on."""
        if self._loop is None:
            raise LinnetError("this broker does not run: use it within its `with` block")
        return self._loop

    @property
    def turn(self) -> Turn:
        """The turns of the broker."""
        return self.server.running()

    def call(self, function: Callable[Parameters, T], *args: Parameters.args, **kwargs: Parameters.kwargs) -> T:
        """What a function gives that is called on the broker's event loop, from wherever this is called."""
        if self._loop is None or threading.get_ident() == self.thread:
            return function(*args, **kwargs)
        answer: Future[T] = Future()

        def run() -> None:
            try:
                answer.set_result(function(*args, **kwargs))
            except BaseException as error:
                answer.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return answer.result(PATIENCE)

    async def hop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What a coroutine gives that runs on the broker's event loop, from whichever loop this is awaited on."""
        __tracebackhide__ = True
        if self._loop is None or asyncio.get_running_loop() is self._loop:
            return await coroutine
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))

    # -- coming and going

    async def start(self) -> None:
        """Put the broker on the bench."""
        await self.server.start()
        self._loop = asyncio.get_running_loop()
        self.thread = threading.get_ident()
        turn = self.turn
        before = turn.opened

        def opened(stream: Stream) -> None:
            Gate(self, stream).put_on()
            before(stream)

        turn.opened = opened
        self.is_up = True
        if not self.listens:
            for listener in self.server.listeners:
                listener.close()
            self.server.listeners.clear()

    async def stop(self) -> None:
        """Take it away."""
        self.is_up = False
        self.let_go()
        if self.clock is not None:
            self.clock.__exit__()
            self.clock = None
        self.faults.rules.clear()
        try:
            await self.server.stop()
        finally:
            self._loop = None

    async def go_down(self, sessions: bool, goodbye: bool) -> None:
        """Be as a broker that has stopped: nobody is connected, and nobody can be."""
        turn = self.turn
        now = turn.begin()
        self.is_up = False
        for listener in self.server.listeners:
            listener.close()
            self.places.append(hold(listener.host, listener.port))
        for session in list(self.server.sessions.values()):
            if session.connection is not None or not sessions:
                self.server.core.wills.cancel(session)  # a will speaks of a client that failed
        for gate in self.gates():
            if goodbye:
                gate.dismiss(ReasonCode.SERVER_SHUTTING_DOWN, "the broker stops")
            else:
                gate.cut("the broker is gone")
        patience = turn.patience
        await turn.drain(GOODBYE if goodbye else 0)
        turn.patience = patience
        if not sessions:
            self.server.core.forget(now)

    async def come_up(self) -> None:
        """Listen again, at the same port."""
        for listener in self.server.listeners:
            await listener.open()
        self.let_go()
        self.is_up = True

    def let_go(self) -> None:
        """Keep no port any more."""
        for place in self.places:
            place.close()
        self.places.clear()

    # -- what a test does to it

    def gates(self) -> list[Gate]:
        """The gates at all open connections."""
        return [gate for stream in self.turn.streams if (gate := gate_at(stream)) is not None]

    def see(self, seen: Seen) -> None:
        """A packet went by."""
        seen.at = self.turn.begin()
        self.record.add(seen)

    def later(self, fault: Fault, go_on: Callable[[], None]) -> None:
        """Let a packet go on when the time of its rule is over, or when the rule is lifted."""
        if fault.seconds is None:
            fault.held.append(go_on)
        else:
            self.server.core.deadlines.at(self.turn.begin() + fault.seconds, lambda now: go_on())

    def cut(self, client_id: str | None, reason_code: ReasonCode | None) -> int:
        """Cut off one client or all of them; how many there were."""
        gates = [gate for gate in self.gates() if client_id in (None, gate.client_id)]
        if client_id is not None and not gates:
            raise LookupError(f"{client_id!r} is not connected; connected are {self.clients()}")
        for gate in gates:
            if reason_code is None:
                gate.cut("cut off by the test")
            else:
                gate.dismiss(reason_code, "cut off by the test")
        return len(gates)

    def clients(self) -> list[str]:
        """Who is connected."""
        return sorted(name for name, session in self.server.sessions.items() if session.connection is not None)

    def advance(self, seconds: float) -> None:
        """Stop the clock, unless it stands still already, and put it forward."""
        if self.clock is None:
            self.clock = FakeClock(self.server).__enter__()
        self.clock.advance(seconds)

    async def accept(self, client: MemoryTransport) -> None:
        """A client connects in memory."""
        if not self.is_up:
            raise ConnectionRefusedError("the broker is down")
        end = MemoryTransport(self.loop, f"memory:{next(self.numbers)}")
        end.join(client)
        stream: Any = Stream(self.turn, "memory")
        end.start(stream)


def hold(host: str, port: int) -> socket.socket:
    """Keep a port from being given to others, without listening at it: who connects is refused."""
    place = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind((host, port))
    return place
