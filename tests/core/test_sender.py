"""What is in flight to one receiver: the window, the order, the identifiers, and what comes again."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from linnet.core.backlog import Backlog
from linnet.core.outbox import Outbox
from linnet.core.queue import Room
from linnet.core.sender import Delivery, Sender
from linnet.core.shared import SharedGroup
from linnet.core.subscriptions import Subscription
from linnet.errors import ProtocolError, ReasonCode
from linnet.wire import V5, FrameReader, Message, Packet, Properties, Publish, Pubrel, decode
from tests.core.steady import STORIES
from tests.core.test_subscriptions import subscription

NOW = 0.0
PUBACK, PUBREC, PUBCOMP = 4, 5, 7  # packet types
PLAIN = subscription("t")


def outbox(maximum_packet: int = 1 << 20) -> Outbox:
    box = Outbox([], 1 << 20)
    box.has_properties = True
    box.maximum_packet = maximum_packet
    return box


def said(box: Outbox) -> list[Any]:
    """The packets in an outbox, which is empty then."""
    frames = FrameReader(1 << 20)
    packets: list[Packet] = []
    if box.pieces:
        frames.feed(box.take())
        while frames.next():
            packets.append(decode(frames.data[frames.start : frames.stop], V5, from_client=False))
    assert frames.rest() == 0
    return packets


def send(sender: Sender, payload: bytes, qos: int = 1, expiry: int | None = None) -> bool:
    properties = None if expiry is None else Properties(message_expiry_interval=expiry)
    return sender.deliver(Message("t", payload, qos, False, properties), qos, False, b"", PLAIN, NOW)


def ready(window: int = 10, max_messages: int = 100, max_bytes: int = 1 << 20) -> tuple[Sender, Outbox]:
    sender, box = Sender(Backlog(max_messages, max_bytes)), outbox()
    sender.attach(box, window, NOW)
    return sender, box


@dataclass
class Sent:
    """A message as the model knows it."""

    number: int
    qos: int
    packet_id: int = 0
    awaits: int = 0  # 0: never sent


class Sending(RuleBasedStateMachine):
    """A sender beside a model of what a receiver may see of it, over many connections."""

    def __init__(self) -> None:
        super().__init__()
        self.sender = Sender(Backlog(1000, 1 << 20))
        self.box: Outbox | None = None
        self.window = 0
        self.unsent: deque[Sent] = deque()
        self.flying: list[Sent] = []  # in the order in which they were first sent
        self.completing: list[Sent] = []  # of those, what awaits PUBCOMP, in the order of the PUBRECs
        self.expected_again: deque[Sent] = deque()  # of those, what this connection has not seen yet
        self.count = 0

    @initialize(window=st.integers(1, 4))
    def begin(self, window: int) -> None:
        self.connect(window)

    @precondition(lambda self: self.box is None)
    @rule(window=st.integers(1, 4))
    def connect(self, window: int) -> None:
        self.window = window
        self.box = outbox()
        completing = iter(self.completing)
        self.expected_again = deque(next(completing) if one.awaits == PUBCOMP else one for one in self.flying)
        self.on_line = 0  # PUBLISHes of this connection that are not acknowledged
        self.sender.attach(self.box, window, NOW)
        self.look()

    @precondition(lambda self: self.box is not None)
    @rule()
    def cut(self) -> None:
        self.sender.detach()
        self.box = None

    @rule(qos=st.sampled_from([1, 2]))
    def publish(self, qos: int) -> None:
        self.count += 1
        self.unsent.append(Sent(self.count, qos))
        assert send(self.sender, b"%d" % self.count, qos)
        self.look()

    @precondition(lambda self: self.box is not None and self.seen())
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.seen()))
        code = data.draw(st.sampled_from([0, 0, 0, 0x97])) if one.awaits != PUBCOMP else 0
        assert self.sender.acknowledge(one.awaits, one.packet_id, code, NOW)
        if one.awaits == PUBREC and code == 0:
            self.released(one)
            assert self.box is not None
            first, *rest = said(self.box)
            assert first == Pubrel(one.packet_id)
            assert rest == []  # a PUBREC makes no room
        else:
            self.flying.remove(one)
            if one in self.completing:
                self.completing.remove(one)
            self.look()

    @precondition(lambda self: self.box is not None)
    @rule(packet_id=st.integers(30000, 40000), kind=st.sampled_from([PUBACK, PUBREC, PUBCOMP]))
    def acknowledge_what_was_never_sent(self, packet_id: int, kind: int) -> None:
        assert not self.sender.acknowledge(kind, packet_id, 0, NOW)
        self.look()

    def released(self, one: Sent) -> None:
        """PUBRELs come again in the order of the PUBRECs [MQTT-4.6.0-4], each PUBLISH between them in its old place."""
        one.awaits = PUBCOMP
        self.completing.append(one)

    def seen(self) -> list[Sent]:
        """What this connection's receiver may acknowledge."""
        return [one for one in self.flying if one not in self.expected_again]

    def look(self) -> None:
        """Everything that was sent is what the model says may be sent now, and nothing that may be is held back."""
        for packet in said(self.box) if self.box is not None else []:
            if self.expected_again:
                self.look_again(packet)
                continue
            one = self.unsent.popleft()
            assert isinstance(packet, Publish)
            assert (packet.payload, packet.qos, packet.dup) == (b"%d" % one.number, one.qos, False)
            assert packet.packet_id not in {other.packet_id for other in self.flying}
            one.packet_id, one.awaits = packet.packet_id, PUBACK if one.qos == 1 else PUBREC
            self.flying.append(one)
            assert len(self.flying) <= self.window, "a new message was sent beyond the receiver's window"
        if self.box is not None and len(self.seen()) < self.window:
            assert not self.expected_again, "there is room, and what was in flight did not come again"
            assert not self.unsent, "there is room, and a message waits"

    def look_again(self, packet: Packet) -> None:
        one = self.expected_again.popleft()
        if one.awaits == PUBCOMP:
            assert packet == Pubrel(one.packet_id)
        else:
            assert isinstance(packet, Publish)
            assert (packet.payload, packet.qos, packet.dup) == (b"%d" % one.number, one.qos, True)
            assert packet.packet_id == one.packet_id

    @invariant()
    def the_sender_holds_what_the_model_holds(self) -> None:
        assert list(self.sender.in_flight) == [one.packet_id for one in self.flying]
        assert len(self.sender.waiting or ()) == len(self.unsent)
        assert self.sender.backlog.bytes == sum(1 + len(b"%d" % one.number) for one in self.unsent)
        assert self.sender.quota <= self.sender.window

    def teardown(self) -> None:
        """In the end everything arrives, and all the quota is there again."""
        self.cut() if self.box is not None else None
        self.connect(2)
        while self.seen():
            one = self.seen()[0]
            self.sender.acknowledge(one.awaits, one.packet_id, 0, NOW)
            if one.awaits == PUBREC:
                self.released(one)
                assert self.box is not None and said(self.box) == [Pubrel(one.packet_id)]
            else:
                self.flying.remove(one)
                self.look()
        assert not self.unsent and not self.sender.in_flight
        assert self.sender.quota == 2


TestSending = Sending.TestCase
TestSending.settings = STORIES


def test_identifiers_count_up_from_one_and_begin_again() -> None:
    sender, box = ready()
    send(sender, b"a")
    sender.last_id = 65534
    send(sender, b"b")
    send(sender, b"c")
    assert [packet.packet_id for packet in said(box)] == [1, 65535, 2]  # 1 is in flight still


def test_beyond_the_window_messages_wait_and_each_puback_lets_one_go() -> None:
    sender, box = ready(window=2)
    for payload in (b"1", b"2", b"3", b"4"):
        send(sender, payload)
    assert [packet.payload for packet in said(box)] == [b"1", b"2"]
    sender.acknowledge(PUBACK, 2, 0, NOW)
    assert [packet.payload for packet in said(box)] == [b"3"]


def test_a_pubrec_with_an_error_ends_the_delivery_and_frees_its_place() -> None:
    sender, box = ready(window=1)
    send(sender, b"1", 2)
    send(sender, b"2", 2)
    said(box)
    sender.acknowledge(PUBREC, 1, ReasonCode.QUOTA_EXCEEDED, NOW)
    assert [packet.payload for packet in said(box)] == [b"2"]


def test_a_second_pubrec_gets_a_second_pubrel() -> None:
    sender, box = ready()
    send(sender, b"1", 2)
    said(box)
    for _ in range(2):
        sender.acknowledge(PUBREC, 1, 0, NOW)
        assert said(box) == [Pubrel(1)]


@pytest.mark.parametrize(("qos", "kind"), [(1, PUBREC), (1, PUBCOMP), (2, PUBACK), (2, PUBCOMP)])
def test_an_acknowledgement_that_does_not_fit_is_a_protocol_error(qos: int, kind: int) -> None:
    sender, _ = ready()
    send(sender, b"1", qos)
    with pytest.raises(ProtocolError) as caught:
        sender.acknowledge(kind, 1, 0, NOW)
    assert caught.value.reason_code == ReasonCode.PROTOCOL_ERROR


def test_a_puback_after_pubrel_is_a_protocol_error() -> None:
    sender, _ = ready()
    send(sender, b"1", 2)
    sender.acknowledge(PUBREC, 1, 0, NOW)
    with pytest.raises(ProtocolError):
        sender.acknowledge(PUBACK, 1, 0, NOW)


def test_a_full_queue_drops_the_new_message_and_counts_it() -> None:
    sender = Sender(Backlog(2, 1 << 20))
    assert [send(sender, b"%d" % number) for number in range(4)] == [True, True, False, False]
    assert sender.statistics.dropped_queue_full == 2
    box = outbox()
    sender.attach(box, 10, NOW)
    assert [packet.payload for packet in said(box)] == [b"0", b"1"]


def test_a_queue_of_too_many_bytes_drops_the_new_message_and_counts_it() -> None:
    sender = Sender(Backlog(1000, 25))
    assert send(sender, b"x" * 20)
    assert not send(sender, b"y" * 20)
    assert send(sender, b"zzz")  # topic and payload fit just so
    assert (sender.statistics.dropped_queue_full, sender.backlog.bytes) == (1, 25)


def test_an_expired_message_leaves_the_queue_without_an_identifier() -> None:
    sender = Sender(Backlog(10, 1000))
    send(sender, b"old", expiry=5)
    send(sender, b"new")
    box = outbox()
    sender.attach(box, 1, 6.0)
    assert [(packet.payload, packet.packet_id) for packet in said(box)] == [(b"new", 1)]
    assert (sender.statistics.dropped_expired, sender.backlog.bytes, sender.quota) == (1, 0, 0)


def test_what_was_sent_once_expires_no_more() -> None:
    sender, box = ready()
    send(sender, b"x", expiry=5)
    said(box)
    sender.detach()
    box = outbox()
    sender.attach(box, 1, 100.0)
    (again,) = said(box)
    assert (again.payload, again.dup, again.properties.message_expiry_interval) == (b"x", True, 0)


def test_a_message_too_large_for_the_receiver_takes_no_identifier_and_no_quota() -> None:
    sender, box = Sender(Backlog(10, 1 << 20)), outbox(maximum_packet=50)
    sender.attach(box, 2, NOW)
    assert not send(sender, b"x" * 100)
    send(sender, b"small")
    (packet,) = said(box)
    assert (packet.payload, packet.packet_id, sender.quota) == (b"small", 1, 1)
    assert box.statistics.dropped_too_large == 1


def test_a_message_in_flight_that_has_become_too_large_is_given_up() -> None:
    sender, box = ready()
    send(sender, b"x" * 100)
    send(sender, b"small")
    said(box)
    sender.detach()
    box = outbox(maximum_packet=50)
    sender.attach(box, 2, NOW)
    assert [(packet.payload, packet.packet_id) for packet in said(box)] == [(b"small", 2)]
    assert (list(sender.in_flight), sender.quota) == ([2], 1)


def test_a_client_that_never_completes_cannot_pile_up_what_is_in_flight() -> None:
    """Say PUBREC to all, PUBCOMP to none, and come again: without a bound all 65,535 identifiers would be taken."""
    sender = Sender(Backlog(1000, 1 << 20))
    for number in range(100):
        send(sender, b"%d" % number, 2)
    for _ in range(5):
        box = outbox()
        sender.attach(box, 10, NOW)
        for packet_id, delivery in list(sender.in_flight.items()):
            if delivery.awaits == PUBREC:
                sender.acknowledge(PUBREC, packet_id, 0, NOW)
        assert len(sender.in_flight) <= 10
        sender.detach()


def test_with_no_more_quota_after_a_reconnect_the_rest_waits_its_turn() -> None:
    sender, box = ready(window=3)
    for payload in (b"1", b"2", b"3", b"4"):
        send(sender, payload)
    said(box)
    sender.detach()
    box = outbox()
    sender.attach(box, 1, NOW)
    seen = said(box)
    while sender.in_flight:
        (packet,) = seen[-1:]
        sender.acknowledge(PUBACK, packet.packet_id, 0, NOW)
        seen += said(box)
    assert [(packet.payload, packet.dup) for packet in seen] == [
        (b"1", True),
        (b"2", True),
        (b"3", True),
        (b"4", False),
    ]


def test_a_message_of_qos_0_kept_for_later_goes_in_its_order() -> None:
    sender = Sender(Backlog(10, 1000))
    send(sender, b"1")
    assert sender.keep(Message("t", b"0"), 0, False, b"", PLAIN)
    send(sender, b"2")
    box = outbox()
    sender.attach(box, 10, NOW)
    assert [(packet.payload, packet.qos) for packet in said(box)] == [(b"1", 1), (b"0", 0), (b"2", 1)]
    assert sender.quota == 8


def shared() -> tuple[SharedGroup, Subscription]:
    member = subscription("$share/g/t")
    member.group = SharedGroup(b"$share/g/t")
    return member.group, member


def test_withdrawing_takes_back_what_another_receiver_may_still_get() -> None:
    sender, box = ready(window=2)
    group, member = shared()
    for payload, qos, one in ((b"1", 1, member), (b"2", 2, member), (b"3", 1, member), (b"4", 1, PLAIN)):
        sender.deliver(Message("t", payload, qos), qos, False, b"", one, NOW)
    assert len(said(box)) == 2
    sender.detach()
    taken = [delivery.message.payload for delivery in sender.withdraw(group, Room(inf, inf)) if delivery.message]
    assert taken == [b"1", b"3"]
    assert [delivery.qos for delivery in sender.in_flight.values()] == [2]
    assert sender.backlog.bytes == 2


def test_withdrawing_gives_the_quota_back_once_the_receiver_acknowledges() -> None:
    """The receiver still answers what it was sent; otherwise its place would be taken for good."""
    sender, box = ready(window=1)
    group, member = shared()
    sender.deliver(Message("t", b"1", 1), 1, False, b"", member, NOW)
    sender.withdraw(group, Room(inf, inf))
    sender.acknowledge(PUBACK, 1, 0, NOW)
    said(box)
    send(sender, b"2")
    assert [packet.payload for packet in said(box)] == [b"2"]


def test_sender_and_deliveries_can_be_read() -> None:
    sender, _ = ready(window=1)
    send(sender, b"1")
    send(sender, b"2")
    assert repr(sender) == "<Sender 1 in flight of 1, 1 waiting>"
    assert repr(sender.in_flight[1]).startswith("<Delivery 1 QoS 1 awaits 4: <Message ")
    assert isinstance(sender.in_flight[1], Delivery)
