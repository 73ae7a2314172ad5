"""Events: who wants to hear of something hears of it, and what goes wrong there stops nothing else."""

from __future__ import annotations

import asyncio
import logging

import pytest

import linnet
from linnet.client.events import Dropped, Event, Events, SessionLost
from tests.client.ends import Ends


def test_a_listener_hears_of_its_kind_and_no_other() -> None:
    events = Events()
    heard: list[Event] = []
    events.add(Dropped, heard.append)
    events.tell(SessionLost())
    events.tell(Dropped("a", "why"))
    assert heard == [Dropped("a", "why")]


def test_a_listener_for_all_kinds_hears_of_all() -> None:
    events = Events()
    heard: list[Event] = []
    events.add(Event, heard.append)
    events.tell(SessionLost())
    events.tell(Dropped("a", "why"))
    assert heard == [SessionLost(), Dropped("a", "why")]


def test_listeners_are_told_in_their_order() -> None:
    events = Events()
    heard: list[int] = []
    for n in range(3):
        events.add(SessionLost, lambda event, n=n: heard.append(n))  # type: ignore[misc]
    events.tell(SessionLost())
    assert heard == [0, 1, 2]


def test_a_listener_that_fails_is_logged_and_the_others_hear(caplog: pytest.LogCaptureFixture) -> None:
    events = Events()
    heard: list[Event] = []

    def fail(event: SessionLost) -> None:
        raise ZeroDivisionError

    events.add(SessionLost, fail)
    events.add(SessionLost, heard.append)
    with caplog.at_level(logging.ERROR, "linnet.client"):
        events.tell(SessionLost())
    assert heard == [SessionLost()]
    assert "a listener for SessionLost failed" in caplog.text


async def test_a_listener_may_be_a_coroutine_function_and_fail(caplog: pytest.LogCaptureFixture) -> None:
    events = Events()
    heard: list[Event] = []

    async def listen(event: SessionLost) -> None:
        await asyncio.sleep(0)
        heard.append(event)
        raise ZeroDivisionError

    events.add(SessionLost, listen)
    events.tell(SessionLost())
    assert heard == []
    with caplog.at_level(logging.ERROR, "linnet.client"):
        await asyncio.wait(list(events.tasks))
        await asyncio.sleep(0)
    assert heard == [SessionLost()]
    assert events.tasks == set()
    assert "a listener failed" in caplog.text


def test_a_client_tells_of_its_connections() -> None:
    with Ends() as ends:
        bob = ends.stranger("bob")
        heard: list[Event] = []
        for kind in (linnet.Connected, linnet.Disconnected, linnet.SessionLost):
            bob.on(kind)(heard.append)
        ends.run(bob.connect())
        ends.cut(bob)
        ends.come_back(bob)
        ends.settle()
        ends.cut(bob)
        ends.lose_session(bob)
        ends.come_back(bob)
        ends.settle()
        names = [type(event).__name__ for event in heard]
        assert names == ["Connected", "Disconnected", "Connected", "Disconnected", "SessionLost", "Connected"]
        connected = [event for event in heard if isinstance(event, linnet.Connected)]
        assert [event.session_present for event in connected] == [False, True, False]
        assert {event.client_id for event in connected} == {"bob"}


def test_a_client_tells_why_the_server_has_left() -> None:
    with Ends() as ends:
        bob = ends.client("bob", reconnect=None)
        heard: list[linnet.Disconnected] = []
        bob.on(linnet.Disconnected)(heard.append)
        ends.client("bob", session_expiry=1000)  # another of its name
        ends.settle()
        assert [(event.reason_code, event.again_in) for event in heard] == [(0x8E, None)]
        assert bob.state == "closed"
