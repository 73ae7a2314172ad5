"""The sources of linnet as the house tests read them: files, syntax trees and declarations."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"
PACKAGE = SRC / "linnet"

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def modules() -> list[Path]:
    """Every Python file of the package, in order."""
    found = sorted(PACKAGE.rglob("*.py"))
    assert found, f"no sources below {PACKAGE}"
    return found


def declarations() -> list[Path]:
    """Every `.pxd` of the package, in order."""
    return sorted(PACKAGE.rglob("*.pxd"))


def label(path: Path) -> str:
    """How a test names a file: its path inside the repository."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    """The parsed file."""
    return ast.parse(path.read_text(), filename=str(path))


def room(path: Path) -> str:
    """The room a file lives in (`wire`), or its own name where it stands in the hall (`settings`)."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py").removesuffix(".pxd")


def dotted(path: Path) -> str:
    """The name a file is imported by."""
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of every import, wherever in the file it stands."""
    package = dotted(path) if path.name == "__init__.py" else dotted(path).rpartition(".")[0]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base += [node.module] if node.module else []
            for alias in node.names:
                yield node.lineno, ".".join([*base, alias.name])


def cimports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every cimport of a `.pxd`."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if match := re.match(r"\s*from\s+([\w.]+)\s+cimport\s+\(?\s*(\w+)", line):
            yield number, f"{match[1]}.{match[2]}"
        elif match := re.match(r"\s*cimport\s+([\w.]+)", line):
            yield number, match[1]


def classes(path: Path) -> Iterator[ast.ClassDef]:
    """Every class of a file, inner ones too."""
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef))


def functions(path: Path) -> Iterator[FunctionNode]:
    """Every function and method of a file, inner ones too."""
    return (node for node in ast.walk(tree(path)) if isinstance(node, FunctionNode))


def length(node: ast.ClassDef | FunctionNode) -> int:
    """Lines from the first decorator to the last statement."""
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return (node.end_lineno or node.lineno) - first + 1


def slots(node: ast.ClassDef) -> set[str] | None:
    """What a class names in `__slots__`, or None when it has none."""
    for statement in node.body:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        if isinstance(statement, ast.AnnAssign):
            target = statement.target
        if isinstance(target, ast.Name) and target.id == "__slots__":
            assert isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None
            names = ast.literal_eval(statement.value)
            return {names} if isinstance(names, str) else set(names)
    return None


def declared(path: Path) -> dict[str, set[str]]:
    """The classes of a `.pxd`, each with the attributes it declares.

    The text is read line by line: `cdef class Name(Base):`, below it `cdef public int one, two`. Lines with
    parentheses declare methods.
    """
    found: dict[str, set[str]] = {}
    attributes: set[str] = set()
    for line in path.read_text().splitlines():
        text = line.partition("#")[0].rstrip()
        if text and not text[0].isspace():
            match = re.match(r"(?:cdef|ctypedef)\s+(?:public\s+|api\s+)*class\s+(\w+)", text)
            attributes = found.setdefault(match[1], set()) if match else set()
        elif match := re.match(r"\s+cdef\s+(?:public\s+|readonly\s+)?([^()]+)$", text):
            attributes.update(attribute_names(match[1]))
    return found


def attribute_names(declaration: str) -> Iterator[str]:
    """`dict[int, str] one, two` -> one, two: of each part between commas, the last word."""
    plain = re.sub(r"\[[^\[\]]*\]", "", re.sub(r"\[[^\[\]]*\]", "", declaration))
    return (part.split()[-1].lstrip("*") for part in plain.split(","))
