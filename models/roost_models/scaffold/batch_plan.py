"""What evaluating so many at once costs, and in which sizes the waiting are served soonest. Pure.

Rules:

1. The cost of a size is the median of its last measurements. Warming's count until the first real one.
2. A size pays when it costs clearly less than as many evaluations of one. One that does not pay is not used.
3. The plan for k waiting requests is the sequence of sizes with the least total cost, the cheapest for each first.
4. A size not measured for a minute is tried once more when the waiting fill it and can bear it: a machine that was
   busy at the wrong moment must not rule a size out for ever.

Times are nanoseconds.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from statistics import median_low

from roost_broker.clock import SECOND

_REMEMBERED = 9
_WORTHWHILE = 0.97
"""A batch pays from here on; less would be noise."""
_CAUTION = 1.1
"""Costs vary: a deadline counts as kept when there is so much more time."""
_CHANGED = 0.05
_STALE_NS = 60 * SECOND
_PROBE_CAUTION = 2.0

Expiries = Sequence[int | None]


class BatchPlan:
    """See the module. `sizes` begin with 1 and rise."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._samples: dict[int, deque[int]] = {size: deque(maxlen=_REMEMBERED) for size in sizes}
        self._warmed: dict[int, int] = {}
        self._measured_at: dict[int, int] = {}
        self._costs: dict[int, int] = {}
        self._paying: list[int] = [1]
        self._first: list[int] = []
        self._total: list[int] = []
        self._make()

    # -- what things cost ---------------------------------------------------------------------------------------

    def warm(self, costs: Mapping[int, int], now: int) -> None:
        """Only these sizes work, and cost so much as far as warming can tell (0: it could not)."""
        self._samples = {size: deque(maxlen=_REMEMBERED) for size in costs}
        self._warmed = dict(costs)
        self._measured_at = {size: now for size, cost in costs.items() if cost}
        self._make()

    def measured(self, size: int, cost_ns: int, now: int) -> None:
        """An evaluation of this size took so long."""
        self._samples[size].append(max(1, cost_ns))
        self._measured_at[size] = now
        cost, believed = self.cost(size), self._costs.get(size, 0)
        if cost is not None and abs(cost - believed) > _CHANGED * believed:
            self._make()

    def cost(self, size: int) -> int | None:
        """What is known of a size; None when it was never tried."""
        samples = self._samples[size]
        return median_low(samples) if samples else self._warmed.get(size)

    @property
    def best(self) -> int:
        """The size that costs least for each request; 1 when batching does not pay."""
        return self._paying[0]

    def _make(self) -> None:
        """The plans for up to twice the largest paying size; more are served in the best size first."""
        alone = self.cost(1) or 0
        self._costs = {size: self.cost(size) or max(1, size * alone) for size in self._samples}
        paying = [size for size, cost in self._costs.items() if size == 1 or cost < _WORTHWHILE * size * alone]
        self._paying = sorted(paying, key=lambda size: (self._costs[size] / size, size))
        self._first, self._total = [0], [0]
        for waiting in range(1, 2 * max(paying) + 1):
            fitting = [size for size in self._paying if size <= waiting]
            costs = {size: self._costs[size] + self._total[waiting - size] for size in fitting}
            first = min(costs, key=costs.__getitem__)  # of equals the first
            self._first.append(first)
            self._total.append(self._costs[first] + self._total[waiting - first])

    # -- who is served when -------------------------------------------------------------------------------------

    def first(self, waiting: int) -> int:
        """How many of so many waiting requests to evaluate first."""
        return self._first[waiting] if waiting < len(self._first) else self.best

    def total(self, waiting: int) -> int:
        """When so many are all served, from now."""
        beyond = max(0, -(-(waiting - len(self._first) + 1) // self.best))
        return beyond * self._costs[self.best] + self._total[waiting - beyond * self.best]

    def size(self, expiries: Expiries, now: int) -> int | None:
        """How many of the oldest to evaluate first so that all are served soonest, each in time; None: it cannot be."""
        waiting = len(expiries)
        soonest = self.first(waiting)
        if self._in_time(expiries, now, soonest):
            return soonest
        others = [size for size in self._paying if size <= waiting and size != soonest]
        others.sort(key=lambda size: self._costs[size] + self.total(waiting - size))
        return next((size for size in others if self._in_time(expiries, now, size)), None)

    def most_in_time(self, expiries: Expiries, now: int) -> int:
        """The size that serves most in time for its cost, where not all can be."""

        def worth(size: int) -> float:
            end = self.end(size, now)
            return min(size, sum(_after(expires, end) for expires in expiries)) / self._costs[size]

        return max((size for size in self._paying if size <= len(expiries)), key=worth)

    def end(self, size: int, now: int) -> int:
        """When an evaluation of this size is over if it begins now, with caution."""
        return now + int(_CAUTION * self._costs[size])

    def hopeless(self, expires: int | None, now: int) -> bool:
        """Whether even an evaluation of this one alone, begun now, would end too late."""
        return not _after(expires, self.end(1, now))

    def probe(self, expiries: Expiries, now: int) -> int | None:
        """A size that should be tried again, and can be with the oldest of these."""
        for size in reversed(self._samples):
            if 1 < size <= len(expiries) and now - self._measured_at.get(size, now - _STALE_NS) >= _STALE_NS:
                expected = max(self._costs[size], size * self._costs[1])
                if _all_after(expiries, now + int(_PROBE_CAUTION * expected)):
                    return size
        return None

    def _in_time(self, expiries: Expiries, now: int, first: int) -> bool:
        """Whether all are served in time, oldest first, `first` of them first."""
        waiting = len(expiries)
        if _all_after(expiries, self.end(first, now) + int(_CAUTION * self.total(waiting - first))):
            return True
        size, rest = first, iter(expiries)
        while waiting:
            now = self.end(size, now)
            if not _all_after(islice(rest, size), now):
                return False
            waiting -= size
            size = self.first(waiting)
        return True


def _after(expires: int | None, moment: int) -> bool:
    return expires is None or expires >= moment


def _all_after(expiries: Iterable[int | None], moment: int) -> bool:
    return all(expires is None or expires >= moment for expires in expiries)
