"""Messages as JSON: Mosquitto's `%j` and `%J`, and the lines of `--json`, which can be read back.

A line of `--json` has `topic`, `qos`, `retain`, the payload under `payload` when it is text and in base64 under
`payload_base64` when it is not, and `properties` by their names in Python, those that are there. User properties are a
list of pairs, for a name may come twice; correlation data that is not text has `_base64` behind its name as well.
"""

from __future__ import annotations

import json
import time
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from linnet.errors import LinnetError, ProtocolError
from linnet.wire.header import PacketType
from linnet.wire.properties import BINARY, PAIR, STRING, TABLE, Properties, PropertyType
from linnet.wire.publish import Publish
from linnet.wire.strings import is_topic_name

SECOND = 1_000_000_000  # nanoseconds
PUBLISH = int(PacketType.PUBLISH)
OF_PUBLISH = [row for row in TABLE if row.allowed >> PUBLISH & 1]
OF_ONE_HOP = ("topic_alias", "subscription_identifiers")  # not to be published again
KEYS = {"topic", "payload", "payload_base64", "qos", "retain", "properties", "time"}
OF_MOSQUITTO = {"tst", "payloadlen", "mid", "dup"}  # in its lines; they say nothing to a publisher


class LineError(LinnetError):
    """A line that says no message."""


@dataclass(slots=True)
class Outgoing:
    """A message to be published."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = field(default_factory=Properties)


def moment(when: int) -> str:
    """Nanoseconds since the epoch as ISO 8601 with microseconds, in local time."""
    local = time.localtime(when // SECOND)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{when % SECOND // 1000:06}{time.strftime('%z', local)}"


def dumped(value: object, pretty: bool = False) -> bytes:
    """JSON on one line, or on several for people."""
    if pretty:
        text = json.dumps(value, ensure_ascii=False, indent="\t", separators=(",", ":\t"))
    else:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="surrogatepass")


def parsed(payload: bytes) -> object:
    """What JSON says; nothing is null. Raises ValueError."""
    return json.loads(payload, parse_constant=_no_number) if payload else None


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def text_or_numbers(payload: bytes) -> object:
    """The payload as text, nothing as null, and as the list of its bytes where it is no text."""
    try:
        return payload.decode() if payload else None
    except UnicodeDecodeError:
        return list(payload)


def mosquitto(message: Publish, properties: Properties, when: int, payload: object, pretty: bool) -> bytes:
    """The object that `%j` and `%J` print."""
    line: dict[str, object] = {
        "tst": moment(when),
        "topic": message.topic,
        "qos": message.qos,
        "retain": int(message.retain),
        "payloadlen": message.size(),
    }
    if message.qos:
        line["mid"] = message.packet_id
    found: dict[str, object] = {}
    for row in OF_PUBLISH:
        value = getattr(properties, row.name)
        if row.kind is PAIR and value:
            found["user-properties"] = dict(value)
        elif row.kind is BINARY and value is not None:
            found[row.name.replace("_", "-")] = value.decode(errors="replace")
        elif row.many and value:
            found["subscription-identifier"] = value[0]
        elif value is not None and not row.many:
            found[row.name.replace("_", "-")] = value
    if found:
        line["properties"] = found
    return dumped({**line, "payload": payload}, pretty)


def to_line(message: Publish, when: int, pretty: bool = False) -> bytes:
    """A message as a line of `--json`."""
    line: dict[str, object] = {"time": moment(when), "topic": message.topic}
    line.update(_binary("payload", message.payload))
    line["qos"] = message.qos
    line["retain"] = message.retain
    properties = message.properties
    found: dict[str, object] = {}
    for row in OF_PUBLISH:
        value = getattr(properties, row.name)
        if value is None or value == []:
            continue
        found.update(_binary(row.name, value) if row.kind is BINARY else {row.name: value})
    if found:
        line["properties"] = found
    return dumped(line, pretty)


def _binary(name: str, data: bytes) -> dict[str, str]:
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": b64encode(data).decode()}


def from_line(line: bytes, topic: str = "", qos: int = 0, retain: bool = False) -> Outgoing:
    """Read a line of `--json`, or of Mosquitto's `%j`; what it leaves out is as given. Raises LineError."""
    try:
        said = json.loads(line, parse_constant=_no_number)
    except ValueError as error:
        raise LineError(f"not JSON: {error}") from None
    if not isinstance(said, dict):
        raise LineError("not a JSON object")
    if unknown := said.keys() - KEYS - OF_MOSQUITTO:
        raise LineError(f"{', '.join(sorted(unknown))}: no such key")
    topic = said.get("topic", topic)
    if not isinstance(topic, str) or not is_topic_name(topic):
        raise LineError(f"{topic!r} is no topic to publish to" if topic else "the topic is missing")
    qos = said.get("qos", qos)
    if qos not in (0, 1, 2) or isinstance(qos, bool):
        raise LineError(f"qos is 0, 1 or 2, not {qos!r}")
    retain = said.get("retain", retain)
    if retain not in (False, True):  # 0 and 1 are equal to them
        raise LineError(f"retain is true or false, not {retain!r}")
    properties = _properties(said.get("properties", {}))
    return Outgoing(topic, _bytes(said, "payload") or b"", int(qos), bool(retain), properties)


def _bytes(said: dict[str, Any], name: str) -> bytes | None:
    """Binary data, whichever of its two keys has it; a payload that is JSON itself is written as JSON."""
    if (encoded := said.get(f"{name}_base64")) is not None:
        if name in said:
            raise LineError(f"{name} and {name}_base64 are both there")
        try:
            return b64decode(encoded, validate=True)
        except (Base64Error, TypeError, ValueError):
            raise LineError(f"{name}_base64 is not base64") from None
    value = said.get(name)
    if value is None:
        return None
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError:
            raise LineError(f"{name} holds half a character") from None
    return dumped(value)


def _properties(said: object) -> Properties:
    if not isinstance(said, dict):
        raise LineError("properties is not a JSON object")
    properties = Properties()
    left = {str(name).replace("-", "_"): value for name, value in said.items()}
    left.pop("subscription_identifier", None)
    for row in OF_PUBLISH:
        names = {row.name, f"{row.name}_base64"} if row.kind is BINARY else {row.name}
        here = {name: left.pop(name) for name in names & left.keys()}
        if here and row.name not in OF_ONE_HOP:
            value = _value(row, here)
            try:
                for one in value if row.many else (value,):
                    row.check(one)
            except ProtocolError as error:
                raise LineError(error.detail) from None
            setattr(properties, row.name, value)
    if left:
        raise LineError(f"{', '.join(sorted(left))}: no such property of a message")
    return properties


def _value(row: PropertyType, here: dict[str, Any]) -> Any:
    if row.kind is BINARY:
        return _bytes(here, row.name)
    value = here[row.name]
    if row.kind is PAIR:
        return list(_pairs(value))
    wanted: Callable[[Any], bool] = (lambda one: isinstance(one, str)) if row.kind is STRING else _is_number
    if not wanted(value):
        raise LineError(f"{row.name} cannot be {value!r}")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _pairs(value: object) -> Iterator[tuple[str, str]]:
    """User properties: a list of pairs, or an object where no name comes twice."""
    pairs = list(value.items()) if isinstance(value, dict) else value
    if not isinstance(pairs, list):
        raise LineError("user_properties is a list of pairs")
    for pair in pairs:
        match pair:
            case [str(name), str(text)] | (str(name), str(text)):
                yield name, text
            case _:
                raise LineError(f"user_properties: {pair!r} is no pair of texts")
