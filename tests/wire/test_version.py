"""The three versions and the facts that set them apart."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from linnet.wire import V3_1, V3_1_1, V5, VERSIONS


def test_there_are_three_versions_known_by_their_level() -> None:
    assert VERSIONS == {3: V3_1, 4: V3_1_1, 5: V5}
    assert [version.name for version in VERSIONS.values()] == ["3.1", "3.1.1", "5.0"]
    assert [version.protocol_name for version in VERSIONS.values()] == ["MQIsdp", "MQTT", "MQTT"]
    assert [repr(version) for version in VERSIONS.values()] == ["<MQTT 3.1>", "<MQTT 3.1.1>", "<MQTT 5.0>"]


FACTS = {
    "has_properties": (False, False, True),
    "can_say_why": (False, False, True),
    "has_session_present": (False, True, True),
    "assigns_client_ids": (False, True, True),
    "empty_id_needs_clean_start": (False, True, False),
    "password_needs_user_name": (True, True, False),
    "login_may_be_missing": (True, False, False),
    "requests_may_be_duplicates": (True, False, False),
}


@pytest.mark.parametrize(("fact", "truth"), FACTS.items())
def test_a_fact(fact: str, truth: tuple[bool, bool, bool]) -> None:
    assert tuple(getattr(version, fact) for version in (V3_1, V3_1_1, V5)) == truth


def test_nobody_changes_a_version() -> None:
    with pytest.raises(FrozenInstanceError):
        V5.level = 6  # type: ignore[misc]
