"""What a client may send besides PUBLISH and the short acknowledgements, and who takes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from linnet.core.subscribing import receive_subscribe, receive_unsubscribe
from linnet.errors import ProtocolError, ReasonCode
from linnet.wire.acks import Ack
from linnet.wire.connect import Connect
from linnet.wire.control import Auth, Disconnect, Pingreq
from linnet.wire.header import PacketType

if TYPE_CHECKING:
    from linnet.core.server_connection import ServerConnection

PINGRESP = b"\xd0\x00"


def receive_connect(connection: ServerConnection, packet: Connect, now: float) -> None:
    """The first packet, and only the first [MQTT-3.1.0-2]."""
    handshake = connection.handshake
    if handshake is None or handshake.connect is not None:
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "a second CONNECT", "MQTT-3.1.0-2")
    handshake.receive_connect(packet, now)


def receive_auth(connection: ServerConnection, packet: Auth, now: float) -> None:
    """Part of an enhanced authentication, if there is one [MQTT-4.12.0-6, MQTT-4.12.1-1]."""
    if connection.handshake is None:
        raise ProtocolError(
            ReasonCode.PROTOCOL_ERROR, "AUTH without an Authentication Method in CONNECT", "MQTT-4.12.0-6"
        )
    connection.handshake.receive_auth(packet, now)


def receive_disconnect(connection: ServerConnection, packet: Disconnect, now: float) -> None:
    """The client says goodbye, or goes and wants its will published [MQTT-3.14.4-3]."""
    session = connection.session
    expiry = packet.properties.session_expiry_interval
    if expiry is not None:
        if session.expiry_interval == 0 and expiry != 0:
            raise ProtocolError(
                ReasonCode.PROTOCOL_ERROR, "Session Expiry Interval raised from 0 at DISCONNECT", "MQTT-3.14.2-2"
            )
        session.expiry_interval = min(expiry, connection.limits.max_session_expiry)
    connection.said_goodbye = packet.reason_code == ReasonCode.SUCCESS
    connection.finish(f"the client disconnected with reason code {packet.reason_code:#04x}", now)


def receive_ping(connection: ServerConnection, packet: Pingreq, now: float) -> None:
    """Still there? Still here [MQTT-3.12.4-1]."""
    connection.statistics.pingresp += 1
    connection.outbox.put(PINGRESP)


def receive_ack(connection: ServerConnection, packet: Ack, now: float) -> None:
    """An acknowledgement that says more than its packet identifier."""
    connection.receive_ack(packet.type, packet.packet_id, packet.reason_code, now)


TAKERS: dict[int, Callable[[ServerConnection, Any, float], None]] = {
    PacketType.CONNECT: receive_connect,
    PacketType.PUBACK: receive_ack,
    PacketType.PUBREC: receive_ack,
    PacketType.PUBREL: receive_ack,
    PacketType.PUBCOMP: receive_ack,
    PacketType.SUBSCRIBE: receive_subscribe,
    PacketType.UNSUBSCRIBE: receive_unsubscribe,
    PacketType.PINGREQ: receive_ping,
    PacketType.DISCONNECT: receive_disconnect,
    PacketType.AUTH: receive_auth,
}
