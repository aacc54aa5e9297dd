"""From labels to the next version of a dataset. Pure, but for `there`, which looks at pictures.

1. A picture is in it when somebody judged it and nobody disagrees. Disagreements are left out, and listed.
2. What cannot be read, or does not have the content it is named for, is left out, and listed.
3. The split follows `split`: by site and day, and what was once tested is never trained on.
4. Labels keep their numbers from version to version; new ones come behind.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from msgspec import structs

from roost_broker.errors import Misuse
from roost_models.datasets.document import Dataset, Item, LeftOut, digest_of, render
from roost_models.datasets.split import Frozen, Shares, split
from roost_models.labels.entry import Entry
from roost_models.labels.standing import Standing

FEW = 10
"""Fewer pictures of a label than this, in training or in all of the test, are worth a warning."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the version is to be. `labels` empty: all there are."""

    name: str
    task: str = ""
    labels: tuple[str, ...] = ()
    shares: Shares = field(default_factory=Shares)
    test_sites: tuple[str, ...] = ()
    """Sites that are held out for testing."""
    author: str = ""
    why: str = ""


def make(
    wish: Wish,
    standings: Mapping[str, Standing],
    earlier: Sequence[Dataset],
    *,
    now_ms: int,
    there: Callable[[str], str] = lambda _: "",
) -> Dataset:
    """The next version; `earlier` are all before it, oldest first. `there` says `missing`, `damaged` or nothing.

    Raises `Misuse` when there is nothing to make a dataset of.
    """
    items: list[Item] = []
    left_out: list[LeftOut] = []
    for picture, holds in sorted(standings.items()):
        if not holds.verdicts:
            continue
        agreed = holds.agreed
        if agreed is None:
            left_out.append(LeftOut(sha256=picture, reason="conflict", detail=holds.told[:1000]))
        elif agreed.label is None:
            left_out.append(LeftOut(sha256=picture, reason="not-usable", detail=agreed.reason))
        elif wish.labels and agreed.label not in wish.labels:
            left_out.append(LeftOut(sha256=picture, reason="not-wanted", detail=agreed.label))
        elif trouble := there(picture):
            left_out.append(LeftOut(sha256=picture, reason="missing" if trouble == "missing" else "damaged"))
        else:
            items.append(item_of(picture, agreed, holds.verdicts))
    before = earlier[-1] if earlier else None
    labels = list(wish.labels) or _labels(items, before)
    if len({item.label for item in items}) < 2:
        raise Misuse(
            f"Labels of task {wish.task!r} give {len(items)} pictures with {len({i.label for i in items})} label(s); "
            f"a dataset needs two labels.",
            "Label more: `roost label serve`, or `roost label import`.",
        )
    held_out = frozenset(item.group for item in items if item.site in wish.test_sites)
    frozen = Frozen.of(one.items for one in earlier)
    groups = split({item.sha256: item.group for item in items}, wish.shares, frozen, held_out)
    recipe = {"labels": ", ".join(wish.labels), "test-sites": ", ".join(wish.test_sites)}
    return Dataset(
        name=wish.name,
        version=before.version + 1 if before else 1,
        parent=digest_of(render(before)) if before else None,
        labels=labels,
        items=[structs.replace(item, split=groups[item.group]) for item in items],
        made_at_ms=now_ms,
        author=wish.author,
        why=wish.why,
        test_share=wish.shares.test,
        validation_share=wish.shares.validation,
        task=wish.task,
        recipe={name: text[:1000] for name, text in recipe.items() if text},
        left_out=left_out,
    )


def same(one: Dataset, other: Dataset) -> bool:
    """Whether two versions say the same of the same pictures."""
    return (one.labels, one.items) == (other.labels, other.items)


def warnings(dataset: Dataset) -> list[str]:
    """What whoever trains on this should know, in sentences."""
    found = []
    by_split = {name: Counter(i.label for i in dataset.items if i.split == name) for name in ("train", "test")}
    for name, counts in by_split.items():
        few = [f"{label} ({counts[label]})" for label in dataset.labels if counts[label] < FEW]
        if few and (name == "train" or dataset.test_share > 0):
            found.append(f"Fewer than {FEW} pictures in the {name} split: {', '.join(few)}.")
    if dataset.test_share > 0:
        share = sum(by_split["test"].values()) / len(dataset.items) if dataset.items else 0.0
        if not by_split["test"]:
            found.append(
                "Nothing is in the test split: all pictures are of one site and day. "
                "Add pictures of another day or site; what is in training now stays there."
            )
        elif abs(share - dataset.test_share) > max(0.1, dataset.test_share / 2):
            found.append(
                f"{share:.0%} of the pictures are in the test split, not {dataset.test_share:.0%}: "
                f"there are only {len({item.group for item in dataset.items})} groups of site and day."
            )
    alone = sum(1 for item in dataset.items if item.group == item.sha256)
    if alone:
        found.append(
            f"{alone} pictures have neither site nor day: each is split by itself, and alike ones may be on both sides."
        )
    conflicts = sum(1 for one in dataset.left_out if one.reason == "conflict")
    if conflicts:
        found.append(f"{conflicts} pictures are left out because people disagree about them.")
    lost = sum(1 for one in dataset.left_out if one.reason in ("missing", "damaged"))
    if lost:
        found.append(f"{lost} labelled pictures are left out because they cannot be read.")
    return found


def item_of(picture: str, agreed: Entry, verdicts: Iterable[Entry]) -> Item:
    """A picture as a dataset has it, before the split; what one author knows of its place counts for all."""
    site = agreed.site or next((one.site for one in verdicts if one.site), agreed.node)
    taken = next((one.taken for one in (agreed, *verdicts) if one.taken is not None), None)
    return Item(
        sha256=picture,
        label=agreed.label or "",
        split="train",
        site=site,
        day="" if taken is None else day_of(taken),
        label_id=agreed.id,
        author=agreed.author,
        origin=agreed.origin,
    )


def day_of(at_ms: int) -> str:
    """The day, UTC; empty for a time that no calendar has."""
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return ""


def _labels(items: Iterable[Item], before: Dataset | None) -> list[str]:
    used = {item.label for item in items}
    kept = list(before.labels) if before else []
    return kept + sorted(used - set(kept))
