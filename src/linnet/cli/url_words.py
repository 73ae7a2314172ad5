"""A URL that says all at once: `mqtts://user:password@host:8883/home/#`.

What stands behind the host is the topic as it is, wildcards and all. For a WebSocket it is the path of the request
instead, and for a Unix socket the path of the file, so that their topics come by -t.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import unquote

from linnet.cli.asked import Asked, UsageError
from linnet.errors import LinnetError

if TYPE_CHECKING:
    from linnet.cli.grammar import Words

SCHEMES = ("mqtt", "mqtts", "ws", "wss", "unix")


def is_url(word: str) -> bool:
    """Whether a word that stands alone is meant as a URL."""
    return "://" in word


def take_url(asked: Asked, words: Words) -> None:
    """-L: as Mosquitto reads it, nothing is percent-encoded."""
    topic = read_url(asked, words.take("URL"), words.option, lambda part: part)
    if topic:
        add_topic(asked, topic)


def take_address(asked: Asked, words: Words) -> None:
    """A URL that stands alone: user name and password may be percent-encoded, and the topic may be missing."""
    topic = read_url(asked, words.option, "the URL", unquote)
    if topic:
        add_topic(asked, topic)


def add_topic(asked: Asked, topic: str) -> None:
    """The topic is one to publish to as well as one to subscribe to; the verb knows which it needs."""
    asked.topic = topic
    asked.filters.append(topic)


def read_url(asked: Asked, url: str, option: str, plain: Callable[[str], str]) -> str:
    """Put what a URL says into `asked`, and give back its topic; `plain` undoes the encoding of a part."""
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if scheme not in SCHEMES:
        raise UsageError(f"{option} {scheme!r}: a URL begins with one of {', '.join(SCHEMES)}")
    if scheme == "unix":
        asked.scheme, asked.unix = "", rest
        return ""
    authority, slash, path = rest.partition("/")
    login, at, place = authority.rpartition("@")
    if at:
        user, colon, password = login.partition(":")
        asked.user_name = plain(user)
        if colon:
            asked.password, asked.password_in_words = plain(password), True
    try:
        asked.host, asked.port = host_and_port(place)
    except LinnetError as error:
        raise UsageError(f"{option}: {error}") from None
    asked.scheme, asked.unix = scheme, ""
    if scheme in ("ws", "wss"):
        asked.path = slash + path
        return ""
    return path


def host_and_port(place: str) -> tuple[str, int | None]:
    """Host and port of `host`, `host:port` or `[address]:port`; raises LinnetError."""
    if place.startswith("["):
        host, bracket, rest = place[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise LinnetError(f"{place!r} is no host")
        port = rest[1:]
    else:
        host, _, port = place.partition(":")
    if port and not (port.isascii() and port.isdecimal() and int(port) <= 65535):
        raise LinnetError(f"{port!r} is no port")
    if not host:
        raise LinnetError("the host is missing")
    return host, int(port) if port else None


def take_word(asked: Asked, words: Words) -> None:
    """A word that stands alone: for Mosquitto's verbs it can be a URL only."""
    if not is_url(words.option):
        raise UsageError(f"{words.option!r} is neither an option nor a URL such as mqtt://host/topic")
    take_address(asked, words)
