"""Head-only training: a frozen backbone, and a softmax regression over its features. Seconds, and no TensorFlow.

The same dataset version, backbone, options and libraries give the same bytes.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from roost_broker.errors import Misuse
from roost_models.bundle.pins import installed, satisfies
from roost_models.datasets.document import Item
from roost_models.inference.head import Head, pack_head
from roost_models.inference.interpreter import ENGINES, engine_version
from roost_models.training.backbone import Backbone
from roost_models.training.cache import FeatureCache
from roost_models.training.children import features_of
from roost_models.training.exporting import Exported, Model, Plan, export
from roost_models.training.grafting import graft
from roost_models.training.lineage import counts
from roost_models.training.pictures import TrainingSet
from roost_models.training.progress import Progress
from roost_models.training.regression import Fitting, Regression
from roost_models.training.strength import STRENGTHS, Chosen, Rows, choose

Form = Literal["head", "tflite"]
METHOD = "a softmax regression over the features of a frozen backbone"
_RENDERED = (
    "The backbone itself learnt from rendered scenes only; for real pictures try one that learnt from photographs."
)
BYTES_PER_FEATURE = 48
"""Of memory at the most, for each feature of each picture: as kept, and as the solver turns them about (measured)."""
QUEUE = {"strategy": "skip", "max_waiting": 2, "max_age_ms": 1500}


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """`form`: backbone and head as two files, or grafted into one `.tflite`. `l2` None: chosen on held-out pictures."""

    form: Form = "head"
    balanced: bool = True
    l2: float | None = None
    workers: int = 1
    cache: Path | None = None
    """Folder for features that were computed; None keeps none."""

    def __post_init__(self) -> None:
        if self.l2 is not None and not 0 < self.l2 <= 1000:
            raise Misuse(f"An l2 of {self.l2} cannot be.", "Use a number above 0 and at most 1000, such as 0.01.")


def train_head(
    plan: Plan, pictures: TrainingSet, backbone: Backbone, options: HeadOptions, progress: Progress
) -> Exported:
    """Train and write the bundle. Raises `Misuse` (too little data, folder taken), `Malformed`, `FrameUnavailable`."""
    items = pictures.learnt
    check_memory(len(items), backbone.features, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    progress.note(f"Features of {len(items)} pictures by {backbone.title} …")
    features = features_with_cache(items, pictures, backbone, options, progress)
    rows = Rows(
        features.astype(np.float64),
        np.array([pictures.number(item) for item in items]),
        [item.group for item in items],
        np.array([item.split == "validation" for item in items]),
    )
    chosen, regression = fit(rows, len(pictures.labels), options, progress)
    model = _model(pictures, backbone, options, chosen, regression)
    return export(plan, model, pictures, progress, workers=options.workers)


def check_memory(pictures: int, features: int, there: int) -> None:
    """Raises `Misuse` when training would not fit into `there` bytes: before an hour of work, not after it."""
    wanted = pictures * features * BYTES_PER_FEATURE
    if wanted > there:
        raise Misuse(
            f"A head on {features} features of {pictures:,} pictures takes {wanted / 1e9:.1f} GB of memory; "
            f"this machine has {there / 1e9:.1f}.",
            "Take a backbone with fewer features, a dataset with fewer pictures, or a machine with more memory.",
        )


def fit(rows: Rows, count: int, options: HeadOptions, progress: Progress) -> tuple[Chosen, Regression]:
    """The strength, chosen or given, and the regression on all rows."""
    if options.l2 is None:
        progress.note(f"Choosing how strongly weights are held back: trials with {len(STRENGTHS)} strengths …")
        chosen = choose(rows, count, balanced=options.balanced, tell=progress.progress)
    else:
        chosen = Chosen(options.l2, {}, "nothing: it was given")
    return chosen, Fitting(rows.features, rows.labels, count, balanced=options.balanced).solve(chosen.l2)


def features_with_cache(
    items: Sequence[Item], pictures: TrainingSet, backbone: Backbone, options: HeadOptions, progress: Progress
) -> NDArray[np.float32]:
    """A row for each item; those that were computed before come from the cache."""
    engine = _engine(backbone)
    cache = FeatureCache(
        options.cache, backbone.digest, f"{engine_version(engine)} pillow {metadata.version('pillow')}"
    )
    known = cache.read()
    missing = [item for item in items if item.sha256 not in known]
    if missing:
        found = features_of(
            pictures.bytes_of(missing), backbone.content, backbone.contract, engine, workers=options.workers
        )
        try:
            for number, (item, row) in enumerate(zip(missing, found, strict=True), start=1):
                known[item.sha256] = row
                progress.progress(number, len(missing))
        finally:  # broken off at the ten thousandth picture: the next training begins there
            cache.write(known, [item.sha256 for item in items])
    return np.stack([known[item.sha256] for item in items])


def _engine(backbone: Backbone) -> str:
    """The runtime that the bundle's own predictor will choose here. Raises `Misuse` when there is none."""
    pins = backbone.runtime.engine or dict.fromkeys(ENGINES, "")
    for name, spec in pins.items():
        version = installed(name)
        if version is not None and satisfies(version, spec):
            return name
    raise Misuse(
        f"{backbone.title} needs {' or '.join(f'{name}{spec}' for name, spec in pins.items())}, which is not here.",
        "Install Roost with its `edge` extra: pip install 'roost[edge]'.",
    )


def _model(
    pictures: TrainingSet, backbone: Backbone, options: HeadOptions, chosen: Chosen, regression: Regression
) -> Model:
    head = Head(regression.weights, regression.bias)
    fields: dict[str, Any]
    if options.form == "head":
        files = {"backbone.tflite": backbone.content, "head.npz": pack_head(head)}
        fields = {"entry": "backbone.tflite", "head": "head.npz", "output": {"activation": "softmax"}}
    else:
        files = {"model.tflite": graft(backbone.content, *_float32(regression))}
        fields = {"entry": "model.tflite", "output": {"activation": "none"}}
    return Model(
        fields=fields,
        files=files,
        contract=backbone.contract,
        runtime=backbone.runtime,
        batch=backbone.batch,
        queue=backbone.queue or QUEUE,
        method=METHOD,
        backbone=f"{backbone.title} ({backbone.features} features, licence {backbone.licence})",
        training={
            "method": METHOD,
            "backbone": backbone.source,
            "features": backbone.features,
            "l2": chosen.l2,
            "l2_losses": {str(l2): loss for l2, loss in chosen.losses.items()},
            "l2_measured_on": chosen.measured_on,
            "balanced": options.balanced,
            "numpy": np.__version__,
            "pictures": counts(pictures.dataset),
        },
        remarks=(*backbone.remarks, *([_RENDERED] if backbone.rendered else [])),
    )


def _float32(regression: Regression) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return regression.weights.astype(np.float32), regression.bias.astype(np.float32)
