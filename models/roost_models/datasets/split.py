"""Which group of pictures is for training and which for testing. Pure.

1. A group (a site's day) is never divided: pictures of one morning are too much alike.
2. A new group's place is a hash of its name, the same for every dataset and on every machine.
3. What was once in the test split stays there: the group, and every group that one of its pictures is in later (when
   somebody found out where it was taken, say). Nobody can train on what somebody was measured by.
4. What was trained on stays in training, or the model in force would be measured by what it has learned.
5. While there are few groups, chance can leave the test next to nothing, or training. Then new groups come into the
   test in the order of their places until it has half its share, and training keeps a group at least. Only where
   nothing else is left does rule 4 yield, to a test of one group.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from roost_broker.errors import Misuse
from roost_broker.shares import place
from roost_models.datasets.document import Item, Split

_SALT = "roost-test-split"


@dataclass(frozen=True, slots=True)
class Shares:
    """Of all groups, from 0 to 1; what is left over is for training. Raises `Misuse`."""

    test: float = 0.2
    validation: float = 0.0

    def __post_init__(self) -> None:
        for name, share in (("test", self.test), ("validation", self.validation)):
            if not 0 <= share < 1:
                raise Misuse(f"A {name} share of {share} cannot be.", "Use a number from 0 to less than 1: 0.2.")
        if self.test + self.validation >= 1:
            raise Misuse(
                f"A test share of {self.test} and a validation share of {self.validation} leave nothing to train on.",
                "Lower them, so that their sum is less than 1.",
            )


@dataclass(frozen=True, slots=True)
class Frozen:
    """What earlier versions decided."""

    groups: Mapping[str, Split] = field(default_factory=dict)
    tested: frozenset[str] = frozenset()
    """Pictures that were in a test split."""

    @classmethod
    def of(cls, earlier: Iterable[Iterable[Item]]) -> "Frozen":
        """From the items of every earlier version, oldest first."""
        groups: dict[str, Split] = {}
        tested: set[str] = set()
        for items in earlier:
            for item in items:
                if groups.get(item.group) != "test":
                    groups[item.group] = item.split
                if item.split == "test":
                    tested.add(item.sha256)
        return cls(groups, frozenset(tested))


def split(
    pictures: Mapping[str, str], shares: Shares, frozen: Frozen, held_out: frozenset[str] = frozenset()
) -> dict[str, Split]:
    """The split of every group; `pictures` gives the group of each picture, `held_out` names groups of rule 6."""
    sizes = Counter(pictures.values())
    groups = sorted(sizes, key=lambda group: (place(_SALT, group), group))
    must = {group for sha256, group in pictures.items() if sha256 in frozen.tested}
    found: dict[str, Split] = {}
    for group in groups:
        known = frozen.groups.get(group)
        if group in must or known == "test" or (known is None and group in held_out):
            found[group] = "test"
        else:
            found[group] = known or _by_place(place(_SALT, group), shares)
    fresh = [group for group in groups if group not in frozen.groups and group not in must]
    if shares.test > 0 and len(groups) > 1:
        _fill_test(found, fresh, sizes, shares.test)
    if "train" not in found.values() and fresh and len(groups) > 1:
        found[fresh[-1]] = "train"
    return found


def _fill_test(found: dict[str, Split], fresh: list[str], sizes: Mapping[str, int], share: float) -> None:
    """Rule 5. `fresh` in the order of their places."""
    total = sum(sizes.values())
    for group in fresh:
        has = sum(size for name, size in sizes.items() if found[name] == "test")
        train = sum(1 for split_ in found.values() if split_ == "train")
        if has >= share * total / 2:
            return
        last = found[group] == "train" and train == 1
        if found[group] != "test" and not last and has + sizes[group] <= total / 2:
            found[group] = "test"
    if "test" not in found.values():
        smallest = min(found, key=lambda group: (sizes[group], place(_SALT, group), group))
        found[smallest] = "test"


def _by_place(at: float, shares: Shares) -> Split:
    if at < shares.test:
        return "test"
    return "validation" if at < shares.test + shares.validation else "train"
