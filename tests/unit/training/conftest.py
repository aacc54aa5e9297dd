"""Small sets of pictures made on the spot."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from roost_models.bundle.folder import Bundle
from roost_models.bundle.opening import open_bundle
from roost_models.datasets.document import Dataset, Item, Split, digest_of, render
from roost_models.inference.images import encode_png
from roost_models.training.pictures import TrainingSet

BUNDLES = Path(__file__).resolve().parents[3] / "models" / "henhouse" / "bundles"
MakeSet = Callable[..., TrainingSet]


@pytest.fixture(scope="session")
def champion() -> Bundle:
    return open_bundle(BUNDLES / "champion")


@pytest.fixture(scope="session")
def embedder() -> Bundle:
    return open_bundle(BUNDLES / "embedder")


def training_set(pictures: list[tuple[bytes, str, Split, str]], labels: list[str], **fields: str) -> TrainingSet:
    """From (bytes, label, split, day)."""
    known = {hashlib.sha256(data).hexdigest(): data for data, *_ in pictures}
    items = [
        Item(sha256=hashlib.sha256(data).hexdigest(), label=label, split=split, day=day, site="nest", **fields)
        for data, label, split, day in pictures
    ]
    items.sort(key=lambda item: item.sha256)
    dataset = Dataset(name="nest", version=3, labels=labels, items=items, made_at_ms=0)
    return TrainingSet(dataset, digest_of(render(dataset)), known.__getitem__)


@pytest.fixture
def make_set() -> MakeSet:
    """`make_set(count)`: so many bright and dark pictures, every fourth for the test."""

    def make(count: int = 16, **fields: str) -> TrainingSet:
        rng = np.random.default_rng(5)
        pictures: list[tuple[bytes, str, Split, str]] = []
        for number in range(count):
            level = (200, 40)[number % 2]
            noise = rng.integers(-30, 30, (24, 32, 3))
            data = encode_png(np.clip(level + noise, 0, 255).astype(np.uint8))
            split: Split = "test" if number % 8 < 2 else "train"
            pictures.append((data, ("bright", "dark")[number % 2], split, f"2026-05-0{1 + number % 3}"))
        return training_set(pictures, ["bright", "dark"], **fields)

    return make
