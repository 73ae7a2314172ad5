"""aiomqtt, on the same event loop as our broker."""

import asyncio
from typing import Any

import pytest

from linnet.wire import Publish
from tests.interop.tools import PATIENCE, library
from tests.peer import Peer

pytestmark = pytest.mark.interop
VERSIONS = pytest.mark.parametrize("version", ["V31", "V311", "V5"])


def client(port: int, name: str, version: str, **more: Any) -> Any:
    aiomqtt = library("aiomqtt", "aiomqtt")
    return aiomqtt.Client(
        "127.0.0.1",
        port,
        identifier=name,
        protocol=aiomqtt.ProtocolVersion[version],
        timeout=PATIENCE,
        **more,
    )


async def take(peer: Any, count: int) -> list[Any]:
    """The next messages of a client."""
    async with asyncio.timeout(PATIENCE):
        return [await anext(peer.messages) for _ in range(count)]


@VERSIONS
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_messages_go_to_and_fro(port: int, version: str, qos: int) -> None:
    async with client(port, "alice", version) as alice, client(port, "bob", version) as bob:
        await bob.subscribe("questions/#", qos=qos)
        await alice.subscribe("answers/#", qos=qos)
        for number in range(20):
            await alice.publish(f"questions/{number}", str(number), qos=qos)
        for question in await take(bob, 20):
            topic = str(question.topic).replace("questions", "answers")
            await bob.publish(topic, question.payload * 2, qos=qos)
        answers = [(str(answer.topic), answer.payload, answer.qos) for answer in await take(alice, 20)]
        assert answers == [(f"answers/{number}", str(number).encode() * 2, qos) for number in range(20)]


@VERSIONS
async def test_many_handshakes_at_once(port: int, version: str) -> None:
    async with client(port, "alice", version) as alice, client(port, "bob", version) as bob:
        await bob.subscribe("a", qos=2)
        async with asyncio.TaskGroup() as together:
            for number in range(200):
                together.create_task(alice.publish("a", number, qos=2))
        got = [int(message.payload) for message in await take(bob, 200)]
        assert sorted(got) == list(range(200))


@VERSIONS
async def test_it_takes_leave_without_its_will(port: int, version: str) -> None:
    will = library("aiomqtt", "aiomqtt").Will("wills/alice", "gone", qos=1)
    async with Peer(port, "witness") as witness:
        await witness.subscribe("#", qos=1)
        async with client(port, "alice", version, will=will) as alice:
            await alice.publish("a", "still here", qos=1)
        assert (await witness.expect(Publish)).payload == b"still here"
        async with Peer(port, "alice"):  # whatever is left of the first alice is gone now
            await witness.nothing()
