"""3.4 PUBACK, 3.5 PUBREC, 3.6 PUBREL and 3.7 PUBCOMP: their legal forms, their reason codes and their size."""

from collections.abc import Callable

import pytest

from linnet import Broker
from linnet.wire import V5, Properties, Puback, Pubcomp, Publish, Pubrec, Pubrel, SubscriptionOptions, Version
from tests.conformance.tools import BEFORE_5, EVERY_VERSION, ONLY_5, codes, complaint, packet
from tests.conftest import MakeBroker
from tests.peer import Packet, Peer

PUBACK, PUBREC, PUBREL, PUBCOMP = 0x40, 0x50, 0x62, 0x70
NAMES = {PUBACK: "PUBACK", PUBREC: "PUBREC", PUBREL: "PUBREL", PUBCOMP: "PUBCOMP"}
RECEIVED = (0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99)  # the codes of PUBACK and PUBREC
RELEASED = (0x00, 0x92)  # those of PUBREL and PUBCOMP
REASON = b"\x1f\x00\x03why"
PAIR = b"\x26\x00\x01n\x00\x01v"

Form = Callable[[int, int, int], bytes]

# Every length that an acknowledgement may have; the shortest one has no reason code but success
FORMS: dict[str, Form] = {
    "reason": lambda first, number, code: packet(first, number.to_bytes(2, "big"), bytes((code,))),
    "no properties": lambda first, number, code: packet(first, number.to_bytes(2, "big"), bytes((code, 0))),
    "reason string": lambda first, number, code: packet(
        first, number.to_bytes(2, "big"), bytes((code, len(REASON))), REASON
    ),
    "everything": lambda first, number, code: packet(
        first, number.to_bytes(2, "big"), bytes((code, len(PAIR + REASON + PAIR))), PAIR, REASON, PAIR
    ),
}


def short(first: int, number: int, code: int) -> bytes:
    """An acknowledgement of four bytes, which means success."""
    assert code == 0
    return packet(first, number.to_bytes(2, "big"))


def forms(code: int) -> list[Form]:
    """All the ways to say this code."""
    return [*FORMS.values(), *([short] if code == 0 else [])]


def narrow(broker: Broker, client_id: str) -> Peer:
    """A client that takes one unacknowledged message at a time and acknowledges nothing by itself."""
    return Peer(broker, client_id, properties=Properties(receive_maximum=1), manual=True)


async def fill(broker: Broker, count: int, qos: int) -> None:
    """Publishes so many messages."""
    async with Peer(broker, "ann") as ann:
        for number in range(count):
            await ann.publish("a", str(number).encode(), qos=qos)


# -- what a client may send


@ONLY_5
@pytest.mark.parametrize("code", RECEIVED, ids="{:02x}".format)
@pytest.mark.clause("5.0:MQTT-3.4.2-1")
async def test_every_puback_completes_its_message(broker: Broker, version: Version, code: int) -> None:
    ways = forms(code)
    async with narrow(broker, "bob") as bob:
        await bob.subscribe("a", qos=1)
        await fill(broker, len(ways) + 1, 1)
        for number, way in enumerate(ways):
            message = await bob.expect(Publish)
            assert message.payload == str(number).encode()
            await bob.nothing()
            bob.send(way(PUBACK, message.packet_id, code))
        assert (await bob.expect(Publish)).payload == str(len(ways)).encode()


@ONLY_5
@pytest.mark.parametrize("code", RECEIVED, ids="{:02x}".format)
@pytest.mark.clause("5.0:MQTT-3.5.2-1", "5.0:MQTT-3.6.2-1")
async def test_every_pubrec_is_answered_by_pubrel_or_ends_the_exchange(
    broker: Broker, version: Version, code: int
) -> None:
    ways = forms(code)
    async with narrow(broker, "bob") as bob:
        await bob.subscribe("a", qos=2)
        await fill(broker, len(ways) + 1, 2)
        for number, way in enumerate(ways):
            message = await bob.expect(Publish)
            assert message.payload == str(number).encode()
            bob.send(way(PUBREC, message.packet_id, code))
            if code < 0x80:
                answer = await bob.expect(Pubrel)
                assert (answer.packet_id, answer.reason_code) == (message.packet_id, 0)
                bob.send(Pubcomp(message.packet_id))
        assert (await bob.expect(Publish)).payload == str(len(ways)).encode()


@ONLY_5
@pytest.mark.parametrize("code", RELEASED, ids="{:02x}".format)
@pytest.mark.clause("5.0:MQTT-3.6.2-1", "5.0:MQTT-3.7.2-1")
async def test_every_pubrel_is_answered_by_pubcomp(broker: Broker, version: Version, code: int) -> None:
    async with Peer(broker, "bob", manual=True) as bob:
        for number, way in enumerate(forms(code), 1):
            bob.send(Publish("a", b"x", 2, packet_id=number))
            await bob.expect(Pubrec)
            bob.send(way(PUBREL, number, code))
            answer = await bob.expect(Pubcomp)
            assert (answer.packet_id, answer.reason_code) == (number, 0)


@ONLY_5
@pytest.mark.parametrize("code", RELEASED, ids="{:02x}".format)
@pytest.mark.clause("5.0:MQTT-3.7.2-1")
async def test_every_pubcomp_completes_its_message(broker: Broker, version: Version, code: int) -> None:
    ways = forms(code)
    async with narrow(broker, "bob") as bob:
        await bob.subscribe("a", qos=2)
        await fill(broker, len(ways) + 1, 2)
        for number, way in enumerate(ways):
            message = await bob.expect(Publish)
            assert message.payload == str(number).encode()
            bob.send(Pubrec(message.packet_id))
            await bob.expect(Pubrel)
            bob.send(way(PUBCOMP, message.packet_id, code))
        assert (await bob.expect(Publish)).payload == str(len(ways)).encode()


# -- what a client may not send

# For each packet some codes that others have, some that nobody has, and some that no packet from a client has
ILLEGAL = {
    PUBACK: (0x01, 0x02, 0x04, 0x11, 0x18, 0x81, 0x82, 0x8B, 0x92, 0x94, 0xA2, 0xFF),
    PUBREC: (0x01, 0x02, 0x04, 0x11, 0x18, 0x81, 0x82, 0x8B, 0x92, 0x94, 0xA2, 0xFF),
    PUBREL: (0x01, 0x10, 0x11, 0x80, 0x83, 0x87, 0x91, 0x93, 0x97, 0xFF),
    PUBCOMP: (0x01, 0x10, 0x11, 0x80, 0x83, 0x87, 0x91, 0x93, 0x97, 0xFF),
}
EACH = pytest.mark.parametrize("first", NAMES, ids=NAMES.values())


@ONLY_5
@EACH
@pytest.mark.clause("5.0:MQTT-3.4.2-1", "5.0:MQTT-3.5.2-1", "5.0:MQTT-3.6.2-1", "5.0:MQTT-3.7.2-1")
async def test_a_reason_code_of_another_packet_is_malformed(broker: Broker, version: Version, first: int) -> None:
    for code in ILLEGAL[first]:
        for way in FORMS.values():
            async with Peer(broker, "bob") as bob:
                bob.send(way(first, 1, code))
                assert codes(await bob.closed()) == [("Disconnect", 0x81)], f"reason code {code:#04x}"


@EVERY_VERSION
@EACH
@pytest.mark.parametrize("body", [b"", b"\x01"], ids=["empty", "one byte"])
async def test_an_acknowledgement_without_identifier_is_malformed(
    broker: Broker, version: Version, first: int, body: bytes
) -> None:
    async with Peer(broker, "bob", version) as bob:
        bob.send(packet(first, body))
        assert codes(await bob.closed()) == complaint(version, 0x81)


@BEFORE_5
@EACH
@pytest.mark.parametrize("more", [b"\x00", b"\x00\x00"])
async def test_an_acknowledgement_before_5_has_two_bytes(
    broker: Broker, version: Version, first: int, more: bytes
) -> None:
    async with Peer(broker, "bob", version) as bob:
        bob.send(packet(first, b"\x00\x01", more))
        assert await bob.closed() == []


@ONLY_5
@EACH
@pytest.mark.parametrize(
    ("rest", "code"),
    [
        (b"\x00\x00\x00", 0x81),
        (b"\x00\x05" + REASON, 0x81),
        (b"\x00\x07" + REASON, 0x81),
        (b"\x00\x0c" + REASON + REASON, 0x82),
        (b"\x00\x02\x01\x00", 0x82),
        (b"\x00\x03\x23\x00\x01", 0x82),
        (b"\x00\x02\x7f\x00", 0x81),
        (b"\x00\x04\x1f\x00\x01\xff", 0x81),
    ],
    ids=[
        *("more than its properties", "length too small", "length too large", "reason string twice"),
        *("property of PUBLISH", "topic alias", "unknown property", "not UTF-8"),
    ],
)
async def test_an_acknowledgement_with_wrong_properties_ends_the_connection(
    broker: Broker, version: Version, first: int, rest: bytes, code: int
) -> None:
    async with Peer(broker, "bob") as bob:
        bob.send(packet(first, b"\x00\x01", rest))
        assert codes(await bob.closed()) == [("Disconnect", code)]


# -- what the server sends


@EVERY_VERSION
@pytest.mark.clause("5.0:MQTT-3.7.2-1")
async def test_a_pubrel_for_nothing_is_answered(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version, manual=True) as bob:
        bob.send(Pubrel(0x1234))
        answer = await bob.expect(Pubcomp)
        assert (answer.packet_id, answer.reason_code) == (0x1234, 0x92 if version.can_say_why else 0)
        bob.send(Publish("a", b"x", 2, packet_id=0x1234))
        assert (await bob.expect(Pubrec)).packet_id == 0x1234


@EVERY_VERSION
@pytest.mark.clause("5.0:MQTT-3.6.2-1")
async def test_a_pubrec_for_nothing_is_answered(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version, manual=True) as bob:
        bob.send(Pubrec(0x1234))
        answer = await bob.expect(Pubrel)
        assert (answer.packet_id, answer.reason_code) == (0x1234, 0x92 if version.can_say_why else 0)
        bob.send(Pubcomp(0x1234))
        await bob.nothing()


@EVERY_VERSION
@pytest.mark.parametrize("first", [PUBACK, PUBCOMP], ids=["PUBACK", "PUBCOMP"])
async def test_a_last_acknowledgement_for_nothing_is_let_pass(broker: Broker, version: Version, first: int) -> None:
    async with Peer(broker, "bob", version, manual=True) as bob:
        bob.send(packet(first, b"\x12\x34"))
        await bob.nothing()


@ONLY_5
async def test_a_pubrec_that_refuses_nothing_is_not_answered(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", manual=True) as bob:
        bob.send(Pubrec(0x1234, 0x80))
        await bob.nothing()


async def problems(broker: Broker, maximum: int | None) -> list[Packet]:
    """Provokes every acknowledgement that tells of a problem, towards a client of this Maximum Packet Size."""
    async with Peer(broker, "bob", properties=Properties(maximum_packet_size=maximum), manual=True) as bob:
        first = len(bob.received)
        for qos in (1, 2):
            bob.send(Publish("nobody is here", b"x", qos, packet_id=qos))
            bob.send(Publish("$SYS/forbidden", b"x", qos, packet_id=qos + 2))
            bob.send(Publish("one too many", b"x", qos, packet_id=qos + 4, retain=True))
        bob.send(Pubrec(7))
        bob.send(Pubrel(8))
        await bob.ping()
        return bob.received[first:-1]


@ONLY_5
@pytest.mark.clause(
    *("5.0:MQTT-3.4.2-1", "5.0:MQTT-3.4.2-2", "5.0:MQTT-3.4.2-3"),
    *("5.0:MQTT-3.5.2-1", "5.0:MQTT-3.5.2-2", "5.0:MQTT-3.5.2-3"),
    *("5.0:MQTT-3.6.2-1", "5.0:MQTT-3.6.2-2", "5.0:MQTT-3.6.2-3"),
    *("5.0:MQTT-3.7.2-1", "5.0:MQTT-3.7.2-2", "5.0:MQTT-3.7.2-3"),
)
async def test_an_acknowledgement_leaves_out_what_would_make_it_too_large(
    make_broker: MakeBroker, version: Version
) -> None:
    broker = await make_broker(max_retained=1, max_keep_alive=0, topic_alias_maximum=0, receive_maximum=65535)
    await broker.publish("the only one", b"x", retain=True)
    expected = [
        *(("Puback", 0x10), ("Puback", 0x87), ("Puback", 0x97)),
        *(("Pubrec", 0x10), ("Pubrec", 0x87), ("Pubrec", 0x97)),
        *(("Pubrel", 0x92), ("Pubcomp", 0x92)),
    ]
    for maximum in (None, 40, 14, 13, 12, 11, 10):  # 10 bytes are what CONNACK needs
        found = await problems(broker, maximum)
        assert codes(found) == expected
        assert all(len(each.encode(V5)) <= (maximum or 1000) for each in found)


@EVERY_VERSION
@pytest.mark.clause("5.0:MQTT-3.4.2-1", "5.0:MQTT-3.5.2-1", "5.0:MQTT-3.6.2-1", "5.0:MQTT-3.7.2-1")
async def test_an_acknowledgement_of_what_went_well_says_so(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version, manual=True) as bob:
        await bob.subscribe([("a", SubscriptionOptions(2))])
        bob.send(Publish("a", b"x", 1, packet_id=1))
        bob.send(Publish("a", b"x", 2, packet_id=2))
        bob.send(Pubrel(2))
        await bob.ping()
        delivered = [each for each in bob.received if isinstance(each, Publish)]
        for each in delivered:
            bob.send((Puback if each.qos == 1 else Pubrec)(each.packet_id))
        await bob.ping()
        answers = [each for each in bob.received if isinstance(each, Puback | Pubrec | Pubrel | Pubcomp)]
        assert codes(answers) == [("Puback", 0), ("Pubrec", 0), ("Pubcomp", 0), ("Pubrel", 0)]
        assert [each.packet_id for each in answers] == [1, 2, 2, delivered[1].packet_id]
