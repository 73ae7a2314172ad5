"""`linnet config`: show the settings in force, check them, or print the reference of all there are."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet.cli import common

if TYPE_CHECKING:
    from linnet.options import Option

BEGIN = "<!-- begin of what `linnet config reference` prints -->\n"
END = "<!-- end of what `linnet config reference` prints -->\n"


def add_to(verbs: Any) -> None:
    """Make `config` one of the verbs."""
    verb: ArgumentParser = verbs.add_parser(
        "config", help="show, check or explain the settings", description=__doc__, allow_abbrev=False
    )
    kinds = verb.add_subparsers(title="what to do", metavar="WHAT", required=True)
    for name, run, text in (
        ("show", show, "print the settings in force as TOML, and where each came from"),
        ("check", check, 'say "ok", or list every fault and exit with 2'),
    ):
        kind = kinds.add_parser(name, help=text, description=text, allow_abbrev=False)
        common.add_settings_options(kind)
        kind.set_defaults(run=run)
    text = "print every setting there is, with its default and bounds"
    kind = kinds.add_parser("reference", help=text, description=text, allow_abbrev=False)
    form = kind.add_mutually_exclusive_group()
    form.add_argument("--toml", action="store_true", help="print a TOML file with all defaults instead of Markdown")
    form.add_argument("--into", metavar="FILE", type=Path, help="renew the reference inside this Markdown file")
    kind.set_defaults(run=reference)


def show(arguments: Namespace) -> int:
    """Print the settings in force as TOML, each with where it came from."""
    from linnet.options import toml
    from linnet.settings import GROUPS, OPTIONS

    settings = common.settings_in_force(arguments)
    for number, group in enumerate(GROUPS):
        print(f"\n[{group}]" if number else f"[{group}]")
        for row in OPTIONS.values():
            if row.group == group:
                source = settings.settings_sources[row.name]
                print(f"{row.name} = {toml(getattr(settings, row.name))}  # {source}{_unless_at_once(row)}")
    return 0


def check(arguments: Namespace) -> int:
    """Say "ok"; faults leave as a SettingsError."""
    common.settings_in_force(arguments)
    print("ok")
    return 0


def reference(arguments: Namespace) -> int:
    """Print every setting there is, or write them into a page."""
    if arguments.into:
        return _renew(arguments.into)
    print(toml_file() if arguments.toml else markdown(), end="")
    return 0


def _renew(page: Path) -> int:
    """Put the reference of today between the two markers of a page."""
    try:
        before, begin, rest = page.read_text("utf-8").partition(BEGIN)
        _, end, after = rest.partition(END)
        if not begin or not end:
            print(f"linnet: {page} does not hold the lines\n{BEGIN}{END}", end="", file=sys.stderr)
            return 1
        page.write_text(f"{before}{BEGIN}\n{markdown()}\n{END}{after}", "utf-8")
    except OSError as error:
        print(f"linnet: {page}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def markdown() -> str:
    """The reference: a table for each group."""
    return "\n".join("\n".join(_markdown_group(group)) + "\n" for group in _groups())


def _markdown_group(group: str) -> Iterator[str]:
    from linnet.options import EFFECTS, toml
    from linnet.settings import GROUPS, OPTIONS

    yield f"### [{group}]"
    yield ""
    yield GROUPS[group]
    yield ""
    yield "| name | default | allowed | a change holds | what it is |"
    yield "|---|---|---|---|---|"
    for row in OPTIONS.values():
        if row.group == group:
            default = f"`{toml(row.default)}`{_in_units(row.default, row.unit)}"
            yield f"| `{row.name}` | {default} | {row.allowed} | {EFFECTS[row.takes_effect]} | {row.sentence} |"


def toml_file() -> str:
    """A settings file that sets every default, with the table's sentences as comments."""
    return "\n".join("\n".join(_toml_group(group)) + "\n" for group in _groups())


def _toml_group(group: str) -> Iterator[str]:
    from linnet.options import toml
    from linnet.settings import GROUPS, OPTIONS

    yield f"# {GROUPS[group]}"
    yield f"[{group}]"
    for row in OPTIONS.values():
        if row.group == group:
            yield ""
            yield f"# {row.sentence}"
            yield f"# Allowed: {row.allowed}{_unless_at_once(row)}"
            yield f"{row.name} = {toml(row.default)}{_in_units(row.default, row.unit, '  # ')}"


def _unless_at_once(row: Option) -> str:
    from linnet.options import EFFECTS

    return "" if row.takes_effect == "now" else f"; a change holds {EFFECTS[row.takes_effect]}"


def _groups() -> list[str]:
    from linnet.settings import GROUPS

    return list(GROUPS)


def _in_units(value: object, unit: str, lead: str = " = ") -> str:
    """A large number of bytes or seconds in a unit that people read, or nothing."""
    sizes = {"bytes": ((1 << 20, "MiB"), (1 << 10, "KiB")), "s": ((86400, "days"), (3600, "h"), (60, "min"))}
    if isinstance(value, int) and value:
        for size, name in sizes.get(unit, ()):
            if value % size == 0:
                return f"{lead}{value // size} {name}"
    return ""
