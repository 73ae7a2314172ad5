"""`-D COMMAND NAME VALUE`: a property of MQTT 5.0 for one of the packets that are sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from linnet.cli.asked import UsageError
from linnet.cli.checks import text_of
from linnet.errors import ProtocolError, did_you_mean
from linnet.wire.header import PacketType
from linnet.wire.properties import BINARY, PAIR, STRING, TABLE, WILL, PropertyType
from linnet.wire.version import V5

if TYPE_CHECKING:
    from linnet.cli.asked import Asked
    from linnet.cli.grammar import Words

PLACES: dict[str, int] = {
    "connect": PacketType.CONNECT,
    "publish": PacketType.PUBLISH,
    "subscribe": PacketType.SUBSCRIBE,
    "unsubscribe": PacketType.UNSUBSCRIBE,
    "disconnect": PacketType.DISCONNECT,
    "will": WILL,
}
SINGULAR = {"user_properties": "user-property", "subscription_identifiers": "subscription-identifier"}


def name_of(row: PropertyType) -> str:
    """The property's name as it is written on the command line."""
    return SINGULAR.get(row.name, row.name.replace("_", "-"))


BY_NAME = {name_of(row): row for row in TABLE}


def take_property(asked: Asked, words: Words) -> None:
    """Take the three words, or the four of a user property, and keep the property; raises UsageError."""
    option = words.option
    command = words.take("command").lower()
    if command not in PLACES:
        raise UsageError(_unknown(option, "command", command, PLACES))
    name = words.take("property name")
    row = BY_NAME.get(name.lower())
    if row is None:
        raise UsageError(_unknown(option, "property", name, BY_NAME))
    value = _value(row, option, words)
    asked.version = V5
    try:
        row.check_place(PLACES[command])
        row.check(value)
    except ProtocolError as error:
        raise UsageError(f"{option}: {error.detail}") from None
    properties = asked.properties[command]
    if row.many:
        getattr(properties, row.name).append(value)
    else:
        setattr(properties, row.name, value)


def _unknown(option: str, what: str, name: str, known: Iterable[str]) -> str:
    return f"{option}: there is no {what} {name!r}{did_you_mean(name, known)}"


def _value(row: PropertyType, option: str, words: Words) -> Any:
    if row.kind is PAIR:
        return text_of(option, words.take("name")), text_of(option, words.take("value"))
    if row.kind is STRING:
        return text_of(option, words.take("value"))
    if row.kind is BINARY:
        return words.take("value").encode(errors="surrogateescape")
    words.option = f"{option} … {name_of(row)}"
    return words.number(row.smallest, row.largest)
