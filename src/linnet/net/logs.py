"""The switches of the log, to be used while the broker runs."""

import logging
from typing import Any

from linnet.core.ports import Observer
from linnet.core.server_connection import ServerConnection
from linnet.core.session import Session
from linnet.errors import SettingsError
from linnet.loggers import LEVELS, NAMES, check, name_and_level, named
from linnet.net.stream import Stream
from linnet.net.tap import put_tap, tap_at
from linnet.net.turn import Turn
from linnet.settings import Settings

packets = named("packets")


class Logs:
    """What is logged of one broker.

    The levels are those of Python's loggers, so all brokers of a process share them; the clients are this broker's.
    """

    __slots__ = ("before", "set_clients", "set_levels", "turn", "watched")

    def __init__(self) -> None:
        self.turn: Turn | None = None  # of the broker, while it runs
        self.watched: set[str] = set()  # clients of whom everything is logged
        self.before: dict[str, int] = {}  # the levels that were there before we changed them
        self.set_clients: set[str] = set()  # those of the watched clients that stand in the settings
        self.set_levels: set[str] = set()  # loggers whose level stands in the settings

    def __repr__(self) -> str:
        levels = ", ".join(f"{name}={level}" for name, level in self.levels.items())
        return f"<Logs {levels}, watched: {sorted(self.watched)}>"

    @property
    def levels(self) -> dict[str, str]:
        """The least important lines that each logger lets pass."""
        names = sorted(LEVELS.items(), key=lambda pair: pair[1])
        return {
            name: next((word for word, number in names if number >= named(name).getEffectiveLevel()), "off")
            for name in NAMES
        }

    @property
    def clients(self) -> frozenset[str]:
        """The clients of whom everything is logged."""
        return frozenset(self.watched)

    def level(self, name: str, level: str) -> None:
        """Let a logger's lines pass from this level on: "debug", "info", "warning", "error", or "off".

        Holds at once, also for the clients that are connected. Raises SettingsError for names there are not.
        """
        try:
            check(name, level)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        self.before.setdefault(name, named(name).level)
        named(name).setLevel(LEVELS[level])
        self.refresh()

    def client(self, client_id: str, wanted: bool = True) -> None:
        """Log everything about a client, connected now or later, whatever the levels are; or no longer do."""
        if wanted:
            self.watched.add(client_id)
        else:
            self.watched.discard(client_id)
        self.refresh()

    def apply(self, settings: Settings) -> None:
        """Do what the settings say; may be called again. What they said before and say no longer is taken back.

        What was switched by hand, and does not stand in the settings, stays.
        """
        levels = dict(name_and_level(text) for text in settings.log_levels)
        for name in self.set_levels - levels.keys():
            self.restore(name)
        for name, level in levels.items():
            self.level(name, level)
        self.set_levels = set(levels)
        clients = set(settings.log_clients)
        self.watched -= self.set_clients - clients
        self.watched |= clients
        self.set_clients = clients
        self.refresh()

    def start(self, turn: Turn, settings: Settings) -> None:
        """The broker starts."""
        self.turn = turn
        turn.opened = self.opened
        self.apply(settings)

    def stop(self) -> None:
        """The broker has stopped: the process's loggers are as they were."""
        self.turn = None
        for name in list(self.before):
            self.restore(name)

    def restore(self, name: str) -> None:
        """Give a logger the level that it had before us."""
        before = self.before.pop(name, None)
        if before is not None:
            named(name).setLevel(before)

    def refresh(self) -> None:
        """Put taps where they are wanted, and take away the others."""
        if self.turn is None:
            return
        for stream in self.turn.streams:
            tap = tap_at(stream)
            is_wanted = self.wants(stream)
            if is_wanted and tap is None:
                put_tap(stream, self.watched)
            elif tap is not None and not is_wanted:
                tap.take_off()

    def wants(self, stream: Stream) -> bool:
        """Whether the packets of a connection are to be logged."""
        if packets.isEnabledFor(logging.DEBUG):
            return True
        return stream.connection is not None and stream.connection.session.client_id in self.watched

    def opened(self, stream: Stream) -> None:
        """A client is there, and has said nothing yet."""
        if packets.isEnabledFor(logging.DEBUG):
            put_tap(stream, self.watched)

    def meet(self, connection: ServerConnection, client_id: str) -> None:
        """A connection's client is known now, by the CONNECT that we may have to tell of afterwards."""
        stream: Any = connection.stream
        if client_id in self.watched and isinstance(stream, Stream) and connection.handshake is not None:
            put_tap(stream, self.watched, connection.handshake.connect)


class Doorman(Observer):
    """Tells the switches who comes."""

    def __init__(self, logs: Logs) -> None:
        self.logs = logs

    def connected(self, session: Session, connection: ServerConnection, present: bool) -> None:
        """A CONNECT was accepted."""
        self.logs.meet(connection, session.client_id)

    def refused(self, connection: ServerConnection, client_id: str, reason_code: int, detail: str) -> None:
        """A CONNECT was answered with an error."""
        self.logs.meet(connection, client_id)
