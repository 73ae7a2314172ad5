"""The named loggers: which there are, how loud each can be, and how a line gets its fields.

Each kind of line has a logger of its own below `linnet`, so that each can be turned on and off by itself. A line has a
text for people and, as attributes of its record, fields for machines: `event` says what happened, `client_id` and
`address` to whom. What clients choose is quoted in the text, so no client writes a line of its own.
"""

import logging
from collections.abc import Container, Mapping
from typing import Any, Final

from linnet.errors import did_you_mean

NAMES: Final = (
    "connections",
    "packets",
    "subscriptions",
    "sessions",
    "protocol",
    "hooks",
    "limits",
    "drops",
    "settings",
)
LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "off": logging.CRITICAL + 10,
}


def named(name: str) -> logging.Logger:
    """The logger of that kind."""
    return logging.getLogger(f"linnet.{name}")


def check(name: str, level: str) -> None:
    """A ValueError says which of the two there is not."""
    if name not in NAMES:
        raise ValueError(f"there is no logger {name!r}{did_you_mean(name, NAMES)}")
    if level not in LEVELS:
        raise ValueError(f"there is no level {level!r}{did_you_mean(level, LEVELS)}")


def name_and_level(text: str) -> tuple[str, str]:
    """Split `LOGGER=LEVEL`; a ValueError says what is wrong with it."""
    name, equals, level = text.partition("=")
    if not equals:
        raise ValueError("LOGGER=LEVEL is needed")
    check(name, level)
    return name, level


def hears(logger: logging.Logger, level: int, client_id: str, watched: Container[str]) -> bool:
    """Whether a line about this client is wanted: at that level, or because everything of this client is."""
    return logger.isEnabledFor(level) or client_id in watched


def write(
    logger: logging.Logger,
    level: int,
    event: str,
    fields: Mapping[str, Any],
    text: str,
    *args: object,
    error: BaseException | None = None,
) -> None:
    """Hand on a line that is wanted, which may be one that its logger's level alone would hold back."""
    info = (type(error), error, error.__traceback__) if error is not None else None
    extra = {"event": event, **fields}
    logger.handle(logger.makeRecord(logger.name, level, __file__, 0, text, args, info, event, extra))
