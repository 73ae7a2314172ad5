"""CONNECT and CONNACK."""

from __future__ import annotations

from linnet.errors import ReasonCode
from linnet.wire import NEVER, V3_1, V3_1_1, V5, Connack, Connect, Properties, Version, Will
from tests.wire.cases.notation import ALL, MALFORMED, OLD, ONLY_5, PROTOCOL, SINCE_3_1_1, Case, bad, good


def connects(name: str, rest: str, reason: int, *clauses: str, versions: tuple[Version, ...] = ALL) -> list[Case]:
    """A refused CONNECT in each version, from the connect flags on; `@` stands for empty properties."""
    starts = {V3_1: "10 0006'MQIsdp' 03", V3_1_1: "10 0004'MQTT' 04", V5: "10 0004'MQTT' 05"}
    cases = []
    for version in versions:
        properties = "00" if version is V5 else ""
        cases += bad(name, [version], f"{starts[version]} {rest.replace('@', properties)}", reason, *clauses)
    return cases


WILL_3 = Will("w", b"bye", qos=1, retain=True)
LASTING = Properties(session_expiry_interval=NEVER)
SURROGATE = "0003 EDA080"

CONNECT = [
    *good("CONNECT", [V3_1], "10 0006'MQIsdp' 03 02 003C 0003'bob'", Connect("bob", keep_alive=60, version=V3_1)),
    *good(
        "CONNECT",
        [V3_1_1],
        "10 0004'MQTT' 04 02 003C 0003'bob'",
        Connect("bob", keep_alive=60, version=V3_1_1),
        "3.1.1:MQTT-3.1.3-3",
    ),
    *good(
        "CONNECT",
        [V5],
        "10 0004'MQTT' 05 02 003C 00 0003'bob'",
        Connect("bob", keep_alive=60),
        "5.0:MQTT-3.1.3-3",
        "5.0:MQTT-2.2.2-1",
    ),
    *good(
        "CONNECT with everything",
        [V3_1],
        "10 0006'MQIsdp' 03 EE 003C 0003'bob' 0001'w' 0003'bye' 0001'u' 0002 00'p'",
        Connect("bob", True, 60, "u", b"\0p", WILL_3, version=V3_1),
    ),
    *good(
        "CONNECT with everything",
        [V3_1_1],
        "10 0004'MQTT' 04 EE 003C 0003'bob' 0001'w' 0003'bye' 0001'u' 0002 00'p'",
        Connect("bob", True, 60, "u", b"\0p", WILL_3, version=V3_1_1),
        "3.1.1:MQTT-3.1.3-1",
        "3.1.1:MQTT-3.1.2-9",
        "3.1.1:MQTT-3.1.2-19",
        "3.1.1:MQTT-3.1.2-21",
    ),
    *good(
        "CONNECT with everything",
        [V5],
        "10 0004'MQTT' 05 EE 003C 05 11 0000000A 0003'bob' 05 18 00000005 0001'w' 0003'bye' 0001'u' 0002 00'p'",
        Connect(
            "bob",
            keep_alive=60,
            user_name="u",
            password=b"\0p",
            will=Will("w", b"bye", 1, True, Properties(will_delay_interval=5)),
            properties=Properties(session_expiry_interval=10),
        ),
        "5.0:MQTT-3.1.3-1",
        "5.0:MQTT-3.1.2-9",
        "5.0:MQTT-3.1.2-17",
        "5.0:MQTT-3.1.2-19",
    ),
    *good(
        "CONNECT to a lasting session",
        [V3_1],
        "10 0006'MQIsdp' 03 00 0000 0001'b'",
        Connect("b", clean_start=False, properties=LASTING, version=V3_1),
    ),
    *good(
        "CONNECT to a lasting session",
        [V3_1_1],
        "10 0004'MQTT' 04 00 0000 0001'b'",
        Connect("b", clean_start=False, properties=LASTING, version=V3_1_1),
    ),
    *good(
        "CONNECT without clean start",
        [V5],
        "10 0004'MQTT' 05 00 0000 00 0001'b'",
        Connect("b", clean_start=False),
    ),
    *good(
        "CONNECT with an empty will message",
        [V3_1_1],
        "10 0004'MQTT' 04 16 0000 0001'b' 0001'w' 0000",
        Connect("b", will=Will("w", b"", qos=2), version=V3_1_1),
    ),
    *good("CONNECT without identifier", [V3_1_1], "10 0004'MQTT' 04 02 0000 0000", Connect(version=V3_1_1)),
    *good("CONNECT without identifier", [V5], "10 0004'MQTT' 05 02 0000 00 0000", Connect()),
    *good(
        "CONNECT with U+FEFF",
        [V3_1_1],
        "10 0004'MQTT' 04 02 0000 0004 EFBBBF'b'",
        Connect("\ufeffb", version=V3_1_1),
        "3.1.1:MQTT-1.5.3-3",
    ),
    *good(
        "CONNECT with U+FEFF",
        [V5],
        "10 0004'MQTT' 05 02 0000 00 0004 EFBBBF'b'",
        Connect("\ufeffb"),
        "5.0:MQTT-1.5.4-3",
    ),
    *good(
        "CONNECT with a password alone",
        [V5],
        "10 0004'MQTT' 05 42 0000 00 0000 0001'p'",
        Connect(password=b"p"),
    ),
    *good(
        "CONNECT that leaves out the login it announces",
        [V3_1],
        "10 0006'MQIsdp' 03 C2 0000 0001'b'",
        Connect("b", version=V3_1),
        canonical=False,
    ),
    *good(
        "CONNECT that leaves out the password it announces",
        [V3_1],
        "10 0006'MQIsdp' 03 C2 0000 0001'b' 0001'u'",
        Connect("b", user_name="u", version=V3_1),
        canonical=False,
    ),
    *bad("CONNECT of nothing", ALL, "10", MALFORMED),
    *bad(
        "CONNECT of another protocol",
        ALL,
        "10 0004'MQTX' 04 02 0000 0000",
        MALFORMED,
        "3.1.1:MQTT-3.1.2-1",
        "5.0:MQTT-3.1.2-1",
    ),
    *bad("CONNECT of a lower-case protocol", ALL, "10 0004'mqtt' 05 02 0000 00 0000", MALFORMED),
    *bad("CONNECT of half a protocol name", ALL, "10 0002'MQ' 04 02 0000 0000", MALFORMED),
    *bad("CONNECT of a longer protocol name", ALL, "10 0005'MQTTT' 04 02 0000 0000", MALFORMED),
    *bad(
        "CONNECT of an unknown level",
        ALL,
        "10 0004'MQTT' 06 02 0000 00 0000",
        ReasonCode.UNSUPPORTED_PROTOCOL_VERSION,
        "3.1.1:MQTT-3.1.2-2",
        "5.0:MQTT-3.1.2-2",
    ),
    *bad(
        "CONNECT of a level under another name",
        ALL,
        "10 0006'MQIsdp' 04 02 0000 0000",
        ReasonCode.UNSUPPORTED_PROTOCOL_VERSION,
    ),
    *bad(
        "CONNECT of level 3 under the new name",
        ALL,
        "10 0004'MQTT' 03 02 0000 0001'b'",
        ReasonCode.UNSUPPORTED_PROTOCOL_VERSION,
    ),
    *bad(
        "CONNECT with the bridge bit",
        ALL,
        "10 0004'MQTT' 84 02 0000 0001'b'",
        ReasonCode.UNSUPPORTED_PROTOCOL_VERSION,
    ),
    *bad("CONNECT that ends after the level", ALL, "10 0004'MQTT' 04", MALFORMED),
    *connects("CONNECT that ends within keep alive", "02 00", MALFORMED),
    *connects(
        "CONNECT with the reserved flag",
        "03 0000 @ 0001'b'",
        MALFORMED,
        "3.1.1:MQTT-3.1.2-3",
        "5.0:MQTT-3.1.2-3",
    ),
    *connects(
        "CONNECT with will QoS 3",
        "1E 0000 @ 0001'b' @ 0001'w' 0000",
        MALFORMED,
        "3.1.1:MQTT-3.1.2-14",
        "5.0:MQTT-3.1.2-12",
    ),
    *connects(
        "CONNECT with a will QoS without a will",
        "0A 0000 @ 0001'b'",
        MALFORMED,
        "3.1.1:MQTT-3.1.2-11",
        "3.1.1:MQTT-3.1.2-13",
        "5.0:MQTT-3.1.2-11",
    ),
    *connects(
        "CONNECT with will retain without a will",
        "22 0000 @ 0001'b'",
        MALFORMED,
        "3.1.1:MQTT-3.1.2-11",
        "3.1.1:MQTT-3.1.2-15",
        "5.0:MQTT-3.1.2-13",
    ),
    *connects(
        "CONNECT with a password but no user name",
        "42 0000 @ 0001'b' 0001'p'",
        MALFORMED,
        "3.1.1:MQTT-3.1.2-22",
        versions=OLD,
    ),
    *connects(
        "CONNECT without the client identifier",
        "02 0000 @",
        MALFORMED,
        "3.1.1:MQTT-3.1.3-3",
        "5.0:MQTT-3.1.3-3",
    ),
    *connects("CONNECT with a cut client identifier", "02 0000 @ 0003'bo'", MALFORMED),
    *connects("CONNECT with a byte too many", "02 0000 @ 0001'b' 00", MALFORMED),
    *connects(
        "CONNECT with a user name unannounced",
        "02 0000 @ 0001'b' 0001'u'",
        MALFORMED,
        "3.1.1:MQTT-3.1.2-18",
        "5.0:MQTT-3.1.2-16",
    ),
    *connects(
        "CONNECT with a password unannounced",
        "82 0000 @ 0001'b' 0001'u' 0001'p'",
        MALFORMED,
        "3.1.1:MQTT-3.1.2-20",
        "5.0:MQTT-3.1.2-18",
    ),
    *connects(
        "CONNECT without the user name announced",
        "82 0000 @ 0001'b'",
        MALFORMED,
        "3.1.1:MQTT-3.1.2-19",
        "5.0:MQTT-3.1.2-17",
        versions=SINCE_3_1_1,
    ),
    *connects(
        "CONNECT without the password announced",
        "C2 0000 @ 0001'b' 0001'u'",
        MALFORMED,
        "3.1.1:MQTT-3.1.2-21",
        "5.0:MQTT-3.1.2-19",
        versions=SINCE_3_1_1,
    ),
    *connects(
        "CONNECT without the will announced",
        "06 0000 @ 0001'b' @",
        MALFORMED,
        "3.1.1:MQTT-3.1.2-9",
        "5.0:MQTT-3.1.2-9",
    ),
    *connects("CONNECT without a will message", "06 0000 @ 0001'b' @ 0001'w'", MALFORMED),
    *connects("CONNECT with a cut will message", "06 0000 @ 0001'b' @ 0001'w' 0002'x'", MALFORMED),
    *connects(
        "CONNECT with an empty will topic",
        "06 0000 @ 0001'b' @ 0000 0001'x'",
        ReasonCode.TOPIC_NAME_INVALID,
        "3.1.1:MQTT-4.7.3-1",
        "5.0:MQTT-4.7.3-1",
    ),
    *connects(
        "CONNECT with a wildcard in the will topic",
        "06 0000 @ 0001'b' @ 0003'w/#' 0001'x'",
        ReasonCode.TOPIC_NAME_INVALID,
        "3.1.1:MQTT-4.7.1-1",
        "5.0:MQTT-4.7.0-1",
    ),
    *connects(
        "CONNECT with U+0000 in the client identifier",
        "02 0000 @ 0002'b'00",
        MALFORMED,
        "3.1.1:MQTT-1.5.3-2",
        "5.0:MQTT-1.5.4-2",
    ),
    *connects(
        "CONNECT with a surrogate in the client identifier",
        f"02 0000 @ {SURROGATE}",
        MALFORMED,
        "3.1.1:MQTT-1.5.3-1",
        "3.1.1:MQTT-3.1.3-4",
        "5.0:MQTT-1.5.4-1",
        "5.0:MQTT-3.1.3-4",
    ),
    *connects(
        "CONNECT with ill-formed UTF-8 in the will topic",
        "06 0000 @ 0001'b' @ 0002 C0AF 0001'x'",
        MALFORMED,
        "3.1.1:MQTT-3.1.3-10",
        "5.0:MQTT-3.1.3-11",
    ),
    *connects("CONNECT with U+0000 in the will topic", "06 0000 @ 0001'b' @ 0002'w'00 0001'x'", MALFORMED),
    *connects(
        "CONNECT with ill-formed UTF-8 in the user name",
        "82 0000 @ 0001'b' 0001 FF",
        MALFORMED,
        "3.1.1:MQTT-3.1.3-11",
        "5.0:MQTT-3.1.3-12",
    ),
    *connects("CONNECT without a property length", "02 0000", MALFORMED, versions=ONLY_5),
    *connects("CONNECT with properties beyond its end", "02 0000 09 11 0000000A", MALFORMED, versions=ONLY_5),
    *connects("CONNECT with a property length in two bytes", "02 0000 8000 0001'b'", MALFORMED, versions=ONLY_5),
    *connects("CONNECT with authentication data alone", "02 0000 04 16 0001'd' 0001'b'", PROTOCOL, versions=ONLY_5),
]

CONNACK = [
    *good("CONNACK", OLD, "20 00 00", Connack()),
    *good("CONNACK", [V5], "20 00 00 00", Connack(), "5.0:MQTT-2.2.2-1"),
    *good("CONNACK with a session", [V3_1_1], "20 01 00", Connack(True)),
    *good("CONNACK with a session", [V5], "20 01 00 00", Connack(True)),
    *good("CONNACK with its reserved byte set", [V3_1], "20 01 00", Connack(), canonical=False),
    *good("CONNACK 1", OLD, "20 00 01", Connack(False, 0x84)),
    *good("CONNACK 2", OLD, "20 00 02", Connack(False, 0x85)),
    *good("CONNACK 3", OLD, "20 00 03", Connack(False, 0x88)),
    *good("CONNACK 4", OLD, "20 00 04", Connack(False, 0x86)),
    *good("CONNACK 5", OLD, "20 00 05", Connack(False, 0x87)),
    *good(
        "CONNACK with a reason",
        [V5],
        "20 00 87 06 1F 0003'why'",
        Connack(False, 0x87, Properties(reason_string="why")),
        "5.0:MQTT-3.2.2-8",
    ),
    *bad("CONNACK of nothing", ALL, "20", MALFORMED),
    *bad("CONNACK of one byte", ALL, "20 00", MALFORMED),
    *bad("CONNACK without properties", [V5], "20 00 00", MALFORMED),
    *bad("CONNACK with a byte too many", OLD, "20 00 00 00", MALFORMED),
    *bad("CONNACK with a byte too many", [V5], "20 00 00 00 00", MALFORMED),
    *bad("CONNACK with reserved flags", [V3_1_1], "20 02 00", MALFORMED),
    *bad("CONNACK with reserved flags", [V5], "20 02 00 00", MALFORMED, "5.0:MQTT-3.2.2-1"),
    *bad("CONNACK that refuses a session it has", [V3_1_1], "20 01 05", PROTOCOL, "3.1.1:MQTT-3.2.2-4"),
    *bad("CONNACK that refuses a session it has", [V5], "20 01 87 00", PROTOCOL, "5.0:MQTT-3.2.2-6"),
    *bad("CONNACK 6", OLD, "20 00 06", MALFORMED),
    *bad("CONNACK with another packet's reason", [V5], "20 00 04 00", MALFORMED, "5.0:MQTT-3.2.2-8"),
    *bad("CONNACK from a client", OLD, "20 00 00", PROTOCOL, from_client=True),
    *bad("CONNACK from a client", [V5], "20 00 00 00", PROTOCOL, from_client=True),
]

CASES: list[Case] = [*CONNECT, *CONNACK]
