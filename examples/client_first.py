"""The client in one screen: connect, subscribe, publish, and read typed messages."""

import asyncio
from dataclasses import dataclass

import linnet
from linnet.testing import Broker


@dataclass
class Reading:
    celsius: float
    humidity: float | None = None


async def main() -> None:
    async with (
        Broker() as broker,
        linnet.Client(broker.url) as client,
        client.subscribe("home/+/climate", qos=1, codec=Reading) as readings,
    ):
        await client.publish("home/kitchen/climate", Reading(21.5, 40), codec=Reading, qos=1)
        await client.publish("home/cellar/climate", '{"celsius": 12}', qos=1)
        async for message in readings:
            print(message.topic, message.value)
            if message.value.humidity is None:
                break


if __name__ == "__main__":
    asyncio.run(main())
