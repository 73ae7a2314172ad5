"""The limits on sessions, subscriptions, and on what waits for clients."""

import asyncio
from typing import Any

import pytest

from linnet.errors import ReasonCode
from linnet.wire import V3_1_1, V5, Disconnect, Properties, Puback, Publish, SubscriptionOptions, Version
from tests.limits.proof import Proof, ended, eventually, proving
from tests.peer import Peer

both = pytest.mark.parametrize("version", [V3_1_1, V5], ids=["3.1.1", "5.0"])
OPTIONS = SubscriptionOptions(1)
FOR_EVER = Properties(session_expiry_interval=0xFFFFFFFF)
QUOTA = ReasonCode.QUOTA_EXCEEDED
FAILURE = 0x80  # all that a SUBACK of 3.1.1 can say


@both
async def test_max_sessions(caplog: pytest.LogCaptureFixture, version: Version) -> None:
    async with proving(caplog, max_sessions=2) as proof:
        async with Peer(proof.broker, "bob", properties=FOR_EVER):
            pass
        await proof.refused("eve", QUOTA, version, ReasonCode.SERVER_UNAVAILABLE)
        await proof.reached("max_sessions", client_id="eve")
        async with Peer(proof.broker, "bob", clean_start=False) as bob:  # who has one may come
            assert bob.connack.session_present


@both
@pytest.mark.parametrize(("limit", "most"), [("max_subscriptions_per_client", 2), ("max_subscriptions", 3)])
async def test_subscriptions(caplog: pytest.LogCaptureFixture, version: Version, limit: str, most: int) -> None:
    """One subscription is the well-behaved client's."""
    async with proving(caplog, **{limit: most}) as proof, Peer(proof.broker, "bob", version) as bob:
        suback = await bob.subscribe([(name, OPTIONS) for name in "abc"])
        assert suback.reason_codes == [1, 1, QUOTA if version is V5 else FAILURE]
        await proof.reached(limit, client_id="bob")
        assert (await bob.subscribe("a", qos=0)).reason_codes == [0]  # again, so it is not one more
        await bob.unsubscribe("a")
        assert (await bob.subscribe("c", qos=1)).reason_codes == [1]
        assert proof.count(limit) == 1


async def leave_subscribed(proof: Proof, client_id: str = "bob") -> None:
    """A client with a session that stays, which is not here."""
    async with Peer(proof.broker, client_id, properties=FOR_EVER) as bob:
        await bob.subscribe("t", qos=1)


async def payloads(proof: Proof, count: int) -> list[bytes]:
    """What waited for bob, who comes back."""
    async with Peer(proof.broker, "bob", clean_start=False) as bob:
        got = [(await bob.expect(Publish)).payload for _ in range(count)]
        await bob.nothing()
    return got


@pytest.mark.parametrize(
    ("version", "limit", "most"),
    [
        (V3_1_1, "max_queued_messages", 3),
        (V5, "max_queued_messages", 3),
        (V3_1_1, "max_queued_bytes", 3 * 201),
        (V5, "max_queued_bytes", 3 * 201),
        (V5, "max_store_bytes", 3 * 201),
    ],
)
async def test_what_waits_for_a_client(
    caplog: pytest.LogCaptureFixture, version: Version, limit: str, most: int
) -> None:
    """The newest messages are dropped, and a 5.0 publisher is told. Each weighs 201 bytes with its topic."""
    async with proving(caplog, **{limit: most}) as proof:
        await leave_subscribed(proof)
        async with Peer(proof.broker, "ann", version) as ann:
            codes = [(await ann.publish("t", b"%200d" % number, qos=1)).reason_code for number in range(5)]
        assert codes == [0, 0, 0, *[QUOTA if version is V5 else 0] * 2]
        await proof.dropped("queue_full", "bob", 2)
        await proof.reached(limit, 2, client_id="bob")
        assert await payloads(proof, 3) == [b"%200d" % number for number in range(3)]


async def test_max_store_bytes_keeps_a_publisher_waiting_that_cannot_be_told(caplog: pytest.LogCaptureFixture) -> None:
    """One of 3.1.1 is not acknowledged, and not read, until there is room for all; nothing is lost."""
    async with proving(caplog, max_store_bytes=3 * 201) as proof, Peer(proof.broker, "ann", V3_1_1) as ann:
        await leave_subscribed(proof)
        for number in range(3):
            await ann.publish("t", b"%200d" % number, qos=1)
        held = [asyncio.create_task(ann.publish("t", b"%200d" % number, qos=1)) for number in range(3, 6)]
        await proof.reached("max_store_bytes", client_id="bob")
        assert proof.broker.statistics.queued_messages == 4  # the others were not read
        assert not any(task.done() for task in held)
        assert await payloads(proof, 6) == [b"%200d" % number for number in range(6)]
        await asyncio.gather(*held)
        assert proof.broker.statistics.traffic.dropped == 0


async def test_a_full_queue_that_drops_the_oldest(caplog: pytest.LogCaptureFixture) -> None:
    async with proving(caplog, max_queued_messages=3, queue_policies=["#=drop_oldest"]) as proof:
        await leave_subscribed(proof)
        async with Peer(proof.broker, "ann") as ann:
            for number in range(5):
                assert (await ann.publish("t", b"%d" % number, qos=1)).reason_code == 0
        await proof.dropped("queue_full", "bob", 2)
        await proof.reached("max_queued_messages", 2, client_id="bob")
        assert await payloads(proof, 3) == [b"2", b"3", b"4"]


async def test_a_full_queue_that_refuses(caplog: pytest.LogCaptureFixture) -> None:
    """Then nobody gets it."""
    async with proving(caplog, max_queued_messages=1, queue_policy="refuse") as proof:
        await leave_subscribed(proof)
        async with Peer(proof.broker, "ann") as ann, Peer(proof.broker, "joe") as joe:
            await joe.subscribe("t", qos=1)
            assert [(await ann.publish("t", b"%d" % n, qos=1)).reason_code for n in range(3)] == [0, QUOTA, QUOTA]
            assert (await joe.expect(Publish)).payload == b"0"
            await joe.nothing()
        await proof.reached("max_queued_messages", 2, client_id="bob")
        assert await payloads(proof, 1) == [b"0"]


@both
async def test_a_full_queue_that_holds_the_publisher(caplog: pytest.LogCaptureFixture, version: Version) -> None:
    """It is acknowledged when the slow one has made room, and all arrives."""
    async with (
        proving(caplog, max_queued_messages=1, max_inflight=1, queue_policy="hold") as proof,
        Peer(proof.broker, "bob", manual=True) as bob,
        Peer(proof.broker, "ann", version) as ann,
    ):
        await bob.subscribe("t", qos=1)
        for number in range(2):
            await ann.publish("t", b"%d" % number, qos=1)
        held = asyncio.create_task(ann.publish("t", b"2", qos=1))
        await proof.reached("max_queued_messages", client_id="bob")
        await ann.ping()
        assert not held.done()
        for number in range(3):
            message = await bob.expect(Publish)
            assert message.payload == b"%d" % number
            bob.send(Puback(message.packet_id))
        assert (await held).reason_code == 0
        assert proof.broker.statistics.traffic.dropped == 0


@both
async def test_a_full_queue_that_disconnects(caplog: pytest.LogCaptureFixture, version: Version) -> None:
    settings: dict[str, Any] = {"max_queued_messages": 1, "max_inflight": 1, "queue_policy": "disconnect"}
    async with (
        proving(caplog, **settings) as proof,
        Peer(proof.broker, "bob", version, manual=True) as bob,
        Peer(proof.broker, "ann") as ann,
    ):
        await bob.subscribe("t", qos=1)
        for number in range(3):
            assert (await ann.publish("t", b"%d" % number, qos=1)).reason_code == 0
        assert (await bob.expect(Publish)).payload == b"0"
        await ended(bob, QUOTA)
        await proof.reached("max_queued_messages", client_id="bob")


async def test_hold_timeout(caplog: pytest.LogCaptureFixture) -> None:
    """Who keeps publishers waiting and acknowledges nothing has to go; then they wait no more."""
    settings: dict[str, Any] = {
        "max_queued_messages": 1,
        "max_inflight": 1,
        "queue_policy": "hold",
        "hold_timeout": 0.1,
    }
    async with (
        proving(caplog, **settings) as proof,
        Peer(proof.broker, "bob", manual=True) as bob,
        Peer(proof.broker, "ann") as ann,
    ):
        await bob.subscribe("t", qos=1)
        acks = await asyncio.gather(*(ann.publish("t", b"x", qos=1) for _ in range(5)))
        assert len(acks) == 5
        await bob.expect(Publish)
        assert (await bob.expect(Disconnect)).reason_code == QUOTA
        await bob.closed()
        await proof.reached("hold_timeout", client_id="bob")


@both
async def test_max_inflight_is_never_exceeded(caplog: pytest.LogCaptureFixture, version: Version) -> None:
    """What is more waits until something is acknowledged; that is no event."""
    async with (
        proving(caplog, max_inflight=2) as proof,
        Peer(proof.broker, "bob", version, manual=True) as bob,
    ):
        await bob.subscribe("t", qos=1)
        for number in range(6):
            await proof.broker.publish("t", b"%d" % number, qos=1)
        for number in range(6):
            await eventually(lambda: len(bob.inbox) == min(2, 6 - number), "those in flight")  # noqa: B023
            await bob.ping()
            assert len(bob.inbox) == min(2, 6 - number)
            message = await bob.expect(Publish)
            assert message.payload == b"%d" % number
            bob.send(Puback(message.packet_id))
        await eventually(lambda: proof.broker.statistics.in_flight == 0, "all to be acknowledged")
        assert proof.broker.statistics.limits == {}
