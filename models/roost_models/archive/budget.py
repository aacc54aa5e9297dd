"""Which frames go when the archive must become smaller. Pure: files and rows are the caller's business.

A frame's class is the official label of the newest request about it; without an answer, or with a default, it is `""`.
Rules:

1. Nothing goes while the total is within the limit.
2. Beyond it each class is cut to its *allowance*, its oldest frames first, and the allowances add up to the target.
   They are as equal as they can be: there is one level, a class below it keeps all it has, one above it is cut to the
   level (max-min fairness). So what there is most of pays, and what is rare does not.
3. The newest `floor` frames of every class stay (all, where it has fewer), whatever the level is.
4. Where the floors alone do not fit the target, they count for nothing and the level decides alone: the limit is kept.
   The plan says so (`Surplus.floors_fit`), for somebody chose a budget that is too small.

Only frames have a budget. The record of what was asked and answered is never given up for space.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HeldFrame:
    """One frame in the archive."""

    sha256: str
    bytes: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class Removals:
    """What one slice of house-keeping removes."""

    frames: tuple[HeldFrame, ...] = ()
    more: bool = False

    @property
    def bytes(self) -> int:
        """Bytes that the slice frees."""
        return sum(frame.bytes for frame in self.frames)


@dataclass(frozen=True, slots=True)
class ClassHeld:
    """What the archive holds of one class."""

    frames: int
    bytes: int
    floor_bytes: int
    """Of its newest frames that are never given up for others."""


@dataclass(frozen=True, slots=True)
class Surplus:
    """Bytes that each class is to lose; classes that lose nothing are not in it."""

    by_class: Mapping[str, int] = field(default_factory=dict)
    floors_fit: bool = True


def tally(newest_first: Iterable[HeldFrame], floor: int) -> dict[str, ClassHeld]:
    """What is held, by class; `floor` in frames of each class."""
    counts: dict[str, list[int]] = {}
    for frame in newest_first:
        found = counts.setdefault(frame.label, [0, 0, 0])
        if found[0] < floor:
            found[2] += frame.bytes
        found[0] += 1
        found[1] += frame.bytes
    return {label: ClassHeld(*found) for label, found in counts.items()}


def surplus(held: Mapping[str, ClassHeld], *, limit: int, target: int) -> Surplus:
    """How much of each class must go when more than `limit` bytes are held, so that `target` are left."""
    if sum(one.bytes for one in held.values()) <= limit:
        return Surplus()
    floors = {label: one.floor_bytes for label, one in held.items()}
    fit = sum(floors.values()) <= target
    if not fit:
        floors = dict.fromkeys(held, 0)
    level = _level({label: one.bytes for label, one in held.items()}, floors, target)
    allowed = {label: max(level, floors[label]) for label in held}
    excess = {label: one.bytes - allowed[label] for label, one in held.items()}
    return Surplus({label: size for label, size in excess.items() if size > 0}, fit)


def choose(oldest_first: Iterable[HeldFrame], wanted: Surplus, most: int) -> tuple[HeldFrame, ...]:
    """The oldest frames of each class that make up its surplus; `most` frames at most."""
    left = dict(wanted.by_class)
    chosen: list[HeldFrame] = []
    for frame in oldest_first:
        if len(chosen) >= most or not left:
            break
        if frame.label not in left:
            continue
        chosen.append(frame)
        left[frame.label] -= frame.bytes
        if left[frame.label] <= 0:
            del left[frame.label]
    return tuple(chosen)


def _level(sizes: Mapping[str, int], floors: Mapping[str, int], target: int) -> int:
    """The highest level at which what classes keep fits the target. The floors fit it: rule 4."""
    low, high = 0, target
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(size, max(middle, floors[label])) for label, size in sizes.items()) <= target:
            low = middle
        else:
            high = middle - 1
    return low
