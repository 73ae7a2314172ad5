"""Topic names and filters: which are, which are not, and which match."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.core.topics import Filter, TopicRules, matches, parse_filter, shown
from linnet.errors import MalformedPacket, ProtocolError, ReasonCode
from tests.core.steady import STEADY

RULES = TopicRules()

levels = st.lists(st.sampled_from([b"", b"a", b"b", b"$c"]), min_size=1, max_size=5)
wanted = st.lists(st.sampled_from([b"", b"a", b"b", b"$c", b"+"]), max_size=5).flatmap(
    lambda some: st.sampled_from([some, [*some, b"#"]] if some else [[b"#"]])
)


def matches_by_recursion(name: list[bytes], topics: list[bytes]) -> bool:
    """The same question, answered level by level as the specification tells it."""
    if not topics:
        return not name
    if topics == [b"#"]:
        return True
    return bool(name) and topics[0] in (b"+", name[0]) and matches_by_recursion(name[1:], topics[1:])


@pytest.mark.parametrize(
    "name", [b"a", b"/", b"//", b"a/", b"a b", "ä/ü".encode(), b"$SYS/x", "\ufeffa".encode(), b"\x01"]
)
def test_these_are_topic_names(name: bytes) -> None:
    RULES.check_name(name)


@pytest.mark.parametrize("name", [b"", b"+", b"#", b"a/+", b"a/#/b", b"a+"])
def test_a_topic_name_is_not_empty_and_has_no_wildcard(name: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        RULES.check_name(name)
    assert caught.value.reason_code == ReasonCode.TOPIC_NAME_INVALID


@pytest.mark.parametrize("name", [b"\xff", b"a\x00", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"])
def test_a_topic_that_is_not_utf_8_is_malformed(name: bytes) -> None:
    with pytest.raises(MalformedPacket):
        RULES.check_name(name)
    with pytest.raises(MalformedPacket):
        RULES.check_filter(name)


@pytest.mark.parametrize("name", [b"#", b"+", b"+/+", b"a/#", b"/#", b"a/+/b", b"a", b"/", b"$sharex/a/b", b"+/#"])
def test_these_are_topic_filters(name: bytes) -> None:
    assert parse_filter(name, RULES) == Filter(name, name, b"")


@pytest.mark.parametrize(
    "name", [b"", b"a+", b"+a/b", b"a/b+", b"#/a", b"a#", b"a/#b", b"##", b"a/##", b"#/#", b"a/#/"]
)
def test_a_wildcard_is_a_whole_level_and_the_hash_the_last_one(name: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_filter(name, RULES)
    assert caught.value.reason_code == ReasonCode.TOPIC_FILTER_INVALID


@pytest.mark.parametrize(
    ("name", "share", "topics"),
    [
        (b"$share/g/a", b"g", b"a"),
        (b"$share/g//", b"g", b"/"),
        (b"$share/g/#", b"g", b"#"),
        (b"$share/$/$share/x/y", b"$", b"$share/x/y"),
    ],
)
def test_a_shared_filter_has_a_name_and_a_filter(name: bytes, share: bytes, topics: bytes) -> None:
    assert parse_filter(name, RULES) == Filter(name, topics, share)


@pytest.mark.parametrize(
    "name",
    [
        b"$share",
        b"$share/",
        b"$share/g",
        b"$share/g/",
        b"$share//a",
        b"$share/+/a",
        b"$share/a#/a",
        b"$share/g/a+",
        b"$share/g/#/a",
    ],
)
def test_a_shared_filter_without_one_of_them_is_refused(name: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_filter(name, RULES)
    assert caught.value.reason_code == ReasonCode.TOPIC_FILTER_INVALID


@pytest.mark.parametrize("name", [b"$share/\xff/a", b"$share/g\x00/a"])
def test_the_name_of_a_share_is_utf_8(name: bytes) -> None:
    with pytest.raises(MalformedPacket):
        parse_filter(name, RULES)


def test_the_longest_topic_is_the_one_that_the_rules_allow() -> None:
    rules = TopicRules(max_bytes=5, max_levels=3)
    rules.check_name(b"abcde")
    rules.check_name(b"a/b/c")
    for name in (b"abcdef", b"a///"):
        with pytest.raises(ProtocolError) as caught:
            rules.check_name(name)
        assert caught.value.reason_code == ReasonCode.TOPIC_NAME_INVALID
        with pytest.raises(ProtocolError) as caught:
            rules.check_filter(name)
        assert caught.value.reason_code == ReasonCode.TOPIC_FILTER_INVALID


def test_sixty_thousand_levels_overflow_nothing() -> None:
    deep = b"/" * 65535
    RULES.check_name(deep)
    assert matches(deep, b"+" + b"/+" * 65535)
    assert not matches(deep, b"+" + b"/+" * 65534)
    assert matches(deep, deep)


@pytest.mark.parametrize("character", ["\x01", "\x1f", "\x7f", "\x9f"])
def test_control_characters_are_refused_only_where_the_rules_say_so(character: str) -> None:
    RULES.check_name(f"a{character}".encode())
    with pytest.raises(MalformedPacket):
        TopicRules(refuse_control_characters=True).check_name(f"a{character}".encode())


@pytest.mark.parametrize(
    ("name", "topics"),
    [
        (b"foo", b"foo/#"),
        (b"/", b"+/+"),
        (b"/a", b"/+"),
        (b"a//b", b"a/+/b"),
        (b"a/", b"a/+"),
        (b"$SYS/a", b"$SYS/#"),
        (b"$SYS/a", b"$SYS/+"),
        (b"a/$b", b"a/+"),
    ],
)
def test_these_match(name: bytes, topics: bytes) -> None:
    assert matches(name, topics)


@pytest.mark.parametrize(
    ("name", "topics"),
    [
        (b"foobar", b"foo/#"),
        (b"/a", b"+"),
        (b"a", b"a/+"),
        (b"a/", b"a"),
        (b"A", b"a"),
        (b"$SYS/a", b"#"),
        (b"$SYS/a", b"+/a"),
        (b"$SYS", b"+"),
        (b"$", b"#"),
    ],
)
def test_these_do_not_match(name: bytes, topics: bytes) -> None:
    assert not matches(name, topics)


@STEADY
@given(levels, wanted)
def test_matching_is_what_the_specification_tells(name: list[bytes], topics: list[bytes]) -> None:
    expected = matches_by_recursion(name, topics)
    if name[0].startswith(b"$") and topics[0] in (b"+", b"#"):
        expected = False
    assert matches(b"/".join(name), b"/".join(topics)) is expected


def test_a_filter_knows_whether_it_has_a_wildcard() -> None:
    assert parse_filter(b"a/+", RULES).has_wildcard
    assert parse_filter(b"$share/g/#", RULES).has_wildcard
    assert not parse_filter(b"$share/g/a", RULES).has_wildcard


def test_a_topic_in_an_error_is_one_short_line() -> None:
    assert shown(b"a\nb") == "'a\\nb'"
    assert shown(b"\xff") == r"'\\xff'"
    assert len(shown(b"x" * 1000)) < 81
