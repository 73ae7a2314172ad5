"""The topics below `$SYS/broker`, each with the number of an `Overview` that it tells.

Where Mosquitto has a number, the topic is Mosquitto's. `docs/statistics.md` says what each of them means.
"""

from __future__ import annotations

from linnet.core.statistics import DROPS, RECEIVED, SENT
from linnet.wire.header import PacketType

QOS = range(3)
ONLY_RECEIVED = (PacketType.CONNECT, PacketType.SUBSCRIBE, PacketType.UNSUBSCRIBE, PacketType.PINGREQ)
ONLY_SENT = (PacketType.CONNACK, PacketType.SUBACK, PacketType.UNSUBACK, PacketType.PINGRESP)

TOPICS = {
    "acks/count": "traffic.acks",
    "acks/longest": "traffic.ack_longest",
    "acks/mean": "traffic.ack_mean",
    "bytes/received": "traffic.bytes_received",
    "bytes/sent": "traffic.bytes_sent",
    "clients/active": "clients",
    "clients/connected": "clients",
    "clients/disconnected": "clients_away",
    "clients/inactive": "clients_away",
    "clients/maximum": "clients_most",
    "clients/opening": "opening",
    "clients/total": "sessions",
    "connections/accepted": "accepted",
    "connections/refused": "refused",
    "heap/current": "memory",
    "loop/lag": "lag",
    "loop/longest_lag": "lag_longest",
    "messages/inflight": "in_flight",
    "messages/received": "traffic.packets_received",
    "messages/sent": "traffic.packets_sent",
    "messages/stored": "stored_messages",
    "output/bytes": "output_bytes",
    "publish/messages/dropped": "traffic.dropped",
    "publish/messages/received": "traffic.messages_received",
    "publish/messages/refused": "traffic.refused",
    "publish/messages/sent": "traffic.messages_sent",
    "queued/bytes": "queued_bytes",
    "queued/messages": "queued_messages",
    "retained messages/bytes": "retained_bytes",
    "retained messages/count": "retained_messages",
    "routes/count": "routes",
    "store/messages/bytes": "stored_bytes",
    "store/messages/count": "stored_messages",
    "subscriptions/count": "subscriptions",
    "wills/published": "wills_published",
    **{f"messages/dropped/{reason}": f"traffic.dropped_{reason}" for reason in DROPS},
    **{f"messages/received/qos{qos}": f"traffic.publish{qos}_received" for qos in QOS},
    **{f"messages/sent/qos{qos}": f"traffic.publish{qos}_sent" for qos in QOS},
    **{
        f"packets/received/{PacketType(packet).name.lower()}": f"traffic.{name}"
        for packet, name in RECEIVED.items()
        if packet not in ONLY_SENT
    },
    **{
        f"packets/sent/{PacketType(packet).name.lower()}": f"traffic.{name}"
        for packet, name in SENT.items()
        if packet not in ONLY_RECEIVED
    },
    "packets/received/publish": "traffic.messages_received",
    "packets/sent/publish": "traffic.messages_sent",
}

# What is told as an average per minute too, over each of these times in seconds
LOADS = {
    "bytes/received": "traffic.bytes_received",
    "bytes/sent": "traffic.bytes_sent",
    "connections": "traffic.connect",
    "messages/received": "traffic.packets_received",
    "messages/sent": "traffic.packets_sent",
    "publish/dropped": "traffic.dropped",
    "publish/received": "traffic.messages_received",
    "publish/sent": "traffic.messages_sent",
    "sockets": "accepted",
}
SPANS = {"1min": 60.0, "5min": 300.0, "15min": 900.0}
