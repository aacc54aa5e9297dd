"""How much room a medium has, and how much of it is kept free for the record of what happened.

Pictures fill a medium, records must never find it full. So a *reserve* stays free, and pictures give way to it step by
step:

1. Free room is below the reserve: pictures go, fairly between their classes (`roost_models.archive.budget`).
2. Below a quarter of it: the oldest go, whatever their class; the newest go last.
3. Below an eighth: no new picture is stored until there is room again. Records are written to the last byte.

A small medium keeps a tenth of itself at most.
"""

import os
from dataclasses import dataclass
from pathlib import Path

_MOST_OF_MEDIUM = 10
_OLDEST_FIRST_BELOW = 4
_CLOSED_BELOW = 8


@dataclass(frozen=True, slots=True)
class Room:
    """A medium, in bytes; `free` is what a role may still use."""

    free: int
    size: int


def room_of(folder: Path) -> Room:
    """Of the medium that holds this folder. Raises OSError."""
    disk = os.statvfs(folder)
    return Room(disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize)


@dataclass(frozen=True, slots=True)
class Reserve:
    """See the module. `bytes` of 0: nothing is kept free."""

    bytes: int = 0

    def kept(self, room: Room) -> int:
        """What is to stay free of this medium."""
        return min(self.bytes, room.size // _MOST_OF_MEDIUM)

    def shortage(self, room: Room) -> int:
        """Bytes that pictures must give up."""
        return max(0, self.kept(room) - room.free)

    def oldest_first(self, room: Room) -> bool:
        """Step 2."""
        return room.free < self.kept(room) // _OLDEST_FIRST_BELOW

    def closed(self, room: Room) -> bool:
        """Step 3."""
        return room.free < self.kept(room) // _CLOSED_BELOW


LOOKS, HELD, BUDGET, FLOORS_SHORT = "store-looks", "store-held", "store-budget", "store-floors-short"
"""Names of the counts in which a keeper of pictures (decoy, capture) tells in its state how its house-keeping goes:
so often it looked whether something must go, bytes held, bytes allowed, and 1 where the floors do not fit."""


def keeper_counts(looks: int, held: int, budget: int, *, floors_fit: bool = True) -> dict[str, int]:
    """Those counts. Whoever watches alarms when `looks` does not rise."""
    return {LOOKS: looks, HELD: held, BUDGET: budget, FLOORS_SHORT: int(not floors_fit)}
