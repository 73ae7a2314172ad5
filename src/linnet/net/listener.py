"""A listener: an address at which clients may connect."""

import asyncio
from typing import Any

from linnet.net.stream import Stream
from linnet.net.turn import Turn


class Listener:
    """One address to listen at, and the server that does."""

    __slots__ = ("backlog", "host", "port", "server", "turn", "wanted_port")

    def __init__(self, turn: Turn, host: str, port: int, backlog: int) -> None:
        self.turn = turn
        self.host = host
        self.wanted_port = port  # 0: any that is free
        self.port = port
        self.backlog = backlog
        self.server: asyncio.Server | None = None

    def __repr__(self) -> str:
        return f"<Listener {self.address}{'' if self.server else ', closed'}>"

    @property
    def address(self) -> str:
        """HOST:PORT, with the port that is really used."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    async def open(self) -> None:
        """Begin to listen. Raises OSError when the address cannot be had."""
        self.server = await self.turn.loop.create_server(
            self.make_stream, self.host or None, self.wanted_port, backlog=self.backlog
        )
        self.port = self.server.sockets[0].getsockname()[1]

    def make_stream(self) -> Any:
        """asyncio wants a protocol for a new connection."""
        return Stream(self.turn, self.address)

    def close(self) -> None:
        """Accept nobody any more."""
        if self.server is not None:
            self.server.close()
            self.server = None
