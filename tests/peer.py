"""A client for tests: it speaks packets over a real TCP socket, and says what it saw when it is disappointed.

    async with Peer(broker, "bob") as bob:
        await bob.subscribe("a/+", qos=1)
        await bob.publish("a/b", b"hello", qos=2)
        assert (await bob.receive()).payload == b"hello"
        await bob.nothing()

A peer reads whenever bytes arrive. Each packet that arrives is kept in `received`, and then goes either to
the call that waits for it as an answer, or to the inbox, from which `receive` takes. No wait is longer than
`PATIENCE`; one that fails tells what was awaited and what came instead.
"""

import asyncio
import dataclasses
import socket
import struct
from collections import deque
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from linnet.errors import LinnetError
from linnet.wire import (
    V5,
    Connack,
    Connect,
    Disconnect,
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
    SubscriptionOptions,
    Unsuback,
    Unsubscribe,
    Version,
    Will,
    decode,
)

PATIENCE = 10.0  # seconds; far above anything a working broker needs, so that only a broken one meets it

EMPTY = Publish("")

T = TypeVar("T")
Packet = Any  # any of the fifteen control packets


class HasPort(Protocol):
    """Whatever listens on a port of this machine, such as a broker."""

    @property
    def port(self) -> int: ...


Target = HasPort | int | tuple[str, int]


def address(target: Target) -> tuple[str, int]:
    """Host and port of a broker, a port number, or an address as it is."""
    if isinstance(target, tuple):
        return target
    return "127.0.0.1", target if isinstance(target, int) else target.port


def show(packet: object) -> str:
    """A packet in a few words: only the fields that say something, and not all of a long payload."""
    if isinstance(packet, Publish):
        names = ("topic", "payload", "qos", "retain", "dup", "packet_id", "properties")
        fields = [(name, getattr(packet, name), getattr(EMPTY, name)) for name in names]
    elif dataclasses.is_dataclass(packet):
        fields = [
            (field.name, getattr(packet, field.name), field.default)
            if field.default_factory is dataclasses.MISSING
            else (field.name, getattr(packet, field.name), field.default_factory())
            for field in dataclasses.fields(packet)
        ]
    else:
        text = repr(packet)
        return text if len(text) <= 300 else text[:300] + "…"
    said = [f"{name}={show(value)}" for name, value, default in fields if value != default]
    return f"{type(packet).__name__}({', '.join(said)})"


def whole_packet(buffer: bytearray) -> bytes | None:
    """Takes the first complete packet out of the buffer; None when there is not yet one."""
    length = shift = 0
    for at in range(1, min(len(buffer), 5)):
        length |= (buffer[at] & 0x7F) << shift
        shift += 7
        if buffer[at] < 0x80:
            end = at + 1 + length
            if len(buffer) < end:
                return None
            packet = bytes(buffer[:end])
            del buffer[:end]
            return packet
    assert len(buffer) < 5, f"the broker sent a remaining length of more than four bytes: {bytes(buffer[:16])!r}"
    return None


class Line(asyncio.Protocol):
    """A peer's end of the socket: bytes become packets, packets become answers or wait in the inbox."""

    def __init__(self, version: Version, acknowledge: Callable[[Packet], bool]) -> None:
        self.version = version
        self.acknowledge = acknowledge  # true for a packet that nobody needs to hear of
        self.received: list[Packet] = []
        self.inbox: deque[Packet] = deque()
        self.awaited: set[tuple[type, int]] = set()
        self.answers: dict[tuple[type, int], Packet] = {}
        self.buffer = bytearray()
        self.lost = False
        self.fault: Exception | None = None  # what was wrong with the broker's bytes
        self.waiting: set[asyncio.Future[None]] = set()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        try:
            while (packet := whole_packet(self.buffer)) is not None:
                self.arrived(decode(packet, self.version, from_client=False))
        except (LinnetError, AssertionError) as fault:
            self.fault = fault
        self.wake()

    def arrived(self, packet: Packet) -> None:
        self.received.append(packet)
        key = (type(packet), getattr(packet, "packet_id", 0))
        if key in self.awaited:
            self.awaited.discard(key)
            self.answers[key] = packet
        elif not self.acknowledge(packet):
            self.inbox.append(packet)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        if error is not None and not isinstance(error, OSError):
            self.fault = error  # reading the bytes went wrong in an unforeseen way
        self.wake()

    def wake(self) -> None:
        for waiter in self.waiting:
            if not waiter.done():
                waiter.set_result(None)
        self.waiting.clear()

    def send(self, packet: Packet) -> None:
        assert self.transport is not None, "the peer is not connected"
        raw = isinstance(packet, bytes | bytearray)
        self.transport.write(packet if raw else packet.encode(self.version))

    async def ask(self, request: Packet, answer: type, packet_id: int = 0) -> Any:
        """Sends the request and returns its answer, known by type and packet identifier."""
        key = (answer, packet_id)
        self.awaited.add(key)
        self.send(request)
        return await self.until(lambda: self.answers.pop(key, None), f"{answer.__name__} for {show(request)}")

    async def until(self, look: Callable[[], T | None], what: str) -> T:
        """Waits until `look` finds something; the end of the connection or of the patience is a failure."""
        try:
            async with asyncio.timeout(PATIENCE):
                while (found := look()) is None:
                    assert self.fault is None, f"the broker's bytes make no sense: {self.fault!r}"
                    assert not self.lost, self.disappointed(what, "the connection was closed")
                    await self.change()
        except TimeoutError:
            raise AssertionError(self.disappointed(what, f"{PATIENCE:g} seconds went by")) from None
        return found

    async def change(self) -> None:
        """Returns when the next bytes, or the end of the connection, have come."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.add(waiter)
        try:
            await waiter
        finally:
            self.waiting.discard(waiter)

    def disappointed(self, what: str, why: str) -> str:
        last = ", ".join(show(packet) for packet in self.received[-5:]) or "nothing"
        return f"awaited {what}: {why}; received last: {last}"


class Peer:
    """One client: connect, the verbs of MQTT, and the questions a test asks."""

    def __init__(
        self,
        target: Target,
        client_id: str = "",
        version: Version = V5,
        clean_start: bool = True,
        keep_alive: int = 0,
        user_name: str | None = None,
        password: bytes | None = None,
        will: Will | None = None,
        properties: Properties | None = None,
        manual: bool = False,
        host: str | None = None,
    ) -> None:
        self.address = address(target)
        self.source = None if host is None else (host, 0)  # the address of this machine to come from
        self.client_id = client_id
        self.version = version
        self.manual = manual  # acknowledge nothing without being told
        self.connack = Connack()
        self._login: Connect | None = Connect(
            client_id=client_id,
            clean_start=clean_start,
            keep_alive=keep_alive,
            user_name=user_name,
            password=password,
            will=will,
            properties=properties or Properties(),
            version=version,
        )
        self._line = Line(version, self._acknowledge)
        self.received = self._line.received  # every packet that came, in order
        self.inbox = self._line.inbox  # those that nobody has asked for yet
        self._unreleased: set[int] = set()  # QoS 2 messages received whose PUBREL has not come
        self._last_id = 0

    @classmethod
    def raw(cls, target: Target, version: Version = V5, manual: bool = True, host: str | None = None) -> "Peer":
        """A peer that only opens its socket: no CONNECT, and no acknowledgement unless `manual` is false."""
        peer = cls(target, version=version, manual=manual, host=host)
        peer._login = None
        return peer

    # -- coming and going

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE):
            await loop.create_connection(lambda: self._line, *self.address, local_addr=self.source)
        try:
            if self._login is not None:
                self.connack = await self._line.ask(self._login, Connack)
                self.client_id = self.connack.properties.assigned_client_identifier or self.client_id
        except BaseException:
            self.abort()
            raise
        return self

    def __await__(self) -> Generator[Any, None, Self]:
        return self.__aenter__().__await__()

    async def __aexit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        transport = self._line.transport
        if kind is not None:
            self.abort()
        elif self._login is None and transport is not None:
            transport.close()
        elif not self._line.lost:
            await self.disconnect()

    async def disconnect(self, reason_code: int = 0, properties: Properties | None = None) -> None:
        """Takes leave, and waits until the broker has closed: what it does about it is then done."""
        self.reading(True)
        self.send(Disconnect(reason_code, properties or Properties()))
        await self.closed()

    def abort(self) -> None:
        """Resets the connection: no DISCONNECT, no polite end; what was sent just before may be lost."""
        transport = self._line.transport
        if transport is not None and not transport.is_closing():
            at_once = struct.pack("ii", 1, 0)  # a linger of no seconds makes the close a reset
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            transport.abort()

    async def closed(self) -> list[Packet]:
        """Waits for the broker's close, and returns what came before it and was not yet received."""
        await self._line.until(lambda: self._line.lost or None, "the broker to close the connection")
        left = list(self.inbox)
        self.inbox.clear()
        return left

    def reading(self, wanted: bool) -> None:
        """Stops taking bytes from the socket, so that the broker's writes pile up; or goes on."""
        transport = self._line.transport
        if transport is None or transport.is_closing() or transport.is_reading() is wanted:
            return
        (transport.resume_reading if wanted else transport.pause_reading)()

    # -- the verbs

    def send(self, packet: Packet) -> None:
        """Sends a packet, or bytes as they are."""
        self._line.send(packet)

    async def subscribe(
        self,
        filters: str | list[tuple[str, SubscriptionOptions]],
        qos: int = 0,
        no_local: bool = False,
        retain_as_published: bool = False,
        retain_handling: int = 0,
        identifier: int | None = None,
    ) -> Suback:
        """Subscribes to one filter with these options, or to several with their own; returns the SUBACK."""
        if isinstance(filters, str):
            filters = [(filters, SubscriptionOptions(qos, no_local, retain_as_published, retain_handling))]
        properties = Properties(subscription_identifiers=[] if identifier is None else [identifier])
        packet_id = self.next_id()
        answer: Suback = await self._line.ask(Subscribe(packet_id, filters, properties), Suback, packet_id)
        return answer

    async def unsubscribe(self, *filters: str) -> Unsuback:
        packet_id = self.next_id()
        request = Unsubscribe(packet_id, list(filters), Properties())
        answer: Unsuback = await self._line.ask(request, Unsuback, packet_id)
        return answer

    async def publish(
        self,
        topic: str | bytes,
        payload: bytes = b"",
        qos: int = 0,
        retain: bool = False,
        properties: Properties | None = None,
    ) -> Any:
        """Publishes, handshake and all; returns PUBACK, PUBCOMP (or the PUBREC that refuses) or None."""
        packet_id = self.next_id() if qos else 0
        packet = Publish(topic, payload, qos, retain, packet_id=packet_id, properties=properties)
        if qos == 0:
            return self.send(packet)
        if qos == 1:
            return await self._line.ask(packet, Puback, packet_id)
        pubrec = await self._line.ask(packet, Pubrec, packet_id)
        if pubrec.reason_code >= 0x80:
            return pubrec
        return await self._line.ask(Pubrel(packet_id), Pubcomp, packet_id)

    async def ping(self) -> None:
        """Returns when the broker has dealt with everything sent before."""
        await self._line.ask(Pingreq(), Pingresp)

    # -- the questions

    async def receive(self) -> Any:
        """The next packet that is no awaited answer; at QoS 2, when its handshake is complete."""
        packet = await self._line.until(lambda: self.inbox.popleft() if self.inbox else None, "a packet")
        if isinstance(packet, Publish) and packet.qos == 2 and not self.manual:
            number = packet.packet_id
            await self._line.until(
                lambda: (number not in self._unreleased) or self._line.lost or None,
                f"PUBREL for packet identifier {number}",
            )
        return packet

    async def expect(self, kind: type[T]) -> T:
        """The next packet, which has to be of this type."""
        packet = await self._line.until(lambda: self.inbox[0] if self.inbox else None, kind.__name__)
        assert isinstance(packet, kind), f"{self} awaited {kind.__name__}, and got {show(packet)}"
        received: T = await self.receive()
        return received

    async def nothing(self) -> None:
        """Proves that there is nothing to receive: the answer to a PING comes, and nothing came before it."""
        await self.ping()
        assert not self.inbox, f"{self} awaited nothing, and got {', '.join(map(show, self.inbox))}"

    def next_id(self) -> int:
        """A packet identifier for what this peer sends: 1, 2, 3, …"""
        self._last_id = self._last_id % 65535 + 1
        return self._last_id

    def __repr__(self) -> str:
        return f"<Peer {self.client_id or 'without a name'} MQTT {self.version.name}>"

    def _acknowledge(self, packet: Packet) -> bool:
        """Answers a message or its release; true when nobody needs to hear of it."""
        if self.manual:
            return False
        if isinstance(packet, Publish) and packet.qos == 1:
            self.send(Puback(packet.packet_id))
        elif isinstance(packet, Publish) and packet.qos == 2:
            self._unreleased.add(packet.packet_id)
            self.send(Pubrec(packet.packet_id))
        elif isinstance(packet, Pubrel):
            self.send(Pubcomp(packet.packet_id))
            if packet.packet_id in self._unreleased:
                self._unreleased.discard(packet.packet_id)
                return True
        return False
