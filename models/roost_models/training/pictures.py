"""A dataset's version as training sees it: items in a fixed order, numbers for labels, bytes on demand."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from roost_broker.errors import Misuse
from roost_models.bundle.manifest import TrainedOn
from roost_models.datasets.document import Dataset, Item


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """`digest` is that of the version's document; `read` gives a picture's bytes by its SHA-256, and raises."""

    dataset: Dataset
    digest: str
    read: Callable[[str], bytes]

    @property
    def trained_on(self) -> TrainedOn:
        """For the manifest."""
        return TrainedOn(name=self.dataset.name, version=self.dataset.version, digest=self.digest)

    @property
    def labels(self) -> list[str]:
        """In the order of the outputs."""
        return self.dataset.labels

    @property
    def learnt(self) -> list[Item]:
        """Training and validation. Raises `Misuse` when there is too little to learn from."""
        items = [item for item in self.dataset.items if item.split != "test"]
        if len({item.label for item in items}) < 2:
            raise Misuse(
                f"Version {self.dataset.version} of {self.dataset.name} shows fewer than two labels to train on.",
                "Label more, of other days, and make the next version: roost dataset make.",
            )
        return items

    @property
    def tested(self) -> list[Item]:
        """The frozen test split."""
        return [item for item in self.dataset.items if item.split == "test"]

    def number(self, item: Item) -> int:
        """Which output is right for it."""
        return self.dataset.labels.index(item.label)

    def bytes_of(self, items: Iterable[Item]) -> Iterator[bytes]:
        """Each picture, read when it is its turn."""
        return (self.read(item.sha256) for item in items)
