"""How a t-digest spends its centroids: small ones in the tails, large ones in the middle. Pure.

After Dunning and Ertl, "Computing extremely accurate quantiles using t-digests" (2019), scale function k3: a centroid
holds a share of the data in proportion to min(q, 1 - q), so that the error relative to the tail is the same
everywhere. Four things differ.

1. The scale is flat beyond rank 1 (nothing is finer than a single value) and beyond a share of `FINEST` (no quantile
   out there is asked for), which leaves more centroids to the rest.
2. A quarter of the steps is spread evenly: k3 alone leaves the middle with centroids of a twelfth of the data, too wide
   for comparing models.
3. Values are put into the scale's steps by numpy, all at once, so that the number of centroids has a hard bound and
   the order of arrival means nothing.
4. A step's border yields to a gap in the data: a model that says 0.01 or 0.99 must not become one that says 0.5.
"""

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

STEPS = 61
"""Steps on each side of the median: at most `2 * STEPS` centroids."""
_EVEN = 14
"""So many of them are spread evenly over the data; the others crowd towards the ends."""
FINEST = 5e-5
"""Beyond this share from either end the scale is flat."""
_FEW = 4096
_GAP = 0.35
"""A gap is one when it is at least this part of what the two steps beside it span."""


def steps_of(middle: Floats, total: float) -> npt.NDArray[np.int64]:
    """The step, from 0 to `2 * STEPS - 1`, of values whose cumulated weight is `middle` (their own by half)."""
    q = middle / total
    flat = max(FINEST, 1.0 / total) if total > 1.0 else 1.0
    per_side = math.log1p(0.5 / flat)
    near = np.minimum(q, 1.0 - q).clip(0.0, 0.5)
    side = np.log1p(near / flat) * ((STEPS - _EVEN) / per_side) + near * (2 * _EVEN)
    step = np.minimum(side.astype(np.int64), STEPS - 1)
    return np.where(q < 0.5, step, 2 * STEPS - 1 - step)


def clustered(values: Floats, weights: Floats, pure: Bools) -> tuple[Floats, Floats, Bools]:
    """At most `2 * STEPS` centroids of these: means rising, weights, and which hold one value only.

    `pure` says so of what comes in; a centroid of equal pure values stays pure.
    """
    if values.size > 1:
        if not (values[1:] >= values[:-1]).all():
            order = np.argsort(values)
            values, weights, pure = values[order], weights[order], pure[order]
        values, weights, pure = _equal_ones_joined(values, weights, pure)
    if values.size <= 2:
        return values, weights, pure
    before = np.cumsum(weights)
    starts = _starts(before - weights * 0.5, float(before[-1]))
    starts = _moved_to_gaps(starts, values, before)
    return _joined(starts, values, weights, pure)


def _starts(middle: Floats, total: float) -> npt.NDArray[np.int64]:
    """Where each step that has values begins. Steps rise with `middle`; of many values only some need be asked."""
    n = middle.size
    if n <= _FEW:
        step = steps_of(middle, total)
        return np.flatnonzero(np.concatenate(([True], step[1:] != step[:-1])))
    wanted = np.arange(1, 2 * STEPS)
    low, high = np.zeros(wanted.size, dtype=np.int64), np.full(wanted.size, n, dtype=np.int64)
    for _ in range(n.bit_length()):  # halving finds the first value that has reached each step
        between = (low + high) // 2
        reached = steps_of(middle[np.minimum(between, n - 1)], total) >= wanted
        low, high = np.where(reached | (low >= high), low, between + 1), np.where(reached, between, high)
    starts: npt.NDArray[np.int64] = np.unique(np.concatenate(([0], high[high < n])))
    return starts


def _equal_ones_joined(values: Floats, weights: Floats, pure: Bools) -> tuple[Floats, Floats, Bools]:
    repeats = (values[1:] == values[:-1]) & pure[1:] & pure[:-1]
    if not repeats.any():
        return values, weights, pure
    starts = np.flatnonzero(np.concatenate(([True], ~repeats)))
    return values[starts], np.add.reduceat(weights, starts), pure[starts]


def _joined(
    starts: npt.NDArray[np.int64], values: Floats, weights: Floats, pure: Bools
) -> tuple[Floats, Floats, Bools]:
    ends = np.append(starts[1:], values.size)
    sums = np.add.reduceat(weights, starts)
    means = np.add.reduceat(values * weights, starts) / sums
    means = np.clip(means, values[starts], values[ends - 1])  # rounding must not carry a mean out of its own values
    return means, sums, pure[starts] & (ends - starts == 1)


def _moved_to_gaps(starts: npt.NDArray[np.int64], values: Floats, upto: Floats) -> npt.NDArray[np.int64]:
    """Each border moves to the widest gap near it, when that is a gap and not just the data's grain.

    A value that has a step of its own keeps it, and no more than half of a step's weight moves.
    """
    if starts.size < 2:
        return starts
    edges = np.append(starts, values.size)
    # Each border may move to the middle of the step before it or after it: so borders never cross.
    middle = (edges[:-1] + edges[1:]) // 2
    gaps = np.diff(values)  # gaps[i] lies before value i + 1
    low, high = middle[:-1], np.maximum(middle[1:], starts[1:] + 1)  # candidates for a border: low < border <= high
    high = np.minimum(high, values.size - 1)
    pairs = np.empty(2 * low.size, dtype=np.int64)
    pairs[0::2], pairs[1::2] = low, high
    widest = np.maximum.reduceat(np.append(gaps, 0.0), pairs)[0::2]
    span = values[edges[2:] - 1] - values[starts[:-1]]
    sizes = np.diff(edges)
    many = (sizes[1:] + sizes[:-1] > 4) & (sizes[1:] > 1) & (sizes[:-1] > 1)  # fewer values than that are all grain
    sums = np.diff(np.concatenate(([0.0], upto[edges[1:] - 1])))
    moved = starts.copy()
    for i in np.flatnonzero((widest > _GAP * span) & many):
        border = low[i] + int(np.argmax(gaps[low[i] : high[i]])) + 1
        if abs(upto[border - 1] - upto[starts[i + 1] - 1]) <= 0.5 * min(sums[i], sums[i + 1]):
            moved[i + 1] = border
    return np.unique(moved)
