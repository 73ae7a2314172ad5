"""The router: where does a message go?

The answer is found once per topic and kept: a route holds, for every session that wants the topic, the subscription to
deliver under. Routes are dropped when subscriptions change, so a message costs one look-up, not a walk.
"""

from collections.abc import Callable

from linnet.core.backlog import REFUSE, nobody_counts
from linnet.core.retained import Retained
from linnet.core.session import Session
from linnet.core.shared import SharedGroup
from linnet.core.subscriptions import Node, Subscription, SubscriptionTree, merge
from linnet.core.topics import TopicRules, is_reserved
from linnet.wire.message import Message

SLICES = 8  # of the budget: one message to more than a part of it goes out in slices, and leaves time for others
COSTLY = 4  # times as much work as a delivery with QoS 0 is one with QoS 1 or 2


class Route:
    """Where the messages of one topic go."""

    __slots__ = ("can_refuse", "groups", "is_reserved", "is_special", "is_wide", "targets")

    def __init__(self, targets: list[Subscription], groups: list[SharedGroup], is_reserved: bool, wide: int) -> None:
        """`wide`: how many targets are so many that they are served in slices."""
        self.targets = targets
        self.groups = groups
        self.is_reserved = is_reserved  # the broker's own topics, which no client publishes to
        self.is_wide = len(targets) > wide
        members = [member for group in groups for member in group.members]
        self.can_refuse = any(one.policy == REFUSE for one in (*targets, *members))
        self.is_special = is_reserved or self.is_wide or self.can_refuse  # to be looked at more closely

    def refuses(self, message: Message) -> bool:
        """Whether a full queue is a reason not to take this message at all."""
        if not self.can_refuse or message.qos == 0:
            return False
        chosen = [group.next_member() for group in self.groups]
        return any(one is not None and would_refuse(one, message) for one in (*self.targets, *chosen))

    def __repr__(self) -> str:
        return f"<Route to {len(self.targets)} sessions, {len(self.groups)} groups>"


def would_refuse(subscription: Subscription, message: Message) -> bool:
    """Whether a full queue of this subscription's session is a reason not to take a message at all."""
    if subscription.no_local and message.publisher == subscription.session.client_id:
        if subscription.own is None:
            return False
        subscription = subscription.own
    is_asked = subscription.policy == REFUSE and subscription.qos > 0
    return is_asked and subscription.session.sender.would_drop(message)


class Router:
    """All routes, the subscriptions they are found by, and the retained messages."""

    __slots__ = (
        "budget",
        "count",
        "delivered",
        "is_merging",
        "max_routes",
        "misses",
        "retained",
        "routes",
        "rules",
        "subscription_count",
        "tree",
    )

    def __init__(
        self, rules: TopicRules, retained: Retained, max_routes: int, is_merging: bool, budget: int = 1 << 30
    ) -> None:
        self.rules = rules
        self.retained = retained
        self.max_routes = max_routes  # topics; when it is reached all routes are dropped and found anew
        self.is_merging = is_merging  # overlapping subscriptions of a session: one copy, or one each
        self.tree = SubscriptionTree()
        self.routes: dict[bytes, Route] = {}
        self.misses = 0
        self.subscription_count = 0
        self.budget = budget  # deliveries in a turn, after which publishers have to wait for the next one
        self.delivered = 0  # lately
        self.count: Callable[[str, str], None] = nobody_counts  # is told when a limit is reached

    def __repr__(self) -> str:
        return f"<Router {self.subscription_count} subscriptions, {len(self.routes)} routes>"

    def find(self, topic_name: bytes) -> Route:
        """The route of a topic. Raises ProtocolError when it is no topic name, or too long or deep for the settings."""
        route = self.routes.get(topic_name)
        if route is not None:
            return route
        self.rules.check_name(topic_name)
        self.misses += 1
        by_session: dict[Session, list[Subscription]] = {}
        groups: list[SharedGroup] = []
        for node in self.tree.match(topic_name):
            for subscription in node.members():
                by_session.setdefault(subscription.session, []).append(subscription)
            groups.extend((node.groups or {}).values())
        targets: list[Subscription] = []
        for subscriptions in by_session.values():
            if self.is_merging:
                targets.append(merge(subscriptions))
            else:
                targets.extend(subscriptions)
        route = Route(targets, groups, is_reserved(topic_name), self.slice_size())
        if len(self.routes) >= self.max_routes:
            self.count("max_routes", "")
            self.routes.clear()
        self.routes[topic_name] = route
        return route

    def publish(self, message: Message, route: Route, now: float) -> int:
        """Hand a message on; to how many it went. The same message object goes to all of them."""
        count = 0
        for subscription in route.targets:
            session = subscription.session
            if session.deliver(message, subscription, False, now):
                count += 1
        if route.groups:
            for group in route.groups:
                if group.deliver(message, now):
                    count += 1
        self.delivered += count if message.qos == 0 else COSTLY * count
        return count

    def slice_size(self) -> int:
        """Deliveries of one message in one turn, whatever its QoS."""
        return max(1, self.budget // SLICES)

    def subscribe(self, subscription: Subscription) -> bool:
        """Add a subscription, or replace the session's one for the same filter [MQTT-3.8.4-3]; True if it is new."""
        session = subscription.session
        node = self.tree.node(subscription.topics)
        old = session.subscriptions.get(subscription.name)
        if subscription.share:
            self.join(node, subscription)
        else:
            node.add(subscription)
        session.subscriptions[subscription.name] = subscription
        self.changed(subscription)
        if old is None:
            self.subscription_count += 1
        return old is None

    def join(self, node: Node, subscription: Subscription) -> None:
        """Put a subscription into its group."""
        name = subscription.share
        if node.groups is None:
            node.groups = {}
        group = node.groups.get(name)
        if group is None:
            group = node.groups[name] = SharedGroup(subscription.name)
        subscription.group = group
        group.join(subscription)

    def unsubscribe(self, session: Session, name: bytes, now: float) -> bool:
        """Take a subscription away [MQTT-3.10.4-1]; False if there is none for this very filter."""
        subscription = session.subscriptions.pop(name, None)
        if subscription is None:
            return False
        node = self.tree.find(subscription.topics)
        assert node is not None
        group = subscription.group
        if group is not None:
            group.leave(subscription, now)
            if not group.members and node.groups:
                del node.groups[subscription.share]
        else:
            node.remove(session)
        self.tree.prune(subscription.topics)
        self.subscription_count -= 1
        self.changed(subscription)
        return True

    def changed(self, subscription: Subscription) -> None:
        """Forget the routes that a changed subscription may alter."""
        if subscription.filter.has_wildcard:
            self.routes.clear()
        else:
            self.routes.pop(subscription.topics, None)
