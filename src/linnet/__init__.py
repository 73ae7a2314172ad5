"""linnet: an MQTT 3.1, 3.1.1 and 5.0 broker, to be run or to be embedded, and a client.

What is named here is public, and nothing else is. (PYTEST_DONT_REWRITE: the plugin is loaded before tests are.)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from linnet.core.overview import Overview
from linnet.core.ports import Exchange, Hooks, Observer, Peer, Step
from linnet.core.statistics import Statistics
from linnet.describe import describe
from linnet.errors import LinnetError, MalformedPacket, NotSupported, ProtocolError, ReasonCode, SettingsError
from linnet.local import LocalSubscription
from linnet.release import VERSION
from linnet.server import Broker, Live, live, stop_all
from linnet.settings import Settings
from linnet.wire import frames
from linnet.wire.connect import Will
from linnet.wire.message import Message as ApplicationMessage
from linnet.wire.properties import Properties
from linnet.wire.version import V3_1, V3_1_1, V5, Version

if TYPE_CHECKING:
    from linnet.client.address import AddressError
    from linnet.client.client import Client
    from linnet.client.codecs import JSON, RAW, TEXT, Codec, DecodeError, EncodeError, codec_of
    from linnet.client.dialling import ConnectFailed
    from linnet.client.disk import DiskStore
    from linnet.client.errors import (
        Closed,
        ConnectionLost,
        ConnectRejected,
        Kept,
        NotDelivered,
        PublishRejected,
        QueueFull,
        RequestTimeout,
        SubscribeRejected,
    )
    from linnet.client.events import Connected, Disconnected, Dropped, Event, Moved, SessionLost
    from linnet.client.message import Message
    from linnet.client.options import FOR_EVER, Authenticator, Offline, Reconnect
    from linnet.client.patterns import Pattern, PatternError
    from linnet.client.publication import Publication
    from linnet.client.routes import RouteError
    from linnet.client.store import ClientStore, StoreError
    from linnet.client.subscription import Subscription
    from linnet.client.tls import make_tls
    from linnet.sync import publish, receive

__version__ = VERSION

compiled: bool = not (frames.__file__ or "").endswith(".py")
"""Whether the hot path runs as compiled code; the same source runs interpreted otherwise."""

# Where the client's names are found. They are imported when first used, for a broker needs none of them.
CLIENT = {
    "address": "AddressError",
    "client": "Client",
    "codecs": "JSON RAW TEXT Codec DecodeError EncodeError codec_of",
    "dialling": "ConnectFailed",
    "disk": "DiskStore",
    "errors": """Closed ConnectRejected ConnectionLost Kept NotDelivered PublishRejected QueueFull RequestTimeout
        SubscribeRejected""",
    "events": "Connected Disconnected Dropped Event Moved SessionLost",
    "message": "Message",
    "options": "FOR_EVER Authenticator Offline Reconnect",
    "patterns": "Pattern PatternError",
    "publication": "Publication",
    "routes": "RouteError",
    "store": "ClientStore StoreError",
    "subscription": "Subscription",
    "tls": "make_tls",
}
LATER = {name: f"linnet.client.{module}" for module, names in CLIENT.items() for name in names.split()}
LATER |= {"publish": "linnet.sync", "receive": "linnet.sync"}


def __getattr__(name: str) -> Any:
    if name not in LATER:
        raise AttributeError(f"module 'linnet' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(LATER[name]), name)
    return value


__all__ = [
    "FOR_EVER",
    "JSON",
    "RAW",
    "TEXT",
    "V3_1",
    "V3_1_1",
    "V5",
    "AddressError",
    "ApplicationMessage",
    "Authenticator",
    "Broker",
    "Client",
    "ClientStore",
    "Closed",
    "Codec",
    "ConnectFailed",
    "ConnectRejected",
    "Connected",
    "ConnectionLost",
    "DecodeError",
    "Disconnected",
    "DiskStore",
    "Dropped",
    "EncodeError",
    "Event",
    "Exchange",
    "Hooks",
    "Kept",
    "LinnetError",
    "Live",
    "LocalSubscription",
    "MalformedPacket",
    "Message",
    "Moved",
    "NotDelivered",
    "NotSupported",
    "Observer",
    "Offline",
    "Overview",
    "Pattern",
    "PatternError",
    "Peer",
    "Properties",
    "ProtocolError",
    "Publication",
    "PublishRejected",
    "QueueFull",
    "ReasonCode",
    "Reconnect",
    "RequestTimeout",
    "RouteError",
    "SessionLost",
    "Settings",
    "SettingsError",
    "Statistics",
    "Step",
    "StoreError",
    "SubscribeRejected",
    "Subscription",
    "Version",
    "Will",
    "__version__",
    "codec_of",
    "compiled",
    "describe",
    "live",
    "make_tls",
    "publish",
    "receive",
    "stop_all",
]
