"""What a client is told: whom to connect to and as whom, and what to do when things go wrong."""

from __future__ import annotations

import os
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import random
from typing import Any, ClassVar, Literal, Protocol, TypedDict

from linnet.client.address import PORTS, Address, parse_addresses
from linnet.client.store import ClientStore
from linnet.errors import did_you_mean
from linnet.wire.connect import Will
from linnet.wire.properties import Properties
from linnet.wire.version import VERSIONS, Version

FOR_EVER = 0xFFFFFFFF  # seconds, as a session expiry interval
MOST_INFLIGHT = 1000  # messages on their way at most; the server says if it takes less
MOST_INFLIGHT_3 = 20  # the same before 5.0, where it cannot say so, and Mosquitto ends the connection above this
RESUMING = 300  # seconds that the server keeps the session of a client that lost its connection
RETURNING = 7 * 24 * 3600  # seconds that it does so for one that has a store, and comes back when it is started again

Secret = str | bytes | None
Password = Secret | Callable[[], Secret | Awaitable[Secret]]
Dial = Callable[[Callable[[], Any]], Awaitable[Any]]
WhenFull = Literal["wait", "raise", "drop_oldest"]
QoS0 = Literal["keep", "drop", "raise"]

# Between what a number may be
BOUNDS = {
    "keep_alive": (0, 65535),
    "session_expiry": (0, FOR_EVER),
    "receive_maximum": (1, 65535),
    "maximum_packet_size": (64, 268435460),
    "topic_alias_maximum": (0, 65535),
    "max_inflight": (1, 64000),  # some identifiers are for SUBSCRIBE and UNSUBSCRIBE
    "connect_timeout": (0.001, 1e6),
    "ping_timeout": (0.001, 1e6),
    "claim_timeout": (0, 1e6),
    "close_timeout": (0, 1e6),
}


# What paho-mqtt and aiomqtt call them
MEANT = {"keepalive": "keep_alive", "username": "user_name", "identifier": "client_id", "hostname": "host"}


class Authenticator(Protocol):
    """One side of an exchange of AUTH packets [MQTT-4.12], such as SCRAM."""

    method: str

    def start(self) -> bytes | None:
        """Begin an exchange, at each connection and each re-authentication: the data of its first packet."""

    def step(self, data: bytes) -> bytes | Awaitable[bytes | None] | None:
        """The server's step; ours, now or later."""

    def finish(self, data: bytes) -> None:
        """The server is satisfied; raise if we are not."""


@dataclass(frozen=True, slots=True)
class Reconnect:
    """How to come back when the connection is lost, or cannot be had.

    The first try comes after `first` seconds, each later one after `factor` times the pause before, up to `ceiling`;
    each pause is shortened by chance, by at most the part `jitter` of it, so that a thousand clients do not come back
    at once. `attempts` tries in a row without success are the last (None: never give up). `at_start` says whether the
    very first connection is tried in the same way; otherwise its failure is raised at once.
    """

    first: float = 0.5  # seconds
    factor: float = 2.0
    ceiling: float = 60.0  # seconds
    jitter: float = 0.5
    attempts: int | None = None
    at_start: bool = False

    def longest(self, attempt: int) -> float:
        """Seconds that the pause before the attempt with this number, counted from 1, has at most."""
        return min(self.first * self.factor ** min(max(attempt - 1, 0), 64), self.ceiling)

    def pause(self, attempt: int) -> float:
        """Seconds before the attempt with this number."""
        return self.longest(attempt) * (1 - self.jitter * random())


@dataclass(frozen=True, slots=True)
class Offline:
    """What becomes of messages while there is no connection, or while the server takes no more for now."""

    max_messages: int = 10_000  # that wait
    max_bytes: int = 64 * 1024 * 1024  # of their topics, properties and payloads
    when_full: WhenFull = "wait"  # what `publish` does; `send`, which cannot wait, raises then
    qos0: QoS0 = "keep"  # what becomes of messages of QoS 0 while there is no connection
    resend_qos2: bool = False  # send a message of QoS 2 again whose fate is unknown since the session was lost


class ClientOptions(TypedDict, total=False):
    """What a client may be told besides an address."""

    host: str  # instead of an URL, with `port` or without
    client_id: str  # "": the server chooses one
    user_name: str | None
    password: Password  # or a function that returns one, or a coroutine function; it is asked for each connection
    tls: ssl.SSLContext | bool | None  # for mqtts and wss; None: the authorities that this machine trusts
    proxy: str | None  # socks5://, socks4:// or http:// URL, or "env"
    headers: Mapping[str, str]  # of the request for a WebSocket
    dial: Dial | None  # any other way to open a connection
    will: Will | None
    keep_alive: int  # seconds, 0 = none
    session_expiry: int | None  # seconds; None: the session outlives a lost connection, not the client
    clean_start: bool  # begin with an empty session
    version: Version | str | None  # or its name, "3.1.1"; None: 5.0, and 3.1.1 where the server knows no other
    receive_maximum: int  # messages of QoS 1 and 2 that wait to be processed
    maximum_packet_size: int  # bytes that we take
    topic_alias_maximum: int  # topics that the server may abbreviate
    max_inflight: int | None  # messages of QoS 1 and 2 on their way, at most; None: 1000, before 5.0 20
    connect_timeout: float  # seconds
    ping_timeout: float  # seconds that the server has to answer a PINGREQ
    claim_timeout: float  # seconds that messages of a resumed session are kept for a subscription to come
    close_timeout: float  # seconds that what was handed over has to be acknowledged when the client is closed
    reconnect: Reconnect | None  # None: a lost connection is an error
    offline: Offline
    store: ClientStore | str | os.PathLike[str]  # where what is not done with is kept, or the path of a DiskStore
    authenticator: Authenticator | None
    properties: Properties  # more that CONNECT shall say


@dataclass(slots=True)
class Options:
    """All that one client was told."""

    hidden: ClassVar[tuple[str, ...]] = ("password",)  # from whoever looks at a client

    addresses: list[Address] = field(default_factory=list)
    client_id: str = ""
    user_name: str | None = None
    password: Password = field(default=None, repr=False)
    tls: ssl.SSLContext | bool | None = None
    proxy: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    dial: Dial | None = None
    will: Will | None = None
    keep_alive: int = 60  # seconds, 0 = none
    session_expiry: int | None = None  # seconds; None: the session outlives a lost connection, not the client
    clean_start: bool = True
    version: Version | None = None  # None: 5.0, and 3.1.1 where the server knows no other
    receive_maximum: int = 1000  # messages of QoS 1 and 2 that wait to be processed
    maximum_packet_size: int = 64 * 1024 * 1024  # bytes
    topic_alias_maximum: int = 10  # topics that the server may abbreviate
    max_inflight: int | None = None  # messages of QoS 1 and 2 on their way, at most
    connect_timeout: float = 10.0  # seconds
    ping_timeout: float = 10.0  # seconds that the server has to answer
    claim_timeout: float = 30.0  # seconds that messages of a resumed session are kept for a subscription to come
    close_timeout: float = 5.0  # seconds that what was handed over has to be acknowledged when the client is closed
    reconnect: Reconnect | None = Reconnect()
    offline: Offline = Offline()
    store: ClientStore = field(default_factory=ClientStore)
    authenticator: Authenticator | None = None
    properties: Properties = field(default_factory=Properties)  # more that CONNECT shall say

    def __post_init__(self) -> None:
        for name, (least, most) in BOUNDS.items():
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and least <= value <= most):
                raise ValueError(f"{name} is {least} to {most}, not {value!r}")
        for name, kind in KINDS.items():
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise TypeError(f"{name} cannot be {value!r}")

    @classmethod
    def made(cls, url: str | Sequence[str], port: int | None, said: ClientOptions) -> Options:
        """What an address and options by name mean. Raises AddressError, TypeError, ValueError."""
        given: dict[str, Any] = dict(said)
        for name in given.keys() - ClientOptions.__annotations__.keys():
            meant = did_you_mean(MEANT.get(name, name), ClientOptions.__annotations__)
            raise TypeError(f"Client() has no option {name!r}{meant}")
        host = given.pop("host", None)
        if port is not None and not (isinstance(port, int) and 0 < port < 65536):
            raise ValueError(f"port is 1 to 65535, not {port!r}")
        if "version" in given:
            given["version"] = version_of(given["version"])
        if isinstance(given.get("store"), str | os.PathLike):
            from linnet.client.disk import DiskStore  # not everybody needs a database

            given["store"] = DiskStore(given["store"])
        addresses = parse_addresses(url)
        if host is not None:
            addresses = parse_addresses(host)
        if given.get("tls"):
            addresses = [secured(address) for address in addresses]
        if port is not None:
            addresses = [replace(address, port=port) for address in addresses]
        return cls(addresses, **given)

    def window(self, has_properties: bool) -> int:
        """How many messages of QoS 1 and 2 may be on their way, in a version that has properties or not."""
        return self.max_inflight or (MOST_INFLIGHT if has_properties else MOST_INFLIGHT_3)

    def expiry(self, is_lasting: bool) -> int:
        """The Session Expiry Interval to ask for, in seconds; `is_lasting`: what is in flight outlives the program."""
        if self.session_expiry is not None:
            return self.session_expiry
        return RETURNING if is_lasting or not self.clean_start else RESUMING


def version_of(version: Any) -> Version | None:
    """The version that an object or a name stands for. Raises ValueError."""
    if version is None or isinstance(version, Version):
        return version
    for known in VERSIONS.values():
        if str(version) in (known.name, known.name.removesuffix(".0")):
            return known
    raise ValueError(f"version is one of {', '.join(known.name for known in VERSIONS.values())}, not {version!r}")


def secured(address: Address) -> Address:
    """The same place by TLS, for a TLS context was given."""
    if address.scheme == "mqtt":
        port = PORTS["mqtts"] if address.port == PORTS["mqtt"] else address.port
        return replace(address, scheme="mqtts", port=port)
    if address.scheme == "ws":
        return replace(address, scheme="wss", port=PORTS["wss"] if address.port == PORTS["ws"] else address.port)
    return address


KINDS: dict[str, Any] = {
    "client_id": str,
    "user_name": str | None,
    "tls": ssl.SSLContext | bool | None,
    "proxy": str | None,
    "will": Will | None,
    "reconnect": Reconnect | None,
    "offline": Offline,
    "store": ClientStore,
    "properties": Properties,
}
