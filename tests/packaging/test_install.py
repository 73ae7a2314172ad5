"""`pip install` works everywhere: with a compiler, without one, and where plain Python is asked for."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.house.sources import PACKAGE, ROOT, declarations, modules

pytestmark = [pytest.mark.system, pytest.mark.timeout(400), pytest.mark.xdist_group("packaging")]

SMOKE = ROOT / "tests" / "smoke.py"
LEFT_OUT = shutil.ignore_patterns(
    ".*_cache", ".git", ".hypothesis", ".venv*", "*.egg-info", "*.so", "__pycache__", "build", "dist"
)
NO_COMPILER = {"CC": "/bin/false"}


def run(*command: str | Path, **environment: str) -> str:
    """What a program prints; it must succeed."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("LINNET_", "PYTHON"))}
    done = subprocess.run(
        [str(word) for word in command],
        env={
            **inherited,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
            **environment,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=380,
        cwd="/",
    )
    if done.returncode:
        raise RuntimeError(f"{command} failed:\n{done.stdout[-4000:]}")
    return done.stdout


def build_wheel(tree: Path, target: Path, **environment: str) -> tuple[Path, str]:
    """A wheel of a source tree, and what was printed while it was built."""
    command = (
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-v",
        "--no-build-isolation",
        "--no-deps",
        "-w",
        target,
        tree,
    )
    output = run(*command, **environment)
    (wheel,) = target.glob("linnet-*.whl")
    return wheel, output


class Environment:
    """A virtual environment that holds linnet, what it depends on, and nothing else."""

    def __init__(self, place: Path, *what: str | Path, **environment: str) -> None:
        run(sys.executable, "-m", "venv", "--without-pip", place)
        self.python = place / "bin" / "python"
        run(sys.executable, "-m", "pip", "--python", self.python, "install", *what, **environment)
        self.linnet = place / "bin" / "linnet"

    def works(self, form: str) -> None:
        """The command tells its form, and a broker does what a broker does."""
        assert form in run(self.linnet, "--version")
        assert f"works, {form}" in run(self.python, "-I", "-W", "error", SMOKE, form)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean copy of the repository."""
    return Path(shutil.copytree(ROOT, tmp_path_factory.mktemp("clean") / "linnet", ignore=LEFT_OUT))


@pytest.fixture(scope="module")
def sdist(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution."""
    target = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "build", "--no-isolation", "--sdist", "-o", target, tree)
    (found,) = target.iterdir()
    return found


@pytest.fixture(scope="module")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the source distribution holds: everything below is built from it, so it must be complete."""
    place = tmp_path_factory.mktemp("unpacked")
    run("tar", "-xzf", sdist, "-C", place)
    (found,) = place.iterdir()
    return found


def sources() -> set[str]:
    """Every file of the package that must be shipped, by its path inside it."""
    files = [*modules(), *declarations(), PACKAGE / "py.typed"]
    return {path.relative_to(PACKAGE.parent).as_posix() for path in files}


def test_the_sdist_holds_the_whole_project(unpacked: Path) -> None:
    files = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    assert {f"src/{name}" for name in sources()} <= files
    assert {"LICENSE", "README.md", "Makefile", "setup.py", "tests/smoke.py", ".ci/run"} <= files
    assert [name for name in files if name.endswith((".so", ".pyc"))] == []


def test_with_a_compiler_it_is_compiled(unpacked: Path, tmp_path: Path) -> None:
    wheel, _ = build_wheel(unpacked, tmp_path, LINNET_PURE="0")
    with zipfile.ZipFile(wheel) as archive:
        files = set(archive.namelist())
    assert sources() <= files
    assert len([name for name in files if name.endswith(".so")]) == len(declarations())
    assert not wheel.name.endswith("-none-any.whl")
    Environment(tmp_path / "venv", wheel).works("compiled")


def test_without_a_compiler_it_is_plain_python(unpacked: Path, tmp_path: Path) -> None:
    wheel, output = build_wheel(unpacked, tmp_path, **NO_COMPILER)
    said = [line.strip() for line in output.splitlines() if line.strip().startswith("linnet: ")]
    assert len(said) == 1
    assert "plain Python" in said[0] and "no working C compiler" in said[0]
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert sources() <= set(archive.namelist())


def test_pip_install_works_without_a_compiler(unpacked: Path, tmp_path: Path) -> None:
    Environment(tmp_path / "venv", unpacked, **NO_COMPILER).works("interpreted")


def test_plain_python_can_be_asked_for(unpacked: Path, tmp_path: Path) -> None:
    wheel, output = build_wheel(unpacked, tmp_path, LINNET_PURE="1")
    assert "LINNET_PURE=1 asks for it" in output
    assert wheel.name.endswith("-py3-none-any.whl")
    Environment(tmp_path / "venv", wheel).works("interpreted")


def test_plain_python_can_be_refused(unpacked: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="LINNET_PURE=0 forbids plain Python"):
        build_wheel(unpacked, tmp_path, LINNET_PURE="0", **NO_COMPILER)
