"""What is true of archived pictures, as somebody labelled them: from a label store, or a version of a dataset.

A candidate must not be judged by the pictures it learned from, nor by others of the same morning, which are nearly the
same. Of a dataset only the test split counts; of a label store, what the dataset that the candidate was trained on does
not have in its other splits, and no picture of a site and day that is in them: it may have been labelled later.
`everything` takes all the same, and the report says so.
"""

from dataclasses import dataclass, field
from pathlib import Path

from roost_broker.errors import Misuse
from roost_models.datasets.document import Dataset
from roost_models.datasets.document import parse as parse_dataset
from roost_models.datasets.making import item_of

MAX_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class Truth:
    """Labels by the SHA-256 of the picture."""

    source: str
    labels: dict[str, str]
    left_out: int = 0
    """Labelled pictures that the candidate learned from, or from others of the same site and day."""
    remarks: tuple[str, ...] = field(default=())


def read_truth(path: Path, *, task: str, trained_on: Dataset | None = None, everything: bool = False) -> Truth:
    """Labels from a `.db` (label store) or a `.json` (dataset). Raises `Misuse`, `Malformed`."""
    if not path.is_file():
        raise Misuse(f"There are no labels at {path}.", "Name a label store (labels.db) or a dataset version (N.json).")
    if path.suffix == ".json":
        if path.stat().st_size > MAX_BYTES:
            raise Misuse(f"{path} is larger than {MAX_BYTES} bytes.", "Name a dataset version.")
        return of_dataset(parse_dataset(path.read_bytes()), trained_on=trained_on, everything=everything)
    return of_store(path, task=task, trained_on=trained_on, everything=everything)


def of_dataset(dataset: Dataset, *, trained_on: Dataset | None = None, everything: bool = False) -> Truth:
    """Labels of a dataset's test split, without what `trained_on` has in its other splits."""
    learned = _learned(trained_on)
    wanted = {
        item.sha256: item.label
        for item in dataset.items
        if everything or (item.split == "test" and not learned & {item.sha256, item.group})
    }
    source = f"dataset {dataset.name} version {dataset.version}, {'all of it' if everything else 'test split'}"
    return Truth(source, wanted, left_out=len(dataset.items) - len(wanted), remarks=_warned(everything))


def of_store(path: Path, *, task: str, trained_on: Dataset | None, everything: bool = False) -> Truth:
    """Labels that hold now, without those on which authors disagree."""
    from roost_models.labels.store import LabelStore

    with LabelStore(path, make=False) as store:
        standings = store.standings(task)
    labelled = [
        item_of(picture, agreed, standing.verdicts)
        for picture, standing in standings.items()
        if (agreed := standing.agreed) is not None and agreed.label is not None
    ]
    learned = set() if everything else _learned(trained_on)
    remarks = _warned(everything)
    if not everything and trained_on is None:
        remarks = ("It is not known which pictures the candidate learned from: some may be among the labelled ones.",)
    kept = {item.sha256: item.label for item in labelled if not learned & {item.sha256, item.group}}
    return Truth(f"labels in {path.name}", kept, left_out=len(labelled) - len(kept), remarks=remarks)


def _learned(trained_on: Dataset | None) -> set[str]:
    """Pictures, and groups of a site and day, that a model has seen in its training."""
    items = () if trained_on is None else trained_on.items
    return {name for item in items if item.split != "test" for name in (item.sha256, item.group)}


def _warned(everything: bool) -> tuple[str, ...]:
    if not everything:
        return ()
    return ("Labelled pictures that the candidate learned from count as well: its accuracy is flattered.",)
