"""Patterns of topics: a filter whose wildcards have names.

    home/{room}/temp        subscribes to home/+/temp, and tells the room
    home/{floor:int}/temp   the same, for whole numbers only; float and uuid are known too
    home/{rest...}          subscribes to home/#, and tells all that follows; {rest:path} is the same
    $share/group/home/{x}   a shared subscription; topics are told without the prefix [MQTT-4.8.2-1]

A capture is a whole level, as a wildcard is [MQTT-4.7.1-2]. Plain + and # stay what they are. A topic is cut at its
slashes and compared level by level: no regular expression ever sees what a peer sent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final
from uuid import UUID

from linnet.core.topics import TopicRules, parse_filter
from linnet.errors import LinnetError, ProtocolError

Converter = Callable[[str], object]

_RULES: Final = TopicRules()


class PatternError(LinnetError, ValueError):
    """A pattern that cannot be understood, or captures that make no topic of it."""


def to_int(text: str) -> int:
    """A whole number in ASCII digits, with a minus sign or without; raises ValueError."""
    if not text.isascii() or not text.removeprefix("-").isdigit():
        raise ValueError("not a whole number")
    return int(text)


def to_float(text: str) -> float:
    """A finite number without blanks and underscores; raises ValueError."""
    if text != text.strip() or "_" in text or not text.isascii() or not math.isfinite(number := float(text)):
        raise ValueError("not a finite number")
    return number


def to_uuid(text: str) -> UUID:
    """A UUID as 32 hexadecimal digits, with the four hyphens or without any; raises ValueError."""
    uuid = UUID(text)
    if text.lower() not in (str(uuid), uuid.hex):
        raise ValueError("not a UUID")
    return uuid


CONVERTERS: Final[Mapping[str, Converter]] = {"int": to_int, "float": to_float, "uuid": to_uuid, "str": str}


class Pattern:
    """A pattern: made from its text once, then asked about topics.

    `text` is what it was made from; `filter` what to subscribe to; `share` the group's name, or empty; `names` the
    captures in their order; `converters` what the pattern itself asks of some of them, by name. Raises PatternError.
    """

    __slots__ = (
        "_captures",
        "_literals",
        "_rest",
        "_starts_wild",
        "_words",
        "converters",
        "filter",
        "names",
        "share",
        "text",
    )

    def __init__(self, text: str) -> None:
        self.text = text
        converters: dict[str, Converter] = {}
        self._rest: str | None = None  # the name of what the final # stands for; empty when it has none
        literals, captures, words = [], [], []
        prefix, levels = _split_share(text)
        for index, level in enumerate(levels):
            name, kind = _capture(level, text)
            if kind == "path" or level == "#":
                if index < len(levels) - 1:
                    raise PatternError(f"{level} takes all that follows, and so stands last, unlike in {text!r}")
                self._rest = name
                words.append("#")
            elif name or level == "+":
                captures.append((index, name))
                words.append("+")
            else:
                literals.append((index, level))
                words.append(level)
            if kind in CONVERTERS and kind != "str":
                converters[name] = CONVERTERS[kind]
        self.filter = prefix + "/".join(words)
        self.share = _check(self.filter, text)
        self.names = _unique([name for _, name in captures] + [self._rest or ""], text)
        self.converters: Mapping[str, Converter] = MappingProxyType(converters)
        self._words = tuple(words if self._rest is None else words[:-1])
        self._literals = tuple(literals)
        self._captures = tuple((index, name) for index, name in captures if name)
        self._starts_wild = words[0] in ("+", "#")

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def match(self, topic: str) -> dict[str, str] | None:
        """What the captures stand for in this topic, as text, or None when the topic does not belong here."""
        captures = self._find(topic)
        return None if captures is None or self.convert(captures) is None else captures

    def values(self, topic: str) -> dict[str, object] | None:
        """The same, each capture converted as the pattern says."""
        captures = self._find(topic)
        return None if captures is None else self.convert(captures)

    def convert(self, captures: Mapping[str, str]) -> dict[str, object] | None:
        """The captures with the pattern's converters applied, or None when one of them refuses its text."""
        values: dict[str, object] = dict(captures)
        try:
            for name, converter in self.converters.items():
                values[name] = converter(captures[name])
        except ValueError:
            return None
        return values

    def format(self, **captures: object) -> str:
        """The topic that these captures make, without a share's prefix, such that `match` finds them in it again.

        Raises PatternError for a capture that is missing or unknown, for values that cannot stand there, and when the
        pattern has a wildcard without a name.
        """
        if captures.keys() != set(self.names):
            odd = sorted(captures.keys() ^ set(self.names))
            raise PatternError(f"{self.text} takes {', '.join(self.names) or 'nothing'}: see {', '.join(odd)}")
        if self._rest == "" or len(self._captures) < self._words.count("+"):
            raise PatternError(f"{self.text} has a wildcard without a name, so no topic can be made of it")
        texts = {name: text_of(value) for name, value in captures.items()}
        levels = list(self._words)
        for index, name in self._captures:
            levels[index] = texts[name]
            if not texts[name] or "/" in texts[name]:
                raise PatternError(f"{name} is one level of {self.text}, and cannot be {texts[name][:60]!r}")
        rest = texts.get(self._rest or "")
        if rest or (rest is not None and not levels):
            levels.append(rest)
        topic = "/".join(levels)
        self._check_topic(topic, texts)
        return topic

    def _find(self, topic: str) -> dict[str, str] | None:
        """The captures as they stand in the topic [MQTT-4.7.1-2, MQTT-4.7.2-1]."""
        levels = topic.split("/")
        size = len(self._words)
        if len(levels) != size and (self._rest is None or len(levels) < size):
            return None
        for index, literal in self._literals:
            if levels[index] != literal:
                return None
        if self._starts_wild and topic[:1] == "$":
            return None
        captures = {name: levels[index] for index, name in self._captures}
        if self._rest:
            captures[self._rest] = "/".join(levels[size:])
        return captures

    def _check_topic(self, topic: str, captures: dict[str, str]) -> None:
        """Raise unless this is a topic name in which the same captures are found again."""
        try:
            _RULES.check_name(topic.encode())
        except (ProtocolError, UnicodeEncodeError) as error:
            raise PatternError(f"no topic can be made of {self.text}: {_why(error)}") from error
        if self.match(topic) != captures:
            raise PatternError(f"{topic[:60]!r} is a topic, but not one of {self.text}")


def _split_share(text: str) -> tuple[str, list[str]]:
    """The prefix of a shared subscription, with its slash, and the levels behind it."""
    levels = text.split("/")
    if levels[0] == "$share" and len(levels) > 2:
        if "{" in levels[1] or "}" in levels[1]:
            raise PatternError(f"the name of the group in {text!r} cannot be a capture")
        return f"$share/{levels[1]}/", levels[2:]
    return "", levels


def _capture(level: str, text: str) -> tuple[str, str]:
    """Name and kind of the capture that a level is; two empty strings when it is none."""
    if "{" not in level and "}" not in level:
        return "", ""
    inside = level[1:-1]
    if level[0] != "{" or level[-1] != "}" or "{" in inside or "}" in inside:
        raise PatternError(f"a capture is a whole level, such as {{name}}, and {level!r} in {text!r} is not")
    name, colon, kind = inside.partition(":")
    if not colon and name.endswith("..."):
        name, kind = name[:-3], "path"
    if not name.isidentifier():
        raise PatternError(f"{name!r} in {text!r} cannot be the name of a parameter")
    if (colon or kind) and kind != "path" and kind not in CONVERTERS:
        raise PatternError(f"{kind!r} in {text!r} is none of {', '.join(CONVERTERS)} and path")
    return name, kind


def _check(name: str, text: str) -> str:
    """Raise unless this is a topic filter; the group's name, if it has one."""
    try:
        return parse_filter(name.encode(), _RULES).share.decode()
    except (ProtocolError, UnicodeEncodeError) as error:
        raise PatternError(f"{text[:80]!r} is not a pattern: {_why(error)}") from error


def _unique(names: list[str], text: str) -> tuple[str, ...]:
    named = tuple(name for name in names if name)
    for name in named:
        if named.count(name) > 1:
            raise PatternError(f"{{{name}}} stands in {text!r} twice")
    return named


def text_of(value: object) -> str:
    """What a value is called in a topic: an Enum's member by its value, everything else as `str` has it."""
    return text_of(value.value) if isinstance(value, Enum) else str(value)


def _why(error: ProtocolError | UnicodeEncodeError) -> str:
    return error.detail if isinstance(error, ProtocolError) else error.reason
