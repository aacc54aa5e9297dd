"""How far off predictions really were: the band is made of the stream's own errors. Pure."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

_KEPT = 336
"""Two weeks of hours."""
_ENOUGH = 100
"""With fewer errors a normal band is used, and widened."""
_WIDENED = 2.0
_SIDES = (0.05, 0.95)


class Bands:
    """Errors of the logarithm, each divided by the spread that was believed at the time."""

    def __init__(self) -> None:
        self._errors = np.zeros(_KEPT, dtype=np.float32)
        self._seen = 0
        self._sides = (-1.645, 1.645)

    def learn(self, error: float) -> None:
        """One hour's."""
        self._errors[self._seen % _KEPT] = max(-50.0, min(50.0, error))
        self._seen += 1
        if self._seen >= _ENOUGH and self._seen % 6 == 0:
            low, high = np.quantile(self._errors[: self._seen], _SIDES)
            self._sides = (min(float(low), 0.0), max(float(high), 0.0))

    def factors(self, spread: float, *, sure: bool) -> tuple[float, float]:
        """The band of 9 hours in 10, as factors on the expected count; widened while history is short."""
        wider = spread * (1.0 if sure else _WIDENED)
        return math.exp(max(-20.0, self._sides[0] * wider)), math.exp(min(20.0, self._sides[1] * wider))

    def snapshot(self) -> dict[str, Any]:
        """Plain values for JSON."""
        held = self._errors[: self._seen]
        return {"seen": self._seen, "sides": list(self._sides), "errors": [round(float(error), 3) for error in held]}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """What `snapshot` gave."""
        errors = np.asarray(kept["errors"], dtype=np.float32)[:_KEPT]
        self._errors[: len(errors)] = errors
        self._seen = int(kept["seen"])
        low, high = kept["sides"]
        self._sides = (float(low), float(high))
