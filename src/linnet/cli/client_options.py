"""The options that every client verb has: where to connect, as whom, how guarded, with which will and properties."""

from __future__ import annotations

from linnet.cli.asked import Asked, UsageError
from linnet.cli.checks import topic_name
from linnet.cli.grammar import Act, Option, Words, flag, number, text
from linnet.cli.property_words import take_property
from linnet.cli.url_words import take_url
from linnet.wire.connect import NEVER
from linnet.wire.version import V3_1, V3_1_1, V5

VERSIONS = {"31": V3_1, "311": V3_1_1, "5": V5, "mqttv31": V3_1, "mqttv311": V3_1_1, "mqttv5": V5}
CONNECTION, LOGIN, GUARD, WILL = "connection", "user name and password", "TLS", "will"
MOST_IN_FLIGHT = 65_535


def _version(asked: Asked, words: Words) -> None:
    word = words.take("version")
    if word not in VERSIONS:
        raise UsageError(f"{words.option} is one of {', '.join(VERSIONS)}, not {word!r}")
    asked.version = VERSIONS[word]


def _session_expiry(asked: Asked, words: Words) -> None:
    word = words.take("time in seconds")
    if word in ("∞", "-1"):
        asked.session_expiry = NEVER
        return
    try:
        asked.session_expiry = int(word, 0)
    except ValueError:
        raise UsageError(f"{words.option} needs a number of seconds, -1 or ∞, not {word!r}") from None
    if not 0 <= asked.session_expiry <= NEVER:
        raise UsageError(f"{words.option} is at most {NEVER}, not {word}")


def _password(asked: Asked, words: Words) -> None:
    asked.password = words.take("password")
    asked.password_in_words = True


def _will_topic(asked: Asked, words: Words) -> None:
    asked.will_topic = topic_name(words.option, words.take("topic"))


def _timeout(asked: Asked, words: Words) -> None:
    asked.timeout = words.seconds(0.001)


def _socket(asked: Asked, words: Words) -> None:
    asked.unix, asked.host = words.take("path"), ""


def _host(asked: Asked, words: Words) -> None:
    asked.host, asked.unix = words.take("host"), ""


def _refuse(why: str) -> Act:
    def act(asked: Asked, words: Words) -> None:
        raise UsageError(f"{words.option}: {why}")

    return act


def _nothing(asked: Asked, words: Words) -> None:
    pass


def _take(asked: Asked, words: Words) -> None:
    words.take("value")


def qos_option(to: str, *names: str, what: str, group: str = "options") -> Option:
    """A Quality of Service."""
    return number(*names, to=to, least=0, most=2, metavar="QOS", help=what, group=group)


TIMEOUT = Option(("-W",), _timeout, "SECONDS", "give up after this time, with exit code 27")
MESSAGES = (
    flag("--quiet", to="quiet", help="print no errors that happen while running"),
    flag("-d", "--debug", to="debug", help="tell on standard error what goes on"),
    Option(("-o",), _take, "FILE", "read options from this file", completes="file"),
    flag("--help", to="help", help="show this and exit"),
    flag("--version", to="show_version", help="print the version and exit"),
)
ADDRESS = (
    Option(("-h", "--host"), _host, "HOST", "the broker's name or address (localhost)", CONNECTION),
    number(
        "-p", "--port", to="port", least=0, most=65535, metavar="PORT", group=CONNECTION, help="1883, or 8883 for TLS"
    ),
    Option(("-L", "--url"), take_url, "URL", "mqtt(s)://[USER[:PASSWORD]@]HOST[:PORT]/TOPIC, all in one", CONNECTION),
    Option(("--unix",), _socket, "PATH", "connect to a Unix socket", CONNECTION, "file"),
    text("-A", to="bind_address", metavar="ADDRESS", group=CONNECTION, help="connect from this address of ours"),
    text(
        "--proxy", to="proxy", metavar="URL", group=CONNECTION, help="go through a proxy: socks5h://HOST:PORT, http://…"
    ),
    Option(("--nodelay",), _nothing, "", "send small packets at once (always so)", CONNECTION),
    Option(
        ("-V", "--protocol-version"),
        _version,
        "VERSION",
        "5, 311 or 31 (5, and 311 if the broker is older)",
        CONNECTION,
    ),
    number("-k", "--keepalive", to="keep_alive", least=0, most=65535, metavar="SECONDS", group=CONNECTION, help="60"),
    Option(
        ("-S",),
        _refuse("servers are not looked up in the DNS (SRV); name the host with -h"),
        "",
        "not supported",
        CONNECTION,
    ),
)
SESSION = (
    text("-i", "--id", to="client_id", metavar="ID", group=CONNECTION, help="the client identifier"),
    text(
        "-I",
        "--id-prefix",
        to="id_prefix",
        metavar="PREFIX",
        group=CONNECTION,
        help="the identifier: this, and the process id",
    ),
    flag(
        "-c",
        "--disable-clean-session",
        to="clean_start",
        value=False,
        group=CONNECTION,
        help="keep the session; needs -i",
    ),
    Option(("-x",), _session_expiry, "SECONDS", "how long the broker keeps the session; -1 is for ever", CONNECTION),
    number(
        "-M",
        to="max_inflight",
        least=1,
        most=MOST_IN_FLIGHT,
        metavar="NUMBER",
        group=CONNECTION,
        help="messages in flight (20)",
    ),
    Option(
        ("-D", "--property"),
        take_property,
        "COMMAND NAME VALUE",
        "send an MQTT 5.0 property: -D publish content-type x; a user-property has a name and a value",
        CONNECTION,
    ),
)
PASSWORDS = (
    text("-u", "--username", to="user_name", metavar="NAME", group=LOGIN, help="who we are"),
    Option(("-P", "--pw"), _password, "PASSWORD", "a password, which everybody on this machine can read", LOGIN),
    text(
        "--password-file",
        to="password_file",
        metavar="FILE",
        group=LOGIN,
        completes="file",
        help="the password is its first line",
    ),
    flag("--ask-password", to="ask_password", group=LOGIN, help="ask for the password at the terminal"),
)
TLS = (
    text("--cafile", to="cafile", metavar="FILE", group=GUARD, completes="file", help="trust these authorities"),
    text(
        "--capath",
        to="capath",
        metavar="DIR",
        group=GUARD,
        completes="directory",
        help="trust the authorities in there",
    ),
    flag("--tls-use-os-certs", to="use_os_certs", group=GUARD, help="trust those of the system"),
    text("--cert", to="cert", metavar="FILE", group=GUARD, completes="file", help="our certificate"),
    text("--key", to="key", metavar="FILE", group=GUARD, completes="file", help="our private key"),
    text("--keyform", to="keyform", metavar="FORM", group=GUARD, help="pem"),
    text("--ciphers", to="ciphers", metavar="CIPHERS", group=GUARD, help="OpenSSL's list of ciphers, for TLS 1.2"),
    text(
        "--tls-version",
        to="tls_version",
        metavar="VERSION",
        group=GUARD,
        help="the oldest to accept: tlsv1.3, tlsv1.2 (this) or tlsv1.1",
    ),
    text("--tls-alpn", to="tls_alpn", metavar="PROTOCOL", group=GUARD, help="the protocol to ask for, such as mqtt"),
    flag("--insecure", to="insecure", group=GUARD, help="do not check that the certificate is the host's"),
    text("--psk", to="psk", metavar="KEY", group=GUARD, help="not supported"),
    text("--psk-identity", to="psk_identity", metavar="NAME", group=GUARD, help="not supported"),
    text("--tls-engine", to="tls_engine", metavar="ENGINE", group=GUARD, help="not supported"),
    text("--tls-engine-kpass-sha1", to="tls_engine", metavar="SHA1", group=GUARD, help="not supported"),
)
WILLS = (
    Option(("--will-topic",), _will_topic, "TOPIC", "what the broker publishes when we are lost: where", WILL),
    text("--will-payload", to="will_payload", metavar="TEXT", group=WILL, help="what (nothing)"),
    qos_option("will_qos", "--will-qos", what="how (0)", group=WILL),
    flag("--will-retain", to="will_retain", group=WILL, help="retained"),
)
BASE = (*MESSAGES, *ADDRESS, *PASSWORDS, *TLS)
CLIENT = (*BASE, *SESSION, *WILLS)


def check(asked: Asked) -> None:
    """Refuse what does not fit together; raises UsageError."""
    if not asked.will_topic and (asked.will_payload is not None or asked.will_retain):
        raise UsageError("a will needs a --will-topic")
    if asked.client_id and asked.id_prefix:
        raise UsageError("-i and -I cannot be used together")
    if bool(asked.cert) != bool(asked.key):
        raise UsageError("--cert and --key belong together")
    if asked.keyform not in ("", "pem"):
        raise UsageError(f"--keyform {asked.keyform}: only pem can be read here")
    if asked.tls_engine:
        raise UsageError("--tls-engine: engines of OpenSSL cannot be used from Python")
    if asked.psk or asked.psk_identity:
        raise UsageError("--psk: TLS with a shared key is not supported, for Python has it since 3.13 only")
    never = asked.session_expiry == NEVER or (asked.session_expiry is None and not asked.clean_start)
    if never and not asked.client_id:
        raise UsageError("a session that never expires (-c, -x -1) needs a client identifier (-i)")
