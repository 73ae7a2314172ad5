"""Patterns of topics: what they subscribe to, what they find in a topic, and the way back."""

from __future__ import annotations

from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from linnet.client.patterns import Pattern, PatternError
from linnet.core.topics import matches
from linnet.errors import LinnetError
from tests.core.steady import STEADY

ID = UUID("a2f5b3ac-58a9-4f4c-9d47-0f6b8d3c2e11")

words = st.sampled_from(["", "a", "b", "$c", "ü"])
topics = st.lists(words, min_size=1, max_size=5).map("/".join)
values = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@st.composite
def patterns(draw: st.DrawFn) -> str:
    """A pattern whose captures are called x0, x1 …, maybe with a tail of any length."""
    levels = draw(st.lists(words | st.sampled_from(["+", "{x}", "{x:str}"]), max_size=4))
    levels += draw(st.sampled_from([[], ["#"], ["{rest...}"], ["{rest:path}"]]))
    assume(any(levels))
    return "/".join(level.replace("x", f"x{index}") for index, level in enumerate(levels))


@pytest.mark.parametrize(
    ("text", "wanted", "names"),
    [
        ("home/{room}/temp", "home/+/temp", ("room",)),
        ("{a}/{b:int}/{c:float}/{d:uuid}/{e:str}", "+/+/+/+/+", ("a", "b", "c", "d", "e")),
        ("home/{rest...}", "home/#", ("rest",)),
        ("home/{room}/{rest:path}", "home/+/#", ("room", "rest")),
        ("{all...}", "#", ("all",)),
        ("home/+/temp/#", "home/+/temp/#", ()),
        ("home", "home", ()),
        ("/{a}/", "/+/", ("a",)),
        ("$share/group/home/{room}", "$share/group/home/+", ("room",)),
        ("$SYS/{a}", "$SYS/+", ("a",)),
    ],
)
def test_a_pattern_is_a_filter_with_names(text: str, wanted: str, names: tuple[str, ...]) -> None:
    pattern = Pattern(text)
    assert (pattern.filter, pattern.names, str(pattern)) == (wanted, names, text)


@pytest.mark.parametrize(
    ("text", "topic", "captures"),
    [
        ("home/{room}/temp", "home/kitchen/temp", {"room": "kitchen"}),
        ("home/{room}/temp", "home//temp", {"room": ""}),
        ("home/{room}/temp", "home/kitchen/humidity", None),
        ("home/{room}/temp", "home/kitchen", None),
        ("home/{room}/temp", "home/kitchen/temp/x", None),
        ("home/{rest...}", "home/a/b", {"rest": "a/b"}),
        ("home/{rest...}", "home", {"rest": ""}),
        ("home/{rest...}", "hom", None),
        ("home/+/{b}", "home/a/b", {"b": "b"}),
        ("home/#", "home/a/b", {}),
        ("$share/group/home/{room}", "home/kitchen", {"room": "kitchen"}),
        ("$share/group/home/{room}", "$share/group/home/kitchen", None),
        ("home/{floor:int}", "home/-3", {"floor": "-3"}),
        ("home/{floor:int}", "home/three", None),
        ("home/{room}", "home/.*", {"room": ".*"}),
    ],
)
def test_a_topic_tells_what_the_captures_stand_for(text: str, topic: str, captures: dict[str, str] | None) -> None:
    assert Pattern(text).match(topic) == captures


@pytest.mark.clause("5.0:MQTT-4.7.2-1")
@pytest.mark.parametrize("text", ["{a}/b", "{a...}", "+/{b}", "#", "$share/g/{a}/b"])
def test_a_pattern_that_starts_with_a_wildcard_leaves_the_topics_with_a_dollar_alone(text: str) -> None:
    assert Pattern(text).match("$SYS/b") is None
    assert Pattern(text).match("SYS/b") is not None


@STEADY
@given(patterns(), topics)
def test_a_pattern_matches_what_its_filter_matches(text: str, topic: str) -> None:
    pattern = Pattern(text)
    captures = pattern.match(topic)
    assert (captures is not None) == matches(topic.encode(), pattern.filter.encode())
    assert captures is None or tuple(captures) == pattern.names


@STEADY
@given(patterns(), st.data())
def test_what_was_put_into_a_topic_is_found_there_again(text: str, data: st.DataObject) -> None:
    pattern = Pattern(text)
    captures = {name: data.draw(values) for name in pattern.names}
    try:
        topic = pattern.format(**captures)
    except PatternError:
        return
    assert pattern.match(topic) == captures
    assert "+" not in topic and "#" not in topic


@STEADY
@given(st.lists(values, min_size=2, max_size=2))
def test_plain_values_make_a_topic(parts: list[str]) -> None:
    assume(all(part and not set(part) & set("/+#\0") for part in parts))
    assert Pattern("a/{b}/{c...}").format(b=parts[0], c=parts[1]) == f"a/{parts[0]}/{parts[1]}"


@pytest.mark.parametrize(
    ("text", "topic", "values"),
    [
        ("{a:int}/x", "-07/x", {"a": -7}),
        ("{a:float}", "1e3", {"a": 1000.0}),
        ("{a:uuid}", str(ID).upper(), {"a": ID}),
        ("{a:uuid}", ID.hex, {"a": ID}),
        ("{a:str}/{b}", "1/2", {"a": "1", "b": "2"}),
    ],
)
def test_a_converter_makes_a_value_of_the_text(text: str, topic: str, values: dict[str, object]) -> None:
    assert Pattern(text).values(topic) == values


@pytest.mark.parametrize("topic", ["", "x", "1.5", "+1", "--1", "-", " 1", "1_000", "１", "²", "9" * 5000])
def test_a_text_that_is_no_whole_number_does_not_match(topic: str) -> None:
    assert Pattern("{a:int}").match(topic) is None
    assert Pattern("{a:int}").values(topic) is None


@pytest.mark.parametrize("topic", ["", "x", "nan", "inf", "1e999", " 1", "1_0", "１"])
def test_a_text_that_is_no_finite_number_does_not_match(topic: str) -> None:
    assert Pattern("{a:float}").match(topic) is None


@pytest.mark.parametrize("topic", ["", "x", "{" + str(ID) + "}", "urn:uuid:" + str(ID), str(ID)[:-1], str(ID) + "-"])
def test_a_text_that_is_no_uuid_does_not_match(topic: str) -> None:
    assert Pattern("{a:uuid}").match(topic) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty topic filter"),
        ("home/temp-{room}", "a capture is a whole level"),
        ("home/{a}{b}", "a capture is a whole level"),
        ("home/{a", "a capture is a whole level"),
        ("home/}", "a capture is a whole level"),
        ("home/{}", "cannot be the name"),
        ("home/{1}", "cannot be the name"),
        ("home/{a b}", "cannot be the name"),
        ("home/{...}", "cannot be the name"),
        ("home/{a:int...}", "none of int, float, uuid, str and path"),
        ("home/{a:}", "none of int"),
        ("home/{a:hex}", "none of int"),
        ("{a}/{a}", "twice"),
        ("{a}/{a...}", "twice"),
        ("{a...}/b", "stands last"),
        ("#/b", "stands last"),
        ("a/{b...}/#", "stands last"),
        ("a+", "not a whole level"),
        ("a#", "not the whole last level"),
        ("a\0", "not a pattern"),
        ("\ud800", "not a pattern"),
        ("$share/{group}/a", "cannot be a capture"),
        ("$share/g+/a", "plain NAME"),
        ("$share//a", "plain NAME"),
        ("$share/g", "plain NAME"),
    ],
)
def test_a_bad_pattern_is_told_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(PatternError, match=why) as caught:
        Pattern(text)
    assert isinstance(caught.value, LinnetError) and isinstance(caught.value, ValueError)


class Room(Enum):
    KITCHEN = "kitchen"


@pytest.mark.parametrize(
    ("text", "captures", "topic"),
    [
        ("home/{room}/temp", {"room": "kitchen"}, "home/kitchen/temp"),
        ("home/{room}/temp", {"room": Room.KITCHEN}, "home/kitchen/temp"),
        ("home/{floor:int}", {"floor": 3}, "home/3"),
        ("id/{id:uuid}", {"id": ID}, f"id/{ID}"),
        ("home/{rest...}", {"rest": "a/b"}, "home/a/b"),
        ("home/{rest...}", {"rest": ""}, "home"),
        ("$share/g/home/{room}", {"room": "a"}, "home/a"),
        ("home", {}, "home"),
    ],
)
def test_captures_make_a_topic(text: str, captures: dict[str, object], topic: str) -> None:
    assert Pattern(text).format(**captures) == topic


@pytest.mark.parametrize(
    ("text", "captures", "why"),
    [
        ("home/{room}", {}, "takes room: see room"),
        ("home/{room}", {"room": "a", "floor": 1}, "see floor"),
        ("home/{room}", {"room": ""}, "one level"),
        ("home/{room}", {"room": "a/b"}, "one level"),
        ("home/{room}", {"room": "+"}, "wildcard in topic name"),
        ("home/{rest...}", {"rest": "a/#"}, "wildcard in topic name"),
        ("home/{room}", {"room": "a\0"}, "no topic can be made"),
        ("home/{room}", {"room": "\ud800"}, "no topic can be made"),
        ("home/{room}", {"room": "a" * 65536}, "65535 allowed"),
        ("{a}/x", {"a": "$SYS"}, "not one of"),
        ("{all...}", {"all": ""}, "empty topic"),
        ("home/{floor:int}", {"floor": "three"}, "not one of"),
        ("home/+", {}, "without a name"),
        ("home/+/{a}", {"a": 1}, "without a name"),
        ("home/#", {}, "without a name"),
    ],
)
def test_captures_that_make_no_topic_are_refused(text: str, captures: dict[str, Any], why: str) -> None:
    with pytest.raises(PatternError, match=why):
        Pattern(text).format(**captures)


def test_patterns_are_equal_by_their_text() -> None:
    assert Pattern("a/{b}") == Pattern("a/{b}") != Pattern("a/{c}")
    assert len({Pattern("a/{b}"), Pattern("a/{b}")}) == 1
    assert repr(Pattern("a/{b}")) == "Pattern('a/{b}')"
    assert (Pattern("$share/g/a").share, Pattern("a").share) == ("g", "")
