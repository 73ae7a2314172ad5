"""An exchange of AUTH packets between a client's authenticator and a broker's hooks, in several steps, and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from hashlib import sha256
from hmac import digest
from typing import Any

import pytest

from linnet import (
    Broker,
    Client,
    Connected,
    ConnectFailed,
    ConnectionLost,
    ConnectRejected,
    Disconnected,
    Exchange,
    Hooks,
    LinnetError,
    Properties,
    ReasonCode,
    Step,
)
from linnet.wire import Auth, Connack, Connect
from tests.client.proof.scripted import Scripted, Visit, ignore
from tests.client.proof.watching import AT_ONCE, Told, client_of, until, within

METHOD = "knocking"
ROUNDS = 3


def answer(secret: bytes, question: bytes) -> bytes:
    """What only somebody who knows the secret can say."""
    return digest(secret, question, sha256)


class Guest:
    """The client's side: each knows the secret, and hears in the end that the server does too."""

    method = METHOD

    def __init__(self, secret: bytes, is_slow: bool = False) -> None:
        self.secret = secret
        self.is_slow = is_slow
        self.starts = 0
        self.steps = 0
        self.finished = 0
        self.fails_at = ""

    def start(self) -> bytes:
        self.starts += 1
        return b"hello"

    def step(self, data: bytes) -> bytes | Awaitable[bytes]:
        self.steps += 1
        if self.fails_at == "step":
            raise ZeroDivisionError("the guest's step")
        return self.later(data) if self.is_slow else answer(self.secret, data)

    async def later(self, data: bytes) -> bytes:
        await asyncio.sleep(0)
        if self.fails_at == "later":
            raise ZeroDivisionError("the guest's slow step")
        return answer(self.secret, data)

    def finish(self, data: bytes) -> None:
        self.finished += 1
        if self.fails_at == "finish" or data != answer(self.secret, b"welcome"):
            raise ZeroDivisionError("the guest does not believe it")


class Knocking(Exchange):
    """The broker's side."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.asked = b""
        self.rounds = 0

    def step(self, data: bytes | None) -> Step | ReasonCode | Awaitable[Step | ReasonCode]:
        verdict = self.judge(data)
        return self.later(verdict) if self.door.is_slow else verdict

    async def later(self, verdict: Step | ReasonCode) -> Step | ReasonCode:
        await asyncio.sleep(0)
        return verdict

    def judge(self, data: bytes | None) -> Step | ReasonCode:
        if self.asked and data != answer(self.door.secret, self.asked):
            return ReasonCode.NOT_AUTHORIZED
        if self.rounds == ROUNDS:
            self.rounds, self.asked = 0, b""
            self.door.opened += 1
            return Step(True, answer(self.door.tells, b"welcome"))
        self.rounds += 1
        self.asked = b"question %d" % self.rounds
        return Step(False, self.asked)


class Door(Hooks):
    """Lets in who knows the secret."""

    def __init__(self) -> None:
        self.secret = self.tells = b"sesame"
        self.is_slow = False
        self.opened = 0

    def exchange(self, method: str, connect: Connect) -> Exchange | None:
        return Knocking(self) if method == METHOD else None


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
async def url(door: Door) -> AsyncIterator[str]:
    async with Broker(listen="127.0.0.1:0", hooks=door, sys_interval=0) as broker:
        yield f"mqtt://127.0.0.1:{broker.port}"


def visitor(url: str, guest: Guest, **options: Any) -> Client:
    return Client(url, authenticator=guest, **{"reconnect": AT_ONCE, **options})


@pytest.mark.parametrize("is_slow", [False, True], ids=["at once", "later"])
async def test_an_exchange_of_several_steps_connects_and_can_be_repeated(url: str, door: Door, is_slow: bool) -> None:
    guest = Guest(b"sesame", is_slow)
    door.is_slow = is_slow
    async with visitor(url, guest) as client, client.subscribe("a", qos=1) as messages:
        assert (guest.starts, guest.steps, guest.finished, door.opened) == (1, ROUNDS, 1, 1)
        for count in (2, 3):
            sent = client.send("a", b"%d" % count, qos=1)
            await within(client.reauthenticate())
            assert (guest.starts, guest.steps, guest.finished, door.opened) == (count, count * ROUNDS, count, count)
            await within(sent)
            assert (await within(messages.get())).payload == b"%d" % count


async def test_each_connection_begins_with_an_exchange_of_its_own(url: str, door: Door) -> None:
    guest = Guest(b"sesame")
    client = visitor(url, guest)
    told = Told(client)
    async with client:
        assert client.keeper.line is not None
        client.keeper.line.abort()
        await told.until(Connected, 2)
        assert guest.starts == guest.finished == door.opened == 2


async def test_a_server_that_is_not_convinced_refuses(url: str, door: Door) -> None:
    guest = Guest(b"wrong")
    client = visitor(url, guest)
    with pytest.raises(ConnectRejected) as refusal:
        await within(client.connect())
    assert refusal.value.reason_code == ReasonCode.NOT_AUTHORIZED
    assert (guest.steps, guest.finished, door.opened) == (1, 0, 0)
    assert client.state == "closed"


async def test_a_server_that_does_not_know_the_method_refuses(url: str) -> None:
    guest = Guest(b"sesame")
    guest.method = "another"
    with pytest.raises(ConnectRejected) as refusal:
        await within(visitor(url, guest).connect())
    assert refusal.value.reason_code == ReasonCode.BAD_AUTHENTICATION_METHOD


@pytest.mark.parametrize("fails_at", ["step", "later", "finish"])
async def test_a_client_that_fails_or_is_not_convinced_does_not_connect(url: str, door: Door, fails_at: str) -> None:
    guest = Guest(b"sesame", fails_at == "later")
    guest.fails_at = fails_at
    client = visitor(url, guest, connect_timeout=5)
    with pytest.raises(ConnectFailed, match="guest"):
        await within(client.connect())
    assert client.state == "closed"
    assert guest.starts == 1  # it would be no better in another version
    assert door.opened == (fails_at == "finish")


async def test_a_server_that_does_not_know_the_secret_gets_nothing(url: str, door: Door) -> None:
    """What the program has to say and who it subscribes to waits for a server that has proved itself."""
    door.tells = b"a guess"
    guest = Guest(b"sesame")
    client = visitor(url, guest, reconnect=None)
    with pytest.raises(ConnectFailed):
        await within(client.connect())
    assert guest.finished == 1


async def test_a_repeated_exchange_that_the_server_refuses_ends_the_connection(url: str, door: Door) -> None:
    guest = Guest(b"sesame")
    client = visitor(url, guest)
    told = Told(client)
    await client.connect()
    door.secret = b"changed"
    with pytest.raises(ConnectionLost):
        await within(client.reauthenticate())
    lost = await told.until(Disconnected)
    assert lost.reason_code == ReasonCode.NOT_AUTHORIZED
    await until(lambda: client.state == "closed")
    with pytest.raises(ConnectRejected):
        await client.__aexit__(None, None, None)


@pytest.mark.parametrize("fails_at", ["step", "later", "finish"])
async def test_a_repeated_exchange_that_the_client_fails_ends_the_connection(url: str, fails_at: str) -> None:
    guest = Guest(b"sesame", fails_at == "later")
    client = visitor(url, guest)
    told = Told(client)
    async with client:
        guest.fails_at = fails_at
        with pytest.raises((ConnectionLost, ZeroDivisionError)):
            await within(client.reauthenticate())
        await told.until(Disconnected)
        guest.fails_at = ""
        await told.until(Connected, 2)
        await within(client.reauthenticate())


async def test_only_one_exchange_at_a_time_and_only_with_an_authenticator(url: str) -> None:
    async with visitor(url, Guest(b"sesame")) as client:
        first = asyncio.create_task(client.reauthenticate())
        await asyncio.sleep(0)
        with pytest.raises(LinnetError):
            await within(client.reauthenticate())
        await within(first)
    async with Scripted() as server, client_of(server) as plain:
        with pytest.raises(LinnetError):
            await within(plain.reauthenticate())


def asks(code: int, method: str = METHOD) -> Auth:
    """An AUTH packet of a server."""
    return Auth(code, Properties(authentication_method=method, authentication_data=b"?"))


@pytest.mark.parametrize(
    "said",
    [asks(0x18, "other"), asks(0x00), asks(0x19), Auth(0x18)],
    ids=["another method", "success before CONNACK", "re-authenticate", "no method"],
)
async def test_a_server_that_breaks_the_exchange_is_left(said: Auth) -> None:
    def break_it(visit: Visit, connect: Connect) -> None:
        visit.send(said)

    async with Scripted({Connect: break_it, Auth: ignore}) as server:
        with pytest.raises(ConnectFailed):
            await within(client_of(server, authenticator=Guest(b"sesame"), connect_timeout=5).connect())
        await until(lambda: all(visit.is_over for visit in server.visits))


async def test_a_server_that_asks_who_was_not_going_to_tell_is_left() -> None:
    async with Scripted({Auth: ignore}) as server:
        client = client_of(server)
        told = Told(client)
        async with client:
            server.visit.send(asks(0x18))
            await told.until(Connected, 2)
        server.on[Connect] = lambda visit, _: visit.send(asks(0x18))
        with pytest.raises(ConnectFailed):
            await within(client_of(server, version=None, connect_timeout=5).connect())


async def test_a_server_that_never_answers_is_not_waited_for() -> None:
    async with Scripted({Auth: ignore}) as server:
        server.on[Connect] = lambda visit, _: visit.send(
            Connack(False, 0, Properties(authentication_method=METHOD, authentication_data=answer(b"s", b"welcome")))
        )
        client = client_of(server, authenticator=Guest(b"s"))
        told = Told(client)
        async with client:
            repeating = asyncio.create_task(client.reauthenticate())
            await until(lambda: bool(server.got(Auth)))
            server.visit.cut()
            with pytest.raises(ConnectionLost):
                await within(repeating)
            await told.until(Connected, 2)
