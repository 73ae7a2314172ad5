"""Publishing: what becomes of each message that was handed over, and that its program is told the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import linnet
from linnet.client.publication import Publication
from linnet.errors import NotSupported, ReasonCode
from linnet.wire import V3_1_1, V5, PacketType, Publish, Pubrel, Version
from tests.client.ends import Ends, Link, RecordingStore
from tests.core.steady import STEADY
from tests.pair import FOR_EVER


def published(link: Link) -> list[Publish]:
    return [packet for packet in link.packets if isinstance(packet, Publish)]


@pytest.mark.parametrize("version", [V3_1_1, V5], ids=["3.1.1", "5.0"])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_message_is_acknowledged(qos: int, version: Version) -> None:
    with Ends() as ends:
        bob = ends.client("bob", version=version)
        ann = ends.world.client("ann")
        ann.subscribe("a/b", 2)
        publication = bob.send("a/b", b"hello", qos=qos)
        assert not publication.done
        ends.settle()
        assert publication.state == "acknowledged"
        assert ann.payloads == [b"hello"]
        assert bob.publisher.is_idle


def test_publish_returns_the_servers_reason_code() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        for qos, reason_code in ((0, 0), (1, 0x10), (2, 0x10)):
            assert ends.run(bob.publish("nobody", qos=qos)) == reason_code
        ends.world.client("ann").subscribe("a", 0)
        assert ends.run(bob.publish("a", qos=2)) == ReasonCode.SUCCESS


def test_the_states_of_a_message_of_qos_2_on_its_way() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        link = ends.links[bob]
        publication = bob.send("a", qos=2)
        states = [publication.state]
        ends.think()
        states.append(publication.state)
        for _ in range(2):
            link.move()
            ends.think()
            states.append(publication.state)
        assert states == ["queued", "sent", "received", "acknowledged"]


def test_the_server_refuses_a_message() -> None:
    with Ends(max_topic_levels=2) as ends:
        bob = ends.client("bob", reconnect=None)
        link = ends.links[bob]
        publication = bob.send("a/b", qos=1)
        ends.think()
        link.protocol.data_received(b"\x40\x09" + b"\x00\x01\x97\x05\x1f\x00\x02no")
        with pytest.raises(linnet.PublishRejected) as caught:
            ends.run(awaited(publication))
        assert caught.value.reason_code == ReasonCode.QUOTA_EXCEEDED
        assert caught.value.reason_string == "no"
        assert publication.state == "rejected"
        assert bob.publisher.is_idle


async def awaited(publication: Publication) -> Any:
    return await publication


def test_what_was_handed_over_without_a_connection_goes_out_in_its_order() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        ann = ends.world.client("ann")
        ann.subscribe("a", 2)
        ends.cut(bob)
        publications = [bob.send("a", b"%d" % n, qos=n % 3) for n in range(9)]
        ends.think()
        assert {publication.state for publication in publications} == {"queued"}
        ends.come_back(bob)
        ends.settle()
        assert {publication.state for publication in publications} == {"acknowledged"}
        assert ann.payloads == [b"%d" % n for n in range(9)]


@pytest.mark.clause("5.0:MQTT-3.3.4-7", "5.0:MQTT-4.9.0-2")
def test_the_servers_receive_maximum_holds_whatever_is_handed_over_at_once() -> None:
    with Ends(receive_maximum=5) as ends:
        bob = ends.client("bob")
        publications = [bob.send("a", b"%d" % n, qos=2) for n in range(60)]
        ends.think()
        assert len(published(ends.links[bob])) == 5
        ends.settle()
        assert {publication.state for publication in publications} == {"acknowledged"}
        assert len(ends.lines) == 1


def test_no_more_are_on_their_way_than_the_program_wants() -> None:
    with Ends() as ends:
        bob = ends.client("bob", max_inflight=3)
        for _ in range(9):
            bob.send("a", qos=1)
        ends.think()
        assert len(published(ends.links[bob])) == 3


@pytest.mark.parametrize(("version", "window"), [(V3_1_1, 20), (V5, 1000)], ids=["3.1.1", "5.0"])
def test_how_many_are_on_their_way_unless_told(version: Version, window: int) -> None:
    with Ends(receive_maximum=2000) as ends:
        bob = ends.client("bob", version=version)
        assert bob.publisher.sender.window == window


def test_identifiers_stay_free_for_questions_whatever_is_on_its_way() -> None:
    with pytest.raises(ValueError, match="max_inflight"):
        linnet.Client(max_inflight=65535)


# -- connections that are lost


@pytest.mark.parametrize("qos", [1, 2])
def test_what_was_on_its_way_when_the_line_broke_arrives(qos: int) -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        ann = ends.world.client("ann")
        ann.subscribe("a", 2)
        publication = bob.send("a", b"x", qos=qos)
        ends.think()
        ends.cut(bob)
        assert publication.was_sent
        ends.come_back(bob)
        ends.settle()
        again = published(ends.links[bob])
        assert [packet.dup for packet in again] == [True]
        assert publication.state == "acknowledged"
        assert ann.payloads == [b"x"]


def test_a_pubcomp_that_is_lost_is_no_failure() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        publication = bob.send("a/b", b"x", qos=2)
        ends.think()
        link = ends.links[bob]
        link.move()
        ends.think()
        link.move_up(None)
        ends.cut(bob)
        assert publication.state == "received"
        ends.come_back(bob)
        ends.settle()
        assert [type(packet) for packet in ends.links[bob].packets[1:]] == [Pubrel]
        assert publication.state == "acknowledged"
        assert publication.fault is None


def test_after_a_lost_session_qos_1_goes_out_as_new_and_the_fate_of_qos_2_is_told_unknown() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        ann = ends.world.client("ann")
        ann.subscribe("a", 2)
        lost: list[linnet.Dropped] = []
        bob.on(linnet.Dropped)(lost.append)
        one, two = bob.send("a", b"1", qos=1), bob.send("a", b"2", qos=2)
        ends.think()
        ends.cut(bob)
        ends.lose_session(bob)
        ends.come_back(bob)
        ends.settle()
        assert one.state == "acknowledged"
        assert [packet.dup for packet in published(ends.links[bob])] == [False]
        assert isinstance(two.fault, linnet.NotDelivered)
        assert two.fault.sent
        assert ann.payloads == [b"1"]
        assert [event.topic for event in lost] == ["a"]


def test_qos_2_goes_out_again_after_a_lost_session_if_the_program_says_so() -> None:
    with Ends() as ends:
        bob = ends.client("bob", offline=linnet.Offline(resend_qos2=True))
        publication = bob.send("a", b"2", qos=2)
        ends.think()
        ends.cut(bob)
        ends.lose_session(bob)
        ends.come_back(bob)
        ends.settle()
        assert publication.state == "acknowledged"


def test_what_never_left_goes_out_after_a_lost_session_whatever_its_qos() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        publications = [bob.send("a", b"%d" % n, qos=2) for n in range(3)]
        ends.cut_at_once(bob)
        assert not any(publication.was_sent for publication in publications)
        ends.lose_session(bob)
        ends.come_back(bob)
        ends.settle()
        assert {publication.state for publication in publications} == {"acknowledged"}


def test_a_message_in_flight_counts_as_sent_only_once_it_was_written() -> None:
    with Ends(receive_maximum=1) as ends:
        bob = ends.client("bob")
        sender = bob.publisher.sender
        sender.quota = sender.window = 3  # as a server before allowed
        publications = [bob.send("a", b"%d" % n, qos=2) for n in range(3)]
        ends.cut_at_once(bob)
        ends.come_back(bob)
        for _ in range(50):
            ends.think(1)
            link = ends.links[bob]
            if len(ends.lines) == 2 and published(link):
                break
            if len(ends.lines) == 2:
                link.move()
        assert [publication.was_sent for publication in publications] == [True, False, False]


@pytest.mark.parametrize("qos0", ["keep", "drop", "raise"])
def test_messages_of_qos_0_without_a_connection_are_kept_or_not_as_the_program_says(qos0: Any) -> None:
    with Ends() as ends:
        bob = ends.client("bob", offline=linnet.Offline(qos0=qos0))
        ends.cut(bob)
        if qos0 == "raise":
            with pytest.raises(linnet.NotDelivered) as caught:
                bob.send("a")
            assert not caught.value.sent
            return
        publication = bob.send("a")
        ends.come_back(bob)
        ends.settle()
        assert publication.state == ("acknowledged" if qos0 == "keep" else "not delivered")


@pytest.mark.parametrize("qos0", ["keep", "drop"])
def test_a_message_of_qos_0_that_was_not_written_when_the_line_broke_has_never_left(qos0: Any) -> None:
    with Ends() as ends:
        bob = ends.client("bob", offline=linnet.Offline(qos0=qos0))
        ann = ends.world.client("ann")
        ann.subscribe("a", 0)
        publication = bob.send("a", b"x")
        ends.cut_at_once(bob)
        assert publication.state == ("queued" if qos0 == "keep" else "not delivered")
        ends.come_back(bob)
        ends.settle()
        assert ann.payloads == ([b"x"] if qos0 == "keep" else [])


def test_what_was_written_before_a_fault_of_the_server_is_what_was_sent() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        zero, one = bob.send("a", b"zero"), bob.send("a", b"one", qos=1)
        ends.links[bob].protocol.data_received(b"\x00\x00")
        ends.think(1)
        said = bytes(ends.links[bob].said)
        assert (b"zero" in said) == (zero.state == "acknowledged")
        assert (b"one" in said) == one.was_sent


# -- what waits


def test_a_message_that_expires_while_it_waits_is_not_delivered() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        ends.cut(bob)
        short, long = bob.send("a", b"short", qos=1, expiry=5), bob.send("a", b"long", qos=1, expiry=50)
        ends.advance(10)
        ends.come_back(bob)
        ends.settle()
        assert isinstance(short.fault, linnet.NotDelivered)
        assert not short.fault.sent
        assert long.state == "acknowledged"
        [packet] = published(ends.links[bob])
        assert packet.expiry == 40  # [MQTT-3.3.2-6]


def test_a_full_queue_takes_no_more() -> None:
    with Ends() as ends:
        bob = ends.client("bob", offline=linnet.Offline(max_messages=2))
        ends.cut(bob)
        kept = [bob.send("a", qos=1) for _ in range(2)]
        with pytest.raises(linnet.QueueFull):
            bob.send("a", qos=1)
        ends.come_back(bob)
        ends.settle()
        assert {publication.state for publication in kept} == {"acknowledged"}


def test_a_full_queue_drops_the_oldest_if_the_program_says_so() -> None:
    with Ends() as ends:
        bob = ends.client("bob", offline=linnet.Offline(max_messages=2, when_full="drop_oldest"))
        ends.cut(bob)
        first, *others = [bob.send("a", b"%d" % n, qos=1) for n in range(3)]
        assert isinstance(first.fault, linnet.NotDelivered)
        ends.come_back(bob)
        ends.settle()
        assert {publication.state for publication in others} == {"acknowledged"}


def test_what_was_sent_before_is_never_dropped_for_newer_messages() -> None:
    with Ends(receive_maximum=2) as ends:
        bob = ends.client("bob", offline=linnet.Offline(max_messages=2, when_full="drop_oldest"))
        sent = [bob.send("a", b"%d" % n, qos=1) for n in range(2)]
        ends.think()
        ends.cut(bob)
        ends.lose_session(bob)
        ends.come_back(bob)
        ends.think(20)
        ends.settle()
        assert {publication.state for publication in sent} == {"acknowledged"}


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_publish_waits_for_room(qos: int) -> None:
    with Ends() as ends:
        bob = ends.client("bob", offline=linnet.Offline(max_messages=1))
        line = bob.publisher.line
        assert line is not None
        line.pause_writing()
        tasks = [ends.start(bob.publish("a", b"%d" % n, qos=qos)) for n in range(10)]
        ends.settle()
        assert bob.publisher.waiting == 1
        assert not any(task.done() for task in tasks)
        line.resume_writing()
        ends.settle()
        assert all(task.done() for task in tasks)
        assert [packet.payload for packet in published(ends.links[bob])] == [b"%d" % n for n in range(10)]


def test_one_that_no_longer_waits_for_room_lets_the_next_have_it() -> None:
    with Ends(receive_maximum=1) as ends:
        bob = ends.client("bob", offline=linnet.Offline(max_messages=1))
        tasks = [ends.start(bob.publish("a", b"%d" % n, qos=1)) for n in range(6)]
        ends.think()
        for task in tasks[2:5]:
            task.cancel()
        ends.settle()
        assert [task.cancelled() for task in tasks] == [False, False, True, True, True, False]
        assert [packet.payload for packet in published(ends.links[bob])] == [b"0", b"1", b"5"]


# -- withdrawing


def test_what_was_not_written_can_be_withdrawn_and_what_was_runs_on() -> None:
    with Ends() as ends:
        bob = ends.client("bob", max_inflight=1)
        first, second = bob.send("a", b"1", qos=1), bob.send("a", b"2", qos=1)
        ends.think()
        assert not first.cancel()
        assert second.cancel()
        ends.settle()
        assert (first.state, second.state) == ("acknowledged", "withdrawn")
        assert isinstance(second.fault, linnet.NotDelivered)
        assert not second.fault.sent
        assert len(published(ends.links[bob])) == 1


def test_a_message_of_qos_0_that_came_back_from_a_lost_connection_can_be_withdrawn() -> None:
    with Ends() as ends:
        store = RecordingStore()
        bob = ends.client("bob", store=store)
        publication = bob.send("a", b"x")
        ends.cut_at_once(bob)
        assert publication.cancel()
        assert publication.state == "withdrawn"
        assert store.kept == {}


def test_cancelled_publishes_give_back_their_places() -> None:
    with Ends(receive_maximum=2) as ends:
        bob = ends.client("bob")
        tasks = [ends.start(bob.publish("a", b"%d" % n, qos=2)) for n in range(8)]
        ends.think()
        for task in tasks:
            task.cancel()
        ends.settle()
        sender = bob.publisher.sender
        assert (sender.quota, len(sender.in_flight), bob.publisher.waiting) == (2, 0, 0)
        assert len(published(ends.links[bob])) == 2
        assert ends.run(bob.publish("a", qos=2)) == ReasonCode.NO_MATCHING_SUBSCRIBERS


def test_closing_does_not_wait_for_what_was_withdrawn_or_has_expired() -> None:
    with Ends() as ends:
        bob = ends.client("bob", max_inflight=1, close_timeout=1000)
        bob.send("a", qos=1)
        withdrawn, expired = bob.send("a", qos=1), bob.send("a", qos=1, expiry=1)
        ends.think()
        closing = ends.start(bob.disconnect())
        ends.think()
        withdrawn.cancel()
        ends.world.now += 5
        ends.settle()
        assert closing.done()
        assert expired.done


# -- what a server does not take


@pytest.mark.parametrize(
    ("server", "message"),
    [({"max_qos": 1}, {"qos": 2}), ({"retain_available": False}, {"retain": True}), ({"max_packet_size": 2000}, {})],
)
def test_what_the_server_does_not_take_is_refused_before_it_is_sent(
    server: dict[str, Any], message: dict[str, Any]
) -> None:
    with Ends(**server) as ends:
        bob = ends.client("bob")
        with pytest.raises(NotSupported):
            bob.send("a", b"x" * 3000, **message)
        ends.settle()
        assert len(ends.lines) == 1
        assert bob.publisher.is_idle


def test_what_waits_for_a_server_that_does_not_take_it_is_told_so() -> None:
    with Ends(max_qos=1) as ends:
        bob = ends.stranger("bob")
        starting = ends.start(bob.connect())
        ends.gates["bob"].clear()
        ends.think()
        fine, not_fine = bob.send("a", qos=1), bob.send("a", qos=2)
        ends.come_back(bob)
        ends.settle()
        assert starting.done()
        assert fine.state == "acknowledged"
        assert isinstance(not_fine.fault, NotSupported)


def test_what_is_no_topic_name_is_refused() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        for topic in ("", "a/#", "+/a", "a\0b"):
            with pytest.raises(linnet.ProtocolError):
                bob.send(topic)


# -- the end


def test_closing_waits_for_acknowledgements() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        publications = [bob.send("a", qos=qos) for qos in (0, 1, 2)]
        ends.run(bob.disconnect())
        assert {publication.state for publication in publications} == {"acknowledged"}


def test_what_is_not_acknowledged_in_time_was_sent_with_an_unknown_fate() -> None:
    with Ends() as ends:
        bob = ends.client("bob", close_timeout=3)
        publication = bob.send("a", qos=1)
        ends.think()
        closing = ends.start(bob.disconnect())
        ends.think()
        ends.world.now += 4
        ends.think(10)
        ends.settle()
        assert closing.done()
        assert isinstance(publication.fault, linnet.NotDelivered)
        assert publication.fault.sent
        with pytest.raises(linnet.LinnetError):
            bob.send("a")


def test_several_tasks_can_wait_for_the_same_message() -> None:
    with Ends() as ends:
        bob = ends.client("bob")
        publication = bob.send("a", qos=1)
        waiters = [ends.start(awaited(publication)) for _ in range(3)]
        ends.think()
        waiters[0].cancel()
        ends.settle()
        assert [waiter.cancelled() for waiter in waiters] == [True, False, False]
        assert [waiter.result() for waiter in waiters[1:]] == [0x10, 0x10]
        assert ends.run(awaited(publication)) == 0x10


# -- any story


@dataclass
class Episode:
    """What happens on one connection: messages, bytes that move, and an end."""

    messages: list[tuple[int, int]]  # QoS and topic
    moves: list[tuple[int, int, int]]  # turns of the loop, bytes to the server, bytes to the client
    withdrawn: int  # which of the last messages to withdraw
    asks: bool  # whether a SUBSCRIBE takes an identifier meanwhile
    end: str
    late: list[tuple[int, int]]  # messages that are handed over without a connection


messages = st.lists(st.tuples(st.sampled_from([0, 1, 2, 1, 2]), st.integers(0, 2)), max_size=6)
episodes = st.builds(
    Episode,
    messages,
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 60), st.integers(0, 16)), max_size=5),
    st.integers(0, 9),
    st.booleans(),
    st.sampled_from(["settle", "cut", "cut", "cut", "cut at once", "fault", "session lost", "session lost"]),
    messages,
)


class Story:
    """Bob publishes to Ann; his line is cut anywhere, also within a packet, and sometimes his session is lost."""

    def __init__(self, version: Version, allowed: int, window: int, qos0: Any, aliases: int) -> None:
        self.sent: list[Publication] = []
        self.told: dict[Publication, tuple[str, Exception | None]] = {}
        self.sessions_lost = 0
        self.ends = Ends(receive_maximum=allowed, topic_alias_maximum=aliases)
        self.ann = self.ends.world.client("ann", expiry=FOR_EVER)
        self.ann.subscribe("t/#", 2)
        self.store = RecordingStore()
        self.bob = self.ends.client(
            "bob",
            version=version,
            max_inflight=min(window, allowed),
            session_expiry=FOR_EVER,
            offline=linnet.Offline(qos0=qos0),
            store=self.store,
        )
        self.bob.publisher.sender.last_id = 65533  # where those of SUBSCRIBE are

    def play(self, episode: Episode) -> None:
        self.send(episode.messages)
        if episode.asks:
            self.ends.start(self.subscribe())
        for turns, to_server, to_client in episode.moves:
            self.ends.think(turns)
            self.check()
            self.ends.links[self.bob].move(to_server, to_client)
            self.check()
        self.withdraw(episode.withdrawn)
        if episode.end == "settle":
            self.ends.settle()
        else:
            self.lose(episode.end)
            self.send(episode.late)
            self.withdraw(episode.withdrawn + 1)
            self.check()
            self.ends.come_back(self.bob)
            self.connect()
        self.check()

    def send(self, messages: list[tuple[int, int]]) -> None:
        for qos, topic in messages:
            payload = b"<%d>" % len(self.sent)
            self.sent.append(self.bob.send(f"t/{topic}", payload, qos=qos))

    def withdraw(self, index: int) -> None:
        if index < len(self.sent):
            publication = self.sent[-1 - index]
            was_waiting = publication.state == "queued" and not publication.done
            if publication.cancel():
                assert was_waiting
                assert publication.state == "withdrawn"

    async def subscribe(self) -> None:
        async with self.bob.subscribe("other/#"):
            pass

    def lose(self, how: str) -> None:
        if how == "cut at once":
            self.ends.cut_at_once(self.bob)
        elif how == "fault":
            self.ends.gates["bob"].clear()
            self.ends.links[self.bob].protocol.data_received(b"\0\0")
            self.ends.think(1)
            self.check()
        self.ends.cut(self.bob)
        if how == "session lost":
            self.sessions_lost += 1
            self.ends.lose_session(self.bob)

    def connect(self) -> None:
        """Come as far as CONNACK, which says what becomes of the session."""
        for _ in range(20):
            if self.bob.is_connected:
                return
            self.ends.think(1)
            self.ends.links[self.bob].move(None, 8)
            self.check()

    def check(self) -> None:
        self.the_program_is_told_the_truth()
        self.the_store_knows_what_is_in_flight()
        self.no_server_has_reason_to_complain()

    def the_program_is_told_the_truth(self) -> None:
        said = b"".join(bytes(link.said) for link in self.ends.lines)
        for publication in self.sent:
            written = publication.message.payload in said
            if publication.message.qos:
                assert publication.was_sent == written
            if isinstance(publication.fault, linnet.NotDelivered):
                assert publication.fault.sent == (written and publication.message.qos > 0)
            if publication.state == "acknowledged":
                assert written
            if publication.done:
                told = (publication.state, publication.fault)
                assert self.told.setdefault(publication, told) == told, "it ended twice"

    def the_store_knows_what_is_in_flight(self) -> None:
        kept = {
            publication.key: [publication.message.qos, 0, False]
            for publication in self.sent
            if publication.key and not publication.done
        }
        for packet_id, delivery in self.bob.publisher.sender.in_flight.items():
            kept[delivery.origin.key][1:] = [packet_id, delivery.awaits == PacketType.PUBCOMP]
        assert {key: values[:3] for key, values in self.store.kept.items()} == kept

    def no_server_has_reason_to_complain(self) -> None:
        sender = self.bob.publisher.sender
        link = self.ends.links[self.bob]
        assert link.has_ended or not link.far.has_finished
        assert 0 <= sender.quota <= sender.window
        assert len(sender.in_flight) <= sender.window
        assert not link.protocol.connection.requests.keys() & sender.in_flight.keys()

    def everything_has_ended(self) -> None:
        sender = self.bob.publisher.sender
        assert self.bob.is_connected
        assert self.bob.publisher.is_idle
        assert (sender.quota, len(sender.in_flight), len(self.store.kept)) == (sender.window, 0, 0)
        assert all(task.done() for task in self.ends.tasks)
        for publication in self.sent:
            count = self.ann.payloads.count(publication.message.payload)
            state, qos = publication.state, publication.message.qos
            if state == "acknowledged":
                assert count >= (qos > 0)
            elif state == "withdrawn":
                assert count == 0 or publication.was_sent
            else:
                assert state == "not delivered"
                assert (qos == 0 and self.bob.options.offline.qos0 == "drop") or (qos == 2 and self.sessions_lost)
            if qos != 1:
                assert count <= 1

    def order_is_kept(self) -> None:
        """Each topic's messages come in the order they were handed over, repetitions aside [MQTT-4.6.0-5]."""
        for kind in {(packet.topic, packet.qos) for packet in self.ann.got if packet.qos}:
            got = [packet.payload for packet in self.ann.got if (packet.topic, packet.qos) == kind]
            numbers = [int(payload[1:-1]) for payload in dict.fromkeys(got)]
            assert numbers == sorted(numbers)


@settings(STEADY, max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(
    version=st.sampled_from([V3_1_1, V5, V5]),
    allowed=st.integers(1, 4),
    window=st.integers(1, 4),
    qos0=st.sampled_from(["keep", "drop"]),
    aliases=st.sampled_from([0, 2]),
    story=st.lists(episodes, min_size=2, max_size=6),
)
@pytest.mark.clause(
    "5.0:MQTT-4.3.2-1",
    "5.0:MQTT-4.3.3-1",
    "5.0:MQTT-4.4.0-1",
    "5.0:MQTT-4.6.0-1",
    "5.0:MQTT-4.9.0-1",
    "5.0:MQTT-2.2.1-3",
)
def test_whatever_becomes_of_the_line_nothing_is_lost_doubled_or_told_falsely(
    version: Version, allowed: int, window: int, qos0: Any, aliases: int, story: list[Episode]
) -> None:
    told = Story(version, allowed, window, qos0, aliases)
    with told.ends:
        for episode in story:
            told.play(episode)
        told.ends.settle()
        told.check()
        told.everything_has_ended()
        told.order_is_kept()
