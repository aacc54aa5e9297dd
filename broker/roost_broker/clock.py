"""Clocks. Monotonic time decides, wall time labels; both are integers of nanoseconds.

Float seconds are not used for decisions anywhere: `now - started >= after` can stay false for ever.
"""

import os
import time
from functools import lru_cache
from pathlib import Path
from typing import Protocol

MS = 1_000_000
SECOND = 1_000_000_000

# Before this moment no Roost existed: a wall clock that says less has not been set since power-on.
_EARLIEST_CREDIBLE_WALL_NS = 1_735_689_600 * SECOND  # 2025-01-01


class Clock(Protocol):
    """Where shells take the time from. Cores take it as an argument."""

    def monotonic_ns(self) -> int:
        """Nanoseconds that never go backwards; shared by all processes of one boot."""
        ...

    def wall_ns(self) -> int:
        """Nanoseconds since 1970 as this machine believes; may jump."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def monotonic_ns(self) -> int:
        """See `Clock`."""
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        """See `Clock`."""
        return time.time_ns()


class VirtualClock:
    """A clock that stands still until told: for simulation and for tests without sleeps."""

    def __init__(self, monotonic_ns: int = 0, wall_ns: int = 1_800_000_000 * SECOND) -> None:
        self._monotonic = monotonic_ns
        self._wall = wall_ns

    def monotonic_ns(self) -> int:
        """See `Clock`."""
        return self._monotonic

    def wall_ns(self) -> int:
        """See `Clock`."""
        return self._wall

    def advance(self, ns: int) -> None:
        """Move both clocks forward by `ns` nanoseconds."""
        if ns < 0:
            raise ValueError("a monotonic clock does not go backwards")
        self._monotonic += ns
        self._wall += ns

    def step_wall(self, ns: int) -> None:
        """Step the wall clock alone, as NTP does on a Pi without a battery clock."""
        self._wall += ns


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Name of this boot of this machine, 32 hex digits.

    Two monotonic readings may be compared only when their boot ids are equal. Where the system has no such name
    (not Linux), each process gets one of its own, so that every other's reading is taken as foreign.
    """
    path = Path("/proc/sys/kernel/random/boot_id")
    try:
        return path.read_text(encoding="ascii").strip().replace("-", "")
    except OSError:
        return os.urandom(16).hex()


def looks_synced(wall_ns: int) -> bool:
    """Whether a wall-clock reading is credible at all (a Pi without a battery clock starts in the past)."""
    return wall_ns >= _EARLIEST_CREDIBLE_WALL_NS
