"""A real broker for each test: the fixture starts it on a free port, and leaves nothing behind.

Needs pytest and pytest-asyncio with `asyncio_mode = "auto"`. Run as a program, it calls pytest itself.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable

import pytest

import linnet


async def watch_the_cellar(broker: linnet.Broker, alarm: Callable[[str], None]) -> None:
    """The code under test: raises an alarm as soon as the cellar is above 25 degrees."""
    async with broker.subscribe("cellar/temperature") as readings:
        await broker.publish("cellar/watched", b"yes")
        async for reading in readings:
            if float(reading.payload) > 25:
                alarm(f"{reading.payload.decode()} degrees")
                return


@pytest.fixture
async def broker() -> AsyncIterator[linnet.Broker]:
    async with linnet.Broker(listen="127.0.0.1:0") as broker:
        yield broker


async def test_a_warm_cellar_raises_the_alarm(broker: linnet.Broker) -> None:
    heard: list[str] = []
    async with broker.subscribe("cellar/watched") as watched, asyncio.timeout(10):
        watching = asyncio.create_task(watch_the_cellar(broker, heard.append))
        await anext(watched)  # wait for what happens, never for some time to pass
        await broker.publish("cellar/temperature", b"12")
        await broker.publish("cellar/temperature", b"31")
        await watching
    assert heard == ["31 degrees"]


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-v", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]))
