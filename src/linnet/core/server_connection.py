"""The broker's end of a connection: what a client may send, and what it gets for it."""

from typing import Any

from linnet.core.aliases import IncomingAliases
from linnet.core.backlog import FINE, NOBODY_ASKS, Backlog
from linnet.core.broker import BrokerCore
from linnet.core.connection import Connection
from linnet.core.fanout import Fanout
from linnet.core.guard import check_properties, guard
from linnet.core.handshake import Handshake
from linnet.core.limits import Limits
from linnet.core.outbox import Outbox
from linnet.core.owed import Owed, acknowledge, check_owed, settle
from linnet.core.pace import ClientPace
from linnet.core.ports import Peer
from linnet.core.requests import TAKERS
from linnet.core.router import Route, Router
from linnet.core.session import NO_SESSION, Session
from linnet.core.statistics import Statistics
from linnet.errors import ProtocolError, ReasonCode
from linnet.wire.codec import Packet
from linnet.wire.connect import Connect
from linnet.wire.control import Disconnect, Pingreq, Pingresp
from linnet.wire.header import PacketType
from linnet.wire.message import Message, packet_id_bytes
from linnet.wire.properties import Properties
from linnet.wire.publish import Publish, read_publish

PUBACK_START = b"\x40\x02"
PUBREC_START = b"\x50\x02"
PUBREC = 5
CONNECT_HEADER = 0x10
PACKET_WORK = 4  # deliveries with QoS 0 that are as much work as any other packet, but for what is in it
PINGRESP = b"\xd0\x00"
SHOWN = 64  # bytes at most of a packet that was wrong, for the log
GRACE = 1.5  # times the keep-alive, after which a silent client is gone [MQTT-3.1.2-22]


class ServerConnection(Connection):
    """A client's connection, seen from the broker."""

    __slots__ = (
        "aliases",
        "backlog",
        "core",
        "deadline",
        "handshake",
        "has_guard",
        "keep_alive",
        "limits",
        "owed",
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
            Outbox(
                core.marked,
                limits.max_output_bytes,
                stream,
                limits.max_output_bytes_hard,
                Statistics(core.ledger.losers),
            ),
            min(limits.max_connect_size, limits.max_packet_size),
        )
        self.core = core
        self.limits = limits  # those of the time when CONNECT was answered: what CONNACK told holds to the end
        self.router: Router = core.router
        self.backlog: Backlog = core.backlog
        self.owed: Owed | None = None  # acknowledgements that have to wait
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
        core.ledger.accepted += 1
        core.admission.arrive(self, now)

    def __repr__(self) -> str:
        who = repr(self.session.client_id) if self.session is not NO_SESSION else "not connected yet"
        state = "opening" if self.is_opening else "open" if self.is_open else "closed"
        return f"<ServerConnection {who} MQTT {self.version.name} from {self.peer.address}, {state}>"

    def obey(self, limits: Limits) -> None:
        """Take over those limits that the client was told nothing of."""
        is_short = self.core.admission.is_closed == "memory_high"  # then QoS 0 does not wait
        self.outbox.obey(0 if is_short else limits.max_output_bytes, limits.max_output_bytes_hard)
        self.tells_no_subscribers = limits.tell_no_subscribers and self.version.can_say_why
        is_watched = self.core.publish_hook is not None or limits.check_payload_format
        if self.pace is not None:
            self.pace.obey(limits)
        elif limits.max_publish_rate > 0 or limits.max_byte_rate > 0:
            self.pace = ClientPace(self, limits, self.last_heard)
        self.has_guard = is_watched or self.pace is not None or self.limits.max_qos < 2

    def connect_is_late(self, now: float) -> None:
        """No CONNECT within the time that is given for it."""
        if self.is_opening:
            detail = "no CONNECT in time"
            self.core.reached("connect_timeout", self, detail)
            self.finish(detail, now)

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
        self.statistics.publish_received(publish.qos)
        if publish.alias or publish.identifiers or not publish.topic_name:
            self.resolve(publish)
        route = self.router.routes.get(publish.topic_name)
        if route is None:
            route = self.router.find(publish.topic_name)
        if publish.is_plain and not (publish.forwarded or self.has_guard or route.is_special):
            self.router.publish(publish, route, now)  # nothing to look at, and nothing owed
            if self.router.delivered > self.router.budget:
                self.yield_turn()
            return
        if publish.qos == 2:
            if self.receiver.is_repeated(publish.packet_id):  # [MQTT-4.3.3-10]
                acknowledge(self, PUBREC, PUBREC_START + packet_id_bytes(publish.packet_id), [])
                return
            self.receiver.check_quota()
        if self.owed is not None:
            check_owed(self, publish.qos)
        if self.has_guard or publish.retain or route.is_special or publish.forwarded:
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
        if route.is_wide:
            self.fan_out(publish, message, route)
            return
        if publish.qos == 0:
            self.router.publish(message, route, now)
            return
        backlog = self.backlog
        backlog.verdict = FINE
        backlog.knows_no_refusal = not self.has_properties
        count = self.router.publish(message, route, now)
        verdict = backlog.verdict
        backlog.verdict = NOBODY_ASKS
        if self.router.delivered > self.router.budget:
            self.yield_turn()
        if verdict != FINE or self.owed is not None or (count == 0 and self.tells_no_subscribers):
            is_for_nobody = not route.targets and not route.groups
            settle(self, publish, verdict, is_for_nobody, backlog.take_overfull())
            return
        octets = packet_id_bytes(publish.packet_id)
        if publish.qos == 1:
            self.statistics.puback_sent += 1
            self.outbox.put(PUBACK_START)
        else:
            self.receiver.keep(publish.packet_id)
            self.statistics.pubrec_sent += 1
            self.outbox.put(PUBREC_START)
        self.outbox.put(octets)

    def yield_turn(self) -> None:
        """Much was delivered in this turn: let the others have theirs before the next message."""
        self.pause()
        self.core.resume(self)

    def fan_out(self, publish: Publish, message: Message, route: Route) -> None:
        """Hand a message on to very many, in slices. One that is sent again meanwhile is not handed on twice."""
        if publish.qos == 2:
            self.receiver.keep(publish.packet_id)
        self.core.fan_out(message, route, self, lambda fanout, then: self.fanned_out(publish, fanout, then))

    def fanned_out(self, publish: Publish, fanout: Fanout, now: float) -> None:
        """A message has reached all of very many; go on with the next."""
        if publish.qos > 0 and self.is_open:
            if publish.qos == 2:
                self.receiver.release(publish.packet_id)  # unless it is refused, it is kept again
            settle(self, publish, fanout.verdict, False, fanout.holders)
        self.core.resume(self)

    def opening(self, first: int, now: float) -> None:
        """Nothing but CONNECT comes first [MQTT-3.1.0-1]; known from the first byte, however long the rest is."""
        if self.statistics.bytes_received == 0 and first != CONNECT_HEADER:
            self.intrude("the first byte is not that of a CONNECT", first, now)

    def intrude(self, detail: str, header: int, now: float) -> None:
        """Something else comes before it may: tell the observers, and say nothing to who may not speak MQTT at all."""
        detail += " [MQTT-3.1.0-1]"
        for observer in self.core.observers:
            observer.failed(self, detail, bytes((header,)))
        self.finish(detail, now)

    def receive_other(self, header: int, body: bytes, now: float) -> None:
        """While the handshake goes on, only its own packets are taken."""
        if self.is_opening and self.handshake is not None and not self.handshake.admits(header >> 4):
            self.intrude(f"packet type {header >> 4} before CONNECT was answered", header, now)
            return
        super().receive_other(header, body, now)
        router = self.router
        router.delivered += PACKET_WORK + 2 * len(body)  # a read may hold thousands of these, or of filters
        if router.delivered > router.budget:
            self.yield_turn()

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
        is_secret = frames.header >> 4 in (PacketType.CONNECT, PacketType.AUTH)
        packet = frames.data[frames.start : min(frames.stop, frames.start + (1 if is_secret else SHOWN))]
        if error.limit:
            is_older = error.limit == "receive_maximum" and not self.has_properties
            self.core.reached("receive_maximum_3" if is_older else error.limit, self, str(error))
        for observer in self.core.observers:
            observer.failed(self, str(error), packet)
        super().fail(error, now)

    def ended(self, was_open: bool, now: float) -> None:
        """Tell everyone who has to know."""
        core = self.core
        core.connections.pop(self, None)
        core.deadlines.cancel(self.deadline)
        core.admission.leave(self, was_open, now)
        core.ledger.close(self.statistics)
        if self.owed is not None:
            self.backlog.abandon(self.owed)
        self.handshake = self.owed = self.pace = None  # they refer to this connection, as it does to them
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
