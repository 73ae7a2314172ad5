"""paho-mqtt, in threads of its own, against our broker."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from linnet.errors import ReasonCode
from linnet.wire import Publish
from tests.interop.tools import PATIENCE, library
from tests.peer import Peer

pytestmark = pytest.mark.interop
V3, V4, V5 = 3, 4, 5  # as paho counts them
VERSIONS = pytest.mark.parametrize("version", [V3, V4, V5], ids=["MQTT 3.1", "MQTT 3.1.1", "MQTT 5.0"])


class Paho:
    """A paho client whose callbacks have become things to await."""

    def __init__(self, client_id: str, version: int = V5, clean: bool = True) -> None:
        self.paho = library("paho.mqtt.client", "paho-mqtt")
        self.loop = asyncio.get_running_loop()
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        self.happened: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
        self.options = {} if version == V5 else {"clean_session": clean}
        self.client = self.paho.Client(
            self.paho.CallbackAPIVersion.VERSION2, client_id, protocol=version, **self.options
        )
        self.client.on_message = lambda _, __, message: self.tell(self.messages, message)
        for event in ("connect", "disconnect", "subscribe", "unsubscribe"):
            setattr(self.client, f"on_{event}", self.reporter(event))

    def tell(self, queue: "asyncio.Queue[Any]", what: Any) -> None:
        self.loop.call_soon_threadsafe(queue.put_nowait, what)

    def reporter(self, event: str) -> Any:
        return lambda _, __, *facts: self.tell(self.happened, (event, *facts))

    async def event(self, name: str) -> tuple[Any, ...]:
        """The next callback of this name; its arguments."""
        async with asyncio.timeout(PATIENCE):
            while (happened := await self.happened.get())[0] != name:
                pass
        return happened[1:]

    async def message(self) -> Any:
        async with asyncio.timeout(PATIENCE):
            return await self.messages.get()

    async def subscribe(self, *arguments: Any, **options: Any) -> list[Any]:
        self.client.subscribe(*arguments, **options)
        _, codes, _ = await self.event("subscribe")
        return [code.value for code in codes]

    async def publish(self, topic: str, payload: bytes, **options: Any) -> None:
        """Publishes, and waits for the end of the handshake."""
        info = self.client.publish(topic, payload, **options)
        await asyncio.to_thread(info.wait_for_publish, PATIENCE)

    def properties(self, packet: str, **values: Any) -> Any:
        made = self.paho.Properties(getattr(library("paho.mqtt.packettypes", "paho-mqtt").PacketTypes, packet))
        for name, value in values.items():
            setattr(made, name, value)
        return made

    def shut(self) -> None:
        """Breaks the connection without a word."""
        self.client.socket().shutdown(socket.SHUT_RDWR)


@asynccontextmanager
async def connected(port: int, client_id: str, version: int = V5, **options: Any) -> AsyncIterator[Paho]:
    """A Paho that is connected; `expiry` makes its session stay, `will` is its last message."""
    expiry, will = options.pop("expiry", 0), options.pop("will", None)
    peer = Paho(client_id, version, clean=not expiry)
    if will is not None:
        peer.client.will_set(*will)
    if version == V5:
        options["properties"] = peer.properties("CONNECT", SessionExpiryInterval=expiry)
        options["clean_start"] = not expiry
    await asyncio.to_thread(peer.client.connect, "127.0.0.1", port, **options)
    peer.client.loop_start()
    try:
        _, reason, _ = await peer.event("connect")
        assert reason.value == 0
        yield peer
    finally:
        peer.client.disconnect()
        await asyncio.to_thread(peer.client.loop_stop)


@VERSIONS
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_messages_go_from_paho_to_paho(port: int, version: int, qos: int) -> None:
    async with connected(port, "alice", version) as alice, connected(port, "bob", version) as bob:
        assert await bob.subscribe("a/#", qos) == [qos]
        payloads = [f"message {number}".encode() for number in range(100)]
        for payload in payloads:
            alice.client.publish("a/b", payload, qos)
        got = [await bob.message() for _ in payloads]
        assert [(message.topic, message.payload, message.qos) for message in got] == [
            ("a/b", payload, qos) for payload in payloads
        ]


@VERSIONS
async def test_exactly_once_and_in_order_though_the_line_breaks(port: int, version: int) -> None:
    payloads = [f"message {number}".encode() for number in range(300)]
    async with (
        connected(port, "alice", version, expiry=60) as alice,
        connected(port, "bob", version, expiry=60) as bob,
    ):
        assert await bob.subscribe("a", 2) == [2]
        for payload in payloads:
            alice.client.publish("a", payload, 2)
        got = [(await bob.message()).payload for _ in range(50)]
        bob.shut()
        await bob.event("connect")
        alice.shut()
        await alice.event("connect")
        got += [(await bob.message()).payload for _ in range(len(payloads) - len(got))]
        await alice.publish("a", b"the end", qos=2)
        got.append((await bob.message()).payload)
        assert got == [*payloads, b"the end"]


@VERSIONS
async def test_retained_messages_and_wills(port: int, version: int) -> None:
    async with Peer(port, "witness") as witness:
        await witness.subscribe("wills/#", qos=1)
        async with connected(port, "alice", version, will=("wills/alice", b"gone", 1, True)) as alice:
            await alice.publish("kept", b"old", qos=1, retain=True)
            await alice.subscribe("kept", 1)
            message = await alice.message()
            assert (message.payload, message.retain) == (b"old", True)
            await asyncio.to_thread(alice.client.loop_stop)
            alice.shut()
            assert (await witness.expect(Publish)).payload == b"gone"
        async with connected(port, "bob", version) as bob:
            await bob.subscribe("wills/+", 1)
            assert (await bob.message()).retain


async def test_every_property_of_a_message_comes_through(port: int) -> None:
    async with connected(port, "alice") as alice, connected(port, "bob") as bob:
        identified = bob.properties("SUBSCRIBE", SubscriptionIdentifier=42)
        await bob.subscribe("a", properties=identified)
        given = {
            "PayloadFormatIndicator": 1,
            "MessageExpiryInterval": 1000,
            "ContentType": "text/plain",
            "ResponseTopic": "answers",
            "CorrelationData": b"\x00\xff",
            "UserProperty": [("colour", "blue"), ("colour", "green")],
        }
        await alice.publish("a", "grün".encode(), properties=alice.properties("PUBLISH", **given))
        got = vars((await bob.message()).properties)
        assert got["SubscriptionIdentifier"] == [42]
        assert {name: got[name] for name in given if name != "MessageExpiryInterval"} == {
            name: value for name, value in given.items() if name != "MessageExpiryInterval"
        }
        assert 990 <= got["MessageExpiryInterval"] <= 1000


async def test_a_topic_alias_spares_the_topic(port: int) -> None:
    async with connected(port, "alice") as alice, connected(port, "bob") as bob:
        await bob.subscribe("a/long/topic", 1)
        alias = alice.properties("PUBLISH", TopicAlias=1)
        await alice.publish("a/long/topic", b"1", qos=1, properties=alias)
        await alice.publish("", b"2", qos=1, properties=alias)
        got = [await bob.message(), await bob.message()]
        assert [(message.topic, message.payload) for message in got] == [
            ("a/long/topic", b"1"),
            ("a/long/topic", b"2"),
        ]


async def test_the_options_of_a_subscription_hold(port: int) -> None:
    async with connected(port, "alice") as alice, connected(port, "bob") as bob:
        options = library("paho.mqtt.subscribeoptions", "paho-mqtt").SubscribeOptions
        await alice.publish("a", b"before", qos=1, retain=True)
        await bob.subscribe("a", options=options(qos=1, noLocal=True, retainAsPublished=True, retainHandling=2))
        await bob.publish("a", b"own", qos=1)
        await alice.publish("a", b"after", qos=1, retain=True)
        message = await bob.message()
        assert (message.payload, message.retain) == (b"after", True)


async def test_shared_subscriptions_share(port: int) -> None:
    async with (
        connected(port, "alice") as alice,
        connected(port, "first") as first,
        connected(port, "second") as second,
    ):
        for worker in (first, second):
            await worker.subscribe([("$share/workers/jobs/+", 1), ("closing", 1)])
        jobs = [f"job {number}".encode() for number in range(40)]
        for number, job in enumerate(jobs):
            await alice.publish(f"jobs/{number}", job, qos=1)
        await alice.publish("closing", b"time", qos=1)
        done: list[list[bytes]] = [[], []]
        for worker, share in zip((first, second), done, strict=True):
            while (message := await worker.message()).topic != "closing":
                share.append(message.payload)
        assert sorted(done[0] + done[1]) == sorted(jobs)
        assert all(done), "one of the two got nothing to do"


async def test_the_broker_says_why(port: int) -> None:
    async with connected(port, "bob") as first, connected(port, "bob"):
        _, reason, _ = await first.event("disconnect")
        assert reason.value == ReasonCode.SESSION_TAKEN_OVER
        first.client.disconnect()
