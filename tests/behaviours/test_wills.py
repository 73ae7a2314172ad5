"""Wills: when they are sent, when they are taken back, and what they carry."""

from itertools import permutations
from typing import Any

import pytest

from linnet import Broker
from linnet.wire import Connect, Properties, Version, Will
from tests.accidents import end, seconds_pass
from tests.conformance.tools import (
    CLEAN,
    EVERY_VERSION,
    ONLY_5,
    WILL,
    answers,
    codes,
    connect,
    lasting,
    properties,
    refused,
    string,
)
from tests.peer import Peer

# Each property a will may have: its bytes, and the attribute it becomes
CARRIED: dict[str, tuple[bytes, Any]] = {
    "payload_format_indicator": (b"\x01\x01", 1),
    "message_expiry_interval": (b"\x02\x00\x00\x00\x64", 100),
    "content_type": (b"\x03" + string("text"), "text"),
    "response_topic": (b"\x08" + string("answers"), "answers"),
    "correlation_data": (b"\x09" + string(b"\x00\xff"), b"\x00\xff"),
    "user_properties": (
        b"\x26" + string("b") + string("1") + b"\x26" + string("a") + string("2"),
        [("b", "1"), ("a", "2")],
    ),
}
NO_DELAY = b"\x18\x00\x00\x00\x00"


def delayed(seconds: int, payload: bytes = b"bye") -> Will:
    return Will("gone", payload, properties=Properties(will_delay_interval=seconds))


def with_will(said: bytes, client_id: str = "bob") -> bytes:
    """A CONNECT of MQTT 5.0 whose will has these properties."""
    version = Connect().version
    return connect(version, CLEAN | WILL, string(client_id), properties(version, said), string("gone"), string("bye"))


async def will_sent(broker: Broker, said: bytes) -> Properties:
    """The properties of the message that a will with these becomes."""
    async with Peer(broker, "ann") as ann, Peer.raw(broker) as bob:
        await ann.subscribe("gone")
        bob.send(with_will(said))
        assert (await bob.receive()).reason_code == 0
        await end(bob, "violation")
        found: Properties = (await ann.receive()).properties
        return found


@ONLY_5
@pytest.mark.parametrize("name", CARRIED)
async def test_a_will_may_have_any_of_its_properties_alone(broker: Broker, version: Version, name: str) -> None:
    """Each property of a will is forwarded when it is the only one; none is invented beside it."""
    octets, value = CARRIED[name]
    assert await will_sent(broker, octets) == Properties(**{name: value})


@ONLY_5
async def test_a_will_may_have_its_properties_in_any_order(broker: Broker, version: Version) -> None:
    """The order of a will's properties says nothing, and the delay among them is the broker's own business."""
    for order in list(permutations([*(octets for octets, _ in CARRIED.values()), NO_DELAY]))[::501]:
        found = await will_sent(broker, b"".join(order))
        assert found == Properties(**{name: value for name, (_, value) in CARRIED.items()})


@ONLY_5
@pytest.mark.parametrize("name", [*(name for name in CARRIED if name != "user_properties"), "delay"])
async def test_a_will_has_each_property_once(broker: Broker, version: Version, name: str) -> None:
    """A will with a property twice is refused, even if both say the same."""
    octets = NO_DELAY if name == "delay" else CARRIED[name][0]
    assert codes(await answers(broker, with_will(octets * 2))) == [("Connack", 0x82)]


@ONLY_5
@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"\x11\x00\x00\x00\x01", 0x82),
        (b"\x23\x00\x01", 0x82),
        (b"\x0b\x01", 0x82),
        (b"\x01\x02", 0x82),
        (b"\x08" + string("a/+"), 0x82),
        (b"\x7f", 0x81),
        (b"\x02\x00", 0x81),
        (b"\x03" + string(b"\xff"), 0x81),
    ],
    ids=["session expiry", "alias", "identifier", "format 2", "wildcard", "unknown", "cut short", "no text"],
)
async def test_a_will_with_a_wrong_property_is_refused(
    broker: Broker, version: Version, said: bytes, code: int
) -> None:
    """Properties that no will has, or that say what they cannot say, keep the client out."""
    found = codes(await answers(broker, with_will(said)))
    assert found in ([[("Connack", code)], [("Connack", 0x90)]] if b"+" in said else [[("Connack", code)]])


@EVERY_VERSION
async def test_a_will_topic_with_a_null_character_is_refused(broker: Broker, version: Version) -> None:
    """U+0000 in the topic of a will keeps the client out, and nothing is published."""
    fields = (string("bob"), properties(version), string("go\x00ne"), string("bye"))
    found = await answers(broker, connect(version, CLEAN | WILL, *fields), version=version)
    assert codes(found) == refused(version, 0x81)


@ONLY_5
async def test_taking_over_and_resuming_takes_a_delayed_will_back(broker: Broker, version: Version) -> None:
    """A client that takes its session over in time had no accident: its delayed will is never sent."""
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("gone")
        old = await Peer(broker, "bob", clean_start=False, will=delayed(1), properties=lasting(version))
        async with Peer(broker, "bob", clean_start=False, properties=lasting(version)) as new:
            await old.closed()
            assert new.connack.session_present
            await seconds_pass(broker, 2)
            await ann.nothing()


@ONLY_5
async def test_taking_over_with_a_clean_start_sends_the_delayed_will(broker: Broker, version: Version) -> None:
    """A clean start ends the session that the will waited for, so the will goes out, once."""
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("gone")
        old = await Peer(broker, "bob", clean_start=False, will=delayed(3600), properties=lasting(version))
        async with Peer(broker, "bob", clean_start=True, will=delayed(3600, b"new")):
            await old.closed()
            assert (await ann.receive()).payload == b"bye"
            await ann.nothing()


@ONLY_5
async def test_taking_over_a_session_that_ends_with_its_connection_sends_the_will(
    broker: Broker, version: Version
) -> None:
    """Without session expiry there is nothing to resume: the session ends, and its will does not wait."""
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("gone")
        old = await Peer(broker, "bob", will=delayed(3600))
        async with Peer(broker, "bob", clean_start=False) as new:
            await old.closed()
            assert not new.connack.session_present
            assert (await ann.receive()).payload == b"bye"
            await ann.nothing()


@ONLY_5
async def test_a_session_ended_by_the_goodbye_sends_the_will_asked_for_at_once(
    broker: Broker, version: Version
) -> None:
    """Who leaves wanting the will, and the session ended with it, does not wait for the delay."""
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("gone")
        async with Peer(broker, "bob", will=delayed(3600), properties=lasting(version)) as bob:
            await bob.disconnect(0x04, Properties(session_expiry_interval=0))
        assert (await ann.receive()).payload == b"bye"


@ONLY_5
async def test_the_delayed_will_is_that_of_the_last_connection(broker: Broker, version: Version) -> None:
    """Each CONNECT brings its own will or none; the one before is forgotten with its delay."""
    kept = lasting(version)
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("gone")
        for will in (delayed(3600, b"first"), delayed(0, b"second")):
            async with Peer(broker, "bob", clean_start=False, will=will, properties=kept) as bob:
                await end(bob, "violation")
        assert (await ann.receive()).payload == b"second"
        async with Peer(broker, "bob", clean_start=True):
            await ann.nothing()


@EVERY_VERSION
@pytest.mark.parametrize("qos", [1, 2])
async def test_a_will_waits_like_any_message_for_those_who_are_away(broker: Broker, version: Version, qos: int) -> None:
    """A will reaches the sessions without connection too, at its QoS, when they come back."""
    async with Peer(broker, "ann", version, False, properties=lasting(version)) as ann:
        await ann.subscribe("gone", qos=2)
    async with Peer(broker, "bob", version, will=Will("gone", b"bye", qos)) as bob:
        await end(bob, "violation")
    async with Peer(broker, "ann", version, False, properties=lasting(version)) as again:
        message = await again.receive()
        assert (message.payload, message.qos) == (b"bye", qos)


@EVERY_VERSION
async def test_a_client_hears_its_own_will_if_it_comes_back_to_listen(broker: Broker, version: Version) -> None:
    """A session that subscribed to the topic of its own will gets it on its next connection."""
    kept = lasting(version)
    async with Peer(broker, "bob", version, False, will=Will("gone", b"bye", 1), properties=kept) as bob:
        await bob.subscribe("gone", qos=1)
        await end(bob, "violation")
    async with Peer(broker, "bob", version, False, properties=kept) as again:
        assert (await again.receive()).payload == b"bye"
        await again.nothing()
