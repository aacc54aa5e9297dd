"""From a trained model to its bundle: measured through the exported file, with card, figures and goldens."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from roost_henhouse.dataset import SEED_STRIDE, Report
from roost_henhouse.evaluate import HELD_OUT_COUNT, Evaluation, evaluate, held_out, table
from roost_henhouse.files import jpeg
from roost_henhouse.scene import still
from roost_henhouse.truth import LABELS
from roost_models.bundle.folder import Bundle
from roost_models.bundle.manifest import ImageContract
from roost_models.bundle.opening import open_bundle
from roost_models.bundle.writing import seal, write_bundle
from roost_models.inference.predictor import load_predictor

VERSION = "0.1.0"
BUNDLES = Path(__file__).resolve().parents[1] / "bundles"
PYTHON_MODELS = Path(__file__).resolve().parent / "python_models"
TFLITE_ENGINES = {"tflite-runtime": "==2.14.0", "ai-edge-litert": ">=2.1,<3"}

# One still of each: enough to notice a wrong colour order, a wrong crop or a damaged weight; small enough to commit.
_GOLDEN_SEED = 77
_GOLDEN_SIZE = (320, 240)
_GOLDEN_LABELS = ("plymouth_rock", "rhode_island_red", "blue_jay", "open_door")
_GOLDEN_TOLERANCE = 0.05  # two runtimes gave 0.727 and 0.758 for one picture

_DOES_NOT_TRANSFER = (
    "**These are rendered scenes, and they do not transfer to real ones.** A network trained on an earlier rendering "
    "called 39 of 48 real nest-box pictures one breed. The figures say that the whole chain works and how the models "
    "compare; they say nothing about your hens. For those, train on pictures of your own box."
)


@dataclass(frozen=True)
class Recipe:
    """What is particular to one bundle. `remarks` are paragraphs for the card."""

    name: str
    title: str
    description: str
    remarks: str
    command: str
    engine: str
    entry: str
    contract: ImageContract
    training: dict[str, Any]
    output: dict[str, Any] = field(default_factory=dict)
    batch: tuple[int, ...] = (1,)
    queue: dict[str, Any] = field(default_factory=lambda: {"strategy": "skip", "max_waiting": 2, "max_age_ms": 1500})


def recipe_parser(prog: str, description: str, default: str) -> argparse.ArgumentParser:
    """The options that every recipe's command has."""
    parser = argparse.ArgumentParser(prog=f"python -m roost_henhouse.{prog}", description=description)
    parser.add_argument("--out", type=Path, help=f"folder of the bundle (default: {default})")
    parser.add_argument("--keep", type=Path, help="folder to keep rendered stills in, for the next time")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="rendering processes")
    parser.add_argument("--date", default=datetime.now(UTC).date().isoformat(), help="for the card (default: today)")
    return parser


def say(text: str) -> None:
    """Progress for whoever waits."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


EVERY_REQUEST = {"strategy": "batch", "max_waiting": 16, "max_age_ms": 1500}
"""Queue of a model that others fall back on: it takes them one after the other and lets none go in a burst."""


def make_bundle(
    folder: Path,
    recipe: Recipe,
    files: Mapping[str, bytes],
    *,
    date: str,
    count: int = HELD_OUT_COUNT,
    workers: int = 1,
    keep: Path | None = None,
    report: Report = lambda text: None,
) -> Bundle:
    """Write the bundle of a trained model into `folder`.

    `files` are the model's own, `date` is that of training, `count` the number of held-out stills it is measured on.
    """
    golden_files = {
        f"goldens/{label}.jpg": jpeg(still(label, _GOLDEN_SEED * SEED_STRIDE, _GOLDEN_SIZE)[0], 88)
        for label in _GOLDEN_LABELS
    }
    fields = _fields(recipe, sorted(golden_files), date)
    with tempfile.TemporaryDirectory() as scratch:
        bare = write_bundle(Path(scratch) / "bundle", {**fields, "goldens": [], "card": None}, files)
        shown = held_out(count, workers=workers, keep=keep, report=report)
        # In a process of its own: TensorFlow, if it trained the model, and tflite-runtime break each other in one.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            figures = pool.submit(_measured, bare.root, shown).result()
    report(f"{recipe.name}: {100 * figures.accuracy:.1f} % of {figures.stills} held-out stills")
    everything = {
        **files,
        **golden_files,
        "CARD.md": _card(recipe, figures, date).encode(),
        "evaluation.json": figures.to_json(),
    }
    write_bundle(folder, fields, everything)
    return seal(folder, goldens=True)


def _measured(root: Path, shown: Sequence[tuple[bytes, str]]) -> Evaluation:
    return evaluate(load_predictor(open_bundle(root)), shown)


def _fields(recipe: Recipe, goldens: list[str], date: str) -> dict[str, Any]:
    runtime: dict[str, Any] = {"python": ">=3.11"}
    if recipe.engine == "tflite":
        runtime["engine"] = TFLITE_ENGINES
    else:
        runtime["packages"] = {"numpy": ">=1.26,<3"}
    contract = recipe.contract
    return {
        "name": f"henhouse-{recipe.name}",
        "version": VERSION,
        "task": "henhouse",
        "engine": recipe.engine,
        "entry": recipe.entry,
        "labels": list(LABELS),
        "input": {
            "width": contract.width,
            "height": contract.height,
            "color": contract.color,
            "range": contract.range,
            "resize": contract.resize,
            "method": contract.method,
        },
        "output": recipe.output,
        "runtime": runtime,
        "licence": "Apache-2.0",
        "description": recipe.description,
        "training": {"date": date, "command": recipe.command, **recipe.training},
        "goldens": [{"input": path, "tolerance": _GOLDEN_TOLERANCE} for path in goldens],
        "batch": {"sizes": list(recipe.batch)},
        "queue": recipe.queue,
        "pure": True,
        "card": "CARD.md",
    }


def _card(recipe: Recipe, figures: Evaluation, date: str) -> str:
    contract = recipe.contract
    details = "\n".join(f"* {key}: {json.dumps(value)}" for key, value in recipe.training.items())
    return f"""# {recipe.title}

{recipe.description}

{recipe.remarks}

## Input and output
A picture of any size, brought to {contract.width}×{contract.height} (`{contract.resize}`, `{contract.color}`, filter \
`{contract.method}`, range {json.dumps(contract.range)}). Output: a score for each of
{", ".join(f"`{label}`" for label in LABELS)}.
Several may hold at once (a hen, an egg and an open door); the model is taught the first of: jay, hen, open door,
egg, empty nest.

## Figures
Measured through the exported file, with its own preprocessing, on {figures.stills} held-out rendered stills
(seed {figures.seed}: other boxes, birds, light and weather than any training set), stored as JPEG as a camera does.
Runtime: {figures.runtime}.

{table(asdict(figures))}

{_DOES_NOT_TRANSFER}

## Training
{date}, by `{recipe.command}`

{details}

Licence: Apache-2.0. All pictures are rendered by `roost_henhouse`; no picture of anybody's was used.
"""
