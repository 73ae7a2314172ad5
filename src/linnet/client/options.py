"""What a client is told: whom to connect to and as whom, and what to do when things go wrong."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import random
from typing import Any, Literal

from linnet.client.address import Address
from linnet.client.store import ClientStore
from linnet.wire.connect import Will
from linnet.wire.properties import Properties
from linnet.wire.version import Version

FOR_EVER = 0xFFFFFFFF  # seconds, as a session expiry interval
RESUMING = 300  # seconds that the server keeps the session of a client that lost its connection

Secret = str | bytes | None
Password = Secret | Callable[[], Secret | Awaitable[Secret]]
WhenFull = Literal["wait", "raise", "drop_oldest"]
QoS0 = Literal["keep", "drop", "raise"]


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

    def pause(self, attempt: int) -> float:
        """Seconds before the attempt with this number, counted from 1."""
        pause = min(self.first * self.factor ** min(attempt - 1, 64), self.ceiling)
        return pause * (1 - self.jitter * random())


@dataclass(frozen=True, slots=True)
class Offline:
    """What becomes of messages while there is no connection, or while the server takes no more for now."""

    max_messages: int = 10_000  # that wait
    max_bytes: int = 64 * 1024 * 1024  # of their topics, properties and payloads
    when_full: WhenFull = "wait"  # what `publish` does; `send`, which cannot wait, raises then
    qos0: QoS0 = "keep"  # what becomes of messages of QoS 0 while there is no connection
    resend_qos2: bool = False  # send a message of QoS 2 again whose fate is unknown since the session was lost


@dataclass(slots=True)
class Options:
    """All that one client was told."""

    addresses: list[Address] = field(default_factory=list)
    client_id: str = ""
    user_name: str | None = None
    password: Password = None
    tls: ssl.SSLContext | bool | None = None
    proxy: str | None = None
    dial: Callable[[Callable[[], Any]], Awaitable[Any]] | None = None
    will: Will | None = None
    keep_alive: int = 60  # seconds, 0 = none
    session_expiry: int | None = None  # seconds; None: the session outlives a lost connection, not the client
    clean_start: bool = True
    version: Version | None = None  # None: 5.0, and 3.1.1 where the server knows no other
    receive_maximum: int = 1000  # messages of QoS 1 and 2 that wait to be processed
    maximum_packet_size: int = 64 * 1024 * 1024  # bytes
    topic_alias_maximum: int = 10  # topics that the server may abbreviate
    max_inflight: int = 1000  # messages of QoS 1 and 2 on their way, at most
    connect_timeout: float = 10.0  # seconds
    ping_timeout: float = 10.0  # seconds that the server has to answer
    close_timeout: float = 5.0  # seconds that what was handed over has to be acknowledged when the client is closed
    reconnect: Reconnect | None = Reconnect()
    offline: Offline = Offline()
    store: ClientStore = field(default_factory=ClientStore)
    authenticator: Any = None
    properties: Properties = field(default_factory=Properties)  # more that CONNECT shall say

    def expiry(self) -> int:
        """The Session Expiry Interval that the server is asked for, in seconds."""
        return RESUMING if self.session_expiry is None else self.session_expiry
