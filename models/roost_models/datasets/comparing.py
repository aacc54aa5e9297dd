"""What changed from one version of a dataset to another. Pure."""

from collections import Counter

from msgspec import Struct

from roost_models.datasets.document import Dataset, Item


class Changed(Struct, frozen=True, kw_only=True, rename="camel"):
    """One picture of which the versions say different things."""

    sha256: str
    before: str
    after: str


class Difference(Struct, frozen=True, kw_only=True, rename="camel"):
    """From `before` to `after`; pictures by their digests."""

    before: str
    after: str
    added: list[str]
    removed: list[str]
    relabelled: list[Changed]
    moved: list[Changed]
    """To another split."""
    leaked: list[str]
    """Tested in `before`, trained on in `after`: the figures of the two cannot be compared."""
    labels_added: list[str]
    labels_removed: list[str]
    counts: dict[str, list[int]]
    """Pictures of each label, before and after."""

    @property
    def none(self) -> bool:
        """Whether nothing differs."""
        return not (
            self.added or self.removed or self.relabelled or self.moved or self.labels_added or self.labels_removed
        )


def compare(before: Dataset, after: Dataset) -> Difference:
    """What changed."""
    old = {item.sha256: item for item in before.items}
    new = {item.sha256: item for item in after.items}
    both = sorted(old.keys() & new.keys())
    counts = Counter(item.label for item in before.items), Counter(item.label for item in after.items)
    return Difference(
        before=f"{before.name} {before.version}",
        after=f"{after.name} {after.version}",
        added=sorted(new.keys() - old.keys()),
        removed=sorted(old.keys() - new.keys()),
        relabelled=[
            _changed(old[one], old[one].label, new[one].label) for one in both if old[one].label != new[one].label
        ],
        moved=[_changed(old[one], old[one].split, new[one].split) for one in both if old[one].split != new[one].split],
        leaked=[one for one in both if old[one].split == "test" and new[one].split != "test"],
        labels_added=[label for label in after.labels if label not in before.labels],
        labels_removed=[label for label in before.labels if label not in after.labels],
        counts={label: [counts[0][label], counts[1][label]] for label in sorted(counts[0].keys() | counts[1].keys())},
    )


def _changed(item: Item, before: str, after: str) -> Changed:
    return Changed(sha256=item.sha256, before=before, after=after)
