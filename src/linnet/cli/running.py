"""How every client verb runs: read the words, do the work, and turn what went wrong into one line and an exit code."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from linnet.cli import client_options, exit_codes
from linnet.cli.asked import Asked, UsageError
from linnet.cli.client_config import load
from linnet.cli.grammar import Verb, help_of
from linnet.cli.teller import Teller
from linnet.errors import LinnetError

Check = Callable[[Asked], None]
Work = Callable[[Asked, Teller], Awaitable[int]]
Late = Callable[[Asked], str]


def timed_out(asked: Asked) -> str:
    """What is said when the time of -W is over."""
    return f"timed out after {asked.timeout:g} s"


def run(
    verb: Verb,
    check: Check,
    work: Work,
    words: Sequence[str],
    on_term: int = exit_codes.TERMINATED,
    late: Late = timed_out,
) -> int:
    """One verb from its words to its exit code; `on_term` is what SIGTERM makes it, `late` what is said after -W."""
    teller = Teller(verb.name)
    try:
        asked = load(verb, words, os.environ)
        if asked.help or asked.show_version:
            print(help_of(verb) if asked.help else _version(), end="", flush=True)
            return exit_codes.FINE
        client_options.check(asked)
        check(asked)
        teller.quiet, teller.debugs = asked.quiet, asked.debug
        with _logged(teller):
            return _loop(_bounded(asked, teller, work, late), on_term)
    except UsageError as error:
        teller.quiet = False  # that it was asked wrongly is told even then
        teller.error(f"{error} (linnet {verb.name} --help tells more)")
        return exit_codes.FAILED
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_codes.PIPE_CLOSED
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED


async def _bounded(asked: Asked, teller: Teller, work: Work, late: Late) -> int:
    """The work, within the time of -W; what it raises becomes a line and a code."""
    deadline = asyncio.timeout(asked.timeout)
    try:
        async with deadline:
            return await work(asked, teller)
    except TimeoutError as error:
        if not deadline.expired():
            teller.error(error)
            return exit_codes.FAILED
        teller.error(late(asked))
        return exit_codes.TIMED_OUT
    except UsageError:
        raise
    except LinnetError as error:
        teller.error(error)
        return exit_codes.of_error(error, asked.version)
    except BrokenPipeError:
        raise
    except OSError as error:
        teller.error(f"{error.filename}: {_why(error)}" if error.filename else _why(error))
        return exit_codes.FAILED
    finally:
        teller.end()


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _loop(work: Any, on_term: int) -> int:
    """Run to the end, or until a signal; the client says goodbye in either case."""
    stopped: list[int] = []

    async def main() -> int:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()

        def stop(code: int) -> None:
            if stopped:  # asked twice
                os._exit(code)
            stopped.append(code)
            task.cancel()

        try:
            loop.add_signal_handler(signal.SIGINT, stop, exit_codes.INTERRUPTED)
            loop.add_signal_handler(signal.SIGTERM, stop, on_term)
        except (NotImplementedError, RuntimeError, ValueError):
            pass  # not everywhere, and in the main thread only
        result: int = await work
        return result

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        return stopped[0] if stopped else exit_codes.FAILED


def _version() -> str:
    from linnet.cli.main import version

    return version() + "\n"


class _Lines(logging.Handler):
    """Tells what the library logs: warnings, and with -d everything."""

    def __init__(self, teller: Teller) -> None:
        super().__init__(logging.DEBUG if teller.debugs else logging.WARNING)
        self.teller = teller

    def emit(self, record: logging.LogRecord) -> None:
        """One line for each record."""
        self.teller.error(record.getMessage())


@contextmanager
def _logged(teller: Teller) -> Iterator[None]:
    """While this lasts, what the library logs is told as the verb's own words."""
    logger = logging.getLogger("linnet.client")
    handler, level = _Lines(teller), logger.level
    logger.addHandler(handler)
    if teller.debugs:
        logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
