"""The broker under test, as other people's programs see it: a port."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from linnet import Broker


@pytest.fixture
def port(broker: "Broker") -> int:
    return broker.port
