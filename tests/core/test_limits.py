"""Each limit is reached from outside: what happens then, and where it is counted."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from linnet.core.limits import Limits
from linnet.errors import ReasonCode
from linnet.settings import OPTIONS
from linnet.wire import (
    V3_1_1,
    V5,
    Connack,
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
from tests.pair import FOR_EVER, Client, World

MANY = [("name", f"{number}") for number in range(5)]


def refused(world: World, code: int, version: Version = V5, **connect: Any) -> None:
    """A client with this CONNECT is told the code, and is not there afterwards."""
    client = world.client("refused", version=version, **connect)
    assert not client.is_open
    assert [packet.reason_code for packet in client.all(Connack)] == [code]
    assert "refused" not in world.sessions


def closed(client: Client, code: int) -> None:
    """What the client has just sent ends its connection with this code."""
    client.settle()
    assert not client.is_open
    assert client.the(Disconnect).reason_code == code


def test_every_limit_comes_from_a_setting_of_its_name() -> None:
    assert {field.name for field in fields(Limits)} <= set(OPTIONS)


def test_max_queued_messages() -> None:
    world = World(max_queued_messages=3)
    bob = world.client("bob", expiry=FOR_EVER)
    bob.subscribe("t", 1)
    bob.cut()
    for number in range(5):
        world.publish("t", b"%d" % number, 1)
    assert world.sessions["bob"].sender.statistics.dropped_queue_full == 2
    bob.connect(clean_start=False, expiry=FOR_EVER)
    world.settle()
    assert bob.payloads == [b"0", b"1", b"2"]


def test_max_queued_messages_of_none_queues_none() -> None:
    world = World(max_queued_messages=0)
    bob = world.client("bob", expiry=FOR_EVER)
    bob.subscribe("t", 1)
    bob.cut()
    world.publish("t", b"x", 1)
    bob.connect(clean_start=False, expiry=FOR_EVER)
    world.settle()
    world.publish("t", b"y", 1)
    world.settle()
    assert bob.payloads == [b"y"]


def test_max_queued_messages_counts_those_that_wait_for_the_window_too() -> None:
    world = World(max_queued_messages=3, max_inflight=2)
    bob = world.client("bob")
    bob.acknowledges = False
    bob.subscribe("t", 1)
    for number in range(10):
        world.publish("t", b"%d" % number, 1)
    assert bob.session.sender.statistics.dropped_queue_full == 5


def test_max_queued_bytes() -> None:
    world = World(max_queued_bytes=1000)
    bob = world.client("bob", expiry=FOR_EVER)
    bob.subscribe("t", 1)
    bob.cut()
    for _ in range(10):
        world.publish("t", b"x" * 300, 1)
    sender = world.sessions["bob"].sender
    assert sender.waiting is not None
    assert (len(sender.waiting), sender.statistics.dropped_queue_full) == (3, 7)
    assert sender.backlog.bytes <= 1000


def test_max_inflight() -> None:
    world = World(max_inflight=3)
    bob = world.client("bob")
    bob.acknowledges = False
    bob.subscribe("t", 2)
    for _ in range(10):
        world.publish("t", b"x", 2)
    world.settle()
    assert len(bob.got) == 3


def test_max_output_bytes_drops_qos_0_for_who_does_not_read_and_for_nobody_else() -> None:
    world = World(max_output_bytes=1000)
    bob, reader = world.client("bob"), world.client("reader")
    for client in (bob, reader):
        client.subscribe("t", 1)
    bob.line.is_blocked = True
    for _ in range(20):
        world.publish("t", b"x" * 100)
    world.settle()
    assert bob.connection is not None
    outbox = bob.connection.outbox
    assert 1000 < outbox.size < 1200
    assert outbox.statistics.dropped_output_full + outbox.statistics.messages_sent == 20
    world.publish("t", b"important", 1)
    bob.line.is_blocked = False
    world.settle()
    assert len(reader.got) == 21
    assert bob.payloads[-1] == b"important"
    assert len(bob.got) == 21 - outbox.statistics.dropped_output_full


def test_max_retained() -> None:
    world = World(max_retained=2)
    bob = world.client("bob")
    for topic in ("a", "b", "c"):
        bob.publish(topic, b"x", 1, retain=True)
    bob.publish("a", b"new", 1, retain=True)
    world.settle()
    assert [ack.reason_code for ack in bob.all(Puback)][2] == ReasonCode.QUOTA_EXCEEDED
    retained = world.core.router.retained
    assert (sorted(retained.messages), retained.refused) == ([b"a", b"b"], 1)
    assert retained.messages[b"a"].payload == b"new"


def test_max_retained_is_kept_for_3_1_1_too_who_cannot_be_told() -> None:
    world = World(max_retained=1)
    bob = world.client("bob", version=V3_1_1)
    for topic in ("a", "b"):
        bob.publish(topic, b"x", 1, retain=True)
    world.settle()
    assert len(bob.all(Puback)) == 2 and bob.is_open
    assert list(world.core.router.retained.messages) == [b"a"]


def test_max_retained_bytes_and_payload() -> None:
    world = World(max_retained_bytes=100, max_retained_payload=50)
    bob = world.client("bob")
    for topic, size in (("a", 51), ("b", 50), ("c", 49)):
        bob.publish(topic, b"x" * size, 1, retain=True)
    world.settle()
    assert bob.all(Puback)[0].reason_code == ReasonCode.QUOTA_EXCEEDED
    assert world.core.router.retained.bytes <= 100
    assert world.core.router.retained.refused == 2


def test_max_routes() -> None:
    world = World(max_routes=10)
    bob = world.client("bob")
    bob.subscribe("#")
    for number in range(35):
        bob.publish(f"t/{number}", b"x")
        world.settle()
        assert len(world.core.router.routes) <= 10
    assert len(bob.got) == 35


def test_max_subscriptions_per_client() -> None:
    world = World(max_subscriptions_per_client=2)
    bob, ann = world.client("bob"), world.client("ann")
    options = SubscriptionOptions(1)
    assert bob.subscribe([("a", options), ("b", options), ("c", options)]) == [1, 1, ReasonCode.QUOTA_EXCEEDED]
    assert bob.subscribe("a", 2) == [2]  # again, so it is not one more
    assert ann.subscribe("a") == [0]
    bob.unsubscribe("a")
    assert bob.subscribe("c") == [0]


def test_max_subscriptions() -> None:
    world = World(max_subscriptions=3)
    bob, ann = world.client("bob"), world.client("ann")
    options = SubscriptionOptions()
    assert bob.subscribe([("a", options), ("$share/g/b", options)]) == [0, 0]
    assert ann.subscribe([("a", options), ("b", options)]) == [0, ReasonCode.QUOTA_EXCEEDED]
    bob.disconnect()
    assert ann.subscribe("b") == [0]


@pytest.mark.parametrize("verb", [Subscribe, Unsubscribe])
def test_max_filters_per_packet(verb: type) -> None:
    world = World(max_filters_per_packet=3)
    bob = world.client("bob")
    names = ["a", "b", "c", "d"]
    filters = [(name, SubscriptionOptions()) for name in names] if verb is Subscribe else names
    bob.send(verb(1, filters[:3], Properties()))
    world.settle()
    assert bob.is_open
    bob.send(verb(2, filters, Properties()))
    closed(bob, ReasonCode.QUOTA_EXCEEDED)


def test_max_sessions() -> None:
    world = World(max_sessions=2)
    bob = world.client("bob", expiry=FOR_EVER)
    bob.cut()
    world.client("ann")
    refused(world, ReasonCode.QUOTA_EXCEEDED)
    refused(world, ReasonCode.SERVER_UNAVAILABLE, V3_1_1)
    bob.connect(clean_start=False, expiry=FOR_EVER)  # who has a session may come
    world.settle()
    assert bob.is_open
    bob.disconnect(properties=Properties(session_expiry_interval=0))
    assert world.client("new").is_open


def test_max_sessions_lets_a_client_begin_anew() -> None:
    world = World(max_sessions=1)
    world.client("bob", expiry=FOR_EVER)
    assert world.client("bob", expiry=FOR_EVER).is_open


def test_max_session_expiry() -> None:
    world = World(max_session_expiry=100)
    bob = world.client("bob", expiry=FOR_EVER)
    assert bob.connack is not None and bob.connack.properties.session_expiry_interval == 100
    bob.disconnect(properties=Properties(session_expiry_interval=FOR_EVER))
    world.advance(99)
    assert "bob" in world.sessions
    world.advance(2)
    assert "bob" not in world.sessions


def test_max_packet_size() -> None:
    world = World(max_packet_size=200)
    bob = world.client("bob")
    assert bob.connack is not None and bob.connack.properties.maximum_packet_size == 200
    small = Publish("t", b"x" * 190).encode(V5)
    assert len(small) <= 200
    bob.send(small)
    world.settle()
    assert bob.is_open
    bob.send(Publish("t", b"x" * 300).encode(V5)[:3])  # its header is enough
    closed(bob, ReasonCode.PACKET_TOO_LARGE)


def test_max_connect_size() -> None:
    for size, is_open in ((100, True), (300, False)):
        world = World(max_connect_size=200)
        client = world.client("c", will=Will("t", b"x" * size))
        assert client.is_open is is_open
        assert client.packets == [] or is_open
        assert bool(world.core.connections) is is_open


def test_max_connect_size_is_never_above_max_packet_size() -> None:
    world = World(max_packet_size=200, max_connect_size=65536)
    assert not world.client("c", will=Will("t", b"x" * 300)).is_open


def test_connect_timeout() -> None:
    world = World(connect_timeout=3)
    client = Client(world, "late")
    client.open()
    world.advance(2.9)
    assert client.is_open
    world.advance(0.2)
    assert not client.is_open


@pytest.mark.parametrize(("version", "most"), [(V5, 2), (V3_1_1, 3)])
def test_receive_maximum(version: Version, most: int) -> None:
    world = World(receive_maximum=2, receive_maximum_3=3)
    bob = world.client("bob", version=version)
    bob.acknowledges = False
    for number in range(most):
        bob.send(Publish("t", b"x", 2, packet_id=number + 1))
    bob.send(Publish("t", b"x", 2, packet_id=1, dup=True))  # again, so it is not one more
    world.settle()
    assert bob.is_open and len(bob.all(Pubrec)) == most + 1
    bob.send(Publish("t", b"x", 2, packet_id=100))
    world.settle()
    assert not bob.is_open
    assert [p.reason_code for p in bob.all(Disconnect)] == [ReasonCode.RECEIVE_MAXIMUM_EXCEEDED] * (version is V5)


def test_max_user_properties_in_connect_and_will() -> None:
    world = World(max_user_properties=4)
    refused(world, ReasonCode.QUOTA_EXCEEDED, properties=Properties(user_properties=MANY))
    refused(world, ReasonCode.QUOTA_EXCEEDED, will=Will("t", b"", properties=Properties(user_properties=MANY)))
    assert world.client("bob", properties=Properties(user_properties=MANY[:4])).is_open


@pytest.mark.parametrize(
    "packet",
    [
        Publish("t", b"", properties=Properties(user_properties=MANY)),
        Subscribe(1, [("t", SubscriptionOptions())], Properties(user_properties=MANY)),
        Unsubscribe(1, ["t"], Properties(user_properties=MANY)),
        Puback(1, 0, Properties(user_properties=MANY)),
        Disconnect(0, Properties(user_properties=MANY)),
    ],
    ids=lambda packet: type(packet).__name__,
)
def test_max_user_properties_in_any_other_packet(
    packet: Publish | Subscribe | Unsubscribe | Puback | Disconnect,
) -> None:
    """A DISCONNECT ends the connection anyhow; the others are told."""
    world = World(max_user_properties=4)
    bob = world.client("bob")
    bob.send(packet)
    if isinstance(packet, Disconnect):
        world.settle()
        assert not bob.is_open
    else:
        closed(bob, ReasonCode.QUOTA_EXCEEDED)


def test_max_properties_size() -> None:
    world = World(max_properties_size=50)
    bob = world.client("bob")
    bob.send(Publish("t", b"x" * 100, properties=Properties(correlation_data=b"x" * 40)))
    world.settle()
    assert bob.is_open
    bob.send(Publish("t", b"", properties=Properties(correlation_data=b"x" * 60)))
    closed(bob, ReasonCode.QUOTA_EXCEEDED)


def test_max_properties_size_in_connect() -> None:
    world = World(max_properties_size=50)
    refused(world, ReasonCode.QUOTA_EXCEEDED, properties=Properties(user_properties=[("name", "x" * 60)]))


@pytest.mark.parametrize("topic", ["x" * 21, "a/b/c/d", "////"])
def test_max_topic_bytes_and_levels(topic: str) -> None:
    world = World(max_topic_bytes=20, max_topic_levels=3)
    bob = world.client("bob")
    assert bob.subscribe("x" * 20) == [0]
    assert bob.subscribe("a/b/#") == [0]
    assert bob.subscribe(topic) == [ReasonCode.TOPIC_FILTER_INVALID]
    assert bob.subscribe("$share/group/" + topic) == [ReasonCode.TOPIC_FILTER_INVALID]
    bob.send(Publish(topic, b"x"))
    closed(bob, ReasonCode.TOPIC_NAME_INVALID)


def test_max_client_id_user_name_and_password() -> None:
    world = World(max_client_id_bytes=10, max_user_name_bytes=10, max_password_bytes=10)
    long = "ü" * 6
    for code, connect in (
        (ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, Connect(long)),
        (ReasonCode.BAD_USER_NAME_OR_PASSWORD, Connect("c", user_name=long)),
        (ReasonCode.BAD_USER_NAME_OR_PASSWORD, Connect("c", user_name="u", password=b"x" * 11)),
    ):
        client = Client(world, "c")
        client.open()
        client.send(connect)
        world.settle()
        assert client.the(Connack).reason_code == code
        assert not client.is_open and not world.sessions


def test_topic_alias_maximum_in_both_directions() -> None:
    world = World(topic_alias_maximum=2, topic_alias_maximum_out=1)
    bob = world.client("bob", properties=Properties(topic_alias_maximum=5))
    assert bob.connack is not None and bob.connack.properties.topic_alias_maximum == 2
    bob.subscribe("#")
    for topic in ("a", "a", "b"):
        world.publish(topic, b"x")
    world.settle()
    assert [(one.topic, one.alias) for one in bob.got] == [("a", 1), ("", 1), ("b", 1)]
    bob.send(Publish("a", b"x", properties=Properties(topic_alias=3)))
    closed(bob, ReasonCode.TOPIC_ALIAS_INVALID)


def test_max_keep_alive() -> None:
    world = World(max_keep_alive=10)
    for wish in (0, 100):
        bob = world.client(f"bob{wish}", keep_alive=wish)
        assert bob.connack is not None and bob.connack.properties.server_keep_alive == 10
        world.advance(15.1)
        assert not bob.is_open


def test_max_qos() -> None:
    world = World(max_qos=1)
    bob = world.client("bob")
    assert bob.connack is not None and bob.connack.properties.maximum_qos == 1
    assert bob.subscribe("t", 2) == [1]
    bob.send(Publish("t", b"x", 2, packet_id=1))
    closed(bob, ReasonCode.QOS_NOT_SUPPORTED)
    refused(world, ReasonCode.QOS_NOT_SUPPORTED, will=Will("t", b"", 2))


def test_retain_available() -> None:
    world = World(retain_available=False)
    bob = world.client("bob")
    assert bob.connack is not None and bob.connack.properties.retain_available == 0
    bob.send(Publish("t", b"x", retain=True))
    closed(bob, ReasonCode.RETAIN_NOT_SUPPORTED)
    refused(world, ReasonCode.RETAIN_NOT_SUPPORTED, will=Will("t", b"", retain=True))


@pytest.mark.parametrize(
    ("setting", "name", "identifiers", "code"),
    [
        ("wildcard_subscriptions", "a/+", [], ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED),
        ("shared_subscriptions", "$share/g/a", [], ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED),
        ("subscription_identifiers", "a", [1], ReasonCode.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED),
    ],
)
def test_what_subscriptions_are_offered(setting: str, name: str, identifiers: list[int], code: ReasonCode) -> None:
    offered: dict[str, Any] = {setting: False}
    world = World(**offered)
    bob = world.client("bob")
    bob.send(Subscribe(1, [(name, SubscriptionOptions())], Properties(subscription_identifiers=identifiers)))
    closed(bob, code)


def test_versions() -> None:
    world = World(versions=("5.0",))
    refused(world, ReasonCode.UNSUPPORTED_PROTOCOL_VERSION, V3_1_1)
    assert world.client("bob").is_open
    world = World(versions=("3.1.1",))
    refused(world, ReasonCode.UNSUPPORTED_PROTOCOL_VERSION)


def test_queue_qos0() -> None:
    for queue_qos0, got, dropped in ((True, [b"x"], 0), (False, [], 1)):
        world = World(queue_qos0=queue_qos0)
        bob = world.client("bob", expiry=FOR_EVER)
        bob.subscribe("t")
        bob.cut()
        world.publish("t", b"x")
        assert world.sessions["bob"].statistics.dropped_offline == dropped
        bob.connect(clean_start=False, expiry=FOR_EVER)
        world.settle()
        assert bob.payloads == got


def test_check_payload_format() -> None:
    for is_checked in (True, False):
        world = World(check_payload_format=is_checked)
        bob = world.client("bob")
        bob.send(Publish("t", b"\xff", properties=Properties(payload_format_indicator=1)))
        world.settle()
        assert bob.is_open is not is_checked


def test_refuse_control_characters() -> None:
    for is_refused in (True, False):
        world = World(refuse_control_characters=is_refused)
        bob = world.client("bob")
        bob.send(Publish("a\x01", b"x"))
        world.settle()
        assert bob.is_open is not is_refused


def test_tell_no_subscribers() -> None:
    for is_told in (True, False):
        world = World(tell_no_subscribers=is_told)
        bob = world.client("bob")
        bob.publish("t", b"x", 1)
        world.settle()
        assert bob.the(Puback).reason_code == (ReasonCode.NO_MATCHING_SUBSCRIBERS if is_told else 0)


def test_response_information() -> None:
    world = World(response_information="replies/")
    for wanted, told in ((True, "replies/"), (False, None)):
        bob = world.client("bob", properties=Properties(request_response_information=wanted))
        assert bob.connack is not None and bob.connack.properties.response_information == told


def test_empty_client_ids() -> None:
    world = World(allow_empty_client_id=False)
    client = world.client("")
    assert client.the(Connack).reason_code == ReasonCode.CLIENT_IDENTIFIER_NOT_VALID
    world = World(assigned_client_id_prefix="given/")
    assert world.client("").client_id == "given/1"
