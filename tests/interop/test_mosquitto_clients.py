"""mosquitto_pub, mosquitto_sub and mosquitto_rr, and Mosquitto as a bridge, against our broker."""

import json
from pathlib import Path

import pytest

from linnet.wire import V3_1_1, Connack, Connect, Properties, Publish
from tests.interop.tools import Program, mosquitto, program, start
from tests.peer import Peer

pytestmark = pytest.mark.interop
VERSIONS = pytest.mark.parametrize("version", ["mqttv31", "mqttv311", "mqttv5"])
SHORT = "%t|%q|%r|%p"  # topic, QoS, retained, payload


async def client(verb: str, port: int, *arguments: object, **more: Path) -> Program:
    return await start(
        program(f"mosquitto_{verb}", "mosquitto-clients"), "-h", "127.0.0.1", "-p", port, *arguments, **more
    )


async def done(verb: str, port: int, *arguments: object, **more: Path) -> list[str]:
    """Runs one of the clients to its good end, and returns what it said."""
    async with await client(verb, port, *arguments, **more) as running:
        return await running.ended()


async def subscriber(port: int, *arguments: object) -> Program:
    """A mosquitto_sub whose subscription stands."""
    running = await client("sub", port, "-d", *arguments)
    await running.until("Subscribed (mid")
    return running


def messages(lines: list[str]) -> list[str]:
    """What was printed in the SHORT form, among whatever else."""
    return [line for line in lines if line.count("|") == 3]


@VERSIONS
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_message_from_pub_reaches_sub(port: int, version: str, qos: int) -> None:
    async with await subscriber(port, "-V", version, "-t", "a/+", "-q", qos, "-C", 1, "-F", SHORT) as sub:
        await done("pub", port, "-V", version, "-t", "a/b", "-q", qos, "-m", "hello")
        assert messages(await sub.ended()) == [f"a/b|{qos}|0|hello"]


@VERSIONS
async def test_a_thousand_lines_arrive_once_and_in_order(port: int, version: str, tmp_path: Path) -> None:
    lines = [f"line {number}" for number in range(1000)]
    given = tmp_path / "lines"
    given.write_text("".join(f"{line}\n" for line in lines))
    async with await subscriber(port, "-V", version, "-t", "log", "-q", 2, "-C", 1000, "-F", SHORT) as sub:
        await done("pub", port, "-V", version, "-t", "log", "-q", 2, "-l", stdin=given)
        assert messages(await sub.ended()) == [f"log|2|0|{line}" for line in lines]


@VERSIONS
async def test_a_large_file_arrives_whole(port: int, version: str, tmp_path: Path) -> None:
    given = tmp_path / "large"
    given.write_bytes(bytes(range(32, 127)) * 8000)
    async with await client("sub", port, "-V", version, "-t", "file", "-q", 1, "-C", 1, "-N", "-W", 30) as sub:
        async with Peer(port, "witness") as witness:
            await done("pub", port, "-V", version, "-t", "file", "-q", 1, "-r", "-f", given)
            await witness.subscribe("file")
            assert (await witness.expect(Publish)).payload == given.read_bytes()
        assert "".join(await sub.ended()).encode() == given.read_bytes()


@VERSIONS
async def test_retained_messages_are_kept_and_cleared(port: int, version: str) -> None:
    await done("pub", port, "-V", version, "-t", "kept/a", "-q", 1, "-r", "-m", "old")
    await done("pub", port, "-V", version, "-t", "kept/b", "-q", 2, "-r", "-m", "older")
    said = await done("sub", port, "-V", version, "-t", "kept/#", "-q", 2, "-C", 2, "-F", SHORT)
    assert sorted(said) == ["kept/a|1|1|old", "kept/b|2|1|older"]
    await done("pub", port, "-V", version, "-t", "kept/a", "-r", "-n")
    said = await done("sub", port, "-V", version, "-t", "kept/#", "-C", 1, "-F", SHORT)
    assert said == ["kept/b|0|1|older"]


@VERSIONS
async def test_the_will_of_a_killed_client_is_sent(port: int, version: str) -> None:
    will = ["--will-topic", "wills/sub", "--will-payload", "killed", "--will-qos", 1]
    async with Peer(port, "witness") as witness:
        await witness.subscribe("wills/#", qos=1)
        async with await subscriber(port, "-V", version, "-t", "a", *will) as sub:
            sub.process.kill()
            packet = await witness.expect(Publish)
        assert (packet.topic, packet.payload, packet.qos) == ("wills/sub", b"killed", 1)


@VERSIONS
async def test_a_client_that_takes_leave_sends_no_will(port: int, version: str) -> None:
    will = ["--will-topic", "wills/sub", "--will-payload", "killed"]
    async with Peer(port, "witness") as witness:
        await witness.subscribe("wills/#", qos=1)
        await done("sub", port, "-V", version, "-t", "a", "-E", *will)
        await witness.nothing()


@VERSIONS
async def test_a_persistent_session_gets_what_it_missed(port: int, version: str) -> None:
    bob = ["-V", version, "-i", "bob", "-c", "-t", "news", "-q", 2]
    await done("sub", port, *bob, "-E")
    for qos in (0, 1, 2):
        await done("pub", port, "-V", version, "-t", "news", "-q", qos, "-m", f"missed {qos}")
    said = await done("sub", port, *bob, "-C", 2, "-F", SHORT)
    assert said == ["news|1|0|missed 1", "news|2|0|missed 2"]


async def test_properties_come_through(port: int) -> None:
    properties = {
        "content-type": ["text/plain"],
        "correlation-data": ["number 7"],
        "message-expiry-interval": ["100"],
        "payload-format-indicator": ["1"],
        "response-topic": ["answers"],
        "user-property": ["colour", "blue"],
    }
    given = [word for name, value in properties.items() for word in ("-D", "publish", name, *value)]
    async with await subscriber(port, "-V", "mqttv5", "-t", "a", "-C", 1, "-F", "%j") as sub:
        await done("pub", port, "-V", "mqttv5", "-t", "a", "-m", "x", *given)
        message = json.loads(await sub.until("{"))
    expiry = message["properties"].pop("message-expiry-interval")
    assert 90 <= expiry <= 100
    assert message["properties"] == {
        "content-type": "text/plain",
        "correlation-data": "number 7",
        "payload-format-indicator": 1,
        "response-topic": "answers",
        "user-properties": {"colour": "blue"},
    }


async def test_a_topic_alias_stands_for_its_topic(port: int, tmp_path: Path) -> None:
    given = tmp_path / "lines"
    given.write_text("one\ntwo\nthree\n")
    async with await subscriber(port, "-V", "mqttv5", "-t", "a/long/topic", "-C", 3, "-F", SHORT) as sub:
        alias = ["-D", "publish", "topic-alias", 3]
        await done("pub", port, "-V", "mqttv5", "-t", "a/long/topic", "-l", *alias, stdin=given)
        topics = [line.split("|")[0] for line in messages(await sub.ended())]
        assert topics == ["a/long/topic"] * 3


async def test_a_request_gets_its_response(port: int) -> None:
    async with Peer(port, "service") as service:
        await service.subscribe("double", qos=1)
        request = ["-t", "double", "-e", "answers/rr", "-m", "21", "-q", 1]
        async with await client("rr", port, *request, "-D", "publish", "correlation-data", "c") as rr:
            asked = await service.expect(Publish)
            assert asked.properties.correlation_data == b"c"
            answer = Properties(correlation_data=b"c")
            topic = asked.properties.response_topic or ""
            await service.publish(topic, b"%d" % (2 * int(asked.payload)), qos=1, properties=answer)
            assert await rr.ended() == ["42"]


async def test_a_shared_subscription_shares_the_work(port: int, tmp_path: Path) -> None:
    jobs = [f"job {number}" for number in range(20)]
    given = tmp_path / "jobs"
    given.write_text("".join(f"{job}\n" for job in jobs))
    both = ["-V", "mqttv5", "-t", "$share/workers/jobs", "-t", "closing", "-q", 1, "-F", SHORT]
    async with await subscriber(port, *both) as first, await subscriber(port, *both) as second:
        await done("pub", port, "-V", "mqttv5", "-t", "jobs", "-q", 1, "-l", stdin=given)
        await done("pub", port, "-V", "mqttv5", "-t", "closing", "-q", 1, "-m", "time")
        for worker in (first, second):
            await worker.until("closing|1|0|time")
        shares = [[line for line in messages(worker.lines) if "|job " in line] for worker in (first, second)]
        assert sorted(shares[0] + shares[1]) == sorted(f"jobs|1|0|{job}" for job in jobs)
        assert all(shares), "one of the two got nothing to do"


@pytest.mark.parametrize("version", ["mqttv311", "mqttv50"])
async def test_mosquitto_bridges_to_us(port: int, version: str, tmp_path: Path) -> None:
    bridge = [
        "connection linnet",
        f"address 127.0.0.1:{port}",
        f"bridge_protocol_version {version}",
        "try_private false",
        "topic up/# out 1",
        "topic down/# in 1",
    ]
    async with Peer(port, "here") as here:
        await here.subscribe("up/#", qos=1)
        await here.publish("down/first", b"kept until the bridge stands", qos=1, retain=True)
        async with mosquitto(tmp_path, *bridge) as other, Peer(other, "there") as there:
            await there.subscribe("down/#", qos=1)
            assert (await there.receive()).payload == b"kept until the bridge stands"
            await there.publish("up/a", b"to us", qos=1)
            packet = await here.expect(Publish)
            assert (packet.topic, packet.payload) == ("up/a", b"to us")
            await here.publish("down/a", b"to them", qos=1)
            assert (await there.receive()).payload == b"to them"


async def test_a_bridge_that_asks_for_more_is_told_no_in_its_own_words(port: int) -> None:
    """Mosquitto's bridges first ask for level 0x84; only return code 1 of 3.1.1 makes them ask for 4 instead."""
    async with Peer.raw(port, V3_1_1) as bridge:
        connect = bytearray(Connect(client_id="bridge", clean_start=False).encode(V3_1_1))
        connect[8] |= 0x80
        bridge.send(connect)
        assert (await bridge.expect(Connack)).encode(V3_1_1) == b"\x20\x02\x00\x01"
        assert await bridge.closed() == []
