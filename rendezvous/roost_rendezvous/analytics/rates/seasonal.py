"""How many events an hour should bring: regression on log counts of earlier hours, online and robust. Pure.

The book, ch. 7: "computing hourly counts and building a model for the current hour's count based on counts for previous
hours over the last week or so ... typically, it is easier to use the log of these counts". Here:

* what is usual at this hour of the week (`profile`) is the base; the regression predicts the departure from it by the
  departures of the last hours, of the same hours yesterday and last week, and of the last day on average;
* recursive least squares that forget (`regression`), each error clipped, so that a wild hour does not teach nonsense;
* streams that are all bursts and no season are better guessed by the last hour alone: the guess is a mixture of the
  regression, the last hour and the middle of both, weighted by how well each did lately (`horizon`);
* the band is made of quantiles of the stream's own errors, not of a formula (`bands`).

Two horizons: the next hour, which follows today's departures, and the same hour a day ahead, which does not, and so
notices what creeps in over hours. Hours are UTC: summer time shows for a week as an hour's shift, and is learnt.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec import Struct

from roost_rendezvous.analytics.rates.horizon import Horizon
from roost_rendezvous.analytics.rates.profile import WEEK_HOURS, Floats, Profile, numbers, plain

NEXT_HOUR, NEXT_DAY = 1, 24
_LAGS = (1, 2, 3, 24, 25, WEEK_HOURS, WEEK_HOURS + 1)
_RING = WEEK_HOURS + 48
"""Hours remembered: the longest lag and the day before it."""


class Forecast(Struct, frozen=True, gc=False):
    """What one hour should bring."""

    expected: float
    low: float
    """9 of 10 hours bring from `low` to `high`, by the stream's own record."""
    high: float
    mean: float
    """The mean of what such an hour brings; `expected` is the middle, which bursts do not lift."""
    excess: float
    """Variance of the logarithm's error beyond the chance of counting."""
    why_not: str = ""
    """Why nobody should be paged on it: too little history, or too few events (requirement G19)."""


class Seasonal:
    """One stream's hours, numbered from 1970."""

    def __init__(self, *, least_per_hour: float = 30.0, least_hours: int = WEEK_HOURS) -> None:
        self._least_per_hour = least_per_hour
        self._least_hours = least_hours
        self._profile = Profile()
        self._logs = np.full(_RING, np.nan, dtype=np.float32)
        self._departures = np.zeros(_RING, dtype=np.float32)
        self._horizons = {
            ahead: Horizon(ahead, 3 + sum(lag >= ahead for lag in _LAGS)) for ahead in (NEXT_HOUR, NEXT_DAY)
        }
        self.known = 0
        """Hours with a count."""
        self.mean = 0.0
        """Events an hour, over the last week or so."""
        self._next: int | None = None

    def forecast(self, hour: int, ahead: int = NEXT_HOUR) -> Forecast | None:
        """What `hour` should bring, given what was known `ahead` hours before; None before anything was seen."""
        usual = self._profile.usual(hour)
        if usual != usual:
            return None
        horizon = self._horizons[ahead]
        log = min(horizon.mix(self._guesses(horizon, hour, usual)), 50.0)
        low, high = horizon.bands.factors(horizon.spread(log), sure=self.known >= self._least_hours)
        middle = math.exp(log)
        least, most = max(0.0, middle * low - 1.0), max(0.0, middle * high - 1.0)
        return Forecast(
            expected=max(0.0, middle - 1.0),
            low=least,
            high=most,
            mean=max(0.0, middle * horizon.lift - 1.0),
            excess=horizon.excess,
            why_not=self.why_not,
        )

    def learn(self, hour: int, count: float | None) -> None:
        """An hour is over. None: nobody looked; it teaches nothing. Hours left out count as not looked at."""
        if self._next is not None and hour < self._next:
            return
        for missed in range(max(hour if self._next is None else self._next, hour - _RING), hour):
            self._keep(missed, math.nan, 0.0)
        self._next = hour + 1
        if count is None:
            self._keep(hour, math.nan, 0.0)
            return
        value = math.log1p(max(count, 0.0))
        usual = self._profile.usual(hour)
        seen_before = usual == usual
        if seen_before:
            for horizon in self._horizons.values():
                horizon.judge(value, self._guesses(horizon, hour, usual), self._inputs(horizon.ahead, hour, usual))
        self.known += 1
        self.mean += max(1.0 / self.known, 1.0 / WEEK_HOURS) * (count - self.mean)
        self._keep(hour, value, value - usual if seen_before else 0.0)
        self._profile.learn(hour, value, self._horizons[NEXT_DAY].spread(value))

    @property
    def why_not(self) -> str:
        """Why nobody should be paged on it; empty when there is no reason."""
        if self.known < self._least_hours:
            return f"not enough history: {self.known / 24:.1f} of {self._least_hours / 24:.0f} days"
        if self.mean < self._least_per_hour:
            return f"too few events: {self.mean:.1f} an hour, at least {self._least_per_hour:g} are needed"
        return ""

    def _guesses(self, horizon: Horizon, hour: int, usual: float) -> Floats:
        last = float(self._logs[(hour - 1) % _RING])
        return horizon.guesses(usual, last, self._inputs(horizon.ahead, hour, usual))

    def _inputs(self, ahead: int, hour: int, usual: float) -> Floats:
        """One, the day against the week, departures at the lags that are known by then, departure of a whole day."""
        day = [self._departures[(hour - lag) % _RING] for lag in range(ahead, ahead + 24)]
        lagged = [self._departures[(hour - lag) % _RING] for lag in _LAGS if lag >= ahead]
        return np.asarray([1.0, self._profile.daily(hour) - usual, *lagged, sum(day) / 24.0], dtype=np.float64)

    def _keep(self, hour: int, value: float, departure: float) -> None:
        self._logs[hour % _RING], self._departures[hour % _RING] = value, departure

    def snapshot(self) -> dict[str, Any]:
        """Plain values for JSON, about 13 kB."""
        return {
            "next": self._next,
            "known": self.known,
            "mean": round(self.mean, 6),
            "logs": plain(self._logs.astype(np.float64)),
            "departures": plain(self._departures.astype(np.float64)),
            "profile": self._profile.snapshot(),
            "horizons": [horizon.snapshot() for horizon in self._horizons.values()],
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """What `snapshot` gave."""
        self._next, self.known, self.mean = kept["next"], int(kept["known"]), float(kept["mean"])
        self._logs = numbers(kept["logs"], _RING).astype(np.float32)
        self._departures = np.nan_to_num(numbers(kept["departures"], _RING)).astype(np.float32)
        self._profile.restore(kept["profile"])
        for horizon in kept["horizons"]:
            if horizon["ahead"] in self._horizons:
                self._horizons[horizon["ahead"]].restore(horizon)
