"""The limits on retained messages."""

import asyncio

import pytest

from linnet.errors import ReasonCode
from linnet.wire import V3_1_1, V5, Publish, Version
from tests.limits.proof import eventually, proving
from tests.peer import Peer

both = pytest.mark.parametrize("version", [V3_1_1, V5], ids=["3.1.1", "5.0"])


@both
@pytest.mark.parametrize(
    ("limit", "most", "payload"),
    [
        ("max_retained", 1, b"x"),
        ("max_retained_bytes", 100, b"x" * 100),
        ("max_retained_payload", 10, b"x" * 11),
    ],
)
async def test_what_has_no_room_is_not_kept(
    caplog: pytest.LogCaptureFixture, version: Version, limit: str, most: int, payload: bytes
) -> None:
    """A 5.0 publisher is told, and then nobody gets it; one of 3.1.1 cannot be told, and its message goes on."""
    is_told = version is V5
    async with (
        proving(caplog, **{limit: most}) as proof,
        Peer(proof.broker, "bob") as bob,
        Peer(proof.broker, "ann", version) as ann,
    ):
        await bob.subscribe("t/#")
        assert (await ann.publish("t/1", b"old", qos=1, retain=True)).reason_code == 0
        await bob.expect(Publish)
        code = (await ann.publish("t/2", payload, qos=1, retain=True)).reason_code
        assert code == (ReasonCode.QUOTA_EXCEEDED if is_told else 0)
        await proof.reached(limit, client_id="ann")
        if not is_told:
            assert (await bob.expect(Publish)).payload == payload
        await bob.nothing()
        await ann.publish("t/1", b"new", qos=1, retain=True)  # what is there may change
        assert proof.broker.statistics.retained_messages == 1
        async with Peer(proof.broker, "eve") as eve:
            await eve.subscribe("t/#")
            assert (await eve.expect(Publish)).payload == b"new"
            await eve.nothing()


async def test_retained_slice(caplog: pytest.LogCaptureFixture) -> None:
    """What is retained comes a slice at a time, and others get their turn between the slices; that is no event."""
    async with (
        proving(caplog, pause=0, retained_slice=10) as proof,
        Peer(proof.broker, "bob") as bob,
    ):
        for number in range(1000):
            await proof.broker.publish(f"t/{number}", b"x", retain=True)
        before = proof.beside.rounds
        await bob.subscribe("t/#")
        await eventually(lambda: len(bob.inbox) == 1000, "all that is retained")
        assert proof.beside.rounds > before
        assert proof.broker.statistics.limits == {}


async def test_everything_at_once_is_asked_for_by_many(caplog: pytest.LogCaptureFixture) -> None:
    async with proving(caplog) as proof:
        for number in range(2000):
            await proof.broker.publish(f"t/{number}", b"x" * 50, retain=True)
        peers = await asyncio.gather(*(Peer(proof.broker, f"c{number}") for number in range(10)))
        for peer in peers:
            await peer.subscribe("#")

        def retained(peer: Peer) -> int:
            return sum(message.retain for message in peer.inbox)

        await eventually(lambda: all(len(peer.inbox) >= 2000 for peer in peers), "all that is retained")
        await eventually(lambda: all(retained(peer) == 2000 for peer in peers), "all that is retained")
        for peer in peers:
            peer.abort()
