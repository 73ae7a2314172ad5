"""A server that does as a test says, rightly or wrongly, and keeps what it heard on each connection.

Unless told otherwise it accepts everything and answers at once. `on` says what it does about a kind of packet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Self, TypeVar, cast

from linnet.wire import (
    V5,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Version,
    decode,
)
from tests.client.proof.link import reset
from tests.client.proof.watching import until
from tests.peer import whole_packet

P = TypeVar("P", bound=Packet)
Reaction = Callable[["Visit", Any], None]


class Visit(asyncio.Protocol):
    """One connection to the server."""

    def __init__(self, server: Scripted) -> None:
        self.server = server
        self.version: Version = V5
        self.received: list[Packet] = []
        self.buffer = bytearray()
        self.is_over = False
        self.last_id = 0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are of another class
        self.server.visits.append(self)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (octets := whole_packet(self.buffer)) is not None:
            packet = decode(octets, self.version, from_client=True)
            if isinstance(packet, Connect):
                self.version = packet.version
            self.received.append(packet)
            self.server.on[type(packet)](self, packet)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_over = True

    def got(self, kind: type[P]) -> list[P]:
        """What has come of one kind."""
        return [packet for packet in self.received if isinstance(packet, kind)]

    def send(self, *packets: Any) -> None:
        """Packets, or bytes as they are, in one piece."""
        assert self.transport is not None
        pieces = [packet if isinstance(packet, bytes) else packet.encode(self.version) for packet in packets]
        self.transport.write(b"".join(pieces))

    def publish(self, topic: str, *payloads: bytes, qos: int = 0, identifiers: tuple[int, ...] = ()) -> None:
        """Messages to the client."""
        for payload in payloads:
            self.last_id += 1
            properties = Properties(subscription_identifiers=list(identifiers))
            self.send(Publish(topic, payload, qos, packet_id=self.last_id if qos else 0, properties=properties))

    def close(self, *words: Any) -> None:
        """End the connection when these packets are said."""
        assert self.transport is not None
        self.send(*words)
        self.transport.close()

    def cut(self) -> None:
        """Reset the connection."""
        assert self.transport is not None
        reset(self.transport)


def ignore(visit: Visit, packet: Packet) -> None:
    """Say nothing."""


def refusing(reason_code: int, **properties: Any) -> Reaction:
    """Says no to CONNECT."""

    def refuse(visit: Visit, packet: Connect) -> None:
        visit.close(Connack(False, reason_code, Properties(**properties)))

    return refuse


class Scripted:
    """The server."""

    def __init__(self, on: dict[type[Packet], Reaction] | None = None, **properties: Any) -> None:
        self.properties = Properties(**properties)  # of CONNACK
        self.session_present = False
        self.granted: int | None = None  # what SUBACK says instead of the QoS that was asked for
        self.visits: list[Visit] = []
        self.port = 0
        self.listener: asyncio.Server | None = None
        self.on: dict[type[Packet], Reaction] = {
            Connect: lambda visit, _: self.accept(visit),
            Subscribe: self.subscribed,
            Unsubscribe: lambda visit, asked: visit.send(Unsuback(asked.packet_id, [0] * len(asked.filters))),
            Publish: self.acknowledge,
            Pubrel: lambda visit, released: visit.send(Pubcomp(released.packet_id)),
            Pubrec: lambda visit, received: visit.send(Pubrel(received.packet_id)),
            Puback: ignore,
            Pubcomp: ignore,
            Pingreq: lambda visit, _: visit.send(Pingresp()),
            Disconnect: lambda visit, _: visit.close(),
            **(on or {}),
        }

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.refuse()
        for visit in self.visits:
            if not visit.is_over:
                visit.cut()
        await until(lambda: all(visit.is_over for visit in self.visits))

    async def listen(self) -> None:
        """Take connections: at first, or again."""
        loop = asyncio.get_running_loop()
        self.listener = await loop.create_server(lambda: Visit(self), "127.0.0.1", self.port)
        self.port = self.listener.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Take no new connections."""
        if self.listener is not None:
            self.listener.close()
            self.listener = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def visit(self) -> Visit:
        """The newest connection."""
        return self.visits[-1]

    def got(self, kind: type[P]) -> list[P]:
        """What has come of one kind, on whatever connection."""
        return [packet for visit in self.visits for packet in visit.got(kind)]

    def accept(self, visit: Visit) -> None:
        """Say yes to CONNECT."""
        properties = self.properties if visit.version.has_properties else Properties()
        visit.send(Connack(self.session_present, 0, properties))

    def subscribed(self, visit: Visit, asked: Subscribe) -> None:
        """Grant what was asked for, or what the test says."""
        granted = [options.qos if self.granted is None else self.granted for _, options in asked.filters]
        visit.send(Suback(asked.packet_id, granted))

    def acknowledge(self, visit: Visit, message: Publish) -> None:
        """Say that a message has come."""
        if message.qos:
            visit.send((Puback if message.qos == 1 else Pubrec)(message.packet_id))
