"""Which of a program's subscriptions get a message: each that it is for, once, however the server sends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from linnet import V3_1_1, V5, Client, Subscription
from linnet import Version as MqttVersion
from linnet.wire import Puback, Subscribe
from tests.client.proof.scripted import Scripted
from tests.client.proof.servers import Linnet, Mosquitto, Server
from tests.client.proof.watching import client_of, until, within
from tests.peer import Peer

VERSIONS = pytest.mark.parametrize("version", [V5, V3_1_1], ids=["5.0", "3.1.1"])

# How they send a message that several subscriptions of a client match
WAYS = {
    "one copy": (Linnet, {"overlap": "merge"}),
    "a copy each": (Linnet, {"overlap": "each"}),
    "mosquitto": (Mosquitto, {}),
}


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.interop) for name in WAYS])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    """A server of each kind."""
    kind, settings = WAYS[request.param]
    server: Server = kind(tmp_path)
    await server.open(settings)
    yield server
    await server.close()


END = b"end"


async def all_of(subscription: Subscription[bytes]) -> list[bytes]:
    """The payloads that have come, up to the last message that is published."""
    got = []
    while (message := await within(subscription.get())).payload != END:
        got.append(message.payload)
    return got


def told_apart(request: pytest.FixtureRequest, version: MqttVersion) -> bool:
    """Whether the copies of one message for several subscriptions can be told apart, or there is only one."""
    return version.has_properties or "one copy" in request.node.name


@VERSIONS
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_each_subscription_gets_a_message_once(
    server: Server, qos: int, version: MqttVersion, request: pytest.FixtureRequest
) -> None:
    filters = [("a/+",), ("a/b",), ("#",), ("a/+", "+/b", "a/b"), ("b/#", "+/b")]
    wanted = [{"a/b", "a/c"}, {"a/b"}, {"a/b", "a/c", "b/b", "b"}, {"a/b", "a/c", "b/b"}, {"a/b", "b/b", "b"}]
    async with AsyncExitStack() as stack, Peer(server.port) as peer:
        client = await stack.enter_async_context(client_of(server, version=version))
        scopes = [await stack.enter_async_context(client.subscribe(*names, qos=qos)) for names in filters]
        last = await stack.enter_async_context(client.subscribe("end", qos=2))
        for topic in ("a/b", "a/c", "b/b", "b", "c/c"):
            await peer.publish(topic, topic.encode(), qos=qos)
        await peer.publish("end", END, qos=2)
        await all_of(last)
        for scope, topics in zip(scopes, wanted, strict=True):
            got = [scope.inbox.take().payload.decode() for _ in range(scope.waiting)]
            got = [topic for topic in got if topic not in ("end", "c/c")]
            assert set(got) == topics
            if told_apart(request, version):
                assert len(got) == len(topics)


@VERSIONS
async def test_scopes_with_the_same_filter_each_get_a_message_once(server: Server, version: MqttVersion) -> None:
    async with Peer(server.port) as peer, client_of(server, version=version) as client:
        async with client.subscribe("a", qos=1) as stays:
            async with client.subscribe("a", qos=2) as leaves:
                await peer.publish("a", b"1", qos=2)
                assert (await within(leaves.get())).qos == 2
                assert stays.waiting == 1
            await peer.publish("a", b"2", qos=2)
            await peer.publish("a", END, qos=2)
            assert await all_of(stays) == [b"1", b"2"]
            assert not leaves.waiting
        async with client.subscribe("a") as again:
            await peer.publish("a", b"3", qos=2)
            message = await within(again.get())
            assert (message.payload, message.qos) == (b"3", 0)


@VERSIONS
async def test_what_was_retained_goes_to_the_newcomer_only(server: Server, version: MqttVersion) -> None:
    async with Peer(server.port) as peer, client_of(server, version=version) as client:
        await peer.publish("a", b"kept", qos=1, retain=True)
        async with client.subscribe("a", qos=1) as first:
            assert (await within(first.get())).retain
            async with client.subscribe("a", qos=1) as second:
                message = await within(second.get())
                assert (message.payload, message.retain) == (b"kept", True)
                await peer.publish("a", END, qos=1)
                assert await all_of(first) == []
                assert await all_of(second) == []
            async with client.subscribe("+", qos=1) as third:
                assert (await within(third.get())).payload == b"kept"
                await peer.publish("a", END, qos=1)
                if version.has_properties:  # before 5.0 nobody can know for which filter it comes
                    assert await all_of(first) == []
        await peer.publish("a", b"", qos=1, retain=True)


@VERSIONS
async def test_leaving_one_of_several_scopes_brings_nothing_again(server: Server, version: MqttVersion) -> None:
    """The server is asked for less QoS then, and must not send again what it has retained."""
    async with Peer(server.port) as peer, client_of(server, version=version) as client:
        await peer.publish("a", b"kept", qos=1, retain=True)
        async with client.subscribe("a", qos=0) as stays:
            await within(stays.get())
            async with client.subscribe("a", qos=1) as leaves:
                await within(leaves.get())
            if version.has_properties:  # before 5.0 a server always sends it
                await peer.publish("a", END, qos=1)
                assert await all_of(stays) == []
        await peer.publish("a", b"", qos=1, retain=True)


async def test_a_shared_and_a_plain_subscription_each_get_a_message(server: Server) -> None:
    async with (
        Peer(server.port) as peer,
        client_of(server) as client,
        client_of(server) as other,
        client.subscribe("a/+", qos=1) as plain,
        client.subscribe("$share/g/a/#", qos=1) as shared,
        other.subscribe("$share/g/a/#", qos=1) as member,
    ):
        for number in range(20):
            await peer.publish("a/b", b"%d" % number, qos=1)
        await until(lambda: plain.received == 20 and shared.received + member.received == 20)
        await peer.publish("a/c", END, qos=1)
        numbers = [b"%d" % number for number in range(20)]
        assert await all_of(plain) == numbers
        assert shared.received
        got = [scope.inbox.take().payload for scope in (shared, member) for _ in range(scope.waiting)]
        assert sorted(payload for payload in got if payload != END) == sorted(numbers)


@VERSIONS
async def test_members_of_a_shared_subscription_share(server: Server, version: MqttVersion) -> None:
    async with (
        Peer(server.port) as peer,
        client_of(server, version=version) as one,
        client_of(server) as two,
        one.subscribe("$share/g/a", qos=1) as some,
        two.subscribe("$share/g/a", qos=1) as others,
    ):
        for number in range(10):
            await peer.publish("a", b"%d" % number, qos=1)
        await until(lambda: some.received + others.received == 10)
        got = [scope.inbox.take().payload for scope in (some, others) for _ in range(scope.waiting)]
        assert sorted(got) == [b"%d" % number for number in range(10)]


@pytest.mark.parametrize("are_known", [True, False], ids=["identifiers", "none"])
async def test_a_message_is_acknowledged_when_all_have_processed_it(are_known: bool) -> None:
    """One copy for three scopes: PUBACK goes when the last of them asks for the next message."""
    async with (
        Scripted(subscription_identifiers_available=int(are_known)) as server,
        Client(server.url) as client,
        client.subscribe("a", qos=1) as one,
        client.subscribe("+", "a", qos=1) as two,
    ):
        identifiers = [number for ask in server.got(Subscribe) for number in ask.properties.subscription_identifiers]
        assert bool(identifiers) is are_known
        server.visit.publish("a", b"1", b"2", qos=1, identifiers=tuple(identifiers))
        for scope in (one, two):
            assert (await within(scope.get())).payload == b"1"
        await within(one.get())
        await within(client.publish("b", qos=1))
        assert not server.got(Puback)
        await within(two.get())
        await until(lambda: len(server.got(Puback)) == 1)
        assert not one.waiting + two.waiting


async def test_a_copy_for_each_identifier_reaches_whom_it_is_for() -> None:
    async with (
        Scripted() as server,
        Client(server.url) as client,
        client.subscribe("a", qos=1) as one,
        client.subscribe("+", "a/+", qos=1) as two,
    ):
        first, second, third = [ask.properties.subscription_identifiers[0] for ask in server.got(Subscribe)]
        server.visit.publish("a", b"2", qos=1, identifiers=(second,))
        server.visit.publish("a", b"1", qos=1, identifiers=(first,))
        server.visit.publish("a/b", b"3", qos=1, identifiers=(third,))
        server.visit.publish("a", b"both", qos=1, identifiers=(second, first))
        assert [(await within(one.get())).payload for _ in range(2)] == [b"1", b"both"]
        assert [(await within(two.get())).payload for _ in range(3)] == [b"2", b"3", b"both"]
        assert not one.waiting + two.waiting


async def test_scopes_that_come_and_go_in_many_tasks_lose_nothing(server: Server) -> None:
    """The one that is always there gets everything, while others with the same and other filters come and go."""
    async with Peer(server.port) as peer, client_of(server) as client, client.subscribe("a/+", qos=1) as always:

        async def visit(name: str, times: int) -> None:
            for _ in range(times):
                async with client.subscribe(name, qos=1) as scope:
                    await within(scope.get())

        visits = [asyncio.create_task(visit(name, 5)) for name in ("a/+", "a/b", "#", "a/+")]
        number = 0
        while not all(task.done() for task in visits):
            await peer.publish("a/b", b"%d" % number, qos=1)
            number += 1
        await asyncio.gather(*visits)
        await peer.publish("a/b", END, qos=1)
        assert await all_of(always) == [b"%d" % one for one in range(number)]
