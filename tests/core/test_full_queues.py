"""Stories of full queues: publishers of both versions, a subscriber for each policy, and after each step the balance.

What has to be true whatever happens: acknowledgements come in the order of the messages, none is owed for ever, each
message is delivered or waits or is counted as dropped once, and a 5.0 publisher is told of what was lost, and of that
only.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from linnet.core.ports import Observer
from linnet.core.session import Session
from linnet.core.subscriptions import Subscription
from linnet.core.topics import parse_filter
from linnet.local import LocalSession
from linnet.wire import (
    V3_1_1,
    V5,
    FrameReader,
    Message,
    Packet,
    Puback,
    Publish,
    Pubrec,
    SubscriptionOptions,
    Version,
    decode,
)
from tests.core.steady import STORIES
from tests.pair import UNLIMITED, Client, World

EXPIRY = 60
HOLD_TIMEOUT = 5.0
TOPICS = ["m/x", "r/x"]
# The subscribers: a filter, and what happens at a full queue
FILTERS = {"m/+": "hold", "m/x": "drop_newest", "m/#": "drop_oldest", "+/x": "disconnect", "r/x": "refuse"}
POLICIES = tuple(f"{name}={policy}" for name, policy in sorted(FILTERS.items(), key=lambda one: one[0] != "m/x"))
PUBLISHERS: list[tuple[Version, int]] = [(V3_1_1, 1), (V3_1_1, 2), (V5, 1), (V5, 2)]


def packets(octets: bytes, version: Version, from_client: bool) -> list[Packet]:
    """The packets in a stretch of whole ones."""
    frames = FrameReader(UNLIMITED)
    frames.feed(octets)
    found = []
    while frames.next():
        found.append(decode(frames.data[frames.start : frames.stop], version, from_client))
    return found


class Publisher(Client):
    """Notes which messages it sent on this connection, and whether one of them was lost."""

    def __init__(self, world: World, client_id: str, version: Version, qos: int) -> None:
        super().__init__(world, client_id)
        self.publishes = version
        self.qos = qos
        self.sent: list[int] = []  # packet identifiers on this connection, in order
        self.answered: list[int] = []
        self.lost: dict[int, bool] = {}  # what was found out when it was handed on

    def come(self) -> None:
        self.sent, self.answered, self.lost = [], [], {}
        self.connect(version=self.publishes, clean_start=False, expiry=EXPIRY if self.publishes is V5 else None)

    def move(self, to_broker: int | None = None, to_client: int | None = None) -> bool:
        for packet in packets(b"".join(self.outbox.pieces), self.version, True):
            if isinstance(packet, Publish):
                self.sent.append(packet.packet_id)
        return super().move(to_broker, to_client)

    def take(self, packet: Packet) -> None:
        if isinstance(packet, Puback | Pubrec):
            self.answered.append(packet.packet_id)
            assert self.answered == self.sent[: len(self.answered)], "[MQTT-4.6.0-2, MQTT-4.6.0-3]"
            expected = self.lost.pop(packet.packet_id, None)
            if expected is not None:
                assert packet.reason_code == (0x97 if expected and self.version is V5 else 0), packet
        super().take(packet)


class Subscriber(Client):
    """Notes which messages were sent to it for the first time, whether or not they reached it."""

    def __init__(self, world: World, client_id: str, name: str) -> None:
        super().__init__(world, client_id)
        self.name = name
        self.handed = 0  # messages that were handed on to its session
        self.launched = 0
        self.acknowledges = False

    def come(self) -> None:
        self.connect(clean_start=False, expiry=EXPIRY)
        self.world.settle()
        assert self.connack is not None
        if not self.connack.session_present:
            self.handed = self.launched = 0
            self.subscribe(self.name, 2)

    def take(self, packet: Packet) -> None:
        self.note(packet)
        super().take(packet)

    def note(self, packet: Packet) -> None:
        self.launched += isinstance(packet, Publish) and not packet.dup

    def hang_up(self) -> None:
        assert self.connection is not None
        for octets in (bytes(self.line.sent), b"".join(self.connection.outbox.pieces)):
            for packet in packets(octets, self.version, False):
                self.note(packet)  # it is lost on the line
        self.line.sent.clear()
        super().hang_up()

    @property
    def on_its_way(self) -> int:
        """Messages that were sent and are neither here nor lost."""
        if self.connection is None:
            return 0
        octets = bytes(self.line.sent) + b"".join(self.connection.outbox.pieces)
        found = packets(octets, self.version, False)
        return sum(isinstance(packet, Publish) and not packet.dup for packet in found)


class Endings(Observer):
    """What sessions that ended had dropped."""

    def __init__(self) -> None:
        self.drops = [0] * 7

    def ended(self, session: Session) -> None:
        self.drops = [a + b for a, b in zip(self.drops, session.statistics.drops(), strict=True)]


class FullQueues(RuleBasedStateMachine):
    """Many small queues, and what may happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.endings = Endings()
        self.world = World(
            observers=[self.endings],
            max_queued_messages=2,
            max_inflight=2,
            receive_maximum=3,
            receive_maximum_3=3,
            hold_timeout=HOLD_TIMEOUT,
            queue_policy="refuse",
            queue_policies=POLICIES,
        )
        self.count = 0
        self.seen: list[bytes] = []  # payloads of all that was handed on
        self.refused: set[bytes] = set()  # what may come again, for its publisher was told that it did not arrive
        self.spy = LocalSession("spy", self.hand_on)
        name = parse_filter(b"#", self.world.core.router.rules)
        self.world.core.router.subscribe(Subscription(self.spy, name, SubscriptionOptions(2)))
        self.subscribers = [Subscriber(self.world, policy, name) for name, policy in FILTERS.items()]
        self.publishers = [Publisher(self.world, f"publisher-{n}", *PUBLISHERS[n]) for n in range(len(PUBLISHERS))]
        for subscriber in self.subscribers:
            subscriber.come()
        for publisher in self.publishers:
            publisher.come()
        self.world.settle()

    def hand_on(self, message: Message) -> bool:
        """The spy, who is there first, gets a message: so do all whose filters match and whose sessions live."""
        self.seen.append(message.payload)
        for client in self.subscribers:
            session = self.world.sessions.get(client.client_id)
            if session is not None and client.name.encode() in session.subscriptions:
                first = client.name.split("/")[0]
                client.handed += first in (message.topic.split("/")[0], "+")
        return True

    def losses(self) -> int:
        """Messages that persistent sessions could not be given; who drops the oldest was given the newest."""
        return sum(
            session.statistics.dropped_queue_full
            for session in self.world.sessions.values()
            if session.client_id != "drop_oldest"
        )

    @rule(who=st.sampled_from(range(4)), topic=st.sampled_from(TOPICS), count=st.integers(1, 4))
    def publish(self, who: int, topic: str, count: int) -> None:
        client = self.publishers[who]
        for _ in range(count):
            if client.connection is None or len(client.sender.in_flight) >= 3 or client.sender.resending:
                break
            self.count += 1
            payload = b"%06d" % self.count
            before, is_at_rest = self.losses(), not client.line.is_paused
            client.publish(topic, payload, client.qos)
            packet_id = client.sender.last_id
            client.outbox, outbox = client.outbox, client.outbox
            assert outbox.pieces
            data = b"".join(outbox.pieces)
            client.sent += [p.packet_id for p in packets(data, client.version, True) if isinstance(p, Publish)]
            client.connection.receive(outbox.take(), self.world.now)
            if is_at_rest:
                client.lost[packet_id] = self.losses() > before or payload not in self.seen
                if client.lost[packet_id]:
                    self.refused.add(payload)
                assert payload in self.seen or (client.version is V5 and topic == "r/x")
        self.world.settle()

    @rule(who=st.sampled_from(range(5)), count=st.integers(1, 3))
    def acknowledge(self, who: int, count: int) -> None:
        if self.subscribers[who].is_open:
            self.subscribers[who].acknowledge(count)
            self.world.settle()

    @rule(who=st.sampled_from(range(5)))
    def toggle_reading(self, who: int) -> None:
        line = self.subscribers[who].line
        line.is_blocked = not line.is_blocked
        self.world.settle()

    @rule(who=st.sampled_from(range(9)))
    def toggle_connection(self, who: int) -> None:
        client: Any = [*self.subscribers, *self.publishers][who]
        if client.is_open:
            client.cut()
        else:
            client.come()
        self.world.settle()

    @rule(seconds=st.sampled_from([0.5, HOLD_TIMEOUT + 2, EXPIRY + 1.0]))
    def wait(self, seconds: float) -> None:
        self.world.advance(seconds)

    @precondition(lambda self: all(client.is_open for client in self.publishers))
    @rule()
    def nobody_waits_for_ever(self) -> None:
        """Those who are slow say nothing; it ends all the same."""
        self.world.advance(2 * HOLD_TIMEOUT + 4)
        for client in self.publishers:
            assert client.connection is not None and client.connection.owed is None
            assert not client.line.is_paused
            assert not client.sender.in_flight

    @invariant()
    def the_backlog_is_the_sum(self) -> None:
        backlog = self.world.core.backlog
        senders = [session.sender for session in self.world.sessions.values()]
        queues = [sender.waiting for sender in senders if sender.waiting is not None]
        assert backlog.messages == sum(map(len, queues))
        assert backlog.bytes == sum(queue.bytes for queue in queues)
        assert backlog.bytes == sum(d.message.weight() for queue in queues for d in queue if d.message is not None)
        assert backlog.in_flight == sum(len(sender.in_flight) for sender in senders)
        assert not backlog.overfull
        assert not backlog.slow

    @invariant()
    def every_message_is_somewhere(self) -> None:
        for client in self.subscribers:
            session = self.world.sessions.get(client.client_id)
            if session is not None and session.subscriptions:
                waiting = len(session.sender.waiting or ())
                dropped = session.statistics.dropped
                assert client.handed == client.launched + client.on_its_way + waiting + dropped, client.client_id

    @invariant()
    def only_who_holds_has_more_than_allowed(self) -> None:
        for session in self.world.sessions.values():
            waiting = session.sender.waiting
            if waiting is not None and session.client_id != "hold":
                assert len(waiting) <= 2 and waiting.held is None
            if waiting is not None and waiting.held is not None:
                assert session.online and len(waiting) >= 2

    @invariant()
    def the_drops_add_up(self) -> None:
        total = self.world.core.ledger.total(self.world.core.connections)
        parts = [session.statistics.drops() for session in self.world.sessions.values()]
        assert list(total.drops()) == [sum(column) for column in zip(self.endings.drops, *parts, strict=True)]

    @invariant()
    def each_is_delivered_once_where_it_came_once(self) -> None:
        """[MQTT-4.3.3-10] At QoS 2 no message comes twice, whatever happened to the connections."""
        for client in self.subscribers:
            exactly_once = [p.payload for p in client.got if p.qos == 2 and p.payload not in self.refused]
            assert len(exactly_once) == len(set(exactly_once))

    def teardown(self) -> None:
        for client in (*self.subscribers, *self.publishers):
            if client.is_open:
                client.cut()
        self.world.advance(EXPIRY + 1.0)
        for name in list(self.world.sessions):  # of 3.1.1, which never end by themselves
            self.world.core.end(self.world.sessions[name], self.world.now)
        backlog = self.world.core.backlog
        assert (backlog.messages, backlog.bytes, backlog.in_flight) == (0, 0, 0)
        assert self.world.core.chores.holding == {}
        self.the_drops_add_up()


TestFullQueues = FullQueues.TestCase
TestFullQueues.settings = settings(STORIES, max_examples=50)
