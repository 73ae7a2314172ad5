"""3.8 SUBSCRIBE and 3.9 SUBACK: how a client says what it wants to hear of, and what it is granted."""

import pytest

from linnet import Broker
from linnet.core.ports import Hooks
from linnet.core.session import Session
from linnet.errors import ReasonCode
from linnet.wire import Properties, Publish, Suback, Subscribe, SubscriptionOptions, Version
from tests.conformance.tools import (
    EVERY_VERSION,
    ONLY_3_1_1,
    ONLY_5,
    codes,
    complaint,
    lasting,
    packet,
    properties,
    string,
)
from tests.conftest import MakeBroker
from tests.peer import Peer


class Doorman(Hooks):
    """Refuses filters that begin with "secret", and grants QoS 1 at most to those that begin with "slow"."""

    def subscribing(self, session: Session, name: str, options: SubscriptionOptions) -> int | ReasonCode:
        if name.startswith("secret"):
            return ReasonCode.NOT_AUTHORIZED
        return min(options.qos, 1) if name.startswith("slow") else options.qos


def options(qos: int) -> SubscriptionOptions:
    return SubscriptionOptions(qos)


# -- 3.8.3 and 3.8.1: what a SUBSCRIBE is made of


@EVERY_VERSION
@pytest.mark.parametrize(
    "rest",
    [b"", b"\x00", b"\x00\x01a", b"\x00\x02a\x00", b"\x00\x01a\x00\x00", b"\x00\x01a\x00\x00\x01b"],
    ids=["no filter", "half a length", "no options", "filter cut short", "half a second filter", "no second options"],
)
@pytest.mark.clause("3.1.1:MQTT-3.8.3-3", "5.0:MQTT-3.8.3-2")
async def test_a_subscribe_without_whole_filters_ends_the_connection(
    broker: Broker, version: Version, rest: bytes
) -> None:
    async with Peer(broker, "bob", version) as bob:
        bob.send(packet(0x82, b"\x00\x01", properties(version), rest))
        found = codes(await bob.closed())
        assert found in (complaint(version, 0x81), complaint(version, 0x82))


@ONLY_3_1_1
@pytest.mark.parametrize("octet", [0x03, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x81, 0xFF])
@pytest.mark.clause("3.1.1:MQTT-3.8.3-4")
async def test_before_5_nothing_but_a_qos_stands_beside_a_filter(broker: Broker, version: Version, octet: int) -> None:
    async with Peer(broker, "bob", version) as bob:
        bob.send(packet(0x82, b"\x00\x01", string("a"), bytes((octet,))))
        assert await bob.closed() == []


@ONLY_5
@pytest.mark.parametrize("octet", [0x03, 0x07, 0x30, 0x32, 0x40, 0x80, 0xC1])
@pytest.mark.clause("5.0:MQTT-3.8.3-5")
async def test_reserved_options_are_malformed(broker: Broker, version: Version, octet: int) -> None:
    async with Peer(broker, "bob", version) as bob:
        bob.send(packet(0x82, b"\x00\x01", properties(version), string("a"), bytes((octet,))))
        found = codes(await bob.closed())
        assert found in (complaint(version, 0x81), complaint(version, 0x82))


@ONLY_5
@pytest.mark.parametrize("said", [b"\x0b\x00", b"\x0b\x01\x0b\x02", b"\x11\x00\x00\x00\x01"], ids=["0", "two", "other"])
async def test_a_subscribe_has_one_identifier_above_0_at_most(broker: Broker, version: Version, said: bytes) -> None:
    async with Peer(broker, "bob", version) as bob:
        bob.send(packet(0x82, b"\x00\x01", properties(version, said), string("a"), b"\x00"))
        assert codes(await bob.closed()) == [("Disconnect", 0x82)]


@ONLY_5
async def test_the_largest_identifier_comes_back_with_the_message(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as bob:
        await bob.subscribe("a", identifier=268435455)
        await bob.publish("a", b"x")
        assert (await bob.receive()).properties.subscription_identifiers == [268435455]


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.8.3-3")
async def test_no_local_keeps_a_clients_own_messages_from_it(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        for peer in (ann, bob):
            await peer.subscribe("a", qos=1, no_local=True)
        await bob.publish("a", b"from bob", qos=1)
        assert (await ann.receive()).payload == b"from bob"
        await bob.nothing()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.8.3-3")
async def test_no_local_knows_a_client_by_its_identifier_on_later_connections_too(
    broker: Broker, version: Version
) -> None:
    kept = lasting(version)
    async with Peer(broker, "bob", clean_start=False, properties=kept) as bob:
        await bob.subscribe("a", qos=1, no_local=True)
    async with Peer(broker, "bob", clean_start=False, properties=kept) as again:
        await again.publish("a", b"from bob", qos=1)
        await again.nothing()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.8.3-4")
async def test_no_local_on_a_shared_subscription_is_a_protocol_error(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob") as bob:
        bob.send(Subscribe(1, [("$share/group/a", SubscriptionOptions(no_local=True))], Properties()))
        assert codes(await bob.closed()) == [("Disconnect", 0x82)]


@EVERY_VERSION
@pytest.mark.parametrize("name", ["a/+", "#", "a/#", "$share/group/+"])
@pytest.mark.clause("3.1.1:MQTT-3.8.3-2", "5.0:MQTT-3.8.4-7")
async def test_filters_with_wildcards_are_rejected_where_they_are_not_available(
    make_broker: MakeBroker, version: Version, name: str
) -> None:
    broker = await make_broker(wildcard_subscriptions=False)
    async with Peer(broker, "bob", version) as bob:
        bob.send(Subscribe(1, [(name, options(0))], Properties()))
        assert codes(await bob.closed()) == complaint(version, 0xA2)


# -- 3.8.4 and 3.9: what the server does about it


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.8.4-1", "3.1.1:MQTT-3.8.4-2", "5.0:MQTT-3.8.4-1", "5.0:MQTT-3.8.4-2")
async def test_every_subscribe_gets_a_suback_with_its_identifier(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as bob:
        numbers = [7, 65535, 1, 256]
        for number in numbers:
            bob.send(Subscribe(number, [("a", options(0))], Properties()))
        assert [(await bob.expect(Suback)).packet_id for _ in numbers] == numbers
        await bob.nothing()


@EVERY_VERSION
@pytest.mark.clause(
    *("3.1.1:MQTT-3.8.4-4", "3.1.1:MQTT-3.8.4-5", "3.1.1:MQTT-3.9.3-1", "3.1.1:MQTT-3.9.3-2"),
    *("5.0:MQTT-3.8.4-5", "5.0:MQTT-3.8.4-6", "5.0:MQTT-3.8.4-7", "5.0:MQTT-3.9.3-1", "5.0:MQTT-3.9.3-2"),
)
async def test_suback_answers_each_filter_in_its_place(make_broker: MakeBroker, version: Version) -> None:
    broker = await make_broker(hooks=Doorman())
    wanted = [("c", 2), ("secret/1", 2), ("a", 0), ("slow", 2), ("b", 1), ("secret/2", 0)]
    refusal = 0x87 if version.can_say_why else 0x80
    async with Peer(broker, "bob", version) as bob:
        suback = await bob.subscribe([(name, options(qos)) for name, qos in wanted])
        assert suback.reason_codes == [2, refusal, 0, 1, 1, refusal]
        async with Peer(broker, "ann") as ann:
            for name, _ in wanted:
                await ann.publish(name, b"x", qos=2)
        found = [await bob.receive() for _ in range(4)]
        assert {each.topic: each.qos for each in found} == {"c": 2, "a": 0, "slow": 1, "b": 1}
        await bob.nothing()


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.8.4-4", "5.0:MQTT-3.8.4-5")
async def test_the_same_filter_twice_in_one_packet_is_subscribed_to_twice_in_turn(
    broker: Broker, version: Version
) -> None:
    async with Peer(broker, "bob", version) as bob:
        suback = await bob.subscribe([("a", options(2)), ("a", options(0))])
        assert suback.reason_codes == [2, 0]
        await bob.publish("a", b"x", qos=2)
        assert (await bob.receive()).qos == 0
        await bob.nothing()


@EVERY_VERSION
@pytest.mark.parametrize("granted", [0, 1, 2])
@pytest.mark.parametrize("published", [0, 1, 2])
@pytest.mark.clause("3.1.1:MQTT-3.8.4-6", "5.0:MQTT-3.8.4-8")
async def test_a_message_comes_at_the_lower_qos(broker: Broker, version: Version, granted: int, published: int) -> None:
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        suback = await bob.subscribe("a", qos=granted)
        assert suback.reason_codes == [granted]
        await ann.publish("a", b"x", qos=published)
        assert (await bob.receive()).qos == min(granted, published)
        await bob.nothing()


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.8.4-6", "5.0:MQTT-3.8.4-8")
async def test_less_may_be_granted_than_asked_for_and_less_is_then_sent(
    make_broker: MakeBroker, version: Version
) -> None:
    broker = await make_broker(hooks=Doorman())
    async with Peer(broker, "bob", version) as bob:
        assert (await bob.subscribe("slow/+", qos=2)).reason_codes == [1]
        await bob.publish("slow/a", b"x", qos=2)
        assert (await bob.receive()).qos == 1


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.8.4-3", "5.0:MQTT-3.8.4-3", "5.0:MQTT-3.8.4-4")
async def test_subscribing_again_replaces_and_sends_the_retained_messages_again(
    broker: Broker, version: Version
) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", version) as bob:
        await ann.publish("a/b", b"kept", qos=2, retain=True)
        for qos in (2, 0, 1):
            await bob.subscribe("a/+", qos=qos)
            message = await bob.receive()
            assert (message.payload, message.qos, message.retain) == (b"kept", qos, True)
            await ann.publish("a/c", b"live", qos=2)
            message = await bob.receive()
            assert (message.payload, message.qos) == (b"live", qos)
            await bob.nothing()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.8.4-3")
async def test_subscribing_again_replaces_options_and_identifier(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await bob.subscribe("a", no_local=True, retain_as_published=True, identifier=1)
        await bob.subscribe("a", identifier=2)
        await bob.publish("a", b"own")
        await ann.publish("a", b"retained", retain=True)
        for payload in (b"own", b"retained"):
            message = await bob.receive()
            assert (message.payload, message.retain) == (payload, False)
            assert message.properties.subscription_identifiers == [2]
        await bob.subscribe("a", retain_handling=2)
        await ann.publish("a", b"bare")
        assert (await bob.receive()).properties.subscription_identifiers == []
        await bob.nothing()


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.8.4-3", "5.0:MQTT-3.8.4-4")
async def test_no_message_is_lost_or_doubled_while_a_subscription_is_replaced(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as bob:
        await bob.subscribe("a", qos=0)
        stream = b""
        for number in range(50):
            stream += Publish("a", str(number).encode()).encode(version)
            stream += Subscribe(number + 100, [("a", options(number % 3))], Properties()).encode(version)
        bob.send(stream)
        found: list[int] = []
        while len(found) < 50:
            message = await bob.receive()
            if isinstance(message, Publish):
                found.append(int(message.payload))
        assert found == list(range(50))


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.9.3-2", "5.0:MQTT-3.9.3-2")
async def test_more_subscriptions_than_allowed_are_refused_in_suback(make_broker: MakeBroker, version: Version) -> None:
    broker = await make_broker(max_subscriptions_per_client=2)
    refusal = 0x97 if version.can_say_why else 0x80
    async with Peer(broker, "bob", version) as bob:
        suback = await bob.subscribe([(name, options(1)) for name in ("a", "b", "c", "a")])
        assert suback.reason_codes == [1, 1, refusal, 1]


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.9.2-1", "5.0:MQTT-3.9.2-2")
async def test_suback_leaves_out_what_would_make_it_too_large(make_broker: MakeBroker, version: Version) -> None:
    broker = await make_broker(hooks=Doorman())
    bare = len(Suback(1, [0x87], Properties()).encode(version))
    spacious = lasting(version, maximum_packet_size=80)  # enough for CONNACK, too little for a long explanation
    async with Peer(broker, "bob", properties=spacious) as bob:
        suback = await bob.subscribe("secret/" + "x" * 500)
        assert suback.reason_codes == [0x87]
        assert bare <= len(suback.encode(version)) <= 80
