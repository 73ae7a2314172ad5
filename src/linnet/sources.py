"""Where settings are written: a TOML file, the environment, the command line.

Each is read into plain values by name, and into where each value stood. What the values mean, and whether they are
allowed, the table in settings.py says; this file knows no single option.
"""

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path

from linnet.errors import did_you_mean
from linnet.options import PREFIX, Option, key_lines, shown

Given = tuple[dict[str, object], dict[str, str]]  # the values by name, and where each stood


def in_environment(
    environ: Mapping[str, str], options: Mapping[str, Option], others: Collection[str], faults: list[str]
) -> Given:
    """The values of our variables; one that is neither an option nor one of `others` is a fault."""
    rows = {row.variable: row for row in options.values()}
    values: dict[str, object] = {}
    sources = {}
    for variable, text in environ.items():
        if variable in rows:
            row = rows[variable]
            values[row.name] = row.read(text)
            sources[row.name] = f"environment variable {variable}"
        elif variable.startswith(PREFIX) and variable not in others:
            hint = did_you_mean(variable, [*rows, *others])
            faults.append(f"environment variable {variable} = {shown(text)}: there is no such setting{hint}")
    return values, sources


def in_arguments(arguments: Mapping[str, str], options: Mapping[str, Option]) -> Given:
    """The values of --listen and --set."""
    values = {name: options[name].read(text) if name in options else text for name, text in arguments.items()}
    sources = {name: "option --listen" if name == "listen" else f"option --set {name}" for name in arguments}
    return values, sources


def in_file(file: Path | None, options: Mapping[str, Option], groups: Collection[str], faults: list[str]) -> Given:
    """The values in the tables of a TOML file; what stands in no table or the wrong one is a fault."""
    if file is None:
        return {}, {}
    try:
        text = file.read_text("utf-8")
        tables = tomllib.loads(text)
    except OSError as error:
        faults.append(f"{file}: cannot be read: {error.strerror}")
        return {}, {}
    except ValueError as error:  # it is not UTF-8, or not TOML
        faults.append(f"{file}: is not TOML: {error}")
        return {}, {}
    lines = key_lines(text)
    values: dict[str, object] = {}
    sources = {}
    for group, rows in tables.items():
        if group not in groups or not isinstance(rows, dict):
            faults.append(f"{_misplaced(group, rows, options, groups)} ({_place(file, lines, group)})")
            continue
        for name, value in rows.items():
            place = _place(file, lines, group, name)
            if name in options and options[name].group != group:
                faults.append(f"{_misplaced(name, value, options, groups)}, not [{group}] ({place})")
            else:
                values[name] = value
                sources[name] = place
    return values, sources


def _misplaced(key: str, value: object, options: Mapping[str, Option], groups: Collection[str]) -> str:
    if key in options:
        return f"{key} = {shown(value)}: belongs to the table [{options[key].group}]"
    if key in groups:
        return f"{key} = {shown(value)}: allowed is a table [{key}]"
    what = "table" if isinstance(value, dict) else "setting"
    given = "" if isinstance(value, dict) else f" = {shown(value)}"
    return f"{key}{given}: there is no such {what}{did_you_mean(key, [*groups, *options])}"


def _place(file: Path, lines: Mapping[tuple[str, ...], int], *key: str) -> str:
    return f"{file}, line {lines[key]}" if key in lines else str(file)
