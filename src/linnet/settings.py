"""Every option of linnet, once: its name, type, default, bounds, unit, group and one sentence.

`Settings` is the table. `Settings(max_qos=1)` builds one from values; `load` builds one from a TOML file, the
environment and the command line, where the later ones win. Whatever is unknown or out of bounds is refused
with a `SettingsError` that lists every fault, what is allowed and where the value stood. The reference in
docs/configuration.md, `linnet config` and the messages come from this table: an option is added here only.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError

from linnet.errors import SettingsError
from linnet.loggers import LEVELS, NAMES, name_and_level
from linnet.options import TEXT, Addresses, Option, Versions, faults_in, host_and_port, items_of, option, options_of
from linnet.sources import in_arguments, in_environment, in_file

__all__ = ["GROUPS", "OPTIONS", "Settings", "host_and_port", "load"]

KIB: Final = 1024
MIB: Final = 1024 * 1024
NEVER: Final = 0xFFFFFFFF  # the largest expiry interval of MQTT 5.0, which means: does not expire
LARGEST_PACKET: Final = 268_435_460  # the largest Remaining Length and its fixed header
COUNT: Final = (1, 1_000_000_000)
COUNT_OR_NONE: Final = (0, 1_000_000_000)
BYTES: Final = (1, 1 << 40)
BYTES_OR_NONE: Final = (0, 1 << 40)
U16: Final = (0, 65535)

CONFIG_VARIABLE: Final = "LINNET_CONFIG"
OTHER_VARIABLES: Final = frozenset({CONFIG_VARIABLE, "LINNET_PURE"})  # ours, but not settings


class Group(BaseModel):
    """A part of the table, which is a table of that name in the file too."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Network(Group):
    """Where the broker listens, and how long it waits."""

    listen: Addresses = option(
        ("127.0.0.1:1883",),
        "Addresses to accept connections on, each HOST:PORT or [IPV6]:PORT; port 0 takes a free one.",
        min_length=1,
        takes_effect="restart",
    )
    backlog: int = option(
        4096,
        "Connections the system may hold ready before they are accepted.",
        "connections",
        (1, 65535),
        takes_effect="restart",
    )
    connect_timeout: float = option(
        10.0,
        "Time from accepting a connection to its whole CONNECT; more bytes do not extend it.",
        "s",
        (0.05, 3600),
        takes_effect="new",
    )
    stop_timeout: float = option(
        5.0, "Time that connections get to take their last bytes when the broker stops.", "s", (0, 3600)
    )
    event_loop: Literal["asyncio", "uvloop"] = option(
        "asyncio",
        "Event loop of `linnet serve`: the standard library's, or uvloop, which has to be installed.",
        takes_effect="restart",
    )


class Protocol(Group):
    """What of MQTT is offered, and how large its parts may be."""

    versions: Versions = option(
        ("3.1", "3.1.1", "5.0"), "Versions of MQTT that clients may speak.", min_length=1, takes_effect="new"
    )
    max_qos: int = option(
        2,
        "Highest QoS that clients may publish with, and that subscriptions are granted.",
        bounds=(0, 2),
        takes_effect="new",
    )
    retain_available: bool = option(True, "Whether messages may be retained.", takes_effect="new")
    wildcard_subscriptions: bool = option(True, "Whether topic filters may hold `+` and `#`.", takes_effect="new")
    subscription_identifiers: bool = option(True, "Whether subscriptions may carry an identifier.", takes_effect="new")
    shared_subscriptions: bool = option(True, "Whether `$share/GROUP/FILTER` may be subscribed to.", takes_effect="new")
    max_keep_alive: int = option(
        1200,
        "Longest keep alive; 5.0 clients that want more or none are told; 0 leaves the client's.",
        "s",
        U16,
        takes_effect="new",
    )
    receive_maximum: int = option(
        100,
        "Unacknowledged QoS 1 and 2 messages that a 5.0 publisher may have under way.",
        "messages",
        (1, 65535),
        takes_effect="new",
    )
    receive_maximum_3: int = option(
        1000,
        "Unreleased QoS 2 messages that a 3.1 or 3.1.1 publisher may have under way.",
        "messages",
        (1, 65535),
        takes_effect="new",
    )
    max_packet_size: int = option(
        MIB,
        "Largest packet accepted from a client; 5.0 clients are told.",
        "bytes",
        (16, LARGEST_PACKET),
        takes_effect="new",
    )
    max_connect_size: int = option(
        64 * KIB,
        "Largest CONNECT accepted, when that is less than max_packet_size.",
        "bytes",
        (16, LARGEST_PACKET),
        takes_effect="new",
    )
    topic_alias_maximum: int = option(
        16, "Topic aliases that a client may set; 0 offers none.", "aliases", U16, takes_effect="new"
    )
    topic_alias_maximum_out: int = option(
        16,
        "Topic aliases used towards a client, never more than it allows; 0 uses none.",
        "aliases",
        U16,
        takes_effect="new",
    )
    max_user_properties: int = option(100, "User properties in one packet.", "properties", COUNT_OR_NONE)
    max_properties_size: int = option(64 * KIB, "Size of all properties of one packet.", "bytes", (0, LARGEST_PACKET))
    max_topic_bytes: int = option(4096, "Length of a topic name or filter in UTF-8.", "bytes", (1, 65535))
    max_topic_levels: int = option(128, "Levels of a topic name or filter.", "levels", (1, 65535))
    max_client_id_bytes: int = option(
        256, "Length of a client identifier in UTF-8.", "bytes", (1, 65535), takes_effect="new"
    )
    max_user_name_bytes: int = option(1024, "Length of a user name in UTF-8.", "bytes", U16, takes_effect="new")
    max_password_bytes: int = option(8192, "Length of a password.", "bytes", U16, takes_effect="new")
    check_payload_format: bool = option(False, "Whether a payload that is declared to be UTF-8 is checked.")
    refuse_control_characters: bool = option(
        False, "Whether control characters and non-characters in strings end the connection."
    )
    overlap: Literal["merge", "each"] = option(
        "merge", "Overlapping subscriptions of a client get one copy of a message (merge) or one copy each."
    )
    tell_no_subscribers: bool = option(
        True, "Whether a 5.0 publisher is told with reason code 0x10 that nobody is subscribed."
    )
    response_information: str = option(
        "",
        "Response Information for the 5.0 clients that ask for it; empty gives none.",
        max_length=16383,
        pattern=TEXT,
        takes_effect="new",
    )
    allow_empty_client_id: bool = option(
        True, "Whether a client may leave its identifier to the broker.", takes_effect="new"
    )
    assigned_client_id_prefix: str = option(
        "auto-",
        "What the identifiers that the broker gives begin with.",
        max_length=64,
        pattern=TEXT,
        takes_effect="new",
    )


class Session(Group):
    """What is kept for each client, and how much of it."""

    max_sessions: int = option(100_000, "Sessions, connected or not; one more is refused.", "sessions", COUNT)
    max_session_expiry: int = option(
        7 * 24 * 3600,
        "Longest life of a session without connection, for clean session 0 too; 4294967295 is for ever.",
        "s",
        (0, NEVER),
        takes_effect="new",
    )
    max_inflight: int = option(
        100,
        "Unacknowledged QoS 1 and 2 messages sent to one client, if its own Receive Maximum is not less.",
        "messages",
        (1, 65535),
        takes_effect="new",
    )
    max_queued_messages: int = option(
        10_000,
        "Messages that wait for one client; new ones beyond are dropped and counted; 0 queues none.",
        "messages",
        COUNT_OR_NONE,
    )
    max_queued_bytes: int = option(
        16 * MIB,
        "Size of the messages that wait for one client; new ones beyond are dropped and counted.",
        "bytes",
        BYTES_OR_NONE,
    )
    queue_qos0: bool = option(False, "Whether QoS 0 messages wait for a client without connection too.")
    max_subscriptions_per_client: int = option(10_000, "Subscriptions of one client.", "subscriptions", COUNT)
    max_subscriptions: int = option(1_000_000, "Subscriptions of all clients together.", "subscriptions", COUNT)
    max_filters_per_packet: int = option(1000, "Topic filters in one SUBSCRIBE or UNSUBSCRIBE.", "filters", COUNT)


class Retained(Group):
    """Retained messages."""

    max_retained: int = option(
        100_000, "Retained messages; one more is not kept, and a 5.0 publisher is told.", "messages", COUNT
    )
    max_retained_bytes: int = option(256 * MIB, "Size of all retained messages together.", "bytes", BYTES)
    max_retained_payload: int = option(
        0,
        "Largest payload of a retained message; 0 sets no limit but max_packet_size.",
        "bytes",
        (0, LARGEST_PACKET),
    )
    retained_slice: int = option(
        200,
        "Retained messages handed to a new subscription in one turn of the event loop.",
        "messages",
        COUNT,
    )


class Limits(Group):
    """What one connection may cost."""

    max_output_bytes: int = option(
        MIB,
        "Unsent bytes of a connection beyond which new QoS 0 messages for it are dropped and counted.",
        "bytes",
        BYTES,
    )
    max_output_bytes_hard: int = option(
        8 * MIB, "Unsent bytes of a connection beyond which it is closed.", "bytes", BYTES
    )
    max_routes: int = option(100_000, "Topics whose subscribers are remembered between messages.", "topics", COUNT)


def _log_level(text: str) -> str:
    name_and_level(text)
    return text


LogLevels = Annotated[tuple[Annotated[str, AfterValidator(_log_level)], ...], BeforeValidator(items_of)]
ClientIds = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=65535)], ...], BeforeValidator(items_of)]


class Log(Group):
    """What is logged, and how it looks."""

    log_level: Literal["debug", "info", "warning", "error"] = option(
        "info", "Least important messages that are logged."
    )
    log_format: Literal["text", "json"] = option("text", "Log lines for people (text) or for programs (json).")
    log_levels: LogLevels = option(
        (),
        "Loggers that have a level of their own, such as `packets=debug`; packets has a line for each packet.",
        form=f"LOGGER=LEVEL, with one of the loggers {', '.join(NAMES)}, and one of the levels {', '.join(LEVELS)}",
    )
    log_clients: ClientIds = option(
        (), "Clients of whom everything is logged, each packet too, whatever the levels are.", form="client identifiers"
    )


class Settings(Network, Protocol, Session, Retained, Limits, Log):
    """All options of one broker, checked and immutable."""

    _sources: dict[str, str] = PrivateAttr(default_factory=dict)

    def __init__(self, sources: Mapping[str, str] | None = None, /, **values: Any) -> None:
        """`sources` tells where each value stood, for messages and for `settings_sources`."""
        sources = sources or {}
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsError("\n".join(faults_in(error, OPTIONS, sources))) from None
        self._sources.update((name, sources.get(name, "code")) for name in values)
        soft, hard = self.max_output_bytes, self.max_output_bytes_hard
        if soft > hard:
            places = [sources[name] for name in ("max_output_bytes", "max_output_bytes_hard") if name in sources]
            where = f" ({'; '.join(places)})" if places else ""
            raise SettingsError(
                f"max_output_bytes = {soft}: allowed is at most max_output_bytes_hard, which is {hard}{where}"
            )

    @property
    def settings_sources(self) -> Mapping[str, str]:
        """Where each value came from: "default", "code", a file and line, a variable or an option."""
        return {name: self._sources.get(name, "default") for name in OPTIONS}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and self.__dict__ == other.__dict__  # wherever they came from

    def __hash__(self) -> int:
        return hash(tuple(self.__dict__.values()))

    def __repr_args__(self) -> Iterator[tuple[str, object]]:
        """What differs from the defaults, which is what a reader wants to know."""
        return ((name, getattr(self, name)) for name, row in OPTIONS.items() if getattr(self, name) != row.default)


# Known once Settings is made, used when one is.
OPTIONS: Final[Mapping[str, Option]] = MappingProxyType(
    {name: row for group in Settings.__bases__ for name, row in options_of(group).items()}
)
GROUPS: Final = MappingProxyType({one.__name__.lower(): one.__doc__ or "" for one in Settings.__bases__})


def load(file: Path | None, environ: Mapping[str, str], arguments: Mapping[str, str]) -> Settings:
    """The settings in force: a file (given, or named by LINNET_CONFIG) < the environment < the command line.

    Every source is checked for itself, so a bad value is reported even where a later source overrides it.
    """
    if file is None and environ.get(CONFIG_VARIABLE):
        file = Path(environ[CONFIG_VARIABLE])
    faults: list[str] = []
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    for given, where in (
        in_file(file, OPTIONS, GROUPS, faults),
        in_environment(environ, OPTIONS, OTHER_VARIABLES, faults),
        in_arguments(arguments, OPTIONS),
    ):
        try:
            BaseModel.__init__(Settings.__new__(Settings), **given)  # the fields alone, not how they agree
        except ValidationError as error:
            faults += faults_in(error, OPTIONS, where)
        values |= given
        sources |= where
    if faults:
        raise SettingsError("\n".join(faults))
    return Settings(sources, **values)
