"""Small bundles made on the spot."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from roost_models.bundle.folder import Bundle
from roost_models.bundle.goldens import ramps
from roost_models.bundle.opening import open_bundle
from roost_models.bundle.writing import write_bundle
from roost_models.inference.images import encode_png

MakeBundle = Callable[..., Bundle]

BRIGHTNESS = """
def predict(image, context):
    brightness = float(image.mean()) / 255
    return {"bright": brightness, "dark": 1 - brightness}
"""


@pytest.fixture
def make_bundle(tmp_path: Path) -> MakeBundle:
    """`make_bundle(source, **manifest fields)`: a bundle of engine python in a fresh folder."""
    made = 0

    def make(source: str = BRIGHTNESS, files: dict[str, bytes] | None = None, **fields: Any) -> Bundle:
        nonlocal made
        made += 1
        content = {"model.py": source.encode(), "goldens/ramps.png": encode_png(ramps()), **(files or {})}
        manifest = {
            "name": "brightness",
            "version": "1.0",
            "task": "nest",
            "engine": "python",
            "entry": "model.py",
            "labels": ["bright", "dark"],
            "input": {"width": 8, "height": 6},
            "licence": "Apache-2.0",
            **fields,
        }
        return write_bundle(tmp_path / f"bundle-{made}", manifest, content)

    return make


@pytest.fixture(scope="session")
def champion() -> Bundle:
    """The henhouse's committed CNN: a real `.tflite` that is always at hand."""
    folder = Path(__file__).resolve().parents[3] / "models" / "henhouse" / "bundles" / "champion"
    if not folder.is_dir():
        pytest.skip(f"No champion bundle in {folder}: make it with the henhouse's recipe.")
    return open_bundle(folder)


@pytest.fixture
def tflite_bundle(champion: Bundle, tmp_path: Path) -> Bundle:
    """That model as a bundle of its own, without goldens."""
    manifest = msgspec.to_builtins(champion.manifest)
    kept = ("name", "version", "task", "engine", "labels", "input", "output", "licence")
    fields = {key: manifest[key] for key in kept} | {"entry": "model.tflite", "batch": {"sizes": [1, 4]}}
    return write_bundle(tmp_path / "network", fields, {"model.tflite": champion.read(champion.manifest.entry)})
