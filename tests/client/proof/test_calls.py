"""Handlers by the pattern of a topic, questions and answers: over a real connection, on both servers."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any
from uuid import UUID, uuid4

import pytest

from linnet import (
    JSON,
    TEXT,
    V3_1_1,
    V5,
    Connected,
    DecodeError,
    LinnetError,
    Message,
    NotSupported,
    PublishRejected,
    RequestTimeout,
    SubscribeRejected,
)
from linnet import Version as MqttVersion
from linnet.wire import Publish, Subscribe
from tests.client.proof.scripted import Scripted
from tests.client.proof.servers import Server
from tests.client.proof.watching import Told, client_of, until, within
from tests.peer import Peer

VERSIONS = pytest.mark.parametrize("version", [V5, V3_1_1], ids=["5.0", "3.1.1"])


@dataclasses.dataclass
class Reading:
    """What a sensor says."""

    celsius: float
    unit: str = "C"


# -- routes


@VERSIONS
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_routes_get_the_parts_of_a_topic_and_the_value_as_they_are_annotated(
    server: Server, qos: int, version: MqttVersion
) -> None:
    calls: list[tuple[Any, ...]] = []
    client = client_of(server, version=version)

    @client.route("home/{room}/{sensor:int}/temp", qos=qos)
    async def temperature(room: str, sensor: int, value: Reading, message: Message[Reading]) -> None:
        calls.append(("temperature", room, sensor, value, message.qos, message.captures))

    @client.route("device/{device}/{rest...}", qos=qos)
    def device(device: UUID, rest: str, value: bytes) -> None:
        calls.append(("device", device, rest, value))

    @client.route("said/+", codec=TEXT, qos=qos)
    async def said(value: str, **captures: str) -> None:
        calls.append(("said", value, captures))

    name = uuid4()
    async with client:
        await client.publish("home/kitchen/7/temp", Reading(21.5), codec=Reading, qos=qos)
        await until(lambda: len(calls) == 1)
        await client.publish("home/kitchen/seven/temp", Reading(1), codec=Reading, qos=qos)
        await client.publish(f"device/{name}/a/b", b"\0", qos=qos)
        await until(lambda: len(calls) == 2)
        await client.publish("device/nameless/a", qos=qos)
        await client.publish("said/x", "äöü", codec=TEXT, qos=qos)
        await until(lambda: len(calls) == 3)
        await until(lambda: client.workers[0].unmatched == client.workers[1].unmatched == 1)
    captured = {"room": "kitchen", "sensor": "7"}
    assert calls[0] == ("temperature", "kitchen", 7, Reading(21.5), qos, captured)
    assert calls[1] == ("device", name, "a/b", b"\0")
    assert calls[2] == ("said", "äöü", {})
    assert [worker.handled for worker in client.workers] == [1, 1, 1]


async def test_a_shared_route_is_one_of_several_workers(server: Server) -> None:
    got: list[str] = []
    one, two = client_of(server), client_of(server)
    for client in (one, two):

        @client.route("$share/workers/jobs/{name}", qos=1)
        async def work(name: str) -> None:
            got.append(name)

    async with one, two, Peer(server.port) as peer:
        for number in range(20):
            await peer.publish(f"jobs/{number}", qos=1)
        await until(lambda: len(got) == 20)
    assert sorted(map(int, got)) == list(range(20))


async def test_a_route_that_is_refused_is_an_error_of_connecting(server: Server) -> None:
    client = client_of(server)

    @client.route("denied/{name}")
    async def never(name: str) -> None:
        raise AssertionError

    with pytest.raises(SubscribeRejected):
        await within(client.connect())
    assert client.state == "closed"


async def test_routes_go_on_after_a_reconnect_with_the_session_lost() -> None:
    got: list[bytes] = []
    async with Scripted() as server:
        client = client_of(server)
        told = Told(client)

        @client.route("a/+", qos=1)
        async def handle(message: Message[bytes]) -> None:
            got.append(message.payload)

        async with client:
            with pytest.raises(LinnetError):
                client.route("too/late")
            server.visit.cut()
            await told.until(Connected, 2)
            await until(lambda: bool(server.visit.got(Subscribe)))
            server.visit.publish("a/b", b"1", qos=1)
            await until(lambda: got == [b"1"])


async def test_values_are_what_the_codec_makes_of_the_payload(server: Server) -> None:
    async with client_of(server) as client, client.subscribe("a", qos=1, codec=Reading) as readings:
        await client.publish("a", Reading(3.5), codec=Reading, qos=1)
        message = await within(readings.get())
        assert message.value == Reading(3.5)
        assert message.content_type == "application/json"
        assert message.properties.payload_format_indicator == 1
        await client.publish("a", b"{", qos=1)
        broken = await within(readings.get())
        for _ in range(2):
            with pytest.raises(DecodeError):
                _ = broken.value
        assert broken.payload == b"{"


# -- questions


async def test_a_question_gets_its_own_answer(server: Server) -> None:
    """Many at once, answered in another order than asked."""
    answerer, asker = client_of(server), client_of(server)
    questions: list[Message[bytes]] = []

    @answerer.route("ask/{what}", qos=1, concurrency=20)
    async def hear(what: str, message: Message[bytes]) -> None:
        questions.append(message)
        if len(questions) == 20:
            for question in reversed(questions):
                await answerer.reply(question, question.payload + b"!")

    async with answerer, asker:
        asked = [asyncio.create_task(asker.request("ask/it", b"%d" % number)) for number in range(20)]
        answers = await within(asyncio.gather(*asked))
        assert [answer.payload for answer in answers] == [b"%d!" % number for number in range(20)]
        assert not asker.requests_open.waiting
    assert len({question.response_topic for question in questions}) == 1
    assert len({question.correlation_data for question in questions}) == 20


async def test_a_question_that_nobody_answers_ends_in_time_and_its_late_answer_is_for_nobody(server: Server) -> None:
    async with client_of(server) as asker, Peer(server.port) as peer:
        await peer.subscribe("ask")
        with pytest.raises(RequestTimeout):
            await asker.request("ask", b"1", timeout=0.05)
        assert isinstance(RequestTimeout(""), TimeoutError)
        first = await peer.expect(Publish)
        asking = asyncio.create_task(asker.request("ask", b"2"))
        second = await peer.expect(Publish)
        for question in (first, second):
            said = question.properties
            await peer.publish(str(said.response_topic), question.payload, 1, properties=correlated(question))
        assert (await within(asking)).payload == b"2"
        asking = asyncio.create_task(asker.request("ask", timeout=None))
        await peer.expect(Publish)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert not asker.requests_open.waiting


def correlated(question: Publish) -> Any:
    """The properties of an answer."""
    said = dataclasses.replace(question.properties, response_topic=None, subscription_identifiers=[])
    return dataclasses.replace(said, topic_alias=None)


async def test_one_question_may_have_many_answers(server: Server) -> None:
    async with client_of(server) as asker, Peer(server.port) as one, Peer(server.port) as two:
        for peer in (one, two):
            await peer.subscribe("who")
        async with asker.requests("who", b"?", answers=JSON) as answers:
            for number, peer in enumerate((one, two, one)):
                if number < 2:
                    question = await peer.expect(Publish)
                await peer.publish(str(question.properties.response_topic), b'{"number": %d}' % number, 1)
            got = [(await within(answers.get())).value for _ in range(3)]
            assert sorted(value["number"] for value in got) == [0, 1, 2]
            (name,) = answers.filters
        reply = await one.publish(name.name.decode(), b"{}", 1)
        assert reply.reason_code == 0x10  # nobody listens any more


async def test_an_answer_may_be_refused_and_what_is_no_question_has_none(server: Server) -> None:
    async with client_of(server) as client, client.subscribe("a", qos=1) as messages:
        await client.publish("a", response_topic="denied/answers", qos=1)
        question = await within(messages.get())
        with pytest.raises(PublishRejected):
            await within(client.reply(question, b"no"))
        await client.publish("a", qos=1)
        with pytest.raises(LinnetError, match="no response topic"):
            await client.reply(await within(messages.get()), b"no")


async def test_a_question_to_nowhere_is_an_error(server: Server) -> None:
    async with client_of(server) as client:
        with pytest.raises(PublishRejected):
            await within(client.request("denied/ask"))
        assert not client.requests_open.waiting
    async with client_of(server, version=V3_1_1) as old:
        with pytest.raises(NotSupported):
            await within(old.request("ask"))
        with pytest.raises(NotSupported):
            await old.requests("ask").__aenter__()


async def test_answers_come_below_the_topic_that_the_server_names() -> None:
    async with Scripted(response_information="answers/for/you/") as server, client_of(server, "me/+") as client:
        asking = asyncio.create_task(client.request("ask"))
        await until(lambda: bool(server.got(Publish)))
        topic = server.got(Publish)[0].properties.response_topic
        assert topic is not None
        assert topic.startswith("answers/for/you/")
        assert "+" not in topic
        asking.cancel()


async def test_questions_survive_a_connection_that_is_lost(server: Server) -> None:
    link = server.link
    client = client_of(server)
    told = Told(client)
    async with client, Peer(server.port) as peer:
        await peer.subscribe("ask", qos=1)
        asking = asyncio.create_task(client.request("ask"))
        question = await peer.expect(Publish)
        link.cut()
        await link.restore()
        await told.until(Connected, 2)
        await peer.publish(str(question.properties.response_topic), b"!", 1, properties=correlated(question))
        assert (await within(asking)).payload == b"!"


async def test_a_value_is_what_the_message_says_of_itself(server: Server) -> None:
    async with (
        client_of(server) as client,
        client.subscribe("home/+/temp", qos=1) as readings,
    ):
        await client.publish("home/kitchen/temp", 21.5, codec=JSON)
        await client.publish("home/hall/temp", "warm", codec=TEXT)
        await client.publish("home/attic/temp", b"\x00\x01")
        assert [(await readings.get()).value for _ in range(3)] == [21.5, "warm", b"\x00\x01"]
