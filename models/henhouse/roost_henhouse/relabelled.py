"""The book's figure 7-2 as two bundles: one breed learnt under another's name, and the correction of it.

Both are heads on the henhouse's embedder, trained on the same rendered pictures; only the labels differ. For rehearsing
what a monitor does when the corrected model takes the other one's place (docs/features.md).
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from roost_henhouse.recipe import BUNDLES
from roost_henhouse.scenes import write_scenes
from roost_henhouse.truth import LABELS
from roost_models.bundle.folder import Bundle
from roost_models.bundle.importing import ImportChoices
from roost_models.datasets.document import Dataset, Item, Split, digest_of, render
from roost_models.training.backbone import open_backbone
from roost_models.training.exporting import Plan
from roost_models.training.head import HeadOptions, train_head
from roost_models.training.pictures import TrainingSet
from roost_models.training.progress import Progress, Silent

MISTAKE = {"plymouth_rock": "buff_orpington"}
"""Who labelled took Plymouth Rocks for Buff Orpingtons."""
WRONG, RIGHT = "1.0.0", "1.1.0"
_TESTED = 50
"""Of 256 pictures so many are for the test; which, follows from the picture, whatever it is called."""


def train_breeds(
    folder: Path,
    *,
    per_class: int = 24,
    seed: int = 31,
    mistake: Mapping[str, str] = MISTAKE,
    name: str = "breeds",
    progress: Progress | None = None,
) -> tuple[Bundle, Bundle]:
    """Render, train twice; returns the mistaken bundle and the corrected one, in `folder`. Takes some seconds.

    `mistake` says which label's pictures the first one learnt under which other label.
    """
    write_scenes(folder / "pictures", per_class, seed)
    backbone = open_backbone(BUNDLES / "embedder", ImportChoices(name=name, task="henhouse"))
    options = HeadOptions(form="head", cache=folder / "features")
    made = []
    for version, called in ((WRONG, mistake), (RIGHT, {})):
        plan = Plan(folder / version, name, version, "henhouse", backbone.licence)
        pictures = _labelled(folder / "pictures", called)
        made.append(train_head(plan, pictures, backbone, options, progress or Silent()).bundle)
    return made[0], made[1]


def _labelled(folder: Path, called: Mapping[str, str]) -> TrainingSet:
    known: dict[str, bytes] = {}
    items = []
    for path in sorted(folder.glob("*/*.jpg")):
        data = path.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        known[sha256] = data
        split: Split = "test" if int(sha256[:2], 16) < _TESTED else "train"
        label = called.get(path.parent.name, path.parent.name)
        items.append(Item(sha256=sha256, label=label, split=split))
    items.sort(key=lambda item: item.sha256)
    dataset = Dataset(name="breeds", version=1, labels=list(LABELS), items=items, made_at_ms=0)
    return TrainingSet(dataset, digest_of(render(dataset)), known.__getitem__)
