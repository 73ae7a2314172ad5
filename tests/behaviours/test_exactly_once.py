"""Exactly once, both ways, whatever becomes of the connections between the steps of the exchange."""

import pytest

from linnet import Broker
from linnet.wire import Pubcomp, Publish, Pubrec, Pubrel, Version
from tests.accidents import ENDS, end
from tests.conformance.tools import EVERY_VERSION, lasting
from tests.peer import Packet, Peer

# Where a connection is cut: after sending a packet whose answer is then not read, or after reading the answer
STEPS = ("PUBLISH sent", "PUBREC read", "PUBREL sent", "PUBCOMP read")


class Receiver:
    """A client that takes QoS 2 as the specification wants it, over as many connections as it needs."""

    def __init__(self, broker: Broker, version: Version) -> None:
        self.broker = broker
        self.version = version
        self.unreleased: set[int] = set()
        self.got: list[bytes] = []

    def connection(self) -> Peer:
        return Peer(self.broker, "bob", self.version, False, properties=lasting(self.version), manual=True)

    async def answer(self, peer: Peer, most: int) -> int:
        """Answers what has come, and what comes of it, but not more than so many packets; how many those were."""
        count = 0
        while count < most:
            await peer.ping()
            if not peer.inbox:
                break
            while peer.inbox and count < most:
                peer.send(self.take(peer.inbox.popleft()))
                count += 1
        return count

    def take(self, packet: Packet) -> Packet:
        """Takes a message unless it has it, or forgets its identifier; returns what is to be sent for it."""
        if isinstance(packet, Publish):
            if packet.packet_id not in self.unreleased:
                self.unreleased.add(packet.packet_id)
                self.got.append(packet.payload)
            return Pubrec(packet.packet_id)
        assert isinstance(packet, Pubrel), packet
        self.unreleased.discard(packet.packet_id)
        return Pubcomp(packet.packet_id)


@EVERY_VERSION
@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("most", range(7))
async def test_a_receiver_gets_each_message_once(broker: Broker, version: Version, how: str, most: int) -> None:
    """Three messages, and a connection that is cut after so many answers, read or not; then two more such."""
    bob = Receiver(broker, version)
    peer = await bob.connection()
    await peer.subscribe("a", qos=2)
    async with Peer(broker, "ann") as ann:
        for payload in (b"1", b"2", b"3"):
            await ann.publish("a", payload, qos=2)
        for allowed in (most, 1, 2):
            await bob.answer(peer, allowed)
            await end(peer, how)
            peer = await bob.connection()
        while await bob.answer(peer, 100):
            pass
        await ann.publish("a", b"4", qos=2)
        await bob.answer(peer, 100)
        await end(peer, how)
    async with bob.connection() as last:
        await last.nothing()
    assert bob.got == [b"1", b"2", b"3", b"4"]
    assert not bob.unreleased


@EVERY_VERSION
@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("cut", STEPS)
async def test_a_publisher_is_heard_once(broker: Broker, version: Version, how: str, cut: str) -> None:
    """A publisher whose connection is cut at one step goes on from there, and its message is delivered once."""
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("a", qos=2)
        bob = publisher(broker, version)
        await bob
        bob.send(Publish("a", b"x", 2, packet_id=7))
        if cut == "PUBLISH sent":
            await end(bob, how)
            bob = await publisher(broker, version)
            bob.send(Publish("a", b"x", 2, dup=True, packet_id=7))
        assert (await bob.expect(Pubrec)).packet_id == 7
        if cut == "PUBREC read":
            await end(bob, how)
            bob = await publisher(broker, version)
        bob.send(Pubrel(7))
        if cut == "PUBREL sent":
            await end(bob, how)
            bob = await publisher(broker, version)
            bob.send(Pubrel(7))
        assert (await bob.expect(Pubcomp)).packet_id == 7
        if cut == "PUBCOMP read":
            await end(bob, how)
            bob = await publisher(broker, version)
        bob.send(Publish("a", b"new", 2, packet_id=7))
        await bob.expect(Pubrec)
        await bob.disconnect()
        assert [(await ann.receive()).payload for _ in range(2)] == [b"x", b"new"]
        await ann.nothing()


def publisher(broker: Broker, version: Version) -> Peer:
    return Peer(broker, "bob", version, False, properties=lasting(version), manual=True)


@EVERY_VERSION
async def test_a_chain_of_qos_2_holds_from_end_to_end(broker: Broker, version: Version) -> None:
    """Publisher and receiver both lose their connections again and again, and every message comes once, in order."""
    bob = Receiver(broker, version)
    peer = await bob.connection()
    await peer.subscribe("a", qos=2)
    for number in range(24):
        how = ENDS[number % len(ENDS)]
        async with Peer(broker, "ann", version, False, properties=lasting(version), manual=True) as ann:
            for repetition in range(1 + number % 3):
                ann.send(Publish("a", str(number).encode(), 2, dup=repetition > 0, packet_id=number + 1))
                await ann.expect(Pubrec)
            ann.send(Pubrel(number + 1))
            await ann.expect(Pubcomp)
        await bob.answer(peer, number % 5)
        await end(peer, how)
        peer = await bob.connection()
    while await bob.answer(peer, 100):
        pass
    assert [int(payload) for payload in bob.got] == list(range(24))
    await peer.disconnect()
