"""Bins of a histogram: which bin a value falls into, and how far. A frozen value; shared by all rows of a history."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Whole = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Bins:
    """`count` bins from `low` to `high`, even in the value or, with `log`, in its logarithm.

    What is below `low` is in the first bin and what is above `high` in the last. In logarithmic bins everything up to
    `low`, zero too, is one and the same.
    """

    low: float
    high: float
    count: int
    log: bool = False

    @cached_property
    def edges(self) -> Floats:
        """Lower edges of all bins and the upper edge of the last: float64, shape (count + 1,)."""
        if self.log:
            found = np.geomspace(self.low, self.high, self.count + 1)
            found[0] = 0.0
            return found
        return np.linspace(self.low, self.high, self.count + 1)

    @cached_property
    def middles(self) -> Floats:
        """float64, shape (count,)."""
        return (self.edges[1:] + self.edges[:-1]) / 2.0

    def place(self, values: Floats) -> tuple[Whole, Floats]:
        """For each value its bin, and how far into the bin it is (0 to 1)."""
        if self.log:
            step = np.log(self.high / self.low) / self.count
            at = np.log(np.maximum(values, self.low) / self.low) / step
        else:
            at = (values - self.low) * (self.count / (self.high - self.low))
        at = np.clip(at, 0.0, self.count - 1e-6)
        bins = at.astype(np.intp)
        inside = at - bins
        if self.log:
            inside = np.where(values <= self.low, 0.5, inside)  # one atom: the middle of its rank
        return bins, inside


SURPRISES = Bins(2.0**-10, 2.0**34, 704, log=True)
"""A surprise of any scale, within 4.5 %."""
RESIDUALS = Bins(-6.0, 20.0, 260)
"""What is left of a signal's log-odds, in standard deviations."""
LASTING = Bins(0.0, 2.6, 260)
"""Mean urgency over the last hour."""
