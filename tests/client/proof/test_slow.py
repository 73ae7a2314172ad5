"""Who is slow: a server that answers no more is left, a program that takes its time costs nothing but what it says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from linnet import Connected, Disconnected, Dropped
from linnet.wire import Pingreq, Puback, Publish
from tests.client.proof.scripted import Scripted, ignore
from tests.client.proof.servers import Linnet, Server
from tests.client.proof.watching import Told, client_of, until, within
from tests.peer import Peer

# -- a server that answers no more


async def test_a_server_that_does_not_answer_a_ping_is_left() -> None:
    async with Scripted({Pingreq: ignore}, server_keep_alive=1) as server:
        client = client_of(server, ping_timeout=0.05)
        told = Told(client)
        async with client:
            assert client.limits.keep_alive == 1
            sent = client.send("a", b"1", qos=1)
            await within(sent)
            lost = await told.until(Disconnected)
            assert "PINGREQ" in lost.detail
            assert lost.reason_code is None
            await told.until(Connected, 2)
        assert len(server.visits) == 2
        assert len(server.visits[0].got(Pingreq)) == 1


async def test_a_server_that_says_something_else_is_not_left() -> None:
    """Whatever comes in shows that it lives, and a ping that is on its way has longer to be answered."""
    async with Scripted({Pingreq: ignore}, server_keep_alive=1) as server:
        client = client_of(server, ping_timeout=0.3)
        told = Told(client)
        async with client, client.subscribe("a") as messages:
            await until(lambda: bool(server.got(Pingreq)))
            for number in range(10):
                server.visit.publish("a", b"%d" % number)
                await within(messages.get())
                await asyncio.sleep(0.1)
            assert not told.of(Disconnected)


async def test_no_keep_alive_means_no_pings() -> None:
    async with Scripted({Pingreq: ignore}) as server, client_of(server, keep_alive=0) as client:
        assert client.keeper.line is not None
        assert not client.keeper.line.alarm.deadlines.next_at


@pytest.mark.parametrize("held", ["by a full inbox", "by a server that exceeds our Receive Maximum"])
async def test_pings_go_out_while_nothing_is_read(held: str) -> None:
    async with Scripted(server_keep_alive=1) as server:
        client = client_of(server, ping_timeout=0.1, receive_maximum=2)
        told = Told(client)
        qos = 0 if "inbox" in held else 1
        async with client, client.subscribe("a", qos=qos, limit=1, when_full="wait") as messages:
            server.visit.publish("a", *(b"%d" % number for number in range(50)), qos=qos)
            await until(lambda: client.keeper.valve.is_closed)
            await until(lambda: len(server.got(Pingreq)) == 2)
            server.visit.publish("a", b"50", qos=qos)
            assert [(await within(messages.get())).payload for _ in range(51)] == [b"%d" % one for one in range(51)]
            assert not told.of(Disconnected)
            assert not messages.dropped


# -- a program that is slow, and messages that nothing holds back


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest"])
async def test_a_full_inbox_drops_what_its_policy_says_and_counts_it(server: Server, policy: Any) -> None:
    client = client_of(server)
    told = Told(client)
    async with client, Peer(server.port) as peer, client.subscribe("a", limit=10, when_full=policy) as messages:
        for number in range(100):
            await peer.publish("a", b"%d" % number)
        await until(lambda: messages.received == 100)
        kept = range(90, 100) if policy == "drop_oldest" else range(10)
        assert [(await within(messages.get())).payload for _ in kept] == [b"%d" % number for number in kept]
        assert messages.dropped == 90
        assert [event.topic for event in told.of(Dropped)] == ["a"] * 90
        assert not told.of(Disconnected)
        await peer.publish("a", b"room again")
        assert (await within(messages.get())).payload == b"room again"
    assert len(server.link.passages) == 1


async def test_a_full_inbox_may_hold_the_server_back(server: Server) -> None:
    client = client_of(server)
    told = Told(client)
    size = 1000
    async with client, Peer(server.port) as peer, client.subscribe("a", limit=10, when_full="wait") as messages:
        for number in range(2000):
            await peer.publish("a", b"%d" % number + bytes(size))
        await peer.ping()
        await until(lambda: client.keeper.valve.is_closed)
        await client.publish("b", qos=1)  # an answer comes all the same
        got = [int((await within(messages.get())).payload.rstrip(b"\0")) for _ in range(2000)]
        assert got == list(range(2000))
        assert not messages.dropped
        assert not told.events[1:]
    assert len(server.link.passages) == 1


async def test_nothing_that_is_acknowledged_is_ever_dropped(server: Server) -> None:
    """An inbox that is full of messages of QoS 1 has no room for those of QoS 0, and drops none of its own."""
    async with (
        client_of(server) as client,
        Peer(server.port) as peer,
        client.subscribe("a", qos=1, limit=10) as messages,
    ):
        for number in range(50):
            await peer.publish("a", b"%d" % number, qos=number % 2)
        await until(lambda: messages.received == 50)
        kept = [message.payload for message in messages.inbox.queue]
        assert [payload for payload in kept if int(payload) % 2] == [b"%d" % one for one in range(1, 50, 2)]
        assert messages.dropped == 50 - len(kept)


async def test_one_slow_subscription_does_not_hold_up_the_others(server: Server) -> None:
    async with (
        client_of(server) as client,
        Peer(server.port) as peer,
        client.subscribe("slow", limit=5) as slow,
        client.subscribe("fast") as fast,
    ):
        for number in range(20):
            await peer.publish("slow", b"%d" % number)
            await peer.publish("fast", b"%d" % number)
            assert (await within(fast.get())).payload == b"%d" % number
        assert slow.waiting == 5
        assert not fast.dropped


async def test_what_waits_is_bounded_by_the_receive_maximum(server: Server) -> None:
    """Debian's mosquitto sends more than it was told, so there it is our reading that bounds it."""
    passages = server.link.passages
    async with (
        client_of(server, receive_maximum=7) as client,
        Peer(server.port) as peer,
        client.subscribe("a", qos=1) as messages,
    ):
        for number in range(50):
            await peer.publish("a", b"%d" % number, qos=1)
        for number in range(50):
            await until(lambda: messages.waiting > 0)
            assert messages.waiting <= 8
            if isinstance(server, Linnet):
                assert len(passages[0].said(Publish)) - len(passages[0].sent(Puback)) <= 7
            assert (await within(messages.get())).payload == b"%d" % number
    assert len(passages) == 1
