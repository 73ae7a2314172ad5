"""Arrivals: the messages of QoS 1 and 2 that a client has received and owes an acknowledgement for.

A message is acknowledged when all that hold it have let go: whoever it was handed to has processed it. Acknowledgements
leave in the order of arrival [MQTT-4.6.0-2, MQTT-4.6.0-3], so one that waits keeps those behind it waiting; the server
then sends no more than the Receive Maximum that it was told. One that was given up never goes out, and keeps nobody
waiting: the server still has the message, and sends it again when the session is resumed.

What was not acknowledged when the connection was lost is remembered. When the server sends it again, it is not handed
on a second time, but acknowledged when those that have it already let go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from linnet.core.outbox import Outbox
from linnet.core.receiver import Receiver
from linnet.wire.message import packet_id_bytes

# How the acknowledgements begin, without and with a reason code
PUBACK_START = b"\x40\x02"
PUBACK_REASON_START = b"\x40\x03"
PUBREC_START = b"\x50\x02"
PUBREC_REASON_START = b"\x50\x03"
FIRST_ERROR = 0x80


class Arrival:
    """One message that came in with QoS 1 or 2, until it is acknowledged."""

    __slots__ = ("arrivals", "holders", "is_given_up", "packet_id", "qos", "reason_code")

    def __init__(self, arrivals: Arrivals, packet_id: int, qos: int) -> None:
        self.arrivals: Arrivals | None = arrivals  # None when nobody waits for the acknowledgement any more
        self.packet_id = packet_id
        self.qos = qos
        self.holders = 1  # how many have to let go; one of them is whoever hands it out
        self.reason_code = 0
        self.is_given_up = False

    def __repr__(self) -> str:
        state = "given up" if self.is_given_up else f"held by {self.holders}"
        return f"<Arrival {self.packet_id} QoS {self.qos}, {state}>"

    def hold(self) -> None:
        """One more has it, and will let go."""
        self.holders += 1

    def done(self) -> None:
        """One of those that have it lets go: it was processed."""
        self.holders -= 1
        if self.holders == 0 and self.arrivals is not None:
            self.arrivals.advance()

    def reject(self, reason_code: int) -> None:
        """One of those that have it lets go, and the server is told that it was not processed."""
        self.reason_code = self.reason_code or reason_code
        self.done()

    def give_up(self) -> None:
        """It was not processed, and is not acknowledged on this connection."""
        self.holders -= 1
        if not self.is_given_up:
            self.is_given_up = True
            if self.arrivals is not None:
                self.arrivals.pass_over(self)


class Arrivals:
    """What one client has received and not acknowledged yet."""

    __slots__ = (
        "begin",
        "given_up",
        "has_properties",
        "is_crowded",
        "maximum",
        "on_crowd",
        "on_receive",
        "on_release",
        "outbox",
        "outstanding",
        "pending",
        "receiver",
        "unacknowledged",
    )

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum  # our Receive Maximum
        self.pending: deque[Arrival] = deque()  # in the order of arrival
        self.given_up: dict[int, Arrival] = {}  # by packet identifier
        self.unacknowledged: dict[int, Arrival] = {}  # of connections before this one
        self.receiver = Receiver(maximum)  # of QoS 2
        self.is_crowded = False  # more wait to be processed than should
        self.on_crowd: Callable[[bool], None] = _nobody  # told when that begins and ends
        self.on_receive: Callable[[int], None] = _nobody  # told when PUBREC goes out: a repetition is not to be taken
        self.on_release: Callable[[int], None] = _nobody  # told when an identifier of QoS 2 is done with
        self.outstanding = 0  # how many the server counts against our Receive Maximum
        self.outbox: Outbox | None = None
        self.has_properties = False
        self.begin: Callable[[], float] = _no_turn  # enters a turn, at whose end the outbox is written

    def __repr__(self) -> str:
        return f"<Arrivals {len(self.pending)} pending, {len(self.given_up)} given up, {self.outstanding} outstanding>"

    def attach(self, outbox: Outbox, has_properties: bool, begin: Callable[[], float]) -> None:
        """A connection is there: what comes from now on is acknowledged on it."""
        self.outbox = outbox
        self.has_properties = has_properties
        self.begin = begin
        self.outstanding = 0

    def detach(self) -> None:
        """The connection is gone, and with it everybody's chance to acknowledge; remember what was not."""
        self.outbox = None
        for arrival in (*self.given_up.values(), *self.pending):
            self.unacknowledged[arrival.packet_id] = arrival
        self.pending.clear()
        self.given_up.clear()
        self.outstanding = 0
        if self.is_crowded:
            self.is_crowded = False
            self.on_crowd(False)

    def forget(self) -> None:
        """The server has forgotten the session: nothing that came before will be asked for."""
        for arrival in (*self.unacknowledged.values(), *self.given_up.values(), *self.pending):
            arrival.arrivals = None
        self.unacknowledged.clear()
        self.given_up.clear()
        self.pending.clear()

    def add(self, packet_id: int, qos: int) -> Arrival:
        """A message came in.

        Widely used servers exceed the Receive Maximum that they were told [MQTT-3.3.4-7], and those of 3.1.1 know
        none. To end the connection would bring the same again; so above it nothing is read until there is room.
        """
        self.outstanding += 1
        arrival = Arrival(self, packet_id, qos)
        self.pending.append(arrival)
        if len(self.pending) > self.maximum and not self.is_crowded:
            self.is_crowded = True
            self.on_crowd(True)
        return arrival

    def resume(self, arrival: Arrival) -> None:
        """A message is sent again that somebody still has: it will be acknowledged on this connection."""
        self.outstanding += 1
        self.pending.append(arrival)
        self.advance()

    def is_waiting(self, packet_id: int) -> bool:
        """Whether an acknowledgement is yet to be sent on this connection, or not at all."""
        return packet_id in self.given_up or any(arrival.packet_id == packet_id for arrival in self.pending)

    def advance(self) -> None:
        """Send the acknowledgements that may be sent."""
        pending = self.pending
        if self.outbox is None:
            return
        while pending and pending[0].holders <= 0:
            self.acknowledge(pending.popleft())
        if self.is_crowded and len(pending) <= self.maximum // 2:
            self.is_crowded = False
            self.on_crowd(False)

    def acknowledge(self, arrival: Arrival) -> None:
        """Send one acknowledgement."""
        outbox = self.outbox
        assert outbox is not None
        self.begin()
        statistics = outbox.statistics
        reason_code = arrival.reason_code if self.has_properties else 0
        is_last = arrival.qos == 1 or reason_code >= FIRST_ERROR
        if arrival.qos == 1:
            statistics.puback_sent += 1
            outbox.put(PUBACK_REASON_START if reason_code else PUBACK_START)
        else:
            statistics.pubrec_sent += 1
            outbox.put(PUBREC_REASON_START if reason_code else PUBREC_START)
            if is_last:
                self.receiver.release(arrival.packet_id)  # what comes next with it is a new message [MQTT-4.3.3-9]
                self.on_release(arrival.packet_id)
            else:
                self.on_receive(arrival.packet_id)
        outbox.put(packet_id_bytes(arrival.packet_id))
        if reason_code:
            outbox.put(bytes((reason_code,)))
        if is_last:
            self.ended()

    def repeat(self, packet_id: int) -> None:
        """Send a PUBREC again, in its turn, for the server has not seen the one before [MQTT-4.3.3-10]."""
        arrival = Arrival(self, packet_id, 2)
        arrival.holders = 0
        self.resume(arrival)

    def ended(self) -> None:
        """An exchange is over: the server may send one more."""
        if self.outstanding > 0:
            self.outstanding -= 1

    def pass_over(self, arrival: Arrival) -> None:
        """Let those behind an arrival that was given up go."""
        try:
            self.pending.remove(arrival)
        except ValueError:
            return  # of a connection that is gone
        self.given_up[arrival.packet_id] = arrival
        self.advance()


def _nobody(about: int) -> None:
    """Nobody wants to know."""


def _no_turn() -> float:
    """There is no connection, so there are no turns."""
    return 0.0
