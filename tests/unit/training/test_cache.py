"""Features that were computed before."""

from pathlib import Path

import numpy as np

from roost_models.training.cache import FeatureCache

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def row(value: float) -> np.ndarray:
    return np.full(4, value, np.float32)


def test_what_was_kept_is_read_again_by_the_same_backbone_and_runtime_only(tmp_path: Path) -> None:
    FeatureCache(tmp_path, "backbone", "runtime").write({A: row(1), B: row(2)}, [A, B])
    again = FeatureCache(tmp_path, "backbone", "runtime").read()
    assert {name: values.tolist() for name, values in again.items()} == {A: [1] * 4, B: [2] * 4}
    assert FeatureCache(tmp_path, "another", "runtime").read() == {}
    assert FeatureCache(tmp_path, "backbone", "another").read() == {}


def test_what_is_not_asked_for_is_forgotten_first(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, "backbone", "runtime", max_bytes=100)  # two rows of 48 bytes
    cache.write({A: row(1), B: row(2), C: row(3)}, [C, B])
    assert set(cache.read()) == {B, C}


def test_a_damaged_file_is_no_cache(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, "backbone", "runtime")
    cache.write({A: row(1)}, [A])
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    assert cache.read() == {}


def test_without_a_folder_nothing_is_kept(tmp_path: Path) -> None:
    cache = FeatureCache(None, "backbone", "runtime")
    cache.write({A: row(1)}, [A])
    assert cache.read() == {}
    assert list(tmp_path.iterdir()) == []
