"""Everything that can be made to go wrong: clients cut off and refused, packets lost, late and twice, topics denied."""

import asyncio

import pytest

from linnet import Hooks, ReasonCode
from linnet.testing import Broker
from linnet.wire import (
    V3_1_1,
    V5,
    Connack,
    Connect,
    Disconnect,
    Message,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Publish,
    Subscribe,
    SubscriptionOptions,
    Will,
)
from tests.peer import Peer
from tests.testing.wires import connected, over_tcp

NOT_AUTHORIZED = ReasonCode.NOT_AUTHORIZED


async def test_a_client_is_cut_off_without_a_word(broker: Broker) -> None:
    async with Peer(broker, "ann") as ann:
        await ann.subscribe("wills/#")
        bob = await over_tcp(broker, "bob")
        cat = await connected(broker, "cat", will=Will("wills/cat", b"gone"))
        assert broker.cut("bob") == 1
        assert isinstance(await bob.closed(), ConnectionResetError)
        assert broker.cut("cat") == 1
        assert isinstance(await cat.closed(), ConnectionResetError)
        assert [type(packet) for packet in bob.received + cat.received] == [Connack, Connack]
        assert (await ann.expect(Publish)).payload == b"gone"
        assert broker.clients == ["ann"]


async def test_all_clients_are_cut_off(broker: Broker) -> None:
    wires = [await over_tcp(broker, name) for name in ("ann", "bob")]
    assert broker.cut() == 2
    for wire in wires:
        await wire.closed()
    assert broker.clients == []
    assert broker.cut() == 0


@pytest.mark.parametrize("version", [V3_1_1, V5], ids=["3.1.1", "5.0"])
async def test_a_client_is_disconnected_with_a_reason(broker: Broker, version: object) -> None:
    bob = await Peer(broker, "bob", version=version)  # type: ignore[arg-type]
    assert broker.cut("bob", ReasonCode.SERVER_BUSY) == 1
    said = await bob.closed()
    assert [packet.reason_code for packet in said] == ([ReasonCode.SERVER_BUSY] if version is V5 else [])


async def test_who_is_not_there_cannot_be_cut_off(broker: Broker) -> None:
    async with Peer(broker, "ann"):
        with pytest.raises(LookupError, match=r"'bob' is not connected; connected are \['ann'\]"):
            broker.cut("bob")


async def test_the_next_clients_are_refused(broker: Broker) -> None:
    fault = broker.refuse(2)
    for name in ("ann", "bob"):
        assert (await Peer(broker, name)).connack.reason_code == ReasonCode.SERVER_UNAVAILABLE
    async with Peer(broker, "cat") as cat:
        assert cat.connack.reason_code == 0
    assert (fault.hits, fault.left) == (2, 0)
    assert [seen.fate for seen in broker.packets.select("CONNECT")] == ["refused", "refused", "passed"]


async def test_one_client_is_refused(broker: Broker) -> None:
    with broker.refuse(None, ReasonCode.BANNED, client_id="bob"):
        async with Peer(broker, "ann") as ann:
            assert ann.connack.reason_code == 0
        for _ in range(2):
            assert (await Peer(broker, "bob")).connack.reason_code == ReasonCode.BANNED
    async with Peer(broker, "bob") as bob:
        assert bob.connack.reason_code == 0


async def test_the_next_client_is_refused_without_an_answer(broker: Broker) -> None:
    broker.refuse(reason_code=None)
    bob = Peer.raw(broker)
    async with bob:
        bob.send(Connect("bob"))
        assert await bob.closed() == []
    async with Peer(broker, "bob") as again:
        assert again.connack.reason_code == 0


async def test_the_tests_own_hooks_are_asked_too() -> None:
    class Doorkeeper(Hooks):
        def admit(self, connect: Connect, peer: object) -> ReasonCode:
            return ReasonCode.SUCCESS if connect.user_name == "ann" else ReasonCode.BAD_USER_NAME_OR_PASSWORD

        def publishing(self, session: object, message: Message) -> Message | ReasonCode:
            return ReasonCode.QUOTA_EXCEEDED if message.topic == "full" else message

        def subscribing(self, session: object, name: str, options: SubscriptionOptions) -> int:
            return 0

        def connected(self, session: object, connection: object, present: bool) -> None:
            told.append(present)

    told: list[bool] = []
    async with Broker(hooks=Doorkeeper()) as broker:
        assert (await Peer(broker, "x")).connack.reason_code == ReasonCode.BAD_USER_NAME_OR_PASSWORD
        async with Peer(broker, "ann", user_name="ann") as ann:
            broker.deny("secret")
            assert (await ann.publish("full", qos=1)).reason_code == ReasonCode.QUOTA_EXCEEDED
            assert (await ann.publish("secret", qos=1)).reason_code == NOT_AUTHORIZED
            assert (await ann.subscribe("a", qos=2)).reason_codes == [0]
    assert told == [False]


async def test_an_acknowledgement_gets_lost(broker: Broker) -> None:
    fault = broker.drop("PUBACK", count=1, to="bob")
    async with Peer(broker, "ann") as ann, Peer(broker, "bob", manual=True) as bob:
        assert isinstance(await ann.publish("a", qos=1), Puback)
        bob.send(Publish("a", qos=1, packet_id=1))
        await bob.nothing()  # the ping's answer came, and no PUBACK before it
        assert fault.hits == 1
        bob.send(Publish("a", qos=1, packet_id=1, dup=True))
        assert (await bob.expect(Puback)).packet_id == 1
        await broker.wait_for("PUBACK", to="bob", where=lambda seen: seen.fate == "dropped")


async def test_messages_of_a_topic_get_lost_on_their_way_in(broker: Broker) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await bob.subscribe("#")
        with broker.drop("publish", topic="a/+", direction="in") as fault:
            await ann.publish("a/b", b"1")
            await ann.publish("b", b"2")
            await ann.ping()
        await ann.publish("a/b", b"3")
        assert [(await bob.expect(Publish)).payload for _ in range(2)] == [b"2", b"3"]
        assert fault.hits == 1


async def test_a_topic_is_known_by_its_alias_too(broker: Broker) -> None:
    broker.drop("PUBLISH", topic="long/topic", where=lambda seen: seen.payload == b"2")
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await bob.subscribe("#")
        await ann.publish("long/topic", b"1", properties=Properties(topic_alias=1))
        for payload in (b"2", b"3"):
            await ann.publish("", payload, properties=Properties(topic_alias=1))
        assert [(await bob.expect(Publish)).payload for _ in range(2)] == [b"1", b"3"]
    assert [seen.topic for seen in broker.packets.select("PUBLISH", by="ann")] == ["long/topic"] * 3


async def test_nothing_of_one_client_comes_through(broker: Broker) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await bob.subscribe("a")
        with broker.drop(client_id="bob"):
            bob.send(Pingreq())
            await ann.publish("a", b"1")
            await broker.wait_for("PINGREQ", by="bob")
            await broker.wait_for("PUBLISH", to="bob")
            await ann.ping()
        await bob.nothing()
        assert [type(packet) for packet in bob.received[2:]] == [Pingresp]


@pytest.mark.parametrize("direction", ["in", "out"])
async def test_a_packet_is_held_back_until_the_rule_is_lifted(broker: Broker, direction: str) -> None:
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await bob.subscribe("a")
        fault = broker.delay("PUBLISH", count=2, direction=direction)
        for payload in (b"1", b"2", b"3"):
            await ann.publish("a", payload)
        await ann.ping()
        assert (await bob.expect(Publish)).payload == b"3"
        fault.lift()
        assert [(await bob.expect(Publish)).payload for _ in range(2)] == [b"1", b"2"]
    assert [seen.fate for seen in broker.packets.select("PUBLISH", direction=direction)] == [*["delayed"] * 2, "passed"]


async def test_a_packet_is_late_by_the_brokers_clock(broker: Broker) -> None:
    broker.advance()
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await bob.subscribe("a")
        broker.delay("PUBLISH", 60, to="bob")
        await ann.publish("a", b"late")
        await ann.ping()
        broker.advance(59)
        await bob.nothing()
        broker.advance(1)
        assert (await bob.expect(Publish)).payload == b"late"


async def test_a_packet_is_late_by_the_real_clock_too(broker: Broker) -> None:
    async with Peer(broker, "bob") as bob:
        with broker.delay("PINGREQ", 0.001) as fault:
            await bob.ping()
        assert fault.hits == 1


async def test_what_comes_late_waits_for_a_stream_that_is_paused() -> None:
    class Slow(Hooks):
        async def publishing(self, session: object, message: Message) -> Message:
            if message.topic == "slow":
                asked.set()
                await answer.wait()
            return message

    asked, answer = asyncio.Event(), asyncio.Event()
    async with Broker(hooks=Slow()) as broker, Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await bob.subscribe("#")
        late = broker.delay("PUBLISH", topic="late", count=1, by="ann")
        for topic in ("late", "slow", "next"):
            await ann.publish(topic)
        await asked.wait()
        late.lift()
        answer.set()
        assert {(await bob.expect(Publish)).topic for _ in range(3)} == {"slow", "next", "late"}


async def test_what_is_held_back_is_gone_with_its_connection(broker: Broker) -> None:
    fault = broker.delay("PUBLISH", by="ann")
    async with Peer(broker, "ann") as ann:
        await ann.publish("a")
    fault.lift()
    async with Peer(broker, "bob") as bob:
        await bob.ping()
    assert fault.hits == 1


async def test_a_packet_comes_twice(broker: Broker) -> None:
    broker.duplicate("PUBLISH", count=1, to="bob")
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        await bob.subscribe("a")
        await ann.publish("a", b"1")
        await ann.publish("a", b"2")
        assert [(await bob.expect(Publish)).payload for _ in range(3)] == [b"1", b"1", b"2"]


async def test_topics_are_denied(broker: Broker) -> None:
    fault = broker.deny("secret/#")
    async with Peer(broker, "ann") as ann:
        assert (await ann.publish("secret/plan", qos=1)).reason_code == NOT_AUTHORIZED
        assert (await ann.publish("secret/plan", qos=2)).reason_code == NOT_AUTHORIZED
        codes = [(await ann.subscribe(name)).reason_codes for name in ("secret/+", "$share/us/secret/a", "open")]
        assert codes == [[NOT_AUTHORIZED], [NOT_AUTHORIZED], [0]]
        assert fault.hits == 4
        broker.lift()
        assert (await ann.publish("secret/plan", qos=1)).reason_code == ReasonCode.NO_MATCHING_SUBSCRIBERS
        assert (await ann.subscribe("secret/#")).reason_codes == [0]


async def test_one_client_is_denied_to_publish_once(broker: Broker) -> None:
    broker.deny("a", subscribe=False, client_id="bob", reason_code=ReasonCode.QUOTA_EXCEEDED, count=1)
    async with Peer(broker, "ann") as ann, Peer(broker, "bob") as bob:
        assert (await bob.subscribe("a")).reason_codes == [0]
        codes = [(await peer.publish("a", qos=1)).reason_code for peer in (ann, bob, bob)]
        assert codes == [0, ReasonCode.QUOTA_EXCEEDED, 0]


async def test_packets_are_told_apart_however_their_bytes_come(broker: Broker) -> None:
    broker.drop("PINGREQ", count=1)
    octets = b"".join(
        packet.encode(V5)
        for packet in (
            Connect("bob"),
            Pingreq(),
            Subscribe(1, [("a", SubscriptionOptions(0))], Properties()),
            Publish("a", b"x" * 300),
            Pingreq(),
            Disconnect(),
        )
    )
    async with Peer.raw(broker) as bob:
        for at in range(len(octets)):
            bob.send(octets[at : at + 1])
        await bob.closed()
        assert [type(packet).__name__ for packet in bob.received] == ["Connack", "Suback", "Publish", "Pingresp"]
    names = [(seen.name, seen.fate) for seen in broker.packets.select(by="bob")]
    wanted = ["CONNECT", "PINGREQ", "SUBSCRIBE", "PUBLISH", "PINGREQ", "DISCONNECT", "CLOSED"]
    assert names == [(name, "dropped" if index == 1 else "passed") for index, name in enumerate(wanted)]


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        Connect("bob").encode(V5) + b"\xc0\xff\xff\xff\xff\x7f",
        Connect("b").encode(V5) + b"\0\0",
    ],
)
async def test_what_is_no_packet_goes_to_the_broker_as_it_is(broker: Broker, octets: bytes) -> None:
    async with Peer.raw(broker) as bob:
        bob.send(octets)
        await bob.closed()
    await broker.wait_for("UNREADABLE")


async def test_a_rule_that_cannot_be_is_refused(broker: Broker) -> None:
    with pytest.raises(ValueError, match="PUBLISHED: no such packet; there are AUTH, CLOSED, CONNACK"):
        broker.drop("PUBLISHED")
    with pytest.raises(ValueError, match="count is at least 1"):
        broker.drop("PUBLISH", count=0)
    with pytest.raises(ValueError, match="one of by, to and client_id"):
        broker.drop("PUBLISH", by="ann", to="bob")
    with pytest.raises(ValueError, match='direction is "in" or "out"'):
        broker.drop("PUBLISH", by="ann", direction="out")
