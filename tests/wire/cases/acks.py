"""PUBACK, PUBREC, PUBREL and PUBCOMP in all the lengths they may have."""

from __future__ import annotations

from linnet.wire import V3_1, V3_1_1, V5, Properties, Puback, Pubcomp, Pubrec, Pubrel
from tests.wire.cases.notation import ALL, MALFORMED, OLD, SINCE_3_1_1, Case, bad, good

WHY = Properties(reason_string="why")
FLAGS = ("3.1.1:MQTT-2.2.2-2", "5.0:MQTT-2.1.3-1")


def _family(kind: type[Puback | Pubrec | Pubrel | Pubcomp], first: str, error: int, clause: str) -> list[Case]:
    """The rows that the four have in common."""
    name = kind.__name__.upper()
    return [
        *good(name, ALL, f"{first} 1234", kind(0x1234)),
        *good(f"{name} with the reason 0", [V5], f"{first} 1234 00", kind(0x1234), canonical=False),
        *good(f"{name} with no properties", [V5], f"{first} 1234 00 00", kind(0x1234), canonical=False),
        *good(f"{name} with an error", [V5], f"{first} 1234 {error:02X}", kind(0x1234, error), clause),
        *good(
            f"{name} with an error and no properties",
            [V5],
            f"{first} 1234 {error:02X} 00",
            kind(0x1234, error),
            canonical=False,
        ),
        *good(f"{name} with 0 and why", [V5], f"{first} 0001 00 06 1F 0003'why'", kind(1, 0, WHY)),
        *good(
            f"{name} with all it can have",
            [V5],
            f"{first} 0001 {error:02X} 0D 1F 0003'why' 26 0001'k' 0001'v'",
            kind(1, error, Properties(reason_string="why", user_properties=[("k", "v")])),
        ),
        *bad(f"{name} of nothing", ALL, first, MALFORMED),
        *bad(f"{name} of half an identifier", ALL, f"{first} 01", MALFORMED),
        *bad(f"{name} of identifier 0", ALL, f"{first} 0000", MALFORMED),
        *bad(f"{name} with a byte too many", OLD, f"{first} 0001 00", MALFORMED),
        *bad(f"{name} with a byte too many", [V5], f"{first} 0001 00 00 00", MALFORMED),
        *bad(f"{name} with an unknown reason", [V5], f"{first} 0001 7F", MALFORMED, clause),
        *bad(f"{name} with properties beyond its end", [V5], f"{first} 0001 00 06 1F 0003'wh'", MALFORMED),
        *bad(f"{name} with too short a property length", [V5], f"{first} 0001 00 05 1F 0003'why'", MALFORMED),
    ]


CASES: list[Case] = [
    *_family(Puback, "40", 0x80, "5.0:MQTT-3.4.2-1"),
    *_family(Pubrec, "50", 0x97, "5.0:MQTT-3.5.2-1"),
    *_family(Pubrel, "62", 0x92, "5.0:MQTT-3.6.2-1"),
    *_family(Pubcomp, "70", 0x92, "5.0:MQTT-3.7.2-1"),
    *good("PUBREL again", [V3_1], "6A 0001", Pubrel(1), canonical=False),
    *bad("PUBREL again", SINCE_3_1_1, "6A 0001", MALFORMED, "3.1.1:MQTT-3.6.1-1", "5.0:MQTT-3.6.1-1"),
    *bad("PUBREL with the flags 0", ALL, "60 0001", MALFORMED, "3.1.1:MQTT-3.6.1-1", "5.0:MQTT-3.6.1-1"),
    *bad("PUBREL with the flags 3", ALL, "63 0001", MALFORMED, "3.1.1:MQTT-3.6.1-1", "5.0:MQTT-3.6.1-1"),
    *bad("PUBREL with PUBREC's reason", [V5], "62 0001 10", MALFORMED, "5.0:MQTT-3.6.2-1"),
    *bad("PUBACK with PUBREL's reason", [V5], "40 0001 92", MALFORMED, "5.0:MQTT-3.4.2-1"),
    *bad("PUBACK with the flags 2", ALL, "42 0001", MALFORMED, *FLAGS),
    *bad("PUBREC with the flags 8", ALL, "58 0001", MALFORMED, *FLAGS),
    *bad("PUBCOMP with the flags 1", ALL, "71 0001", MALFORMED, *FLAGS),
    *bad("PUBACK with a length of five bytes", [V3_1_1, V5], b"\x40\x82\x80\x80\x80\x00\x00\x01", MALFORMED),
    *bad(
        "PUBACK with a length in two bytes",
        ALL,
        b"\x40\x82\x00\x00\x01",
        MALFORMED,
        "5.0:MQTT-1.5.5-1",
    ),
    *bad("PUBACK shorter than announced", ALL, b"\x40\x03\x00\x01", MALFORMED),
    *bad("PUBACK longer than announced", ALL, b"\x40\x02\x00\x01\x00", MALFORMED),
    *bad("PUBACK without a length", ALL, b"\x40", MALFORMED),
]
