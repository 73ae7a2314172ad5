"""3.1 CONNECT: what a client must say first, and what happens to one that says it wrongly."""

import pytest

from linnet import Broker
from linnet.wire import V3_1, V3_1_1, V5, Connack, Connect, Properties, Version
from tests.conformance.tools import (
    BEFORE_5,
    CLEAN,
    EVERY_VERSION,
    ONLY_3_1_1,
    ONLY_5,
    PASSWORD,
    SINCE_3_1_1,
    TOO_LONG,
    USER_NAME,
    WILL,
    WILL_QOS_1,
    WILL_QOS_2,
    WILL_RETAIN,
    answers,
    codes,
    complaint,
    connect,
    properties,
    refused,
    string,
    versions,
)
from tests.conftest import MakeBroker
from tests.peer import Peer

# -- 3.1.0: the first packet


@pytest.mark.parametrize(
    "first",
    [
        b"\x20\x03\x00\x00\x00",
        b"\x30\x05\x00\x01ahi",
        b"\x40\x02\x00\x01",
        b"\x50\x02\x00\x01",
        b"\x62\x02\x00\x01",
        b"\x70\x02\x00\x01",
        b"\x82\x06\x00\x01\x00\x01a\x00",
        b"\x90\x03\x00\x01\x00",
        b"\xa2\x05\x00\x01\x00\x01a",
        b"\xb0\x02\x00\x01",
        b"\xc0\x00",
        b"\xd0\x00",
        b"\xe0\x00",
        b"\xf0\x00",
        b"\x00\x00",
    ],
    ids=lambda first: f"type-{first[0] >> 4}",
)
@pytest.mark.clause("3.1.1:MQTT-3.1.0-1", "5.0:MQTT-3.1.0-1", "5.0:MQTT-3.14.0-1")
async def test_anything_but_connect_first_closes_without_an_answer(broker: Broker, first: bytes) -> None:
    assert await answers(broker, first) == []


@pytest.mark.clause("3.1.1:MQTT-3.1.0-1", "5.0:MQTT-3.1.0-1")
async def test_a_huge_first_packet_that_is_no_connect_is_not_waited_for(broker: Broker) -> None:
    assert await answers(broker, b"\x30\xff\xff\xff\x7f") == []


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.1.0-2", "5.0:MQTT-3.1.0-2")
async def test_a_second_connect_ends_the_connection(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as bob:
        bob.send(Connect("bob", version=version))
        assert codes(await bob.closed()) == complaint(version, 0x82)


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.1.0-2", "5.0:MQTT-3.1.0-2")
async def test_a_second_connect_is_refused_by_its_first_byte(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as bob:
        bob.send(b"\x10\xff\xff\xff\x7f")
        await bob.closed()


# -- 3.1.2: protocol name, level and flags


@pytest.mark.parametrize("name", [b"MQT", b"mqtt", b"MQTTT", b"", b"HTTP", b"MQIsdq"])
@pytest.mark.clause("3.1.1:MQTT-3.1.2-1", "5.0:MQTT-3.1.2-1")
async def test_another_protocol_name_closes(broker: Broker, name: bytes) -> None:
    assert await answers(broker, connect(V3_1_1, CLEAN, name=name)) == []


@pytest.mark.parametrize("level", [0, 2, 6, 0x7F, 0x80])
@pytest.mark.clause("5.0:MQTT-3.1.2-2", "5.0:MQTT-3.2.2-7")
async def test_an_unknown_level_is_told_so_in_the_newest_version(broker: Broker, level: int) -> None:
    assert codes(await answers(broker, connect(V5, CLEAN, level=level))) == [("Connack", 0x84)]


@SINCE_3_1_1
@pytest.mark.clause("3.1.1:MQTT-3.1.2-2", "5.0:MQTT-3.1.2-2")
async def test_a_version_that_is_not_offered_is_told_so_in_that_version(
    make_broker: MakeBroker, version: Version
) -> None:
    broker = await make_broker(versions=["3.1"])
    assert codes(await answers(broker, connect(version), version=version)) == [("Connack", 0x84)]


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.1.2-3", "5.0:MQTT-3.1.2-3")
async def test_the_reserved_connect_flag_is_refused(broker: Broker, version: Version) -> None:
    found = await answers(broker, connect(version, CLEAN | 0x01), version=version)
    assert codes(found) == refused(version, 0x81)


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.1.2-14", "5.0:MQTT-3.1.2-12")
async def test_a_will_qos_of_3_is_refused(broker: Broker, version: Version) -> None:
    flags = CLEAN | WILL | WILL_QOS_1 | WILL_QOS_2
    will = (properties(version), string("gone"), string("bye"))
    found = await answers(broker, connect(version, flags, string("bob"), *will), version=version)
    assert codes(found) == refused(version, 0x81)


@EVERY_VERSION
@pytest.mark.parametrize("will_qos", [0, WILL_QOS_1, WILL_QOS_2], ids=["0", "1", "2"])
@pytest.mark.clause("3.1.1:MQTT-3.1.2-14", "5.0:MQTT-3.1.2-12")
async def test_every_other_will_qos_is_accepted(broker: Broker, version: Version, will_qos: int) -> None:
    will = (properties(version), string("gone"), string("bye"))
    async with Peer.raw(broker, version) as bob:
        bob.send(connect(version, CLEAN | WILL | will_qos, string("bob"), *will))
        assert (await bob.expect(Connack)).reason_code == 0


@EVERY_VERSION
@pytest.mark.parametrize("flag", [WILL_QOS_1, WILL_QOS_2])
@pytest.mark.clause("3.1.1:MQTT-3.1.2-11", "3.1.1:MQTT-3.1.2-13", "5.0:MQTT-3.1.2-11")
async def test_a_will_qos_without_a_will_is_refused(broker: Broker, version: Version, flag: int) -> None:
    found = await answers(broker, connect(version, CLEAN | flag), version=version)
    assert codes(found) == refused(version, 0x81)


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.1.2-11", "3.1.1:MQTT-3.1.2-15", "5.0:MQTT-3.1.2-13")
async def test_will_retain_without_a_will_is_refused(broker: Broker, version: Version) -> None:
    found = await answers(broker, connect(version, CLEAN | WILL_RETAIN), version=version)
    assert codes(found) == refused(version, 0x81)


@EVERY_VERSION
@pytest.mark.parametrize("present", [0, 1], ids=["topic missing", "payload missing"])
@pytest.mark.clause("3.1.1:MQTT-3.1.2-9", "5.0:MQTT-3.1.2-9")
async def test_a_will_flag_without_its_fields_is_refused(broker: Broker, version: Version, present: int) -> None:
    fields = (properties(version), string("gone")) if present else ()
    found = await answers(broker, connect(version, CLEAN | WILL, string("bob"), *fields), version=version)
    assert codes(found) == refused(version, 0x81)


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.1.2-11")
async def test_will_fields_without_the_flag_are_refused(broker: Broker, version: Version) -> None:
    fields = (properties(version), string("gone"), string("bye"))
    found = await answers(broker, connect(version, CLEAN, string("bob"), *fields), version=version)
    assert codes(found) == refused(version, 0x81)


@SINCE_3_1_1
@pytest.mark.clause("3.1.1:MQTT-3.1.2-19", "5.0:MQTT-3.1.2-17")
async def test_a_user_name_flag_without_a_user_name_is_refused(broker: Broker, version: Version) -> None:
    found = await answers(broker, connect(version, CLEAN | USER_NAME), version=version)
    assert codes(found) == refused(version, 0x81)


@SINCE_3_1_1
@pytest.mark.clause("3.1.1:MQTT-3.1.2-21", "5.0:MQTT-3.1.2-19")
async def test_a_password_flag_without_a_password_is_refused(broker: Broker, version: Version) -> None:
    login = connect(version, CLEAN | USER_NAME | PASSWORD, string("bob"), string("user"))
    assert codes(await answers(broker, login, version=version)) == refused(version, 0x81)


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.1.2-18", "5.0:MQTT-3.1.2-16")
async def test_a_user_name_without_its_flag_is_refused(broker: Broker, version: Version) -> None:
    found = await answers(broker, connect(version, CLEAN, string("bob"), string("user")), version=version)
    assert codes(found) == refused(version, 0x81)


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.1.2-20", "5.0:MQTT-3.1.2-18")
async def test_a_password_without_its_flag_is_refused(broker: Broker, version: Version) -> None:
    login = connect(version, CLEAN | USER_NAME, string("bob"), string("user"), string("secret"))
    assert codes(await answers(broker, login, version=version)) == refused(version, 0x81)


@BEFORE_5
@pytest.mark.clause("3.1.1:MQTT-3.1.2-22")
async def test_a_password_without_a_user_name_is_refused_before_5(broker: Broker, version: Version) -> None:
    login = connect(version, CLEAN | PASSWORD, string("bob"), string("secret"))
    assert await answers(broker, login, version=version) == []


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.1.2-16", "5.0:MQTT-3.1.2-19")
async def test_a_password_without_a_user_name_is_fine_since_5(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version, password=b"secret") as bob:
        assert bob.connack.reason_code == 0


# -- 3.1.3: the payload


@SINCE_3_1_1
@pytest.mark.clause("3.1.1:MQTT-3.1.3-1", "3.1.1:MQTT-3.1.3-3", "5.0:MQTT-3.1.3-1", "5.0:MQTT-3.1.3-3")
async def test_the_payload_fields_are_read_in_their_order(broker: Broker, version: Version) -> None:
    flags = CLEAN | WILL | USER_NAME | PASSWORD
    will = (properties(version, b"\x01\x01"), string("gone"), string("bye"))
    async with Peer(broker, "ann") as ann, Peer.raw(broker, version) as bob:
        await ann.subscribe("gone")
        bob.send(connect(version, flags, string("bob"), *will, string("user"), string("secret")))
        await bob.expect(Connack)
        async with Peer(broker, "bob", version):  # the first field is the client identifier: this takes over
            await bob.closed()
        message = await ann.receive()
        assert (message.topic, message.payload) == ("gone", b"bye")
        assert message.properties.payload_format_indicator == (1 if version is V5 else None)


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-3.1.3-3", "5.0:MQTT-3.1.3-3")
async def test_a_missing_client_identifier_is_refused(broker: Broker, version: Version) -> None:
    assert codes(await answers(broker, connect(version, CLEAN, b""), version=version)) == refused(version, 0x81)


ILL_FORMED = [b"\xff", b"a\xc0\x80", b"\xed\xa0\x80", b"\xe2\x82", b"a\x00b"]


@EVERY_VERSION
@pytest.mark.parametrize("text", ILL_FORMED)
@pytest.mark.clause("3.1.1:MQTT-3.1.3-4", "5.0:MQTT-3.1.3-4")
async def test_a_client_identifier_that_is_no_text_is_refused(broker: Broker, version: Version, text: bytes) -> None:
    found = await answers(broker, connect(version, CLEAN, string(text)), version=version)
    assert codes(found) == refused(version, 0x81)


@EVERY_VERSION
@pytest.mark.parametrize("text", ILL_FORMED)
@pytest.mark.clause("3.1.1:MQTT-3.1.3-10", "5.0:MQTT-3.1.3-11")
async def test_a_will_topic_that_is_no_text_is_refused(broker: Broker, version: Version, text: bytes) -> None:
    will = (properties(version), string(text), string("bye"))
    found = await answers(broker, connect(version, CLEAN | WILL, string("bob"), *will), version=version)
    assert codes(found) == refused(version, 0x81)


@EVERY_VERSION
@pytest.mark.parametrize("text", ILL_FORMED)
@pytest.mark.clause("3.1.1:MQTT-3.1.3-11", "5.0:MQTT-3.1.3-12")
async def test_a_user_name_that_is_no_text_is_refused(broker: Broker, version: Version, text: bytes) -> None:
    login = connect(version, CLEAN | USER_NAME, string("bob"), string(text))
    assert codes(await answers(broker, login, version=version)) == refused(version, 0x81)


@EVERY_VERSION
@pytest.mark.parametrize(
    "client_id",
    ["a", "0123456789abcdefghijklm", "nopqrstuvwxyzABCDEFGHIJ", "KLMNOPQRSTUVWXYZ"],
)
@pytest.mark.clause("3.1.1:MQTT-3.1.3-5", "5.0:MQTT-3.1.3-5")
async def test_short_identifiers_of_letters_and_digits_are_accepted(
    broker: Broker, version: Version, client_id: str
) -> None:
    async with Peer(broker, client_id, version) as bob:
        assert bob.connack.reason_code == 0
        await bob.ping()


@SINCE_3_1_1
@pytest.mark.clause("3.1.1:MQTT-3.1.3-6", "5.0:MQTT-3.1.3-6", "5.0:MQTT-3.2.2-16")
async def test_clients_without_an_identifier_get_one_each(broker: Broker, version: Version) -> None:
    async with Peer(broker, "", version) as ann, Peer(broker, "", version) as bob:
        await ann.subscribe("a")
        await ann.publish("a", b"to ann alone", qos=1)
        assert (await ann.receive()).payload == b"to ann alone"
        await bob.nothing()
        if version is V5:
            assert ann.connack.properties.assigned_client_identifier
            assert ann.client_id != bob.client_id


@ONLY_5
@pytest.mark.parametrize("clean_start", [True, False])
@pytest.mark.clause("5.0:MQTT-3.1.3-7")
async def test_an_assigned_identifier_is_the_clients_own(broker: Broker, version: Version, clean_start: bool) -> None:
    expiry = Properties(session_expiry_interval=3600)
    async with Peer(broker, "", clean_start=clean_start, properties=expiry) as bob:
        await bob.subscribe("a", qos=1)
    async with Peer(broker, bob.client_id, clean_start=False, properties=expiry) as again:
        assert again.connack.session_present
        assert again.connack.properties.assigned_client_identifier is None


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.2.2-16")
async def test_an_assigned_identifier_is_not_that_of_any_session(make_broker: MakeBroker, version: Version) -> None:
    broker = await make_broker(assigned_client_id_prefix="given-")
    async with Peer(broker, "", properties=Properties(session_expiry_interval=3600)) as first:
        pass
    async with Peer(broker, "") as second, Peer(broker, "") as third:
        assert len({first.client_id, second.client_id, third.client_id}) == 3
        assert not second.connack.session_present


@ONLY_3_1_1
@pytest.mark.clause("3.1.1:MQTT-3.1.3-7", "3.1.1:MQTT-3.1.3-8")
async def test_no_identifier_and_a_session_to_keep_is_refused(broker: Broker, version: Version) -> None:
    login = connect(version, 0, string(""))
    assert codes(await answers(broker, login, version=version)) == [("Connack", 0x85)]


@EVERY_VERSION
@pytest.mark.clause(
    "3.1.1:MQTT-3.1.3-9", "3.1.1:MQTT-3.2.2-5", "5.0:MQTT-3.1.3-8", "5.0:MQTT-3.1.4-2", "5.0:MQTT-3.2.2-7"
)
async def test_an_identifier_beyond_the_limit_is_rejected(broker: Broker, version: Version) -> None:
    login = Connect(TOO_LONG, version=version)
    assert codes(await answers(broker, login, version=version)) == [("Connack", 0x85)]


@versions(V3_1)
async def test_3_1_has_no_empty_identifiers(broker: Broker, version: Version) -> None:
    for flags in (0, CLEAN):
        login = connect(version, flags, string(""))
        assert codes(await answers(broker, login, version=version)) == [("Connack", 0x85)]


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.1.4-2")
async def test_thousands_of_user_properties_are_a_matter_of_limits(make_broker: MakeBroker, version: Version) -> None:
    login = Connect("bob", properties=Properties(user_properties=[("n", "v")] * 5000))
    assert codes(await answers(await make_broker(), login)) == [("Connack", 0x97)]
    generous = await make_broker(max_user_properties=5000)
    async with Peer.raw(generous) as bob:
        bob.send(login)
        assert (await bob.expect(Connack)).reason_code == 0


@EVERY_VERSION
@pytest.mark.parametrize("field", ["user_name", "password"])
@pytest.mark.clause("5.0:MQTT-3.1.4-2")
async def test_a_login_beyond_the_limits_is_refused(broker: Broker, version: Version, field: str) -> None:
    wrong = {"user_name": "bob", "password": b"secret"}
    wrong[field] = wrong[field] * 3000
    login = Connect("bob", version=version, **wrong)
    assert codes(await answers(broker, login, version=version)) == [("Connack", 0x86)]
