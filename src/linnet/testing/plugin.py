"""The plugin for pytest: the fixture `mqtt_broker`, and its packets in the report of a test that failed.

    def test_the_light_obeys(mqtt_broker):
        light = Light(mqtt_broker.host, mqtt_broker.port)
        mqtt_broker.publish("light/set", "on")
        mqtt_broker.wait_for_message("light/state", "on")

A mark gives its broker settings, or whatever else `BlockingBroker` takes: `@pytest.mark.mqtt_broker(max_qos=1)`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from linnet.testing.blocking import BlockingBroker
from linnet.testing.record import told


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the mark."""
    config.addinivalue_line("markers", "mqtt_broker(**options): what the fixture mqtt_broker makes its broker with")


@pytest.fixture
def mqtt_broker(request: pytest.FixtureRequest) -> Iterator[BlockingBroker]:
    """An MQTT broker for this test, on a free port of 127.0.0.1: a `linnet.testing.BlockingBroker`.

    In a coroutine, await the verbs that wait: `await mqtt_broker.aio.wait_for(...)`.
    """
    mark = request.node.get_closest_marker("mqtt_broker")
    with BlockingBroker(**(mark.kwargs if mark is not None else {})) as broker:
        yield broker


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the broker saw, where a test that asked for it failed."""
    report = yield
    broker = getattr(item, "funcargs", {}).get("mqtt_broker")
    if report.when == "call" and report.failed and isinstance(broker, BlockingBroker):
        report.sections.append(("packets of mqtt_broker", told(list(broker.packets))))
    return report
