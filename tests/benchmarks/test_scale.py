"""`make scale` measures everything that it says, loses nothing, and misses no bar in silence."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"

pytestmark = pytest.mark.system

Figures = dict[str, dict[str, float]]


def scale(place: Path, only: str) -> Figures:
    """The figures of scale.py --quick with the linnet that belongs to this Python, by what they are about."""
    if not any(shutil.which(compiler) for compiler in ("cc", "gcc", "clang")):
        pytest.skip("no C compiler for the load generator")
    paths = [str(Path(path).resolve()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    command = [sys.executable, str(BENCHMARKS / "scale.py"), "--quick", "--build", str(place), "--only", only]
    command += ["--bin", str(Path(sys.executable).parent), "--json", str(place / "figures.json")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=50, env=environment)
    assert run.returncode == 0, run.stdout + run.stderr
    said = json.loads((place / "figures.json").read_text())
    assert all(figure["what"] in run.stdout for figure in said["figures"])
    return {figure["what"]: figure for figure in said["figures"]}


def test_connections_and_subscriptions_are_measured(tmp_path: Path) -> None:
    figures = scale(tmp_path, "connections,subscriptions")
    assert [figure["bar"] for figure in figures.values() if figure["bar"]] == [4096, 5.0, 600, 1.5, 1.5]
    assert all(figure["value"] > 0 for figure in figures.values())


def test_a_client_beside_is_listened_to_and_nothing_is_lost(tmp_path: Path) -> None:
    figures = scale(tmp_path, "at-rest,fanout,retained,slow-readers")
    pings = {what: figure for what, figure in figures.items() if what.startswith("PINGRESP")}
    assert [figure["bar"] for figure in pings.values()] == [None, None, None, 50.0, 50.0, 50.0, 50.0]
    assert all(figure["value"] > 0 for figure in pings.values())
    lost = {what: figure["value"] for what, figure in figures.items() if "lost" in what or "did not get" in what}
    assert list(lost.values()) == [0, 0, 0], lost


def test_a_missed_bar_is_an_exit_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import scale as module

    for value, code in ((49.0, 0), (51.0, 1)):
        figure = module.Figure("PINGRESP", value, "ms", 50.0)
        monkeypatch.setattr(module, "MEASUREMENTS", {"one": lambda _, figure=figure: iter([figure])})
        monkeypatch.setattr(sys, "argv", ["scale.py", "--check", "--quick", "--build", str(tmp_path)])
        assert module.main() == code
        assert ("NO" in module.table([figure], False)) == bool(code)
