"""From a trained model to its bundle: measured through the exported files, with card, figures and sealed goldens.

The folder gets its name when everything is in it: a training that was broken off leaves nothing that looks like a
bundle. Equal training gives equal bytes, so nothing here knows what day it is.
"""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from roost_broker.durable import make_folder, rename_durably
from roost_models.bundle.folder import Bundle, open_folder
from roost_models.bundle.manifest import ImageContract, RuntimePins
from roost_models.bundle.writing import check_new, seal, write_bundle
from roost_models.inference.images import decode, encode_png, shrink
from roost_models.training.card import Facts, card
from roost_models.training.figures import Figures
from roost_models.training.lineage import counts, one_of_each_source, rendered
from roost_models.training.measuring import Measured, measure
from roost_models.training.pictures import TrainingSet
from roost_models.training.progress import Progress

FIGURES = "evaluation.json"
CARD = "CARD.md"
_GOLDENS = 8
_GOLDEN_TOLERANCE = 0.05  # two runtimes gave 0.727 and 0.758 for one picture
_SMALL_GOLDEN = 65_536
_GOLDEN_SIDE = 256


@dataclass(frozen=True, slots=True)
class Plan:
    """What the new bundle is called, and where it goes."""

    folder: Path
    name: str
    version: str
    task: str
    licence: str


@dataclass(frozen=True, slots=True)
class Model:
    """What was trained. `fields` are the manifest's about entry, head and output; `files` what they name."""

    fields: dict[str, Any]
    files: Mapping[str, bytes]
    contract: ImageContract
    runtime: RuntimePins
    batch: list[int]
    queue: dict[str, Any]
    method: str
    backbone: str
    """A title, or `none`."""
    training: dict[str, Any]
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exported:
    """The new bundle and what was measured of it."""

    bundle: Bundle
    figures: Figures | None
    measured: Measured


def export(plan: Plan, model: Model, pictures: TrainingSet, progress: Progress, *, workers: int) -> Exported:
    """Write the bundle, or nothing. Raises `Misuse` when the folder is not free, and what `seal` raises."""
    check_new(plan.folder, name=plan.name, task=plan.task)
    make_folder(plan.folder.parent)
    work = Path(tempfile.mkdtemp(prefix=f".{plan.folder.name}-", suffix=".new", dir=plan.folder.parent))
    try:
        fields = _fields(plan, model, pictures)
        bare = write_bundle(work / "bare", fields, model.files)
        progress.note("Measuring the exported bundle on the test split …")
        measured = measure(bare.root, pictures, progress, workers=workers)
        found = measured.figures(pictures.labels)
        goldens = _goldens(pictures)
        files = {
            **model.files,
            **goldens,
            CARD: card(_facts(plan, model, pictures, found)).encode(),
            FIGURES: _json(found),
        }
        whole = {
            **fields,
            "card": CARD,
            "goldens": [{"input": path, "tolerance": _GOLDEN_TOLERANCE} for path in sorted(goldens)],
        }
        write_bundle(work / "bundle", whole, files)
        seal(work / "bundle", goldens=True)
        if plan.folder.exists():  # empty, as was checked
            plan.folder.rmdir()
        rename_durably(work / "bundle", plan.folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Exported(open_folder(plan.folder), found, measured)


def _fields(plan: Plan, model: Model, pictures: TrainingSet) -> dict[str, Any]:
    return {
        "name": plan.name,
        "version": plan.version,
        "task": plan.task,
        "engine": "tflite",
        **model.fields,
        "labels": pictures.labels,
        "input": msgspec.to_builtins(model.contract),
        "runtime": msgspec.to_builtins(model.runtime),
        "licence": plan.licence,
        "description": f"{model.method[:1].upper()}{model.method[1:]}, trained on {pictures.dataset.name} "
        f"{pictures.dataset.version}.",
        "training": model.training,
        "trained_on": msgspec.to_builtins(pictures.trained_on),
        "batch": {"sizes": model.batch},
        "queue": model.queue,
        "pure": True,
    }


def _facts(plan: Plan, model: Model, pictures: TrainingSet, found: Figures | None) -> Facts:
    samples = pictures.bytes_of(one_of_each_source(pictures.dataset.items))
    return Facts(
        name=plan.name,
        version=plan.version,
        task=plan.task,
        method=model.method,
        backbone=model.backbone,
        licence=plan.licence,
        contract=model.contract,
        trained_on=pictures.trained_on,
        counts=counts(pictures.dataset),
        options={key: value for key, value in model.training.items() if key not in ("method", "pictures")},
        figures=found,
        rendered=rendered(pictures.dataset, samples),
        unplaced=sum(item.group == item.sha256 for item in pictures.tested),
        remarks=model.remarks,
    )


def _goldens(pictures: TrainingSet) -> dict[str, bytes]:
    """One picture of each label: of the test split where it has one. Small ones as they are, others made smaller."""
    found: dict[str, bytes] = {}
    for label in pictures.labels[:_GOLDENS]:
        items = [item for item in pictures.dataset.items if item.label == label]
        if not items:
            continue
        first = min(items, key=lambda item: (item.split != "test", item.sha256))
        data = pictures.read(first.sha256)
        number = pictures.labels.index(label)
        if len(data) <= _SMALL_GOLDEN and data[:2] == b"\xff\xd8":
            found[f"goldens/{number}.jpg"] = data
        else:
            found[f"goldens/{number}.png"] = encode_png(shrink(decode(data), _GOLDEN_SIDE))
    return found


def _json(found: Figures | None) -> bytes:
    return msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"
