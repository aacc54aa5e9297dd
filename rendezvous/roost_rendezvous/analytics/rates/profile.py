"""What is usual at this hour: of the day, and of the week. Robust running means of log counts. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]

DAY_HOURS = 24
WEEK_HOURS = 168
_WEEKLY = 0.3
"""Share of the newest value in an hour of the week: a month is remembered."""
_DAILY = 0.1
"""The same for an hour of the day: ten days."""
_CLIPPED = 6.0
"""A value further off than so many spreads counts as one at that distance: one bad day is no habit."""


class Profile:
    """Usual log counts. `usual(hour)` takes an hour number since 1970 and falls back from week to day to all."""

    def __init__(self) -> None:
        self.week: Floats = np.full(WEEK_HOURS, np.nan)
        self.day: Floats = np.full(DAY_HOURS, np.nan)
        self.all = np.nan

    def usual(self, hour: int) -> float:
        """The most specific mean that there is; NaN before anything was seen."""
        weekly = self.week[hour % WEEK_HOURS]
        return float(weekly) if weekly == weekly else self.daily(hour)

    def daily(self, hour: int) -> float:
        """The same without the week."""
        daily = self.day[hour % DAY_HOURS]
        return float(daily) if daily == daily else float(self.all)

    def learn(self, hour: int, value: float, spread: float) -> None:
        """The log count of an hour that is over; `spread` is the usual error of prediction, in the same unit."""
        most = _CLIPPED * spread
        self.all = value if self.all != self.all else self.all + 0.02 * _clipped(value - self.all, most)
        for means, place, share in (
            (self.week, hour % WEEK_HOURS, _WEEKLY),
            (self.day, hour % DAY_HOURS, _DAILY),
        ):
            old = means[place]
            means[place] = value if old != old else old + share * _clipped(value - old, most)

    def snapshot(self) -> dict[str, Any]:
        """Plain values for JSON; None where nothing was seen."""
        return {"week": plain(self.week), "day": plain(self.day), "all": plain([self.all])[0]}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """What `snapshot` gave."""
        self.week = numbers(kept.get("week", ()), WEEK_HOURS)
        self.day = numbers(kept.get("day", ()), DAY_HOURS)
        self.all = float(numbers([kept.get("all")], 1)[0])


def plain(values: Sequence[float] | Floats) -> list[float | None]:
    """Numbers for JSON: five digits after the point, None for NaN."""
    return [None if value != value else round(float(value), 5) for value in values]


def numbers(values: Sequence[float | None], size: int) -> Floats:
    """The reverse of `plain`; of another length: all NaN."""
    if len(values) != size:
        return np.full(size, np.nan)
    return np.asarray([np.nan if value is None else value for value in values], dtype=np.float64)


def _clipped(value: float, most: float) -> float:
    return max(-most, min(most, value))
