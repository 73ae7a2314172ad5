"""linnet: an MQTT 3.1, 3.1.1 and 5.0 broker, to be run or to be embedded.

What is named here is public, and nothing else is.
"""

from linnet.core.overview import Overview
from linnet.core.ports import Exchange, Hooks, Observer, Peer, Step
from linnet.core.statistics import Statistics
from linnet.describe import describe
from linnet.errors import LinnetError, MalformedPacket, ProtocolError, ReasonCode, SettingsError
from linnet.local import LocalSubscription
from linnet.release import VERSION
from linnet.server import Broker, Live, live, stop_all
from linnet.settings import Settings
from linnet.wire import frames
from linnet.wire.properties import Properties
from linnet.wire.publish import Message
from linnet.wire.version import V3_1, V3_1_1, V5, Version

__version__ = VERSION

compiled: bool = not (frames.__file__ or "").endswith(".py")
"""Whether the hot path runs as compiled code; the same source runs interpreted otherwise."""

__all__ = [
    "V3_1",
    "V3_1_1",
    "V5",
    "Broker",
    "Exchange",
    "Hooks",
    "LinnetError",
    "Live",
    "LocalSubscription",
    "MalformedPacket",
    "Message",
    "Observer",
    "Overview",
    "Peer",
    "Properties",
    "ProtocolError",
    "ReasonCode",
    "Settings",
    "SettingsError",
    "Statistics",
    "Step",
    "Version",
    "__version__",
    "compiled",
    "describe",
    "live",
    "stop_all",
]
