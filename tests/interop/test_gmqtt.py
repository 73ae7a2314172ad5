"""gmqtt, on the same event loop as our broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest

from linnet.wire import Publish
from tests.interop.tools import PATIENCE, library
from tests.peer import Peer

pytestmark = pytest.mark.interop
V311, V5 = 4, 5  # as gmqtt counts them
VERSIONS = pytest.mark.parametrize("version", [V311, V5], ids=["MQTT 3.1.1", "MQTT 5.0"])


class Got(NamedTuple):
    """A message, as gmqtt hands it over."""

    topic: str
    payload: bytes
    qos: int
    properties: dict[str, Any]

    @property
    def is_retained(self) -> bool:
        return bool(self.properties["retain"])


class Gmqtt:
    """A gmqtt client whose callbacks have become things to await."""

    def __init__(self, name: str, clean: bool = True, will: Any = None, **properties: Any) -> None:
        self.storage = library("gmqtt.storage", "gmqtt").PersistentStorage()
        self.client = library("gmqtt", "gmqtt").Client(
            name, clean_session=clean, will_message=will, persistent_storage=self.storage, **properties
        )
        self.messages: asyncio.Queue[Got] = asyncio.Queue()
        self.answers: asyncio.Queue[tuple[str, tuple[Any, ...]]] = asyncio.Queue()
        self.client.on_message = self.on_message
        for event in ("connect", "subscribe", "unsubscribe"):
            setattr(self.client, f"on_{event}", self.reporter(event))

    def on_message(self, _: object, topic: str, payload: bytes, qos: int, properties: dict[str, Any]) -> int:
        self.messages.put_nowait(Got(topic, payload, qos, properties))
        return 0

    def reporter(self, event: str) -> Any:
        return lambda _, *facts: self.answers.put_nowait((event, facts))

    async def answer(self, event: str) -> tuple[Any, ...]:
        """What the next callback of this name was told."""
        async with asyncio.timeout(PATIENCE):
            while (answer := await self.answers.get())[0] != event:
                pass
        return answer[1]

    async def subscribe(self, *arguments: Any, **options: Any) -> tuple[int, ...]:
        """Subscribes; the reason codes of the SUBACK."""
        self.client.subscribe(*arguments, **options)
        codes: tuple[int, ...] = (await self.answer("subscribe"))[1]
        return codes

    async def unsubscribe(self, topic: str) -> None:
        self.client.unsubscribe(topic)
        await self.answer("unsubscribe")

    async def publish(self, topic: str, payload: Any, qos: int = 1, **options: Any) -> None:
        """Publishes, and waits for the end of the handshakes of everything that is in flight."""
        self.client.publish(topic, payload, qos=qos, **options)
        async with asyncio.timeout(PATIENCE):
            await self.storage.wait_empty()

    async def take(self, count: int) -> list[Got]:
        """The next messages."""
        async with asyncio.timeout(PATIENCE):
            return [await self.messages.get() for _ in range(count)]

    async def message(self) -> Got:
        return (await self.take(1))[0]


@asynccontextmanager
async def connected(port: int, name: str, version: int = V5, **options: Any) -> AsyncIterator[Gmqtt]:
    """A Gmqtt that is connected."""
    peer = Gmqtt(name, **options)
    async with asyncio.timeout(PATIENCE):
        await peer.client.connect("127.0.0.1", port, version=version)
    try:
        yield peer
    finally:
        await peer.client.disconnect()


@VERSIONS
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_messages_go_to_and_fro(port: int, version: int, qos: int) -> None:
    async with connected(port, "alice", version) as alice, connected(port, "bob", version) as bob:
        assert await bob.subscribe("questions/#", qos) == (qos,)
        assert await alice.subscribe("answers/+", qos) == (qos,)
        for number in range(20):
            alice.client.publish(f"questions/{number}", str(number), qos=qos)
        for question in await bob.take(20):
            topic = question.topic.replace("questions", "answers")
            bob.client.publish(topic, question.payload * 2, qos=qos)
        answers = [(answer.topic, answer.payload, answer.qos) for answer in await alice.take(20)]
        assert answers == [(f"answers/{number}", str(number).encode() * 2, qos) for number in range(20)]
        await alice.publish("end", "of all handshakes", qos=1)
        assert alice.storage.is_empty


@VERSIONS
async def test_a_subscription_ends(port: int, version: int) -> None:
    async with connected(port, "bob", version) as bob:
        await bob.subscribe("a", 1)
        await bob.subscribe("b", 1)
        await bob.unsubscribe("a")
        await bob.publish("a", "no more")
        await bob.publish("b", "still")
        assert (await bob.message()).payload == b"still"


@VERSIONS
async def test_a_retained_message_is_kept_and_cleared(port: int, version: int) -> None:
    async with connected(port, "alice", version) as alice, connected(port, "bob", version) as bob:
        await bob.subscribe("kept", 1)
        await alice.publish("kept", "old", retain=True)
        assert not (await bob.message()).is_retained
        await alice.subscribe("kept", 1)
        kept = await alice.message()
        assert (kept.payload, kept.is_retained) == (b"old", True)
        await alice.publish("kept", "", retain=True)
        await alice.message()
        await alice.unsubscribe("kept")
        await alice.subscribe([library("gmqtt", "gmqtt").Subscription(name, 1) for name in ("kept", "now")])
        await alice.publish("now", "nothing was kept")
        assert (await alice.message()).topic == "now"


@VERSIONS
async def test_its_will_is_published_when_it_is_cut_off_and_not_when_it_takes_leave(port: int, version: int) -> None:
    will = library("gmqtt", "gmqtt").Message("wills/alice", "gone", qos=1)
    async with Peer(port, "witness") as witness:
        await witness.subscribe("#", qos=1)
        async with connected(port, "alice", version, will=will) as alice:
            await alice.publish("a", "still here")
        assert (await witness.expect(Publish)).payload == b"still here"
        await witness.nothing()
        async with connected(port, "alice", version, will=will), Peer(port, "alice"):  # the second takes the first over
            assert (await witness.expect(Publish)).payload == b"gone"


@VERSIONS
@pytest.mark.parametrize("qos", [1, 2])
async def test_a_session_goes_on(port: int, version: int, qos: int) -> None:
    lasting = {"session_expiry_interval": 60} if version == V5 else {}
    async with connected(port, "alice", version) as alice:
        async with connected(port, "bob", version, clean=False, **lasting) as bob:
            assert (await bob.answer("connect"))[0] == 0
            await bob.subscribe("a", qos)
        for number in range(10):
            await alice.publish("a", str(number), qos=qos)
        async with connected(port, "bob", version, clean=False, **lasting) as bob:
            assert (await bob.answer("connect"))[0] == 1, "the session is not present"
            assert [int(got.payload) for got in await bob.take(10)] == list(range(10))


async def test_every_property_of_a_message_comes_through(port: int) -> None:
    given: dict[str, Any] = {
        "payload_format_id": 1,
        "message_expiry_interval": 1000,
        "content_type": "text/plain",
        "response_topic": "answers",
        "correlation_data": b"\x00\xff",
        "user_property": [("colour", "blue"), ("colour", "green")],
    }
    async with connected(port, "alice") as alice, connected(port, "bob") as bob:
        await bob.subscribe("a", 1, subscription_identifier=42)
        await alice.publish("a", "grün", **given)
        got = (await bob.message()).properties
        assert got["subscription_identifier"] == [42]
        assert 990 <= got["message_expiry_interval"][0] <= 1000
        assert got["user_property"] == given["user_property"]
        for name in ("payload_format_id", "content_type", "response_topic", "correlation_data"):
            assert got[name] == [given[name]], name


async def test_the_broker_tells_its_properties(port: int) -> None:
    async with connected(port, "") as nameless:
        _, reason, properties = await nameless.answer("connect")
        assert reason == 0
        assert properties["receive_maximum"] == [100]
        assert properties["topic_alias_maximum"] == [16]


async def test_topic_aliases_of_both_sides(port: int) -> None:
    async with connected(port, "alice") as alice, connected(port, "bob", topic_alias_maximum=5) as bob:
        await bob.subscribe("a/long/topic", 1)
        await alice.publish("a/long/topic", "1", topic_alias=1)
        for number in ("2", "3"):
            await alice.publish("", number, topic_alias=1)
        got = await bob.take(3)
        assert [(one.topic, one.payload) for one in got] == [("a/long/topic", number) for number in (b"1", b"2", b"3")]
        assert "topic_alias" in got[-1].properties


async def test_the_options_of_a_subscription_hold(port: int) -> None:
    async with connected(port, "alice") as alice, connected(port, "bob") as bob:
        await alice.publish("a", "before", retain=True)
        await bob.subscribe("a", 1, no_local=True, retain_as_published=True, retain_handling_options=2)
        await bob.publish("a", "own")
        await alice.publish("a", "after", retain=True)
        message = await bob.message()
        assert (message.payload, message.is_retained) == (b"after", True)


async def test_the_program_says_when_a_message_is_acknowledged(port: int) -> None:
    async with connected(port, "bob", optimistic_acknowledgement=False, receive_maximum=5) as bob, Peer(port) as alice:
        allowed = asyncio.Event()

        async def on_message(_: object, topic: str, payload: bytes, qos: int, properties: dict[str, Any]) -> int:
            bob.messages.put_nowait(Got(topic, payload, qos, properties))
            await allowed.wait()
            return 0

        bob.client.on_message = on_message
        await bob.subscribe("a", 1)
        for number in range(20):
            await alice.publish("a", str(number).encode(), qos=1)
        await bob.take(5)
        await bob.publish("b", "an answer that comes after whatever was to be sent before")
        assert bob.messages.empty(), "more than the Receive Maximum came unacknowledged"
        allowed.set()
        assert [int(got.payload) for got in await bob.take(15)] == list(range(5, 20))


async def test_a_refused_client_is_told_why(make_broker: Any) -> None:
    broker = await make_broker(max_client_id_bytes=5)
    refused = library("gmqtt", "gmqtt").MQTTConnectError
    with pytest.raises(refused, match="Client Identifier not valid"):
        async with connected(broker.port, "a name that is too long"):
            pass
