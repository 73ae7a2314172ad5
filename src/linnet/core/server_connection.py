"""The broker's end of a connection: what a client may send, and what it gets for it."""

from collections.abc import Callable
from typing import Any

from linnet.core.aliases import IncomingAliases
from linnet.core.broker import BrokerCore
from linnet.core.connection import CLOSED, OPEN, OPENING, Connection
from linnet.core.handshake import Handshake
from linnet.core.outbox import Outbox
from linnet.core.ports import Peer
from linnet.core.router import Route, Router
from linnet.core.session import NO_SESSION, Session
from linnet.core.subscribing import receive_subscribe, receive_unsubscribe
from linnet.errors import ProtocolError, ReasonCode
from linnet.wire.acks import Ack, Puback, Pubrec
from linnet.wire.codec import Packet
from linnet.wire.connect import Connect
from linnet.wire.control import Auth, Disconnect, Pingreq
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
        "peer",
        "router",
        "said_goodbye",
        "session",
        "tells_no_subscribers",
        "wants_reasons",
    )

    def __init__(self, core: BrokerCore, stream: Any, peer: Peer, now: float) -> None:
        limits = core.limits
        super().__init__(stream, Outbox(core.marked, limits.max_output_bytes, stream), limits.max_connect_size)
        self.core = core
        self.router: Router = core.router
        self.peer = peer
        self.session: Session = NO_SESSION
        self.aliases: IncomingAliases | None = None
        self.handshake: Handshake | None = Handshake(self)
        self.keep_alive = 0
        self.wants_reasons = True  # Request Problem Information [MQTT-3.1.2-29]
        self.said_goodbye = False
        self.has_guard = False  # whether each PUBLISH has to be looked at more closely
        self.tells_no_subscribers = False
        self.last_heard = now
        self.deadline = core.deadlines.at(now + limits.connect_timeout, self.connect_is_late)
        core.connections[self] = None

    def __repr__(self) -> str:
        who = repr(self.session.client_id) if self.session is not NO_SESSION else "not connected yet"
        state = ("opening", "open", "closed")[self.state]
        return f"<ServerConnection {who} MQTT {self.version.name} from {self.peer.address}, {state}>"

    def is_server(self) -> bool:
        """This is the broker's end."""
        return True

    def connect_is_late(self, now: float) -> None:
        """No CONNECT within the time that is given for it."""
        if self.state == OPENING:
            self.finish("no CONNECT in time", now)

    def keep_alive_is_due(self, now: float) -> None:
        """Has the client been heard within one and a half times its keep-alive?"""
        due = self.last_heard + self.keep_alive * GRACE
        if self.state == CLOSED:
            return
        if due <= now:
            self.close(ReasonCode.KEEP_ALIVE_TIMEOUT, f"nothing heard for {now - self.last_heard:.1f} s", now)
        else:
            self.deadline = self.core.deadlines.at(due, self.keep_alive_is_due)

    def receive_publish(self, now: float) -> None:
        """Decode, accept, route: the first steps of a message's way."""
        frames = self.frames
        publish = read_publish(frames.data, frames.header, frames.start, frames.body, frames.stop, self.has_properties)
        session = self.session
        publish.received_at = now
        publish.publisher = session.client_id
        session.published += 1
        if publish.alias or publish.identifiers is not None or not publish.topic_name:
            self.resolve(publish)
        route = self.router.routes.get(publish.topic_name)
        if route is None:
            route = self.router.find(publish.topic_name)
        if publish.qos == 2:
            if self.receiver.is_repeated(publish.packet_id):  # [MQTT-4.3.3-10]
                self.outbox.put(PUBREC_START + packet_id_bytes(publish.packet_id))
                return
            self.receiver.check_quota()
        if self.has_guard or publish.retain or route.is_reserved or publish.forwarded:
            self.guard(publish, route, now)
        else:
            self.accept(publish, publish, route, now)

    def resolve(self, publish: Publish) -> None:
        """Find the topic name that an alias stands for [MQTT-3.3.2-8]."""
        if publish.identifiers is not None:
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
        if count == 0 and self.tells_no_subscribers:
            start = PUBACK_WHY_START if publish.qos == 1 else PUBREC_WHY_START
            self.outbox.put(start + octets + NO_SUBSCRIBERS)
        elif publish.qos == 1:
            self.outbox.put(PUBACK_START + octets)
        else:
            self.outbox.put(PUBREC_START + octets)

    def guard(self, publish: Publish, route: Route, now: float) -> None:
        """Look at a PUBLISH more closely: what we announced, what it holds, and what the hooks say of it."""
        limits = self.core.limits
        if publish.qos > limits.max_qos:
            raise ProtocolError(
                ReasonCode.QOS_NOT_SUPPORTED, f"QoS {publish.qos}, {limits.max_qos} at most", "MQTT-3.2.2-11"
            )
        if publish.retain and not limits.retain_available:
            raise ProtocolError(ReasonCode.RETAIN_NOT_SUPPORTED, "RETAIN is not available", "MQTT-3.2.2-14")
        if publish.user_properties > limits.max_user_properties:
            raise ProtocolError(
                ReasonCode.QUOTA_EXCEEDED,
                f"{publish.user_properties} User Properties, {limits.max_user_properties} allowed",
            )
        if limits.check_payload_format and publish.forwarded:
            self.check_payload(publish)
        if route.is_reserved:
            self.refuse(publish, ReasonCode.NOT_AUTHORIZED)
            return
        hook = self.core.publish_hook
        if hook is None:
            self.admit(publish, publish, now)
        else:
            self.when(hook(self.session, publish), lambda verdict, then: self.admit(publish, verdict, then), now)

    def check_payload(self, publish: Publish) -> None:
        """Is the payload what its Payload Format Indicator says [MQTT-3.3.2-4]?"""
        if publish.properties.payload_format_indicator:
            try:
                publish.payload.decode()
            except UnicodeDecodeError:
                raise ProtocolError(
                    ReasonCode.PAYLOAD_FORMAT_INVALID,
                    "the payload is not UTF-8, as its format indicator says",
                ) from None

    def admit(self, publish: Publish, verdict: Message | ReasonCode, now: float) -> None:
        """Go on with the message that the hook gave back, or refuse."""
        if not isinstance(verdict, Message):
            self.refuse(publish, verdict)
            return
        message = verdict
        if message.retain and not self.core.keep(message) and publish.qos and self.version.can_say_why:
            self.refuse(publish, ReasonCode.QUOTA_EXCEEDED)
            return
        self.accept(publish, message, self.router.find(message.topic_name), now)

    def refuse(self, publish: Publish, reason_code: int) -> None:
        """Acknowledge a PUBLISH with an error; 3.x knows none, so there it looks accepted [3.1.1: MQTT-3.3.5-2]."""
        if publish.qos == 0:
            return
        code = reason_code if self.version.can_say_why else 0
        self.outbox.put((Puback if publish.qos == 1 else Pubrec)(publish.packet_id, code).encode(self.version))
        if publish.qos == 2 and code == 0:
            self.receiver.keep(publish.packet_id)

    def opening(self, first: int, now: float) -> None:
        """Nothing but CONNECT comes first [MQTT-3.1.0-1]; known from the first byte, however long the rest is."""
        if self.bytes_received == 0 and first != CONNECT_HEADER:
            self.finish(f"the first byte is {first:#04x}, not that of a CONNECT", now)

    def receive_other(self, header: int, body: bytes, now: float) -> None:
        """While the handshake goes on, only its own packets are taken."""
        if self.state == OPENING and self.handshake is not None and not self.handshake.admits(header >> 4):
            self.finish(f"packet type {header >> 4} before CONNECT was answered", now)
            return
        super().receive_other(header, body, now)

    def dispatch(self, packet: Packet, now: float) -> None:
        """Take a decoded packet; those that only a server sends were refused before."""
        TAKERS[packet.type](self, packet, now)

    def receive_connect(self, packet: Connect, now: float) -> None:
        """The first packet, and only the first [MQTT-3.1.0-2]."""
        if self.handshake is None or self.handshake.connect is not None:
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "a second CONNECT", "MQTT-3.1.0-2")
        self.handshake.receive_connect(packet, now)

    def receive_auth(self, packet: Auth, now: float) -> None:
        """Part of an enhanced authentication, if there is one [MQTT-4.12.0-6, MQTT-4.12.1-1]."""
        if self.handshake is None:
            raise ProtocolError(
                ReasonCode.PROTOCOL_ERROR, "AUTH without an Authentication Method in CONNECT", "MQTT-4.12.0-6"
            )
        self.handshake.receive_auth(packet, now)

    def receive_disconnect(self, packet: Disconnect, now: float) -> None:
        """The client says goodbye, or goes and wants its will published [MQTT-3.14.4-3]."""
        session = self.session
        expiry = packet.properties.session_expiry_interval
        if expiry is not None:
            if session.expiry_interval == 0 and expiry != 0:
                raise ProtocolError(
                    ReasonCode.PROTOCOL_ERROR,
                    "Session Expiry Interval raised from 0 at DISCONNECT",
                    "MQTT-3.14.2-2",
                )
            session.expiry_interval = min(expiry, self.core.limits.max_session_expiry)
        self.said_goodbye = packet.reason_code == ReasonCode.SUCCESS
        self.finish(f"the client disconnected with reason code {packet.reason_code:#04x}", now)

    def receive_ping(self, packet: Pingreq, now: float) -> None:
        """Still there? Still here."""
        self.outbox.put(PINGRESP)  # [MQTT-3.12.4-1]

    def receive_long_ack(self, packet: Ack, now: float) -> None:
        """An acknowledgement that says more than its packet identifier."""
        self.receive_ack(packet.type, packet.packet_id, packet.reason_code, now)

    def fail(self, error: ProtocolError, now: float) -> None:
        """The client broke the protocol: tell the observers, then the client."""
        frames = self.frames
        for observer in self.core.observers:
            observer.failed(self, str(error), frames.data[frames.start : frames.start + 64])
        if self.state == OPENING and self.handshake is not None:
            self.handshake.refuse(error, now)
        else:
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
        if self.state == OPEN and self.version.can_say_why:
            packet = Disconnect(reason_code, Properties(server_reference=reference))
            self.put_fitting(packet, Disconnect(reason_code))
        self.finish("told to use another server", now)

    def reason_properties(self, detail: str) -> Properties:
        """A Reason String, unless the client asked not to be told [MQTT-3.1.2-29]."""
        return Properties(reason_string=detail[:1024]) if self.wants_reasons else Properties()


# Who takes which packet
TAKERS: dict[int, Callable[[ServerConnection, Any, float], None]] = {
    PacketType.CONNECT: ServerConnection.receive_connect,
    PacketType.PUBACK: ServerConnection.receive_long_ack,
    PacketType.PUBREC: ServerConnection.receive_long_ack,
    PacketType.PUBREL: ServerConnection.receive_long_ack,
    PacketType.PUBCOMP: ServerConnection.receive_long_ack,
    PacketType.SUBSCRIBE: receive_subscribe,
    PacketType.UNSUBSCRIBE: receive_unsubscribe,
    PacketType.PINGREQ: ServerConnection.receive_ping,
    PacketType.DISCONNECT: ServerConnection.receive_disconnect,
    PacketType.AUTH: ServerConnection.receive_auth,
}
