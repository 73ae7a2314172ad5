#!/usr/bin/env python3
"""Measure brokers side by side in one run, with mqload as the only load generator.

    compare.py --mqload ./mqload --brokers brokers.json [--rounds 3] [--only NAME,...] [--scenario NAME,...]

Each broker is pinned to one core and mqload to another (two cores are enough), the brokers take turns within
each scenario, and every figure is the median of the rounds. The figure of merit is the broker's own CPU time
per delivered message (user and system, all its threads and children), because it does not depend on how fast
the generator is; throughput and latency are printed beside it.

brokers.json maps a name to

    cmd      the command; "{port}", "{dir}" (an empty directory of its own) and "{conf}" are filled in
    conf     the text of a configuration file, written to "{conf}"; filled in likewise
    env      environment variables to add; filled in likewise
    mqload   more arguments for mqload, such as ["-V", "5"]
    skip     the names of scenarios this broker cannot do

and run.py looks at three more: `form`, a word that the output of its --version must contain; `module`, a
Python module the broker needs; `optional`, true when nothing is amiss without it.

`run.py` is the same measurement with the project's own bars; this file is enough for any other comparison.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SCENARIOS = {
    "pairs1-q0": "-s pairs -P 1 -n 600000 -w 2000",
    "pairs50-q0": "-s pairs -P 50 -n 800000 -w 100",
    "lockstep50": "-s pairs -P 50 -n 150000 -w 1",
    "fanout200": "-s fanout -S 200 -n 8000 -w 50",
    "fanin50": "-s fanin -P 50 -n 600000 -w 100",
    "wild50": "-s wild -P 50 -n 400000 -w 100",
    "pairs50-q1": "-s pairs -P 50 -n 200000 -q 1 -w 20",
    "pairs50-q2": "-s pairs -P 50 -n 100000 -q 2 -w 20",
    "rate5000": "-s pairs -P 50 -n 20000 -r 5000",
    "big64k": "-s pairs -P 4 -n 8000 -b 65536 -w 8",
}
SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
CONNECT = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x3c\x00\x05first"

Spec = dict[str, Any]


class CannotStart(Exception):
    """The broker did not accept a connection; the text says why."""


def fill(text: str, places: dict[str, str]) -> str:
    """Replace "{name}" by its value, for the names in `places` only (configuration files have braces too)."""
    for name, value in places.items():
        text = text.replace("{" + name + "}", value)
    return text


def process_tree(pid: int) -> list[int]:
    """The process and all its living descendants."""
    found = [pid]
    with suppress(OSError):  # it may end while we look
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += process_tree(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of the process and its descendants, from their CPU clocks.

    /proc/PID/stat counts in ticks of 10 ms, a tenth of what a fast scenario costs altogether; the CPU clock
    of a process (its number is made of the pid as clock_getcpuclockid does) counts in nanoseconds.
    """
    total = 0.0
    for member in process_tree(pid):
        with suppress(OSError):  # it may end while we look
            total += time.clock_gettime(~member << 3 | 2)
    return total


def rss_kib(pid: int) -> int:
    """Resident memory of the process and its descendants, in KiB."""
    total = 0
    for member in process_tree(pid):
        try:
            lines = Path(f"/proc/{member}/status").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    return total


def pinned(which: int) -> list[str]:
    """The command prefix that pins to the first (0: brokers) or second (1: mqload) core we may use."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2 or not shutil.which("taskset"):
        return []
    return ["taskset", "-c", str(cores[which])]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """Does somebody answer a CONNECT with a CONNACK on this port?"""
    try:
        with socket.create_connection(("127.0.0.1", port), 0.5) as client:
            client.sendall(CONNECT)
            return client.recv(4)[:1] == b"\x20"
    except OSError:
        return False


class BrokerProcess:
    """One broker running as its own process, pinned to the broker core."""

    def __init__(self, name: str, spec: Spec, patience: float = 15.0) -> None:
        self.name, self.spec = name, spec
        self.port = free_port()
        self.dir = tempfile.mkdtemp(prefix=f"bench-{name}-")
        places = {"port": str(self.port), "dir": self.dir, "conf": os.path.join(self.dir, "broker.conf")}
        Path(places["conf"]).write_text(fill(spec.get("conf", ""), places))
        self.log = Path(self.dir, "log")
        command = [fill(word, places) for word in spec["cmd"]]
        program = shutil.which(command[0], path=SEARCH)
        if program is None:
            raise CannotStart(f"{name}: {command[0]} not found")
        environment = {**os.environ, **{k: fill(v, places) for k, v in spec.get("env", {}).items()}}
        with self.log.open("w") as log:
            began = time.perf_counter()
            self.process = subprocess.Popen(
                [*pinned(0), program, *command[1:]], stdout=log, stderr=log, cwd=self.dir, env=environment
            )
        self.startup_seconds = self._wait_until_it_accepts(began, patience)

    def _wait_until_it_accepts(self, began: float, patience: float) -> float:
        while time.perf_counter() - began < patience and self.process.poll() is None:
            if accepts(self.port):
                return time.perf_counter() - began
            time.sleep(0.001)
        reason = self.log.read_text(errors="replace")[-600:].strip() or f"no answer in {patience:.0f} s"
        self.stop()
        raise CannotStart(f"{self.name} did not start: {reason}")

    def cpu(self) -> float:
        return cpu_seconds(self.process.pid)

    def rss(self) -> int:
        return rss_kib(self.process.pid)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


@dataclass(slots=True)
class Sample:
    """One broker, one scenario, one round."""

    error: str = ""
    received: int = 0
    lost: int = 0
    cpu_us: float = 0.0
    per_s: float = 0.0
    p50_us: float = 0.0
    p99_us: float = 0.0
    rss_kib: int = 0
    value: float = 0.0  # of a scenario that is not about messages: milliseconds, KiB


@dataclass(slots=True)
class Results:
    """All samples of a run, by scenario and broker."""

    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)

    def add(self, scenario: str, broker: str, sample: Sample) -> None:
        self.samples.setdefault(scenario, {}).setdefault(broker, []).append(sample)

    def good(self, scenario: str, broker: str) -> list[Sample]:
        return [s for s in self.samples.get(scenario, {}).get(broker, []) if not s.error]

    def error(self, scenario: str, broker: str) -> str:
        """The first error among the rounds, or ""."""
        return next((s.error for s in self.samples.get(scenario, {}).get(broker, []) if s.error), "")

    def median(self, scenario: str, broker: str, figure: str) -> float | None:
        """The median of the rounds that went well; None when there is none."""
        values = [float(getattr(sample, figure)) for sample in self.good(scenario, broker)]
        return statistics.median(values) if values else None

    def lost(self, scenario: str, broker: str) -> int | None:
        """The messages lost in the worst round; None when there is none."""
        return max((sample.lost for sample in self.good(scenario, broker)), default=None)

    def plain(self) -> dict[str, dict[str, list[dict[str, Any]]]]:
        return {s: {b: [asdict(x) for x in rows] for b, rows in of.items()} for s, of in self.samples.items()}


def measure(broker: BrokerProcess, mqload: str, arguments: str, timeout: float) -> Sample:
    """Load the broker once."""
    command = [*pinned(1), mqload, "-p", str(broker.port), *arguments.split(), *broker.spec.get("mqload", [])]
    before = broker.cpu()
    try:
        run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return Sample(error=f"no end after {timeout:.0f} s")
    used = broker.cpu() - before
    if run.returncode != 0 or not run.stdout.strip():
        return Sample(error=run.stderr.strip()[-80:] or f"mqload exit code {run.returncode}")
    said = json.loads(run.stdout)
    sample = Sample(cpu_us=used / max(1, said["received"]) * 1e6, rss_kib=broker.rss())
    for name in ("received", "lost", "per_s", "p50_us", "p99_us"):
        setattr(sample, name, said[name])
    return sample


def take_turns(
    brokers: list[BrokerProcess], scenarios: dict[str, str], rounds: int, mqload: str, timeout: float
) -> Results:
    """Every scenario, `rounds` times, the brokers one after the other within each round."""
    results = Results()
    for scenario, arguments in scenarios.items():
        for _ in range(rounds):
            for broker in brokers:
                if scenario not in broker.spec.get("skip", []):
                    results.add(scenario, broker.name, measure(broker, mqload, arguments, timeout))
    return results


FIGURES = {
    "cpu_us": "cpu us/msg",
    "per_s": "msgs/s",
    "p50_us": "p50 us",
    "p99_us": "p99 us",
    "rss_kib": "RSS KiB",
}


def plain_line(results: Results, scenario: str, broker: str) -> str:
    rows, good = results.samples[scenario][broker], results.good(scenario, broker)
    if not good:
        return f"{scenario:<12}{broker:<16} {results.error(scenario, broker)}"
    medians = {figure: results.median(scenario, broker, figure) or 0.0 for figure in FIGURES}
    line = "".join(f"{value:>12.{3 if figure == 'cpu_us' else 0}f}" for figure, value in medians.items())
    failed = "" if len(good) == len(rows) else f"  ({len(rows) - len(good)} failed)"
    return f"{scenario:<12}{broker:<16}{line}{results.lost(scenario, broker):>8}{failed}"


def plain_table(results: Results) -> str:
    """A line for each scenario and broker."""
    head = f"{'scenario':<12}{'broker':<16}" + "".join(f"{name:>12}" for name in FIGURES.values()) + f"{'lost':>8}"
    return "\n".join([head, *(plain_line(results, s, b) for s, of in results.samples.items() for b in of)])


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure brokers side by side.")
    parser.add_argument("--mqload", required=True, help="the compiled load generator")
    parser.add_argument("--brokers", required=True, help="a file like brokers.json")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="brokers, separated by commas")
    parser.add_argument("--scenario", default="", help="scenarios, separated by commas")
    parser.add_argument("--json", default="", help="write all samples to this file")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds for one run of mqload")
    options = parser.parse_args()
    specs: dict[str, Spec] = json.loads(Path(options.brokers).read_text())
    names = options.only.split(",") if options.only else list(specs)
    chosen = options.scenario.split(",") if options.scenario else list(SCENARIOS)
    brokers: list[BrokerProcess] = []
    try:
        for name in names:
            brokers.append(BrokerProcess(name, specs[name]))
        scenarios = {name: SCENARIOS[name] for name in chosen}
        results = take_turns(brokers, scenarios, options.rounds, options.mqload, options.timeout)
    finally:
        for broker in brokers:
            broker.stop()
    print(plain_table(results))
    if options.json:
        Path(options.json).write_text(json.dumps(results.plain(), indent=1))


if __name__ == "__main__":
    main()
