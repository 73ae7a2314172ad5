"""The blocking client: the same client for programs that have threads and no event loop.

Here lives what stands between a program's threads and one hidden thread with an event loop, on which the clients of
`linnet.client` run. Nothing of MQTT is decided here, and no function of a program is called on the hidden thread:
whatever a program waits for, it waits for in its own thread, and Ctrl-C and a time-out end every wait. What is shared
with the hidden thread is changed by single operations of the interpreter, not under locks, so a signal handler may
call a client too.
"""

from linnet.sync.client import Client
from linnet.sync.one_shots import publish, receive
from linnet.sync.publication import Publication
from linnet.sync.subscription import Subscription

__all__ = ["Client", "Publication", "Subscription", "publish", "receive"]
