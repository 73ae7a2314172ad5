"""Composing: from what a program says about a message to the message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict

from linnet.client.codecs import RAW, resolve_codec
from linnet.wire.message import Message
from linnet.wire.properties import Properties

if TYPE_CHECKING:
    from linnet.client.publishing import Publisher


LONGEST = 0xFFFFFFFF  # seconds


class PublishOptions(TypedDict, total=False):
    """How to publish, and what a message may say besides its payload."""

    qos: int
    retain: bool
    codec: Any  # what makes a payload of the value; a Codec or a type
    expiry: int | None  # seconds that the message is worth something, counted from now
    content_type: str | None
    response_topic: str | None
    correlation_data: bytes | None
    user_properties: Mapping[str, str] | Sequence[tuple[str, str]]
    properties: Properties | None  # instead of the four above, or with them


def composed(publisher: Publisher, topic: str, payload: Any, options: PublishOptions) -> Message:
    """What is published. Raises EncodeError, TypeError, and ProtocolError for what is no topic name."""
    if type(payload) is bytes and len(options) <= 1:
        name = publisher.names.get(topic)
        if name is not None and (not options or "qos" in options):
            return Message(name, payload, options.get("qos", 0))
    return described(publisher, topic, payload, **options)


def described(
    publisher: Publisher,
    topic: str,
    payload: Any,
    qos: int = 0,
    retain: bool = False,
    codec: Any = None,
    expiry: int | None = None,
    content_type: str | None = None,
    response_topic: str | None = None,
    correlation_data: bytes | None = None,
    user_properties: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    properties: Properties | None = None,
) -> Message:
    """The same, with all that can be said of a message."""
    if type(payload) is not bytes:
        payload = (RAW if codec is None else resolve_codec(codec)).encode(payload)
    elif codec is not None:
        payload = resolve_codec(codec).encode(payload)
    if expiry is not None and not (isinstance(expiry, int) and 0 <= expiry <= LONGEST):
        raise ValueError(f"expiry is 0 to {LONGEST} whole seconds, not {expiry!r}")
    name = publisher.name(topic)
    said = properties
    is_told = expiry is not None or content_type or response_topic or correlation_data or user_properties
    if is_told or codec is not None:
        said = replace(properties) if properties is not None else Properties()
        chosen = resolve_codec(codec)
        if said.payload_format_indicator is None:
            said.payload_format_indicator = chosen.payload_format
        said.content_type = content_type or said.content_type or chosen.content_type
        said.response_topic = response_topic or said.response_topic
        said.correlation_data = correlation_data or said.correlation_data
        said.user_properties = [*said.user_properties, *pairs(user_properties)]
        said.message_expiry_interval = expiry if expiry is not None else said.message_expiry_interval
    return Message(name, payload, qos, retain, said)


def pairs(given: Mapping[str, str] | Sequence[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """User Properties as pairs of a name and a value. Raises TypeError for what is none."""
    members = list(given.items() if isinstance(given, Mapping) else given)
    for member in members:
        if not (isinstance(member, tuple) and len(member) == 2 and all(isinstance(part, str) for part in member)):
            raise TypeError(f"a user property is a name and a value, both text, not {member!r}")
    return members
