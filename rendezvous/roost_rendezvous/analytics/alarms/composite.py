"""Several ways to look at all signals at once, within one false-alarm budget. Pure.

The book adds up log-odds. Then nineteen quiet monitors (-1 each) cancel one that screams (+6), and what is right for
independent monitors is wrong for correlated ones. Here:

* log-odds below 0 count as 0: a quiet signal takes nothing away;
* five combinations look side by side: the strangest signal now, the same for an hour, the sum of all, the same for an
  hour, and how many are above a level, at whatever level that is most surprising (Berk and Jones 1979; it finds
  eight slightly strange signals as well as four stranger ones);
* each is reduced by how many signals there are, so that a new signal does not shift it much;
* each is turned into "so often a week, by its own history", and the rarest of the five is the composite, which is
  turned into so often a week by *its* own history once more. Only that is held against the budget, so five ways cost
  no more alarms than one.
"""

from typing import Any, NamedTuple

import numpy as np

from roost_rendezvous.analytics.alarms.bins import Floats
from roost_rendezvous.analytics.alarms.levels import WEEK_NS, EpisodeLevels

WAYS = ("one signal", "one signal for an hour", "several signals", "all signals together", "all signals for an hour")
_MEAN = np.log10(2.0)
"""Mean of max(0, log-odds) of a signal that is as usual, and its standard deviation:"""
_SPREAD = float(np.sqrt((np.pi**2 / 6.0) / np.log(10.0) ** 2 - _MEAN**2))


class Looked(NamedTuple):
    """The composite at one moment."""

    value: float
    """-log10 of how often a week, by the rarest of the five; nan: not known yet."""
    way: str
    """Which of `WAYS` that was."""


def combine(nines: Floats, lasting: Floats) -> Floats:
    """The five statistics: `nines` now and `lasting` (of the last hour), both log-odds of shape (signals,)."""
    count = len(nines)
    if count == 0:
        return np.full(len(WAYS), -4.0)
    urgent, hour = np.maximum(nines, 0.0), np.maximum(lasting, 0.0)
    scale = _SPREAD * np.sqrt(count)
    return np.array(
        [
            urgent.max() - np.log10(count),
            hour.max() - np.log10(count),
            _above_some_level(nines),
            (urgent.sum() - _MEAN * count) / scale,
            (hour.sum() - _MEAN * count) / scale,
        ]
    )


def _above_some_level(nines: Floats) -> float:
    """Berk and Jones: the most surprising count of signals above a level, -log10 of its chance (Chernoff)."""
    count = len(nines)
    half = max(1, count // 2)
    stranger = np.sort(1.0 / (1.0 + 10.0**nines))[:half]
    expected = np.clip(stranger, 1e-12, 1.0 - 1e-12)
    seen = np.arange(1, half + 1) / count
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = np.where(seen < 1.0, (1.0 - seen) * np.log((1.0 - seen) / (1.0 - expected)), 0.0)
    distance = count * (seen * np.log(seen / expected) + rest) / np.log(10.0)
    return float(np.max(np.where(expected < seen, distance, 0.0)))


class Composite:
    """The five ways, what each usually is, and what the rarest of them usually is."""

    def __init__(self, calm_ns: int, mean_life_ns: int, least_ns: int) -> None:
        self._least_weeks = least_ns / WEEK_NS
        self._ways = EpisodeLevels(len(WAYS), calm_ns, mean_life_ns)
        self._whole = EpisodeLevels(1, calm_ns, mean_life_ns)

    @property
    def ready(self) -> bool:
        """Whether it was watched for long enough to page."""
        return self._whole.weeks >= self._least_weeks / 2.0

    @property
    def watched_ns(self) -> int:
        """How long it was watched."""
        return round(self._ways.weeks * WEEK_NS)

    def look(self, statistics: Floats) -> Looked:
        """What `statistics` are worth; learns nothing."""
        rates = self._ways.per_week(statistics)
        if np.isnan(rates).all():
            return Looked(float("nan"), WAYS[0])
        rarest = int(np.nanargmin(rates))
        return Looked(float(-rates[rarest]), WAYS[rarest])

    def learn(self, statistics: Floats, looked: Looked, now: int) -> None:
        """The composite of all signals at this tick, those of open episodes included: budgets are of all alarms."""
        self._ways.tick(statistics, now)
        # What little is known at first gives wild values; the composite must not learn them as usual.
        if self._ways.weeks >= self._least_weeks / 2.0 and not np.isnan(looked.value):
            self._whole.tick(np.array([looked.value]), now)

    def threshold(self, per_week: float) -> float:
        """The level that the composite reaches `per_week` times a week; inf while that is not known."""
        return self._whole.level(0, per_week) if self.ready else float("inf")

    def per_week(self, looked: Looked) -> float:
        """How often a week something as strange is seen; nan: not known yet."""
        return float(10.0 ** self._whole.per_week(np.array([looked.value]))[0])

    def snapshot(self) -> dict[str, Any]:
        """JSON-able."""
        return {"ways": self._ways.snapshot(), "whole": self._whole.snapshot()}

    def restore(self, kept: dict[str, Any]) -> None:
        """What `snapshot` gave."""
        self._ways.restore(kept["ways"])
        self._whole.restore(kept["whole"])
