"""How messages that come in are printed, and which of them are: what `sub`, `rr` and `get` have in common."""

from __future__ import annotations

import random
import sys
import time
from enum import Enum
from typing import TYPE_CHECKING

from linnet.cli import format as formats
from linnet.cli import json_lines
from linnet.cli.asked import Asked, UsageError
from linnet.cli.grammar import Option, Words, flag
from linnet.core.topics import matches
from linnet.wire.publish import Publish
from linnet.wire.varint import encode_varint

if TYPE_CHECKING:
    from linnet.cli.teller import Teller
    from linnet.client.client import Client, SubscribeOptions

GROUP = "output"


def _format(asked: Asked, words: Words) -> None:
    asked.format = words.take("format")
    try:
        formats.compiled(asked.format)
    except formats.FormatError as error:
        raise UsageError(f"{words.option}: {error}") from None


PRINTING = (
    Option(("-F",), _format, "FORMAT", "print each message in this format, such as '%t %p'", GROUP),
    flag("-v", "--verbose", to="verbose", group=GROUP, help="print the topic before the payload"),
    flag("-N", to="eol", value=False, group=GROUP, help="print no newline after a message"),
    flag("--json", to="json", group=GROUP, help="print a line of JSON for each message, which pub --json can read"),
    flag("--pretty", to="pretty", group=GROUP, help="print JSON on several lines"),
    flag("-R", to="no_retain", help="no messages that were retained"),
    flag("--retain-as-published", to="retain_as_published", help="tell the retain flag as the publisher set it"),
)


class Printer:
    """Prints messages, each at once."""

    __slots__ = ("asked", "identifiers", "pieces", "teller")

    def __init__(self, asked: Asked, teller: Teller) -> None:
        self.asked = asked
        self.teller = teller
        self.pieces = formats.compiled(asked.format) if asked.format is not None else None
        wanted = asked.properties["subscribe"].subscription_identifiers
        self.identifiers = b"".join(encode_varint(identifier) for identifier in wanted)

    def __repr__(self) -> str:
        return f"<Printer {self.asked.format or ('json' if self.asked.json else 'plain')!r}>"

    def text(self, message: Publish, when: int) -> bytes:
        """What is printed for a message that came at `when`, in nanoseconds since the epoch."""
        asked = self.asked
        end = b"\n" if asked.eol else b""
        message.identifiers = self.identifiers  # those of the library are its own affair
        if self.pieces is not None:
            shown = formats.Shown(message, when, asked.pretty)
            line = formats.render(self.pieces, shown)
            if shown.fault:
                self.teller.error(shown.fault)
            return line + end
        if asked.json:
            return json_lines.to_line(message, when, asked.pretty) + end
        if asked.verbose:
            return _verbose(message, end)
        return message.payload + end if message.size() else b""

    def show(self, message: Publish) -> None:
        """Print it now."""
        text = self.text(message, time.time_ns())
        out = sys.stdout.buffer
        out.write(text)
        out.flush()


def _verbose(message: Publish, end: bytes) -> bytes:
    """Topic and payload, as Mosquitto prints them: an empty payload is `(null)`, and nothing without an end."""
    if message.size():
        return b"%b %b%b" % (message.topic_name, message.payload, end)
    return message.topic_name + b" (null)" + end if end else b""


def subscribing(client: Client, asked: Asked, retain_handling: int) -> SubscribeOptions:
    """How to subscribe for what is printed. Options that 5.0 has brought are left out before it, as Mosquitto does."""
    if not client.limits.version.has_properties:
        return {"qos": asked.qos, "ack": "manual", "when_full": "wait", "keep": True}
    return {
        "qos": asked.qos,
        "retain_as_published": asked.retain_as_published,
        "retain_handling": retain_handling,
        "ack": "manual",
        "when_full": "wait",
        "keep": True,
        "user_properties": asked.properties["subscribe"].user_properties,
    }


class Verdict(Enum):
    """What becomes of a message that has come."""

    SHOW = "it is printed, and counts"
    PASS = "it is not for us"
    STOP = "there is nothing more to wait for"


def judge(asked: Asked, message: Publish) -> Verdict:
    """What to do with a message. It says nothing about clearing it, which -R does not prevent."""
    if asked.retained_only and not message.retain:
        return Verdict.STOP
    if message.retain and asked.no_retain:
        return Verdict.PASS
    return Verdict.PASS if is_filtered_out(asked, message) else Verdict.SHOW


def is_filtered_out(asked: Asked, message: Publish) -> bool:
    """Whether -T names it."""
    return any(matches(message.topic_name, name.encode()) for name in asked.filter_outs)


def by_chance(asked: Asked) -> bool:
    """Whether --random-filter lets a message be printed."""
    return asked.random_filter >= 100.0 or random.random() * 100.0 < asked.random_filter
