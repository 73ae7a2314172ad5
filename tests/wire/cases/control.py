"""PINGREQ, PINGRESP, DISCONNECT, AUTH, and types that do not exist."""

from __future__ import annotations

from linnet.wire import V3_1_1, V5, Auth, Disconnect, Pingreq, Pingresp, Properties
from tests.wire.cases.notation import ALL, MALFORMED, OLD, PROTOCOL, SINCE_3_1_1, Case, bad, good

FLAGS = ("3.1.1:MQTT-2.2.2-2", "5.0:MQTT-2.1.3-1")
DISCONNECT_FLAGS = ("3.1.1:MQTT-3.14.1-1", "5.0:MQTT-3.14.1-1")
METHOD = Properties(authentication_method="m")

PINGS = [
    *good("PINGREQ", ALL, "C0", Pingreq()),
    *bad("PINGREQ with a byte", ALL, "C0 00", MALFORMED),
    *bad("PINGREQ with the flags 1", ALL, "C1", MALFORMED, *FLAGS),
    *bad("PINGREQ from a server", ALL, "C0", PROTOCOL, from_client=False),
    *good("PINGRESP", ALL, "D0", Pingresp()),
    *bad("PINGRESP with a byte", ALL, "D0 00", MALFORMED),
    *bad("PINGRESP with the flags 2", ALL, "D2", MALFORMED, *FLAGS),
    *bad("PINGRESP from a client", ALL, "D0", PROTOCOL, from_client=True),
]

DISCONNECT = [
    *good("DISCONNECT", ALL, "E0", Disconnect()),
    *good("DISCONNECT with 0", [V5], "E0 00", Disconnect(), canonical=False),
    *good("DISCONNECT with 0 and no properties", [V5], "E0 00 00", Disconnect(), canonical=False),
    *good("DISCONNECT with will", [V5], "E0 04", Disconnect(4), "5.0:MQTT-3.14.2-1"),
    *good(
        "DISCONNECT with a new session expiry",
        [V5],
        "E0 00 05 11 0000000A",
        Disconnect(0, Properties(session_expiry_interval=10)),
    ),
    *good(
        "DISCONNECT to another server",
        [V5],
        "E0 9C 0B 1C 0001's' 1F 0004'away'",
        Disconnect(0x9C, Properties(server_reference="s", reason_string="away")),
    ),
    *bad("DISCONNECT with a byte", OLD, "E0 00", MALFORMED),
    *bad("DISCONNECT with a byte too many", [V5], "E0 00 00 00", MALFORMED),
    *bad("DISCONNECT with the flags 1", ALL, "E1", MALFORMED, *DISCONNECT_FLAGS),
    *bad("DISCONNECT with the flags 8", ALL, "E8", MALFORMED, *DISCONNECT_FLAGS),
    *bad("DISCONNECT with an unknown reason", [V5], "E0 01", MALFORMED, "5.0:MQTT-3.14.2-1"),
    *bad("DISCONNECT with properties beyond its end", [V5], "E0 00 05 11 000000", MALFORMED),
    *bad("DISCONNECT with a server's reason from a client", [V5], "E0 8E", PROTOCOL, from_client=True),
    *bad("DISCONNECT with a client's reason from a server", [V5], "E0 04", PROTOCOL, from_client=False),
    *bad(
        "DISCONNECT with a server reference from a client",
        [V5],
        "E0 00 04 1C 0001's'",
        PROTOCOL,
        from_client=True,
    ),
    *bad(
        "DISCONNECT with a session expiry from a server",
        [V5],
        "E0 00 05 11 0000000A",
        PROTOCOL,
        "5.0:MQTT-3.14.2-2",
        from_client=False,
    ),
]

AUTH = [
    *good("AUTH", [V5], "F0", Auth()),
    *good("AUTH with 0 and a method", [V5], "F0 00 04 15 0001'm'", Auth(0, METHOD)),
    *good(
        "AUTH with everything",
        [V5],
        "F0 18 15 15 0001'm' 16 0001 FF 1F 0003'why' 26 0001'k' 0001'v'",
        Auth(
            0x18,
            Properties(
                authentication_method="m",
                authentication_data=b"\xff",
                reason_string="why",
                user_properties=[("k", "v")],
            ),
        ),
        "5.0:MQTT-3.15.2-1",
    ),
    *good("AUTH again", [V5], "F0 19 04 15 0001'm'", Auth(0x19, METHOD)),
    *bad("AUTH", OLD, "F0", MALFORMED),
    *bad("AUTH with the flags 1", [V5], "F1", MALFORMED, "5.0:MQTT-3.15.1-1"),
    *bad("AUTH with an unknown reason", [V5], "F0 01 04 15 0001'm'", MALFORMED, "5.0:MQTT-3.15.2-1"),
    *bad("AUTH without a property length", [V5], "F0 18", MALFORMED),
    *bad("AUTH without a method", [V5], "F0 18 00", PROTOCOL),
    *bad("AUTH with a byte too many", [V5], "F0 18 04 15 0001'm' 00", MALFORMED),
    *bad("AUTH with success from a client", [V5], "F0", PROTOCOL, "5.0:MQTT-3.15.2-1", from_client=True),
    *bad(
        "AUTH again from a server",
        [V5],
        "F0 19 04 15 0001'm'",
        PROTOCOL,
        "5.0:MQTT-3.15.2-1",
        from_client=False,
    ),
]

TYPES = [
    *bad("a packet of type 0", ALL, "00", MALFORMED),
    *bad("a packet of type 0 with QoS 1", [V3_1_1, V5], "02", MALFORMED),
    *bad("a packet of no bytes", SINCE_3_1_1, b"", MALFORMED),
]

CASES: list[Case] = [*PINGS, *DISCONNECT, *AUTH, *TYPES]
