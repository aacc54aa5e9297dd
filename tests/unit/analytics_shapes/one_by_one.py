"""What `Evidence` must give: each observation weighed alone, as soon as it comes. Slow, and plain."""

import math

import numpy as np
from numpy.typing import NDArray

from roost_rendezvous.analytics.shapes.evidence import HIGHEST, ODDS, RECENT, WEIGHTS

_EXACT, _BOUNDED, _CLUMPS = 200, 64, 100.0


class OneByOne:
    """The same history, sums and answers."""

    def __init__(self, sets: NDArray[np.bool_], counts: list[float], memory: int) -> None:
        self.sets, self.memory = sets, memory
        self.counts = np.array(counts)
        self.sums = np.zeros((sets.shape[1], len(ODDS)))
        self.recent: list[int] = []
        self.repeats, self.last, self.clumping = 0.0, -1, 1.0
        self.highest = 0.0
        self._renew()

    def handle(self, cell: int) -> None:
        for at in range(self.sets.shape[1]):
            for nth in range(len(ODDS)):
                ratio = self.if_hit[at, nth] if self.sets[cell, at] else self.if_not[at, nth]
                self.sums[at, nth] = max(self.sums[at, nth], 1.0) * ratio
        self.counts[cell] += 1.0
        self.total += 1.0
        self.highest = max(self.highest, float(self.sums.max()))
        if int(self.total) % _BOUNDED == 0:
            self.sums = np.minimum(self.sums, HIGHEST)
        self.repeats += cell == self.last
        self.last = cell
        self.recent = [*self.recent, cell][-RECENT:]
        if self.total >= self.due:
            self._renew()

    def _renew(self) -> None:
        self.total = float(self.counts.sum())
        if self.total >= self.memory:
            self.counts, self.repeats, self.total = self.counts / 2, self.repeats / 2, self.total / 2
        share_if_hit = ((self.counts @ self.sets + 1.0) / (self.total + 1.0))[:, None]
        share_if_not = ((self.counts @ self.sets) / (self.total + 1.0))[:, None]
        odds = np.array(ODDS)
        chance = float(np.square(self.counts / max(1.0, self.total)).sum())
        if self.total >= RECENT and chance < 1.0:
            spread = 2.0 * math.sqrt(chance / (1.0 - chance) / self.total)
            excess = (self.repeats / self.total - chance) / (1.0 - chance) - spread
            self.clumping = min(max((1.0 + excess) / max(1e-9, 1.0 - excess), 1.0), _CLUMPS)
        self.if_hit = (odds / (1.0 + (odds - 1.0) * share_if_hit)) ** (1.0 / self.clumping)
        self.if_not = (1.0 / (1.0 + (odds - 1.0) * share_if_not)) ** (1.0 / self.clumping)
        self.due = self.total + (1.0 if self.total < _EXACT else 0.02 * self.total)

    @property
    def surprise(self) -> float:
        return math.log10(max(1.0, float((np.minimum(self.sums, HIGHEST) @ np.array(WEIGHTS)).mean())))

    def loudness(self, at: int) -> float:
        """How loudly a set speaks beside the loudest, up to 1."""
        weighted = (self.sums * np.array(WEIGHTS)).max(axis=1)
        return float(weighted[at] / weighted.max()) if weighted.max() > 0 else 1.0
