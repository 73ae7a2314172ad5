"""A stream between a transport and a connection: what is written when, and how it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import time
from typing import Any

import pytest

from linnet.core.ports import Hooks, Observer, Peer
from linnet.core.session import Session
from linnet.errors import ReasonCode
from linnet.net.stream import peer_name
from linnet.wire import V5, Connack, Connect, Disconnect, Message, Pingreq, Pingresp, Puback, Publish
from tests.net.transport import Place, Transport, said, turns

PING = Pingreq().encode(V5)


@asynccontextmanager
async def a_place(**more: Any) -> AsyncIterator[Place]:
    """A place where every stream is gone at the end, and every task."""
    place = Place(**more)
    yield place
    for stream in list(place.turn.streams):
        stream.connection_lost(None)
    await turns()
    place.turn.stop()
    await turns()


def publish(payload: bytes, qos: int = 0, packet_id: int = 0) -> bytes:
    return Publish("t", payload, qos, packet_id=packet_id).encode(V5)


async def test_a_burst_is_one_write_per_peer_and_turn() -> None:
    async with a_place() as place:
        ann, ann_line = await place.client("ann")
        _, bob_line = await place.client("bob", "t")
        _, cid_line = await place.client("cid", "t")
        ann.data_received(b"".join(publish(b"%d" % number) for number in range(100)))
        assert bob_line.writes == []
        await turns()
        assert [len(line.writes) for line in (ann_line, bob_line, cid_line)] == [0, 1, 1]
        assert [packet.payload for packet in said(bob_line)] == [b"%d" % number for number in range(100)]


async def test_what_comes_in_the_same_turn_goes_out_in_one_write() -> None:
    async with a_place() as place:
        streams = [await place.client(name) for name in ("ann", "bob")]
        _, line = await place.client("cid", "t")
        for stream, _ in streams:
            stream.data_received(publish(b"x"))
        await turns()
        assert len(line.writes) == 1 and len(said(line)) == 2


async def test_while_the_transport_is_full_everything_waits_in_the_outbox() -> None:
    async with a_place() as place:
        bob, line = await place.client("bob")
        bob.pause_writing()
        bob.data_received(PING)
        await turns()
        assert line.writes == []
        bob.resume_writing()
        await turns()
        assert said(line) == [Pingresp()]


async def test_a_peer_that_asks_and_asks_and_never_reads_is_not_read_until_it_reads() -> None:
    """Its answers must not gather without an end, however few come of each read."""
    async with a_place(max_output_bytes=1000, max_output_bytes_hard=5000) as place:
        bob, line = await place.client("bob")
        bob.pause_writing()
        assert bob.outbox is not None
        sent = 0
        while line.is_reading and sent < 10_000:
            bob.data_received(PING * 100)
            sent += 100
            await turns()
        assert bob.outbox.size <= 2000 + 200
        assert place.core.ledger.limits == {"max_output_bytes": 1}
        bob.resume_writing()
        await turns()
        assert line.is_reading
        assert len(said(line)) == sent


async def test_a_subscriber_that_does_not_read_is_cut_when_qos_1_is_too_much_and_others_get_theirs() -> None:
    async with a_place(max_output_bytes=1000, max_output_bytes_hard=5000, max_inflight=65535) as place:
        slow, line = await place.client("slow", "t", qos=1)
        _, other = await place.client("other", "t")
        ann, _ = await place.client("ann")
        slow.pause_writing()
        for number in range(100):
            ann.data_received(publish(b"x" * 100, 1, number + 1))
            await turns()
        assert line.is_aborted
        assert len(said(other)) == 100


async def test_qos_0_beyond_the_soft_limit_is_dropped_and_nobody_is_cut() -> None:
    async with a_place(max_output_bytes=1000, max_output_bytes_hard=5000) as place:
        slow, line = await place.client("slow", "t")
        ann, _ = await place.client("ann")
        slow.pause_writing()
        for _ in range(100):
            ann.data_received(publish(b"x" * 100))
            await turns()
        assert not line.is_aborted
        assert slow.outbox is not None and 80 < slow.outbox.statistics.dropped_output_full < 100


async def test_within_one_turn_a_reader_loses_nothing_to_the_soft_limit() -> None:
    """More than the limit in one read goes out in several writes, not to the floor."""
    async with a_place(max_output_bytes=1000, max_output_bytes_hard=5000) as place:
        _, line = await place.client("bob", "t")
        ann, _ = await place.client("ann")
        ann.data_received(publish(b"x" * 100) * 50)
        await turns()
        assert len(said(line)) == 50


async def test_a_close_says_its_last_words_then_the_end_and_lets_the_peer_go_first() -> None:
    async with a_place() as place:
        bob, line = await place.client("bob")
        bob.data_received(b"\x00\x00")
        assert line.writes == [] and not line.said_eof
        await turns()
        assert said(line)[-1].reason_code == ReasonCode.MALFORMED_PACKET
        assert line.said_eof and not line.is_closed and not line.is_aborted
        assert bob.timer is not None
        bob.data_received(PING)  # not wanted any more
        await turns()
        assert len(said(line)) == 1
        timer = bob.timer
        bob.connection_lost(None)
        assert timer.cancelled()


async def test_a_peer_that_does_not_go_is_cut_in_the_end() -> None:
    async with a_place() as place:
        bob, line = await place.client("bob")
        bob.data_received(b"\x00\x00")
        await turns()
        assert bob.timer is not None
        bob.timer._run()  # its time has come
        assert line.is_aborted


async def test_a_lost_connection_leaves_nothing() -> None:
    async with a_place() as place:
        bob, line = await place.client("bob", "t")
        connection = bob.connection
        bob.connection_lost(ConnectionResetError("reset"))
        assert not place.turn.streams and not place.core.connections and not place.core.sessions
        assert connection is not None and connection.closed_because == "connection lost: reset"
        assert bob.connection is None and bob.outbox is None and bob.transport is None  # no ring of references is left
        await turns()
        assert line.writes == []


async def test_the_end_of_what_the_peer_sends_is_the_end() -> None:
    async with a_place() as place:
        bob, _ = await place.client("bob")
        assert not bob.eof_received()


class Faulty(Observer):
    """Fails when a certain client comes or goes."""

    def connected(self, session: Session, connection: object, present: bool) -> None:
        if session.client_id == "faulty":
            raise RuntimeError("a fault")


async def test_a_fault_of_ours_ends_the_one_connection_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with a_place(observers=(Faulty(),)) as place:
        bob, bob_line = await place.client("bob")
        faulty, line = place.stream()
        with caplog.at_level(logging.ERROR, "linnet"):
            faulty.data_received(Connect("faulty").encode(V5))
        await turns()
        assert line.said_eof or line.is_closed or line.is_aborted
        assert "a fault" in caplog.text
        bob.data_received(PING)
        await turns()
        assert said(bob_line) == [Pingresp()]
        assert list(place.core.sessions) == ["bob"]


class Asking(Hooks):
    """Waits for the test to answer each message."""

    def __init__(self) -> None:
        self.answers: list[asyncio.Future[Any]] = []

    async def publishing(self, session: Session, message: Message) -> Any:
        self.answers.append(asyncio.get_running_loop().create_future())
        return await self.answers[-1]


async def test_while_a_hook_thinks_the_connection_is_not_read_and_others_are() -> None:
    hooks = Asking()
    async with a_place(hooks=hooks) as place:
        ann, line = await place.client("ann")
        bob, bob_line = await place.client("bob")
        ann.data_received(publish(b"x", 1, 1) + PING)
        await turns()
        assert not line.is_reading and line.writes == []
        bob.data_received(PING)
        await turns()
        assert said(bob_line) == [Pingresp()] and bob_line.is_reading
        hooks.answers[0].set_result(Message("t", b"x", 1))
        await turns()
        assert line.is_reading
        assert [type(packet) for packet in said(line)] == [Puback, Pingresp]


async def test_a_connection_lost_while_a_hook_thinks_cancels_the_question() -> None:
    hooks = Asking()
    async with a_place(hooks=hooks) as place:
        ann, _ = await place.client("ann")
        ann.data_received(publish(b"x", 1, 1))
        await turns()
        ann.connection_lost(None)
        await turns()
        assert hooks.answers[0].cancelled()


async def fail(hooks: Asking) -> None:
    hooks.answers[0].set_exception(RuntimeError("the hook fails"))


async def answer_nonsense(hooks: Asking) -> None:
    hooks.answers[0].set_result(None)


@pytest.mark.parametrize("answer", [fail, answer_nonsense])
async def test_a_hook_that_fails_or_answers_nonsense_ends_that_connection_alone(
    answer: Callable[[Asking], Any], caplog: pytest.LogCaptureFixture
) -> None:
    hooks = Asking()
    async with a_place(hooks=hooks) as place:
        ann, line = await place.client("ann")
        bob, bob_line = await place.client("bob")
        ann.data_received(publish(b"x", 1, 1))
        await turns()
        await answer(hooks)
        await turns()
        assert ann.connection is not None and ann.connection.closed_because
        assert line.said_eof or line.is_closed or line.is_aborted
        assert "ann" not in place.core.sessions
        assert caplog.records
        bob.data_received(PING)
        await turns()
        assert said(bob_line) == [Pingresp()]


async def test_the_core_is_told_where_a_connection_comes_from() -> None:
    async with a_place() as place:
        before = time()
        stream, _ = place.stream(("2001:db8::1", 99, 0, 0))
        assert stream.connection is not None
        peer = stream.connection.peer
        assert peer == Peer("[2001:db8::1]:99", "here:1883", peer.since)
        assert before <= peer.since <= time()


@pytest.mark.parametrize(
    ("peer", "name"), [(("192.0.2.7", 5), "192.0.2.7:5"), ("/run/x", "/run/x"), (None, ""), ("", "")]
)
def test_addresses_are_written_for_people(peer: object, name: str) -> None:
    assert peer_name(Transport(peer)) == name


async def test_a_stream_can_be_read() -> None:
    async with a_place() as place:
        bob, _ = await place.client("bob")
        assert repr(bob) == "<Stream of <ServerConnection 'bob' MQTT 5.0 from 192.0.2.7:1234, open>>"
        stream, line = place.stream()
        stream.data_received(Connect("cid").encode(V5))
        await turns()
        assert isinstance(said(line)[0], Connack) and not [p for p in said(line) if isinstance(p, Disconnect)]
