"""Reaching a broker through a proxy: SOCKS by the library python-socks, HTTP by its CONNECT method.

Either way the outcome is a connected socket that carries the same bytes as one without a proxy, so that TLS and
WebSocket do not know of it. Nothing is read beyond the proxy's answer: what follows belongs to the broker.
"""

from __future__ import annotations

import asyncio
import socket
from base64 import b64encode
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote, urlsplit

from linnet.client import sockets

FROM_ENVIRONMENT = "env"
PORTS = {"http": 80, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}  # where none is given
REMOTE_NAMES = {"socks4a", "socks5h"}  # the proxy looks the broker's name up; with the other two it is done here
LONGEST_ANSWER = 65536  # bytes of a proxy's HTTP headers
UNBOUNDED = 1e6  # seconds: the library's own time-out, which would cut a longer one of the caller's short
WANTS_PASSWORD = 407
MISSING = "proxies of this kind need a library: pip install 'linnet[proxy]'"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, as its URL tells it."""

    scheme: str
    host: str
    port: int
    user: str = ""
    password: str = ""

    def __str__(self) -> str:
        """Where it is, without the password."""
        return f"{self.scheme}://{authority(self.host, self.port)}"

    @classmethod
    def from_url(cls, url: str) -> Self:
        """`socks5://user:password@host:1080`, and so on. Raises ValueError for what is no such URL."""
        parts = urlsplit(url)
        if parts.scheme not in PORTS:
            raise ValueError(
                f"a proxy is one of {', '.join(f'{scheme}://' for scheme in PORTS)}, not {parts.scheme}://"
            )
        if not parts.hostname:
            raise ValueError("the proxy's URL names no host")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme], user, password)


def chosen(proxy: str | None, scheme: str, host: str) -> Proxy | None:
    """The proxy to use for a broker, or None. Raises ValueError when its URL is wrong.

    Environment variables count only if `proxy` is "env": NO_PROXY, then one named after the scheme (MQTT_PROXY),
    HTTPS_PROXY and ALL_PROXY, in small letters or capitals. HTTP_PROXY does not: it is for requests, not for tunnels.
    """
    if proxy != FROM_ENVIRONMENT:
        return Proxy.from_url(proxy) if proxy else None
    from urllib.request import getproxies_environment, proxy_bypass  # which cost time that few have to spend

    variables = getproxies_environment()
    url = next((variables[name] for name in (scheme, "https", "all") if name in variables), None)
    return None if url is None or proxy_bypass(host) else Proxy.from_url(url)


def authority(host: str, port: int) -> str:
    """Host and port as URLs and HTTP write them: addresses of IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def connected(proxy: Proxy, host: str, port: int) -> socket.socket:
    """A non-blocking socket that is connected with the host by the proxy.

    Raises OSError when the proxy cannot be reached, and ConnectionError with a sentence when it refuses.
    """
    if proxy.scheme == "http":
        return await through_http(proxy, host, port)
    return await through_socks(proxy, host, port)


async def through_socks(proxy: Proxy, host: str, port: int) -> socket.socket:
    """By SOCKS 4, 4a, 5 or 5 with names looked up by the proxy."""
    try:
        from python_socks import ProxyConnectionError, ProxyError, ProxyType
        from python_socks.async_.asyncio import Proxy as Socks
    except ImportError:
        raise ConnectionError(MISSING) from None
    kind = ProxyType.SOCKS4 if proxy.scheme.startswith("socks4") else ProxyType.SOCKS5
    loop = asyncio.get_running_loop()
    where = (proxy.host, proxy.port, proxy.user or None, proxy.password or None)
    socks = Socks(kind, *where, rdns=proxy.scheme in REMOTE_NAMES, loop=loop)
    try:
        return await socks.connect(host, port, timeout=UNBOUNDED)
    except ProxyConnectionError as error:
        cause = error.__cause__
        raise unreachable(proxy, cause if isinstance(cause, OSError) else error) from error
    except (ProxyError, ValueError) as error:
        raise ConnectionError(f"the proxy {proxy} refuses: {error}") from error


async def through_http(proxy: Proxy, host: str, port: int) -> socket.socket:
    """By the method CONNECT of HTTP/1.1."""
    loop = asyncio.get_running_loop()
    try:
        sock = await sockets.connected(proxy.host, proxy.port)
    except OSError as error:
        raise unreachable(proxy, error) from error
    try:
        await loop.sock_sendall(sock, connect_request(proxy, authority(host, port)))
        check_answer(proxy, await answer(proxy, sock))
    except BaseException:
        sock.close()
        raise
    return sock


def unreachable(proxy: Proxy, error: OSError) -> ConnectionError:
    """What to raise when the proxy itself does not answer."""
    return ConnectionError(f"cannot reach the proxy {proxy}: {sockets.meaning(error)}")


def connect_request(proxy: Proxy, target: str) -> bytes:
    """The request, with the user's name and password if there is one."""
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.user:
        lines.append(f"Proxy-Authorization: Basic {b64encode(f'{proxy.user}:{proxy.password}'.encode()).decode()}")
    return "\r\n".join([*lines, "", ""]).encode()


async def answer(proxy: Proxy, sock: socket.socket) -> bytes:
    """The proxy's answer up to its empty line, byte by byte, since what follows is not the proxy's any more."""
    loop = asyncio.get_running_loop()
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        byte = await loop.sock_recv(sock, 1)
        if not byte:
            raise ConnectionError(f"the proxy {proxy} ended the connection without an answer")
        head += byte
        if len(head) > LONGEST_ANSWER:
            raise ConnectionError(f"the proxy {proxy} does not come to the end of its answer")
    return bytes(head)


def check_answer(proxy: Proxy, head: bytes) -> None:
    """Raises ConnectionError unless the answer is that of a proxy that has connected us."""
    line = head.partition(b"\r\n")[0].decode("latin-1")
    version, _, status = line.partition(" ")
    code = status[:3]
    if not version.startswith("HTTP/1.") or not code.isdecimal():
        raise ConnectionError(f"the proxy {proxy} does not answer in HTTP/1.1")
    if not code.startswith("2"):
        advice = "; it wants a user name and a password" if int(code) == WANTS_PASSWORD else ""
        raise ConnectionError(f"the proxy {proxy} refuses: HTTP {status}{advice}")
