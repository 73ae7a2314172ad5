"""One receiver's queue against a plain list: its order, its weight, and whom it keeps waiting."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from linnet.core.backlog import DROP_NEWEST, DROP_OLDEST, FINE, HELD, HOLD, LOST, NOBODY_ASKS, Backlog
from linnet.core.queue import Queue, Room
from linnet.core.receiver import Receiver
from linnet.core.sender import Delivery, Sender, new_delivery
from linnet.core.session import Session
from linnet.core.shared import SharedGroup
from linnet.core.statistics import Statistics
from linnet.core.subscriptions import Subscription
from linnet.core.topics import Filter
from linnet.wire import Message, SubscriptionOptions
from tests.core.steady import STORIES

MOST, MOST_BYTES, MOST_OF_ALL = 4, 40, 60


class Held:
    """Stands for an acknowledgement that is withheld."""

    def __init__(self) -> None:
        self.is_kept = False

    def keep(self) -> None:
        assert not self.is_kept, "let go twice"
        self.is_kept = True


class Queues(RuleBasedStateMachine):
    """Two queues with the limits of one backlog."""

    def __init__(self) -> None:
        super().__init__()
        self.backlog = Backlog(MOST, MOST_BYTES, MOST_OF_ALL)
        self.queues = [Queue(self.backlog), Queue(self.backlog)]
        self.models: list[list[Delivery]] = [[], []]
        self.held: list[list[Held]] = [[], []]
        self.statistics = Statistics([])
        self.dropped = 0
        session = Session("bob", Sender(self.backlog), Receiver(1))
        session.expiry_interval = 100
        self.group = SharedGroup(b"$share/g/t")
        self.subscriptions = {}
        for policy in (HOLD, DROP_OLDEST, DROP_NEWEST):
            self.subscriptions[policy] = Subscription(session, Filter(b"t", b"t", b""), SubscriptionOptions(1))
            self.subscriptions[policy].policy = policy

    def weight(self, which: int) -> int:
        return sum(delivery.message.weight() for delivery in self.models[which] if delivery.message is not None)

    def has_room(self, which: int, weight: int) -> bool:
        is_within = self.weight(which) + weight <= MOST_BYTES
        return len(self.models[which]) < MOST and is_within and self.in_store(weight)

    def in_store(self, weight: int) -> bool:
        return self.weight(0) + self.weight(1) + weight <= MOST_OF_ALL

    @rule(
        which=st.integers(0, 1),
        size=st.integers(0, 50),
        policy=st.sampled_from([HOLD, DROP_OLDEST, DROP_NEWEST]),
        is_asked=st.booleans(),
        has_receiver=st.booleans(),
        is_shared=st.booleans(),
    )
    def put(self, which: int, size: int, policy: str, is_asked: bool, has_receiver: bool, is_shared: bool) -> None:
        subscription = self.subscriptions[policy]
        subscription.group = self.group if is_shared else None
        delivery = new_delivery(Message("t", bytes(size), 1), 1, False, b"", subscription)
        self.backlog.verdict = FINE if is_asked else NOBODY_ASKS
        model, weight, verdict = self.models[which], 1 + size, FINE
        is_taken = self.has_room(which, weight)
        if not is_taken and policy == DROP_OLDEST:
            others = self.weight(1 - which)
            is_taken = weight <= MOST_BYTES and others + weight <= MOST_OF_ALL
            while is_taken and not self.has_room(which, weight):
                model.pop(0)
                self.dropped += 1
        elif not is_taken and policy == HOLD:
            is_taken = is_asked and has_receiver and self.in_store(weight)
            verdict = HELD if is_taken else FINE
        if not is_taken:
            self.dropped += 1
            verdict = LOST
        else:
            model.append(delivery)
        assert self.queues[which].put(delivery, self.statistics, has_receiver) is is_taken
        assert self.backlog.verdict == (verdict if is_asked else NOBODY_ASKS)
        if self.backlog.take_overfull():
            assert verdict == HELD
            promise = Held()
            self.queues[which].hold(promise)  # type: ignore[arg-type]
            self.held[which].append(promise)
        else:
            assert verdict != HELD

    @precondition(lambda self: any(self.models))
    @rule(which=st.integers(0, 1))
    def take(self, which: int) -> None:
        if not self.models[which]:
            which = 1 - which
        assert self.queues[which].take() is self.models[which].pop(0)

    @rule(which=st.integers(0, 1), messages=st.integers(0, MOST), octets=st.integers(0, MOST_BYTES))
    def withdraw(self, which: int, messages: int, octets: int) -> None:
        """What there is room for goes, in order; the first that does not fit stays, and all that come after it."""
        taken = self.queues[which].withdraw(self.group, Room(messages, octets))
        shared = [one for one in self.models[which] if one.origin.group is self.group]
        weights = [one.message.weight() for one in shared if one.message is not None]
        fitting = [sum(weights[: count + 1]) <= octets and count < messages for count in range(len(weights))]
        assert taken == shared[: fitting.index(False) if False in fitting else len(shared)]
        self.models[which] = [one for one in self.models[which] if one not in taken]

    @rule(which=st.integers(0, 1))
    def clear(self, which: int) -> None:
        self.queues[which].clear()
        self.models[which].clear()

    @invariant()
    def it_is_as_the_list_is(self) -> None:
        for which, queue in enumerate(self.queues):
            assert list(queue) == self.models[which]
            assert (len(queue), queue.bytes) == (len(self.models[which]), self.weight(which))
        assert self.backlog.messages == len(self.models[0]) + len(self.models[1])
        assert self.backlog.bytes == self.weight(0) + self.weight(1) <= MOST_OF_ALL
        assert self.statistics.dropped_queue_full == self.dropped

    @invariant()
    def nobody_waits_for_a_queue_that_is_empty(self) -> None:
        for which, queue in enumerate(self.queues):
            if not queue.deliveries:
                assert queue.held is None and all(promise.is_kept for promise in self.held[which])
            if queue.held is None:
                assert all(promise.is_kept for promise in self.held[which])
            else:
                assert not any(promise.is_kept for promise in queue.held)  # type: ignore[attr-defined]


TestQueues = Queues.TestCase
TestQueues.settings = STORIES
