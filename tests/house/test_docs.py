"""The documents are true: links lead somewhere, every setting is described, every example runs."""

import asyncio
import os
import re
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.house.sources import ROOT, label

DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md")])
EXAMPLES = sorted(ROOT.glob("examples/*.py"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BOUND = 40  # seconds; an example that takes so long hangs


def links(path: Path) -> list[str]:
    """The targets of a document's links and pictures, without those that lead out of the repository."""
    prose = re.sub(r"`[^`\n]*`", "", FENCE.sub("", path.read_text()))
    found: list[str] = re.findall(r"\]\(([^()\s]+)(?:\s+\"[^\"]*\")?\)", prose)
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors(path: Path) -> set[str]:
    """The names that the headings of a document can be reached by."""
    headings = re.findall(r"^#+\s+(.*?)\s*#*$", FENCE.sub("", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead(path: Path, link: str) -> bool:
    """Whether a link of a document leads nowhere."""
    file, _, anchor = link.partition("#")
    goal = path if not file else (path.parent / file).resolve()
    if not goal.exists() or ROOT not in (goal, *goal.parents):
        return True
    return bool(anchor) and goal.suffix == ".md" and anchor not in anchors(goal)


@pytest.mark.parametrize("path", DOCUMENTS, ids=label)
def test_links_lead_somewhere(path: Path) -> None:
    assert [link for link in links(path) if dead(path, link)] == []


def test_a_dead_link_is_found() -> None:
    readme = ROOT / "README.md"
    assert dead(readme, "no/such/file.md")
    assert dead(readme, "CHANGELOG.md#no-such-heading")
    assert not dead(readme, "CHANGELOG.md#changelog")


def test_every_setting_is_in_the_reference() -> None:
    from linnet.settings import Settings

    text = (ROOT / "docs" / "configuration.md").read_text()
    missing = [name for name in setting_names(Settings) if not re.search(rf"`[\w.]*\b{name}`", text)]
    assert missing == []


def test_every_counter_and_every_topic_is_in_the_statistics() -> None:
    from linnet import Overview, Statistics
    from linnet.core.sys_table import LOADS, TOPICS
    from linnet.describe import slots_of

    text = (ROOT / "docs" / "statistics.md").read_text()
    rows = [row.split("|")[1] for row in text.splitlines() if row.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    plumbing = {"client_id", "losers", "reported", "whole"}
    counters = {*slots_of(Statistics()), *Statistics.described, *Overview.__slots__, *Overview.described} - plumbing
    assert counters - named == set(), "counters that are not described"
    assert {*TOPICS, "version", "uptime", "drops", "limits/NAME"} - named == set(), "topics that are not described"
    assert {f"load/{name}/" for name in LOADS} - {name.rpartition("/")[0] + "/" for name in named} == set()


def setting_names(settings: type) -> list[str]:
    """The names of all settings, looked for in the groups of the table."""
    found: list[str] = []
    for name, field in getattr(settings, "model_fields", {}).items():
        found += setting_names(field.annotation) if hasattr(field.annotation, "model_fields") else [name]
    assert found, f"{settings} has no settings"
    return found


# Where linnet runs from its sources, nothing tells pytest of the plugin
IS_INSTALLED = any(found.value == "linnet.testing.plugin" for found in entry_points(group="pytest11"))
PLUGIN = {} if IS_INSTALLED else {"PYTEST_PLUGINS": "linnet.testing.plugin"}


async def finish(*command: str, directory: Path) -> None:
    """Run a program in the form under test; it must end by itself, and well."""
    paths = [str(Path(path).resolve()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", *command),
        cwd=directory,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **PLUGIN},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(BOUND):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode()


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=label)
async def test_an_example_runs(path: Path, tmp_path: Path) -> None:
    await finish(str(path), directory=tmp_path)


@pytest.mark.parametrize("path", DOCUMENTS, ids=label)
async def test_the_programs_in_a_document_run(path: Path, tmp_path: Path) -> None:
    programs = [text for language, text in FENCE.findall(path.read_text()) if language == "python"]
    for program in programs:
        await finish("-c", program, directory=tmp_path)
