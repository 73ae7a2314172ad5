"""Hypothesis strategies: every control packet of every version, anything that it may say."""

from __future__ import annotations

from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from linnet.errors import ReasonCode
from linnet.wire import (
    NEVER,
    V5,
    VERSIONS,
    WILL,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    PacketType,
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
)

# The same examples in every run, and no clock: a busy machine fails no test.
settings.register_profile("linnet", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("linnet")

T = TypeVar("T")

versions = st.sampled_from(list(VERSIONS.values()))
packet_ids = st.integers(1, 65535)
bytes_u16 = st.integers(0, 0xFFFF)
bytes_u32 = st.integers(0, 0xFFFF_FFFF)
binary = st.binary(max_size=40)
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
levels = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0+#/"), max_size=5)
topic_names = st.lists(levels, min_size=1, max_size=5).map("/".join).filter(bool)
topic_filters = (
    st.lists(levels | st.just("+"), min_size=1, max_size=5)
    .flatmap(lambda parts: st.sampled_from([parts, [*parts, "#"]]))
    .map("/".join)
    .filter(bool)
)
user_properties = st.lists(st.tuples(text, text), max_size=3)
qos = st.integers(0, 2)

MESSAGE: dict[str, st.SearchStrategy[Any]] = {
    "payload_format_indicator": st.integers(0, 1),
    "message_expiry_interval": bytes_u32,
    "content_type": text,
    "response_topic": topic_names,
    "correlation_data": binary,
}
WHY: dict[str, st.SearchStrategy[Any]] = {"reason_string": text}
LIMITS: dict[str, st.SearchStrategy[Any]] = {
    "session_expiry_interval": bytes_u32,
    "receive_maximum": st.integers(1, 0xFFFF),
    "topic_alias_maximum": bytes_u16,
    "maximum_packet_size": st.integers(1, 0xFFFF_FFFF),
}
# What may be there of each packet beside user properties; `authentication_*` is added where it goes together.
PROPERTIES: dict[int, dict[str, st.SearchStrategy[Any]]] = {
    WILL: {**MESSAGE, "will_delay_interval": bytes_u32},
    PacketType.CONNECT: {
        **LIMITS,
        "request_problem_information": st.integers(0, 1),
        "request_response_information": st.integers(0, 1),
    },
    PacketType.CONNACK: {
        **LIMITS,
        **WHY,
        "assigned_client_identifier": text,
        "server_keep_alive": bytes_u16,
        "response_information": text,
        "server_reference": text,
        "maximum_qos": st.integers(0, 1),
        "retain_available": st.integers(0, 1),
        "wildcard_subscription_available": st.integers(0, 1),
        "subscription_identifiers_available": st.integers(0, 1),
        "shared_subscription_available": st.integers(0, 1),
    },
    PacketType.PUBLISH: {
        **MESSAGE,
        "topic_alias": st.integers(1, 0xFFFF),
        "subscription_identifiers": st.lists(st.integers(1, 268_435_455), max_size=3),
    },
    PacketType.SUBSCRIBE: {
        "subscription_identifiers": st.lists(st.integers(1, 268_435_455), max_size=1),
    },
    PacketType.DISCONNECT: {**WHY, "session_expiry_interval": bytes_u32, "server_reference": text},
    PacketType.UNSUBSCRIBE: {},
}
LOGINS = (PacketType.CONNECT, PacketType.CONNACK)


@st.composite
def properties(draw: st.DrawFn, packet_type: int, version: Version = V5) -> Properties:
    """Properties that may be in such a packet; none at all before 5.0."""
    if not version.has_properties:
        return Properties()
    optional: dict[str, st.SearchStrategy[Any]] = PROPERTIES.get(packet_type, WHY)
    found = Properties(**draw(st.fixed_dictionaries({}, optional=optional)))
    found.user_properties = draw(user_properties)
    if packet_type == PacketType.AUTH or (packet_type in LOGINS and draw(st.booleans())):
        found.authentication_method = draw(text)
        found.authentication_data = draw(st.none() | binary)
    return found


@st.composite
def connects(draw: st.DrawFn, version: Version) -> Connect:
    """A CONNECT whose flags are legal in the version."""
    user_name = draw(st.none() | text)
    has_password = draw(st.booleans()) and (user_name is not None or not version.password_needs_user_name)
    clean_start = draw(st.booleans())
    lasting = Properties() if clean_start else Properties(session_expiry_interval=NEVER)
    will = st.builds(Will, topic_names, binary, qos=qos, retain=st.booleans(), properties=properties(WILL, version))
    return Connect(
        client_id=draw(text),
        clean_start=clean_start,
        keep_alive=draw(bytes_u16),
        user_name=user_name,
        password=draw(binary) if has_password else None,
        will=draw(st.none() | will),
        properties=draw(properties(PacketType.CONNECT)) if version.has_properties else lasting,
        version=version,
    )


def codes(allowed: list[int]) -> st.SearchStrategy[int]:
    """One of these reason codes; success alone is to be had without asking."""
    return st.sampled_from([0, *allowed])


OLD_CONNACK = [0x84, 0x85, 0x88, 0x86, 0x87]
NEW_CONNACK = [*range(0x80, 0x8B), 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F]
RECEIVED = [0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]
RELEASED = [0x92]
SUBSCRIBED = [1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2]
UNSUBSCRIBED = [0x11, 0x80, 0x83, 0x87, 0x8F, 0x91]
DISCONNECTED = sorted({code for code in ReasonCode if code >= 0x80} - {0x84, 0x85, 0x86, 0x88, 0x8A, 0x91, 0x92})


@st.composite
def connacks(draw: st.DrawFn, version: Version) -> Connack:
    """A CONNACK; only one that accepts may tell of a session."""
    code = draw(codes(NEW_CONNACK if version.can_say_why else OLD_CONNACK))
    present = not code and version.has_session_present and draw(st.booleans())
    return Connack(present, code, draw(properties(PacketType.CONNACK, version)))


@st.composite
def publishes(draw: st.DrawFn, version: Version) -> Publish:
    """A PUBLISH whose packet identifier and DUP go with its QoS."""
    level = draw(qos)
    return Publish(
        draw(topic_names),
        draw(binary | st.binary(min_size=100, max_size=300)),
        level,
        draw(st.booleans()),
        draw(st.booleans()) if level else False,
        draw(packet_ids) if level else 0,
        draw(properties(PacketType.PUBLISH, version)) if version.has_properties else None,
    )


def options(version: Version) -> st.SearchStrategy[SubscriptionOptions]:
    """Subscription options; before 5.0 they are the QoS."""
    if not version.has_properties:
        return st.builds(SubscriptionOptions, qos)
    return st.builds(SubscriptionOptions, qos, st.booleans(), st.booleans(), st.integers(0, 2))


def packets_of(version: Version) -> st.SearchStrategy[Packet]:
    """Any packet of the version."""

    def acks(kind: Any, reasons: list[int]) -> st.SearchStrategy[Packet]:
        code = codes(reasons) if version.can_say_why else st.just(0)
        return st.builds(kind, packet_ids, code, properties(kind.type, version))

    def some(one: st.SearchStrategy[T]) -> st.SearchStrategy[list[T]]:
        return st.lists(one, min_size=1, max_size=4)

    subscribed = SUBSCRIBED if version.can_say_why else [1, 2, 0x80]
    unsubscribed = some(codes(UNSUBSCRIBED)) if version.can_say_why else st.just([])
    filters = some(st.tuples(topic_filters, options(version)))
    kinds: list[st.SearchStrategy[Packet]] = [
        connects(version),
        connacks(version),
        publishes(version),
        acks(Puback, RECEIVED),
        acks(Pubrec, RECEIVED),
        acks(Pubrel, RELEASED),
        acks(Pubcomp, RELEASED),
        st.builds(Subscribe, packet_ids, filters, properties(PacketType.SUBSCRIBE, version)),
        st.builds(
            Suback,
            packet_ids,
            some(codes(subscribed)),
            properties(PacketType.SUBACK, version),
        ),
        st.builds(
            Unsubscribe,
            packet_ids,
            some(topic_filters),
            properties(PacketType.UNSUBSCRIBE, version),
        ),
        st.builds(Unsuback, packet_ids, unsubscribed, properties(PacketType.UNSUBACK, version)),
        st.just(Pingreq()),
        st.just(Pingresp()),
    ]
    if version.can_say_why:
        leaving = codes([4, *DISCONNECTED])
        kinds.append(st.builds(Disconnect, leaving, properties(PacketType.DISCONNECT)))
        kinds.append(st.builds(Auth, codes([0x18, 0x19]), properties(PacketType.AUTH)))
    else:
        kinds.append(st.just(Disconnect()))
    return st.one_of(kinds)


packets = versions.flatmap(lambda version: st.tuples(st.just(version), packets_of(version)))
