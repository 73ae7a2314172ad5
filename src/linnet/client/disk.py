"""A store in one SQLite file, for a client whose program may be killed at any moment.

What is told gathers in memory as rows to delete, to change and to add; `commit` writes them in one transaction with one
call for each kind, whatever their number. What came and went between two commits is never written at all.

The file has a write-ahead log beside it (`-wal`) while it is open. It is locked for as long: the lock is the operating
system's, so it is gone with the program, however that ends. Opened by its owner with any SQLite tool it shows

    message    what waits (`packet_id` 0) and what is in flight, by `key` in the order it was handed over; `properties`
               are encoded as in PUBLISH; `expiry` in seconds, -1 for never; `received_at` in seconds since 1970;
               `released` counts the PUBRECs, and a message that has its number there has no content any more
    incoming   packet identifiers of QoS 2 messages that came in and were not released
    session    one row: the client identifier, and whether the broker may have a session of it
"""

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Literal

from linnet.client.store import ClientStore, Kept, Saved, StoreError
from linnet.loggers import named, write
from linnet.wire.message import Message

LOGGER: Final = named("client")
APPLICATION_ID: Final = 0x4C4E4E54  # "LNNT": whose file this is
SCHEMA_VERSION: Final = 1
SCHEMA: Final = """
CREATE TABLE message (
    key INTEGER PRIMARY KEY CHECK (key > 0),
    topic BLOB NOT NULL CHECK (typeof(topic) = 'blob'),
    payload BLOB NOT NULL CHECK (typeof(payload) = 'blob'),
    qos INTEGER NOT NULL CHECK (qos IN (0, 1, 2)),
    retain INTEGER NOT NULL CHECK (retain IN (0, 1)),
    properties BLOB NOT NULL CHECK (typeof(properties) = 'blob'),
    expiry INTEGER NOT NULL CHECK (expiry BETWEEN -1 AND 4294967295),
    received_at REAL NOT NULL CHECK (typeof(received_at) = 'real'),
    packet_id INTEGER NOT NULL CHECK (packet_id BETWEEN 0 AND 65535),
    released INTEGER NOT NULL CHECK (typeof(released) = 'integer')
);
CREATE TABLE incoming (packet_id INTEGER PRIMARY KEY CHECK (packet_id BETWEEN 1 AND 65535));
CREATE TABLE session (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    client_id TEXT NOT NULL CHECK (typeof(client_id) = 'text'),
    has_session INTEGER NOT NULL CHECK (has_session IN (0, 1))
);
"""
ADD: Final = "INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
SEND: Final = "UPDATE message SET packet_id = ? WHERE key = ?"
RELEASE: Final = (
    "UPDATE message SET released = ?, topic = x'', payload = x'', properties = x'' WHERE key = ? AND released = 0"
)
REMOVE: Final = "DELETE FROM message WHERE key = ?"
ADD_INCOMING: Final = "INSERT OR REPLACE INTO incoming VALUES (?)"
REMOVE_INCOMING: Final = "DELETE FROM incoming WHERE packet_id = ?"
IDENTIFY: Final = "INSERT OR REPLACE INTO session VALUES (1, ?, ?)"

# Places in a row of `message`
TOPIC, PAYLOAD, PROPERTIES, PACKET_ID, RELEASED = 1, 2, 5, 8, 9

# Python's sqlite3 takes a bytearray as it is, and asks around for each bytes object whether somebody wants to convert
# it: more than half of the time that a small message takes. Of a large one a copy would cost more.
SMALL: Final = 4096
NOTHING: Final = bytearray()

DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
IN_USE: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
SYNC: Final = {"normal": "NORMAL", "full": "FULL"}

Sync = Literal["normal", "full"]


class Damage(Exception):
    """The file is ours, or claims to be, and cannot be relied on."""


class Changes:
    """What was told since the last commit, as it has to be written."""

    __slots__ = ("added", "added_incoming", "identity", "packet_ids", "released", "removed", "removed_incoming")

    def __init__(self) -> None:
        self.added: dict[int, list[Any]] = {}  # rows that are not in the file, by key
        self.packet_ids: dict[int, int] = {}  # of rows that are, by key
        self.released: dict[int, int] = {}  # places in the order of the PUBRECs, by key
        self.removed: list[int] = []
        self.added_incoming: set[int] = set()
        self.removed_incoming: set[int] = set()
        self.identity: tuple[str, bool] | None = None

    def __bool__(self) -> bool:
        return bool(
            self.added
            or self.removed
            or self.packet_ids
            or self.released
            or self.added_incoming
            or self.removed_incoming
            or self.identity is not None
        )

    def __repr__(self) -> str:
        return f"<Changes: {len(self.added)} messages more, {len(self.removed)} less>"

    def statements(self) -> Iterable[tuple[str, Iterable[Sequence[Any]]]]:
        """What to execute with which rows. Removing comes first: it frees room, and what is added may replace it."""
        if self.removed:
            yield REMOVE, [(key,) for key in self.removed]
        if self.released:
            yield RELEASE, [(place, key) for key, place in self.released.items()]
        if self.packet_ids:
            yield SEND, [(packet_id, key) for key, packet_id in self.packet_ids.items()]
        if self.added:
            yield ADD, self.added.values()
        if self.removed_incoming:
            yield REMOVE_INCOMING, [(packet_id,) for packet_id in self.removed_incoming]
        if self.added_incoming:
            yield ADD_INCOMING, [(packet_id,) for packet_id in self.added_incoming]
        if self.identity is not None:
            yield IDENTIFY, [(self.identity[0], int(self.identity[1]))]


class DiskStore(ClientStore):
    """Keeps everything in the file `path`, which only its owner may read (0600) when it is made here.

    `sync`: with "normal" a commit survives the end of the program, however it comes; with "full" it has reached the
    disk and survives the end of power too, which takes the time of a sync. The file grows to `max_bytes` at most, and
    the log beside it to some 4 MiB more than the largest commit. `wall_clock` gives seconds since 1970; where it is set
    anew while messages with an expiry are stored, they live shorter for it, but never longer than from the start.

    A damaged file is renamed to `path.damaged-...`, with a warning by the logger `linnet.client`, and the client begins
    with an empty one.
    """

    is_lasting = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        sync: Sync = "normal",
        max_bytes: int = 1 << 30,
        *,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        if sync not in SYNC:
            raise ValueError(f"sync is 'normal' or 'full', not {sync!r}")
        self.path = os.path.abspath(path)
        self.sync = sync
        self.max_bytes = max_bytes
        self.wall_clock = wall_clock
        self.database: sqlite3.Connection | None = None
        self.changes = Changes()
        self.identity = ("", False)
        self.unreleased: set[int] = set()
        self.releases = 0  # the place of the last PUBREC

    def __repr__(self) -> str:
        return f"<DiskStore {self.path!r}{'' if self.database else ', closed'}>"

    def open(self, now: float) -> Saved:
        """See `ClientStore.open`. A damaged file is set aside, and nothing was saved then."""
        if self.database is not None:
            raise StoreError(f"{self.path} is open already")
        try:
            database, saved = self.read(now)
        except Damage as damage:
            set_aside(self.path, damage, self.wall_clock())
            database, saved = self.read(now)
        self.database = database
        self.changes = Changes()
        self.identity = (saved.client_id, saved.has_session)
        self.unreleased = set(saved.unreleased)
        self.releases = max((kept.released for kept in saved.messages), default=0)
        return saved

    def read(self, now: float) -> tuple[sqlite3.Connection, Saved]:
        """Open the file and take over what is in it."""
        database = None
        try:
            create(self.path)
            database = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
            prepare(database, self.path, self.sync, self.max_bytes)
            return database, load(database, now, self.wall_clock())
        except BaseException as error:
            if database is not None:
                database.close()
            if isinstance(error, sqlite3.Error | OSError):
                raise explained(error, self.path) from error
            raise

    def remember(self, client_id: str) -> None:
        """See `ClientStore.remember`."""
        self.identify(client_id, True)

    def forget_session(self) -> None:
        """See `ClientStore.forget_session`."""
        for packet_id in tuple(self.unreleased):
            self.release_incoming(packet_id)
        self.identify(self.identity[0], False)

    def identify(self, client_id: str, has_session: bool) -> None:
        """Who we are to the broker, if that is new."""
        if self.identity != (client_id, has_session):
            self.identity = self.changes.identity = (client_id, has_session)

    def keep(self, key: int, message: Message, qos: int, now: float) -> None:
        """See `ClientStore.keep`."""
        expiry = message.expiry
        received_at = self.wall_clock() - (now - message.received_at) if expiry >= 0 else 0.0
        payload = message.payload
        self.changes.added[key] = [
            key,
            bytearray(message.topic_name),
            bytearray(payload) if len(payload) < SMALL else payload,
            int(qos),
            1 if message.retain else 0,
            bytearray(message.forwarded) if message.forwarded else NOTHING,
            expiry,
            received_at,
            0,
            0,
        ]

    def sent(self, key: int, packet_id: int) -> None:
        """See `ClientStore.sent`."""
        row = self.changes.added.get(key)
        if row is not None:
            row[PACKET_ID] = packet_id
        else:
            self.changes.packet_ids[key] = packet_id

    def received(self, key: int) -> None:
        """See `ClientStore.received`. Of several PUBRECs for one message the first counts."""
        self.releases += 1
        row = self.changes.added.get(key)
        if row is None:
            self.changes.released.setdefault(key, self.releases)
        elif not row[RELEASED]:
            row[RELEASED] = self.releases
            row[TOPIC] = row[PAYLOAD] = row[PROPERTIES] = NOTHING

    def requeued(self, key: int) -> None:
        """See `ClientStore.requeued`."""
        self.sent(key, 0)

    def forget(self, key: int) -> None:
        """See `ClientStore.forget`."""
        if self.changes.added.pop(key, None) is None:
            self.changes.removed.append(key)

    def keep_incoming(self, packet_id: int) -> None:
        """See `ClientStore.keep_incoming`."""
        if packet_id not in self.unreleased:
            self.unreleased.add(packet_id)
            self.changes.added_incoming.add(packet_id)

    def release_incoming(self, packet_id: int) -> None:
        """See `ClientStore.release_incoming`."""
        if packet_id not in self.unreleased:
            return
        self.unreleased.remove(packet_id)
        if packet_id in self.changes.added_incoming:
            self.changes.added_incoming.remove(packet_id)
        else:
            self.changes.removed_incoming.add(packet_id)

    def commit(self) -> None:
        """See `ClientStore.commit`."""
        if not self.changes:
            return
        database = self.database
        if database is None:
            raise StoreError(f"{self.path} is not open")
        try:
            database.execute("BEGIN")
            for statement, rows in self.changes.statements():
                database.executemany(statement, rows)
            database.execute("COMMIT")
        except BaseException as error:
            if database.in_transaction:
                database.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise StoreError(f"cannot write to {self.path}: {error}") from error
            raise
        self.changes = Changes()

    def close(self) -> None:
        """See `ClientStore.close`."""
        if self.database is None:
            return
        try:
            self.commit()
        finally:
            self.database.close()
            self.database = None


def create(path: str) -> None:
    """Make an empty file that only its owner may read; the log gets the same permissions from SQLite.

    One that is there is not touched: to open and close it would end the lock that this process may hold on it.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        pass


def prepare(database: sqlite3.Connection, path: str, sync: Sync, max_bytes: int) -> None:
    """Lock the file, make sure that it is ours and whole, and give it its tables if it is new.

    Raises Damage, StoreError for a file that is not for us, and whatever SQLite raises.
    """
    database.execute("PRAGMA locking_mode = EXCLUSIVE")  # from the first access until it is closed
    database.execute("BEGIN EXCLUSIVE")
    is_new = single(database, "SELECT count(*) FROM sqlite_master") == 0
    if not is_new:
        if single(database, "PRAGMA application_id") != APPLICATION_ID:
            raise StoreError(f"{path} is the database of another program")
        version = single(database, "PRAGMA user_version")
        if version != SCHEMA_VERSION:
            raise StoreError(f"{path} has version {version} of the schema, and only {SCHEMA_VERSION} is known here")
        if (found := single(database, "PRAGMA quick_check(1)")) != "ok":
            raise Damage(found)
    database.execute("COMMIT")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute(f"PRAGMA synchronous = {SYNC[sync]}")
    if sync == "full":  # where a sync does less than its name says, ask for the one that does it
        database.execute("PRAGMA fullfsync = ON")
    page_size = single(database, "PRAGMA page_size")
    database.execute(f"PRAGMA max_page_count = {max(1, max_bytes // page_size)}")
    if is_new:
        database.executescript(
            f"BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT"
        )


def single(database: sqlite3.Connection, statement: str) -> Any:
    """The one value that a statement gives."""
    return database.execute(statement).fetchone()[0]


def load(database: sqlite3.Connection, now: float, wall_clock: float) -> Saved:
    """Everything that is stored; `now` in monotonic seconds, `wall_clock` in seconds since 1970."""
    client_id, has_session = database.execute("SELECT client_id, has_session FROM session").fetchone() or ("", 0)
    messages = [kept(row, now, wall_clock) for row in database.execute("SELECT * FROM message ORDER BY key")]
    unreleased = [packet_id for (packet_id,) in database.execute("SELECT packet_id FROM incoming")]
    return Saved(client_id, bool(has_session), messages, unreleased)


def kept(row: Sequence[Any], now: float, wall_clock: float) -> Kept:
    """A message from its row. Where the clock was set back, none of its time has passed."""
    key, topic, payload, qos, retain, properties, expiry, received_at, packet_id, released = row
    message = Message(topic, payload, qos, bool(retain))
    message.forwarded = properties
    message.expiry = expiry
    message.received_at = now - max(0.0, wall_clock - received_at) if expiry >= 0 else now
    return Kept(key, message, qos, packet_id, released)


def explained(error: sqlite3.Error | OSError, path: str) -> Exception:
    """What to raise when a file cannot be opened, in words for its owner."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if code is not None else None
    if primary in DAMAGED or str(error).startswith(("no such table", "no such column", "Could not decode")):
        return Damage(str(error))
    if primary in IN_USE:
        return StoreError(f"{path} is in use by another client")
    return StoreError(f"cannot open {path}: {error}")


def set_aside(path: str, damage: Damage, wall_clock: float) -> None:
    """Rename a damaged file to a name that is free, and say so. SQLite has ended its log already."""
    stem = f"{path}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(wall_clock))}"
    aside, number = stem, 1
    while os.path.exists(aside):
        number += 1
        aside = f"{stem}-{number}"
    try:
        os.rename(path, aside)
    except OSError as error:
        raise StoreError(f"{path} is damaged ({damage}) and cannot be set aside: {error}") from error
    if LOGGER.isEnabledFor(logging.WARNING):
        text = "%s is damaged (%s): it was set aside as %s, and what was queued in it is not sent"
        fields = {"path": path, "aside": aside, "detail": str(damage)}
        write(LOGGER, logging.WARNING, "store_damaged", fields, text, path, damage, aside)
