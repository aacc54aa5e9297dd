"""Scores of the second half of a time against those of the first, quantile by quantile. Pure; brings numpy.

What a line over time shows as a step or a drift, this shows as a shape: all scores lower, only the high ones, or the
same scores in other shares.
"""

from collections.abc import Iterable

import numpy as np

from roost_rendezvous.analytics.faces.values import Halves
from roost_rendezvous.analytics.sketches.digest import TDigest

LEAST = 30
"""Scores in each half; with fewer, the ends of the line are chance."""
_QUANTILES = np.linspace(0.02, 0.98, 49)


def halves_of(name: str, digests: Iterable[tuple[int, TDigest]], middle: int) -> Halves | None:
    """`digests` with the time at which each begins; None where either half has too few scores."""
    kept = list(digests)
    first = TDigest.merged(one for at, one in kept if at < middle)
    second = TDigest.merged(one for at, one in kept if at >= middle)
    if min(first.count, second.count) < LEAST:
        return None
    before, after = (one.quantiles(_QUANTILES).tolist() for one in (first, second))
    return Halves(name=name, points=tuple(zip(before, after, strict=True)))
