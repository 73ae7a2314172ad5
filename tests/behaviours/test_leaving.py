"""Leaving: every way in which a connection ends, what is said then, and what is not."""

from collections.abc import Callable

import pytest

from linnet import Broker
from linnet.wire import Connect, Disconnect, Properties, Publish, Version, Will
from tests.accidents import end
from tests.conformance.tools import (
    BEFORE_5,
    EVERY_VERSION,
    ONLY_5,
    answers,
    codes,
    complaint,
    lasting,
    packet,
    properties,
    string,
)
from tests.conftest import MakeBroker
from tests.peer import Peer

BYE = Will("gone", b"bye")

# What a connected client may do wrong, and what it is then told in 5.0
OFFENCES: dict[str, tuple[Callable[[Version], bytes], int]] = {
    "second CONNECT": (lambda version: Connect("bob", version=version).encode(version), 0x82),
    "type 0": (lambda version: b"\x00\x00", 0x81),
    "endless length": (lambda version: b"\x30\xff\xff\xff\xff", 0x81),
    "PINGRESP": (lambda version: b"\xd0\x00", 0x82),
    "QoS 3": (lambda version: packet(0x36, string("a"), b"\x00\x01", properties(version)), 0x81),
    "wildcard": (lambda version: packet(0x30, string("a/#"), properties(version)), 0x90),
    "no text": (lambda version: packet(0x30, string(b"\xff"), properties(version)), 0x81),
    "no filter": (lambda version: packet(0x82, b"\x00\x01", properties(version)), 0x82),
    "packet identifier 0": (lambda version: packet(0xA2, b"\x00\x00", properties(version), string("a")), 0x81),
    "long PINGREQ": (lambda version: b"\xc0\x01\x00", 0x81),
    "PUBREL with wrong flags": (lambda version: b"\x60\x02\x00\x01", 0x81),
    "too large": (lambda version: b"\x30\xff\xff\xff\x7f", 0x95),
}


@EVERY_VERSION
@pytest.mark.parametrize("offence", OFFENCES)
async def test_who_breaks_the_protocol_is_told_so_where_that_can_be_said(
    broker: Broker, version: Version, offence: str
) -> None:
    """In 5.0 the last packet is a DISCONNECT that says why, before 5.0 there is only the close; the will goes out."""
    build, code = OFFENCES[offence]
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", version, will=BYE) as bob:
        await ann.subscribe("gone")
        bob.send(build(version))
        assert codes(await bob.closed()) == complaint(version, code)
        assert (await ann.receive()).payload == b"bye"


@EVERY_VERSION
@pytest.mark.parametrize("offence", OFFENCES)
async def test_what_came_before_an_offence_counts_and_what_follows_does_not(
    broker: Broker, version: Version, offence: str
) -> None:
    """All in one piece: the message before the offence is delivered and acknowledged, the one after it is not."""
    build, _ = OFFENCES[offence]
    before, after = (Publish("a", payload, 1, packet_id=9).encode(version) for payload in (b"before", b"after"))
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", version) as bob:
        await ann.subscribe("a")
        bob.send(before + build(version) + after)
        ack, *last = await bob.closed()
        assert ack.packet_id == 9
        assert len(last) == (1 if version.can_say_why else 0)
        assert (await ann.receive()).payload == b"before"
        await ann.nothing()


@ONLY_5
@pytest.mark.parametrize(
    "properties_said",
    [
        Properties(),
        Properties(reason_string="enough"),
        Properties(user_properties=[("b", "1"), ("a", "2"), ("b", "1")]),
        Properties(session_expiry_interval=5),
        Properties(session_expiry_interval=0, reason_string="", user_properties=[("", "")]),
    ],
    ids=["none", "reason", "user properties", "expiry", "all"],
)
async def test_a_goodbye_may_say_all_that_a_client_has_to_say(
    broker: Broker, version: Version, properties_said: Properties
) -> None:
    """Every property that a client's DISCONNECT may have is taken, alone and together; it stays a goodbye."""
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("gone")
        async with Peer(broker, "bob", will=BYE, properties=lasting(version)) as bob:
            bob.send(Disconnect(0, properties_said))
            assert await bob.closed() == []
        await ann.nothing()


@ONLY_5
@pytest.mark.parametrize(
    ("goodbye", "code"),
    [
        (b"\xe0\x02\x00\x01", 0x81),
        (b"\xe0\x0c\x00\x0a\x11\x00\x00\x00\x01\x11\x00\x00\x00\x01", 0x82),
        (b"\xe0\x0a\x00\x08\x1f\x00\x01a\x1f\x00\x01a", 0x82),
        (b"\xe0\x07\x00\x05\x02\x00\x00\x00\x01", 0x82),
        (b"\xe0\x06\x00\x04\x1c\x00\x01a", 0x82),
        (b"\xe0\x01\x02", 0x81),
        (b"\xe0\x01\x87", 0x82),
        (b"\xe0\x01\x9d", 0x82),
    ],
    ids=[
        *("property length", "expiry twice", "reason twice", "property of PUBLISH", "server reference"),
        *("granted QoS 2", "not authorized", "server moved"),
    ],
)
async def test_a_wrong_goodbye_is_none(broker: Broker, version: Version, goodbye: bytes, code: int) -> None:
    """A DISCONNECT that no client may send is an offence like any other: it is told so, and the will goes out."""
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", will=BYE) as bob:
        await ann.subscribe("gone")
        bob.send(goodbye)
        assert codes(await bob.closed()) == [("Disconnect", code)]
        assert (await ann.receive()).payload == b"bye"


@BEFORE_5
@pytest.mark.parametrize("goodbye", [b"\xe0\x01\x00", b"\xe0\x02\x00\x00", b"\xe1\x00"])
async def test_before_5_a_goodbye_says_nothing(broker: Broker, version: Version, goodbye: bytes) -> None:
    """A DISCONNECT of an older client has no body and no flags; with one it is malformed, and the will goes out."""
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", version, will=BYE) as bob:
        await ann.subscribe("gone")
        bob.send(goodbye)
        assert await bob.closed() == []
        if goodbye != b"\xe1\x00" or version.level > 3:
            assert (await ann.receive()).payload == b"bye"


@EVERY_VERSION
async def test_closing_the_line_without_a_goodbye_is_an_accident(broker: Broker, version: Version) -> None:
    """An end of the stream, however orderly TCP finds it, is no DISCONNECT: the will goes out."""
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("gone")
        for last_words in (b"", b"\xe0"):
            async with Peer.raw(broker, version) as bob:
                bob.send(Connect("bob", will=BYE, version=version))
                await bob.receive()
                bob.send(last_words)
            assert (await ann.receive()).payload == b"bye"
        await ann.nothing()


@ONLY_5
@pytest.mark.parametrize("why", ["take-over", "silence", "offence", "stop"])
async def test_the_brokers_goodbye_never_speaks_of_session_expiry(
    make_broker: MakeBroker, version: Version, why: str
) -> None:
    """Whatever the reason, a DISCONNECT from the broker gives its code, and no Session Expiry Interval."""
    broker = await make_broker()
    async with Peer(broker, "bob", keep_alive=1, properties=lasting(version)) as bob:
        if why == "take-over":
            new = await Peer(broker, "bob", properties=lasting(version))
            new.abort()
        elif why == "offence":
            bob.send(b"\x00\x00")
        elif why == "stop":
            await broker.stop()
        (goodbye,) = await bob.closed()
        assert isinstance(goodbye, Disconnect)
        assert goodbye.reason_code == {"take-over": 0x8E, "silence": 0x8D, "offence": 0x81, "stop": 0x8B}[why]
        assert goodbye.properties.session_expiry_interval is None


@ONLY_5
@pytest.mark.parametrize(
    "first",
    [
        b"\xe0\x00",
        b"\xf0\x00",
        Connect("x" * 300).encode(Connect().version),
        Connect("bob", properties=Properties(authentication_method="unknown")).encode(Connect().version),
        b"\x10\x0d\x00\x04MQTT\x05\x03\x00\x00\x00\x00\x00",
        b"\x10\x0d\x00\x04MQTT\x06\x02\x00\x00\x00\x00\x00",
    ],
    ids=["goodbye first", "AUTH first", "long identifier", "unknown method", "reserved flag", "unknown level"],
)
async def test_no_goodbye_comes_before_connack(broker: Broker, version: Version, first: bytes) -> None:
    """Who was not let in is refused by CONNACK or by the close, never by a DISCONNECT."""
    found = await answers(broker, first)
    assert not any(isinstance(each, Disconnect) for each in found)
    assert len(found) == (1 if first[:1] == b"\x10" else 0)


@EVERY_VERSION
@pytest.mark.parametrize(
    "auth", [b"\xf0\x00", b"\xf0\x02\x18\x00", b"\xf0\x02\x19\x00", b"\xf0\x06\x18\x04\x15\x00\x01a"]
)
async def test_nobody_asked_for_authentication(broker: Broker, version: Version, auth: bytes) -> None:
    """AUTH from a client whose CONNECT named no method ends the connection, as an accident."""
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", version, will=BYE) as bob:
        await ann.subscribe("gone")
        bob.send(auth)
        assert codes(await bob.closed()) == complaint(version, 0x82)
        assert (await ann.receive()).payload == b"bye"


@EVERY_VERSION
@pytest.mark.parametrize("how", ["goodbye", "reset", "violation"])
async def test_nothing_is_left_of_a_client_that_came_and_went(broker: Broker, version: Version, how: str) -> None:
    """After a clean session, however it ended, the broker holds no session, connection or subscription of it."""
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("gone")
        for number in range(5):
            bob = await Peer(broker, f"bob-{number}", version, will=BYE, manual=True)
            await bob.subscribe("a", qos=2)
            await bob.publish("a", b"x", qos=2)
            await end(bob, how)
            if how != "goodbye":
                assert (await ann.receive()).payload == b"bye"
        assert list(broker.sessions) == ["ann"]
        assert len(broker.connections) == 1
        assert broker.core.router.subscription_count == 1
