"""Topics and texts that a client may send, checked before anything is sent."""

from __future__ import annotations

from linnet.cli.asked import UsageError
from linnet.wire.strings import LONGEST, is_topic_name


def topic_name(option: str, word: str) -> str:
    """A topic to publish to; raises UsageError."""
    if not is_topic_name(word):
        raise UsageError(f"{option} {word!r}: a topic to publish to is not empty and has no '+' or '#'")
    return text_of(option, word)


def topic_filter(option: str, word: str) -> str:
    """A topic filter; raises UsageError."""
    levels = word.split("/")
    for index, level in enumerate(levels):
        is_last = index == len(levels) - 1
        if ("#" in level and (level != "#" or not is_last)) or ("+" in level and level != "+"):
            raise UsageError(f"{option} {word!r}: '+' and '#' each fill a level, and '#' the last one only")
    if not word:
        raise UsageError(f"{option}: a topic filter is not empty")
    return text_of(option, word)


def text_of(option: str, word: str) -> str:
    """A word that can be sent as text: words that are not UTF-8 come from the system with surrogates in them."""
    try:
        length = len(word.encode())
    except UnicodeEncodeError:
        raise UsageError(f"{option}: the word is not UTF-8") from None
    if length > LONGEST:
        raise UsageError(f"{option}: {length} bytes are more than the {LONGEST} that MQTT allows")
    return word
