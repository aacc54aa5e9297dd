"""A distribution of durations in bounded memory: counts in steps of 1 %, so every quantile is right to 1 %. Pure."""

import math
from collections import Counter

_STEP = math.log(1.01)


class Durations:
    """Nanoseconds above 0."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.count = 0

    def add(self, nanoseconds: int) -> None:
        """One more."""
        self._counts[round(math.log(nanoseconds) / _STEP)] += 1
        self.count += 1

    def quantile_ms(self, share: float) -> float | None:
        """Nearest-rank quantile in milliseconds; None when there is nothing."""
        wanted = max(1, math.ceil(share * self.count))
        for step in sorted(self._counts):
            wanted -= self._counts[step]
            if wanted <= 0:
                return float(f"{math.exp(step * _STEP) / 1e6:.4g}")
        return None
