"""The backlog: all that waits in the queues of all sessions together, and what is done when a queue is full.

A queue is full when its session's limits are reached, or the limit on all queues. Then the policy of the subscription
that the message came by decides. None of them ever drops a control packet, and each drop is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from linnet.core.topics import covers

if TYPE_CHECKING:
    from linnet.core.owed import Owed, Promise
    from linnet.core.queue import Queue
    from linnet.core.sender import Delivery
    from linnet.core.session import Session
    from linnet.core.statistics import Statistics

# The policies, as the settings name them
# Queue it all the same, and withhold the publisher's acknowledgement until there is room again; but not beyond
# `max_store_bytes`, which holds for all, and which this receiver alone cannot make room for
HOLD = "hold"
REFUSE = "refuse"  # nobody gets it, and the publisher is told 0x97
DROP_OLDEST = "drop_oldest"  # in favour of the new one
DROP_NEWEST = "drop_newest"  # this session misses it, and the publisher is told 0x97
DISCONNECT = "disconnect"  # the same, and the slow one has to go

# Of overlapping subscriptions the policy holds that comes first here: the one that loses least
POLICIES = (HOLD, REFUSE, DISCONNECT, DROP_NEWEST, DROP_OLDEST)

MOST_BEYOND = 1.5  # times `max_store_bytes` that are kept at most

# What becomes of the message that is being handed on; several may be true
NOBODY_ASKS = -1  # its publisher cannot be held back or told
FINE = 0
HELD = 1  # the publisher is to wait until queues have room
SHORT = 2  # the publisher is to wait until there is room for all
LOST = 4  # a persistent session could not be given it


class Backlog:
    """What waits for all sessions, the limits on it, and the policies for full queues."""

    __slots__ = (
        "bytes",
        "count",
        "in_flight",
        "knows_no_refusal",
        "max_queued_bytes",
        "max_queued_messages",
        "max_store_bytes",
        "messages",
        "overfull",
        "policies",
        "policy",
        "slow",
        "verdict",
        "waiters",
    )

    def __init__(self, max_queued_messages: int, max_queued_bytes: int, max_store_bytes: int = 1 << 60) -> None:
        self.max_queued_messages = max_queued_messages  # for one session
        self.max_queued_bytes = max_queued_bytes  # for one session
        self.max_store_bytes = max_store_bytes  # for all sessions together
        self.messages = 0
        self.bytes = 0
        self.in_flight = 0  # sent with QoS 1 or 2, and not acknowledged
        self.count: Callable[[str, str], None] = nobody_counts  # is told which limit was reached, and by whom
        self.verdict = NOBODY_ASKS
        self.knows_no_refusal = False  # its publisher speaks 3.x, and can only be kept waiting
        self.waiters: list[Promise] = []  # what such publishers get when there is room for all again
        self.overfull: dict[Queue, Session] = {}  # what the message now handed on has filled beyond the limits
        self.policy = DROP_NEWEST
        self.policies: list[tuple[bytes, str]] = []  # by topic filter, for the subscriptions that they cover
        self.slow: dict[Session, None] = {}  # to be disconnected at the end of the turn

    def __repr__(self) -> str:
        return f"<Backlog {self.messages} messages, {self.bytes} bytes, {self.in_flight} in flight>"

    def set_policies(self, policy: str, policies: tuple[str, ...]) -> None:
        """Choose what happens at a full queue; `policies` are FILTER=POLICY, of which the first that covers holds."""
        self.policy = policy
        self.policies = [(name.encode(), kind) for name, _, kind in (one.rpartition("=") for one in policies)]

    def policy_for(self, topics: bytes) -> str:
        """What happens to the messages of a subscription to this filter when the session's queue is full."""
        for pattern, policy in self.policies:
            if covers(pattern, topics):
                return policy
        return self.policy

    def overflow(self, queue: Queue, delivery: Delivery, statistics: Statistics, has_receiver: bool) -> bool:
        """A queue has no room for this: do what the policy says. True: queue it, for there is room now, or will be."""
        message = delivery.message
        assert message is not None
        weight = message.weight()
        limit = self.limit_of(queue, weight)
        policy = delivery.origin.policy
        session = delivery.origin.session
        self.count(limit, session.client_id)
        is_asked = self.verdict != NOBODY_ASKS and delivery.qos > 0
        if policy == DROP_OLDEST:
            if drop_oldest(queue, weight, statistics):
                return True
        elif policy == HOLD and is_asked and has_receiver and self.bytes + weight <= self.max_store_bytes:
            self.verdict |= HELD
            self.overfull[queue] = session
            return True
        elif is_asked and limit == "max_store_bytes" and session.expiry_interval > 0 and self.may_wait(weight):
            self.verdict |= SHORT
            return True
        elif policy == DISCONNECT and has_receiver:
            self.slow[session] = None
        if is_asked and session.expiry_interval > 0:
            self.verdict |= LOST
        statistics.lose()
        statistics.dropped_queue_full += 1
        return False

    def take_overfull(self) -> list[Session]:
        """Whose queues the message that was handed on has filled beyond their limits."""
        sessions = list(self.overfull.values())
        self.overfull.clear()
        return sessions

    def may_wait(self, weight: int) -> bool:
        """Whether a message may be kept beyond `max_store_bytes`, for a publisher that can only be kept waiting.

        Such publishers are not read then, but may come back and send it again: so there is an end to this too.
        """
        return self.knows_no_refusal and self.bytes + weight <= self.max_store_bytes * MOST_BEYOND

    def abandon(self, owed: Owed) -> None:
        """A publisher that was kept waiting for room has gone."""
        self.waiters = [promise for promise in self.waiters if promise.owed is not owed]

    def relax(self) -> None:
        """Keep nobody waiting for room, if there is some or nothing waits at all."""
        if self.bytes < self.max_store_bytes or not self.messages:
            waiters = self.waiters
            self.waiters = []
            for promise in waiters:
                promise.keep()

    def limit_of(self, queue: Queue, weight: int) -> str:
        """Which limit it is that a message of this weight is too much for."""
        if len(queue) >= self.max_queued_messages:
            return "max_queued_messages"
        return "max_queued_bytes" if queue.bytes + weight > self.max_queued_bytes else "max_store_bytes"


def drop_oldest(queue: Queue, weight: int, statistics: Statistics) -> bool:
    """Drop from a queue's head until there is room; False, and nothing dropped, when it had none if it were empty."""
    backlog = queue.backlog
    if not backlog.max_queued_messages or weight > backlog.max_queued_bytes:
        return False
    if backlog.bytes - queue.bytes + weight > backlog.max_store_bytes:
        return False
    while queue and queue.is_full(weight):
        queue.take()
        statistics.lose()
        statistics.dropped_queue_full += 1
    return True


def nobody_counts(limit: str, client_id: str) -> None:
    """No ledger is kept."""
