"""Who may come in: whatever comes and goes, the counts are those of the connections that there are."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from linnet.core.adopting import adopt
from linnet.core.ports import Peer
from linnet.core.server_connection import ServerConnection
from linnet.errors import ReasonCode
from linnet.server import limits_of
from linnet.settings import Settings
from linnet.wire import V5, Connack, Connect, Disconnect, Properties, decode
from tests.core.steady import STORIES
from tests.pair import Line, World

HOSTS = ["10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"]
HOST_OF = {**{name: name for name in HOSTS[:2]}, **dict.fromkeys(HOSTS[2:4], "2001:db8::/64")}
HOST_OF[HOSTS[4]] = "2001:db8:0:1::/64"
LIMITS: dict[str, Any] = {
    "max_connections": 5,
    "max_connections_per_address": 2,
    "max_preconnect": 4,
    "max_preconnect_per_address": 2,
    "max_connect_rate_per_address": 3.0,
    "max_sessions": 7,
}


def arrive(world: World, host: str) -> ServerConnection:
    address = f"[{host}]:1" if ":" in host else f"{host}:1"
    line = Line()
    connection = ServerConnection(world.core, line, Peer(address, "here"), world.now)
    line.outbox = connection.outbox
    return connection


def connack(connection: ServerConnection) -> int:
    """The code that a CONNECT was answered with."""
    octets = bytes(connection.outbox.take())
    packet = decode(octets[: octets[1] + 2], V5, from_client=False)
    assert isinstance(packet, Connack)
    return packet.reason_code


class Arrivals(RuleBasedStateMachine):
    """Connections from few hosts, and more of them than may come."""

    @initialize(rate=st.sampled_from([0.0, 3.0]), preconnect=st.sampled_from([0, 1, 2]))
    def begin(self, rate: float, preconnect: int) -> None:
        self.limits = {**LIMITS, "max_connect_rate_per_address": rate, "max_preconnect_per_address": preconnect}
        self.world = World(**self.limits)
        self.all: list[tuple[ServerConnection, str]] = []
        self.admitted: list[tuple[str, float]] = []

    def opening(self) -> list[tuple[ServerConnection, str]]:
        return [(connection, host) for connection, host in self.all if connection.is_opening]

    def open(self) -> list[tuple[ServerConnection, str]]:
        return [(connection, host) for connection, host in self.all if connection.is_open]

    @rule(host=st.sampled_from(HOSTS), count=st.integers(1, 3))
    def arrive(self, host: str, count: int) -> None:
        for _ in range(count):
            before = self.opening()
            connection = arrive(self.world, host)
            self.all.append((connection, host))
            assert connection.is_opening, "it is the oldest that has to go"
            gone = [one for one, _ in before if not one.is_opening]
            of_host = [one for one, other in before if HOST_OF[other] == HOST_OF[host]]
            assert gone in ([], [before[0][0]] if before else [], of_host[:1])

    @rule(which=st.integers(0, 20), client_id=st.sampled_from("abcdefgh"), expiry=st.sampled_from([0, 100]))
    def connect(self, which: int, client_id: str, expiry: int) -> None:
        opening = self.opening()
        if not opening:
            return
        connection, host = opening[which % len(opening)]
        core = self.world.core
        session = core.sessions.get(client_id)
        takes_over = session is not None and session.connection is not None
        clients = len(self.open())
        of_host = sum(HOST_OF[other] == HOST_OF[host] for _, other in self.open())
        is_full = not takes_over and (clients >= 5 or of_host >= 2)
        is_new = session is None or (takes_over and session.expiry_interval == 0)
        sessions = len(core.sessions) - (takes_over and session is not None and session.expiry_interval == 0)
        lacks_session = is_new and sessions >= 7
        packet = Connect(client_id, properties=Properties(session_expiry_interval=expiry), version=V5)
        connection.receive(packet.encode(V5), self.world.now)
        code = connack(connection)
        assert connection.is_open == (code == 0)
        if code == 0:
            assert not is_full and not lacks_session
        else:
            rate = self.limits["max_connect_rate_per_address"]
            assert is_full or lacks_session or rate, "refused for nothing"
            assert code == (ReasonCode.QUOTA_EXCEEDED if lacks_session and not is_full else 0x9F) or rate
        self.world.turn()

    @rule(which=st.integers(0, 20), how=st.sampled_from(["disconnect", "cut", "nonsense"]))
    def leave(self, which: int, how: str) -> None:
        there = [one for one, _ in self.all if one.is_open or one.is_opening]
        if not there:
            return
        connection = there[which % len(there)]
        if how == "cut":
            connection.finish("cut", self.world.now)
        else:
            connection.receive(Disconnect().encode(V5) if how == "disconnect" else b"\x00\x00", self.world.now)
        assert not connection.is_open and not connection.is_opening
        self.world.turn()

    @rule(seconds=st.sampled_from([0.1, 1.0, 11.0, 40.0, 200.0]))
    def wait(self, seconds: float) -> None:
        self.world.advance(seconds)

    @invariant()
    def the_counts_are_those_of_what_is_there(self) -> None:
        admission = self.world.core.admission
        opening = Counter(HOST_OF[host] for _, host in self.opening())
        clients = Counter(HOST_OF[host] for _, host in self.open())
        assert set(admission.opening) == {connection for connection, _ in self.opening()}
        assert admission.clients == clients.total()
        for name, host in admission.hosts.items():
            assert (host.clients, len(host.opening)) == (clients[name], opening[name])
        assert opening.keys() | clients.keys() <= admission.hosts.keys()

    @invariant()
    def no_limit_is_exceeded(self) -> None:
        admission = self.world.core.admission
        assert admission.clients <= 5
        assert len(admission.opening) <= 4
        for host in admission.hosts.values():
            assert host.clients <= 2
            most = self.limits["max_preconnect_per_address"]
            assert not most or len(host.opening) <= most

    def teardown(self) -> None:
        for connection, _ in self.all:
            connection.finish("cut", self.world.now)
        self.world.advance(70)
        admission = self.world.core.admission
        assert (admission.clients, admission.opening, admission.hosts) == (0, {}, {})


TestArrivals = Arrivals.TestCase
TestArrivals.settings = settings(STORIES, max_examples=40)


def test_a_takeover_needs_no_room() -> None:
    world = World(max_connections=1)
    first, second = arrive(world, "10.0.0.1"), arrive(world, "10.0.0.1")
    for connection in (first, second):
        connection.receive(Connect("bob", version=V5).encode(V5), world.now)
    assert not first.is_open and second.is_open
    assert world.core.admission.clients == 1


def test_a_new_rate_holds_for_hosts_that_are_known() -> None:
    world = World(max_connect_rate_per_address=1.0)
    codes = []

    def come(count: int) -> None:
        for _ in range(count):
            connection = arrive(world, "10.0.0.1")
            connection.receive(Connect("", version=V5).encode(V5), world.now)
            codes.append(connack(connection))

    come(2)
    assert codes == [0, ReasonCode.CONNECTION_RATE_EXCEEDED]
    adopt(world.core, limits_of(Settings(max_connect_rate_per_address=0.0)))
    come(5)
    assert codes[2:] == [0] * 5
    adopt(world.core, limits_of(Settings(max_connect_rate_per_address=2.0)))
    come(3)
    assert codes[7:] == [0, 0, ReasonCode.CONNECTION_RATE_EXCEEDED]
