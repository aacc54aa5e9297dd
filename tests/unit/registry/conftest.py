"""A registry of one task, with a clock of its own, and devices that look at it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from registry_world import RegistryWorld


@pytest.fixture
def world(tmp_path: Path) -> RegistryWorld:
    return RegistryWorld(tmp_path)
