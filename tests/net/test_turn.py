"""A turn has one time, ends once, and what is due comes when it is due."""

from __future__ import annotations

import asyncio

from linnet.net.listener import Listener
from tests.net.transport import Place, turns


async def test_all_that_happens_in_a_turn_happens_at_one_time() -> None:
    place = Place()
    first = place.turn.begin()
    assert place.turn.is_open
    assert place.turn.begin() == first
    await turns()
    assert not place.turn.is_open
    assert place.turn.begin() >= first
    await turns()


async def test_what_is_due_wakes_the_loop_and_then_what_is_due_next() -> None:
    place = Place()
    done: asyncio.Queue[str] = asyncio.Queue()
    now = place.turn.begin()
    place.core.deadlines.at(now + 0.02, lambda _: done.put_nowait("second"))
    place.core.deadlines.at(now + 0.01, lambda _: done.put_nowait("first"))
    async with asyncio.timeout(10):
        assert [await done.get(), await done.get()] == ["first", "second"]
    assert place.turn.timer is None


async def test_a_deadline_before_all_others_is_not_late() -> None:
    place = Place()
    done: asyncio.Queue[str] = asyncio.Queue()
    now = place.turn.begin()
    place.core.deadlines.at(now + 3600, lambda _: done.put_nowait("late"))
    place.core.deadlines.at(now + 0.01, lambda _: done.put_nowait("early"))
    async with asyncio.timeout(10):
        assert await done.get() == "early"
    place.turn.stop()


async def test_something_due_that_fails_does_not_stop_the_clock() -> None:
    loop = asyncio.get_running_loop()
    faults: list[object] = []
    loop.set_exception_handler(lambda _, context: faults.append(context))
    place = Place()
    done: asyncio.Queue[str] = asyncio.Queue()
    now = place.turn.begin()

    def fail(_: float) -> None:
        raise RuntimeError("a fault")

    place.core.deadlines.at(now + 0.01, fail)
    place.core.deadlines.at(now + 0.02, lambda _: done.put_nowait("next"))
    try:
        async with asyncio.timeout(5):
            assert await done.get() == "next"
    finally:
        loop.set_exception_handler(None)
        place.turn.stop()


async def test_stopped_nothing_is_due_any_more() -> None:
    place = Place()
    place.core.start(place.turn.begin())
    timer = place.turn.timer
    place.turn.stop()
    assert timer is not None and timer.cancelled()
    assert place.core.deadlines.next_at is None
    assert repr(place.core.deadlines) == "<Deadlines 0 due>"
    await turns()


async def test_waiting_for_streams_to_close_cuts_those_that_do_not() -> None:
    place = Place()
    (kind, _), (stubborn, line) = place.stream(), place.stream()
    waiting = asyncio.create_task(place.turn.drain(0.01))
    await turns()
    kind.connection_lost(None)
    while not line.is_aborted:
        await turns()  # the time that they have is over soon
    assert not waiting.done()
    stubborn.connection_lost(None)
    async with asyncio.timeout(10):
        await waiting
    place.turn.stop()


async def test_two_may_wait_for_that_at_once() -> None:
    place = Place()
    stream, _ = place.stream()
    waiting = [asyncio.create_task(place.turn.drain(3600)) for _ in range(2)]
    await turns()
    stream.connection_lost(None)
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting)
    place.turn.stop()


async def test_a_turn_can_be_read() -> None:
    place = Place()
    assert repr(place.turn) == "<Turn idle, 0 streams>"
    place.turn.begin()
    assert repr(place.turn) == "<Turn open, 0 streams>"
    await turns()


async def test_a_listener_tells_its_address() -> None:
    place = Place()
    listener = Listener(place.turn, "127.0.0.1", 0, 10)
    assert repr(listener) == "<Listener 127.0.0.1:0, closed>"
    await listener.open()
    assert listener.port > 0
    assert repr(listener) == f"<Listener 127.0.0.1:{listener.port}>"
    listener.close()
    listener.close()
    assert repr(listener) == f"<Listener 127.0.0.1:{listener.port}, closed>"
    assert Listener(place.turn, "::1", 7, 10).address == "[::1]:7"
    await turns()
