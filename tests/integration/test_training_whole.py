"""A whole network, trained with Keras and measured through the exported file. Needs the extra `train`."""

import hashlib
from pathlib import Path

import pytest

from roost_henhouse.scenes import write_scenes
from roost_models.bundle.pins import installed
from roost_models.datasets.document import Dataset, Item, digest_of, render
from roost_models.training.exporting import Exported, Plan
from roost_models.training.network import NetworkPlan
from roost_models.training.pictures import TrainingSet
from roost_models.training.progress import Silent
from roost_models.training.whole import train_whole

pytestmark = pytest.mark.skipif(
    not any(installed(name) for name in ("tensorflow", "tensorflow-cpu")),
    reason="TensorFlow is not installed: pip install 'roost[train]' in an environment of its own, and run this there.",
)


def scenes(folder: Path) -> TrainingSet:
    """Jays and open doors: easily told apart."""
    write_scenes(folder, 24, 61)
    known, items = {}, []
    for path in sorted([*folder.glob("blue_jay/*.jpg"), *folder.glob("open_door/*.jpg")]):
        data = path.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        known[sha256] = data
        split = "test" if int(path.stem) % 5 == 0 else "train"
        items.append(Item(sha256=sha256, label=path.parent.name, split=split))
    items.sort(key=lambda item: item.sha256)
    dataset = Dataset(name="doors", version=1, labels=["blue_jay", "open_door"], items=items, made_at_ms=0)
    return TrainingSet(dataset, digest_of(render(dataset)), known.__getitem__)


@pytest.mark.filterwarnings("default")  # TensorFlow's own
def test_a_whole_network_comes_out_as_one_file_the_same_every_time(tmp_path: Path) -> None:
    pictures = scenes(tmp_path / "scenes")
    how = NetworkPlan(epochs=2, width=0.5, batch=8)

    def train(version: str) -> Exported:
        plan = Plan(tmp_path / version, "doors", "1.0.0", "nest", "Apache-2.0")
        return train_whole(plan, pictures, how, Silent(), workers=1)

    one, other = train("1"), train("2")
    assert one.bundle.digest == other.bundle.digest
    assert one.bundle.manifest.entry == "model.tflite"
    assert one.bundle.manifest.head is None
    assert one.figures is not None
    assert (
        one.figures.right.shown == len(pictures.tested) == 10
    )  # two epochs teach nothing; docs/training.md has figures
    assert "trained whole" in one.bundle.read("CARD.md").decode()
