"""Which reason codes each packet may carry, of all 256; and what older versions make of them."""

from __future__ import annotations

import pytest

from linnet.errors import MalformedPacket, ProtocolError, ReasonCode
from linnet.wire import (
    V3_1,
    V3_1_1,
    V5,
    Auth,
    Connack,
    Disconnect,
    Packet,
    Properties,
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
    Suback,
    Unsuback,
    Version,
    decode,
)
from tests.packets import octets, packet

RECEIVED = "00 10 80 83 87 90 91 97 99"
BOTH_LEAVE = "00 80 81 82 83 90 93 94 95 96 97 98 99"
ONLY_SERVER_LEAVES = "87 89 8B 8C 8D 8E 8F 9A 9B 9C 9D 9E 9F A0 A1 A2"
# Packet, its bytes before and behind the reason code, the codes it may carry, the clause.
LEGAL = {
    "CONNACK": (
        "20 00",
        "00",
        "00 80 81 82 83 84 85 86 87 88 89 8A 8C 90 95 97 99 9A 9B 9C 9D 9F",
        "5.0:MQTT-3.2.2-8",
    ),
    "PUBACK": ("40 0001", "", RECEIVED, "5.0:MQTT-3.4.2-1"),
    "PUBREC": ("50 0001", "", RECEIVED, "5.0:MQTT-3.5.2-1"),
    "PUBREL": ("62 0001", "", "00 92", "5.0:MQTT-3.6.2-1"),
    "PUBCOMP": ("70 0001", "", "00 92", "5.0:MQTT-3.7.2-1"),
    "SUBACK": ("90 0001 00", "", "00 01 02 80 83 87 8F 91 97 9E A1 A2", "5.0:MQTT-3.9.3-2"),
    "UNSUBACK": ("B0 0001 00", "", "00 11 80 83 87 8F 91", "5.0:MQTT-3.11.3-2"),
    "DISCONNECT": ("E0", "", f"04 {BOTH_LEAVE} {ONLY_SERVER_LEAVES}", "5.0:MQTT-3.14.2-1"),
    "AUTH": ("F0", "04 15 0001'm'", "00 18 19", "5.0:MQTT-3.15.2-1"),
}
ROWS = [
    pytest.param(before, behind, legal, id=name, marks=pytest.mark.clause(clause))
    for name, (before, behind, legal, clause) in LEGAL.items()
]


def taken(before: str, behind: str, version: Version, from_client: bool | None = None) -> set[int]:
    """The codes with which the packet is decoded; the others are refused."""
    codes = set()
    for code in range(256):
        try:
            decode(packet(f"{before} {code:02X} {behind}"), version, from_client)
        except ProtocolError:
            continue
        codes.add(code)
    return codes


@pytest.mark.parametrize(("before", "behind", "legal"), ROWS)
def test_a_packet_is_read_with_its_own_reason_codes_only(before: str, behind: str, legal: str) -> None:
    assert taken(before, behind, V5) == set(octets(legal))


def made(code: int) -> dict[str, Packet]:
    """Each packet with this reason code, whether it may have it or not."""
    return {
        "CONNACK": Connack(False, code),
        "PUBACK": Puback(1, code),
        "PUBREC": Pubrec(1, code),
        "PUBREL": Pubrel(1, code),
        "PUBCOMP": Pubcomp(1, code),
        "SUBACK": Suback(1, [code]),
        "UNSUBACK": Unsuback(1, [code]),
        "DISCONNECT": Disconnect(code),
        "AUTH": Auth(code, Properties(authentication_method="m")),
    }


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.clause(row[3])) for name, row in LEGAL.items()])
def test_a_packet_is_written_with_its_own_reason_codes_only(name: str) -> None:
    legal = set(octets(LEGAL[name][2]))
    for code in range(256):
        wanted = made(code)[name]
        if code in legal:
            assert decode(wanted.encode(V5), V5) == wanted
        else:
            with pytest.raises(MalformedPacket):
                wanted.encode(V5)


@pytest.mark.clause("5.0:MQTT-3.14.2-1")
def test_each_side_leaves_with_its_own_reason_codes() -> None:
    assert taken("E0", "", V5, from_client=True) == set(octets(f"04 {BOTH_LEAVE}")) == Disconnect.from_client_allowed
    assert taken("E0", "", V5, from_client=False) == set(octets(f"{BOTH_LEAVE} {ONLY_SERVER_LEAVES}"))


@pytest.mark.clause("5.0:MQTT-3.15.2-1")
def test_each_side_authenticates_with_its_own_reason_codes() -> None:
    assert taken("F0", "04 15 0001'm'", V5, from_client=True) == {0x18, 0x19} == Auth.from_client_allowed
    assert taken("F0", "04 15 0001'm'", V5, from_client=False) == {0x00, 0x18}


@pytest.mark.clause("3.1.1:MQTT-3.9.3-2")
@pytest.mark.parametrize("version", [V3_1, V3_1_1], ids=lambda version: version.name)
def test_every_refused_subscription_is_0x80_before_5_0(version: Version) -> None:
    codes = [0, 0x8F, 1, 0x97, 2, 0x80]
    assert Suback(1, codes).encode(version) == packet("90 0001 00 80 01 80 02 80")
    assert taken("90 0001", "", version) == {0, 1, 2, 0x80}


RETURN_CODES = {
    0: "00",
    1: "84",
    2: "85",
    3: "88 89 97 9C 9D 9F",
    4: "86",
    5: "80 81 82 83 87 8A 8C 90 95 99 9A 9B",
}


@pytest.mark.parametrize("version", [V3_1, V3_1_1], ids=lambda version: version.name)
@pytest.mark.parametrize(("return_code", "reasons"), RETURN_CODES.items())
def test_a_refusal_becomes_the_nearest_return_code(return_code: int, reasons: str, version: Version) -> None:
    for reason in octets(reasons):
        assert Connack(False, reason).encode(version) == bytes([0x20, 2, 0, return_code])


@pytest.mark.clause("5.0:MQTT-3.2.2-6", "3.1.1:MQTT-3.2.2-4")
@pytest.mark.parametrize("version", [V3_1, V3_1_1, V5], ids=lambda version: version.name)
def test_a_refusal_never_tells_of_a_session(version: Version) -> None:
    assert Connack(True, ReasonCode.NOT_AUTHORIZED).encode(version)[2] == 0
