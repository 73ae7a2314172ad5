"""Every option of linnet, once: its name, type, default, bounds, unit, group and one sentence.

The reference in docs/configuration.md, `linnet config` and the messages come from this table: an option is added here
only. `settings.py` makes one object of it.
"""

from typing import Annotated, Final, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from linnet.loggers import LEVELS, NAMES, name_and_level
from linnet.options import TEXT, Addresses, Versions, items_of, option

KIB: Final = 1024
MIB: Final = 1024 * 1024
NEVER: Final = 0xFFFFFFFF  # the largest expiry interval of MQTT 5.0, which means: does not expire
LARGEST_PACKET: Final = 268_435_460  # the largest Remaining Length and its fixed header
COUNT: Final = (1, 1_000_000_000)
COUNT_OR_NONE: Final = (0, 1_000_000_000)
BYTES: Final = (1, 1 << 40)
BYTES_OR_NONE: Final = (0, 1 << 40)
U16: Final = (0, 65535)


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
    max_connections: int = option(
        100_000,
        "Clients connected at the same time, never more than the system has descriptors for; one more is refused.",
        "connections",
        COUNT,
    )
    max_connections_per_address: int = option(
        0,
        "Clients connected from one address (of IPv6 from one /64); one more is refused; 0 sets no limit.",
        "connections",
        COUNT_OR_NONE,
    )
    max_connect_rate_per_address: float = option(
        0.0, "CONNECTs accepted from one address in a second; 0 sets no limit.", "1/s", (0, 1_000_000)
    )
    max_preconnect: int = option(
        10_000, "Connections that have not sent CONNECT; above it the oldest of them is closed.", "connections", COUNT
    )
    max_preconnect_per_address: int = option(
        0, "The same for one address; 0 sets no limit of its own.", "connections", COUNT_OR_NONE
    )
    accept_rate: float = option(
        5000.0,
        "Connections accepted in a second by each listener; the others wait in the backlog; 0 sets no limit.",
        "1/s",
        (0, 1_000_000),
    )
    accept_burst: int = option(10_000, "Connections accepted at once after a quiet time.", "connections", COUNT)
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


def _queue_policy(text: str) -> str:
    name, equals, policy = text.rpartition("=")
    if not equals or not name or policy not in get_args(QueuePolicy):
        raise ValueError(f"write FILTER=POLICY with one of the policies {', '.join(get_args(QueuePolicy))}")
    return text


QueuePolicy = Literal["hold", "refuse", "drop_oldest", "drop_newest", "disconnect"]
QueuePolicies = Annotated[tuple[Annotated[str, AfterValidator(_queue_policy)], ...], BeforeValidator(items_of)]


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
        "Messages that wait for one client; queue_policy says what happens beyond; 0 queues none.",
        "messages",
        COUNT_OR_NONE,
    )
    max_queued_bytes: int = option(
        16 * MIB,
        "Size of the messages that wait for one client; queue_policy says what happens beyond.",
        "bytes",
        BYTES_OR_NONE,
    )
    max_store_bytes: int = option(
        1024 * MIB,
        "Size of the messages that wait for all clients together; queue_policy says what happens beyond.",
        "bytes",
        BYTES_OR_NONE,
    )
    queue_policy: QueuePolicy = option(
        "drop_newest",
        "What happens to a QoS 1 or 2 message at a full queue: hold the publisher's acknowledgement back until there is"
        " room, refuse it with 0x97 for all, drop the oldest or the newest message, or disconnect the slow client.",
    )
    queue_policies: QueuePolicies = option(
        (),
        "Policies for some subscriptions, such as `alarms/#=hold`: the first whose filter covers the subscription's.",
        form="FILTER=POLICY, with one of the policies of queue_policy",
    )
    hold_timeout: float = option(
        30.0,
        "Time without progress after which a client that keeps publishers waiting is disconnected.",
        "s",
        (0.05, 3600),
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
    write_timeout: float = option(
        30.0, "Time after which a client that takes no byte of what it is sent is disconnected.", "s", (0.05, 3600)
    )
    max_publish_rate: float = option(
        0.0, "Messages that one client may publish in a second; 0 sets no limit.", "1/s", (0, 1_000_000_000)
    )
    max_byte_rate: float = option(
        0.0, "Bytes that one client may send in a second; 0 sets no limit.", "bytes/s", (0, 1 << 40)
    )
    rate_policy: Literal["delay", "disconnect"] = option(
        "delay", "Whether a client above its rate is not read for a while, or disconnected with 0x96."
    )
    delivery_budget: int = option(
        50_000,
        "Deliveries in a turn of the event loop before publishers wait for the next; QoS 1 and 2 count four times.",
        "deliveries",
        (4, 1_000_000_000),
    )
    memory_limit: int = option(
        0, "Memory that the process may use; 0 takes what its control group or the machine has.", "bytes", BYTES_OR_NONE
    )
    memory_high: float = option(
        70.0,
        "Part of memory_limit above which nobody connects, no new topic is retained and QoS 0 does not wait; 0 is off.",
        "%",
        (0, 100),
    )
    memory_max: float = option(
        85.0,
        "Part of memory_limit above which the clients that most waits for are disconnected; 0 is off.",
        "%",
        (0, 100),
    )
    max_loop_lag: float = option(
        1.0, "Delay of the event loop above which no connection is accepted; 0 is off.", "s", (0, 3600)
    )
    max_routes: int = option(100_000, "Topics whose subscribers are remembered between messages.", "topics", COUNT)


def _log_level(text: str) -> str:
    name_and_level(text)
    return text


LogLevels = Annotated[tuple[Annotated[str, AfterValidator(_log_level)], ...], BeforeValidator(items_of)]
ClientIds = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=65535)], ...], BeforeValidator(items_of)]


class Log(Group):
    """What the broker tells of itself, and how it looks."""

    log_level: Literal["debug", "info", "warning", "error"] = option(
        "info", "Least important messages that are logged."
    )
    log_format: Literal["text", "json"] = option("text", "Log lines for people (text) or for programs (json).")
    log_levels: LogLevels = option(
        (),
        "Loggers that have a level of their own, such as `packets=debug`; packets has a line for each packet.",
        form=f"LOGGER=LEVEL, with one of the loggers {', '.join(NAMES)}, and one of the levels {', '.join(LEVELS)}",
    )
    sys_interval: float = option(
        10.0, "Time between two rounds of the topics below `$SYS/broker`; 0 publishes none.", "s", (0, 86400)
    )
    log_clients: ClientIds = option(
        (), "Clients of whom everything is logged, each packet too, whatever the levels are.", form="client identifiers"
    )
