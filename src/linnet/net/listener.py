"""A listener: an address at which clients may connect."""

import asyncio
import errno
import logging
import os
import socket
from typing import Any

from linnet.core.pace import Pace
from linnet.net.stream import Stream
from linnet.net.transport import SocketTransport
from linnet.net.turn import Turn

logger = logging.getLogger("linnet.connections")

ACCEPTS = 100  # connections accepted in one turn at most, so that those that are here get theirs
REST = 0.1  # seconds without accepting when there are too many, or no descriptors left
TOLD = 32  # connections above max_connections that are accepted to be told that there are too many
ABSENT = frozenset((errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT))  # a name may stand for a family that is not here
EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class Listener:
    """One address to listen at: one socket, or one for each family that its host's name stands for."""

    __slots__ = (
        "accepted",
        "address",
        "backlog",
        "host",
        "pace",
        "port",
        "rests",
        "servers",
        "sockets",
        "turn",
        "wanted_port",
    )

    def __init__(self, turn: Turn, host: str, port: int, backlog: int) -> None:
        self.turn = turn
        self.host = host
        self.wanted_port = port  # 0: any that is free
        self.port = port
        self.address = joined(host, port)  # HOST:PORT, with the port that is really used
        self.backlog = backlog
        self.sockets: list[socket.socket] = []
        self.servers: list[asyncio.Server] = []  # on event loops that bring transports of their own
        self.rests: list[asyncio.TimerHandle] = []  # the ends of pauses in accepting
        self.accepted = 0
        settings = turn.settings
        self.pace = Pace(settings.accept_rate, settings.accept_burst, turn.now)

    def __repr__(self) -> str:
        return f"<Listener {self.address}{'' if self.sockets else ', closed'}>"

    async def open(self) -> None:
        """Begin to listen. Raises OSError when the address cannot be had."""
        loop = self.turn.loop
        found = await loop.getaddrinfo(self.host, self.wanted_port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, _, _, _, address in dict.fromkeys(found):
                try:
                    self.bind(family, address)
                except OSError as error:
                    error.filename = self.address  # so that who reads it knows which one
                    if error.errno not in ABSENT or (family == found[-1][0] and not self.sockets):
                        raise
            for sock in self.sockets:
                if isinstance(loop, asyncio.SelectorEventLoop):
                    loop.add_reader(sock, self.accept, sock)
                else:
                    self.servers.append(await loop.create_server(self.admit_or_not, sock=sock, backlog=self.backlog))
        except BaseException:
            self.close()
            raise

    def bind(self, family: int, address: Any) -> None:
        """Listen at one address; those after the first take the same port as the first."""
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if os.name == "posix":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address[0], self.port, *address[2:]))
            sock.listen(self.backlog)
        except BaseException:
            sock.close()
            raise
        self.sockets.append(sock)
        self.port = sock.getsockname()[1]
        self.address = joined(self.host, self.port)

    def make_stream(self) -> Any:
        """A new connection's stream."""
        self.accepted += 1
        return Stream(self.turn, self.address)

    def admit_or_not(self) -> Any:
        """The same on an event loop that accepts by itself: who must not come in now cannot wait, and is sent away."""
        limit = self.why_not()
        if limit:
            self.turn.core.ledger.reached(limit, "", "", f"{self.address} closes a connection that has come")
            return SentAway()
        self.pace.take(1, self.turn.now)
        return self.make_stream()

    def accept(self, sock: socket.socket) -> None:
        """Clients are waiting to be let in."""
        loop = self.turn.loop
        for count in range(ACCEPTS):
            limit = self.why_not()
            if limit and count:
                return  # the next turn tells whether anybody else is waiting
            if limit:
                self.turn.core.ledger.reached(limit, "", "", f"{self.address} accepts no connection for {REST:g} s")
                self.rest(sock)
                return
            try:
                connected, _ = sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    raise
                logger.error("%s: no connection can be accepted: %s", self.address, error.strerror)
                self.turn.core.ledger.reached("max_connections", "", "", f"no descriptors: {error.strerror}")
                self.rest(sock)
                return
            self.pace.take(1, self.turn.now)
            connected.setblocking(False)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # where MQTT's keep-alive is long, or none
            SocketTransport(loop, connected, self.make_stream())

    def why_not(self) -> str:
        """The limit that forbids to accept another connection now, or nothing; who waits, waits in the backlog."""
        turn = self.turn
        admission = turn.core.admission
        limit = admission.is_closed
        if not limit and len(turn.streams) >= turn.core.limits.max_connections + TOLD:
            limit = "max_connections"
        if not limit and not self.pace.has_one(turn.begin()):
            limit = "accept_rate"
        return limit

    def rest(self, sock: socket.socket) -> None:
        """Accept nobody for a while."""
        loop = self.turn.loop
        loop.remove_reader(sock)
        self.rests.append(loop.call_later(REST, self.accept_again, sock))

    def accept_again(self, sock: socket.socket) -> None:
        """There may be descriptors again."""
        self.rests.clear()
        if sock in self.sockets:
            self.turn.loop.add_reader(sock, self.accept, sock)

    def close(self) -> None:
        """Accept nobody any more."""
        for rest in self.rests:
            rest.cancel()
        self.rests.clear()
        for server in self.servers:
            server.close()
        for sock in self.sockets:
            if not self.servers:
                self.turn.loop.remove_reader(sock)
            sock.close()
        self.servers.clear()
        self.sockets.clear()


class SentAway(asyncio.Protocol):
    """A connection that is closed at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: somebody is there."""
        transport.close()


def joined(host: str, port: int) -> str:
    """HOST:PORT, or [IPV6]:PORT."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
