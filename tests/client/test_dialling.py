"""Addresses become connections, by every way there is, and every failure says what it was and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import errno
import gc
import pickle
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from websockets.asyncio.server import ServerConnection

from linnet.client import proxies, sockets
from linnet.client.dialling import ConnectFailed, dial
from linnet.client.tls import explained, make_tls
from linnet.errors import LinnetError
from tests.client.doors import (
    CONNACK,
    CONNECT,
    HOST,
    PINGREQ,
    PINGRESP,
    Inner,
    SmallProxy,
    address,
    certificates,
    door,
    given,
    mosquitto_doors,
    refusing_door,
    websocket_door,
)
from tests.interop.tools import free_port
from tests.net.loops import run_on

LOOPS = pytest.mark.parametrize(
    "factory", [asyncio.SelectorEventLoop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)


def trusting() -> ssl.SSLContext:
    """A client that trusts the authority of the tests."""
    return make_tls(cafile=certificates().authority)


async def opened(url: str, **options: Any) -> Inner:
    """Dial, and make sure that the protocol was told before that returned."""
    inner = Inner()
    transport = await dial(address(url), given(inner), **{"timeout": 10.0, **options})
    assert inner.told == ["made"]
    assert inner.transport is transport
    return inner


async def failure(url: str, **options: Any) -> str:
    """What is said of a connection that cannot be opened, of which the protocol was never told."""
    made: list[Inner] = []

    def factory() -> Inner:
        made.append(Inner())
        return made[-1]

    with pytest.raises(ConnectFailed) as caught:
        await dial(address(url), factory, **{"timeout": 10.0, **options})
    assert all(inner.told == [] for inner in made)
    assert caught.value.address == str(address(url))
    return caught.value.detail


async def echoes(inner: Inner) -> None:
    """What is said comes back; then the connection ends in peace."""
    assert inner.transport is not None
    inner.transport.write(b"hello, ")
    inner.transport.writelines([b"wor", b"ld"])
    assert await inner.received(12) == b"hello, world"
    inner.transport.close()
    assert await inner.lost() is None


async def frames_come_back(connection: ServerConnection) -> None:
    async for data in connection:
        await connection.send(data)


@LOOPS
def test_every_kind_of_address_is_reached_on_every_loop(factory: Any, tmp_path: Path) -> None:
    async def story() -> None:
        made = certificates()
        async with door() as port:
            await echoes(await opened(f"mqtt://{HOST}:{port}"))
        async with door(tls=made.of_server()) as port:
            await echoes(await opened(f"mqtts://localhost:{port}", tls=trusting()))
        async with door(path=tmp_path / "socket"):
            await echoes(await opened(f"unix://{tmp_path}/socket"))
        async with websocket_door(frames_come_back) as port:
            await echoes(await opened(f"ws://{HOST}:{port}"))
        async with websocket_door(frames_come_back, tls=made.of_server()) as port:
            await echoes(await opened(f"wss://{HOST}:{port}", tls=trusting()))

    assert run_on(factory, story) == []


async def test_a_tcp_connection_does_not_wait_to_fill_its_packets() -> None:
    async with door() as port:
        inner = await opened(f"mqtt://{HOST}:{port}")
        assert inner.transport is not None
        sock = inner.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        inner.transport.abort()
        await inner.lost()


async def test_a_server_that_speaks_first_is_heard() -> None:
    async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await reader.read()

    async with door(hello) as port:
        inner = Inner()
        transport = await dial(address(f"mqtt://{HOST}:{port}"), given(inner))
        assert await inner.received(5) == b"hello"
        assert inner.told[0] == "made"
        transport.abort()
        await inner.lost()


# Mosquitto


async def test_mosquitto_is_reached_at_all_its_doors(tmp_path: Path) -> None:
    async with mosquitto_doors(tmp_path) as doors:
        for url in doors:
            inner = await opened(url, tls=trusting())
            assert inner.transport is not None
            inner.transport.write(CONNECT)
            await inner.received(2)
            await inner.received(inner.data[1] + 2)
            assert inner.data[0] == CONNACK
            assert inner.data[3] == 0
            length = len(inner.data)
            inner.transport.write(PINGREQ)
            assert (await inner.received(length + 2))[length:] == PINGRESP
            inner.transport.close()
            await inner.lost()


# TLS


async def test_alpn_says_mqtt_on_a_context_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[str | None] = []

    async def look(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        chosen.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        writer.write(b"seen")
        await reader.read()

    server = certificates().of_server()
    server.set_alpn_protocols(["http/1.1", "mqtt"])
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates().authority))
    async with door(look, tls=server) as port:
        for tls in (None, True, trusting(), make_tls(cafile=certificates().authority, alpn=["http/1.1"])):
            inner = Inner()
            transport = await dial(address(f"mqtts://localhost:{port}"), given(inner), tls=tls)
            await inner.received(4)
            transport.close()
            await inner.lost()
    assert chosen == ["mqtt", "mqtt", None, "http/1.1"]


async def test_a_client_shows_its_certificate() -> None:
    names: list[Any] = []

    async def look(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        names.append(writer.get_extra_info("peercert")["subject"])
        writer.write(b"seen")
        await reader.read()

    made = certificates()
    tls = make_tls(made.authority, None, made.certificate("client"), made.key("client"), "sesame")
    async with door(look, tls=made.demanding()) as port:
        inner = Inner()
        transport = await dial(address(f"mqtts://localhost:{port}"), given(inner), tls=tls)
        await inner.received(4)
        transport.close()
        await inner.lost()
    assert names == [((("commonName", "client"),),)]


async def test_a_server_that_wants_a_certificate_is_understood() -> None:
    old = trusting()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with refusing_door(certificates().demanding()) as port:
        assert "certfile" in await failure(f"mqtts://localhost:{port}", tls=old)
    # With TLS 1.3 the client has finished the handshake when the server refuses.
    async with refusing_door(certificates().demanding()) as port:
        inner = Inner()
        await dial(address(f"mqtts://localhost:{port}"), given(inner), tls=trusting())
        error = await inner.lost()
        assert isinstance(error, ssl.SSLError)
        assert explained(error) == "the server wants a certificate of the client (certfile and keyfile)"


async def test_what_is_wrong_with_a_certificate_is_told_with_a_remedy() -> None:
    made = certificates()
    async with door(tls=made.of_server()) as port:
        url = f"mqtts://localhost:{port}"
        assert "cafile" in await failure(url)
        assert "cafile" in await failure(url, tls=make_tls(any_name=True))
        await echoes(await opened(url, tls=make_tls(insecure=True)))
    async with door(tls=made.of_server("stranger")) as port:
        assert "use a name" in await failure(f"mqtts://localhost:{port}", tls=trusting())
        assert "use a name or an address" in await failure(f"mqtts://{HOST}:{port}", tls=trusting())
        await echoes(await opened(f"mqtts://{HOST}:{port}", tls=make_tls(cafile=made.authority, any_name=True)))
    async with door(tls=made.of_server("expired")) as port:
        assert "clock" in await failure(f"mqtts://localhost:{port}", tls=trusting())


async def test_a_server_without_tls_is_told_from_one_that_fails() -> None:
    async def mqtt(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    async with door(mqtt) as port:
        assert await failure(f"mqtts://{HOST}:{port}") == "the server does not speak TLS at this port"
    async with door(silent) as port:
        assert await failure(f"mqtts://{HOST}:{port}") == "the server ended the connection during the handshake"
    old = certificates().of_server()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with refusing_door(old) as port:
        strict = make_tls(cafile=certificates().authority, minimum_version=ssl.TLSVersion.TLSv1_3)
        assert "no version of TLS" in await failure(f"mqtts://localhost:{port}", tls=strict)


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    made = certificates()
    with pytest.raises(FileNotFoundError, match="nothing"):
        make_tls(cafile=tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="nothing"):
        make_tls(certfile=tmp_path / "nothing")
    (tmp_path / "noise").write_text("noise")
    with pytest.raises(ssl.SSLError, match="noise"):
        make_tls(cafile=tmp_path / "noise")
    with pytest.raises(ssl.SSLError, match="mismatch"):
        make_tls(certfile=made.certificate("server"), keyfile=made.key("expired"))
    with pytest.raises(ssl.SSLError, match="client_key"):
        make_tls(certfile=made.certificate("client"), keyfile=made.key("client"), key_password="wrong")
    with pytest.raises(ValueError, match="password"):
        make_tls(certfile=made.certificate("client"), keyfile=made.key("client"))
    with pytest.raises(ValueError, match="certfile"):
        make_tls(keyfile=made.key("client"))


def test_versions_and_ciphers_are_set() -> None:
    context = make_tls(minimum_version=ssl.TLSVersion.TLSv1_3, ciphers="ECDHE-RSA-AES128-GCM-SHA256")
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert "ECDHE-RSA-AES128-GCM-SHA256" in [cipher["name"] for cipher in context.get_ciphers()]
    assert make_tls().minimum_version is ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        make_tls(ciphers="no such cipher")


# What fails


@LOOPS
def test_failures_are_told_in_words_on_every_loop(factory: Any, tmp_path: Path) -> None:
    async def story() -> None:
        refused = "connection refused; does anything listen there?"
        assert await failure(f"mqtt://{HOST}:{free_port()}") == refused
        assert await failure(f"mqtt://localhost:{free_port()}") == refused  # at both its addresses
        said = await failure("mqtt://no..where")
        assert said == "the host's name cannot be looked up: it is no name that a host could have"
        assert await failure(f"unix://{tmp_path}/nothing") == "there is no such socket"
        (tmp_path / "file").touch()
        assert (await failure(f"unix://{tmp_path}/file")).startswith("connection refused")

    assert run_on(factory, story) == []


async def test_a_name_that_nobody_knows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert await failure("mqtt://nowhere") == "the host's name cannot be looked up: Name or service not known"


async def test_a_failure_is_an_error_of_linnet_and_of_connections() -> None:
    with pytest.raises(ConnectFailed) as caught:
        await dial(address(f"mqtt://user:secret@{HOST}:{free_port()}"), Inner)
    error = caught.value
    assert isinstance(error, LinnetError) and isinstance(error, ConnectionError)
    assert isinstance(error.__cause__, ConnectionRefusedError)
    assert "secret" not in str(error)
    assert str(error).startswith(f"cannot connect to mqtt://user@{HOST}")
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (str(twin), twin.detail) == (str(error), error.detail)


def left_behind(before: set[asyncio.Task[Any]]) -> list[asyncio.Task[Any]]:
    """Tasks of the client that are new."""
    return [task for task in asyncio.all_tasks() - before if "linnet.client" in repr(task)]


SILENT = {
    "tls": ("mqtts", None),
    "websocket": ("ws", None),
    "tls and websocket": ("wss", None),
    "socks": ("mqtt", "socks5"),
    "http": ("mqtts", "http"),
}


@LOOPS
@pytest.mark.parametrize(("scheme", "proxy"), SILENT.values(), ids=SILENT)
@pytest.mark.parametrize("how", ["cancelled", "too late"])
def test_one_that_is_cancelled_or_too_late_leaves_nothing(
    factory: Any, scheme: str, proxy: str | None, how: str
) -> None:
    async def story() -> None:
        ended = asyncio.Event()
        arrived = asyncio.Event()

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                await reader.read(1)
                arrived.set()
                await reader.read()
            ended.set()

        async with door(listen) as port:
            before = asyncio.all_tasks()
            url = f"{scheme}://{HOST}:{port}"
            by = f"{proxy}://{HOST}:{port}" if proxy else None
            if how == "too late":
                said = await failure(url, proxy=by, timeout=0.05)
                assert said == "not connected within 0.05 seconds"
            else:
                task = asyncio.create_task(dial(address(url), Inner, proxy=by, timeout=None))
                await arrived.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await ended.wait()
            assert left_behind(before) == []

    assert run_on(factory, story) == []


@LOOPS
def test_cancelling_at_any_turn_leaves_nothing(factory: Any) -> None:
    async def story() -> None:
        made = certificates()
        tls = trusting()
        async with door(tls=made.of_server()) as port:
            for turns in range(40):
                inner = Inner()
                task = asyncio.create_task(dial(address(f"mqtts://{HOST}:{port}"), given(inner), tls=tls))
                for _ in range(turns):
                    await asyncio.sleep(0)
                if task.done():
                    break
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
                assert task.cancelled() == (inner.told == [])
                if not task.cancelled():
                    task.result().abort()
            if inner.transport is not None:
                inner.transport.abort()
                await inner.lost()
        gc.collect()

    assert run_on(factory, story) == []


@LOOPS
def test_a_server_that_hangs_up_at_once_is_told(factory: Any) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Nothing is said."""

    async def story() -> None:
        async with door(hang_up) as port:
            for scheme in ("mqtts", "ws", "wss"):
                assert (await failure(f"{scheme}://{HOST}:{port}")).startswith("the server ended the connection")

    assert run_on(factory, story) == []


# Hosts with several addresses

V6 = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 1, 0, 0))


def v4(port: int) -> sockets.Info:
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (HOST, port))


def test_addresses_of_both_families_are_tried_in_turn() -> None:
    assert sockets.interleaved([V6, V6, V6, v4(1), v4(2)]) == [V6, v4(1), V6, v4(2), V6]
    assert sockets.interleaved([]) == []


async def test_an_address_that_does_not_answer_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async with door() as port:
        gone = asyncio.Event()
        attempt = sockets.attempt

        async def only_the_last(loop: asyncio.AbstractEventLoop, sock: socket.socket, place: Any) -> None:
            try:
                if place[1] != port:
                    await asyncio.Event().wait()
                await attempt(loop, sock, place)
            except asyncio.CancelledError:
                gone.set()
                raise

        async def found(*_: object, **__: object) -> list[sockets.Info]:
            return [v4(1), v4(port)]

        monkeypatch.setattr(sockets, "attempt", only_the_last)
        monkeypatch.setattr(sockets, "NEXT_DELAY", 0.001)
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)
        inner = await opened(f"mqtt://{HOST}:{port}")
        assert gone.is_set()
        await echoes(inner)


async def test_what_each_address_says_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = {"::1": OSError(errno.EHOSTUNREACH, "No route"), HOST: ConnectionRefusedError(errno.ECONNREFUSED, "No")}

    async def attempt(loop: asyncio.AbstractEventLoop, sock: socket.socket, place: Any) -> None:
        raise refusals[place[0]]

    async def found(*_: object, **__: object) -> list[sockets.Info]:
        return [V6, v4(1), v4(2)]

    monkeypatch.setattr(sockets, "attempt", attempt)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)
    said = await failure("mqtt://localhost")
    assert said == "no route to host, connection refused; does anything listen there?"


# Proxies


@pytest.fixture
async def echo_port() -> AsyncIterator[int]:
    async with door() as port:
        yield port


@LOOPS
@pytest.mark.parametrize(
    ("scheme", "asked"),
    [
        ("socks5", "socks5 127.0.0.1"),
        ("socks5h", "socks5 localhost"),
        ("socks4", "socks4 127.0.0.1"),
        ("socks4a", "socks4 localhost"),
        ("http", "http localhost:7"),
    ],
)
def test_proxies_of_every_kind_lead_to_the_server(factory: Any, scheme: str, asked: str) -> None:
    async def story() -> None:
        made = certificates()
        async with door() as port, door(proxy := SmallProxy(port)) as by:
            await echoes(await opened("mqtt://localhost:7", proxy=f"{scheme}://{HOST}:{by}"))
            assert proxy.asked == [asked]
        async with (
            websocket_door(frames_come_back, tls=made.of_server()) as port,
            door(SmallProxy(port)) as by,
        ):
            await echoes(await opened("wss://localhost:7", proxy=f"{scheme}://{HOST}:{by}", tls=trusting()))

    assert run_on(factory, story) == []


@pytest.mark.parametrize("scheme", ["socks5", "http"])
async def test_a_proxy_gets_the_user_name_and_password(scheme: str, echo_port: int) -> None:
    async with door(SmallProxy(echo_port, "user", "p@ss")) as by:
        await echoes(await opened(f"mqtt://{HOST}:7", proxy=f"{scheme}://user:p%40ss@{HOST}:{by}"))
        said = await failure(f"mqtt://{HOST}:7", proxy=f"{scheme}://user:wrong@{HOST}:{by}")
        assert said.startswith(f"the proxy {scheme}://{HOST}:{by} refuses")
        assert "wrong" not in said
        said = await failure(f"mqtt://{HOST}:7", proxy=f"{scheme}://{HOST}:{by}")
        assert said.startswith(f"the proxy {scheme}://{HOST}:{by} refuses")
        if scheme == "http":
            assert said.endswith("HTTP 407 Proxy Authentication Required; it wants a user name and a password")


async def test_an_answer_in_two_parts_is_read_to_its_end(echo_port: int) -> None:
    async with door(SmallProxy(echo_port, split=True)) as by:
        await echoes(await opened(f"mqtt://{HOST}:7", proxy=f"http://{HOST}:{by}"))


async def test_what_follows_the_answer_is_not_the_proxys() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nhello")
        await reader.read()

    async with door(answer) as by:
        inner = Inner()
        transport = await dial(address(f"mqtt://{HOST}:7"), given(inner), proxy=f"http://{HOST}:{by}")
        assert await inner.received(5) == b"hello"
        transport.close()
        await inner.lost()


@pytest.mark.parametrize("scheme", ["socks5", "socks4", "http"])
async def test_a_proxy_that_is_none_is_told(scheme: str, echo_port: int) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    async def noise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0 hello, who is there?\r\n\r\n")
        await reader.read()

    said = await failure(f"mqtt://{HOST}:7", proxy=f"{scheme}://{HOST}:{(port := free_port())}")
    assert said.startswith(f"cannot reach the proxy {scheme}://{HOST}:{port}: ")
    async with door(hang_up) as by:
        await failure(f"mqtt://{HOST}:7", proxy=f"{scheme}://{HOST}:{by}")
    async with door(noise) as by:
        assert "the proxy" in await failure(f"mqtt://{HOST}:7", proxy=f"{scheme}://{HOST}:{by}")


async def test_a_proxy_that_does_not_find_the_server_is_told(echo_port: int) -> None:
    async with door(SmallProxy(echo_port)) as by:
        said = await failure("mqtt://nowhere.invalid", proxy=f"socks5h://{HOST}:{by}")
        assert "Host unreachable" in said


async def test_without_the_library_it_says_which_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_socks", None)
    assert "pip install 'linnet[proxy]'" in await failure(f"mqtt://{HOST}:7", proxy=f"socks5://{HOST}:1")


async def test_a_unix_socket_needs_no_proxy(tmp_path: Path) -> None:
    async with door(path=tmp_path / "socket"):
        await echoes(await opened(f"unix://{tmp_path}/socket", proxy=f"socks5://{HOST}:1"))


@pytest.mark.parametrize("url", ["ftp://host", "socks5://", "host:1080", "http://host:none"])
async def test_a_proxy_that_is_no_url_is_an_error_of_the_caller(url: str) -> None:
    with pytest.raises(ValueError):
        await dial(address(f"mqtt://{HOST}:7"), Inner, proxy=url)


@pytest.mark.parametrize(
    ("variables", "scheme", "found"),
    [
        ({}, "mqtt", None),
        ({"ALL_PROXY": "socks5://a"}, "mqtt", "socks5://a:1080"),
        ({"all_proxy": "socks5h://a:1"}, "wss", "socks5h://a:1"),
        ({"HTTPS_PROXY": "http://b", "ALL_PROXY": "socks5://a"}, "mqtts", "http://b:80"),
        ({"MQTT_PROXY": "http://c:3", "HTTPS_PROXY": "http://b"}, "mqtt", "http://c:3"),
        ({"HTTP_PROXY": "http://b"}, "ws", None),
        ({"ALL_PROXY": "socks5://a", "NO_PROXY": "other,example.org"}, "mqtt", None),
        ({"ALL_PROXY": "socks5://a", "NO_PROXY": "*"}, "mqtt", None),
        ({"ALL_PROXY": "socks5://a", "NO_PROXY": "other"}, "mqtt", "socks5://a:1080"),
    ],
)
def test_the_environment_counts_when_it_is_asked(
    variables: dict[str, str], scheme: str, found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("all", "https", "http", "mqtt", "mqtts", "ws", "wss", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    proxy = proxies.chosen("env", scheme, "broker.example.org")
    assert (None if proxy is None else str(proxy)) == found
    assert proxies.chosen(None, scheme, "broker.example.org") is None
