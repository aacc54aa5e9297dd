"""Lets the tests of this folder import the helper beside them (importlib import mode does not); fixtures."""

import sys
from pathlib import Path

import pytest

from roost_broker.memory import MemoryBroker, MemoryBus
from roost_broker.mosquitto import PrivateBroker
from roost_broker.mqtt import MqttBus

sys.path.insert(0, str(Path(__file__).parent))

from scaffold_world import Place


@pytest.fixture(params=["memory", pytest.param("mosquitto", marks=pytest.mark.broker)])
def place(request: pytest.FixtureRequest) -> Place:
    if request.param == "memory":
        broker = MemoryBroker()
        return Place(lambda name, **options: MemoryBus(broker, name, **options))
    private: PrivateBroker = request.getfixturevalue("mosquitto")
    return Place(lambda name, **options: MqttBus(private.settings(), name, **options))


@pytest.fixture
def memory() -> Place:
    broker = MemoryBroker()
    return Place(lambda name, **options: MemoryBus(broker, name, **options))
