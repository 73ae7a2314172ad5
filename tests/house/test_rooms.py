"""Who may know whom: every import of the package is read and compared with the plan of the house."""

import ast
from pathlib import Path

import pytest

from tests.house.sources import cimports, declarations, imports, label, modules, room, tree

PACKAGE = "linnet"
FOUNDATION = {"errors"}
PLAIN = FOUNDATION | {"release", "options", "loggers", "settings", "describe"}
LOWER = FOUNDATION | {"wire", "core"}
SHELL = PLAIN | LOWER

# Each room, and each module of the hall, with what it may import besides itself.
MAY_IMPORT = {
    "errors": set(),
    "release": set(),
    "options": FOUNDATION,
    "sources": FOUNDATION | {"options"},
    "loggers": FOUNDATION | {"options"},
    "table": {"options", "loggers"},
    "settings": FOUNDATION | {"options", "sources", "table"},
    "reloading": {"options", "settings"},
    "describe": FOUNDATION,
    "wire": FOUNDATION,
    "core": FOUNDATION | {"wire"},
    "net": SHELL,
    "store": SHELL,
    "cluster": SHELL,
    "hooks": SHELL,
    "client": SHELL | {"net"},
    "sync": SHELL | {"client"},
    "local": SHELL,
    "server": SHELL | {"client", "net", "store", "cluster", "hooks", "local", "reloading"},
}
MAY_IMPORT["cli"] = MAY_IMPORT["web"] = MAY_IMPORT["server"] | {"server", "sync", "__init__"}
MAY_IMPORT["__init__"] = MAY_IMPORT["server"] | {"server", "sync"}
MAY_IMPORT["__main__"] = {"cli"}
MAY_IMPORT["testing"] = MAY_IMPORT["cli"]

# Deciding is pure: no sockets, no files, no clock, no chance, no threads, no log.
IMPURE = set(
    """
    asyncio concurrent datetime fcntl http io logging multiprocessing os pathlib pydantic queue random sched
    secrets select selectors shutil signal socket socketserver sqlite3 ssl subprocess tempfile threading time
    urllib uuid uvloop warnings
    """.split()
)
PURE_ROOMS = {"errors", "wire", "core"}


def target(name: str) -> str | None:
    """The room or hall module that a dotted name leads to; None for what is not ours."""
    first, _, rest = name.partition(".")
    if first != PACKAGE:
        return None
    inside = rest.partition(".")[0]
    return inside if inside in MAY_IMPORT else "__init__"


def forbidden(path: Path, number: int, name: str) -> str | None:
    """Why this import may not be, or None."""
    here, there = room(path), target(name)
    if there is None:
        if here in PURE_ROOMS and name.partition(".")[0] in IMPURE:
            return f"{label(path)}:{number}: {here} decides only, and may not import {name}"
        return None
    if there == here or there in MAY_IMPORT[here]:
        return None
    return f"{label(path)}:{number}: {here} may not know {there} ({name})"


@pytest.mark.parametrize("path", modules(), ids=label)
def test_a_module_imports_only_what_its_room_may_know(path: Path) -> None:
    assert room(path) in MAY_IMPORT, f"{label(path)}: not on the plan of the house, see MAY_IMPORT"
    assert [fault for found in imports(path) if (fault := forbidden(path, *found))] == []


@pytest.mark.parametrize("path", declarations(), ids=label)
def test_a_declaration_cimports_only_what_its_room_may_know(path: Path) -> None:
    assert [fault for found in cimports(path) if (fault := forbidden(path, *found))] == []


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("wire/frames.py", "linnet.core.broker"),
        ("wire/frames.py", "linnet.settings"),
        ("core/broker.py", "asyncio.Queue"),
        ("core/broker.py", "time"),
        ("core/broker.py", "linnet.net.stream"),
        ("core/broker.py", "linnet.Broker"),
        ("net/stream.py", "linnet.store.memory"),
        ("settings.py", "linnet.wire"),
        ("server.py", "linnet.cli.main"),
    ],
)
def test_the_plan_forbids(path: str, name: str) -> None:
    assert forbidden(modules()[0].parent / path, 1, name)


def test_only_the_command_line_prints() -> None:
    printing = [
        f"{label(path)}:{node.lineno}"
        for path in modules()
        if room(path) != "cli"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printing == []
