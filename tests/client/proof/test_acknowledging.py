"""When a message is acknowledged, as the subscription says, and what is seen of that on the wire."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from linnet import JSON, V3_1_1, V5, Client, Connected, LinnetError, Message, ReasonCode
from linnet import Version as MqttVersion
from linnet.wire import Puback, Pubcomp, Publish, Pubrec, Unsubscribe
from tests.client.proof.scripted import Scripted
from tests.client.proof.servers import Server
from tests.client.proof.watching import Told, client_of, until, within
from tests.peer import Peer

VERSIONS = pytest.mark.parametrize("version", [V5, V3_1_1], ids=["5.0", "3.1.1"])
QOS = pytest.mark.parametrize("qos", [1, 2])
ERROR = ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR


def acks(server: Scripted) -> list[tuple[int, int]]:
    """The acknowledgements that have come: packet identifiers and reason codes."""
    return [(ack.packet_id, ack.reason_code) for ack in server.visit.received if isinstance(ack, (Puback, Pubrec))]


async def settled(client: Client) -> None:
    """Returns when all that the client had to say has reached the server."""
    await within(client.publish("settled", qos=1))


def fine(*packet_ids: int) -> list[tuple[int, int]]:
    return [(packet_id, 0) for packet_id in packet_ids]


# -- the three policies


@QOS
@VERSIONS
async def test_processed_means_that_the_next_one_is_asked_for(qos: int, version: MqttVersion) -> None:
    async with (
        Scripted() as server,
        client_of(server, version=version) as client,
        client.subscribe("a", qos=qos) as messages,
    ):
        server.visit.publish("a", b"1", b"2", b"3", qos=qos)
        await within(messages.get())
        await settled(client)
        assert acks(server) == []
        await within(messages.get())
        await settled(client)
        assert acks(server) == fine(1)
        async for message in messages:
            assert message.payload == b"3"
            await settled(client)
            assert acks(server) == fine(1, 2)
            break
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await messages.get()
        await settled(client)
        assert acks(server) == fine(1, 2, 3)


@QOS
@VERSIONS
async def test_on_arrival_means_as_long_as_there_is_room(qos: int, version: MqttVersion) -> None:
    async with (
        Scripted() as server,
        client_of(server, version=version) as client,
        client.subscribe("a", qos=qos, ack="arrival", limit=2) as messages,
    ):
        server.visit.publish("a", b"1", b"2", b"3", b"4", qos=qos)
        await until(lambda: messages.waiting == 4)
        await settled(client)
        assert acks(server) == fine(1, 2)
        await messages.get()
        await settled(client)
        assert acks(server) == fine(1, 2)
        await messages.get()
        await messages.get()
        await settled(client)
        assert acks(server) == fine(1, 2, 3)
        await messages.get()
        await settled(client)
        assert acks(server) == fine(1, 2, 3, 4)


@QOS
@VERSIONS
async def test_by_hand_means_when_the_program_says_so_and_in_the_order_of_arrival(
    qos: int, version: MqttVersion
) -> None:
    async with (
        Scripted() as server,
        client_of(server, version=version) as client,
        client.subscribe("a", qos=qos, ack="manual") as messages,
    ):
        server.visit.publish("a", *(b"%d" % number for number in range(1, 6)), qos=qos)
        got = [await within(messages.get()) for _ in range(5)]
        for message in (got[1], got[3], got[2]):
            message.ack()
        await settled(client)
        assert acks(server) == []
        got[0].ack()
        await settled(client)
        assert acks(server) == fine(1, 2, 3, 4)
        got[4].reject(ReasonCode.QUOTA_EXCEEDED)
        await settled(client)
        assert acks(server)[4] == (5, ReasonCode.QUOTA_EXCEEDED if version is V5 else 0)
        with pytest.raises(LinnetError):
            got[0].ack()
        if qos == 2:
            await until(lambda: len(server.got(Pubcomp)) == (4 if version is V5 else 5))


@VERSIONS
async def test_acknowledgements_of_several_subscriptions_and_qualities_keep_the_order_of_arrival(
    version: MqttVersion,
) -> None:
    async with (
        Scripted() as server,
        client_of(server, version=version) as client,
        client.subscribe("a", qos=2, ack="manual") as a,
        client.subscribe("b", qos=1, ack="manual") as b,
    ):
        server.visit.publish("b", b"1", qos=1)
        server.visit.publish("a", b"2", qos=2)
        server.visit.publish("b", b"3", qos=1)
        ones = [await within(b.get()), await within(a.get()), await within(b.get())]
        for message in reversed(ones):
            assert acks(server) == []
            message.ack()
        await until(lambda: len(acks(server)) == 3)
        assert [type(ack) for ack in server.visit.received if isinstance(ack, (Puback, Pubrec))] == [
            Puback,
            Pubrec,
            Puback,
        ]
        assert acks(server) == fine(1, 2, 3)


async def test_an_acknowledgement_by_hand_for_a_connection_that_is_gone_goes_out_on_the_next() -> None:
    """The server sends the message again, and the program does not get it a second time."""
    async with (
        Scripted() as server,
        client_of(server) as client,
        client.subscribe("a", qos=1, ack="manual") as messages,
    ):
        server.visit.publish("a", b"1", qos=1)
        first = await within(messages.get())
        told = Told(client)
        server.session_present = True
        server.visit.cut()
        await told.until(Connected)
        server.visit.send(Publish("a", b"1", 1, dup=True, packet_id=1))
        server.visit.last_id = 1
        server.visit.publish("a", b"2", qos=1)
        assert (await within(messages.get())).payload == b"2"
        first.ack()
        await until(lambda: acks(server) == fine(1))


# -- leaving


@QOS
async def test_what_was_not_taken_when_the_scope_is_left_is_refused(qos: int) -> None:
    async with Scripted() as server, client_of(server) as client:
        async with client.subscribe("a", qos=qos) as messages:
            server.visit.publish("a", b"1", b"2", b"3", qos=qos)
            await within(messages.get())
            await until(lambda: messages.waiting == 2)
        assert acks(server) == [(1, 0), (2, ERROR), (3, ERROR)]
        assert client.is_connected


@QOS
async def test_a_scope_that_is_left_by_an_error_has_not_processed_its_message(qos: int) -> None:
    async with Scripted() as server, client_of(server) as client:
        with pytest.raises(ZeroDivisionError):
            async with client.subscribe("a", qos=qos) as messages:
                server.visit.publish("a", b"1", qos=qos)
                await within(messages.get())
                raise ZeroDivisionError
        assert server.got(Unsubscribe)
        await settled(client)
        assert acks(server) == []


# -- handlers

Outcomes = dict[str, list[tuple[int, int]]]


@QOS
@VERSIONS
@pytest.mark.parametrize("kind", ["coroutine", "function"])
@pytest.mark.parametrize("on_error", ["hold", "reject", "raise"])
async def test_a_handler_that_raises_has_not_processed_the_message(
    on_error: Any, kind: str, qos: int, version: MqttVersion
) -> None:
    got: list[bytes] = []

    def fail(message: Message[bytes]) -> None:
        got.append(message.payload)
        if message.payload == b"bad":
            raise ZeroDivisionError

    async with Scripted() as server:
        client = client_of(server, version=version)
        if kind == "coroutine":

            @client.route("a", qos=qos, on_error=on_error)
            async def handle(message: Message[bytes]) -> None:
                fail(message)

        else:
            client.route("a", qos=qos, on_error=on_error)(fail)
        try:
            async with client:
                server.visit.publish("a", b"1", b"bad", b"3", qos=qos)
                if on_error == "raise":
                    await until(lambda: client.state == "closed" and acks(server) == fine(1))
                else:
                    await until(lambda: len(got) == 3)
                    await until(lambda: (3, 0) in acks(server))
                    code = ERROR if version is V5 else 0
                    assert acks(server) == ([(1, 0), (2, code), (3, 0)] if on_error == "reject" else fine(1, 3))
                    assert client.workers[0].failed == 1
                    assert client.workers[0].handled == 2
        except ZeroDivisionError:
            assert on_error == "raise"
            assert (acks(server), len(got)) == (fine(1), 2)
        else:
            assert on_error != "raise"


async def test_what_a_handler_holds_comes_again_with_the_next_connection(server: Server) -> None:
    """And it is tried again, until it can be processed."""
    link = server.link
    tries: list[bytes] = []
    client = client_of(server, "client")
    told = Told(client)

    @client.route("a", qos=1)
    async def handle(message: Message[bytes]) -> None:
        tries.append(message.payload)
        if tries.count(b"1") < 3 and message.payload == b"1":
            raise ZeroDivisionError

    async with client, Peer(server.port) as peer:
        for payload in (b"0", b"1", b"2"):
            await peer.publish("a", payload, qos=1)
        for cuts in (1, 2):
            await until(lambda: tries.count(b"2") == 1 and tries.count(b"1") == cuts)  # noqa: B023
            await client.publish("b", qos=1)  # all acknowledgements before it have gone by
            link.cut()
            await link.restore()
            await told.until(Connected, 1 + cuts)
        await until(lambda: tries.count(b"1") == 3)
        await client.publish("b", qos=1)
        link.cut()
        await link.restore()
        await told.until(Connected, 4)
        await client.publish("b", qos=1)
    assert tries.count(b"0") == tries.count(b"2") == 1
    assert tries.count(b"1") == 3


async def test_a_payload_that_no_handler_can_read_is_refused_as_such() -> None:
    got: list[object] = []
    async with Scripted() as server:
        client = client_of(server)

        @client.route("a", qos=1, codec=JSON)
        async def handle(value: Any) -> None:
            got.append(value)

        async with client:
            server.visit.publish("a", b"{", b"{}", qos=1)
            await until(lambda: len(acks(server)) == 2)
        assert got == [{}]
        assert acks(server) == [(1, ReasonCode.PAYLOAD_FORMAT_INVALID), (2, 0)]


async def test_handlers_that_run_side_by_side_acknowledge_in_the_order_of_arrival() -> None:
    release = {payload: asyncio.Event() for payload in (b"1", b"2", b"3")}
    started: list[bytes] = []
    async with Scripted() as server:
        client = client_of(server)

        @client.route("a", qos=1, concurrency=3)
        async def handle(message: Message[bytes]) -> None:
            started.append(message.payload)
            await release[message.payload].wait()

        async with client:
            server.visit.publish("a", b"1", b"2", b"3", qos=1)
            await until(lambda: len(started) == 3)
            release[b"3"].set()
            release[b"2"].set()
            await until(lambda: client.workers[0].handled == 2)
            await settled(client)
            assert acks(server) == []
            release[b"1"].set()
            await until(lambda: acks(server) == fine(1, 2, 3))


async def test_plain_functions_run_beside_the_loop() -> None:
    threads: set[int] = set()
    async with Scripted() as server:
        client = client_of(server)

        @client.route("a", qos=1)
        def handle(message: Message[bytes]) -> None:
            threads.add(threading.get_ident())

        async with client:
            server.visit.publish("a", b"1", qos=1)
            await until(lambda: acks(server) == fine(1))
    assert threading.get_ident() not in threads
    assert len(threads) == 1


async def test_a_message_at_qos_0_needs_no_acknowledgement() -> None:
    async with Scripted() as server, client_of(server) as client, client.subscribe("a", ack="manual") as messages:
        server.visit.publish("a", b"1")
        message = await within(messages.get())
        message.ack()
        message.reject()
        message.ack()
        await settled(client)
        assert acks(server) == []
