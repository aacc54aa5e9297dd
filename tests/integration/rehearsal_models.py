"""The book's figure 7-2 as rendered pictures and the models that were trained on them wrongly and rightly."""

from pathlib import Path
from typing import NamedTuple

from roost_henhouse.recipe import BUNDLES
from roost_henhouse.relabelled import train_breeds
from roost_henhouse.scenes import write_scenes
from roost_henhouse.truth import LABELS
from roost_models.bundle.folder import Bundle
from roost_models.bundle.opening import open_bundle

_EACH = 16
"""Rendered pictures of each label."""


class Heap(NamedTuple):
    """All that the camera ever sees, a folder for each label; one that stands there thrice comes thrice as often."""

    folders: list[Path]
    wrong: Bundle
    """Learnt that one label's pictures are another's."""
    right: Bundle
    canary: Bundle


def rendered(folder: Path) -> Heap:
    """Plymouth Rocks were taken for Buff Orpingtons; they live here, and come more often than others."""
    wrong, right = train_breeds(folder / "breeds", per_class=_EACH)
    scenes = folder / "scenes"
    write_scenes(scenes, _EACH, 97)
    labels = (*LABELS, "plymouth_rock", "plymouth_rock")
    return Heap([scenes / label for label in labels], wrong, right, open_bundle(BUNDLES / "canary"))
