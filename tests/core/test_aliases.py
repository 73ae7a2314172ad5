"""Topic aliases: the numbers that the other side has set, and those that we set."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.core.aliases import IncomingAliases, OutgoingAliases
from linnet.errors import ProtocolError, ReasonCode
from tests.core.steady import STEADY

topics = st.sampled_from([b"a", b"b", b"c", b"d", b"e"])


@STEADY
@given(st.integers(1, 4), st.lists(topics, max_size=40))
def test_the_receiver_of_our_aliases_always_knows_the_topic(maximum: int, names: list[bytes]) -> None:
    ours, theirs = OutgoingAliases(maximum), IncomingAliases(maximum)
    for name in names:
        number, known = ours.use(name)
        assert theirs.resolve(number, b"" if known else name) == name


@STEADY
@given(st.integers(1, 4), st.lists(topics, max_size=40))
def test_the_topics_used_last_have_an_alias(maximum: int, names: list[bytes]) -> None:
    ours = OutgoingAliases(maximum)
    latest: list[bytes] = []
    for name in names:
        _, known = ours.use(name)
        assert known is (name in latest[-maximum:])
        latest = [other for other in latest if other != name] + [name]


@STEADY
@given(st.integers(1, 3), st.lists(st.tuples(topics, st.booleans()), max_size=40))
def test_an_alias_that_was_never_sent_is_not_relied_on(maximum: int, names: list[tuple[bytes, bool]]) -> None:
    """A packet with a new alias may turn out too large for the receiver, who then knows nothing of it."""
    ours, theirs = OutgoingAliases(maximum), IncomingAliases(maximum)
    for name, fits in names:
        number, known = ours.use(name)
        if fits:
            assert theirs.resolve(number, b"" if known else name) == name
        elif not known:
            ours.forget(name)
        assert len(ours.numbers) <= maximum
        assert len(set(ours.numbers.values())) == len(ours.numbers)


@pytest.mark.parametrize("alias", [-1, 0, 3, 65535])
def test_an_alias_out_of_range_is_refused(alias: int) -> None:
    with pytest.raises(ProtocolError) as caught:
        IncomingAliases(2).resolve(alias, b"a")
    assert caught.value.reason_code == ReasonCode.TOPIC_ALIAS_INVALID


def test_an_alias_that_was_never_set_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError) as caught:
        IncomingAliases(2).resolve(1, b"")
    assert caught.value.reason_code == ReasonCode.PROTOCOL_ERROR


def test_a_new_topic_takes_the_alias_of_the_old_one() -> None:
    aliases = IncomingAliases(2)
    aliases.resolve(1, b"a")
    assert aliases.resolve(1, b"b") == b"b"
    assert aliases.resolve(1, b"") == b"b"
    assert repr(aliases) == "<IncomingAliases 1 of 2>"


def test_what_we_set_can_be_read() -> None:
    aliases = OutgoingAliases(3)
    assert aliases.use(b"a") == (1, False)
    assert aliases.use(b"a") == (1, True)
    assert repr(aliases) == "<OutgoingAliases 1 of 3>"
