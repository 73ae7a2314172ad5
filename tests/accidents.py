"""What happens to clients: their connections end in one way or another, and time goes by."""

from linnet.wire import Connect, Properties, Will
from tests.peer import Peer, Target

ENDS = ("goodbye", "reset", "violation", "take-over")
NOTICED = ("goodbye", "violation")  # those that the broker has dealt with when `end` returns


async def end(peer: Peer, how: str) -> None:
    """Ends a peer's connection; after a take-over, it is the next one with its client identifier that does."""
    if how == "goodbye":
        await peer.disconnect()
    elif how == "reset":
        peer.abort()
    elif how == "violation":
        peer.send(Connect("somebody-else", version=peer.version))
        await peer.closed()
    else:
        assert how == "take-over", f"a connection does not end by {how}"


async def seconds_pass(target: Target, seconds: int) -> None:
    """Waits until the broker itself finds that so many seconds went by: for a will with that delay."""
    will = Will("clock/struck", b"", properties=Properties(will_delay_interval=seconds))
    async with Peer(target, "clock") as clock:
        await clock.subscribe("clock/struck")
        async with Peer(target, "bell", will=will, properties=Properties(session_expiry_interval=3600)) as bell:
            await end(bell, "violation")
        await clock.receive()
        async with Peer(target, "bell"):
            pass  # a clean start, so that no session stays behind
