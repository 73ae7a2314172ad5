"""Wills: at once, after their delay, or never; and the time is in the test's hands."""

from __future__ import annotations

from typing import Any

import pytest

from linnet.core.ports import Hooks
from linnet.core.session import Session
from linnet.errors import ReasonCode
from linnet.wire import Message, Properties, Pubrec, Will
from tests.pair import FOR_EVER, Client, World


def watched(**settings: Any) -> tuple[World, Client]:
    """A world, and somebody in it who hears of every will."""
    world = World(**settings)
    watcher = world.client("watcher")
    watcher.subscribe("will/#", 2)
    return world, watcher


def will(delay: int | None = None, topic: str = "will/ann", payload: bytes = b"gone", **properties: Any) -> Will:
    return Will(topic, payload, properties=Properties(will_delay_interval=delay, **properties))


def test_a_broken_connection_sends_it_at_once() -> None:
    world, watcher = watched()
    world.client("ann", will=will()).cut()
    world.settle()
    assert watcher.payloads == [b"gone"]


def test_a_goodbye_withdraws_it() -> None:
    world, watcher = watched()
    ann = world.client("ann", will=will(), expiry=FOR_EVER)
    ann.disconnect()
    ann.connect(clean_start=False)
    world.settle()
    ann.cut()
    world.settle()
    assert watcher.got == []


def test_a_goodbye_with_the_will_sends_it() -> None:
    world, watcher = watched()
    world.client("ann", will=will()).disconnect(ReasonCode.DISCONNECT_WITH_WILL)
    assert watcher.payloads == [b"gone"]


def test_silence_beyond_the_keep_alive_sends_it() -> None:
    world, watcher = watched()
    ann = world.client("ann", will=will(), keep_alive=10)
    world.advance(14.9)
    assert ann.is_open and watcher.got == []
    world.advance(0.2)
    assert not ann.is_open and watcher.payloads == [b"gone"]


def test_a_protocol_error_sends_it() -> None:
    world, watcher = watched()
    world.client("ann", will=will()).send(Pubrec(0x1234, 0).encode(watcher.version)[:1] + b"\x00")
    world.settle()
    assert watcher.payloads == [b"gone"]


@pytest.mark.parametrize(("delay", "expiry", "sent_after"), [(5, 20, 5), (20, 5, 5), (5, 0, 0), (5, FOR_EVER, 5)])
def test_it_waits_for_its_delay_or_the_session_s_end_whichever_is_first(
    delay: int, expiry: int, sent_after: int
) -> None:
    world, watcher = watched()
    world.client("ann", will=will(delay), expiry=expiry).cut()
    world.settle()
    if sent_after:
        world.advance(sent_after - 0.1)
        assert watcher.got == []
        world.advance(0.1)
    assert watcher.payloads == [b"gone"]
    world.advance(1000)
    assert len(watcher.got) == 1


def test_coming_back_within_the_delay_withdraws_it() -> None:
    world, watcher = watched()
    ann = world.client("ann", will=will(5), expiry=100)
    ann.cut()
    world.advance(4)
    ann.connect(clean_start=False, expiry=100)
    world.settle()
    world.advance(200)
    assert watcher.got == []


def test_coming_back_with_a_clean_start_sends_it() -> None:
    world, watcher = watched()
    ann = world.client("ann", will=will(5), expiry=100)
    ann.cut()
    ann.connect(clean_start=True)
    world.settle()
    assert watcher.payloads == [b"gone"]


def test_a_take_over_sends_it_unless_the_session_goes_on_and_there_is_a_delay() -> None:
    for delay, is_clean, sent in ((None, False, 1), (5, False, 0), (5, True, 1)):
        world, watcher = watched()
        world.client("ann", will=will(delay), expiry=100)
        world.client("ann", clean_start=is_clean, expiry=100)
        assert len(watcher.got) == sent, (delay, is_clean)


def test_the_next_connection_s_will_takes_the_place_of_the_last_one_s() -> None:
    world, watcher = watched()
    ann = world.client("ann", will=will(payload=b"first"), expiry=100)
    ann.disconnect()
    ann.connect(clean_start=False, expiry=100, will=will(payload=b"second"))
    world.settle()
    ann.cut()
    world.settle()
    assert watcher.payloads == [b"second"]


def test_it_goes_on_with_its_properties_but_not_with_its_delay() -> None:
    world, watcher = watched()
    pairs = [("a", "1"), ("a", "2")]
    one = will(5, message_expiry_interval=9, content_type="t", user_properties=pairs, response_topic="r")
    world.client("ann", will=one, expiry=100).cut()
    world.advance(5)
    properties = watcher.got[0].properties
    assert (properties.content_type, properties.response_topic, properties.user_properties) == ("t", "r", pairs)
    assert (properties.message_expiry_interval, properties.will_delay_interval) == (9, None)


def test_a_retained_will_is_retained() -> None:
    world, _ = watched()
    world.client("ann", will=Will("will/ann", b"gone", retain=True)).cut()
    late = world.client("late")
    late.subscribe("will/ann")
    assert late.payloads == [b"gone"]


def test_its_client_does_not_get_it_under_no_local() -> None:
    world, _ = watched()
    ann = world.client("ann", will=will(5), expiry=100)
    ann.subscribe("will/#", no_local=True)
    ann.cut()
    world.advance(6)
    ann.connect(clean_start=False)
    world.settle()
    assert ann.got == []


@pytest.mark.parametrize("topic", ["will/" + "x" * 100, "will" + "/x" * 20, "will/+", "will/#", "will"[:0]])
def test_a_client_with_a_will_that_could_never_be_sent_is_refused(topic: str) -> None:
    world, _ = watched(max_topic_bytes=60, max_topic_levels=10)
    whole = b"\x10\x00\x04MQTT\x05\x06\x00\x00\x00\x00\x03ann\x00" + len(topic).to_bytes(2, "big") + topic.encode()
    ann = Client(world, "ann")
    ann.open()
    body = whole[1:] + b"\x00\x01x"
    ann.send(
        whole[:1]
        + bytes([len(body) % 128 | (128 if len(body) > 127 else 0)])
        + bytes([len(body) // 128] * (len(body) > 127))
        + body
    )
    world.settle()
    assert not ann.is_open
    assert "ann" not in world.sessions
    assert ann.connack is None or ann.connack.reason_code >= 0x80


def test_it_does_not_go_to_the_broker_s_own_topics() -> None:
    world, watcher = watched()
    watcher.subscribe("$SYS/#", 1)
    world.client("ann", will=will(topic="$SYS/broker/version")).cut()
    world.settle()
    assert watcher.got == []


class Refusing(Hooks):
    """Lets nobody publish to `will/secret`."""

    def publishing(self, session: Session, message: Message) -> Message | ReasonCode:
        return ReasonCode.NOT_AUTHORIZED if message.topic == "will/secret" else message


def test_the_hook_is_asked_as_for_any_message() -> None:
    world, watcher = watched(hooks=Refusing())
    world.client("ann", will=will(topic="will/secret")).cut()
    world.client("bob", will=will(topic="will/bob")).cut()
    world.settle()
    assert [one.topic for one in watcher.got] == ["will/bob"]


def test_how_many_went_out_is_counted() -> None:
    world, _ = watched()
    world.client("ann", will=will()).cut()
    assert repr(world.core.wills) == "<Wills 1 published>"
