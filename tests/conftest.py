"""What every test may ask for: a running broker, or several of its own making."""

from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from linnet import Broker

MakeBroker = Callable[..., Awaitable["Broker"]]


def pytest_report_header() -> str:
    """Which of the two forms is tested, and where it lies."""
    spec = find_spec("linnet.wire.frames")
    assert spec is not None and spec.origin is not None, "linnet is not installed, and PYTHONPATH=src not set"
    form = "interpreted" if spec.origin.endswith(".py") else "compiled"
    return f"linnet: {form}, from {Path(spec.origin).parents[1]}"


@pytest.fixture
async def make_broker() -> AsyncIterator[MakeBroker]:
    """Starts brokers with the settings given, each on a port of its own; all are stopped at the end.

    They publish nothing below `$SYS` unless they are told to.
    """
    from linnet import Broker

    started: list[Broker] = []

    async def make(**settings: Any) -> Broker:
        # A test shares its loop with the broker, so the broker would turn clients away when it is the test that is busy
        broker = Broker(**{"listen": "127.0.0.1:0", "sys_interval": 0, "max_loop_lag": 0, **settings})
        await broker.start()
        started.append(broker)
        return broker

    yield make
    for broker in reversed(started):
        await broker.stop()


@pytest.fixture
async def broker(make_broker: MakeBroker) -> "Broker":
    """A broker with default settings on a free port of 127.0.0.1."""
    return await make_broker()
