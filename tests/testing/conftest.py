"""The broker under test."""

from collections.abc import AsyncIterator

import pytest

from linnet.testing import Broker


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    async with Broker() as broker:
        yield broker
