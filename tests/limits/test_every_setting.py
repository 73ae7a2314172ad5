"""No limit without a proof: each setting that could be one has its test, or a reason why it needs none."""

import re
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from linnet.settings import OPTIONS
from linnet.table import Limits, Network, Protocol, Retained, Session
from tests.house.sources import ROOT

GROUPS = (Network, Protocol, Session, Retained, Limits)
KIB = 1024
UNITS = {"s": " s", "1/s": "/s", "bytes/s": " bytes/s", "%": " %"}
SIZES = ((1, "KiB"), (2, "MiB"), (3, "GiB"))

# By setting: the tests that reach it from outside, each in a file beside this one
PROVED = {
    "connect_timeout": "connections: says_nothing, drips; malice: two_hundred_drip_their_connect",
    "max_connections": "connections: max_connections, max_connections_beyond_what_can_be_told",
    "max_connections_per_address": "connections: max_connections_per_address",
    "max_connect_rate_per_address": "connections: max_connect_rate_per_address",
    "max_preconnect": "connections: max_preconnect",
    "max_preconnect_per_address": "connections: max_preconnect_per_address",
    "accept_rate": "connections: accept_rate_and_burst",
    "accept_burst": "connections: accept_rate_and_burst",
    "max_qos": "packets: max_qos",
    "max_keep_alive": "packets: max_keep_alive",
    "receive_maximum": "packets: receive_maximum; malice: qos_2_that_is_never_released",
    "receive_maximum_3": "packets: receive_maximum; malice: qos_2_that_is_never_released",
    "max_packet_size": "packets: max_packet_size_is_known_from_the_header",
    "max_connect_size": "packets: max_connect_size_is_known_from_the_header",
    "topic_alias_maximum": "packets: topic_alias_maximum",
    "topic_alias_maximum_out": "packets: topic_alias_maximum_out_is_never_exceeded",
    "max_user_properties": "packets: properties, properties_of_connect_and_will",
    "max_properties_size": "packets: properties, properties_of_connect_and_will",
    "max_topic_bytes": "packets: topic_names, topic_filters; malice: sixty_five_thousand_slashes",
    "max_topic_levels": "packets: topic_names, topic_filters; malice: sixty_five_thousand_slashes",
    "max_client_id_bytes": "packets: lengths_in_connect",
    "max_user_name_bytes": "packets: lengths_in_connect",
    "max_password_bytes": "packets: lengths_in_connect",
    "max_sessions": "sessions: max_sessions",
    "max_session_expiry": "packets: max_session_expiry",
    "max_inflight": "sessions: max_inflight_is_never_exceeded",
    "max_queued_messages": "sessions: what_waits_for_a_client, disconnects, drops_the_oldest",
    "max_queued_bytes": "sessions: what_waits_for_a_client",
    "max_store_bytes": "sessions: what_waits_for_a_client, max_store_bytes_keeps_a_publisher_waiting",
    "queue_policy": "sessions: refuses, holds_the_publisher, disconnects",
    "queue_policies": "sessions: drops_the_oldest",
    "hold_timeout": "sessions: hold_timeout",
    "max_subscriptions_per_client": "sessions: subscriptions",
    "max_subscriptions": "sessions: subscriptions",
    "max_filters_per_packet": "packets: max_filters_per_packet",
    "max_retained": "retained: what_has_no_room_is_not_kept",
    "max_retained_bytes": "retained: what_has_no_room_is_not_kept",
    "max_retained_payload": "retained: what_has_no_room_is_not_kept",
    "retained_slice": "retained: retained_slice; malice: everything_that_is_retained",
    "max_output_bytes": "output: drops_qos_0, asks_and_does_not_read; malice: a_reader_that_never_reads",
    "max_output_bytes_hard": "output: max_output_bytes_hard",
    "write_timeout": "output: write_timeout, spares_who_reads_slowly",
    "max_publish_rate": "output: a_rate_delays, a_rate_disconnects",
    "max_byte_rate": "output: a_rate_delays, a_rate_disconnects",
    "rate_policy": "output: a_rate_disconnects",
    "delivery_budget": "process: delivery_budget; malice: fan_out_to_two_thousand, flood_of_pings",
    "memory_limit": "process: memory_high, memory_max",
    "memory_high": "process: memory_high",
    "memory_max": "process: memory_max, nobody_to_blame",
    "max_loop_lag": "process: max_loop_lag",
    "max_routes": "process: max_routes",
}

# By setting: why it is no limit, and where it is tested
NO_LIMITS = {
    "listen": "where, not how much: tests/net/test_listener.py",
    "backlog": "the system keeps it, and tells nobody when it is full: tests/net/test_listener.py opens with it",
    "stop_timeout": "holds when the broker itself ends, and nobody is served any more: tests/test_broker.py",
    "event_loop": "a choice: tests/system/test_serve.py",
    "versions": "a choice, answered with 0x84: tests/core/test_limits.py",
    "retain_available": "a choice, answered with 0x9A: tests/core/test_limits.py",
    "wildcard_subscriptions": "a choice, answered with 0xA2: tests/core/test_limits.py",
    "subscription_identifiers": "a choice, answered with 0xA1: tests/core/test_limits.py",
    "shared_subscriptions": "a choice, answered with 0x9E: tests/core/test_limits.py",
    "check_payload_format": "a choice: tests/core/test_limits.py",
    "refuse_control_characters": "a choice: tests/core/test_limits.py",
    "overlap": "a choice: tests/core/test_router.py",
    "tell_no_subscribers": "a choice: tests/core/test_limits.py",
    "response_information": "what is told: tests/core/test_limits.py",
    "allow_empty_client_id": "a choice, answered with 0x85: tests/core/test_limits.py",
    "assigned_client_id_prefix": "a name: tests/core/test_limits.py",
    "queue_qos0": "a choice; what waits is limited as all that waits: tests/core/test_limits.py",
}


def settings() -> list[str]:
    """Every setting that could be a limit."""
    return [name for group in GROUPS for name in group.model_fields]


def proofs() -> list[tuple[str, str, str]]:
    """Every setting, and the file and the name of each of its tests."""
    found = []
    for setting, places in PROVED.items():
        for place in places.split("; "):
            file, _, names = place.partition(": ")
            found += [(setting, file, name) for name in names.split(", ")]
    return found


def test_every_setting_is_proved_or_argued() -> None:
    assert sorted([*PROVED, *NO_LIMITS]) == sorted(settings())


@pytest.mark.parametrize(("setting", "file", "name"), proofs(), ids="-".join)
def test_a_proof_is_there_and_is_about_its_setting(setting: str, file: str, name: str) -> None:
    module = import_module(f"tests.limits.test_{file}")
    tests = [test for test in vars(module) if test.startswith("test_") and name in test]
    assert tests, f"{file} has no test of {name}"
    assert setting in Path(str(module.__file__)).read_text() or file == "malice"


@pytest.mark.parametrize(("setting", "why"), NO_LIMITS.items(), ids=NO_LIMITS)
def test_what_is_no_limit_is_tested_too(setting: str, why: str) -> None:
    (path,) = re.findall(r"tests/\S+\.py", why)
    text = (ROOT / path).read_text()
    assert setting in text or setting in ("listen", "backlog", "event_loop"), f"{path} does not mention {setting}"


@cache
def documented() -> dict[str, str]:
    """What docs/limits.md says the default of each limit is."""
    rows = re.findall(r"^\| (`[^|]+`) \| ([^|]+) \|.*\|$", (ROOT / "docs" / "limits.md").read_text(), re.MULTILINE)
    return {name: default.strip() for names, default in rows for name in re.findall(r"`(\w+)`", names)}


def shown(setting: str) -> list[str]:
    """How the default of a setting may be written."""
    option = OPTIONS[setting]
    value = option.default
    if not isinstance(value, int | float):
        return [f"`{value}`"] if value else ["none"]
    if not value:
        return ["none", "what there is"]
    number = f"{value:,}" if isinstance(value, int) else f"{value:,g}"
    written = [number + UNITS.get(option.unit, ""), f"{value // 86400} days"]
    return written + [f"{value // KIB**power} {name}" for power, name in SIZES if value % KIB**power == 0]


@pytest.mark.parametrize("setting", PROVED)
def test_the_document_names_every_limit_with_its_default(setting: str) -> None:
    assert documented().get(setting) in shown(setting)


def test_the_document_names_nothing_else() -> None:
    assert documented().keys() <= PROVED.keys()
