"""The plugin for pytest, in a pytest of its own."""

import asyncio
import os
import sys
from importlib.metadata import entry_points
from pathlib import Path

SOURCE = """
import asyncio
import socket

import pytest

from linnet.testing import BlockingBroker
from linnet.wire import V5, Connect, Pingreq


class Client(asyncio.Protocol):
    def connection_made(self, transport):
        transport.write(Connect("bob").encode(V5) + Pingreq().encode(V5))


def test_plain(mqtt_broker):
    assert isinstance(mqtt_broker, BlockingBroker)
    with socket.create_connection((mqtt_broker.host, mqtt_broker.port)) as sock:
        sock.sendall(Connect("bob").encode(V5))
        assert mqtt_broker.wait_for("CONNECT").client_id == "bob"


@pytest.mark.mqtt_broker(max_qos=1, listen=None)
async def test_coroutine(mqtt_broker):
    await mqtt_broker.dial(Client)
    connack = await mqtt_broker.aio.wait_for("CONNACK")
    assert connack.packet.properties.maximum_qos == 1


async def test_failing(mqtt_broker):
    await mqtt_broker.dial(Client)
    await mqtt_broker.aio.wait_for("CONNECT")
    await mqtt_broker.aio.wait_for("PUBLISH", by="bob", timeout=0)
"""


async def test_a_test_gets_its_broker_and_a_failure_shows_the_packets(tmp_path: Path) -> None:
    is_installed = any(found.value == "linnet.testing.plugin" for found in entry_points(group="pytest11"))
    (tmp_path / "test_it.py").write_text(SOURCE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\nfilterwarnings = error\n")
    paths = [str(Path(path).resolve()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-v", "--strict-markers", "-p", "no:cacheprovider"),
        *("-o", "asyncio_default_fixture_loop_scope=function"),
        *(() if is_installed else ("-p", "linnet.testing.plugin")),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTEST_ADDOPTS": ""},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await process.communicate())[0].decode()
    for line in (
        "test_it.py::test_plain PASSED",
        "test_it.py::test_coroutine PASSED",
        "test_it.py::test_failing FAILED",
        "packets of mqtt_broker",
        "  in 'bob' CONNECT version='5.0' clean_start keep_alive=0 (found by an earlier wait)",
        "NotSeen: no PUBLISH by 'bob' within 0 s; the last of",
        "1 failed, 2 passed",
    ):
        assert line in output, output
