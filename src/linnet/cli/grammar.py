"""How the words after a client verb are read: one after the other, in the manner of Mosquitto's programs.

argparse cannot do it. There a value may begin with a dash (`-m -5`), an option may take two words or four (`-D`), a
later option wins over an earlier one, and nothing is abbreviated or joined. So a verb is a table of `Option`s; each
takes what it needs from the words and puts it into what was asked. Help and completion are made from the same table.
"""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from linnet.cli.asked import Asked, UsageError
from linnet.errors import did_you_mean


class Words:
    """The words of a command line, or of a line in a file, taken one by one."""

    __slots__ = ("at", "joined", "option", "words")

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words
        self.at = 0
        self.option = ""  # the option that takes words at the moment, as it was written
        self.joined: str | None = None  # what stood behind its `=`

    def __repr__(self) -> str:
        return f"<Words {self.words[self.at :]}>"

    def left(self) -> bool:
        """Whether there are any more."""
        return self.joined is not None or self.at < len(self.words)

    def take(self, what: str = "value") -> str:
        """The next word, whatever it looks like; raises UsageError where there is none."""
        if self.joined is not None:
            word, self.joined = self.joined, None
            return word
        if self.at >= len(self.words):
            raise UsageError(f"{self.option} needs a {what}")
        self.at += 1
        return self.words[self.at - 1]

    def number(self, least: int, most: int, what: str = "number") -> int:
        """The next word as a number within bounds."""
        word = self.take(what)
        try:
            value = int(word)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise UsageError(f"{self.option} needs a number from {least} to {most}, not {word!r}")
        return value

    def seconds(self, least: float) -> float:
        """The next word as a time in seconds."""
        word = self.take("time in seconds")
        try:
            value = float(word)
        except ValueError:
            value = -1.0
        if not least <= value < float("inf"):
            raise UsageError(f"{self.option} needs a time in seconds, at least {least:g}, not {word!r}")
        return value


Act = Callable[[Asked, Words], None]


@dataclass(frozen=True, slots=True)
class Option:
    """A row of a verb's table: its names, what it does with the words, and what help says of it."""

    names: tuple[str, ...]
    act: Act
    metavar: str = ""  # empty for an option that takes no word
    help: str = ""
    group: str = "options"
    completes: str = ""  # "file" or "directory"


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb with its options. `word` is told what stands alone: a URL, a topic, a host."""

    name: str
    summary: str
    usage: str
    options: tuple[Option, ...]
    word: Act
    epilog: str = ""


def flag(*names: str, to: str, help: str, value: object = True, group: str = "options") -> Option:
    """An option without a word, which sets one attribute."""
    return Option(names, lambda asked, words: setattr(asked, to, value), "", help, group)


def text(*names: str, to: str, metavar: str, help: str, group: str = "options", completes: str = "") -> Option:
    """An option whose word becomes an attribute as it is."""
    return Option(names, lambda asked, words: setattr(asked, to, words.take(metavar)), metavar, help, group, completes)


def number(*names: str, to: str, least: int, most: int, metavar: str, help: str, group: str = "options") -> Option:
    """An option whose word is a whole number within bounds."""
    return Option(names, lambda asked, words: setattr(asked, to, words.number(least, most)), metavar, help, group)


def collected(*names: str, to: str, check: Callable[[str, str], str], metavar: str, help: str) -> Option:
    """An option that may be given several times; `check` may refuse its word."""

    def act(asked: Asked, words: Words) -> None:
        getattr(asked, to).append(check(words.option, words.take(metavar)))

    return Option(names, act, metavar, help)


def read(verb: Verb, line: Sequence[str], asked: Asked) -> None:
    """Put what these words say into `asked`; raises UsageError."""
    table = {name: option for option in verb.options for name in option.names}
    words = Words(line)
    while words.left() and not (asked.help or asked.show_version):
        word = words.take()
        name, equals, joined = word.partition("=")
        if word not in table and equals and name.startswith("--") and name in table and table[name].metavar:
            words.option, words.joined = name, joined
        else:
            words.option, name = word, word
        if name in table:
            table[name].act(asked, words)
        elif word.startswith("-") and len(word) > 1:
            raise UsageError(f"{word} is no option of {verb.name}{did_you_mean(word, table)}")
        else:
            verb.word(asked, words)


def fill(parser: ArgumentParser, options: Iterable[Option], files: dict[str, Any]) -> None:
    """Tell an argparse parser of these options, for its help and for completion.

    `files` has what to complete "file" and "directory" with, if anything.
    """
    groups = {"options": parser.add_argument_group("options")}
    for option in options:
        if option.group not in groups:
            groups[option.group] = parser.add_argument_group(option.group)
        taking: dict[str, Any] = {"metavar": option.metavar} if option.metavar else {"action": "store_true"}
        action = groups[option.group].add_argument(*option.names, help=option.help.replace("%", "%%"), **taking)
        if option.completes in files:
            action.complete = files[option.completes]  # type: ignore[attr-defined]


def help_of(verb: Verb) -> str:
    """What `linnet VERB --help` prints."""
    parser = ArgumentParser(
        prog=f"linnet {verb.name}",
        usage=f"linnet {verb.name} {verb.usage}",
        description=verb.summary,
        epilog=verb.epilog,
        add_help=False,
        formatter_class=RawDescriptionHelpFormatter,
    )
    fill(parser, verb.options, {})
    return parser.format_help()
