"""3.2 CONNACK: how the server answers, and what it tells of itself."""

import asyncio

import pytest

from linnet import Broker
from linnet.wire import (
    Connack,
    Connect,
    Disconnect,
    Pingreq,
    Properties,
    Publish,
    Subscribe,
    SubscriptionOptions,
    Version,
    Will,
)
from tests.conformance.tools import (
    EVERY_VERSION,
    ONLY_5,
    SINCE_3_1_1,
    TOO_LONG,
    answers,
    codes,
    connect,
    kinds,
    lasting,
    string,
)
from tests.conftest import MakeBroker
from tests.peer import Peer


async def first_bytes(port: int, sent: bytes, count: int) -> bytes:
    """Sends bytes over a new connection and returns the first of what comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        async with asyncio.timeout(10):
            return await reader.readexactly(count)
    finally:
        writer.close()
        await writer.wait_closed()


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.2.0-1", "5.0:MQTT-3.2.0-1")
async def test_connack_comes_before_everything_else(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version, False, properties=lasting(version)) as bob:
        await bob.subscribe("a", qos=1)
    async with Peer(broker, "ann") as ann:
        await ann.publish("a", b"waiting", qos=1)
    login = Connect("bob", clean_start=False, version=version, properties=lasting(version))
    async with Peer.raw(broker, version) as again:
        again.send(login.encode(version) + Pingreq().encode(version))
        first = await again.expect(Connack)
        assert first.reason_code == 0
        assert sorted(kinds([await again.receive(), await again.receive()])) == ["Pingresp", "Publish"]


@EVERY_VERSION
@pytest.mark.clause("5.0:MQTT-3.2.0-2")
async def test_there_is_one_connack_on_a_connection(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as bob:
        await bob.subscribe("a", qos=2)
        await bob.publish("a", b"hello", qos=2)
        await bob.receive()
        bob.send(Connect("bob", version=version))
        await bob.closed()
        assert kinds(bob.received).count("Connack") == 1


@SINCE_3_1_1
@pytest.mark.clause("5.0:MQTT-3.2.2-1")
async def test_the_flags_of_connack_are_session_present_alone(broker: Broker, version: Version) -> None:
    said = b"\x11\x00\x00\x0e\x10"  # a session expiry interval of an hour
    for present in (0, 1):
        login = connect(version, 0, string("bob"), said=said)
        answer = await first_bytes(broker.port, login, 4)
        assert (answer[0], answer[2], answer[3]) == (0x20, present, 0)


@SINCE_3_1_1
@pytest.mark.clause("3.1.1:MQTT-3.2.2-1", "5.0:MQTT-3.2.2-2")
async def test_a_clean_start_finds_no_session(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version, False, properties=lasting(version)):
        pass
    async with Peer(broker, "bob", version, True) as again:
        assert (again.connack.session_present, again.connack.reason_code) == (False, 0)


@SINCE_3_1_1
@pytest.mark.clause("3.1.1:MQTT-3.2.2-2", "3.1.1:MQTT-3.2.2-3", "5.0:MQTT-3.2.2-3")
async def test_session_present_tells_whether_there_is_a_session(broker: Broker, version: Version) -> None:
    seen = []
    for clean in (False, False, True, False):
        async with Peer(broker, "bob", version, clean, properties=None if clean else lasting(version)) as bob:
            assert bob.connack.reason_code == 0
            seen.append(bob.connack.session_present)
    assert seen == [False, True, False, False]


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.2.2-6", "5.0:MQTT-3.2.2-7")
async def test_a_refusal_tells_nothing_of_the_session(make_broker: MakeBroker, version: Version) -> None:
    broker = await make_broker(max_qos=1)
    async with Peer(broker, "bob", version, False, properties=lasting(version)):
        pass
    login = Connect("bob", clean_start=False, will=Will("gone", qos=2), properties=lasting(version))
    (refusal,) = await answers(broker, login)
    assert (refusal.reason_code, refusal.session_present) == (0x9B, False)
    async with Peer(broker, "bob", version, False, properties=lasting(version)) as again:
        assert again.connack.session_present


CONNECT_REASONS = {
    *(0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C),
    *(0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F),
}


@ONLY_5
@pytest.mark.parametrize(
    ("login", "code"),
    [
        (b"\x10\x0d\x00\x04MQTT\x06\x02\x00\x00\x00\x00\x00", 0x84),
        (b"\x10\x0d\x00\x04MQTT\x05\x03\x00\x00\x00\x00\x00", 0x81),
        (Connect(TOO_LONG), 0x85),
        (Connect("bob", will=Will("gone", qos=2)), 0x9B),
        (Connect("bob", will=Will("gone", retain=True)), 0x9A),
        (Connect("bob", properties=Properties(authentication_method="unheard of")), 0x8C),
    ],
    ids=["level", "flag", "identifier", "will QoS", "retained will", "method"],
)
@pytest.mark.clause("5.0:MQTT-3.2.2-8", "5.0:MQTT-3.2.2-12", "5.0:MQTT-3.2.2-13", "5.0:MQTT-4.12.0-1")
async def test_every_refusal_has_a_code_of_connacks_own(
    make_broker: MakeBroker, version: Version, login: Connect | bytes, code: int
) -> None:
    broker = await make_broker(max_qos=1, retain_available=False)
    assert codes(await answers(broker, login)) == [("Connack", code)]
    assert code in CONNECT_REASONS


# -- 3.2.2.3: what the server tells


@ONLY_5
@pytest.mark.parametrize(("highest", "told"), [(0, 0), (1, 1), (2, None)])
@pytest.mark.clause("5.0:MQTT-3.2.2-9")
async def test_a_maximum_qos_below_2_is_told(
    make_broker: MakeBroker, version: Version, highest: int, told: int | None
) -> None:
    broker = await make_broker(max_qos=highest)
    async with Peer(broker, "bob") as bob:
        assert bob.connack.properties.maximum_qos == told


@EVERY_VERSION
@pytest.mark.clause("5.0:MQTT-3.2.2-10")
async def test_subscriptions_may_ask_for_more_than_the_maximum_qos(make_broker: MakeBroker, version: Version) -> None:
    broker = await make_broker(max_qos=0)
    async with Peer(broker, "bob", version) as bob:
        asked = [(f"asks/for/{qos}", SubscriptionOptions(qos)) for qos in (0, 1, 2)]
        assert (await bob.subscribe(asked)).reason_codes == [0, 0, 0]
        await bob.publish("asks/for/2", b"hello")
        assert (await bob.receive()).qos == 0


@ONLY_5
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.clause("5.0:MQTT-3.2.2-11")
async def test_publishing_above_the_maximum_qos_ends_the_connection(
    make_broker: MakeBroker, version: Version, qos: int
) -> None:
    broker = await make_broker(max_qos=qos - 1)
    async with Peer(broker, "bob") as bob:
        bob.send(Publish("a", b"x", qos, packet_id=1))
        assert codes(await bob.closed()) == [("Disconnect", 0x9B)]


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.2.2-14")
async def test_retaining_where_it_is_not_available_ends_the_connection(
    make_broker: MakeBroker, version: Version
) -> None:
    broker = await make_broker(retain_available=False)
    async with Peer(broker, "bob") as bob:
        assert bob.connack.properties.retain_available == 0
        bob.send(Publish("a", b"x", retain=True))
        assert codes(await bob.closed()) == [("Disconnect", 0x9A)]


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.2.2-15")
async def test_a_packet_beyond_the_maximum_size_is_refused_by_its_length(
    make_broker: MakeBroker, version: Version
) -> None:
    broker = await make_broker(max_packet_size=1000)
    async with Peer(broker, "bob") as bob:
        assert bob.connack.properties.maximum_packet_size == 1000
        await bob.publish("a", b"x" * (1000 - 3 - 2 - 1 - 2 - 1), qos=1)  # 1000 bytes in all
        bob.send(b"\x32\xe6\x07")  # the fixed header of a packet of 1001 bytes, and nothing of it
        assert codes(await bob.closed()) == [("Disconnect", 0x95)]


@ONLY_5
@pytest.mark.parametrize("maximum", [0, 2])
@pytest.mark.clause("5.0:MQTT-3.2.2-17", "5.0:MQTT-3.2.2-18", "5.0:MQTT-3.3.2-9", "5.0:MQTT-3.3.2-12")
async def test_an_alias_above_the_servers_maximum_ends_the_connection(
    make_broker: MakeBroker, version: Version, maximum: int
) -> None:
    broker = await make_broker(topic_alias_maximum=maximum)
    async with Peer(broker, "bob") as bob:
        assert bob.connack.properties.topic_alias_maximum == (maximum or None)
        await bob.subscribe("#")
        for alias in range(1, maximum + 1):
            bob.send(Publish(f"topic/{alias}", b"x", properties=Properties(topic_alias=alias)))
            assert (await bob.receive()).topic == f"topic/{alias}"
        bob.send(Publish("a", b"x", properties=Properties(topic_alias=maximum + 1)))
        assert codes(await bob.closed()) == [("Disconnect", 0x94)]


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.2.2-19", "5.0:MQTT-3.2.2-20", "5.0:MQTT-3.1.2-24")
async def test_connack_leaves_out_what_would_make_it_too_large(broker: Broker, version: Version) -> None:
    (wide,) = await answers(broker, Connect(TOO_LONG))
    assert wide.properties.reason_string
    size = len(wide.encode(version)) - 1
    (narrow,) = await answers(broker, Connect(TOO_LONG, properties=Properties(maximum_packet_size=size)))
    assert (narrow.reason_code, narrow.properties) == (0x85, Properties())


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.2.2-22")
async def test_only_a_keep_alive_beyond_the_maximum_is_replaced(make_broker: MakeBroker, version: Version) -> None:
    broker = await make_broker(max_keep_alive=60)
    for wanted, told in ((60, None), (61, 60), (0, 60)):
        async with Peer(broker, "bob", keep_alive=wanted) as bob:
            assert bob.connack.properties.server_keep_alive == told


@ONLY_5
async def test_connack_says_nothing_that_goes_without_saying(make_broker: MakeBroker, version: Version) -> None:
    broker = await make_broker(
        max_keep_alive=0, receive_maximum=65535, topic_alias_maximum=0, max_packet_size=268_435_460
    )
    async with Peer(broker, "bob") as bob:
        assert bob.connack.properties == Properties(maximum_packet_size=268_435_460)


@ONLY_5
async def test_connack_tells_every_limit(make_broker: MakeBroker, version: Version) -> None:
    broker = await make_broker(
        wildcard_subscriptions=False,
        shared_subscriptions=False,
        subscription_identifiers=False,
        receive_maximum=7,
        max_session_expiry=5,
    )
    async with Peer(broker, "bob", properties=lasting(version, 6)) as bob:
        told = bob.connack.properties
        assert told.wildcard_subscription_available == 0
        assert told.shared_subscription_available == 0
        assert told.subscription_identifiers_available == 0
        assert told.receive_maximum == 7
        assert told.session_expiry_interval == 5
        bob.send(Subscribe(1, [("a/#", SubscriptionOptions())]))
        assert isinstance(await bob.receive(), Disconnect) or bob.received[-1].reason_codes == [0xA2]
