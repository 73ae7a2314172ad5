"""The handshake: from an address to a connection whose CONNECT was accepted."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from linnet.client.address import Address
from linnet.client.dialling import ConnectFailed, dial
from linnet.client.errors import ConnectRejected
from linnet.client.line import Line
from linnet.client.message import Message
from linnet.core.client_connection import ClientConnection, ClientOwner
from linnet.errors import ReasonCode
from linnet.wire.connect import Connack, Connect
from linnet.wire.properties import Properties
from linnet.wire.version import V3_1_1, V5, Version

if TYPE_CHECKING:
    from linnet.client.keeping import Keeper

# What a server may say to a version that it does not know
OLDER = {ReasonCode.UNSUPPORTED_PROTOCOL_VERSION, ReasonCode.PROTOCOL_ERROR, ReasonCode.MALFORMED_PACKET}
DEFAULT_RECEIVE_MAXIMUM = 65535


class Wiper(ClientOwner):
    """Has a connection that is there to be accepted, and nothing else."""

    def accepted(self, connection: ClientConnection, connack: Connack, now: float) -> None:
        """The session is empty now."""
        connection.stream.answer(None)

    def refused(self, connection: ClientConnection, connack: Connack, now: float) -> None:
        """It will not be."""
        connection.stream.answer(ConnectRejected("the server refused the connection", connack.reason_code))

    def ended(self, connection: ClientConnection, was_open: bool, now: float) -> None:
        """It was not."""
        connection.stream.answer(ConnectFailed(str(connection.stream.handshake.address), connection.closed_because))


class Handshake:
    """One try at one address."""

    __slots__ = ("address", "has_lost_session", "keeper", "was_reached")

    def __init__(self, keeper: Keeper, address: Address) -> None:
        self.keeper = keeper
        self.address = address
        self.has_lost_session = False
        self.was_reached = False  # whether a connection could be opened

    def __repr__(self) -> str:
        return f"<Handshake with {self.address}>"

    async def run(self) -> Line:
        """Connect, in the newest version that the server knows. Raises ConnectFailed and ConnectRejected."""
        keeper = self.keeper
        wanted = keeper.options.version
        if keeper.options.authenticator is not None:
            wanted = wanted or V5  # an older version has no AUTH, and would let us in without
        version = wanted or keeper.places.versions.get(self.address, V5)
        try:
            return await self.connect(version)
        except (ConnectRejected, ConnectFailed) as fault:
            if version is V3_1_1 or wanted is not None or not self.is_older(fault):
                raise
        line = await self.connect(V3_1_1)
        keeper.places.versions[self.address] = V3_1_1
        return line

    def is_older(self, fault: ConnectRejected | ConnectFailed) -> bool:
        """Whether a server may know 3.1.1 only: it has said so, or has closed without a word [MQTT-3.1.2-2]."""
        return fault.reason_code in OLDER if isinstance(fault, ConnectRejected) else self.was_reached

    async def connect(self, version: Version) -> Line:
        """Connect in one version, with the session that is wanted."""
        keeper = self.keeper
        options = keeper.options
        is_fresh = options.clean_start and not keeper.has_session
        if version.has_properties:
            return await self.open(version, is_fresh, keeper)
        lasts = bool(options.session_expiry) or options.store.is_lasting or not options.clean_start
        if lasts and is_fresh:  # an empty session that stays: before 5.0 that takes a connection of its own
            line = await self.open(version, True, Wiper())
            line.connection.leave(0, Properties(), line.begin())
            await line.lost
        return await self.open(version, not lasts, keeper)

    async def open(self, version: Version, clean_start: bool, owner: ClientOwner) -> Line:
        """Open a connection, say CONNECT, and wait for the answer."""
        keeper = self.keeper
        options = keeper.options
        packet = await self.packet(version, clean_start)
        line = Line(keeper.publisher, self)
        largest, find, deadlines = options.maximum_packet_size, keeper.registry.routes.find, line.alarm.deadlines
        line.connection = ClientConnection(line, line.outbox, largest, packet, owner, Message, find, deadlines)
        self.was_reached = False
        try:
            async with asyncio.timeout(options.connect_timeout):
                if options.dial is not None:
                    await options.dial(lambda: line)
                else:
                    protocol = cast(Any, lambda: line)
                    ways: dict[str, Any] = {"tls": options.tls, "proxy": options.proxy, "headers": options.headers}
                    await dial(self.address, protocol, timeout=None, **ways)
                self.was_reached = True
                fault = await line.answered
        except TimeoutError:
            self.was_reached = False  # a server that is silent is not asked again in another version
            line.abort()
            detail = f"no CONNACK within {options.connect_timeout:g} seconds"
            raise ConnectFailed(str(self.address), detail) from None
        except BaseException:
            line.abort()
            raise
        if fault is not None:
            line.abort()  # there is nothing left to say
            raise fault
        return line

    async def packet(self, version: Version, clean_start: bool) -> Connect:
        """What CONNECT says."""
        keeper = self.keeper
        options = keeper.options
        if not keeper.client_id and not version.has_properties:
            keeper.client_id = f"linnet-{uuid4().hex[:16]}"  # nobody else gives it a name by which to come back
        user_name = options.user_name if options.user_name is not None else self.address.user_name
        password: Any = options.password if options.password is not None else self.address.password
        if callable(password):
            password = password()
            if isawaitable(password):
                password = await password
        secret = password.encode() if isinstance(password, str) else password
        properties = self.properties() if version.has_properties else Properties()
        return Connect(
            keeper.client_id, clean_start, options.keep_alive, user_name, secret, options.will, properties, version
        )

    def properties(self) -> Properties:
        """What CONNECT says in 5.0 about what we want and what we take."""
        options = self.keeper.options
        properties = replace(options.properties)
        properties.session_expiry_interval = options.expiry(options.store.is_lasting) or None
        if options.receive_maximum < DEFAULT_RECEIVE_MAXIMUM:
            properties.receive_maximum = options.receive_maximum
        properties.maximum_packet_size = options.maximum_packet_size
        properties.topic_alias_maximum = options.topic_alias_maximum or None
        if options.authenticator is not None:
            properties.authentication_method = options.authenticator.method
            properties.authentication_data = options.authenticator.start()
        return properties
