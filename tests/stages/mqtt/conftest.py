"""A broker of one's own for each test, and somebody who listens to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from broker import Broker, Listener
from fault_proxy import FaultProxy


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    (tmp_path / "broker").mkdir()
    with Broker(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    with Listener(broker, "#") as listener:
        yield listener


@pytest.fixture
def proxy(broker: Broker) -> Iterator[FaultProxy]:
    """Another way to the broker, that can be blocked while the listener goes the direct one."""
    with FaultProxy(broker.port) as proxy:
        yield proxy
