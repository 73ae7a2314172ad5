"""3.12 to 3.15: PINGREQ, DISCONNECT and the form of AUTH; for its meaning see test_authentication.py."""

import pytest

from linnet import Broker
from linnet.wire import (
    V5,
    Auth,
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
    BEFORE_5,
    EVERY_VERSION,
    ONLY_5,
    SINCE_3_1_1,
    answers,
    broken_off,
    codes,
    complaint,
    kinds,
    lasting,
)
from tests.peer import Peer

# -- 3.12 PINGREQ


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.12.4-1", "5.0:MQTT-3.12.4-1")
async def test_every_ping_is_answered(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as bob:
        bob.send(b"\xc0\x00" * 3)
        assert kinds([await bob.receive() for _ in range(3)]) == ["Pingresp"] * 3


# -- 3.14 DISCONNECT


@EVERY_VERSION
@pytest.mark.parametrize("flags", range(1, 16))
@pytest.mark.clause("3.1.1:MQTT-3.14.1-1", "5.0:MQTT-3.14.1-1")
async def test_disconnect_with_flags_is_malformed(broker: Broker, version: Version, flags: int) -> None:
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("gone")
        async with Peer(broker, "bob", version, will=Will("gone", b"no goodbye")) as bob:
            bob.send(bytes((0xE0 | flags, 0)))
            assert codes(await bob.closed()) == complaint(version, 0x81)
        assert (await ann.receive()).payload == b"no goodbye"


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.14.4-3", "5.0:MQTT-3.14.4-3")
async def test_the_shortest_goodbye_drops_the_will(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("gone")
        async with Peer(broker, "bob", version, will=Will("gone", b"bye")) as bob:
            bob.send(b"\xe0\x00")
            assert await bob.closed() == []
        await ann.nothing()


@ONLY_5
@pytest.mark.parametrize("goodbye", [b"\xe0\x01\x00", b"\xe0\x02\x00\x00", b"\xe0\x07\x00\x05\x11\x00\x00\x00\x09"])
@pytest.mark.clause("5.0:MQTT-3.14.4-3")
async def test_longer_goodbyes_drop_the_will_too(broker: Broker, version: Version, goodbye: bytes) -> None:
    kept = lasting(version)
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("gone")
        async with Peer(broker, "bob", will=Will("gone", b"bye"), properties=kept) as bob:
            bob.send(goodbye)
            assert await bob.closed() == []
        await ann.nothing()


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.14.4-3", "5.0:MQTT-3.14.4-3")
async def test_what_follows_a_goodbye_is_not_processed(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("#")
        async with Peer(broker, "bob", version) as bob:
            bob.send(b"\xe0\x00" + Publish("a", b"too late").encode(version) + b"\xc0\x00")
            assert await bob.closed() == []
        await ann.nothing()


@ONLY_5
@pytest.mark.parametrize("code", [0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99])
@pytest.mark.clause("5.0:MQTT-3.14.2-1")
async def test_every_reason_a_client_may_give_is_taken(broker: Broker, version: Version, code: int) -> None:
    async with Peer(broker, "bob") as bob:
        bob.send(Disconnect(code, Properties(reason_string="because")))
        assert await bob.closed() == []


@ONLY_5
@pytest.mark.parametrize(
    ("goodbye", "code"),
    [
        (b"\xe0\x01\x01", 0x81),
        (b"\xe0\x01\xff", 0x81),
        (b"\xe0\x01\x8b", 0x82),
        (b"\xe0\x01\x8e", 0x82),
        (b"\xe0\x06\x00\x04\x1c\x00\x01a", 0x82),
        (b"\xe0\x05\x00\x03\x13\x00\x05", 0x82),
        (b"\xe0\x03\x00\x00\x00", 0x81),
        (b"\xe0\x02\x00\x05", 0x81),
    ],
    ids=[
        *("unknown reason", "no reason at all", "a server's reason", "another of them"),
        *("server reference", "property of CONNACK", "too long", "cut short"),
    ],
)
@pytest.mark.clause("5.0:MQTT-3.14.2-1", "5.0:MQTT-4.13.1-1")
async def test_a_disconnect_that_no_client_may_send_is_refused(
    broker: Broker, version: Version, goodbye: bytes, code: int
) -> None:
    async with Peer(broker, "bob") as bob:
        bob.send(goodbye)
        assert codes(await bob.closed()) == [("Disconnect", code)]


@ONLY_5
@pytest.mark.clause("5.0:MQTT-4.13.1-1")
async def test_a_session_that_was_to_end_cannot_be_prolonged_by_disconnect(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob") as bob:
        bob.send(Disconnect(0, Properties(session_expiry_interval=10)))
        assert codes(await bob.closed()) == [("Disconnect", 0x82)]


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.14.2-2")
async def test_the_servers_disconnect_has_no_session_expiry_interval(broker: Broker, version: Version) -> None:
    async with (
        Peer(broker, "bob", properties=lasting(version)) as bob,
        Peer(broker, "bob", properties=lasting(version)),
    ):
        (goodbye,) = await bob.closed()
        assert isinstance(goodbye, Disconnect)
        assert goodbye.properties.session_expiry_interval is None


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.14.2-3", "5.0:MQTT-3.14.2-4", "5.0:MQTT-3.1.2-24")
async def test_disconnect_leaves_out_what_would_make_it_too_large(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob") as bob:
        (wide,) = await broken_off(bob)
    assert wide.properties.reason_string
    narrow = Properties(maximum_packet_size=len(wide.encode(version)) - 1)
    async with Peer(broker, "bob", properties=narrow) as bob:
        (bare,) = await broken_off(bob)
    assert (bare.reason_code, bare.properties) == (wide.reason_code, Properties())


@EVERY_VERSION
@pytest.mark.clause("5.0:MQTT-3.14.4-1", "5.0:MQTT-3.14.4-2", "5.0:MQTT-4.13.2-1")
async def test_nothing_follows_the_servers_disconnect_but_the_close(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as bob:
        await bob.subscribe("a")
        violation, hello = Connect("bob", version=version), Publish("a", b"hello")
        bob.send(violation.encode(version) + hello.encode(version) + b"\xc0\x00")
        assert codes(await bob.closed()) == complaint(version, 0x82)


@BEFORE_5
@pytest.mark.clause("3.1.1:MQTT-4.8.0-1")
async def test_before_5_the_server_closes_without_a_word(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as bob:
        bob.send(Subscribe(1, [("a", SubscriptionOptions())]).encode(version)[:-1] + b"\x03")
        assert await bob.closed() == []


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.14.0-1")
async def test_a_refused_client_gets_no_disconnect(broker: Broker, version: Version) -> None:
    assert kinds(await answers(broker, Connect("x" * 300))) == ["Connack"]


# -- 3.15 AUTH


@BEFORE_5
@pytest.mark.clause("3.1.1:MQTT-2.2.2-2", "3.1.1:MQTT-4.8.0-1")
async def test_before_5_there_is_no_auth(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as bob:
        bob.send(b"\xf0\x00")
        assert await bob.closed() == []


@ONLY_5
@pytest.mark.parametrize("flags", range(1, 16))
@pytest.mark.clause("5.0:MQTT-3.15.1-1")
async def test_auth_with_flags_is_malformed(broker: Broker, version: Version, flags: int) -> None:
    async with Peer(broker, "bob") as bob:
        whole = Auth(0x19, Properties(authentication_method="any")).encode(V5)
        bob.send(bytes((0xF0 | flags,)) + whole[1:])
        assert codes(await bob.closed()) == [("Disconnect", 0x81)]


@SINCE_3_1_1
@pytest.mark.clause("5.0:MQTT-4.12.0-6", "5.0:MQTT-3.2.0-1")
async def test_a_client_that_named_no_method_hears_of_none(broker: Broker, version: Version) -> None:
    async with Peer.raw(broker, version) as bob:
        bob.send(Connect("bob", version=version).encode(version) + Pingreq().encode(version))
        connack = await bob.expect(Connack)
        assert connack.properties.authentication_method is None
        await bob.receive()
        assert "Auth" not in kinds(bob.received)
