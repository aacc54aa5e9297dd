"""Scores as quantiles of a historical set: what two models with different calibrations have in common (E6). Pure.

A score of 0.7 means nothing by itself; that it is higher than 95 % of the model's own recent scores does. Models whose
scores are related by any increasing map give each request the same quantile, whatever their scores.
"""

from collections.abc import Callable
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]


class Ranks(Protocol):
    """Whatever turns scores into quantiles."""

    def quantiles(self, scores: "Floats | list[float]") -> Floats:
        """Each score's share of the history below it, from 0 to 1."""
        ...


class FromSketch:
    """A history of which only a sketch was kept: `FromSketch(digest.cdfs)`."""

    def __init__(self, cdfs: Callable[[Floats], Floats]) -> None:
        self._cdfs = cdfs

    def quantiles(self, scores: "Floats | list[float]") -> Floats:
        """See `Ranks`."""
        return np.clip(self._cdfs(np.asarray(scores, dtype=np.float64)), 0.0, 1.0)


class History:
    """A historical set of scores. Equal scores share the middle of their ranks, so that no order is made up."""

    def __init__(self, scores: "Floats | list[float]") -> None:
        self._sorted = np.sort(np.asarray(scores, dtype=np.float64))
        if not self._sorted.size or not np.isfinite(self._sorted).all():
            raise ValueError("a history is made of finite scores")

    def __len__(self) -> int:
        return int(self._sorted.size)

    def quantiles(self, scores: "Floats | list[float]") -> Floats:
        """Each score's share of the history below it, from 0 to 1."""
        values = np.asarray(scores, dtype=np.float64)
        below = np.searchsorted(self._sorted, values, side="left")
        through = np.searchsorted(self._sorted, values, side="right")
        return np.asarray((below + through) / (2.0 * self._sorted.size), dtype=np.float64)

    def at(self, shares: "Floats | list[float]") -> Floats:
        """The scores at these quantiles: the other direction."""
        return np.asarray(np.quantile(self._sorted, np.asarray(shares, dtype=np.float64)), dtype=np.float64)


def spearman(one: Floats, other: Floats) -> float | None:
    """Correlation of quantiles; None where one of the two never varies."""
    a, b = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else None
