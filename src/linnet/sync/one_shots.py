"""One message out or in, without a client to look after: connect, do it, disconnect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Unpack, cast, overload

from linnet.client.composing import PublishOptions
from linnet.client.message import Message
from linnet.client.options import ClientOptions
from linnet.errors import ReasonCode
from linnet.sync.client import Client
from linnet.sync.waiting import Patience

MOST = 65535  # messages that are on their way without an acknowledgement


class PublishOnce(ClientOptions, total=False):
    """What a client is told, and what a message is; `properties` are the message's."""

    qos: int
    retain: bool
    codec: Any
    expiry: int | None
    content_type: str | None
    response_topic: str | None
    correlation_data: bytes | None
    user_properties: Sequence[tuple[str, str]]


class ReceiveOnce(ClientOptions, total=False):
    """What a client is told, and how it subscribes."""

    qos: int
    no_local: bool
    retain_as_published: bool
    retain_handling: int


HOW = ReceiveOnce.__annotations__.keys() - ClientOptions.__annotations__.keys()


def publish(
    url: str | Sequence[str],
    topic: str,
    payload: Any = b"",
    *,
    timeout: float | None = None,
    **options: Unpack[PublishOnce],
) -> ReasonCode:
    """Connect, publish one message, and disconnect; the reason code of the server's acknowledgement.

    A connection that is lost meanwhile is an error, unless `reconnect` says otherwise. Raises what connecting and
    publishing raise, and TimeoutError when both together take longer than `timeout` seconds.
    """
    given = dict(options)
    said = {name: given.pop(name) for name in PublishOptions.__annotations__ if name in given}
    patience = Patience(timeout)
    client = Client(url, **cast(ClientOptions, {"reconnect": None, **given}))
    client.connect(patience.left)
    try:
        return client.publish(topic, payload, timeout=patience.left, **cast(PublishOptions, said))
    finally:
        client.disconnect(timeout=patience.left)


@overload
def receive(
    url: str | Sequence[str],
    *filters: str,
    count: Literal[1] = 1,
    timeout: float | None = 10.0,
    codec: Any = None,
    **options: Unpack[ReceiveOnce],
) -> Message[Any]:
    """Wait for one message."""


@overload
def receive(
    url: str | Sequence[str],
    *filters: str,
    count: int,
    timeout: float | None = 10.0,
    codec: Any = None,
    **options: Unpack[ReceiveOnce],
) -> Message[Any] | list[Message[Any]]:
    """Wait for `count` messages."""


def receive(
    url: str | Sequence[str],
    *filters: str,
    count: int = 1,
    timeout: float | None = 10.0,
    codec: Any = None,
    **options: Unpack[ReceiveOnce],
) -> Message[Any] | list[Message[Any]]:
    """Connect, subscribe, wait for one message or for `count`, and disconnect: the message, or a list of them.

    They are acknowledged when all are there, so a wait that fails takes none; others stay with the server, and where
    the session outlives us (`session_expiry`, with a `client_id` and `clean_start` False) the next wait gets them. A
    connection that is lost meanwhile is
    an error, unless `reconnect` says otherwise. Raises what connecting and subscribing raise, and TimeoutError when
    all of it takes longer than `timeout` seconds.
    """
    if not 1 <= count <= MOST:
        raise ValueError(f"count is 1 to {MOST}, not {count}")
    given: dict[str, Any] = {"reconnect": None, "receive_maximum": count, **options}
    wanted = {name: given.pop(name) for name in HOW if name in given}
    patience = Patience(timeout)
    client = Client(url, **given)
    client.connect(patience.left)
    try:
        how: Any = {"ack": "manual", "keep": True, **wanted}
        with client.subscribe(*filters, codec=codec, timeout=patience.left, **how) as subscription:
            messages = [subscription.get(patience.left) for _ in range(count)]
            for message in messages:
                message.ack()
    finally:
        client.disconnect()
    return messages[0] if count == 1 else messages
