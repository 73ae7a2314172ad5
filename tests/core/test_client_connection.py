"""The client's end of a connection: what a server may send and what it gets for what it may not, packet by packet."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from linnet.client.message import Message
from linnet.core.arrivals import Arrivals
from linnet.core.backlog import Backlog
from linnet.core.client_connection import MOST_REQUESTS, ClientConnection, ClientOwner
from linnet.core.deadlines import Deadlines
from linnet.core.outbox import Outbox
from linnet.core.receiver import Receiver
from linnet.core.sender import Sender
from linnet.errors import NotSupported, ReasonCode
from linnet.wire import (
    V3_1,
    V3_1_1,
    V5,
    Auth,
    Connack,
    Connect,
    Disconnect,
    FrameReader,
    Packet,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscriptionOptions,
    Unsuback,
    Unsubscribe,
    Version,
    decode,
)
from linnet.wire import Message as Sent
from tests.core.steady import STEADY
from tests.packets import CASES

MALFORMED = ReasonCode.MALFORMED_PACKET
PROTOCOL_ERROR = ReasonCode.PROTOCOL_ERROR


class Owner(ClientOwner):
    """Gives each connection a session of its own, and writes down what it is told."""

    def __init__(self, far: Far) -> None:
        self.far = far
        self.told: list[str] = []

    def accepted(self, connection: ClientConnection, connack: Connack, now: float) -> None:
        self.told.append("accepted")
        far = self.far
        connection.attach(far.sender, far.receiver, far.arrivals, far.begin, connection.limits.receive_maximum, now)

    def refused(self, connection: ClientConnection, connack: Connack, now: float) -> None:
        self.told.append(f"refused {connack.reason_code:#x}")

    def ended(self, connection: ClientConnection, was_open: bool, now: float) -> None:
        self.told.append("lost" if was_open else "never open")


class Far:
    """Where the server would be: says what a test wants said, and reads what the client says.

    It is the connection's stream too, and whoever gets the messages.
    """

    def __init__(self, version: Version = V5, **connect: Any) -> None:
        self.now = 1000.0
        self.has_finished = False
        self.is_paused = False
        self.got: list[Message[Any]] = []
        self.outbox = Outbox([], 1 << 60)
        self.deadlines = Deadlines()
        self.sender = Sender(Backlog(1 << 60, 1 << 60))
        self.receiver = Receiver(10)
        self.arrivals = Arrivals(10)
        self.owner = Owner(self)
        properties = Properties(**connect.pop("properties", {}))
        packet = Connect("bob", connect.pop("clean_start", True), connect.pop("keep_alive", 0), properties=properties)
        packet.version = version
        self.client = ClientConnection(
            self, self.outbox, 1000, packet, self.owner, Message, lambda message: (self,), self.deadlines
        )
        self.frames = FrameReader(1 << 28)
        self.client.begin(self.now)
        self.client.last_sent = self.now

    def open(self, session_present: bool = False, **properties: Any) -> Far:
        """Let the client be accepted."""
        self.say(Connack(session_present, 0, Properties(**properties)))
        assert self.client.is_open
        self.hear()
        return self

    def say(self, *packets: Packet | bytes) -> None:
        for packet in packets:
            data = packet if isinstance(packet, bytes) else packet.encode(self.client.version)
            if not self.has_finished:
                self.client.receive(data, self.now)

    def hear(self) -> list[Packet]:
        """What the client has said since the last time."""
        if self.outbox.pieces:
            self.client.last_sent = self.now
        self.frames.feed(self.outbox.take())
        found: list[Packet] = []
        while self.frames.next():
            found.append(decode(self.frames.data[self.frames.start : self.frames.stop], self.client.version, True))
        return found

    def publish(self, topic: str, payload: bytes = b"", qos: int = 1) -> None:
        message = Sent(topic, payload, qos)
        self.sender.deliver(message, qos, False, b"", None, self.now)

    def advance(self, seconds: float) -> None:
        """Let time go by; what is due happens when it is due."""
        end = self.now + seconds
        while (at := self.deadlines.next_at) is not None and at <= end:
            self.now = max(self.now, at)
            self.deadlines.run(self.now)
        self.now = end

    # what the connection wants of its stream

    def begin(self) -> float:
        return self.now

    def finish(self) -> None:
        self.has_finished = True

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    # what it wants of whoever gets the messages

    def put(self, message: Message[Any]) -> None:
        self.got.append(message)


def ended_with(far: Far) -> int | None:
    """The reason code of the client's last words; None when it has said none."""
    said = far.hear()
    assert far.has_finished
    last = said[-1] if said else None
    return last.reason_code if isinstance(last, Disconnect) else None


# -- opening


@pytest.mark.clause("5.0:MQTT-3.1.0-1")
def test_connect_comes_first_and_alone() -> None:
    far = Far()
    far.publish("a", b"", 1)
    assert [type(packet) for packet in far.hear()] == [Connect]


def test_accepting_opens_the_connection_and_tells_the_owner_once() -> None:
    far = Far().open()
    assert far.owner.told == ["accepted"]


def test_a_refusal_ends_the_connection_and_nothing_is_said_to_it() -> None:
    far = Far()
    far.hear()
    far.say(Connack(False, ReasonCode.NOT_AUTHORIZED))
    assert far.owner.told == ["refused 0x87", "never open"]
    assert ended_with(far) is None


@pytest.mark.clause("5.0:MQTT-3.2.0-1")
@pytest.mark.parametrize(
    "packet",
    [
        Publish("a"),
        Publish("a", qos=1, packet_id=1),
        Puback(1),
        Pubrec(1),
        Pubrel(1),
        Pubcomp(1),
        Suback(1, [0]),
        Unsuback(1, [0]),
        Pingresp(),
    ],
    ids=lambda packet: type(packet).__name__,
)
def test_nothing_may_come_before_connack(packet: Packet) -> None:
    far = Far()
    far.hear()
    far.say(packet)
    assert far.owner.told == ["never open"]
    assert far.got == []
    assert far.client.closed_because.startswith("[MQTT-3.2.0-1]") or "before CONNACK" in far.client.closed_because
    assert ended_with(far) is None  # before CONNACK, a client has no DISCONNECT to give


def test_a_server_that_disconnects_before_connack_is_believed() -> None:
    far = Far()
    far.say(Disconnect(ReasonCode.SERVER_BUSY))
    assert far.client.goodbye is not None
    assert far.client.goodbye.reason_code == ReasonCode.SERVER_BUSY
    assert far.owner.told == ["never open"]


@pytest.mark.clause("5.0:MQTT-3.2.2-2")
def test_a_session_after_a_clean_start_is_an_error() -> None:
    far = Far()
    far.hear()
    far.say(Connack(True))
    assert far.owner.told == ["never open"]
    assert "Clean Start" in far.client.closed_because


def test_a_session_that_was_asked_for_is_none() -> None:
    assert Far(clean_start=False).open(session_present=True).client.is_open


@pytest.mark.parametrize("size", range(1, 40))
def test_the_opening_may_come_in_pieces(size: int) -> None:
    far = Far(properties={"topic_alias_maximum": 3})
    packet = Publish("a/b", b"hello", 1, packet_id=7)
    data = Connack(False, 0, Properties(receive_maximum=2, reason_string="x")).encode(V5) + packet.encode(V5)
    for at in range(0, len(data), size):
        far.say(data[at : at + size])
    assert [message.payload for message in far.got] == [b"hello"]
    assert [type(said) for said in far.hear()] == [Connect, Puback]


def test_what_connack_says_of_limits_is_known_before_anything_leaves() -> None:
    far = Far().open(receive_maximum=2, maximum_packet_size=50, topic_alias_maximum=1)
    assert (far.sender.window, far.sender.quota) == (2, 2)
    assert far.outbox.maximum_packet == 50
    assert far.outbox.aliases is not None


# -- what may not come


# What a server sends to an open connection of 5.0, and the reason code of the client's DISCONNECT
ILLEGAL: dict[str, tuple[Packet | bytes, int]] = {
    "a second CONNACK": (Connack(), PROTOCOL_ERROR),
    "CONNECT": (Connect("x"), PROTOCOL_ERROR),
    "SUBSCRIBE": (Subscribe(1, [("a", SubscriptionOptions())]), PROTOCOL_ERROR),
    "UNSUBSCRIBE": (Unsubscribe(1, ["a"]), PROTOCOL_ERROR),
    "PINGREQ": (Pingreq(), PROTOCOL_ERROR),
    "packet type 0": (b"\x00\x00", MALFORMED),
    "AUTH that nobody asked for": (Auth(0x18, Properties(authentication_method="x")), PROTOCOL_ERROR),
    "AUTH success that nobody asked for": (Auth(0, Properties(authentication_method="x")), PROTOCOL_ERROR),
    "SUBACK for nothing": (Suback(5, [0]), PROTOCOL_ERROR),
    "UNSUBACK for nothing": (Unsuback(5, [0]), PROTOCOL_ERROR),
    "PUBLISH of QoS 3": (b"\x36\x06\x00\x01a\x00\x01\x00", MALFORMED),
    "PUBLISH of QoS 0 with DUP": (b"\x38\x04\x00\x01a\x00", MALFORMED),
    "PUBLISH with packet identifier 0": (b"\x32\x06\x00\x01a\x00\x00\x00", MALFORMED),
    "PUBLISH that ends early": (b"\x30\x02\x00\x09", MALFORMED),
    "PUBLISH without a property length": (b"\x30\x03\x00\x01a", MALFORMED),
    "PUBLISH without a topic": (b"\x30\x03\x00\x00\x00", PROTOCOL_ERROR),
    "PUBLISH to a wildcard": (Publish("a/#"), ReasonCode.TOPIC_NAME_INVALID),
    "PUBLISH to a NUL": (Publish("a\0"), MALFORMED),
    "PUBLISH to what is no UTF-8": (b"\x30\x04\x00\x01\xff\x00", MALFORMED),
    "PUBLISH with an alias of 0": (b"\x30\x07\x00\x01a\x03\x23\x00\x00", ReasonCode.TOPIC_ALIAS_INVALID),
    "PUBLISH with an alias too high": (b"\x30\x07\x00\x01a\x03\x23\x00\x04", ReasonCode.TOPIC_ALIAS_INVALID),
    "PUBLISH with an alias never set": (b"\x30\x06\x00\x00\x03\x23\x00\x01", PROTOCOL_ERROR),
    "PUBLISH with two aliases": (b"\x30\x0a\x00\x01a\x06\x23\x00\x01\x23\x00\x01", PROTOCOL_ERROR),
    "PUBLISH with identifier 0": (b"\x30\x06\x00\x01a\x02\x0b\x00", PROTOCOL_ERROR),
    "PUBACK for 0": (b"\x40\x02\x00\x00", MALFORMED),
    "PUBACK with flags": (b"\x41\x02\x00\x01", MALFORMED),
    "PUBREL without flags": (b"\x60\x02\x00\x01", MALFORMED),
    "PUBACK without identifier": (b"\x40\x01\x00", MALFORMED),
    "PUBACK with a reason that is none": (b"\x40\x03\x00\x01\x55", MALFORMED),
    "PINGRESP with a body": (b"\xd0\x01\x00", MALFORMED),
    "a length that never ends": (b"\x30\xff\xff\xff\xff\x01", MALFORMED),
    "a length in too many bytes": (b"\xd0\x80\x00", MALFORMED),
    "more than the client takes": (Publish("a", b"x" * 1000), ReasonCode.PACKET_TOO_LARGE),
    "more than the client takes, by its length": (b"\x30\xff\x7f", ReasonCode.PACKET_TOO_LARGE),
}


@pytest.mark.clause(
    "5.0:MQTT-4.13.1-1",
    "5.0:MQTT-3.2.0-2",
    "5.0:MQTT-3.3.2-2",
    "5.0:MQTT-3.3.2-9",
    "5.0:MQTT-2.2.1-3",
    "5.0:MQTT-1.5.5-1",
)
@pytest.mark.parametrize("name", ILLEGAL)
def test_what_no_server_may_send_ends_the_connection_with_its_reason(name: str) -> None:
    packet, reason_code = ILLEGAL[name]
    far = Far(properties={"topic_alias_maximum": 3}).open()
    far.say(packet)
    assert ended_with(far) == reason_code
    assert far.owner.told == ["accepted", "lost"]
    assert far.got == []


@pytest.mark.parametrize("name", [name for name in ILLEGAL if "AUTH" not in name and "alias" not in name])
@pytest.mark.parametrize("version", [V3_1, V3_1_1], ids=["3.1", "3.1.1"])
def test_before_5_the_connection_ends_without_a_word(name: str, version: Version) -> None:
    packet, _ = ILLEGAL[name]
    if name in ("PUBLISH with identifier 0", "PUBLISH without a property length", "PUBACK with a reason that is none"):
        packet = b"\xf0\x00"  # these are no faults there; AUTH is
    far = Far(version).open()
    far.say(packet)
    assert ended_with(far) is None
    assert far.owner.told == ["accepted", "lost"]


def test_a_topic_alias_without_an_agreement_ends_the_connection() -> None:
    far = Far().open()
    far.say(b"\x30\x07\x00\x01a\x03\x23\x00\x01")
    assert ended_with(far) == ReasonCode.TOPIC_ALIAS_INVALID


@pytest.mark.clause("5.0:MQTT-3.8.4-2", "5.0:MQTT-3.8.4-6", "5.0:MQTT-3.10.4-4")
@pytest.mark.parametrize(
    "answer",
    [Unsuback(65535, [0, 0]), Suback(65535, [0]), Suback(65535, [0, 0, 0]), Suback(1, [0, 0])],
    ids=["of another kind", "too few codes", "too many codes", "of another identifier"],
)
def test_an_answer_that_does_not_fit_the_question_ends_the_connection(answer: Packet) -> None:
    far = Far().open()
    answers: list[Any] = []
    options = SubscriptionOptions()
    far.client.ask(Subscribe(0, [("a", options), ("b", options)]), lambda answer, now: answers.append(answer))
    far.say(answer)
    assert ended_with(far) == PROTOCOL_ERROR
    assert answers == []


@pytest.mark.clause("5.0:MQTT-4.3.3-1")
@pytest.mark.parametrize(
    ("qos", "answers"),
    [
        (1, [Pubrec(1)]),
        (1, [Pubcomp(1)]),
        (2, [Puback(1)]),
        (2, [Pubcomp(1)]),
        (2, [Pubrec(1), Puback(1)]),
    ],
)
def test_an_acknowledgement_that_does_not_fit_the_qos_ends_the_connection(qos: int, answers: list[Packet]) -> None:
    far = Far().open()
    far.publish("a", b"", qos)
    far.say(*answers)
    assert ended_with(far) == PROTOCOL_ERROR


def test_nothing_is_taken_after_the_connection_has_ended() -> None:
    far = Far().open()
    far.say(b"\x00\x00" + Publish("a").encode(V5))
    far.client.receive(Publish("a").encode(V5), far.now)
    assert far.got == []


# -- what may come


def test_acknowledgements_of_what_is_unknown_are_no_errors() -> None:
    far = Far().open()
    far.say(Puback(9), Pubcomp(9), Pubrec(9, ReasonCode.QUOTA_EXCEEDED), Pingresp())
    assert far.client.is_open
    assert far.hear() == []


@pytest.mark.clause("5.0:MQTT-4.3.3-1")
def test_pubrec_and_pubrel_of_what_is_unknown_are_answered() -> None:
    far = Far().open()
    far.say(Pubrec(9), Pubrel(8))
    not_found = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
    assert far.hear() == [Pubrel(9, not_found), Pubcomp(8, not_found)]


@pytest.mark.clause("5.0:MQTT-4.3.3-10")
def test_a_repeated_message_of_qos_2_is_handed_over_once() -> None:
    far = Far().open()
    far.say(Publish("a", b"1", 2, packet_id=1), Publish("a", b"1", 2, dup=True, packet_id=1))
    assert len(far.got) == 1
    assert far.hear() == [Pubrec(1), Pubrec(1)]


@pytest.mark.clause("5.0:MQTT-4.3.3-12")
def test_after_pubrel_the_identifier_means_a_new_message() -> None:
    far = Far().open()
    far.say(Publish("a", b"1", 2, packet_id=1), Pubrel(1), Publish("a", b"2", 2, packet_id=1))
    assert [message.payload for message in far.got] == [b"1", b"2"]
    assert far.hear() == [Pubrec(1), Pubcomp(1), Pubrec(1)]


@pytest.mark.clause("5.0:MQTT-3.3.2-7")
def test_an_alias_stands_for_the_topic_that_it_was_last_given() -> None:
    far = Far(properties={"topic_alias_maximum": 3}).open()
    for topic in ("a", "", "b", ""):
        far.say(Publish(topic, properties=Properties(topic_alias=2)))
    assert [message.topic for message in far.got] == ["a", "a", "b", "b"]


def test_a_topic_that_an_alias_stands_for_is_checked_too() -> None:
    far = Far(properties={"topic_alias_maximum": 3}).open()
    far.say(Publish("a/+", properties=Properties(topic_alias=2)))
    assert ended_with(far) == ReasonCode.TOPIC_NAME_INVALID


def test_disconnect_tells_why_and_ends_the_connection_without_an_answer() -> None:
    far = Far().open()
    far.say(Disconnect(ReasonCode.SESSION_TAKEN_OVER, Properties(reason_string="bye")))
    assert far.client.closed_because == "the server disconnected us: session taken over (bye)"
    assert ended_with(far) is None


def test_leaving_says_disconnect_once() -> None:
    far = Far().open()
    far.client.leave(0, Properties(session_expiry_interval=5), far.now)
    far.client.leave(0, Properties(), far.now)
    assert far.hear() == [Disconnect(0, Properties(session_expiry_interval=5))]
    assert far.owner.told == ["accepted", "lost"]


# -- questions


def keep_answer(answers: dict[str, Any], name: str, answer: Any, now: float) -> None:
    answers[name] = answer


def test_each_question_has_an_identifier_that_nothing_else_in_flight_has() -> None:
    far = Far().open()
    far.sender.last_id = 65533
    for _ in range(3):
        far.client.ask(Subscribe(0, [("a", SubscriptionOptions())]), lambda answer, now: None)
        far.publish("a")
    identifiers = [packet.packet_id for packet in far.hear() if isinstance(packet, Subscribe | Publish)]
    assert len(set(identifiers)) == 6


def test_answers_reach_whoever_asked() -> None:
    far = Far().open()
    answers: dict[str, Any] = {}
    for name in "abc":
        far.client.ask(Subscribe(0, [(name, SubscriptionOptions())]), partial(keep_answer, answers, name))
    asked = {packet.filters[0][0]: packet.packet_id for packet in far.hear() if isinstance(packet, Subscribe)}
    far.say(*[Suback(asked[name], [code]) for name, code in (("c", 2), ("a", 0), ("b", 0x87))])
    assert {name: answer.reason_codes for name, answer in answers.items()} == {"a": [0], "b": [0x87], "c": [2]}
    assert far.client.requests == {}


def test_questions_beyond_the_limit_wait_for_answers_to_others() -> None:
    far = Far().open()
    answers: list[Any] = []
    for _ in range(MOST_REQUESTS + 2):
        far.client.ask(Unsubscribe(0, ["a"]), lambda answer, now: answers.append(answer))
    asked = [packet.packet_id for packet in far.hear() if isinstance(packet, Unsubscribe)]
    assert len(asked) == MOST_REQUESTS
    for packet_id in asked:
        far.say(Unsuback(packet_id, [0]))
    more = [packet.packet_id for packet in far.hear() if isinstance(packet, Unsubscribe)]
    assert len(more) == 2
    far.say(*[Unsuback(packet_id, [0]) for packet_id in more])
    assert len(answers) == MOST_REQUESTS + 2


def test_a_question_that_is_too_large_for_the_server_is_not_asked() -> None:
    far = Far().open(maximum_packet_size=20)
    with pytest.raises(NotSupported):
        far.client.ask(Subscribe(0, [("a" * 20, SubscriptionOptions())]), lambda answer, now: None)
    assert far.client.requests == {}
    assert far.hear() == []


# -- keep-alive


def pings(far: Far) -> int:
    return sum(isinstance(packet, Pingreq) for packet in far.hear())


@pytest.mark.clause("5.0:MQTT-3.1.2-20")
def test_a_quiet_client_pings_within_the_keep_alive() -> None:
    far = Far(keep_alive=40).open()
    far.advance(29)
    assert pings(far) == 0
    far.advance(1)
    assert pings(far) == 1


def test_the_server_is_let_go_when_it_does_not_answer() -> None:
    far = Far(keep_alive=40).open()
    far.advance(39.9)
    assert far.client.is_open
    far.advance(0.2)
    assert not far.client.is_open
    assert "PINGREQ" in far.client.closed_because


def test_an_answered_ping_is_measured_and_followed_by_the_next_one() -> None:
    far = Far(keep_alive=40).open()
    far.advance(0.5)
    for _ in range(5):
        far.advance(29.5)
        assert pings(far) == 1
        far.now += 0.5
        far.say(Pingresp())
        assert far.client.round_trip == pytest.approx(0.5)
    assert far.client.is_open


def test_a_server_from_which_bytes_come_is_there_even_if_its_answer_is_late() -> None:
    far = Far(keep_alive=40).open()
    far.advance(30)
    far.say(b"\x30\x64")  # a message that drips in
    for _ in range(20):
        far.advance(9)
        far.say(b"\0")
    assert far.client.is_open
    far.advance(11)
    assert not far.client.is_open


def test_a_client_that_only_sends_pings_all_the_same_and_hears_that_the_server_is_gone() -> None:
    far = Far(keep_alive=40).open()
    for _ in range(60):
        far.advance(1)
        far.outbox.put(Publish("a").encode(V5))
        far.hear()
    assert not far.client.is_open


def test_a_client_that_only_listens_pings_for_the_servers_sake() -> None:
    far = Far(keep_alive=40).open()
    heard = 0
    for _ in range(100):
        far.advance(1)
        far.say(Publish("a"))
        heard += (found := pings(far))
        if found:
            far.say(Pingresp())
    assert heard == 3


def test_nobody_is_let_go_for_silence_while_we_do_not_listen() -> None:
    far = Far(keep_alive=40).open()
    far.client.pause()
    far.advance(300)
    assert far.client.is_open
    assert pings(far) == 10
    far.client.go_on(far.now)
    far.advance(9)
    assert far.client.is_open


def test_without_a_keep_alive_nobody_is_asked() -> None:
    far = Far().open()
    far.advance(100_000)
    assert far.client.is_open
    assert pings(far) == 0


def test_the_servers_keep_alive_counts() -> None:
    far = Far(keep_alive=1000).open(server_keep_alive=4)
    far.advance(3)
    assert pings(far) == 1


def test_no_deadline_is_left_when_the_connection_is_over() -> None:
    far = Far(keep_alive=40).open()
    far.client.finish("over", far.now)
    assert far.deadlines.next_at is None


# -- anything


ALL_BYTES = [case.data for case in CASES if len(case.data) < 300]


@STEADY
@given(
    version=st.sampled_from([V3_1, V3_1_1, V5]),
    is_open=st.booleans(),
    pieces=st.lists(st.sampled_from(ALL_BYTES) | st.binary(min_size=1, max_size=12), min_size=1, max_size=8),
    cut=st.integers(1, 30),
)
@example(version=V5, is_open=False, pieces=[b"\xf0\x02\x18\x00"], cut=30)
@example(version=V5, is_open=True, pieces=[b"\xf0\x02\x19\x00"], cut=30)
def test_no_bytes_make_it_raise(version: Version, is_open: bool, pieces: list[bytes], cut: int) -> None:
    far = Far(version, keep_alive=10, clean_start=False, properties={"topic_alias_maximum": 3})
    if is_open:
        far.open()
        far.client.ask(Subscribe(0, [("a", SubscriptionOptions())]), lambda answer, now: None)
        for qos in (1, 2, 1, 2):
            far.publish("a", b"", qos)
    data = b"".join(pieces)
    for at in range(0, len(data), cut):
        if not far.has_finished:
            far.client.receive(data[at : at + cut], far.now)
    assert far.has_finished == (not far.client.is_open and not far.client.is_opening)
    if far.has_finished:
        assert far.owner.told[-1] in ("lost", "never open")
        assert far.client.closed_because
    said = far.hear()  # whatever it has said can be read
    assert sum(isinstance(packet, Disconnect) for packet in said) <= 1
    assert 0 <= far.sender.quota <= far.sender.window
