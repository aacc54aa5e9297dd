"""What a model has said and how long it took, for its state message; its author does nothing for it."""

from collections import Counter, deque

from roost_broker.clock import MS

LABELS = 32
OTHERS = "(others)"
_NEWEST = 256


class OutputTally:
    """Counts best labels; keeps the newest compute times. Bounded."""

    def __init__(self) -> None:
        self.labels: Counter[str] = Counter()
        self._times: deque[int] = deque(maxlen=_NEWEST)

    def answered(self, label: str, compute_ns: int) -> None:
        """One answer. The first 32 labels are counted by name, what comes beside them as `(others)`."""
        known = label in self.labels or len(self.labels) < LABELS
        self.labels[label if known else OTHERS] += 1
        self._times.append(compute_ns)

    def percentile_ms(self, share: float) -> float | None:
        """Compute time that `share` of the newest 256 answers did not exceed (nearest rank); None before the first."""
        if not self._times:
            return None
        times = sorted(self._times)
        return round(times[min(len(times) - 1, int(share * len(times)))] / MS, 3)
