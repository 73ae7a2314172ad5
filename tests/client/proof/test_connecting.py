"""Coming to a server and coming back to it: which one, in which version, and as whom."""

from __future__ import annotations

import asyncio

import pytest

from linnet import (
    V3_1_1,
    V5,
    Client,
    Connected,
    ConnectFailed,
    ConnectRejected,
    Disconnected,
    Moved,
    ReasonCode,
    Reconnect,
    SessionLost,
)
from linnet.client.address import parse_addresses
from linnet.client.events import Events
from linnet.client.places import Places
from linnet.wire import Connect, Disconnect, Properties, Subscribe
from tests.client.proof.scripted import Reaction, Scripted, Visit, refusing
from tests.client.proof.watching import AT_ONCE, Told, client_of, until, within
from tests.interop.tools import free_port

# -- a server that knows no 5.0

OLD_SERVERS: dict[str, Reaction] = {
    "return code 1": lambda visit, _: visit.close(b"\x20\x02\0\x01"),
    "0x84": refusing(0x84),
    "0x81": refusing(0x81),
    "0x82": refusing(0x82),
    "closes": lambda visit, _: visit.close(),
    "resets": lambda visit, _: visit.cut(),
}


def old(server: Scripted, how: Reaction) -> Reaction:
    """Takes 3.1.1 only."""

    def decide(visit: Visit, connect: Connect) -> None:
        if connect.version is V3_1_1:
            server.accept(visit)
        else:
            how(visit, connect)

    return decide


@pytest.mark.parametrize("how", OLD_SERVERS)
async def test_an_old_server_is_spoken_to_in_its_version(how: str) -> None:
    async with Scripted() as server:
        server.on[Connect] = old(server, OLD_SERVERS[how])
        client = client_of(server)
        told = Told(client)
        async with client, client.subscribe("a", qos=1) as messages:
            assert client.limits.version is V3_1_1
            assert [connect.version for connect in server.got(Connect)] == [V5, V3_1_1]
            server.visit.publish("a", b"1", qos=1)
            assert (await within(messages.get())).payload == b"1"
            assert await within(client.publish("a", qos=2)) == ReasonCode.SUCCESS
            server.visit.cut()
            await told.until(Connected, 2)
            assert server.got(Connect)[2].version is V3_1_1  # it is remembered
            assert len(server.got(Connect)) == 3
        assert not server.got(Connect)[1].properties.topic_alias_maximum


@pytest.mark.parametrize("how", OLD_SERVERS)
async def test_who_insists_on_a_version_gets_no_other(how: str) -> None:
    async with Scripted() as server:
        server.on[Connect] = old(server, OLD_SERVERS[how])
        with pytest.raises((ConnectRejected, ConnectFailed)):
            await within(client_of(server, version=V5).connect())
        assert len(server.got(Connect)) == 1


@pytest.mark.parametrize(("code", "meaning"), [(1, 0x84), (2, 0x85), (3, 0x88), (4, 0x86), (5, 0x87)])
async def test_a_server_that_refuses_both_versions_is_told_as_it_says(code: int, meaning: int) -> None:
    def refuse(visit: Visit, connect: Connect) -> None:
        visit.close(b"\x20\x02\0" + bytes((1 if connect.version is V5 else code,)))

    async with Scripted({Connect: refuse}) as server:
        client = client_of(server)
        with pytest.raises(ConnectRejected) as refusal:
            await within(client.connect())
        assert refusal.value.reason_code == meaning
        assert [connect.version for connect in server.got(Connect)] == [V5, V3_1_1]
        assert client.state == "closed"


async def test_a_server_that_closes_whatever_is_said_is_a_failure() -> None:
    async with Scripted({Connect: lambda visit, _: visit.close()}) as server:
        with pytest.raises(ConnectFailed):
            await within(client_of(server).connect())
        assert len(server.got(Connect)) == 2


@pytest.mark.parametrize("reason_code", [0x80, 0x83, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x95, 0x97, 0x9F])
async def test_every_other_refusal_is_told_at_once(reason_code: int) -> None:
    async with Scripted({Connect: refusing(reason_code, reason_string="because")}) as server:
        with pytest.raises(ConnectRejected, match="because") as refusal:
            await within(client_of(server).connect())
        assert refusal.value.reason_code == reason_code
        assert len(server.got(Connect)) == 1


# -- a server that names another one

MOVES = pytest.mark.parametrize("code", [ReasonCode.USE_ANOTHER_SERVER, ReasonCode.SERVER_MOVED])


@MOVES
async def test_a_server_that_names_another_one_at_connect_is_followed(code: ReasonCode) -> None:
    async with Scripted() as here, Scripted() as there:
        here.on[Connect] = refusing(code, server_reference=f"127.0.0.1:{there.port}")
        client = client_of(here)
        told = Told(client)
        async with client:
            assert client.keeper.address is not None
            assert client.keeper.address.port == there.port
            moved = told.of(Moved)[0]
            assert moved.permanently == (code == ReasonCode.SERVER_MOVED)
            assert moved.reference.endswith(str(there.port))
            there.visit.cut()
            await told.until(Connected, 2)
            asked_again = len(here.visits) - 1
            assert asked_again == (0 if moved.permanently else 1)


@MOVES
async def test_a_server_that_names_another_one_when_it_leaves_is_followed(code: ReasonCode) -> None:
    async with Scripted() as here, Scripted() as there:
        client = client_of(here)
        told = Told(client)
        async with client, client.subscribe("a", qos=1) as messages:
            here.visit.close(Disconnect(code, Properties(server_reference=f"mqtt://127.0.0.1:{there.port}/")))
            await told.until(Connected, 2)
            assert len(here.visits) == 1
            assert told.of(Disconnected)[0].reason_code == code
            await until(lambda: bool(there.got(Subscribe)))
            there.visit.publish("a", b"1", qos=1)
            assert (await within(messages.get())).payload == b"1"


@pytest.mark.parametrize("reference", ["", "no-such-place:x", "mqtt://", None])
async def test_a_server_that_names_no_place_is_asked_again(reference: str | None) -> None:
    async with Scripted() as here:
        client = client_of(here)
        told = Told(client)
        async with client:
            here.visit.close(Disconnect(ReasonCode.SERVER_MOVED, Properties(server_reference=reference)))
            await told.until(Connected, 2)
        assert len(here.visits) == 2
        assert not told.of(Moved)


async def test_servers_that_send_us_round_in_circles_at_connect_are_given_up() -> None:
    async with Scripted() as here, Scripted() as there:
        here.on[Connect] = refusing(ReasonCode.USE_ANOTHER_SERVER, server_reference=f"127.0.0.1:{there.port}")
        there.on[Connect] = refusing(ReasonCode.USE_ANOTHER_SERVER, server_reference=f"127.0.0.1:{here.port}")
        with pytest.raises(ConnectRejected) as refusal:
            await within(client_of(here, reconnect=Reconnect(first=60)).connect())
        assert refusal.value.reason_code == ReasonCode.USE_ANOTHER_SERVER
        assert 2 <= len(here.visits) + len(there.visits) <= 12


async def test_servers_that_accept_us_and_send_us_round_in_circles_are_not_asked_without_a_pause() -> None:
    async with Scripted() as here, Scripted() as there:

        def sending_on(server: Scripted, other: Scripted) -> Reaction:
            def send_on(visit: Visit, connect: Connect) -> None:
                server.accept(visit)
                words = Properties(server_reference=f"127.0.0.1:{other.port}")
                visit.close(Disconnect(ReasonCode.USE_ANOTHER_SERVER, words))

            return send_on

        here.on[Connect] = sending_on(here, there)
        there.on[Connect] = sending_on(there, here)
        client = client_of(here, reconnect=Reconnect(first=60, jitter=0))
        told = Told(client)
        async with client:
            await until(lambda: any(event.again_in == 60 for event in told.of(Disconnected)))
            assert len(here.visits) + len(there.visits) <= 12


def test_tls_is_never_left() -> None:
    for scheme, named in (("mqtts", "mqtt://a"), ("wss", "ws://a"), ("wss", "mqtt://a"), ("mqtts", "unix:///a")):
        (here,) = parse_addresses(f"{scheme}://user:secret@here")
        places = Places([here], Events())
        places.move(named, True, here)
        assert not places.is_redirected
        assert places.turn() == [here]
        places.move(f"{named} there:1", False, here)
        (there, *rest) = places.turn()
        assert (there.scheme, there.host, there.user_name, there.password) == (scheme, "there", "user", "secret")
        assert rest == [here]


# -- several places


async def test_places_are_tried_in_turn() -> None:
    nobody = f"mqtt://127.0.0.1:{free_port()}"
    async with Scripted({Connect: refusing(0x88)}) as busy, Scripted() as good, Scripted() as spare:
        client = Client([nobody, busy.url, good.url, spare.url], reconnect=AT_ONCE)
        told = Told(client)
        async with client:
            assert client.keeper.address is not None
            assert client.keeper.address.port == good.port
            good.visit.cut()
            await told.until(Connected, 2)
            assert len(good.visits) == 2  # the one that was good is tried first
            good.refuse()
            good.visit.cut()
            await told.until(Connected, 3)
            assert client.keeper.address.port == spare.port
            spare.refuse()
            spare.visit.cut()
            busy.on[Connect] = lambda visit, _: busy.accept(visit)
            await told.until(Connected, 4)
            assert client.keeper.address.port == busy.port


async def test_when_all_places_fail_the_last_failure_is_told() -> None:
    nobody = f"127.0.0.1:{free_port()}"
    async with Scripted({Connect: refusing(0x87)}) as busy:
        with pytest.raises(ConnectRejected):
            await within(Client(f"mqtt://{nobody},127.0.0.1:{busy.port}").connect())
        with pytest.raises(ConnectFailed):
            await within(Client(f"mqtt://127.0.0.1:{busy.port},{nobody}").connect())
        assert len(busy.visits) == 2


# -- who we say we are


@pytest.mark.parametrize("kind", ["function", "coroutine"])
async def test_a_fresh_password_is_asked_for_each_connection(kind: str) -> None:
    given: list[bytes] = []

    def fresh() -> bytes:
        given.append(b"secret %d" % len(given))
        return given[-1]

    async def fresh_later() -> str:
        await asyncio.sleep(0)
        return fresh().decode()

    async with Scripted() as server:
        client = client_of(server, user_name="user", password=fresh if kind == "function" else fresh_later)
        told = Told(client)
        async with client:
            server.visit.cut()
            await told.until(Connected, 2)
            server.on[Connect] = refusing(ReasonCode.BAD_USER_NAME_OR_PASSWORD)
            server.visit.cut()
            await until(
                lambda: len(server.got(Connect)) >= 4
            )  # a refused one is no reason to give up: the next is fresh
            server.on[Connect] = lambda visit, _: server.accept(visit)
            await told.until(Connected, 3)
        said = [(connect.user_name, connect.password) for connect in server.got(Connect)]
        assert said == [("user", secret) for secret in given]
        assert len(given) >= 5


async def test_a_password_that_stays_the_same_is_refused_once() -> None:
    async with Scripted() as server:
        client = client_of(server, user_name="user", password="stale")
        await client.connect()
        server.on[Connect] = refusing(ReasonCode.BAD_USER_NAME_OR_PASSWORD)
        server.visit.cut()
        await until(lambda: client.state == "closed")
        assert len(server.visits) == 2
        with pytest.raises(ConnectRejected):
            await client.__aexit__(None, None, None)


async def test_user_name_and_password_may_stand_in_the_address() -> None:
    async with Scripted() as server:
        url = f"mqtt://us%20er:p%40ss@127.0.0.1:{server.port}"
        async with Client(url) as client:
            assert "p%40ss" not in repr(client)
        async with Client(url, user_name="other", password=b"\xff"):
            pass
        said = [(connect.user_name, connect.password) for connect in server.got(Connect)]
        assert said == [("us er", b"p@ss"), ("other", b"\xff")]


async def test_the_name_that_the_server_gave_is_kept() -> None:
    async with Scripted(assigned_client_identifier="given") as server:
        client = client_of(server)
        told = Told(client)
        async with client:
            assert client.client_id == "given"
            server.visit.cut()
            await told.until(Connected, 2)
        assert [connect.client_id for connect in server.got(Connect)] == ["", "given"]
        assert [connect.clean_start for connect in server.got(Connect)] == [True, False]
        assert len(told.of(SessionLost)) == 1
