"""4.9 Flow control and 4.13 Handling errors (3.1.1: 4.8)."""

import pytest

from linnet import Broker
from linnet.core.ports import Hooks
from linnet.core.ports import Peer as Origin
from linnet.core.session import Session
from linnet.errors import ReasonCode
from linnet.wire import (
    Connect,
    Message,
    Pingresp,
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
from tests.conformance.tools import (
    EVERY_VERSION,
    ONLY_5,
    SINCE_3_1_1,
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

# -- 4.9: flow control


@ONLY_5
@pytest.mark.parametrize("window", [1, 2, 5])
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.clause("5.0:MQTT-4.9.0-1", "5.0:MQTT-4.9.0-2", "5.0:MQTT-3.3.4-9")
async def test_no_more_than_the_receive_maximum_is_unacknowledged(
    broker: Broker, version: Version, window: int, qos: int
) -> None:
    async with (
        Peer(broker, "ann") as ann,
        Peer(broker, "bob", properties=Properties(receive_maximum=window), manual=True) as bob,
    ):
        await bob.subscribe("a", qos=qos)
        for number in range(window + 2):
            await ann.publish("a", str(number).encode(), qos=qos)
        found = [await bob.expect(Publish) for _ in range(window)]
        assert [each.payload for each in found] == [str(number).encode() for number in range(window)]
        await bob.nothing()
        for number in (window, window + 1):
            packet_id = found[number - window].packet_id
            if qos == 1:
                bob.send(Puback(packet_id))
            else:
                bob.send(Pubrec(packet_id))
                assert (await bob.expect(Pubrel)).packet_id == packet_id
                await bob.nothing()  # PUBREC gives nothing back to the quota
                bob.send(Pubcomp(packet_id))
            found.append(await bob.expect(Publish))
            assert found[-1].payload == str(number).encode()
            await bob.nothing()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-4.9.0-2")
async def test_a_pubrec_that_refuses_gives_back_to_the_quota(broker: Broker, version: Version) -> None:
    async with (
        Peer(broker, "ann") as ann,
        Peer(broker, "bob", properties=Properties(receive_maximum=1), manual=True) as bob,
    ):
        await bob.subscribe("a", qos=2)
        await ann.publish("a", b"one", qos=2)
        await ann.publish("a", b"two", qos=2)
        bob.send(Pubrec((await bob.expect(Publish)).packet_id, 0x97))
        assert (await bob.expect(Publish)).payload == b"two"


@ONLY_5
@pytest.mark.clause("5.0:MQTT-4.9.0-1", "5.0:MQTT-4.9.0-2")
async def test_what_is_sent_again_keeps_to_the_receive_maximum_of_its_connection(
    broker: Broker, version: Version
) -> None:
    async with Peer(broker, "ann") as ann:
        async with Peer(broker, "bob", clean_start=False, properties=lasting(version), manual=True) as bob:
            await bob.subscribe("a", qos=1)
            for number in range(4):
                await ann.publish("a", str(number).encode(), qos=1)
                await bob.expect(Publish)
        narrow = lasting(version, receive_maximum=2)
        async with Peer(broker, "bob", clean_start=False, properties=narrow, manual=True) as again:
            found = [await again.expect(Publish), await again.expect(Publish)]
            for number in (0, 1):
                await again.nothing()
                again.send(Puback(found[number].packet_id))
                found.append(await again.expect(Publish))
            assert [each.payload for each in found] == [b"0", b"1", b"2", b"3"]


@ONLY_5
@pytest.mark.clause("5.0:MQTT-4.9.0-3", "5.0:MQTT-3.3.4-10")
async def test_everything_else_flows_when_the_quota_is_used_up(broker: Broker, version: Version) -> None:
    async with (
        Peer(broker, "ann") as ann,
        Peer(broker, "bob", properties=Properties(receive_maximum=1), manual=True) as bob,
    ):
        await bob.subscribe("a", qos=1)
        await ann.publish("a", b"fills the window", qos=1)
        await ann.publish("a", b"has to wait", qos=1)
        await bob.expect(Publish)
        await bob.ping()
        assert (await bob.subscribe("b", qos=1)).reason_codes == [1]
        assert (await bob.publish("elsewhere", b"x", qos=1)).packet_id
        assert (await bob.publish("elsewhere", b"x", qos=2)).packet_id
        await ann.publish("b", b"QoS 0 needs no quota")
        assert (await bob.expect(Publish)).payload == b"QoS 0 needs no quota"
        assert (await bob.unsubscribe("b")).reason_codes == [0]
        await bob.nothing()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.3.4-7", "5.0:MQTT-4.9.0-2")
async def test_a_client_beyond_the_servers_receive_maximum_is_disconnected(
    make_broker: MakeBroker, version: Version
) -> None:
    broker = await make_broker(receive_maximum=2)
    async with Peer(broker, "bob") as bob:
        assert bob.connack.properties.receive_maximum == 2
        for number in (1, 2, 3):
            bob.send(Publish("a", b"x", 2, packet_id=number))
        assert codes(await bob.closed()) == [("Pubrec", 0x10), ("Pubrec", 0x10), ("Disconnect", 0x93)]


# -- 4.13 (3.1.1: 4.8): errors


def publish(*said: bytes) -> bytes:
    """A PUBLISH of MQTT 5.0 with these properties."""
    return packet(0x30, string(b"a"), packet(0, *said)[1:], b"x")


@SINCE_3_1_1
@pytest.mark.parametrize(
    "sent",
    [
        b"\x20\x02\x00\x00",
        b"\x20\x00",
        b"\x90\x03\x00\x01\x00",
        b"\x90\xff\xff\xff\x7f",
        b"\xb0\x02\x00\x01",
        b"\xd0\x00",
    ],
    ids=["CONNACK", "empty CONNACK", "SUBACK", "huge SUBACK", "UNSUBACK", "PINGRESP"],
)
@pytest.mark.clause("3.1.1:MQTT-4.8.0-1", "5.0:MQTT-4.13.1-1", "5.0:MQTT-4.13.2-1")
async def test_a_packet_that_only_servers_send_is_a_protocol_error(
    broker: Broker, version: Version, sent: bytes
) -> None:
    async with Peer(broker, "bob", version) as bob:
        bob.send(sent)
        found = codes(await bob.closed())
        allowed = (0x82, 0x95) if sent[1] == 0xFF else (0x82,)  # too large, whatever it is
        assert found in [complaint(version, code) for code in allowed]


@EVERY_VERSION
@pytest.mark.parametrize(
    ("build", "code"),
    [
        (lambda version: packet(0x36, string(b"a"), b"\x00\x01", properties(version), b"x"), 0x81),
        (lambda version: packet(0x30, b"\x00\x09a"), 0x81),
        (lambda version: packet(0x82, b"\x00\x01", properties(version), string(b"a")), 0x81),
        (lambda version: packet(0x82, b"\x00"), 0x81),
        (lambda version: packet(0xA2, b"\x00\x01", properties(version), b"\x00\x05ab"), 0x81),
        (lambda version: packet(0x62, b"\x00"), 0x81),
        (lambda version: packet(0x40), 0x81),
        (lambda version: packet(0xC0, b"\x00"), 0x81),
    ],
    ids=["QoS 3", "topic", "options", "identifier", "filter", "PUBREL", "PUBACK", "PINGREQ"],
)
@pytest.mark.clause("3.1.1:MQTT-4.8.0-1", "5.0:MQTT-4.13.1-1", "5.0:MQTT-4.13.2-1")
async def test_a_malformed_packet_closes(broker: Broker, version: Version, build, code: int) -> None:
    async with Peer(broker, "bob", version) as bob:
        bob.send(build(version))
        assert codes(await bob.closed()) == complaint(version, code)


@ONLY_5
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (publish(b"\x01\x00", b"\x01\x00"), 0x82),
        (publish(b"\x01\x02"), 0x82),
        (publish(b"\x13\x00\x05"), 0x82),
        (publish(b"\x7f"), 0x81),
        (publish(b"\x02\x00\x00"), 0x81),
        (publish(b"\x23\x00\x00"), 0x94),
        (publish(b"\x0b\x01"), 0x82),
        (packet(0x30, b"\x00\x00", b"\x00", b"x"), 0x82),
        (packet(0x82, b"\x00\x01", b"\x02\x0b\x00", string(b"a"), b"\x00"), 0x82),
        (packet(0x82, b"\x00\x01", b"\x04\x0b\x01\x0b\x02", string(b"a"), b"\x00"), 0x82),
        (packet(0x40, b"\x00\x01\x01"), 0x81),
    ],
    ids=[
        *("property twice", "format 2", "property of CONNACK", "unknown property", "cut short", "alias 0"),
        *("identifier from a client", "no topic, no alias", "identifier 0", "two identifiers", "reason code"),
    ],
)
@pytest.mark.clause("5.0:MQTT-4.13.1-1", "5.0:MQTT-4.13.2-1")
async def test_an_error_with_a_reason_code_is_told_and_closes(
    broker: Broker, version: Version, sent: bytes, code: int
) -> None:
    async with Peer(broker, "bob") as bob:
        bob.send(sent)
        assert codes(await bob.closed()) == [("Disconnect", code)]


@ONLY_5
@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"\x21\x00\x00", 0x82),
        (b"\x27\x00\x00\x00\x00", 0x82),
        (b"\x17\x02", 0x82),
        (b"\x19\x02", 0x82),
        (b"\x11\x00\x00\x00\x01\x11\x00\x00\x00\x01", 0x82),
        (b"\x12\x00\x01a", 0x82),
        (b"\x16\x00\x01a", 0x82),
        (b"\x11\x00\x00", 0x81),
    ],
    ids=[
        *("receive maximum 0", "maximum packet size 0", "problem information 2", "response information 2"),
        *("property twice", "property of CONNACK", "data without method", "cut short"),
    ],
)
@pytest.mark.clause("5.0:MQTT-4.13.1-1", "5.0:MQTT-4.13.2-1", "5.0:MQTT-3.1.4-1")
async def test_a_wrong_property_of_connect_is_refused(broker: Broker, version: Version, said: bytes, code: int) -> None:
    login = packet(0x10, string(b"MQTT"), b"\x05\x02\x00\x00", properties(version, said), string(b"bob"))
    assert codes(await answers(broker, login)) == [("Connack", code)]


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-4.8.0-1", "5.0:MQTT-4.13.1-1")
async def test_an_error_of_one_client_is_none_of_the_others_business(broker: Broker, version: Version) -> None:
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        await ann.subscribe("a")
        bob.send(b"\xff\xff\xff\xff\xff")
        await bob.closed()
        await ann.publish("a", b"still here", qos=1)
        assert (await ann.receive()).payload == b"still here"


class Broken(Hooks):
    """Fails at one topic."""

    async def publishing(self, session: Session, message: Message) -> Message:
        if message.topic == "fails":
            raise OSError("no room on the disk")
        return message


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-4.8.0-2", "5.0:MQTT-4.13.1-1")
async def test_an_error_of_the_servers_own_closes_the_connection_it_happened_on(
    make_broker: MakeBroker, version: Version
) -> None:
    broker = await make_broker(hooks=Broken())
    async with Peer(broker, "ann", version) as ann, Peer(broker, "bob", version) as bob:
        await ann.subscribe("#")
        bob.send(Publish("fails", b"x", 1, packet_id=1))
        left = await bob.closed()
        assert not any(isinstance(each, Puback | Pingresp) for each in left)
        await ann.publish("a", b"still here", qos=1)
        assert (await ann.receive()).payload == b"still here"
        await ann.nothing()


class Doorman(Hooks):
    """Knows one password; asks again each time."""

    async def admit(self, connect: Connect, peer: Origin) -> ReasonCode:
        if connect.user_name is None:
            return ReasonCode.NOT_AUTHORIZED
        return ReasonCode.SUCCESS if connect.password == b"right" else ReasonCode.BAD_USER_NAME_OR_PASSWORD


@EVERY_VERSION
@pytest.mark.parametrize(("user_name", "code"), [(None, 0x87), ("bob", 0x86)])
@pytest.mark.clause(
    *("3.1.1:MQTT-3.2.2-4", "3.1.1:MQTT-3.2.2-5", "3.1.1:MQTT-3.1.4-5"),
    *("5.0:MQTT-3.1.4-2", "5.0:MQTT-3.2.2-6", "5.0:MQTT-3.2.2-7", "5.0:MQTT-3.1.4-6"),
)
async def test_a_client_that_is_not_admitted_is_told_so_and_changes_nothing(
    make_broker: MakeBroker, version: Version, user_name: str | None, code: int
) -> None:
    broker = await make_broker(hooks=Doorman())
    known = {"user_name": "bob", "password": b"right", "clean_start": False, "properties": lasting(version)}
    async with (
        Peer(broker, "ann", user_name="ann", password=b"right") as ann,
        Peer(broker, "bob", version, **known) as bob,
    ):
        await ann.subscribe("gone")
        await bob.subscribe([("a", SubscriptionOptions(1))])
        wrong = Connect("bob", user_name=user_name, will=Will("gone", b"never sent"), version=version)
        (refusal,) = await answers(broker, wrong, version=version)
        assert (refusal.reason_code, refusal.session_present) == (code, False)
        await bob.ping()
        await ann.nothing()
    async with Peer(broker, "bob", version, **known) as again:
        await again.publish("a", b"still subscribed", qos=1)
        assert (await again.receive()).payload == b"still subscribed"
