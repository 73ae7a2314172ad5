"""Two servers with one face: this broker, in the process of the test, and Mosquitto, in its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linnet import Broker, Hooks, ReasonCode
from linnet.core.session import Session
from linnet.wire import V3_1_1, Message, SubscriptionOptions
from tests.client.proof.link import Link
from tests.interop.tools import Program, free_port, missing, program, start

# What may be asked of both, and how Mosquitto calls it
NAMES = {"receive_maximum": "max_inflight_messages", "max_packet_size": "max_packet_size", "max_qos": "max_qos"}


class Guard(Hooks):
    """Denies what begins with `denied/`."""

    def publishing(self, session: Session, message: Message) -> Message | ReasonCode:
        return ReasonCode.NOT_AUTHORIZED if message.topic.startswith("denied/") else message

    def subscribing(self, session: Session, name: str, options: SubscriptionOptions) -> int | ReasonCode:
        return ReasonCode.NOT_AUTHORIZED if name.startswith("denied/") else options.qos


class Server:
    """A server that can be stopped and started again, and the link by which the client under test reaches it.

    Nobody may publish or subscribe below `denied/`. `settings` are those of `NAMES`.
    """

    name = ""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.link = Link(lambda: self.port, V3_1_1)

    @property
    def url(self) -> str:
        """Where the client under test finds it: at the other end of the link."""
        return self.link.url

    async def open(self, settings: Mapping[str, Any]) -> None:
        """Begin, with the link."""
        await self.start(settings)
        await self.link.__aenter__()

    async def close(self) -> None:
        """End, with the link."""
        await self.link.__aexit__()
        await self.stop()

    async def start(self, settings: Mapping[str, Any]) -> None:
        """Listen at `port`, without any session."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Close every connection, and forget all sessions."""
        raise NotImplementedError


class Linnet(Server):
    name = "linnet"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.broker: Broker | None = None

    async def start(self, settings: Mapping[str, Any]) -> None:
        self.broker = Broker(
            listen=f"127.0.0.1:{self.port}",
            hooks=Guard(),
            sys_interval=0,
            max_loop_lag=0,
            max_queued_messages=100_000,
            **settings,
        )
        await self.broker.start()

    async def stop(self) -> None:
        assert self.broker is not None
        await self.broker.stop()


# The same for Mosquitto
DENIED = ("subscribePattern", "publishClientSend")
RULES = {
    "defaultACLAccess": dict.fromkeys(("publishClientSend", "publishClientReceive", "subscribe", "unsubscribe"), True),
    "roles": [
        {
            "rolename": "anybody",
            "acls": [{"acltype": kind, "topic": "denied/#", "priority": 1, "allow": False} for kind in DENIED],
        }
    ],
    "groups": [{"groupname": "all", "roles": [{"rolename": "anybody"}]}],
    "anonymousGroup": "all",
}


def plugin() -> Path:
    """Where Mosquitto's plug-in for access lists is."""
    found = next(Path("/usr/lib").glob("*/mosquitto_dynamic_security.so"), None)
    if found is None:
        missing("mosquitto_dynamic_security.so", "apt-get install mosquitto")
    assert found is not None
    return found


class Mosquitto(Server):
    name = "mosquitto"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.program: Program | None = None

    async def start(self, settings: Mapping[str, Any]) -> None:
        rules = self.directory / "rules.json"
        rules.write_text(json.dumps(RULES))
        lines = [
            f"listener {self.port} 127.0.0.1",
            "user root",  # it reads its files as whoever starts it, not as a user of its own
            "allow_anonymous true",
            "max_queued_messages 100000",  # with 0 it leaves after each message that it denies
            "set_tcp_nodelay true",
            f"plugin {plugin()}",  # for the lists in its own files say nothing about subscribing
            f"plugin_opt_config_file {rules}",
            *(f"{NAMES[name]} {value}" for name, value in settings.items()),
        ]
        config = self.directory / "mosquitto.conf"
        config.write_text("\n".join([*lines, ""]))
        self.program = await start(program("mosquitto", "mosquitto"), "-c", config)
        await self.program.until("running")

    async def stop(self) -> None:
        assert self.program is not None
        await self.program.__aexit__()


SERVERS: dict[str, type[Server]] = {server.name: server for server in (Linnet, Mosquitto)}
