"""Other event loops and other systems: nothing here needs what only some of them have."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from linnet import Connected, Disconnected
from linnet.wire import Publish
from tests.client.proof.scripted import Scripted
from tests.client.proof.watching import Told, client_of, until, within
from tests.interop.tools import start


class Bare(asyncio.SelectorEventLoop):
    """Can do no more than the default loop of Windows."""

    MISSING = (
        "add_reader",
        "add_writer",
        "add_signal_handler",
        "remove_signal_handler",
        "create_unix_connection",
        "create_unix_server",
    )

    def __getattribute__(self, name: str) -> Any:
        if name in Bare.MISSING:
            raise NotImplementedError(name)
        return super().__getattribute__(name)


async def everything() -> None:
    """Both ways at each QoS, and back after a connection that was lost."""
    async with Scripted() as server:
        client = client_of(server, password=lambda: "asked")
        told = Told(client)
        async with client, client.subscribe("in", qos=2) as messages:
            for qos in (0, 1, 2):
                server.visit.publish("in", b"%d" % qos, qos=qos)
                assert (await within(messages.get())).payload == b"%d" % qos
                await within(client.publish("out", b"%d" % qos, qos=qos))
            sent = [client.send("out", bytes(100_000), qos=1) for _ in range(20)]
            await within(asyncio.gather(*sent))
            server.visit.cut()
            await told.until(Disconnected)
            await told.until(Connected, 2)
            await within(client.publish("out", b"again", qos=2))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(messages.get(), 0.01)
        assert len(server.got(Publish)) == 24


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
    "bare": Bare,
}


@pytest.mark.parametrize("name", LOOPS)
def test_a_client_works_on_every_loop(name: str) -> None:
    with asyncio.Runner(loop_factory=LOOPS[name]) as runner:
        runner.run(everything())


ELSEWHERE = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in {"fcntl", "resource", "pwd", "grp", "termios", "uvloop"}:
            raise ModuleNotFoundError(name)

for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Missing())
import select, signal
for module, names in ((select, "epoll poll"), (signal, "SIGHUP SIGUSR1 SIGUSR2 SIGALRM")):
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)

import asyncio
import linnet
for name in linnet.__all__:
    getattr(linnet, name)

async def main():
    async with linnet.Client(sys.argv[1]) as client, client.subscribe("in", qos=1) as messages:
        await client.publish("out", qos=2)
        print((await messages.get()).payload.decode())

asyncio.run(main())
linnet.publish(sys.argv[1], "out", b"x", qos=1)
print("done")
"""


@pytest.mark.system
async def test_a_client_needs_nothing_that_only_some_systems_have() -> None:
    async with Scripted() as server:

        def react(visit: Any, message: Publish) -> None:
            server.acknowledge(visit, message)
            if message.qos == 2:
                visit.publish("in", b"hello", qos=1)

        server.on[Publish] = react
        program = await start(sys.executable, "-c", ELSEWHERE, server.url)
        async with program:
            assert await program.line() == "hello"
            assert await program.line() == "done"
            await until(lambda: len(server.got(Publish)) == 2)
