"""SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK."""

from __future__ import annotations

from linnet.wire import (
    V3_1,
    V3_1_1,
    Properties,
    Suback,
    Subscribe,
    SubscriptionOptions,
    Unsuback,
    Unsubscribe,
)
from tests.wire.cases.notation import (
    ALL,
    MALFORMED,
    OLD,
    ONLY_5,
    PROTOCOL,
    SINCE_3_1_1,
    Case,
    bad,
    good,
)

Options = SubscriptionOptions
NO_ZERO = ("3.1.1:MQTT-2.3.1-1", "5.0:MQTT-2.2.1-3")
SUBSCRIBE_FLAGS = ("3.1.1:MQTT-3.8.1-1", "5.0:MQTT-3.8.1-1")
UNSUBSCRIBE_FLAGS = ("3.1.1:MQTT-3.10.1-1", "5.0:MQTT-3.10.1-1")
RESERVED = ("3.1.1:MQTT-3.8.3-4", "5.0:MQTT-3.8.3-5")
TEXT = ("3.1.1:MQTT-3.8.3-1", "5.0:MQTT-3.8.3-1")
PLAIN_TEXT = ("3.1.1:MQTT-3.10.3-1", "5.0:MQTT-3.10.3-1")
SOME = ("3.1.1:MQTT-3.8.3-3", "5.0:MQTT-3.8.3-2")
SOME_LESS = ("3.1.1:MQTT-3.10.3-2", "5.0:MQTT-3.10.3-2")
CODES = ("3.1.1:MQTT-3.9.3-2", "5.0:MQTT-3.9.3-2")

SUBSCRIBE = [
    *good("SUBSCRIBE", OLD, "82 000A 0003'a/b' 01", Subscribe(10, [("a/b", Options(1))])),
    *good("SUBSCRIBE", ONLY_5, "82 000A 00 0003'a/b' 01", Subscribe(10, [("a/b", Options(1))])),
    *good(
        "SUBSCRIBE to three filters",
        OLD,
        "82 0001 0001'a' 00 0001'#' 02 0003'+/b' 01",
        Subscribe(1, [("a", Options(0)), ("#", Options(2)), ("+/b", Options(1))]),
    ),
    *good(
        "SUBSCRIBE to three filters",
        ONLY_5,
        "82 0001 00 0001'a' 00 0001'#' 02 0003'+/b' 01",
        Subscribe(1, [("a", Options(0)), ("#", Options(2)), ("+/b", Options(1))]),
    ),
    *good(
        "SUBSCRIBE with all options",
        ONLY_5,
        "82 0001 00 0001'a' 2E 0001'b' 04 0001'c' 08 0001'd' 10",
        Subscribe(
            1,
            [
                ("a", Options(2, no_local=True, retain_as_published=True, retain_handling=2)),
                ("b", Options(no_local=True)),
                ("c", Options(retain_as_published=True)),
                ("d", Options(retain_handling=1)),
            ],
        ),
    ),
    *good(
        "SUBSCRIBE with properties",
        ONLY_5,
        "82 0001 0C 0B FFFFFF7F 26 0001'k' 0001'v' 0001'a' 00",
        Subscribe(
            1,
            [("a", Options())],
            Properties(subscription_identifiers=[268435455], user_properties=[("k", "v")]),
        ),
    ),
    *good("SUBSCRIBE again", [V3_1], "8A 0001 0001'a' 00", Subscribe(1, [("a", Options())]), canonical=False),
    *bad("SUBSCRIBE again", [V3_1_1], "8A 0001 0001'a' 00", MALFORMED, *SUBSCRIBE_FLAGS),
    *bad("SUBSCRIBE again", ONLY_5, "8A 0001 00 0001'a' 00", MALFORMED, *SUBSCRIBE_FLAGS),
    *bad("SUBSCRIBE with the flags 0", OLD, "80 0001 0001'a' 00", MALFORMED, *SUBSCRIBE_FLAGS),
    *bad("SUBSCRIBE with the flags 0", ONLY_5, "80 0001 00 0001'a' 00", MALFORMED, *SUBSCRIBE_FLAGS),
    *bad("SUBSCRIBE of nothing", ALL, "82", MALFORMED),
    *bad("SUBSCRIBE without filters", OLD, "82 0001", PROTOCOL, *SOME),
    *bad("SUBSCRIBE without filters", ONLY_5, "82 0001 00", PROTOCOL, *SOME),
    *bad("SUBSCRIBE without a property length", ONLY_5, "82 0001", MALFORMED),
    *bad("SUBSCRIBE with identifier 0", OLD, "82 0000 0001'a' 00", MALFORMED, *NO_ZERO),
    *bad("SUBSCRIBE with identifier 0", ONLY_5, "82 0000 00 0001'a' 00", MALFORMED, *NO_ZERO),
    *bad("SUBSCRIBE without options", OLD, "82 0001 0001'a'", MALFORMED),
    *bad("SUBSCRIBE without options", ONLY_5, "82 0001 00 0001'a'", MALFORMED),
    *bad("SUBSCRIBE without its second options", OLD, "82 0001 0001'a' 00 0001'b'", MALFORMED),
    *bad("SUBSCRIBE with a cut filter", OLD, "82 0001 0003'a/'", MALFORMED),
    *bad("SUBSCRIBE with a cut filter", ONLY_5, "82 0001 00 0003'a/'", MALFORMED),
    *bad("SUBSCRIBE with QoS 3", OLD, "82 0001 0001'a' 03", PROTOCOL, "3.1.1:MQTT-3.8.3-4"),
    *bad("SUBSCRIBE with QoS 3", ONLY_5, "82 0001 00 0001'a' 03", PROTOCOL),
    *bad("SUBSCRIBE with retain handling 3", ONLY_5, "82 0001 00 0001'a' 30", PROTOCOL),
    *bad("SUBSCRIBE with reserved bit 2", OLD, "82 0001 0001'a' 04", MALFORMED, *RESERVED),
    *bad("SUBSCRIBE with reserved bit 3", OLD, "82 0001 0001'a' 08", MALFORMED, *RESERVED),
    *bad("SUBSCRIBE with reserved bit 4", OLD, "82 0001 0001'a' 10", MALFORMED, *RESERVED),
    *bad("SUBSCRIBE with reserved bit 5", OLD, "82 0001 0001'a' 20", MALFORMED, *RESERVED),
    *bad("SUBSCRIBE with reserved bit 6", OLD, "82 0001 0001'a' 40", MALFORMED, *RESERVED),
    *bad("SUBSCRIBE with reserved bit 6", ONLY_5, "82 0001 00 0001'a' 40", MALFORMED, *RESERVED),
    *bad("SUBSCRIBE with reserved bit 7", OLD, "82 0001 0001'a' 80", MALFORMED, *RESERVED),
    *bad("SUBSCRIBE with reserved bit 7", ONLY_5, "82 0001 00 0001'a' 80", MALFORMED, *RESERVED),
    *bad("SUBSCRIBE with ill-formed UTF-8", OLD, "82 0001 0001 FF 00", MALFORMED, *TEXT),
    *bad("SUBSCRIBE with ill-formed UTF-8", ONLY_5, "82 0001 00 0001 FF 00", MALFORMED, *TEXT),
    *bad("SUBSCRIBE with U+0000", OLD, "82 0001 0002'a'00 00", MALFORMED, "3.1.1:MQTT-4.7.3-2"),
    *bad("SUBSCRIBE with U+0000", ONLY_5, "82 0001 00 0002'a'00 00", MALFORMED, "5.0:MQTT-4.7.3-2"),
    *bad("SUBSCRIBE from a server", OLD, "82 0001 0001'a' 00", PROTOCOL, from_client=False),
    *bad("SUBSCRIBE from a server", ONLY_5, "82 0001 00 0001'a' 00", PROTOCOL, from_client=False),
]

SUBACK = [
    *good("SUBACK", OLD, "90 0001 00 01 02 80", Suback(1, [0, 1, 2, 0x80]), *CODES),
    *good("SUBACK", ONLY_5, "90 0001 00 00 01 02 80 8F", Suback(1, [0, 1, 2, 0x80, 0x8F]), *CODES),
    *good(
        "SUBACK with why",
        ONLY_5,
        "90 0001 06 1F 0003'why' 87",
        Suback(1, [0x87], Properties(reason_string="why")),
    ),
    *bad("SUBACK of nothing", ALL, "90", MALFORMED),
    *bad("SUBACK without codes", OLD, "90 0001", MALFORMED),
    *bad("SUBACK without codes", ONLY_5, "90 0001 00", MALFORMED, *CODES),
    *bad("SUBACK without a property length", ONLY_5, "90 0001", MALFORMED),
    *bad("SUBACK with identifier 0", OLD, "90 0000 00", MALFORMED),
    *bad("SUBACK with identifier 0", ONLY_5, "90 0000 00 00", MALFORMED),
    *bad("SUBACK with QoS 3", OLD, "90 0001 03", MALFORMED, *CODES),
    *bad("SUBACK with QoS 3", ONLY_5, "90 0001 00 03", MALFORMED, *CODES),
    *bad("SUBACK with a reason of 5.0", OLD, "90 0001 87", MALFORMED, *CODES),
    *bad("SUBACK with UNSUBACK's reason", ONLY_5, "90 0001 00 11", MALFORMED, *CODES),
    *bad("SUBACK from a client", ALL, "90", PROTOCOL, from_client=True),
]

UNSUBSCRIBE = [
    *good("UNSUBSCRIBE", OLD, "A2 0001 0001'a' 0003'b/#'", Unsubscribe(1, ["a", "b/#"])),
    *good("UNSUBSCRIBE", ONLY_5, "A2 0001 00 0001'a' 0003'b/#'", Unsubscribe(1, ["a", "b/#"])),
    *good(
        "UNSUBSCRIBE with properties",
        ONLY_5,
        "A2 0001 07 26 0001'k' 0001'v' 0001'a'",
        Unsubscribe(1, ["a"], Properties(user_properties=[("k", "v")])),
    ),
    *good("UNSUBSCRIBE again", [V3_1], "AA 0001 0001'a'", Unsubscribe(1, ["a"]), canonical=False),
    *bad("UNSUBSCRIBE again", [V3_1_1], "AA 0001 0001'a'", MALFORMED, *UNSUBSCRIBE_FLAGS),
    *bad("UNSUBSCRIBE again", ONLY_5, "AA 0001 00 0001'a'", MALFORMED, *UNSUBSCRIBE_FLAGS),
    *bad("UNSUBSCRIBE with the flags 0", OLD, "A0 0001 0001'a'", MALFORMED, *UNSUBSCRIBE_FLAGS),
    *bad("UNSUBSCRIBE with the flags 0", ONLY_5, "A0 0001 00 0001'a'", MALFORMED, *UNSUBSCRIBE_FLAGS),
    *bad("UNSUBSCRIBE of nothing", ALL, "A2", MALFORMED),
    *bad("UNSUBSCRIBE without filters", OLD, "A2 0001", PROTOCOL, *SOME_LESS),
    *bad("UNSUBSCRIBE without filters", ONLY_5, "A2 0001 00", PROTOCOL, *SOME_LESS),
    *bad("UNSUBSCRIBE with identifier 0", OLD, "A2 0000 0001'a'", MALFORMED, *NO_ZERO),
    *bad("UNSUBSCRIBE with identifier 0", ONLY_5, "A2 0000 00 0001'a'", MALFORMED, *NO_ZERO),
    *bad("UNSUBSCRIBE with a cut filter", OLD, "A2 0001 0003'a/'", MALFORMED),
    *bad("UNSUBSCRIBE with a cut filter", ONLY_5, "A2 0001 00 0003'a/'", MALFORMED),
    *bad("UNSUBSCRIBE with half a length behind", SINCE_3_1_1[:1], "A2 0001 0001'a' 00", MALFORMED),
    *bad("UNSUBSCRIBE with ill-formed UTF-8", OLD, "A2 0001 0001 FF", MALFORMED, *PLAIN_TEXT),
    *bad("UNSUBSCRIBE with ill-formed UTF-8", ONLY_5, "A2 0001 00 0001 FF", MALFORMED, *PLAIN_TEXT),
    *bad("UNSUBSCRIBE from a server", ALL, "A2", PROTOCOL, from_client=False),
]

UNSUBACK = [
    *good("UNSUBACK", OLD, "B0 0001", Unsuback(1)),
    *good("UNSUBACK", ONLY_5, "B0 0001 00 00 11 87", Unsuback(1, [0, 0x11, 0x87]), "5.0:MQTT-3.11.3-2"),
    *good(
        "UNSUBACK with why",
        ONLY_5,
        "B0 0001 06 1F 0003'why' 87",
        Unsuback(1, [0x87], Properties(reason_string="why")),
    ),
    *bad("UNSUBACK of nothing", ALL, "B0", MALFORMED),
    *bad("UNSUBACK with identifier 0", OLD, "B0 0000", MALFORMED),
    *bad("UNSUBACK with identifier 0", ONLY_5, "B0 0000 00 00", MALFORMED),
    *bad("UNSUBACK with a byte too many", OLD, "B0 0001 00", MALFORMED),
    *bad("UNSUBACK without codes", ONLY_5, "B0 0001 00", MALFORMED, "5.0:MQTT-3.11.3-2"),
    *bad("UNSUBACK with SUBACK's reason", ONLY_5, "B0 0001 00 01", MALFORMED, "5.0:MQTT-3.11.3-2"),
    *bad("UNSUBACK from a client", ALL, "B0", PROTOCOL, from_client=True),
]

CASES: list[Case] = [*SUBSCRIBE, *SUBACK, *UNSUBSCRIBE, *UNSUBACK]
