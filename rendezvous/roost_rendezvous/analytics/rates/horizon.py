"""The guesses made so and so many hours ahead, how well each did, and how far off they were. Pure."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from roost_rendezvous.analytics.rates.bands import Bands
from roost_rendezvous.analytics.rates.profile import Floats, numbers, plain
from roost_rendezvous.analytics.rates.regression import Regression

_LAST_HOUR, _YESTERDAY = 0.5, 0.2
"""What a departure of the newest known hour says about the predicted one before anything was learnt."""
_PATIENCE = 0.99
"""Memory of how well each guess did: about four days."""
_TRUST = 0.1
"""How fast the mixture turns to the better guess."""
_UNKNOWN = 0.25
"""Variance of a logarithm before anything was learnt: a factor of 1.6 either way."""
_NEWEST = 0.004
"""Share of the newest error in what is believed of errors: ten days, or a stop would soon be as expected."""
_FAR = 2.5
"""An error beyond so many spreads counts as that many in what is believed of errors."""
_FORTNIGHT = 1.0 - 1.0 / 336.0
_MOST_LIFT = 10.0


class Horizon:
    """Of one distance. Guesses are logs, shape (3,): regression, last hour, the middle of both."""

    def __init__(self, ahead: int, inputs: int) -> None:
        self.ahead = ahead
        self.bands = Bands()
        self._regression = Regression(inputs, start={2: _LAST_HOUR if ahead == 1 else _YESTERDAY})
        self._losses: Floats = np.zeros(3)
        self.excess = _UNKNOWN
        """Variance of the log's error beyond the chance of counting: what is not known about the rate."""
        self._judged = 0
        self._came, self._guessed = 1.0, 1.0
        """Events that came, and those guessed, over the last weeks: a middle of logs lies below the mean count."""

    def spread(self, log: float) -> float:
        """Standard deviation of the log of a count around exp(log): what is not known, and chance."""
        return math.sqrt(self.excess + math.exp(-max(log, 0.0)))

    @property
    def lift(self) -> float:
        """The mean count as a multiple of the middle one: bursts lift the mean."""
        return min(max(self._came / self._guessed, 1.0 / _MOST_LIFT), _MOST_LIFT)

    def guesses(self, usual: float, last: float, inputs: Floats) -> Floats:
        """A day ahead there is no last hour worth mixing in."""
        regressed = usual + self._regression.predict(inputs)
        if self.ahead > 1 or last != last:
            last = regressed
        return np.asarray([regressed, last, (regressed + last) / 2.0])

    def mix(self, guesses: Floats) -> float:
        """One log out of three, by their merits."""
        weights = np.exp(-_TRUST * (self._losses - self._losses.min()))
        return float(weights @ guesses / weights.sum())

    def judge(self, value: float, guesses: Floats, inputs: Floats) -> None:
        """The log count came out as `value`."""
        log = self.mix(guesses)
        error, spread = value - log, self.spread(log)
        self.bands.learn(error / spread)
        self._regression.learn(inputs, value - float(guesses[0]), spread)
        self._losses = _PATIENCE * self._losses + np.minimum(np.abs(value - guesses) / spread, 3.0)
        self._judged += 1
        guessed = math.exp(min(log, 50.0))
        self._came = _FORTNIGHT * self._came + min(math.exp(min(value, 50.0)), guessed * math.exp(_FAR * spread))
        self._guessed = _FORTNIGHT * self._guessed + guessed
        beyond = min(error * error, (_FAR * spread) ** 2) - math.exp(-max(log, 0.0))
        share = max(_NEWEST, 1.0 / (self._judged + 5.0))
        self.excess = max(0.0, self.excess + share * (beyond - self.excess))

    def snapshot(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "ahead": self.ahead,
            "judged": self._judged,
            "excess": round(self.excess, 8),
            "sums": [round(self._came, 4), round(self._guessed, 4)],
            "losses": plain(self._losses),
            "regression": self._regression.snapshot(),
            "bands": self.bands.snapshot(),
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """What `snapshot` gave."""
        self._judged, self.excess = int(kept["judged"]), max(0.0, float(kept["excess"]))
        self._came, self._guessed = (max(float(value), 1e-9) for value in kept["sums"])
        self._losses = np.nan_to_num(numbers(kept["losses"], 3))
        self._regression.restore(kept["regression"])
        self.bands.restore(kept["bands"])
