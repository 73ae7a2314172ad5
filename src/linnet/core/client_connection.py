"""The client's end of a connection: what a server may send, and what it gets for it.

The way of a message is the mirror image of the broker's: decode, resolve the alias, find who wants it, hand it over.
Handing over never waits and never calls the program: whoever wants the message has a queue.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from linnet.core.aliases import IncomingAliases, OutgoingAliases
from linnet.core.arrivals import Arrivals
from linnet.core.connection import Connection
from linnet.core.deadlines import Deadlines
from linnet.core.outbox import Outbox
from linnet.core.receiver import Receiver
from linnet.core.sender import Sender
from linnet.core.server_limits import ServerLimits
from linnet.core.topics import TopicRules
from linnet.errors import ProtocolError, ReasonCode
from linnet.wire.acks import Puback, Pubcomp, Pubrec, Pubrel
from linnet.wire.codec import Packet
from linnet.wire.connect import Connack, Connect
from linnet.wire.control import Auth, Disconnect, Pingresp
from linnet.wire.header import PacketType
from linnet.wire.properties import Properties
from linnet.wire.publish import read_into
from linnet.wire.subscribe import Suback, Unsuback

PUBREL = 6
MOST_TOPICS = 10_000  # topic names that are remembered to be right
RULES = TopicRules()
MOST_REQUESTS = 1000  # SUBSCRIBEs and UNSUBSCRIBEs that are sent without an answer
PINGREQ = b"\xc0\x00"
QUIET = 0.75  # of the keep-alive, after which a PINGREQ goes out: the server must hear us within all of it


class ClientOwner:
    """Whoever has the connection is told what happens on it; by default nothing comes of it."""

    def accepted(self, connection: ClientConnection, connack: Connack, now: float) -> None:
        """CONNACK said yes. The owner calls `attach` when it has told the session whether it is still there."""

    def refused(self, connection: ClientConnection, connack: Connack, now: float) -> None:
        """CONNACK said no; the connection is over."""

    def challenged(self, connection: ClientConnection, auth: Auth) -> Any:
        """The server wants another step: the data of it, or an awaitable of that [MQTT-4.12.0-3]."""
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "AUTH that was not asked for", "MQTT-4.12.0-7")

    def authenticated(self, connection: ClientConnection, auth: Auth) -> None:
        """The server is satisfied, after the client has asked to authenticate again [MQTT-4.12.1-1]."""

    def ended(self, connection: ClientConnection, was_open: bool, now: float) -> None:
        """The connection is over."""


class ClientConnection(Connection):
    """A connection to a server, seen from the client."""

    __slots__ = (
        "aliases",
        "arrivals",
        "connect",
        "deadline",
        "deadlines",
        "find",
        "goodbye",
        "keep_alive",
        "kind",
        "last_sent",
        "later",
        "limits",
        "owner",
        "ping_timeout",
        "pinged_at",
        "reason_string",
        "requests",
        "round_trip",
        "topics",
    )

    def __init__(
        self,
        stream: Any,
        outbox: Outbox,
        maximum_packet: int,
        connect: Connect,
        owner: ClientOwner,
        kind: Any,
        find: Callable[[Any], Any],
        deadlines: Deadlines,
    ) -> None:
        super().__init__(stream, outbox, maximum_packet)
        self.version = connect.version
        self.has_properties = connect.version.has_properties
        self.connect = connect
        self.owner = owner
        self.kind = kind  # the class of messages, derived from Publish
        self.find = find  # who wants a message: objects with `put(message)`
        self.deadlines = deadlines
        self.deadline: Any = None
        self.arrivals = Arrivals(0)
        self.aliases: IncomingAliases | None = None
        self.limits = ServerLimits(self.version)
        self.topics: dict[bytes, None] = {}  # names that were found to be right
        # SUBSCRIBEs and UNSUBSCRIBEs without an answer: what has to come, with how many reason codes, who wants it
        self.requests: dict[int, tuple[int, int, Callable[[Any, float], None]]] = {}
        self.later: deque[tuple[Any, Callable[[Any, float], None]]] = deque()  # those that are yet to be sent
        self.goodbye: Disconnect | None = None  # what the server said when it left
        self.reason_string = ""  # of the acknowledgement that is being taken
        self.keep_alive = 0.0  # seconds, 0 = none
        self.ping_timeout = 10.0  # seconds that the server has to answer a PINGREQ
        self.pinged_at = 0.0  # when the last PINGREQ went out that is unanswered, 0 = none
        self.last_sent = 0.0
        self.round_trip = 0.0  # seconds from the last PINGREQ to its answer

    def __repr__(self) -> str:
        state = "opening" if self.is_opening else "open" if self.is_open else "closed"
        return f"<ClientConnection {self.connect.client_id!r} MQTT {self.version.name}, {state}>"

    def begin(self, now: float) -> None:
        """Say CONNECT: the first packet, and the only one until it is answered [MQTT-3.1.0-1]."""
        self.last_heard = now
        self.wants_reasons = True
        self.statistics.connect += 1
        self.outbox.put(self.connect.encode(self.version))

    def attach(
        self,
        sender: Sender,
        receiver: Receiver,
        arrivals: Arrivals,
        enter: Callable[[], float],
        window: int,
        now: float,
    ) -> None:
        """The session goes on here: what was in flight goes out again, and then what waited."""
        self.sender = sender
        self.receiver = receiver
        self.arrivals = arrivals
        arrivals.receiver = receiver
        sender.reserved = self.requests
        arrivals.attach(self.outbox, self.has_properties, enter)
        sender.attach(self.outbox, window, now)

    def receive_publish(self, now: float) -> None:
        """Decode, resolve the alias, hand over."""
        frames = self.frames
        message = self.kind.__new__(self.kind)
        read_into(message, frames.data, frames.header, frames.start, frames.body, frames.stop, self.has_properties)
        message.received_at = now
        qos = message.qos
        self.statistics.publish_received(qos)
        if message.alias or not message.topic_name:
            self.resolve(message)
        if message.topic_name not in self.topics:
            check_topic(message.topic_name, self.topics)
        if qos:
            self.arrive(message)
            return
        message.arrival = None
        self.hand_over(message)

    def hand_over(self, message: Any) -> None:
        """Give it to everyone who wants it; where those are several, each gets one of its own."""
        inboxes = self.find(message)
        if len(inboxes) == 1:
            inboxes[0].put(message)
        else:
            for inbox in inboxes:
                inbox.put(message.copy())

    def resolve(self, message: Any) -> None:
        """Find the topic name that an alias stands for [MQTT-3.3.2-7]."""
        if message.alias and self.aliases is not None:
            message.topic_name = self.aliases.resolve(message.alias, message.topic_name)
        elif not message.topic_name:
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "PUBLISH without topic name and topic alias", "MQTT-3.3.2-1")
        else:
            raise ProtocolError(ReasonCode.TOPIC_ALIAS_INVALID, "topic alias, none agreed", "MQTT-3.3.2-9")

    def arrive(self, message: Any) -> None:
        """Take a message of QoS 1 or 2, unless it is one that came before and is sent again."""
        arrivals = self.arrivals
        packet_id = message.packet_id
        qos = message.qos
        before = arrivals.unacknowledged.pop(packet_id, None) if arrivals.unacknowledged else None
        if before is not None and before.qos == qos and not before.is_given_up and (qos == 2 or message.dup):
            arrivals.resume(before)
            return
        if qos == 2:
            if before is None and self.receiver.is_repeated(packet_id):  # [MQTT-4.3.3-10]
                if not arrivals.is_waiting(packet_id):
                    arrivals.repeat(packet_id)
                return
            self.receiver.keep(packet_id)
        message.arrival = arrival = arrivals.add(packet_id, qos)
        self.hand_over(message)
        arrival.done()

    def receive_ack(self, kind: int, packet_id: int, reason_code: int, now: float) -> None:
        """A PUBREL ends an exchange of ours; the others end, or go on with, one of the sender's."""
        Connection.receive_ack(self, kind, packet_id, reason_code, now)
        if kind == PUBREL:
            self.arrivals.on_release(packet_id)
            self.arrivals.ended()

    def dispatch(self, packet: Packet, now: float) -> None:
        """Take a decoded packet, in the state where it may come [MQTT-3.2.0-1, MQTT-3.2.0-2]."""
        if self.is_opening and packet.type not in (PacketType.CONNACK, PacketType.AUTH, PacketType.DISCONNECT):
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, f"packet type {packet.type} before CONNACK", "MQTT-3.2.0-1")
        if isinstance(packet, Puback | Pubrec | Pubrel | Pubcomp):
            self.reason_string = packet.properties.reason_string or ""
            self.receive_ack(packet.type, packet.packet_id, packet.reason_code, now)
            self.reason_string = ""
        elif isinstance(packet, Suback | Unsuback):
            self.answered(packet, now)
        elif isinstance(packet, Pingresp):
            if self.pinged_at:
                self.round_trip = now - self.pinged_at
            self.pinged_at = 0.0
        elif isinstance(packet, Connack):
            self.receive_connack(packet, now)
        elif isinstance(packet, Auth):
            self.receive_auth(packet, now)
        elif isinstance(packet, Disconnect):
            self.goodbye = packet
            said = packet.properties.reason_string
            code = ReasonCode(packet.reason_code).name.lower().replace("_", " ")
            self.finish(f"the server disconnected us: {code}{f' ({said})' if said else ''}", now)
        else:
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, f"packet type {packet.type} from a server", "MQTT-4.13.1-1")

    def receive_connack(self, connack: Connack, now: float) -> None:
        """The server has decided [MQTT-3.2.2]."""
        if not self.is_opening:
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "a second CONNACK", "MQTT-3.2.0-2")
        if connack.reason_code != ReasonCode.SUCCESS:
            self.owner.refused(self, connack, now)
            self.finish("the server refused CONNECT", now)
            return
        if connack.session_present and self.connect.clean_start:
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "Session Present after a Clean Start", "MQTT-3.2.2-2")
        asked = self.connect.properties
        self.limits = limits = ServerLimits.told(
            connack, self.version, self.connect.keep_alive, asked.session_expiry_interval or 0
        )
        outbox = self.outbox
        outbox.has_properties = self.has_properties
        outbox.maximum_packet = limits.maximum_packet_size
        if self.has_properties:
            self.aliases = IncomingAliases(asked.topic_alias_maximum or 0)
            outbox.aliases = OutgoingAliases(limits.topic_alias_maximum) if limits.topic_alias_maximum else None
        self.opened()
        self.owner.accepted(self, connack, now)
        self.keep_alive = limits.keep_alive
        if self.keep_alive and self.is_open:
            self.keep_alive_is_due(now)

    def receive_auth(self, auth: Auth, now: float) -> None:
        """The server's step of an exchange, or its end [MQTT-4.12.0-2, MQTT-4.12.0-5]."""
        if auth.properties.authentication_method != self.connect.properties.authentication_method:
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "AUTH with another Authentication Method", "MQTT-4.12.0-5")
        if auth.reason_code == ReasonCode.SUCCESS and self.is_open:
            self.owner.authenticated(self, auth)
        elif auth.reason_code == ReasonCode.CONTINUE_AUTHENTICATION:
            self.when(self.owner.challenged(self, auth), self.answer_challenge, now)
        else:
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "AUTH out of turn", "MQTT-4.12.0-2")

    def answer_challenge(self, data: bytes | None, now: float) -> None:
        """Our step."""
        self.send_auth(ReasonCode.CONTINUE_AUTHENTICATION, data)

    def send_auth(self, reason_code: ReasonCode, data: bytes | None) -> None:
        """Send AUTH: another step, or the wish to authenticate again."""
        method = self.connect.properties.authentication_method
        packet = Auth(reason_code, Properties(authentication_method=method, authentication_data=data))
        if not self.put_fitting(packet):
            raise ProtocolError(ReasonCode.PACKET_TOO_LARGE, "AUTH is larger than the server's Maximum Packet Size")

    def ask(self, packet: Any, then: Callable[[Any, float], None]) -> None:
        """Send a SUBSCRIBE or UNSUBSCRIBE, and have its answer given to `then`; NotSupported if it is too large."""
        packet_id = packet.packet_id = self.free_id()
        encoded = packet.encode(self.version)
        self.limits.check_packet(encoded)
        if len(self.requests) >= MOST_REQUESTS:
            self.later.append((packet, then))
            return
        self.requests[packet_id] = (packet.type + 1, len(packet.filters), then)
        self.statistics.sent(packet.type)
        self.outbox.put(encoded)

    def free_id(self) -> int:
        """A packet identifier that nothing uses; there is one, for the sender's window leaves room for them."""
        packet_id = 65535
        while packet_id in self.requests or packet_id in self.sender.in_flight:
            packet_id -= 1
        return packet_id

    def answered(self, packet: Suback | Unsuback, now: float) -> None:
        """The answer to a SUBSCRIBE or UNSUBSCRIBE [MQTT-3.8.4-1, MQTT-3.10.4-4]."""
        kind, filters, then = self.requests.pop(packet.packet_id, NOTHING_ASKED)
        check_answer(packet, kind, filters if self.has_properties or kind == PacketType.SUBACK else 0)
        then(packet, now)
        if self.later:
            self.ask(*self.later.popleft())

    def leave(self, reason_code: int, properties: Properties, now: float) -> None:
        """Say DISCONNECT, and close [MQTT-3.14.4-1, MQTT-3.14.4-2]."""
        if self.is_open:
            self.put_fitting(Disconnect(reason_code, properties), Disconnect(reason_code))
        self.finish("closed by the program", now)

    def keep_alive_is_due(self, now: float) -> None:
        """Has there been something to hear for the server, and for us [MQTT-3.1.2-20]?"""
        if not self.is_open:
            return
        period = self.keep_alive * QUIET
        if self.waiting:
            self.pinged_at = 0.0  # it is we who do not listen
        elif self.pinged_at and now >= max(self.pinged_at, self.last_heard) + self.ping_timeout:
            self.finish(f"the server did not answer PINGREQ within {self.ping_timeout:g} s", now)
            return
        quiet_since = min(self.last_sent, max(self.last_heard, self.pinged_at) if not self.waiting else self.last_sent)
        if quiet_since + period <= now:
            self.stream.begin()
            self.statistics.pingreq += 1
            self.outbox.put(PINGREQ)
            self.last_sent = now
            self.pinged_at = self.pinged_at or now
            quiet_since = now
        due = quiet_since + period
        if self.pinged_at:
            due = min(due, max(self.pinged_at, self.last_heard) + self.ping_timeout)
        self.deadline = self.deadlines.at(max(due, now + 0.01), self.keep_alive_is_due)

    def ended(self, was_open: bool, now: float) -> None:
        """The session goes on without a connection."""
        self.deadlines.cancel(self.deadline)
        self.deadline = None
        if self.sender.outbox is self.outbox:
            self.sender.reserved = None
            self.sender.detach()
            self.arrivals.detach()
        self.requests = {}
        self.later.clear()
        self.owner.ended(self, was_open, now)


def check_topic(name: bytes, known: dict[bytes, None]) -> None:
    """Raise unless a message may have this topic name, and remember that [MQTT-1.5.4-1, MQTT-3.3.2-2]."""
    RULES.check_name(name)
    if len(known) >= MOST_TOPICS:
        known.clear()
    known[name] = None


def check_answer(packet: Suback | Unsuback, kind: int, filters: int) -> None:
    """Raise unless an answer is of the kind that was asked for, with a reason code for each topic filter."""
    if kind != packet.type:
        detail = f"packet type {packet.type} answers {packet.packet_id}, which asked nothing of the kind"
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, detail, "MQTT-3.8.4-2")
    if len(packet.reason_codes) != filters:
        detail = f"{len(packet.reason_codes)} reason codes for {filters} topic filters"
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, detail, "MQTT-3.8.4-6")


def _nobody(answer: Any, now: float) -> None:
    """Nobody wants an answer."""


NOTHING_ASKED = (0, 0, _nobody)
