"""How long a client goes on, what is said when it is no use, and how it ends."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest

import linnet
from linnet import (
    Client,
    Closed,
    ConnectFailed,
    ConnectionLost,
    ConnectRejected,
    Disconnected,
    DiskStore,
    Kept,
    LinnetError,
    NotDelivered,
    ReasonCode,
    Reconnect,
)
from linnet.wire import Connect, Disconnect, Publish, Subscribe
from tests.client.proof.scripted import Scripted, ignore
from tests.client.proof.servers import Linnet
from tests.client.proof.watching import Told, client_of, until, within
from tests.peer import Peer

# -- another client of the same name


async def test_who_is_taken_over_does_not_come_back(tmp_path: Path) -> None:
    """Debian's mosquitto does not say it, and closes."""
    server = Linnet(tmp_path)
    await server.open({})
    client = client_of(server, "same")
    told = Told(client)
    await client.connect()
    async with client.subscribe("a") as messages, Peer(server.port, "same"):
        with pytest.raises(ConnectRejected) as refusal:
            await within(messages.get())
        assert refusal.value.reason_code == ReasonCode.SESSION_TAKEN_OVER
        with pytest.raises(ConnectRejected):
            await within(client.publish("a", qos=1))
        assert client.state == "closed"
    with pytest.raises(ConnectRejected):
        await client.__aexit__(None, None, None)
    assert len(server.link.passages) == 1
    assert told.of(Disconnected)[-1].again_in is None
    await server.close()


# -- how often


async def test_a_client_may_wait_for_a_server_that_is_not_there_yet() -> None:
    async with Scripted() as server:
        server.refuse()
        client = client_of(server, reconnect=Reconnect(first=0.01, ceiling=0.02, at_start=True))
        connecting = asyncio.create_task(client.connect())
        await until(lambda: client.state == "waiting")
        assert not connecting.done()
        await server.listen()
        await within(connecting)
        await client.disconnect()


async def test_a_client_gives_up_after_so_many_tries() -> None:
    async with Scripted() as server:
        client = client_of(server, reconnect=Reconnect(first=0.01, ceiling=0.02, attempts=3))
        told = Told(client)
        await client.connect()
        sent = []
        async with client.subscribe("a", qos=1) as messages:
            server.on[Connect] = lambda visit, _: visit.cut()
            server.visit.cut()
            await told.until(Disconnected)
            sent.append(client.send("a", qos=1))
            with pytest.raises(ConnectFailed):
                await within(messages.get())
        with pytest.raises(NotDelivered) as fault:
            await within(sent[0])
        assert not fault.value.sent
        pauses = [event.again_in for event in told.of(Disconnected)]
        assert pauses[-1] is None
        assert len(pauses) == 4
        assert None not in pauses[:-1]
        await client.disconnect()


async def lose(server: Scripted, client: Client) -> None:
    """Have a client that does not come back lose its connection."""
    server.visit.cut()
    await until(lambda: client.state == "closed")


async def test_a_client_that_does_not_come_back_says_so_to_everyone_who_waits() -> None:
    async with Scripted({Subscribe: ignore, Publish: ignore}) as server:
        client = client_of(server, reconnect=None)
        await client.connect()

        async def iterate() -> None:
            async with client.subscribe("first") as messages:
                async for _ in messages:
                    pass

        server.on[Subscribe] = server.subscribed
        iterating = asyncio.create_task(iterate())
        await until(lambda: bool(client.registry.entries))
        await until(lambda: all(entry.confirmed for entry in client.registry.entries.values()))
        server.on[Subscribe] = ignore
        tasks = [
            iterating,
            asyncio.create_task(client.subscribe("second").__aenter__()),
            asyncio.create_task(client.request("ask", timeout=None)),
        ]
        sent = client.send("a", qos=1)
        await until(lambda: len(server.got(Subscribe)) == 3 and len(server.got(Publish)) == 1)
        await lose(server, client)
        for outcome in await within(asyncio.gather(*tasks, return_exceptions=True)):
            assert isinstance(outcome, ConnectionLost)
        with pytest.raises(NotDelivered) as fault:
            await within(sent)
        assert fault.value.sent
        with pytest.raises(ConnectionLost):
            await client.__aexit__(None, None, None)


async def test_a_client_that_does_not_come_back_takes_nothing_more() -> None:
    async with Scripted() as server:
        client = client_of(server, reconnect=None)
        await client.connect()
        before = client.subscribe("before")
        await before.__aenter__()
        server.visit.publish("before", b"1")
        await until(lambda: before.waiting == 1)
        await lose(server, client)
        assert (await within(before.get())).payload == b"1"  # what has come can be taken
        for call in (
            before.get(),
            client.publish("a", qos=1),
            client.publish("a"),
            client.subscribe("a").__aenter__(),
            client.request("a"),
        ):
            with pytest.raises(ConnectionLost):
                await within(call)
        with pytest.raises(ConnectionLost):
            client.send("a")
        await within(before.__aexit__(None, None, None))
        with pytest.raises(ConnectionLost):
            await client.__aexit__(None, None, None)


# -- the end


@pytest.mark.parametrize("is_stored", [False, True])
async def test_closing_waits_for_what_is_on_its_way_but_not_for_ever(is_stored: bool, tmp_path: Path) -> None:
    async with Scripted({Publish: ignore}) as server:
        store: dict[str, Any] = {"store": DiskStore(tmp_path / "store.db")} if is_stored else {}
        client = client_of(server, close_timeout=0.05, max_inflight=1, **store)
        async with client:
            sent = [client.send("a", b"%d" % number, qos=1 + number % 2) for number in range(3)]
            await until(lambda: len(server.got(Publish)) == 1)
        for number, publication in enumerate(sent):
            assert publication.done
            with pytest.raises(Kept if is_stored else NotDelivered) as fault:
                await publication
            if isinstance(fault.value, NotDelivered):
                assert fault.value.sent == (number == 0)
        for call in (client.publish("a"), client.subscribe("a").__aenter__(), client.request("a")):
            with pytest.raises(Closed):
                await within(call)
        assert server.got(Disconnect)
        if is_stored:
            server.on[Publish] = server.acknowledge
            async with client_of(server, store=DiskStore(tmp_path / "store.db")) as again:
                await until(lambda: again.publisher.is_idle)
            assert [message.payload for message in server.visit.got(Publish)] == [b"0", b"1", b"2"]


async def test_closing_lets_what_is_on_its_way_arrive() -> None:
    async with Scripted() as server:
        async with client_of(server) as client:
            sent = [client.send("a", b"%d" % number, qos=number % 3) for number in range(300)]
        assert {publication.state for publication in sent} == {"acknowledged"}
        assert len(server.got(Publish)) == 300
        assert isinstance(server.visit.received[-1], Disconnect)


async def test_closing_wakes_everyone_who_waits() -> None:
    async with Scripted() as server:
        client = client_of(server)
        await client.connect()
        messages = client.subscribe("a")
        await messages.__aenter__()

        async def iterate() -> str:
            async for _ in messages:
                pass
            return "ended"

        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(messages.get()), asyncio.create_task(iterate())]
        for _ in range(5):
            await asyncio.sleep(0)
        await within(client.disconnect())
        got, iterated = await within(asyncio.gather(*tasks, return_exceptions=True))
        assert isinstance(got, Closed)
        assert iterated == "ended" or isinstance(iterated, Closed)


@pytest.mark.parametrize("how", ["cancelled", "too late"])
async def test_a_connect_that_comes_to_nothing_leaves_nothing(how: str) -> None:
    before = asyncio.all_tasks()
    async with Scripted({Connect: ignore}) as server:
        client = client_of(server, connect_timeout=60 if how == "cancelled" else 0.05)
        connecting = asyncio.create_task(client.connect())
        await until(lambda: bool(server.got(Connect)))
        if how == "cancelled":
            connecting.cancel()
        with pytest.raises((asyncio.CancelledError, ConnectFailed)):
            await within(connecting)
        await until(lambda: server.visit.is_over)
        assert client not in linnet.live().clients
        assert client.state == "closed"
        assert asyncio.all_tasks() == before
        del client, connecting
        gc.collect()


async def test_a_client_can_be_closed_twice_and_before_it_was_ever_open() -> None:
    async with Scripted() as server:
        client = client_of(server)
        await client.disconnect()
        with pytest.raises(LinnetError):
            await client.connect()
        client = client_of(server)
        await client.connect()
        await client.disconnect()
        await client.disconnect()
        assert len(server.got(Disconnect)) == 1
