"""What a client owes for messages: acknowledgements in the order of arrival, each once, and none for what failed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from linnet.core.arrivals import Arrival, Arrivals
from linnet.core.outbox import Outbox
from linnet.errors import ReasonCode
from linnet.wire import V5, FrameReader, Puback, Pubrec, decode
from tests.core.steady import STEADY, STORIES

REFUSED = ReasonCode.QUOTA_EXCEEDED


class Desk:
    """Arrivals with a connection, and what they have sent on it."""

    def __init__(self, maximum: int = 10) -> None:
        self.arrivals = Arrivals(maximum)
        self.turns = 0
        self.crowds: list[bool] = []
        self.received: list[int] = []
        self.released: list[int] = []
        self.arrivals.on_crowd = self.crowds.append
        self.arrivals.on_receive = self.received.append
        self.arrivals.on_release = self.released.append
        self.attach()

    def attach(self, has_properties: bool = True) -> None:
        self.outbox = Outbox([], 1 << 60)
        self.arrivals.attach(self.outbox, has_properties, self.begin)

    def begin(self) -> float:
        self.turns += 1
        return 0.0

    def add(self, packet_id: int, qos: int = 1) -> Arrival:
        if qos == 2:
            self.arrivals.receiver.keep(packet_id)
        return self.arrivals.add(packet_id, qos)

    def sent(self) -> list[Puback | Pubrec]:
        """What went out since the last time."""
        frames = FrameReader(1000)
        frames.feed(self.outbox.take())
        found = []
        while frames.next():
            packet = decode(frames.data[frames.start : frames.stop], V5, True)
            assert isinstance(packet, Puback | Pubrec)
            found.append(packet)
        return found


@pytest.mark.clause("5.0:MQTT-4.3.2-4")
def test_a_message_is_acknowledged_when_all_that_have_it_have_let_go() -> None:
    desk = Desk()
    arrival = desk.add(1)
    arrival.hold()
    arrival.done()
    assert desk.sent() == []
    arrival.done()
    assert desk.sent() == [Puback(1)]


def test_qos_2_is_answered_with_pubrec_and_its_identifier_stays_until_pubrel() -> None:
    desk = Desk()
    desk.add(1, 2).done()
    assert desk.sent() == [Pubrec(1)]
    assert desk.arrivals.receiver.is_repeated(1)
    assert (desk.received, desk.released) == ([1], [])


def test_an_acknowledgement_enters_a_turn_so_that_it_is_written() -> None:
    desk = Desk()
    arrival = desk.add(1)
    assert desk.turns == 0
    arrival.done()
    assert desk.turns == 1


@STEADY
@given(order=st.permutations(list(range(1, 8))), qos=st.lists(st.sampled_from([1, 2]), min_size=7, max_size=7))
@pytest.mark.clause("5.0:MQTT-4.6.0-2", "5.0:MQTT-4.6.0-3")
def test_acknowledgements_leave_in_the_order_of_arrival(order: list[int], qos: list[int]) -> None:
    desk = Desk()
    arrivals = {n: desk.add(n, qos[n - 1]) for n in range(1, 8)}
    sent = []
    for n in order:
        arrivals[n].done()
        sent += desk.sent()
    assert sent == [Puback(n) if qos[n - 1] == 1 else Pubrec(n) for n in range(1, 8)]


def test_a_rejection_carries_its_reason_in_the_same_order() -> None:
    desk = Desk()
    first, second = desk.add(1), desk.add(2, 2)
    second.reject(REFUSED)
    first.reject(ReasonCode.UNSPECIFIED_ERROR)
    assert desk.sent() == [Puback(1, ReasonCode.UNSPECIFIED_ERROR), Pubrec(2, REFUSED)]


def test_the_first_of_several_rejections_counts() -> None:
    desk = Desk()
    arrival = desk.add(1)
    for _ in range(2):
        arrival.hold()
    arrival.reject(REFUSED)
    arrival.reject(ReasonCode.UNSPECIFIED_ERROR)
    arrival.done()
    assert desk.sent() == [Puback(1, REFUSED)]


@pytest.mark.clause("5.0:MQTT-4.3.3-9")
def test_a_refused_message_of_qos_2_is_done_with_and_its_identifier_free() -> None:
    desk = Desk()
    desk.add(1, 2).reject(REFUSED)
    assert not desk.arrivals.receiver.is_repeated(1)
    assert desk.released == [1]
    assert desk.arrivals.outstanding == 0


def test_before_5_a_rejection_is_an_acknowledgement() -> None:
    desk = Desk()
    desk.attach(has_properties=False)
    desk.add(1).reject(REFUSED)
    desk.add(2, 2).reject(REFUSED)
    assert desk.sent() == [Puback(1), Pubrec(2)]
    assert desk.arrivals.receiver.is_repeated(2)


def test_what_was_given_up_is_not_acknowledged_and_keeps_nobody_waiting() -> None:
    desk = Desk()
    first, second = desk.add(1), desk.add(2)
    second.done()
    first.give_up()
    assert desk.sent() == [Puback(2)]
    assert desk.arrivals.outstanding == 1  # the server counts it still


def test_what_one_has_given_up_nobody_else_can_acknowledge() -> None:
    desk = Desk()
    arrival = desk.add(1)
    arrival.hold()
    arrival.give_up()
    arrival.done()
    assert desk.sent() == []


def test_what_is_let_go_after_the_connection_is_gone_is_acknowledged_when_it_comes_again() -> None:
    desk = Desk()
    arrival = desk.add(1)
    desk.arrivals.detach()
    arrival.done()
    desk.attach()
    assert desk.sent() == []
    desk.arrivals.resume(desk.arrivals.unacknowledged.pop(1))
    assert desk.sent() == [Puback(1)]


def test_what_comes_again_while_it_is_at_work_is_acknowledged_when_that_is_done() -> None:
    desk = Desk()
    arrival = desk.add(1)
    desk.arrivals.detach()
    desk.attach()
    desk.arrivals.resume(desk.arrivals.unacknowledged.pop(1))
    assert desk.sent() == []
    arrival.done()
    assert desk.sent() == [Puback(1)]


def test_a_pubrec_is_repeated_in_its_turn() -> None:
    desk = Desk()
    first = desk.add(1)
    desk.arrivals.repeat(2)
    assert desk.sent() == []
    first.done()
    assert desk.sent() == [Puback(1), Pubrec(2)]


def test_nothing_of_a_forgotten_session_is_acknowledged() -> None:
    desk = Desk()
    before, now = desk.add(1), desk.add(2)
    desk.arrivals.detach()
    desk.arrivals.forget()
    desk.attach()
    before.done()
    now.give_up()
    assert desk.sent() == []
    assert not desk.arrivals.unacknowledged
    assert not desk.arrivals.given_up


def test_a_crowd_is_told_of_once_and_so_is_its_end() -> None:
    desk = Desk(maximum=4)
    arrivals = [desk.add(n) for n in range(1, 7)]
    assert desk.crowds == [True]
    for arrival in arrivals[:3]:
        arrival.done()
    assert desk.crowds == [True]
    arrivals[3].done()
    assert desk.crowds == [True, False]


def test_a_crowd_ends_with_its_connection() -> None:
    desk = Desk(maximum=1)
    desk.add(1)
    desk.add(2)
    desk.arrivals.detach()
    assert desk.crowds == [True, False]


def test_it_knows_what_is_yet_to_be_acknowledged() -> None:
    desk = Desk()
    waiting, failed, done = desk.add(1, 2), desk.add(2, 2), desk.add(3, 2)
    failed.give_up()
    done.done()
    assert [desk.arrivals.is_waiting(n) for n in (1, 2, 3, 4)] == [True, True, True, False]
    waiting.done()
    assert [desk.arrivals.is_waiting(n) for n in (1, 2, 3, 4)] == [False, True, False, False]


class Owing(RuleBasedStateMachine):
    """Messages come and come again, are processed in any order or fail, and connections break."""

    @initialize(maximum=st.integers(1, 5))
    def begin(self, maximum: int) -> None:
        self.desk = Desk(maximum)
        self.is_attached = True
        self.here: list[tuple[int, Arrival]] = []  # of this connection, in their order
        self.held: dict[int, list[Arrival]] = {}  # by packet identifier: who has to let go
        self.answered: list[int] = []

    @precondition(lambda self: self.is_attached)
    @rule(packet_id=st.integers(1, 6), qos=st.sampled_from([1, 2]), holders=st.integers(1, 2))
    def come(self, packet_id: int, qos: int, holders: int) -> None:
        if packet_id in [known for known, _ in self.here]:
            return  # no server uses an identifier that is in use
        arrivals = self.desk.arrivals
        before = arrivals.unacknowledged.pop(packet_id, None)
        if before is not None and not before.is_given_up:
            self.here.append((packet_id, before))
            arrivals.resume(before)
        else:
            arrival = self.desk.add(packet_id, qos)
            self.here.append((packet_id, arrival))
            self.held[packet_id] = [arrival] * holders
            for _ in range(holders):
                arrival.hold()
            arrival.done()
        self.look()

    @rule(packet_id=st.integers(1, 6), how=st.sampled_from(["done", "reject", "give up"]))
    def let_go(self, packet_id: int, how: str) -> None:
        holders = self.held.get(packet_id)
        if holders:
            arrival = holders.pop()
            if how == "done":
                arrival.done()
            elif how == "reject":
                arrival.reject(REFUSED)
            else:
                arrival.give_up()
            self.look()

    def look(self) -> None:
        """What went out is what stands first in the order of arrival, but for what was given up."""
        for packet in self.desk.sent():
            before = [arrival for known, arrival in self.here if known != packet.packet_id]
            index = [known for known, _ in self.here].index(packet.packet_id)
            arrival = self.here[index][1]
            assert all(earlier.is_given_up for earlier in before[:index])
            assert not arrival.is_given_up
            assert not self.held[packet.packet_id]
            assert packet.reason_code == arrival.reason_code
            del self.here[index]

    @precondition(lambda self: self.is_attached)
    @rule()
    def lose_connection(self) -> None:
        self.desk.arrivals.detach()
        self.is_attached = False
        self.here.clear()

    @precondition(lambda self: not self.is_attached)
    @rule(is_lost=st.booleans())
    def come_back(self, is_lost: bool) -> None:
        if is_lost:
            self.desk.arrivals.forget()
        self.desk.attach()
        self.is_attached = True

    @invariant()
    def all_that_may_go_has_gone(self) -> None:
        pending = [(known, arrival) for known, arrival in self.here if not arrival.is_given_up]
        if pending:
            assert self.held[pending[0][0]], "the first is processed, and not acknowledged"
        assert self.desk.arrivals.is_crowded == (len(self.desk.crowds) % 2 == 1)
        if self.desk.arrivals.is_crowded:
            assert len(pending) > self.desk.arrivals.maximum // 2


TestOwing = Owing.TestCase
TestOwing.settings = settings(STORIES, max_examples=40)
