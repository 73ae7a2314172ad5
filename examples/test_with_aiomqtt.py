"""An aiomqtt program and its tests, each with a broker of its own that does what the test wants to go wrong.

Needs aiomqtt, pytest, and pytest-asyncio with `asyncio_mode = "auto"`; the fixture `mqtt_broker` comes with linnet.
In a coroutine the verbs that wait are those of `mqtt_broker.aio`. Run as a program, it calls pytest itself.
"""

import asyncio
import sys
from collections.abc import AsyncIterator

import aiomqtt
import pytest

from linnet.testing import BlockingBroker


async def keep_watch(host: str, port: int) -> None:
    """The program under test: raises an alarm for each reading above 25 degrees, and comes back when it is cut off."""
    will = aiomqtt.Will("cellar/watch", "gone", qos=1)
    while True:
        try:
            async with aiomqtt.Client(host, port, identifier="watch", keepalive=60, will=will) as client:
                await client.subscribe("cellar/temperature", qos=1)
                async for reading in client.messages:
                    if float(reading.payload) > 25:
                        await client.publish("cellar/alarm", reading.payload, qos=1)
        except aiomqtt.MqttError:
            await asyncio.sleep(0.01)


@pytest.fixture
async def watch(mqtt_broker: BlockingBroker) -> AsyncIterator[None]:
    watching = asyncio.create_task(keep_watch(mqtt_broker.host, mqtt_broker.port))
    await mqtt_broker.aio.wait_for("SUBSCRIBE", by="watch")  # wait for what happens, never for some time to pass
    yield
    watching.cancel()
    await asyncio.wait([watching])


@pytest.mark.usefixtures("watch")
async def test_a_warm_cellar_raises_the_alarm(mqtt_broker: BlockingBroker) -> None:
    for reading in ("12", "31"):
        mqtt_broker.publish("cellar/temperature", reading, qos=1)
    assert (await mqtt_broker.aio.wait_for_message("cellar/alarm")).payload == b"31"


@pytest.mark.usefixtures("watch")
async def test_the_watch_goes_on_after_the_connection_broke(mqtt_broker: BlockingBroker) -> None:
    mqtt_broker.cut("watch")
    await mqtt_broker.aio.wait_for("SUBSCRIBE", by="watch")  # its second one
    mqtt_broker.publish("cellar/temperature", "31", qos=1)
    await mqtt_broker.aio.wait_for_message("cellar/alarm", "31")


@pytest.mark.usefixtures("watch")
async def test_a_message_that_comes_twice_does_no_harm(mqtt_broker: BlockingBroker) -> None:
    mqtt_broker.duplicate("PUBLISH", to="watch", count=1)
    for reading in ("31", "32"):
        mqtt_broker.publish("cellar/temperature", reading)
    alarms = [(await mqtt_broker.aio.wait_for_message("cellar/alarm")).payload for _ in range(3)]
    assert alarms == [b"31", b"31", b"32"]


@pytest.mark.usefixtures("watch")
async def test_a_watch_that_is_silent_for_too_long_is_reported(mqtt_broker: BlockingBroker) -> None:
    async with aiomqtt.Client(mqtt_broker.host, mqtt_broker.port, identifier="owner", keepalive=0) as owner:
        await owner.subscribe("cellar/watch")
        mqtt_broker.advance(91)  # a minute and a half without a sound
        async with asyncio.timeout(10):
            assert (await anext(aiter(owner.messages))).payload == b"gone"


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-v", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]))
