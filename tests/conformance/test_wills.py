"""3.1.2.5 and 3.1.3.2: the message that is published for a client which goes without saying goodbye."""

import asyncio

import pytest

from linnet import Broker
from linnet.wire import Connack, Connect, Properties, Version, Will
from tests.conformance.tools import (
    CLEAN,
    EVERY_VERSION,
    ONLY_5,
    WILL,
    WILL_QOS_1,
    WILL_RETAIN,
    answers,
    broken_off,
    codes,
    connect,
    lasting,
    properties,
    refused,
    string,
)
from tests.peer import Peer


def gone(payload: bytes = b"bye", **more: int) -> Will:
    """A will of MQTT 5.0 with properties."""
    return Will("gone", payload, properties=Properties(**more))


@EVERY_VERSION
@pytest.mark.parametrize("end", ["reset", "violation"])
@pytest.mark.clause("3.1.1:MQTT-3.1.2-8", "5.0:MQTT-3.1.2-7", "5.0:MQTT-3.1.2-8")
async def test_a_broken_connection_publishes_the_will(broker: Broker, version: Version, end: str) -> None:
    async with Peer(broker, "ann", version) as ann:
        await ann.subscribe("gone", qos=2)
        bob = await Peer(broker, "bob", version, will=Will("gone", b"bye", qos=1))
        if end == "reset":
            bob.abort()
        else:
            await broken_off(bob)
        message = await ann.receive()
        assert (message.topic, message.payload, message.qos, message.retain) == ("gone", b"bye", 1, False)
        await ann.nothing()


@EVERY_VERSION
@pytest.mark.clause(
    "3.1.1:MQTT-3.1.2-8",
    "3.1.1:MQTT-3.1.2-10",
    "3.1.1:MQTT-3.14.4-3",
    "5.0:MQTT-3.1.2-10",
    "5.0:MQTT-3.14.4-3",
)
async def test_a_client_that_says_goodbye_leaves_no_will(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann", version) as ann:
        await ann.subscribe("gone")
        async with Peer(broker, "bob", version, will=Will("gone", b"bye")) as bob:
            await bob.disconnect()
        await ann.nothing()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.1.2-8", "5.0:MQTT-3.1.2-10")
async def test_a_goodbye_may_ask_for_the_will(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann", version) as ann:
        await ann.subscribe("gone")
        async with Peer(broker, "bob", version, will=gone()) as bob:
            await bob.disconnect(0x04)
        assert (await ann.receive()).payload == b"bye"


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.1.2-10", "5.0:MQTT-3.1.2-10")
async def test_a_will_is_published_once(broker: Broker, version: Version) -> None:
    kept = lasting(version)
    async with Peer(broker, "ann", version) as ann:
        await ann.subscribe("gone")
        async with Peer(broker, "bob", version, False, will=Will("gone", b"bye"), properties=kept) as bob:
            await broken_off(bob)
        assert (await ann.receive()).payload == b"bye"
        async with Peer(broker, "bob", version, False, properties=kept) as again:
            await broken_off(again)
        await ann.nothing()


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.1.2-10", "5.0:MQTT-3.1.2-10")
async def test_a_will_of_an_earlier_connection_is_forgotten(broker: Broker, version: Version) -> None:
    kept = lasting(version)
    async with Peer(broker, "ann", version) as ann:
        await ann.subscribe("gone")
        async with Peer(broker, "bob", version, False, will=Will("gone", b"bye"), properties=kept) as bob:
            await bob.disconnect()
        async with Peer(broker, "bob", version, False, properties=kept) as again:
            await broken_off(again)
        await ann.nothing()


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.1.2-12", "5.0:MQTT-3.1.2-7")
async def test_a_client_without_a_will_leaves_nothing(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann", version) as ann:
        await ann.subscribe("#")
        async with Peer(broker, "bob", version) as bob:
            await broken_off(bob)
        await ann.nothing()


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.1.2-9", "5.0:MQTT-3.1.2-9")
async def test_the_will_qos_and_retain_flags_are_used(broker: Broker, version: Version) -> None:
    will = (properties(version), string("gone"), string("bye"))
    async with Peer(broker, "ann", version) as ann, Peer.raw(broker, version) as bob:
        bob.send(connect(version, CLEAN | WILL | WILL_QOS_1 | WILL_RETAIN, string("bob"), *will))
        await bob.expect(Connack)
        await broken_off(bob)
        await ann.subscribe("gone", qos=2)
        message = await ann.receive()
        assert (message.topic, message.payload, message.qos, message.retain) == ("gone", b"bye", 1, True)


@EVERY_VERSION
@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.clause("3.1.1:MQTT-3.1.2-16", "3.1.1:MQTT-3.1.2-17", "5.0:MQTT-3.1.2-14", "5.0:MQTT-3.1.2-15")
async def test_a_will_is_retained_if_it_says_so(broker: Broker, version: Version, retain: bool) -> None:
    async with Peer(broker, "ann", version) as ann, Peer(broker, "cat", version) as cat:
        await ann.subscribe("gone")
        async with Peer(broker, "bob", version, will=Will("gone", b"bye", retain=retain)) as bob:
            await broken_off(bob)
        message = await ann.receive()
        assert (message.payload, message.retain) == (b"bye", False)
        await cat.subscribe("gone")
        if retain:
            message = await cat.receive()
            assert (message.payload, message.retain) == (b"bye", True)
        await cat.nothing()


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.1.2-8", "5.0:MQTT-3.1.2-8")
async def test_a_will_may_be_empty(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann", version) as ann:
        await ann.subscribe("gone")
        async with Peer(broker, "bob", version, will=Will("gone", b"")) as bob:
            await broken_off(bob)
        assert (await ann.receive()).payload == b""


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.1.2-8", "5.0:MQTT-3.1.2-8")
async def test_a_take_over_publishes_the_old_will(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann", version) as ann:
        await ann.subscribe("gone")
        async with (
            Peer(broker, "bob", version, False, will=Will("gone", b"old"), properties=lasting(version)) as old,
            Peer(broker, "bob", version, False, will=Will("gone", b"new"), properties=lasting(version)),
        ):
            await old.closed()
            assert (await ann.receive()).payload == b"old"
            await ann.nothing()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.1.2-8")
async def test_a_will_waits_for_its_delay(broker: Broker, version: Version) -> None:
    clock = asyncio.get_running_loop()
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("gone")
        async with Peer(broker, "bob", will=gone(will_delay_interval=1), properties=lasting(version)) as bob:
            began = clock.time()
            await broken_off(bob)
        await ann.nothing()
        assert (await ann.receive()).payload == b"bye"
        assert clock.time() - began > 0.95, "earlier than the will delay of 1 s"


@ONLY_5
@pytest.mark.parametrize("expiry", [0, 1])
@pytest.mark.clause("5.0:MQTT-3.1.2-8")
async def test_a_will_goes_out_when_the_session_ends(broker: Broker, version: Version, expiry: int) -> None:
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("gone")
        delayed, short = gone(will_delay_interval=3600), Properties(session_expiry_interval=expiry)
        async with Peer(broker, "bob", will=delayed, properties=short) as bob:
            await broken_off(bob)
        assert (await ann.receive()).payload == b"bye"


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.1.2-8")
async def test_a_clean_start_within_the_delay_ends_the_session_and_sends_the_will(
    broker: Broker, version: Version
) -> None:
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("gone")
        delayed = gone(will_delay_interval=3600)
        async with Peer(broker, "bob", will=delayed, properties=lasting(version)) as bob:
            await broken_off(bob)
        async with Peer(broker, "bob", clean_start=True):
            assert (await ann.receive()).payload == b"bye"


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.1.2-8", "5.0:MQTT-3.1.3-9")
async def test_coming_back_within_the_delay_keeps_the_will_from_being_sent(broker: Broker, version: Version) -> None:
    kept = lasting(version)
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("gone")
        late = gone(b"bob", will_delay_interval=1)
        async with Peer(broker, "bob", clean_start=False, will=late, properties=kept) as bob:
            await broken_off(bob)
        async with Peer(broker, "bob", clean_start=False, properties=kept):
            later = gone(b"cat", will_delay_interval=1)
            async with Peer(broker, "cat", clean_start=False, will=later, properties=kept) as cat:
                await broken_off(cat)
            assert (await ann.receive()).payload == b"cat"
            await ann.nothing()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.1.3-10", "5.0:MQTT-3.1.2-9")
async def test_the_properties_of_a_will_are_forwarded_and_its_delay_is_not(broker: Broker, version: Version) -> None:
    said = Properties(
        payload_format_indicator=1,
        message_expiry_interval=100,
        content_type="text/plain",
        response_topic="answers",
        correlation_data=b"\x00\x01",
        user_properties=[("b", "1"), ("a", "2"), ("b", "1"), ("", "")],
    )
    wide = Properties(**{name: getattr(said, name) for name in said.__slots__})
    wide.will_delay_interval = 0
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("gone")
        async with Peer(broker, "bob", will=Will("gone", b"bye", properties=wide)) as bob:
            await broken_off(bob)
        assert (await ann.receive()).properties == said


@EVERY_VERSION
@pytest.mark.parametrize("topic", ["", "#", "gone/+", "gone/#"])
@pytest.mark.clause("3.1.1:MQTT-4.7.1-1", "3.1.1:MQTT-4.7.3-1", "5.0:MQTT-4.7.0-1", "5.0:MQTT-4.7.3-1")
async def test_a_will_topic_that_is_no_topic_name_is_refused(broker: Broker, version: Version, topic: str) -> None:
    will = (properties(version), string(topic), string("bye"))
    found = await answers(broker, connect(version, CLEAN | WILL, string("bob"), *will), version=version)
    assert codes(found) == refused(version, 0x90)


@EVERY_VERSION
@pytest.mark.parametrize("topic", ["/" * 200, "x" * 5000], ids=["levels", "bytes"])
@pytest.mark.clause("5.0:MQTT-3.1.4-2")
async def test_a_will_topic_beyond_the_limits_is_refused(broker: Broker, version: Version, topic: str) -> None:
    login = Connect("bob", will=Will(topic, b"bye"), version=version)
    found = codes(await answers(broker, login, version=version))
    assert found in ([[("Connack", 0x90)]] if version.can_say_why else [[("Connack", 0x87)], []])


@EVERY_VERSION
@pytest.mark.parametrize("topic", ["$SYS/broker/uptime", "$share/group/a"])
async def test_a_will_cannot_be_published_where_clients_may_not_publish(
    broker: Broker, version: Version, topic: str
) -> None:
    async with Peer(broker, "ann", version) as ann:
        await ann.subscribe("$SYS/#")
        await ann.subscribe("a")
        await answers(
            broker,
            Connect("bob", will=Will(topic, b"bye"), version=version),
            Connect("bob", version=version),  # a violation, should the first one have been accepted
            version=version,
        )
        await ann.nothing()
