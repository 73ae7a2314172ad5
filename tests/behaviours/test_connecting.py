"""Connecting: what is refused at the door, how little it costs, and who is thrown out later."""

import asyncio

import pytest

from linnet import Broker
from linnet.wire import V5, Connack, Connect, Properties, Publish, Version, Will
from tests.accidents import seconds_pass
from tests.conformance.tools import (
    EVERY_VERSION,
    ONLY_5,
    answers,
    codes,
    complaint,
    connect,
    lasting,
    packet,
    string,
)
from tests.peer import PATIENCE, Peer

MIB = 1024 * 1024
HUGE = b"\x80\x80\x80\x64"  # 200 MiB as a remaining length
LOGIN = connect(V5)

# Every property of MQTT 5.0 in bytes that are right where it is allowed
PROPERTIES = {
    "payload format": b"\x01\x01",
    "message expiry": b"\x02\x00\x00\x00\x01",
    "content type": b"\x03\x00\x01a",
    "response topic": b"\x08\x00\x01a",
    "correlation data": b"\x09\x00\x01a",
    "subscription identifier": b"\x0b\x01",
    "session expiry": b"\x11\x00\x00\x00\x01",
    "assigned client identifier": b"\x12\x00\x01a",
    "server keep alive": b"\x13\x00\x01",
    "request problem information": b"\x17\x01",
    "will delay": b"\x18\x00\x00\x00\x01",
    "request response information": b"\x19\x01",
    "response information": b"\x1a\x00\x01a",
    "server reference": b"\x1c\x00\x01a",
    "reason string": b"\x1f\x00\x01a",
    "receive maximum": b"\x21\x00\x01",
    "topic alias maximum": b"\x22\x00\x01",
    "topic alias": b"\x23\x00\x01",
    "maximum qos": b"\x24\x01",
    "retain available": b"\x25\x01",
    "user property": b"\x26\x00\x01a\x00\x01b",
    "maximum packet size": b"\x27\x00\x00\x10\x00",
    "wildcards available": b"\x28\x01",
    "identifiers available": b"\x29\x01",
    "shares available": b"\x2a\x01",
}
OF_CONNECT = (
    *("session expiry", "request problem information", "request response information", "receive maximum"),
    *("topic alias maximum", "user property", "maximum packet size"),
)


async def bytes_taken(port: int, first: bytes, most: int) -> int:
    """Sends the bytes and then zeros, up to so many, until the broker says that it is done; how many that were."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sent = 0
    try:
        async with asyncio.timeout(PATIENCE):
            writer.write(first)
            done = asyncio.create_task(reader.read())
            while sent < most and not done.done():
                writer.write(bytes(64 * 1024))
                sent += 64 * 1024
                await asyncio.wait([done, asyncio.create_task(writer.drain())], return_when=asyncio.FIRST_COMPLETED)
            await done
    finally:
        writer.transport.abort()
    return sent


@pytest.mark.parametrize(
    "first",
    [
        b"\x30" + HUGE,
        b"\x82" + HUGE,
        b"\xf0" + HUGE,
        b"\x00" + HUGE,
        b"\x10" + HUGE,
        LOGIN + b"\x10" + HUGE,
        LOGIN + b"\x30" + HUGE,
        LOGIN + b"\x20" + HUGE,
    ],
    ids=[
        *("PUBLISH first", "SUBSCRIBE first", "AUTH first", "type 0 first", "large CONNECT", "second CONNECT"),
        *("large PUBLISH", "large CONNACK"),
    ],
)
async def test_a_packet_that_will_be_refused_is_not_read_to_its_end(broker: Broker, first: bytes) -> None:
    """Of 200 MiB announced for nothing, the broker needs only the first bytes to hang up."""
    assert await bytes_taken(broker.port, first, 200 * MIB) < 20 * MIB  # which is what sockets may hold
    async with Peer(broker, "ann") as ann:
        await ann.ping()


@EVERY_VERSION
@pytest.mark.parametrize("kind", [0x20, 0x90, 0xB0, 0xD0], ids=["CONNACK", "SUBACK", "UNSUBACK", "PINGRESP"])
async def test_what_only_servers_send_is_refused_whatever_it_holds(broker: Broker, version: Version, kind: int) -> None:
    """The type alone is the offence; flags and contents, good or bad, are not asked for."""
    bodies = (b"", b"\x00", b"\x00\x01", b"\x00\x01\x00", b"\x00\x00\x00", b"\xff" * 40, b"\x00" * 300)
    sent = [packet(kind, body) for body in bodies] + [bytes((kind | flags, 0)) for flags in range(1, 16)]
    for each in sent:
        async with Peer(broker, "bob", version) as bob:
            bob.send(each)
            found = codes(await bob.closed())
            allowed = (0x82,) if each[0] & 0x0F == 0 else (0x81, 0x82)
            assert found in [complaint(version, code) for code in allowed], each


@pytest.mark.parametrize("name", PROPERTIES)
async def test_connect_has_its_own_properties_and_each_once(broker: Broker, name: str) -> None:
    """A property of another packet is refused, and so is one of CONNECT's own that comes twice."""
    octets = PROPERTIES[name]
    if name in OF_CONNECT:
        async with Peer.raw(broker) as bob:
            bob.send(connect(V5, said=octets))
            assert (await bob.expect(Connack)).reason_code == 0
        octets += octets
    if name == "user property":
        async with Peer.raw(broker) as bob:
            bob.send(connect(V5, said=octets))
            assert (await bob.expect(Connack)).reason_code == 0
    else:
        assert codes(await answers(broker, connect(V5, said=octets))) == [("Connack", 0x82)]


@pytest.mark.parametrize("name", OF_CONNECT)
async def test_a_property_cut_short_is_malformed(broker: Broker, name: str) -> None:
    """Properties that end in the middle of a value make CONNECT malformed, wherever they end."""
    whole = PROPERTIES[name]
    for length in range(1, len(whole)):
        assert codes(await answers(broker, connect(V5, said=whole[:length]))) == [("Connack", 0x81)], whole[:length]


@pytest.mark.parametrize("identifier", [0, 4, 5, 0x0A, 0x14, 0x20, 0x2B, 0x7F, 0x3FFF])
async def test_an_unknown_property_is_malformed(broker: Broker, identifier: int) -> None:
    """Nobody can tell how long a property is that MQTT does not know."""
    octets = bytes((identifier,)) if identifier < 0x80 else bytes((identifier & 0x7F | 0x80, identifier >> 7))
    assert codes(await answers(broker, connect(V5, said=octets + b"\x00\x01a"))) == [("Connack", 0x81)]


async def test_a_broker_that_knows_no_authentication_method_says_so(broker: Broker) -> None:
    """Without a guard that knows it, every Authentication Method is a bad one, and the connection ends."""
    for method in ("SCRAM-SHA-256", "", "anonymous"):
        said = b"\x15" + string(method)
        assert codes(await answers(broker, connect(V5, said=said))) == [("Connack", 0x8C)]


@EVERY_VERSION
async def test_of_many_connections_with_one_client_identifier_the_last_remains(
    broker: Broker, version: Version
) -> None:
    """Each newcomer throws its predecessor out; the last one works, and gets what the session is owed, once."""
    peers: list[Peer] = []
    for number in range(20):
        peers.append(await Peer(broker, "bob", version, False, properties=lasting(version)))
        if number == 0:
            await peers[0].subscribe("a", qos=1)
    *old, new = peers
    for each in old:
        assert codes(await each.closed()) == complaint(version, 0x8E)
    async with Peer(broker, "ann") as ann:
        await ann.publish("a", b"x", qos=1)
    assert (await new.receive()).payload == b"x"
    await new.nothing()
    assert len(broker.sessions) == 1
    await new.disconnect()


@EVERY_VERSION
async def test_newcomers_with_one_client_identifier_at_the_same_time_leave_one(
    broker: Broker, version: Version
) -> None:
    """However many come at once under one name, one of them stays connected."""
    peers = [Peer.raw(broker, version) for _ in range(20)]
    for peer in peers:
        await peer
    for peer in peers:
        peer.send(Connect("bob", version=version))
    last = peers[-1]
    assert (await last.expect(Connack)).reason_code == 0
    for peer in peers[:-1]:
        found = await peer.closed()
        assert codes(found) == [("Connack", 0), *complaint(version, 0x8E)]
    await last.nothing()
    assert len(broker.connections) == 1
    last.abort()


@ONLY_5
@pytest.mark.parametrize(("keep_alive", "before", "after"), [(1, 1, 2), (2, 2, 4)])
async def test_a_keep_alive_runs_out_in_time(
    broker: Broker, version: Version, keep_alive: int, before: int, after: int
) -> None:
    """One and a half times the keep alive is neither sooner nor more than a second later, and the will goes out."""
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("gone", qos=1)
        silent = await Peer(broker, "silent", keep_alive=keep_alive, will=Will("gone", b"silent"))
        for delay in (before, after):
            will = Will("gone", str(delay).encode(), properties=Properties(will_delay_interval=delay))
            bell = await Peer(broker, f"bell-{delay}", will=will, properties=lasting(version))
            await bell.disconnect(0x04)
        assert codes(await silent.closed()) == [("Disconnect", 0x8D)]
        found = [(await ann.receive()).payload for _ in range(3)]
        assert found == [str(before).encode(), b"silent", str(after).encode()]


@EVERY_VERSION
async def test_what_a_client_is_sent_does_not_keep_it_alive(broker: Broker, version: Version) -> None:
    """Only what comes from the client shows that it is there; the broker's own messages show nothing."""
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", version, keep_alive=1, manual=True) as bob:
        await bob.subscribe("a")
        silence = asyncio.create_task(bob.closed())
        while not silence.done():
            await ann.publish("a", b"are you there?")
            await asyncio.wait([silence], timeout=0.2)
        found = [each for each in silence.result() if not isinstance(each, Publish)]
        assert codes(found) == complaint(version, 0x8D)


@EVERY_VERSION
async def test_a_packet_that_arrives_in_pieces_keeps_its_client_alive(broker: Broker, version: Version) -> None:
    """A slow sender is not a silent one: every byte of a long packet shows that somebody is there."""
    whole = Publish("a", b"x" * 40, 1, packet_id=1).encode(version)
    async with (
        Peer(broker, "silent", version, keep_alive=1) as silent,
        Peer(broker, "bob", version, keep_alive=1) as bob,
    ):
        silence = asyncio.create_task(silent.closed())
        at = 0
        while not silence.done():
            bob.send(whole[at : at + 1])
            at += 1
            await asyncio.wait([silence], timeout=0.2)
        assert at < len(whole)
        bob.send(whole[at:])
        assert (await bob.receive()).packet_id == 1


@EVERY_VERSION
async def test_without_a_keep_alive_silence_is_fine(broker: Broker, version: Version) -> None:
    """A keep alive of 0 sets no limit, or the one that a newer client is told."""
    async with Peer(broker, "bob", version, keep_alive=0) as bob:
        await seconds_pass(broker, 3)
        await bob.ping()
