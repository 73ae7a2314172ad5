"""What a client verb says to people, on standard error: errors, notes, and how far long work has come."""

from __future__ import annotations

import sys
from typing import Any

DELAY = 1.0  # seconds of work before its progress is shown


class Teller:
    """Speaks for one verb. Notes and progress are for people who watch; errors are told unless `quiet`."""

    __slots__ = ("bar", "debugs", "quiet", "verb")

    def __init__(self, verb: str) -> None:
        self.verb = verb
        self.quiet = False
        self.debugs = False
        self.bar: Any = None

    def __repr__(self) -> str:
        return f"<Teller of {self.verb}{', quiet' if self.quiet else ''}>"

    @property
    def watched(self) -> bool:
        """Whether a person watches."""
        return not self.quiet and sys.stderr is not None and sys.stderr.isatty()

    def error(self, text: object) -> None:
        """Say in one line what went wrong."""
        if not self.quiet:
            self._say(str(text))

    def note(self, text: str) -> None:
        """Say what a person may want to know, and a script not."""
        if self.watched:
            self._say(text)

    def debug(self, text: str) -> None:
        """Say what goes on, for -d."""
        if self.debugs:
            self._say(text)

    def _say(self, text: str) -> None:
        line = f"linnet {self.verb}: {' '.join(text.split())}"
        if self.bar is not None:
            self.bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr, flush=True)

    def begin(self, total: int | None, unit: str) -> None:
        """Long work begins: so much of it, if that is known, in messages or bytes ("B")."""
        if not self.watched:
            return
        try:
            from tqdm import tqdm
        except ImportError:
            return
        self.bar = tqdm(total=total, unit=unit, unit_scale=unit == "B", delay=DELAY, leave=False, file=sys.stderr)

    def advance(self, by: int) -> None:
        """So much more is done."""
        if self.bar is not None:
            self.bar.update(by)

    def end(self) -> None:
        """The work is over, well or not."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
