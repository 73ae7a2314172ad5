"""`linnet completion`: print what a shell needs to complete the words of linnet."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from linnet.cli import exit_codes

SHELLS = ("bash", "zsh", "tcsh")
USAGE = f"usage: linnet completion {{{','.join(SHELLS)}}}"
HOW = f"""{USAGE}

Print what completes the words of linnet in a shell. To use it at once:

  bash   eval "$(linnet completion bash)"
  zsh    linnet completion zsh > ~/.zfunc/_linnet    (a directory of your $fpath)
  tcsh   linnet completion tcsh > ~/.linnet.tcsh; source ~/.linnet.tcsh
"""


def main(words: Sequence[str]) -> int:
    """Run the verb."""
    if list(words) in (["--help"], ["-h"]):
        print(HOW, end="")
        return exit_codes.FINE
    if len(words) != 1 or words[0] not in SHELLS:
        print(f"linnet completion: {USAGE}", file=sys.stderr)
        return exit_codes.FAILED
    try:
        import shtab
    except ImportError:
        print("linnet completion: the library shtab is needed: pip install shtab", file=sys.stderr)
        return exit_codes.FAILED
    files = {"file": shtab.FILE, "directory": shtab.DIRECTORY}
    print(shtab.complete(whole_parser(files), shell=words[0]), flush=True)
    return exit_codes.FINE


def whole_parser(files: dict[str, Any]) -> ArgumentParser:
    """All verbs with all their options, as argparse and its friends understand them."""
    from linnet.cli.grammar import fill
    from linnet.cli.main import CLIENT_VERBS, VERBS

    top = ArgumentParser(prog="linnet", allow_abbrev=False)
    top.add_argument("--version", action="store_true", help="print the version and exit")
    verbs = top.add_subparsers(title="verbs", metavar="VERB")
    for verb in VERBS:
        verb.add_to(verbs)
    for name, text in CLIENT_VERBS.items():
        parser = verbs.add_parser(name, help=text, add_help=False)
        table = getattr(import_module(f"linnet.cli.{name}"), "VERB", None)
        if table is None:
            parser.add_argument("shell", choices=SHELLS)
        else:
            fill(parser, table.options, files)
    return top
