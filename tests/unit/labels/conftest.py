"""Entries for the tests of labels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roost_models.labels.entry import Entry
from roost_models.labels.store import LabelStore

PICTURE = "a" * 64


@pytest.fixture
def entry() -> Callable[..., Entry]:
    """An entry by number: the same number, the same id and time."""

    def make(number: int, label: str | None = "hen", author: str = "anna", **more: Any) -> Entry:
        fields = {"picture": PICTURE, "task": "nest", "at": number, **more}
        return Entry(id=f"{number:032x}", label=label, author=author, **fields)

    return make


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with LabelStore(tmp_path / "labels.db") as opened:
        yield opened
