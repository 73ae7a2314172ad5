"""Settings that change while the broker runs: each one is changed, and a client sees from when on it holds.

Those that limit how many there are, how fast they are and what they may cost are in `test_reload_limits.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

import linnet
from linnet.core.limits import Limits
from linnet.errors import LinnetError, ReasonCode, SettingsError
from linnet.options import EFFECTS
from linnet.server import limits_of
from linnet.settings import OPTIONS, Settings
from linnet.wire import V3_1_1, V5, Properties, Publish, Pubrec, SubscriptionOptions, Version
from tests import test_reload_limits
from tests.conftest import MakeBroker
from tests.peer import Peer

FOR_EVER = Properties(session_expiry_interval=0xFFFFFFFF)
MANY = Properties(user_properties=[("name", "value")] * 5)

# Settings that hold at once and that no client here can see, each with the reason
UNSEEN = {
    "stop_timeout": "is looked up when the broker stops",
    "retained_slice": "paces what is sent, and changes nothing in it",
    "log_level": "is the command's: tests/cli/test_reload.py",
    "log_format": "is the command's: tests/cli/test_reload.py",
}


@pytest.fixture
async def broker(make_broker: MakeBroker) -> linnet.Broker:
    return await make_broker()


async def went_well(answer: Awaitable[Any], peer: Peer) -> bool:
    """Whether the broker did what it was asked for, and the connection lives."""
    try:
        packet = await answer
        await peer.ping()
    except AssertionError:
        return False  # closed before the answer
    codes = getattr(packet, "reason_codes", [getattr(packet, "reason_code", 0)])
    return all(code < 0x80 for code in codes)


async def enters(broker: linnet.Broker, **connect: Any) -> bool:
    """Whether a client with this CONNECT is let in."""
    connect.setdefault("client_id", "newcomer")
    try:
        async with Peer(broker, **connect) as peer:
            return peer.connack.reason_code == 0
    except (AssertionError, LinnetError):
        return False


async def received(peer: Peer) -> list[bytes]:
    """The payloads of all messages that have come so far."""
    await peer.ping()
    packets = [packet for packet in peer.inbox if isinstance(packet, Publish)]
    peer.inbox.clear()
    return [packet.payload for packet in packets]


async def persistent(broker: linnet.Broker, topic: str, qos: int = 1) -> None:
    """A session that is subscribed and whose client is away."""
    async with Peer(broker, "away", properties=FOR_EVER) as peer:
        await peer.subscribe(topic, qos)


async def back(broker: linnet.Broker) -> list[bytes]:
    """What the client gets that was away."""
    async with Peer(broker, "away", clean_start=False, properties=FOR_EVER) as peer:
        return await received(peer)


# ---- what holds at once, for the clients that are there ----


@dataclass
class Now:
    """What a connected client can do under the default, and can do no longer under this value."""

    value: Any
    act: Callable[[Peer], Awaitable[Any]]


def publishing(topic: str = "t", payload: bytes = b"x", qos: int = 1, **more: Any) -> Callable[[Peer], Awaitable[Any]]:
    return lambda peer: peer.publish(topic, payload, qos, **more)


def subscribing(*names: str, **more: Any) -> Callable[[Peer], Awaitable[Any]]:
    options = [(name, SubscriptionOptions(1)) for name in names]
    return lambda peer: peer.subscribe(options, **more) if len(options) > 1 else peer.subscribe(names[0], **more)


NOW = {
    "max_user_properties": Now(4, publishing(properties=MANY)),
    "max_properties_size": Now(20, publishing(properties=MANY)),
    "max_topic_bytes": Now(4, publishing("a/b/c/d")),
    "max_topic_levels": Now(3, publishing("a/b/c/d")),
    "check_payload_format": Now(True, publishing(payload=b"\xff", properties=Properties(payload_format_indicator=1))),
    "refuse_control_characters": Now(True, publishing("a\x01")),
    "max_subscriptions_per_client": Now(2, subscribing("a", "b", "c")),
    "max_subscriptions": Now(2, subscribing("a", "b", "c")),
    "max_filters_per_packet": Now(2, subscribing("a", "b", "c")),
    "max_retained": Now(1, publishing("second", retain=True)),
    "max_retained_bytes": Now(10, publishing("second", retain=True)),
    "max_retained_payload": Now(1, publishing("second", b"xx", retain=True)),
}


@pytest.mark.parametrize("name", NOW)
async def test_it_holds_at_once_and_can_be_taken_back(name: str, broker: linnet.Broker) -> None:
    """Everybody does the same three times: under the default, under the changed setting, under the default again."""
    case = NOW[name]
    await broker.publish("first one", b"retained", retain=True)
    old = await Peer(broker, "old")
    assert await went_well(case.act(old), old)
    await old.unsubscribe("a", "b", "c")
    await broker.publish("second", b"", retain=True)

    broker.reload(**{name: case.value})
    assert not await went_well(case.act(old), old)
    old.abort()

    broker.reload(**{name: OPTIONS[name].default})
    async with Peer(broker, "new") as new:
        assert await went_well(case.act(new), new)


async def test_tell_no_subscribers(broker: linnet.Broker) -> None:
    async with Peer(broker) as peer:
        told = []
        for wanted in (True, False, True):
            broker.reload(tell_no_subscribers=wanted)
            told.append((await peer.publish("nobody", qos=1)).reason_code)
    assert told == [ReasonCode.NO_MATCHING_SUBSCRIBERS, 0, ReasonCode.NO_MATCHING_SUBSCRIBERS]


async def test_tell_no_subscribers_means_nothing_to_an_older_client(broker: linnet.Broker) -> None:
    broker.reload(tell_no_subscribers=False)
    async with Peer(broker, version=V3_1_1) as peer:
        broker.reload(tell_no_subscribers=True)
        assert (await peer.publish("nobody", qos=1)).reason_code == 0


async def test_overlap(broker: linnet.Broker) -> None:
    """Also on topics whose subscribers were known before."""
    async with Peer(broker) as peer:
        await peer.subscribe("a/#")
        await peer.subscribe("+/b")
        copies = []
        for overlap in ("merge", "each", "merge"):
            broker.reload(overlap=overlap)
            await broker.publish("a/b", b"x")
            copies.append(len(await received(peer)))
    assert copies == [1, 2, 1]


async def test_max_sessions(broker: linnet.Broker) -> None:
    async with Peer(broker, "one"), Peer(broker, "two"):
        broker.reload(max_sessions=1)
        assert set(broker.sessions) == {"one", "two"}  # whoever is there stays
        assert not await enters(broker)
        broker.reload(max_sessions=3)
        assert await enters(broker)


async def queued_at(broker: linnet.Broker, *values: dict[str, Any], qos: int = 1) -> list[bytes]:
    """Under each of the settings, two more messages wait; what the client gets when it comes back."""
    await persistent(broker, "t", 1)
    for number, settings in enumerate(values):
        broker.reload(**settings)
        for letter in (b"a", b"b"):
            await broker.publish("t", b"%d" % number + letter, qos)
    return await back(broker)


async def test_max_queued_messages(broker: linnet.Broker) -> None:
    got = await queued_at(broker, {}, {"max_queued_messages": 1}, {"max_queued_messages": 3})
    assert got == [b"0a", b"0b", b"2a"]  # what waits is not dropped when the limit falls below it


async def test_max_queued_bytes(broker: linnet.Broker) -> None:
    assert await queued_at(broker, {}, {"max_queued_bytes": 1}) == [b"0a", b"0b"]


async def test_queue_qos0(broker: linnet.Broker) -> None:
    assert await queued_at(broker, {}, {"queue_qos0": True}, {"queue_qos0": False}, qos=0) == [b"1a", b"1b"]


async def clogged(broker: linnet.Broker, peer: Peer) -> None:
    """The peer reads nothing, and the system's buffers are full."""
    await peer.subscribe("t")
    connection = broker.sessions[peer.client_id].connection
    assert connection is not None
    peer.reading(False)
    while not connection.outbox.size:
        await broker.publish("t", bytes(65536))
        await asyncio.sleep(0)


async def test_max_output_bytes(broker: linnet.Broker) -> None:
    """New messages are dropped at once when more is unsent than the new limit allows; what is unsent stays."""
    peer = await Peer(broker, "slow")
    await clogged(broker, peer)
    broker.reload(max_output_bytes=1)
    await broker.publish("t", b"dropped")
    broker.reload(max_output_bytes=1 << 20)
    await broker.publish("t", b"not dropped")
    peer.reading(True)
    async with asyncio.timeout(30):
        while (await peer.expect(Publish)).payload != b"not dropped":
            pass
    assert not [one for one in peer.received if isinstance(one, Publish) and one.payload == b"dropped"]
    await peer.disconnect()


async def test_max_output_bytes_hard(broker: linnet.Broker) -> None:
    peer = await Peer(broker, "slow")
    await peer.subscribe("never dropped", 1)
    await clogged(broker, peer)
    broker.reload(max_output_bytes=1, max_output_bytes_hard=1)
    await broker.publish("t", b"dropped")
    assert broker.connections  # there is nothing new to be written
    await broker.publish("never dropped", b"x", 1)
    peer.reading(True)
    await peer.closed()
    assert not broker.connections


async def test_max_routes(broker: linnet.Broker) -> None:
    routes = broker.core.router.routes
    for number in range(10):
        await broker.publish(f"t/{number}")
    assert len(routes) == 10
    broker.reload(max_routes=2)
    for number in range(10):
        await broker.publish(f"t/{number}")
        assert len(routes) <= 2


async def test_log_levels_and_log_clients(broker: linnet.Broker) -> None:
    before = broker.logs.levels["packets"]
    broker.reload(log_levels=["packets=debug"], log_clients=["one"])
    assert broker.logs.levels["packets"] == "debug" and broker.logs.clients == {"one"}
    broker.reload(log_levels=[], log_clients=[])
    assert broker.logs.levels["packets"] == before and broker.logs.clients == set()


# ---- what holds for new connections ----


@dataclass
class New:
    """What a client may do that was there before the change, and one that came after it may not."""

    value: Any
    act: Callable[[Peer], Awaitable[Any]]
    announced: dict[str, object]  # in CONNACK
    versions: tuple[Version, ...] = (V3_1_1, V5)


async def three_unreleased(peer: Peer) -> Any:
    for packet_id in (101, 102, 103):
        peer.send(Publish("t", b"x", 2, packet_id=packet_id))
    return [await peer.expect(Pubrec) for _ in range(3)][-1]


NEW = {
    "max_qos": New(1, publishing(qos=2), {"maximum_qos": 1}),
    "retain_available": New(False, publishing(retain=True), {"retain_available": False}),
    "wildcard_subscriptions": New(False, subscribing("a/#"), {"wildcard_subscription_available": False}),
    "subscription_identifiers": New(
        False, subscribing("a", identifier=5), {"subscription_identifiers_available": False}, (V5,)
    ),
    "shared_subscriptions": New(False, subscribing("$share/a/b"), {"shared_subscription_available": False}),
    "max_packet_size": New(100, publishing(payload=bytes(1000)), {"maximum_packet_size": 100}),
    "topic_alias_maximum": New(3, publishing(properties=Properties(topic_alias=4)), {"topic_alias_maximum": 3}, (V5,)),
    "receive_maximum": New(2, three_unreleased, {"receive_maximum": 2}, (V5,)),
    "receive_maximum_3": New(2, three_unreleased, {}, (V3_1_1,)),
}


@pytest.mark.parametrize(
    ("name", "version"), [(name, version) for name, case in NEW.items() for version in case.versions]
)
async def test_what_connack_told_holds_as_long_as_the_connection(
    name: str, version: Version, broker: linnet.Broker
) -> None:
    case = NEW[name]
    old = await Peer(broker, "old", version=version, manual=True)
    broker.reload(**{name: case.value})
    assert await went_well(case.act(old), old)
    new = await Peer(broker, "new", version=version, manual=True)
    if version is V5:
        told = {one: getattr(new.connack.properties, one) for one in case.announced}
        assert told == case.announced
    assert not await went_well(case.act(new), new)
    assert await went_well(old.ping(), old)
    old.abort()
    new.abort()


async def test_the_qos_that_is_granted_is_the_one_that_was_announced(broker: linnet.Broker) -> None:
    async with Peer(broker, "old") as old:
        broker.reload(max_qos=0)
        assert (await old.subscribe("a", 2)).reason_codes == [2]
        async with Peer(broker, "new") as new:
            assert (await new.subscribe("a", 2)).reason_codes == [0]
            broker.reload(max_qos=2)
            assert (await new.subscribe("a", 2)).reason_codes == [0]


@dataclass
class Door:
    """A CONNECT that was let in before the change, and is not after it."""

    value: Any
    connect: dict[str, Any]


DOORS = {
    "versions": Door(("5.0",), {"version": V3_1_1}),
    "max_client_id_bytes": Door(5, {"client_id": "sixsix"}),
    "max_user_name_bytes": Door(5, {"user_name": "sixsix"}),
    "max_password_bytes": Door(5, {"user_name": "u", "password": b"sixsix"}),
    "max_connect_size": Door(50, {"user_name": "u" * 50}),
    "allow_empty_client_id": Door(False, {"client_id": ""}),
}


@pytest.mark.parametrize("name", DOORS)
async def test_whoever_comes_is_judged_by_the_new_settings_and_whoever_is_there_stays(
    name: str, broker: linnet.Broker
) -> None:
    case = DOORS[name]
    async with Peer(broker, **{"client_id": "within", **case.connect}) as old:
        broker.reload(**{name: case.value})
        assert not await enters(broker, **case.connect)
        await old.ping()
        broker.reload(**{name: OPTIONS[name].default})
        assert await enters(broker, **case.connect)


async def test_connect_timeout(broker: linnet.Broker) -> None:
    """Who was accepted before has the time that was given then."""
    async with Peer.raw(broker) as early:
        await until(lambda: len(broker.core.connections) == 1)
        broker.reload(connect_timeout=0.05)
        async with Peer.raw(broker) as late:
            assert await late.closed() == []
            await until(lambda: len(broker.core.connections) == 1)
            assert not early.received
        broker.reload(connect_timeout=10.0)


async def test_max_keep_alive(broker: linnet.Broker) -> None:
    async with Peer(broker, "old", keep_alive=100) as old:
        broker.reload(max_keep_alive=60)
        async with Peer(broker, "new", keep_alive=100) as new:
            assert old.connack.properties.server_keep_alive is None
            assert new.connack.properties.server_keep_alive == 60
        assert [connection.keep_alive for connection in broker.connections] == [100]


async def test_topic_alias_maximum_out(broker: linnet.Broker) -> None:
    takes_aliases = Properties(topic_alias_maximum=10)
    async with Peer(broker, "old", properties=takes_aliases) as old:
        broker.reload(topic_alias_maximum_out=0)
        async with Peer(broker, "new", properties=takes_aliases) as new:
            for peer in (old, new):
                await peer.subscribe("t")
            await broker.publish("t")
            assert (await old.expect(Publish)).properties.topic_alias == 1
            assert (await new.expect(Publish)).properties.topic_alias is None


async def test_response_information_and_assigned_client_id_prefix(broker: linnet.Broker) -> None:
    broker.reload(response_information="answers/", assigned_client_id_prefix="given-")
    async with Peer(broker, "", properties=Properties(request_response_information=True)) as peer:
        assert peer.connack.properties.response_information == "answers/"
        assert (peer.connack.properties.assigned_client_identifier or "").startswith("given-")


async def test_max_session_expiry(broker: linnet.Broker) -> None:
    """What the client was granted holds to its DISCONNECT."""
    async with Peer(broker, "old", properties=Properties(session_expiry_interval=1000)) as old:
        broker.reload(max_session_expiry=60)
        async with Peer(broker, "new", properties=Properties(session_expiry_interval=1000)) as new:
            assert new.connack.properties.session_expiry_interval == 60
        await old.disconnect(properties=Properties(session_expiry_interval=900))
    assert {name: session.expiry_interval for name, session in broker.sessions.items()} == {"old": 900, "new": 60}


async def test_max_inflight(broker: linnet.Broker) -> None:
    old = await Peer(broker, "old", manual=True)
    broker.reload(max_inflight=2)
    new = await Peer(broker, "new", manual=True)
    for peer in (old, new):
        await peer.subscribe("t", 1)
    for _ in range(5):
        await broker.publish("t", b"x", 1)
    assert (len(await received(old)), len(await received(new))) == (5, 2)
    old.abort()
    new.abort()


# ---- what needs a restart ----


async def test_what_needs_a_restart_is_told_each_time_and_holds_after_it(broker: linnet.Broker) -> None:
    before = broker.settings
    for _ in range(2):
        changes = broker.reload(backlog=7, event_loop="uvloop", max_sessions=5)
        assert set(changes.needs_restart) == {"backlog", "event_loop"}
        assert broker.settings == Settings(**{**before.model_dump(), "max_sessions": 5})
    assert not changes.changed
    await broker.stop()
    await broker.start()
    assert broker.settings.backlog == 7
    assert not any(broker.reload())


async def test_the_addresses_stay_as_they_are(broker: linnet.Broker) -> None:
    port = broker.port
    changes = broker.reload(Settings(listen=["127.0.0.1:0", "127.0.0.1:0"]))
    assert changes.needs_restart == {"listen": (("127.0.0.1:0",), ("127.0.0.1:0", "127.0.0.1:0"))}
    assert [number for _, number in broker.addresses] == [port]
    assert await enters(broker)
    await broker.stop()
    await broker.start()
    assert len(broker.addresses) == 2


def test_a_broker_that_does_not_run_takes_all_of_it() -> None:
    broker = linnet.Broker(listen="127.0.0.1:0")
    changes = broker.reload(backlog=7, max_retained=3)
    assert changes.changed == {"backlog": (4096, 7), "max_retained": (100000, 3)} and not changes.needs_restart
    assert broker.settings == Settings(listen=["127.0.0.1:0"], backlog=7, max_retained=3)
    assert broker.core.limits == limits_of(broker.settings)


# ---- all or nothing, and what is told ----


async def test_settings_that_cannot_be_change_nothing(broker: linnet.Broker) -> None:
    settings, limits = broker.settings, broker.core.limits
    faults: list[dict[str, Any]] = [
        {"max_qos": 3, "max_sessions": 1},
        {"max_output_bytes": 1 << 30, "queue_qos0": True},
        {"max_sesions": 1},
    ]
    for bad in faults:
        with pytest.raises(SettingsError):
            broker.reload(**bad)
    assert broker.settings is settings and broker.core.limits is limits
    assert await enters(broker)


async def test_nothing_changed_is_told_too(broker: linnet.Broker) -> None:
    assert not any(broker.reload(Settings(listen=["127.0.0.1:0"], sys_interval=0, max_loop_lag=0)))
    assert not any(broker.reload(max_qos=2))


async def test_each_change_is_a_line_for_people(broker: linnet.Broker) -> None:
    changes = broker.reload(max_inflight=20, queue_qos0=True, listen=["[::1]:0"])
    assert changes.changed_lines() == ["max_inflight: 100 -> 20, for new connections", "queue_qos0: false -> true"]
    assert changes.restart_lines() == ['listen: ["127.0.0.1:0"] -> ["[::1]:0"] needs a restart']


async def test_where_values_came_from_is_renewed_but_for_those_that_wait(broker: linnet.Broker) -> None:
    broker.reload(Settings({"max_qos": "here", "backlog": "there"}, max_qos=1, backlog=9, listen=["127.0.0.1:0"]))
    sources = broker.settings.settings_sources
    assert (sources["max_qos"], sources["backlog"], sources["queue_qos0"]) == ("here", "default", "default")


async def test_lower_limits_take_nothing_away_from_who_is_there(broker: linnet.Broker) -> None:
    async with Peer(broker, "one") as one, Peer(broker, "two") as two:
        await one.subscribe([(name, SubscriptionOptions(1)) for name in ("a/b/c", "b", "c")])
        for topic in ("a/b/c", "b"):
            await broker.publish(topic, b"long one", retain=True)
        assert sorted(await received(one)) == [b"long one"] * 2
        broker.reload(
            max_sessions=1,
            max_subscriptions=1,
            max_subscriptions_per_client=1,
            max_retained=1,
            max_retained_bytes=1,
            max_retained_payload=1,
            max_topic_levels=2,
        )
        assert len(broker.core.router.retained) == 2
        assert len(broker.sessions["one"].subscriptions) == 3
        assert (await one.subscribe("b", 1)).reason_codes == [1]  # it is there: this only renews it
        assert await received(one) == [b"long one"]
        assert (await one.subscribe("d", 1)).reason_codes == [ReasonCode.QUOTA_EXCEEDED]
        await broker.publish("b", b"x")
        assert await received(one) == [b"x"]
        await two.nothing()


async def test_it_can_be_changed_again_and_again_while_messages_flow(broker: linnet.Broker) -> None:
    async with Peer(broker, "one") as one, Peer(broker, "two") as two:
        await two.subscribe("t/#", 1)
        for number in range(20):
            broker.reload(max_routes=1 + number % 3, overlap=("merge", "each")[number % 2], max_inflight=5 + number)
            await one.publish(f"t/{number % 4}", b"%d" % number, 1)
        assert await received(two) == [b"%d" % number for number in range(20)]


# ---- the rules of the house ----


def test_every_setting_says_when_a_change_holds() -> None:
    assert {row.takes_effect for row in OPTIONS.values()} <= EFFECTS.keys()


def test_every_setting_is_changed_by_a_test_here_or_has_a_reason() -> None:
    named = {
        word
        for name in (*globals(), *vars(test_reload_limits))
        if name.startswith("test_")
        for word in name.removeprefix("test_").split("_and_")
    }
    tested = {*NOW, *NEW, *DOORS, *named} & OPTIONS.keys()
    late = {name for name, row in OPTIONS.items() if row.takes_effect == "restart"}
    missing = OPTIONS.keys() - tested - late - UNSEEN.keys()
    assert missing == set(), "change it while a client looks, or say in UNSEEN why no client can see it"
    assert not tested & late and not tested & UNSEEN.keys()
    assert UNSEEN.keys() <= OPTIONS.keys()


def test_what_the_core_carries_can_be_changed_without_a_restart() -> None:
    carried = {name for name in OPTIONS if name in Limits.__dataclass_fields__}
    assert {name for name in carried if OPTIONS[name].takes_effect == "restart"} == set()


async def until(look: Callable[[], bool]) -> None:
    """Wait for something inside the broker, turn by turn."""
    async with asyncio.timeout(30):
        while not look():  # noqa: ASYNC110
            await asyncio.sleep(0)
