"""Restoring: what an earlier program has left in the store becomes what this one has in flight and queued."""

from __future__ import annotations

from linnet.client.publication import RECEIVED, SENT, Publication
from linnet.client.publishing import Publisher
from linnet.client.store import Kept, Saved
from linnet.core.sender import Delivery, new_delivery
from linnet.wire.header import PacketType


def restore(publisher: Publisher, saved: Saved) -> list[Publication]:
    """Go on with what is not done with, in the order it was handed over. A message keeps its packet identifier."""
    sender = publisher.sender
    publisher.last_key = saved.last_key
    publications = []
    for kept in saved.messages:
        publication = Publication(publisher, kept.message)
        publication.key = kept.key
        publication.was_sent = kept.packet_id > 0
        publications.append(publication)
        delivery = new_delivery(kept.message, kept.qos, kept.message.retain, b"", publication)
        if kept.packet_id:
            put_in_flight(publisher, delivery, kept)
        else:
            sender.enqueue(delivery)
    for kept in saved.released:
        sender.released[kept.packet_id] = sender.in_flight[kept.packet_id]
    return publications


def put_in_flight(publisher: Publisher, delivery: Delivery, kept: Kept) -> None:
    """A message that was sent: it awaits what it awaited when the program ended."""
    sender = publisher.sender
    delivery.origin.state = RECEIVED if kept.is_released else SENT
    delivery.packet_id = sender.last_id = kept.packet_id
    delivery.awaits = PacketType.PUBACK if kept.qos == 1 else PacketType.PUBREC
    if kept.is_released:
        delivery.awaits = PacketType.PUBCOMP
        delivery.message = None
    sender.in_flight[kept.packet_id] = delivery
    sender.backlog.in_flight += 1
