"""Chores: what is done at the end of a turn, a slice at a time, so that nobody waits for somebody else's."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from linnet.core.fanout import Fanout
from linnet.core.replay import Replay
from linnet.errors import ReasonCode

if TYPE_CHECKING:
    from linnet.core.broker import BrokerCore
    from linnet.core.server_connection import ServerConnection
    from linnet.core.session import Session


class Chores:
    """All that is under way: messages to very many, retained messages, and who is to be disconnected or read again."""

    __slots__ = ("core", "fanouts", "holding", "replaying", "resumed")

    def __init__(self, core: BrokerCore) -> None:
        self.core = core
        self.fanouts: deque[Fanout] = deque()
        self.replaying: dict[Session, None] = {}  # sessions with retained messages still to be sent
        self.resumed: deque[ServerConnection] = deque()  # may go on taking packets
        self.holding: dict[Session, tuple[float, int]] = {}  # who keeps publishers waiting: since when, at which count

    def __repr__(self) -> str:
        return f"<Chores {len(self.fanouts)} fan-outs, {len(self.replaying)} replays>"

    def __len__(self) -> int:
        slow = self.core.backlog.slow
        return len(self.fanouts) + len(self.replaying) + len(self.resumed) + len(slow)

    def run(self, now: float) -> bool:
        """Do a slice of everything; True if another turn may bring more."""
        self.core.router.delivered = 0
        self.disconnect_slow(now)
        if self.fanouts:
            fanout = self.fanouts.popleft()  # and not again, should it fail
            if fanout.advance(self.core.router.slice_size(), now):
                fanout.finish(fanout, now)
            else:
                self.fanouts.appendleft(fanout)
        for _ in range(len(self.resumed)):
            self.resumed.popleft().go_on(now)
        progress = bool(self.fanouts or self.resumed or self.core.backlog.slow)
        for session in list(self.replaying):
            progress |= self.replay(session, now)
        return progress

    def disconnect_slow(self, now: float) -> None:
        """Part with those whose queues are full, where that is the policy."""
        slow = self.core.backlog.slow
        while slow:
            session, _ = slow.popitem()
            if session.connection is not None:
                session.connection.close(
                    ReasonCode.QUOTA_EXCEEDED, "as many messages wait for the client as may wait", now
                )

    def want(self, session: Session, replay: Replay) -> None:
        """Send a session what is retained for it."""
        if session.replays is None:
            session.replays = deque()
        session.replays.append(replay)
        self.replaying[session] = None

    def replay(self, session: Session, now: float) -> bool:
        """Send a slice of retained messages to one session; False when there was no room or nothing is left."""
        left = self.core.limits.retained_slice
        while session.replays:
            replay = session.replays[0]
            if session.subscriptions.get(replay.subscription.name) is replay.subscription:
                count = replay.sent
                is_done = replay.advance(session, left, now)
                left -= replay.sent - count
                if not is_done:
                    return left < self.core.limits.retained_slice
            session.replays.popleft()
        session.replays = None  # an empty one takes its room too
        del self.replaying[session]
        return False

    def clear(self, now: float) -> None:
        """The broker has stopped: whoever waits for a message to reach everybody waits no more."""
        fanouts = list(self.fanouts)
        self.fanouts.clear()
        for fanout in fanouts:
            fanout.finish(fanout, now)
        self.resumed.clear()
        self.core.backlog.slow.clear()

    def forget(self, session: Session) -> None:
        """A session has ended."""
        self.replaying.pop(session, None)
        self.holding.pop(session, None)
        self.core.backlog.slow.pop(session, None)

    def hold(self, session: Session, now: float) -> None:
        """A session keeps publishers waiting, from now on or still."""
        self.holding.setdefault(session, (now, session.sender.statistics.acks))

    def look_at_holders(self, now: float) -> None:
        """Part with who keeps publishers waiting and makes no progress."""
        timeout = self.core.limits.hold_timeout
        for session, (since, count) in list(self.holding.items()):
            waiting = session.sender.waiting
            if session.connection is None or waiting is None or waiting.held is None:
                del self.holding[session]
            elif session.sender.statistics.acks != count:
                self.holding[session] = (now, session.sender.statistics.acks)
            elif now - since >= timeout:
                detail = f"publishers wait, and the client has acknowledged nothing for {timeout:g} s"
                self.core.reached("hold_timeout", session.connection, detail)
                session.connection.close(ReasonCode.QUOTA_EXCEEDED, detail, now)
