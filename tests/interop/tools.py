"""Other people's programs beside the test: found, started, listened to line by line, and ended."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Self

import pytest

PATIENCE = 30.0  # seconds; a program that takes longer is broken, or talks to a broken broker
INSTALLED = Path(__file__).parents[2] / "build" / "interop"  # where install.sh puts what comes through npm


def missing(what: str, remedy: str) -> None:
    """A peer that is not there: a failure where it has to be, in CI, and a skip with its reason elsewhere."""
    sentence = f"{what} is not installed: {remedy}"
    if os.environ.get("CI") == "true":
        pytest.fail(sentence)
    pytest.skip(sentence)


def program(name: str, package: str) -> str:
    """Where an installed program lies."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        missing(name, f"apt-get install {package}")
    return str(found)


def library(name: str, package: str) -> ModuleType:
    """A Python library that only these tests need."""
    try:
        return import_module(name)
    except ImportError:
        missing(package, "pip install 'linnet[dev]'")
        raise


async def node_package(name: str) -> Path:
    """The directory of a package from npm; the first to ask has it installed."""
    program("node", "nodejs")
    async with await start(program("bash", "bash"), Path(__file__).with_name("install.sh")) as installing:
        said, _ = await installing.process.communicate()
        if installing.process.returncode != 0:
            missing(name, f"tests/interop/install.sh says {said.decode().strip()}")
    return INSTALLED / "node_modules" / name


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class Program:
    """A running program, whose output is read by the line."""

    def __init__(self, process: asyncio.subprocess.Process, command: str) -> None:
        assert process.stdout is not None
        self.process = process
        self.output = process.stdout
        self.command = command
        self.lines: list[str] = []  # everything it has said so far

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.communicate()

    async def line(self) -> str:
        """Its next line."""
        try:
            async with asyncio.timeout(PATIENCE):
                line = await self.output.readline()
        except TimeoutError:
            raise AssertionError(self.told("was silent for too long")) from None
        assert line, self.told("ended before the line that was awaited")
        self.lines.append(line.decode().rstrip("\n"))
        return self.lines[-1]

    async def until(self, wanted: str | Callable[[str], bool]) -> str:
        """The next line that holds the text, or that the question is true of."""
        while True:
            line = await self.line()
            if wanted in line if isinstance(wanted, str) else wanted(line):
                return line

    async def ended(self, code: int = 0) -> list[str]:
        """Waits for its end, checks its exit code, and returns all lines it has said."""
        try:
            async with asyncio.timeout(PATIENCE):
                rest, _ = await self.process.communicate()
        except TimeoutError:
            raise AssertionError(self.told("does not end")) from None
        self.lines += rest.decode().splitlines()
        assert self.process.returncode == code, self.told(f"ended with code {self.process.returncode}")
        return self.lines

    def told(self, what: str) -> str:
        said = "\n  ".join(self.lines[-30:]) or "(nothing)"
        return f"{self.command} {what}; it said:\n  {said}"


async def start(*command: object, stdin: Path = Path(os.devnull)) -> Program:
    """Starts a program; both its outputs are one stream of lines, none of them held back in a buffer."""
    words = [str(word) for word in command]
    with stdin.open("rb") as given:
        process = await asyncio.create_subprocess_exec(
            program("stdbuf", "coreutils"),
            "-oL",
            *words,
            stdin=given,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    return Program(process, " ".join(words))


@asynccontextmanager
async def mosquitto(directory: Path, *settings: str) -> AsyncIterator[int]:
    """Mosquitto itself, on a port that is given back: the other opinion on what MQTT is."""
    port = free_port()
    config = directory / "mosquitto.conf"
    config.write_text("\n".join([f"listener {port} 127.0.0.1", "allow_anonymous true", *settings, ""]))
    async with await start(program("mosquitto", "mosquitto"), "-c", config) as broker:
        await broker.until("running")
        yield port
