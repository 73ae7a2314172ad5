#!/usr/bin/env python3
"""Measure linnet's client against its bars: `python benchmarks/clients.py`, which `make bench` runs too.

CPU time of the client's process per message of 64 bytes, for linnet compiled and interpreted, paho-mqtt, aiomqtt and
gmqtt: publishing and receiving at QoS 0, and at QoS 1 with at most 100 messages in flight. All of them talk to the same
broker and take turns; a broker has a core, with whatever sends the messages to be received, and the client the other.
The programs, one for each client, are in `clients/`: each uses its client in the cheapest way that its documentation
knows. How to read the figures: docs/performance.md.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from compare import BrokerProcess, CannotStart, Results, Sample, Spec, fill, pinned
from run import QUICK_DIVISOR, ROOT, has_module, machine, wrong_form
from table import Table, fraction, number, part

PROGRAMS = Path(__file__).resolve().parent / "clients"
COMPILED, INTERPRETED = "linnet", "linnet-pure"
COMPILED_BAR, INTERPRETED_BAR = 1 / 4, 1.0  # CPU time, at most, as a part of the best of the others'
WARM_DIVISOR = 10  # how many times fewer messages warm the client up
LEGEND = "Microseconds of the client's CPU time per message of 64 bytes; the bars are parts of the best of the others'."
ROWS = {
    "publish-q0": "publish QoS 0",
    "publish-q1": "publish QoS 1",
    "receive-q0": "receive QoS 0",
    "receive-q1": "receive QoS 1",
    "single": "publish QoS 1, one at a time",
}
WITHOUT_BAR = "single"


@dataclass(frozen=True, slots=True)
class Entry:
    """A client that takes part: its program, the module it is made of, and how many messages make about a second."""

    program: str
    module: str
    messages: int
    form: str = ""  # what `linnet --version` has to say

    @property
    def is_interpreted(self) -> bool:
        return self.form == "interpreted"


ENTRIES = {
    "paho-mqtt": Entry("use_paho.py", "paho.mqtt", 20_000),
    "aiomqtt": Entry("use_aiomqtt.py", "aiomqtt", 5_000),
    "gmqtt": Entry("use_gmqtt.py", "gmqtt", 30_000),
    COMPILED: Entry("use_linnet.py", "linnet", 200_000, "compiled"),
    INTERPRETED: Entry("use_linnet.py", "linnet", 50_000, "interpreted"),
}
OTHERS = tuple(name for name, entry in ENTRIES.items() if not entry.form)
LIMITS = {"max_output_bytes": 1 << 29, "max_output_bytes_hard": 1 << 29, "max_queued_messages": 1 << 20}
LIMITS |= {"max_queued_bytes": 1 << 29}  # nothing that a slow client has not received yet is dropped
BROKERS: dict[str, Spec] = {
    "linnet": {
        "cmd": ["{python}", "-m", "linnet", "serve", "--listen", "127.0.0.1:{port}"]
        + [word for name, value in LIMITS.items() for word in ("--set", f"{name}={value}")],
    },
    "mosquitto": {
        "cmd": ["mosquitto", "-c", "{conf}"],
        "conf": "listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 100\n"
        "max_queued_messages 0\nmax_queued_bytes 0\nset_tcp_nodelay true\n",
    },
}


class ClientTable(Table):
    """A row for each thing that clients do, a column for each client, and the bars; what misses one has a "!"."""

    def _row(self, scenario: str) -> dict[str, str]:
        cost = {name: self.results.median(scenario, name, "cpu_us") for name in ENTRIES}
        best = min((figure for name in OTHERS if (figure := cost[name]) is not None), default=None)
        row = {"us per message": ROWS[scenario]} | {name: number(cost[name]) for name in OTHERS}
        for name, whose, bar in ((COMPILED, "", COMPILED_BAR), (INTERPRETED, "its ", INTERPRETED_BAR)):
            heading = ENTRIES[name].form if whose else name
            ratio = self._against_the_bar_of(scenario, name, part(cost[name], best), bar)
            limit = "-" if scenario == WITHOUT_BAR or ratio == "-" else fraction(bar)
            row |= {heading: number(cost[name]), f"{whose}ratio": ratio, f"{whose}bar": limit}
        self._errors(scenario)
        return row

    def _against_the_bar_of(self, scenario: str, name: str, ratio: float | None, bar: float) -> str:
        missed = ratio is not None and ratio > bar and scenario != WITHOUT_BAR
        if missed:
            what = f"{ROWS[scenario]}, {ENTRIES[name].form}"
            self.misses.append(f"{what}: {fraction(ratio)} of the best of the others, bar {fraction(bar)}")
        return fraction(ratio) + ("!" if missed else "")


@dataclass(frozen=True, slots=True)
class Bench:
    """One broker, and how each client is measured with it."""

    broker: BrokerProcess
    python: str
    options: argparse.Namespace

    def measure(self, row: str, entry: Entry) -> Sample:
        """Let one client do one thing."""
        divisor = QUICK_DIVISOR if self.options.quick else 1
        messages = whole_windows(entry.messages // divisor)
        warm = whole_windows(messages // WARM_DIVISOR)
        words = [row, str(self.broker.port), self.options.mqtt, str(warm), str(messages)]
        with tempfile.TemporaryFile("w+") as complaints, ExitStack() as stack:
            client = stack.enter_context(self._start(1, entry.program, words, complaints, entry.is_interpreted))
            stack.callback(client.kill)
            alarm = threading.Timer(self.options.timeout, client.kill)
            alarm.start()
            stack.callback(alarm.cancel)
            feeder = None
            if row.startswith("receive"):
                feeder = stack.enter_context(self._start(0, "feeder.py", [words[1], row[-1]], complaints))
                stack.callback(feeder.kill)
            said = listen(client, feeder, (warm, messages))
            if client.wait() or not said:
                return Sample(error=self._why(client, complaints))
        return Sample(received=messages, cpu_us=said["cpu"] / messages * 1e6, per_s=messages / said["seconds"])

    def _why(self, client: subprocess.Popen[str], complaints: IO[str]) -> str:
        """Why a client has no figures."""
        if client.returncode == -signal.SIGKILL:
            return f"no end after {self.options.timeout:g} s"
        complaints.seek(0)
        return (complaints.read().strip().splitlines() or [f"exit code {client.returncode}"])[-1]

    def _start(
        self, core: int, program: str, words: list[str], complaints: IO[str], is_interpreted: bool = False
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*pinned(core), self.python, str(PROGRAMS / program), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env=environment(is_interpreted),
        )


def environment(is_interpreted: bool) -> dict[str, str]:
    """With the sources of linnet before the package that is installed, or without them."""
    others = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return others | ({"PYTHONPATH": str(ROOT / "src")} if is_interpreted else {})


def whole_windows(messages: int) -> int:
    return max(2, messages // 100) * 100


def listen(
    client: subprocess.Popen[str], feeder: subprocess.Popen[str] | None, amounts: tuple[int, ...]
) -> dict[str, float]:
    """Have the client sent what it waits for, until it tells its figures; nothing when it ends without."""
    assert client.stdout is not None
    waiting = iter(amounts)
    for line in client.stdout:
        if line != "next\n":
            figures: dict[str, float] = json.loads(line)
            return figures
        assert feeder is not None and feeder.stdin is not None
        feeder.stdin.write(f"{next(waiting)}\n")
        feeder.stdin.flush()
    return {}


def entries(options: argparse.Namespace, python: str, misses: list[str]) -> dict[str, Entry]:
    """The clients that were asked for and are here; a line for each that is not."""
    found: dict[str, Entry] = {}
    for name in options.only.split(",") if options.only else ENTRIES:
        if name not in ENTRIES:
            sys.exit(f"--only: no client {name!r}; there are {', '.join(ENTRIES)}")
        entry = ENTRIES[name]
        reason = "" if has_module(python, entry.module) else f"the module {entry.module} is not installed"
        if entry.form and not reason:
            path = {"PYTHONPATH": environment(entry.is_interpreted).get("PYTHONPATH", "")}
            reason = wrong_form({"cmd": [python, "-m", "linnet", "serve"], "env": path, "form": entry.form})
        if reason:
            print(f"without {name}: {reason}", file=sys.stderr)
            misses.append(f"{name}: {reason}")
        else:
            found[name] = entry
    return found


def measure_all(bench: Bench, taking_part: dict[str, Entry], rows: list[str], rounds: int) -> Results:
    """Every row and round, the clients taking turns."""
    results = Results()
    for row in rows:
        for round_number in range(1, rounds + 1):
            print(f"{row}, round {round_number} of {rounds}", file=sys.stderr)
            for name, entry in taking_part.items():
                results.add(row, name, bench.measure(row, entry))
    return results


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure linnet's client beside others and against its bars.")
    parser.add_argument("--quick", action="store_true", help="few messages and one round: does it all work?")
    parser.add_argument("--rounds", type=int, help="rounds; the figures are medians (3, with --quick 1)")
    parser.add_argument("--row", default="", help=f"some of {','.join(ROWS)}, separated by commas (all)")
    parser.add_argument("--only", default="", help="clients, separated by commas (all)")
    parser.add_argument("--broker", choices=BROKERS, default="linnet", help="whom they all talk to (linnet)")
    parser.add_argument("--mqtt", choices=["5.0", "3.1.1"], default="5.0", help="the version that they all speak (5.0)")
    parser.add_argument("--markdown", action="store_true", help="print the table for docs/performance.md")
    parser.add_argument("--json", default="", help="write all samples to this file")
    parser.add_argument("--check", action="store_true", help="exit code 1 when a bar is missed")
    parser.add_argument("--bin", default=str(ROOT / ".venv" / "bin"), help="where python and linnet are (.venv/bin)")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds that one client may take (60)")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.rows = options.row.split(",") if options.row else list(ROWS)
    if unknown := [row for row in options.rows if row not in ROWS]:
        parser.error(f"--row: no row {unknown[0]!r}; there are {', '.join(ROWS)}")
    return options


def main() -> int:
    options = parse()
    python, misses = str(Path(options.bin) / "python"), list[str]()
    taking_part, where = entries(options, python, misses), machine({})
    spec = BROKERS[options.broker]
    try:
        broker = BrokerProcess(options.broker, spec | {"cmd": [fill(word, {"python": python}) for word in spec["cmd"]]})
    except CannotStart as reason:
        sys.exit(str(reason))
    try:
        results = measure_all(Bench(broker, python, options), taking_part, options.rows, options.rounds)
    finally:
        broker.stop()
    table = ClientTable(results, misses=misses).build()
    rounds = f"medians of {options.rounds}{' quick' if options.quick else ''} rounds"
    print(f"{where}; MQTT {options.mqtt} with the broker {options.broker}; {rounds}. {LEGEND}\n")
    print(table.markdown() if options.markdown else table.text())
    for miss in table.misses:
        print(f"missed: {miss}", file=sys.stderr if options.markdown else sys.stdout)
    if options.json:
        everything = {"machine": where, "misses": table.misses, "samples": results.plain()}
        Path(options.json).write_text(json.dumps(everything, indent=1))
    return 1 if options.check and table.misses else 0


if __name__ == "__main__":
    sys.exit(main())
