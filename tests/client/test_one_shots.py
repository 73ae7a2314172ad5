"""`linnet.publish` and `linnet.receive`: one message, and no client to look after."""

from collections.abc import Iterator
from threading import enumerate as threads

import pytest

import linnet
from linnet.client.errors import ConnectRejected, PublishRejected, SubscribeRejected
from linnet.sync import Client
from linnet.testing import BlockingBroker


@pytest.fixture
def broker() -> Iterator[BlockingBroker]:
    """A broker on a thread of its own; when it stops, no one-shot may have left a thread."""
    with BlockingBroker() as broker:
        yield broker
    assert [thread for thread in threads() if thread.name.startswith("linnet")] == []


def test_a_message_goes_out_and_comes_in(broker: BlockingBroker) -> None:
    code = linnet.publish(
        broker.url,
        "home/temp",
        21.5,
        qos=1,
        retain=True,
        codec=linnet.JSON,
        user_properties=[("a", "b")],
        client_id="ann",
        timeout=10,
    )
    assert code == linnet.ReasonCode.NO_MATCHING_SUBSCRIBERS
    broker.wait_for("DISCONNECT", by="ann")
    message = linnet.receive(broker.url, "home/+", codec=linnet.JSON, client_id="bob")
    assert (message.topic, message.value, message.retain) == ("home/temp", 21.5, True)
    assert message.properties.user_properties == [("a", "b")]
    broker.wait_for("DISCONNECT", by="bob")


def test_several_messages_are_a_list(broker: BlockingBroker) -> None:
    for number in range(3):
        linnet.publish(broker.url, f"kept/{number}", str(number), retain=True)
    messages = linnet.receive(broker.url, "kept/0", "kept/1", "kept/2", count=3, qos=1)
    assert isinstance(messages, list)
    assert sorted(message.payload for message in messages) == [b"0", b"1", b"2"]


def test_no_more_is_taken_from_a_session_than_was_asked_for(broker: BlockingBroker) -> None:
    with Client(broker.url, client_id="bob", session_expiry=1000) as bob, bob.subscribe("jobs", qos=1, keep=True):
        pass
    for number in range(3):
        broker.publish("jobs", str(number), qos=1)
    for number in range(3):
        job = linnet.receive(
            broker.url, "jobs", qos=1, client_id="bob", clean_start=False, session_expiry=1000, retain_handling=2
        )
        assert job.payload == b"%d" % number


def test_a_wait_that_fails_takes_nothing(broker: BlockingBroker) -> None:
    broker.publish("kept", "1", retain=True, qos=1)
    with pytest.raises(TimeoutError):
        linnet.receive(broker.url, "kept", count=2, qos=1, timeout=0.1)
    broker.wait_for("CLOSED")
    with pytest.raises(ValueError, match="count is 1 to 65535"):
        linnet.receive(broker.url, "kept", count=0)
    assert "PUBACK" not in [seen.name for seen in broker.packets if seen.direction == "in"]


def test_whatever_goes_wrong_is_raised(broker: BlockingBroker) -> None:
    with broker.deny("secret"):
        with pytest.raises(PublishRejected):
            linnet.publish(broker.url, "secret", qos=1)
        with pytest.raises(SubscribeRejected):
            linnet.receive(broker.url, "secret")
    with broker.refuse(count=2):
        with pytest.raises(ConnectRejected):
            linnet.publish(broker.url, "a")
        with pytest.raises(ConnectRejected):
            linnet.receive(broker.url, "a")
    with broker.drop("CONNACK"), pytest.raises(TimeoutError):
        linnet.publish(broker.url, "a", timeout=0.01)
    with broker.drop("PUBACK"), pytest.raises(TimeoutError):
        linnet.publish(broker.url, "a", qos=1, timeout=0.1)
    with pytest.raises(TypeError):
        linnet.publish(broker.url, "a", colour="blue")  # type: ignore[call-arg]
    broker.stop()
    with pytest.raises(linnet.ConnectFailed):
        linnet.publish(f"mqtt://127.0.0.1:{broker.port}", "a")
    broker.start()
