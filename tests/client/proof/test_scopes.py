"""Entering and leaving subscriptions when something else happens at the same time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from linnet import Connected, Disconnected, SubscribeRejected
from linnet.wire import Puback, Pubrec, Suback, Subscribe, Unsubscribe
from tests.client.proof.scripted import Scripted, Visit, ignore
from tests.client.proof.servers import Server
from tests.client.proof.watching import Told, client_of, until, within
from tests.peer import Peer


async def test_entering_that_is_cancelled_leaves_nothing_behind() -> None:
    async with Scripted({Subscribe: ignore}) as server, client_of(server) as client:
        entering = asyncio.create_task(client.subscribe("a", "b").__aenter__())
        await until(lambda: len(server.got(Subscribe)) == 2)
        entering.cancel()
        await asyncio.gather(entering, return_exceptions=True)
        assert entering.cancelled()
        await until(lambda: [ask.filters[0] for ask in server.got(Unsubscribe)] == ["a", "b"])
        assert not client.registry.entries
        server.on[Subscribe] = server.subscribed
        for ask in server.got(Subscribe):
            server.visit.send(Suback(ask.packet_id, [0]))  # late, and for nobody
        async with client.subscribe("a", qos=1) as again:
            server.visit.publish("a", b"1", qos=1)
            assert (await within(again.get())).payload == b"1"


async def test_entering_while_there_is_no_connection_can_be_cancelled() -> None:
    async with Scripted() as server:
        client = client_of(server)
        told = Told(client)
        async with client:
            server.refuse()
            server.visit.cut()
            await told.until(Disconnected)
            entering = asyncio.create_task(client.subscribe("a").__aenter__())
            for _ in range(5):
                await asyncio.sleep(0)
            assert not entering.done()
            entering.cancel()
            await within(asyncio.gather(entering, return_exceptions=True))
            await server.listen()
            await told.until(Connected, 2)
            await within(client.publish("a", qos=1))
            assert not server.got(Subscribe)


async def test_leaving_while_there_is_no_connection_is_at_once_and_the_next_session_knows() -> None:
    async with Scripted() as server:
        client = client_of(server)
        told = Told(client)
        async with client:
            scope = client.subscribe("left")
            await scope.__aenter__()
            async with client.subscribe("stays"):
                server.refuse()
                server.visit.cut()
                await told.until(Disconnected)
                await within(scope.__aexit__(None, None, None))
                server.session_present = True
                await server.listen()
                await told.until(Connected, 2)
                await until(lambda: bool(server.visit.got(Unsubscribe)))
                assert server.visit.got(Unsubscribe)[0].filters == ["left"]
                assert not server.visit.got(Subscribe)
                server.session_present = False
                server.visit.cut()
                await told.until(Connected, 3)
                await until(lambda: [ask.filters[0][0] for ask in server.visit.got(Subscribe)] == ["stays"])
                assert not server.visit.got(Unsubscribe)


async def test_a_subscription_that_is_refused_after_a_reconnect_ends_with_the_reason() -> None:
    async with Scripted() as server:
        client = client_of(server)
        async with client, client.subscribe("a") as messages, client.subscribe("b") as others:

            def refuse_a(visit: Visit, asked: Subscribe) -> None:
                visit.send(Suback(asked.packet_id, [0x87 if asked.filters[0][0] == "a" else 0]))

            server.on[Subscribe] = refuse_a
            server.visit.cut()
            with pytest.raises(SubscribeRejected) as refusal:
                await within(messages.get())
            assert refusal.value.reason_code == 0x87
            server.visit.publish("b", b"1")
            assert (await within(others.get())).payload == b"1"


@pytest.mark.parametrize("qos", [1, 2])
async def test_what_was_on_its_way_to_a_scope_that_was_left_is_refused_and_no_trouble(qos: int) -> None:
    async with Scripted() as server:
        client = client_of(server)
        told = Told(client)

        def leave_late(visit: Visit, asked: Unsubscribe) -> None:
            visit.publish("a", b"late", qos=qos)
            answers[Unsubscribe](visit, asked)
            visit.publish("a", b"later", qos=qos)

        answers: dict[Any, Any] = dict(server.on)
        server.on[Unsubscribe] = leave_late
        async with client:
            async with client.subscribe("a", qos=qos):
                pass
            kind: Any = Puback if qos == 1 else Pubrec
            await until(lambda: [ack.reason_code for ack in server.got(kind)] == [0x83, 0x83])
            async with client.subscribe("a", qos=qos) as again:
                server.visit.publish("a", b"new", qos=qos)
                assert (await within(again.get())).payload == b"new"
            assert not told.of(Disconnected)


async def test_a_scope_that_stays_finds_its_messages_in_the_next_program(server: Server) -> None:
    """The session outlives the client, and what came for it in between waits for the subscription to come."""
    options: dict[str, Any] = {"session_expiry": 60, "clean_start": False}
    async with (
        client_of(server, "program", **options) as client,
        client.subscribe("a", qos=1, keep=True) as messages,
        Peer(server.port) as peer,
    ):
        await peer.publish("a", b"0", qos=1)
        await within(messages.get())
    async with Peer(server.port) as peer:
        for number in range(1, 4):
            await peer.publish("a", b"%d" % number, qos=1)
    next_program = client_of(server, "program", **options)
    told = Told(next_program)
    async with next_program:
        assert told.of(Connected)[0].session_present
        await until(lambda: len(next_program.registry.unclaimed.messages) == 3)
        async with next_program.subscribe("a", qos=1) as messages:
            assert [(await within(messages.get())).payload for _ in range(3)] == [b"1", b"2", b"3"]
            async with Peer(server.port) as peer:
                await peer.publish("a", b"4", qos=1)
            assert (await within(messages.get())).payload == b"4"
        await next_program.disconnect()
    async with client_of(server, "program") as last:
        assert not last.registry.unclaimed.messages


async def test_one_scope_can_be_entered_once() -> None:
    async with Scripted() as server, client_of(server) as client:
        scope = client.subscribe("a")
        async with scope:
            with pytest.raises(Exception, match="open already"):
                await scope.__aenter__()
            assert scope.granted == {"a": 0}
        with pytest.raises(Exception, match="closed"):
            await scope.__aenter__()
        assert len(server.got(Subscribe)) == len(server.got(Unsubscribe)) == 1
