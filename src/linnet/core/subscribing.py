"""SUBSCRIBE and UNSUBSCRIBE: one answer per filter, in their order [MQTT-3.8.4-6, MQTT-3.11.3-2]."""

from __future__ import annotations

from collections.abc import Iterable
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from linnet.core.ports import Hooks, fitting, is_overridden
from linnet.core.subscriptions import Subscription
from linnet.core.topics import Filter, parse_filter
from linnet.errors import ProtocolError, ReasonCode
from linnet.wire.subscribe import SUBSCRIBED, Suback, Subscribe, SubscriptionOptions, Unsuback, Unsubscribe

if TYPE_CHECKING:
    from linnet.core.server_connection import ServerConnection

# Faults of one filter that are answered in SUBACK; every other fault ends the connection
ANSWERED = (ReasonCode.TOPIC_FILTER_INVALID, ReasonCode.NOT_AUTHORIZED, ReasonCode.QUOTA_EXCEEDED)


def receive_subscribe(connection: ServerConnection, packet: Subscribe, now: float) -> None:
    """Subscribe to each filter, answer, and send what is retained."""
    core = connection.core
    limits = core.limits
    check_count(packet.filters, limits.max_filters_per_packet)
    check_available(connection, packet)
    if is_overridden(core.hooks, Hooks, "subscribing"):
        connection.when(ask(connection, packet), lambda codes, then: subscribe(connection, packet, codes, then), now)
    else:
        subscribe(connection, packet, [options.qos for _, options in packet.filters], now)


async def ask(connection: ServerConnection, packet: Subscribe) -> list[int]:
    """What the hook says to each filter."""
    codes: list[int] = []
    for name, options in packet.filters:
        verdict: Any = connection.core.hooks.subscribing(connection.session, name, options)
        codes.append(await verdict if isawaitable(verdict) else verdict)
    return codes


def subscribe(connection: ServerConnection, packet: Subscribe, verdicts: list[int], now: float) -> None:
    """Subscribe to what may be subscribed to, and answer with a code for each."""
    codes: list[int] = []
    core = connection.core
    identifier = packet.properties.subscription_identifiers
    for (name, options), verdict in zip(packet.filters, verdicts, strict=True):
        try:
            if verdict > 2:
                raise ProtocolError(fitting(verdict, SUBSCRIBED), f"{name!r} is refused")
            parsed = check_filter(connection, name, options)
        except ProtocolError as error:
            if error.reason_code not in ANSWERED and verdict <= 2:
                raise
            if error.limit:
                core.reached(error.limit, connection, str(error))
            codes.append(error.reason_code)
            continue
        granted = min(verdict, options.qos, connection.limits.max_qos)
        codes.append(granted)
        options = SubscriptionOptions(granted, options.no_local, options.retain_as_published, options.retain_handling)
        subscription = Subscription(connection.session, parsed, options, identifier[0] if identifier else 0)
        core.subscribe(subscription, now)
    connection.put_fitting(Suback(packet.packet_id, codes))
    if connection.session in core.chores.replaying:
        core.chores.replay(connection.session, now)


def check_filter(connection: ServerConnection, name: str, options: SubscriptionOptions) -> Filter:
    """What this filter is; raises ProtocolError when it may not be subscribed to."""
    core = connection.core
    limits = core.limits
    session = connection.session
    parsed = parse_filter(name.encode(), core.router.rules)
    if parsed.share and options.no_local:
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "No Local on a shared subscription", "MQTT-3.8.3-4")
    is_new = parsed.name not in session.subscriptions
    if is_new and len(session.subscriptions) >= limits.max_subscriptions_per_client:
        raise ProtocolError(
            ReasonCode.QUOTA_EXCEEDED,
            f"{limits.max_subscriptions_per_client} subscriptions already",
            limit="max_subscriptions_per_client",
        )
    if is_new and core.router.subscription_count >= limits.max_subscriptions:
        raise ProtocolError(
            ReasonCode.QUOTA_EXCEEDED,
            f"{limits.max_subscriptions} subscriptions in the broker",
            limit="max_subscriptions",
        )
    return parsed


def check_available(connection: ServerConnection, packet: Subscribe) -> None:
    """What we said is not available must not be asked for [MQTT-3.2.2.3.11 to 3.2.2.3.13]."""
    limits = connection.limits
    if packet.properties.subscription_identifiers and not limits.subscription_identifiers:
        raise ProtocolError(ReasonCode.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED, "Subscription Identifier")
    for name, _ in packet.filters:
        if name.startswith("$share/") and not limits.shared_subscriptions:
            raise ProtocolError(ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED, f"shared subscription {name!r}")
        if ("+" in name or "#" in name) and not limits.wildcard_subscriptions:
            raise ProtocolError(ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED, f"wildcard in {name!r}")


def check_count(filters: Iterable[object], limit: int) -> None:
    """Raise when a packet has more filters than the settings allow."""
    count = len(list(filters))
    if count > limit:
        raise ProtocolError(
            ReasonCode.QUOTA_EXCEEDED,
            f"{count} topic filters in one packet, {limit} allowed",
            limit="max_filters_per_packet",
        )


def receive_unsubscribe(connection: ServerConnection, packet: Unsubscribe, now: float) -> None:
    """Unsubscribe from each filter, compared character by character [MQTT-3.10.4-1], and answer."""
    core = connection.core
    check_count(packet.filters, core.limits.max_filters_per_packet)
    codes: list[int] = []
    for name in packet.filters:
        found = core.unsubscribe(connection.session, name.encode(), now)
        codes.append(ReasonCode.SUCCESS if found else ReasonCode.NO_SUBSCRIPTION_EXISTED)
    connection.put_fitting(Unsuback(packet.packet_id, codes))
