"""The first byte of a packet: type, flags, direction, for every version."""

from __future__ import annotations

import pytest

from linnet.errors import MalformedPacket, ProtocolError, ReasonCode
from linnet.wire import VERSIONS, PacketType, Version, check_first_byte

every_version = pytest.mark.parametrize("version", VERSIONS.values(), ids=lambda version: version.name)
FIXED = {kind: 0b0010 if kind.name in ("PUBREL", "SUBSCRIBE", "UNSUBSCRIBE") else 0 for kind in PacketType}
del FIXED[PacketType.PUBLISH]
FROM_SERVER = {"CONNACK", "SUBACK", "UNSUBACK", "PINGRESP"}
FROM_CLIENT = {"CONNECT", "SUBSCRIBE", "UNSUBSCRIBE", "PINGREQ"}


def exists(kind: PacketType, version: Version) -> bool:
    return kind is not PacketType.AUTH or version.name == "5.0"


@pytest.mark.clause(
    "5.0:MQTT-2.1.3-1",
    "3.1.1:MQTT-2.2.2-1",
    "3.1.1:MQTT-2.2.2-2",
    "5.0:MQTT-3.6.1-1",
    "3.1.1:MQTT-3.6.1-1",
    "5.0:MQTT-3.8.1-1",
    "3.1.1:MQTT-3.8.1-1",
    "5.0:MQTT-3.10.1-1",
    "3.1.1:MQTT-3.10.1-1",
    "5.0:MQTT-3.14.1-1",
    "3.1.1:MQTT-3.14.1-1",
    "5.0:MQTT-3.15.1-1",
)
@every_version
@pytest.mark.parametrize("kind", FIXED, ids=lambda kind: kind.name)
def test_only_the_flags_of_the_table_are_taken(kind: PacketType, version: Version) -> None:
    taken = set()
    for flags in range(16):
        try:
            assert check_first_byte(kind << 4 | flags, version) == kind
        except MalformedPacket:
            continue
        taken.add(flags)
    expected = {FIXED[kind]}
    if version.name == "3.1" and FIXED[kind]:
        expected.add(0b1010)  # DUP belongs to every request of 3.1 that is sent again
    assert taken == (expected if exists(kind, version) else set())


@every_version
def test_the_flags_of_publish_are_left_to_publish(version: Version) -> None:
    assert {check_first_byte(0x30 | flags, version) for flags in range(16)} == {PacketType.PUBLISH}


@every_version
def test_there_is_no_packet_of_type_0(version: Version) -> None:
    for flags in range(16):
        with pytest.raises(MalformedPacket):
            check_first_byte(flags, version)


@every_version
@pytest.mark.parametrize("kind", FIXED, ids=lambda kind: kind.name)
def test_each_side_sends_only_what_is_its_own(kind: PacketType, version: Version) -> None:
    if not exists(kind, version):
        return
    first = kind << 4 | FIXED[kind]
    for from_client, never in ((True, FROM_SERVER), (False, FROM_CLIENT)):
        if kind.name in never:
            with pytest.raises(ProtocolError) as refusal:
                check_first_byte(first, version, from_client)
            assert refusal.value.reason_code == ReasonCode.PROTOCOL_ERROR
        else:
            assert check_first_byte(first, version, from_client) == kind
