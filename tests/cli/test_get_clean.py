"""`linnet get` and `linnet clean`: one value, and no retained messages."""

import io
import sys

import pytest

from linnet.errors import ReasonCode
from linnet.testing import BlockingBroker
from tests.cli.conftest import Cli


def test_get_prints_the_retained_value(cli: Cli, served: BlockingBroker) -> None:
    served.publish("a/b", "value", retain=True)
    assert cli("get", "-p", served.port, "a/b").out == b"value\n"
    assert cli("get", f"{served.url}/a/b", "-v").out == b"a/b value\n"
    assert cli("get", "-p", served.port, "-t", "a/+", "-F", "%r").out == b"1\n"


def test_get_prints_the_next_value(cli: Cli, served: BlockingBroker) -> None:
    served.publish("a", "old", retain=True)

    def publish() -> None:
        served.wait_for("SUBACK")
        served.publish("a", "new", qos=1)

    assert cli("get", "-p", served.port, "a", "-R", "-q", 1, meanwhile=publish).out == b"new\n"
    assert len(served.packets.select("PUBACK", direction="in")) == 1


def test_get_says_that_nothing_came(cli: Cli, served: BlockingBroker) -> None:
    result = cli("get", "-p", served.port, "a", "-W", 0.1)
    assert (result.code, result.out, result.err) == (27, b"", "linnet get: nothing came on a within 0.1 s\n")


def test_get_says_that_it_was_refused(cli: Cli, served: BlockingBroker) -> None:
    served.deny("a")
    result = cli("get", "-p", served.port, "a")
    assert result.code == 135
    assert "'a'" in result.err


def retained(served: BlockingBroker) -> None:
    for topic in ("t/a", "t/b", "u"):
        served.publish(topic, "x", retain=True)


@pytest.mark.parametrize("version", ["5", "311"])
def test_clean_clears_what_the_filter_matches(cli: Cli, served: BlockingBroker, version: str) -> None:
    retained(served)
    result = cli("clean", "-p", served.port, "t/#", "--yes", "-V", version)
    assert (result.code, result.out) == (0, b"t/a (1 bytes)\nt/b (1 bytes)\n")
    assert set(served.retained) == {"u"}
    result = cli("clean", "-p", served.port, "t/#", "--yes")
    assert (result.code, result.out) == (0, b"")
    assert result.err == "linnet clean: there are no retained messages for t/#\n"


def test_clean_lists_only(cli: Cli, served: BlockingBroker) -> None:
    retained(served)
    assert cli("clean", f"{served.url}/t/+", "-T", "t/a", "--dry-run").out == b"t/b (1 bytes)\n"
    assert set(served.retained) == {"t/a", "t/b", "u"}


class Terminal(io.BytesIO):
    """What somebody types."""

    @property
    def buffer(self) -> io.BytesIO:
        return self

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("answer", "left"), [(b"y\n", {"u"}), (b"no\n", {"t/a", "t/b", "u"}), (b"", {"t/a", "t/b", "u"})]
)
def test_clean_asks(
    cli: Cli, served: BlockingBroker, monkeypatch: pytest.MonkeyPatch, answer: bytes, left: set[str]
) -> None:
    from linnet.cli.main import main

    retained(served)
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert main(["clean", "-p", str(served.port), "t/#"]) == 0
    assert "clear these 2 retained messages? [y/N]" in cli.captured.readouterr().err.decode()
    assert set(served.retained) == left


def test_clean_does_not_clear_without_being_told(cli: Cli, served: BlockingBroker) -> None:
    retained(served)
    result = cli("clean", "-p", served.port, "t/#")
    assert (result.code, result.out) == (1, b"")
    assert "--yes" in result.err
    assert set(served.retained) == {"t/a", "t/b", "u"}


def test_clean_says_what_was_refused(cli: Cli, served: BlockingBroker) -> None:
    retained(served)
    served.deny("t/a", subscribe=False, reason_code=ReasonCode.NOT_AUTHORIZED)
    result = cli("clean", "-p", served.port, "#", "--yes")
    assert result.code == 135
    assert "not authorized" in result.err
    assert set(served.retained) == {"t/a"}
