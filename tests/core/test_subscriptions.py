"""The tree of subscriptions gives what a walk over a plain list gives."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from linnet.core.backlog import Backlog
from linnet.core.receiver import Receiver
from linnet.core.sender import Sender
from linnet.core.session import Session
from linnet.core.subscriptions import Subscription, SubscriptionTree, merge
from linnet.core.topics import TopicRules, matches, parse_filter
from linnet.wire import SubscriptionOptions
from tests.core.steady import STEADY

RULES = TopicRules()
LEVELS = ("", "a", "b", "$x")

names = st.lists(st.sampled_from(LEVELS), min_size=1, max_size=4).map("/".join).filter(bool)
filters = (
    st.lists(st.sampled_from([*LEVELS, "+"]), min_size=0, max_size=4)
    .flatmap(lambda some: st.sampled_from([some, [*some, "#"]]))
    .map("/".join)
    .filter(bool)
)
changes = st.lists(st.tuples(st.booleans(), filters), max_size=30)


def session(client_id: str = "bob") -> Session:
    return Session(client_id, Sender(Backlog(0, 0)), Receiver(0))


BOB = session()


def subscription(name: str, to: Session | None = None, identifier: int = 0, **options: int) -> Subscription:
    parsed = parse_filter(name.encode(), RULES)
    return Subscription(to or session(), parsed, SubscriptionOptions(**options), identifier)  # type: ignore[arg-type]


def found(tree: SubscriptionTree, name: str) -> list[str]:
    """The filters that end in the nodes that a topic name leads to."""
    ends = [s.name.decode() for node in tree.match(name.encode()) for s in node.members()]
    return sorted(ends)


def tree_of(names: Iterable[str]) -> SubscriptionTree:
    tree = SubscriptionTree()
    for name in names:
        tree.node(name.encode()).add(subscription(name, BOB))
    return tree


@STEADY
@given(changes, st.lists(names, min_size=1, max_size=8))
def test_a_match_is_that_of_a_list_whatever_came_and_went(steps: list[tuple[bool, str]], topics: list[str]) -> None:
    tree = SubscriptionTree()
    model: set[str] = set()
    for is_new, name in steps:
        if is_new:
            tree.node(name.encode()).add(subscription(name, BOB))
            model.add(name)
        elif name in model:
            node = tree.find(name.encode())
            assert node is not None
            node.remove(BOB)
            tree.prune(name.encode())
            model.discard(name)
        else:
            node = tree.find(name.encode())
            assert node is None or not node.members()
            tree.prune(name.encode())  # of what is not there, or leads on: nothing is lost by it
        for topic in topics:
            assert found(tree, topic) == sorted(n for n in model if matches(topic.encode(), n.encode()))


@STEADY
@given(st.lists(filters, max_size=20))
def test_when_all_have_gone_nothing_is_left(names: list[str]) -> None:
    tree = tree_of(names)
    for name in set(names):
        node = tree.find(name.encode())
        assert node is not None
        node.remove(BOB)
        tree.prune(name.encode())
    assert tree.root.is_empty()


@STEADY
@given(st.lists(filters, max_size=12, unique=True), names)
def test_no_node_is_found_twice(several: list[str], topic: str) -> None:
    nodes = tree_of(several).match(topic.encode())
    assert len(nodes) == len({id(node) for node in nodes})


def test_a_walk_of_sixty_thousand_levels_overflows_nothing() -> None:
    deep = "/" * 60000
    tree = tree_of([deep, "#", "+/#"])
    assert found(tree, deep) == ["#", "+/#", deep]
    node = tree.find(deep.encode())
    assert node is not None
    node.remove(BOB)
    tree.prune(deep.encode())
    assert tree.find(deep.encode()) is None


def test_a_node_tells_what_ends_there() -> None:
    tree = tree_of(["a", "a/b", "a/c"])
    assert repr(tree.find(b"a")) == "<Node b'a', 1 here, 2 below>"
    assert repr(tree) == "<SubscriptionTree <Node b'', 0 here, 1 below>>"


def test_one_subscription_merged_is_itself() -> None:
    one = subscription("a", qos=1)
    assert merge([one]) is one


def test_merged_subscriptions_have_the_highest_qos_and_all_identifiers() -> None:
    bob = session()
    merged = merge([subscription("a", bob, 3, qos=1), subscription("#", bob, 0, qos=2), subscription("+", bob, 200)])
    assert merged.session is bob
    assert merged.qos == 2
    assert merged.extra == b"\x0b\x03" + b"\x0b\xc8\x01"


def test_retain_as_published_of_one_holds_for_the_merged_copy() -> None:
    bob = session()
    assert merge([subscription("a", bob), subscription("#", bob, retain_as_published=True)]).retain_as_published
    assert not merge([subscription("a", bob), subscription("#", bob)]).retain_as_published


def test_one_s_own_message_comes_by_the_subscriptions_without_no_local() -> None:
    bob = session()
    merged = merge([subscription("a", bob, 1, qos=2, no_local=True), subscription("#", bob, 2, qos=1)])
    assert merged.no_local and merged.own is not None
    assert (merged.own.qos, merged.own.extra, merged.own.no_local) == (1, b"\x0b\x02", False)
    alone = merge([subscription("a", bob, no_local=True), subscription("#", bob, no_local=True)])
    assert alone.own is None


def test_a_subscription_says_whose_it_is() -> None:
    assert repr(subscription("a/+", session("bob"), qos=1)) == (
        "<Subscription 'a/+' QoS 1 of <Session 'bob' offline, 0 subscriptions>>"
    )
