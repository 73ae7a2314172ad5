"""What is to be written to one peer: joined, marked once, and never more than the peer can take."""

from __future__ import annotations

import pytest

from linnet.core.aliases import OutgoingAliases
from linnet.core.outbox import Outbox
from linnet.wire import V3_1_1, V5, Message, Properties, Publish, Version, decode
from tests.core.test_sender import said


class Socket:
    """A stream that takes so many bytes."""

    def __init__(self, takes: int) -> None:
        self.takes = takes
        self.written = b""
        self.box: Outbox | None = None

    def write(self) -> None:
        if self.box is not None and self.takes >= self.box.size:
            self.takes -= self.box.size
            self.written += self.box.take()


def outbox(version: Version = V5, limit: int = 1 << 20, stream: Socket | None = None) -> Outbox:
    box = Outbox([], limit, stream)
    box.has_properties = version.has_properties
    if stream is not None:
        stream.box = box
    return box


def put(box: Outbox, message: Message, qos: int = 0, retain: bool = False, now: float = 0.0, **more: object) -> bool:
    extra = more.get("extra", b"")
    assert isinstance(extra, bytes)
    return box.publish(message, qos, retain, bool(more.get("dup")), 7 if qos else 0, extra, now)


def test_the_first_piece_marks_the_outbox_and_the_others_do_not() -> None:
    box = outbox()
    for piece in (b"a", b"bc", b"d"):
        box.put(piece)
    assert box.marked == [box]
    assert box.size == 4
    assert repr(box) == "<Outbox 3 pieces, 4 bytes>"


def test_what_is_taken_is_joined_in_order_and_gone() -> None:
    box = outbox()
    for piece in (b"a", b"bc", b"d"):
        box.put(piece)
    assert box.take() == b"abcd"
    assert (box.size, box.pieces) == (0, [])
    box.put(b"e")
    assert box.take() == b"e"


@pytest.mark.parametrize("version", [V3_1_1, V5])
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.parametrize("arrived_as", [V3_1_1, V5, None])
def test_a_message_says_the_same_to_everyone(
    version: Version, qos: int, retain: bool, arrived_as: Version | None
) -> None:
    message = Message("a/ü", b"payload", 2)
    if arrived_as is not None:
        packet = Publish("a/ü", b"payload", 2, packet_id=99).encode(arrived_as)
        message = decode(packet, arrived_as)  # type: ignore[assignment]
    box = outbox(version)
    assert put(box, message, qos, retain)
    sent = decode(box.take(), version)
    assert sent == Publish("a/ü", b"payload", qos, retain, packet_id=7 if qos else 0)


def test_a_qos_0_message_is_encoded_once_and_shared() -> None:
    message = Message("a", b"x")
    one, other, old = outbox(), outbox(), outbox(V3_1_1)
    for box in (one, other, old):
        put(box, message)
    assert one.pieces[0] is other.pieces[0]
    assert old.pieces[0] != one.pieces[0]


def test_a_qos_0_message_goes_on_as_the_bytes_it_came_in() -> None:
    packet = Publish("a", b"x").encode(V5)
    message = decode(packet, V5)
    box = outbox()
    put(box, message)  # type: ignore[arg-type]
    assert box.pieces[0] == packet


def test_the_payload_of_qos_1_is_shared_by_all_receivers() -> None:
    message = Message("a", b"x" * 1000)
    one, other = outbox(), outbox()
    put(one, message, 1)
    put(other, message, 1)
    assert one.pieces[-1] is other.pieces[-1]


def test_the_time_left_is_told_in_whole_seconds() -> None:
    message = Message("a", b"x", properties=Properties(message_expiry_interval=10))
    message.received_at = 100.0
    for now, left in ((100.0, 10), (100.9, 10), (101.0, 9), (109.5, 1), (130.0, 0)):
        box = outbox()
        put(box, message, 1, now=now)
        (packet,) = said(box)
        assert packet.properties.message_expiry_interval == left


def test_what_expires_says_nothing_of_it_to_3_1_1() -> None:
    box = outbox(V3_1_1)
    put(box, Message("a", b"x", properties=Properties(message_expiry_interval=10, content_type="t")))
    assert decode(box.take(), V3_1_1) == Publish("a", b"x")


def test_subscription_identifiers_go_to_5_0_only() -> None:
    for version, numbers in ((V5, [5]), (V3_1_1, [])):
        box = outbox(version)
        put(box, Message("a", b"x"), 1, extra=b"\x0b\x05")
        packet = decode(box.take(), version)
        assert isinstance(packet, Publish)
        assert packet.properties.subscription_identifiers == numbers


def test_a_repetition_has_dup_and_its_payload() -> None:
    for version in (V3_1_1, V5):
        box = outbox(version)
        put(box, Message("a", b"x"), 1, dup=True)
        assert decode(box.take(), version) == Publish("a", b"x", 1, dup=True, packet_id=7)


def test_an_alias_stands_for_the_topic_from_the_second_time_on() -> None:
    box = outbox()
    box.aliases = OutgoingAliases(1)
    for _ in range(2):
        put(box, Message("long/topic", b"x"))
    put(box, Message("other", b"x"))
    assert [(packet.topic, packet.alias) for packet in said(box)] == [("long/topic", 1), ("", 1), ("other", 1)]


def test_a_packet_above_the_peer_s_maximum_is_not_sent_and_counted() -> None:
    packet = Publish("a", b"x" * 100).encode(V5)
    for qos, more, retain in ((0, 0, False), (0, 0, True), (1, 2, False), (2, 2, True)):
        for spare, is_sent in ((0, True), (-1, False)):
            box = outbox()
            box.maximum_packet = len(packet) + more + spare
            assert put(box, Message("a", b"x" * 100), qos, retain) is is_sent
            assert (box.statistics.dropped_too_large, box.statistics.messages_sent) == (int(not is_sent), int(is_sent))
            assert bool(box.pieces) is is_sent


def test_a_packet_of_one_s_own_form_is_measured_too() -> None:
    for spare, is_sent in ((0, True), (-1, False)):
        box = outbox()
        box.maximum_packet = (
            len(Publish("a", b"x" * 100, properties=Properties(message_expiry_interval=1)).encode(V5)) + spare
        )
        message = Message("a", b"x" * 100, properties=Properties(message_expiry_interval=1))
        assert put(box, message) is is_sent
        assert box.statistics.dropped_too_large == int(not is_sent)


def test_an_alias_of_a_packet_that_was_too_large_is_not_used() -> None:
    box = outbox()
    box.aliases = OutgoingAliases(2)
    box.maximum_packet = 50
    assert not put(box, Message("a", b"x" * 100))
    assert put(box, Message("a", b"x"))
    (packet,) = said(box)
    assert packet.topic == "a"


def test_above_the_limit_qos_0_is_dropped_and_counted_and_the_others_are_not() -> None:
    box = outbox(limit=10)
    box.put(b"x" * 11)
    assert not put(box, Message("a"))
    assert put(box, Message("a"), 1)
    assert (box.statistics.dropped_output_full, box.statistics.messages_sent) == (1, 1)


def test_above_the_limit_it_is_written_first_if_the_peer_takes_it() -> None:
    socket = Socket(takes=15)
    box = outbox(limit=10, stream=socket)
    box.put(b"x" * 11)
    assert put(box, Message("a"))
    assert socket.written == b"x" * 11
    box.put(b"y" * 11)
    assert not put(box, Message("a"))
    assert box.statistics.dropped_output_full == 1


def test_above_twice_the_limit_and_above_the_hard_limit_it_is_marked_again_so_that_somebody_looks() -> None:
    box = Outbox([], 10, hard_limit=40)
    box.put(b"x" * 15)
    box.marked.clear()  # a turn has gone by, and the peer took nothing
    box.put(b"y" * 5)
    assert box.marked == []
    box.put(b"z")
    box.put(b"z")
    assert box.marked == [box]
    box.marked.clear()
    box.put(b"z" * 18)
    assert box.marked == [] and not box.is_excessive
    box.put(b"z")
    box.put(b"z")
    assert box.marked == [box] and box.is_excessive
    box.take()
    assert not box.is_excessive
