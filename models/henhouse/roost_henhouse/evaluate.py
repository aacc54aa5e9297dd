"""How good a bundle is, measured as it is served: JPEG in, decoded, preprocessed and answered by its own predictor.

Held-out stills have seeds that no training set uses, so they show other boxes, other birds and other light.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from roost_henhouse.dataset import SEED_STRIDE, Report
from roost_henhouse.files import jpeg
from roost_henhouse.scene import still
from roost_henhouse.truth import LABELS
from roost_models.inference.images import decode
from roost_models.inference.predictor import ModelInput, Predictor

HELD_OUT_SEED = 9
HELD_OUT_COUNT = 700
JPEG_QUALITY = 90  # what a camera's frames are stored with


@dataclass(frozen=True)
class ByLabel:
    """Figures of one label: how many were shown, which share was found, which share of its answers was right."""

    label: str
    shown: int
    recall: float
    precision: float


@dataclass(frozen=True)
class Evaluation:
    """Figures of one model on rendered stills. `confusion[shown][answered]` counts, in the order of the labels."""

    stills: int
    seed: int
    accuracy: float
    by_label: tuple[ByLabel, ...]
    confusion: tuple[tuple[int, ...], ...]
    runtime: str

    def to_json(self) -> bytes:
        """As committed in the bundle."""
        return (json.dumps(asdict(self), indent=1) + "\n").encode()


def held_out(
    count: int = HELD_OUT_COUNT,
    seed: int = HELD_OUT_SEED,
    *,
    workers: int = 1,
    keep: Path | None = None,
    report: Report = lambda text: None,
) -> list[tuple[bytes, str]]:
    """JPEG stills with their labels, the labels in turn. `keep` is a folder where they are kept once rendered."""
    folder = keep / f"held-out-{count}-{seed}" if keep else None
    if folder is not None and (folder / "complete").exists():
        return [((folder / f"{n:05d}.jpg").read_bytes(), LABELS[n % len(LABELS)]) for n in range(count)]
    make = partial(_one, seed=seed)
    if workers == 1:
        found = [make(n) for n in range(count)]
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            found = list(pool.map(make, range(count), chunksize=10))
    report(f"rendered {count} held-out stills of seed {seed}")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for n, data in enumerate(found):
            (folder / f"{n:05d}.jpg").write_bytes(data)
        (folder / "complete").touch()
    return [(data, LABELS[n % len(LABELS)]) for n, data in enumerate(found)]


def evaluate(predictor: Predictor, shown: Sequence[tuple[bytes, str]], seed: int = HELD_OUT_SEED) -> Evaluation:
    """Ask the predictor about each still, one at a time."""
    confusion = [[0] * len(LABELS) for _ in LABELS]
    for data, label in shown:
        outputs = predictor.predict([ModelInput(image=predictor.preprocess(decode(data)))])[0]
        confusion[LABELS.index(label)][LABELS.index(outputs[0].label)] += 1
    right = sum(confusion[n][n] for n in range(len(LABELS)))
    return Evaluation(
        stills=len(shown),
        seed=seed,
        accuracy=round(right / len(shown), 4),
        by_label=tuple(_figures(confusion, n) for n in range(len(LABELS))),
        confusion=tuple(tuple(row) for row in confusion),
        runtime=predictor.runtime,
    )


def table(evaluation: dict[str, Any]) -> str:
    """The figures of an `evaluation.json` as a Markdown table, as the model cards show them."""
    lines = ["| label | shown | found (recall) | right when said (precision) |", "|---|---:|---:|---:|"]
    lines += [
        f"| {row['label']} | {row['shown']} | {100 * row['recall']:.1f} % | {100 * row['precision']:.1f} % |"
        for row in evaluation["by_label"]
    ]
    lines.append(f"| **all** | {evaluation['stills']} | **{100 * evaluation['accuracy']:.1f} %** | |")
    return "\n".join(lines)


def _figures(confusion: list[list[int]], n: int) -> ByLabel:
    shown, said = sum(confusion[n]), sum(row[n] for row in confusion)
    hits = confusion[n][n]
    return ByLabel(
        label=LABELS[n],
        shown=shown,
        recall=round(hits / shown, 4) if shown else 0.0,
        precision=round(hits / said, 4) if said else 0.0,
    )


def _one(number: int, *, seed: int) -> bytes:
    return jpeg(still(LABELS[number % len(LABELS)], seed * SEED_STRIDE + number)[0], JPEG_QUALITY)
