"""Where a password comes from: the command line as ever, but better a file, the environment or the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from linnet.cli.asked import Asked, UsageError

VARIABLE = "LINNET_PASSWORD"
WARNING = f"others can read a password on the command line; --password-file, --ask-password and {VARIABLE} hide it"


def password_of(asked: Asked, environment: Mapping[str, str], ask: Callable[[str], str]) -> bytes | None:
    """The password: from -P or the URL, a file, the terminal, or for a user who has none of them the environment."""
    if asked.password is not None:
        return asked.password.encode(errors="surrogateescape")
    if asked.password_file:
        try:
            return Path(asked.password_file).read_bytes().partition(b"\n")[0].rstrip(b"\r")
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise UsageError(f"--password-file {asked.password_file}: {why}") from None
    if asked.ask_password:
        who = f" of {asked.user_name}" if asked.user_name else ""
        return ask(f"password{who}: ").encode(errors="surrogateescape")
    if asked.user_name is not None and VARIABLE in environment:
        return environment[VARIABLE].encode(errors="surrogateescape")
    return None
