"""Builds linnet: as C extensions where that can be done, as plain Python where it cannot.

Everything that is not about compiling stands in pyproject.toml. A module is compiled when, and only when, it
has a `.pxd` beside its `.py`; the `.py` itself never knows. Both files are shipped either way.

    LINNET_PURE=1   asks for plain Python
    LINNET_PURE=0   refuses to fall back: the build fails where nothing can be compiled
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any
from zlib import crc32

from setuptools import Distribution, Extension, setup
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.errors import BaseError, CCompilerError

SOURCES = Path("src")

# Compiled code means what the interpreted code means: annotations are not taken for C types, an index out of
# range raises, a negative index counts from the end.
DIRECTIVES: dict[str, Any] = {
    "language_level": 3,
    "annotation_typing": False,
    "binding": True,
    "initializedcheck": False,
}

# Modules that were read with these two in mind: no index below zero, none beyond the end. For them only, the
# checks are left out. (Both also bind untyped lists and tuples: a wrong index reads foreign memory.)
UNCHECKED: frozenset[str] = frozenset()
UNCHECKED_DIRECTIVES: dict[str, Any] = {"boundscheck": False, "wraparound": False}

COMPILER_FLAGS = {"unix": ["-O3", "-g0"], "msvc": ["/O2"]}


def modules_to_compile() -> dict[str, str]:
    """Every module with a `.pxd` beside it: dotted name -> path of its `.py`."""
    found = {}
    for pxd in sorted(SOURCES.rglob("*.pxd")):
        source = pxd.with_suffix(".py")
        if source.exists():
            found[".".join(source.relative_to(SOURCES).with_suffix("").parts)] = source.as_posix()
    return found


def why_not_compiled() -> str:
    """The reason to build plain Python, or nothing when compiling can work."""
    wish = os.environ.get("LINNET_PURE", "")
    if wish not in ("", "0"):
        return f"LINNET_PURE={wish} asks for it"
    reason = missing_tool()
    if reason and wish == "0":
        sys.exit(f"linnet: cannot be compiled, and LINNET_PURE=0 forbids plain Python: {reason}")
    return reason


def missing_tool() -> str:
    """What is missing for compiling: tried by building an extension that does nothing."""
    try:
        import Cython  # noqa: F401
    except ImportError:
        return "Cython is not installed"
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory, "probe.c")
        source.write_text("#include <Python.h>\nPyMODINIT_FUNC PyInit_probe(void) { return NULL; }\n")
        command = build_ext(Distribution({"ext_modules": [Extension("probe", [str(source)])]}))
        command.build_lib = command.build_temp = directory
        try:
            command.ensure_finalized()
            command.run()
        except (BaseError, CCompilerError, OSError):
            return "there is no working C compiler, or Python's headers are missing"
    return ""


class Build(build):
    """Says in one line when the result will not be compiled."""

    def run(self) -> None:
        if reason:
            print(f"linnet: building plain Python, slower but complete: {reason}", file=sys.stderr)
        super().run()


class BuildPython(build_py):
    """Starts clean, so that a module that was removed does not live on in the next wheel."""

    def run(self) -> None:
        if not self.editable_mode:
            for old in Path(self.build_lib, "linnet").rglob("*.p*"):
                if old.suffix in (".py", ".pxd"):
                    old.unlink()
        super().run()


class BuildExtensions(build_ext):
    """Has Cython write the C, as many files at a time as there are cores, then the compiler build them."""

    def build_extensions(self) -> None:
        cores = os.cpu_count() or 1
        checked = [extension for extension in self.extensions if extension.name not in UNCHECKED]
        unchecked = [extension for extension in self.extensions if extension.name in UNCHECKED]
        self.write_c(checked, DIRECTIVES, cores)
        self.write_c(unchecked, DIRECTIVES | UNCHECKED_DIRECTIVES, cores)
        for extension in self.extensions:
            extension.extra_compile_args = COMPILER_FLAGS.get(self.compiler.compiler_type, [])
        self.parallel = self.parallel or cores
        self.forget_removed_modules()
        super().build_extensions()

    def write_c(self, extensions: list[Extension], directives: dict[str, Any], cores: int) -> None:
        """Replaces the `.py` of each extension by its C, kept apart by Cython version and directives."""
        from Cython import __version__ as version
        from Cython.Build import cythonize

        written = cythonize(
            extensions,
            build_dir=f"build/cython/{version}-{crc32(repr(directives).encode()):08x}",
            include_path=[str(SOURCES)],
            compiler_directives=directives,
            nthreads=cores if sys.platform == "linux" and sys.version_info < (3, 14) else 0,
            quiet=True,
        )
        c_files = {extension.name: extension.sources for extension in written}
        for extension in extensions:
            extension.sources = c_files[extension.name]

    def forget_removed_modules(self) -> None:
        """Deletes what an earlier build made of a module that is compiled no more."""
        wanted = {Path(self.get_ext_fullpath(extension.name)).resolve() for extension in self.extensions}
        for library in Path(self.build_lib, "linnet").rglob("*.so"):
            if library.resolve() not in wanted:
                library.unlink()


# What is said about the package while it is built belongs to the build, not among the sources, where a program that
# runs from them would take it for an installed package.
EGG_BASE = Path("build")
EGG_BASE.mkdir(exist_ok=True)

reason = why_not_compiled()
setup(
    options={"egg_info": {"egg_base": str(EGG_BASE)}},
    ext_modules=[] if reason else [Extension(name, [source]) for name, source in modules_to_compile().items()],
    cmdclass={"build": Build, "build_py": BuildPython, "build_ext": BuildExtensions},
)
