"""`make bench` measures what it says, in every form of linnet, and does not rot."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])

pytestmark = pytest.mark.system


@dataclass
class Bench:
    """A finished run of run.py."""

    code: int
    output: str
    samples: dict[str, dict[str, list[dict[str, Any]]]]
    misses: list[str]


@pytest.fixture(scope="module")
def tools() -> None:
    """What the benchmarks need besides Python."""
    if not any(shutil.which(compiler) for compiler in ("cc", "gcc", "clang")):
        pytest.skip("no C compiler for the load generator")
    if not shutil.which("mosquitto", path=SEARCH):
        pytest.skip("mosquitto is not installed (Debian: apt-get install mosquitto)")


def bench(place: Path, *arguments: str) -> Bench:
    """Run run.py --quick with the linnet that belongs to this Python, building the C tools in `place`."""
    command = [sys.executable, str(BENCHMARKS / "run.py"), "--quick", "--build", str(place)]
    command += ["--bin", str(Path(sys.executable).parent), "--json", str(place / "samples.json"), *arguments]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=50)
    assert (place / "samples.json").exists(), run.stdout + run.stderr
    said = json.loads((place / "samples.json").read_text())
    return Bench(run.returncode, run.stdout, said["samples"], said["misses"])


def is_compiled() -> bool:
    from linnet.wire import frames

    return not str(frames.__file__).endswith(".py")


def test_every_broker_delivers_every_message_and_stands_in_the_table(tools: None, tmp_path: Path) -> None:
    brokers = ["mosquitto", "relay", "linnet-pure"] + (["linnet", "linnet-v5"] if is_compiled() else [])
    done = bench(tmp_path, "--scenario", "fanout200", "--only", ",".join(brokers))
    assert sorted(done.samples["fanout200"]) == sorted(brokers), done.output
    for broker, (sample,) in done.samples["fanout200"].items():
        assert sample["error"] == "", broker
        assert sample["received"] == 400 * 200, broker
        assert sample["lost"] == 0, broker
        assert sample["cpu_us"] > 0, broker
        assert sample["rss_kib"] > 1000 or broker == "relay", broker
    assert "interpreted" in done.output
    assert ("5.0 / 3.1.1" in done.output) == is_compiled()


def test_the_generator_speaks_both_versions_at_every_qos(tools: None, tmp_path: Path) -> None:
    known = json.loads((BENCHMARKS / "brokers.json").read_text())
    known["mosquitto-v5"] = {**known["mosquitto"], "mqload": ["-V", "5"]}
    known["linnet-pure-v5"] = {**known["linnet-pure"], "mqload": ["-V", "5"]}
    (tmp_path / "brokers.json").write_text(json.dumps(known))
    brokers = ["mosquitto", "mosquitto-v5", "linnet-pure", "linnet-pure-v5"]
    done = bench(
        tmp_path,
        *("--brokers", str(tmp_path / "brokers.json"), "--only", ",".join(brokers)),
        *("--scenario", "pairs50-q0,pairs50-q1,pairs50-q2"),
    )
    for scenario, messages in (("pairs50-q0", 40000), ("pairs50-q1", 10000), ("pairs50-q2", 5000)):
        for broker in brokers:
            (sample,) = done.samples[scenario][broker]
            assert (sample["error"], sample["received"]) == ("", messages), (scenario, broker)


def test_startup_and_idle_connections_are_measured(tools: None, tmp_path: Path) -> None:
    done = bench(tmp_path, "--scenario", "startup,idle", "--only", "mosquitto,linnet-pure")
    for scenario in ("startup", "idle"):
        for broker in ("mosquitto", "linnet-pure"):
            (sample,) = done.samples[scenario][broker]
            assert sample["error"] == "", (scenario, broker)
            assert sample["value"] > 0, (scenario, broker)
    assert "startup (ms)" in done.output
    assert "idle (KiB/connection)" in done.output


def test_a_broker_that_does_not_start_is_a_miss_and_the_others_are_measured(tools: None, tmp_path: Path) -> None:
    known = json.loads((BENCHMARKS / "brokers.json").read_text())
    known["broken"] = {"cmd": ["sh", "-c", "echo no such luck; exit 3"]}
    (tmp_path / "brokers.json").write_text(json.dumps(known))
    arguments = [
        "--brokers",
        str(tmp_path / "brokers.json"),
        "--only",
        "relay,broken",
        "--scenario",
        "fanin50",
    ]
    done = bench(tmp_path, *arguments, "--check")
    assert done.code == 1
    assert done.misses == ["broken did not start: no such luck"]
    assert list(done.samples["fanin50"]) == ["relay"]
    assert bench(tmp_path, *arguments).code == 0
