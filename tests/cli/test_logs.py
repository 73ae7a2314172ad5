"""Log lines: readable text, or one JSON object each."""

import json
import logging
from collections.abc import Iterator
from datetime import datetime

import pytest

from linnet.cli import logs
from tests.cli.test_serve import PORT, client, ends, line, serving


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


def test_json_lines_have_the_fields_of_their_records(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    fields = {
        "event": "packet",
        "client_id": "b\u00f6b",
        "qos": 1,
        "retain": False,
        "filters": [{"filter": "a"}],
        "level": 0,
    }
    logging.getLogger("linnet.packets").info("%r", "b\u00f6b", extra=fields)
    told = json.loads(capsys.readouterr().err)
    assert datetime.fromisoformat(told.pop("time")).tzinfo is not None
    assert told == {**fields, "level": "info", "logger": "linnet.packets", "message": "'b\u00f6b'"}


def test_what_json_cannot_say_is_said_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    logging.getLogger("linnet").info("x", extra={"payload": b"1", "where": {1}})
    told = json.loads(capsys.readouterr().err)
    assert (told["payload"], told["where"]) == ("b'1'", "{1}")


def test_json_lines_are_printable_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    evil = "".join(map(chr, [*range(32), 0x7F, *range(0x80, 0xA0), 0x2028, 0x2029, 0x202E, 0xD800, 0x1F426]))
    logging.getLogger("linnet").info("%s", evil, extra={"client_id": evil})
    err = capsys.readouterr().err
    assert err.endswith("\n") and err[:-1].isascii() and err[:-1].isprintable()
    told = json.loads(err)
    assert told["client_id"] == told["message"] == evil


def test_to_configure_again_replaces_the_first_time(capsys: pytest.CaptureFixture[str]) -> None:
    for style in ("json", "text", "json"):
        logs.configure("info", style)
    logging.getLogger("linnet").info("once")
    assert json.loads(capsys.readouterr().err)["message"] == "once"


@pytest.mark.system
@pytest.mark.parametrize("style", ["text", "json"])
def test_a_broker_logs_as_its_settings_say(style: str) -> None:
    levels = "packets=debug,connections=off"
    with serving("--listen", "127.0.0.1:0", "--set", f"log_levels={levels}", "--set", f"log_format={style}") as process:
        with client(int(PORT.findall(line(process))[0])) as connection:
            connection.sendall(bytes.fromhex("3003000178"))
            connection.sendall(bytes.fromhex("e000"))
            assert connection.recv(1) == b""
        process.terminate()
        code, _, err = ends(process)
    assert code == 0
    told = err.splitlines()
    expected = [
        "in 'abcd' CONNECT version='3.1.1' clean_start keep_alive=60",
        "out 'abcd' CONNACK reason_code=0",
        "in 'abcd' PUBLISH topic='x' qos=0 payload_size=0",
        "in 'abcd' DISCONNECT reason_code=0",
    ]
    if style == "text":
        assert [text.partition(" DEBUG linnet.packets: ")[2] for text in told] == expected
        return
    lines = [json.loads(text) for text in told]
    assert [text["message"] for text in lines] == expected
    assert {(text["logger"], text["level"], text["event"], text["client_id"]) for text in lines} == {
        ("linnet.packets", "debug", "packet", "abcd")
    }
    assert [text["packet"] for text in lines] == ["CONNECT", "CONNACK", "PUBLISH", "DISCONNECT"]
    assert lines[2]["topic"] == "x" and lines[2]["payload_size"] == 0


@pytest.mark.system
def test_a_broker_follows_the_clients_of_its_settings() -> None:
    with serving("--listen", "127.0.0.1:0", LINNET_LOG_CLIENTS="somebody,abcd", LINNET_LOG_LEVEL="error") as process:
        with client(int(PORT.findall(line(process))[0])):
            pass
        process.terminate()
        code, _, err = ends(process)
    assert code == 0
    assert " DEBUG linnet.packets: in 'abcd' CONNECT " in err
    assert " INFO linnet.connections: 'abcd' connected from 127.0.0.1:" in err


@pytest.mark.system
def test_an_unknown_logger_is_refused() -> None:
    with serving("--set", "log_levels=packet=debug") as process:
        code, _, err = ends(process)
    assert code == 2
    assert err.endswith("; there is no logger 'packet'; did you mean packets? (option --set log_levels)\n")
