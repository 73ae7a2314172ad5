"""A connection, seen from the broker: what it does with each packet, and how it ends."""

from __future__ import annotations

from typing import Any

import pytest

from linnet.core.connection import Connection
from linnet.core.outbox import Outbox
from linnet.core.ports import Hooks, Observer
from linnet.core.server_connection import ServerConnection
from linnet.core.session import NO_SESSION, Session
from linnet.errors import ReasonCode
from linnet.wire import (
    V3_1,
    V3_1_1,
    V5,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Message,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    SubscriptionOptions,
    Version,
)
from tests.pair import FOR_EVER, Client, World


class Later:
    """A hook's answer that does not come yet."""

    def __await__(self) -> Any:
        raise AssertionError("the test gives the answer")


class Slow(Hooks):
    """Takes its time with every message."""

    def publishing(self, session: Session, message: Message) -> Any:
        return Later()


class Diary(Observer):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def connected(self, session: Session, connection: ServerConnection, present: bool) -> None:
        self.lines.append(f"connected {session.client_id} {present}")

    def refused(self, connection: ServerConnection, client_id: str, reason_code: int, detail: str) -> None:
        self.lines.append(f"refused {client_id} {reason_code:#x}")

    def disconnected(self, session: Session, connection: ServerConnection, detail: str) -> None:
        self.lines.append(f"disconnected {session.client_id}")

    def failed(self, connection: ServerConnection, detail: str, packet: bytes) -> None:
        self.lines.append(f"failed {packet.hex()}")

    def subscribed(self, session: Session, subscription: object) -> None:
        self.lines.append(f"subscribed {session.client_id}")

    def unsubscribed(self, session: Session, name: str) -> None:
        self.lines.append(f"unsubscribed {session.client_id} {name}")

    def ended(self, session: Session) -> None:
        self.lines.append(f"ended {session.client_id}")


def stranger(world: World) -> Client:
    client = Client(world, "stranger")
    client.open()
    return client


def test_the_first_byte_of_anything_but_connect_closes_before_the_rest_is_there() -> None:
    world = World()
    client = stranger(world)
    client.send(b"\x30")
    world.settle()
    assert not client.is_open
    assert client.packets == []
    assert not world.core.connections


def test_a_connection_without_connect_is_closed_in_time_and_bytes_do_not_extend_it() -> None:
    world = World(connect_timeout=10)
    client = stranger(world)
    for byte in Connect("stranger").encode(V5)[:9]:
        client.send(bytes([byte]))
        client.move()
        world.advance(1)
    assert client.is_open
    world.advance(1)
    assert not client.is_open
    assert not world.core.connections and not world.core.sessions


def test_once_connected_that_time_is_no_concern() -> None:
    world = World(connect_timeout=10, max_keep_alive=0)
    bob = world.client("bob")
    world.advance(1000)
    assert bob.is_open


def test_a_second_connect_ends_the_connection() -> None:
    world = World()
    bob = world.client("bob")
    bob.send(Connect("bob"))
    world.settle()
    assert bob.the(Disconnect).reason_code == ReasonCode.PROTOCOL_ERROR
    assert not bob.is_open


@pytest.mark.parametrize("version", [V3_1, V3_1_1, V5])
def test_a_ping_is_answered(version: Version) -> None:
    world = World()
    bob = world.client("bob", version=version)
    bob.send(Pingreq())
    world.settle()
    assert len(bob.all(Pingresp)) == 1


@pytest.mark.parametrize(("version", "told"), [(V3_1_1, 0), (V5, 1)])
def test_only_5_0_is_told_why_it_is_closed(version: Version, told: int) -> None:
    world = World()
    bob = world.client("bob", version=version)
    bob.send(b"\x00\x00")
    world.settle()
    assert not bob.is_open
    assert [packet.reason_code for packet in bob.all(Disconnect)] == [ReasonCode.MALFORMED_PACKET] * told


def test_who_wants_no_reasons_is_told_the_code_alone() -> None:
    world = World()
    bob = world.client("bob", properties=Properties(request_problem_information=False))
    bob.send(b"\x00\x00")
    world.settle()
    assert bob.the(Disconnect).properties.reason_string is None


def test_a_reason_that_is_too_large_for_the_client_is_left_out() -> None:
    world = World()
    bob = world.client("bob", properties=Properties(maximum_packet_size=30))
    bob.send(b"\x00\x00")
    world.settle()
    assert bob.the(Disconnect).properties.reason_string is None


def test_keep_alive_is_one_and_a_half_times_and_every_packet_counts() -> None:
    world = World()
    bob = world.client("bob", keep_alive=2)
    for _ in range(5):
        world.advance(2.9)
        bob.send(Pingreq())
        world.settle()
    assert bob.is_open
    world.advance(3.1)
    assert bob.the(Disconnect).reason_code == ReasonCode.KEEP_ALIVE_TIMEOUT
    assert not bob.is_open


def test_a_client_that_the_broker_does_not_read_because_of_a_hook_is_not_silent() -> None:
    """While a hook thinks, nothing of this client is read: it may well be sending its PINGREQs."""
    world = World(hooks=Slow())
    bob = world.client("bob", keep_alive=2)
    bob.publish("t", b"x", 1)
    world.settle()
    world.advance(10)
    assert bob.is_open


def test_a_keep_alive_of_none_is_never_due() -> None:
    world = World(max_keep_alive=0)
    bob = world.client("bob", keep_alive=0)
    world.advance(10**6)
    assert bob.is_open


def test_while_a_hook_thinks_later_packets_wait_and_then_go_on_in_order() -> None:
    world = World(hooks=Slow())
    bob = world.client("bob")
    bob.publish("t", b"x", 1)
    bob.send(Pingreq())
    bob.publish("t", b"y", 1)
    world.settle()
    assert bob.all(Pingresp) == [] and bob.all(Puback) == []
    bob.line.answer(Message("t", b"x", 1), world.now)
    world.settle()
    assert [type(packet) for packet in bob.packets] == [Connack, Puback, Pingresp]
    bob.line.answer(ReasonCode.NOT_AUTHORIZED, world.now)
    world.settle()
    assert bob.packets[-1] == Puback(2, ReasonCode.NOT_AUTHORIZED)


def test_an_answer_that_comes_after_the_connection_has_gone_does_nothing() -> None:
    world = World(hooks=Slow())
    watcher = world.client("watcher")
    watcher.subscribe("t")
    bob = world.client("bob")
    bob.publish("t", b"x", 1)
    world.settle()
    line = bob.line
    bob.cut()
    line.answer(Message("t", b"x", 1), world.now)
    world.settle()
    assert watcher.got == []


def test_a_message_that_a_hook_made_is_still_that_publisher_s() -> None:
    """No Local holds for it, and its time begins now."""
    world = World(hooks=Slow())
    ann, bob = world.client("ann"), world.client("bob")
    ann.subscribe("t", 1, no_local=True)
    bob.subscribe("t", 1)
    ann.publish("t", b"x", 1)
    world.settle()
    changed = Message("t", b"changed", 1, properties=Properties(message_expiry_interval=60))
    ann.line.answer(changed, world.now)
    world.settle()
    assert ann.got == []
    assert bob.payloads == [b"changed"]
    assert bob.got[0].properties.message_expiry_interval == 60


def test_a_repeated_publish_of_qos_2_is_acknowledged_again_and_delivered_once() -> None:
    world = World()
    bob = world.client("bob")
    bob.subscribe("t", 2)
    for dup in (False, True, True):
        bob.send(Publish("t", b"x", 2, packet_id=7, dup=dup))
    world.settle()
    assert bob.all(Pubrec) == [Pubrec(7)] * 3
    assert bob.payloads == [b"x"]
    bob.send(Pubrel(7))
    bob.send(Publish("t", b"y", 2, packet_id=7))
    world.settle()
    assert bob.payloads == [b"x", b"y"]


@pytest.mark.parametrize(("version", "code"), [(V3_1_1, 0), (V5, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND)])
def test_a_pubrel_for_what_is_not_there_is_completed(version: Version, code: int) -> None:
    world = World()
    bob = world.client("bob", version=version)
    bob.send(Pubrel(9))
    world.settle()
    assert bob.packets[-1] == Pubcomp(9, code)


def test_a_pubrec_for_what_is_not_there_is_released() -> None:
    world = World()
    bob = world.client("bob")
    bob.send(Pubrec(9))
    world.settle()
    assert bob.all(Pubrel) == [Pubrel(9, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND)]


@pytest.mark.parametrize("header", [0x40, 0x50, 0x62, 0x70])
def test_an_acknowledgement_of_identifier_0_is_malformed(header: int) -> None:
    world = World()
    bob = world.client("bob")
    bob.send(bytes([header, 2, 0, 0]))
    world.settle()
    assert bob.the(Disconnect).reason_code == ReasonCode.MALFORMED_PACKET


def test_a_subscriber_s_packets_after_its_goodbye_are_not_taken() -> None:
    world = World()
    watcher = world.client("watcher")
    watcher.subscribe("t")
    bob = world.client("bob")
    bob.send(Disconnect(0))
    bob.send(Publish("t", b"x"))
    world.settle()
    assert watcher.got == []
    assert not bob.is_open


def test_a_half_received_packet_is_forgotten_with_its_connection() -> None:
    world = World()
    bob = world.client("bob", expiry=FOR_EVER)
    bob.subscribe("t")
    bob.send(Publish("t", b"x" * 100).encode(V5)[:50])
    bob.move()
    bob.cut()
    bob.connect(clean_start=False, expiry=FOR_EVER)
    bob.send(Publish("t", b"y"))
    world.settle()
    assert bob.payloads == [b"y"]


def test_a_take_over_tells_the_old_connection_and_lets_the_new_one_in() -> None:
    world = World()
    old = world.client("bob")
    new = world.client("bob")
    assert old.the(Disconnect).reason_code == ReasonCode.SESSION_TAKEN_OVER
    assert not old.is_open and new.is_open
    assert world.sessions["bob"].connection is new.connection


def test_a_session_ends_when_its_time_has_come_and_not_before() -> None:
    world = World()
    bob = world.client("bob", expiry=2)
    bob.cut()
    world.advance(1.9)
    assert "bob" in world.sessions
    world.advance(0.2)
    assert "bob" not in world.sessions


def test_who_comes_back_in_time_finds_the_session_and_its_time_begins_anew() -> None:
    world = World()
    bob = world.client("bob", expiry=2)
    for _ in range(3):
        bob.cut()
        world.advance(1.5)
        bob.connect(clean_start=False, expiry=2)
        world.settle()
        assert bob.connack is not None and bob.connack.session_present


@pytest.mark.parametrize("expiry", [FOR_EVER, FOR_EVER - 1])
def test_the_longest_expiry_overflows_nothing(expiry: int) -> None:
    world = World(max_session_expiry=FOR_EVER)
    world.client("bob", expiry=expiry).cut()
    world.advance(10**6)
    assert "bob" in world.sessions


def test_observers_are_told_in_order() -> None:
    diary = Diary()
    world = World(observers=[diary])
    bob = world.client("bob")
    bob.subscribe("a/b")
    bob.unsubscribe("a/b")
    bob.send(b"\x00\x00")
    world.settle()
    refused = world.client("")
    refused.cut()
    assert diary.lines == [
        "connected bob False",
        "subscribed bob",
        "unsubscribed bob a/b",
        "failed 0000",
        "ended bob",
        "disconnected bob",
        "connected auto-1 False",
        "ended auto-1",
        "disconnected auto-1",
    ]


def test_observers_do_not_see_what_authenticates() -> None:
    diary = Diary()
    world = World(observers=[diary])
    bob = world.client("bob")
    bob.send(Auth(0x18, Properties(authentication_method="m", authentication_data=b"secret")))
    world.settle()
    assert not bob.is_open
    assert b"secret".hex() not in " ".join(diary.lines)


def test_nothing_of_a_client_that_has_gone_is_left() -> None:
    world = World()
    for number in range(50):
        bob = world.client(f"bob{number}", keep_alive=60)
        bob.subscribe([(f"a/{number}/+", SubscriptionOptions(1)), ("$share/g/b", SubscriptionOptions(1))])
        bob.disconnect()
    core = world.core
    assert (len(core.connections), len(core.sessions), core.router.subscription_count) == (0, 0, 0)
    assert core.router.tree.root.is_empty()
    world.advance(10_000)
    assert len(core.deadlines.heap) == 2  # the next look round, and the next sweep


def test_the_session_that_stands_for_none_is_never_changed() -> None:
    world = World()
    for first in (b"\x10\x00", b"\xe0\x00", Connect("", version=V3_1_1, clean_start=False).encode(V3_1_1)):
        client = stranger(world)
        client.version = V3_1_1
        client.send(first)
        world.settle()
        assert not client.is_open
    assert not NO_SESSION.online and not NO_SESSION.subscriptions and NO_SESSION.connection is None
    assert not NO_SESSION.sender.in_flight and not NO_SESSION.receiver.unreleased


def test_a_connection_can_be_read() -> None:
    world = World()
    client = stranger(world)
    connection = client.connection
    assert repr(connection) == "<ServerConnection not connected yet MQTT 5.0 from pair, opening>"
    client.version = V3_1_1
    client.send(Connect("stranger", version=V3_1_1))
    world.settle()
    assert repr(connection) == "<ServerConnection 'stranger' MQTT 3.1.1 from pair, open>"
    client.disconnect()
    assert repr(connection) == "<ServerConnection 'stranger' MQTT 3.1.1 from pair, closed>"
    assert connection is not None and "reason code 0x00" in connection.closed_because


def test_what_both_ends_have_in_common_is_no_end() -> None:
    both = Connection(None, Outbox([], 1), 100)
    with pytest.raises(NotImplementedError):
        both.dispatch(Pingreq(), 0.0)
    with pytest.raises(NotImplementedError):
        both.receive_publish(0.0)
