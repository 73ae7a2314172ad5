"""What is sent again, in which order, how many at a time, and how large."""

import pytest

from linnet import Broker
from linnet.wire import Pingreq, Properties, Puback, Pubcomp, Publish, Pubrec, Pubrel, Version
from tests.clock import stopped_clock
from tests.conformance.tools import BEFORE_5, EVERY_VERSION, ONLY_5, codes, complaint, lasting
from tests.conftest import MakeBroker
from tests.peer import Packet, Peer

ABOVE_0 = pytest.mark.parametrize("qos", [1, 2])


def durable(broker: Broker, version: Version, manual: bool = True, **more: int) -> Peer:
    """The client `bob`, whose session outlives its connection."""
    return Peer(broker, "bob", version, clean_start=False, properties=lasting(version, **more), manual=manual)


def said(packets: list[Packet]) -> list[tuple[str, bytes, bool]]:
    """What came, in short: the type, the payload of a message, and whether it is a repetition."""
    return [(type(each).__name__, getattr(each, "payload", b""), getattr(each, "dup", False)) for each in packets]


# -- sending again


@EVERY_VERSION
async def test_after_a_reconnect_everything_comes_in_its_old_order(broker: Broker, version: Version) -> None:
    """First what is unacknowledged, each as far as it got and under its identifier, and then what was published since.

    A message after its PUBREC is only released; nothing of it is published again.
    """
    async with Peer(broker, "ann", version) as ann:
        async with durable(broker, version) as bob:
            await bob.subscribe("a", qos=2)
            for number, qos in enumerate((1, 2, 1, 2, 1)):
                await ann.publish("a", b"%d" % number, qos=qos)
            sent = [await bob.expect(Publish) for _ in range(5)]
            bob.send(Puback(sent[2].packet_id))
            bob.send(Pubrec(sent[1].packet_id))
            await bob.expect(Pubrel)
        await ann.publish("a", b"newer", qos=1)
        async with durable(broker, version) as again:
            await ann.publish("a", b"newest", qos=2)
            found = [await again.receive() for _ in range(6)]
            await again.nothing()
        assert said(found) == [
            ("Publish", b"0", True),
            ("Pubrel", b"", False),
            ("Publish", b"3", True),
            ("Publish", b"4", True),
            ("Publish", b"newer", False),
            ("Publish", b"newest", False),
        ]
        assert [each.packet_id for each in found[:4]] == [sent[number].packet_id for number in (0, 1, 3, 4)]


@EVERY_VERSION
@ABOVE_0
async def test_nothing_is_sent_again_while_the_connection_lives(broker: Broker, version: Version, qos: int) -> None:
    """However long an acknowledgement takes, and whatever else is said meanwhile, a message comes once."""
    with stopped_clock(broker) as clock:
        async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version, manual=True) as bob:
            await bob.subscribe("a", qos=qos)
            await ann.publish("a", b"x", qos=qos)
            message = await bob.expect(Publish)
            for _ in range(10):
                clock.forward(60)
                await bob.subscribe("b", qos=qos)
            if qos == 2:
                bob.send(Pubrec(message.packet_id))
                await bob.expect(Pubrel)
                clock.forward(600)
            await bob.nothing()


@EVERY_VERSION
async def test_a_packet_half_received_is_forgotten_with_its_connection(broker: Broker, version: Version) -> None:
    """The first bytes of a packet, and then the end of the connection: nothing of it is left for the next one."""
    whole = Publish("a", b"half a message", 1, packet_id=1).encode(version)
    async with Peer(broker, "ann", version) as ann:
        await ann.subscribe("#", qos=1)
        for at in range(1, len(whole)):
            bob = await durable(broker, version)
            bob.send(Pingreq())
            bob.send(whole[:at])
            await bob.receive()
            bob.abort()
        async with durable(broker, version) as again:
            again.send(whole)
            assert (await again.expect(Puback)).packet_id == 1
        assert (await ann.receive()).payload == b"half a message"
        await ann.nothing()


# -- the queue


@EVERY_VERSION
@pytest.mark.parametrize("window", [1, 3, 100])
async def test_what_waited_for_a_client_comes_in_the_order_it_was_published_in(
    make_broker: MakeBroker, version: Version, window: int
) -> None:
    """QoS 1 and 2 keep their common order in the queue, however few may be under way; QoS 0 did not wait."""
    broker = await make_broker(max_inflight=window)
    async with durable(broker, version) as bob:
        await bob.subscribe("#", qos=2)
    async with Peer(broker, "ann") as ann:
        for number in range(30):
            await ann.publish("a", b"%d" % number, qos=number % 3)
    async with durable(broker, version, manual=False) as again:
        found = [await again.receive() for _ in range(20)]
        numbers = [number for number in range(30) if number % 3]
        assert [(each.payload, each.qos) for each in found] == [(b"%d" % number, number % 3) for number in numbers]
        assert [each.packet_id for each in found] == list(range(1, 21))
        await again.nothing()


@ONLY_5
async def test_expired_messages_leave_the_queue_without_a_trace(broker: Broker, version: Version) -> None:
    """With one message at a time, those that expire in between use up neither packet identifiers nor the quota."""
    async with durable(broker, version) as bob:
        await bob.subscribe("#", qos=2)
    with stopped_clock(broker) as clock:
        async with Peer(broker, "ann") as ann:
            for number in range(8):
                expiry = 5 if number in (0, 1, 3, 4, 7) else None
                properties = Properties(message_expiry_interval=expiry)
                await ann.publish("a", b"%d" % number, qos=1 + number % 2, properties=properties)
        clock.forward(5)
        async with durable(broker, version, manual=False, receive_maximum=1) as again:
            found = [await again.receive() for _ in range(3)]
            assert [(each.payload, each.packet_id) for each in found] == [(b"2", 1), (b"5", 2), (b"6", 3)]
            await again.nothing()


@EVERY_VERSION
@pytest.mark.parametrize("limit", [{"max_queued_messages": 3}, {"max_queued_bytes": 3 * len(b"a0")}])
async def test_a_full_queue_drops_the_newest_and_counts_them(
    make_broker: MakeBroker, version: Version, limit: dict[str, int]
) -> None:
    """Messages beyond the queue's limits are dropped, the queue itself stays, and what was dropped is counted."""
    broker = await make_broker(**limit)
    async with durable(broker, version) as bob:
        await bob.subscribe("a", qos=1)
    for dropped in (2, 4):
        async with Peer(broker, "ann") as ann:
            for number in range(5):
                await ann.publish("a", b"%d" % number, qos=1)
        assert broker.sessions["bob"].sender.statistics.dropped_queue_full == dropped
        async with durable(broker, version, manual=False) as again:
            assert [(await again.receive()).payload for _ in range(3)] == [b"0", b"1", b"2"]
            await again.nothing()


# -- how many at a time, to a client


@ONLY_5
async def test_both_qualities_of_service_share_one_quota(broker: Broker, version: Version) -> None:
    """A Receive Maximum of 2 counts QoS 1 and 2 together, and a PUBLISH of QoS 0 passes by them."""
    async with Peer(broker, "ann") as ann, durable(broker, version, receive_maximum=2) as bob:
        await bob.subscribe("#", qos=2)
        for number, qos in enumerate((2, 1, 1, 2)):
            await ann.publish("a", b"%d" % number, qos=qos)
        two, one = await bob.expect(Publish), await bob.expect(Publish)
        await ann.publish("a", b"passes by", qos=0)
        assert (await bob.expect(Publish)).payload == b"passes by"
        await bob.nothing()
        bob.send(Puback(one.packet_id))
        third = await bob.expect(Publish)
        assert third.payload == b"2"
        await bob.nothing()
        bob.send(Pubrec(two.packet_id))
        await bob.expect(Pubrel)
        await bob.nothing()
        bob.send(Pubcomp(two.packet_id))
        assert (await bob.expect(Publish)).payload == b"3"


@EVERY_VERSION
@ABOVE_0
async def test_the_broker_has_a_limit_of_its_own(make_broker: MakeBroker, version: Version, qos: int) -> None:
    """A client without a Receive Maximum, as all are before 5.0, has no more under way than `max_inflight`."""
    broker = await make_broker(max_inflight=3)
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", version, manual=True) as bob:
        await bob.subscribe("a", qos=qos)
        for number in range(5):
            await ann.publish("a", b"%d" % number, qos=qos)
        assert [(await bob.expect(Publish)).payload for _ in range(3)] == [b"0", b"1", b"2"]
        await bob.nothing()


# -- how many at a time, from a client


@ONLY_5
async def test_a_publisher_may_have_as_many_under_way_as_it_was_told(make_broker: MakeBroker, version: Version) -> None:
    """PUBREL gives its place back; QoS 0 and 1 and a repetition take none; the next one beyond is one too many."""
    broker = await make_broker(receive_maximum=2)
    async with Peer(broker, "bob", manual=True) as bob:
        for number in range(1, 6):
            for each in (number, number + 1):
                bob.send(Publish("a", b"x", 2, dup=True, packet_id=each))
                assert (await bob.expect(Pubrec)).packet_id == each
            bob.send(Publish("a", b"x"))
            assert (await bob.publish("a", b"x", qos=1)).reason_code == 0x10
            bob.send(Pubrel(number))
            assert (await bob.expect(Pubcomp)).reason_code == 0
        for number in (7, 8):
            bob.send(Publish("a", b"x", 2, packet_id=number))
        found = await bob.closed()
        assert codes(found)[-1] == ("Disconnect", 0x93)


@BEFORE_5
async def test_an_older_publisher_is_held_to_a_number_it_is_not_told(make_broker: MakeBroker, version: Version) -> None:
    """Before 5.0 nobody is told a Receive Maximum, so `receive_maximum_3` is there for who never sends PUBREL."""
    broker = await make_broker(receive_maximum=1, receive_maximum_3=3)
    async with Peer(broker, "bob", version) as bob:
        for number in (1, 2, 3, 4):
            bob.send(Publish("a", b"x", 2, packet_id=number))
        assert [each.packet_id for each in await bob.closed()] == [1, 2, 3]


@ONLY_5
async def test_what_is_unreleased_counts_on_the_next_connection(make_broker: MakeBroker, version: Version) -> None:
    """Messages without PUBREL stay so over a reconnect, and may be repeated there at the limit."""
    broker = await make_broker(receive_maximum=1)
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("a", qos=2)
        async with durable(broker, version) as bob:
            bob.send(Publish("a", b"x", 2, packet_id=5))
            await bob.expect(Pubrec)
        async with durable(broker, version) as again:
            again.send(Publish("a", b"x", 2, dup=True, packet_id=5))
            assert (await again.expect(Pubrec)).reason_code == 0
            again.send(Pubrel(5))
            assert (await again.expect(Pubcomp)).reason_code == 0
        assert (await ann.receive()).payload == b"x"
        await ann.nothing()


# -- how large, and what more a client may ask for


@EVERY_VERSION
async def test_a_packet_beyond_the_brokers_size_is_refused_by_its_header(
    make_broker: MakeBroker, version: Version
) -> None:
    """The length in the fixed header is enough: nothing of a packet that is too large is waited for."""
    broker = await make_broker(max_packet_size=1000)
    for first in (0x30, 0x82, 0x40, 0xE0):
        async with Peer(broker, "bob", version) as bob:
            bob.send(bytes((first, 0xE6, 0x07)))
            assert codes(await bob.closed()) == complaint(version, 0x95)


@ONLY_5
@ABOVE_0
async def test_a_message_too_large_for_one_is_dropped_for_that_one(broker: Broker, version: Version, qos: int) -> None:
    """A message beyond a client's Maximum Packet Size leaves its queue, its quota and its identifiers as they were."""
    async with Peer(broker, "ann") as ann:
        async with durable(broker, version) as bob:
            await bob.subscribe("a", qos=qos)
        for payload in (b"1", b"x" * 100, b"2", b"x" * 100, b"3"):
            await ann.publish("a", payload, qos=qos)
        async with durable(broker, version, manual=False, maximum_packet_size=60, receive_maximum=1) as again:
            found = [await again.receive() for _ in range(3)]
            assert [(each.payload, each.packet_id) for each in found] == [(b"1", 1), (b"2", 2), (b"3", 3)]
            await again.nothing()


@ONLY_5
@ABOVE_0
async def test_what_is_in_flight_may_be_too_large_for_the_next_connection(
    broker: Broker, version: Version, qos: int
) -> None:
    """A message sent to a wide connection and not acknowledged is dropped when the next one is too narrow for it."""
    async with Peer(broker, "ann") as ann:
        async with durable(broker, version) as bob:
            await bob.subscribe("a", qos=qos)
            for payload in (b"x" * 100, b"small"):
                await ann.publish("a", payload, qos=qos)
                await bob.expect(Publish)
        async with durable(broker, version, manual=False, maximum_packet_size=60, receive_maximum=1) as again:
            message = await again.receive()
            assert (message.payload, message.dup) == (b"small", True)
            await ann.publish("a", b"next", qos=qos)
            assert (await again.receive()).payload == b"next"
            await again.nothing()
        async with durable(broker, version) as wide:
            await wide.nothing()  # it counts as delivered, and does not return


@ONLY_5
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_client_that_wants_no_problem_information_gets_the_properties_of_messages(
    broker: Broker, version: Version, qos: int
) -> None:
    """Request Problem Information 0 is about the broker's answers; the user properties of a PUBLISH still come."""
    pairs = [("a", "1"), ("b", "2"), ("a", "1")]
    async with (
        Peer(broker, "ann") as ann,
        Peer(broker, "bob", properties=Properties(request_problem_information=0)) as bob,
    ):
        await bob.subscribe("a", qos=qos)
        await ann.publish("a", b"x", qos=qos, retain=True, properties=Properties(user_properties=pairs))
        assert (await bob.receive()).properties.user_properties == pairs
        await bob.subscribe("a", qos=qos)
        assert (await bob.receive()).properties.user_properties == pairs


@BEFORE_5
@pytest.mark.parametrize(
    "sent", [Publish("a", b"x", 1, packet_id=1), Publish("a", b"x", 2, packet_id=1), Publish("a", b"x", retain=True)]
)
async def test_an_older_client_that_uses_what_is_not_available_is_closed(
    make_broker: MakeBroker, version: Version, sent: Publish
) -> None:
    """A client before 5.0 cannot be told that QoS 1 or RETAIN is not available: its connection ends without a word."""
    broker = await make_broker(max_qos=0, retain_available=False)
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", version) as bob:
        await ann.subscribe("#")
        bob.send(sent)
        assert await bob.closed() == []
        await ann.subscribe("#")
        await ann.nothing()
