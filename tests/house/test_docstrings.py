"""Who opens a file, a room or a public class is told what it is for."""

import ast
import inspect
from pathlib import Path

import pytest

import linnet
from tests.house.sources import PACKAGE, FunctionNode, label, modules, tree


def rooms() -> list[Path]:
    return [path for path in sorted(PACKAGE.glob("*/__init__.py")) if len(list(path.parent.glob("*.py"))) > 1]


@pytest.mark.parametrize("path", rooms(), ids=label)
def test_a_room_says_what_lives_in_it(path: Path) -> None:
    text = ast.get_docstring(tree(path))
    assert text, f"{label(path)} has no docstring"
    assert len(text.splitlines()) >= 2, f"{label(path)}: say what lives here, and what may never come in"


def test_every_directory_of_sources_is_a_package() -> None:
    assert [label(path) for path in modules() if not (path.parent / "__init__.py").exists()] == []


@pytest.mark.parametrize("path", modules(), ids=label)
def test_a_module_and_its_public_names_have_docstrings(path: Path) -> None:
    public = [
        node
        for node in tree(path).body
        if isinstance(node, ast.ClassDef | FunctionNode) and not node.name.startswith("_")
    ]
    assert ast.get_docstring(tree(path)), f"{label(path)} has no docstring"
    assert [f"{label(path)}: {node.name}" for node in public if not ast.get_docstring(node)] == []


def public_members() -> list[str]:
    """The methods and properties of what linnet itself exports, where they lack a docstring."""
    return [
        f"{name}.{member}"
        for name in linnet.__all__
        if inspect.isclass(thing := getattr(linnet, name)) and not issubclass(thing, BaseException)
        for member, value in vars(thing).items()
        if not member.startswith("_") and (callable(value) or isinstance(value, property))
        if not inspect.getdoc(getattr(thing, member))
    ]


def test_every_method_of_a_public_class_has_a_docstring() -> None:
    assert public_members() == []


def test_all_names_exist_and_are_documented() -> None:
    assert len(set(linnet.__all__)) == len(linnet.__all__)
    assert [name for name in linnet.__all__ if not hasattr(linnet, name)] == []
