"""G10: event streams that come in clumps. False alarms on the half not learnt from; a stop and a doubling put into it.

Three readings share the budget of one alarm a week evenly: changes of rate, silence, and what lasts for a day. Levels
are read from the first half and stay. Changes last a day and begin at set hours; a copy of the watch lives through
each.

*Could anybody find it?* Beside the doublings stands what hindsight does: a hundred sums over the hours' counts, each
with the level that gives it exactly the budget on the judged half itself, and of all of them the one that finds most.
Nobody who has to choose before he has seen does better with any of these.
"""

import copy
import itertools
import json
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from analytics_figures import Figure
from nab_counts import HOUR, WEEK, Series, hourly

from roost_rendezvous.analytics.rates.seasonal import NEXT_DAY, NEXT_HOUR, Seasonal
from roost_rendezvous.analytics.rates.stream import RateWatch
from roost_rendezvous.analytics.reading import Signal

_SIGNAL = Signal(task="bench", kind="rate", subject="task", of="events")
_BUDGET = 1.0
"""Alarms a week and stream."""
_BLOCK, _DAY = 6 * HOUR, 24 * HOUR
_MOST_PER_HOUR = 300.0
"""Hundreds of thousands of events: minutes for no new knowledge."""
_WINDOWS = (1, 2, 3, 4, 6, 8, 12, 18, 24)
_BOUNDS = (1.0, 1.5, 2.0, 3.0, 1e9)
Floats = npt.NDArray[np.float64]
Levels = tuple[float, float, float]


class _Lived:
    """One stream, lived through once."""

    def __init__(self, one: Series) -> None:
        self.found = {"stop": 0, "doubling": 0, "halving": 0}
        self.tried = 0
        self.by_chance: set[int] = set()
        self.days: set[int] = set()
        self.blocks: set[int] = set()
        events = one.events(3)
        middle = (one.at[0] + one.at[-1]) // 2
        self.weeks = (one.at[-1] - middle) / WEEK
        chance = math.log10(len(events) / ((events[-1] - events[0]) / WEEK))
        self.starts = [(middle // HOUR + 36 + 84 * turn) * HOUR for turn in range(6)]
        watch, levels = RateWatch(_SIGNAL), None
        due = (events[0] // HOUR + 1) * HOUR
        for place, event in enumerate(events):
            while event >= due:
                said = _said(watch, due)
                if due >= middle:
                    levels = levels or _levels(watch)
                    if said[2] >= levels[2]:
                        self.days.add(due // _DAY)
                    if said[0] >= levels[0] or said[1] >= levels[1]:
                        self.blocks.add(due // _BLOCK)
                    if said[0] >= chance:
                        self.by_chance.add(due // _BLOCK)
                    if due in self.starts:
                        self.tried += 1
                        for change in self.found:
                            self.found[change] += _finds(watch, due, events[place : place + 20_000], change, levels)
                due += HOUR
            watch.event(event)

    @property
    def alarms(self) -> int:
        """Days that were strange as days, and quarters of a day that were strange beside them."""
        return len(self.days) + sum(block * _BLOCK // _DAY not in self.days for block in self.blocks)


def clustered(series: list[Series]) -> Iterator[Figure]:
    """The figures of G10."""
    series = [one for one in series if one.mean_per_hour <= _MOST_PER_HOUR]
    lived = [_Lived(one) for one in series]
    tried, weeks = sum(one.tried for one in lived), sum(one.weeks for one in lived)
    if not tried:
        return
    own, poisson = (sum(counts) / weeks for counts in zip(*((o.alarms, len(o.by_chance)) for o in lived), strict=True))
    yield Figure(
        "G10",
        "false alarms 0.5 to 1.5 × the budget of 1 a week on the half not learnt from",
        f"{own:.2f} a week over {weeks:.0f} weeks of streams",
        0.5 <= own <= 1.5,
        f"a level for independent events: {poisson:.1f} a week",
        "labelled anomalies of the series count as false alarms here",
    )
    by_luck = (1 - math.exp(-own / 7)) * tried
    best = _hindsight(series, [one.starts for one in lived])
    for change in ("stop", "doubling", "halving"):
        count = sum(one.found[change] for one in lived)
        beside = f"{own:.2f} false alarms a week; by chance {by_luck:.0f} of {tried}"
        if change == "doubling":
            beside += f"; the best of {best[2]} sums chosen with hindsight {best[0]} of {tried} ({best[1]})"
        yield Figure(
            f"G10 {change}",
            f"an injected {change} is found (within 24 h, at that level), 9 of 10 times",
            f"{count} of {tried}",
            None if change == "halving" else count >= 0.9 * tried,
            beside,
            "no goal; the other direction" if change == "halving" else "",
        )


def _said(watch: RateWatch, now: int) -> Levels:
    rate, silence, lasted = (
        reading.surprise or 0.0 for reading in (watch.tick(now), watch.stopped(now), watch.lasted(now))
    )
    return rate, silence, lasted


def _levels(watch: RateWatch) -> Levels:
    each = _BUDGET / 3.0
    rate, silence, lasted = (
        math.inf if level is None else level
        for level in (watch.history.level(each), watch.silences.level(each), watch.lasting.history.level(each))
    )
    return rate, silence, lasted


def _finds(watch: RateWatch, start: int, rest: list[int], change: str, levels: Levels) -> bool:
    """Whether a copy of the watch that lives through the change alarms within a day."""
    twin = RateWatch(_SIGNAL)
    twin.restore(json.loads(json.dumps(watch.snapshot())))
    twin.accept()
    due, end = start + HOUR // 4, start + _DAY
    rest = [event for event in rest if event < end]
    changed = {"stop": [], "doubling": [event for event in rest for _ in (0, 1)], "halving": rest[::2]}[change]
    for event in [*changed, end]:
        while event >= due:
            if any(said >= level for said, level in zip(_said(twin, due), levels, strict=True)):
                return True
            due += HOUR // 4
        if event < end:
            twin.event(event)
    return False


def _hindsight(series: list[Series], starts: list[list[int]]) -> tuple[int, str, int]:
    """Of all sums the one that finds most doublings, what it is, and how many there were."""
    found: dict[str, int] = {}
    for one, moments in zip(series, starts, strict=True):
        first, counts = hourly(one)
        half, begins = len(counts) // 2, [moment // HOUR - first for moment in moments]
        for name, usual in _usual(first, counts, begins).items():
            spread = float(np.nanmedian(np.abs(np.log1p(counts) - usual.log)[half:])) / 0.6745 or 1.0
            for window, bound in itertools.product(_WINDOWS, _BOUNDS):
                quiet = _sums(counts, usual.log, spread, window, bound)
                level = _exact_level(quiet[half:], first + half, (len(counts) - half) / 168)
                said = f"{window} h, {f'bounded at {bound:g}' if bound < 1e9 else 'unbounded'}, against {name}"
                found[said] = found.get(said, 0)
                for begin in begins:
                    day = slice(begin, begin + 24)
                    changed, log = counts.copy(), usual.log.copy()
                    changed[day] *= 2.0
                    log[day] = usual.changed[begin]
                    found[said] += float(_sums(changed, log, spread, window, bound)[day].max()) > level
    best = max(found, key=found.__getitem__)
    return found[best], best, len(found)


class _Usual(NamedTuple):
    """What each hour should bring, as logarithms."""

    log: Floats
    changed: dict[int, Floats]
    """Of the 24 hours from each beginning of a change, as the change makes it."""


def _usual(first: int, counts: Floats, begins: list[int]) -> dict[str, _Usual]:
    """By both forecasts; and by what nobody has: the median of all such hours of the day, the future included."""
    seasonal = Seasonal()
    aheads = {"the day-ahead forecast": NEXT_DAY, "the next-hour forecast": NEXT_HOUR}
    found = {name: _Usual(np.full(len(counts), np.nan), {}) for name in aheads}
    for place, count in enumerate(counts):
        for name, ahead in aheads.items():
            found[name].log[place] = _log(seasonal, first + place, ahead)
            if place in begins:
                twin, day = copy.deepcopy(seasonal), np.zeros(24)
                for hour in range(24):
                    day[hour] = _log(twin, first + place + hour, ahead)
                    twin.learn(first + place + hour, 2.0 * float(counts[place + hour]))
                found[name].changed[place] = day
        seasonal.learn(first + place, float(count))
    hours = (first + np.arange(len(counts))) % 24
    middles = np.array([np.median(np.log1p(counts[hours == hour])) for hour in range(24)])[hours]
    found["that hour's median, future included"] = _Usual(middles, {at: middles[at : at + 24] for at in begins})
    return found


def _log(seasonal: Seasonal, hour: int, ahead: int) -> float:
    forecast = seasonal.forecast(hour, ahead)
    return math.nan if forecast is None else math.log1p(forecast.expected)


def _sums(counts: Floats, log: Floats, spread: float, window: int, bound: float) -> Floats:
    voices = np.clip(np.nan_to_num((np.log1p(counts) - log) / spread), -bound, bound)
    sums: Floats = np.convolve(voices, np.ones(window))[: len(counts)]
    return sums


def _exact_level(sums: Floats, first: int, weeks: float) -> float:
    """The level that makes just the budget of alarms on these very hours; a day's alarms are one."""
    largest: dict[int, float] = {}
    for place, value in enumerate(sums):
        day = (first + place) // 24
        largest[day] = max(largest.get(day, -math.inf), float(value))
    ranked = sorted(largest.values(), reverse=True)
    return ranked[min(int(_BUDGET * weeks), len(ranked) - 1)]
