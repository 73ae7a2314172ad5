"""Keeping connected: open a connection, wait until it is over, and open another.

What outlives a connection is known here: the session with its messages in flight, the subscriptions, the client
identifier. Each new connection is told of them in the order in which a server has to hear it: CONNECT, the
subscriptions that it has lost, what was in flight, what waited.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any

from linnet.client.address import Address
from linnet.client.authenticating import Authentication
from linnet.client.dialling import ConnectFailed
from linnet.client.errors import Closed, ConnectionLost, ConnectRejected
from linnet.client.events import Connected, Disconnected, Dropped, Events, SessionLost
from linnet.client.handshake import Handshake
from linnet.client.inbox import Valve
from linnet.client.line import Line
from linnet.client.options import Options
from linnet.client.places import Places
from linnet.client.publication import Publication
from linnet.client.publishing import Publisher
from linnet.client.restoring import restore
from linnet.client.returning import MOVES, pause_after
from linnet.client.store import StoreError
from linnet.client.subscriptions import Registry
from linnet.core.arrivals import Arrivals
from linnet.core.client_connection import ClientConnection, ClientOwner
from linnet.core.receiver import Receiver
from linnet.core.server_limits import ServerLimits
from linnet.core.statistics import Statistics
from linnet.errors import LinnetError, ReasonCode
from linnet.wire.connect import Connack
from linnet.wire.control import Auth
from linnet.wire.properties import Properties

logger = logging.getLogger("linnet.client")

# What a client is doing
NEW = "new"
CONNECTING = "connecting"
CONNECTED = "connected"
WAITING = "waiting"  # for its next try
CLOSED = "closed"


class Keeper(ClientOwner):
    """A client's session, and its connection while there is one."""

    def __init__(self, options: Options, events: Events) -> None:
        self.options = options
        self.events = events
        self.places = Places(options.addresses, events)
        self.client_id = options.client_id
        self.valve = Valve()
        self.registry = Registry(self.valve, options.claim_timeout)
        self.publisher = Publisher(
            options.offline, options.store, lambda one, why: events.tell(Dropped(one.message.topic, why))
        )
        self.receiver = Receiver(options.receive_maximum)
        self.arrivals = Arrivals(options.receive_maximum)
        self.arrivals.on_crowd = self.crowded
        self.arrivals.on_receive = options.store.keep_incoming
        self.arrivals.on_release = options.store.release_incoming
        self.state = NEW
        self.line: Line | None = None
        self.connack: Connack | None = None  # of the last connection
        self.limits = ServerLimits()  # of the last server
        self.address: Address | None = None  # where it is
        self.has_session = False  # whether a server may have one of ours
        self.past = Statistics()  # of the connections before this one
        self.connects = 0
        self.task: asyncio.Task[None] | None = None
        self.ready: asyncio.Future[None] | None = None  # done with the first connection
        self.over = asyncio.Event()  # set when there is none any more, and none will be
        self.fault: Exception | None = None  # why there is none any more, and none will be
        self.restored: list[Publication] = []  # what an earlier program had not done with
        self.authentication = Authentication(options.authenticator)

    def __repr__(self) -> str:
        return f"<Keeper of {self.client_id!r}, {self.state}>"

    @property
    def statistics(self) -> Statistics:
        """What all connections have counted, the one that is open included."""
        total = Statistics()
        total.client_id = self.client_id
        total.add(self.past)
        if self.line is not None and not self.line.connection.closed_because:
            total.add(self.line.connection.statistics)
        return total

    async def start(self) -> None:
        """Open the store and the first connection. Raises ConnectFailed, ConnectRejected, StoreError."""
        if self.state != NEW:
            raise LinnetError(f"this client is {self.state}: make a new one")
        self.state = CONNECTING
        loop = asyncio.get_running_loop()
        self.publisher.clock = loop.time
        self.registry.fault = None
        saved = self.options.store.open(loop.time())
        self.client_id = self.options.client_id or saved.client_id
        if saved.client_id == self.client_id:
            self.has_session = saved.has_session
            for packet_id in saved.unreleased:
                self.receiver.keep(packet_id)
        self.restored = restore(self.publisher, saved)
        self.ready = loop.create_future()
        self.task = loop.create_task(self.run())
        try:
            await self.ready
        except BaseException:
            await self.stop(0, "the client could not connect")
            raise

    async def run(self) -> None:
        """Keep connected until the client is closed, or there is no use in it."""
        try:
            attempt = 0
            while True:
                fault, lasted = await self.connect_once()
                if self.state == CLOSED:
                    return
                if self.options.reconnect is not None and lasted > self.options.reconnect.longest(attempt):
                    attempt = self.places.moves = 0  # this one was of use
                attempt += 1
                if not await self.come_back(fault, attempt):
                    return
        except Exception as unforeseen:
            logger.exception("a fault of ours ends %r", self)
            self.fail(unforeseen)

    async def connect_once(self) -> tuple[Exception, float]:
        """Connect, and stay as long as can be; why it is over, and how many seconds the connection has lasted."""
        loop = asyncio.get_running_loop()
        try:
            await self.open()
        except (ConnectFailed, ConnectRejected) as fault:
            return fault, 0.0
        since = loop.time()
        return await self.stay(), loop.time() - since

    async def come_back(self, fault: Exception, attempt: int) -> bool:
        """Wait until the next try; False if there will be none."""
        is_first = self.ready is not None and not self.ready.done()
        redirected = self.places.is_redirected
        pause = 0.0 if redirected else pause_after(fault, attempt, is_first, self.options)
        if pause is None:
            self.fail(fault)
            return False
        logger.info("%s; trying again in %.1f s", fault, pause)
        self.events.tell(Disconnected(str(fault), getattr(fault, "reason_code", None), pause))
        self.state = WAITING
        await asyncio.sleep(pause)
        return True

    async def open(self) -> None:
        """Try one place after the other. Raises the last one's fault if there is no connection to be had."""
        self.state = CONNECTING
        fault: ConnectFailed | ConnectRejected | None = None
        for address in self.places.turn():
            handshake = Handshake(self, address)
            try:
                self.line = await handshake.run()
            except (ConnectFailed, ConnectRejected) as refused:
                fault = refused
                self.line = None
                if isinstance(refused, ConnectRejected) and refused.reason_code in MOVES:
                    raise
                continue
            self.address = address if self.options.dial is None else None
            self.places.found(address)
            self.settle_in(handshake.has_lost_session)
            return
        raise fault or ConnectFailed("", "there is no address")

    def settle_in(self, has_lost_session: bool) -> None:
        """There is a connection: tell the program."""
        assert self.connack is not None
        self.state = CONNECTED
        self.connects += 1
        if has_lost_session:
            self.events.tell(SessionLost())
        logger.info("%r is connected to %s", self.client_id, self.address or "what dial gave")
        self.events.tell(Connected(self.address, self.connack.session_present, self.client_id))
        if self.ready is not None and not self.ready.done():
            self.ready.set_result(None)

    async def stay(self) -> Exception:
        """Wait until the connection is over; why it is."""
        line = self.line
        assert line is not None
        await line.lost
        self.line = None
        connection = line.connection
        goodbye = connection.goodbye
        if goodbye is not None and goodbye.reason_code:
            said = goodbye.properties.reason_string or ""
            if goodbye.reason_code in MOVES:
                is_final = goodbye.reason_code == ReasonCode.SERVER_MOVED
                self.places.move(goodbye.properties.server_reference, is_final, line.handshake.address)
            return ConnectRejected("the server ended the connection", goodbye.reason_code, said)
        return ConnectionLost(connection.closed_because)

    def accepted(self, connection: ClientConnection, connack: Connack, now: float) -> None:
        """CONNACK said yes: the session goes on on this connection."""
        self.authentication.check(connack)  # before anything is told to it, or forgotten because of it
        line = connection.stream
        store = self.options.store
        self.connack = connack
        self.limits = connection.limits
        self.client_id = connack.properties.assigned_client_identifier or connection.connect.client_id
        line.handshake.has_lost_session = self.has_session and not connack.session_present
        if not connack.session_present:
            self.publisher.session_lost()
            self.arrivals.forget()
            self.receiver.unreleased.clear()
            store.forget_session()
        is_kept = self.limits.session_expiry > 0 if connection.has_properties else not connection.connect.clean_start
        self.has_session = is_kept
        store.remember(self.client_id)
        connection.statistics.client_id = self.client_id
        connection.ping_timeout = self.options.ping_timeout
        connection.sender = self.publisher.sender  # whose identifiers are taken
        self.registry.attach(connection, line, connack.session_present)
        self.publisher.attached(line, connection.limits)
        window = min(connection.limits.receive_maximum, self.options.window(connection.has_properties))
        connection.attach(self.publisher.sender, self.receiver, self.arrivals, line.begin, window, now)
        self.valve.attach(connection, line.begin)
        line.answer(None)

    def crowded(self, is_crowded: bool) -> None:
        """More has come in than may, from a server that heeds no Receive Maximum: read no more for now."""
        if is_crowded:
            self.valve.hold(self.arrivals)
        else:
            self.valve.release(self.arrivals)

    def refused(self, connection: ClientConnection, connack: Connack, now: float) -> None:
        """CONNACK said no."""
        code = connack.reason_code
        if code in MOVES:
            origin = connection.stream.handshake.address
            self.places.move(connack.properties.server_reference, code == ReasonCode.SERVER_MOVED, origin)
        said = connack.properties.reason_string or ""
        what = f"{connection.stream.handshake.address} refused the connection"
        connection.stream.answer(ConnectRejected(what, code, said))

    def challenged(self, connection: ClientConnection, auth: Auth) -> Any:
        """The server wants another step of authentication."""
        return self.authentication.step(connection.is_open, auth)

    def authenticated(self, connection: ClientConnection, auth: Auth) -> None:
        """The server is satisfied once more."""
        self.authentication.end(auth)

    def ended(self, connection: ClientConnection, was_open: bool, now: float) -> None:
        """The connection is over."""
        self.past.add(connection.statistics)
        connection.stream.answer(ConnectFailed(str(connection.stream.handshake.address), connection.closed_because))
        if not was_open:
            return
        connection.stream.flush()  # what can still be written was sent; the rest never left
        connection.outbox.take_pieces()
        self.publisher.detached()
        self.registry.detach()
        self.valve.detach()
        self.authentication.lose(connection.closed_because)

    def fail(self, fault: Exception) -> None:
        """There is no connection, and none will be: tell everyone who waits."""
        if self.state == CLOSED:
            return
        self.fault = fault
        self.state = CLOSED
        if self.ready is not None and not self.ready.done():
            self.ready.set_exception(fault)
        else:
            logger.error("no connection any more: %s", str(fault) or repr(fault))
            self.events.tell(Disconnected(str(fault) or repr(fault), getattr(fault, "reason_code", None), None))
        if self.line is not None and self.line.connection.is_open:  # it is the program that has failed
            self.line.connection.leave(ReasonCode.UNSPECIFIED_ERROR, Properties(), self.line.begin())
        try:
            self.finish(fault)
        except StoreError:
            logger.exception("what was not done with could not be kept")

    def finish(self, fault: Exception) -> None:
        """Tell everyone who waits for something that it will not come. Raises StoreError if the store cannot close."""
        self.publisher.close(fault, self.options.store.is_lasting)
        self.registry.end(fault)
        self.fault = self.fault or fault
        self.over.set()
        self.options.store.close()

    async def stop(self, reason_code: int, why: str, properties: Properties | None = None) -> None:
        """Say goodbye. What waits has `close_timeout` to be acknowledged; the rest is kept, or given up."""
        if self.state == NEW:
            self.state = CLOSED
            self.fault = self.registry.fault = Closed(why)
            self.over.set()
            return
        was_closed = self.state == CLOSED
        if self.connects and not was_closed:
            await self.publisher.drain(self.options.close_timeout)
        self.state = CLOSED
        line = self.line
        if line is not None and line.connection.is_open:
            line.begin()
            line.connection.leave(reason_code, self.farewell(properties), line.now)
        if line is not None:
            await line.lost
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        if not was_closed:
            self.finish(Closed(why))

    def farewell(self, properties: Properties | None) -> Properties:
        """A session that nobody asked for ends with the client, unless there is more to come from the store."""
        keeps = self.options.store.is_lasting and not self.publisher.is_idle
        is_wanted = self.options.session_expiry is not None or not self.options.clean_start
        ends = self.limits.session_expiry > 0 and not keeps and not is_wanted
        said = replace(properties) if properties is not None else Properties()
        if said.session_expiry_interval is None and ends and self.limits.version.has_properties:
            said.session_expiry_interval = 0
        return said
