"""What a test breaks on purpose: rules that say which packets are dropped, delayed, duplicated, refused or denied.

The first rule that fits a packet is the one that is applied. A rule ends when it was applied as often as it says, when
it is lifted, or with the block that it is the context of.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container
from typing import Final, Self

from linnet.core.ports import Exchange, Hooks, Peer
from linnet.core.server_connection import ServerConnection
from linnet.core.session import Session
from linnet.errors import ReasonCode
from linnet.testing.record import CLOSED, Record, Seen, Wanted
from linnet.wire import Connect, Message, SubscriptionOptions

FATES: Final = {"drop": "dropped", "delay": "delayed", "duplicate": "duplicated", "refuse": "refused"}
DENY: Final = ("deny",)


class Fault:
    """A rule in force: its `kind`, how many packets it was applied to (`hits`) and how many more it will be (`left`).

    A context manager that lifts the rule at the end of the block.
    """

    def __init__(
        self,
        faults: Faults,
        kind: str,
        wanted: Wanted,
        left: int | None = None,
        seconds: float | None = None,
        reason_code: ReasonCode | None = None,
    ) -> None:
        if left is not None and left < 1:
            raise ValueError(f"count is at least 1, or None for all, not {left}")
        self.faults = faults
        self.kind = kind
        self.wanted = wanted
        self.left = left  # None: without end
        self.seconds = seconds
        self.reason_code = reason_code
        self.hits = 0
        self.held: list[Callable[[], None]] = []  # let go on what is held back until the rule is lifted

    def __repr__(self) -> str:
        left = "" if self.left is None else f", {self.left} more"
        return f"<Fault {self.kind} {self.wanted}: {self.hits} times{left}>"

    def lift(self) -> None:
        """Apply the rule no more. What it holds back without a time goes on, in its order."""
        self.faults.call(self._lift)

    def _lift(self) -> None:
        if self in self.faults.rules:
            self.faults.rules.remove(self)
        held, self.held = self.held, []
        for go_on in held:
            go_on()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.lift()


class Faults:
    """The rules of one broker, in the order in which they were made."""

    def __init__(self, call: Callable[[Callable[[], None]], None]) -> None:
        self.call = call  # calls a function on the broker's event loop
        self.rules: list[Fault] = []

    def __repr__(self) -> str:
        return f"<Faults {self.rules!r}>"

    def add(self, fault: Fault) -> Fault:
        """A rule from now on."""
        self.call(lambda: self.rules.append(fault))
        return fault

    def applied_to(self, seen: Seen, kinds: Container[str]) -> Fault | None:
        """The rule for a packet, applied once more, or None."""
        for fault in self.rules:
            if fault.kind in kinds and fault.wanted.fits(seen):
                fault.hits += 1
                if fault.left is not None:
                    fault.left -= 1
                    if fault.left == 0:
                        self.rules.remove(fault)
                return fault
        return None

    def lift(self) -> None:
        """No rule any more."""
        for fault in list(self.rules):
            fault.lift()


class Guard(Hooks):
    """Refuses and denies what a test wants refused and denied, and asks the test's own hooks about the rest."""

    def __init__(self, faults: Faults, record: Record, hooks: Hooks) -> None:
        self.faults = faults
        self.record = record
        self.hooks = hooks
        self.refusals: dict[str, ReasonCode] = {}  # the CONNECTs to be refused, by address

    def denied(self, name: str, session: Session, topic: str) -> ReasonCode | None:
        """The reason code to refuse a topic with, or None."""
        fault = self.faults.applied_to(Seen("in", session.client_id, name, topics=(topic,)), DENY)
        return None if fault is None else fault.reason_code

    def admit(self, connect: Connect, peer: Peer) -> ReasonCode | Awaitable[ReasonCode]:
        """May this client connect?"""
        code = self.refusals.pop(peer.address, None)
        return self.hooks.admit(connect, peer) if code is None else code

    def exchange(self, method: str, connect: Connect) -> Exchange | None:
        """As the test's own hooks have it."""
        return self.hooks.exchange(method, connect)

    def publishing(self, session: Session, message: Message) -> Message | ReasonCode | Awaitable[Message | ReasonCode]:
        """May this be published?"""
        code = self.denied("PUBLISH", session, message.topic)
        return self.hooks.publishing(session, message) if code is None else code

    def subscribing(
        self, session: Session, name: str, options: SubscriptionOptions
    ) -> int | ReasonCode | Awaitable[int | ReasonCode]:
        """May this be subscribed to?"""
        code = self.denied("SUBSCRIBE", session, name)
        return self.hooks.subscribing(session, name, options) if code is None else code

    def disconnected(self, session: Session, connection: ServerConnection, detail: str) -> None:
        """A connection is over, which is recorded like a packet."""
        self.record.add(Seen("in", session.client_id, CLOSED, detail=detail, at=connection.last_heard))
