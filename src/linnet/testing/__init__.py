"""A broker in the test process, for the tests of programs that speak MQTT, with whichever client.

Here live the two faces of that broker (`Broker` for coroutines, `BlockingBroker` for everything else), what stands
between it and its clients to drop, delay, duplicate and record packets, a clock that a test puts forward, and the
plugin for pytest. What a broker does without a test has no place here, and nothing else of linnet may import this room.
"""

from linnet.testing.blocking import BlockingBroker
from linnet.testing.broker import Broker
from linnet.testing.clock import FakeClock
from linnet.testing.faults import Fault
from linnet.testing.record import NotSeen, Packets, Seen

__all__ = ["BlockingBroker", "Broker", "FakeClock", "Fault", "NotSeen", "Packets", "Seen"]
