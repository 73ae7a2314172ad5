"""Topic names and topic filters: what is one, and what it is made of [MQTT-4.7].

Both are UTF-8 bytes here, as they are on the wire; `str` is for people. Nothing recurses and nothing is turned into
a regular expression, so 65,535 slashes cost what 65,535 bytes cost.
"""

from collections.abc import Iterable
from typing import NamedTuple

from linnet.errors import MalformedPacket, ProtocolError, ReasonCode
from linnet.wire.strings import decode_utf8

PLUS = b"+"
HASH = b"#"
SHARE = b"$share"
SYSTEM = b"$SYS"

# Control characters and non-characters: a receiver may refuse them, and must not say it accepted them if so (1.5.4)
UNWANTED = frozenset(
    map(
        chr,
        (
            *range(0x01, 0x20),
            *range(0x7F, 0xA0),
            *range(0xFDD0, 0xFDF0),
            *(plane << 16 | low for plane in range(17) for low in (0xFFFE, 0xFFFF)),
        ),
    )
)


class TopicRules(NamedTuple):
    """How long and how deep a topic may be, and whether control characters are refused."""

    max_bytes: int = 65535
    max_levels: int = 65536
    refuse_control_characters: bool = False

    def check_name(self, name: bytes) -> None:
        """Raise unless this is a topic name that may be published to [MQTT-3.3.2-2, MQTT-4.7.3-1]."""
        if not name:
            raise ProtocolError(ReasonCode.TOPIC_NAME_INVALID, "empty topic name", "MQTT-4.7.3-1")
        if b"+" in name or b"#" in name:
            raise ProtocolError(ReasonCode.TOPIC_NAME_INVALID, f"wildcard in topic name {shown(name)}", "MQTT-3.3.2-2")
        self.check_text(name, ReasonCode.TOPIC_NAME_INVALID)

    def check_filter(self, name: bytes) -> None:
        """Raise unless this is a topic filter, without a share's prefix [MQTT-4.7.1-1, MQTT-4.7.1-2]."""
        if not name:
            raise ProtocolError(ReasonCode.TOPIC_FILTER_INVALID, "empty topic filter", "MQTT-4.7.3-1")
        self.check_text(name, ReasonCode.TOPIC_FILTER_INVALID)
        levels = name.split(b"/")
        for level in levels:
            if level != PLUS and PLUS in level:
                raise ProtocolError(
                    ReasonCode.TOPIC_FILTER_INVALID,
                    f"'+' is not a whole level in {shown(name)}",
                    "MQTT-4.7.1-2",
                )
        if HASH in name and (name.count(HASH) > 1 or levels[-1] != HASH):
            raise ProtocolError(
                ReasonCode.TOPIC_FILTER_INVALID,
                f"'#' is not the whole last level in {shown(name)}",
                "MQTT-4.7.1-1",
            )

    def check_text(self, name: bytes, code: ReasonCode) -> None:
        """What holds for names and filters alike."""
        if len(name) > self.max_bytes:
            raise ProtocolError(code, f"topic of {len(name)} bytes, {self.max_bytes} allowed", limit="max_topic_bytes")
        levels = name.count(b"/") + 1
        if levels > self.max_levels:
            raise ProtocolError(code, f"topic of {levels} levels, {self.max_levels} allowed", limit="max_topic_levels")
        self.check_characters((decode_utf8(name),))  # [MQTT-1.5.4-1]

    def check_characters(self, texts: Iterable[str | None]) -> None:
        """Raise when a text holds characters that the settings refuse."""
        if self.refuse_control_characters:
            for text in texts:
                if text and not UNWANTED.isdisjoint(text):
                    raise MalformedPacket(f"control character or non-character in {text[:80]!r}")


class Filter(NamedTuple):
    """A topic filter as it was subscribed to: `name` whole, `topics` without the share's prefix, `share` or empty."""

    name: bytes
    topics: bytes
    share: bytes

    @property
    def has_wildcard(self) -> bool:
        """Whether it may match more than one topic name."""
        return b"+" in self.topics or b"#" in self.topics


def parse_filter(name: bytes, rules: TopicRules) -> Filter:
    """Take a topic filter apart; raises ProtocolError [MQTT-4.8.2-1, MQTT-4.8.2-2]."""
    if not name.startswith(b"$share"):
        rules.check_filter(name)
        return Filter(name, name, b"")
    head, _, rest = name.partition(b"/")
    if head != SHARE:
        rules.check_filter(name)
        return Filter(name, name, b"")
    share, slash, topics = rest.partition(b"/")
    if not share or not slash or PLUS in share or HASH in share:
        raise ProtocolError(
            ReasonCode.TOPIC_FILTER_INVALID,
            f"{shown(name)} is not $share/NAME/FILTER with a plain NAME",
            "MQTT-4.8.2-2",
        )
    rules.check_filter(topics)
    decode_utf8(share)
    return Filter(name, topics, share)


def matches(name: bytes, topics: bytes) -> bool:
    """Whether a topic filter (without a share's prefix) matches a topic name [MQTT-4.7.1-2, MQTT-4.7.2-1]."""
    wanted = topics.split(b"/")
    levels = name.split(b"/")
    if name[:1] == b"$" and wanted[0] in (PLUS, HASH):
        return False
    for index, level in enumerate(wanted):
        if level == HASH:
            return True
        if index >= len(levels) or level not in (PLUS, levels[index]):
            return False
    return len(wanted) == len(levels)


def is_system(name: bytes) -> bool:
    """Whether this is one of the broker's own topics, which no client publishes to."""
    return name.partition(b"/")[0] == SYSTEM


def is_reserved(name: bytes) -> bool:
    """Whether this is a topic that no client publishes to: the broker's own, or the prefix of shared subscriptions."""
    return name.partition(b"/")[0] in (SYSTEM, SHARE)


def shown(name: bytes) -> str:
    """A topic in an error's text: never longer than a line, never with raw bytes in it."""
    text = repr(name.decode(errors="backslashreplace"))
    return text if len(text) < 80 else text[:76] + "...'"


def covers(pattern: bytes, topics: bytes) -> bool:
    """Whether every topic name that the filter `topics` matches is matched by the filter `pattern` too."""
    wanted = pattern.split(b"/")
    levels = topics.split(b"/")
    for index, level in enumerate(wanted):
        if level == HASH:
            return True
        if index >= len(levels) or levels[index] == HASH or (level not in (PLUS, levels[index])):
            return False
    return len(levels) == len(wanted)
