"""What fits on a screen can be understood: nothing grows beyond its budget."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.sources import FunctionNode, classes, functions, label, length, modules

FILE_LINES, CLASS_LINES, CLASS_METHODS, FUNCTION_LINES = 400, 300, 20, 40

# What may be larger, as "path" or "path: name", each with its reason.
ARGUED: dict[str, str] = {}


def excesses(path: Path) -> Iterator[tuple[str, str]]:
    """What is too large in a file: its key in ARGUED, and by how much."""
    where = label(path)
    lines = len(path.read_text().splitlines())
    if lines > FILE_LINES:
        yield where, f"{lines} lines"
    for node in classes(path):
        methods = sum(isinstance(child, FunctionNode) for child in node.body)
        if length(node) > CLASS_LINES:
            yield f"{where}: {node.name}", f"{length(node)} lines"
        if methods > CLASS_METHODS:
            yield f"{where}: {node.name}", f"{methods} methods"
    for function in functions(path):
        if length(function) > FUNCTION_LINES:
            yield f"{where}: {function.name}", f"{length(function)} lines"


@pytest.mark.parametrize("path", modules(), ids=label)
def test_nothing_outgrows_its_budget(path: Path) -> None:
    assert [f"{what} has {size}" for what, size in excesses(path) if what not in ARGUED] == []


def test_every_exception_is_still_needed() -> None:
    needed = {what for path in modules() for what, _ in excesses(path)}
    assert ARGUED.keys() <= needed
    assert len(ARGUED) <= 5


def test_a_long_function_is_found(tmp_path: Path) -> None:
    body = "\n".join(f"    x{line} = {line}" for line in range(FUNCTION_LINES))
    node = ast.parse(f"@decorated\ndef long():\n{body}\n").body[0]
    assert isinstance(node, ast.FunctionDef)
    assert length(node) == FUNCTION_LINES + 2
