#!/usr/bin/env python3
"""Measure linnet against its bars: `make bench`, or `python benchmarks/run.py --help`.

Builds the load generator and the relay, starts Debian's mosquitto, the relay, linnet in all its forms
(compiled on asyncio with MQTT 3.1.1 clients and again with 5.0 clients, interpreted, on uvloop when that is
installed) and FlashMQ when it is on the PATH, lets them take turns in every scenario, and prints one table.
How to read it: docs/performance.md.
"""

import argparse
import importlib.util
import json
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

from compare import (
    SCENARIOS,
    SEARCH,
    BrokerProcess,
    CannotStart,
    Results,
    Sample,
    Spec,
    fill,
    measure,
    pinned,
)
from table import PEER, UNITS, Table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
QUICK_DIVISOR = 20  # --quick sends this many times fewer messages
TOOLS = ("mqload", "relay")
LEGEND = "Microseconds of the broker's CPU time per delivered message, where no unit is given."
WARM_UP = "-s pairs -P 5 -n 500 -w 20"


def build_tools(build: Path) -> None:
    """Compile the C tools into `build`, when they are older than their source."""
    build.mkdir(parents=True, exist_ok=True)
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    for tool in TOOLS:
        source, target = HERE / f"{tool}.c", build / tool
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            continue
        if compiler is None:
            sys.exit("no C compiler: the load generator is written in C (Debian: apt-get install gcc libc6-dev)")
        subprocess.run([*compiler.split(), "-O2", "-o", str(target), str(source)], check=True)


def places(options: argparse.Namespace) -> dict[str, str]:
    """What "{python}" and its like in brokers.json stand for."""
    scripts = Path(options.bin)
    python, linnet = scripts / "python", scripts / "linnet"
    return {
        "root": str(ROOT),
        "build": str(Path(options.build).resolve()),
        "python": str(python) if python.exists() else sys.executable,
        "linnet": str(linnet) if linnet.exists() else "linnet",
    }


def has_module(python: str, module: str) -> bool:
    if python == sys.executable:
        return importlib.util.find_spec(module) is not None
    run = subprocess.run([python, "-c", f"import {module}"], check=False, capture_output=True)
    return run.returncode == 0


def contenders(options: argparse.Namespace, misses: list[str]) -> dict[str, Spec]:
    """The brokers of brokers.json that were asked for and are here; a line for each that is not."""
    known, where = json.loads(Path(options.brokers).read_text()), places(options)
    found: dict[str, Spec] = {}
    for name in options.only.split(",") if options.only else known:
        if name not in known:
            sys.exit(f"--only: no broker {name!r} in {options.brokers}; there are {', '.join(known)}")
        spec: Spec = known[name]
        spec["cmd"] = [fill(word, where) for word in spec["cmd"]]
        spec["env"] = {key: fill(value, where) for key, value in spec.get("env", {}).items()}
        if reason := absent(spec, where["python"]) or wrong_form(spec):
            print(f"without {name}: {reason}", file=sys.stderr)
            if not spec.get("optional"):
                misses.append(f"{name}: {reason}")
        else:
            found[name] = spec
    return found


def absent(spec: Spec, python: str) -> str:
    """Why this broker cannot be run here, or ""."""
    if shutil.which(spec["cmd"][0], path=SEARCH) is None:
        return f"{spec['cmd'][0]} is not here"
    if "module" in spec and not has_module(python, spec["module"]):
        return f"the module {spec['module']} is not installed"
    return ""


def wrong_form(spec: Spec) -> str:
    """A sentence when linnet is not in the form (compiled, interpreted) that is to be measured, or ""."""
    if "form" not in spec:
        return ""
    command = [*spec["cmd"][: spec["cmd"].index("serve")], "--version"]
    said = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, **spec["env"]})
    version = (said.stdout + said.stderr).strip() or "nothing"
    return "" if spec["form"] in version else f"should be {spec['form']}, but says {version.splitlines()[-1]}"


def machine(specs: dict[str, Spec]) -> str:
    """What this was measured on, in one line."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    words = [
        model[1] if model else platform.machine(),
        f"{os.cpu_count()} cores",
        f"Linux {platform.release()}",
    ]
    words.append(f"CPython {platform.python_version()}")
    if PEER in specs:
        program = shutil.which(specs[PEER]["cmd"][0], path=SEARCH) or PEER
        said = subprocess.run([program, "-h"], check=False, capture_output=True, text=True).stdout
        words.append(said.splitlines()[0] if said else PEER)
    words.append(f"load average {os.getloadavg()[0]:.1f} at the start")
    return ", ".join(words)


def scenario_arguments(name: str, quick: bool) -> str:
    """mqload's arguments; with --quick a small part of the messages."""
    words = SCENARIOS[name].split()
    if quick:
        at = words.index("-n") + 1
        words[at] = str(max(200, int(words[at]) // QUICK_DIVISOR))
    return " ".join(words)


def measure_startup(name: str, spec: Spec) -> Sample:
    """Milliseconds from the start of the process to its first CONNACK."""
    broker = BrokerProcess(name, spec)
    broker.stop()
    return Sample(value=broker.startup_seconds * 1000)


def measure_idle(name: str, spec: Spec, mqload: str, connections: int) -> Sample:
    """KiB of resident memory per idle connection with one subscription, in a fresh, warmed-up broker."""
    broker = BrokerProcess(name, spec)
    try:
        if (warm := measure(broker, mqload, WARM_UP, 60)).error:
            return warm
        before = broker.rss()
        command = [*pinned(1), mqload, "-p", str(broker.port), "-s", "idle", "-S", str(connections)]
        command += spec.get("mqload", [])
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
            assert load.stdout is not None
            if not load.stdout.readline():
                return Sample(error="the idle connections were not accepted")
            value = (broker.rss() - before) / connections
            load.communicate()
        return Sample(value=value, rss_kib=broker.rss())
    finally:
        broker.stop()


def measure_one(scenario: str, broker: BrokerProcess, mqload: str, options: argparse.Namespace) -> Sample:
    name, spec = broker.name, broker.spec
    try:
        if scenario == "startup":
            return measure_startup(name, spec)
        if scenario == "idle":
            return measure_idle(name, spec, mqload, options.idle // (10 if options.quick else 1))
        return measure(broker, mqload, scenario_arguments(scenario, options.quick), options.timeout)
    except CannotStart as reason:
        return Sample(error=str(reason))


def measure_all(
    specs: dict[str, Spec], scenarios: list[str], options: argparse.Namespace, misses: list[str]
) -> Results:
    """Every scenario and round, the brokers taking turns; all brokers run from the beginning to the end."""
    results, brokers, mqload = Results(), list[BrokerProcess](), str(Path(options.build).resolve() / "mqload")
    try:
        for name, spec in specs.items():
            try:
                brokers.append(BrokerProcess(name, spec))
            except CannotStart as reason:
                print(f"without {reason}", file=sys.stderr)
                misses.append(str(reason))
        for scenario in scenarios:
            for round_number in range(1, options.rounds + 1):
                print(f"{scenario}, round {round_number} of {options.rounds}", file=sys.stderr)
                for broker in brokers:
                    if scenario not in broker.spec.get("skip", []):
                        results.add(scenario, broker.name, measure_one(scenario, broker, mqload, options))
    finally:
        for broker in brokers:
            broker.stop()
    return results


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure linnet beside other brokers and against its bars.")
    parser.add_argument("--quick", action="store_true", help="few messages and one round: does it all work?")
    parser.add_argument("--rounds", type=int, help="rounds; the figures are medians (3, with --quick 1)")
    parser.add_argument("--scenario", default="", help="scenarios, separated by commas (all)")
    parser.add_argument("--only", default="", help="brokers, separated by commas (all that are here)")
    parser.add_argument("--markdown", action="store_true", help="print the table for docs/performance.md")
    parser.add_argument("--json", default="", help="write all samples to this file")
    parser.add_argument("--check", action="store_true", help="exit code 1 when a bar is missed")
    parser.add_argument("--bin", default=str(ROOT / ".venv" / "bin"), help="where python and linnet are (.venv/bin)")
    parser.add_argument("--build", default=str(ROOT / "build" / "bench"), help="where the C tools go (build/bench)")
    parser.add_argument("--brokers", default=str(HERE / "brokers.json"), help="the contenders (brokers.json)")
    parser.add_argument("--idle", type=int, default=5000, help="connections of the scenario idle (5000)")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds for one run of mqload (120)")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    return options


def report(table: Table, where: str, options: argparse.Namespace) -> None:
    """Print the table, and write the file of --json."""
    print(f"{where}; medians of {options.rounds}{' quick' if options.quick else ''} rounds. {LEGEND}\n")
    print(table.markdown() if options.markdown else table.text())
    for miss in table.misses:
        print(f"missed: {miss}", file=sys.stderr if options.markdown else sys.stdout)
    if options.json:
        everything = {"machine": where, "misses": table.misses, "samples": table.results.plain()}
        Path(options.json).write_text(json.dumps(everything, indent=1))


def main() -> int:
    options = parse()
    known = [*SCENARIOS, *UNITS]
    scenarios = options.scenario.split(",") if options.scenario else known
    if unknown := [name for name in scenarios if name not in known]:
        sys.exit(f"--scenario: no scenario {unknown[0]!r}; there are {', '.join(known)}")
    build_tools(Path(options.build))
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    misses: list[str] = []
    specs = contenders(options, misses)
    where = machine(specs)
    results = measure_all(specs, scenarios, options, misses)
    table = Table(results, misses=misses).build()
    report(table, where, options)
    return 1 if options.check and table.misses else 0


if __name__ == "__main__":
    sys.exit(main())
