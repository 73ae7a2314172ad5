"""`linnet serve` and SIGHUP: what is reloaded, what is logged, and that no hangup ends the process by mistake."""

from __future__ import annotations

import errno
import json
import os
import pty
import resource
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from linnet.cli import hangup
from tests.cli.test_serve import BOUND, CONNACK, CONNECT, PORT, client, ends, line, serving

PING, PONG = b"\xc0\x00", b"\xd0\x00"

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP here"),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A settings file that listens on a free port."""
    return write(tmp_path / "linnet.toml")


def write(file: Path, text: str = "") -> Path:
    """Replace the file by one with these lines, in one step as a careful editor does."""
    new = file.with_suffix(".new")
    new.write_text(f'[network]\nlisten = ["127.0.0.1:0"]\n{text}', "utf-8")
    return new.rename(file)


class Log:
    """The log lines of a process, as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        self.descriptor = process.stderr.fileno()
        self.left = b""

    def next(self) -> str:
        while b"\n" not in self.left:
            ready, _, _ = select.select([self.descriptor], [], [], BOUND)
            assert ready, f"nothing more is logged after {self.left!r}"
            some = os.read(self.descriptor, 65536)
            assert some, f"the log ends with {self.left!r}"
            self.left += some
        text, _, self.left = self.left.partition(b"\n")
        return text.decode()

    def until(self, end: str) -> list[str]:
        """Level, logger and text of the lines about settings, to the one that ends so."""
        found: list[str] = []
        while not found or not found[-1].endswith(end):
            text = self.next().partition(",")[2].partition(" ")[2]
            if "linnet.settings: " in text:
                found.append(text.replace(" linnet.settings", ""))
        return found


def is_alive(connection: socket.socket) -> bool:
    """Whether a client's connection is served."""
    connection.sendall(PING)
    return connection.recv(2, socket.MSG_WAITALL) == PONG


def answer(port: int) -> bytes:
    """What another client of 3.1.1 is told."""
    with socket.create_connection(("127.0.0.1", port), BOUND) as connection:
        connection.sendall(CONNECT.replace(b"abcd", b"else"))
        return connection.recv(4, socket.MSG_WAITALL)


def port_of(process: subprocess.Popen[str]) -> int:
    return int(PORT.findall(line(process))[0])


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_hangup_reloads_the_file_and_says_what_changed(loop: str, file: Path) -> None:
    if loop == "uvloop" and find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed")
    with serving("--config", str(file), LINNET_EVENT_LOOP=loop) as process:
        log, port = Log(process), port_of(process)
        with client(port) as connection:
            write(file, 'backlog = 9\n[protocol]\nversions = ["5.0"]\n[session]\nqueue_qos0 = true\n')
            process.send_signal(signal.SIGHUP)
            assert log.until("needs a restart") == [
                'INFO: versions: ["3.1", "3.1.1", "5.0"] -> ["5.0"], for new connections',
                "INFO: queue_qos0: false -> true",
                "WARNING: backlog: 4096 -> 9 needs a restart",
            ]
            assert is_alive(connection)
            assert answer(port) == bytes.fromhex("20020001")
            write(file)
            process.send_signal(signal.SIGHUP)
            log.until("queue_qos0: true -> false")
            assert answer(port) == CONNACK
            process.send_signal(signal.SIGHUP)
            assert log.until("nothing changed") == ["INFO: reloaded: nothing changed"]
            assert is_alive(connection)


def test_a_file_with_faults_changes_nothing_and_every_fault_is_logged(file: Path) -> None:
    with serving("--config", str(file)) as process:
        log, port = Log(process), port_of(process)
        with client(port) as connection:
            write(file, '[protocol]\nversions = ["5.0"]\nmax_qos = 3\nmax_qoss = 3\n')
            process.send_signal(signal.SIGHUP)
            assert log.until("line 6)") == [
                f"ERROR: not reloaded, nothing changes: {fault}"
                for fault in (
                    f"max_qos = 3: allowed is a whole number from 0 to 2 ({file}, line 5)",
                    f"max_qoss = 3: there is no such setting; did you mean max_qos? ({file}, line 6)",
                )
            ]
            file.write_text("versions = ", "utf-8")
            process.send_signal(signal.SIGHUP)
            assert f"{file}: is not TOML" in log.until(")")[-1]
            file.unlink()
            process.send_signal(signal.SIGHUP)
            log.until(f"{file}: cannot be read: No such file or directory")
            assert is_alive(connection) and answer(port) == CONNACK
            write(file, '[protocol]\nversions = ["5.0"]\n')
            process.send_signal(signal.SIGHUP)
            log.until("for new connections")
            assert is_alive(connection) and answer(port) == bytes.fromhex("20020001")


def test_what_the_environment_and_the_command_line_say_still_wins(file: Path) -> None:
    words = ("--config", str(file), "--set", "max_qos=1")
    with serving(*words, LINNET_QUEUE_QOS0="true") as process:
        log = Log(process)
        line(process)
        write(file, "[protocol]\nmax_qos = 0\n[session]\nqueue_qos0 = false\nmax_sessions = 7\n")
        process.send_signal(signal.SIGHUP)
        assert log.until("7") == ["INFO: max_sessions: 100000 -> 7"]


def test_the_log_changes_its_level_and_its_form_at_once(file: Path) -> None:
    with serving("--config", str(file)) as process:
        log, port = Log(process), port_of(process)
        write(file, '[log]\nlog_format = "json"\nlog_level = "debug"\n')
        process.send_signal(signal.SIGHUP)
        records = [json.loads(log.next()) for _ in range(2)]
        messages = ['log_level: "info" -> "debug"', 'log_format: "text" -> "json"']
        assert [record["message"] for record in records] == messages
        assert [record["setting"] for record in records] == ["log_level", "log_format"]
        with client(port):
            assert json.loads(log.next())["level"] == "debug"


def test_out_of_descriptors_nothing_changes(file: Path) -> None:
    """A broker that cannot open its file must not fall back to anything."""
    with serving("--config", str(file)) as process:
        log, port = Log(process), port_of(process)
        with client(port) as connection:
            used = max(map(int, os.listdir(f"/proc/{process.pid}/fd"))) + 1
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (used, used))
            process.send_signal(signal.SIGHUP)
            log.until("cannot be read: Too many open files")
            assert is_alive(connection)
            process.terminate()
            assert connection.recv(1) == b""
        assert process.wait(BOUND) == 0


def test_many_hangups_at_once_do_no_harm(file: Path) -> None:
    with serving("--config", str(file)) as process:
        log, port = Log(process), port_of(process)
        with client(port) as connection:
            for number in range(1, 51):
                write(file, f"[session]\nmax_sessions = {number}\n")
                process.send_signal(signal.SIGHUP)
            log.until("-> 50")  # the last word is heeded, however many were skipped
            assert is_alive(connection)
            process.send_signal(signal.SIGHUP)
            process.terminate()
        code, out, err = ends(process)
        assert code == 0
        assert "Traceback" not in out + err and "Error" not in err, err


@contextmanager
def running(program: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A Python program whose last words are `linnet serve` with these words."""
    start = (
        f"import signal, sys\nfrom linnet.cli import main\n{program}\nsys.exit(main.main(['serve', *sys.argv[1:]]))\n"
    )
    command = [sys.executable, "-W", "error", "-c", start, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def test_a_hangup_while_it_starts_is_kept_until_it_runs(file: Path) -> None:
    """The file changes right after it was read, and the hangup comes before there is a broker."""
    program = (
        "import linnet.settings\n"
        "load = linnet.settings.load\n"
        "def load_and_change(file, *rest):\n"
        "    settings = load(file, *rest)\n"
        "    if 'max_sessions' not in file.read_text():\n"
        "        file.write_text(file.read_text() + '[session]\\nmax_sessions = 7\\n')\n"
        "        signal.raise_signal(signal.SIGHUP)\n"
        "    return settings\n"
        "linnet.settings.load = load_and_change\n"
    )
    with running(program, "--config", str(file)) as process:
        assert Log(process).until("7") == ["INFO: max_sessions: 100000 -> 7"]
        assert answer(port_of(process)) == CONNACK


def test_a_hangup_while_it_stops_changes_nothing(file: Path) -> None:
    """Before the broker stops, after it, and when the command is done."""
    program = (
        "import atexit\n"
        "import linnet.server\n"
        "hang_up = lambda: signal.raise_signal(signal.SIGHUP)\n"
        "atexit.register(hang_up)\n"
        "class Broker(linnet.server.Broker):\n"
        "    async def stop(self):\n"
        "        hang_up()\n"
        "        await super().stop()\n"
        "        hang_up()\n"
        "    def reload(self, *settings):\n"
        "        raise AssertionError('it stops')\n"
        "linnet.server.Broker = Broker\n"
    )
    with running(program, "--config", str(file)) as process:
        line(process)
        process.terminate()
        code, _, err = ends(process)
        assert code == 0
        assert [text for text in err.splitlines() if "SIGTERM: the broker stops" not in text] == []


@contextmanager
def in_a_terminal(file: Path, program: str = "") -> Iterator[tuple[int, int, int]]:
    """`linnet serve` as the first process of a terminal: its id, our end of the terminal, and its port."""
    ours, log = os.pipe()
    pid, terminal = pty.fork()
    if pid == 0:
        os.dup2(log, 2)
        start = f"{program}\nimport sys\nfrom linnet.cli import main\nsys.exit(main.main(['serve', *sys.argv[1:]]))"
        os.execl(sys.executable, sys.executable, "-c", start, "--config", str(file))
    os.close(log)
    said = b""
    try:
        while b"\n" not in said:
            assert select.select([terminal], [], [], BOUND)[0]
            said += os.read(terminal, 65536)
        yield pid, terminal, int(PORT.findall(said.decode())[0])
    finally:
        os.close(ours)
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def test_it_stops_when_its_terminal_is_closed_and_not_before(file: Path) -> None:
    with in_a_terminal(file) as (pid, terminal, port), client(port) as connection:
        write(file, '[protocol]\nversions = ["5.0"]\n')
        os.kill(pid, signal.SIGHUP)
        while answer(port) == CONNACK:
            pass  # until the signal was heard
        assert is_alive(connection)
        os.close(terminal)
        assert connection.recv(1) == b""
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_under_nohup_it_stays_when_its_terminal_is_closed(file: Path) -> None:
    program = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    with in_a_terminal(file, program) as (_, terminal, port), client(port) as connection:
        write(file, '[protocol]\nversions = ["5.0"]\n')
        os.close(terminal)
        while answer(port) == CONNACK:
            pass  # it has taken the hangup for a wish to reload
        assert is_alive(connection)


def test_a_terminal_that_cannot_be_opened_for_another_reason_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    hangups = hangup.Hangups.__new__(hangup.Hangups)
    hangups.had_terminal = True
    lost = {}
    for number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENXIO, errno.EIO):

        def fail(*arguments: object, number: int = number) -> int:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "open", fail)
        lost[number] = hangups.lost_terminal()
    assert [number for number, is_lost in lost.items() if is_lost] == [errno.ENXIO, errno.EIO]
