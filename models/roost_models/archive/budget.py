"""Which frames go when the archive is over its byte budget. Pure: files and rows are the caller's business.

Rules:

1. Nothing goes while the total is within the budget.
2. Beyond it the oldest go first, until the low-water mark or the end of the slice, whichever is sooner.
3. A slice that did not bring the total within the budget says so (`more`): the caller comes back for the next.

Only frames have a budget. The record of what was asked and answered is never given up for space.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HeldFrame:
    """One frame in the archive."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Removals:
    """What one slice of house-keeping removes."""

    frames: tuple[HeldFrame, ...] = ()
    more: bool = False

    @property
    def bytes(self) -> int:
        """Bytes that the slice frees."""
        return sum(frame.bytes for frame in self.frames)


def plan(oldest_first: Iterable[HeldFrame], *, held: int, budget: int, low_water: float) -> Removals:
    """Choose from `oldest_first` (one slice's worth) what must go; `held` is the total of all frames, in bytes."""
    if held <= budget:
        return Removals()
    target = int(budget * low_water)
    left = held
    chosen: list[HeldFrame] = []
    for frame in oldest_first:
        if left <= target:
            break
        chosen.append(frame)
        left -= frame.bytes
    return Removals(tuple(chosen), more=left > budget and bool(chosen))
