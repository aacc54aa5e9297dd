"""The best known test for a change of rate: one cumulative sum for each size of change, all on one scale. Pure.

A rung of the ladder watches for one ratio of the rate to what is predicted (0 is a stop, 0.5 a halving, 2 a doubling).
It adds up how much better that ratio explains the events than the prediction does, and starts anew at zero whenever it
explains them worse (Page 1954; for Poisson events the step is `ln ratio` for an event and `1 - ratio` for each expected
one). No test with the same false alarms finds that ratio sooner (Moustakides 1986). The book's n-th order difference
(`orders`) looks at fixed numbers of events instead, and comes close.

*One statistic*: a sum of `w` on a rung is reached by chance about `c * exp(w)` times less often than once per expected
event, with a constant known in closed form for each ratio. So the sums become comparable, and the surprise is the
largest of them as a power of ten, less what looking at several costs: a surprise of 5 happens by chance once in 1e5
expected events, *if* the events are independent. Real events are not (requirements §4.3): the level that matters comes
from the stream's own history (`history`).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from roost_broker.errors import Misuse

RATIOS = (0.0, 0.5, 0.8, 1.25, 2.0, 4.0)
"""Stop, halving, a little less, a little more, doubling, fourfold. Others in between are found nearly as fast."""
_LN10 = math.log(10.0)
_LARGEST = 1e6
"""Sums end here: a stream that stopped for good must not grow numbers without end."""
_MOST_RUNGS = 32
_FOOT = 5.0
"""Sums below this are too small for the asymptote, which would begin above zero: a straight line up to it instead."""


def constant(ratio: float) -> float:
    """By chance a rung passes `w` so many times an expected event, times `exp(-w)`; for large `w` (Cramér, Lundberg).

    With K1 the information of an expected event after the change, K0 before: K1 for fewer events, K0²/K1 for more.
    """
    after = information(ratio)
    if ratio < 1.0:
        return after
    before = ratio - 1.0 - math.log(ratio)
    return before * before / after


def information(ratio: float) -> float:
    """Kullback-Leibler information of one expected event on a change to `ratio`, in nats: what can be known at best."""
    return 1.0 if ratio == 0.0 else ratio * math.log(ratio) - ratio + 1.0


class Ladder:
    """The sums of one stream. Time: expected events; `elapse` tells that so many were due, `occur` that one came."""

    def __init__(self, ratios: Sequence[float] = RATIOS) -> None:
        """Raises Misuse for ratios that are no change."""
        if not 1 <= len(ratios) <= _MOST_RUNGS or any(not 0.0 <= r <= 100.0 or abs(r - 1.0) < 0.01 for r in ratios):
            raise Misuse(
                f"These ratios cannot be watched: {list(ratios)}.",
                f"Give 1 to {_MOST_RUNGS} ratios from 0 (a stop) to 100, none of them within 0.01 of 1 (no change).",
            )
        self.ratios = tuple(ratios)
        self._drift = tuple(ratio - 1.0 for ratio in ratios)
        self._step = tuple(math.log(ratio) if ratio > 0.0 else -_LARGEST for ratio in ratios)
        self._offset = tuple(math.log(constant(ratio)) for ratio in ratios)
        self._slope = tuple((_FOOT - offset) / _FOOT for offset in self._offset)
        self._rungs = tuple(zip(self._drift, self._step, self._offset, self._slope, strict=True))
        self._shared = math.log10(len(ratios))
        self.sums = [0.0] * len(ratios)

    def elapse(self, expected: float) -> None:
        """So many expected events' worth of time went by without one."""
        sums = self.sums
        for rung, drift in enumerate(self._drift):
            value = sums[rung] - drift * expected
            sums[rung] = 0.0 if value < 0.0 else value if value < _LARGEST else _LARGEST

    def occur(self, expected: float = 0.0, weight: float = 1.0) -> float:
        """An event came, `expected` after what was told before. Returns the largest surprise on the way.

        Fewer events are most surprising just before one comes, more just after; a rung's own peak is looked at.
        `weight` below 1 is for events that come in clumps (see `RateWatch`); `expected` is weighted already.
        """
        sums = self.sums
        best = 0.0
        for rung, (drift, step, offset, slope) in enumerate(self._rungs):
            before = sums[rung] - drift * expected
            if before < 0.0:
                before = 0.0
            after = before + step * weight
            if after < 0.0:
                after = 0.0
            elif after > _LARGEST:
                after = _LARGEST
            sums[rung] = after
            peak = before if drift < 0.0 else after
            score = peak - offset if peak > _FOOT else peak * slope
            if score > best:
                best = score
        scaled = best / _LN10 - self._shared
        return scaled if scaled > 0.0 else 0.0

    def add(self, count: float, expected: float, weight: float = 1.0) -> None:
        """A whole bin: `count` events where `expected` were due. What happened inside the bin stays unknown."""
        if count == 0.0:
            self.elapse(expected * weight)
            return
        sums = self.sums
        for rung, (drift, step, _, _) in enumerate(self._rungs):
            value = sums[rung] + weight * (step * count - drift * expected)
            sums[rung] = 0.0 if value < 0.0 else min(value, _LARGEST)

    @property
    def surprise(self) -> float:
        """By chance once in 10 to the power of this many expected events, were they independent; 0: nothing strange."""
        return max(0.0, max(self._scores()) / _LN10 - self._shared)

    def _scores(self) -> list[float]:
        return [
            value - offset if value > _FOOT else value * slope
            for value, offset, slope in zip(self.sums, self._offset, self._slope, strict=True)
        ]

    @property
    def ratio(self) -> float:
        """The ratio that explains the recent events best; 1 where nothing is strange."""
        score, ratio = max(zip(self._scores(), self.ratios, strict=True))
        return ratio if score > 0.0 else 1.0

    def silence_to(self, level: float) -> float:
        """Expected events that must still fail to come until the surprise reaches `level` (the stop on a timer)."""
        waits = [
            (self.height(rung, level) - self.sums[rung]) / -drift
            for rung, drift in enumerate(self._drift)
            if drift < 0.0
        ]
        return max(0.0, min(waits, default=math.inf))

    def height(self, rung: int, level: float) -> float:
        """The sum at which a rung has a surprise of `level`."""
        score = (level + self._shared) * _LN10
        far = score + self._offset[rung]
        return far if far > _FOOT else score / self._slope[rung]

    def fade(self, share: float) -> None:
        """Forgets a little: what is off for ever, by less than a change, must not add up for ever."""
        self.sums = [value * share for value in self.sums]

    def reset(self) -> None:
        """After a change was told and accepted: what comes is judged afresh."""
        self.sums = [0.0] * len(self.ratios)

    def snapshot(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"ratios": list(self.ratios), "sums": [round(value, 9) for value in self.sums]}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """What `snapshot` gave; of another ladder it is ignored, for its sums mean something else."""
        sums = [float(value) for value in kept.get("sums", ())]
        if tuple(kept.get("ratios", ())) == self.ratios and len(sums) == len(self.ratios):
            self.sums = [min(max(value, 0.0), _LARGEST) if value == value else 0.0 for value in sums]
