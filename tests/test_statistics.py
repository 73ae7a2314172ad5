"""Every counter: driven over a real socket, and read from the statistics, by `describe` and from `$SYS`, all equal.

Each drive of `tests/drives.py` yields what the counters must then say; after each of them every number of the broker is
compared, so what was not driven must not lie either.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from operator import attrgetter
from typing import Any

import pytest

import linnet
from linnet import Broker, Overview, Statistics
from linnet.core.statistics import DROPS
from linnet.core.sys_table import TOPICS
from linnet.core.sys_topics import shown
from linnet.describe import slots_of
from linnet.wire import V3_1_1, V5, Disconnect, Publish, Version
from tests.conftest import MakeBroker
from tests.drives import DRIVES, ONLY_5, OVERVIEWS, Drive, Expected, Hooks, Stage
from tests.peer import Peer

# Slots that are no counters: whose they are, where they are added up, and what the others hang on
PLUMBING = {"client_id", "losers", "reported", "whole"}
CONTAINERS = {"traffic", "limits"}
COUNTERS = sorted(set(slots_of(Statistics())) - PLUMBING)
NUMBERS = sorted(set(Overview.__slots__) - CONTAINERS)


def test_every_counter_has_a_row() -> None:
    assert set(DRIVES) == {*COUNTERS, *Statistics.described}
    assert {name.partition(".")[0] for name in OVERVIEWS} == {*NUMBERS, "limits", *Overview.described}
    assert {f"dropped_{reason}" for reason in DROPS} <= set(COUNTERS)


def test_every_counter_has_a_topic() -> None:
    """But for the sum of all round trips, which is there as count and mean."""
    paths = {*(f"traffic.{name}" for name in (*COUNTERS, *Statistics.described)), *NUMBERS, *Overview.described}
    assert paths - set(TOPICS.values()) == {"traffic.ack_seconds", "uptime"}
    assert set(TOPICS.values()) <= paths


def test_every_property_that_says_something_is_described() -> None:
    for kind in (Statistics, Overview):
        found = {name for name in vars(kind) if is_property(kind, name) and name not in slots_of(kind.__new__(kind))}
        assert found == set(kind.described)


def is_property(kind: type, name: str) -> bool:
    """Whether a name of a class, compiled or not, is a property that somebody wrote."""
    return not name.startswith("_") and inspect.isdatadescriptor(vars(kind)[name])


def told(broker: Broker) -> dict[str, str]:
    """What `$SYS` says after a round of this moment."""
    broker.sys_topics.tell(broker.running().begin())
    subscription = broker.subscribe("$SYS/broker/#").open()
    subscription.close()
    return {message.topic.removeprefix("$SYS/broker/"): message.payload.decode() for message in subscription.queue}


def look_up(described: Any, path: str) -> Any:
    """A number in what `describe` gave."""
    for name in path.split("."):
        described = described[name]
    return described


def check_broker(broker: Broker, expected: Expected, prefix: str) -> None:
    """The three sources agree on every number, and say what is expected."""
    overview = broker.statistics
    seen, within = linnet.describe(overview, 3), linnet.describe(broker, 4)["statistics"]
    by_topic = told(broker)
    for topic, path in TOPICS.items():
        value = attrgetter(path)(overview)
        assert look_up(seen, path) == look_up(within, path) == value, path
        assert by_topic[topic] == shown(value), topic
    assert by_topic["uptime"] == f"{int(overview.uptime)} seconds"
    assert seen["uptime"] == overview.uptime
    assert seen["limits"] == overview.limits
    assert overview.limits == {
        name.removeprefix("limits/"): int(value) for name, value in by_topic.items() if name.startswith("limits/")
    }
    for name, value in expected.items():
        path = f"{prefix}{name}"
        assert look_up(seen, path) == pytest.approx(value), path
    broker.core.ledger.report()  # what was dropped moves from here to there, and is the same
    for name in COUNTERS:
        assert getattr(broker.statistics.traffic, name) == getattr(overview.traffic, name), name


def check_client(broker: Broker, expected: Expected) -> None:
    """Bob's session and connection say what is expected too, as far as they are there."""
    session = broker.sessions.get("bob")
    if session is None:
        return
    check_statistics(session.statistics, linnet.describe(session, 3)["statistics"], expected)
    connection = session.connection
    if connection is not None and session.past is None:  # he has been here only once
        check_statistics(connection.statistics, linnet.describe(connection, 3)["statistics"], expected)


def check_statistics(statistics: Statistics, described: dict[str, Any], expected: Expected) -> None:
    """Object and description agree on every counter, and say what is expected."""
    for name in (*COUNTERS, *Statistics.described):
        assert described[name] == getattr(statistics, name), name
    assert {name: getattr(statistics, name) for name in expected} == pytest.approx(expected)


def rows(drives: dict[str, Drive]) -> list[Any]:
    """Each counter with each version that has it."""
    return [
        pytest.param(name, drive, version, id=f"{name}-{version.name}")
        for name, drive in drives.items()
        for version in (V3_1_1, V5)
        if version is V5 or drive not in ONLY_5
    ]


@pytest.fixture
def make_stage(make_broker: MakeBroker) -> Callable[[Version], Awaitable[Stage]]:
    """Brings up a broker for one drive."""

    async def make(version: Version) -> Stage:
        hooks = Hooks()
        return Stage(await make_broker(hooks=hooks), hooks, version)

    return make


@pytest.mark.parametrize(("name", "drive", "version"), rows(DRIVES))
async def test_a_counter_counts(make_stage: Any, name: str, drive: Drive, version: Version) -> None:
    stage = await make_stage(version)
    async with asynccontextmanager(drive)(stage) as expected:
        assert name in expected
        check_client(stage.broker, expected)
        check_broker(stage.broker, expected, "traffic.")


@pytest.mark.parametrize(("name", "drive", "version"), rows(OVERVIEWS))
async def test_a_number_of_the_broker_is_right(make_stage: Any, name: str, drive: Drive, version: Version) -> None:
    stage = await make_stage(version)
    async with asynccontextmanager(drive)(stage) as expected:
        assert name in expected
        check_broker(stage.broker, expected, "")


# The sums


async def bustle(peer: Peer, broker: Broker) -> None:
    """Something of everything, to and fro."""
    await peer.subscribe("bustle", 2)
    for qos in range(3):
        await peer.publish("elsewhere", b"payload", qos)
        await broker.publish("bustle", b"payload", qos)
        await peer.expect(Publish)
    await peer.unsubscribe("bustle")
    await peer.ping()


@pytest.mark.parametrize("version", [V3_1_1, V5], ids=lambda version: version.name)
async def test_bytes_are_those_of_the_socket(make_stage: Any, version: Version) -> None:
    """Exactly, and for ever: of a connection, of a session with several, and of a broker with several sessions."""
    stage = await make_stage(version)
    broker = stage.broker
    peers = [stage.peer(name, kept=True) for name in ("bob", "bob", "ann")]
    for count, peer in enumerate(peers, 1):
        async with peer:
            await bustle(peer, broker)
            counted = broker.sessions[peer.client_id].connection.statistics
            assert (counted.bytes_received, counted.bytes_sent) == (peer.line.octets_out, peer.line.octets_in)
            if peer is peers[1]:
                await peer.subscribe("x")
        traffic = broker.statistics.traffic
        assert traffic.bytes_received == sum(one.line.octets_out for one in peers[:count])
        assert traffic.bytes_sent == sum(one.line.octets_in for one in peers[:count])
    bob = broker.sessions["bob"].statistics
    assert bob.bytes_received == peers[0].line.octets_out + peers[1].line.octets_out
    assert bob.bytes_sent == peers[0].line.octets_in + peers[1].line.octets_in
    assert (bob.connect, bob.connack, bob.disconnect_received, bob.subscribe) == (2, 2, 2, 3)
    check_broker(broker, {"connect": 3, "disconnect_received": 3}, "traffic.")


async def test_what_a_broker_counted_is_the_sum_of_its_sessions(make_stage: Any) -> None:
    stage = await make_stage(V5)
    broker = stage.broker
    async with stage.peer("ann") as ann, stage.peer("eve", kept=True) as eve:
        for peer in (ann, eve):
            await bustle(peer, broker)
        await stage.away("t", 1)
        parts = [session.statistics for session in broker.sessions.values()]
        total = broker.statistics.traffic
        assert len(parts) == 3
        for name in COUNTERS:
            if name != "ack_longest":
                assert getattr(total, name) == pytest.approx(sum(getattr(part, name) for part in parts)), name
        assert total.ack_longest == max(part.ack_longest for part in parts)
    again = broker.statistics.traffic
    assert (again.messages_received, again.messages_sent) == (total.messages_received, total.messages_sent)


async def test_who_is_taken_over_is_counted_once(make_stage: Any) -> None:
    stage = await make_stage(V5)
    broker = stage.broker
    async with stage.peer(kept=True) as first, stage.peer(kept=True) as second:
        await first.expect(Disconnect)
        await second.ping()
        overview, session = broker.statistics, broker.sessions["bob"]
        assert (overview.accepted, overview.clients, overview.clients_most, overview.sessions) == (2, 1, 1, 1)
        assert session.connection.statistics.connect == 1
        assert (session.statistics.connect, session.statistics.disconnect_sent) == (2, 1)
        check_broker(broker, {"connect": 2, "connack": 2, "disconnect_sent": 1, "pingreq": 1}, "traffic.")
        await first.closed()


@pytest.mark.parametrize("version", [V3_1_1, V5], ids=lambda version: version.name)
async def test_who_is_refused_is_counted_with_every_byte(make_stage: Any, version: Version) -> None:
    stage = await make_stage(version)
    stage.broker.reload(max_client_id_bytes=3)
    async with stage.peer("bobby") as peer:
        await peer.closed()
    line = peer.line
    expected: Expected = {"connect": 1, "connack": 1, "bytes_received": line.octets_out, "bytes_sent": line.octets_in}
    check_broker(stage.broker, {**expected, "packets_received": 1, "packets_sent": 1}, "traffic.")
    assert (stage.broker.statistics.accepted, stage.broker.statistics.refused) == (1, 1)


async def test_a_packet_that_only_a_server_sends_is_not_counted_as_sent(make_stage: Any) -> None:
    stage = await make_stage(V5)
    async with stage.peer(kept=True) as bob:
        bob.send(b"\x90\x04\x00\x01\x00\x00")  # SUBACK
        await bob.closed()
    check_broker(stage.broker, {"suback": 0, "disconnect_sent": 1}, "traffic.")


async def test_a_session_that_comes_back_goes_on_counting(make_stage: Any) -> None:
    stage = await make_stage(V5)
    await stage.away("t", 1)
    for _ in range(2):
        await stage.broker.publish("t", b"x", 1)
    async with stage.bob(kept=True) as bob:
        for _ in range(2):
            await bob.expect(Publish)
        await bob.ping()
        session = stage.broker.sessions["bob"]
        assert (session.statistics.connect, session.statistics.publish1_sent, session.statistics.acks) == (2, 2, 2)
        assert session.connection is not None
        assert (session.connection.statistics.connect, session.connection.statistics.subscribe) == (1, 0)
        check_broker(stage.broker, {"connect": 2, "acks": 2, "publish1_sent": 2, "subscribe": 1}, "traffic.")


async def test_what_a_stopped_broker_counted_can_still_be_read(make_stage: Any) -> None:
    stage = await make_stage(V5)
    async with stage.peer() as bob:
        await bob.publish("t", b"x", 1)
    await stage.broker.stop()
    overview = stage.broker.statistics
    assert (overview.traffic.publish1_received, overview.clients, overview.sessions) == (1, 0, 0)
    assert linnet.describe(stage.broker)["statistics"]["accepted"] == 1


def test_they_read_well() -> None:
    assert repr(Statistics()) == "<Statistics 0 bytes in, 0 bytes out, 0 dropped>"
    broker = Broker(listen="127.0.0.1:0")
    assert repr(broker.statistics) == "<Overview 0 clients, 0 sessions, up 0 s>"
    assert repr(broker.sys_topics) == "<SysTopics 0, every 0 s>"
