"""CONNECT and CONNACK: how a connection introduces itself, and how it is answered.

A CONNECT of an older version is decoded into its 5.0 meaning: a session that is not clean never expires.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Self

from linnet.errors import MalformedPacket, ProtocolError, ReasonCode
from linnet.wire.header import PacketType, check_reason, join_packet
from linnet.wire.properties import WILL, Properties
from linnet.wire.reader import Reader
from linnet.wire.strings import encode_binary, encode_utf8, is_topic_name
from linnet.wire.version import V5, VERSIONS, Version

NEVER = 0xFFFF_FFFF  # the session expiry interval of a session that does not expire

RESERVED_FLAG = 0x01
CLEAN_START_FLAG = 0x02
WILL_FLAG = 0x04
WILL_QOS_SHIFT = 3
WILL_RETAIN_FLAG = 0x20
PASSWORD_FLAG = 0x40
USER_NAME_FLAG = 0x80

BRIDGE_FLAG = 0x80  # in the level: an unofficial "I am a bridge", which is not spoken here


@dataclass(slots=True)
class Will:
    """The message that is published for a client which goes without saying goodbye."""

    topic: str
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    properties: Properties = field(default_factory=Properties)

    def encode(self, version: Version) -> bytes:
        """The three fields of the will, in their order [MQTT-3.1.3-1]."""
        properties = self.properties.encode(WILL) if version.has_properties else b""
        self._check_topic()
        return properties + encode_utf8(self.topic) + encode_binary(self.payload)

    @classmethod
    def decode(cls, reader: Reader, qos: int, retain: bool, version: Version) -> Self:
        """The fields of the will, after the client identifier; QoS and retain stood in the connect flags."""
        properties = Properties.decode(reader, WILL) if version.has_properties else Properties()
        will = cls(reader.string(), reader.binary(), qos, retain, properties)
        will._check_topic()
        return will

    def _check_topic(self) -> None:
        if not is_topic_name(self.topic):
            raise ProtocolError(
                ReasonCode.TOPIC_NAME_INVALID, "the will topic is empty or has wildcards", "MQTT-4.7.0-1"
            )


@dataclass(slots=True)
class Connect:
    """The first packet of a client."""

    client_id: str = ""
    clean_start: bool = True
    keep_alive: int = 0
    user_name: str | None = None
    password: bytes | None = field(default=None, repr=False)
    will: Will | None = None
    properties: Properties = field(default_factory=Properties)
    version: Version = V5

    type: ClassVar[int] = PacketType.CONNECT
    hidden: ClassVar[tuple[str, ...]] = ("password",)  # from whoever looks at it

    def encode(self, version: Version | None = None) -> bytes:
        """Encode for this version, which is the packet's own unless said otherwise."""
        version = version or self.version
        flags = self._flags()
        _check_flags(flags, version)
        pieces = [
            encode_utf8(version.protocol_name),
            bytes((version.level, flags)),
            self.keep_alive.to_bytes(2, "big"),
            self.properties.encode(self.type) if version.has_properties else b"",
            encode_utf8(self.client_id),
        ]
        if self.will is not None:
            pieces.append(self.will.encode(version))
        if self.user_name is not None:
            pieces.append(encode_utf8(self.user_name))
        if self.password is not None:
            pieces.append(encode_binary(self.password))
        return join_packet(self.type, 0, b"".join(pieces))

    def _flags(self) -> int:
        flags = CLEAN_START_FLAG if self.clean_start else 0
        if self.will is not None:
            flags |= WILL_FLAG | self.will.qos << WILL_QOS_SHIFT
            flags |= WILL_RETAIN_FLAG if self.will.retain else 0
        flags |= USER_NAME_FLAG if self.user_name is not None else 0
        flags |= PASSWORD_FLAG if self.password is not None else 0
        return flags

    @classmethod
    def decode(cls, flags: int, body: bytes, version: Version | None = None) -> Self:
        """The packet tells its version itself; an error that is found after it carries that version."""
        reader = Reader(body)
        version = _read_version(reader)
        try:
            return cls._decode_rest(reader, version)
        except ProtocolError as error:
            error.version = version
            raise

    @classmethod
    def _decode_rest(cls, reader: Reader, version: Version) -> Self:
        flags = reader.byte()
        _check_flags(flags, version)
        packet = cls(clean_start=bool(flags & CLEAN_START_FLAG), keep_alive=reader.u16(), version=version)
        if version.has_properties:
            packet.properties = Properties.decode(reader, cls.type)
            _check_authentication(packet.properties)
        elif not packet.clean_start:
            packet.properties.session_expiry_interval = NEVER
        packet.client_id = reader.string()
        if flags & WILL_FLAG:
            qos, retain = flags >> WILL_QOS_SHIFT & 3, bool(flags & WILL_RETAIN_FLAG)
            packet.will = Will.decode(reader, qos, retain, version)
        if flags & USER_NAME_FLAG and not _is_left_out(reader, version):
            packet.user_name = reader.string()
        if flags & PASSWORD_FLAG and not _is_left_out(reader, version):
            packet.password = reader.binary()
        reader.finish()
        return packet


def _read_version(reader: Reader) -> Version:
    """The name is compared as a whole, the level must be one that goes by this name [MQTT-3.1.2-1]."""
    name = reader.binary()
    if name not in (b"MQTT", b"MQIsdp"):
        raise MalformedPacket("CONNECT does not name MQTT as its protocol", "MQTT-3.1.2-1")
    level = reader.byte()
    version = VERSIONS.get(level)
    if version is None or version.protocol_name.encode() != name:
        detail = f"there is no version {level} of {name.decode()}"
        error = ProtocolError(ReasonCode.UNSUPPORTED_PROTOCOL_VERSION, detail, "MQTT-3.1.2-2")
        if level & BRIDGE_FLAG:
            error.version = VERSIONS.get(
                level & ~BRIDGE_FLAG
            )  # told so in its own version, a bridge asks again without
        raise error
    return version


def _check_flags(flags: int, version: Version) -> None:
    """The connect flags that contradict each other or themselves."""
    if flags & RESERVED_FLAG:
        raise MalformedPacket("the reserved flag of CONNECT is set", "MQTT-3.1.2-3")
    will_qos = flags >> WILL_QOS_SHIFT & 3
    if will_qos > 2:
        raise MalformedPacket("a will with QoS 3", "MQTT-3.1.2-12")
    if not flags & WILL_FLAG:
        if will_qos:
            raise MalformedPacket("a QoS for a will that is not there", "MQTT-3.1.2-11")
        if flags & WILL_RETAIN_FLAG:
            raise MalformedPacket("a retain flag for a will that is not there", "MQTT-3.1.2-13")
    if version.password_needs_user_name and flags & PASSWORD_FLAG and not flags & USER_NAME_FLAG:
        raise MalformedPacket("a password without a user name", "MQTT-3.1.2-22")


def _is_left_out(reader: Reader, version: Version) -> bool:
    """3.1 lets the remaining length win over the user name and password flags."""
    return version.login_may_be_missing and not reader.left()


def _check_authentication(properties: Properties) -> None:
    if properties.authentication_data is not None and properties.authentication_method is None:
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "authentication data without an authentication method")


CONNACK_REASONS = frozenset(
    {
        ReasonCode.SUCCESS,
        ReasonCode.UNSPECIFIED_ERROR,
        ReasonCode.MALFORMED_PACKET,
        ReasonCode.PROTOCOL_ERROR,
        ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR,
        ReasonCode.UNSUPPORTED_PROTOCOL_VERSION,
        ReasonCode.CLIENT_IDENTIFIER_NOT_VALID,
        ReasonCode.BAD_USER_NAME_OR_PASSWORD,
        ReasonCode.NOT_AUTHORIZED,
        ReasonCode.SERVER_UNAVAILABLE,
        ReasonCode.SERVER_BUSY,
        ReasonCode.BANNED,
        ReasonCode.BAD_AUTHENTICATION_METHOD,
        ReasonCode.TOPIC_NAME_INVALID,
        ReasonCode.PACKET_TOO_LARGE,
        ReasonCode.QUOTA_EXCEEDED,
        ReasonCode.PAYLOAD_FORMAT_INVALID,
        ReasonCode.RETAIN_NOT_SUPPORTED,
        ReasonCode.QOS_NOT_SUPPORTED,
        ReasonCode.USE_ANOTHER_SERVER,
        ReasonCode.SERVER_MOVED,
        ReasonCode.CONNECTION_RATE_EXCEEDED,
    }
)
RETURN_CODES: tuple[ReasonCode, ...] = (  # a return code of 3.1 and 3.1.1 is a place in this list
    ReasonCode.SUCCESS,
    ReasonCode.UNSUPPORTED_PROTOCOL_VERSION,
    ReasonCode.CLIENT_IDENTIFIER_NOT_VALID,
    ReasonCode.SERVER_UNAVAILABLE,
    ReasonCode.BAD_USER_NAME_OR_PASSWORD,
    ReasonCode.NOT_AUTHORIZED,
)
# Every other refusal becomes the nearest return code there is; what has none near it is "not authorized" (5).
UNAVAILABLE = frozenset(
    {
        ReasonCode.SERVER_UNAVAILABLE,
        ReasonCode.SERVER_BUSY,
        ReasonCode.QUOTA_EXCEEDED,
        ReasonCode.CONNECTION_RATE_EXCEEDED,
        ReasonCode.USE_ANOTHER_SERVER,
        ReasonCode.SERVER_MOVED,
    }
)
NOT_AUTHORIZED = 5


def return_code(reason_code: int) -> int:
    """The return code that says this to a client of 3.1 or 3.1.1."""
    if reason_code in UNAVAILABLE:
        reason_code = ReasonCode.SERVER_UNAVAILABLE
    for code, reason in enumerate(RETURN_CODES):
        if reason == reason_code:
            return code
    return NOT_AUTHORIZED


@dataclass(slots=True)
class Connack:
    """The server's answer to CONNECT."""

    session_present: bool = False
    reason_code: int = ReasonCode.SUCCESS
    properties: Properties = field(default_factory=Properties)

    type: ClassVar[int] = PacketType.CONNACK

    def encode(self, version: Version) -> bytes:
        """A refusal never tells of a session [3.1.1: MQTT-3.2.2-4] [5.0: MQTT-3.2.2-6]."""
        present = self.session_present and not self.reason_code and version.has_session_present
        if version.can_say_why:
            check_reason(self.reason_code, CONNACK_REASONS, "CONNACK", "MQTT-3.2.2-8")
            body = bytes((present, self.reason_code)) + self.properties.encode(self.type)
        else:
            body = bytes((present, return_code(self.reason_code)))
        return join_packet(self.type, 0, body)

    @classmethod
    def decode(cls, flags: int, body: bytes, version: Version) -> Self:
        """Return codes of the older versions become the reason codes that say the same."""
        reader = Reader(body)
        acknowledge = reader.byte()
        code = reader.byte()
        properties = Properties()
        if version.can_say_why:
            check_reason(code, CONNACK_REASONS, "CONNACK", "MQTT-3.2.2-8")
            properties = Properties.decode(reader, cls.type)
        elif code < len(RETURN_CODES):
            code = int(RETURN_CODES[code])
        else:
            raise MalformedPacket(f"CONNACK with the return code {code}", "MQTT-3.2.2-8")
        reader.finish()
        if not version.has_session_present:
            acknowledge = 0  # the byte is reserved and means nothing
        if acknowledge > 1:
            raise MalformedPacket("reserved flags of CONNACK are set", "MQTT-3.2.2-1")
        if acknowledge and code:
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "a refusal with a session", "MQTT-3.2.2-6")
        return cls(bool(acknowledge), code, properties)
