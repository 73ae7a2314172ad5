"""From what was asked to a client: its address, its TLS, its will, and a connection that is closed in the end."""

from __future__ import annotations

import os
import ssl
import warnings
from asyncio import CancelledError
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from getpass import getpass
from typing import TYPE_CHECKING, Any

from linnet.cli.asked import Asked, UsageError
from linnet.cli.passwords import WARNING, password_of
from linnet.errors import ReasonCode
from linnet.wire.connect import NEVER, Will
from linnet.wire.properties import Properties
from linnet.wire.version import V5

if TYPE_CHECKING:
    import asyncio

    from linnet.cli.teller import Teller
    from linnet.client.client import Client
    from linnet.client.options import Reconnect

TLS_VERSIONS = {
    "tlsv1.1": ssl.TLSVersion.TLSv1_1,
    "tlsv1.2": ssl.TLSVersion.TLSv1_2,
    "tlsv1.3": ssl.TLSVersion.TLSv1_3,
}
TLS_PORT = 8883
FEW = 20  # messages; who wants fewer is sent no more than that at once
LARGEST_PACKET = 268_435_460  # bytes, and all that MQTT has
OWN = ("receive_maximum", "maximum_packet_size", "topic_alias_maximum")  # CONNECT says them by arguments of their own


def wants_tls(asked: Asked) -> bool:
    """Whether the connection is encrypted: the URL, a port or an authority that is trusted says so."""
    if asked.unix:
        return False
    if asked.scheme in ("mqtts", "wss"):
        return True
    return bool(asked.cafile or asked.capath or asked.use_os_certs or asked.port == TLS_PORT)


def url_of(asked: Asked) -> str:
    """The address as the library wants it."""
    from urllib.parse import quote

    if asked.unix:
        return f"unix://{quote(os.path.abspath(asked.unix))}"
    tls = wants_tls(asked)
    scheme = {"": "mqtt", "mqtts": "mqtt", "wss": "ws"}.get(asked.scheme, asked.scheme) + ("s" if tls else "")
    port = f":{asked.port}" if asked.port is not None else ""
    hosts = [f"[{host}]" if ":" in host else host for host in (asked.host or "localhost").split(",")]
    return f"{scheme}://{','.join(host + port for host in hosts)}{asked.path}"


def tls_of(asked: Asked) -> ssl.SSLContext | None:
    """What the options say about TLS; raises UsageError and OSError."""
    from linnet.client.tls import make_tls

    if not wants_tls(asked):
        return None
    if asked.tls_version not in ("", *TLS_VERSIONS):
        raise UsageError(f"--tls-version is one of {', '.join(TLS_VERSIONS)}, not {asked.tls_version!r}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of TLS 1.1; whoever asks for it knows
            context = make_tls(
                cafile=asked.cafile or None,
                capath=asked.capath or None,
                certfile=asked.cert or None,
                keyfile=asked.key or None,
                any_name=asked.insecure,
                alpn=[asked.tls_alpn] if asked.tls_alpn else None,
                minimum_version=TLS_VERSIONS[asked.tls_version or "tlsv1.2"],
                ciphers=asked.ciphers or None,
            )
    except (OSError, ValueError) as error:
        file = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        raise UsageError(f"TLS: {file}{getattr(error, 'strerror', None) or error}") from None
    if asked.use_os_certs and (asked.cafile or asked.capath):
        context.load_default_certs()
    return context


def will_of(asked: Asked) -> Will | None:
    """The will, if there is one."""
    if not asked.will_topic:
        return None
    payload = (asked.will_payload or "").encode(errors="surrogateescape")
    return Will(asked.will_topic, payload, asked.will_qos, asked.will_retain, asked.properties["will"])


def dial_of(asked: Asked, tls: ssl.SSLContext | None) -> Callable[..., Awaitable[asyncio.Transport]] | None:
    """How to connect from one address of ours; None where the library connects by itself."""
    if not asked.bind_address:
        return None
    if asked.unix or asked.scheme in ("ws", "wss") or asked.proxy:
        raise UsageError("-A can be used with plain TCP and TLS only")
    host, port = asked.host or "localhost", asked.port or (TLS_PORT if tls else 1883)

    async def dial(protocol_factory: Callable[[], Any]) -> asyncio.Transport:
        import asyncio

        from linnet.client.dialling import ConnectFailed
        from linnet.client.sockets import meaning

        loop = asyncio.get_running_loop()
        here = (asked.bind_address, 0)
        try:
            transport, _ = await loop.create_connection(protocol_factory, host, port, ssl=tls, local_addr=here)
        except OSError as error:
            raise ConnectFailed(f"{url_of(asked)} from {asked.bind_address}", meaning(error)) from error
        return transport

    return dial


def settings_of(asked: Asked, reconnect: Reconnect | None) -> dict[str, Any]:
    """The arguments of the client but for its password; raises UsageError."""
    tls = tls_of(asked)
    said = asked.properties["connect"]
    rest = Properties(**{name: getattr(said, name) for name in said.__slots__ if name not in OWN})
    expiry = asked.session_expiry
    if expiry is None:
        expiry = said.session_expiry_interval
    if expiry is None and not asked.clean_start:
        expiry = NEVER
    rest.session_expiry_interval = None
    settings: dict[str, Any] = {
        "client_id": asked.client_id or (f"{asked.id_prefix}{os.getpid()}" if asked.id_prefix else ""),
        "user_name": asked.user_name,
        "tls": tls,
        "will": will_of(asked),
        "keep_alive": asked.keep_alive,
        "session_expiry": expiry,
        "clean_start": asked.clean_start,
        "version": asked.version,
        "max_inflight": asked.max_inflight,
        "close_timeout": 0.0,  # what has to arrive is waited for before
        "maximum_packet_size": LARGEST_PACKET,
        "topic_alias_maximum": 0,  # so that what is printed is what was published
        "reconnect": reconnect,
        "proxy": asked.proxy or None,
        "properties": rest,
        "dial": dial_of(asked, tls),
    }
    if 0 < asked.count < FEW:
        settings["receive_maximum"] = asked.count
    settings.update({name: value for name in OWN if (value := getattr(said, name)) is not None})
    return settings


@asynccontextmanager
async def connected(
    asked: Asked, teller: Teller, reconnect: Reconnect | None = None, **more: object
) -> AsyncIterator[Client]:
    """A connected client, for as long as the context lasts; raises what connecting raises, and UsageError."""
    from linnet.client.client import Client

    password = password_of(asked, os.environ, getpass)
    if asked.password_in_words:
        teller.note(WARNING)
    client = Client(url_of(asked), password=password, **{**settings_of(asked, reconnect), **more})
    async with client:
        found = "resumed" if client.keeper.connack and client.keeper.connack.session_present else "new"
        who, version = client.client_id, client.limits.version.name
        teller.debug(f"connected to {client.keeper.address} as {who!r} with MQTT {version}, session {found}")
        try:
            yield client
            if client.limits.version.has_properties:
                await client.disconnect(properties=asked.properties["disconnect"])
        except CancelledError:  # by a signal, or by -W: in 5.0 the original has its will sent then
            if asked.will_topic and asked.version is V5:
                await client.disconnect(ReasonCode.DISCONNECT_WITH_WILL)
            raise
