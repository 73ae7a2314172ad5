"""How a connection begins: CONNECT, perhaps an exchange of AUTH packets, CONNACK [MQTT-3.1, 3.2, 4.12].

    CONNECT -> checks -> admit (hook) -> [AUTH <-> AUTH] -> session -> CONNACK -> what waited

A connection keeps its handshake only while it goes on, or when it may authenticate again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linnet.core.aliases import IncomingAliases, OutgoingAliases
from linnet.core.guard import check_properties
from linnet.core.ports import Exchange, Step, fitting
from linnet.core.session import Session
from linnet.errors import ProtocolError, ReasonCode
from linnet.wire.connect import CONNACK_REASONS, Connack, Connect, Will
from linnet.wire.control import Auth, Disconnect
from linnet.wire.header import PacketType
from linnet.wire.properties import WILL, Properties

if TYPE_CHECKING:
    from linnet.core.broker import BrokerCore
    from linnet.core.limits import Limits
    from linnet.core.server_connection import ServerConnection

DEFAULT_RECEIVE_MAXIMUM = 65535
Verdict = Step | ReasonCode


class Handshake:
    """One client's way in."""

    __slots__ = ("assigned", "connect", "connection", "exchange", "exchanging")

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.connect: Connect | None = None
        self.exchange: Exchange | None = None
        self.exchanging = False  # AUTH packets go to and fro
        self.assigned: str | None = None  # the client identifier that we gave

    def __repr__(self) -> str:
        return f"<Handshake of {self.connect.client_id if self.connect else None!r}>"

    def admits(self, packet_type: int) -> bool:
        """Whether this packet may come now, before CONNACK [MQTT-3.1.0-1, MQTT-4.12.0-4]."""
        if self.connect is None:
            return packet_type == PacketType.CONNECT
        return packet_type in (PacketType.AUTH, PacketType.DISCONNECT, PacketType.CONNECT)

    def receive_connect(self, connect: Connect, now: float) -> None:
        """Check what can be checked without asking anyone, then ask."""
        connection = self.connection
        core = connection.core
        self.connect = connect
        connection.version = connect.version
        connection.has_properties = connect.version.has_properties
        properties = connect.properties
        connection.wants_reasons = connect.properties.request_problem_information != 0
        connection.outbox.maximum_packet = properties.maximum_packet_size or 268435460
        core.admission.check(connection, connect, now)
        check_connect(connect, core.limits)
        core.router.rules.check_characters((connect.client_id, connect.user_name, *properties.strings()))
        if connect.will is not None:
            check_will(connect.will, core)
        if core.moved_to is not None:
            code, reference = core.moved_to
            self.refuse(ProtocolError(code, "clients are told to use another server"), now, reference)
            return
        connection.when(core.hooks.admit(connect, connection.peer), self.admitted, now)

    def admitted(self, verdict: ReasonCode, now: float) -> None:
        """The hook has decided; an Authentication Method in CONNECT starts an exchange [MQTT-4.12.0-1]."""
        connect = self.connect
        assert connect is not None
        if verdict != ReasonCode.SUCCESS:
            raise ProtocolError(fitting(verdict, CONNACK_REASONS), f"client {connect.client_id!r} is not admitted")
        method = connect.properties.authentication_method
        if method is None:
            self.accept(None, now)
            return
        self.begin(method, connect.properties.authentication_data, now)

    def begin(self, method: str, data: bytes | None, now: float) -> None:
        """Begin an exchange, the first or another one."""
        connect = self.connect
        assert connect is not None
        self.exchange = self.connection.core.hooks.exchange(method, connect)
        if self.exchange is None:
            raise ProtocolError(
                ReasonCode.BAD_AUTHENTICATION_METHOD,
                f"authentication method {method!r} is not known",
                "MQTT-4.12.0-1",
            )
        self.exchanging = True
        self.connection.when(self.exchange.step(data), self.stepped, now)

    def receive_auth(self, auth: Auth, now: float) -> None:
        """The client's next step, or its wish to authenticate again [MQTT-4.12.1-1]."""
        connect = self.connect
        assert connect is not None
        method = auth.properties.authentication_method
        if method != connect.properties.authentication_method:  # [MQTT-4.12.0-5]
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "AUTH with another Authentication Method", "MQTT-4.12.0-5")
        again = auth.reason_code == ReasonCode.REAUTHENTICATE
        if again == (self.exchanging or self.connection.is_opening):
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "AUTH out of turn", "MQTT-4.12.0-3")
        if again:
            self.begin(method or "", auth.properties.authentication_data, now)
        else:
            assert self.exchange is not None
            self.connection.when(self.exchange.step(auth.properties.authentication_data), self.stepped, now)

    def stepped(self, verdict: Verdict, now: float) -> None:
        """The exchange has answered: another step, the end of it, or no."""
        connect = self.connect
        assert connect is not None
        if not isinstance(verdict, Step):
            allowed = CONNACK_REASONS if self.connection.is_opening else Disconnect.from_server_allowed
            raise ProtocolError(
                fitting(verdict, allowed), f"client {connect.client_id!r} failed to authenticate", "MQTT-4.12.0-4"
            )
        method = connect.properties.authentication_method
        properties = Properties(authentication_method=method, authentication_data=verdict.data)
        if verdict.done:
            self.exchanging = False
            if self.connection.is_opening:
                self.accept(verdict.data, now)
                return
            reason_code = ReasonCode.SUCCESS
        else:
            reason_code = ReasonCode.CONTINUE_AUTHENTICATION  # [MQTT-4.12.0-2]
        if not self.connection.put_fitting(Auth(reason_code, properties)):
            raise ProtocolError(
                ReasonCode.PACKET_TOO_LARGE, "AUTH is larger than the client's Maximum Packet Size", "MQTT-3.1.2-24"
            )

    def accept(self, authentication_data: bytes | None, now: float) -> None:
        """Open the session and the connection; CONNACK goes out before anything else [MQTT-3.2.0-1]."""
        connect = self.connect
        assert connect is not None
        connection = self.connection
        core = connection.core
        if not connect.client_id:
            self.assigned = core.limits.assigned_client_id_prefix + core.new_client_id()
            connect.client_id = self.assigned
        expiry = min(connect.properties.session_expiry_interval or 0, core.limits.max_session_expiry)
        properties = self.connack_properties(expiry, authentication_data)
        connack = Connack(False, ReasonCode.SUCCESS, properties)
        if len(connack.encode(connect.version)) > connection.outbox.maximum_packet:
            connection.finish("the client's Maximum Packet Size leaves no room for CONNACK", now)
            return
        session, connack.session_present = core.open(connect.client_id, connect.clean_start, now)
        session.user_name = connect.user_name
        session.expiry_interval = expiry
        core.wills.set(session, connect.will)
        session.receiver.maximum = (
            core.limits.receive_maximum if connection.has_properties else core.limits.receive_maximum_3
        )
        self.open_connection(session, now)
        connection.statistics.connack += 1
        connection.outbox.put(connack.encode(connect.version))
        core.store.opened(session)
        for observer in core.observers:
            observer.connected(session, connection, connack.session_present)
        if connect.properties.authentication_method is None:
            connection.handshake = None
        window = min(connect.properties.receive_maximum or DEFAULT_RECEIVE_MAXIMUM, core.limits.max_inflight)
        core.attach(session, connection, window, now)
        core.admission.enter(connection, now)

    def open_connection(self, session: Session, now: float) -> None:
        """From here on every packet is taken."""
        connect = self.connect
        assert connect is not None
        connection = self.connection
        core = connection.core
        limits = core.limits
        session.connection = connection
        connection.session = session
        connection.statistics.client_id = session.client_id
        connection.sender = session.sender
        connection.receiver = session.receiver
        connection.opened()
        connection.limits = limits
        connection.obey(limits)
        connection.frames.maximum = limits.max_packet_size
        outbox = connection.outbox
        outbox.has_properties = connection.has_properties
        if connection.has_properties:
            connection.aliases = IncomingAliases(limits.topic_alias_maximum)
            allowed = min(connect.properties.topic_alias_maximum or 0, limits.topic_alias_maximum_out)
            outbox.aliases = OutgoingAliases(allowed) if allowed else None  # [MQTT-3.1.2-26, MQTT-3.1.2-27]
        connection.keep_alive = self.granted_keep_alive()
        core.deadlines.cancel(connection.deadline)
        if connection.keep_alive:
            connection.keep_alive_is_due(now)

    def granted_keep_alive(self) -> int:
        """The client's wish, or less where it may be told [MQTT-3.2.2-21]; seconds, 0 = none."""
        connect = self.connect
        assert connect is not None
        most = self.connection.core.limits.max_keep_alive
        wish = connect.keep_alive
        if most and connect.version.has_properties and not 0 < wish <= most:
            return most
        return wish

    def connack_properties(self, expiry: int, authentication_data: bytes | None) -> Properties:
        """All that differs from what the client would assume [MQTT-3.2.2]."""
        connect = self.connect
        assert connect is not None
        if not connect.version.has_properties:
            return Properties()
        limits = self.connection.core.limits
        asked = connect.properties
        keep_alive = self.granted_keep_alive()
        expiry_differs = expiry != (asked.session_expiry_interval or 0)
        return Properties(
            session_expiry_interval=expiry if expiry_differs else None,
            receive_maximum=limits.receive_maximum if limits.receive_maximum < DEFAULT_RECEIVE_MAXIMUM else None,
            maximum_qos=limits.max_qos if limits.max_qos < 2 else None,
            retain_available=False if not limits.retain_available else None,
            maximum_packet_size=limits.max_packet_size,
            assigned_client_identifier=self.assigned,
            topic_alias_maximum=limits.topic_alias_maximum or None,
            wildcard_subscription_available=False if not limits.wildcard_subscriptions else None,
            subscription_identifiers_available=False if not limits.subscription_identifiers else None,
            shared_subscription_available=False if not limits.shared_subscriptions else None,
            server_keep_alive=keep_alive if keep_alive != connect.keep_alive else None,
            response_information=self.response_information(),
            authentication_method=asked.authentication_method,
            authentication_data=authentication_data,
        )

    def response_information(self) -> str | None:
        """Only for those who asked for it [MQTT-3.1.2-28]."""
        connect = self.connect
        wanted = connect is not None and connect.properties.request_response_information
        return self.connection.core.limits.response_information or None if wanted else None

    def refuse(self, error: ProtocolError, now: float, reference: str | None = None) -> None:
        """Answer CONNECT with an error and close [MQTT-3.1.4-2]; say nothing to who does not speak MQTT."""
        connection = self.connection
        connect = self.connect
        connection.core.ledger.refused += 1
        if error.limit:
            connection.core.ledger.reached(
                connect_limit(error, connection.core.limits),
                connect.client_id if connect else "",
                connection.peer.address,
                str(error),
            )
        for observer in connection.core.observers:
            observer.refused(connection, connect.client_id if connect else "", error.reason_code, str(error))
        version = error.version if connect is None else connect.version
        is_unknown = error.reason_code == ReasonCode.UNSUPPORTED_PROTOCOL_VERSION
        if version is None and is_unknown:
            version = connection.version  # the newest [MQTT-3.1.2-2]
        if version is not None and (version.can_say_why or is_unknown or connect is not None):
            connection.version = version
            properties = Properties(server_reference=reference)
            if connection.wants_reasons and version.has_properties:
                properties.reason_string = str(error)[:1024]
            plain = Connack(False, error.reason_code, Properties(server_reference=reference))
            connection.put_fitting(Connack(False, error.reason_code, properties), plain)
        connection.finish(str(error), now)


def connect_limit(error: ProtocolError, limits: Limits) -> str:
    """The limit that a CONNECT reached; as a packet it has one of its own."""
    is_size = error.limit == "max_packet_size" and limits.max_connect_size < limits.max_packet_size
    return "max_connect_size" if is_size else error.limit


def check_connect(connect: Connect, limits: Limits) -> None:
    """What a CONNECT may hold here. Raises ProtocolError with the code for CONNACK."""
    version = connect.version
    if version.name not in limits.versions:
        raise ProtocolError(ReasonCode.UNSUPPORTED_PROTOCOL_VERSION, f"MQTT {version.name} is not allowed here")
    if not connect.client_id:
        allowed = limits.allow_empty_client_id and version.assigns_client_ids
        if not allowed or (version.empty_id_needs_clean_start and not connect.clean_start):
            raise ProtocolError(ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, "empty client identifier", "MQTT-3.1.3-8")
    check_properties(connect.properties, connect.type, limits)
    check_length(
        connect.client_id,
        limits.max_client_id_bytes,
        "client_id",
        ReasonCode.CLIENT_IDENTIFIER_NOT_VALID,
    )
    check_length(connect.user_name, limits.max_user_name_bytes, "user_name", ReasonCode.BAD_USER_NAME_OR_PASSWORD)
    check_length(connect.password, limits.max_password_bytes, "password", ReasonCode.BAD_USER_NAME_OR_PASSWORD)
    if connect.properties.authentication_data is not None and connect.properties.authentication_method is None:
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "Authentication Data without Method", "MQTT-4.12.0-1")


def check_length(text: str | bytes | None, limit: int, what: str, reason_code: ReasonCode) -> None:
    """Raise when a field of CONNECT is longer than the settings allow."""
    size = len(text.encode() if isinstance(text, str) else text or b"")
    if size > limit:
        raise ProtocolError(
            reason_code, f"{what.replace('_', ' ')} of {size} bytes, {limit} allowed", limit=f"max_{what}_bytes"
        )


def check_will(will: Will, core: BrokerCore) -> None:
    """A will is held to the same rules as a PUBLISH [MQTT-3.1.2-12, MQTT-3.2.2-12, MQTT-3.2.2-13]."""
    limits = core.limits
    core.router.rules.check_name(will.topic.encode())
    core.router.rules.check_characters(will.properties.strings())
    check_properties(will.properties, WILL, limits)
    if will.qos > limits.max_qos:
        raise ProtocolError(ReasonCode.QOS_NOT_SUPPORTED, f"will with QoS {will.qos}", "MQTT-3.2.2-12", limit="max_qos")
    if will.retain and not limits.retain_available:
        raise ProtocolError(ReasonCode.RETAIN_NOT_SUPPORTED, "retained will", "MQTT-3.2.2-13")
