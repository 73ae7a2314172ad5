"""Find the verb, run it, and turn what went wrong into one clear text and an exit code."""

from __future__ import annotations

import os
import platform
import sys
from argparse import Action, ArgumentParser, Namespace
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from linnet.cli import config, serve
from linnet.errors import SettingsError

VERBS = (serve, config)
CLIENT_VERBS = {  # each is a module of its own, which reads its words itself, and is imported when it runs
    "pub": "publish messages",
    "sub": "subscribe, and print the messages that come",
    "rr": "publish a request, and print the answer",
    "get": "print the value of a topic",
    "clean": "clear retained messages",
    "probe": "tell what a broker is and can do",
    "completion": "print what completes the words of linnet in a shell",
}


class _Version(Action):
    """Prints the version when it is asked for, and looks for what it says only then."""

    def __call__(self, parser: ArgumentParser, *_: Any) -> None:
        print(version())
        parser.exit()


def version() -> str:
    """The version, and what a report of a fault should tell besides."""
    import linnet

    form = "compiled" if linnet.compiled else "interpreted"
    uvloop = "yes" if serve.uvloop_is_installed() else "no"
    return f"linnet {linnet.__version__} ({form}, Python {platform.python_version()}, uvloop {uvloop})"


def parser() -> ArgumentParser:
    """The grammar of the command line."""
    top = ArgumentParser(prog="linnet", description="An MQTT 3.1, 3.1.1 and 5.0 broker and client.", allow_abbrev=False)
    top.add_argument("--version", action=_Version, nargs=0, help="print the version and which form runs, and exit")
    verbs = top.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in VERBS:
        verb.add_to(verbs)
    for name, text in CLIENT_VERBS.items():
        verbs.add_parser(name, help=text, add_help=False)
    return top


def main(words: Sequence[str] | None = None) -> int:
    """Run one verb; `words` are those of the command line unless given."""
    words = sys.argv[1:] if words is None else words
    if words and words[0] in CLIENT_VERBS:
        own: int = import_module(f"linnet.cli.{words[0]}").main(words[1:])
        return own
    arguments: Namespace = parser().parse_args(words)
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except SettingsError as error:
        faults = str(error).replace("\n", "\n  ")
        print(f"linnet: these settings cannot be used:\n  {faults}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return code
