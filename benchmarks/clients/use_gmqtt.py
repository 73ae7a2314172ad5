"""gmqtt: `publish` writes at once and does not wait, so the program counts, through a storage, what is in flight."""

import asyncio
import sys

import gmqtt
from gmqtt.storage import PersistentStorage
from meter import PAYLOAD, TOPIC, WINDOW, Meter, Task, say, task


class Counting:
    """A client that counts what came."""

    def __init__(self, given: Task) -> None:
        self.window = 1 if given.is_single else WINDOW - 1
        self.storage = PersistentStorage()
        self.client = gmqtt.Client("bench-gmqtt", persistent_storage=self.storage)
        self.client.on_message = self.on_message
        self.client.on_subscribe = self.on_subscribe
        self.subscribed = asyncio.Event()
        self.enough = asyncio.Event()
        self.missing = sys.maxsize

    def on_subscribe(self, *_: object) -> None:
        self.subscribed.set()

    def on_message(self, client: object, topic: str, payload: bytes, qos: int, properties: object) -> int:
        self.missing -= 1
        if not self.missing:
            self.enough.set()
        return 0

    async def publish_qos0(self, count: int) -> None:
        """Publish QoS 0, and one of QoS 1 behind, whose acknowledgement says that the broker has them all."""
        for start in range(0, count, WINDOW):
            for _ in range(min(WINDOW, count - start)):
                self.client.publish(TOPIC, PAYLOAD)
            await asyncio.sleep(0)
        self.client.publish(TOPIC, PAYLOAD, qos=1)
        await self.storage.wait_empty()

    async def publish_qos1(self, count: int) -> None:
        """Publish QoS 1, the next `window` when those before are acknowledged."""
        for start in range(0, count, self.window):
            for _ in range(min(self.window, count - start)):
                self.client.publish(TOPIC, PAYLOAD, qos=1)
            await self.storage.wait_empty()

    async def subscribe(self, qos: int) -> None:
        self.client.subscribe("bench/#", qos)
        await self.subscribed.wait()

    async def receive(self, count: int) -> None:
        self.missing = count
        self.enough.clear()
        say("next")
        await self.enough.wait()


async def main(given: Task) -> None:
    counting = Counting(given)
    constants = gmqtt.constants
    await counting.client.connect(
        "127.0.0.1", given.port, version=constants.MQTTv50 if given.is_v5 else constants.MQTTv311
    )
    if given.is_receiving:
        await counting.subscribe(given.qos)
    once = counting.receive if given.is_receiving else counting.publish_qos1 if given.qos else counting.publish_qos0
    await once(given.warm)
    meter = Meter()
    await once(given.messages)
    meter.stop()
    await counting.client.disconnect()


if __name__ == "__main__":
    asyncio.run(main(task()))
