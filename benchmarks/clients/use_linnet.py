"""linnet: `send` without waiting, and the oldest of those in flight awaited; messages from a subscription's inbox."""

import asyncio
from collections import deque

from meter import PAYLOAD, TOPIC, WINDOW, Meter, Task, say, task

import linnet
from linnet.wire import V3_1_1, V5


async def publish_qos0(client: linnet.Client, count: int) -> None:
    """Publish QoS 0, and one of QoS 1 behind, whose acknowledgement says that the broker has them all."""
    for start in range(0, count, WINDOW):
        for _ in range(min(WINDOW, count - start)):
            last = client.send(TOPIC, PAYLOAD)
        await last
    await client.publish(TOPIC, PAYLOAD, qos=1)


async def publish_qos1(client: linnet.Client, count: int) -> None:
    """Publish QoS 1, at most 100 of them in flight."""
    in_flight: deque[linnet.Publication] = deque()
    for _ in range(count):
        if len(in_flight) == WINDOW:
            await in_flight.popleft()
        in_flight.append(client.send(TOPIC, PAYLOAD, qos=1))
    while in_flight:
        await in_flight.popleft()


async def publish_one_by_one(client: linnet.Client, count: int) -> None:
    for _ in range(count):
        await client.publish(TOPIC, PAYLOAD, qos=1)


async def publishing(client: linnet.Client, given: Task) -> None:
    once = publish_one_by_one if given.is_single else publish_qos1 if given.qos else publish_qos0
    await once(client, given.warm)
    meter = Meter()
    await once(client, given.messages)
    meter.stop()


async def receive(inbox: linnet.Subscription[bytes], count: int) -> None:
    say("next")
    async for _ in inbox:
        count -= 1
        if not count:
            return


async def receiving(client: linnet.Client, given: Task) -> None:
    async with client.subscribe("bench/#", qos=given.qos, when_full="wait") as inbox:
        await receive(inbox, given.warm)
        meter = Meter()
        await receive(inbox, given.messages)
        meter.stop()


async def main(given: Task) -> None:
    version = V5 if given.is_v5 else V3_1_1
    async with linnet.Client(
        f"mqtt://127.0.0.1:{given.port}", client_id="bench-linnet", version=version, max_inflight=WINDOW
    ) as client:
        await (receiving if given.is_receiving else publishing)(client, given)


if __name__ == "__main__":
    asyncio.run(main(task()))
