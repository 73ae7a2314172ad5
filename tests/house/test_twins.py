"""A `.pxd` stands beside its `.py` and says the same: what differs would fail only when compiled."""

import ast
import runpy
from pathlib import Path

import pytest

from tests.house.sources import (
    PACKAGE,
    ROOT,
    attribute_names,
    classes,
    declarations,
    declared,
    dotted,
    imports,
    label,
    modules,
    slots,
    tree,
)


def test_the_hot_path_has_declarations() -> None:
    assert {"linnet.wire.frames", "linnet.wire.publish"} <= {dotted(path) for path in declarations()}


@pytest.mark.parametrize("path", declarations(), ids=label)
def test_a_declaration_has_its_twin(path: Path) -> None:
    assert path.with_suffix(".py").exists()


@pytest.mark.parametrize("path", declarations(), ids=label)
def test_slots_and_declared_attributes_are_the_same(path: Path) -> None:
    twin = path.with_suffix(".py")
    written = {node.name: slots(node) for node in classes(twin)}
    for name, attributes in declared(path).items():
        assert name in written, f"{label(twin)}: has no class {name}"
        assert written[name] == attributes, f"{label(twin)}: {name}.__slots__ and its .pxd differ"


def test_declarations_are_read_rightly(tmp_path: Path) -> None:
    pxd = tmp_path / "x.pxd"
    pxd.write_text(
        "cimport cython\n\n"
        "cdef int helper(int one)\n\n"
        "cdef class Empty:\n    pass\n\n"
        "@cython.final\n"
        "cdef class Full(Empty):\n"
        "    cdef readonly dict[bytes, list[int]] table, index  # a comment (with more)\n"
        "    cdef public unsigned int *count\n"
        "    cdef object __weakref__\n\n"
        "    @cython.locals(n=int)\n"
        "    cpdef bint next(self) except -1\n"
        "    cdef void quiet(self)\n"
    )
    assert declared(pxd) == {"Empty": set(), "Full": {"table", "index", "count", "__weakref__"}}
    assert list(attribute_names("tuple[int, str] a, b")) == ["a", "b"]


@pytest.mark.parametrize("path", modules(), ids=label)
def test_a_source_never_knows_that_it_is_compiled(path: Path) -> None:
    assert [name for _, name in imports(path) if name.partition(".")[0].lower() == "cython"] == []


def test_there_is_no_other_language() -> None:
    others = [path for suffix in ("pyx", "pxi", "c", "so", "pyd") for path in PACKAGE.rglob(f"*.{suffix}")]
    assert others == [], "src holds plain Python and declarations only: build elsewhere"


def unchecked_modules() -> frozenset[str]:
    """The modules that setup.py compiles without bounds checks and negative indices."""
    for node in tree(ROOT / "setup.py").body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "UNCHECKED":
            assert node.value is not None
            names = node.value.args[0] if isinstance(node.value, ast.Call) and node.value.args else None
            return frozenset(ast.literal_eval(names)) if names else frozenset()
    raise AssertionError("setup.py names no UNCHECKED modules")


def negative_indices(node: ast.AST) -> list[int]:
    """Lines where a subscript holds a minus sign, or where an IndexError is waited for."""
    return [
        child.lineno
        for child in ast.walk(node)
        if (isinstance(child, ast.Subscript) and any(isinstance(part, ast.USub) for part in ast.walk(child.slice)))
        or (isinstance(child, ast.ExceptHandler) and child.type and "IndexError" in ast.unparse(child.type))
    ]


def test_unchecked_modules_count_from_the_start_only() -> None:
    paths = {dotted(path): path for path in modules()}
    assert unchecked_modules() <= {dotted(path) for path in declarations()}
    for name in sorted(unchecked_modules()):
        assert negative_indices(tree(paths[name])) == [], f"{name} is compiled without checks, see setup.py"


def test_a_negative_index_is_found() -> None:
    assert negative_indices(ast.parse("a[0]\na[-1]\na[1:-2]\na[1:]")) == [2, 3]
    assert negative_indices(ast.parse("try:\n    a\nexcept (IndexError, KeyError):\n    b")) == [3]


def test_setup_compiles_every_module_with_a_declaration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("LINNET_PURE", "1")
    monkeypatch.setattr("setuptools.setup", lambda **_: None)
    names = runpy.run_path("setup.py")["modules_to_compile"]()
    assert set(names) == {dotted(path) for path in declarations()}
