"""What is handed over arrives: under a small window, over a link that is cut, and when the server has forgotten us."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from linnet import (
    V3_1_1,
    V5,
    Connected,
    ConnectionLost,
    Disconnected,
    NotDelivered,
    Publication,
    ReasonCode,
    SessionLost,
)
from linnet import Version as MqttVersion
from linnet.wire import Pubcomp, Publish, Pubrel
from tests.client.proof.conftest import MakeServer
from tests.client.proof.servers import Server
from tests.client.proof.watching import Told, Watcher, client_of, until, within
from tests.peer import Peer

VERSIONS = pytest.mark.parametrize("version", [V5, V3_1_1], ids=["5.0", "3.1.1"])


def payload(number: int) -> bytes:
    return b"%d" % number


def numbers(payloads: list[bytes]) -> list[int]:
    return [int(one) for one in payloads]


async def outcome(publication: Publication) -> object:
    """The reason code of a publication, or what it raised."""
    try:
        return await within(publication)
    except NotDelivered as fault:
        return fault


# -- a small window


async def test_sixty_messages_at_once_fit_through_a_receive_maximum_of_five(make_server: MakeServer) -> None:
    server = await make_server(receive_maximum=5)
    async with Watcher(server) as watcher, client_of(server) as client:
        assert client.limits.receive_maximum == 5
        server.link.holds_server = True
        calls = [asyncio.create_task(client.publish("a", payload(number), qos=2)) for number in range(60)]
        await until(lambda: len(server.link.published()) == 5)
        assert len(client.publisher.sender.waiting or ()) == 55
        server.link.release()
        assert set(await within(asyncio.gather(*calls))) <= {
            ReasonCode.SUCCESS,
            ReasonCode.NO_MATCHING_SUBSCRIBERS,
        }
        assert numbers(await watcher.all({payload(number) for number in range(60)})) == list(range(60))
        assert client.is_connected
        assert client.publisher.sender.quota == 5
    assert len(server.link.passages) == 1


# -- a link that is cut

OUTAGE = 2.0  # seconds


@VERSIONS
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_cut_link_loses_nothing_that_is_owed(server: Server, qos: int, version: MqttVersion) -> None:
    client = client_of(server, "client", version=version, session_expiry=60)
    told = Told(client)
    sent: list[Publication] = []

    async def publish(count: int) -> None:
        for _ in range(count):
            sent.append(client.send("a", payload(len(sent)), qos=qos))
            if len(sent) % 10 == 0:
                await asyncio.sleep(0)

    async with Watcher(server) as watcher, client:
        await publish(200)
        await until(lambda: len(server.link.published()) > 50)
        server.link.cut()
        await publish(100)
        await told.until(Disconnected, 2)
        before = len(sent)
        await publish(100)
        if version is V5:
            await asyncio.sleep(OUTAGE)  # and all tries to come back meanwhile fail
        await server.link.restore()
        await publish(200)
        outcomes = await asyncio.gather(*(outcome(one) for one in sent))
        failed = {number for number, one in enumerate(outcomes) if isinstance(one, NotDelivered)}
        owed = set(range(600)) if qos else set(range(before, 600))
        arrived = numbers(await watcher.all({payload(number) for number in owed}))
        assert [event.session_present for event in told.of(Connected)] == [False, True]
    assert not failed
    firsts = list(dict.fromkeys(arrived))
    assert firsts == sorted(firsts)
    if qos == 1:
        assert set(arrived) == set(range(600))
    elif qos == 2:
        assert arrived == list(range(600))
    else:
        assert len(set(arrived)) == len(arrived)
        lost = sorted(set(range(600)) - set(arrived))
        assert lost == list(range(lost[0], lost[-1] + 1)) if lost else True  # what was on its way when it was cut


# -- a server that has forgotten


async def forget(server: Server, client_id: str, version: MqttVersion) -> None:
    """Have a server that runs on forget a session."""
    async with Peer(server.port, client_id, version):
        pass


@pytest.mark.parametrize("how", ["forgotten", "restarted"])
@VERSIONS
@pytest.mark.parametrize("qos", [1, 2])
async def test_a_lost_session_loses_nothing_and_says_what_is_unknown(
    server: Server, qos: int, version: MqttVersion, how: str
) -> None:
    client = client_of(server, "client", version=version, session_expiry=60)
    told = Told(client)
    link = server.link
    async with client:
        watcher = await Watcher(server)
        sent = [client.send("a", payload(number), qos=qos) for number in range(30)]
        await asyncio.gather(*sent)
        link.holds_server = True
        sent += [client.send("a", payload(number), qos=qos) for number in range(30, 60)]
        window = min(30, client.limits.receive_maximum, client.publisher.sender.window)
        await until(lambda: len(link.published()) == 30 + window)
        link.cut()
        link.release()
        await told.until(Disconnected)
        sent += [client.send("a", payload(number), qos=qos) for number in range(60, 90)]
        arrived = await watcher.all({payload(number) for number in range(30)})
        if how == "forgotten":
            await forget(server, "client", version)
        else:
            await server.stop()
            await server.start({})
            watcher = await Watcher(server)
        left_before = {int(packet.payload) for packet in link.published()}
        await link.restore()
        outcomes = await asyncio.gather(*(outcome(one) for one in sent))
        unknown = {number: one for number, one in enumerate(outcomes) if isinstance(one, NotDelivered)}
        delivered = set(range(90)) - set(unknown)
        later = await watcher.all({payload(number) for number in range(60, 90)})
        arrived = later if watcher.payloads[0] == b"0" else arrived + later
        assert len(told.of(SessionLost)) == 1
    await watcher.disconnect()
    got = Counter(numbers(arrived))
    again = {int(packet.payload) for packet in link.passages[-1].sent(Publish)}
    assert not any(packet.dup for packet in link.passages[-1].sent(Publish))
    if qos == 1:
        assert not unknown
        assert again == set(range(30, 90))
        assert set(got) == set(range(90))
    else:
        assert all(count == 1 for count in got.values())
        assert all(fault.sent for fault in unknown.values())
        assert set(unknown) == left_before - set(range(30))
        assert not again & set(unknown)
        assert delivered <= set(got)


async def test_a_message_whose_release_was_lost_with_the_session_is_not_said_to_be_delivered(server: Server) -> None:
    """The server has said PUBREC, and forgets before it hears PUBREL: some servers pass it on at PUBREL only."""
    link = server.link
    async with Watcher(server) as watcher, client_of(server, "client") as client:
        link.holds_client_at = Pubrel
        publication = client.send("a", b"1", qos=2)
        await until(lambda: link.holds_client)
        assert publication.state == "received"
        link.cut()
        link.release()
        await forget(server, "client", V5)
        await link.restore()
        result = await outcome(publication)
        await client.publish("a", b"2", qos=2)
        arrived = await watcher.all({b"2"})
        if b"1" not in arrived:
            assert isinstance(result, NotDelivered)
            assert result.sent
        assert arrived.count(b"1") <= 1


# -- a session that goes on


@pytest.mark.parametrize("qos", [1, 2])
async def test_a_resumed_session_repeats_with_dup_under_the_same_identifiers_and_full_topics(
    server: Server, qos: int
) -> None:
    link = server.link
    async with Watcher(server) as watcher, client_of(server, "client") as client:
        for _ in range(3):
            await client.publish("a/long/topic", b"before", qos=1)
        link.holds_server = True
        sent = [client.send("a/long/topic", payload(number), qos=qos) for number in range(10)]
        await until(lambda: len(link.published()) == 13)
        first = link.passages[0].sent(Publish)
        if client.limits.topic_alias_maximum:
            assert not first[-1].topic  # an alias stands for it
        link.cut()
        link.release()
        await link.restore()
        await asyncio.gather(*map(outcome, sent))
        again = link.passages[-1].sent(Publish)
        assert [(one.packet_id, one.payload) for one in again] == [(one.packet_id, one.payload) for one in first[3:]]
        assert all(one.dup for one in again)
        assert again[0].topic == "a/long/topic"
        assert {one.qos for one in again} == {qos}
        await watcher.all({payload(number) for number in range(10)})
        if qos == 2:
            assert numbers(watcher.payloads[3:]) == list(range(10))


async def test_a_resumed_session_repeats_pubrel_for_what_was_received(server: Server) -> None:
    link = server.link
    async with Watcher(server) as watcher, client_of(server, "client") as client:
        link.holds_client_at = Pubrel
        sent = [client.send("a", payload(number), qos=2) for number in range(5)]
        await until(lambda: all(one.state == "received" for one in sent))
        link.cut()
        link.release()
        await link.restore()
        assert {ReasonCode.SUCCESS} == set(await asyncio.gather(*map(outcome, sent)))
        last = link.passages[-1]
        assert [one.packet_id for one in last.sent(Pubrel)] == [one.packet_id for one in link.passages[0].sent(Publish)]
        assert not last.sent(Publish)
        assert len(last.said(Pubcomp)) == 5
        assert numbers(await watcher.all({payload(number) for number in range(5)})) == list(range(5))


# -- publishes that are cancelled


async def test_cancelled_publishes_are_withdrawn_or_run_on_and_give_everything_back(make_server: MakeServer) -> None:
    server = await make_server(receive_maximum=2)
    link = server.link
    for qos in (1, 2):
        async with Watcher(server) as watcher, client_of(server) as client:
            link.holds_server = True
            calls = [asyncio.create_task(client.publish("a", payload(number), qos=qos)) for number in range(8)]
            await until(lambda: len(link.passages[-1].sent(Publish)) == 2)
            for call in calls:
                call.cancel()
            assert all(
                isinstance(one, asyncio.CancelledError) for one in await asyncio.gather(*calls, return_exceptions=True)
            )
            sender = client.publisher.sender
            assert not sender.waiting
            assert len(sender.in_flight) == 2
            link.release()
            calls = [asyncio.create_task(client.publish("a", payload(number), qos=qos)) for number in range(100, 200)]
            await within(asyncio.gather(*calls))
            assert not sender.in_flight
            assert sender.quota == 2
            arrived = await watcher.all({payload(number) for number in (0, 1, *range(100, 200))})
            assert numbers(arrived) == [0, 1, *range(100, 200)]


async def test_a_publish_that_is_cancelled_while_there_is_no_connection_never_leaves(server: Server) -> None:
    client = client_of(server)
    told = Told(client)
    async with Watcher(server) as watcher, client:
        server.link.cut()
        await told.until(Disconnected)
        calls = [asyncio.create_task(client.publish("a", payload(number), qos=number % 3)) for number in range(9)]
        await asyncio.sleep(0)
        for call in calls[:6]:
            call.cancel()
        await server.link.restore()
        await asyncio.gather(*calls, return_exceptions=True)
        assert sorted(numbers(await watcher.all({b"6", b"7", b"8"}))) == [6, 7, 8]
    assert [one.cancelled() for one in calls] == [True] * 6 + [False] * 3
    assert {one.payload for one in server.link.published()} == {b"6", b"7", b"8"}


async def test_what_never_left_is_said_to_have_never_left(server: Server) -> None:
    """No false "sent", one way or the other, when the client gives up for good."""
    client = client_of(server, reconnect=None)
    link = server.link
    await client.connect()
    link.holds_server = True
    sent = [client.send("a", payload(number), qos=1 + number % 2) for number in range(5)]
    await until(lambda: len(link.published()) == 5)
    link.cut()
    sent += [client.send("a", payload(number), qos=1 + number % 2) for number in range(5, 10)]
    outcomes = [await outcome(one) for one in sent]
    assert all(isinstance(one, NotDelivered) for one in outcomes)
    left = {int(one.payload) for one in link.published()}
    for number, one in enumerate(outcomes):
        assert isinstance(one, NotDelivered)
        assert one.sent or number not in left
    assert [one.was_sent for one in sent[:5]] == [True] * 5
    with pytest.raises(ConnectionLost):
        client.send("a")
    await client.disconnect()
