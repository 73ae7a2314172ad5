"""Wills: what is published for a client that went without saying goodbye [MQTT-3.1.2-8]."""

from collections.abc import Callable

from linnet.core.deadlines import Deadlines
from linnet.core.session import Session
from linnet.wire.connect import Will
from linnet.wire.message import Message

Publisher = Callable[[Session, Message, float], object]


class Wills:
    """Publishes wills at once, after their delay, or never."""

    __slots__ = ("deadlines", "publish", "published")

    def __init__(self, deadlines: Deadlines, publish: Publisher) -> None:
        self.deadlines = deadlines
        self.publish = publish
        self.published = 0

    def __repr__(self) -> str:
        return f"<Wills {self.published} published>"

    def set(self, session: Session, will: Will | None) -> None:
        """A client connected: its will is the one of this CONNECT, or none."""
        self.deadlines.cancel(session.will_deadline)
        session.will_deadline = None
        session.will = None
        if will is None:
            return
        properties = will.properties
        session.will_delay = properties.will_delay_interval or 0
        message = Message(will.topic, will.payload, will.qos, will.retain)
        properties.will_delay_interval = None  # not forwarded
        message.take_properties(properties)
        message.publisher = session.client_id
        session.will = message

    def cancel(self, session: Session) -> None:
        """A client said goodbye [MQTT-3.14.4-3], or came back in time [MQTT-3.1.3-9]."""
        self.deadlines.cancel(session.will_deadline)
        session.will_deadline = None
        session.will = None

    def connection_lost(self, session: Session, now: float) -> None:
        """A connection broke: the will goes out after its delay or when the session ends, whichever comes first."""
        if session.will is None:
            return
        delay = min(session.will_delay, session.expiry_interval)
        if delay == 0:
            self.send(session, now)
        else:
            session.will_deadline = self.deadlines.at(now + delay, lambda then: self.send(session, then))

    def send(self, session: Session, now: float) -> None:
        """Publish a session's will, if it still has one."""
        will = session.will
        self.cancel(session)
        if will is not None:
            will.received_at = now
            self.published += 1
            self.publish(session, will, now)
