"""The test peer against Mosquitto: what our tests believe MQTT to be, another broker believes too.

The same sentences hold for our own broker, so that each is a second opinion on the other.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from linnet.errors import ReasonCode
from linnet.wire import (
    V3_1,
    V3_1_1,
    V5,
    Connect,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    SubscriptionOptions,
    Version,
    Will,
)
from tests.conftest import MakeBroker
from tests.interop.tools import mosquitto
from tests.peer import Peer

pytestmark = pytest.mark.interop
VERSIONS = pytest.mark.parametrize("version", [V3_1, V3_1_1, V5], ids=lambda version: f"MQTT {version.name}")


@pytest.fixture(params=["mosquitto", "linnet"])
async def port(request: pytest.FixtureRequest, make_broker: MakeBroker, tmp_path: Path) -> AsyncIterator[int]:
    if request.param == "linnet":
        yield (await make_broker()).port
        return
    async with mosquitto(tmp_path) as port:
        yield port


@VERSIONS
@pytest.mark.parametrize("sent", [0, 1, 2])
@pytest.mark.parametrize("wanted", [0, 1, 2])
async def test_every_qos_arrives_at_the_lower_of_two(port: int, version: Version, sent: int, wanted: int) -> None:
    async with Peer(port, "alice", version) as alice, Peer(port, "bob", version) as bob:
        suback = await bob.subscribe("a/+", qos=wanted)
        assert suback.reason_codes == [wanted]
        await alice.publish("a/b", b"hello", qos=sent)
        packet = await bob.expect(Publish)
        assert (packet.topic, packet.payload, packet.qos) == ("a/b", b"hello", min(sent, wanted))
        await alice.nothing()
        await bob.nothing()


@VERSIONS
async def test_a_session_outlives_its_connection(port: int, version: Version) -> None:
    stays = Properties(session_expiry_interval=60)
    async with Peer(port, "bob", version, clean_start=False, properties=stays) as bob:
        assert not bob.connack.session_present
        await bob.subscribe("news", qos=1)
    async with Peer(port, "alice", version) as alice:
        await alice.publish("news", b"while away", qos=1)
    async with Peer(port, "bob", version, clean_start=False, properties=stays) as bob:
        assert bob.connack.session_present or version is V3_1  # the 3.1 CONNACK has no such flag
        assert (await bob.receive()).payload == b"while away"


@VERSIONS
async def test_a_reset_connection_sends_the_will(port: int, version: Version) -> None:
    will = Will("wills/alice", b"gone", qos=1)
    async with Peer(port, "bob", version) as bob, Peer(port, "alice", version, will=will) as alice:
        await bob.subscribe("wills/#", qos=1)
        alice.abort()
        assert (await bob.receive()).payload == b"gone"
        await alice.closed()


@VERSIONS
async def test_retained_messages_come_with_the_subscription(port: int, version: Version) -> None:
    async with Peer(port, "alice", version) as alice, Peer(port, "bob", version) as bob:
        await alice.publish("kept", b"old", qos=1, retain=True)
        await bob.subscribe("kept", qos=1)
        packet = await bob.expect(Publish)
        assert (packet.payload, packet.retain) == (b"old", True)
        await bob.unsubscribe("kept")
        await alice.publish("kept", b"", qos=1, retain=True)
        await bob.nothing()


async def test_properties_come_through_as_they_went(port: int) -> None:
    properties = Properties(
        payload_format_indicator=1,
        content_type="text/plain",
        response_topic="answers",
        correlation_data=b"\x00\x01",
        user_properties=[("a", "1"), ("a", "2"), ("b", "")],
    )
    async with Peer(port, "bob") as bob:
        await bob.subscribe("a", identifier=7)
        await bob.publish("a", b"x", properties=properties)
        got = (await bob.expect(Publish)).properties
        assert got.subscription_identifiers == [7]
        got.subscription_identifiers = []
        assert got == properties


async def test_the_options_of_a_subscription_are_understood(port: int) -> None:
    async with Peer(port, "bob") as bob:
        await bob.publish("a", b"kept", qos=1, retain=True)
        suback = await bob.subscribe(
            [
                ("a", SubscriptionOptions(qos=1, no_local=True, retain_handling=2)),
                ("b", SubscriptionOptions(qos=2, retain_as_published=True)),
            ]
        )
        assert suback.reason_codes == [1, 2]
        await bob.publish("a", b"own", qos=1)
        await bob.nothing()
        await bob.publish("b", b"flagged", qos=1, retain=True)
        assert (await bob.expect(Publish)).retain


async def test_a_manual_peer_acknowledges_only_when_told(port: int) -> None:
    async with Peer(port, "alice") as alice, Peer(port, "bob", manual=True) as bob:
        await bob.subscribe("a", qos=2)
        await alice.publish("a", b"once", qos=2)
        packet = await bob.expect(Publish)
        await bob.nothing()
        bob.send(Pubrec(packet.packet_id))
        assert (await bob.expect(Pubrel)).packet_id == packet.packet_id
        bob.send(Pubcomp(packet.packet_id))
        await bob.nothing()


async def test_a_second_connection_takes_over(port: int) -> None:
    async with Peer(port, "bob") as first, Peer(port, "bob") as second:
        for word in await first.closed():  # Mosquitto 2.0 closes without a word
            assert word.reason_code == ReasonCode.SESSION_TAKEN_OVER
        await second.nothing()


async def test_a_name_is_assigned_to_who_has_none(port: int) -> None:
    async with Peer(port) as nobody:
        assert nobody.client_id != ""
        assert nobody.client_id == nobody.connack.properties.assigned_client_identifier


async def test_a_raw_peer_does_only_what_it_is_told(port: int) -> None:
    async with Peer.raw(port) as line:
        line.send(Connect(client_id="raw"))
        line.send(b"\xc0\x00")
        await line.expect(type(line.connack))
        line.send(b"\xf7\x00")
        assert [type(packet).__name__ for packet in await line.closed()][:1] == ["Pingresp"]


async def test_a_disappointed_peer_says_what_it_saw(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.peer.PATIENCE", 0.2)
    async with Peer(port, "bob") as bob:
        await bob.subscribe("a")
        await bob.publish("a", b"surprise")
        with pytest.raises(AssertionError, match=r"awaited nothing, and got Publish.*surprise"):
            await bob.nothing()
        with pytest.raises(AssertionError, match=r"awaited Puback, and got Publish.*surprise"):
            await bob.expect(Puback)
        await bob.receive()
        with pytest.raises(AssertionError, match=r"awaited a packet: 0\.2 seconds went by"):
            await bob.receive()
        bob.send(b"\x00\x00")
        with pytest.raises(AssertionError, match="the connection was closed"):
            await bob.publish("a", b"in vain", qos=1)
