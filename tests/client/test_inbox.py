"""Receiving: each message reaches whoever it is for, and is acknowledged when it was processed, not before."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import linnet
from linnet.client.inbox import Inbox, Valve
from linnet.client.message import Message
from linnet.client.policies import DROP_NEWEST, DROP_OLDEST, MANUAL, PROCESSED
from linnet.client.subscription import Subscription
from linnet.errors import ReasonCode
from linnet.wire import V3_1_1, V5, Puback, Publish, Pubrec, Version
from tests.client.ends import Ends, Link, RecordingStore
from tests.core.steady import STEADY
from tests.pair import FOR_EVER

REFUSED = ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR


def acknowledged(link: Link) -> list[int]:
    """The packet identifiers that the client has acknowledged, in its order."""
    return [packet.packet_id for packet in link.packets if isinstance(packet, Puback | Pubrec)]


async def fail_with_one(subscription: Subscription[Any]) -> None:
    async for _ in subscription:
        raise ZeroDivisionError


# -- when a message is acknowledged


@pytest.mark.parametrize("qos", [1, 2])
def test_a_message_is_acknowledged_when_the_next_is_asked_for(qos: int) -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        readings = ends.subscribe(bob, "a", qos=qos)
        ann = ends.world.client("ann")
        counts: list[int] = []

        async def read() -> None:
            async for _ in readings:
                await asyncio.sleep(0)
                counts.append(len(acknowledged(ends.links[bob])))

        ends.start(read())
        for n in range(3):
            ann.publish("a", b"%d" % n, qos)
            ends.settle()
        assert counts == [0, 1, 2]


def test_on_arrival_a_message_is_acknowledged_before_anybody_reads_it() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        readings = ends.subscribe(bob, "a", qos=1, ack="arrival", limit=2)
        ann = ends.world.client("ann")
        for n in range(4):
            ann.publish("a", b"%d" % n, 1)
        ends.settle()
        assert len(acknowledged(ends.links[bob])) == 2  # memory is bounded all the same
        assert [ends.get(readings).payload for _ in range(4)] == [b"0", b"1", b"2", b"3"]
        assert len(acknowledged(ends.links[bob])) == 4


def test_by_hand_a_message_is_acknowledged_when_the_program_says_so() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        readings = ends.subscribe(bob, "a", qos=1, ack="manual")
        ann = ends.world.client("ann")
        for _ in range(3):
            ann.publish("a", b"", 1)
        first, second, third = (ends.get(readings) for _ in range(3))
        third.ack()
        second.reject(ReasonCode.QUOTA_EXCEEDED)
        ends.settle()
        assert acknowledged(ends.links[bob]) == []
        first.ack()
        ends.settle()
        codes = [packet.reason_code for packet in ends.links[bob].packets if isinstance(packet, Puback)]
        assert codes == [0, ReasonCode.QUOTA_EXCEEDED, 0]


def test_by_hand_a_message_is_acknowledged_once() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        readings = ends.subscribe(bob, "a", qos=1, ack="manual")
        ends.world.publish("a", b"", 1)
        message = ends.get(readings)
        with pytest.raises(ValueError, match="0x82"):
            message.reject(ReasonCode.PROTOCOL_ERROR)
        message.ack()
        with pytest.raises(linnet.LinnetError):
            message.ack()


def test_a_refused_message_of_qos_2_leaves_nothing_behind() -> None:
    with Ends() as ends:
        store = RecordingStore()
        bob = ends.client("bob", store=store)
        readings = ends.subscribe(bob, "a", qos=2, ack="manual")
        ends.world.publish("a", b"", 2)
        ends.get(readings).reject()
        ends.settle()
        assert not bob.keeper.receiver.unreleased
        assert not store.incoming
        assert bob.keeper.arrivals.outstanding == 0


def test_the_store_knows_a_message_of_qos_2_from_pubrec_to_pubrel() -> None:
    with Ends() as ends:
        store = RecordingStore()
        bob = ends.client("bob", store=store)
        readings = ends.subscribe(bob, "a", qos=2, ack="manual")
        ends.world.publish("a", b"", 2)
        message = ends.get(readings)
        assert store.incoming == set()
        message.ack()
        ends.think()
        assert store.incoming == {message.packet_id}
        ends.settle()
        assert store.incoming == set()


# -- when it fails


@pytest.mark.parametrize("qos", [1, 2])
def test_what_a_task_failed_with_comes_again_in_the_next_connection(qos: int) -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        readings = ends.subscribe(bob, "a", qos=qos)
        ann = ends.world.client("ann")
        for n in range(3):
            ann.publish("a", b"%d" % n, qos)
        task = ends.start(fail_with_one(readings))
        ends.settle()
        assert isinstance(task.exception(), ZeroDivisionError)
        assert [ends.get(readings).payload for _ in range(2)] == [b"1", b"2"]
        ends.settle()
        assert len(acknowledged(ends.links[bob])) == 1
        ends.cut(bob)
        ends.come_back(bob)
        assert ends.get(readings).payload == b"0"


def test_what_a_cancelled_task_was_at_was_not_processed() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        readings = ends.subscribe(bob, "a", qos=1)
        ends.world.publish("a", b"", 1)

        async def work() -> None:
            async for _ in readings:
                await asyncio.Event().wait()

        task = ends.start(work())
        ends.settle()
        task.cancel()
        ends.settle()
        assert acknowledged(ends.links[bob]) == []
        assert len(bob.keeper.arrivals.given_up) == 1


def test_a_cancelled_receive_takes_no_message_with_it() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        readings = ends.subscribe(bob, "a", qos=1)
        got: list[bytes] = []

        async def get() -> None:
            got.append((await readings.get()).payload)

        for n in range(40):
            tasks = [ends.start(get()) for _ in range(3)]
            ends.think(1)
            ends.world.publish("a", b"%d" % n, 1)
            if n % 2:
                ends.world.turn()
                ends.links[bob].move()  # it is there, and nobody has had a turn since
            for task in tasks[: n % 4]:
                task.cancel()
            ends.settle()
            for task in tasks:
                task.cancel()
            ends.settle()
        while readings.waiting:
            got.append(ends.get(readings).payload)
        assert got == [b"%d" % n for n in range(40)]


def test_what_somebody_got_for_somebody_else_is_processed_when_the_next_is_asked_for() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        readings = ends.subscribe(bob, "a", qos=1)
        for _ in range(2):
            ends.world.publish("a", b"", 1)
        ends.get(readings)  # in a task of its own, which is over
        ends.settle()
        assert len(acknowledged(ends.links[bob])) == 0
        ends.get(readings)
        ends.settle()
        assert len(acknowledged(ends.links[bob])) == 1


# -- how much there may be


@pytest.mark.parametrize("version", [V3_1_1, V5], ids=["3.1.1", "5.0"])
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("maximum", [1, 2, 5])
def test_a_slow_reader_gets_everything_in_order_whatever_the_receive_maximum(
    qos: int, maximum: int, version: Version
) -> None:
    with Ends() as ends:
        bob = ends.client("bob", version=version, receive_maximum=maximum)
        readings = ends.subscribe(bob, "a", qos=qos)
        for n in range(30):
            ends.world.publish("a", b"%d" % n, qos)
        for n in range(30):
            assert ends.get(readings).payload == b"%d" % n
            if version is V5:
                assert readings.waiting <= maximum
        assert len(ends.lines) == 1


def test_before_5_a_handler_can_publish_while_more_comes_in_than_it_can_take() -> None:
    with Ends() as ends:
        bob = ends.client("bob", version=V3_1_1, receive_maximum=1)
        readings = ends.subscribe(bob, "a", qos=1)
        for _ in range(10):
            ends.world.publish("a", b"", 1)
        for _ in range(10):
            ends.get(readings)
            ends.run(bob.publish("b", qos=2))
            ends.leave(ends.subscribe(bob, "c"))


def test_a_full_inbox_drops_the_oldest_of_qos_0_and_counts_it() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        lost: list[linnet.Dropped] = []
        bob.on(linnet.Dropped)(lost.append)
        readings = ends.subscribe(bob, "a", qos=1, limit=3)
        ends.world.publish("a", b"kept", 1)
        for n in range(5):
            ends.world.publish("a", b"%d" % n)
        ends.settle()
        assert readings.dropped == len(lost) == 3
        assert [ends.get(readings).payload for _ in range(3)] == [b"kept", b"3", b"4"]


def test_a_full_inbox_drops_the_newest_of_qos_0_if_the_program_says_so() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        readings = ends.subscribe(bob, "a", limit=2, when_full="drop_newest")
        for n in range(5):
            ends.world.publish("a", b"%d" % n)
        ends.settle()
        assert readings.dropped == 3
        assert [ends.get(readings).payload for _ in range(2)] == [b"0", b"1"]


def test_a_full_inbox_reads_no_more_if_the_program_says_so_and_then_loses_nothing() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        readings = ends.subscribe(bob, "a", limit=2, when_full="wait")
        for n in range(50):
            ends.world.publish("a", b"%d" % n)
            ends.settle()
        assert not ends.links[bob].reads
        assert readings.waiting < 10
        assert [ends.get(readings).payload for _ in range(50)] == [b"%d" % n for n in range(50)]
        assert readings.dropped == 0


def test_a_full_inbox_is_read_on_while_its_reader_waits_for_an_answer() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        readings = ends.subscribe(bob, "a", limit=1, when_full="wait")
        for _ in range(5):
            ends.world.publish("a")
            ends.settle()
        assert not ends.links[bob].reads
        ends.run(bob.publish("b", qos=1))
        ends.settle()
        assert not ends.links[bob].reads
        ends.leave(readings)
        ends.settle()
        assert ends.links[bob].reads


def test_nobody_is_cut_off_for_reading_slowly() -> None:
    with Ends() as ends:
        bob = ends.client("bob", keep_alive=10)
        readings = ends.subscribe(bob, "a", limit=1, when_full="wait")
        for _ in range(5):
            ends.world.publish("a")
            ends.settle()
        ends.advance(300, step=1)
        assert len(ends.lines) == 1
        assert bob.is_connected
        ends.leave(readings)


# -- the end


def test_what_was_not_taken_is_refused_when_the_subscription_is_left() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        readings = ends.subscribe(bob, "a", qos=1)
        for _ in range(3):
            ends.world.publish("a", b"", 1)
        ends.get(readings)
        ends.leave(readings)
        ends.settle()
        codes = [packet.reason_code for packet in ends.links[bob].packets if isinstance(packet, Puback)]
        assert codes == [0, REFUSED, REFUSED]
        assert bob.keeper.arrivals.outstanding == 0


def test_what_was_not_taken_of_a_kept_subscription_stays_with_the_server() -> None:
    with Ends() as ends:
        bob = ends.client("bob", session_expiry=1000)
        readings = ends.subscribe(bob, "a", qos=1, keep=True)
        for n in range(3):
            ends.world.publish("a", b"%d" % n, 1)
        assert ends.get(readings).payload == b"0"
        ends.leave(readings)
        ends.run(bob.disconnect())
        bob = ends.client("bob", session_expiry=1000, clean_start=False)
        readings = ends.subscribe(bob, "a", qos=1)
        assert [ends.get(readings).payload for _ in range(2)] == [b"1", b"2"]


def test_a_reader_that_waits_is_told_of_the_end() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        readings = ends.subscribe(bob, "a")

        async def read() -> list[bytes]:
            return [message.payload async for message in readings]

        reading, getting = ends.start(read()), ends.start(readings.get())
        ends.settle()
        ends.leave(readings)
        ends.settle()
        assert reading.result() == []
        assert isinstance(getting.exception(), linnet.LinnetError)


def test_an_inbox_without_a_connection_counts_by_itself() -> None:
    def message(qos: int, payload: bytes) -> Message[Any]:
        found: Message[Any] = Message("a", payload, qos)
        found.arrival = None
        return found

    for policy, kept in ((DROP_OLDEST, [b"2", b"3"]), (DROP_NEWEST, [b"0", b"1"])):
        inbox = Inbox(linnet.RAW, PROCESSED, 2, policy, Valve())
        for n in range(4):
            inbox.put(message(0, b"%d" % n))
        assert [found.payload for found in inbox.queue] == kept
        assert (inbox.received, inbox.dropped, inbox.zeros) == (4, 2, 2)
    assert Inbox(linnet.RAW, MANUAL, 1, DROP_OLDEST, Valve()).acknowledges == MANUAL


# -- any story


@dataclass
class Episode:
    """What happens on one connection."""

    messages: list[int]  # their QoS
    steps: list[tuple[str, int]]  # what the program does, or bytes that move
    end: str


steps = st.tuples(
    st.sampled_from(["move", "move", "settle", "take", "take", "take", "ack", "ack", "reject", "fail", "cancel"]),
    st.integers(0, 60),
)
episodes = st.builds(
    Episode,
    st.lists(st.sampled_from([1, 2, 2, 0]), max_size=7),
    st.lists(steps, max_size=10),
    st.sampled_from(["nothing", "settle", "cut", "cut", "cut at once"]),
)


class Story:
    """Ann publishes to Bob, who acknowledges by hand in any order or by asking for more; his line is cut anywhere."""

    def __init__(self, version: Version, maximum: int, by_hand: bool) -> None:
        self.ends = Ends()
        self.by_hand = by_hand
        self.ann = self.ends.world.client("ann", expiry=FOR_EVER)
        self.store = RecordingStore()
        self.bob = self.ends.client(
            "bob", version=version, receive_maximum=maximum, session_expiry=FOR_EVER, store=self.store
        )
        self.readings: Subscription[bytes] = self.ends.subscribe(
            self.bob, "t", qos=2, ack="manual" if by_hand else "processed"
        )
        self.published: list[tuple[int, bytes]] = []
        self.taken: list[bytes] = []
        self.held: list[Message[bytes]] = []  # that the program has not acknowledged yet
        self.failed: set[bytes] = set()  # these come again
        self.refused: set[bytes] = set()  # and so may these, if the refusal was lost [MQTT-4.3.3-9]

    def play(self, episode: Episode) -> None:
        for qos in episode.messages:
            payload = b"<%d>" % len(self.published)
            self.published.append((qos, payload))
            self.ann.publish("t", payload, qos)
        self.ann.move()
        for what, number in episode.steps:
            getattr(self, what)(number)
            self.check()
        if episode.end == "settle":
            self.ends.settle()
        elif episode.end != "nothing":
            if episode.end == "cut at once":
                self.ends.cut_at_once(self.bob)
            else:
                self.ends.cut(self.bob)
            self.take(0)
            self.ack(0)
            self.ends.come_back(self.bob)
            while not self.bob.is_connected:
                self.ends.think(1)
                self.ends.links[self.bob].move(None, 8)
        self.check()

    def move(self, number: int) -> None:
        self.ends.think(1)
        self.ends.links[self.bob].move(number % 13, number)

    def settle(self, number: int) -> None:
        self.ends.settle()

    def take(self, number: int) -> None:
        if self.readings.waiting:
            self.note(self.ends.run(self.next()) if number % 2 else self.next_now())

    def note(self, message: Message[bytes]) -> None:
        self.taken.append(message.payload)
        if self.by_hand and message.qos:
            self.held.append(message)

    def next_now(self) -> Message[bytes]:
        """The same, and nothing else happens."""
        task = self.ends.start(self.next())
        self.ends.think(2)
        return task.result()

    async def next(self) -> Message[bytes]:
        return await self.readings.get()

    def ack(self, number: int) -> None:
        if self.held:
            self.held.pop(number % len(self.held)).ack()

    def reject(self, number: int) -> None:
        if self.held:
            message = self.held.pop(number % len(self.held))
            message.reject()
            self.refused.add(message.payload)

    def fail(self, number: int) -> None:
        """A task takes a message, and fails."""
        if self.readings.waiting and not self.by_hand:
            task = self.ends.start(fail_with_one(self.readings))
            first = self.readings.inbox.queue[0]
            self.ends.think(3)
            assert isinstance(task.exception(), ZeroDivisionError)
            self.taken.append(first.payload)
            self.failed.add(first.payload)

    def cancel(self, number: int) -> None:
        """A task waits for a message, and is cancelled."""
        task = self.ends.start(self.next())
        if self.readings.waiting == 0:
            self.ends.think(1)
        task.cancel()
        self.ends.think(2)
        if not task.cancelled():  # asking has acknowledged what was read before, so that more could be read
            self.note(task.result())

    def check(self) -> None:
        for link in self.ends.lines:
            came = [packet.packet_id for packet in link.received if isinstance(packet, Publish) and packet.qos]
            left = iter(came)
            # [MQTT-4.6.0-2, MQTT-4.6.0-3]
            assert all(packet_id in left for packet_id in acknowledged(link)), "not in the order of arrival"
        arrivals = self.bob.keeper.arrivals
        link = self.ends.links[self.bob]
        assert link.has_ended or not link.far.has_finished
        if self.bob.options.version is V5:
            assert len(arrivals.pending) <= arrivals.maximum
        assert self.store.incoming <= self.bob.keeper.receiver.unreleased.keys()

    def finish(self) -> None:
        """Take and acknowledge all there is, on as many connections as that takes."""
        for _ in range(3):
            self.ends.settle()
            self.cancel(0)
            self.ends.settle()
            while self.readings.waiting or self.held:
                while self.readings.waiting:
                    self.take(1)
                while self.held:
                    self.ack(0)
                self.cancel(0)  # who asks for another has processed the last
                self.ends.settle()
            self.check()
            self.ends.cut(self.bob)
            self.ends.come_back(self.bob)
        self.ends.settle()
        assert self.bob.is_connected

    def everything_was_received(self) -> None:
        counts = {payload: self.taken.count(payload) for _, payload in self.published}
        for qos, payload in self.published:
            if qos:
                assert counts[payload] >= 1, f"{payload!r} of QoS {qos} was lost"
            if qos == 2 and payload not in self.failed | self.refused:
                assert counts[payload] == 1, f"{payload!r} came {counts[payload]} times"
        for qos in (1, 2):
            first = [payload for payload in dict.fromkeys(self.taken) if (qos, payload) in self.published]
            assert first == sorted(first, key=lambda payload: int(payload[1:-1]))
        arrivals = self.bob.keeper.arrivals
        if self.by_hand:
            assert (len(arrivals.pending), len(arrivals.given_up), arrivals.outstanding) == (0, 0, 0)
            assert not self.bob.keeper.receiver.unreleased
            assert not self.store.incoming
            assert not self.ends.world.sessions["bob"].sender.in_flight


@settings(STEADY, max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(
    version=st.sampled_from([V3_1_1, V5, V5]),
    maximum=st.integers(1, 5),
    by_hand=st.booleans(),
    story=st.lists(episodes, min_size=2, max_size=6),
)
@pytest.mark.clause("5.0:MQTT-4.3.2-4", "5.0:MQTT-4.3.3-8", "5.0:MQTT-4.3.3-10", "5.0:MQTT-4.6.0-2", "5.0:MQTT-4.6.0-3")
def test_whatever_becomes_of_the_line_each_message_comes_and_is_acknowledged_in_turn(
    version: Version, maximum: int, by_hand: bool, story: list[Episode]
) -> None:
    told = Story(version, maximum, by_hand)
    with told.ends:
        for episode in story:
            told.play(episode)
        told.finish()
        told.everything_was_received()
