"""Retained messages: the last word on each topic, for those who come later [MQTT-3.3.1-5]."""

from collections.abc import Iterator

from linnet.core.topics import HASH, PLUS, is_system
from linnet.wire.message import Message


class RetainedNode:
    """One level of the topics that hold a message; `topic_name` where one ends."""

    __slots__ = ("children", "topic_name")

    def __init__(self) -> None:
        self.children: dict[bytes, RetainedNode] | None = None
        self.topic_name: bytes | None = None

    def __repr__(self) -> str:
        return f"<RetainedNode {self.topic_name!r}, {len(self.children or ())} below>"


class Retained:
    """The retained messages of a broker, by topic, with a tree beside them for wildcards.

    A limit that is reached refuses the new topic and counts; a topic that is there already is always replaced. The
    broker's own topics, which no client publishes to, are in no count and under no limit.
    """

    __slots__ = (
        "bytes",
        "expiring",
        "is_closed",
        "max_bytes",
        "max_count",
        "max_payload",
        "messages",
        "own",
        "refused",
        "root",
    )

    def __init__(self, max_count: int, max_bytes: int, max_payload: int) -> None:
        self.max_count = max_count
        self.max_bytes = max_bytes  # topics and payloads
        self.max_payload = max_payload  # of one message; 0 = as large as a packet may be
        self.messages: dict[bytes, Message] = {}
        self.expiring: dict[bytes, None] = {}  # topics whose message has an expiry interval
        self.root = RetainedNode()
        self.own = 0  # messages below $SYS; neither they nor their bytes are counted elsewhere
        self.bytes = 0
        self.refused = 0
        self.is_closed = False  # to new topics, for memory is short

    def __repr__(self) -> str:
        return f"<Retained {len(self)} messages, {self.bytes} bytes>"

    def __len__(self) -> int:
        return len(self.messages) - self.own

    def limit_reached(self, message: Message) -> str:
        """The name of the limit that leaves no room for a message, which is counted then; empty when it fits."""
        size = message.size()
        old = self.messages.get(message.topic_name)
        weight = message.weight() - (old.weight() if old is not None else 0)
        limit = ""
        if size == 0 or is_system(message.topic_name):
            pass  # it deletes, or is the broker's own
        elif self.max_payload and size > self.max_payload:
            limit = "max_retained_payload"
        elif old is None and len(self) >= self.max_count:
            limit = "max_retained"
        elif weight > 0 and self.bytes + weight > self.max_bytes:
            limit = "max_retained_bytes"
        elif old is None and self.is_closed:
            limit = "memory_high"
        if limit:
            self.refused += 1
        return limit

    def keep(self, message: Message) -> None:
        """Store a message, in the place of an older one [MQTT-3.3.1-5]; an empty one deletes [MQTT-3.3.1-6, -7]."""
        if message.size() == 0:
            self.drop(message.topic_name)
            return
        old = self.messages.get(message.topic_name)
        if old is None:
            self.grow(message.topic_name)
        else:
            self.count(old, -1)
        self.messages[message.topic_name] = message
        self.count(message, 1)
        if message.expiry >= 0:
            self.expiring[message.topic_name] = None
        elif old is not None and old.expiry >= 0:
            del self.expiring[message.topic_name]

    def clear(self) -> None:
        """Forget every message."""
        self.messages.clear()
        self.expiring.clear()
        self.root = RetainedNode()
        self.own = 0
        self.bytes = 0

    def count(self, message: Message, sign: int) -> None:
        """A message is kept (1), or no longer (-1)."""
        if is_system(message.topic_name):
            self.own += sign
        else:
            self.bytes += sign * message.weight()

    def drop(self, topic_name: bytes) -> None:
        """Forget a topic's message."""
        old = self.messages.pop(topic_name, None)
        if old is None:
            return
        self.count(old, -1)
        self.expiring.pop(topic_name, None)
        path = [self.root]
        levels = topic_name.split(b"/")
        for level in levels:
            path.append((path[-1].children or {})[level])
        path[-1].topic_name = None
        while levels:
            node = path.pop()
            if node.children or node.topic_name is not None:
                return  # a topic in the middle keeps those above and below
            children = path[-1].children
            assert children is not None
            del children[levels.pop()]

    def grow(self, topic_name: bytes) -> None:
        """Make the nodes of a topic."""
        node = self.root
        for level in topic_name.split(b"/"):
            if node.children is None:
                node.children = {}
            below = node.children.get(level)
            if below is None:
                below = node.children[level] = RetainedNode()
            node = below
        node.topic_name = topic_name

    def get(self, topic_name: bytes, now: float) -> Message | None:
        """A topic's message, unless it expired [MQTT-3.3.2-5]."""
        message = self.messages.get(topic_name)
        if message is not None and message.expiry >= 0 and message.seconds_left(now) < 0:
            self.drop(topic_name)
            return None
        return message

    def sweep(self, now: float) -> int:
        """Drop what expired; how many."""
        expired = [name for name in self.expiring if self.messages[name].seconds_left(now) < 0]
        for topic_name in expired:
            self.drop(topic_name)
        return len(expired)

    def matching(self, topics: bytes) -> Iterator[bytes]:
        """The topics that a filter matches, found while they are asked for; the store may change meanwhile."""
        if PLUS not in topics and HASH not in topics:
            if topics in self.messages:
                yield topics
            return
        levels = topics.split(b"/")
        stack = [iter([(self.root, 0)])]
        while stack:
            step = next(stack[-1], None)
            if step is None:
                stack.pop()
                continue
            node, depth = step
            wanted = levels[depth] if depth < len(levels) else None
            if node.topic_name is not None and (wanted is None or wanted == HASH):
                yield node.topic_name
            if wanted is not None and node.children:
                stack.append(iter(self.below(node, levels, depth)))

    def below(self, node: RetainedNode, levels: list[bytes], depth: int) -> list[tuple[RetainedNode, int]]:
        """Where the walk goes on from a node: which children, and at which place of the filter."""
        wanted = levels[depth]
        children = node.children
        assert children is not None
        if wanted not in (PLUS, HASH):
            child = children.get(wanted)
            if child is None:
                return []
            after = [(child, depth + 1)]
        else:
            deeper = depth if wanted == HASH else depth + 1
            plain = depth == 0 and node is self.root  # [MQTT-4.7.2-1]
            after = [(child, deeper) for name, child in children.items() if not (plain and name.startswith(b"$"))]
        return after
