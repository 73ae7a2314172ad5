"""The broker's end of a connection: what a client may send, and what it gets for it."""

from typing import Any

from linnet.core.aliases import IncomingAliases
from linnet.core.broker import BrokerCore
from linnet.core.connection import Connection
from linnet.core.guard import check_properties, guard
from linnet.core.handshake import Handshake
from linnet.core.limits import Limits
from linnet.core.outbox import Outbox
from linnet.core.ports import Peer
from linnet.core.requests import TAKERS
from linnet.core.router import Route, Router
from linnet.core.session import NO_SESSION, Session
from linnet.errors import ProtocolError, ReasonCode
from linnet.wire.codec import Packet
from linnet.wire.connect import Connect
from linnet.wire.control import Disconnect, Pingreq, Pingresp
from linnet.wire.header import PacketType
from linnet.wire.properties import Properties
from linnet.wire.publish import Message, Publish, packet_id_bytes, read_publish

PUBACK_START = b"\x40\x02"
PUBREC_START = b"\x50\x02"
PUBACK_WHY_START = b"\x40\x03"
PUBREC_WHY_START = b"\x50\x03"
NO_SUBSCRIBERS = b"\x10"
CONNECT_HEADER = 0x10
PINGRESP = b"\xd0\x00"
GRACE = 1.5  # times the keep-alive, after which a silent client is gone [MQTT-3.1.2-22]


class ServerConnection(Connection):
    """A client's connection, seen from the broker."""

    __slots__ = (
        "aliases",
        "core",
        "deadline",
        "handshake",
        "has_guard",
        "keep_alive",
        "limits",
        "peer",
        "router",
        "said_goodbye",
        "session",
        "tells_no_subscribers",
    )

    def __init__(self, core: BrokerCore, stream: Any, peer: Peer, now: float) -> None:
        limits = core.limits
        super().__init__(
            stream,
            Outbox(core.marked, limits.max_output_bytes, stream, limits.max_output_bytes_hard),
            min(limits.max_connect_size, limits.max_packet_size),
        )
        self.core = core
        self.limits = limits  # those of the time when CONNECT was answered: what CONNACK told holds to the end
        self.router: Router = core.router
        self.peer = peer
        self.session: Session = NO_SESSION
        self.aliases: IncomingAliases | None = None
        self.handshake: Handshake | None = Handshake(self)
        self.keep_alive = 0
        self.is_server = True
        self.said_goodbye = False
        self.has_guard = False  # whether each PUBLISH has to be looked at more closely
        self.tells_no_subscribers = False
        self.last_heard = now
        self.deadline = core.deadlines.at(now + limits.connect_timeout, self.connect_is_late)
        core.connections[self] = None

    def __repr__(self) -> str:
        who = repr(self.session.client_id) if self.session is not NO_SESSION else "not connected yet"
        state = "opening" if self.is_opening else "open" if self.is_open else "closed"
        return f"<ServerConnection {who} MQTT {self.version.name} from {self.peer.address}, {state}>"

    def obey(self, limits: Limits) -> None:
        """Take over those limits that the client was told nothing of."""
        self.outbox.limit = limits.max_output_bytes
        self.outbox.hard_limit = limits.max_output_bytes_hard
        self.tells_no_subscribers = limits.tell_no_subscribers and self.version.can_say_why
        is_watched = self.core.publish_hook is not None or limits.check_payload_format
        self.has_guard = is_watched or self.limits.max_qos < 2

    def connect_is_late(self, now: float) -> None:
        """No CONNECT within the time that is given for it."""
        if self.is_opening:
            self.finish("not connected in time", now)

    def keep_alive_is_due(self, now: float) -> None:
        """Has the client been heard within one and a half times its keep-alive?"""
        due = self.last_heard + self.keep_alive * GRACE
        if not self.is_open:
            return
        if self.waiting:
            due = now + self.keep_alive * GRACE  # it is we who do not listen
        if due <= now:
            self.close(ReasonCode.KEEP_ALIVE_TIMEOUT, f"nothing heard for {now - self.last_heard:.1f} s", now)
        else:
            self.deadline = self.core.deadlines.at(due, self.keep_alive_is_due)

    def receive_publish(self, now: float) -> None:
        """Decode, accept, route: the first steps of a message's way."""
        frames = self.frames
        session = self.session
        publish = read_publish(
            frames.data,
            frames.header,
            frames.start,
            frames.body,
            frames.stop,
            self.has_properties,
            session.client_id,
        )
        publish.received_at = now
        session.published += 1
        if publish.alias or publish.identifiers or not publish.topic_name:
            self.resolve(publish)
        route = self.router.routes.get(publish.topic_name)
        if route is None:
            route = self.router.find(publish.topic_name)
        if publish.is_plain and not (publish.forwarded or self.has_guard or route.is_reserved):
            self.router.publish(publish, route, now)  # nothing to look at, and nothing owed
            return
        if publish.qos == 2:
            if self.receiver.is_repeated(publish.packet_id):  # [MQTT-4.3.3-10]
                self.outbox.put(PUBREC_START + packet_id_bytes(publish.packet_id))
                return
            self.receiver.check_quota()
        if self.has_guard or publish.retain or route.is_reserved or publish.forwarded:
            guard(self, publish, route, now)
        else:
            self.accept(publish, publish, route, now)

    def resolve(self, publish: Publish) -> None:
        """Find the topic name that an alias stands for [MQTT-3.3.2-8]."""
        if publish.identifiers:
            raise ProtocolError(
                ReasonCode.PROTOCOL_ERROR, "a client's PUBLISH has a Subscription Identifier", "MQTT-3.3.4-6"
            )
        if publish.alias and self.aliases is not None:
            publish.topic_name = self.aliases.resolve(publish.alias, publish.topic_name)
            publish.alias = 0
        elif not publish.topic_name:
            raise ProtocolError(
                ReasonCode.PROTOCOL_ERROR,
                "PUBLISH without topic name and without topic alias",
                "MQTT-3.3.2-1",
            )

    def accept(self, publish: Publish, message: Message, route: Route, now: float) -> None:
        """Hand the message on, and acknowledge its PUBLISH: it is ours now [MQTT-4.3.2-4, MQTT-4.3.3-8]."""
        count = self.router.publish(message, route, now)
        if publish.qos == 0:
            return
        octets = packet_id_bytes(publish.packet_id)
        if publish.qos == 2:
            self.receiver.keep(publish.packet_id)
        if count == 0 and self.tells_no_subscribers and not route.targets and not route.groups:
            start = PUBACK_WHY_START if publish.qos == 1 else PUBREC_WHY_START
            self.outbox.put(start + octets + NO_SUBSCRIBERS)
        elif publish.qos == 1:
            self.outbox.put(PUBACK_START)
            self.outbox.put(octets)
        else:
            self.outbox.put(PUBREC_START)
            self.outbox.put(octets)

    def opening(self, first: int, now: float) -> None:
        """Nothing but CONNECT comes first [MQTT-3.1.0-1]; known from the first byte, however long the rest is."""
        if self.bytes_received == 0 and first != CONNECT_HEADER:
            self.finish(f"the first byte is {first:#04x}, not that of a CONNECT", now)

    def receive_other(self, header: int, body: bytes, now: float) -> None:
        """While the handshake goes on, only its own packets are taken."""
        if self.is_opening and self.handshake is not None and not self.handshake.admits(header >> 4):
            self.finish(f"packet type {header >> 4} before CONNECT was answered", now)
            return
        super().receive_other(header, body, now)

    def dispatch(self, packet: Packet, now: float) -> None:
        """Take a decoded packet; those that only a server sends were refused before."""
        if not isinstance(packet, Connect | Pingreq | Pingresp | Publish):
            check_properties(packet.properties, packet.type, self.core.limits)
        TAKERS[packet.type](self, packet, now)

    def fail(self, error: ProtocolError, now: float) -> None:
        """The client broke the protocol: tell the observers, then the client."""
        if self.is_opening and self.handshake is not None:
            self.handshake.refuse(error, now)
            return
        frames = self.frames
        is_secret = frames.header >> 4 == PacketType.AUTH
        packet = b"" if is_secret else frames.data[frames.start : frames.start + 64]
        for observer in self.core.observers:
            observer.failed(self, str(error), packet)
        super().fail(error, now)

    def ended(self, was_open: bool, now: float) -> None:
        """Tell everyone who has to know."""
        core = self.core
        core.connections.pop(self, None)
        core.deadlines.cancel(self.deadline)
        session = self.session
        if not was_open:
            return
        core.leave(session, self.said_goodbye, now)
        for observer in core.observers:
            observer.disconnected(session, self, self.closed_because)

    def redirect(self, reason_code: int, reference: str, now: float) -> None:
        """Tell the client to use another server [MQTT-4.11.0-1], and close."""
        if self.is_open and self.version.can_say_why:
            packet = Disconnect(reason_code, Properties(server_reference=reference))
            self.put_fitting(packet, Disconnect(reason_code))
        self.finish("told to use another server", now)
