"""`linnet completion`, and what the command line imports before it knows what is wanted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.interop.tools import program

VERBS = ["serve", "config", "pub", "sub", "rr", "get", "clean", "probe", "completion"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_every_verb_is_completed(cli: Cli, shell: str) -> None:
    result = cli("completion", shell)
    assert (result.code, result.err) == (0, "")
    for word in [*VERBS, "remove-retained", "will-topic", "dry-run"]:
        assert word in result.out.decode()


def test_bash_understands_it(cli: Cli) -> None:
    script = cli("completion", "bash").out
    question = b'\nCOMP_WORDS=(linnet sub --remove); COMP_CWORD=2; _shtab_linnet; echo "${COMPREPLY[@]}"\n'
    said = subprocess.run([program("bash", "bash")], input=script + question, capture_output=True)
    assert (said.stdout.strip(), said.stderr) == (b"--remove-retained", b"")


@pytest.mark.parametrize("words", [[], ["fish"], ["bash", "zsh"]])
def test_an_unknown_shell_is_refused(cli: Cli, words: list[str]) -> None:
    result = cli("completion", *words)
    assert (result.code, result.out) == (1, b"")
    assert result.err == "linnet completion: usage: linnet completion {bash,zsh,tcsh}\n"


def test_completion_tells_how_to_use_it(cli: Cli) -> None:
    assert b'eval "$(linnet completion bash)"' in cli("completion", "--help").out


@pytest.mark.system
def test_a_verb_imports_no_more_than_it_needs() -> None:
    code = """
import sys
from linnet.cli.main import main
assert main(["config", "check"]) == 0
print([name for name in sys.modules if name.startswith("linnet.cli.")])
assert main(["pub", "--version"]) == 0
print([name for name in sys.modules if name.startswith(("linnet.cli.sub", "linnet.cli.prob"))])
"""
    paths = [str(Path(path).resolve()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = (line for line in said.stdout.splitlines() if line.startswith("["))
    assert "linnet.cli.pub" not in first and "linnet.cli.connecting" not in first
    assert second == "[]"
