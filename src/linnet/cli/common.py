"""What several verbs share: the options that choose settings, and reading the settings they choose."""

from __future__ import annotations

import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linnet.settings import Settings


def add_settings_options(parser: ArgumentParser) -> None:
    """--config, --listen and --set."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help="read settings from this TOML file (otherwise from the one that LINNET_CONFIG names, if any)",
    )
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        action="append",
        help="accept connections here, [IPV6]:PORT too; port 0 takes a free one; may be given several times",
    )
    parser.add_argument(
        "--set",
        metavar="NAME=VALUE",
        dest="assignments",
        action="append",
        default=[],
        type=_assignment,
        help="set any setting, such as max_packet_size=65536; separate the items of a list by commas",
    )


def settings_in_force(arguments: Namespace) -> Settings:
    """The settings that the file, the environment and these arguments make; raises SettingsError."""
    from linnet.settings import load

    given = dict(arguments.assignments)
    if arguments.listen:
        given["listen"] = ",".join(arguments.listen)
    return load(arguments.config, os.environ, given)


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ArgumentTypeError(f"NAME=VALUE is needed, not {text!r}")
    return name.strip(), value
