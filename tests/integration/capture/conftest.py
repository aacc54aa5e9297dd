"""Lets the tests of this folder import the helper beside them (importlib import mode does not); fixtures."""

import sys
from pathlib import Path

import pytest

from roost_broker.memory import MemoryBroker, MemoryBus

sys.path.insert(0, str(Path(__file__).parent))

from capture_world import Device


@pytest.fixture
def memory() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def device(tmp_path: Path, memory: MemoryBroker) -> Device:
    return Device(tmp_path, lambda client_id: MemoryBus(memory, client_id))
