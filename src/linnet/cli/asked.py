"""What was asked on the command line: the words of a client verb, read but not yet used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from linnet.errors import LinnetError
from linnet.wire.properties import Properties

if TYPE_CHECKING:
    from linnet.wire.version import Version

COMMANDS = ("connect", "publish", "subscribe", "unsubscribe", "disconnect", "will")


class UsageError(LinnetError):
    """What was asked cannot be done as it was asked."""


def _properties() -> dict[str, Properties]:
    return {command: Properties() for command in COMMANDS}


@dataclass(slots=True)
class Asked:
    """Everything that any client verb can be told; the defaults are Mosquitto's, but for the version."""

    # The connection
    scheme: str = ""  # of a URL; empty where none was given
    host: str = ""
    port: int | None = None
    unix: str = ""  # the path of a socket
    path: str = ""  # of a WebSocket
    bind_address: str = ""
    proxy: str = ""
    keep_alive: int = 60  # seconds
    client_id: str = ""
    id_prefix: str = ""
    clean_start: bool = True
    session_expiry: int | None = None  # seconds
    version: Version | None = None  # None: 5.0, and 3.1.1 where the broker does not know it
    max_inflight: int = 20
    properties: dict[str, Properties] = field(default_factory=_properties)
    timeout: float | None = None  # seconds
    options_file: str = ""

    # Who we are
    user_name: str | None = None
    password: str | None = None
    password_in_words: bool = False  # it stood on the command line, where others can read it
    password_file: str = ""
    ask_password: bool = False

    # TLS
    cafile: str = ""
    capath: str = ""
    cert: str = ""
    key: str = ""
    keyform: str = ""
    ciphers: str = ""
    tls_version: str = ""
    tls_alpn: str = ""
    insecure: bool = False
    use_os_certs: bool = False
    psk: str = ""
    psk_identity: str = ""
    tls_engine: str = ""

    # The will
    will_topic: str = ""
    will_payload: str | None = None
    will_qos: int = 0
    will_retain: bool = False

    # What is said, and to whom
    quiet: bool = False
    debug: bool = False
    help: bool = False
    show_version: bool = False
    json: bool = False

    # Messages that go out
    topic: str = ""
    source: str = ""  # the option that says where the payload comes from
    source_is_default: bool = False  # it stood in a file, so that another one replaces it
    message: str = ""
    file: str = ""
    qos: int = 0
    retain: bool = False
    repeat: int = 1
    repeat_delay: float = 0.0  # seconds
    response_topic: str = ""

    # Messages that come in
    filters: list[str] = field(default_factory=list)
    filter_outs: list[str] = field(default_factory=list)
    unsubscribe: list[str] = field(default_factory=list)
    count: int = 0  # messages; 0: no end
    exit_after_sub: bool = False
    format: str | None = None
    eol: bool = True
    pretty: bool = False
    verbose: bool = False
    no_retain: bool = False
    retained_only: bool = False
    remove_retained: bool = False
    retain_as_published: bool = False
    retain_handling: int | None = None
    no_local: bool = False
    random_filter: float = 100.0  # percent

    # The other verbs
    yes: bool = False
    dry_run: bool = False
