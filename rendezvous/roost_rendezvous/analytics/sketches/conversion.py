"""Scores to quantiles of a history and back (the book, ch. 5): so models of different calibration can be compared.

The history is the sketch of any period and condition, e.g. `SketchReader.digest(...)`. Pure.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from roost_rendezvous.analytics.sketches.digest import TDigest
from roost_rendezvous.analytics.sketches.scale import Floats


def to_quantiles(scores: npt.ArrayLike, history: TDigest) -> Floats:
    """The quantile of each score in the history, from 0 to 1, shaped as given; NaN for NaN, and without a history.

    A score that the history knows as often repeated gets the middle of its share, so a usual score is never extreme.
    """
    return history.cdfs(scores)


def from_quantiles(quantiles: npt.ArrayLike, history: TDigest) -> Floats:
    """The score at each quantile of the history."""
    return history.quantiles(quantiles)


def as_other_model(scores: npt.ArrayLike, mine: TDigest, other: TDigest) -> Floats:
    """What another model would call the same rank: scores of one calibration expressed in another."""
    return other.quantiles(mine.cdfs(scores))


def log_odds(quantiles: npt.ArrayLike, history: TDigest) -> Floats:
    """Base-10 log-odds of quantiles, cut off where the history's number of values ends to say more.

    2.99957 for 0.999: roughly the number of nines.
    """
    most = 1.0 - 0.5 / max(history.count, 1.0)
    q = np.asarray(quantiles, dtype=np.float64).clip(1.0 - most, most)
    odds: Floats = np.log10(q / (1.0 - q))
    return odds


def cut_points(history: TDigest, parts: int) -> Floats:
    """Scores that cut the history into equal parts, fewer where one score is so frequent that it fills several."""
    return np.unique(history.quantiles(np.arange(1, parts) / parts))


def counts_between(scores: npt.ArrayLike, cuts: Sequence[float] | Floats) -> npt.NDArray[np.int64]:
    """How many scores lie up to the first cut, between each two, and beyond the last."""
    given = np.asarray(scores, dtype=np.float64).ravel()
    index = np.searchsorted(np.asarray(cuts, dtype=np.float64), given[~np.isnan(given)], side="left")
    return np.bincount(index, minlength=len(cuts) + 1)
