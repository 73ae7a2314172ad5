"""Who wants what: subscriptions, and the tree in which a topic name finds them [MQTT-4.7].

The tree has a node for each level of each filter. A topic name walks down it a level at a time, along the level's own
name, `+` and `#`, so the cost of a match depends on the topic's depth and on what matches, not on what does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linnet.core.backlog import DROP_NEWEST, POLICIES
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
        "group",
        "identifier",
        "name",
        "no_local",
        "own",
        "policy",
        "qos",
        "retain_as_published",
        "retain_handling",
        "session",
        "share",
        "topics",
    )

    def __init__(
        self,
        session: Session,
        name: Filter,
        options: SubscriptionOptions,
        identifier: int = 0,
    ) -> None:
        self.session = session
        self.name = name.name  # the filter as it was subscribed to
        self.topics = name.topics  # without the share's prefix
        self.share = name.share  # the name of the group, or empty
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
        return f"<Subscription {self.name.decode()!r} QoS {self.qos} of {self.session!r}>"

    @property
    def filter(self) -> Filter:
        """The topic filter."""
        return Filter(self.name, self.topics, self.share)


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
    merged.policy = min((s.policy for s in subscriptions), key=POLICIES.index)
    merged.extra = b"".join(s.extra for s in subscriptions)
    if merged.no_local:
        others = [s for s in subscriptions if not s.no_local]
        merged.own = merge(others) if others else None
    return merged


class Node:
    """One level of the filters: those that end here, and the levels below.

    Most nodes have one subscription or one level below, of which a dictionary would take more room than they do: so it
    is made for the second one.
    """

    __slots__ = ("child", "children", "groups", "level", "single", "subscriptions")

    def __init__(self, level: bytes = b"") -> None:
        self.level = level
        self.child: Node | None = None  # the only one
        self.children: dict[bytes, Node] | None = None  # where there have been several
        self.single: Subscription | None = None  # the only one
        self.subscriptions: dict[Session, Subscription] | None = None  # by session, where there have been several
        self.groups: dict[bytes, SharedGroup] | None = None  # shared, by name

    def __repr__(self) -> str:
        below = len(self.children) if self.children is not None else int(self.child is not None)
        return f"<Node {self.level!r}, {len(self.members())} here, {below} below>"

    def is_empty(self) -> bool:
        """Whether nothing ends here or below."""
        return not (self.child or self.children or self.single or self.subscriptions or self.groups)

    def below(self, level: bytes) -> Node | None:
        """The node of a level right below, or None."""
        if self.children is not None:
            return self.children.get(level)
        child = self.child
        return child if child is not None and child.level == level else None

    def grow(self, level: bytes) -> Node:
        """The node of a level right below, made when it is not there."""
        node = self.below(level)
        if node is not None:
            return node
        node = Node(level)
        if self.children is not None:
            self.children[level] = node
        elif self.child is None:
            self.child = node
        else:
            self.children = {self.child.level: self.child, level: node}
            self.child = None
        return node

    def prune(self, node: Node) -> None:
        """Take away a node right below."""
        if self.children is not None:
            del self.children[node.level]
        else:
            self.child = None

    def members(self) -> list[Subscription]:
        """The subscriptions to the filter that ends here, but for the shared ones."""
        if self.subscriptions is not None:
            return list(self.subscriptions.values())
        return [self.single] if self.single is not None else []

    def add(self, subscription: Subscription) -> None:
        """A session subscribes to the filter that ends here, or subscribes again."""
        single = self.single
        if self.subscriptions is not None:
            self.subscriptions[subscription.session] = subscription
        elif single is None or single.session is subscription.session:
            self.single = subscription
        else:
            self.subscriptions = {single.session: single, subscription.session: subscription}
            self.single = None

    def remove(self, session: Session) -> None:
        """A session unsubscribes."""
        if self.subscriptions is not None:
            del self.subscriptions[session]
        else:
            self.single = None


class SubscriptionTree:
    """All subscriptions of a broker."""

    __slots__ = ("root",)

    def __init__(self) -> None:
        self.root = Node()

    def __repr__(self) -> str:
        return f"<SubscriptionTree {self.root!r}>"

    def node(self, topics: bytes) -> Node:
        """The node of a filter, made when it is not there."""
        node = self.root
        for level in topics.split(b"/"):
            node = node.grow(level)
        return node

    def find(self, topics: bytes) -> Node | None:
        """The node of a filter, or None."""
        node: Node | None = self.root
        for level in topics.split(b"/"):
            if node is None:
                return None
            node = node.below(level)
        return node

    def prune(self, topics: bytes) -> None:
        """Take away the nodes of a filter that lead nowhere any more."""
        path = [self.root]
        for level in topics.split(b"/"):
            below = path[-1].below(level)
            if below is None:
                return
            path.append(below)
        node = path.pop()
        while path and node.is_empty():
            path[-1].prune(node)
            node = path.pop()

    def match(self, topic_name: bytes) -> list[Node]:
        """The nodes whose filters match a topic name; wildcards at the start do not match `$` [MQTT-4.7.2-1]."""
        found: list[Node] = []
        front = [self.root]
        plain = not topic_name.startswith(b"$")
        for level in topic_name.split(b"/"):
            ahead: list[Node] = []
            for node in front:
                if plain:
                    wild = node.below(HASH)
                    if wild is not None:
                        found.append(wild)
                    wild = node.below(PLUS)
                    if wild is not None:
                        ahead.append(wild)
                exact = node.below(level)
                if exact is not None:
                    ahead.append(exact)
            front = ahead
            plain = True
        for node in front:
            found.append(node)
            wild = node.below(HASH)
            if wild is not None:
                found.append(wild)  # "foo/#" matches "foo"
        return found
