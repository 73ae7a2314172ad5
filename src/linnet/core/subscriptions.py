"""Who wants what: subscriptions, and the tree in which a topic name finds them [MQTT-4.7].

The tree has a node for each level of each filter. A topic name walks down it a level at a time, along the level's own
name, `+` and `#`, so the cost of a match depends on the topic's depth and on what matches, not on what does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linnet.core.backlog import DROP_NEWEST
from linnet.core.topics import HASH, PLUS, Filter
from linnet.wire.subscribe import SubscriptionOptions
from linnet.wire.varint import encode_varint

if TYPE_CHECKING:
    from linnet.core.session import Session
    from linnet.core.shared import SharedGroup

SUBSCRIPTION_IDENTIFIER = b"\x0b"


class Subscription:
    """One filter of one session, with its options; or several that match the same topic, seen as one (`merge`)."""

    __slots__ = (
        "extra",
        "filter",
        "group",
        "identifier",
        "no_local",
        "own",
        "policy",
        "qos",
        "retain_as_published",
        "retain_handling",
        "session",
    )

    def __init__(
        self,
        session: Session,
        name: Filter,
        options: SubscriptionOptions,
        identifier: int = 0,
    ) -> None:
        self.session = session
        self.filter = name
        self.qos = options.qos
        self.no_local = options.no_local
        self.retain_as_published = options.retain_as_published
        self.retain_handling = options.retain_handling
        self.identifier = identifier
        self.policy = DROP_NEWEST  # when the session's queue is full
        self.group: SharedGroup | None = None  # of a shared subscription
        self.extra = SUBSCRIPTION_IDENTIFIER + encode_varint(identifier) if identifier else b""
        self.own: Subscription | None = None  # what stands in for it when the session itself is the publisher

    def __repr__(self) -> str:
        return f"<Subscription {self.filter.name.decode()!r} QoS {self.qos} of {self.session!r}>"


def merge(subscriptions: list[Subscription]) -> Subscription:
    """Several subscriptions of one session, seen as one: the highest QoS, all identifiers [MQTT-3.3.4-2, -3, -4]."""
    if len(subscriptions) == 1:
        return subscriptions[0]
    first = subscriptions[0]
    options = SubscriptionOptions(
        max(s.qos for s in subscriptions),
        any(s.no_local for s in subscriptions),
        any(s.retain_as_published for s in subscriptions),
    )
    merged = Subscription(first.session, first.filter, options)
    merged.policy = first.policy
    merged.extra = b"".join(s.extra for s in subscriptions)
    if merged.no_local:
        others = [s for s in subscriptions if not s.no_local]
        merged.own = merge(others) if others else None
    return merged


class Node:
    """One level of the filters: those that end here, and the levels below."""

    __slots__ = ("children", "groups", "subscriptions")

    def __init__(self) -> None:
        self.children: dict[bytes, Node] | None = None
        self.subscriptions: dict[Session, Subscription] | None = None  # by session
        self.groups: dict[bytes, SharedGroup] | None = None  # shared, by name

    def __repr__(self) -> str:
        return f"<Node {len(self.subscriptions or ())} here, {len(self.children or ())} below>"

    def is_empty(self) -> bool:
        """Whether nothing ends here or below."""
        return not (self.children or self.subscriptions or self.groups)


class SubscriptionTree:
    """All subscriptions of a broker."""

    __slots__ = ("root",)

    def __init__(self) -> None:
        self.root = Node()

    def __repr__(self) -> str:
        return f"<SubscriptionTree {len(self.root.children or ())} first levels>"

    def node(self, topics: bytes) -> Node:
        """The node of a filter, made when it is not there."""
        node = self.root
        for level in topics.split(b"/"):
            children = node.children
            if children is None:
                children = node.children = {}
            below = children.get(level)
            if below is None:
                below = children[level] = Node()
            node = below
        return node

    def find(self, topics: bytes) -> Node | None:
        """The node of a filter, or None."""
        node: Node | None = self.root
        for level in topics.split(b"/"):
            if node is None or node.children is None:
                return None
            node = node.children.get(level)
        return node

    def prune(self, topics: bytes) -> None:
        """Take away the nodes of a filter that lead nowhere any more."""
        path = [self.root]
        levels = topics.split(b"/")
        for level in levels:
            below = (path[-1].children or {}).get(level)
            if below is None:
                return
            path.append(below)
        while levels and path.pop().is_empty():
            children = path[-1].children
            assert children is not None
            del children[levels.pop()]

    def match(self, topic_name: bytes) -> list[Node]:
        """The nodes whose filters match a topic name; wildcards at the start do not match `$` [MQTT-4.7.2-1]."""
        found: list[Node] = []
        front = [self.root]
        plain = not topic_name.startswith(b"$")
        for level in topic_name.split(b"/"):
            below: list[Node] = []
            for node in front:
                children = node.children
                if children is None:
                    continue
                wild = children.get(HASH) if plain else None
                if wild is not None:
                    found.append(wild)
                wild = children.get(PLUS) if plain else None
                if wild is not None:
                    below.append(wild)
                exact = children.get(level)
                if exact is not None:
                    below.append(exact)
            front = below
            plain = True
        for node in front:
            found.append(node)
            wild = node.children.get(HASH) if node.children is not None else None
            if wild is not None:
                found.append(wild)  # "foo/#" matches "foo"
        return found
