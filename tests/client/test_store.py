"""What a client keeps for its next start: the store that forgets, and the one on disk."""

import logging
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linnet.client.disk import DiskStore
from linnet.client.store import ClientStore, Kept, Saved, StoreError
from linnet.wire.message import Message
from linnet.wire.properties import Properties

NOW = 1000.0  # on the monotonic clock of the first program
MakeStore = Callable[[Path], ClientStore]


def hello(payload: bytes = b"hello", qos: int = 1, expiry: int | None = None) -> Message:
    message = Message("home/kitchen", payload, qos, properties=Properties(message_expiry_interval=expiry))
    message.received_at = NOW
    return message


def begun(path: Path, **options: Any) -> DiskStore:
    store = DiskStore(path / "store", **options)
    store.open(NOW)
    return store


def killed(store: DiskStore) -> None:
    """End it as the end of its program would: what was not committed is gone."""
    assert store.database is not None
    store.database.close()
    store.database = None


def saved_at(path: Path, now: float = NOW, **options: Any) -> Saved:
    """What the next program finds."""
    store = DiskStore(path / "store", **options)
    saved = store.open(now)
    store.close()
    return saved


def reopened(store: DiskStore) -> Saved:
    """What is found when this one is killed and the file opened again."""
    killed(store)
    return store.open(NOW)


@pytest.fixture(params=[lambda path: ClientStore(), lambda path: DiskStore(path / "store")], ids=["none", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ClientStore]:
    make: MakeStore = request.param
    store = make(tmp_path)
    yield store
    store.close()


# Both stores: every step can be told, in this order, and nothing is found at first


def test_at_first_there_is_nothing(store: ClientStore) -> None:
    saved = store.open(NOW)
    assert saved == Saved("", False, [], [])
    assert (saved.last_key, saved.in_flight, saved.released) == (0, [], [])


def test_a_message_goes_all_its_way(store: ClientStore) -> None:
    store.open(NOW)
    store.remember("me")
    store.keep(1, hello(qos=2), 2, NOW)
    store.commit()
    store.sent(1, 1)
    store.commit()
    store.received(1)
    store.commit()
    store.forget(1)
    store.commit()
    store.close()
    assert store.open(NOW).messages == []


def test_a_lost_session_and_what_comes_in_can_be_told(store: ClientStore) -> None:
    store.open(NOW)
    store.keep(1, hello(), 1, NOW)
    store.sent(1, 1)
    store.keep_incoming(9)
    store.commit()
    store.forget_session()
    store.requeued(1)
    store.forget(1)
    store.release_incoming(9)
    store.commit()
    store.close()
    assert store.open(NOW) == Saved("", False, [], [])


def test_to_commit_nothing_is_no_fault_and_a_store_can_be_closed_twice(store: ClientStore) -> None:
    store.open(NOW)
    store.commit()
    store.close()
    store.close()
    store.commit()


def test_the_store_that_forgets_forgets() -> None:
    store = ClientStore()
    store.open(NOW)
    store.remember("me")
    store.keep(1, hello(), 1, NOW)
    store.close()
    assert store.open(NOW) == Saved("", False, [], [])


# The disk: what was committed is found, as it was


def test_everything_of_a_message_is_found(tmp_path: Path) -> None:
    properties = Properties(content_type="text/plain", correlation_data=b"\0\xff", user_properties=[("ä", "ö")])
    messages = [
        Message("a/ü", b"\0" * 5000, 2, True, properties),
        Message("b", b"", 0),
        Message("c", b"c", 1, properties=Properties(response_topic="d")),
    ]
    store = begun(tmp_path)
    for key, message in enumerate(messages, 7):
        store.keep(key, message, message.qos, NOW)
    store.commit()
    saved = reopened(store)
    assert [kept.message for kept in saved.messages] == messages
    assert [(k.key, k.qos, k.packet_id, k.is_released) for k in saved.messages] == [
        (7, 2, 0, False),
        (8, 0, 0, False),
        (9, 1, 0, False),
    ]
    assert saved.messages[0].message.properties == properties
    assert saved.last_key == 9
    store.close()


@pytest.mark.clause("5.0:MQTT-4.4.0-1")
@pytest.mark.parametrize("together", [True, False], ids=["in one commit", "in several"])
def test_what_is_in_flight_keeps_its_identifiers_and_the_order_of_the_pubrecs(tmp_path: Path, together: bool) -> None:
    store = begun(tmp_path)
    pause: Callable[[], None] = (lambda: None) if together else store.commit
    for key in (1, 2, 3, 4):
        store.keep(key, hello(qos=2), 2, NOW)
    pause()
    for key in (1, 2, 3):
        store.sent(key, 100 + key)
    pause()
    store.received(3)
    store.received(1)
    pause()
    store.received(3)  # a PUBREC that is repeated changes nothing
    store.commit()
    saved = reopened(store)
    assert [kept.packet_id for kept in saved.in_flight] == [101, 102, 103]
    assert [kept.packet_id for kept in saved.released] == [103, 101]
    assert [len(kept.message.payload) for kept in saved.messages] == [0, 5, 0, 5]

    store.received(2)
    store.commit()
    assert [kept.packet_id for kept in reopened(store).released] == [103, 101, 102]
    store.close()


@pytest.mark.clause("5.0:MQTT-4.6.0-4")
def test_of_two_pubrecs_for_a_message_the_first_counts(tmp_path: Path) -> None:
    store = begun(tmp_path)
    for key in (1, 2):
        store.keep(key, hello(qos=2), 2, NOW)
        store.sent(key, key)
    store.commit()
    for key in (2, 1, 2):
        store.received(key)
    store.commit()
    assert [kept.key for kept in reopened(store).released] == [2, 1]
    store.close()


def test_an_assigned_client_id_outlives_the_session(tmp_path: Path) -> None:
    store = begun(tmp_path)
    store.remember("auto-1")
    store.keep_incoming(5)
    store.keep_incoming(65535)
    store.commit()
    assert reopened(store) == Saved("auto-1", True, [], [5, 65535])
    store.close()
    store = begun(tmp_path)
    store.forget_session()
    store.close()
    assert saved_at(tmp_path) == Saved("auto-1", False, [], [])


def test_what_was_not_committed_is_not_there(tmp_path: Path) -> None:
    store = begun(tmp_path)
    store.keep(1, hello(), 1, NOW)
    store.commit()
    store.remember("me")
    store.keep(2, hello(), 1, NOW)
    store.sent(1, 1)
    store.keep_incoming(1)
    saved = reopened(store)
    assert saved == Saved("", False, [Kept(1, hello(), 1)], [])
    store.commit()  # what the last program had gathered is not this one's
    assert reopened(store) == saved
    store.close()


def test_closing_commits(tmp_path: Path) -> None:
    store = begun(tmp_path)
    store.keep(1, hello(), 1, NOW)
    store.close()
    assert [kept.key for kept in saved_at(tmp_path).messages] == [1]
    assert os.listdir(tmp_path) == ["store"]


def test_what_comes_and_goes_between_two_commits_is_not_written(tmp_path: Path) -> None:
    store = begun(tmp_path)
    assert store.database is not None
    before = store.database.total_changes
    store.keep(1, hello(), 1, NOW)
    store.sent(1, 1)
    store.forget(1)
    store.keep_incoming(1)
    store.release_incoming(1)
    store.remember("me")
    store.commit()
    store.remember("me")
    store.commit()
    assert store.database.total_changes == before + 1
    store.close()


def test_a_commit_that_is_interrupted_is_done_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(changes: object) -> Iterator[tuple[str, list[tuple[int]]]]:
        yield "DELETE FROM message WHERE key = ?", [(1,)]
        raise KeyboardInterrupt

    store = begun(tmp_path)
    store.keep(1, hello(), 1, NOW)
    store.commit()
    store.keep(2, hello(), 1, NOW)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("linnet.client.disk.Changes.statements", interrupted)
        store.commit()
    store.commit()
    assert [kept.key for kept in reopened(store).messages] == [1, 2]
    store.close()


# Against a plain model


@dataclass
class Model:
    """What a store has to know, as the simplest thing that does: values, all of them replaced at each commit."""

    client_id: str = ""
    has_session: bool = False
    messages: dict[int, tuple[bytes, int]] = field(default_factory=dict)  # payload and packet identifier
    released: list[int] = field(default_factory=list)  # keys
    unreleased: set[int] = field(default_factory=set)

    def copy(self) -> "Model":
        return replace(
            self, messages=dict(self.messages), released=list(self.released), unreleased=set(self.unreleased)
        )


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["keep", "keep", "sent", "received", "requeued", "forget", "in", "out", "lost", "me", "commit"]
        ),
        st.integers(0, 5),
    ),
    max_size=40,
)


def take(model: Model, store: ClientStore, verb: str, number: int, key: int) -> None:
    """Tell both of a step, if it is one that a client could take now."""
    queued = [k for k, (_, packet_id) in model.messages.items() if not packet_id]
    flying = [k for k, (_, packet_id) in model.messages.items() if packet_id and k not in model.released]
    able = {"sent": queued, "received": flying, "requeued": flying, "forget": list(model.messages)}
    if verb in able:
        if not able[verb]:
            return
        key = able[verb][number % len(able[verb])]
    payload = model.messages.get(key, (b"", 0))[0]
    if verb == "keep":
        model.messages[key] = (b"%d" % key, 0)
        store.keep(key, hello(b"%d" % key, 2), 2, NOW)
    elif verb == "sent":
        model.messages[key] = (payload, key + number)
        store.sent(key, key + number)
    elif verb == "received":
        model.messages[key] = (b"", model.messages[key][1])
        model.released.append(key)
        store.received(key)
    elif verb == "requeued":
        model.messages[key] = (payload, 0)
        store.requeued(key)
    elif verb == "forget":
        del model.messages[key]
        model.released = [k for k in model.released if k != key]
        store.forget(key)
    else:
        take_other(model, store, verb, number)


def take_other(model: Model, store: ClientStore, verb: str, number: int) -> None:
    """A step that is not about a message that goes out."""
    if verb == "in":
        model.unreleased.add(number + 1)
        store.keep_incoming(number + 1)
    elif verb == "out":
        model.unreleased.discard(number + 1)
        store.release_incoming(number + 1)
    elif verb == "lost":
        model.has_session, model.unreleased = False, set()
        store.forget_session()
    elif verb == "me":
        model.client_id, model.has_session = f"client-{number}", True
        store.remember(f"client-{number}")


def seen(saved: Saved) -> Model:
    """What was found, in the words of the model."""
    messages = {kept.key: (kept.message.payload, kept.packet_id) for kept in saved.messages}
    released = [kept.key for kept in saved.released]
    return Model(saved.client_id, saved.has_session, messages, released, set(saved.unreleased))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs=st.lists(STEPS, min_size=1, max_size=3))
def test_a_killed_program_finds_its_last_commit(
    tmp_path_factory: pytest.TempPathFactory, runs: list[list[tuple[str, int]]]
) -> None:
    store = begun(tmp_path_factory.mktemp("model"))
    model, committed = Model(), Model()
    for steps in runs:
        last_key = max(model.messages, default=0)
        for key, (verb, number) in enumerate(steps, last_key + 1):
            take(model, store, verb, number, key)
            if verb == "commit":
                store.commit()
                committed = model.copy()
        saved = reopened(store)
        assert seen(saved) == committed
        assert [kept.key for kept in saved.messages] == sorted(committed.messages)
        model = committed.copy()
    store.close()


# Killed, locked, used from elsewhere

PROGRAM = """
import sys
from linnet.client.disk import DiskStore
from linnet.client.store import StoreError
from linnet.wire.message import Message
store = DiskStore(sys.argv[1])
store.open(1000.0)
try:
    DiskStore(sys.argv[1]).open(1000.0)
except StoreError:
    pass  # and the lock is held as before
store.remember("me")
for key in (1, 2, 3):
    store.keep(key, Message("t", b"%d" % key, 2), 2, 1000.0)
    store.sent(key, key)
store.commit()
store.received(2)
store.forget(1)
store.keep_incoming(7)
store.commit()
store.forget(3)
store.keep(4, Message("t", b"4", 1), 1, 1000.0)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.system
def test_a_program_is_alone_with_its_file_and_what_it_committed_survives_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "store")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        try:
            assert program.stdout is not None and program.stdout.readline() == b"ready\n"
            with pytest.raises(StoreError, match="in use"):
                DiskStore(tmp_path / "store").open(NOW)
        finally:
            program.kill()  # SIGKILL: it gets no chance to tidy up
    saved = saved_at(tmp_path)
    assert (saved.client_id, saved.has_session, saved.unreleased) == ("me", True, [7])
    assert [(k.key, k.message.payload, k.packet_id, k.is_released) for k in saved.messages] == [
        (2, b"", 2, True),
        (3, b"3", 3, False),
    ]


def test_a_second_opener_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    store = begun(tmp_path)
    with pytest.raises(StoreError, match="open already"):
        store.open(NOW)
    with pytest.raises(StoreError, match="in use"):
        DiskStore(tmp_path / "store").open(NOW)
    store.keep(1, hello(), 1, NOW)
    store.close()
    assert saved_at(tmp_path).last_key == 1


def test_a_store_can_be_used_from_another_thread(tmp_path: Path) -> None:
    def work(store: ClientStore) -> None:
        store.keep(1, hello(), 1, NOW)
        store.commit()
        store.close()

    thread = Thread(target=work, args=(begun(tmp_path),))
    thread.start()
    thread.join()
    assert saved_at(tmp_path).last_key == 1


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_only_the_owner_may_read_what_is_queued(tmp_path: Path) -> None:
    store = begun(tmp_path)
    store.keep(1, hello(), 1, NOW)
    store.commit()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"store": 0o600, "store-wal": 0o600}
    store.close()


def test_sync_is_what_was_asked_for(tmp_path: Path) -> None:
    found = {}
    for sync in ("normal", "full"):
        store = begun(tmp_path, sync=sync)
        assert store.database is not None
        found[sync] = store.database.execute("PRAGMA synchronous").fetchone()[0]
        assert store.database.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        store.close()
    assert found == {"normal": 1, "full": 2}
    with pytest.raises(ValueError, match="sync"):
        DiskStore(tmp_path / "store", sync="never")  # type: ignore[arg-type]


# Time goes on while nobody is there


@dataclass
class WallClock:
    """Seconds since 1970, as told."""

    time: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.mark.parametrize(
    ("waited", "away", "left"), [(0, 0, 60), (10, 20, 30), (0, 59, 1), (0, 60, -1), (30, 3600, -1), (5, -3600, 60)]
)
def test_expiry_is_counted_while_the_program_is_away(tmp_path: Path, waited: int, away: int, left: int) -> None:
    clock = WallClock()
    store = begun(tmp_path, wall_clock=clock)
    store.keep(1, hello(expiry=60), 1, NOW + waited)
    store.keep(2, hello(), 1, NOW + waited)
    store.close()
    clock.time += away
    for now in (5.0, 70_000.0):  # the next program's monotonic clock began elsewhere
        first, second = saved_at(tmp_path, now, wall_clock=clock).messages
        assert first.message.expiry == 60
        assert first.message.seconds_left(now) == left
        assert second.message.expiry == -1


# What can be wrong with a file


def test_a_full_disk_takes_nothing_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    store = begun(tmp_path, max_bytes=100_000)
    store.keep(1, hello(), 1, NOW)
    store.commit()
    store.keep(2, hello(), 1, NOW)
    store.keep(3, hello(bytes(200_000)), 1, NOW)
    store.sent(1, 1)
    for _ in range(2):
        with pytest.raises(StoreError, match="full"):
            store.commit()
    assert [(kept.key, kept.packet_id) for kept in reopened(store).messages] == [(1, 0)]

    store.keep(2, hello(), 1, NOW)
    store.keep(3, hello(bytes(200_000)), 1, NOW)
    with pytest.raises(StoreError, match="full"):
        store.commit()
    store.forget(3)
    store.commit()
    assert [kept.key for kept in reopened(store).messages] == [1, 2]

    store.keep(4, hello(bytes(200_000)), 1, NOW)
    with pytest.raises(StoreError, match="full"):
        store.close()
    assert [kept.key for kept in saved_at(tmp_path).messages] == [1, 2]


def test_room_is_used_again(tmp_path: Path) -> None:
    store = begun(tmp_path, max_bytes=100_000)
    for key in range(1, 10):
        store.keep(key, hello(bytes(50_000)), 1, NOW)
        store.commit()
        store.forget(key)
    store.close()
    assert (tmp_path / "store").stat().st_size <= 100_000


def fill(path: Path) -> Path:
    """A store with some pages in it."""
    store = begun(path)
    store.remember("me")
    for key in range(1, 100):
        store.keep(key, hello(bytes(500)), 1, NOW)
    store.close()
    return path / "store"


def overwrite(file: Path, at: int, octets: bytes) -> None:
    with file.open("r+b") as stream:
        stream.seek(at)
        stream.write(octets)


def alter(file: Path, statement: str) -> None:
    database = sqlite3.connect(file)
    database.execute("PRAGMA ignore_check_constraints = ON")
    database.execute(statement)
    database.commit()
    database.close()


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b"This was never a database." * 100),
        lambda file: overwrite(file, 0, bytes(4096)),
        lambda file: overwrite(file, 3 * 4096, b"\xff" * 8192),
        lambda file: os.truncate(file, 3 * 4096),
        lambda file: alter(file, "DROP TABLE incoming"),
        lambda file: alter(file, "UPDATE message SET payload = 'text' WHERE key = 50"),
        lambda file: alter(file, "UPDATE message SET packet_id = 70000 WHERE key = 50"),
    ],
    ids=["another file", "no header", "bad pages", "cut off", "no table", "wrong type", "wrong value"],
)
def test_a_damaged_file_is_set_aside(
    tmp_path: Path, damage: Callable[[Path], Any], caplog: pytest.LogCaptureFixture
) -> None:
    file = fill(tmp_path)
    damage(file)
    octets = file.read_bytes()
    clock = WallClock()
    with caplog.at_level(logging.WARNING, "linnet.client"):
        assert saved_at(tmp_path, wall_clock=clock) == Saved("", False, [], [])
    aside = tmp_path / "store.damaged-20231114T221320Z"
    assert aside.read_bytes() == octets
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("linnet.client", "WARNING")
    assert str(aside) in record.getMessage()
    assert vars(record)["event"] == "store_damaged"

    damage(fill(tmp_path))  # in the same second
    assert saved_at(tmp_path, wall_clock=clock).messages == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", aside.name, f"{aside.name}-2"]


def test_the_log_of_a_damaged_file_is_not_taken_for_one_of_the_new(tmp_path: Path) -> None:
    file = fill(tmp_path)
    store = begun(tmp_path)
    store.forget(1)
    store.commit()
    log = (tmp_path / "store-wal").read_bytes()
    killed(store)
    overwrite(file, 0, bytes(4096))
    (tmp_path / "store-wal").write_bytes(log)
    assert saved_at(tmp_path) == Saved("", False, [], [])
    assert not (tmp_path / "store-wal").exists()


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [("PRAGMA application_id = 5", "another program"), ("PRAGMA user_version = 99", "version 99")],
)
def test_a_file_that_is_not_for_us_is_left_alone(tmp_path: Path, statement: str, sentence: str) -> None:
    file = fill(tmp_path)
    alter(file, statement)
    octets = file.read_bytes()
    with pytest.raises(StoreError, match=sentence):
        DiskStore(file).open(NOW)
    assert file.read_bytes() == octets
    assert os.listdir(tmp_path) == ["store"]


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none" / "store"):
        with pytest.raises(StoreError, match="cannot open"):
            DiskStore(path).open(NOW)


def test_a_closed_store_takes_nothing(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    store.keep(1, hello(), 1, NOW)
    with pytest.raises(StoreError, match="not open"):
        store.commit()
    assert repr(store).endswith("closed>")
