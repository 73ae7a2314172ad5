"""However the bytes are cut into reads, the packets are the same, and none is copied again with each read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.errors import MalformedPacket, ProtocolError, ReasonCode
from linnet.wire import V5, FrameReader, Pingreq, Publish
from linnet.wire.frames import SMALL_PIECE
from tests.core.steady import STEADY
from tests.pair import World

packets = st.lists(
    st.integers(0, 300).map(lambda size: Publish("t", b"x" * size).encode(V5)) | st.just(Pingreq().encode(V5)),
    min_size=1,
    max_size=8,
)


def taken(frames: FrameReader) -> list[bytes]:
    found = []
    while frames.next():
        found.append(frames.data[frames.start : frames.stop])
    return found


@STEADY
@given(packets, st.data())
def test_packets_come_out_whole_whatever_the_reads_are(whole: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(whole)
    frames, found, at = FrameReader(1000), list[bytes](), 0
    while at < len(stream):
        size = data.draw(st.integers(1, min(len(stream) - at, data.draw(st.sampled_from([1, 5, 500])))))
        frames.feed(stream[at : at + size])
        found += taken(frames)
        at += size
        assert frames.rest() == at - sum(map(len, found))
    assert found == whole


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_connection_understands_reads_of_any_size(size: int) -> None:
    world = World()
    bob = world.client("bob")
    bob.subscribe("t", 1)
    for number in range(5):
        bob.publish("t", b"%d" % number * 100, 1)
    while bob.outbox.pieces or bob.line.sent:
        bob.move(to_broker=size, to_client=size)
    world.settle()
    assert bob.payloads == [b"%d" % number * 100 for number in range(5)]


def test_many_packets_of_one_read_are_not_copied() -> None:
    read = Pingreq().encode(V5) * 1000
    frames = FrameReader(1000)
    frames.feed(read)
    for number in range(1000):
        assert frames.next()
        assert frames.data is read
        assert (frames.start, frames.stop) == (2 * number, 2 * number + 2)


def test_large_pieces_of_a_packet_are_kept_as_they_came_until_the_last_is_there() -> None:
    """So each byte is copied once, however many reads it takes: adding up would copy it at each."""
    packet = Publish("t", b"x" * SMALL_PIECE * 50).encode(V5)
    pieces = [packet[at : at + SMALL_PIECE] for at in range(0, len(packet), SMALL_PIECE)]
    frames = FrameReader(len(packet))
    for number, piece in enumerate(pieces[:-1]):
        frames.feed(piece)
        assert not frames.next()
        assert frames.data == b""
        assert len(frames.pieces) == number + 1
        assert frames.pieces[-1] is piece or number == 0
    kept = list(map(id, frames.pieces))
    frames.feed(pieces[-1])
    assert len(kept) == len(pieces) - 1
    assert taken(frames) == [packet]
    assert frames.pieces == []


def test_small_pieces_of_a_packet_are_gathered_in_one() -> None:
    """A packet that drips in byte by byte costs bytes, not objects, and is not joined at each of them."""
    packet = Publish("t", b"x" * 20_000).encode(V5)
    frames = FrameReader(len(packet))
    gathered: set[int] = set()
    for at in range(len(packet) - 1):
        frames.feed(packet[at : at + 1])
        assert not frames.next()
        assert frames.rest() == at + 1
        if at > 8:
            gathered.add(id(frames.pieces[-1]))
            assert len(frames.pieces) <= 2
    assert len(gathered) == 1
    frames.feed(packet[-1:])
    assert taken(frames) == [packet]


def test_an_idle_reader_keeps_nothing() -> None:
    frames = FrameReader(1000)
    frames.feed(Pingreq().encode(V5) * 3)
    assert len(taken(frames)) == 3
    assert (frames.data, frames.pieces, frames.rest()) == (b"", [], 0)


@pytest.mark.parametrize("start", [b"\x30\xff\xff\xff\x7f", b"\x30\xe8\x07"])
def test_a_packet_above_the_maximum_is_refused_by_its_header(start: bytes) -> None:
    for size in (1, len(start)):
        frames = FrameReader(1000)
        with pytest.raises(ProtocolError) as caught:
            for at in range(0, len(start), size):
                frames.feed(start[at : at + size])
                frames.next()
        assert caught.value.reason_code == ReasonCode.PACKET_TOO_LARGE
        assert frames.rest() <= len(start)


def test_a_packet_of_just_the_maximum_is_taken() -> None:
    packet = Publish("t", b"x" * 100).encode(V5)
    frames = FrameReader(len(packet))
    frames.feed(packet)
    assert taken(frames) == [packet]


@pytest.mark.parametrize(
    "start", [b"\x30\xff\xff\xff\xff", b"\x30\x80\x80\x80\x80", b"\x30\x80\x00", b"\x30\xff\xff\x00"]
)
def test_a_remaining_length_that_is_none_is_malformed_as_soon_as_it_is_seen(start: bytes) -> None:
    for size in (1, len(start)):
        frames = FrameReader(1 << 28)
        with pytest.raises(MalformedPacket):
            for at in range(0, len(start), size):
                frames.feed(start[at : at + size])
                frames.next()
