"""A message as a client gets it: an application message, with the value that the subscription's codec makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from linnet.client.codecs import AUTO, codec_by
from linnet.core.received import Received
from linnet.errors import ReasonCode

if TYPE_CHECKING:
    from linnet.client.codecs import Codec

T = TypeVar("T", default=Any)


ACK_ERRORS = {
    ReasonCode.UNSPECIFIED_ERROR,
    ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR,
    ReasonCode.NOT_AUTHORIZED,
    ReasonCode.TOPIC_NAME_INVALID,
    ReasonCode.QUOTA_EXCEEDED,
    ReasonCode.PAYLOAD_FORMAT_INVALID,
}


class Message(Received, Generic[T]):
    """A message that was received: `topic`, `payload`, `qos`, `retain`, `dup`, `properties`, and `value`.

    Attributes besides those of the packet: `captures`, the parts of the topic that a route's pattern names.
    """

    __slots__ = ("_captures", "_value")

    _captures: dict[str, Any]
    _value: T

    @property
    def value(self) -> T:
        """What the codec makes of the payload. Raises DecodeError when it cannot."""
        try:
            return self._value
        except AttributeError:
            codec: Codec[Any] = self.codec
            if self.forwarded and codec is AUTO:
                said = self.properties
                codec = codec_by(said.content_type, said.payload_format_indicator)
            self._value = codec.decode(self.payload)
            return self._value

    @property
    def captures(self) -> dict[str, Any]:
        """The parts of the topic that the pattern of its route names; none elsewhere."""
        return getattr(self, "_captures", {})

    @captures.setter
    def captures(self, captures: dict[str, Any]) -> None:
        self._captures = captures

    @property
    def user_properties(self) -> list[tuple[str, str]]:
        """Names and values that the publisher has added, in their order [MQTT-3.3.2-17]."""
        return self.properties.user_properties if self.forwarded else []

    @property
    def content_type(self) -> str | None:
        """What the publisher says that the payload is."""
        return self.properties.content_type if self.forwarded else None

    @property
    def response_topic(self) -> str | None:
        """Where the publisher wants the answer [MQTT-3.3.2-14]."""
        return self.properties.response_topic if self.forwarded else None

    @property
    def correlation_data(self) -> bytes | None:
        """What the publisher knows the answer by."""
        return self.properties.correlation_data if self.forwarded else None

    def ack(self) -> None:
        """Acknowledge it: it was processed. For subscriptions with `ack="manual"`; once, and from the client's loop."""
        self.let_go(0)

    def reject(self, reason_code: int = ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR) -> None:
        """Say that it was not processed and is not wanted again; before 5.0 that is an acknowledgement like another.

        Raises ValueError for what is no error that PUBACK and PUBREC know.
        """
        if reason_code not in ACK_ERRORS:
            raise ValueError(f"0x{reason_code:02X} is no error of an acknowledgement")
        self.let_go(reason_code)

    def copy(self) -> Message[Any]:
        """The same message for another receiver, with the same acknowledgement."""
        other: Message[Any] = Message.__new__(Message)
        for name in PARTS:
            setattr(other, name, getattr(self, name))
        return other


PARTS = """
alias arrival body dup expiry forwarded has_properties head identifiers is_plain packet packet_id payload_at
publisher qos received_at retain tail5 topic_name user_property_count
""".split()
