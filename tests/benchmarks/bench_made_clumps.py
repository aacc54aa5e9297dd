"""Made-up streams that come in clumps, by the hour: what the form of `rates.lasting` was chosen on (G10).

Eight weeks each, levels from the first half, doublings of a day put into the second. Beside it the same day's events
simply added up, against their own past.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from analytics_figures import Figure

from roost_rendezvous.analytics.rates.history import HOUR, HistoryPolicy, OwnHistory
from roost_rendezvous.analytics.rates.lasting import HOURS, Lasting
from roost_rendezvous.analytics.rates.seasonal import NEXT_DAY, Forecast, Seasonal

_FIRST = 480_000
"""An hour; divisible by 24."""
_LENGTH = 24 * 7 * 8
_BUDGET = 1.0 / 3.0
"""A week: as in `bench_clustered`, where three readings share one alarm."""
Floats = npt.NDArray[np.float64]
Draw = np.random.Generator


def made_clumps(quick: bool) -> Iterator[Figure]:
    """One figure for each kind of process."""
    for name, make in _KINDS.items():
        alarms, weeks, found, tried = np.zeros(2), 0.0, np.zeros(2), 0
        for seed in range(3 if quick else 12):
            counts = make(np.random.default_rng(1_000 + seed))
            raised, caught, here = _lived(counts)
            alarms, found, tried = alarms + raised, found + caught, tried + here
            weeks += _LENGTH / 2 / 168
        rates = alarms / weeks
        yield Figure(
            f"G10 made-up, {name}",
            "none: here the form was chosen",
            f"{found[0] / tried:.0%} of {tried} doublings, {rates[0]:.2f} false alarms a week at a third of one",
            None,
            f"the day's events added up: {found[1] / tried:.0%}, {rates[1]:.2f} a week",
            "the day's reading alone",
        )


def _season(draw: Draw) -> Floats:
    hours, depth = np.arange(_LENGTH), draw.uniform(0.2, 0.7)
    day = 1.0 + depth * np.cos(2 * np.pi * (hours - draw.uniform(0, 24)) / 24)
    found: Floats = np.maximum(day * (1.0 + 0.15 * np.cos(2 * np.pi * hours / 168 + draw.uniform(0, 6))), 0.05)
    return found


def _lively(draw: Draw, low: float, high: float) -> Floats:
    """A factor that wanders: what it was an hour ago says much about it."""
    keeps, noise = draw.uniform(0.4, 0.9), draw.normal(size=_LENGTH)
    for hour in range(1, _LENGTH):
        noise[hour] = keeps * noise[hour - 1] + math.sqrt(1.0 - keeps**2) * noise[hour]
    found: Floats = np.exp(draw.uniform(low, high) * noise)
    return found


def _cascades(draw: Draw, base: float, tail: float) -> Floats:
    """Something that everybody repeats: sizes without a usual one, fading over hours."""
    rate = np.zeros(_LENGTH + 24)
    for start in draw.integers(0, _LENGTH, draw.poisson(_LENGTH * draw.uniform(0.015, 0.07))):
        fading = np.exp(-np.arange(24) / draw.uniform(0.5, 5.0))
        rate[start : start + 24] += min(base * (draw.pareto(tail) + 0.5), 50.0 * base) * fading / fading.sum()
    return rate[:_LENGTH]


def _clumps(draw: Draw) -> Floats:
    size = draw.uniform(4, 15)
    starts = draw.poisson(draw.uniform(4, 12) * _season(draw))
    return np.array([draw.geometric(1.0 / size, count).sum() for count in starts], dtype=np.float64)


def _lively_rates(draw: Draw) -> Floats:
    return draw.poisson(draw.uniform(40, 200) * _season(draw) * _lively(draw, 0.2, 0.6)).astype(np.float64)


def _cascading(draw: Draw) -> Floats:
    base = draw.uniform(30, 150)
    return draw.poisson(base * _season(draw) + _cascades(draw, base, 1.5)).astype(np.float64)


def _both(draw: Draw) -> Floats:
    base = draw.uniform(30, 150)
    rate = base * _season(draw) * _lively(draw, 0.15, 0.4) + _cascades(draw, base, 1.3)
    return draw.poisson(rate).astype(np.float64)


_KINDS: dict[str, Callable[[Draw], Floats]] = {
    "clumps": _clumps,
    "lively rates": _lively_rates,
    "cascades": _cascading,
    "cascades on lively rates": _both,
}


def _lived(counts: Floats) -> tuple[Floats, Floats, int]:
    """Alarms in the second half, doublings found, doublings tried: by `Lasting`, and by the sum of events."""
    seasonal, forecasts = Seasonal(), list[Forecast | None]()
    for place, count in enumerate(counts):
        forecasts.append(seasonal.forecast(_FIRST + place, NEXT_DAY))
        seasonal.learn(_FIRST + place, float(count))
    half, ready = _LENGTH // 2, 168
    said = [_said(counts, forecasts, place) for place in range(ready, _LENGTH)]
    levels = _levels(said[: half - ready])
    days: tuple[set[int], set[int]] = (set(), set())
    for place, both in enumerate(said[half - ready :], start=half):
        for day, value, level in zip(days, both, levels, strict=True):
            if value >= level:
                day.add(place // 24)
    found, tried = np.zeros(2), 0
    for start in range(half + 12, _LENGTH - 25, 37):
        doubled = counts.copy()
        doubled[start : start + 24] *= 2.0
        tried += 1
        later = [_said(doubled, forecasts, place, since=start) for place in range(start + 1, start + 25)]
        found += [any(both[way] >= levels[way] for both in later) for way in (0, 1)]
    return np.array([len(day) for day in days], dtype=np.float64), found, tried


def _said(counts: Floats, forecasts: list[Forecast | None], place: int, *, since: int = 0) -> tuple[float, float]:
    """Both surprises when hour `place` begins, of the hours from `since` on; those before it were as forecast."""
    lasting, seen, expected = Lasting(HistoryPolicy()), 1.0, 1.0
    for hour in range(max(0, place - HOURS), place):
        forecast = forecasts[hour]
        if forecast is None:
            continue
        expected += forecast.expected
        if hour < since:
            seen += forecast.expected
        else:
            lasting.learn(float(counts[hour]), forecast)
            seen += float(counts[hour])
    return lasting.surprise, abs(math.log(seen / expected))


def _levels(said: list[tuple[float, float]]) -> tuple[float, float]:
    found = []
    for way in (0, 1):
        history = OwnHistory(HistoryPolicy(block_ns=24 * HOUR, least_blocks=8))
        for place, both in enumerate(said):
            history.add((_FIRST + place) * HOUR, both[way])
        level = history.level(_BUDGET)
        found.append(math.inf if level is None else level)
    return found[0], found[1]
