"""A client in a few lines, for connections that are no sockets of asyncio's making: `dial`."""

import asyncio
from typing import Any

from linnet.testing import BlockingBroker, Broker
from linnet.wire import V5, Connack, Connect, Version
from tests.peer import Line


class Wire(Line):
    """A peer's line that also remembers how it ended."""

    def __init__(self, version: Version = V5) -> None:
        super().__init__(version, lambda packet: False)
        self.error: Exception | None = None
        self.is_paused = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport  # which uvloop's are not derived from asyncio's

    def connection_lost(self, error: Exception | None) -> None:
        self.error = error
        super().connection_lost(error)

    def pause_writing(self) -> None:
        self.is_paused = True

    def resume_writing(self) -> None:
        self.is_paused = False
        self.wake()

    async def next(self) -> Any:
        """The next packet that is no answer."""
        return await self.until(lambda: self.inbox.popleft() if self.inbox else None, "a packet")

    async def closed(self) -> Exception | None:
        """Waits for the end of the connection; with what error it came."""
        await self.until(lambda: self.lost or None, "the end of the connection")
        return self.error


async def connected(broker: Broker | BlockingBroker, client_id: str, **fields: Any) -> Wire:
    """A client that has come in by `dial`."""
    wire = Wire()
    await broker.dial(lambda: wire)
    await wire.ask(Connect(client_id, **fields), Connack)
    return wire


async def over_tcp(broker: Broker, client_id: str, **fields: Any) -> Wire:
    """A client that has come in by the port."""
    wire = Wire()
    await asyncio.get_running_loop().create_connection(lambda: wire, broker.host, broker.port)
    await wire.ask(Connect(client_id, **fields), Connack)
    return wire
