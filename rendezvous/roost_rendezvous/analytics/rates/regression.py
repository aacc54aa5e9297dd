"""Recursive least squares that forget and that one wild value cannot mislead. Pure."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from roost_rendezvous.analytics.rates.profile import Floats, numbers

_FORGET = 0.9985
"""An hour's weight halves in 460 hours."""
_CLIPPED = 1.0
"""Errors count up to so many spreads (Huber's clipping, tight: counts come in bursts)."""
_MOST_UNSURE = 100.0
"""Where nothing varies the forgotten certainty would grow without end."""


class Regression:
    """Coefficients of shape (size,), and how unsure they are, (size, size)."""

    def __init__(self, size: int, *, start: Mapping[int, float] | None = None) -> None:
        """`start`: coefficients that are not 0 before anything was learnt."""
        self._size = size
        self._coefficients: Floats = np.zeros(size)
        for place, value in (start or {}).items():
            self._coefficients[place] = value
        self._unsure: Floats = np.eye(size)

    def predict(self, inputs: Floats) -> float:
        """For inputs of shape (size,)."""
        return float(inputs @ self._coefficients)

    def learn(self, inputs: Floats, error: float, spread: float) -> None:
        """`error` is truth less prediction; `spread` its usual size."""
        most = _CLIPPED * spread
        toward = self._unsure @ inputs
        gain = toward / (_FORGET + float(inputs @ toward))
        self._coefficients = self._coefficients + gain * max(-most, min(most, error))
        self._unsure = (self._unsure - np.outer(gain, toward)) / _FORGET
        size = float(np.trace(self._unsure))
        if size > _MOST_UNSURE * self._size:
            self._unsure *= _MOST_UNSURE * self._size / size

    def snapshot(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "coefficients": [float(f"{value:.9g}") for value in self._coefficients],
            "unsure": [float(f"{value:.9g}") for value in self._unsure.ravel()],
        }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """What `snapshot` gave; of another size it is ignored."""
        coefficients = numbers(kept["coefficients"], self._size)
        unsure = numbers(kept["unsure"], self._size**2)
        if not (np.isnan(coefficients).any() or np.isnan(unsure).any()):
            self._coefficients, self._unsure = coefficients, unsure.reshape(self._size, self._size)
