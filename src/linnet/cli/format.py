"""`-F`: Mosquitto's language for how a message is printed.

A format is read once, into pieces, each of which makes bytes of a message; text between them is a piece too. `%`
begins what is known of the message, `@` a part of the time as strftime(3) writes it, and `\\` what is hard to type.
Behind `%` may stand `-` (to the left) or `0` (filled with zeros), a width and, behind a dot, a precision.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from linnet.cli import json_lines
from linnet.errors import LinnetError
from linnet.wire.properties import Properties
from linnet.wire.publish import Publish

SPECIFIER = re.compile(r"%([-0]?)(\d*)(?:\.(\d*))?(.)", re.DOTALL)
ESCAPES = {"\\": "\\", "0": "\0", "a": "\a", "e": "\033", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
SECOND = 1_000_000_000  # nanoseconds


class FormatError(LinnetError):
    """A format that cannot be read."""


@dataclass(slots=True)
class Shown:
    """A message about to be printed, and when it came: nanoseconds since the epoch."""

    message: Publish
    when: int
    pretty: bool = False
    found: Properties | None = None  # its properties, once they were looked at
    fault: str = ""  # why a part of the format is missing in what was printed

    @property
    def properties(self) -> Properties:
        """The properties, decoded at most once."""
        if self.found is None:
            self.found = self.message.properties
        return self.found

    def time(self, form: str) -> str:
        """When it came, as strftime(3) writes it, in local time."""
        return time.strftime(form, time.localtime(self.when // SECOND))


@dataclass(frozen=True, slots=True)
class Field:
    """How wide a value is printed. A precision of None is none at all."""

    left: bool
    zeros: bool
    width: int
    precision: int | None

    def blank(self, fill: str = " ") -> str:
        """What stands in the place of a value that is not there."""
        return fill * self.width

    def number(self, value: int | None) -> str:
        """A number, with zeros in front of it if they were wanted."""
        if value is None:
            return self.blank("0" if self.zeros else " ")
        text = str(value)
        return text.ljust(self.width) if self.left else text.rjust(self.width, "0" if self.zeros else " ")

    def text(self, value: str) -> bytes:
        """A text, cut to the precision: both are counted in bytes, as printf(3) does."""
        data = value.encode()[: self.precision]
        return data.ljust(self.width) if self.left else data.rjust(self.width)

    def payload(self, data: bytes) -> bytes:
        """A payload, which is cut to the width if there is one."""
        if not self.width:
            return data
        data = data[: self.width]
        return data.ljust(self.width) if self.left else data.rjust(self.width, b"0" if self.zeros else b" ")

    def hexadecimal(self, digits: str) -> bytes:
        """A payload in hexadecimal, of which no byte is cut in two."""
        whole = digits[: self.width & ~1] if 0 < self.width < len(digits) else digits
        return self.payload(whole.encode())


Piece = Callable[[Shown], bytes]
Writer = Callable[[Shown, Field], bytes | str]


def _text(name: str, blank: bool) -> Writer:
    def write(shown: Shown, field: Field) -> bytes | str:
        value = getattr(shown.properties, name)
        if value is None:
            return field.blank() if blank else b""
        return field.text(value)

    return write


def _number(name: str) -> Writer:
    return lambda shown, field: field.number(getattr(shown.properties, name))


def _identifiers(shown: Shown, field: Field) -> str:
    return field.number(next(iter(shown.properties.subscription_identifiers), None))


def _users(shown: Shown, field: Field) -> str:
    return " ".join(f"{name}:{value}" for name, value in shown.properties.user_properties)


def _json(shown: Shown, field: Field) -> bytes:
    payload: object = json_lines.text_or_numbers(shown.message.payload)
    return json_lines.mosquitto(shown.message, shown.properties, shown.when, payload, shown.pretty)


def _json_payload(shown: Shown, field: Field) -> bytes:
    try:
        payload = json_lines.parsed(shown.message.payload)
    except ValueError:
        shown.fault = f"the payload on topic {shown.message.topic} is not JSON"
        return b""
    return json_lines.mosquitto(shown.message, shown.properties, shown.when, payload, shown.pretty)


WRITERS: dict[str, Writer] = {
    "%": lambda shown, field: "%",
    "A": _number("topic_alias"),
    "C": _text("content_type", True),
    "D": lambda shown, field: shown.properties.correlation_data or b"",
    "E": _number("message_expiry_interval"),
    "F": _number("payload_format_indicator"),
    "I": lambda shown, field: field.text(shown.time("%Y-%m-%dT%H:%M:%S%z")),
    "j": _json,
    "J": _json_payload,
    "l": lambda shown, field: field.number(shown.message.size()),
    "m": lambda shown, field: field.number(shown.message.packet_id),
    "P": _users,
    "p": lambda shown, field: field.payload(shown.message.payload),
    "q": lambda shown, field: str(shown.message.qos),
    "R": _text("response_topic", False),
    "r": lambda shown, field: str(int(shown.message.retain)),
    "S": _identifiers,
    "t": lambda shown, field: field.text(shown.message.topic),
    "U": lambda shown, field: f"{shown.when // SECOND}.{shown.when % SECOND:09}",
    "x": lambda shown, field: field.hexadecimal(shown.message.payload.hex()),
    "X": lambda shown, field: field.hexadecimal(shown.message.payload.hex().upper()),
}


def compiled(form: str) -> list[Piece]:
    """Read a format into its pieces; raises FormatError."""
    pieces: list[Piece] = []
    plain = ""
    at = 0
    while at < len(form):
        start = form[at]
        if start == "\\":
            plain += _escaped(form[at + 1 : at + 2])
            at += 2
            continue
        if start not in "%@":
            plain += start
            at += 1
            continue
        pieces.append(_literal(plain))
        plain = ""
        if start == "@":
            pieces.append(_moment(form[at + 1 : at + 2]))
            at += 2
        else:
            match = SPECIFIER.match(form, at)
            if match is None:
                raise FormatError(f"the format ends in the middle of {form[at:]!r}")
            pieces.append(_piece(match))
            at = match.end()
    return [*pieces, _literal(plain)]


def render(pieces: list[Piece], shown: Shown) -> bytes:
    """A message in this format. If it asks for JSON that the payload is not, `shown.fault` says so."""
    return b"".join([piece(shown) for piece in pieces])


def _literal(text: str) -> Piece:
    data = text.encode(errors="surrogateescape")
    return lambda shown: data


def _escaped(letter: str) -> str:
    if not letter:
        raise FormatError("the format ends in the middle of '\\'")
    if letter not in ESCAPES:
        raise FormatError(f"the format has '\\{letter}', which means nothing")
    return ESCAPES[letter]


def _moment(letter: str) -> Piece:
    if not letter:
        raise FormatError("the format ends in the middle of '@'")
    if letter == "@":
        return _literal("@")
    if letter == "N":
        return lambda shown: f"{shown.when % SECOND:09}".encode()
    return lambda shown: shown.time(f"%{letter}").encode(errors="surrogateescape")


def _piece(match: re.Match[str]) -> Piece:
    sign, width, precision, letter = match.groups()
    writer = WRITERS.get(letter)
    if writer is None:
        raise FormatError(f"the format has {match[0]!r}, and {letter!r} means nothing there")
    zeros = sign == "0" or (sign == "-" and width.startswith("0"))
    field = Field(sign == "-", zeros, int(width or 0), None if precision is None else int(precision or 0))

    def piece(shown: Shown) -> bytes:
        made = writer(shown, field)
        return made if isinstance(made, bytes) else made.encode()

    return piece
