"""From centroids to a distribution function and back: straight lines between knots, steps where one value repeats.
Pure.

A centroid's weight lies evenly around its mean, half of it on each side, out to the border with its neighbour. Three
refinements over the usual drawing. A value that is known to repeat is a step, not a slope. The smallest and the
largest value are steps of their own. And a centroid beside a gap does not reach into it further than `_REACH` times
as far as it reaches on its other side.
"""

from typing import NamedTuple

import numpy as np

from roost_rendezvous.analytics.sketches.scale import Bools, Floats

_REACH = 4.0


class Curve(NamedTuple):
    """Knots of a distribution function: `x` and `q` rise together; equal `x` is a step, equal `q` a gap."""

    x: Floats
    q: Floats

    def share_below(self, values: Floats) -> Floats:
        """The share of data smaller than each value."""
        below: Floats = 1.0 - np.interp(-values, -self.x[::-1], 1.0 - self.q[::-1], left=0.0, right=1.0)
        return below

    def share_up_to(self, values: Floats) -> Floats:
        """The share of data smaller than, or equal to, each value."""
        up_to: Floats = np.interp(values, self.x, self.q, left=0.0, right=1.0)
        return up_to

    def value_at(self, q: Floats) -> Floats:
        """The value with this share of the data below it; in the middle of a gap where it falls on one."""
        upper = np.interp(q, self.q, self.x)
        lower = -np.interp(-q, -self.q[::-1], -self.x[::-1])
        middle: Floats = lower + (upper - lower) * 0.5
        return middle


def curve_of(means: Floats, weights: Floats, pure: Bools, low: float, high: float) -> Curve:
    """The curve of at least one centroid; `low` and `high` are the smallest and largest value."""
    n = means.size
    step = pure & (weights > 1.0)
    ends = pure & ((means == low) | (means == high))
    own = np.where(step | ends, 0.0, weights)  # what is spread out
    gap = np.diff(means)
    both = own[:-1] + own[1:]
    part = np.divide(own[:-1], both, out=np.full(n - 1, 0.5), where=both > 0.0)
    right = np.append(gap * part, high - means[-1])
    left = np.concatenate(([means[0] - low], gap * (1.0 - part)))
    right, left = np.minimum(right, _REACH * left), np.minimum(left, _REACH * right)
    still = own == 0.0
    right[still] = left[still] = 0.0
    upto = np.cumsum(weights)
    total = upto[-1]
    x = np.empty(3 * n + 2)
    q = np.empty(3 * n + 2)
    x[1:-1:3], x[2:-1:3], x[3:-1:3] = means - left, means, means + right
    q[1:-1:3], q[2:-1:3], q[3:-1:3] = upto - weights, upto - weights * 0.5, upto
    x[0], q[0], x[-1], q[-1] = low, 0.0, high, total
    return Curve(np.maximum.accumulate(x.clip(low, high)), q / total)
