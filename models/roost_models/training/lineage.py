"""What a dataset's version says about where a model comes from. Pure."""

from collections import Counter
from collections.abc import Iterable

from roost_broker.jpeg_comment import is_rendered
from roost_models.datasets.document import Dataset, Item

DOES_NOT_TRANSFER = (
    "**Rendered scenes do not transfer to real ones.** A network trained on rendered scenes called 39 of 48 real "
    "nest-box pictures one breed. These figures compare models with each other; they say nothing about real animals. "
    "For those, train on pictures of your own camera."
)
SOURCES = 64
"""So many sites and origins are looked at."""


def rendered(dataset: Dataset, samples: Iterable[bytes]) -> bool:
    """Whether any of the pictures is rendered: its origin says so, or one of these `samples` of them does itself."""
    said = [dataset.why, *dataset.recipe.values(), *{item.origin for item in dataset.items}]
    return any("rendered" in text.lower() for text in said) or any(is_rendered(data) for data in samples)


def one_of_each_source(items: Iterable[Item]) -> list[Item]:
    """A picture of each site and origin, at most `SOURCES`: pictures of one camera are all rendered, or none."""
    found: dict[tuple[str, str], Item] = {}
    for item in items:
        if len(found) < SOURCES:
            found.setdefault((item.site, item.origin), item)
    return list(found.values())


def counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Pictures by split and label; labels in the dataset's order."""
    found = Counter((item.split, item.label) for item in dataset.items)
    return {
        split: {label: found[split, label] for label in dataset.labels} for split in ("train", "validation", "test")
    }
