"""Is the traffic growing? The second half of the time against the first, as surely as its periods agree. Pure."""

import math
from collections.abc import Sequence
from itertools import pairwise

from roost_rendezvous.analytics.faces.values import Rate, Trend

_LEAST = 8
_SURE = 1.96


def trend(periods: Sequence[Rate]) -> Trend | None:
    """None: too few periods or events to say anything. The interval is as wide as the periods of a half disagree.

    Both halves are cut to whole days where there is at least a day in each, so that a night does not look like a loss.
    """
    whole = list(periods[:-1])  # the last one is seldom over
    if len(whole) < _LEAST:
        return None
    span = whole[0].end - whole[0].start
    a_day = round(86_400e9 / span) if span else 0
    each = len(whole) // 2
    if a_day and each >= a_day:
        each -= each % a_day
    first, second = whole[-2 * each : -each], whole[-each:]
    before, after = sum(one.seen for one in first), sum(one.seen for one in second)
    if before < _LEAST or after < _LEAST:
        return None
    spread = math.sqrt(_relative(first) + _relative(second))
    ratio = after / before
    return Trend(ratio=ratio, low=ratio * math.exp(-_SURE * spread), high=ratio * math.exp(_SURE * spread))


def _relative(periods: Sequence[Rate]) -> float:
    """Relative variance of a sum, from how much neighbours differ: day and night are no noise."""
    total = sum(one.seen for one in periods)
    steps = [(right.seen - left.seen) ** 2 / 2 for left, right in pairwise(periods)]
    noise = max(total, sum(steps) * len(periods) / max(1, len(steps)))
    return noise / total**2
