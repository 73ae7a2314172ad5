"""From the words of a command line, and the files of defaults before it, to what was asked.

The files are Mosquitto's: `mosquitto_pub`, `mosquitto_sub` and `mosquitto_rr` in $XDG_CONFIG_HOME, or in ~/.config, and
after it our own by the name of the verb, `linnet_pub`; or, with `-o FILE`, that one alone. Each line is an option, and
behind the first space its value as it is. Lines that begin with `#` are comments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from linnet.cli.asked import Asked, UsageError
from linnet.cli.grammar import Verb, read

LIKE_MOSQUITTO = ("pub", "sub", "rr")


def load(verb: Verb, words: Sequence[str], environment: Mapping[str, str]) -> Asked:
    """What the files and these words ask for; raises UsageError."""
    asked = Asked()
    for path in files(verb.name, words, environment):
        for number, line in enumerate(lines(path), 1):
            try:
                read(verb, split(line), asked)
            except UsageError as error:
                raise UsageError(f"{path}, line {number}: {error}") from None
    asked.source_is_default = True
    read(verb, words, asked)
    return asked


def files(verb: str, words: Sequence[str], environment: Mapping[str, str]) -> list[Path]:
    """The files of defaults that are there; the one of -o has to be. Raises UsageError."""
    if "-o" in words:
        at = words.index("-o")
        if at + 1 == len(words):
            raise UsageError("-o needs a file")
        path = Path(words[at + 1])
        if not path.is_file():
            raise UsageError(f"-o {path}: there is no such file")
        return [path]
    home = environment.get("HOME")
    folder = environment.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
    if not folder:
        return []
    names = [f"linnet_{verb}"]
    if verb in LIKE_MOSQUITTO:
        names.insert(0, f"mosquitto_{verb}")
    return [path for name in names if (path := Path(folder, name)).is_file()]


def lines(path: Path) -> list[str]:
    """The lines of a file that say something, empty ones in place of those that do not; raises UsageError."""
    try:
        text = path.read_text("utf-8", errors="surrogateescape")
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    return ["" if line.startswith("#") else line.rstrip("\r") for line in text.split("\n")]


def split(line: str) -> list[str]:
    """An option and its value, which is all that follows; a property has words of its own."""
    option, space, value = line.lstrip(" ").partition(" ")
    if not option:
        return []
    if option in ("-D", "--property"):
        parts = value.split(" ", 2)
        is_pair = len(parts) == 3 and parts[1].lower() == "user-property"
        return [option, *(value.split(" ", 3) if is_pair else parts)]
    return [option, value] if space and value else [option]
