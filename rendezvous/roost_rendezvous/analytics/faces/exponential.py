"""Durations counted by size, in the bins of Prometheus' native histograms (schema 4). Pure, and without numpy.

Bin i holds what is longer than 2^((i-1)/16) seconds and at most 2^(i/16): the same borders as those of
`sketches.latency`. Only bins that hold something are kept; there are at most `MOST` of them, so memory is bounded
whatever comes.
"""

import math
from bisect import bisect_left

SCHEMA = 4
_PER_DOUBLING = 1 << SCHEMA
_BORDERS = [0.5 * 2.0 ** (i / _PER_DOUBLING) for i in range(_PER_DOUBLING)]
SHORTEST, LONGEST = 2.0**-14, 2.0**8
"""Seconds: what is shorter (61 us) or longer (256 s) is counted at the end."""
_LOW, _HIGH = -14 * _PER_DOUBLING, 8 * _PER_DOUBLING
MOST = _HIGH - _LOW + 1


class Exponential:
    """See the module; seconds."""

    __slots__ = ("bins", "count", "sum")

    def __init__(self) -> None:
        self.bins: dict[int, int] = {}
        """Count by index; sparse."""
        self.count = 0
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """One duration; a negative one or no number is none."""
        if not 0.0 <= seconds < math.inf:
            return
        index = _index(min(LONGEST, max(SHORTEST, seconds)))
        self.bins[index] = self.bins.get(index, 0) + 1
        self.count += 1
        self.sum += seconds

    def up_to(self, index: int) -> int:
        """How many are in this bin and below."""
        return sum(count for one, count in self.bins.items() if one <= index)


def border(index: int) -> float:
    """Where a bin ends, in seconds."""
    return math.ldexp(_BORDERS[index % _PER_DOUBLING], index // _PER_DOUBLING + 1)


def _index(seconds: float) -> int:
    fraction, exponent = math.frexp(seconds)
    return (exponent - 1) * _PER_DOUBLING + bisect_left(_BORDERS, fraction)
