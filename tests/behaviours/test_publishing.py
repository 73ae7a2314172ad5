"""What becomes of a PUBLISH: odd topics, repeated identifiers, acknowledgements that do not fit."""

from collections.abc import Callable

import pytest

from linnet import Broker
from linnet.wire import Connect, Properties, Puback, Pubcomp, Publish, Pubrec, Pubrel, Version, Will
from tests.conformance.tools import EVERY_VERSION, ONLY_5, answers, broken_off, codes, complaint, lasting
from tests.conftest import MakeBroker
from tests.peer import Packet, Peer

ABOVE_0 = pytest.mark.parametrize("qos", [1, 2])
ODD = {
    "control": "a\x01b",
    "delete": "a\x7fb",
    "second set": "a\x85b",
    "non-character": "a\uffffb",
    "plane": "a\U0001ffffb",
}
ODD_TEXT = pytest.mark.parametrize("text", ODD.values(), ids=ODD)


# -- text


@EVERY_VERSION
@ODD_TEXT
async def test_control_characters_are_characters_by_default(broker: Broker, version: Version, text: str) -> None:
    """Nothing but U+0000 and what is no Unicode at all is kept out of topics, unless the owner wants it."""
    async with Peer(broker, text, version, will=Will(text, b"bye")) as bob:
        await bob.subscribe(text, qos=1)
        await bob.publish(text, b"x", qos=1, properties=Properties(user_properties=[(text, text)]))
        message = await bob.receive()
        assert message.topic == text
        if version.has_properties:
            assert message.properties.user_properties == [(text, text)]


@EVERY_VERSION
@ODD_TEXT
async def test_control_characters_in_a_topic_end_the_connection_where_they_are_not_wanted(
    make_broker: MakeBroker, version: Version, text: str
) -> None:
    """An owner may refuse control characters and non-characters: a PUBLISH with one in its topic is the last."""
    broker = await make_broker(refuse_control_characters=True)
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        await ann.subscribe("#")
        bob.send(Publish(text, b"x", 1, packet_id=1))
        assert not any(isinstance(each, Puback) for each in await broken_off(bob))
        await ann.nothing()


@ONLY_5
@ODD_TEXT
async def test_control_characters_in_a_property_end_the_connection_where_they_are_not_wanted(
    make_broker: MakeBroker, version: Version, text: str
) -> None:
    """An owner who refuses control characters and non-characters refuses them in the properties of PUBLISH too."""
    broker = await make_broker(refuse_control_characters=True)
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await ann.subscribe("#")
        bob.send(Publish("a", b"x", 1, packet_id=1, properties=Properties(content_type=text)))
        assert not any(isinstance(each, Puback) for each in await broken_off(bob))
        await ann.nothing()


@EVERY_VERSION
@pytest.mark.parametrize(
    "login",
    [
        lambda version: Connect("a\x01b", version=version),
        lambda version: Connect("bob", user_name="a\x01b", version=version),
        lambda version: Connect("bob", will=Will("a\x01b", b"bye"), version=version),
    ],
    ids=["client identifier", "user name", "will topic"],
)
async def test_control_characters_in_connect_are_refused_where_they_are_not_wanted(
    make_broker: MakeBroker, version: Version, login: Callable[[Version], Connect]
) -> None:
    """An owner who refuses control characters refuses them in CONNECT too."""
    broker = await make_broker(refuse_control_characters=True)
    again = Connect("bob", version=version)  # a violation, should the first one have been accepted
    found = await answers(broker, login(version), again, version=version)
    assert not found or found[0].reason_code >= 0x80


# -- QoS 2 from a client


@EVERY_VERSION
async def test_an_identifier_that_was_not_released_means_the_message_it_first_meant(
    broker: Broker, version: Version
) -> None:
    """Before PUBREL a packet identifier stands for one message: a PUBLISH with another topic is a repetition of it."""
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version, manual=True) as bob:
        await ann.subscribe("#", qos=2)
        for topic, dup in (("first", False), ("second", True), ("third", False)):
            bob.send(Publish(topic, b"x", 2, dup=dup, packet_id=3))
            assert (await bob.expect(Pubrec)).packet_id == 3
        assert (await ann.receive()).topic == "first"
        await ann.nothing()


@EVERY_VERSION
async def test_a_repeated_pubrel_is_answered_again(broker: Broker, version: Version) -> None:
    """A client that missed a PUBCOMP and says PUBREL again hears PUBCOMP, in 5.0 with 0x92: it is released already."""
    async with Peer(broker, "bob", version, manual=True) as bob:
        bob.send(Publish("a", b"x", 2, packet_id=3))
        await bob.expect(Pubrec)
        for code in (0, 0x92, 0x92):
            bob.send(Pubrel(3))
            assert (await bob.expect(Pubcomp)).reason_code == (code if version.can_say_why else 0)


@EVERY_VERSION
async def test_identifiers_of_the_two_directions_have_nothing_to_do_with_each_other(
    broker: Broker, version: Version
) -> None:
    """Client and broker may both have a message with the same packet identifier under way."""
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version, manual=True) as bob:
        await bob.subscribe("to/bob", qos=2)
        await ann.publish("to/bob", b"x", qos=2)
        number = (await bob.expect(Publish)).packet_id
        bob.send(Publish("from/bob", b"x", 2, packet_id=number))
        assert (await bob.expect(Pubrec)).packet_id == number
        bob.send(Pubrec(number))
        assert (await bob.expect(Pubrel)).packet_id == number
        bob.send(Pubrel(number))
        assert (await bob.expect(Pubcomp)).packet_id == number
        bob.send(Pubcomp(number))
        await bob.nothing()


# -- acknowledgements that do not fit


@EVERY_VERSION
@pytest.mark.parametrize(
    ("qos", "sent"),
    [(1, [Pubrec]), (1, [Pubcomp]), (2, [Puback]), (2, [Pubcomp]), (2, [Pubrec, Puback])],
    ids=["PUBREC for 1", "PUBCOMP for 1", "PUBACK for 2", "PUBCOMP for 2", "PUBACK after PUBREL"],
)
async def test_an_acknowledgement_of_the_wrong_kind_ends_the_connection(
    broker: Broker, version: Version, qos: int, sent: list[type[Packet]]
) -> None:
    """An acknowledgement that belongs to another QoS, or comes out of its turn, is a protocol error."""
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version, manual=True) as bob:
        await bob.subscribe("a", qos=qos)
        await ann.publish("a", b"x", qos=qos)
        number = (await bob.expect(Publish)).packet_id
        for kind in sent:
            bob.send(kind(number))
        left = [each for each in await bob.closed() if not isinstance(each, Pubrel)]
        assert codes(left) == complaint(version, 0x82)


@EVERY_VERSION
@pytest.mark.parametrize(("qos", "wrong"), [(1, Pubrec), (2, Puback)])
async def test_a_wrong_acknowledgement_acknowledges_nothing(
    broker: Broker, version: Version, qos: int, wrong: type[Packet]
) -> None:
    """What was acknowledged in a wrong way comes again on the next connection."""
    kept = lasting(version)
    async with Peer(broker, "ann", version) as ann:
        async with Peer(broker, "bob", version, False, properties=kept, manual=True) as bob:
            await bob.subscribe("a", qos=qos)
            await ann.publish("a", b"x", qos=qos)
            bob.send(wrong((await bob.expect(Publish)).packet_id))
            await bob.closed()
        async with Peer(broker, "bob", version, False, properties=kept, manual=True) as again:
            message = await again.expect(Publish)
            assert (message.payload, message.dup) == (b"x", True)


# -- whether anybody was there


@ONLY_5
@ABOVE_0
async def test_a_publisher_is_told_when_nobody_is_subscribed(broker: Broker, version: Version, qos: int) -> None:
    """Reason code 0x10 says that there is no subscriber, and never that of a message which somebody gets."""
    async with Peer(broker, "ann", manual=True) as ann:
        first = Puback if qos == 1 else Pubrec

        async def told(topic: str, retain: bool = False) -> int:
            number = ann.next_id()
            ann.send(Publish(topic, b"x", qos, retain, packet_id=number))
            answer = await ann.expect(first)
            assert answer.packet_id == number
            return int(answer.reason_code)

        assert await told("nobody") == 0x10
        assert await told("nobody/but/retained", retain=True) == 0x10
        async with (
            Peer(broker, "bob", clean_start=False, properties=lasting(version)) as bob,
            Peer(broker, "cat", clean_start=False, properties=lasting(version)) as cat,
        ):
            await bob.subscribe("plain", qos=0)
            await bob.subscribe("queue", qos=1)
            await cat.subscribe("$share/group/shared", qos=1)
            assert [await told(topic) for topic in ("plain", "queue", "shared")] == [0, 0, 0]
        assert [await told(topic) for topic in ("queue", "shared")] == [0, 0]  # they get it when they come back


@ONLY_5
@ABOVE_0
async def test_the_broker_may_keep_to_itself_whether_anybody_is_subscribed(
    make_broker: MakeBroker, version: Version, qos: int
) -> None:
    """Telling publishers that nobody is subscribed can be switched off."""
    broker = await make_broker(tell_no_subscribers=False)
    async with Peer(broker, "ann") as ann:
        ann.send(Publish("nobody", b"x", qos, packet_id=1))
        await ann.ping()
        assert ann.received[1].reason_code == 0


# -- topics that begin with $


@EVERY_VERSION
@pytest.mark.parametrize(
    "topic", ["$", "$a", "$a/b", "$SYSTEM/x", "$shared/x", "$sys/x", "$SHARE/x", "a/$SYS", "$/SYS"]
)
async def test_a_topic_that_begins_with_a_dollar_is_a_topic(broker: Broker, version: Version, topic: str) -> None:
    """A message to a $-topic that means nothing to the broker is acknowledged, and delivered to who asks for it."""
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        await bob.subscribe(topic, qos=2)
        await ann.publish(topic, b"0")
        for qos in (1, 2):
            assert (await ann.publish(topic, b"%d" % qos, qos=qos)).reason_code == 0
        assert [(await bob.receive()).payload for _ in range(3)] == [b"0", b"1", b"2"]


@EVERY_VERSION
@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.parametrize("topic", ["$SYS", "$SYS/", "$SYS/broker/uptime", "$share", "$share/a", "$share/group/a"])
async def test_clients_may_not_publish_where_the_broker_speaks(
    broker: Broker, version: Version, topic: str, retain: bool
) -> None:
    """A PUBLISH to $SYS or $share goes nowhere: 5.0 hears 0x87, an older client cannot be told, and both stay."""
    refusal = 0x87 if version.can_say_why else 0
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        await bob.subscribe("$SYS/#", qos=2)
        await bob.subscribe("a", qos=2)
        await bob.subscribe("$share/group/a", qos=2)
        await ann.publish(topic, b"x", retain=retain)
        for qos in (1, 2):
            assert (await ann.publish(topic, b"x", qos=qos, retain=retain)).reason_code == refusal
        await bob.subscribe("$SYS/#", qos=2)
        await bob.nothing()


# -- a client that hears itself


@EVERY_VERSION
@ABOVE_0
async def test_a_clients_own_message_reaches_it_and_is_acknowledged(broker: Broker, version: Version, qos: int) -> None:
    """Who subscribed to what it publishes gets both the acknowledgement and the message, in whichever order."""
    async with Peer(broker, "bob", version, manual=True) as bob:
        await bob.subscribe("a", qos=qos)
        bob.send(Publish("a", b"x", qos, packet_id=77))
        found = {type(each): each for each in (await bob.receive(), await bob.receive())}
        assert found[Publish].payload == b"x"
        assert found[Puback if qos == 1 else Pubrec].packet_id == 77
        await bob.nothing()


# -- the broker's packet identifiers


@EVERY_VERSION
@ABOVE_0
async def test_every_session_counts_its_packet_identifiers_from_1(broker: Broker, version: Version, qos: int) -> None:
    """The identifiers that the broker gives are 1, 2, 3 and so on, in each session by itself."""
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        await ann.subscribe("a", qos=qos)
        await ann.publish("a", b"x", qos=qos)
        assert (await ann.receive()).packet_id == 1
        await bob.subscribe("a", qos=qos)
        for number in (1, 2, 3):
            await ann.publish("a", b"x", qos=qos)
            assert (await ann.receive()).packet_id == number + 1
            assert (await bob.receive()).packet_id == number


@EVERY_VERSION
@ABOVE_0
async def test_after_65535_comes_the_next_identifier_that_is_free(broker: Broker, version: Version, qos: int) -> None:
    """The broker's identifiers start over after 65535, and pass over those still in use."""
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version, manual=True) as bob:
        await bob.subscribe("a", qos=qos)
        for _ in range(2):
            await ann.publish("a", b"x", qos=qos)
        broker.sessions["bob"].sender.last_id = 65533  # as if so many had come and gone
        for _ in range(3):
            await ann.publish("a", b"x", qos=qos)
        assert [(await bob.expect(Publish)).packet_id for _ in range(5)] == [1, 2, 65534, 65535, 3]
