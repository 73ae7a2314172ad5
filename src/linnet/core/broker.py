"""The broker's core: who is here.

It knows every connection and every session, opens and ends them, and runs what is due. It neither reads nor writes a
socket, asks no clock and logs nothing: every entry is given the time `now`, in monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from linnet.core.admission import Admission
from linnet.core.backlog import NOBODY_ASKS, Backlog
from linnet.core.chores import Chores
from linnet.core.deadlines import Deadlines
from linnet.core.fanout import Fanout, Finish, nobody_waits
from linnet.core.ledger import Ledger
from linnet.core.limits import Limits
from linnet.core.outbox import Outbox
from linnet.core.ports import Cluster, Hooks, Observer, Store, is_overridden
from linnet.core.receiver import Receiver
from linnet.core.replay import Replay
from linnet.core.retained import Retained
from linnet.core.router import Route, Router
from linnet.core.sender import Sender
from linnet.core.session import Session
from linnet.core.subscriptions import Subscription
from linnet.core.topics import TopicRules
from linnet.core.wills import Wills
from linnet.errors import ProtocolError, ReasonCode
from linnet.wire.connect import NEVER
from linnet.wire.message import Message

if TYPE_CHECKING:
    from linnet.core.server_connection import ServerConnection

SWEEP_INTERVAL = 30.0  # seconds between looks for expired retained messages
SECOND = 1.0
SEND_AT_SUBSCRIBE = 0
SEND_IF_NEW = 1


class BrokerCore:
    """Everything that a broker is, but for the sockets."""

    __slots__ = (
        "admission",
        "backlog",
        "chores",
        "cluster",
        "connections",
        "deadlines",
        "hooks",
        "in_background",
        "ledger",
        "limits",
        "marked",
        "moved_to",
        "new_client_id",
        "observers",
        "publish_hook",
        "router",
        "sessions",
        "started_at",
        "store",
        "wills",
    )

    def __init__(
        self,
        limits: Limits,
        new_client_id: Callable[[], str],
        hooks: Hooks | None = None,
        observers: tuple[Observer, ...] = (),
        store: Store | None = None,
        cluster: Cluster | None = None,
    ) -> None:
        self.limits = limits
        self.new_client_id = new_client_id
        self.hooks = hooks or Hooks()
        self.observers = (*observers, self.hooks)
        self.store = store or Store()
        self.cluster = cluster or Cluster()
        self.publish_hook = self.hooks.publishing if is_overridden(self.hooks, Hooks, "publishing") else None
        rules = TopicRules(limits.max_topic_bytes, limits.max_topic_levels, limits.refuse_control_characters)
        retained = Retained(limits.max_retained, limits.max_retained_bytes, limits.max_retained_payload)
        self.router = Router(rules, retained, limits.max_routes, limits.overlap == "merge", limits.delivery_budget)
        self.ledger = Ledger(self.observers)
        self.router.count = self.ledger.count
        self.backlog = Backlog(limits.max_queued_messages, limits.max_queued_bytes, limits.max_store_bytes)
        self.backlog.count = self.ledger.count
        self.backlog.set_policies(limits.queue_policy, limits.queue_policies)
        self.admission = Admission(self)
        self.chores = Chores(self)
        self.started_at = 0.0
        self.sessions: dict[str, Session] = {}
        self.connections: dict[ServerConnection, None] = {}
        self.deadlines = Deadlines()
        self.wills = Wills(self.deadlines, self.publish_will)
        self.marked: list[Outbox] = []  # outboxes with something to write in this turn
        self.in_background: Callable[[Awaitable[Any], Callable[[Any, float], None]], None] = _no_background
        self.moved_to: tuple[ReasonCode, str] | None = None  # where clients are told to go instead

    def __repr__(self) -> str:
        return f"<BrokerCore {len(self.connections)} connections, {len(self.sessions)} sessions>"

    def start(self, now: float) -> None:
        """Begin what has to be done again and again."""
        self.started_at = now
        self.deadlines.at(now + SWEEP_INTERVAL, self.sweep)
        self.deadlines.at(now + SECOND, self.look_round)

    def sweep(self, now: float) -> None:
        """Forget what nobody would ask for again."""
        self.router.retained.sweep(now)
        self.admission.sweep(now)
        self.deadlines.at(now + SWEEP_INTERVAL, self.sweep)

    def look_round(self, now: float) -> None:
        """Each second: tell what was dropped, and part with who holds others up."""
        self.deadlines.at(now + SECOND, self.look_round)
        self.ledger.report()
        self.chores.look_at_holders(now)

    def reached(self, limit: str, connection: ServerConnection, detail: str) -> None:
        """A client reached a limit; `limit` is the name of the setting."""
        self.ledger.reached(limit, connection.session.client_id, connection.peer.address, detail)

    def publish(self, message: Message, now: float, finish: Finish | None = None) -> int:
        """Publish a message that does not come from a connection; to how many it goes.

        Where those are very many they get it in slices: then `finish` is called when the last one has it.
        """
        route = self.router.find(message.topic_name)
        if message.retain:
            self.keep(message)
        if not route.is_wide:
            return self.router.publish(message, route, now)
        self.chores.fanouts.append(Fanout(message, route, self.backlog, finish or nobody_waits, NOBODY_ASKS))
        return len(route.targets) + len(route.groups)

    def fan_out(self, message: Message, route: Route, connection: ServerConnection, finish: Finish) -> None:
        """Hand a client's message on in slices; meanwhile the client is not read."""
        connection.pause()
        is_older = not connection.has_properties
        self.chores.fanouts.append(Fanout(message, route, self.backlog, finish, knows_no_refusal=is_older))

    def resume(self, connection: ServerConnection) -> None:
        """Let a connection go on at the end of this turn."""
        self.chores.resumed.append(connection)

    def publish_will(self, session: Session, will: Message, now: float) -> None:
        """Publish a client's will as if the client did it: not to the broker's own topics, and if the hook allows.

        A bridge's will on `$SYS/broker/connection/...` is no reason to keep the bridge out; it goes nowhere.
        """
        if self.router.find(will.topic_name).is_reserved:
            return
        if self.publish_hook is None:
            self.publish(will, now)
            return
        try:
            verdict = self.publish_hook(session, will)
        except Exception as error:
            for observer in self.observers:
                observer.hook_failed(session, error)
            return
        if isawaitable(verdict):
            self.in_background(verdict, self.will_decided)
        else:
            self.will_decided(verdict, now)

    def will_decided(self, verdict: object, now: float) -> None:
        """The hook has looked at a will."""
        if isinstance(verdict, Message):
            self.publish(verdict, now)

    def keep(self, message: Message) -> bool:
        """Retain a message, or delete what is retained; False when there is no room."""
        retained = self.router.retained
        limit = retained.limit_reached(message)
        if limit:
            detail = f"{message!r} is not retained: {retained!r}"
            self.ledger.reached(limit, message.publisher or "", "", detail)
            return False
        retained.keep(message)
        self.store.retained(message.topic_name, message if message.size() else None)
        return True

    def open(self, client_id: str, clean_start: bool, now: float) -> tuple[Session, bool]:
        """The session of a client that connects, and whether it was there before [MQTT-3.1.2-4, -5, -6].

        Another connection with this client id is closed first [MQTT-3.1.4-3]. Raises ProtocolError 0x97 when there
        are too many sessions.
        """
        old = self.sessions.get(client_id)
        if old is not None and old.connection is not None:
            old.connection.close(ReasonCode.SESSION_TAKEN_OVER, "another connection has this client id", now)
            old = self.sessions.get(client_id)
        if old is not None and clean_start:
            self.end(old, now)
            old = None
        if old is not None:
            self.deadlines.cancel(old.deadline)
            return old, True
        if len(self.sessions) >= self.limits.max_sessions:
            raise ProtocolError(
                ReasonCode.QUOTA_EXCEEDED, f"{len(self.sessions)} sessions, which is the limit", limit="max_sessions"
            )
        session = self.new_session(client_id)
        self.sessions[client_id] = session
        return session, False

    def new_session(self, client_id: str) -> Session:
        """A session with nothing in it."""
        limits = self.limits
        return Session(client_id, Sender(self.backlog), Receiver(limits.receive_maximum), limits.queue_qos0)

    def attach(self, session: Session, connection: ServerConnection, window: int, now: float) -> None:
        """A session's client is here: it gets what waited, and its share of what waits for others."""
        session.attach(connection, connection.outbox, window, now)
        for subscription in session.subscriptions.values():
            if subscription.group is not None:
                subscription.group.came_online(now)

    def leave(self, session: Session, said_goodbye: bool, now: float) -> None:
        """A session's connection is over [MQTT-3.14.4-3, MQTT-3.1.2-8, MQTT-3.1.2-23].

        That may happen while a message is handed on, whose publisher answers for nothing that is done here.
        """
        verdict, self.backlog.verdict = self.backlog.verdict, NOBODY_ASKS
        self.backlog.slow.pop(session, None)
        session.detach()
        groups = {subscription.group for subscription in session.subscriptions.values()}
        groups.update(delivery.origin.group for delivery in session.sender.in_flight.values())
        for group in groups:
            if group is not None:
                group.went_offline(session, now)
        if said_goodbye:
            self.wills.cancel(session)
        else:
            self.wills.connection_lost(session, now)
        if session.expiry_interval == 0:
            self.end(session, now)
        elif session.expiry_interval != NEVER:
            session.deadline = self.deadlines.at(now + session.expiry_interval, lambda then: self.end(session, then))
        self.backlog.verdict = verdict

    def forget(self, now: float) -> None:
        """The broker has stopped: nothing of what it kept in memory is left."""
        for session in list(self.sessions.values()):
            self.end(session, now)
        self.chores.clear(now)
        self.router.retained.clear()
        self.chores = Chores(self)
        self.moved_to = None

    def end(self, session: Session, now: float) -> None:
        """Discard a session's state; a will that still waits is published [MQTT-3.1.3-9]."""
        del self.sessions[session.client_id]
        self.deadlines.cancel(session.deadline)
        self.chores.forget(session)
        for name in list(session.subscriptions):
            self.router.unsubscribe(session, name, now)
        for group in {delivery.origin.group for delivery in session.sender.in_flight.values()}:
            if group is not None:
                group.hand_on(session, now)
        lost = session.sender.discard()
        if lost:
            statistics = session.sender.statistics
            statistics.lose()
            statistics.dropped_ended += lost
        self.wills.send(session, now)
        self.store.ended(session)
        for observer in self.observers:
            observer.ended(session)

    def subscribe(self, subscription: Subscription, now: float) -> None:
        """Make a subscription and send what is retained for it [MQTT-3.3.1-9, -10, -11]."""
        session = subscription.session
        subscription.policy = self.backlog.policy_for(subscription.topics)
        is_new = self.router.subscribe(subscription)
        self.store.subscribed(subscription)
        for observer in self.observers:
            observer.subscribed(session, subscription)
        handling = subscription.retain_handling
        wants_retained = handling == SEND_AT_SUBSCRIBE or (handling == SEND_IF_NEW and is_new)
        if wants_retained and not subscription.share:
            self.chores.want(session, Replay(self.router.retained, subscription))

    def unsubscribe(self, session: Session, name: bytes, now: float) -> bool:
        """Take a subscription away; False if there was none."""
        if not self.router.unsubscribe(session, name, now):
            return False
        self.store.unsubscribed(session, name)
        for observer in self.observers:
            observer.unsubscribed(session, name.decode())
        return True


def _no_background(verdict: Awaitable[Any], then: Callable[[Any, float], None]) -> None:
    """Nobody here can wait for a coroutine: whoever runs the core puts its own function in this one's place."""
    raise TypeError("a hook gave a coroutine, and nobody runs this core who could wait for it")
