"""paho-mqtt, in one thread: the documented `loop()`, which costs less than a thread of its own beside the publisher."""

from meter import PAYLOAD, TOPIC, WINDOW, Meter, Task, say, task
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

PATIENCE = 10.0  # seconds that `loop()` waits for the network, at most


class Counting:
    """A connected client that counts what came and what was acknowledged."""

    def __init__(self, given: Task) -> None:
        self.messages = self.acknowledged = 0
        self.window = 1 if given.is_single else WINDOW
        self.is_connected = self.is_subscribed = False
        version = MQTTProtocolVersion.MQTTv5 if given.is_v5 else MQTTProtocolVersion.MQTTv311
        self.client = paho.Client(CallbackAPIVersion.VERSION2, "bench-paho", protocol=version)
        self.client.on_connect = self.on_connect
        self.client.on_subscribe = self.on_subscribe
        self.client.on_message = self.on_message
        self.client.on_publish = self.on_publish
        self.client.max_inflight_messages_set(WINDOW)
        self.client.connect("127.0.0.1", given.port)
        while not self.is_connected:
            self.client.loop(PATIENCE)

    def on_connect(self, *_: object) -> None:
        self.is_connected = True

    def on_subscribe(self, *_: object) -> None:
        self.is_subscribed = True

    def on_message(self, client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        self.messages += 1

    def on_publish(self, *_: object) -> None:
        self.acknowledged += 1

    def publish_qos0(self, count: int) -> None:
        """Publish QoS 0, and one of QoS 1 behind, whose acknowledgement says that the broker has them all."""
        publish = self.client.publish
        for _ in range(count):
            publish(TOPIC, PAYLOAD)
        last = publish(TOPIC, PAYLOAD, 1)
        while not last.is_published():
            self.client.loop(PATIENCE)

    def publish_qos1(self, count: int) -> None:
        """Publish QoS 1, the next `window` when those before are acknowledged."""
        publish, loop, window = self.client.publish, self.client.loop, self.window
        for start in range(0, count, window):
            number = min(window, count - start)
            self.acknowledged = 0
            for _ in range(number):
                publish(TOPIC, PAYLOAD, 1)
            while self.acknowledged < number:
                loop(PATIENCE)

    def subscribe(self, qos: int) -> None:
        self.client.subscribe("bench/#", qos)
        while not self.is_subscribed:
            self.client.loop(PATIENCE)

    def receive(self, count: int) -> None:
        loop, wanted = self.client.loop, self.messages + count
        say("next")
        while self.messages < wanted:
            loop(PATIENCE)


def main(given: Task) -> None:
    counting = Counting(given)
    if given.is_receiving:
        counting.subscribe(given.qos)
    once = counting.receive if given.is_receiving else counting.publish_qos1 if given.qos else counting.publish_qos0
    once(given.warm)
    meter = Meter()
    once(given.messages)
    meter.stop()
    counting.client.disconnect()


if __name__ == "__main__":
    main(task())
