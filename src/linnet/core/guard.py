"""The closer look at a PUBLISH: what the broker announced, what the message holds, and what the hooks say of it.

Most messages pass by here without stopping: only those that are retained, carry properties or go where hooks watch are
looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linnet.core.owed import acknowledge
from linnet.core.ports import fitting
from linnet.errors import ProtocolError, ReasonCode
from linnet.wire.acks import Puback, Pubrec
from linnet.wire.message import Message
from linnet.wire.properties import Properties
from linnet.wire.publish import Publish

if TYPE_CHECKING:
    from linnet.core.limits import Limits
    from linnet.core.router import Route
    from linnet.core.server_connection import ServerConnection


def guard(connection: ServerConnection, publish: Publish, route: Route, now: float) -> None:
    """Let a PUBLISH pass, refuse it, or end the connection for it."""
    core = connection.core
    if connection.pace is not None:
        connection.pace.spend_message(now)
        if not connection.is_open:
            return  # that was one too many
    check_announced(publish, connection.limits)
    check_publish(publish, core.limits)
    if core.limits.refuse_control_characters and publish.forwarded:
        core.router.rules.check_characters(publish.properties.strings())
    if route.is_reserved:
        refuse(connection, publish, ReasonCode.NOT_AUTHORIZED)
        return
    hook = core.publish_hook
    if hook is None:
        admit(connection, publish, publish, now)
    else:
        verdict = hook(connection.session, publish)
        connection.when(verdict, lambda answer, then: admit(connection, publish, answer, then), now)


def check_announced(publish: Publish, limits: Limits) -> None:
    """Does the client keep to what CONNACK told it? `limits` are those of that time."""
    if publish.qos > limits.max_qos:
        raise ProtocolError(
            ReasonCode.QOS_NOT_SUPPORTED,
            f"QoS {publish.qos}, {limits.max_qos} at most",
            "MQTT-3.2.2-11",
            limit="max_qos",
        )
    if publish.retain and not limits.retain_available:
        raise ProtocolError(ReasonCode.RETAIN_NOT_SUPPORTED, "RETAIN is not available", "MQTT-3.2.2-14")


def check_publish(publish: Publish, limits: Limits) -> None:
    """Does it hold no more than the settings allow, and what it says it does?"""
    check_amount(publish.user_property_count, len(publish.forwarded), limits)
    if limits.check_payload_format and publish.forwarded and publish.properties.payload_format_indicator:
        try:
            publish.payload.decode()
        except UnicodeDecodeError:
            raise ProtocolError(
                ReasonCode.PAYLOAD_FORMAT_INVALID, "the payload is not UTF-8, as its format indicator says"
            ) from None


def check_amount(count: int, size: int, limits: Limits) -> None:
    """Raise when there are more User Properties, or more bytes of properties, than the settings allow."""
    if count > limits.max_user_properties:
        raise ProtocolError(
            ReasonCode.QUOTA_EXCEEDED,
            f"{count} User Properties, {limits.max_user_properties} allowed",
            limit="max_user_properties",
        )
    if size > limits.max_properties_size:
        raise ProtocolError(
            ReasonCode.QUOTA_EXCEEDED,
            f"properties of {size} bytes, {limits.max_properties_size} allowed",
            limit="max_properties_size",
        )


def check_properties(properties: Properties, packet_type: int, limits: Limits) -> None:
    """The same for the properties of any other packet, and of a will."""
    check_amount(len(properties.user_properties), len(properties.encode(packet_type)), limits)


def admit(connection: ServerConnection, publish: Publish, verdict: Message | ReasonCode, now: float) -> None:
    """Go on with the message that the hook gave back, or refuse."""
    if not isinstance(verdict, Message):
        refuse(connection, publish, ReasonCode(verdict))
        return
    core = connection.core
    route = core.router.find(verdict.topic_name)
    if connection.version.can_say_why and route.refuses(verdict):
        refuse(connection, publish, ReasonCode.QUOTA_EXCEEDED)
        return
    if verdict is not publish:  # a message that the hook made is still this client's
        verdict.publisher = publish.publisher
        verdict.received_at = publish.received_at
    if verdict.retain and not core.keep(verdict) and publish.qos and connection.version.can_say_why:
        refuse(connection, publish, ReasonCode.QUOTA_EXCEEDED)
        return
    connection.accept(publish, verdict, route, now)


def refuse(connection: ServerConnection, publish: Publish, reason_code: int) -> None:
    """Acknowledge a PUBLISH with an error; 3.x knows none, so there it looks accepted [3.1.1: MQTT-3.3.5-2]."""
    connection.statistics.refused += 1
    if publish.qos == 0:
        return
    answer = Puback if publish.qos == 1 else Pubrec
    code = fitting(reason_code, answer.allowed) if connection.version.can_say_why else 0
    acknowledge(connection, answer.type, answer(publish.packet_id, code).encode(connection.version), [])
    if publish.qos == 2 and code == 0:
        connection.receiver.keep(publish.packet_id)
