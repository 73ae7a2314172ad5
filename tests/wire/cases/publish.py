"""PUBLISH. What its topic name may hold is judged where it is routed, by tests of that."""

from __future__ import annotations

from linnet.wire import V5, Properties, Publish
from tests.wire.cases.notation import ALL, MALFORMED, OLD, ONLY_5, Case, bad, good

NO_ZERO = ("3.1.1:MQTT-2.3.1-1", "5.0:MQTT-2.2.1-3")
QOS_0 = ("3.1.1:MQTT-2.3.1-5", "5.0:MQTT-2.2.1-2")
TOPIC_FIRST = ("3.1.1:MQTT-3.3.2-1", "5.0:MQTT-3.3.2-1")
NO_QOS_3 = ("3.1.1:MQTT-3.3.1-4", "5.0:MQTT-3.3.1-4")
DUP = ("3.1.1:MQTT-3.3.1-2", "5.0:MQTT-3.3.1-2")

CASES: list[Case] = [
    *good("PUBLISH QoS 0", OLD, "30 0003'a/b' 'hello'", Publish("a/b", b"hello"), *QOS_0, *TOPIC_FIRST),
    *good("PUBLISH QoS 0", ONLY_5, "30 0003'a/b' 00 'hello'", Publish("a/b", b"hello"), *QOS_0, *TOPIC_FIRST),
    *good("PUBLISH QoS 1", OLD, "32 0003'a/b' 000A 'x'", Publish("a/b", b"x", 1, packet_id=10)),
    *good("PUBLISH QoS 1", ONLY_5, "32 0003'a/b' 000A 00 'x'", Publish("a/b", b"x", 1, packet_id=10)),
    *good("PUBLISH QoS 2", OLD, "34 0003'a/b' FFFF 'x'", Publish("a/b", b"x", 2, packet_id=65535)),
    *good("PUBLISH QoS 2", ONLY_5, "34 0003'a/b' FFFF 00 'x'", Publish("a/b", b"x", 2, packet_id=65535)),
    *good("PUBLISH retained", OLD, "31 0001'a' 'x'", Publish("a", b"x", retain=True)),
    *good("PUBLISH retained", ONLY_5, "31 0001'a' 00 'x'", Publish("a", b"x", retain=True)),
    *good("PUBLISH again", OLD, "3D 0001'a' 0001 'x'", Publish("a", b"x", 2, True, True, 1)),
    *good("PUBLISH again", ONLY_5, "3D 0001'a' 0001 00 'x'", Publish("a", b"x", 2, True, True, 1)),
    *good("PUBLISH of nothing", OLD, "30 0001'a'", Publish("a")),
    *good("PUBLISH of nothing", ONLY_5, "30 0001'a' 00", Publish("a")),
    *good("PUBLISH of nothing at QoS 1", OLD, "32 0001'a' 0001", Publish("a", qos=1, packet_id=1)),
    *good("PUBLISH of nothing at QoS 1", ONLY_5, "32 0001'a' 0001 00", Publish("a", qos=1, packet_id=1)),
    *good("PUBLISH of 300 bytes", OLD, b"\x30\xaf\x02\0\x01a" + b"x" * 300, Publish("a", b"x" * 300)),
    *good("PUBLISH of 300 bytes", ONLY_5, b"\x30\xb0\x02\0\x01a\0" + b"x" * 300, Publish("a", b"x" * 300)),
    *good("PUBLISH of a topic beyond ASCII", OLD, "30 0003 E28294", Publish("\u2094")),
    *good(
        "PUBLISH to an alias alone",
        ONLY_5,
        "30 0000 03 23 0007 'x'",
        Publish("", b"x", properties=Properties(topic_alias=7)),
    ),
    *good(
        "PUBLISH with all its properties",
        ONLY_5,
        "33 0001'a' 0001 2B 0101 02 0000003C 03 0002'ct' 08 0001'r' 09 0002 00FF 0B 01 0B 8001 23 0002"
        " 26 0001'k' 0001'v' 26 0001'k' 0001'w' 'x'",
        Publish(
            "a",
            b"x",
            1,
            True,
            packet_id=1,
            properties=Properties(
                payload_format_indicator=1,
                message_expiry_interval=60,
                content_type="ct",
                response_topic="r",
                correlation_data=b"\0\xff",
                subscription_identifiers=[1, 128],
                topic_alias=2,
                user_properties=[("k", "v"), ("k", "w")],
            ),
        ),
    ),
    *bad("PUBLISH QoS 3", OLD, "36 0001'a' 0001 'x'", MALFORMED, *NO_QOS_3),
    *bad("PUBLISH QoS 3", ONLY_5, "36 0001'a' 0001 00 'x'", MALFORMED, *NO_QOS_3),
    *bad("PUBLISH QoS 0 again", OLD, "38 0001'a' 'x'", MALFORMED, *DUP),
    *bad("PUBLISH QoS 0 again", ONLY_5, "38 0001'a' 00 'x'", MALFORMED, *DUP),
    *bad("PUBLISH QoS 1 with identifier 0", OLD, "32 0001'a' 0000 'x'", MALFORMED, *NO_ZERO),
    *bad("PUBLISH QoS 1 with identifier 0", ONLY_5, "32 0001'a' 0000 00 'x'", MALFORMED, *NO_ZERO),
    *bad("PUBLISH QoS 2 with identifier 0", OLD, "34 0001'a' 0000 'x'", MALFORMED, *NO_ZERO),
    *bad("PUBLISH without a topic", ALL, "30", MALFORMED, *TOPIC_FIRST),
    *bad("PUBLISH of half a length", ALL, "30 00", MALFORMED, *TOPIC_FIRST),
    *bad("PUBLISH of a cut topic", ALL, "30 0003'a/'", MALFORMED, *TOPIC_FIRST),
    *bad("PUBLISH that ends after its topic", ALL, "32 0003'a/b'", MALFORMED),
    *bad("PUBLISH of half an identifier", ALL, "32 0003'a/b' 00", MALFORMED),
    *bad("PUBLISH without a property length", [V5], "30 0001'a'", MALFORMED),
    *bad("PUBLISH without a property length at QoS 1", [V5], "32 0001'a' 0001", MALFORMED),
    *bad("PUBLISH with properties beyond its end", [V5], "30 0001'a' 06 01 01", MALFORMED),
    *bad("PUBLISH with a property length of five bytes", [V5], "30 0001'a' 8080808001 'x'", MALFORMED),
    *bad("PUBLISH that ends within its property length", [V5], "30 0001'a' 80", MALFORMED),
    *bad(
        "PUBLISH with a property length in two bytes",
        [V5],
        "30 0001'a' 8000 'x'",
        MALFORMED,
        "5.0:MQTT-1.5.5-1",
    ),
]
