"""So much in a second: nothing is lost, nothing overtakes, and the average is right."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.core.adopting import adopt
from linnet.core.pace import Pace
from linnet.core.ports import Hooks
from linnet.errors import ReasonCode
from linnet.server import limits_of
from linnet.settings import Settings
from linnet.wire import V3_1_1, V5, Disconnect, Message, Puback, Publish, Version
from tests.core.steady import STEADY
from tests.pair import Client, World


@STEADY
@given(
    st.floats(0.1, 1e6),
    st.floats(1, 1e4),
    st.lists(st.tuples(st.floats(0, 10), st.floats(0, 1e5)), max_size=50),
)
def test_in_any_time_no_more_than_a_burst_and_the_rate_is_admitted(
    rate: float, burst: float, steps: list[tuple[float, float]]
) -> None:
    pace, now, taken = Pace(rate, burst, 0.0), 0.0, 0.0
    for seconds, amount in steps:
        now += seconds
        wait = pace.take(amount, now)
        taken += amount
        assert wait >= 0
        now += wait  # whoever waits so long has kept to the rate
        assert taken <= burst + rate * now + 1e-6 * (1 + taken)
        assert pace.refill(now) >= -1e-6 * (1 + taken)
        assert pace.left <= burst


@STEADY
@given(st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=50))
def test_who_asks_first_never_takes_what_is_not_there(steps: list[tuple[float, bool]]) -> None:
    pace, now, admitted = Pace(2, 5, 0.0), 0.0, 0
    for seconds, asks in steps:
        now += seconds
        if asks and pace.admits(now):
            admitted += 1
        assert 0 <= pace.left <= 5
        assert admitted <= 5 + 2 * now


def test_a_rate_of_0_sets_no_limit() -> None:
    pace = Pace(0, 1, 0.0)
    assert pace.take(1000, 0.0) == 0.0
    assert all(pace.admits(0.0) for _ in range(100))
    assert pace.is_full(0.0)


def fast(world: World, count: int, qos: int = 1, version: Version = V5, keep_alive: int = 1) -> Client:
    """A client that has sent so many messages at once."""
    alice = world.client("alice", version=version, keep_alive=keep_alive)
    for number in range(count):
        alice.send(Publish("t", b"%06d" % number, qos, packet_id=number + 1 if qos else 0))
    world.settle()
    return alice


def reader(world: World) -> Client:
    bob = world.client("bob", keep_alive=0)
    bob.subscribe("t", 1)
    return bob


@pytest.mark.parametrize("version", [V3_1_1, V5])
@pytest.mark.parametrize("qos", [0, 1])
def test_what_is_too_fast_waits_and_none_is_lost(version: Version, qos: int) -> None:
    world = World(max_publish_rate=10.0)
    bob = reader(world)
    alice = fast(world, 50, qos, version)
    assert len(bob.got) == 11  # the burst, and the one that was too many
    assert alice.line.is_paused
    at = world.now
    counts = []
    for _ in range(4):
        world.advance(1.0)
        counts.append(len(bob.got))
    assert counts == [pytest.approx(11 + 10 * second, abs=1) for second in (1, 2, 3, 4)]
    world.advance(1.0)
    assert bob.payloads == [b"%06d" % number for number in range(50)]
    assert world.now - at == pytest.approx(5.0)
    assert alice.is_open and not alice.line.is_paused  # nobody calls silent whom we do not listen to
    assert len(alice.all(Puback)) == 50 * qos
    assert world.core.ledger.limits["max_publish_rate"] > 0


def test_bytes_have_a_pace_too() -> None:
    world = World(max_byte_rate=1000.0)
    bob = reader(world)
    alice = world.client("alice")
    for number in range(20):
        alice.send(Publish("t", b"%02d" % number * 150, 0))
    size, began = alice.outbox.size, world.now
    while alice.outbox.size:  # as a socket does it: what is not read stays where it is
        if alice.line.is_paused:
            world.now = world.core.deadlines.next_at or world.now
            world.core.deadlines.run(world.now)
        else:
            alice.move(400)
    world.settle()
    assert bob.payloads == [b"%02d" % number * 150 for number in range(20)]
    assert (size - 1000 - 400) / 1000 <= world.now - began <= size / 1000


def test_the_longest_rest_ends_however_large_the_numbers_are() -> None:
    """A rest whose end cannot be told from now, for the clock's numbers are too large, is no endless loop."""
    for rate in (1e9, 123456.789, 3.3333333):
        world = World(max_publish_rate=rate, max_byte_rate=max(rate, 7.7))
        world.now = 98765432.1
        world.core.start(world.now)
        bob = reader(world)
        fast(world, 20, 0)
        world.advance(400)
        assert len(bob.got) == 20


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("version", [V3_1_1, V5])
def test_nothing_follows_the_disconnect_of_who_is_too_fast(version: Version, qos: int) -> None:
    """[MQTT-3.14.4-1]"""
    world = World(max_publish_rate=3.0, rate_policy="disconnect")
    bob = reader(world)
    alice = fast(world, 8, qos, version)
    assert not alice.is_open
    assert len(bob.got) == 3
    if version is V5:
        assert isinstance(alice.packets[-1], Disconnect)
        assert alice.packets[-1].reason_code == ReasonCode.MESSAGE_RATE_TOO_HIGH
    assert sum(isinstance(p, Disconnect) for p in alice.packets) == (1 if version is V5 else 0)
    assert world.core.ledger.limits == {"max_publish_rate": 1}


@pytest.mark.parametrize("end", ["cut", "disconnect", "takeover"])
def test_who_goes_while_it_rests_is_gone(end: str) -> None:
    world = World(max_publish_rate=1.0)
    bob = reader(world)
    alice = fast(world, 10)
    if end == "takeover":
        again = Client(world, "alice")
        again.connect()
        world.settle()
        assert again.is_open and not alice.is_open
    elif end == "cut":
        alice.cut()
    else:
        alice.disconnect()
        assert alice.is_open  # it comes after what was sent before
        world.advance(20)
        assert not alice.is_open and len(bob.got) == 10
        return
    world.advance(20)
    assert len(bob.got) == 2
    assert all(deadline.action is None or "rested" not in repr(deadline.action) for deadline in deadlines(world))


def deadlines(world: World) -> list[Any]:
    return list(world.core.deadlines.heap)


class Later:
    """An answer that is not there yet; the line keeps the question."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class Thinker(Hooks):
    """Thinks about each message."""

    def publishing(self, session: Any, message: Message) -> Any:
        return Later()


def test_a_hook_that_thinks_and_a_rest_are_both_waited_for() -> None:
    world = World(Thinker(), max_publish_rate=2.0)
    bob = reader(world)
    alice = fast(world, 6, 1, keep_alive=60)
    assert alice.connection is not None
    for number in range(6):
        assert alice.line.is_paused and len(bob.got) == number
        if alice.line.question is None:
            world.advance(1.0)  # it rests
        assert alice.line.question is not None
        message = Publish("t", b"%d" % number, 1)
        message.received_at = world.now
        alice.line.answer(message, world.now)
        world.settle()
    world.advance(5.0)
    assert bob.payloads == [b"%d" % number for number in range(6)]
    assert alice.connection.waiting == 0 and not alice.line.is_paused


@pytest.mark.parametrize("rate", [0.0, 1000.0])
def test_a_client_that_rests_goes_on_at_the_new_rate(rate: float) -> None:
    world = World(max_publish_rate=0.001)
    bob = reader(world)
    alice = fast(world, 10, keep_alive=60)
    assert len(bob.got) == 2
    adopt(world.core, limits_of(Settings(max_publish_rate=rate)))
    world.advance(2.0)
    assert len(bob.got) == 10
    assert not alice.line.is_paused
    assert alice.connection is not None and alice.connection.waiting == 0


def test_a_client_that_is_there_is_held_to_a_rate_that_comes_later() -> None:
    world = World()
    bob = reader(world)
    alice = fast(world, 10)
    adopt(world.core, limits_of(Settings(max_publish_rate=1.0, rate_policy="disconnect")))
    for number in range(3):
        alice.send(Publish("t", b"late", 1, packet_id=100 + number))
    world.settle()
    assert alice.the(Disconnect).reason_code == ReasonCode.MESSAGE_RATE_TOO_HIGH
    assert len(bob.got) == 11


def test_the_keep_alive_goes_on_when_the_client_is_read_again() -> None:
    world = World(max_publish_rate=1.0)
    alice = fast(world, 8)
    world.advance(7.5)
    assert alice.is_open and not alice.line.is_paused
    world.advance(4.0)
    assert alice.the(Disconnect).reason_code == ReasonCode.KEEP_ALIVE_TIMEOUT
