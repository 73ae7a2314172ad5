"""The lists of statements are in order, and the report counts what it should and nothing else."""

import re
import subprocess
import sys

import pytest

from tests.conformance.report import ROOT, TITLES, VERSIONS, Statement, collect, faults, statements

SAMPLE = """
import pytest
from types import SimpleNamespace

@pytest.mark.parametrize("version", [SimpleNamespace(name="5.0")])
@pytest.mark.clause("5.0:MQTT-3.1.0-1", "3.1.1:MQTT-3.1.0-1", "5.0:MQTT-9.9.9-9")
async def test_one(version): ...

@pytest.mark.skip
@pytest.mark.clause("5.0:MQTT-3.1.0-2")
async def test_skipped(): ...

@pytest.mark.clause("3.1.1:MQTT-3.1.0-2")
async def test_for_no_version_in_particular(): ...
"""


@pytest.fixture
def rows() -> dict[str, Statement]:
    return {one.tag: one for version in VERSIONS for one in statements(version)}


@pytest.mark.parametrize(("version", "count"), [("3.1.1", 141), ("5.0", 251)])
def test_every_statement_of_the_standard_is_listed(version: str, count: int) -> None:
    assert len(statements(version)) == count


@pytest.mark.parametrize("version", VERSIONS)
def test_numbers_have_no_gaps(version: str) -> None:
    numbers: dict[str, list[int]] = {}
    for one in statements(version):
        section, _, number = one.id.removeprefix("MQTT-").rpartition("-")
        numbers.setdefault(section, []).append(int(number))
    numbers.get("2.2.1", []).insert(0, 1)  # the standard of 5.0 has none with this number
    assert all(sorted(found) == list(range(1, len(found) + 1)) for found in numbers.values())


@pytest.mark.parametrize("version", VERSIONS)
def test_every_entry_is_whole(version: str) -> None:
    for one in statements(version):
        assert re.fullmatch(r"MQTT-[1-7]\.\d+\.\d+-\d+", one.id)
        assert one.binds in {"server", "client", "both", "sender", "receiver"}, one.id
        assert one.chapter in TITLES, one.id
        assert one.says.endswith(".") and len(one.says) > 10, one.id
        assert bool(one.later) == bool(one.reason), f"{one.id}: later and reason belong together"
        assert not one.enforced or one.binds == "client", f"{one.id} binds a server anyhow"


def test_only_what_runs_for_a_version_counts(tmp_path, rows: dict[str, Statement]) -> None:
    (tmp_path / "test_sample.py").write_text(SAMPLE)
    tags = collect(tmp_path)
    assert set(tags.proved) & set(rows) == {"5.0:MQTT-3.1.0-1", "3.1.1:MQTT-3.1.0-2"}
    assert [text.partition(" names ")[2] for text in faults(rows, tags)] == [
        "5.0:MQTT-9.9.9-9, and there is no such statement",
        "3.1.1:MQTT-3.1.0-1, and does not run for that version",
    ]


def test_every_statement_that_binds_a_server_has_a_test() -> None:
    command = [sys.executable, "-m", "tests.conformance.report"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
