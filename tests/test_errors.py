"""Errors that are reason codes."""

from __future__ import annotations

import copy
import pickle

import pytest

from linnet.errors import LinnetError, MalformedPacket, ProtocolError, ReasonCode, SettingsError, reason_name

CODES = (
    "00 01 02 04 10 11 18 19 80 81 82 83 84 85 86 87 88 89 8A 8B 8C 8D 8E 8F 90 91 92 93 94 95 96 97 98 99 "
    "9A 9B 9C 9D 9E 9F A0 A1 A2"
)


def test_the_reason_codes_are_those_of_the_specification() -> None:
    assert bytes(ReasonCode) == bytes.fromhex(CODES)


def test_an_error_says_what_was_wrong_where_it_stands_and_the_code() -> None:
    error = ProtocolError(ReasonCode.TOPIC_ALIAS_INVALID, "alias 9 is above the 8 agreed", "MQTT-3.3.2-9")
    assert str(error) == "alias 9 is above the 8 agreed [MQTT-3.3.2-9] (0x94 topic alias invalid)"
    assert (error.reason_code, error.clause, error.version) == (0x94, "MQTT-3.3.2-9", None)
    assert str(ProtocolError(0x97, "no")) == "no (0x97 quota exceeded)"
    assert str(ProtocolError(0x82, "no")) == "no [MQTT-4.13.1-1] (0x82 protocol error)"  # no other clause is named
    assert str(ProtocolError(0xEE, "odd")) == "odd (0xEE unknown reason)"


def test_a_malformed_packet_is_a_protocol_error_0x81() -> None:
    error = MalformedPacket("cut short")
    assert isinstance(error, ProtocolError)
    assert str(error) == "cut short [MQTT-4.13.1-1] (0x81 malformed packet)"


@pytest.mark.parametrize("error", [ProtocolError(0x82, "no", "MQTT-1"), MalformedPacket("cut", "MQTT-2")])
def test_an_error_can_be_copied_and_sent_elsewhere(error: ProtocolError) -> None:
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(twin) is type(error)
        assert (twin.reason_code, twin.detail, twin.clause) == (error.reason_code, error.detail, error.clause)


def test_every_error_of_linnet_has_one_root() -> None:
    assert issubclass(ProtocolError, LinnetError)
    assert issubclass(SettingsError, LinnetError)


def test_the_name_of_a_reason() -> None:
    assert reason_name(0x8E) == "session taken over"
    assert reason_name(0x03) == "unknown reason"
