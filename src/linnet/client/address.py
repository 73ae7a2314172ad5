"""Where a server is: URLs to addresses and back.

    mqtt://user:p%40ss@host:1884/       TCP, port 1883 unless told
    mqtts://host                        TLS, 8883
    ws://host/path, wss://host/path     WebSocket, 80 and 443, /mqtt
    unix:///run/mosquitto.sock          a socket in the file system
    mqtt://a,b:1884,[::1]:1885/         several hosts, to be tried in turn
    host, host:1884                     mqtt

A user name and a password are percent-encoded, and hold for every host of their URL. Neither an error's text nor
`str()` ever shows a password, nor a query, in which signatures and tokens are handed over too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import ClassVar, Final, Literal
from urllib.parse import quote, unquote

from linnet.errors import LinnetError

Scheme = Literal["mqtt", "mqtts", "ws", "wss", "unix"]

PORTS: Final[Mapping[Scheme, int]] = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443, "unix": 0}
WEBSOCKET_PATH: Final = "/mqtt"

# What other tools call the same things
SCHEMES: Final[Mapping[str, Scheme]] = {
    **dict.fromkeys(("mqtt", "tcp", "mqtt+tcp"), "mqtt"),
    **dict.fromkeys(("mqtts", "ssl", "tls", "mqtt+ssl", "mqtt+tls", "tcps", "tcp+tls"), "mqtts"),
    **dict.fromkeys(("ws", "mqtt+ws"), "ws"),
    **dict.fromkeys(("wss", "mqtt+wss", "mqtts+ws", "mqtts+wss"), "wss"),
    **dict.fromkeys(("unix", "mqtt+unix"), "unix"),
}

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HOST: Final = re.compile(r"[^\s\x00-\x20\x7f\"#%,/:<>?@\[\\\]^`{|}]+")
_IN_PATH: Final = "/%:@!$&'()*+,;=~"  # what stays as it is in the target of a request


class AddressError(LinnetError, ValueError):
    """An address that cannot be understood; the text says why and never shows a password."""


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """One place to connect to.

    `host` is without brackets, and empty for a Unix socket, as is `port` (0). `path` is the socket's path in the file
    system, or the target of a WebSocket request with its query, percent-encoded.
    """

    scheme: Scheme
    host: str = ""
    port: int = 0
    path: str = ""
    user_name: str | None = None
    password: str | None = None

    hidden: ClassVar[tuple[str, ...]] = ("password",)  # from whoever looks at it

    @property
    def is_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme in ("mqtts", "wss")

    @property
    def is_websocket(self) -> bool:
        """Whether MQTT travels in WebSocket frames."""
        return self.scheme in ("ws", "wss")

    def __repr__(self) -> str:
        return f"<Address {self}>"

    def __str__(self) -> str:
        """The URL, without the password and the query."""
        user = "" if self.user_name is None else quote(self.user_name, safe="") + "@"
        if self.scheme == "unix":
            return f"unix://{user}{quote(self.path)}"
        host = "[" + self.host.replace("%", "%25") + "]" if ":" in self.host else self.host
        return f"{self.scheme}://{user}{host}:{self.port}{self.path.partition('?')[0]}"


def parse_addresses(url: str | Sequence[str]) -> list[Address]:
    """The addresses that a URL, or each of several, names: at least one, in their order. Raises AddressError."""
    if isinstance(url, str):
        return _parse(url)
    addresses = [address for one in url for address in _parse(one)]
    if not addresses:
        raise AddressError("no address was given")
    return addresses


def split_topic(url: str) -> tuple[str, str]:
    """Part `mqtt://host/some/topic` into `mqtt://host` and `some/topic`, as command lines write it.

    The topic is taken as it stands, so that `#` and `?` need no escapes. It is empty where there is none, and with
    ws, wss and unix, whose path is part of the address. Nothing is checked here but the scheme; raises AddressError.
    """
    scheme, rest = _split_scheme(url)
    if scheme not in ("mqtt", "mqtts"):
        return url, ""
    authority, _, topic = rest.partition("/")
    return url[: len(url) - len(rest)] + authority, topic


def _split_scheme(url: str) -> tuple[Scheme, str]:
    """The scheme by our name for it, and what follows `://`."""
    found = _SCHEME.match(url)
    if found is None:
        return ("unix", url[5:]) if url[:6].lower() == "unix:/" else ("mqtt", url)
    scheme = SCHEMES.get(found[1].lower())
    if scheme is None:
        raise AddressError(f"{found[1]}:// is not known here; {', '.join(PORTS)} are")
    return scheme, url[found.end() :]


def _parse(url: str) -> list[Address]:
    if not isinstance(url, str):
        raise AddressError(f"an address is a text, not {type(url).__name__}")
    if any("\ud800" <= char <= "\udfff" for char in url):  # which is how a command line shows bytes that are no text
        raise AddressError("an address is UTF-8")
    scheme, rest = _split_scheme(url.strip())
    end = next((index for index, char in enumerate(rest) if char in "/?#"), len(rest))
    authority, tail = rest[:end], rest[end:]
    if "@" in tail and "@" not in authority and scheme != "unix":
        raise AddressError(
            "'/', '?' and '#' in a user name or password are written %2F, %3F and %23, '@' in a path %40"
        )
    userinfo, _, places = authority.rpartition("@")
    user_name, password = _parse_userinfo(userinfo)
    if scheme == "unix":
        return [Address("unix", "", 0, _socket_path(places, tail), user_name, password)]
    path = _request_target(tail) if scheme in ("ws", "wss") else _no_path(scheme, tail)
    hosts = [_parse_host(place, PORTS[scheme]) for place in places.split(",")]
    return [Address(scheme, host, port, path, user_name, password) for host, port in hosts]


def _parse_userinfo(text: str) -> tuple[str | None, str | None]:
    """User name and password; an empty user name is none, as MQTT 5.0 allows a password alone [MQTT-3.1.2-17]."""
    if "@" in text and "," in text:
        raise AddressError(
            "one user name and password hold for all hosts (several are a list of URLs); '@' in one is %40"
        )
    user_name, colon, password = text.partition(":")
    try:
        return (
            unquote(user_name, errors="strict") or None,
            unquote(password, errors="strict") if colon else None,
        )
    except UnicodeDecodeError:
        raise AddressError("the user name or the password is not percent-encoded UTF-8") from None


def _parse_host(place: str, default_port: int) -> tuple[str, int]:
    """`host`, `host:port`, `[IPv6]` or `[IPv6]:port`. What follows a colon may be a secret at the wrong place."""
    place = place.strip()
    if place.startswith("["):
        inside, bracket, rest = place[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise AddressError("an IPv6 address is written [ADDRESS] or [ADDRESS]:PORT")
        return _ipv6(inside.replace("%25", "%", 1)), _parse_port(rest, "[" + inside + "]", default_port)
    host, colon, port = place.partition(":")
    if ":" in port:
        raise AddressError("a host and its port have one ':' between them, and an IPv6 address stands in brackets")
    if not host:
        raise AddressError("the host is missing")
    if not _HOST.fullmatch(host):
        raise AddressError(f"{host[:60]!r} is not the name of a host")
    return host, _parse_port(colon + port, host, default_port)


def _ipv6(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except ValueError:
        raise AddressError("what stands in the brackets is not an IPv6 address") from None


def _parse_port(text: str, host: str, default: int) -> int:
    """The number after the colon; without a colon the default."""
    if not text:
        return default
    if not re.fullmatch(r":[0-9]{1,5}", text) or not 0 < int(text[1:]) < 65536:
        raise AddressError(f"the port of {host[:60]!r} is not a number from 1 to 65535")
    return int(text[1:])


def _no_path(scheme: str, tail: str) -> str:
    if tail not in ("", "/"):
        raise AddressError(
            f"after the host of {scheme}:// nothing follows but '/': a topic is told apart from the address"
        )
    return ""


def _request_target(tail: str) -> str:
    """The path and the query that a WebSocket's handshake asks for."""
    target, hash_sign, _ = tail.partition("#")
    if hash_sign:
        raise AddressError("a WebSocket's address has no '#' part")
    path, mark, query = target.partition("?")
    return quote(path or WEBSOCKET_PATH, safe=_IN_PATH) + mark + quote(query, safe=_IN_PATH + "?")


def _socket_path(places: str, tail: str) -> str:
    if places or not tail.startswith("/"):
        raise AddressError("the path of a Unix socket is absolute, with three slashes: unix:///run/mosquitto.sock")
    if "?" in tail or "#" in tail:
        raise AddressError("'?' and '#' in the path of a Unix socket are written %3F and %23")
    try:
        path = unquote(tail, errors="strict")
    except UnicodeDecodeError:
        raise AddressError("the path of the Unix socket is not percent-encoded UTF-8") from None
    if "\0" in path or path.endswith("/"):
        raise AddressError("the path of a Unix socket names no socket")
    return path
