"""The verbs of a broker in a test that are done when they return. They may be called from any thread.

Both faces of the broker have them, and differ in those that have to wait: see `broker` and `blocking`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Unpack

from linnet.core.session import Session
from linnet.core.topics import is_system
from linnet.errors import LinnetError, ReasonCode
from linnet.net.listener import joined
from linnet.server import Broker as Server
from linnet.testing.bench import Bench
from linnet.testing.faults import Fault
from linnet.testing.memory import MemoryTransport
from linnet.testing.record import Filters, Packets, Wanted
from linnet.wire import Message, Properties

Names = str | tuple[str, ...] | None


class Sights:
    """What a test can see of a broker."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def __repr__(self) -> str:
        return f"<testing.{type(self).__name__} {self.bench.server!r}>"

    @property
    def server(self) -> Server:
        """The broker itself. Touch it on its own event loop only."""
        return self.bench.server

    @property
    def host(self) -> str:
        """The address to connect to."""
        return self._address()[0]

    @property
    def port(self) -> int:
        """The port to connect to; it stays the same when the broker is started again."""
        return self._address()[1]

    @property
    def url(self) -> str:
        """The same as a URL."""
        return f"mqtt://{joined(*self._address())}"

    def _address(self) -> tuple[str, int]:
        if not self.bench.server.listeners:
            raise LinnetError("this broker listens at no port: `dial` it")
        return self.bench.server.addresses[0]

    @property
    def packets(self) -> Packets:
        """The packets that went by, also after the broker has stopped."""
        return Packets(self.bench.record)

    @property
    def clients(self) -> list[str]:
        """The identifiers of the clients that are connected."""
        return self.bench.call(self.bench.clients)

    @property
    def sessions(self) -> dict[str, Session]:
        """The sessions that there are, by client identifier, of clients that are connected and that are not."""
        return self.bench.call(lambda: dict(self.bench.server.sessions))

    @property
    def retained(self) -> dict[str, Message]:
        """The retained messages by topic, without the broker's own."""
        messages = self.bench.server.core.router.retained.messages
        return self.bench.call(
            lambda: {name.decode(): message for name, message in messages.items() if not is_system(name)}
        )


class Verbs(Sights):
    """What a test can do to a broker, and ask it.

    Packets are named by their types ("PUBLISH"); None means all. Which of them are meant, the filters say: see
    `linnet.testing.record.Filters`. `count` is how many packets a rule is applied to, None for all of them.
    """

    async def dial(self, protocol_factory: Callable[[], asyncio.BaseProtocol]) -> asyncio.Transport:
        """Connect in memory: the protocol, and its transport, belong to the event loop that this is awaited on.

        Raises ConnectionRefusedError while the broker is down.
        """
        transport = MemoryTransport(asyncio.get_running_loop(), "memory:broker")
        await self.bench.hop(self.bench.accept(transport))
        transport.start(protocol_factory())
        return transport

    def cut(self, client_id: str | None = None, reason_code: ReasonCode | None = None) -> int:
        """Reset a client's connection, or everybody's; how many that were.

        With a reason code it is closed with a DISCONNECT instead, where the client's version knows one. Raises
        LookupError when there is no such client.
        """
        return self.bench.call(self.bench.cut, client_id, reason_code)

    def refuse(
        self,
        count: int | None = 1,
        reason_code: ReasonCode | None = ReasonCode.SERVER_UNAVAILABLE,
        client_id: str | None = None,
    ) -> Fault:
        """Refuse the next CONNECTs with a reason code; with None, by resetting the connection without an answer."""
        wanted = Wanted("CONNECT") if client_id is None else Wanted("CONNECT", by=client_id)
        return self._rule("refuse", wanted, count, reason_code=reason_code)

    def drop(self, name: Names = None, *, count: int | None = None, **filters: Unpack[Filters]) -> Fault:
        """Let packets get lost: those of a type, or all."""
        return self._rule("drop", Wanted(name, **filters), count)

    def delay(
        self, name: Names = None, seconds: float | None = None, *, count: int | None = None, **filters: Unpack[Filters]
    ) -> Fault:
        """Hold packets back: for some seconds by the broker's clock, or until the rule is lifted.

        What comes after them overtakes them.
        """
        return self._rule("delay", Wanted(name, **filters), count, seconds=seconds)

    def duplicate(self, name: Names = None, *, count: int | None = None, **filters: Unpack[Filters]) -> Fault:
        """Let packets come twice."""
        return self._rule("duplicate", Wanted(name, **filters), count)

    def deny(
        self,
        topic: str = "#",
        *,
        publish: bool = True,
        subscribe: bool = True,
        client_id: str | None = None,
        reason_code: ReasonCode = ReasonCode.NOT_AUTHORIZED,
        count: int | None = None,
    ) -> Fault:
        """Refuse topics with a reason code: to publish to those that match the filter, and to subscribe to them."""
        names = ("PUBLISH",) * publish + ("SUBSCRIBE",) * subscribe
        wanted = Wanted(names, topic=topic) if client_id is None else Wanted(names, topic=topic, by=client_id)
        return self._rule("deny", wanted, count, reason_code=reason_code)

    def _rule(
        self,
        kind: str,
        wanted: Wanted,
        count: int | None,
        seconds: float | None = None,
        reason_code: ReasonCode | None = None,
    ) -> Fault:
        faults = self.bench.faults
        return faults.add(Fault(faults, kind, wanted, count, seconds, reason_code))

    def lift(self) -> None:
        """Lift all rules: from now on nothing is broken on purpose."""
        self.bench.faults.lift()

    def advance(self, seconds: float = 0.0) -> None:
        """Let so much of the broker's time go by: keep-alive, expiry, delayed wills and delayed packets.

        From the first call on the broker's clock stands still between the calls. A client that has a keep-alive is
        given up when more than that goes by: it has no time to ping.
        """
        self.bench.call(self.bench.advance, seconds)

    def publish(
        self,
        topic: str,
        payload: bytes | str = b"",
        *,
        qos: int = 0,
        retain: bool = False,
        properties: Properties | None = None,
    ) -> int:
        """Publish a message of the test's own; to how many subscribers it goes."""
        octets = payload.encode() if isinstance(payload, str) else payload
        message = Message(topic, octets, qos, retain, properties)

        def publish() -> int:
            message.received_at = now = self.bench.turn.begin()
            return self.bench.server.core.publish(message, now)

        return self.bench.call(publish)
