"""Lets the tests of this folder import the helper beside them (importlib import mode does not); fixtures."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from roost_broker.centre.nats_server import PrivateNats

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[PrivateNats]:
    """A NATS server for one test, which may kill it."""
    with PrivateNats(tmp_path / "nats") as servers:
        yield servers


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[PrivateNats]:
    """Three NATS servers for one test, which may kill them."""
    with PrivateNats(tmp_path / "nats", nodes=3) as servers:
        yield servers
