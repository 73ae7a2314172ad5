"""linnet: an MQTT 3.1, 3.1.1 and 5.0 broker, to be run or to be embedded, and a client.

What is named here is public, and nothing else is. (PYTEST_DONT_REWRITE: the plugin is loaded before tests are.)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from linnet.describe import describe
from linnet.release import VERSION
from linnet.wire import frames

if TYPE_CHECKING:
    from linnet.client.address import AddressError
    from linnet.client.client import Client
    from linnet.client.codecs import AUTO, JSON, RAW, TEXT, Codec, DecodeError, EncodeError, codec_of
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
    from linnet.core.overview import Overview
    from linnet.core.ports import Exchange, Hooks, Observer, Peer, Step
    from linnet.core.statistics import Statistics
    from linnet.errors import LinnetError, MalformedPacket, NotSupported, ProtocolError, ReasonCode, SettingsError
    from linnet.local import LocalSubscription
    from linnet.server import Broker, Live, live, stop_all
    from linnet.settings import Settings
    from linnet.sync import publish, receive
    from linnet.wire.connect import Will
    from linnet.wire.message import Message as ApplicationMessage
    from linnet.wire.properties import Properties
    from linnet.wire.version import V3_1, V3_1_1, V5, Version

__version__ = VERSION

compiled: bool = not (frames.__file__ or "").endswith(".py")
"""Whether the hot path runs as compiled code; the same source runs interpreted otherwise."""

# Where the public names are found. They are imported when first used: a broker needs no client, and a client no broker.
PUBLIC = {
    "client.address": "AddressError",
    "client.client": "Client",
    "client.codecs": "AUTO JSON RAW TEXT Codec DecodeError EncodeError codec_of",
    "client.dialling": "ConnectFailed",
    "client.disk": "DiskStore",
    "client.errors": """Closed ConnectRejected ConnectionLost Kept NotDelivered PublishRejected QueueFull
        RequestTimeout SubscribeRejected""",
    "client.events": "Connected Disconnected Dropped Event Moved SessionLost",
    "client.message": "Message",
    "client.options": "FOR_EVER Authenticator Offline Reconnect",
    "client.patterns": "Pattern PatternError",
    "client.publication": "Publication",
    "client.routes": "RouteError",
    "client.store": "ClientStore StoreError",
    "client.subscription": "Subscription",
    "client.tls": "make_tls",
    "core.overview": "Overview",
    "core.ports": "Exchange Hooks Observer Peer Step",
    "core.statistics": "Statistics",
    "errors": "LinnetError MalformedPacket NotSupported ProtocolError ReasonCode SettingsError",
    "local": "LocalSubscription",
    "server": "Broker Live live stop_all",
    "settings": "Settings",
    "sync": "publish receive",
    "wire.connect": "Will",
    "wire.properties": "Properties",
    "wire.version": "V3_1 V3_1_1 V5 Version",
}
LATER = {name: (module, name) for module, names in PUBLIC.items() for name in names.split()}
LATER["ApplicationMessage"] = ("wire.message", "Message")


def __getattr__(name: str) -> Any:
    if name == "sync":
        return import_module("linnet.sync")
    if name not in LATER:
        raise AttributeError(f"module 'linnet' has no attribute {name!r}")
    module, known = LATER[name]
    value = globals()[name] = getattr(import_module(f"linnet.{module}"), known)
    return value


__all__ = [
    "AUTO",
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
