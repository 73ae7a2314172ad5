"""Shared subscriptions: a group of sessions among which each message goes to one [MQTT-4.8.2]."""

from math import inf

from linnet.core.queue import Room
from linnet.core.session import Session
from linnet.core.subscriptions import Subscription
from linnet.wire.message import Message


def has_full_queue(session: Session) -> bool:
    """Whether another message would have nowhere to wait."""
    waiting = session.sender.waiting
    return waiting is not None and waiting.is_full(0)


class SharedGroup:
    """The members of `$share/NAME/FILTER`, who take turns.

    A member that is online and has room comes first, then one that is online and whose queue has room, then one that is
    online, and only when nobody is online one that is away. What a member leaves behind unacknowledged goes to the
    next, but for QoS 2 that it has begun to receive.
    """

    __slots__ = ("members", "name", "redelivered", "turn")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.members: list[Subscription] = []
        self.turn = 0
        self.redelivered = 0

    def __repr__(self) -> str:
        return f"<SharedGroup {self.name.decode()!r} of {len(self.members)}>"

    def join(self, subscription: Subscription) -> None:
        """A new member, or an old one with new options."""
        self.members = [member for member in self.members if member.session is not subscription.session]
        self.members.append(subscription)

    def leave(self, subscription: Subscription, now: float) -> None:
        """A member goes for good; the others get what it had not acknowledged."""
        self.members.remove(subscription)
        if self.members:
            self.hand_on(subscription.session, now)

    def choose(self) -> Subscription | None:
        """Whose turn it is."""
        members = self.members
        count = len(members)
        busy: Subscription | None = None
        is_busy_full = True
        for step in range(count):
            index = (self.turn + step) % count
            member = members[index]
            session = member.session
            if not session.online:
                continue
            if session.has_room():
                self.turn = index + 1
                return member
            if is_busy_full:
                is_full = has_full_queue(session)
                if busy is None or not is_full:
                    busy, is_busy_full = member, is_full
        if busy is not None:
            self.turn += 1
            return busy
        return members[0] if members else None  # always the same one: what waits stays in order

    def next_member(self) -> Subscription | None:
        """Whose turn it would be, without taking it."""
        turn = self.turn
        member = self.choose()
        self.turn = turn
        return member

    def deliver(self, message: Message, now: float) -> bool:
        """Give a message to one member; False when it is dropped."""
        member = self.choose()
        if member is None:
            return False
        session = member.session
        return session.deliver(message, member, False, now)

    def has_online(self) -> bool:
        """Whether any member is connected."""
        return any(member.session.online for member in self.members)

    def came_online(self, now: float) -> None:
        """A member connected: it may take what waits for members that are away."""
        for member in self.members:
            if not member.session.online:
                self.hand_on(member.session, now)

    def went_offline(self, session: Session, now: float) -> None:
        """The connection of a member, or of one that was, broke: others that are online take over."""
        if self.has_online():
            self.hand_on(session, now)

    def room_beside(self, session: Session) -> Room:
        """How much the other members that are connected can take; any amount, if this one is no member any more."""
        if all(member.session is not session for member in self.members):
            return Room(inf, inf)
        room = Room(0, 0)
        for member in self.members:
            sender = member.session.sender
            if member.session.online and member.session is not session:
                backlog = sender.backlog
                waiting = sender.waiting
                room.messages += max(0, backlog.max_queued_messages - (len(waiting) if waiting is not None else 0))
                room.messages += max(0, min(sender.quota, sender.window - len(sender.in_flight)))
                room.bytes += max(0, backlog.max_queued_bytes - (waiting.bytes if waiting is not None else 0))
        return room

    def hand_on(self, session: Session, now: float) -> None:
        """Deliver to the other members what one of them has not acknowledged, in order, unless it has expired.

        Who stays a member keeps what the others have no room for.
        """
        for delivery in session.sender.withdraw(self, self.room_beside(session)):
            message = delivery.message
            if message is None:
                continue
            if message.expiry >= 0 and message.seconds_left(now) < 0:
                session.sender.statistics.lose()
                session.sender.statistics.dropped_expired += 1
                continue
            self.redelivered += 1
            self.deliver(message, now)
