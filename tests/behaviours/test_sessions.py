"""Sessions: when there is one, when it ends, and what waits in it."""

import pytest

from linnet import Broker
from linnet.wire import Properties, Puback, Publish, Version, Will
from tests.accidents import ENDS, end, seconds_pass
from tests.conformance.tools import EVERY_VERSION, ONLY_5, SINCE_3_1_1, lasting
from tests.conftest import MakeBroker
from tests.peer import Peer

NEVER = 0xFFFFFFFF
BELL = "bell"


def durable(broker: Broker, version: Version, manual: bool = False, window: int | None = None) -> Peer:
    """A client that resumes its session."""
    kept = lasting(version, receive_maximum=window)
    return Peer(broker, "bob", version, False, properties=kept, manual=manual)


async def go_leaving_a_will(
    broker: Broker, client_id: str, delay: int, expiry: int, accident: str = "violation"
) -> None:
    """A client comes and goes; its will, of which its name is the payload, is sent after the delay or the session."""
    will = Will(BELL, client_id.encode(), properties=Properties(will_delay_interval=delay))
    properties = Properties(session_expiry_interval=expiry)
    await end(await Peer(broker, client_id, will=will, properties=properties), accident)


@ONLY_5
async def test_a_session_is_present_exactly_when_there_is_one(broker: Broker, version: Version) -> None:
    """Clean start and session expiry in every order: each CONNACK tells what the connection before has left."""
    course = [
        (True, False, False),
        (False, True, False),
        (False, True, True),
        (True, True, False),
        (False, False, True),
        (False, True, False),
        (True, False, False),
        (True, False, False),
        (False, False, False),
    ]
    for clean_start, lasts, present in course:
        properties = lasting(version) if lasts else Properties()
        async with Peer(broker, "bob", version, clean_start, properties=properties) as bob:
            assert bob.connack.session_present is present


@SINCE_3_1_1
async def test_clean_then_lasting_then_clean(broker: Broker, version: Version) -> None:
    """A clean session leaves nothing to the lasting one after it, and that nothing to the clean one after."""
    for clean_start, present in ((True, False), (False, False), (False, True), (True, False), (False, False)):
        properties = lasting(version, 0 if clean_start else 3600)
        async with Peer(broker, "bob", version, clean_start, properties=properties) as bob:
            assert bob.connack.session_present is present
            await bob.publish("a", b"x", qos=1)
            if present:
                assert (await bob.receive()).payload == b"x"
            await bob.nothing()
            await bob.subscribe("a", qos=1)


@ONLY_5
@pytest.mark.parametrize("how", ENDS)
async def test_without_an_expiry_a_session_ends_with_its_connection(broker: Broker, version: Version, how: str) -> None:
    """No Session Expiry Interval and one of 0 are the same: what was subscribed and in flight goes at once."""
    for expiry in (None, 0):
        bob = await Peer(broker, "bob", properties=Properties(session_expiry_interval=expiry), manual=True)
        await bob.subscribe("a", qos=1)
        await bob.publish("a", b"x", qos=1)
        await bob.expect(Publish)
        await end(bob, how)
        async with Peer(broker, "bob", clean_start=False) as again:
            assert not again.connack.session_present
            await again.nothing()
        assert "bob" not in broker.sessions


@ONLY_5
@pytest.mark.parametrize("said", [0, None, 3600, NEVER])
async def test_a_goodbye_changes_how_long_the_session_lasts(broker: Broker, version: Version, said: int | None) -> None:
    """DISCONNECT may shorten or lengthen a session that was to last, and 0 ends it there and then."""
    async with Peer(broker, "bob", properties=lasting(version, 1800)) as bob:
        await bob.disconnect(0, Properties(session_expiry_interval=said))
    assert ("bob" in broker.sessions) is (said != 0)
    async with durable(broker, version) as again:
        assert again.connack.session_present is (said != 0)


@ONLY_5
@pytest.mark.parametrize("seconds", [1, 2, 3])
async def test_a_session_ends_to_the_second(broker: Broker, version: Version, seconds: int) -> None:
    """A session of so many seconds ends after a delay of as many that began before it, and before one after it."""
    async with Peer(broker, "ann") as ann:
        await ann.subscribe(BELL, qos=1)
        await go_leaving_a_will(broker, "before", seconds, NEVER)
        await go_leaving_a_will(broker, "bob", NEVER, seconds)
        await go_leaving_a_will(broker, "after", seconds, NEVER)
        for expected in (b"before", b"bob", b"after"):
            assert (await ann.receive()).payload == expected
        assert "bob" not in broker.sessions


@ONLY_5
@pytest.mark.parametrize("expiry", [0xFFFFFFFE, NEVER])
async def test_the_longest_expiry_is_only_a_long_time(make_broker: MakeBroker, version: Version, expiry: int) -> None:
    """136 years, and for ever, are waited for like any other time, and nothing runs over."""
    broker = await make_broker(max_session_expiry=NEVER)
    for _ in range(2):
        async with Peer(broker, "bob", clean_start=False, properties=lasting(version, expiry)) as bob:
            assert bob.connack.properties.session_expiry_interval in (None, expiry)
    await seconds_pass(broker, 1)
    async with Peer(broker, "bob", clean_start=False) as again:
        assert again.connack.session_present


@ONLY_5
async def test_the_owner_may_limit_how_long_sessions_last(make_broker: MakeBroker, version: Version) -> None:
    """A client that wants more than the owner allows is told what it gets, and gets that, from DISCONNECT too."""
    broker = await make_broker(max_session_expiry=1)
    async with Peer(broker, "bob", properties=lasting(version, 3600)) as bob:
        assert bob.connack.properties.session_expiry_interval == 1
        await bob.disconnect(0, Properties(session_expiry_interval=NEVER))
    assert "bob" in broker.sessions
    await seconds_pass(broker, 2)
    assert "bob" not in broker.sessions


@EVERY_VERSION
@pytest.mark.parametrize("qos", [1, 2])
async def test_nothing_is_sent_again_on_the_same_connection_however_long_it_takes(
    broker: Broker, version: Version, qos: int
) -> None:
    """TCP has delivered it: what waits for its acknowledgement is sent again on the next connection, not before."""
    async with Peer(broker, "ann") as ann, durable(broker, version, manual=True) as bob:
        await bob.subscribe("a", qos=qos)
        await ann.publish("a", b"x", qos=qos)
        await bob.expect(Publish)
        await seconds_pass(broker, 2)
        await ann.publish("a", b"y", qos=qos)
        assert (await bob.expect(Publish)).payload == b"y"
        await bob.nothing()


@EVERY_VERSION
@pytest.mark.parametrize("cut", [1, 2, 5, -1])
@pytest.mark.parametrize("how", ["reset", "take-over", "shut"])
async def test_half_a_packet_is_forgotten_with_its_connection(
    broker: Broker, version: Version, cut: int, how: str
) -> None:
    """What came of a packet when its connection ended is no part of the session: the next connection starts afresh."""
    whole = Publish("a", b"x" * 300, 1, packet_id=9).encode(version)
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("#", qos=1)
        bob = await durable(broker, version)
        bob.send(b"\xc0\x00" + whole[:cut])
        await bob.receive()  # PINGRESP: the half packet behind PINGREQ has come too
        if how == "shut":
            await shut(bob)
        else:
            await end(bob, how)
        async with durable(broker, version) as again:
            await again.publish("b", b"whole", qos=1)
            assert (await ann.receive()).topic == "b"
            await ann.nothing()


async def shut(peer: Peer) -> None:
    """Ends the sending half of a peer's connection, in the middle of whatever it was saying."""
    transport = peer._line.transport
    assert transport is not None
    transport.write_eof()
    await peer.closed()


@EVERY_VERSION
async def test_messages_of_both_qos_wait_in_their_order(broker: Broker, version: Version) -> None:
    """What is published while a client is away comes in order, each at its QoS, whoever published it."""
    async with durable(broker, version) as bob:
        await bob.subscribe("#", qos=2)
    async with Peer(broker, "ann", version) as ann, Peer(broker, "cat", version) as cat:
        for number in range(30):
            await (ann, cat)[number % 2].publish(f"t/{number % 3}", str(number).encode(), qos=number % 3)
    async with durable(broker, version) as again:
        found = [await again.expect(Publish) for _ in range(20)]
        assert [(int(each.payload), each.qos) for each in found] == [
            (number, number % 3) for number in range(30) if number % 3
        ]
        assert not any(each.dup for each in found)
        await again.nothing()


@ONLY_5
async def test_a_message_that_expires_behind_the_window_uses_up_no_identifier(broker: Broker, version: Version) -> None:
    """With one message in flight, what expired in the queue is passed over as if it had never been there."""
    async with Peer(broker, "ann") as ann, durable(broker, version, manual=True, window=1) as bob:
        await bob.subscribe("a", qos=1)
        brief = Properties(message_expiry_interval=1)
        for payload, properties in (
            (b"1", None),
            (b"brief", brief),
            (b"brief", brief),
            (b"2", None),
            (b"brief", brief),
        ):
            await ann.publish("a", payload, qos=1, properties=properties)
        assert (await bob.expect(Publish)).packet_id == 1
        await seconds_pass(broker, 2)
        bob.send(Puback(1))
        message = await bob.expect(Publish)
        assert (message.payload, message.packet_id) == (b"2", 2)
        bob.send(Puback(2))
        await bob.nothing()
        await ann.publish("a", b"3", qos=1)
        assert (await bob.expect(Publish)).packet_id == 3


@ONLY_5
async def test_messages_expire_out_of_the_queue_of_a_client_that_is_away(broker: Broker, version: Version) -> None:
    """Of what waits for a client that is away, what lasts arrives in order, and what expired does not."""
    async with durable(broker, version, window=1) as bob:
        await bob.subscribe("a", qos=2)
    async with Peer(broker, "ann") as ann:
        for number in range(8):
            interval = 1 if number % 2 else 3600
            expiry = Properties(message_expiry_interval=interval)
            await ann.publish("a", str(number).encode(), qos=1 + number // 4, properties=expiry)
    await seconds_pass(broker, 2)
    async with durable(broker, version, window=1) as again:
        found = [await again.expect(Publish) for _ in range(4)]
        assert [(each.payload, each.packet_id) for each in found] == [(b"0", 1), (b"2", 2), (b"4", 3), (b"6", 4)]
        assert all(3590 <= (each.properties.message_expiry_interval or 0) < 3600 for each in found)
        await again.nothing()


@ONLY_5
async def test_a_release_sent_again_leaves_the_receive_maximum_as_it_is(broker: Broker, version: Version) -> None:
    """A PUBREL of an earlier connection takes its place in the window: not one message more is in the air."""
    async with Peer(broker, "ann") as ann:
        async with durable(broker, version, window=1) as bob:
            await bob.subscribe("a", qos=2)
            bob.manual = True
            await ann.publish("a", b"1", qos=2)
            await release(bob)
            for payload in (b"2", b"3", b"4"):
                await ann.publish("a", payload, qos=2)
        async with durable(broker, version, manual=True, window=1) as again:
            await again.ping()
            found = [each for each in again.received if isinstance(each, Publish)]
            assert len(found) <= 1
            again.send(b"\x70\x02\x00\x01")
            await again.ping()
            found = [each for each in again.received if isinstance(each, Publish)]
            assert len(found) == 1


async def release(peer: Peer) -> None:
    """Takes a QoS 2 message as far as its PUBREL."""
    message = await peer.expect(Publish)
    peer.send(b"\x50\x02" + message.packet_id.to_bytes(2, "big"))
    await peer.receive()


@EVERY_VERSION
async def test_messages_of_qos_0_do_not_wait_unless_the_owner_wants_it(
    make_broker: MakeBroker, version: Version
) -> None:
    """QoS 0 is lost on those who are away; an owner may have it kept, in its place among the others."""
    for queue_qos0, expected in ((False, [b"1", b"3"]), (True, [b"0", b"1", b"2", b"3"])):
        broker = await make_broker(queue_qos0=queue_qos0)
        async with durable(broker, version) as bob:
            await bob.subscribe("a", qos=1)
        async with Peer(broker, "ann") as ann:
            for number in range(4):
                await ann.publish("a", str(number).encode(), qos=number % 2)
            await ann.ping()
        async with durable(broker, version) as again:
            assert [(await again.receive()).payload for _ in expected] == expected
            await again.nothing()


@EVERY_VERSION
async def test_a_full_queue_keeps_what_it_has(make_broker: MakeBroker, version: Version) -> None:
    """Beyond the limit of its queue a client loses what is new, and the publisher is none the worse for it."""
    broker = await make_broker(max_queued_messages=3)
    async with durable(broker, version) as bob:
        await bob.subscribe("a", qos=1)
    async with Peer(broker, "ann", version) as ann:
        for number in range(5):
            await ann.publish("a", str(number).encode(), qos=1)
    async with durable(broker, version) as again:
        assert [(await again.receive()).payload for _ in range(3)] == [b"0", b"1", b"2"]
        await again.nothing()
