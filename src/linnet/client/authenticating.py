"""Authentication by AUTH packets, from the client's side: its first exchange is part of connecting [MQTT-4.12]."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from linnet.client.errors import ConnectionLost
from linnet.client.line import Line
from linnet.client.options import Authenticator
from linnet.errors import LinnetError, ProtocolError, ReasonCode
from linnet.wire.connect import Connack
from linnet.wire.control import Auth


class Authentication:
    """What one client's authenticator is asked, and who waits for it to be done again."""

    __slots__ = ("authenticator", "waiter")

    def __init__(self, authenticator: Authenticator | None) -> None:
        self.authenticator = authenticator
        self.waiter: asyncio.Future[None] | None = None  # while the client authenticates again

    def __repr__(self) -> str:
        return f"<Authentication by {self.authenticator!r}{', under way' if self.waiter else ''}>"

    def check(self, connack: Connack) -> None:
        """See whether this is the server that it says it is. Raises ProtocolError if it is not."""
        if self.authenticator is not None:
            self.finish(self.authenticator, connack)

    def finish(self, authenticator: Authenticator, said: Connack | Auth) -> None:
        """Let the authenticator judge the last of what the server has said. Raises ProtocolError."""
        try:
            authenticator.finish(said.properties.authentication_data or b"")
        except Exception as fault:
            detail = f"the server has not authenticated itself: {fault}"
            raise ProtocolError(ReasonCode.UNSPECIFIED_ERROR, detail) from fault

    def step(self, is_open: bool, auth: Auth) -> bytes | Awaitable[bytes | None] | None:
        """The server's step; ours. Raises ProtocolError when nobody has asked for it [MQTT-4.12.0-7]."""
        if self.authenticator is None or (is_open and self.waiter is None):
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "AUTH that was not asked for", "MQTT-4.12.0-7")
        try:
            return self.authenticator.step(auth.properties.authentication_data or b"")
        except Exception as fault:
            detail = f"the authenticator failed: {fault}"
            raise ProtocolError(ReasonCode.UNSPECIFIED_ERROR, detail) from fault

    async def repeat(self, line: Line | None) -> None:
        """Authenticate again. Raises ConnectionLost when the server is not satisfied [MQTT-4.12.1-2]."""
        is_open = line is not None and line.connection.is_open
        if self.authenticator is None or line is None or not is_open or self.waiter is not None:
            raise LinnetError("there is no authenticator, no connection, or another exchange under way")
        first = self.authenticator.start()
        line.begin()
        line.connection.send_auth(ReasonCode.REAUTHENTICATE, first)
        self.waiter = line.loop.create_future()
        await self.waiter

    def end(self, auth: Auth) -> None:
        """The server is satisfied once more; are we?"""
        waiter = self.waiter
        if waiter is None or self.authenticator is None:
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "AUTH that was not asked for", "MQTT-4.12.0-7")
        self.finish(self.authenticator, auth)
        self.waiter = None
        if not waiter.done():
            waiter.set_result(None)

    def lose(self, why: str) -> None:
        """The connection is gone, and what was under way on it."""
        waiter = self.waiter
        self.waiter = None
        if waiter is not None and not waiter.done():
            waiter.set_exception(ConnectionLost(why))
