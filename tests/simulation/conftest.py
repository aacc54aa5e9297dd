"""Lets the tests of this folder import the helpers beside them (importlib import mode does not)."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from coop import Coop
from stories import Story, run_story


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Story], Coop]:
    """Run a story on a fresh device, in virtual time."""
    return partial(run_story, tmp_path)
