"""The group of slow answers in a latency histogram: how many, and how slow (the book, figures 7-4, 7-5). Pure.

Two ways. `slow_group` looks at one histogram alone and believes only a hill of its own behind a valley. `slow_against`
has a usual histogram beside it and finds a group that is but a shoulder of the main hill: what is more in the tail
than usual must be beyond chance; then the likeliest share and slowness are those of the group.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from roost_rendezvous.analytics.faces.values import Histogram, Slow

_LEAST = 8
_RISE = 1.3
"""The hill of the slow ones is so many times as high as the valley before it."""
_SURE = 4.0
"""Standard deviations: chance alone makes no group once in tens of thousands of histograms."""
_RATIO, _STEPS = 1.07, 50
"""Slownesses that are tried: up to some thirty times the usual."""
_NEAR = 1.3
"""A group less slow than this is no group: everything moved a little."""


class Bar(NamedTuple):
    """One bin."""

    low: float
    high: float
    held: float
    """How many."""


def bars(found: Histogram) -> list[Bar]:
    """All bins, from the fastest."""
    return [Bar(*one) for one in zip(found.edges, found.edges[1:], found.counts, strict=False)]


def half(found: Sequence[Bar]) -> float:
    """The median, within its bin as if all of it were alike."""
    left = sum(one.held for one in found) / 2
    for low, high, count in found:
        if count and left <= count:
            return low + (high - low) * left / count
        left -= count
    return 0.0


def slow_group(found: Histogram) -> Slow | None:
    """The group behind a valley; None: there is no valley that chance alone would not make."""
    merged = _merged(found)
    heights = _smooth([one.held for one in merged])
    if not heights:
        return None
    lowest = max(range(len(heights)), key=heights.__getitem__)
    best: tuple[float, int] | None = None
    for nth in range(lowest + 1, len(heights)):
        if heights[nth] < heights[lowest]:
            lowest = nth
        hill, valley = heights[nth], heights[lowest]
        sure = (hill - valley) / math.sqrt((hill + valley) / 3 + 0.1)  # Poisson, each the mean of three
        if hill > _RISE * (valley + 0.3) and sure > _SURE and (best is None or sure > best[0]):
            best = sure, lowest
    if best is None:
        return None
    first = best[1]
    while not merged[first].held:  # a valley may be wide: the group begins with its first one
        first += 1
    behind = sum(one.held for one in merged[first:])
    times = half(merged[first:]) / (half(merged[:first]) or math.inf)
    if behind < _LEAST or times < _NEAR:
        return None
    return Slow(share=behind / found.total, from_ms=merged[first].low, times=times)


def slow_against(now: Histogram, usual: Histogram) -> Slow | None:
    """What is more in the tail than usual; None: chance may have made it, or everything moved and not a group."""
    total, before = now.total, usual.total
    if not total or not before:
        return None
    tail, tail_before = _Tail(now), _Tail(usual)
    best, cut = 0.0, 0.0
    for edge in now.edges[1:]:
        there, beside = tail(edge), tail_before(edge) * total / before
        sure = (there - beside) / math.sqrt(there + beside * total / before + 1)
        if sure > best:
            best, cut = sure, edge
    more = tail(cut) - tail_before(cut) * total / before
    if best < _SURE or more < _LEAST:
        return None
    if half(bars(now)) > 1.1 * half(bars(usual)):
        return None
    share, times = _fitted(now, usual)
    return Slow(share=share, from_ms=cut, times=times) if times >= _NEAR and share * total >= _LEAST else None


def _fitted(now: Histogram, usual: Histogram) -> tuple[float, float]:
    """Share and slowness that make `now` likeliest: most as usual, a group as usual but so many times as slow."""
    every = [one for one in bars(now) if one.held]
    total, before, tail = now.total, usual.total, _Tail(usual)
    # A little of everything everywhere: what history has never seen is rare, not impossible.
    as_usual = [tail.between(one.low, one.high) / before + 1e-3 / total for one in every]
    best = -math.inf, 0.0, 0.0
    for step in range(1, _STEPS):
        times = _RATIO**step
        moved = [tail.between(one.low / times, one.high / times) / before for one in every]
        share = 0.01
        for _ in range(25):  # expectation and maximisation, of one number
            theirs = sum(
                one.held * share * there / (share * there + (1 - share) * here)
                for one, here, there in zip(every, as_usual, moved, strict=True)
            )
            share = min(0.5, max(1e-9, theirs / total))
        likely = sum(
            one.held * math.log(share * there + (1 - share) * here)
            for one, here, there in zip(every, as_usual, moved, strict=True)
        )
        best = max(best, (likely, share, times))
    return best[1], best[2]


class _Tail:
    """How many are slower than something."""

    def __init__(self, found: Histogram) -> None:
        self._found = found
        self._behind = (*accumulate(reversed(found.counts), initial=0.0),)[::-1]

    def __call__(self, at: float) -> float:
        """A bin is divided by its logarithm."""
        edges = self._found.edges
        nth = bisect_right(edges, at) - 1
        if nth < 0:
            return self._behind[0]
        if nth >= len(self._found.counts):
            return 0.0
        low, high = edges[nth], edges[nth + 1]
        part = math.log(high / at) / math.log(high / low) if low > 0 else (high - at) / (high - low)
        return self._behind[nth + 1] + self._found.counts[nth] * part

    def between(self, low: float, high: float) -> float:
        """As many as lie there."""
        return self(low) - self(high)


def _merged(found: Histogram) -> list[Bar]:
    """Bins of about a tenth, from the first to the last that holds anything."""
    every = bars(found)
    there = [nth for nth, one in enumerate(every) if one.held]
    merged: list[Bar] = []
    for one in every[there[0] : there[-1] + 1] if there else []:
        if merged and merged[-1].low > 0 and one.high <= merged[-1].low * 1.13:
            merged[-1] = Bar(merged[-1].low, one.high, merged[-1].held + one.held)
        else:
            merged.append(one)
    return merged


def _smooth(counts: Sequence[float]) -> list[float]:
    """The mean of each with its two neighbours."""
    last = len(counts) - 1
    return [sum(counts[max(0, n - 1) : n + 2]) / (min(last, n + 1) - max(0, n - 1) + 1) for n in range(len(counts))]
