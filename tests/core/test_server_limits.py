"""What a server says that it takes is what a client keeps to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.core.outbox import Outbox
from linnet.core.server_limits import ServerLimits
from linnet.core.topics import TopicRules, parse_filter
from linnet.errors import NotSupported, ReasonCode
from linnet.wire import V3_1, V3_1_1, V5, Connack, Message, Properties, SubscriptionOptions
from tests.core.steady import STEADY

RULES = TopicRules()


def told(**said: object) -> ServerLimits:
    """The limits of a server that has said this, to a client that has asked for a keep-alive of 60 seconds."""
    return ServerLimits.told(Connack(False, 0, Properties(**said)), V5, 60, 300)  # type: ignore[arg-type]


def test_a_server_that_says_nothing_takes_everything() -> None:
    limits = told()
    assert limits == ServerLimits(keep_alive=60, session_expiry=300)
    limits.check_publish(Message("a", b"x" * 100_000, 2, True))


@pytest.mark.parametrize("version", [V3_1, V3_1_1], ids=["3.1", "3.1.1"])
def test_before_5_there_are_no_subscription_identifiers(version: object) -> None:
    limits = ServerLimits.told(Connack(), version, 60, 0)  # type: ignore[arg-type]
    assert not limits.subscription_identifiers
    assert limits.shared_subscriptions


@pytest.mark.clause("5.0:MQTT-3.2.2-21")
def test_the_servers_word_on_times_counts() -> None:
    limits = told(server_keep_alive=5, session_expiry_interval=0)
    assert (limits.keep_alive, limits.session_expiry) == (5, 0)
    assert told(server_keep_alive=0).keep_alive == 0


@pytest.mark.clause("5.0:MQTT-3.2.2-11")
@pytest.mark.parametrize("maximum", [0, 1])
def test_a_higher_qos_than_the_server_has_is_refused(maximum: int) -> None:
    limits = told(maximum_qos=maximum)
    for qos in range(3):
        if qos <= maximum:
            limits.check_publish(Message("a", b"", qos))
        else:
            with pytest.raises(NotSupported) as caught:
                limits.check_publish(Message("a", b"", qos))
            assert caught.value.reason_code == ReasonCode.QOS_NOT_SUPPORTED


@pytest.mark.clause("5.0:MQTT-3.2.2-14")
def test_a_retained_message_is_refused_where_none_are_kept() -> None:
    limits = told(retain_available=False)
    limits.check_publish(Message("a"))
    with pytest.raises(NotSupported) as caught:
        limits.check_publish(Message("a", retain=True))
    assert caught.value.reason_code == ReasonCode.RETAIN_NOT_SUPPORTED


@pytest.mark.clause("5.0:MQTT-3.2.2-16", "5.0:MQTT-3.2.2-18")
@pytest.mark.parametrize(
    ("said", "name", "is_fine"),
    [
        ({"wildcard_subscription_available": False}, "a/+", False),
        ({"wildcard_subscription_available": False}, "a/#", False),
        ({"wildcard_subscription_available": False}, "a/b", True),
        ({"wildcard_subscription_available": False}, "$share/g/a", True),
        ({"shared_subscription_available": False}, "$share/g/a", False),
        ({"shared_subscription_available": False}, "a/+", True),
        ({}, "$share/g/a/+", True),
    ],
)
def test_a_subscription_that_the_server_does_not_have_is_refused(
    said: dict[str, object], name: str, is_fine: bool
) -> None:
    limits = told(**said)
    parsed = parse_filter(name.encode(), RULES)
    if is_fine:
        limits.check_subscribe(parsed, SubscriptionOptions())
    else:
        with pytest.raises(NotSupported):
            limits.check_subscribe(parsed, SubscriptionOptions())


@STEADY
@given(
    maximum=st.integers(20, 400),
    topic=st.integers(1, 150),
    payload=st.integers(0, 300),
    qos=st.integers(0, 2),
    aliases=st.sampled_from([0, 3]),
    expiry=st.none() | st.integers(1, 100),
    content_type=st.none() | st.text("xy", max_size=150),
)
@pytest.mark.clause("5.0:MQTT-3.2.2-15")
def test_what_passes_the_check_fits_in_the_outbox(
    maximum: int, topic: int, payload: int, qos: int, aliases: int, expiry: int | None, content_type: str | None
) -> None:
    limits = told(maximum_packet_size=maximum, topic_alias_maximum=aliases)
    properties = Properties(message_expiry_interval=expiry, content_type=content_type)
    message = Message("t" * topic, b"x" * payload, qos, False, properties)
    outbox = Outbox([], 1 << 60)
    outbox.has_properties = True
    outbox.maximum_packet = maximum
    least = 2 + 2 + topic + payload
    try:
        limits.check_publish(message)
    except NotSupported as fault:
        assert fault.reason_code == ReasonCode.PACKET_TOO_LARGE
        assert least + len(message.forwarded) + 20 > maximum  # it is not refused for nothing
    else:
        assert outbox.publish(message, qos, False, False, 1 if qos else 0, b"", 0.0)
        assert len(outbox.take()) <= maximum


def test_any_other_packet_may_be_as_large_as_the_server_says() -> None:
    limits = told(maximum_packet_size=10)
    limits.check_packet(b"x" * 10)
    with pytest.raises(NotSupported):
        limits.check_packet(b"x" * 11)
