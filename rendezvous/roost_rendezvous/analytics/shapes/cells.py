"""A number's range cut into cells: at given edges, at quantiles of its own history, or both.

Quantile cuts are the book's automatic bins ("it is often much handier to use bins that are picked automatically"):
fine near the extremes and coarse in the middle, as a t-digest's centroids are. A value on an edge belongs below it, so
that an atom (a score of exactly 0) has a cell of its own as soon as a cut falls on it.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from roost_rendezvous.analytics.shapes.ratios import Sets

QUANTILES = (0.003, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 0.997)

_ATOM = 0.05


class Cells:
    """Cells between `edges`, the outermost open; `bins` are the given edges among them, whose bins are sets, too."""

    def __init__(self, edges: Sequence[float], bins: Sequence[float] = ()) -> None:
        self.edges = sorted({float(edge) for edge in (*edges, *bins)})
        self.bins = sorted({float(edge) for edge in bins})

    def __len__(self) -> int:
        return len(self.edges) + 1

    def of(self, value: float) -> int:
        """The cell of a value."""
        return bisect_left(self.edges, value)

    def sets(self) -> Sets:
        """Which cells stand together as one event, of the shape (cells, sets): each alone, all on one side of each
        edge, each bin. A set and its complement are one event; it is there once.
        """
        count = len(self)
        marks = [0, *(self.edges.index(edge) + 1 for edge in self.bins), count]
        spans = [(cell, cell + 1) for cell in range(count)]
        spans += [(0, edge) if 2 * edge <= count else (edge, count) for edge in range(2, count - 1)]
        spans += [(low, high) for low, high in pairwise(marks) if high > low]
        known: dict[tuple[int, int], None] = {}
        for low, high in spans:
            other = (high, count) if low == 0 else (0, low) if high == count else None
            if (low, high) != (0, count) and other not in known:
                known.setdefault((low, high))
        table = np.zeros((count, max(1, len(known))), dtype=np.bool_)
        for at, (low, high) in enumerate(known):
            table[low:high, at] = True
        return table

    def span(self, inside: Sets) -> tuple[float, float]:
        """The range (above, up to) of a set, given which cells are in it: a column of `sets`."""
        within = np.flatnonzero(inside)
        ends = [-math.inf, *self.edges, math.inf]
        return (ends[within[0]], ends[within[-1] + 1]) if len(within) else (ends[0], ends[-1])


def quantile_edges(values: Sequence[float], quantiles: Sequence[float] = QUANTILES, least: int = 2) -> list[float]:
    """The values at the quantiles that so many values can tell (at least `least` of them lie beyond each), and both
    ends: beyond them nothing was ever seen. A value that stands at a cut often has an edge on either side.
    """
    ranked = sorted(values)
    edges = {ranked[int(q * (len(ranked) - 1))] for q in quantiles if min(q, 1 - q) * len(ranked) >= least}
    edges |= {ranked[-1], math.nextafter(ranked[0], -math.inf)}
    atoms = [edge for edge in edges if bisect_right(ranked, edge) - bisect_left(ranked, edge) > _ATOM * len(ranked)]
    return sorted(edges | {math.nextafter(atom, -math.inf) for atom in atoms})
