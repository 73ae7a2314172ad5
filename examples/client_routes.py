"""A program that reacts: functions that are called with the messages of a pattern of topics."""

import asyncio
import time
from enum import Enum

import linnet
from linnet.testing import Broker


class Switch(Enum):
    ON = "on"
    OFF = "off"


async def main() -> None:
    async with Broker() as broker:
        client = linnet.Client(broker.url)

        @client.route("home/{room}/lamp/{number:int}", qos=1)
        async def lamp(room: str, number: int, value: Switch) -> None:
            """Called with what stands in the topic, and with the payload as a Switch."""
            print(f"lamp {number} in the {room} goes {value.value}")
            await client.publish("home/diary", f"{room}/{number} {value.value}", qos=1)

        @client.route("home/diary", qos=1)
        def diary(message: linnet.Message[str]) -> None:
            """No coroutine function: it runs in a thread, and may block."""
            time.sleep(0.01)
            print("written down:", message.value)
            loop.call_soon_threadsafe(written.set)

        loop = asyncio.get_running_loop()
        written = asyncio.Event()
        async with client:
            await client.publish("home/kitchen/lamp/2", Switch.ON, codec=Switch, qos=1)
            await written.wait()


if __name__ == "__main__":
    asyncio.run(main())
