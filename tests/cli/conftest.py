"""What tests of the client verbs ask for: a broker on a thread of its own, and `linnet` called in this process."""

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest

from linnet.cli.main import main
from linnet.testing import BlockingBroker


@dataclass(frozen=True)
class Result:
    """What a program has left behind."""

    code: int
    out: bytes
    err: str


class Cli:
    """`linnet` with its words, its standard input and, at the end, what it printed."""

    def __init__(self, captured: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
        self.captured = captured
        self.monkeypatch = monkeypatch
        self.home = home  # of the files of defaults

    def __call__(self, *words: object, stdin: bytes = b"", meanwhile: Callable[[], object] | None = None) -> Result:
        """Run it; `meanwhile` runs beside it, and has to end as well."""
        self.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        beside = Thread(target=meanwhile) if meanwhile is not None else None
        if beside is not None:
            beside.start()
        code = main([str(word) for word in words])
        if beside is not None:
            beside.join()
        out, err = self.captured.readouterr()
        return Result(code, out, err.decode())


@pytest.fixture
def cli(capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """`linnet`, without the files and the environment of whoever runs the tests."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("LINNET_PASSWORD", raising=False)
    return Cli(capsysbinary, monkeypatch, tmp_path)


@pytest.fixture
def served() -> Iterator[BlockingBroker]:
    """A broker on a thread of its own."""
    with BlockingBroker() as broker:
        yield broker
