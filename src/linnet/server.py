"""The broker that people start: the only place that knows every part.

It builds the parts from the settings, starts them in order and stops them in the reverse order.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
import weakref
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from linnet.core.adopting import adopt
from linnet.core.broker import BrokerCore
from linnet.core.fanout import Fanout
from linnet.core.limits import Limits
from linnet.core.overview import Overview
from linnet.core.ports import Hooks, Observer
from linnet.core.server_connection import ServerConnection
from linnet.core.session import Session
from linnet.core.sys_topics import SysTopics
from linnet.errors import LinnetError, ReasonCode
from linnet.hooks.journal import Journal
from linnet.local import LocalSubscription
from linnet.loggers import named
from linnet.net.descriptors import most_clients
from linnet.net.listener import Listener
from linnet.net.logs import Doorman, Logs
from linnet.net.pressure import Pressure
from linnet.net.turn import Turn
from linnet.options import host_and_port
from linnet.release import VERSION
from linnet.reloading import Changes, compare, in_force
from linnet.settings import Settings
from linnet.wire.message import Message
from linnet.wire.properties import Properties
from linnet.wire.subscribe import SubscriptionOptions

if TYPE_CHECKING:
    from linnet.client.client import Client

logger = named("settings")
RUNNING: weakref.WeakSet[Broker] = weakref.WeakSet()


class Broker:
    """An MQTT broker in this process.

        async with linnet.Broker(listen="127.0.0.1:0") as broker:
            print(broker.port)

    `settings` or settings by name (`max_packet_size=65536`) say what it does, `hooks` who may do what, `observers` are
    told what happens. Raises SettingsError for settings that cannot be.
    """

    described = ("statistics",)

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        hooks: Hooks | None = None,
        observers: Sequence[Observer] = (),
        **overrides: Any,
    ) -> None:
        if settings is None:
            settings = Settings(**overrides)
        elif overrides:
            settings = Settings(**{**settings.model_dump(), **overrides})
        self.settings = settings  # in force
        self.wanted = settings  # in force after the next start
        logs = Logs()
        watchers = (Doorman(logs), Journal(logs.watched), *observers)
        self.core = BrokerCore(limits_of(settings), lambda: uuid.uuid4().hex, hooks, watchers)
        self.logs = logs
        self.listeners: list[Listener] = []
        self.subscriptions: set[LocalSubscription] = set()  # the program's own that are open
        self.turn: Turn | None = None
        self.pressure: Pressure | None = None
        self.sys_topics = SysTopics(self.core, f"linnet version {VERSION}", lambda: self.statistics)

    def __repr__(self) -> str:
        where = ", ".join(listener.address for listener in self.listeners) or "stopped"
        return f"<Broker {where}: {len(self.core.connections)} connections, {len(self.core.sessions)} sessions>"

    async def start(self) -> Self:
        """Listen at every address of the settings. Raises OSError when one cannot be had; then none is."""
        if self.turn is not None:
            raise LinnetError(f"{self!r} runs already")
        self.settings = self.wanted
        adopt(self.core, limits_of(self.settings))
        turn = self.turn = Turn(self.core, asyncio.get_running_loop(), self.settings)
        self.logs.start(turn, self.settings)
        self.core.start(turn.begin())
        self.pressure = Pressure(turn)
        self.pressure.start(turn.begin())
        self.sys_topics.start(self.settings.sys_interval, turn.begin())
        try:
            for address in self.settings.listen:
                host, port = host_and_port(address)
                listener = Listener(turn, host, port, self.settings.backlog)
                await listener.open()
                self.listeners.append(listener)
        except BaseException:
            await self.stop()
            raise
        RUNNING.add(self)
        tell_of_descriptors(self.settings)
        return self

    async def stop(self) -> None:
        """Say goodbye to every client, and leave no socket, task or timer behind. What was kept in memory is gone."""
        turn = self.turn
        if turn is None:
            return
        for listener in self.listeners:
            listener.close()
        now = turn.begin()
        for session in self.core.sessions.values():
            self.core.wills.cancel(session)  # a will speaks of a client that failed, not of a broker that stops
        for connection in list(self.core.connections):
            connection.close(ReasonCode.SERVER_SHUTTING_DOWN, "the broker stops", now)
        for subscription in list(self.subscriptions):
            subscription.close()
        await turn.drain(self.settings.stop_timeout)
        if self.turn is not turn:
            return  # stopped by somebody else at the same time
        self.sys_topics.stop()
        turn.stop()
        self.logs.stop()
        self.core.forget(now)
        self.listeners.clear()
        self.turn = self.pressure = None
        RUNNING.discard(self)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()

    @property
    def is_running(self) -> bool:
        """Whether it has been started and not been stopped."""
        return self.turn is not None

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of each listener, with the ports that are really used."""
        return [(listener.host, listener.port) for listener in self.listeners]

    @property
    def port(self) -> int:
        """The first listener's port. Raises LinnetError when the broker does not run."""
        self.running()
        return self.listeners[0].port

    @property
    def sessions(self) -> dict[str, Session]:
        """Every session by its client identifier, of clients that are connected and that are not."""
        return self.core.sessions

    @property
    def connections(self) -> list[ServerConnection]:
        """Every open connection."""
        return [connection for connection in self.core.connections if isinstance(connection, ServerConnection)]

    @property
    def statistics(self) -> Overview:
        """What the broker has counted and what there is of everything, at this moment."""
        turn, pressure = self.turn, self.pressure
        if turn is None or pressure is None:
            return Overview(self.core, self.core.started_at)
        return Overview(self.core, turn.begin(), pressure.memory, pressure.lag, pressure.longest_lag)

    def running(self) -> Turn:
        """The turns of a broker that runs."""
        if self.turn is None:
            raise LinnetError("this broker does not run: start it first")
        return self.turn

    def reload(self, settings: Settings | None = None, **overrides: Any) -> Changes:
        """Take over these settings, or those named; says what changed and what needs the broker to be started again.

        Connections and sessions stay. Raises SettingsError for settings that cannot be; then nothing changes.
        """
        if settings is None or overrides:
            settings = Settings(**{**(settings or self.wanted).model_dump(), **overrides})
        changes = compare(self.settings, settings, self.is_running)
        self.settings = in_force(self.settings, settings, changes)
        self.wanted = settings
        if self.turn is not None:
            self.turn.begin()  # whoever may go on under the new limits does so in it
        adopt(self.core, limits_of(self.settings))
        if self.turn is not None:
            self.apply(self.turn, changes)
        return changes

    def apply(self, turn: Turn, changes: Changes) -> None:
        """Let everything around the core obey the settings that are in force now."""
        settings = turn.settings = self.settings
        for listener in self.listeners:
            listener.pace.change(settings.accept_rate, settings.accept_burst)
        if "write_timeout" in changes.changed:
            for stream in turn.streams:
                if stream.stall is not None:
                    stream.watch_stall(turn.now)
        if self.pressure is not None:
            self.pressure.obey()
        self.logs.apply(settings)
        self.sys_topics.change(settings.sys_interval, turn.now)
        if "max_connections" in changes.changed:
            tell_of_descriptors(settings)

    async def publish(
        self,
        topic: str,
        payload: bytes | str = b"",
        qos: int = 0,
        retain: bool = False,
        properties: Properties | None = None,
    ) -> int:
        """Publish a message of the program's own; to how many subscribers it went or will go.

        Where those are very many this waits until the last one was given it, or the broker stops. Raises ProtocolError
        for what is no topic name.
        """
        turn = self.running()
        now = turn.begin()
        octets = payload.encode() if isinstance(payload, str) else payload
        message = Message(topic, octets, qos, retain, properties)
        message.received_at = now
        if not self.core.router.find(message.topic_name).is_wide:
            return self.core.publish(message, now)
        reached: asyncio.Future[int] = turn.loop.create_future()

        def finish(fanout: Fanout, now: float) -> None:
            if not reached.done():
                reached.set_result(fanout.count)

        self.core.publish(message, now, finish)
        return await reached

    def subscribe(self, name: str, qos: int = 2, limit: int = 10000) -> LocalSubscription:
        """Messages that match a topic filter, for this program; see `LocalSubscription`.

        Raises ProtocolError for what is no topic filter.
        """
        begin = self.running().begin
        return LocalSubscription(self.core, begin, name, SubscriptionOptions(qos), limit, self.subscriptions)

    def disconnect(self, client_id: str, reason_code: ReasonCode = ReasonCode.ADMINISTRATIVE_ACTION) -> bool:
        """Close a client's connection; False if it has none."""
        session = self.core.sessions.get(client_id)
        if session is None or session.connection is None:
            return False
        session.connection.close(reason_code, "closed by the broker's owner", self.running().begin())
        return True

    def move_clients(self, reference: str, permanently: bool = False) -> int:
        """Tell every client, those here and those to come, to use another server [MQTT-4.11]; how many were here.

        `reference` is a list of HOST[:PORT] separated by spaces; clients before 5.0 are disconnected or refused. An
        empty one takes it back: clients may come again.
        """
        if not reference:
            self.core.moved_to = None
            return 0
        code = ReasonCode.SERVER_MOVED if permanently else ReasonCode.USE_ANOTHER_SERVER
        self.core.moved_to = (code, reference)
        now = self.running().begin()
        connections = self.connections
        for connection in connections:
            connection.redirect(code, reference, now)
        return len(connections)


class Live(NamedTuple):
    """Every live object of this process that speaks MQTT."""

    brokers: list[Broker]
    listeners: list[Listener]
    connections: list[ServerConnection]
    sessions: list[Session]
    clients: list[Client]


def live() -> Live:
    """Every running broker of this process with its listeners, connections and sessions, and every connected client."""
    from linnet.client.client import CLIENTS

    brokers = list(RUNNING)
    return Live(
        brokers,
        [listener for broker in brokers for listener in broker.listeners],
        [connection for broker in brokers for connection in broker.connections],
        [session for broker in brokers for session in broker.sessions.values()],
        [client for client in CLIENTS if client.state != "closed"],
    )


async def stop_all() -> None:
    """Stop every running broker of this process, each on its own event loop."""
    here = asyncio.get_running_loop()
    for broker in list(RUNNING):
        loop = broker.running().loop
        if loop is here:
            await broker.stop()
        else:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(broker.stop(), loop))


def limits_of(settings: Settings) -> Limits:
    """Those settings that the core needs. No more clients may connect than the system has descriptors for."""
    values = {field.name: getattr(settings, field.name) for field in fields(Limits)}
    return Limits(**{**values, "max_connections": min(settings.max_connections, most_clients())})


def tell_of_descriptors(settings: Settings) -> None:
    """Log that there are descriptors for fewer clients than the settings allow; a warning to who chose that number."""
    wanted, most = settings.max_connections, most_clients()
    if wanted > most:
        is_default = settings.settings_sources["max_connections"] == "default"
        text = "max_connections: %d, and the system has descriptors for %d clients only"
        extra = {"event": "few_descriptors", "setting": "max_connections"}
        logger.log(logging.DEBUG if is_default else logging.WARNING, text, wanted, most, extra=extra)
