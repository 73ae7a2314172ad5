"""The clients are measured side by side, each does what it says, and the bars are judged rightly."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
BARS = ["publish-q0", "publish-q1", "receive-q0", "receive-q1"]


def is_compiled() -> bool:
    from linnet.wire import frames

    return not str(frames.__file__).endswith(".py")


def run(place: Path, *arguments: str) -> tuple[int, str, dict[str, Any]]:
    """Exit code, output and file of clients.py --quick, with the linnet that belongs to this Python."""
    command = [sys.executable, str(BENCHMARKS / "clients.py"), "--quick", "--bin", str(Path(sys.executable).parent)]
    command += ["--json", str(place / "samples.json"), *arguments]
    paths = [str(Path(path).resolve()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=50, env=environment)
    assert (place / "samples.json").exists(), done.stdout + done.stderr
    return done.returncode, done.stdout, json.loads((place / "samples.json").read_text())


@pytest.mark.system
def test_every_client_does_it_all(tmp_path: Path) -> None:
    names = ["paho-mqtt", "aiomqtt", "gmqtt", "linnet-pure"] + (["linnet"] if is_compiled() else [])
    _, output, said = run(tmp_path, "--only", ",".join(names))
    assert list(said["samples"]) == [*BARS, "single"], output
    for row, samples in said["samples"].items():
        assert sorted(samples) == sorted(names), row
        for name, (sample,) in samples.items():
            assert sample["error"] == "", (row, name)
            assert sample["cpu_us"] > 0 and sample["per_s"] > 0, (row, name)
    assert all(name in output for name in ("paho-mqtt", "aiomqtt", "gmqtt", "interpreted"))


@pytest.mark.system
def test_a_client_that_does_not_end_is_a_miss(tmp_path: Path) -> None:
    only = ("--row", "publish-q0", "--only", "gmqtt", "--check")
    code, output, said = run(tmp_path, *only, "--timeout", "0")
    assert code == 1
    assert said["misses"] == ["publish-q0: gmqtt failed: no end after 0 s"]
    assert "missed: publish-q0" in output
    assert run(tmp_path, *only)[0] == 0


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Judges one row: client names to what a message costs them."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    compare, clients = importlib.import_module("compare"), importlib.import_module("clients")

    def judged(row: str, **costs: float) -> Any:
        results = compare.Results()
        for name, cost in costs.items():
            results.add(row, name.replace("_", "-"), compare.Sample(cpu_us=cost))
        return clients.ClientTable(results).build()

    return judged


OTHERS = {"paho_mqtt": 20.0, "aiomqtt": 40.0, "gmqtt": 8.0}


@pytest.mark.parametrize("row", BARS)
@pytest.mark.parametrize(("ours", "ratio"), [(2.0, "1/4.0"), (2.1, "1/3.8!")])
def test_the_compiled_client_costs_a_quarter_of_the_best(judge: Any, row: str, ours: float, ratio: str) -> None:
    table = judge(row, **OTHERS, linnet=ours)
    assert (table.rows[0]["linnet"], table.rows[0]["ratio"], table.rows[0]["bar"]) == (f"{ours:.2f}", ratio, "1/4.0")
    assert [miss.split(": ")[1] for miss in table.misses] == ["1/3.8 of the best of the others, bar 1/4.0"] * (ours > 2)


@pytest.mark.parametrize(("ours", "ratio"), [(8.0, "1.00"), (8.1, "1.01!")])
def test_the_interpreted_client_costs_no_more_than_the_best(judge: Any, ours: float, ratio: str) -> None:
    table = judge("publish-q1", **OTHERS, linnet_pure=ours)
    assert (table.rows[0]["interpreted"], table.rows[0]["its ratio"]) == (f"{ours:.2f}", ratio)
    assert [miss.split(":")[0] for miss in table.misses] == ["publish QoS 1, interpreted"] * (ours > 8)


def test_one_at_a_time_has_no_bar(judge: Any) -> None:
    table = judge("single", **OTHERS, linnet=16.0, linnet_pure=24.0)
    assert table.misses == []
    assert [table.rows[0][name] for name in ("ratio", "bar", "its ratio", "its bar")] == ["2.00", "-", "3.00", "-"]


def test_where_the_others_are_absent_nothing_is_judged(judge: Any) -> None:
    table = judge("receive-q0", linnet=1.0)
    assert (table.misses, table.columns()) == ([], ["us per message", "linnet"])
