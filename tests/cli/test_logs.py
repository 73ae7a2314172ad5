"""Log lines: readable text, or one JSON object each."""

import json
import logging
from collections.abc import Iterator
from datetime import datetime

import pytest

from linnet.cli import logs


@pytest.fixture(autouse=True)
def root_logger_as_it_was() -> Iterator[None]:
    """What a test configures ends with it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_text_lines_carry_time_level_name_and_message(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "text")
    logging.getLogger("linnet.net").info("listening on %s", "[::1]:1883")
    assert capsys.readouterr().err.endswith(" INFO linnet.net: listening on [::1]:1883\n")


def test_json_lines_are_one_object_each_even_with_an_exception(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", "json")
    logger = logging.getLogger("linnet.server")
    logger.debug('two\nlines and "quotes" ü')
    try:
        raise OSError("out of sockets")
    except OSError:
        logger.exception("no %d", 1)
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert first["message"] == 'two\nlines and "quotes" ü'
    assert (first["level"], first["logger"]) == ("debug", "linnet.server")
    assert datetime.fromisoformat(first["time"]).tzinfo is not None
    assert second["message"] == "no 1" and second["level"] == "error"
    assert "OSError: out of sockets" in second["exception"]


@pytest.mark.parametrize(("level", "count"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_less_important_lines_are_left_out(capsys: pytest.CaptureFixture[str], level: str, count: int) -> None:
    logs.configure(level, "text")
    logger = logging.getLogger("linnet")
    for write in (logger.debug, logger.info, logger.warning, logger.error):
        write("x")
    assert len(capsys.readouterr().err.splitlines()) == count
