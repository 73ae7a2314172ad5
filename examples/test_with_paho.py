"""A paho-mqtt program and its tests, each with a broker of its own that does what the test wants to go wrong.

Needs pytest and paho-mqtt; the fixture `mqtt_broker` comes with linnet. Run as a program, it calls pytest itself.
"""

import sys
from collections.abc import Iterator

import paho.mqtt.client as mqtt
import pytest

from linnet import ReasonCode
from linnet.testing import BlockingBroker


class Lamp:
    """The program under test: obeys `lamp/set`, and tells on `lamp/state`, retained, what it does."""

    def __init__(self, host: str, port: int) -> None:
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "lamp")
        self.client.reconnect_delay_set(0.01, 0.1)
        self.client.on_connect = lambda client, *_: client.subscribe("lamp/set", qos=1)
        self.client.on_message = self.obey
        self.client.connect_async(host, port)
        self.client.loop_start()

    def obey(self, client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        if message.payload in (b"on", b"off"):
            client.publish("lamp/state", message.payload, qos=1, retain=True)

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def lamp(mqtt_broker: BlockingBroker) -> Iterator[Lamp]:
    lamp = Lamp(mqtt_broker.host, mqtt_broker.port)
    mqtt_broker.wait_for("SUBSCRIBE", by="lamp")  # wait for what happens, never for some time to pass
    yield lamp
    lamp.stop()


def test_it_obeys(mqtt_broker: BlockingBroker, lamp: Lamp) -> None:
    for wish in ("nonsense", "on"):
        mqtt_broker.publish("lamp/set", wish, qos=1)
    assert mqtt_broker.wait_for_message("lamp/state", by="lamp").payload == b"on"
    assert mqtt_broker.retained["lamp/state"].payload == b"on"


def test_it_comes_back_when_it_is_cut_off(mqtt_broker: BlockingBroker, lamp: Lamp) -> None:
    mqtt_broker.cut("lamp")
    mqtt_broker.wait_for("SUBSCRIBE", by="lamp")  # its second one
    mqtt_broker.publish("lamp/set", "off")
    mqtt_broker.wait_for_message("lamp/state", "off")


def test_it_comes_back_when_the_broker_has_forgotten_everything(mqtt_broker: BlockingBroker, lamp: Lamp) -> None:
    mqtt_broker.restart(sessions=False)
    mqtt_broker.wait_for("SUBSCRIBE", by="lamp")
    assert mqtt_broker.clients == ["lamp"]


def test_it_tells_its_state_again_when_nobody_acknowledged_it(mqtt_broker: BlockingBroker, lamp: Lamp) -> None:
    mqtt_broker.drop("PUBACK", to="lamp", count=1)
    mqtt_broker.publish("lamp/set", "on", qos=1)
    mqtt_broker.wait_for_message("lamp/state", "on")
    mqtt_broker.cut("lamp")
    assert mqtt_broker.wait_for_message("lamp/state", "on").packet.dup
    mqtt_broker.wait_for("PUBACK", to="lamp", where=lambda seen: seen.fate == "passed")


def test_it_knocks_until_it_is_let_in(mqtt_broker: BlockingBroker) -> None:
    mqtt_broker.refuse(2, ReasonCode.SERVER_UNAVAILABLE)
    lamp = Lamp(mqtt_broker.host, mqtt_broker.port)
    mqtt_broker.wait_for("SUBSCRIBE", by="lamp")
    assert [seen.fate for seen in mqtt_broker.packets.select("CONNECT")] == ["refused", "refused", "passed"]
    lamp.stop()


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-v", "-p", "no:cacheprovider"]))
