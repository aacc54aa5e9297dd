"""How much speaks for a part of a period having come from elsewhere, and how rarely chance alone says so much."""

import math

import numpy as np

from roost_rendezvous.analytics.shapes.ratios import Floats

SHARES = (0.005, 0.015, 0.05, 0.2)
"""How much of a period may have come from elsewhere."""
SLOPES = (0.5, 0.75, 0.9)
"""What comes from elsewhere may also grow towards an end, as the rank beyond it to minus this power."""
_BEYOND = 0.05
"""The share of the drawn periods from which the tail of chance is drawn on."""


class Alternatives:
    """The ways in which a part of a period may come from elsewhere, as ratios of chances cell by cell."""

    def __init__(self, usual: Floats) -> None:
        below = np.clip(np.cumsum(usual)[:-1], 1e-9, 1 - 1e-9)
        cells = np.arange(len(usual))
        cuts = [(cells <= at) / below[at] for at in range(len(below))]
        cuts += [(cells > at) / (1 - below[at]) for at in range(len(below))]
        weights = 1.0 / np.sqrt(np.concatenate([below, 1 - below]))
        middle = np.cumsum(usual) - usual / 2
        slopes = [rank**-power for rank in (middle, 1 - middle) for power in SLOPES]
        slopes = [slope / (usual @ slope) for slope in slopes]
        each = np.concatenate([weights / weights.sum(), np.full(len(slopes), 1 / len(slopes))]) / 2 / len(SHARES)
        ratios = np.stack([*cuts, *slopes])
        self._logs: Floats = np.concatenate([np.log((1 - share) + share * ratios) for share in SHARES])
        self._given: Floats = np.tile(np.log(each), len(SHARES))
        self._cuts = len(cuts)

    def told(self, counts: Floats) -> Floats:
        """For counts of the shape (periods, cells): the logarithm of the mean likelihood ratio of each period."""
        stacked = counts @ self._logs.T + self._given
        top = stacked.max(axis=1)
        told: Floats = top + np.log(np.exp(stacked - top[:, None]).sum(axis=1))
        return told

    def foremost(self, counts: Floats) -> tuple[int, bool]:
        """The cut that speaks loudest for counts of the shape (cells,), and whether its upper side does."""
        stacked = (self._logs @ counts + self._given).reshape(len(SHARES), -1)[:, : self._cuts]
        at = int(stacked.max(axis=0).argmax())
        upper, cut = divmod(at, self._cuts // 2)
        return cut, bool(upper)


def rarity(value: float, ranked: Floats) -> float:
    """Minus the common logarithm of the chance of `value` among drawn ones; beyond most of them by the exponential
    tail that the largest ones show.
    """
    floor = float(ranked[-int(len(ranked) * _BEYOND)])
    if value <= floor:
        return max(0.0, -math.log10((float((ranked >= value).sum()) + 1) / (len(ranked) + 1)))
    scale = max(1e-6, float((ranked[ranked > floor] - floor).mean()))
    return -math.log10(_BEYOND) + (value - floor) / scale / math.log(10)
