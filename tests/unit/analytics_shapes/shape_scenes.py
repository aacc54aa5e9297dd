"""Scenes with a known change, seeded: scores, vectors, durations and whole rows. The benchmark uses them, too."""

from math import erf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roost_rendezvous.analytics.rows import Row, Word

LABELS = ("buff orpington", "plymouth rock", "rhode island red", "blue jay", "egg", "open door", "empty")
CHANGE, LENGTH = 120, 200
MINUTE = 60_000_000_000
_NORMAL = np.vectorize(lambda value: 0.5 * (1 + erf(value / 2**0.5)), otypes=[float])


def orpington(seed: int, *, changed: bool, low: float = 0.1) -> list[float]:
    """Figure 7-2: 200 scores of one label, all over the range with a share of `low` near 0; all near 0 from 120 on."""
    rng = np.random.default_rng(seed)
    scores = np.where(rng.random(LENGTH) < low, rng.beta(0.3, 8, LENGTH), rng.beta(1.2, 1.0, LENGTH))
    if changed:
        scores[CHANGE:] = rng.beta(0.3, 40, LENGTH - CHANGE)
    return [float(score) for score in scores]


def related(seed: int, before: int, after: int, was: float, becomes: float, *, others: int = 0) -> list[list[float]]:
    """Figure 7-3: two scores, each uniform all the time; only their correlation changes. `others` stand beside."""
    rng = np.random.default_rng(seed)

    def pairs(count: int, correlation: float) -> NDArray[Any]:
        one = rng.normal(size=count)
        other = correlation * one + np.sqrt(1 - correlation**2) * rng.normal(size=count)
        return np.stack([_NORMAL(one), _NORMAL(other)], axis=1)

    both = np.concatenate([pairs(before, was), pairs(after, becomes)])
    beside = rng.beta(0.3, 8, size=(before + after, others))
    vectors: list[list[float]] = np.concatenate([both, beside], axis=1).tolist()
    return vectors


def durations(seed: int, count: int, *, slow: float = 0.0, factor: float = 1.0) -> list[float]:
    """Milliseconds around 20, of which a share of `slow` takes three times as long, all times `factor`."""
    rng = np.random.default_rng(seed)
    took = rng.lognormal(3.0, 0.2, count) * np.where(rng.random(count) < slow, 3.0, 1.0) * factor
    return [float(value) for value in took]


def henhouse(seed: int, count: int, *, swap_at: int | None = None, shift_at: int | None = None) -> list[Row]:
    """A champion and a canary see the same birds. `swap_at`: from then on another champion takes Orpingtons for Rocks
    (the model changed); `shift_at`: from then on there are hardly any Orpingtons (the world changed).
    """
    rng = np.random.default_rng(seed)
    usual = np.array([0.4, 0.05, 0.2, 0.1, 0.1, 0.05, 0.1])
    shifted = np.array([0.02, 0.43, 0.2, 0.1, 0.1, 0.05, 0.1])
    rows = []
    for nth in range(count):
        mix = shifted if shift_at is not None and nth >= shift_at else usual
        truth = int(rng.choice(len(LABELS), p=mix))
        words = []
        for model, sure in (("champion", 12.0), ("canary", 5.0)):
            leaning = np.full(len(LABELS), 0.25)
            seen = truth
            if model == "champion" and swap_at is not None and nth >= swap_at and truth < 2:
                seen = 1
            leaning[seen] += sure
            scores = dict(zip(LABELS, map(float, rng.dirichlet(leaning)), strict=True))
            words.append(Word(model=model, scores=scores))
        rows.append(Row(request_id=str(nth), task="nest", at=nth * MINUTE, words=tuple(words)))
    return rows
