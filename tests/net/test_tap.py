"""The log of packets: a line for each, nobody's secrets, and nothing on a message's way when it is off."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from linnet import Broker, Hooks, ReasonCode
from linnet.net import tap as tap_module
from linnet.net.stream import Stream
from linnet.net.tap import Tap, tap_at
from linnet.wire import V3_1_1, V5, Connect, Pingreq, Properties, Puback, Publish, SubscriptionOptions, Version, Will
from tests.conftest import MakeBroker
from tests.net.loops import until
from tests.peer import Peer

LARGE = bytes(1 << 16)


def lines(caplog: pytest.LogCaptureFixture, name: str = "packets") -> list[str]:
    """What one logger wrote since the last time."""
    found = [record.getMessage() for record in caplog.records if record.name == f"linnet.{name}"]
    caplog.clear()
    return found


def stream_of(broker: Broker, client_id: str = "bob") -> Stream:
    connection = broker.sessions[client_id].connection
    assert connection is not None and isinstance(connection.stream, Stream)
    return connection.stream


def as_without_tap(stream: Stream) -> bool:
    """Whether nothing stands between a stream, its outbox, its transport and the socket."""
    transport = stream.transport
    neighbours = transport.stream is stream and transport.read == transport.sock.recv
    return neighbours and stream.outbox is not None and stream.outbox.stream is stream


async def test_every_packet_is_a_line_with_its_fields(
    make_broker: MakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    broker = await make_broker(log_levels=["packets=debug"], topic_alias_maximum=0, max_keep_alive=0)
    will = Will("wills/bob", b"gone", 1, True, Properties(will_delay_interval=5, content_type="text"))
    wishes = Properties(receive_maximum=9)
    async with Peer(broker, "bob", user_name="Bob", password=b"secret", will=will, properties=wishes) as bob:
        await bob.subscribe([("a/+", SubscriptionOptions(2)), ("b", SubscriptionOptions(0, True, True, 2))])
        await bob.publish("a/b", b"12345")
        await bob.receive()
        await bob.publish("a/c", b"", qos=1, retain=True, properties=Properties(message_expiry_interval=60))
        await bob.receive()
        await bob.unsubscribe("a/+", "c")
        await bob.nothing()
    limits = "receive_maximum=100 maximum_packet_size=1048576"
    assert lines(caplog) == [
        "in 'bob' CONNECT version='5.0' clean_start keep_alive=0 user_name='Bob' has_user_name has_password "
        "will_topic='wills/bob' will_qos=1 will_retain will_payload_size=4 will_content_type='text' "
        "will_delay_interval=5 receive_maximum=9",
        f"out 'bob' CONNACK reason_code=0 {limits}",
        "in 'bob' SUBSCRIBE packet_id=1 count=2 filters=['a/+' qos=2, "
        "'b' qos=0 no_local retain_as_published retain_handling=2]",
        "out 'bob' SUBACK packet_id=1 reason_codes=[0x02 granted qos 2, 0]",
        "in 'bob' PUBLISH topic='a/b' qos=0 payload_size=5",
        "out 'bob' PUBLISH topic='a/b' qos=0 payload_size=5",
        "in 'bob' PUBLISH topic='a/c' qos=1 packet_id=2 retain payload_size=0 message_expiry_interval=60",
        "out 'bob' PUBLISH topic='a/c' qos=1 packet_id=1 payload_size=0 message_expiry_interval=60",
        "out 'bob' PUBACK packet_id=2 reason_code=0",
        "in 'bob' PUBACK packet_id=1 reason_code=0",
        "in 'bob' UNSUBSCRIBE packet_id=3 count=2 filters=['a/+', 'c']",
        "out 'bob' UNSUBACK packet_id=3 reason_codes=[0, 0x11 no subscription existed]",
        "in 'bob' PINGREQ",
        "out 'bob' PINGRESP",
        "in 'bob' DISCONNECT reason_code=0",
    ]


async def test_an_older_client_has_no_properties(make_broker: MakeBroker, caplog: pytest.LogCaptureFixture) -> None:
    broker = await make_broker(log_levels=["packets=debug"])
    async with Peer(broker, "old", V3_1_1, clean_start=False, keep_alive=7) as old:
        await old.publish("a", b"1", qos=2)
    assert lines(caplog) == [
        "in 'old' CONNECT version='3.1.1' keep_alive=7",
        "out 'old' CONNACK reason_code=0",
        "in 'old' PUBLISH topic='a' qos=2 packet_id=1 payload_size=1",
        "out 'old' PUBREC packet_id=1 reason_code=0",
        "in 'old' PUBREL packet_id=1 reason_code=0",
        "out 'old' PUBCOMP packet_id=1 reason_code=0",
        "in 'old' DISCONNECT reason_code=0",
    ]


async def test_machines_get_fields(make_broker: MakeBroker, caplog: pytest.LogCaptureFixture) -> None:
    broker = await make_broker(log_levels=["packets=debug"])
    async with Peer(broker, "bob") as bob:
        await bob.publish("a/b", b"12345", qos=1)
    record = next(record for record in caplog.records if " PUBLISH " in record.getMessage())
    fields = vars(record)
    assert fields["address"].startswith("127.0.0.1:")
    assert {name: fields[name] for name in ("event", "client_id", "direction", "packet")} == {
        "event": "packet",
        "client_id": "bob",
        "direction": "in",
        "packet": "PUBLISH",
    }
    wanted = {"topic": "a/b", "qos": 1, "packet_id": 1, "retain": False, "dup": False, "payload_size": 5}
    assert {name: fields[name] for name in wanted} == wanted


@pytest.mark.parametrize("version", [V3_1_1, V5], ids=["3.1.1", "5.0"])
@pytest.mark.parametrize("late", [False, True], ids=["from the start", "one client"])
async def test_no_secret_is_logged(
    make_broker: MakeBroker, caplog: pytest.LogCaptureFixture, version: Version, late: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    broker = await make_broker(**{"log_clients": ["bob"]} if late else {"log_levels": ["packets=debug"]})
    five = version is V5
    secret = Properties(correlation_data=b"s3cret", user_properties=[("token", "s3cret")]) if five else Properties()
    will = Will("w", b"s3cret", properties=secret)
    login = {"user_name": "s3cret"} if five else {"user_name": "bob", "password": b"s3cret"}
    async with Peer(broker, "bob", version, will=will, **login) as bob:
        await bob.subscribe("a", qos=1)
        await bob.publish("a", b"s3cret", qos=1, properties=secret)
        assert (await bob.receive()).payload == b"s3cret"
        bob.send(Connect("bob", user_name="u", password=b"s3cret", version=version))  # one too many
        await bob.closed()
    assert any(" PUBLISH topic='a' " in record.getMessage() for record in caplog.records)
    octets = b"s3cret".hex(" ")
    told = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "s3cret" not in told and octets not in told


async def test_authentication_data_is_not_logged(make_broker: MakeBroker, caplog: pytest.LogCaptureFixture) -> None:
    broker = await make_broker(log_levels=["packets=debug"])
    data = Properties(authentication_method="scram", authentication_data=b"s3cret")
    async with Peer.raw(broker) as bob:
        bob.send(Connect("bob", properties=data))
        await bob.closed()
    connect, connack = lines(caplog)
    assert connect.endswith("authentication_method='scram' authentication_data_size=6")
    assert connack.startswith("out 'bob' CONNACK reason_code=0x8C bad authentication method reason_string=")


async def test_nothing_stands_on_the_way_of_a_message_when_it_is_off(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Peer(broker, "bob") as bob:
        await bob.subscribe("a", qos=2)
        stream = stream_of(broker)
        assert as_without_tap(stream) and tap_at(stream) is None
        asked: list[object] = []
        for name in ("isEnabledFor", "handle", "makeRecord", "log", "debug", "info"):
            monkeypatch.setattr(logging.Logger, name, lambda *args, **rest: asked.append(args))
        for qos in (0, 1, 2):
            await bob.publish("a", b"x", qos=qos)
            await bob.receive()
        monkeypatch.undo()
        assert asked == []


async def test_it_is_put_in_and_taken_out_at_run_time(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    async with Peer(broker, "bob") as bob, Peer(broker, "eve") as eve:
        stream = stream_of(broker)
        for _ in range(2):
            broker.logs.level("packets", "debug")
            broker.logs.level("packets", "debug")  # one is enough
            assert isinstance(tap_at(stream), Tap) and not isinstance(stream.transport.transport, Tap)
            await bob.ping()
            await eve.ping()
            names = ("bob", "eve")
            assert lines(caplog) == [
                f"{way}" for name in names for way in (f"in '{name}' PINGREQ", f"out '{name}' PINGRESP")
            ]
            broker.logs.level("packets", "info")
            await bob.ping()
            assert as_without_tap(stream) and lines(caplog) == []


async def test_a_level_that_somebody_else_lowered_silences_a_tap(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    broker.logs.level("packets", "debug")
    async with Peer(broker, "bob") as bob:
        logging.getLogger("linnet.packets").setLevel(logging.INFO)
        caplog.clear()
        await bob.ping()
        bob.send(b"\x00\x00")
        await bob.closed()
        assert lines(caplog) == []


@pytest.mark.parametrize("cut", [1, 2, 10, 70000])
async def test_it_may_be_put_in_and_taken_out_in_the_middle_of_a_packet(
    broker: Broker, caplog: pytest.LogCaptureFixture, cut: int
) -> None:
    packet = Publish("a", LARGE * 2, 1, packet_id=1).encode(V5)
    async with Peer(broker, "bob") as bob:
        await bob.subscribe("a", qos=0)
        frames = stream_of(broker).connection.frames  # type: ignore[union-attr]
        for round_ in range(2):
            bob.send(packet[:cut])
            await until(lambda: frames.rest() == cut)
            broker.logs.level("packets", "info" if round_ else "debug")
            bob.send(packet[cut:])
            assert (await bob.receive()).payload == LARGE * 2
            await bob.expect(Puback)
            expected = [
                "in 'bob' PUBLISH topic='a' qos=1 packet_id=1 payload_size=131072",
                "out 'bob' PUBLISH topic='a' qos=0 payload_size=131072",
                "out 'bob' PUBACK packet_id=1 reason_code=0",
            ]
            assert lines(caplog) == ([] if round_ else expected)


async def test_what_waits_for_a_hook_is_heard_of_when_it_is_put_in(
    make_broker: MakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    class Slow(Hooks):
        async def publishing(self, session: Any, message: Any) -> Any:
            if not asked.done():
                asked.set_result(None)
                await answer
            return message

    broker = await make_broker(hooks=Slow())
    async with Peer(broker, "bob") as bob:
        both = [Publish("a", b"", 1, packet_id=number).encode(V5) for number in (1, 2)]
        bob.send(b"".join(both) + both[0][:3])
        await asked
        broker.logs.level("packets", "debug")
        assert lines(caplog) == ["in 'bob' PUBLISH topic='a' qos=1 packet_id=2 payload_size=0"]
        answer.set_result(None)
        bob.send(both[0][3:])
        for _ in range(3):
            await bob.expect(Puback)
        told = lines(caplog)
        assert told.count("in 'bob' PUBLISH topic='a' qos=1 packet_id=1 payload_size=0") == 1
        assert sum(line.startswith("out 'bob' PUBACK") for line in told) == 3


async def test_aliases_set_before_and_after_are_told_by_their_topics(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    wishes = Properties(topic_alias_maximum=5)
    async with Peer(broker, "bob", properties=wishes) as bob:
        await bob.subscribe("#")
        await bob.publish("before", b"", properties=Properties(topic_alias=1))
        await bob.receive()
        broker.logs.level("packets", "debug")
        pieces = [
            Publish("", b"", properties=Properties(topic_alias=1)),
            Publish("after", b"", properties=Properties(topic_alias=2)),
            Publish("", b"", properties=Properties(topic_alias=2)),
        ]
        bob.send(b"".join(piece.encode(V5) for piece in pieces))
        for _ in pieces:
            await bob.receive()
        topics = [("before", 1), ("after", 2), ("after", 2)]
        wanted = [
            f"{way} 'bob' PUBLISH topic='{name}' qos=0 payload_size=0 topic_alias={alias}"
            for way in ("in", "out")
            for name, alias in topics
        ]
        assert lines(caplog) == wanted


async def test_what_a_slow_reader_gets_later_is_heard_of_too(
    make_broker: MakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    broker = await make_broker(log_levels=["packets=debug"], max_output_bytes=1 << 26, max_output_bytes_hard=1 << 27)
    async with Peer(broker, "slow") as slow, Peer(broker, "bob") as bob:
        await slow.subscribe("a")
        slow.reading(False)
        stream = stream_of(broker, "slow")
        count = 0
        while not stream.is_blocked or count < 200:
            await bob.publish("a", LARGE)
            await bob.ping()
            count += 1
        slow.reading(True)
        for _ in range(count):
            await slow.receive()
        told = [line for line in lines(caplog) if line.startswith("out 'slow' PUBLISH")]
        assert told == ["out 'slow' PUBLISH topic='a' qos=0 payload_size=65536"] * count


async def test_it_listens_at_transports_of_asyncio_too(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(broker.listeners[0].make_stream, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    async with Peer(port, "bob") as bob:
        await bob.subscribe("a")
        transport = stream_of(broker).transport
        assert transport.get_protocol() is stream_of(broker)
        broker.logs.level("packets", "debug")
        await bob.publish("a", b"x")
        await bob.receive()
        assert lines(caplog) == [f"{way} 'bob' PUBLISH topic='a' qos=0 payload_size=1" for way in ("in", "out")]
        broker.logs.level("packets", "off")
        assert stream_of(broker).transport is transport and transport.get_protocol() is stream_of(broker)
        await bob.ping()
        assert lines(caplog) == []
        broker.logs.level("packets", "debug")
    async with Peer(port, "eve"):
        assert "in 'eve' CONNECT" in "\n".join(lines(caplog))
    server.close()
    await server.wait_closed()


BAD: list[tuple[bytes, str]] = [
    (b"\x00\x00", "in 'bob' 2 bytes that begin with 0x00: MQTT 5.0 has no packet of type 0 [MQTT-4.13.1-1]"),
    (b"\xc1\x00", "in 'bob' 2 bytes that begin with 0xc1: PINGREQ with the flags 0x1, not 0x0 [MQTT-2.1.3-1]"),
    (b"\x30\xff\xff\xff\x7f", "in 'bob' cannot be followed any more: packet of 268435460 bytes, 1048576 allowed"),
    (b"\x30\xff\xff\xff\xff\x01", "in 'bob' cannot be followed any more: Remaining Length of more than four bytes"),
    (b"\x30\x05\x00\x02\xff\xfe\x00", r"in 'bob' PUBLISH topic='\\xff\\xfe' qos=0 payload_size=0"),
]


@pytest.mark.parametrize(("octets", "line"), BAD)
async def test_what_is_no_packet_is_told_and_passed_on(
    make_broker: MakeBroker, caplog: pytest.LogCaptureFixture, octets: bytes, line: str
) -> None:
    broker = await make_broker(log_levels=["packets=debug"])
    async with Peer(broker, "bob") as bob:
        lines(caplog)
        bob.send(octets + b"more")
        await bob.closed()
    told = lines(caplog)
    assert told[0].startswith(line)
    assert told[-1].startswith("out 'bob' DISCONNECT reason_code=0x")


async def test_a_fault_of_the_tap_costs_the_log_only(
    make_broker: MakeBroker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = await make_broker(log_levels=["packets=debug"])
    async with Peer(broker, "bob") as bob:
        await bob.subscribe("a")

        def broken(*_: object) -> dict[str, object]:
            raise RuntimeError("a fault of the log")

        monkeypatch.setattr(tap_module, "fields_of", broken)
        caplog.clear()
        for _ in range(3):
            await bob.publish("a", b"x")
            assert (await bob.receive()).payload == b"x"
        assert caplog.text.count("RuntimeError: a fault of the log") == 2  # once for each direction
        assert lines(caplog) == []


async def test_long_texts_and_lists_are_cut(make_broker: MakeBroker, caplog: pytest.LogCaptureFixture) -> None:
    broker = await make_broker(log_levels=["packets=debug"])
    async with Peer(broker, "bob") as bob:
        await bob.subscribe(
            [("x" * 4000, SubscriptionOptions())] + [(f"{n}", SubscriptionOptions()) for n in range(900)]
        )
        await bob.publish("t" * 4000)
        await bob.ping()
    assert max(map(len, lines(caplog))) < 3000


async def test_control_characters_stay_in_their_quotes(
    make_broker: MakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    broker = await make_broker(log_levels=["packets=debug"])
    evil = "a\nin 'eve' PUBLISH\x1b[2J\x85\u2028"
    async with Peer(broker, evil) as bob:
        await bob.subscribe(evil)
        await bob.publish(evil)
        await bob.receive()
    told = lines(caplog)
    assert all(len(line.splitlines()) == 1 and line.isprintable() for line in told)
    assert f"in {evil!r} PUBLISH topic={evil!r} qos=0 payload_size=0" in told


# -- one client


async def test_one_client_is_followed_from_its_connect_on(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "linnet")
    caplog.handler.setLevel(logging.NOTSET)
    broker.logs.client("bob")
    async with Peer(broker, "bob", keep_alive=60) as bob, Peer(broker, "eve") as eve:
        for peer in (bob, eve):
            await peer.subscribe("a")
        assert as_without_tap(stream_of(broker, "eve")) and tap_at(stream_of(broker)) is not None
        told = [record.getMessage() for record in caplog.records]
        assert told[0] == "in 'bob' CONNECT version='5.0' clean_start keep_alive=60"
        assert told[1].startswith("'bob' connected from 127.0.0.1:")
        assert told[2].startswith("out 'bob' CONNACK ")
        assert "'bob' subscribed to 'a' with QoS 0" in told  # at debug, which is off for all others
        assert not any("'eve'" in line and "connected" not in line for line in told)


async def test_a_client_that_is_here_is_followed_at_once_until_it_is_not(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    async with Peer(broker, "bob") as bob:
        for _ in range(2):
            broker.logs.client("bob")
            assert broker.logs.clients == {"bob"}
            await bob.ping()
            assert lines(caplog) == ["in 'bob' PINGREQ", "out 'bob' PINGRESP"]
            broker.logs.client("bob", False)
            assert broker.logs.clients == frozenset()
            await bob.ping()
            assert lines(caplog) == [] and as_without_tap(stream_of(broker))


async def test_packets_that_came_with_the_connect_are_heard_of(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    broker.logs.client("bob")
    async with Peer.raw(broker, V3_1_1) as bob:
        bob.send(Connect("bob", version=V3_1_1).encode() + Pingreq().encode(V3_1_1) * 2)
        await until(lambda: len(bob.inbox) == 3)
    assert lines(caplog) == [
        "in 'bob' CONNECT version='3.1.1' clean_start keep_alive=0",
        *["in 'bob' PINGREQ"] * 2,
        "out 'bob' CONNACK reason_code=0",
        *["out 'bob' PINGRESP"] * 2,
    ]


@pytest.mark.parametrize("everything", [False, True])
async def test_a_client_that_is_refused_is_followed_too(
    make_broker: MakeBroker, caplog: pytest.LogCaptureFixture, everything: bool
) -> None:
    class Doorkeeper(Hooks):
        def admit(self, connect: Any, peer: Any) -> ReasonCode:
            return ReasonCode.BANNED

    settings: dict[str, Any] = {"log_levels": ["packets=debug"]} if everything else {"log_clients": ["bob"]}
    broker = await make_broker(hooks=Doorkeeper(), **settings)
    async with Peer.raw(broker) as bob:
        bob.send(Connect("bob"))
        await bob.closed()
    told = lines(caplog)
    assert told[0] == "in 'bob' CONNECT version='5.0' clean_start keep_alive=0"
    assert told[1].startswith("out 'bob' CONNACK reason_code=0x8A banned reason_string=")
    assert len(told) == 2


async def test_a_client_whose_identifier_we_chose_is_called_by_it(
    make_broker: MakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    broker = await make_broker(log_levels=["packets=debug"])
    async with Peer(broker) as bob:
        await bob.ping()
        assert lines(caplog)[-1] == f"out {bob.client_id!r} PINGRESP"


async def test_connections_that_end_take_their_taps_along(make_broker: MakeBroker) -> None:
    broker = await make_broker(log_levels=["packets=debug"])
    bob = await Peer(broker, "bob")
    stream = stream_of(broker)
    bob.abort()
    await until(lambda: stream.has_ended)
    broker.logs.level("packets", "info")
    broker.logs.client("bob")
    assert not broker.connections
