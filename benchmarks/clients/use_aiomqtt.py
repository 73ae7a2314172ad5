"""aiomqtt: as many tasks as messages may be in flight, each of which awaits its own publishes."""

import asyncio
import sys

import aiomqtt
from meter import PAYLOAD, TOPIC, WINDOW, Meter, Task, say, task


async def publish_one_by_one(client: aiomqtt.Client, qos: int, count: int) -> None:
    for _ in range(count):
        await client.publish(TOPIC, PAYLOAD, qos)


async def publish(client: aiomqtt.Client, given: Task, count: int) -> None:
    """Publish, and at QoS 0 one of QoS 1 behind, whose acknowledgement says that the broker has them all."""
    workers = 1 if given.is_single else WINDOW
    async with asyncio.TaskGroup() as together:
        for _ in range(workers):
            together.create_task(publish_one_by_one(client, given.qos, count // workers))
    if not given.qos:
        await client.publish(TOPIC, PAYLOAD, 1)


async def receive(client: aiomqtt.Client, given: Task, count: int) -> None:
    say("next")
    async for _ in client.messages:
        count -= 1
        if not count:
            return


async def main(given: Task) -> None:
    version = aiomqtt.ProtocolVersion.V5 if given.is_v5 else aiomqtt.ProtocolVersion.V311
    async with aiomqtt.Client(
        "127.0.0.1", given.port, identifier="bench-aiomqtt", protocol=version, max_inflight_messages=WINDOW
    ) as client:
        client.pending_calls_threshold = sys.maxsize  # no warning for each message that waits
        if given.is_receiving:
            await client.subscribe("bench/#", given.qos)
        once = receive if given.is_receiving else publish
        await once(client, given, given.warm)
        meter = Meter()
        await once(client, given, given.messages)
        meter.stop()


if __name__ == "__main__":
    asyncio.run(main(task()))
