"""What an option is: how a row of the table in settings.py is written, read from text, and explained.

This file knows no single option; the table in settings.py is made of what is here.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Annotated, Any, Final, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError

from linnet.errors import did_you_mean

PREFIX: Final = "LINNET_"
LABEL: Final = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"  # of a host name
TEXT: Final = r"^[^\x00-\x1f\x7f]*$"  # no control characters


def host_and_port(address: str) -> tuple[str, int]:
    """Split `HOST:PORT` or `[IPV6]:PORT`; a ValueError says what is wrong with it."""
    host, colon, port = address.rpartition(":")
    if not colon or not host:
        raise ValueError("HOST:PORT is needed")
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError("the port is a number from 0 to 65535")
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(IPv6Address(host[1:-1])), int(port)
        except ValueError:
            raise ValueError("in the brackets stands no IPv6 address") from None
    if not re.fullmatch(rf"{LABEL}(\.{LABEL})*\.?", host):
        raise ValueError("the host is a name or an address, an IPv6 address in brackets")
    return host, int(port)


def _address(text: str) -> str:
    host_and_port(text)
    return text


def items_of(value: object) -> object:
    """A list may be written as one text with commas; it is kept as a tuple."""
    if isinstance(value, str):
        return tuple(item.strip() for item in value.split(",")) if value.strip() else ()
    return tuple(value) if isinstance(value, list) else value


Addresses = Annotated[tuple[Annotated[str, AfterValidator(_address)], ...], BeforeValidator(items_of)]
Versions = Annotated[tuple[Literal["3.1", "3.1.1", "5.0"], ...], BeforeValidator(items_of)]

# When a change of an option is obeyed by a broker that runs: by everybody at once, by the connections that come from
# then on (what a client was told when it connected holds as long as it stays), or not before the next start.
TakesEffect = Literal["now", "new", "restart"]
EFFECTS: Final[Mapping[str, str]] = {"now": "at once", "new": "for new connections", "restart": "after a restart"}


def option(
    default: object,
    sentence: str,
    unit: str = "",
    bounds: tuple[float | None, float | None] = (None, None),
    takes_effect: TakesEffect = "now",
    form: str = "HOST:PORT or [IPV6]:PORT",
    **more: Any,
) -> Any:
    """One row of the table; `form` is what the items of a list look like, `more` goes to pydantic as it is."""
    low, high = bounds
    extra: dict[str, Any] = {"unit": unit, "takes_effect": takes_effect, "form": form}
    return Field(default, description=sentence, ge=low, le=high, json_schema_extra=extra, **more)


@dataclass(frozen=True, slots=True)
class Option:
    """What the table says about one setting."""

    name: str
    group: str
    default: Any
    sentence: str
    unit: str
    takes_effect: TakesEffect
    form: str
    annotation: Any
    low: float | None
    high: float | None
    fewest: int
    longest: int | None

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + self.name.upper()

    @property
    def item(self) -> Any:
        """The type of the value, or of one item of a list."""
        return get_args(self.annotation)[0] if self.is_list else self.annotation

    @property
    def is_list(self) -> bool:
        """Whether it holds several values."""
        return get_origin(self.annotation) is tuple

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that may be chosen from, if it is a choice."""
        return get_args(self.item) if get_origin(self.item) is Literal else ()

    @property
    def allowed(self) -> str:
        """What may be written, in words."""
        if self.is_list:
            items = "of " + _quoted(self.choices, "and") if self.choices else self.form
            return f"a list of {'one or more ' if self.fewest else ''}{items}"
        if self.choices:
            return _quoted(self.choices, "or")
        if self.annotation is bool:
            return "true or false"
        if self.annotation is str:
            return f"text of at most {self.longest} characters, without control characters"
        kind = "a whole number" if self.annotation is int else "a number"
        unit = f" ({self.unit})" if self.unit else ""
        return f"{kind} from {self.low} to {self.high}{unit}"

    def read(self, text: str) -> object:
        """The value that `text` stands for outside of TOML, or the text itself if it stands for none."""
        parsers: dict[Any, Callable[[str], object]] = {
            bool: lambda word: {"true": True, "false": False}.get(word.strip().lower(), word),
            int: lambda word: int(word, 0),  # as in TOML: 0x10, 1_000
            float: float,
        }
        try:
            return parsers.get(self.annotation, str)(text)
        except ValueError:
            return text


def _quoted(words: Iterable[str], last: str) -> str:
    *most, end = (f'"{word}"' for word in words)
    return f"{', '.join(most)} {last} {end}" if most else end


def options_of(group: type[BaseModel]) -> dict[str, Option]:
    """The rows of a group, by name."""
    rows = {}
    for name, field in group.model_fields.items():
        extra: Any = field.json_schema_extra
        limits = {
            key: getattr(one, key)
            for one in field.metadata
            for key in ("ge", "le", "min_length", "max_length")
            if hasattr(one, key)
        }
        rows[name] = Option(
            name=name,
            group=group.__name__.lower(),
            default=field.default,
            sentence=field.description or "",
            unit=extra["unit"],
            takes_effect=extra["takes_effect"],
            form=extra["form"],
            annotation=field.annotation,
            low=limits.get("ge"),
            high=limits.get("le"),
            fewest=limits.get("min_length", 0),
            longest=limits.get("max_length"),
        )
    return rows


def faults_in(error: ValidationError, options: Mapping[str, Option], sources: Mapping[str, str]) -> list[str]:
    """A line for each fault: the name, the value, what is allowed, and where it stood."""
    found = error.errors(include_url=False)
    items = {one["loc"][0] for one in found if len(one["loc"]) > 1}
    lines: list[tuple[str, str]] = []
    for one in found:
        name = str(one["loc"][0])
        where = f" ({sources[name]})" if name in sources else ""
        if name not in options:
            lines.append(
                (name, f"{name} = {shown(one['input'])}: there is no such setting{did_you_mean(name, options)}{where}")
            )
        elif len(one["loc"]) > 1 or name not in items:  # a list with bad items need not be blamed too
            why = f"; {one['ctx']['error']}" if one["type"] == "value_error" else ""
            lines.append((name, f"{name} = {shown(one['input'])}: allowed is {options[name].allowed}{why}{where}"))
    order = list(options)
    lines.sort(key=lambda line: order.index(line[0]) if line[0] in options else len(order))
    return [text for _, text in lines]


def shown(value: object) -> str:
    """A value as TOML writes it, or nearly, and not too long."""
    text = toml(value)
    return text if len(text) <= 80 else text[:77] + "..."


def toml(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    return repr(value)


def key_lines(text: str) -> dict[tuple[str, ...], int]:
    """Line numbers of tables and keys, by a look at how each line begins (tomllib does not tell them)."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*([\w.\"'-]+)\s*\]", line):
            table = _key(header[1])
            found.setdefault(table, number)
        elif entry := re.match(r"\s*([\w.\"'-]+)\s*=", line):
            found.setdefault(table + _key(entry[1]), number)
    return found


def _key(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"' ") for part in dotted.split("."))
