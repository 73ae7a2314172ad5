"""MQTT.js, which most of the web and of Node-RED speaks, against our broker."""

import json
from pathlib import Path

import pytest

from tests.interop.tools import Program, node_package, program, start
from tests.peer import Peer

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]  # the first to come installs what it needs
HERE = Path(__file__).parent / "mqttjs"
VERSIONS = pytest.mark.parametrize("version", [3, 4, 5], ids=["MQTT 3.1", "MQTT 3.1.1", "MQTT 5.0"])


async def node(script: str, *arguments: object) -> Program:
    modules = (await node_package("mqtt")).parent
    return await start(
        program("env", "coreutils"),
        f"NODE_PATH={modules}",
        program("node", "nodejs"),
        HERE / script,
        *arguments,
    )


@VERSIONS
async def test_it_hears_itself_with_all_that_it_said(port: int, version: int) -> None:
    async with await node("conversation.js", port, version) as peer:
        heard = [json.loads(line) for line in await peer.ended()]
    properties = [message.pop("properties", {}) for message in heard]
    assert heard == [
        {"topic": "kept", "payload": "old", "qos": 1, "retain": True},
        {"topic": "live/0", "payload": "payload 0", "qos": 0, "retain": False},
        {"topic": "live/1", "payload": "payload 1", "qos": 1, "retain": False},
        {"topic": "live/2", "payload": "payload 2", "qos": 2, "retain": False},
    ]
    for given in properties:
        if version == 5:
            assert 990 <= given.pop("messageExpiryInterval") <= 1000
            assert given == {
                "payloadFormatIndicator": True,
                "contentType": "text/plain",
                "responseTopic": "answers",
                "correlationData": "7",
                "userProperties": {"colour": ["blue", "green"], "size": "large"},
            }


@pytest.mark.parametrize("version", [4, 5], ids=["MQTT 3.1.1", "MQTT 5.0"])
async def test_exactly_once_though_the_line_breaks(port: int, version: int) -> None:
    payloads = [f"message {number}" for number in range(200)]
    async with (
        await node("broken_line.js", port, version, len(payloads)) as peer,
        Peer(port, "alice") as alice,
    ):
        await peer.until("subscribed")
        for payload in payloads:
            await alice.publish("a", payload.encode(), qos=2)
        await alice.publish("a", b"the end", qos=2)
        got = json.loads((await peer.ended())[-1])
    assert got == [*payloads, "the end"]
