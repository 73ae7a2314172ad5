"""What arrives: to a program that is slow, that is cancelled, and that acknowledges as it likes."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from linnet import V3_1_1, V5, Client, Disconnected, Message
from linnet import Version as MqttVersion
from linnet.wire import Puback, Publish, Pubrec
from tests.client.proof.servers import Server
from tests.client.proof.watching import Told, client_of, turn_by_turn, until
from tests.peer import Peer

VERSIONS = pytest.mark.parametrize("version", [V5, V3_1_1], ids=["5.0", "3.1.1"])


async def publish(server: Server, count: int, qos: int, topic: str = "a") -> None:
    """Have messages published, numbered, by a client beside the link."""
    async with Client(f"mqtt://127.0.0.1:{server.port}") as client:
        await asyncio.gather(*(client.send(topic, b"%d" % number, qos=qos) for number in range(count)))


# -- slow handlers


@pytest.mark.parametrize("kind", ["coroutine", "function"])
async def test_a_handler_slower_than_the_keep_alive_costs_nothing(server: Server, kind: str) -> None:
    client = client_of(server, keep_alive=1, receive_maximum=100)
    told = Told(client)
    got: list[int] = []
    slow = {0, 1500}

    if kind == "coroutine":

        @client.route("a", qos=1)
        async def handle(message: Message[bytes]) -> None:
            if int(message.payload) in slow:
                await asyncio.sleep(1.8)
            got.append(int(message.payload))

    else:

        @client.route("a", qos=1)
        def handle_slowly(message: Message[bytes]) -> None:
            if int(message.payload) in slow:
                time.sleep(1.8)
            got.append(int(message.payload))

    async with client:
        await publish(server, 3000, 1)
        await until(lambda: len(got) == 3000)
        assert client.statistics.pingreq > 0
        assert not told.of(Disconnected)
    assert got == list(range(3000))
    assert len(server.link.passages) == 1
    assert len(server.link.passages[0].said(Publish)) == 3000


async def test_a_loop_that_is_blocked_longer_than_the_ping_timeout_does_not_blame_the_server(server: Server) -> None:
    client = client_of(server, keep_alive=1, ping_timeout=0.05)
    told = Told(client)
    async with client, client.subscribe("a", qos=1) as messages:
        for _ in range(3):
            time.sleep(0.4)  # noqa: ASYNC251
            await asyncio.sleep(0)
        await publish(server, 1, 1)
        assert (await messages.get()).payload == b"0"
        assert not told.of(Disconnected)


@VERSIONS
async def test_a_handler_may_publish_and_wait_while_as_much_waits_as_may_wait(
    server: Server, version: MqttVersion
) -> None:
    """What the server sends is held back, and the acknowledgement that the handler waits for comes all the same."""
    client = client_of(server, version=version, receive_maximum=10)
    got: list[int] = []

    @client.route("a", qos=1)
    async def handle(message: Message[bytes]) -> None:
        await client.publish("b", message.payload, qos=1)
        got.append(int(message.payload))

    async with client:
        await publish(server, 200, 1)
        await until(lambda: len(got) == 200)
    assert got == list(range(200))


# -- cancelled receives


@pytest.mark.parametrize("how", ["wait_for", "timeout", "cancel"])
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_cancelled_receive_takes_nothing_with_it(server: Server, qos: int, how: str) -> None:
    got: list[int] = []
    cancelled = 0
    count = 3000 if qos == 1 else 1000
    async with client_of(server) as client, client.subscribe("a", qos=qos, limit=4000) as messages:

        async def receive() -> None:
            while True:
                got.append(int((await messages.get()).payload))

        publishing = asyncio.create_task(publish(server, count, qos))
        while len(got) < count:
            if how == "wait_for":
                try:
                    got.append(int((await asyncio.wait_for(messages.get(), 0.0003)).payload))
                except TimeoutError:
                    cancelled += 1
            elif how == "timeout":
                try:
                    async with asyncio.timeout(0.002):
                        await receive()
                except TimeoutError:
                    cancelled += 1
            else:
                task = asyncio.create_task(receive())
                await asyncio.sleep(0.002)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                cancelled += 1
        await publishing
        assert not messages.waiting
        assert not messages.dropped
    assert cancelled > 0
    assert got == list(range(count))
    acks = server.link.passages[0].sent(Puback if qos == 1 else Pubrec)
    assert len(acks) == (count if qos else 0)


async def test_a_message_got_under_wait_for_is_acknowledged_when_the_next_is_asked_for(server: Server) -> None:
    link = server.link
    async with client_of(server) as client, client.subscribe("a", qos=1) as messages:
        await publish(server, 2, 1)
        await until(lambda: messages.waiting == 2)
        assert (await asyncio.wait_for(messages.get(), 10)).payload == b"0"
        await client.publish("b", qos=1)  # an answer: all that was sent before has gone by
        assert not link.passages[0].sent(Puback)
        assert (await asyncio.wait_for(messages.get(), 10)).payload == b"1"
        await client.publish("b", qos=1)
        assert len(link.passages[0].sent(Puback)) == 1


async def test_a_failure_of_a_task_that_reads_is_still_reported(server: Server) -> None:
    reported: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    async with client_of(server) as client, client.subscribe("a", qos=1) as messages:

        async def fail() -> None:
            await messages.get()
            raise ValueError("of the program")

        task = asyncio.create_task(fail())
        await publish(server, 1, 1)
        await until(task.done)
        del task
        await asyncio.sleep(0)
    assert [str(one["exception"]) for one in reported] == ["of the program"]


# -- what is written to a connection that is gone


async def test_a_message_that_is_written_to_a_dead_connection_is_not_said_to_be_sent(server: Server) -> None:
    """The connection is reset, and asyncio has noticed, but has not told the client yet."""
    client = client_of(server)
    async with Peer(server.port) as peer, client:
        await peer.subscribe("a", qos=1)
        assert client.keeper.line is not None
        transport = client.keeper.line.transport
        server.link.cut()
        await turn_by_turn(transport.is_closing)
        assert client.is_connected
        restoring = asyncio.create_task(server.link.restore())
        await client.publish("a", b"late")
        await restoring
        assert (await peer.expect(Publish)).payload == b"late"


def test_nothing_of_this_needs_a_main_thread() -> None:
    """A client runs on any thread's loop."""
    done: list[str] = []

    def run() -> None:
        async def main() -> None:
            client = Client("mqtt://127.0.0.1:1", reconnect=None)
            try:
                await client.connect()
            except OSError:
                done.append("refused")

        asyncio.run(main())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    assert done == ["refused"]
