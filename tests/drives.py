"""What drives the counters: a row for each, with what a client named bob does and what the counters must then say.

    async with asynccontextmanager(DRIVES["pingreq"])(stage) as expected:
        ...  # {"pingreq": 3, ...}, of bob's connection, of his session and of the broker

`DRIVES` are the counters of `Statistics`, `OVERVIEWS` the numbers of `Overview`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import linnet
from linnet import Broker, ReasonCode
from linnet.wire import (
    Auth,
    Connect,
    Message,
    Properties,
    Publish,
    Pubrel,
    SubscriptionOptions,
    Version,
    Will,
)
from tests.peer import Line, Peer

Expected = dict[str, float]
Drive = Callable[["Stage"], AsyncIterator[Expected]]

KEPT = 0xFFFFFFFF
BIG = b"x" * 20_000


class Asks(linnet.Exchange):
    """Has the client say something twice."""

    def __init__(self) -> None:
        self.steps = 0

    def step(self, data: bytes | None) -> linnet.Step:
        self.steps += 1
        return linnet.Step(self.steps == 2)


class Hooks(linnet.Hooks):
    """Admits everybody, and tells when somebody has gone."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    def exchange(self, method: str, connect: Connect) -> linnet.Exchange:
        return Asks()

    def disconnected(self, session: Any, connection: Any, detail: str) -> None:
        self.gone.set()


class CountingLine(Line):
    """A peer's end that counts its socket's bytes."""

    octets_in = octets_out = 0

    def data_received(self, data: bytes) -> None:
        self.octets_in += len(data)
        super().data_received(data)

    def send(self, packet: Any) -> None:
        octets = packet if isinstance(packet, bytes) else packet.encode(self.version)
        self.octets_out += len(octets)
        super().send(octets)


class CountingPeer(Peer):
    """A peer that knows how many bytes went to and fro."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.line = self._line = CountingLine(self._line.version, self._line.acknowledge)
        self.received, self.inbox = self._line.received, self._line.inbox


class Stage:
    """A broker, the version that bob speaks, and ways to bring him on."""

    def __init__(self, broker: Broker, hooks: Hooks, version: Version) -> None:
        self.broker = broker
        self.hooks = hooks
        self.version = version

    def peer(self, client_id: str = "bob", kept: bool = False, **options: Any) -> CountingPeer:
        """A client; `kept`: its session outlives its connection."""
        options.setdefault("properties", Properties())
        if kept and self.version.has_properties:
            options["properties"].session_expiry_interval = KEPT
        return CountingPeer(self.broker, client_id, self.version, clean_start=not kept, **options)

    @asynccontextmanager
    async def bob(self, topic: str = "", qos: int = 0, **options: Any) -> AsyncIterator[CountingPeer]:
        """Bob, subscribed to a topic; at the end he is gone in one way or another."""
        async with self.peer(**options) as bob:
            if topic:
                await bob.subscribe(topic, qos)
            yield bob
            bob.abort()

    async def leave(self, bob: Peer) -> None:
        """Bob's connection breaks, and the broker has noticed."""
        self.hooks.gone.clear()
        bob.abort()
        await self.hooks.gone.wait()

    async def away(self, topic: str, qos: int) -> None:
        """Bob was here, subscribed, and left; what comes for him waits."""
        async with self.peer(kept=True) as bob:
            await bob.subscribe(topic, qos)

    def pass_time(self, seconds: float) -> None:
        """The clock of the broker goes on."""
        turn = self.broker.running()
        at = turn.begin() + seconds
        turn.clock = lambda: at
        turn.now = at


# What bob does for each counter of `Statistics`


async def coming(stage: Stage) -> AsyncIterator[Expected]:
    async with stage.bob():
        yield {"connect": 1, "connack": 1, "packets_received": 1, "packets_sent": 1}


async def subscribing(stage: Stage) -> AsyncIterator[Expected]:
    async with stage.bob() as bob:
        for name in ("a", "b", "c"):
            await bob.subscribe(name)
        await bob.unsubscribe("a", "b")
        yield {"subscribe": 3, "suback": 3, "unsubscribe": 1, "unsuback": 1}


async def pinging(stage: Stage) -> AsyncIterator[Expected]:
    async with stage.bob() as bob:
        for _ in range(3):
            await bob.ping()
        yield {"pingreq": 3, "pingresp": 3, "bytes_received": bob.line.octets_out, "bytes_sent": bob.line.octets_in}


async def publishing(stage: Stage) -> AsyncIterator[Expected]:
    async with stage.bob() as bob:
        for qos, count in ((0, 1), (1, 2), (2, 3)):
            for _ in range(count):
                await bob.publish("t", b"x", qos)
        await bob.ping()
        yield {
            "publish0_received": 1,
            "publish1_received": 2,
            "publish2_received": 3,
            "puback_sent": 2,
            "pubrec_sent": 3,
            "pubrel_received": 3,
            "pubcomp_sent": 3,
            "messages_received": 6,
            "packets_received": 11,
            "packets_sent": 10,
        }


async def publishing_once_again(stage: Stage) -> AsyncIterator[Expected]:
    """A message that is sent again, and a release of nothing: each packet is one."""
    async with stage.bob(manual=True) as bob:
        for dup in (False, True):
            bob.send(Publish("t", b"x", 2, dup=dup, packet_id=7))
        for _ in range(2):
            bob.send(Pubrel(7))
        await bob.ping()
        yield {"publish2_received": 2, "pubrec_sent": 2, "pubrel_received": 2, "pubcomp_sent": 2}


async def receiving(stage: Stage) -> AsyncIterator[Expected]:
    async with stage.bob("t", 2) as bob:
        for qos, count in ((0, 1), (1, 2), (2, 3)):
            for _ in range(count):
                await stage.broker.publish("t", b"x", qos)
                await bob.receive()
        await bob.ping()
        yield {
            "publish0_sent": 1,
            "publish1_sent": 2,
            "publish2_sent": 3,
            "puback_received": 2,
            "pubrec_received": 3,
            "pubrel_sent": 3,
            "pubcomp_received": 3,
            "acks": 5,
            "messages_sent": 6,
        }


async def taking_time(stage: Stage) -> AsyncIterator[Expected]:
    """One acknowledgement comes after two seconds, another after one more."""
    async with stage.bob("t", 1, manual=True) as bob:
        for _ in range(2):
            await stage.broker.publish("t", b"x", 1)
        stage.broker.running().clock = lambda: stage.broker.running().now
        for seconds in (2, 1):
            number = (await bob.expect(Publish)).packet_id
            stage.pass_time(seconds)
            bob.send(b"\x40\x02" + number.to_bytes(2, "big"))
            await bob.ping()
        yield {"acks": 2, "ack_seconds": 5, "ack_longest": 3, "ack_mean": 2.5}


async def being_refused(stage: Stage) -> AsyncIterator[Expected]:
    async with stage.bob() as bob:
        for qos in range(3):
            await bob.publish("$SYS/mine", b"x", qos)
        await bob.ping()
        yield {"refused": 3, "publish0_received": 1, "publish1_received": 1, "publish2_received": 1}


async def saying_goodbye(stage: Stage) -> AsyncIterator[Expected]:
    async with stage.peer(kept=True):
        pass
    yield {"disconnect_received": 1, "disconnect_sent": 0}


async def being_sent_away(stage: Stage) -> AsyncIterator[Expected]:
    async with stage.peer(kept=True) as bob:
        stage.broker.disconnect("bob")
        await bob.closed()
        yield {"disconnect_received": 0, "disconnect_sent": int(stage.version.can_say_why)}


async def authenticating(stage: Stage) -> AsyncIterator[Expected]:
    """One AUTH each way before CONNACK, and two when the client wants it again."""
    properties = Properties(authentication_method="twice")
    async with Peer.raw(stage.broker) as bob:
        bob.send(Connect("bob", properties=properties))
        await bob.expect(Auth)
        bob.send(Auth(ReasonCode.CONTINUE_AUTHENTICATION, properties))
        await bob.receive()
        bob.send(Auth(ReasonCode.REAUTHENTICATE, properties))
        await bob.expect(Auth)
        bob.send(Auth(ReasonCode.CONTINUE_AUTHENTICATION, properties))
        await bob.expect(Auth)
        yield {"auth_received": 3, "auth_sent": 3}


# Each reason to drop a message


async def filling_the_queue(stage: Stage) -> AsyncIterator[Expected]:
    stage.broker.reload(max_queued_messages=2)
    await stage.away("t", 1)
    for _ in range(5):
        await stage.broker.publish("t", b"x", 1)
    yield {"dropped_queue_full": 3, "dropped": 3}


async def not_reading(stage: Stage) -> AsyncIterator[Expected]:
    stage.broker.reload(max_output_bytes=100_000)
    async with stage.bob("t") as bob:
        bob.reading(False)
        count = 0
        while stage.broker.sessions["bob"].statistics.dropped < 5:
            count += 1
            await stage.broker.publish("t", BIG)
            await asyncio.sleep(0)  # a turn ends
        yield {"dropped_output_full": 5, "dropped": 5, "publish0_sent": count - 5}
        bob.reading(True)
        for _ in range(count - 5):
            await bob.expect(Publish)
        await bob.nothing()


async def sending_too_much(stage: Stage) -> AsyncIterator[Expected]:
    async with stage.bob("t", 1, properties=Properties(maximum_packet_size=200)) as bob:
        for qos in (0, 1):
            await stage.broker.publish("t", BIG, qos)
        await bob.nothing()
        yield {"dropped_too_large": 2, "dropped": 2, "publish0_sent": 0, "publish1_sent": 0}


async def waiting_too_long(stage: Stage) -> AsyncIterator[Expected]:
    await stage.away("t", 1)
    for seconds in (1, 1, 1000):
        await stage.broker.publish("t", b"x", 1, properties=Properties(message_expiry_interval=seconds))
    stage.pass_time(10)
    async with stage.bob(kept=True) as bob:
        await bob.expect(Publish)
        await bob.nothing()
        yield {"dropped_expired": 2, "dropped": 2, "publish1_sent": 1}


async def being_away(stage: Stage) -> AsyncIterator[Expected]:
    await stage.away("t", 0)
    for _ in range(4):
        await stage.broker.publish("t", b"x")
    yield {"dropped_offline": 4, "dropped": 4}


async def leaving_with_something_unread(stage: Stage) -> AsyncIterator[Expected]:
    count = 0
    async with stage.bob("t", kept=True) as bob:
        bob.reading(False)
        outbox = stage.broker.connections[0].outbox
        while outbox.size < 5 * len(BIG):
            count += 1
            await stage.broker.publish("t", BIG)
            await asyncio.sleep(0)  # a turn ends
        unsent = outbox.size // len(BIG)
        await stage.leave(bob)
    yield {"dropped_unsent": unsent, "dropped": unsent, "publish0_sent": count - unsent}


async def forgetting_who_is_gone(stage: Stage) -> AsyncIterator[Expected]:
    """What is unacknowledged when a session ends is lost; of the session nothing is left but the broker's count."""
    async with stage.bob("t", 1, manual=True) as bob:
        for _ in range(2):
            await stage.broker.publish("t", b"x", 1)
            await bob.expect(Publish)
        await stage.leave(bob)
    yield {"dropped_ended": 2, "dropped": 2}


# What there is, or has been, of everything: the numbers of `Overview`


async def crowding(stage: Stage) -> AsyncIterator[Expected]:
    await stage.away("t", 1)
    async with stage.peer("ann") as ann, stage.peer("eve"):
        await ann.subscribe([("a", SubscriptionOptions()), ("$share/g/b", SubscriptionOptions())])
        async with stage.peer("tom"):
            pass
        async with Peer.raw(stage.broker), Peer.raw(stage.broker) as last:
            last.send(b"\x10")
            await stage_settled(ann)
            yield {
                "accepted": 6,
                "clients": 2,
                "clients_most": 3,
                "clients_away": 1,
                "sessions": 3,
                "opening": 2,
                "subscriptions": 3,
            }


async def turning_away(stage: Stage) -> AsyncIterator[Expected]:
    stage.broker.reload(max_client_id_bytes=3)
    for client_id in ("bobby", "barbara"):
        async with stage.peer(client_id) as peer:
            assert peer.connack.reason_code != 0
            await peer.closed()
    assert stage.broker.statistics.limits == {"max_client_id_bytes": 2}
    yield {"refused": 2, "accepted": 2, "clients": 0, "limits.max_client_id_bytes": 2}


async def waiting_and_retaining(stage: Stage) -> AsyncIterator[Expected]:
    weight = Message("t", b"x").weight()
    async with stage.peer("ann", manual=True) as ann:
        await ann.subscribe("t", 2)
        await stage.away("t", 1)
        for qos in (1, 1, 2):
            await stage.broker.publish("t", b"x", qos)
            await ann.expect(Publish)
        for topic in ("r/1", "r/2"):
            await stage.broker.publish(topic, b"x", retain=True)
        retained = 2 * Message("r/1", b"x").weight()
        yield {
            "in_flight": 3,
            "queued_messages": 3,
            "queued_bytes": 3 * weight,
            "retained_messages": 2,
            "retained_bytes": retained,
            "stored_messages": 5,
            "stored_bytes": 3 * weight + retained,
            "routes": 3,
        }
        ann.abort()


async def holding_back(stage: Stage) -> AsyncIterator[Expected]:
    async with stage.bob("t") as bob:
        bob.reading(False)
        outbox = stage.broker.connections[0].outbox
        while outbox.size < len(BIG):
            await stage.broker.publish("t", BIG)
            await asyncio.sleep(0)  # a turn ends
        yield {"output_bytes": outbox.size}


async def leaving_wills(stage: Stage) -> AsyncIterator[Expected]:
    for _ in range(2):
        async with stage.peer(will=Will("w", b"x")) as bob:
            await stage.leave(bob)
    async with stage.peer(will=Will("w", b"x")):
        pass  # he says goodbye
    yield {"wills_published": 2}


async def straining(stage: Stage) -> AsyncIterator[Expected]:
    pressure = stage.broker.pressure
    assert pressure is not None
    pressure.read = lambda: 12_345_678
    pressure.look_at_memory()
    for lag in (0.5, 0.25):
        pressure.look_at_lag(lag)
    yield {"memory": 12_345_678, "lag": 0.25, "lag_longest": 0.5}


async def growing_old(stage: Stage) -> AsyncIterator[Expected]:
    now = stage.broker.running().begin()
    stage.pass_time(stage.broker.core.started_at + 1234 - now)
    yield {"uptime": 1234}


async def stage_settled(peer: Peer) -> None:
    """What was sent before has been taken: every socket is looked at in a turn, and this is a later one."""
    for _ in range(2):
        await peer.ping()


DRIVES: dict[str, Drive] = {
    "ack_longest": taking_time,
    "ack_seconds": taking_time,
    "acks": receiving,
    "auth_received": authenticating,
    "auth_sent": authenticating,
    "bytes_received": pinging,
    "bytes_sent": pinging,
    "connack": coming,
    "connect": coming,
    "disconnect_received": saying_goodbye,
    "disconnect_sent": being_sent_away,
    "dropped_ended": forgetting_who_is_gone,
    "dropped_expired": waiting_too_long,
    "dropped_offline": being_away,
    "dropped_output_full": not_reading,
    "dropped_queue_full": filling_the_queue,
    "dropped_too_large": sending_too_much,
    "dropped_unsent": leaving_with_something_unread,
    "pingreq": pinging,
    "pingresp": pinging,
    "puback_received": receiving,
    "puback_sent": publishing,
    "pubcomp_received": receiving,
    "pubcomp_sent": publishing_once_again,
    "publish0_received": publishing,
    "publish0_sent": receiving,
    "publish1_received": publishing,
    "publish1_sent": receiving,
    "publish2_received": publishing_once_again,
    "publish2_sent": receiving,
    "pubrec_received": receiving,
    "pubrec_sent": publishing_once_again,
    "pubrel_received": publishing_once_again,
    "pubrel_sent": receiving,
    "refused": being_refused,
    "suback": subscribing,
    "subscribe": subscribing,
    "unsuback": subscribing,
    "unsubscribe": subscribing,
    # those that are there by way of others
    "ack_mean": taking_time,
    "dropped": filling_the_queue,
    "messages_received": publishing,
    "messages_sent": receiving,
    "packets_received": publishing,
    "packets_sent": publishing,
}
OVERVIEWS: dict[str, Drive] = {
    "accepted": crowding,
    "clients": crowding,
    "clients_most": crowding,
    "in_flight": waiting_and_retaining,
    "lag": straining,
    "lag_longest": straining,
    "limits.max_client_id_bytes": turning_away,
    "memory": straining,
    "opening": crowding,
    "output_bytes": holding_back,
    "queued_bytes": waiting_and_retaining,
    "queued_messages": waiting_and_retaining,
    "refused": turning_away,
    "retained_bytes": waiting_and_retaining,
    "retained_messages": waiting_and_retaining,
    "routes": waiting_and_retaining,
    "sessions": crowding,
    "subscriptions": crowding,
    "uptime": growing_old,
    "wills_published": leaving_wills,
    # those that are there by way of others
    "clients_away": crowding,
    "stored_bytes": waiting_and_retaining,
    "stored_messages": waiting_and_retaining,
}
ONLY_5 = {authenticating, sending_too_much}
