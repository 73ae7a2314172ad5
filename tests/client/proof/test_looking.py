"""What can be seen of a client while it works: its events, its numbers, and all of it as plain data."""

from __future__ import annotations

import asyncio
import gc
import json

import linnet
from linnet import (
    Client,
    Connected,
    Disconnected,
    Dropped,
    Event,
    Moved,
    Properties,
    ReasonCode,
    SessionLost,
    describe,
)
from linnet.wire import Connack, Connect, Disconnect, Publish
from tests.client.proof.scripted import Scripted, Visit, ignore
from tests.client.proof.servers import Server
from tests.client.proof.watching import Told, client_of, until, within
from tests.peer import Peer


async def test_each_kind_of_event_is_told_to_who_wants_it() -> None:
    heard: list[Event] = []
    async with Scripted() as server, Scripted() as other:
        client = client_of(server)
        told = Told(client)

        def first(event: Event) -> None:
            heard.append(event)

        client.on(Connected)(first)
        client.on(Disconnected)(first)

        @client.on(Moved)
        async def later(event: Moved) -> None:
            await asyncio.sleep(0)
            heard.append(event)

        @client.on(Connected)
        def broken(event: Connected) -> None:
            raise ZeroDivisionError("a listener that fails stops nothing")

        @client.on(Connected)
        async def broken_later(event: Connected) -> None:
            raise ZeroDivisionError("nor does this one")

        async with client, client.subscribe("a", limit=1) as messages:
            server.visit.publish("a", b"1", b"2")
            await told.until(Dropped)
            server.visit.close(
                Disconnect(ReasonCode.SERVER_BUSY, Properties(reason_string="too much")),
            )
            await told.until(Connected, 2)
            words = Properties(server_reference=f"127.0.0.1:{other.port}")
            server.visit.close(Disconnect(ReasonCode.USE_ANOTHER_SERVER, words))
            await told.until(Connected, 3)
            assert messages.waiting == 1
        assert [type(event) for event in told.events] == [
            Connected,
            Dropped,
            Disconnected,
            SessionLost,
            Connected,
            Moved,
            Disconnected,
            SessionLost,
            Connected,
        ]
        busy = told.of(Disconnected)[0]
        assert busy.reason_code == ReasonCode.SERVER_BUSY
        assert "too much" in busy.detail
        assert busy.again_in is not None
        assert told.of(Dropped) == [Dropped("a", told.of(Dropped)[0].why)]
        assert [event.address.port for event in told.of(Connected) if event.address is not None] == [
            server.port,
            server.port,
            other.port,
        ]
        assert not any(event.session_present for event in told.of(Connected))
        kinds = [type(event) for event in heard]
        assert sorted(kind.__name__ for kind in kinds) == ["Connected"] * 3 + ["Disconnected"] * 2 + ["Moved"]


async def test_the_numbers_count_over_all_connections(server: Server) -> None:
    link = server.link
    client = client_of(server)
    told = Told(client)
    async with client, Peer(server.port) as peer:
        async with client.subscribe("in", qos=2) as messages:
            for qos in (0, 1, 1, 2, 2, 2):
                await client.publish("out", b"12345", qos=qos)
                await peer.publish("in", b"12345", qos=qos)
                await within(messages.get())
            link.cut()
            await told.until(Disconnected)
            await link.restore()
            await told.until(Connected, 2)
            await client.publish("out", qos=1)
        numbers = client.statistics
        assert (numbers.publish0_sent, numbers.publish1_sent, numbers.publish2_sent) == (1, 3, 3)
        assert (numbers.publish0_received, numbers.publish1_received) == (1, 2)
        assert numbers.publish2_received >= 3  # one may have come again
        assert numbers.messages_sent == 7
        assert numbers.acks == 6
        assert 0 < numbers.ack_mean <= numbers.ack_longest
        assert (numbers.connect, numbers.connack) == (2, 2)
        assert (numbers.subscribe, numbers.unsubscribe) == (1, 1)
        passed = sum(len(passage.client.seen) for passage in link.passages)
        assert numbers.bytes_sent >= passed  # something may have been written to the connection that was lost
        assert client.keeper.connects == 2


async def test_a_client_is_plain_data_while_it_works() -> None:
    async with Scripted({Publish: ignore}) as server:
        client = Client(f"mqtt://user:topsecret@127.0.0.1:{server.port}", client_id="watched", close_timeout=0)
        other = client_of(server, user_name="user", password="topsecret")
        assert "topsecret" not in json.dumps(describe([client, other], 6))
        await look(client)
        assert "closed" in repr(client)


async def look(client: Client) -> None:
    """See whether it can be looked at, and does not tell its secrets."""
    async with client, client.subscribe("a/+", qos=1) as messages:
        sent = client.send("out", b"1", qos=1)
        await until(lambda: sent.state == "sent")
        said = describe(client, 6)
        text = json.dumps(said)
        assert said["state"] == "connected"
        assert said["statistics"]["publish1_sent"] == 1
        assert "a/+" in text
        assert "topsecret" not in text
        assert json.dumps(describe(messages, 4))
        assert json.dumps(describe(sent, 4))
        for thing in (client, messages, sent, client.keeper, client.publisher, client.registry, client.keeper.line):
            assert repr(thing).startswith("<")
            assert "topsecret" not in repr(thing)


async def test_the_states_of_a_client() -> None:
    async with Scripted() as server:
        seen: list[str] = []

        def accept(visit: Visit, connect: Connect) -> None:
            seen.append(client.state)
            server.accept(visit)

        server.on[Connect] = accept
        client = client_of(server)
        told = Told(client)
        assert client.state == "new"
        async with client:
            assert client.state == "connected"
            assert client.is_connected
            server.refuse()
            server.visit.cut()
            await told.until(Disconnected)
            assert client.state in ("waiting", "connecting")
            assert not client.is_connected
            await server.listen()
            await told.until(Connected, 2)
        assert client.state == "closed"
        assert seen == ["connecting", "connecting"]


async def test_live_tells_of_every_client_that_is_open_and_of_no_other() -> None:
    def clients() -> list[Client]:
        return linnet.live().clients

    async with Scripted() as server:
        one, two = client_of(server, "one"), client_of(server, "two")
        assert one not in clients()
        async with one:
            assert one in clients()
            async with two:
                assert {one, two} <= set(clients())
            assert two not in clients()
        assert one not in clients()


async def test_a_client_that_was_closed_is_held_by_nobody() -> None:
    async with Scripted() as server:
        client = client_of(server)
        async with client, client.subscribe("a"):
            await client.publish("a", qos=2)
        before = {id(client)}
        del client
        await asyncio.sleep(0)
        gc.collect()
        assert not any(id(thing) in before for thing in gc.get_objects() if isinstance(thing, Client))


async def test_what_the_server_says_at_connect_can_be_read() -> None:
    def accept(visit: Visit, connect: Connect) -> None:
        said = Properties(maximum_qos=1, user_properties=[("name", "value")], reason_string="welcome")
        visit.send(Connack(False, 0, said))

    async with Scripted({Connect: accept, Publish: ignore}) as server, client_of(server) as client:
        assert client.keeper.connack is not None
        assert client.keeper.connack.properties.user_properties == [("name", "value")]
        assert client.limits.maximum_qos == 1
