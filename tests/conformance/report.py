"""Which normative statements of MQTT 3.1.1 and 5.0 have a test, and which have none.

    python -m tests.conformance.report            # counts for each chapter, and what is missing
    python -m tests.conformance.report --tests    # every statement, and the tests that prove it

The statements stand in statements_*.toml. A test names what it proves:

    @pytest.mark.clause("5.0:MQTT-3.1.0-1", "3.1.1:MQTT-3.1.0-1")

Only what pytest collects from tests/ counts, and of that nothing marked to be skipped or to fail. Of a test
that is parametrized over `version`, a run for 5.0 proves nothing about 3.1.1, and the reverse. The exit code
is 1 if a statement has no test, if a tag names a statement that does not exist or a version that the test
does not run for, or if a file of tests cannot be read.
"""

import contextlib
import io
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VERSIONS = ("3.1.1", "5.0")
TITLES = {
    "1": "Data representation",
    "2": "Control packet format",
    "3.1": "CONNECT",
    "3.2": "CONNACK",
    "3.3": "PUBLISH",
    "3.4": "PUBACK",
    "3.5": "PUBREC",
    "3.6": "PUBREL",
    "3.7": "PUBCOMP",
    "3.8": "SUBSCRIBE",
    "3.9": "SUBACK",
    "3.10": "UNSUBSCRIBE",
    "3.11": "UNSUBACK",
    "3.12": "PINGREQ",
    "3.14": "DISCONNECT",
    "3.15": "AUTH",
    "4": "Operational behaviour",
    "6": "WebSocket",
    "7": "Conformance",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """One normative statement of one version of MQTT."""

    version: str
    id: str
    binds: str
    says: str
    enforced: bool = False
    later: str = ""
    reason: str = ""

    @property
    def tag(self) -> str:
        return f"{self.version}:{self.id}"

    @property
    def chapter(self) -> str:
        """The packet's chapter in part 3, the part elsewhere."""
        part, section, *_ = self.id.removeprefix("MQTT-").split(".")
        return f"3.{section}" if part == "3" else part

    @property
    def binds_a_server(self) -> bool:
        return self.binds != "client" or self.enforced

    @property
    def needs_a_test(self) -> bool:
        return self.binds_a_server and not self.later


def statements(version: str) -> list[Statement]:
    """All statements of a version, in the order of the specification."""
    text = (HERE / f"statements_{version.replace('.', '_')}.toml").read_text(encoding="utf-8")
    return [Statement(version, name, **entry) for name, entry in tomllib.loads(text)["statement"].items()]


@dataclass(eq=False)
class Tags:
    """A pytest plugin: what the collected tests say they prove."""

    said: set[tuple[str, str]] = field(default_factory=set)  # (tag, test without its parameters)
    proved: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # tag -> tests
    faults: list[str] = field(default_factory=list)
    collected: int = 0

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.collected = len(session.items)
        for item in session.items:
            if item.get_closest_marker("skip") or item.get_closest_marker("xfail"):
                continue
            spoken = version_of(item)
            for tag in dict.fromkeys(tags_of(item)):
                self.said.add((tag, item.nodeid.partition("[")[0]))
                if spoken in ("", tag.partition(":")[0]):
                    self.proved[tag].append(item.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.faults.append(f"{report.nodeid} cannot be collected: {report.longreprtext.splitlines()[-1]}")

    def idle(self) -> list[tuple[str, str]]:
        """Tags of tests that never run against the tag's version."""
        done = {(tag, test.partition("[")[0]) for tag, tests in self.proved.items() for test in tests}
        return sorted(self.said - done)


def tags_of(item: pytest.Item) -> Iterator[str]:
    for mark in item.iter_markers("clause"):
        yield from mark.args


def version_of(item: pytest.Item) -> str:
    """The version of MQTT that this run of a test speaks; empty for a test that is not run for each."""
    callspec = getattr(item, "callspec", None)
    return getattr(callspec.params.get("version"), "name", "") if callspec else ""


def collect(tests: Path = ROOT / "tests") -> Tags:
    """Lets a pytest of its own collect the suite, and looks at what it found."""
    tags = Tags()
    said = io.StringIO()
    quietly = ["--collect-only", "-q", "-p", "no:cacheprovider"]
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = pytest.main([*quietly, "-c", str(ROOT / "pyproject.toml"), str(tests)], plugins=[tags])
    if code != pytest.ExitCode.OK and not tags.faults:
        tags.faults.append(f"pytest ended with {code!r}:\n{said.getvalue()}")
    return tags


def faults(known: dict[str, Statement], tags: Tags) -> list[str]:
    """Everything that makes the report not to be trusted."""
    found = list(tags.faults)
    for tag, test in sorted(tags.said):
        if tag not in known:
            found.append(f"{test} names {tag}, and there is no such statement")
    for tag, test in tags.idle():
        if tag in known:
            found.append(f"{test} names {tag}, and does not run for that version")
    return found


def table(rows: list[Statement], tags: Tags) -> Iterator[str]:
    """Counts for each chapter of one version."""
    chapters: dict[str, list[Statement]] = defaultdict(list)
    for one in rows:
        chapters[one.chapter].append(one)
    yield f"{'MQTT ' + rows[0].version:32}  statements  for a server   later  tested  missing"
    for chapter, part in [*chapters.items(), ("", rows)]:
        due = [one for one in part if one.needs_a_test]
        tested = sum(one.tag in tags.proved for one in due)
        title = f"{chapter:5} {TITLES[chapter]}" if chapter else "all"
        bound = sum(one.binds_a_server for one in part)
        yield f"{title:32}{len(part):12}{bound:14}{bound - len(due):8}{tested:8}{len(due) - tested:9}"
    yield ""


def main(arguments: list[str]) -> int:
    rows = {version: statements(version) for version in VERSIONS}
    known = {one.tag: one for part in rows.values() for one in part}
    tags = collect()
    missing = [one for one in known.values() if one.needs_a_test and one.tag not in tags.proved]
    if "--tests" in arguments:
        for one in known.values():
            print(f"{one.tag}  {one.says}  [{one.later or one.binds}]")
            for test in tags.proved.get(one.tag, ()):
                print(f"    {test}")
    for part in rows.values():
        print("\n".join(table(part, tags)))
    for one in missing:
        print(f"no test: {one.tag}  {one.says}")
    wrong = faults(known, tags)
    for line in wrong:
        print(f"wrong: {line}")
    print(f"{tags.collected} tests collected; {len(missing)} statements without a test; {len(wrong)} faults")
    return 1 if missing or wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
