"""The limits on packets and on what is in them."""

from typing import Any

import pytest

from linnet.errors import ReasonCode
from linnet.wire import (
    V3_1_1,
    V5,
    Connect,
    Disconnect,
    Properties,
    Puback,
    Publish,
    Pubrec,
    Subscribe,
    SubscriptionOptions,
    Unsubscribe,
    Version,
    Will,
)
from tests.limits.proof import Proof, ended, eventually, proving
from tests.peer import Peer

both = pytest.mark.parametrize("version", [V3_1_1, V5], ids=["3.1.1", "5.0"])
MANY = [("name", f"{number}") for number in range(5)]
OPTIONS = SubscriptionOptions(1)
FAILURE = 0x80  # all that a SUBACK of 3.1.1 can say


async def broken(proof: Proof, version: Version, packet: Any, code: int, limit: str) -> None:
    """A client that sends this has gone too far: it is told why where it can be, and closed; one line tells of it."""
    async with Peer(proof.broker, "bob", version) as bob:
        bob.send(packet if isinstance(packet, bytes) else packet.encode(version))
        await ended(bob, code)
    await proof.reached(limit, client_id="bob")
    (line,) = proof.failures()
    assert line.client_id == "bob"
    assert len(bytes.fromhex(line.packet)) > 0


@both
async def test_max_packet_size_is_known_from_the_header(caplog: pytest.LogCaptureFixture, version: Version) -> None:
    async with proving(caplog, max_packet_size=200) as proof:
        header = Publish("t", b"x" * 300).encode(version)[:3]
        await broken(proof, version, header, ReasonCode.PACKET_TOO_LARGE, "max_packet_size")


@both
async def test_max_connect_size_is_known_from_the_header(caplog: pytest.LogCaptureFixture, version: Version) -> None:
    """The version is not known yet, so nothing can be said."""
    async with proving(caplog, max_connect_size=100) as proof, Peer.raw(proof.broker, version) as eve:
        eve.send(Connect("c" * 200, version=version).encode(version)[:3])
        assert await eve.closed() == []
        await proof.reached("max_connect_size")
        assert proof.count("max_packet_size") == 0


@both
@pytest.mark.parametrize(
    ("limit", "code", "client_id", "connect"),
    [
        ("max_client_id_bytes", ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, "ü" * 10, {}),
        ("max_user_name_bytes", ReasonCode.BAD_USER_NAME_OR_PASSWORD, "eve", {"user_name": "ü" * 10}),
        ("max_password_bytes", ReasonCode.BAD_USER_NAME_OR_PASSWORD, "eve", {"user_name": "u", "password": b"x" * 20}),
    ],
)
async def test_lengths_in_connect(
    caplog: pytest.LogCaptureFixture,
    version: Version,
    limit: str,
    code: ReasonCode,
    client_id: str,
    connect: dict[str, Any],
) -> None:
    async with proving(caplog, **{limit: 19}) as proof:
        await proof.refused(client_id, code, version, **connect)
        await proof.reached(limit, client_id=client_id)
        assert "x" * 20 not in caplog.text  # a password is never logged


topics = pytest.mark.parametrize(
    ("limit", "most", "topic"), [("max_topic_bytes", 40, "x" * 41), ("max_topic_levels", 4, "a/b/c/d/e")]
)


@both
@topics
async def test_topic_names(
    caplog: pytest.LogCaptureFixture, version: Version, limit: str, most: int, topic: str
) -> None:
    async with proving(caplog, **{limit: most}) as proof:
        await broken(proof, version, Publish(topic, b"x"), ReasonCode.TOPIC_NAME_INVALID, limit)


@both
@topics
async def test_topic_filters(
    caplog: pytest.LogCaptureFixture, version: Version, limit: str, most: int, topic: str
) -> None:
    async with proving(caplog, **{limit: most}) as proof, Peer(proof.broker, "ann", version) as ann:
        invalid = ReasonCode.TOPIC_FILTER_INVALID if version is V5 else FAILURE
        for name in (topic, f"$share/group/{topic}"):
            assert (await ann.subscribe(name)).reason_codes == [invalid]
        await ann.nothing()
        await proof.reached(limit, 2, client_id="ann")


properties = pytest.mark.parametrize(
    ("limit", "most", "properties"),
    [
        ("max_user_properties", 4, Properties(user_properties=MANY)),
        ("max_properties_size", 50, Properties(user_properties=[("name", "x" * 60)])),
    ],
    ids=["number", "size"],
)


@properties
@pytest.mark.parametrize("kind", [Publish, Subscribe, Unsubscribe, Puback, Disconnect], ids=lambda kind: kind.__name__)
async def test_properties(
    caplog: pytest.LogCaptureFixture, kind: type, limit: str, most: int, properties: Properties
) -> None:
    """There are none before 5.0. A DISCONNECT ends the connection as it wanted."""
    packet = {
        Publish: Publish("t", b"", 2, packet_id=1, properties=properties),
        Subscribe: Subscribe(1, [("t", OPTIONS)], properties),
        Unsubscribe: Unsubscribe(1, ["t"], properties),
        Puback: Puback(1, 0, properties),
        Disconnect: Disconnect(0, properties),
    }[kind]
    async with proving(caplog, **{limit: most}) as proof:
        await broken(proof, V5, packet, ReasonCode.QUOTA_EXCEEDED, limit)


@properties
async def test_properties_of_connect_and_will(
    caplog: pytest.LogCaptureFixture, limit: str, most: int, properties: Properties
) -> None:
    async with proving(caplog, **{limit: most}) as proof:
        await proof.refused("eve", ReasonCode.QUOTA_EXCEEDED, properties=properties)
        await proof.refused("eve", ReasonCode.QUOTA_EXCEEDED, will=Will("t", b"", properties=properties))
        await proof.reached(limit, 2, client_id="eve")


@both
@pytest.mark.parametrize("kind", [Subscribe, Unsubscribe])
async def test_max_filters_per_packet(caplog: pytest.LogCaptureFixture, version: Version, kind: type) -> None:
    async with proving(caplog, max_filters_per_packet=2) as proof:
        filters = ["a", "b", "c"]
        packet = kind(1, [(name, OPTIONS) for name in filters] if kind is Subscribe else filters, Properties())
        await broken(proof, version, packet, ReasonCode.QUOTA_EXCEEDED, "max_filters_per_packet")
        assert proof.broker.statistics.subscriptions == 1  # the well-behaved client's


@both
async def test_receive_maximum(caplog: pytest.LogCaptureFixture, version: Version) -> None:
    """A message of QoS 2 that is not released counts, and one that is sent again does not count twice."""
    limit = "receive_maximum" if version is V5 else "receive_maximum_3"
    async with proving(caplog, **{limit: 3}) as proof, Peer(proof.broker, "bob", version, manual=True) as bob:
        for number in (1, 2, 3, 1):
            bob.send(Publish("t", b"x", 2, dup=number == 1, packet_id=number))
            await bob.expect(Pubrec)
        bob.send(Publish("t", b"x", 2, packet_id=4))
        await ended(bob, ReasonCode.RECEIVE_MAXIMUM_EXCEEDED)
        await proof.reached(limit, client_id="bob")
        (line,) = proof.failures()
        assert "MQTT-3.3.4-9" in line.detail


async def test_topic_alias_maximum(caplog: pytest.LogCaptureFixture) -> None:
    async with proving(caplog, topic_alias_maximum=2) as proof:
        packet = Publish("t", b"x", properties=Properties(topic_alias=3))
        await broken(proof, V5, packet, ReasonCode.TOPIC_ALIAS_INVALID, "topic_alias_maximum")


async def test_topic_alias_maximum_out_is_never_exceeded(caplog: pytest.LogCaptureFixture) -> None:
    properties = Properties(topic_alias_maximum=10)
    async with (
        proving(caplog, topic_alias_maximum_out=2) as proof,
        Peer(proof.broker, "bob", properties=properties) as bob,
    ):
        await bob.subscribe("t/#")
        for number in (1, 2, 3, 1, 2, 3):
            await proof.broker.publish(f"t/{number}")
        aliases = [(await bob.expect(Publish)).properties.topic_alias for _ in range(6)]
        assert {alias for alias in aliases if alias} <= {1, 2}


@both
async def test_max_qos(caplog: pytest.LogCaptureFixture, version: Version) -> None:
    async with proving(caplog, max_qos=1) as proof:
        async with Peer(proof.broker, "ann", version) as ann:
            assert ann.connack.properties.maximum_qos == (1 if version is V5 else None)
            assert (await ann.subscribe("t", qos=2)).reason_codes == [1]
        packet = Publish("t", b"x", 2, packet_id=1)
        await broken(proof, version, packet, ReasonCode.QOS_NOT_SUPPORTED, "max_qos")
        assert "MQTT-3.2.2-11" in proof.failures()[0].detail


@both
async def test_max_keep_alive(caplog: pytest.LogCaptureFixture, version: Version) -> None:
    """Before 5.0 a client cannot be told, and keeps what it asked for."""
    async with proving(caplog, max_keep_alive=1) as proof, Peer(proof.broker, "bob", version, keep_alive=600) as bob:
        granted = proof.broker.sessions["bob"].connection
        assert granted is not None
        if version is V3_1_1:
            assert granted.keep_alive == 600
            return
        assert (granted.keep_alive, bob.connack.properties.server_keep_alive) == (1, 1)
        await ended(bob, ReasonCode.KEEP_ALIVE_TIMEOUT)
        (line,) = proof.lines("connections", event="disconnected", client_id="bob")
        assert "nothing heard" in line.detail


@both
async def test_max_session_expiry(caplog: pytest.LogCaptureFixture, version: Version) -> None:
    """In 5.0 the client is told; before it, a session that should stay for ever stays so long."""
    properties = Properties(session_expiry_interval=3600) if version is V5 else None
    async with proving(caplog, max_session_expiry=1) as proof:
        async with Peer(proof.broker, "bob", version, clean_start=False, properties=properties) as bob:
            assert bob.connack.properties.session_expiry_interval == (1 if version is V5 else None)
        assert "bob" in proof.broker.sessions
        await eventually(lambda: "bob" not in proof.broker.sessions, "the session to end")
