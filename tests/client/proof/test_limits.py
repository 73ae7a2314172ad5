"""What a server denies, and what it has said that it does not take: the program is told, and the connection stays."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from linnet import (
    V3_1_1,
    V5,
    Connected,
    NotDelivered,
    NotSupported,
    Properties,
    PublishRejected,
    ReasonCode,
    SubscribeRejected,
)
from linnet import Version as MqttVersion
from linnet.wire import Puback, Publish, Pubrec, Subscribe
from tests.client.proof.scripted import Scripted, Visit, ignore
from tests.client.proof.servers import Server
from tests.client.proof.watching import Told, Watcher, client_of, until, within

VERSIONS = pytest.mark.parametrize("version", [V5, V3_1_1], ids=["5.0", "3.1.1"])


# -- what an access list denies


@VERSIONS
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_denied_publish_is_an_error_where_the_server_can_say_so(
    server: Server, qos: int, version: MqttVersion
) -> None:
    async with Watcher(server) as watcher, client_of(server, version=version) as client:
        if qos and version is V5:
            with pytest.raises(PublishRejected) as refusal:
                await client.publish("denied/a", b"no", qos=qos)
            assert refusal.value.reason_code == ReasonCode.NOT_AUTHORIZED
        else:
            await client.publish("denied/a", b"no", qos=qos)
        await client.publish("a", b"yes", qos=qos)
        assert await watcher.all({b"yes"}) == [b"yes"]
        assert client.is_connected
        assert not client.publisher.sender.in_flight
    assert len(server.link.passages) == 1


async def test_the_state_of_a_refused_message_tells_it(server: Server) -> None:
    async with client_of(server) as client:
        refused = client.send("denied/a", qos=2)
        with pytest.raises(PublishRejected):
            await within(refused)
        assert refused.state == "rejected"
        assert refused.done
        sender = client.publisher.sender
        assert sender.quota == sender.window


@VERSIONS
async def test_a_denied_subscription_is_an_error(server: Server, version: MqttVersion) -> None:
    async with client_of(server, version=version) as client:
        for filters in (("denied/#",), ("a", "denied/a", "b")):
            with pytest.raises(SubscribeRejected) as refusal:
                await client.subscribe(*filters, qos=1).__aenter__()
            code = ReasonCode.NOT_AUTHORIZED if version is V5 else ReasonCode.UNSPECIFIED_ERROR
            assert refusal.value.reason_code == code
        assert not client.registry.entries
        async with client.subscribe("a", qos=1) as messages:
            await client.publish("a", b"1", qos=1)
            assert (await within(messages.get())).payload == b"1"


@pytest.mark.parametrize("reason_code", [0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2])
async def test_every_refusal_of_a_subscription_is_told_with_its_reason(reason_code: int) -> None:
    async with Scripted() as server, client_of(server) as client:
        server.granted = reason_code
        with pytest.raises(SubscribeRejected) as refusal:
            await client.subscribe("a").__aenter__()
        assert refusal.value.reason_code == reason_code
        assert client.is_connected


@pytest.mark.parametrize("reason_code", [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99])
@pytest.mark.parametrize("qos", [1, 2])
async def test_every_refusal_of_a_message_is_told_with_its_reason(qos: int, reason_code: int) -> None:
    def refuse(visit: Visit, message: Publish) -> None:
        said = Properties(reason_string="because")
        visit.send((Puback if message.qos == 1 else Pubrec)(message.packet_id, reason_code, said))

    async with Scripted({Publish: refuse}) as server, client_of(server, max_inflight=1) as client:
        for _ in range(2):
            with pytest.raises(PublishRejected, match="because") as refusal:
                await within(client.publish("a", qos=qos))
            assert refusal.value.reason_code == reason_code
        assert client.is_connected


# -- what the server takes

LARGE = bytes(2000)
REFUSED_MESSAGES: list[tuple[dict[str, Any], dict[str, Any], ReasonCode]] = [
    ({"maximum_qos": 1}, {"qos": 2}, ReasonCode.QOS_NOT_SUPPORTED),
    ({"maximum_qos": 0}, {"qos": 1}, ReasonCode.QOS_NOT_SUPPORTED),
    ({"retain_available": 0}, {"retain": True}, ReasonCode.RETAIN_NOT_SUPPORTED),
    ({"maximum_packet_size": 2000}, {"payload": LARGE}, ReasonCode.PACKET_TOO_LARGE),
    ({"maximum_packet_size": 2000}, {"payload": LARGE, "qos": 1}, ReasonCode.PACKET_TOO_LARGE),
    ({"maximum_packet_size": 200}, {"user_properties": [("name", "x" * 200)], "qos": 2}, ReasonCode.PACKET_TOO_LARGE),
]


@pytest.mark.parametrize(("limits", "message", "reason_code"), REFUSED_MESSAGES)
async def test_a_message_that_the_server_does_not_take_is_not_sent(
    limits: dict[str, Any], message: dict[str, Any], reason_code: ReasonCode
) -> None:
    async with Scripted(**limits) as server, client_of(server) as client:
        for hand_over in (client.send, client.publish):
            with pytest.raises(NotSupported) as refusal:
                await within(hand_over("a", **message))
            assert refusal.value.reason_code == reason_code
        await client.publish("a", b"fits", qos=min(1, limits.get("maximum_qos", 1)))
        await until(lambda: len(server.got(Publish)) == 1)
        assert server.got(Publish)[0].payload == b"fits"
        assert client.is_connected


@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("topic", ["a", "a/topic/that/is/somewhat/longer"])
async def test_a_message_may_be_as_large_as_the_server_says_and_no_byte_larger(qos: int, topic: str) -> None:
    async with Scripted(maximum_packet_size=200) as server, client_of(server) as client:
        largest = 0
        for size in range(100, 200):
            try:
                await client.publish(topic, bytes(size), qos=qos)
                largest = size
            except NotSupported:
                break
        await until(lambda: len(server.got(Publish)) == largest - 99)
        assert len(server.got(Publish)[-1].encode(V5)) == 200


REFUSED_FILTERS: list[tuple[dict[str, Any], str, ReasonCode]] = [
    ({"wildcard_subscription_available": 0}, "a/+", ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED),
    ({"wildcard_subscription_available": 0}, "$share/g/#", ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED),
    ({"shared_subscription_available": 0}, "$share/g/a", ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED),
    ({"maximum_packet_size": 100}, "a" * 100, ReasonCode.PACKET_TOO_LARGE),
]


@pytest.mark.parametrize(("limits", "name", "reason_code"), REFUSED_FILTERS)
async def test_a_subscription_that_the_server_does_not_take_is_not_sent(
    limits: dict[str, Any], name: str, reason_code: ReasonCode
) -> None:
    async with Scripted(**limits) as server, client_of(server) as client:
        with pytest.raises(NotSupported) as refusal:
            await within(client.subscribe(name).__aenter__())
        assert refusal.value.reason_code == reason_code
        async with client.subscribe("a"):
            assert [asked.filters[0][0] for asked in server.got(Subscribe)] == ["a"]
        assert client.is_connected


async def test_without_subscription_identifiers_topics_are_matched() -> None:
    async with (
        Scripted(subscription_identifiers_available=0) as server,
        client_of(server) as client,
        client.subscribe("a/+") as some,
        client.subscribe("b/#") as others,
    ):
        assert not any(asked.properties.subscription_identifiers for asked in server.got(Subscribe))
        server.visit.publish("b/1", b"1")
        server.visit.publish("a/1", b"2")
        assert (await within(some.get())).payload == b"2"
        assert (await within(others.get())).payload == b"1"
        assert not some.waiting + others.waiting


# -- another server, or the same with other limits, after the connection was lost


async def test_limits_that_are_lower_after_a_reconnect_hold_for_what_waits() -> None:
    async with Scripted() as server, client_of(server) as client:
        told = Told(client)
        server.on[Publish] = ignore
        flying = [client.send("a", b"flying %d" % qos, qos=qos) for qos in (1, 2)]
        await until(lambda: len(server.got(Publish)) == 2)
        server.refuse()
        server.visit.cut()
        await until(lambda: not client.is_connected)
        fine = [client.send("a", b"fine %d" % qos, qos=qos) for qos in (0, 1)]
        bad = [client.send("a", b"bad", qos=2), client.send("a", b"bad", retain=True), client.send("a", LARGE, qos=1)]
        server.properties = Properties(maximum_qos=1, retain_available=0, maximum_packet_size=1000)
        server.on[Publish] = server.acknowledge
        await server.listen()
        await told.until(Connected)
        for publication in bad:
            with pytest.raises(NotSupported):
                await within(publication)
            assert not publication.was_sent
        await within(asyncio.gather(*fine, flying[0]))
        with pytest.raises(NotDelivered) as unknown:
            await within(flying[1])
        assert unknown.value.sent
        assert [one.payload for one in server.visit.got(Publish)] == [b"flying 1", b"fine 0", b"fine 1"]


async def test_limits_that_are_lower_when_a_session_is_resumed_hold_for_what_is_in_flight() -> None:
    async with Scripted() as server, client_of(server) as client:
        told = Told(client)
        server.on[Publish] = ignore
        bad = [client.send("a", b"2", qos=2), client.send("a", LARGE, qos=1), client.send("a", qos=1, retain=True)]
        fine = client.send("a", b"fine", qos=1)
        await until(lambda: len(server.got(Publish)) == 4)
        server.properties = Properties(maximum_qos=1, retain_available=0, maximum_packet_size=1000)
        server.session_present = True
        server.on[Publish] = server.acknowledge
        server.visit.cut()
        await told.until(Connected)
        await within(fine)
        assert [one.payload for one in server.visit.got(Publish)] == [b"fine"]
        for publication in bad:
            with pytest.raises(NotDelivered) as fault:
                await within(publication)
            assert fault.value.sent


async def test_a_receive_maximum_that_is_lower_when_a_session_is_resumed_is_kept() -> None:
    async with Scripted() as server, client_of(server) as client:
        told = Told(client)
        server.on[Publish] = ignore
        sent = [client.send("a", b"%d" % number, qos=1) for number in range(10)]
        await until(lambda: len(server.got(Publish)) == 10)
        server.properties = Properties(receive_maximum=2)
        server.session_present = True
        server.visit.cut()
        await told.until(Connected)
        await until(lambda: len(server.visit.got(Publish)) >= 2)
        for number in range(10):
            await until(lambda: len(server.visit.got(Publish)) > number)  # noqa: B023
            assert len(server.visit.got(Publish)) <= number + 2
            server.acknowledge(server.visit, server.visit.got(Publish)[number])
        await within(asyncio.gather(*sent))
        assert [one.payload for one in server.visit.got(Publish)] == [b"%d" % number for number in range(10)]


async def test_a_subscription_that_the_next_server_does_not_take_ends_with_the_reason() -> None:
    async with Scripted() as server, client_of(server) as client:
        told = Told(client)
        async with client.subscribe("a/+") as wild, client.subscribe("a/b") as plain:
            server.properties = Properties(wildcard_subscription_available=0)
            server.visit.cut()
            await told.until(Connected)
            with pytest.raises(NotSupported):
                await within(wild.get())
            await until(lambda: len(server.visit.got(Subscribe)) == 1)
            server.visit.publish("a/b", b"1")
            assert (await within(plain.get())).payload == b"1"
