"""`linnet serve` as a real process: what it prints, that it serves, how it ends."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import linnet
from linnet.cli import serve
from linnet.errors import SettingsError

BOUND = 20  # seconds; a process that takes so long hangs
CONNECT = bytes.fromhex("101000044d5154540402003c000461626364")
CONNACK = bytes.fromhex("20020000")
PORT = re.compile(r"mqtt://(?:[\w.]+|\[[\w:]+\]):(\d+)")

pytestmark = pytest.mark.system


@contextmanager
def serving(*words: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A running `linnet serve`, which is killed at the end if it still runs."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("LINNET_")}
    paths = [str(Path(path).resolve()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "linnet", "serve", *words],
        env={**ours, "PYTHONPATH": os.pathsep.join(paths), **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def line(process: subprocess.Popen[str]) -> str:
    """The next line that the process prints."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], BOUND)
    assert ready, "the process prints nothing"
    text = process.stdout.readline()
    if not text:
        raise AssertionError(f"the process ended: {process.communicate()[1]}")
    return text


def announced(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Both lines of the announcement; they arrive together, so the second one needs no waiting."""
    first = line(process)
    assert process.stdout is not None
    return first, process.stdout.readline()


def ends(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, and what else was printed to standard output and standard error."""
    out, err = process.communicate(timeout=BOUND)
    return process.returncode, out, err


@contextmanager
def client(port: int, host: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A connected MQTT client."""
    with socket.create_connection((host, port), BOUND) as connection:
        connection.sendall(CONNECT)
        assert connection.recv(4, socket.MSG_WAITALL) == CONNACK
        yield connection


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_announces_itself_serves_and_ends_well_on_a_signal(number: signal.Signals) -> None:
    with serving("--listen", "127.0.0.1:0") as process:
        first, second = announced(process)
        form = "compiled" if linnet.compiled else "interpreted"
        loop = "asyncio"
        port = int(PORT.findall(first)[0])
        where = f"mqtt://127.0.0.1:{port} ({form}, {loop})"
        assert first == f"linnet {linnet.__version__} listening on {where}\n"
        assert second == f"try: mosquitto_sub -h 127.0.0.1 -p {port} -t '#' -v\n"
        with client(port) as connection:
            process.send_signal(number)
            assert connection.recv(1) == b""
        code, out, err = ends(process)
        assert (code, out) == (0, "")
        assert "Traceback" not in err and "Warning" not in err, err


def test_it_listens_wherever_it_is_told() -> None:
    with serving("--listen", "127.0.0.1:0", "--listen", "localhost:0") as process:
        ports = [int(port) for port in PORT.findall(line(process))]
        assert len(ports) >= 2
        for port in (ports[0], ports[-1]):
            with client(port, "localhost" if port == ports[-1] else "127.0.0.1"):
                pass


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_it_prints_an_ipv6_address_in_brackets() -> None:
    with serving("--listen", "[::1]:0") as process:
        first, second = announced(process)
        assert " mqtt://[::1]:" in first
        assert "-h ::1 -p " in second
        with client(int(PORT.findall(first)[0]), "::1"):
            pass


def test_the_line_to_try_names_an_address_that_can_be_reached() -> None:
    with serving("--listen", "0.0.0.0:0") as process:
        first, second = announced(process)
        assert " mqtt://0.0.0.0:" in first
        assert "-h 127.0.0.1 -p " in second


def test_file_environment_and_options_reach_the_broker(tmp_path: Path) -> None:
    """A client of version 3.1.1 is refused, since the file allows 5.0 only."""
    file = tmp_path / "linnet.toml"
    file.write_text('[protocol]\nversions = ["5.0"]\n', "utf-8")
    with serving("--config", str(file), LINNET_LISTEN="127.0.0.1:0", LINNET_EVENT_LOOP="asyncio") as process:
        first = line(process)
        assert first.endswith("asyncio)\n")
        with socket.create_connection(("127.0.0.1", int(PORT.findall(first)[0])), BOUND) as connection:
            connection.sendall(CONNECT)
            assert connection.recv(4, socket.MSG_WAITALL) == bytes.fromhex("20020001")
            assert connection.recv(1) == b""


def test_a_port_in_use_is_one_clear_line_and_exit_code_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with serving("--listen", address) as process:
            assert ends(process) == (1, "", f"linnet: cannot listen on {address}: address already in use\n")


def test_an_address_of_another_machine_is_one_clear_line_and_exit_code_1() -> None:
    with serving("--listen", "192.0.2.1:0") as process:
        code, out, err = ends(process)
        assert (code, out) == (1, "")
        assert err == "linnet: cannot listen on 192.0.2.1:0: cannot assign requested address\n"


def test_a_name_that_nobody_knows_is_told_in_words() -> None:
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert serve.reason(unknown) == "name or service not known"
    assert serve.reason(OSError("something else")) == "something else"


def test_bad_settings_exit_with_2() -> None:
    with serving("--set", "max_qos=3") as process:
        assert ends(process) == (
            2,
            "",
            "linnet: these settings cannot be used:\n"
            "  max_qos = 3: allowed is a whole number from 0 to 2 (option --set max_qos)\n",
        )


def test_log_lines_go_to_standard_error_as_json() -> None:
    with serving(
        "--listen", "127.0.0.1:0", "--set", "log_format=json", LINNET_LOG_LEVEL="debug", LINNET_EVENT_LOOP="asyncio"
    ) as process:
        line(process)
        process.terminate()
        code, _, err = ends(process)
        assert code == 0
        assert err and all(json.loads(text)["level"] for text in err.splitlines())


def test_a_second_signal_ends_it_at_once() -> None:
    """The first one waits for a client that does not read; the second one waits for nobody."""
    program = (
        "import signal, sys\n"
        "from linnet.cli import main, serve\n"
        "from linnet.server import Broker\n"
        "async def stop(self):\n"
        "    import asyncio\n"
        "    print('stopping', flush=True)\n"
        "    await asyncio.get_running_loop().create_future()\n"
        "serve_broker = type('Slow', (Broker,), {'stop': stop})\n"
        "import linnet.server\n"
        "linnet.server.Broker = serve_broker\n"
        "sys.exit(main.main(['serve', '--listen', '127.0.0.1:0']))\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        announced(process)
        process.terminate()
        assert line(process) == "stopping\n"
        process.terminate()
        assert process.wait(BOUND) == -signal.SIGTERM


def test_the_event_loop_is_what_the_setting_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert serve.event_loop("asyncio") == "asyncio"
    for installed in (True, False):
        monkeypatch.setattr(serve, "uvloop_is_installed", lambda installed=installed: installed)
        if installed:
            assert serve.event_loop("uvloop") == "uvloop"
        assert serve.event_loop("asyncio") == "asyncio"
    with pytest.raises(SettingsError, match="uvloop is not installed"):
        serve.event_loop("uvloop")
