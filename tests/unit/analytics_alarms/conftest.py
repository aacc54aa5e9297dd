"""A device with twenty monitors that has lived through ten quiet days."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from alarm_world import DAY, World, quiet, signals


@pytest.fixture(scope="session")
def lived() -> World:
    """Twenty independent monitors after ten quiet days. Take a `copy`."""
    world = World(signals())
    world.live(quiet("independent", 10 * DAY, np.random.default_rng(7)))
    return world


@pytest.fixture
def world(lived: World) -> World:
    """The same, for oneself."""
    return lived.copy()
