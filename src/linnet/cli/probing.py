"""Trying what a broker can do: each thing once, for real, with messages to ourselves on a topic made by chance."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

from linnet.errors import LinnetError
from linnet.wire.properties import Properties

if TYPE_CHECKING:
    from linnet.client.client import Client
    from linnet.client.message import Message

OK, NO, FAILED = "ok", "no", "failed"
ROUNDS = 5  # of what is timed; the median counts
PATIENCE = 5.0  # seconds for each step
PAUSE = 0.001  # seconds between two looks for the answer to a ping
PINGREQ = b"\xc0\x00"
SOFTWARE = "$SYS/broker/version"
ASIDE = 0.5  # seconds to wait for what need not come


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one step: how it ended, how long it took, and what there is to say."""

    name: str
    outcome: str
    milliseconds: float | None = None
    detail: str = ""


class NotOffered(LinnetError):
    """The broker has said that it does not have this."""


class Prober:
    """Tries one thing after the other on a connected client, and keeps what it finds."""

    __slots__ = ("base", "client", "findings")

    def __init__(self, client: Client) -> None:
        self.client = client
        self.base = f"linnet/probe/{secrets.token_hex(8)}"
        self.findings: list[Finding] = []

    def __repr__(self) -> str:
        return f"<Prober of {self.client!r}, {len(self.findings)} findings>"

    async def all(self) -> None:
        """Every step."""
        steps: list[tuple[str, Callable[[], Awaitable[Any]], bool]] = [
            ("ping", self.ping, True),
            ("publish and receive, QoS 0", lambda: self.echo(0), True),
            ("publish and receive, QoS 1", lambda: self.echo(1), True),
            ("publish and receive, QoS 2", lambda: self.echo(2), True),
            ("acknowledge, QoS 1", lambda: self.acknowledge(1), True),
            ("acknowledge, QoS 2", lambda: self.acknowledge(2), True),
            ("retained messages", self.retain, False),
            ("wildcard subscriptions", self.wildcards, False),
            ("shared subscriptions", self.shared, False),
            ("subscription identifiers", self.identifiers, False),
            ("properties of messages", self.properties, False),
        ]
        for name, step, is_timed in steps:
            if not self.client.is_connected:
                self.findings.append(Finding(name, FAILED, None, "not tried, for the connection is lost"))
                continue
            self.findings.append(await tried(name, step, ROUNDS if is_timed else 1))

    async def ping(self) -> float:
        """PINGREQ and PINGRESP, in milliseconds."""
        line = self.client.publisher.line
        if line is None:
            raise LinnetError("the connection is lost")
        connection = line.connection
        connection.pinged_at = line.begin()
        connection.outbox.put(PINGREQ)
        while connection.pinged_at:  # noqa: ASYNC110 - nobody tells when the answer comes
            await asyncio.sleep(PAUSE)
        return connection.round_trip * 1000

    async def echo(self, qos: int) -> float:
        """A message to ourselves, in milliseconds."""
        if qos > self.client.limits.maximum_qos:
            raise NotOffered(f"QoS {self.client.limits.maximum_qos} is the highest")
        message, took = await self.received(f"{self.base}/qos{qos}", f"{self.base}/qos{qos}", qos)
        if message.qos != qos:
            raise LinnetError(f"it came back with QoS {message.qos}")
        return took

    async def acknowledge(self, qos: int) -> None:
        """A message that nobody gets, until it is acknowledged."""
        if qos > self.client.limits.maximum_qos:
            raise NotOffered(f"QoS {self.client.limits.maximum_qos} is the highest")
        await self.client.publish(f"{self.base}/nobody", b"probe", qos=qos)

    async def retain(self) -> None:
        """A message that is there for those who come later, until it is cleared."""
        if not self.client.limits.retain:
            raise NotOffered("the broker keeps none")
        topic = f"{self.base}/retain"
        await self.client.publish(topic, b"probe", qos=min(1, self.client.limits.maximum_qos), retain=True)
        try:
            async with self.client.subscribe(topic) as subscription:
                message = await subscription.get()
        finally:
            await self.client.publish(topic, b"", qos=min(1, self.client.limits.maximum_qos), retain=True)
        if not message.retain:
            raise LinnetError("it came without the retain flag")

    async def wildcards(self) -> None:
        """A subscription with `+` and `#`."""
        if not self.client.limits.wildcard_subscriptions:
            raise NotOffered("the broker takes none")
        await self.received(f"{self.base}/+/deep/#", f"{self.base}/wild/deep/er")

    async def shared(self) -> None:
        """A subscription that several clients could share."""
        if not self.client.limits.version.has_properties:
            raise NotOffered("MQTT has them since 5.0")
        if not self.client.limits.shared_subscriptions:
            raise NotOffered("the broker takes none")
        await self.received(f"$share/linnet-probe/{self.base}/shared", f"{self.base}/shared")

    async def identifiers(self) -> None:
        """A message that tells which subscription it came for."""
        if not self.client.limits.subscription_identifiers:
            raise NotOffered("the broker takes none")
        message, _ = await self.received(f"{self.base}/numbered", f"{self.base}/numbered")
        if not message.identifiers:
            raise LinnetError("the message came without its identifier")

    async def properties(self) -> None:
        """What a publisher says about a message arrives unaltered."""
        if not self.client.limits.version.has_properties:
            raise NotOffered("MQTT has them since 5.0")
        sent = Properties(
            content_type="text/plain",
            response_topic=f"{self.base}/answer",
            correlation_data=b"\x00\xff",
            user_properties=[("a", "1"), ("a", "2")],
        )
        message, _ = await self.received(f"{self.base}/told", f"{self.base}/told", 0, sent)
        got = message.properties
        for name in ("content_type", "response_topic", "correlation_data", "user_properties"):
            if getattr(got, name) != getattr(sent, name):
                raise LinnetError(f"{name} came back as {getattr(got, name)!r}")

    async def received(
        self, topic_filter: str, topic: str, qos: int = 0, properties: Properties | None = None
    ) -> tuple[Message[bytes], float]:
        """Publish a message, and wait until it comes back: the message, and how many milliseconds that took."""
        mark = secrets.token_bytes(8)
        async with self.client.subscribe(topic_filter, qos=qos) as subscription:
            began = perf_counter()
            await self.client.publish(topic, mark, qos=qos, properties=properties)
            message = await subscription.get()
            took = (perf_counter() - began) * 1000
        if message.payload != mark:
            raise LinnetError("another message came back")
        return message, took


async def tried(name: str, step: Callable[[], Awaitable[Any]], rounds: int = 1) -> Finding:
    """Run a step so many times, each bounded; what went wrong becomes the finding.

    A step that gives back a number has looked at the clock itself: these are milliseconds.
    """
    took = []
    try:
        for _ in range(rounds):
            began = perf_counter()
            async with asyncio.timeout(PATIENCE):
                own = await step()
            took.append(own if isinstance(own, float) else (perf_counter() - began) * 1000)
    except NotOffered as reason:
        return Finding(name, NO, None, str(reason))
    except TimeoutError:
        return Finding(name, FAILED, None, f"no answer within {PATIENCE:g} s")
    except LinnetError as error:
        return Finding(name, FAILED, None, str(error))
    return Finding(name, OK, sorted(took)[len(took) // 2])


async def software(client: Client) -> str:
    """What the broker calls itself, if it tells."""
    try:
        async with asyncio.timeout(ASIDE), client.subscribe(SOFTWARE) as subscription:
            message = await subscription.get()
            return message.payload.decode(errors="replace")
    except (TimeoutError, LinnetError):
        return ""


def announced(client: Client) -> dict[str, object]:
    """What CONNACK has said, and what it left to be assumed."""
    limits = client.limits
    if not limits.version.has_properties:
        return {}
    connack = client.keeper.connack
    said = connack.properties if connack is not None else Properties()
    return {
        "receive maximum": limits.receive_maximum,
        "maximum QoS": limits.maximum_qos,
        "maximum packet size": said.maximum_packet_size or "not limited",
        "topic alias maximum": limits.topic_alias_maximum,
        "retained messages": _yes(limits.retain),
        "wildcard subscriptions": _yes(limits.wildcard_subscriptions),
        "subscription identifiers": _yes(limits.subscription_identifiers),
        "shared subscriptions": _yes(limits.shared_subscriptions),
        "keep alive": f"{limits.keep_alive} s",
        "client identifier": client.client_id,
        **{
            name.replace("_", " "): value
            for name in ("response_information", "server_reference", "reason_string")
            if (value := getattr(said, name))
        },
        **{f"user property {name}": value for name, value in said.user_properties},
    }


def _yes(value: bool) -> str:
    return "yes" if value else "no"
