"""How a message is printed: the format language against what Mosquitto prints, and lines of JSON that come back."""

import json
import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.cli import format as formats
from linnet.cli.asked import Asked
from linnet.cli.json_lines import LineError, Outgoing, from_line, to_line
from linnet.cli.printing import Printer, Verdict, judge
from linnet.cli.teller import Teller
from linnet.wire.properties import Properties
from linnet.wire.publish import Publish

WHEN = 1_470_818_943_786_368_637  # nanoseconds since the epoch
PAYLOAD = '{"a":[1,2.50,"é"]}'.encode()

FULL = Properties(
    payload_format_indicator=1,
    message_expiry_interval=999,
    content_type="text/x",
    response_topic="re/ply",
    correlation_data=b"corr",
    user_properties=[("k", "v"), ("k", "w"), ("l", 'x"y')],
)

# What mosquitto_sub 2.0.11 has printed for this message, but for the widths of %x: it prints half of a payload there.
PRINTED = [
    ("%t|%10t|%-10t|%.3t|%10.3t|%-10.3t|%03t", "t/full|    t/full|t/full    |t/f|       t/f|t/f       |t/full"),
    ("%x", PAYLOAD.hex()),
    ("%X|%4X|%5x", PAYLOAD.hex().upper() + "|7B22| 7b22"),
    ("%40x|%-40x|%040x", f"  {PAYLOAD.hex()}|{PAYLOAD.hex()}  |00{PAYLOAD.hex()}"),
    ("%p|%5p|%.3p", f'{PAYLOAD.decode()}|{{"a":|{PAYLOAD.decode()}'),
    ("%22p|%-22p|%022p", f"   {PAYLOAD.decode()}|{PAYLOAD.decode()}   |000{PAYLOAD.decode()}"),
    ("%l %5l %-5l %05l|%-05l", "19    19 19    00019|19   "),
    ("%q %r %5q %m %5m|", "1 1 1 1     1|"),
    ("%C %15C %-15C %.3C", "text/x          text/x text/x          tex"),
    ("%D|%10D|%E|%10E|%010E|%-10E|", "corr|corr|999|       999|0000000999|999       |"),
    ("%F|%3F|%03F|", "1|  1|001|"),
    ("%P|%20P|", 'k:v k:w l:x"y|k:v k:w l:x"y|'),
    ("%R|%10R|%.2R", "re/ply|    re/ply|re"),
    ("%S|%5S|%05S|%A|%5A|%05A|", "|     |00000||     |00000|"),
    (r"a\tb\\c\0d\e\a\n\r\v", "a\tb\\c\0d\033\a\n\r\v"),
    ("@Y @@ @N", "2016 @ 786368637"),
    ("%U", "1470818943.786368637"),
    ("%%|%5%", "%|%"),
]
WITHOUT_PROPERTIES = [("%C|%5C|%05C|%D|%E|%5E|%R|%5R|%P|%S|%F|%2F", "|     |     |||     ||||||  ")]
FAULTY = ["%z", "%", "%5", "%-", "%5.", "\\q", "\\", "@", "%--5t"]


def message(properties: Properties | None = None, payload: bytes = PAYLOAD) -> Publish:
    return Publish("t/full", payload, qos=1, retain=True, packet_id=1, properties=properties)


def printed(form: str, shown: Publish) -> bytes:
    return formats.render(formats.compiled(form), formats.Shown(shown, WHEN))


@pytest.mark.parametrize(("form", "text"), PRINTED, ids=[form for form, _ in PRINTED])
def test_a_format_prints_what_mosquitto_prints(form: str, text: str) -> None:
    assert printed(form, message(FULL)).decode() == text


@pytest.mark.parametrize(("form", "text"), WITHOUT_PROPERTIES)
def test_what_is_missing_leaves_its_width_blank(form: str, text: str) -> None:
    assert printed(form, message()).decode() == text


@pytest.mark.parametrize("form", FAULTY)
def test_a_format_that_cannot_be_read_is_refused(form: str) -> None:
    with pytest.raises(formats.FormatError):
        formats.compiled(form)


def test_the_time_is_local_and_has_its_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC-1")
    time.tzset()
    try:
        assert printed("%I|%-26I|%.4I", message()) == b"2016-08-10T09:49:03+0100|2016-08-10T09:49:03+0100  |2016"
        assert json.loads(printed("%j", message()))["tst"] == "2016-08-10T09:49:03.786368+0100"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_json_has_the_payload_as_text_or_as_json() -> None:
    said = json.loads(printed("%j", message(FULL)))
    assert {name: said[name] for name in ("topic", "qos", "retain", "payloadlen", "mid")} == {
        "topic": "t/full",
        "qos": 1,
        "retain": 1,
        "payloadlen": 19,
        "mid": 1,
    }
    assert said["payload"] == PAYLOAD.decode()
    assert said["properties"]["correlation-data"] == "corr"
    assert said["properties"]["user-properties"] == {"k": "w", "l": 'x"y'}
    assert json.loads(printed("%J", message()))["payload"] == {"a": [1, 2.5, "é"]}
    assert json.loads(printed("%j", message(payload=b"")))["payload"] is None
    assert json.loads(printed("%j", message(payload=b"\xff\x01")))["payload"] == [255, 1]


@pytest.mark.parametrize("payload", [b"no json", b"NaN", b"\xff"])
def test_a_payload_that_is_no_json_leaves_a_gap_and_a_reason(payload: bytes) -> None:
    shown = formats.Shown(message(payload=payload), WHEN)
    assert formats.render(formats.compiled("<%J>"), shown) == b"<>"
    assert "not JSON" in shown.fault


def asked(**given: Any) -> Asked:
    made = Asked()
    for name, value in given.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("given", "payload", "text"),
    [
        ({}, b"x", b"x\n"),
        ({}, b"", b""),
        ({"eol": False}, b"x", b"x"),
        ({"verbose": True}, b"x", b"t/full x\n"),
        ({"verbose": True}, b"", b"t/full (null)\n"),
        ({"verbose": True, "eol": False}, b"", b""),
        ({"format": "%p!", "verbose": True}, b"x", b"x!\n"),
        ({"format": "%p!", "eol": False}, b"", b"!"),
    ],
)
def test_plain_and_verbose_print_what_mosquitto_prints(given: dict[str, Any], payload: bytes, text: bytes) -> None:
    assert Printer(asked(**given), Teller("sub")).text(message(payload=payload), WHEN) == text


def test_an_identifier_is_printed_only_if_it_was_asked_for() -> None:
    shown = message()
    shown.identifiers = b"\x05"
    assert Printer(asked(format="[%S]"), Teller("sub")).text(shown, WHEN) == b"[]\n"
    wanted = asked(format="[%S]")
    wanted.properties["subscribe"].subscription_identifiers = [300]
    assert Printer(wanted, Teller("sub")).text(shown, WHEN) == b"[300]\n"


@pytest.mark.parametrize(
    ("given", "retain", "verdict"),
    [
        ({}, True, Verdict.SHOW),
        ({"no_retain": True}, True, Verdict.PASS),
        ({"no_retain": True}, False, Verdict.SHOW),
        ({"retained_only": True}, False, Verdict.STOP),
        ({"retained_only": True}, True, Verdict.SHOW),
        ({"filter_outs": ["t/+"]}, True, Verdict.PASS),
        ({"filter_outs": ["u/#"]}, True, Verdict.SHOW),
    ],
)
def test_what_becomes_of_a_message(given: dict[str, Any], retain: bool, verdict: Verdict) -> None:
    assert judge(asked(**given), Publish("t/x", b"", retain=retain)) is verdict


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
topics = st.text("ab/é ", min_size=1, max_size=8)


@given(
    topics,
    st.binary(max_size=8) | texts.map(str.encode),
    st.sampled_from([0, 1, 2]),
    st.booleans(),
    st.none() | texts,
    st.none() | st.binary(max_size=8),
    st.lists(st.tuples(texts, texts), max_size=3),
    st.none() | st.integers(0, 2**32 - 1),
)
def test_a_line_of_json_comes_back_as_the_message_that_it_was(
    topic: str,
    payload: bytes,
    qos: int,
    retain: bool,
    content_type: str | None,
    correlation_data: bytes | None,
    users: list[tuple[str, str]],
    expiry: int | None,
) -> None:
    properties = Properties(
        content_type=content_type,
        correlation_data=correlation_data,
        user_properties=users,
        message_expiry_interval=expiry,
    )
    line = to_line(Publish(topic, payload, qos, retain, properties=properties), WHEN)
    assert b"\n" not in line
    assert from_line(line) == Outgoing(topic, payload, qos, retain, properties)


def test_a_line_says_only_what_it_has_to() -> None:
    assert from_line(b'{"payload": "x"}', "a/b", 2, True) == Outgoing("a/b", b"x", 2, True)
    assert from_line(b'{"topic": "t", "payload": {"a": 1}}').payload == b'{"a":1}'
    assert from_line(b'{"topic": "t"}').payload == b""


def test_a_line_of_mosquitto_is_understood() -> None:
    line = printed("%j", message(Properties(content_type="x", user_properties=[("a", "b")])))
    made = from_line(line)
    assert (made.topic, made.payload, made.qos, made.retain) == ("t/full", PAYLOAD, 1, True)
    assert made.properties == Properties(content_type="x", user_properties=[("a", "b")])


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"x", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "the topic is missing"),
        (b'{"topic": "a/#"}', "no topic to publish to"),
        (b'{"topic": "a", "qos": 3}', "qos is 0, 1 or 2"),
        (b'{"topic": "a", "qos": true}', "qos is 0, 1 or 2"),
        (b'{"topic": "a", "retain": 2}', "retain is true or false"),
        (b'{"topic": "a", "payloat": ""}', "payloat: no such key"),
        (b'{"topic": "a", "payload_base64": "?"}', "not base64"),
        (b'{"topic": "a", "payload": "", "payload_base64": ""}', "both there"),
        (b'{"topic": "a", "properties": {"colour": 1}}', "colour: no such property"),
        (b'{"topic": "a", "properties": {"content_type": 1}}', "content_type cannot be 1"),
        (b'{"topic": "a", "properties": {"payload_format_indicator": 7}}', "cannot be 7"),
        (b'{"topic": "a", "properties": {"user_properties": [["a"]]}}', "no pair of texts"),
    ],
)
def test_a_line_that_says_no_message_is_refused(line: bytes, complaint: str) -> None:
    with pytest.raises(LineError, match=re.escape(complaint)):
        from_line(line)
