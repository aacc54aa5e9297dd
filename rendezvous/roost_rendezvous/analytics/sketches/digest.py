"""A mergeable t-digest in numpy: the distribution of any amount of numbers in about a kilobyte. Pure.

Rules:

1. The smallest and the largest value are exact. Everything between has an error in proportion to min(q, 1 - q).
2. Merging is as good as having seen all values in one, and the order of merges means nothing. The order of values added
   one by one means little: one that sweeps over the whole range again and again costs some percent in the tails.
3. What is no number (NaN, infinity, beyond `LARGEST`) or has no positive weight is refused and counted; nothing raises
   over data.
4. Memory is bounded: 122 centroids, and a buffer of `BUFFER` single values.

The method is Dunning's (the book, ch. 5, "Quantile Sketching with t-Digest"); what is ours is in `scale` and `curve`.
Why not a package: docs/decisions/0021.
"""

from array import array
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from roost_rendezvous.analytics.sketches.curve import Curve, curve_of
from roost_rendezvous.analytics.sketches.scale import STEPS, Bools, Floats, clustered

BUFFER = 2048
"""Single values kept as they are until they are worked in together, 8 bytes each. Each working-in blurs a little."""
LARGEST = 1e280
"""Beyond it sums overflow; nobody's score is so large."""


class TDigest:
    """See the module. An empty digest answers NaN to every question."""

    __slots__ = ("_buffer", "_curve", "_means", "_pure", "_weights", "high", "low", "refused")

    def __init__(self) -> None:
        self._means: Floats = np.empty(0)
        self._weights: Floats = np.empty(0)
        self._pure: Bools = np.empty(0, dtype=np.bool_)
        self._buffer = array("d")
        self._curve: Curve | None = None
        self.low = np.inf
        """The smallest value; infinity without any."""
        self.high = -np.inf
        """The largest value; minus infinity without any."""
        self.refused = 0
        """Values that were no numbers."""

    @classmethod
    def of(cls, values: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> "TDigest":
        """A digest of these values."""
        made = cls()
        made.add_many(values, weights)
        return made

    @classmethod
    def merged(cls, digests: Iterable["TDigest"]) -> "TDigest":
        """All of them in one step; the parts stay as they are."""
        made = cls()
        parts = list(digests)
        for part in parts:
            part._work_in()
        made._take(
            [part._means for part in parts],
            [part._weights for part in parts],
            [part._pure for part in parts],
            min((part.low for part in parts), default=np.inf),
            max((part.high for part in parts), default=-np.inf),
        )
        made.refused = sum(part.refused for part in parts)
        return made

    @classmethod
    def from_parts(
        cls, means: Floats, weights: Floats, pure: Bools, low: float, high: float, refused: int = 0
    ) -> "TDigest":
        """A digest of centroids in any order and number; `pure` marks those that stand for one value only."""
        made = cls()
        if means.size <= 2 * STEPS and (means[1:] > means[:-1]).all():  # as a digest gave them: nothing to be done
            made._means, made._weights, made._pure, made.low, made.high = means, weights, pure, low, high
        else:
            made._take([means], [weights], [pure], low, high)
        made.refused = refused
        return made

    def parts(self) -> tuple[Floats, Floats, Bools]:
        """Means (rising), weights, and which centroids hold one value only. Not to be changed."""
        self._work_in()
        return self._means, self._weights, self._pure

    def __len__(self) -> int:
        """Centroids."""
        self._work_in()
        return int(self._means.size)

    @property
    def count(self) -> float:
        """The weight of all values."""
        return float(self._weights.sum()) + len(self._buffer)

    @property
    def mean(self) -> float:
        """The average, as exact as floating point is."""
        self._work_in()
        return float(np.average(self._means, weights=self._weights)) if self._means.size else np.nan

    def add(self, value: float, weight: float = 1.0) -> None:
        """One value, soon worked in together with others."""
        if weight != 1.0:
            self.add_many([value], [weight])
        elif -LARGEST <= value <= LARGEST:
            self._buffer.append(value)
            self._curve = None
            if len(self._buffer) >= BUFFER:
                self._work_in()
        else:
            self.refused += 1

    def add_many(self, values: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> None:
        """Values of any shape; weights of the same number, 1 when left out. Raises ValueError when they differ."""
        fresh = np.asarray(values, dtype=np.float64).ravel()
        heavy = np.ones(fresh.size) if weights is None else np.asarray(weights, dtype=np.float64).ravel()
        if heavy.size != fresh.size:
            raise ValueError(f"{fresh.size} values but {heavy.size} weights; give one for each")
        good = (np.abs(fresh) <= LARGEST) & (heavy > 0.0) & (heavy <= LARGEST)  # NaN is never smaller
        if not good.all():
            self.refused += int(good.size - np.count_nonzero(good))
            fresh, heavy = fresh[good], heavy[good]
        if fresh.size:
            self._work_in()
            pure = np.ones(fresh.size, dtype=np.bool_)
            self._add_parts(fresh, heavy, pure, float(fresh.min()), float(fresh.max()))

    def add_digest(self, other: "TDigest") -> None:
        """Everything that is in another one; that stays as it is."""
        means, weights, pure = other.parts()
        self._work_in()
        self._add_parts(means, weights, pure, other.low, other.high)
        self.refused += other.refused

    def quantile(self, q: float) -> float:
        """The value with a share `q` (0 to 1) of the data below it."""
        return float(self.quantiles(np.array([q]))[0])

    def quantiles(self, qs: npt.ArrayLike) -> Floats:
        """The same for many, as an array of the same shape; NaN for what is not from 0 to 1."""
        wanted = np.asarray(qs, dtype=np.float64)
        curve = self._drawn()
        if curve is None:
            return np.full(wanted.shape, np.nan)
        return np.where((wanted >= 0.0) & (wanted <= 1.0), curve.value_at(wanted), np.nan)

    def cdf(self, value: float) -> float:
        """The share of the data below a value, half of what equals it included: 0.5 for the only value there is.

        So a stream's usual value has a usual quantile, also when the stream is constant.
        """
        return float(self.cdfs(np.array([value]))[0])

    def cdfs(self, values: npt.ArrayLike) -> Floats:
        """The same for many, as an array of the same shape. NaN stays NaN."""
        given = np.asarray(values, dtype=np.float64)
        curve = self._drawn()
        if curve is None:
            return np.full(given.shape, np.nan)
        middle: Floats = (curve.share_below(given) + curve.share_up_to(given)) * 0.5
        return middle

    def shares(self, value: float) -> tuple[float, float]:
        """The shares below a value, and below or equal to it."""
        curve = self._drawn()
        if curve is None:
            return np.nan, np.nan
        given = np.array([value])
        return float(curve.share_below(given)[0]), float(curve.share_up_to(given)[0])

    def _drawn(self) -> Curve | None:
        self._work_in()
        if self._curve is None and self._means.size:
            self._curve = curve_of(self._means, self._weights, self._pure, self.low, self.high)
        return self._curve

    def _work_in(self) -> None:
        if self._buffer:
            fresh = np.array(self._buffer)
            self._buffer = array("d")
            pure = np.ones(fresh.size, dtype=np.bool_)
            self._add_parts(fresh, np.ones(fresh.size), pure, float(fresh.min()), float(fresh.max()))

    def _add_parts(self, means: Floats, weights: Floats, pure: Bools, low: float, high: float) -> None:
        self._take([self._means, means], [self._weights, weights], [self._pure, pure], low, high)

    def _take(
        self, means: Sequence[Floats], weights: Sequence[Floats], pure: Sequence[Bools], low: float, high: float
    ) -> None:
        if means:
            self._means, self._weights, self._pure = clustered(
                np.concatenate(means), np.concatenate(weights), np.concatenate(pure)
            )
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._curve = None
