"""The switches of the log, and what the journal writes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from linnet import Broker, Hooks, ReasonCode, SettingsError
from linnet.hooks.journal import Journal
from linnet.loggers import LEVELS, NAMES, named
from linnet.settings import Settings
from linnet.wire import V5, Connect, Disconnect, Pingresp, Will
from tests.conftest import MakeBroker
from tests.peer import Peer


@pytest.fixture(autouse=True)
def levels_as_they_were() -> Iterator[None]:
    """What a test sets by hand ends with it."""
    before = {name: named(name).level for name in NAMES}
    yield
    for name, level in before.items():
        named(name).setLevel(level)


def own_levels() -> dict[str, int]:
    """The levels that are set, by the names of their loggers."""
    return {name: named(name).level for name in NAMES if named(name).level}


# -- levels


@pytest.mark.parametrize("level", LEVELS)
def test_each_logger_is_switched_by_itself(level: str) -> None:
    broker = Broker()
    for name in NAMES:
        broker.logs.level(name, level)
        assert own_levels() == {name: LEVELS[level]}
        assert broker.logs.levels[name] == level
        assert f"{name}={level}" in repr(broker.logs)
        broker.logs.stop()
        assert own_levels() == {}


def test_the_levels_told_are_those_in_force(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "linnet")
    logging.getLogger("linnet.drops").setLevel(logging.INFO + 1)
    levels = Broker().logs.levels
    assert levels == {**dict.fromkeys(NAMES, "info"), "drops": "warning"}


@pytest.mark.parametrize(
    ("name", "level", "text"),
    [
        ("packet", "debug", "there is no logger 'packet'; did you mean packets?"),
        ("linnet.packets", "debug", "there is no logger 'linnet.packets'"),
        ("packets", "DEBUG", "there is no level 'DEBUG'; did you mean debug?"),
        ("packets", "", "there is no level ''"),
    ],
)
def test_what_there_is_not_is_refused_and_nothing_changes(name: str, level: str, text: str) -> None:
    with pytest.raises(SettingsError, match=text.replace("?", r"\?").replace(".", r"\.")):
        Broker().logs.level(name, level)
    with pytest.raises(SettingsError, match=r"log_levels = .*allowed is a list of LOGGER=LEVEL, .*; " + text[:20]):
        Settings(log_levels=[f"{name}={level}"])
    assert own_levels() == {}


@pytest.mark.parametrize("text", ["packets", "packets:debug", ""])
def test_a_level_is_written_with_its_logger(text: str) -> None:
    with pytest.raises(SettingsError, match="LOGGER=LEVEL is needed"):
        Settings(log_levels=[text])


@pytest.mark.parametrize("clients", [[""], "a,,b", [1]])
def test_a_client_to_be_watched_has_an_identifier(clients: object) -> None:
    with pytest.raises(SettingsError, match="allowed is a list of client identifiers"):
        Settings(log_clients=clients)


def test_both_settings_are_lists_that_may_be_written_with_commas() -> None:
    settings = Settings(log_levels="packets=debug, drops=off", log_clients="bob, eve")
    assert settings.log_levels == ("packets=debug", "drops=off")
    assert settings.log_clients == ("bob", "eve")
    assert (Settings().log_levels, Settings().log_clients) == ((), ())


def test_what_the_settings_say_no_longer_is_taken_back() -> None:
    named("drops").setLevel(logging.ERROR)  # by the program
    logs = Broker().logs
    logs.apply(Settings(log_levels=["drops=debug", "limits=off"], log_clients=["bob", "eve"]))
    assert own_levels() == {"drops": logging.DEBUG, "limits": LEVELS["off"]}
    logs.level("sessions", "debug")  # by hand, and stays
    logs.client("joe")
    logs.apply(Settings(log_levels=["limits=error"], log_clients=["eve"]))
    assert own_levels() == {"drops": logging.ERROR, "limits": logging.ERROR, "sessions": logging.DEBUG}
    assert logs.clients == {"eve", "joe"}
    logs.apply(Settings())
    assert own_levels() == {"drops": logging.ERROR, "sessions": logging.DEBUG}
    assert logs.clients == {"joe"}


async def test_a_broker_obeys_its_settings_while_it_runs() -> None:
    broker = Broker(listen="127.0.0.1:0", log_levels="packets=debug,drops=off", log_clients="bob")
    assert own_levels() == {}
    for _ in range(2):
        async with broker:
            assert own_levels() == {"packets": logging.DEBUG, "drops": LEVELS["off"]}
            assert broker.logs.clients == {"bob"}
        assert own_levels() == {}


async def test_a_reload_holds_for_those_who_are_here(make_broker: MakeBroker, caplog: pytest.LogCaptureFixture) -> None:
    broker = await make_broker()
    async with Peer(broker, "bob") as bob, Peer(broker, "eve") as eve:
        for changes, told in (
            ({"log_clients": ["eve"]}, ["eve"]),
            ({"log_levels": ["packets=debug"]}, ["bob", "eve"]),
            ({"log_clients": []}, ["bob", "eve"]),
            ({"log_levels": []}, []),
        ):
            broker.reload(**changes)
            caplog.clear()
            await bob.ping()
            await eve.ping()
            pings = [record.getMessage() for record in caplog.records if record.name == "linnet.packets"]
            assert pings == [line for name in told for line in (f"in '{name}' PINGREQ", f"out '{name}' PINGRESP")]


# -- the journal


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What a record says besides what every record says."""
    usual = {*vars(logging.makeLogRecord({})), "message", "asctime"}
    return {name: value for name, value in vars(record).items() if name not in usual}


async def test_what_happens_is_a_line_with_fields(make_broker: MakeBroker, caplog: pytest.LogCaptureFixture) -> None:
    class Doorkeeper(Hooks):
        def admit(self, connect: Any, peer: Any) -> ReasonCode:
            return ReasonCode.BANNED if connect.client_id == "eve" else ReasonCode.SUCCESS

    levels = [f"{name}=debug" for name in NAMES if name != "packets"]
    broker = await make_broker(hooks=Doorkeeper(), log_levels=levels)
    async with Peer(broker, "bob") as bob:
        await bob.subscribe("a/+", qos=1)
        await bob.unsubscribe("a/+")
        where = broker.connections[0].peer.address
        bob.send(Pingresp())
        await bob.closed()
    async with Peer.raw(broker) as eve:
        eve.send(Connect("eve"))
        await eve.closed()
    told = [
        (record.name[7:], record.levelname, record.getMessage(), fields_of(record))
        for record in caplog.records
        if record.name != "linnet.settings"  # how many descriptors there are here
    ]
    told.pop()
    fault = "a client never sends PINGRESP [MQTT-4.13.1-1] (0x82 protocol error)"
    who = {"client_id": "bob"}
    at = {**who, "address": where}
    assert told == [
        (
            "connections",
            "INFO",
            f"'bob' connected from {where}, MQTT 5.0, new session",
            {"event": "connected", **at, "version": "5.0", "session_present": False},
        ),
        (
            "subscriptions",
            "DEBUG",
            "'bob' subscribed to 'a/+' with QoS 1",
            {"event": "subscribed", **who, "filter": "a/+", "qos": 1},
        ),
        (
            "subscriptions",
            "DEBUG",
            "'bob' unsubscribed from 'a/+'",
            {"event": "unsubscribed", **who, "filter": "a/+"},
        ),
        (
            "protocol",
            "WARNING",
            f"{where} broke the protocol: {fault}; it sent d0 00",
            {"event": "failed", **at, "detail": fault, "packet": "d0 00"},
        ),
        ("sessions", "DEBUG", "session 'bob' ended", {"event": "ended", **who}),
        (
            "connections",
            "INFO",
            f"'bob' disconnected: {fault}",
            {"event": "disconnected", **at, "detail": fault},
        ),
    ]
    refused = caplog.records[-1]
    assert (refused.name, refused.levelname) == ("linnet.connections", "WARNING")
    fields = fields_of(refused)
    assert fields.pop("address").startswith("127.0.0.1:")
    detail = "client 'eve' is not admitted (0x8A banned)"
    assert fields == {"event": "refused", "client_id": "eve", "reason_code": 0x8A, "detail": detail}


async def test_a_second_connect_is_not_shown_since_it_holds_a_password(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    async with Peer(broker, "bob") as bob:
        bob.send(Connect("bob", user_name="bob", password=b"s3cret"))
        await bob.closed()
    [record] = [record for record in caplog.records if record.name == "linnet.protocol"]
    assert record.getMessage().endswith("; it sent a CONNECT")
    assert b"s3cret".hex(" ") not in str(vars(record))


def journal_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return found


def test_a_limit_has_one_line_a_second_and_tells_how_many_there_were(caplog: pytest.LogCaptureFixture) -> None:
    now = 100.0
    journal = Journal(clock=lambda: now)
    for number in range(4):
        journal.limit_reached("max_connections", "", f"192.0.2.{number}:1", "2 are open")
    journal.limit_reached("max_inflight", "bob", "192.0.2.9:1", "all 100 are under way")
    assert journal_lines(caplog) == [
        "max_connections reached by '' from 192.0.2.0:1: 2 are open",
        "max_inflight reached by 'bob' from 192.0.2.9:1: all 100 are under way",
    ]
    now = 100.9
    journal.limit_reached("max_connections", "", "192.0.2.5:1", "2 are open")
    assert journal_lines(caplog) == []
    now = 101.5
    journal.limit_reached("max_connections", "eve", "192.0.2.6:1", "2 are open")
    [record] = caplog.records
    assert record.levelname == "WARNING" and record.name == "linnet.limits"
    assert record.getMessage() == (
        "max_connections reached by 'eve' from 192.0.2.6:1: 2 are open; and 4 more in the last 1.5 s"
    )
    assert fields_of(record) == {
        "event": "limit_reached",
        "client_id": "eve",
        "address": "192.0.2.6:1",
        "limit": "max_connections",
        "detail": "2 are open",
        "left_out": 4,
    }
    caplog.clear()
    now = 200.0
    journal.limit_reached("max_connections", "", "192.0.2.7:1", "2 are open")
    assert journal_lines(caplog) == ["max_connections reached by '' from 192.0.2.7:1: 2 are open"]


def test_drops_have_one_line_a_second_for_each_reason(caplog: pytest.LogCaptureFixture) -> None:
    now = 5.0
    journal = Journal(clock=lambda: now)
    journal.dropped("bob", "queue_full", 3)
    journal.dropped("eve", "queue_full", 4)
    journal.dropped("joe", "queue_full", 5)
    journal.dropped("eve", "expired", 1)
    now = 6.0
    journal.dropped("eve", "queue_full", 6)
    assert [record.name for record in caplog.records] == ["linnet.drops"] * 3
    assert fields_of(caplog.records[-1]) == {
        "event": "dropped",
        "client_id": "eve",
        "reason": "queue_full",
        "count": 6,
        "left_out": 9,
    }
    assert journal_lines(caplog) == [
        "messages for 'bob' dropped, 3 of them: queue_full",
        "messages for 'eve' dropped, 1 of them: expired",
        "messages for 'eve' dropped, 6 of them: queue_full; and 9 more in the last 1.0 s",
    ]


def test_nothing_is_counted_or_put_together_for_a_logger_that_is_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in NAMES:
        named(name).setLevel(LEVELS["off"])

    class Untouchable:
        """Fails when more is asked of it than who it is."""

        client_id = "bob"

        def __getattr__(self, name: str) -> object:
            if name in ("peer", "session", "address"):
                return self
            raise AssertionError(f"{name} is put together for nobody")

        def __str__(self) -> str:
            raise AssertionError("formatted for nobody")

        __repr__ = hex = __str__

    thing: Any = Untouchable()
    journal = Journal()
    journal.connected(thing, thing, False)
    journal.refused(thing, "bob", 0x87, "no")
    journal.disconnected(thing, thing, "gone")
    journal.failed(thing, "bad", thing)
    journal.subscribed(thing, thing)
    journal.unsubscribed(thing, thing)
    journal.ended(thing)
    journal.hook_failed(thing, ValueError())
    for _ in range(2):
        journal.limit_reached("max_connections", "bob", thing, "")
        journal.dropped("bob", "queue_full", 1)
    assert journal_lines(caplog) == []
    assert journal.limits.left_out == journal.drops.left_out == {}


def test_everything_of_a_watched_client_is_written_whatever_the_levels_are(caplog: pytest.LogCaptureFixture) -> None:
    for name in NAMES:
        named(name).setLevel(LEVELS["off"])
    watched = {"bob"}
    journal = Journal(watched)
    for client_id in ("bob", "eve"):
        journal.limit_reached("max_inflight", client_id, "here", "")
        journal.dropped(client_id, "queue_full", 1)
    assert [(record.name, vars(record)["client_id"]) for record in caplog.records] == [
        ("linnet.limits", "bob"),
        ("linnet.drops", "bob"),
    ]
    watched.clear()
    caplog.clear()
    journal.dropped("bob", "expired", 1)
    assert journal_lines(caplog) == []


async def test_a_hook_that_fails_at_a_will_is_told_with_its_traceback(
    make_broker: MakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Hooks):
        def publishing(self, session: Any, message: Any) -> Any:
            raise RuntimeError("a fault of the hook")

    broker = await make_broker(hooks=Broken())
    async with Peer(broker, "bob", will=Will("w")) as bob:
        bob.send(Disconnect(ReasonCode.DISCONNECT_WITH_WILL).encode(V5))
        await bob.closed()
    [record] = [record for record in caplog.records if record.name == "linnet.hooks"]
    assert record.getMessage() == "a hook failed at the will of 'bob'"
    assert fields_of(record) == {"event": "hook_failed", "client_id": "bob"}
    assert record.exc_info is not None and isinstance(record.exc_info[1], RuntimeError)


async def test_debug_for_everything_is_debug_for_packets_too(
    make_broker: MakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "linnet")
    broker = await make_broker()
    async with Peer(broker, "bob") as bob:
        await bob.ping()
    assert "in 'bob' PINGREQ" in [record.getMessage() for record in caplog.records]
