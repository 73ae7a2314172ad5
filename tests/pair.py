"""Both ends of a connection, joined without a socket, a loop or a clock.

    world = World()
    bob = world.client("bob")
    bob.subscribe("a/+", 1)
    world.client("alice").publish("a/b", b"hello", 1)
    world.settle()
    assert bob.payloads == [b"hello"]

A `World` is a broker's core with a clock that only `advance` moves. A `Client` is a small MQTT client made of the wire
codec and of the same Sender and Receiver that the broker uses, so that what is in flight survives a `cut`. Bytes lie on
the line, in both directions, until `settle` moves them all or `move` moves some.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from linnet.core.backlog import Backlog
from linnet.core.broker import BrokerCore
from linnet.core.outbox import Outbox
from linnet.core.ports import Hooks, Observer, Peer
from linnet.core.receiver import Receiver
from linnet.core.sender import Sender
from linnet.core.server_connection import ServerConnection
from linnet.core.session import NO_SESSION, Session
from linnet.core.subscriptions import Subscription
from linnet.core.topics import Filter
from linnet.server import limits_of
from linnet.settings import Settings
from linnet.wire import (
    V5,
    Connack,
    Connect,
    Disconnect,
    FrameReader,
    Message,
    Packet,
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

FOR_EVER = 0xFFFFFFFF
NONE = Subscription(
    NO_SESSION, Filter(b"", b"", b""), SubscriptionOptions()
)  # a client publishes under no subscription
UNLIMITED = 1 << 30


class Line:
    """Stands where the broker has its stream: keeps what the broker writes, and whether it has closed."""

    def __init__(self) -> None:
        self.outbox: Outbox | None = None
        self.sent = bytearray()  # on its way to the client
        self.is_blocked = False  # as if the socket's buffer were full
        self.has_finished = False
        self.is_paused = False  # the broker does not read
        self.question: Callable[[Any, float], None] | None = None  # who waits for a hook's answer

    def write(self) -> None:
        if self.outbox is not None and self.outbox.pieces and not self.is_blocked:
            self.sent += self.outbox.take()

    def finish(self) -> None:
        self.has_finished = True

    def unsent(self) -> int:
        return 0

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def wait(self, verdict: object, then: Callable[[Any, float], None]) -> None:
        self.question = then

    def answer(self, answer: object, now: float) -> None:
        """The hook has made up its mind."""
        then, self.question = self.question, None
        assert then is not None, "nobody waits for an answer"
        then(answer, now)


class World:
    """A broker's core, the time, and the clients."""

    def __init__(self, hooks: Hooks | None = None, observers: Sequence[Observer] = (), **settings: Any) -> None:
        self.now = 1000.0
        self.names = 0
        self.core = BrokerCore(limits_of(Settings(**settings)), self.new_name, hooks, tuple(observers))
        self.core.start(self.now)
        self.clients: list[Client] = []

    def new_name(self) -> str:
        self.names += 1
        return f"{self.names}"

    @property
    def sessions(self) -> dict[str, Session]:
        return self.core.sessions

    def client(self, client_id: str = "", **connect: Any) -> Client:
        """A client that is connected, with CONNACK received."""
        client = Client(self, client_id)
        client.connect(**connect)
        self.settle()
        return client

    def publish(self, topic: str, payload: bytes = b"", qos: int = 0, retain: bool = False, **properties: Any) -> int:
        """Publish a message that comes from no client; to how many it went."""
        message = Message(topic, payload, qos, retain, Properties(**properties) if properties else None)
        message.received_at = self.now
        return self.core.publish(message, self.now)

    def turn(self) -> bool:
        """What the event loop does at the end of a turn; whether it did anything."""
        marked = [outbox for outbox in self.core.marked if outbox.pieces]
        more = len(self.core.chores) > 0 and self.core.chores.run(self.now)
        for outbox in self.core.marked:
            outbox.stream.write()
        self.core.marked.clear()
        return more or any(not outbox.pieces for outbox in marked)

    def settle(self) -> None:
        """Move bytes both ways until nothing moves any more."""
        while True:
            moved = self.turn()
            for client in self.clients:
                moved |= client.move()
            if not moved:
                return

    def advance(self, seconds: float) -> None:
        """Let time go by; what is due happens when it is due."""
        end = self.now + seconds
        while (at := self.core.deadlines.next_at) is not None and at <= end:
            self.now = max(self.now, at)
            self.core.deadlines.run(self.now)
        self.now = end
        self.settle()


class Client:
    """A client's session, and its connection while there is one."""

    def __init__(self, world: World, client_id: str) -> None:
        self.world = world
        self.client_id = client_id
        self.version: Version = V5
        self.sender = Sender(Backlog(UNLIMITED, UNLIMITED))
        self.receiver = Receiver(65535)
        self.receive_maximum = 65535
        self.connack: Connack | None = None
        self.packets: list[Packet] = []  # all that came, over all connections
        self.got: list[Publish] = []  # messages: those of QoS 2 once
        self.acknowledges = True  # or keeps what it owes until `acknowledge`
        self.owed: list[Packet] = []
        self.unacknowledged: set[int] = set()  # packet identifiers that the broker has in flight on this connection
        self.most_unacknowledged = 0
        self.outbox = Outbox([], UNLIMITED)
        self.frames = FrameReader(UNLIMITED)
        self.line = Line()
        self.connection: ServerConnection | None = None
        self.last_id = 0
        world.clients.append(self)

    def __repr__(self) -> str:
        return f"<Client {self.client_id!r}, {len(self.packets)} packets received>"

    # -- coming and going

    def connect(
        self,
        version: Version = V5,
        clean_start: bool = True,
        keep_alive: int = 0,
        will: Will | None = None,
        expiry: int | None = None,
        receive_maximum: int | None = None,
        properties: Properties | None = None,
    ) -> None:
        """Open a connection and send CONNECT."""
        properties = properties or Properties()
        if expiry is not None:
            properties.session_expiry_interval = expiry
        if receive_maximum is not None:
            properties.receive_maximum = receive_maximum
        self.open()
        self.version = version
        self.receive_maximum = receive_maximum or 65535
        self.send(Connect(self.client_id, clean_start, keep_alive, will=will, properties=properties, version=version))

    def open(self) -> None:
        """Open a connection and say nothing yet."""
        assert self.connection is None, "it is connected already"
        self.frames = FrameReader(UNLIMITED)
        self.outbox = Outbox([], UNLIMITED)
        self.line = Line()
        self.owed.clear()
        self.unacknowledged.clear()
        self.connack = None
        self.connection = ServerConnection(self.world.core, self.line, Peer("pair", "pair"), self.world.now)
        self.line.outbox = self.connection.outbox

    def cut(self) -> None:
        """The connection breaks: what is on the line is lost in both directions."""
        connection = self.connection
        assert connection is not None, "it is not connected"
        self.hang_up()
        connection.finish("cut", self.world.now)

    def hang_up(self) -> None:
        self.connection = None
        self.sender.detach()

    def disconnect(self, reason_code: int = 0, properties: Properties | None = None) -> None:
        self.send(Disconnect(reason_code, properties or Properties()))
        self.settle()

    @property
    def is_open(self) -> bool:
        return self.connection is not None

    # -- the verbs

    def send(self, packet: Packet | bytes) -> None:
        self.outbox.put(packet if isinstance(packet, bytes) else packet.encode(self.version))

    def publish(
        self, topic: str, payload: bytes = b"", qos: int = 0, retain: bool = False, properties: Properties | None = None
    ) -> None:
        """Publish; QoS 1 and 2 wait for a connection and for their turn, whatever happens to the line."""
        message = Message(topic, payload, qos, retain, properties)
        message.received_at = self.world.now
        if qos:
            self.sender.deliver(message, qos, retain, b"", NONE, self.world.now)
        elif self.connection is not None:
            self.outbox.publish(message, 0, retain, False, 0, b"", self.world.now)

    def subscribe(
        self,
        filters: str | list[tuple[str, SubscriptionOptions]],
        qos: int = 0,
        identifier: int | None = None,
        **options: Any,
    ) -> list[int]:
        """Subscribe, and the reason codes of the answer."""
        if isinstance(filters, str):
            filters = [(filters, SubscriptionOptions(qos, **options))]
        identifiers = [] if identifier is None else [identifier]
        packet_id = self.next_id()
        self.send(Subscribe(packet_id, filters, Properties(subscription_identifiers=identifiers)))
        self.settle()
        return [code for packet in self.all(Suback) if packet.packet_id == packet_id for code in packet.reason_codes]

    def unsubscribe(self, *filters: str) -> list[int]:
        packet_id = self.next_id()
        self.send(Unsubscribe(packet_id, list(filters), Properties()))
        self.settle()
        return [code for packet in self.all(Unsuback) if packet.packet_id == packet_id for code in packet.reason_codes]

    def next_id(self) -> int:
        """A packet identifier above those that the sender uses in a test."""
        self.last_id += 1
        return 60000 + self.last_id

    def acknowledge(self, count: int | None = None) -> None:
        """Send the first answers that are owed, or all."""
        now, self.owed = self.owed[:count], self.owed[count:] if count is not None else []
        for packet in now:
            self.reply(packet)

    # -- the questions

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.got]

    @property
    def session(self) -> Session:
        return self.world.sessions[self.client_id]

    def all(self, kind: type[Any]) -> list[Any]:
        return [packet for packet in self.packets if isinstance(packet, kind)]

    def the(self, kind: type[Any]) -> Any:
        """The one packet of this type that came."""
        found = self.all(kind)
        assert len(found) == 1, f"{self} got {self.packets}"
        return found[0]

    def settle(self) -> None:
        self.world.settle()

    # -- the line

    def move(self, to_broker: int | None = None, to_client: int | None = None) -> bool:
        """Move so many bytes in each direction (None: all there are); whether anything happened."""
        connection = self.connection
        if connection is None:
            return False
        moved = False
        waiting = self.outbox.take() if self.outbox.pieces else b""
        data, left = (waiting, b"") if to_broker is None else (waiting[:to_broker], waiting[to_broker:])
        if left:
            self.outbox.put(left)
        if data and not self.line.has_finished:
            connection.receive(data, self.world.now)
            self.world.turn()
            moved = True
        self.line.write()
        data = bytes(self.line.sent if to_client is None else self.line.sent[:to_client])
        del self.line.sent[: len(data)]
        if data:
            self.frames.feed(data)
            while self.connection is not None and self.frames.next():
                self.take(decode(self.frames.data[self.frames.start : self.frames.stop], self.version, False))
            moved = True
        if self.line.has_finished and not self.line.sent and self.connection is not None:
            self.hang_up()
            moved = True
        return moved

    def take(self, packet: Packet) -> None:
        self.packets.append(packet)
        if isinstance(packet, Connack):
            self.accepted(packet)
        elif isinstance(packet, Publish):
            self.take_publish(packet)
        elif isinstance(packet, Pubrel):
            self.receiver.release(packet.packet_id)
            self.owe(Pubcomp(packet.packet_id))
        elif isinstance(packet, Puback | Pubrec | Pubcomp):
            known = self.sender.acknowledge(packet.type, packet.packet_id, packet.reason_code, self.world.now)
            if not known and isinstance(packet, Pubrec):
                self.owe(Pubrel(packet.packet_id))

    def accepted(self, connack: Connack) -> None:
        self.connack = connack
        self.client_id = connack.properties.assigned_client_identifier or self.client_id
        if connack.reason_code:
            return
        if not connack.session_present:
            self.sender = Sender(Backlog(UNLIMITED, UNLIMITED))
            self.receiver = Receiver(65535)
        self.outbox.has_properties = self.version.has_properties
        self.sender.attach(self.outbox, connack.properties.receive_maximum or 65535, self.world.now)

    def take_publish(self, packet: Publish) -> None:
        if packet.qos:
            self.unacknowledged.add(packet.packet_id)
            self.most_unacknowledged = max(self.most_unacknowledged, len(self.unacknowledged))
            assert len(self.unacknowledged) <= self.receive_maximum, f"{self} is sent more than it can take"
        if packet.qos == 2 and self.receiver.is_repeated(packet.packet_id):
            assert packet.dup, f"{packet!r} comes again without DUP"
        else:
            self.got.append(packet)
        if packet.qos == 2:
            self.receiver.keep(packet.packet_id)
        if packet.qos:
            self.owe(Puback(packet.packet_id) if packet.qos == 1 else Pubrec(packet.packet_id))

    def owe(self, packet: Packet) -> None:
        self.owed.append(packet)
        if self.acknowledges:
            self.acknowledge()

    def reply(self, packet: Packet) -> None:
        if isinstance(packet, Puback | Pubcomp):
            self.unacknowledged.discard(packet.packet_id)
        self.send(packet)
