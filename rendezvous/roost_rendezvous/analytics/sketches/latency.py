"""A histogram of durations with bins of equal relative width, in the manner of the book's FloatHistogram (ch. 7). Pure.

Bins are those of Prometheus' native histograms of schema 4: sixteen to each doubling, borders at 2^(i/16) seconds,
so an exporter hands them on as they are. From 1 ms to 10 s every quantile is within 4.5 % of the truth, whatever the
shape. What is shorter or longer is counted in an end bin; the shortest and longest value are exact, and a quantile
that falls on the long end bin is answered with the longest value: never less than it was. What is negative or no
number is refused and counted.
"""

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from roost_rendezvous.analytics.sketches.scale import Floats

SCHEMA = 4
"""Prometheus' name for sixteen bins to each doubling."""
PER_DOUBLING = 1 << SCHEMA
LOWEST, HIGHEST = -10 * PER_DOUBLING, 54
"""Indices of the borders of the resolved range: 2^-10 s = 0.98 ms and 2^(54/16) s = 10.37 s."""
BINS = HIGHEST - LOWEST + 2
"""Resolved bins, and one at each end."""
_BORDERS = [0.5 * 2.0 ** (i / PER_DOUBLING) for i in range(PER_DOUBLING)]
"""Borders within one doubling, as `math.frexp` gives fractions."""
_EDGES: Floats = np.array(
    [math.ldexp(_BORDERS[i % PER_DOUBLING], i // PER_DOUBLING + 1) for i in range(LOWEST, HIGHEST + 1)]
)
"""All borders in seconds: the same numbers, doubled and halved without rounding."""
EDGES_MS: Floats = _EDGES * 1000.0
"""Borders between bins in milliseconds; bin 0 ends at the first (included), the last bin begins after the last."""
_SHIFT = 41
"""Bits of a 64-bit float that a cell of the table below does not look at; each cell holds one border at most."""
_FIRST, _LAST = (int(edge) >> _SHIFT for edge in _EDGES[[0, -1]].view(np.int64))
_CELLS = np.searchsorted(_EDGES, (np.arange(_FIRST, _LAST + 2) << _SHIFT).view(np.float64), side="left").astype(np.intp)
_CELLS[[0, -1]] = 0, BINS - 1
_EDGES_AND_END = np.append(_EDGES, np.inf)
_SHORT = float(_EDGES[0])
_OFFSET = PER_DOUBLING + LOWEST
_BLOCK = 8192
"""Durations worked on at once: what stays in the processor's own cache."""


class LatencyHistogram:
    """See the module. Durations are milliseconds. Counts may be fractions (weights)."""

    __slots__ = ("_bins", "_counts", "longest_ms", "refused", "shortest_ms", "sum_ms")

    def __init__(self) -> None:
        self._bins = array("d", bytes(8 * BINS))
        self._counts = np.frombuffer(self._bins)  # the same memory: quick to add to one by one and all at once
        self.shortest_ms = math.inf
        """Exact; infinity without any."""
        self.longest_ms = -math.inf
        """Exact; minus infinity without any."""
        self.sum_ms = 0.0
        self.refused = 0
        """Durations that were negative or no numbers."""

    @classmethod
    def of(cls, durations_ms: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> "LatencyHistogram":
        """A histogram of these durations."""
        made = cls()
        made.add_many(durations_ms, weights)
        return made

    @classmethod
    def merged(cls, histograms: Iterable["LatencyHistogram"]) -> "LatencyHistogram":
        """The sum of them; the parts stay as they are."""
        made = cls()
        for one in histograms:
            made.add_histogram(one)
        return made

    @classmethod
    def from_parts(
        cls, counts: Floats, shortest_ms: float, longest_ms: float, sum_ms: float, refused: int = 0
    ) -> "LatencyHistogram":
        """A histogram of `BINS` counts. Raises ValueError for another number of them."""
        made = cls()
        made._counts[:] = counts
        made.shortest_ms, made.longest_ms, made.sum_ms, made.refused = shortest_ms, longest_ms, sum_ms, refused
        return made

    def add(self, ms: float) -> None:
        """One duration."""
        if not 0.0 <= ms < math.inf:
            self.refused += 1
            return
        seconds = ms * 0.001
        if seconds > _SHORT:
            fraction, exponent = math.frexp(seconds)
            index = bisect_left(_BORDERS, fraction) + (exponent * PER_DOUBLING - _OFFSET)
            self._bins[index if index < BINS else BINS - 1] += 1.0
        else:
            self._bins[0] += 1.0
        self.sum_ms += ms
        if ms < self.shortest_ms:
            self.shortest_ms = ms
        if ms > self.longest_ms:
            self.longest_ms = ms

    def add_many(self, durations_ms: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> None:
        """Durations of any shape; weights of the same number, 1 when left out. Raises ValueError when they differ."""
        fresh = np.asarray(durations_ms, dtype=np.float64).ravel()
        heavy = None if weights is None else np.asarray(weights, dtype=np.float64).ravel()
        if heavy is not None and heavy.size != fresh.size:
            raise ValueError(f"{fresh.size} durations but {heavy.size} weights; give one for each")
        for at in range(0, fresh.size, _BLOCK):
            self._add_block(fresh[at : at + _BLOCK], None if heavy is None else heavy[at : at + _BLOCK])

    def _add_block(self, fresh: Floats, heavy: Floats | None) -> None:
        low, high = float(fresh.min()), float(fresh.max())  # NaN, where there is one
        if not (low >= 0.0 and high < math.inf) or heavy is not None:
            good = (fresh >= 0.0) & (fresh < math.inf)
            if heavy is not None:
                good &= (heavy > 0.0) & (heavy < math.inf)
            self.refused += int(good.size - np.count_nonzero(good))
            fresh, heavy = fresh[good], None if heavy is None else heavy[good]
            if not fresh.size:
                return
            low, high = float(fresh.min()), float(fresh.max())
        self._counts += np.bincount(bin_of(fresh), weights=heavy, minlength=BINS)
        self.sum_ms += float(fresh.sum() if heavy is None else fresh @ heavy)
        self.shortest_ms = min(self.shortest_ms, low)
        self.longest_ms = max(self.longest_ms, high)

    def add_even(self, up_to_ms: float, weight: float, from_ms: float = 0.0) -> None:
        """A weight spread evenly over the durations between two values: requests that were held off."""
        if not (0.0 <= from_ms < up_to_ms < math.inf and 0.0 < weight < math.inf):
            return
        edges = np.concatenate(([from_ms], EDGES_MS.clip(from_ms, up_to_ms), [up_to_ms]))
        self._counts += np.diff(edges) * (weight / (up_to_ms - from_ms))
        self.sum_ms += weight * (from_ms + up_to_ms) * 0.5
        self.shortest_ms = min(self.shortest_ms, from_ms)
        self.longest_ms = max(self.longest_ms, up_to_ms)

    def add_histogram(self, other: "LatencyHistogram", share: float = 1.0) -> None:
        """Everything that is in another one, each count times `share`."""
        self._counts += other._counts * share
        self.sum_ms += other.sum_ms * share
        self.shortest_ms = min(self.shortest_ms, other.shortest_ms)
        self.longest_ms = max(self.longest_ms, other.longest_ms)
        self.refused += other.refused

    def copy(self) -> "LatencyHistogram":
        """Another one with the same counts."""
        return LatencyHistogram.merged([self])

    @property
    def counts(self) -> Floats:
        """Counts of all `BINS` bins, a copy; the first and the last are what was shorter and longer."""
        return self._counts.copy()

    @property
    def count(self) -> float:
        """How many durations."""
        return float(self._counts.sum())

    @property
    def below(self) -> float:
        """How many were shorter than the resolved range (1 ms)."""
        return float(self._counts[0])

    @property
    def above(self) -> float:
        """How many were longer than the resolved range (10 s)."""
        return float(self._counts[-1])

    @property
    def mean_ms(self) -> float:
        """The average; NaN without any."""
        count = self.count
        return self.sum_ms / count if count else math.nan

    def quantile(self, q: float) -> float:
        """The duration with a share `q` (0 to 1) of all at or below it, in milliseconds; NaN without any."""
        return float(self.quantiles(np.array([q]))[0])

    def quantiles(self, qs: npt.ArrayLike) -> Floats:
        """The same for many, as an array of the same shape; NaN for what is not from 0 to 1."""
        wanted = np.asarray(qs, dtype=np.float64)
        upto = np.cumsum(self._counts)
        if not upto[-1]:
            return np.full(wanted.shape, math.nan)
        rank = wanted * upto[-1]
        rank = np.maximum(rank, min(0.5, upto[-1] * 0.5))  # below the first one's middle is still the first one
        index = np.minimum(np.searchsorted(upto, rank, side="left"), BINS - 1)
        part = 1.0 - np.divide(
            upto[index] - rank, self._counts[index], out=np.zeros(rank.shape), where=self._counts[index] > 0
        )
        low = np.concatenate(([min(self.shortest_ms, EDGES_MS[0])], EDGES_MS))[index]
        high = np.append(EDGES_MS, max(self.longest_ms, EDGES_MS[-1]))[index]
        found = np.where(index == BINS - 1, high, low + (high - low) * part.clip(0.0, 1.0))
        good = (wanted >= 0.0) & (wanted <= 1.0)
        return np.where(good, found.clip(self.shortest_ms, self.longest_ms), math.nan)

    def share_above(self, ms: float) -> float:
        """The share of durations longer than this; evenly spread within a bin. NaN without any."""
        count = self.count
        if not count:
            return math.nan
        if ms < self.shortest_ms:
            return 1.0
        if ms >= self.longest_ms:
            return 0.0
        lows = np.concatenate(([min(self.shortest_ms, EDGES_MS[0])], EDGES_MS))
        highs = np.append(EDGES_MS, max(self.longest_ms, EDGES_MS[-1]))
        width = highs - lows
        part = np.divide(highs - ms, width, out=(lows >= ms).astype(np.float64), where=width > 0.0)
        return float(self._counts @ part.clip(0.0, 1.0)) / count


def bin_of(durations_ms: Floats) -> npt.NDArray[np.int64]:
    """The bin of each duration; what `LatencyHistogram.add` does for one. Of what is at least 0 and finite."""
    seconds = durations_ms * 0.001
    cell = seconds.view(np.int64) >> _SHIFT
    cell -= _FIRST
    index: npt.NDArray[np.int64] = _CELLS.take(cell, mode="clip")
    index += seconds > _EDGES_AND_END.take(index)
    return index
