"""Node-RED, headless: a flow that subscribes, transforms and publishes again, set up through its own API."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from linnet.wire import Properties, Publish
from tests.interop.tools import PATIENCE, free_port, node_package, program, start
from tests.peer import Peer

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]  # the first to come installs what it needs


def flow(port: int, version: str) -> list[dict[str, Any]]:
    """mqtt in → upper case → mqtt out."""
    broker = {"broker": "127.0.0.1", "port": str(port), "protocolVersion": version, "keepalive": "60"}
    return [
        {"id": "tab", "type": "tab", "label": "upper case"},
        {"id": "linnet", "type": "mqtt-broker", "clientid": "red", "cleansession": True, **broker},
        {
            "id": "in",
            "type": "mqtt in",
            "z": "tab",
            "topic": "plain/#",
            "qos": "2",
            "datatype": "utf8",
            "broker": "linnet",
            "nl": False,
            "rap": True,
            "rh": 0,
            "inputs": 0,
            "wires": [["upper"]],
        },
        {
            "id": "upper",
            "type": "function",
            "z": "tab",
            "func": "msg.payload = msg.payload.toUpperCase();\n"
            "msg.topic = msg.topic.replace('plain', 'upper');\nmsg.retain = false;\nreturn msg;",
            "outputs": 1,
            "wires": [["out"]],
        },
        {
            "id": "out",
            "type": "mqtt out",
            "z": "tab",
            "topic": "",
            "qos": "1",
            "broker": "linnet",
            "wires": [],
        },
    ]


def deploy(admin: int, nodes: list[dict[str, Any]]) -> int:
    body = json.dumps(nodes).encode()
    request = Request(f"http://127.0.0.1:{admin}/flows", body, {"Content-Type": "application/json"}, method="POST")
    with urlopen(request, timeout=PATIENCE) as answer:
        status: int = answer.status
        return status


@pytest.mark.parametrize("version", ["4", "5"], ids=["MQTT 3.1.1", "MQTT 5.0"])
async def test_a_flow_transforms_what_passes(port: int, version: str, tmp_path: Path) -> None:
    red = await node_package("node-red") / "red.js"
    admin = free_port()
    settings = tmp_path / "settings.js"
    settings.write_text(f'module.exports = {{ uiPort: {admin}, uiHost: "127.0.0.1" }};\n')
    async with (
        Peer(port, "witness") as witness,
        await start(program("node", "nodejs"), red, "--settings", settings, "--userDir", tmp_path) as server,
    ):
        await witness.subscribe("upper/#", qos=1)
        await witness.publish("plain/first", b"kept until it comes", qos=1, retain=True)
        await server.until("Server now running")
        assert await asyncio.to_thread(deploy, admin, flow(port, version)) in (200, 204)
        await server.until("Connected to broker")
        packet = await witness.expect(Publish)
        assert (packet.topic, packet.payload) == ("upper/first", b"KEPT UNTIL IT COMES")
        said = Properties(content_type="text/plain", user_properties=[("colour", "blue")])
        await witness.publish("plain/second", b"live", qos=2, properties=said)
        packet = await witness.expect(Publish)
        assert (packet.topic, packet.payload) == ("upper/second", b"LIVE")
        if version == "5":
            assert packet.properties.content_type == "text/plain"
            assert packet.properties.user_properties == [("colour", "blue")]
