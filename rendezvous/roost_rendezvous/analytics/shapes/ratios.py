"""The likelihood ratios of `evidence`, for several states of one history at once. Pure.

A history is judged anew after each observation while it is short, later whenever it has grown by 2 %. Observations
that waited together may span many such moments: their ratios are reckoned in one go, as each would have been alone.
"""

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Sets: TypeAlias = NDArray[np.bool_]

CLUMPS = 100.0
"""So many observations in a row weigh as little as one, at most."""
LEAST = 50
"""Observations from which clumping is measured."""
EXACT = 200
"""Up to this many observations the ratios are renewed each time, later whenever 2 % more have come."""


def due(total: float) -> float:
    """The number of observations at which ratios made of `total` are renewed."""
    return total + (1.0 if total < EXACT else 0.02 * total)


def ratios(sets: Sets, odds: Floats, counts: Floats, clumping: Sequence[float]) -> tuple[Floats, Floats]:
    """What an observation multiplies the evidence by if it hits a set, and if not; (states, sets, factors) each.

    `counts` has the shape (states, cells).
    """
    hits, of = (counts @ sets)[:, :, None], (counts.sum(axis=1) + 1.0)[:, None, None]
    more = odds - 1.0
    if_hit: Floats = odds / (1.0 + more * ((hits + 1.0) / of))
    if_not: Floats = 1.0 / (1.0 + more * (hits / of))
    if max(clumping) > 1.0:
        powers = 1.0 / np.array(clumping)[:, None, None]
        if_hit, if_not = if_hit**powers, if_not**powers
    return if_hit, if_not


def clumpings(counts: Floats, repeats: Sequence[float], before: float) -> list[float]:
    """Of each state: how many observations weigh as much as one independent one.

    `counts` has the shape (states, cells); `repeats` are the observations in the cell of the one before. What was
    known `before` stands until enough is known to measure it.
    """
    totals = counts.sum(axis=1)
    chances = np.square(counts / np.maximum(totals, 1.0)[:, None]).sum(axis=1)
    found = []
    for total, chance, repeated in zip(totals.tolist(), chances.tolist(), repeats, strict=True):
        before = _clumping(total, chance, repeated, before)
        found.append(before)
    return found


def _clumping(total: float, chance: float, repeats: float, before: float) -> float:
    """Of a chain whose cells repeat with the excess ρ beyond `chance`, (1 + ρ) / (1 - ρ). From what is beyond two
    standard errors of chance, so that independent ones stay at 1.
    """
    if total < LEAST or chance >= 1.0:
        return before
    spread = 2.0 * math.sqrt(chance / (1.0 - chance) / total)
    excess = (repeats / total - chance) / (1.0 - chance) - spread
    return min(max((1.0 + excess) / max(1e-9, 1.0 - excess), 1.0), CLUMPS)
