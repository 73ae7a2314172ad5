"""3.1.2 and 3.1.4: what a good CONNECT brings: a session, its keep alive, and the limits the client set."""

import asyncio

import pytest

from linnet import Broker
from linnet.wire import V3_1_1, V5, Connect, Disconnect, Pingreq, Properties, Publish, Pubrel, Version, Will
from tests.conformance.tools import (
    EVERY_VERSION,
    ONLY_5,
    SINCE_3_1_1,
    TOO_LONG,
    answers,
    broken_off,
    codes,
    complaint,
    connect,
    lasting,
    packet,
    refused,
)
from tests.conftest import MakeBroker
from tests.peer import Peer

# -- 3.1.2.4: sessions


@EVERY_VERSION
@pytest.mark.clause(
    "3.1.1:MQTT-3.1.2-6", "3.1.1:MQTT-3.1.4-3", "5.0:MQTT-3.1.2-4", "5.0:MQTT-3.1.4-4", "5.0:MQTT-3.2.2-2"
)
async def test_a_clean_start_discards_the_session(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version, clean_start=False, properties=lasting(version)) as bob:
        await bob.subscribe("a", qos=1)
    async with Peer(broker, "ann") as ann:
        await ann.publish("a", b"for the old session", qos=1)
        async with Peer(broker, "bob", version, properties=lasting(version)) as new:
            assert not new.connack.session_present
            await ann.publish("a", b"nobody asked", qos=1)
            await new.nothing()


@SINCE_3_1_1
@pytest.mark.clause("3.1.1:MQTT-3.1.2-6", "5.0:MQTT-3.1.2-4")
async def test_the_session_of_a_clean_start_without_expiry_is_never_used_again(
    broker: Broker, version: Version
) -> None:
    async with Peer(broker, "bob", version) as bob:
        await bob.subscribe("a", qos=1)
    async with Peer(broker, "bob", version, clean_start=False, properties=lasting(version)) as again:
        assert not again.connack.session_present
        await again.publish("a", b"nobody asked", qos=1)
        await again.nothing()


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.1.2-4", "3.1.1:MQTT-3.1.4-3", "5.0:MQTT-3.1.2-5", "5.0:MQTT-3.1.2-23")
async def test_without_a_clean_start_the_session_goes_on(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version, clean_start=False, properties=lasting(version)) as bob:
        await bob.subscribe("a", qos=1)
    async with Peer(broker, "bob", version, clean_start=False, properties=lasting(version)) as again:
        await again.publish("a", b"still subscribed", qos=1)
        assert (await again.receive()).payload == b"still subscribed"


@SINCE_3_1_1
@pytest.mark.parametrize("end", ["disconnect", "break"])
@pytest.mark.clause(
    "3.1.1:MQTT-3.1.2-4", "3.1.1:MQTT-3.2.2-2", "5.0:MQTT-3.1.2-6", "5.0:MQTT-3.1.2-23", "5.0:MQTT-3.2.2-3"
)
async def test_a_session_is_created_and_kept_after_the_connection(broker: Broker, version: Version, end: str) -> None:
    async with Peer(broker, "bob", version, clean_start=False, properties=lasting(version)) as bob:
        assert not bob.connack.session_present
        if end == "break":
            await broken_off(bob)
    async with Peer(broker, "bob", version, clean_start=False, properties=lasting(version)) as again:
        assert again.connack.session_present


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.1.2-5", "5.0:MQTT-3.1.2-5")
async def test_messages_are_stored_for_a_session_that_is_away(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version, clean_start=False, properties=lasting(version)) as bob:
        await bob.subscribe("a", qos=2)
    async with Peer(broker, "ann") as ann:
        await ann.publish("a", b"one", qos=1)
        await ann.publish("a", b"two", qos=2)
    async with Peer(broker, "bob", version, clean_start=False, properties=lasting(version)) as again:
        found = [await again.receive() for _ in range(2)]
        assert [(message.payload, message.qos) for message in found] == [(b"one", 1), (b"two", 2)]
        await again.nothing()


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.1.2-7")
async def test_retained_messages_outlive_the_session_of_their_publisher(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as bob:
        await bob.publish("a", b"retained", qos=1, retain=True)
    async with Peer(broker, "ann", version) as ann:
        await ann.subscribe("a")
        assert (await ann.receive()).payload == b"retained"


@SINCE_3_1_1
@pytest.mark.clause("3.1.1:MQTT-3.1.3-2", "5.0:MQTT-3.1.3-2")
async def test_sessions_are_told_apart_by_their_client_identifiers(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version, clean_start=False, properties=lasting(version)) as bob:
        await bob.subscribe("a", qos=1)
    async with Peer(broker, "Bob", version, clean_start=False, properties=lasting(version)) as other:
        assert not other.connack.session_present
        await other.publish("a", b"for bob alone", qos=1)
        await other.nothing()
    async with Peer(broker, "bob", version, clean_start=False, properties=lasting(version)) as again:
        assert again.connack.session_present
        assert (await again.receive()).payload == b"for bob alone"


# -- 3.1.2.10: keep alive


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.1.2-24", "5.0:MQTT-3.1.2-22", "5.0:MQTT-3.2.2-22")
async def test_a_silent_client_is_taken_for_dead(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("gone")
        began = asyncio.get_running_loop().time()
        async with Peer(broker, "bob", version, keep_alive=1, will=Will("gone", b"silent")) as bob:
            assert bob.connack.properties.server_keep_alive is None
            assert codes(await bob.closed()) == complaint(version, 0x8D)
        assert asyncio.get_running_loop().time() - began > 1.45, "earlier than one and a half times 1 s"
        assert (await ann.receive()).payload == b"silent"


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.1.2-24", "5.0:MQTT-3.1.2-22")
async def test_a_client_that_pings_outlives_a_silent_one(broker: Broker, version: Version) -> None:
    async with (
        Peer(broker, "ann", version, keep_alive=2) as ann,
        Peer(broker, "bob", version, keep_alive=2) as bob,
    ):
        silence = asyncio.create_task(bob.closed())
        while not silence.done():
            await ann.ping()
            await asyncio.wait([silence], timeout=0.3)
        await ann.ping()


# -- 3.1.2.11: properties


@ONLY_5
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.clause("5.0:MQTT-3.1.2-24", "5.0:MQTT-3.1.2-25")
async def test_a_message_too_large_for_a_client_counts_as_delivered(broker: Broker, version: Version, qos: int) -> None:
    narrow = Properties(maximum_packet_size=60, receive_maximum=1)
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", properties=narrow) as bob:
        await ann.subscribe("a", qos=qos)
        await bob.subscribe("a", qos=qos)
        for payload in (b"x" * 60, b"y" * 60, b"small"):
            await ann.publish("a", payload, qos=qos)
            assert (await ann.receive()).payload == payload
        assert (await bob.receive()).payload == b"small"
        await bob.nothing()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.1.2-24")
async def test_a_packet_of_exactly_the_maximum_size_is_sent(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", properties=Properties(maximum_packet_size=60)) as bob:
        await bob.subscribe("a")
        for size in (55, 54):  # with its header, topic and property length that makes 61 and 60 bytes
            await bob.publish("a", b"x" * size)
        assert (await bob.receive()).payload == b"x" * 54
        await bob.nothing()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.1.2-24")
async def test_a_client_too_narrow_for_its_connack_gets_none(broker: Broker, version: Version) -> None:
    login = Connect("bob", will=Will("gone", b"bye"), properties=Properties(maximum_packet_size=4))
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("#")
        assert await answers(broker, login) == []
        await ann.nothing()  # it was never connected, so its will is not sent


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.1.2-26", "5.0:MQTT-3.3.2-11")
async def test_topic_aliases_stay_within_the_clients_maximum(broker: Broker, version: Version) -> None:
    topics = ["one", "two", "three", "four"] * 3
    async with Peer(broker, "bob", properties=Properties(topic_alias_maximum=2)) as bob:
        await bob.subscribe("#")
        known: dict[int, str] = {}
        for topic in topics:
            await bob.publish(topic, topic.encode())
            message = await bob.receive()
            alias = message.properties.topic_alias
            assert alias in (None, 1, 2)
            if alias and message.topic:
                known[alias] = message.topic
            assert (message.topic or known[alias]) == topic


@ONLY_5
@pytest.mark.parametrize("maximum", [None, 0])
@pytest.mark.clause("5.0:MQTT-3.1.2-27")
async def test_a_client_that_wants_no_topic_aliases_gets_none(
    broker: Broker, version: Version, maximum: int | None
) -> None:
    async with Peer(broker, "bob", properties=Properties(topic_alias_maximum=maximum)) as bob:
        await bob.subscribe("#")
        for _ in range(3):
            await bob.publish("a", b"again")
            message = await bob.receive()
            assert (message.topic, message.properties.topic_alias) == ("a", None)


@ONLY_5
@pytest.mark.parametrize(("wanted", "given"), [(None, None), (0, None), (1, "replies/")])
@pytest.mark.clause("5.0:MQTT-3.1.2-28")
async def test_response_information_is_for_those_who_ask(
    make_broker: MakeBroker, version: Version, wanted: int | None, given: str | None
) -> None:
    broker = await make_broker(response_information="replies/")
    async with Peer(broker, "bob", properties=Properties(request_response_information=wanted)) as bob:
        assert bob.connack.properties.response_information == given


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.1.2-29")
async def test_a_client_that_wants_no_problem_information_gets_bare_answers(
    make_broker: MakeBroker, version: Version
) -> None:
    broker = await make_broker(max_topic_levels=2, max_retained=1)
    async with Peer(broker, "bob", properties=Properties(request_problem_information=0)) as bob:
        await bob.publish("first", b"x", qos=1, retain=True)
        problems = [
            await bob.subscribe("a/b/c", qos=1),
            await bob.unsubscribe("a/b/c"),
            await bob.publish("nobody", b"x", qos=1),
            await bob.publish("nobody", b"x", qos=2),
            await bob.publish("second", b"x", qos=1, retain=True),
            await bob.publish("second", b"x", qos=2, retain=True),
        ]
        bob.send(Pubrel(4711))
        problems.append(await bob.receive())
    assert all(problem.properties == Properties() for problem in problems)
    assert problems[0].reason_codes[0] >= 0x80
    assert problems[-1].reason_code == 0x92


# -- 3.1.4: what the server does


@EVERY_VERSION
@pytest.mark.parametrize(
    "change",
    [lambda whole: packet(0x10, whole[2:-1]), lambda whole: packet(0x10, whole[2:], b"\x00")],
    ids=["cut short", "too long"],
)
@pytest.mark.clause("3.1.1:MQTT-3.1.4-1", "3.1.1:MQTT-3.2.2-6", "5.0:MQTT-3.1.4-1")
async def test_a_connect_that_does_not_conform_is_closed(broker: Broker, version: Version, change) -> None:
    found = await answers(broker, change(connect(version)), version=version)
    assert codes(found) == refused(version, 0x81)


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.1.4-2", "5.0:MQTT-3.1.4-3")
async def test_a_client_that_comes_again_takes_over(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as old, Peer(broker, "bob", version) as new:
        assert codes(await old.closed()) == complaint(version, 0x8E)
        await new.subscribe("a")
        await new.publish("a", b"works at once", qos=1)
        assert (await new.receive()).payload == b"works at once"


@SINCE_3_1_1
@pytest.mark.clause("3.1.1:MQTT-3.1.4-2", "5.0:MQTT-3.1.4-3")
async def test_an_old_client_is_disconnected_by_a_new_one_of_another_version(broker: Broker, version: Version) -> None:
    other = V3_1_1 if version is V5 else V5
    async with Peer(broker, "bob", version) as old, Peer(broker, "bob", other) as new:
        await old.closed()
        await new.ping()


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.1.4-4", "5.0:MQTT-3.1.4-5")
async def test_a_good_connect_is_acknowledged_with_0(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as bob:
        assert bob.received == [bob.connack]
        assert bob.connack.reason_code == 0


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.1.4-5", "5.0:MQTT-3.1.4-6", "5.0:MQTT-3.14.0-1")
async def test_nothing_after_a_rejected_connect_is_processed(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("#")
        login, message = Connect(TOO_LONG, version=version), Publish("a", b"not to be seen")
        everything = login.encode(version) + message.encode(version) + Pingreq().encode(version)
        assert codes(await answers(broker, everything, version=version)) == [("Connack", 0x85)]
        await ann.nothing()


@EVERY_VERSION
@pytest.mark.clause("5.0:MQTT-3.14.0-1")
async def test_a_refused_will_is_never_sent(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("#")
        found = await answers(broker, Connect(TOO_LONG, will=Will("gone", b"bye"), version=version), version=version)
        assert not any(isinstance(each, Disconnect) for each in found)
        await ann.nothing()
