"""What each signal's values were over the last weeks: one row of bins per signal, fading, with a tail beyond.

A histogram and no t-digest: a row must forget (in a digest weights of different ages lose the sizes that keep its ends
sharp), be moved when a new normal is declared, and be asked for thousands of values a tick at once. What a digest is
better at, the far end, is what the fitted tail is for. About 6 kB a row.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from roost_rendezvous.analytics.alarms import tails
from roost_rendezvous.analytics.alarms.bins import Bins, Floats, Whole
from roost_rendezvous.analytics.alarms.odds import MOST_NINES

_FADE_EVERY_NS = 6 * 3_600_000_000_000
_MOST_FADED_NS = 86_400_000_000_000
"""A device that was off for a winter forgets no more than for a day: what it knew is the best there is."""
_REFRESH_EVERY_NS = 6 * 3_600_000_000_000
_BLOCK = 128
"""Rows refreshed at once: what that is reckoned with is several times as large as what is kept of it."""


class Histories:
    """Weights of all rows. `mean_life_ns`: a reading's weight falls to 1/e in so long."""

    def __init__(self, bins: Bins, mean_life_ns: int) -> None:
        self._bins = bins
        self._mean_life = mean_life_ns
        self._weights = np.zeros((0, bins.count), np.float32)
        self._above = np.zeros((0, bins.count), np.float32)
        self._totals = np.zeros(0)
        """As of the last refresh, like `_above` and `_tails`."""
        self._tails = tails.fit(self._weights, self._above, self._totals, bins)
        self._aside: dict[int, Floats] = {}
        """What is learnt of rows that are part of an open episode."""
        self._faded: int | None = None
        self._refreshed: int | None = None
        self._since: Counter[tuple[int, int]] = Counter()
        """Readings since the last refresh by row and bin: whoever restores this judges as if he had never ended."""

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self._weights)

    @property
    def bytes_per_row(self) -> int:
        """Memory of one row."""
        return 2 * self._bins.count * 4 + 5 * 8

    def grow(self, rows: int) -> None:
        """Have at least `rows` rows; grown by half more, since each growth copies."""
        if rows > self.rows:
            more = max(rows, self.rows + self.rows // 2) - self.rows
            self._weights = np.vstack([self._weights, np.zeros((more, self._bins.count), np.float32)])
            self._refresh()

    def tick(self, now: int) -> None:
        """Fade what is old and take in what was learnt; call it before `stranger` and `learn`."""
        if self._faded is None or self._refreshed is None:
            self._faded = self._refreshed = now
        if now - self._faded >= _FADE_EVERY_NS:
            gone = min(now - self._faded, _MOST_FADED_NS)
            self._weights *= np.float32(np.exp(-gone / self._mean_life))
            self._faded = now
        if now - self._refreshed >= _REFRESH_EVERY_NS:
            self._refreshed = now
            self._refresh()
        elif now < self._refreshed or now < self._faded:  # the clock was set back
            self._refreshed, self._faded = min(now, self._refreshed), min(now, self._faded)

    def learn(self, rows: Whole, values: Floats) -> None:
        """One reading of each of `rows` (no row twice)."""
        bins, _ = self._bins.place(values)
        if self._aside:
            apart = np.array([int(row) in self._aside for row in rows], bool)
            for row, bin_ in zip(rows[apart], bins[apart], strict=True):
                self._aside[int(row)][bin_] += 1.0
            rows, bins = rows[~apart], bins[~apart]
        self._weights[rows, bins] += 1.0
        self._since.update(zip(rows.tolist(), bins.tolist(), strict=True))

    def set_aside(self, rows: Iterable[int]) -> None:
        """Learn these aside from now on: what an alarm is about must not become usual meanwhile."""
        for row in rows:
            if row < self.rows:
                self._aside.setdefault(int(row), np.zeros(self._bins.count, np.float32))

    def went_by(self, rows: Iterable[int]) -> None:
        """It is as it was: what was learnt aside belongs to what is usual."""
        for row in rows:
            if (aside := self._aside.pop(int(row), None)) is not None:
                self.add(int(row), aside)

    def take_aside(self, row: int) -> Floats | None:
        """Learn it as before, and forget what was learnt aside; gives that."""
        return self._aside.pop(row, None)

    def known(self, rows: Whole) -> Floats:
        """Weight of each row, as of some hours ago."""
        return self._totals[rows]

    def stranger(self, rows: Whole, values: Floats) -> Floats:
        """The share of each row's history that was stranger than the value: above 0, below 1."""
        bins, inside = self._bins.place(values)
        totals = self._totals[rows]
        higher = self._above[rows, bins] + (1.0 - inside) * self._weights[rows, bins]
        within = (higher + 0.5) / (totals + 1.0)
        beyond = tails.stranger(self._tails, rows, values)
        return np.minimum(np.where(higher < tails.ANCHOR, np.minimum(within, beyond), within), 1.0 - 1e-6)

    def nines(self, rows: Whole, values: Floats) -> Floats:
        """The same as log-odds of base 10, cut at ± `MOST_NINES`."""
        beyond = np.maximum(self.stranger(rows, values), 10.0**-MOST_NINES)
        found: Floats = np.log10(1.0 - beyond) - np.log10(beyond)
        return found

    def weight(self, row: int) -> Floats:
        """A copy of a row, shape (bins,)."""
        return np.array(self._weights[row])

    def put(self, row: int, weights: Floats) -> None:
        """Replace a row."""
        self._weights[row] = weights
        self._refresh()

    def add(self, row: int, weights: Floats) -> None:
        """Add what was learnt aside."""
        self._weights[row] += weights
        self._refresh()

    def snapshot(self) -> dict[str, Any]:
        """JSON-able: of each row its filled bins."""
        return {
            "faded": self._faded,
            "refreshed": self._refreshed,
            "rows": [filled(row) for row in self._weights],
            "aside": {str(row): filled(weights) for row, weights in self._aside.items()},
            "since": [[row, bin_, times] for (row, bin_), times in self._since.items()],
        }

    def restore(self, kept: dict[str, Any]) -> None:
        """What `snapshot` gave."""
        self._faded, self._refreshed = kept["faded"], kept["refreshed"]
        rows = [unfilled(row, self._bins.count) for row in kept["rows"]]
        self._weights = np.array(rows, np.float32).reshape(len(rows), self._bins.count)
        self._aside = {int(row): unfilled(one, self._bins.count) for row, one in kept["aside"].items()}
        since = Counter({(row, bin_): times for row, bin_, times in kept.get("since", ())})  # an older save has none
        for (row, bin_), times in since.items():
            self._weights[row, bin_] -= times
        self._refresh()
        for (row, bin_), times in since.items():
            self._weights[row, bin_] += times
        self._since = since

    def _refresh(self) -> None:
        self._since.clear()
        self._totals = self._weights.sum(axis=1, dtype=np.float64)
        self._above = np.empty_like(self._weights)
        found = []
        for first in range(0, max(1, self.rows), _BLOCK):
            rows = slice(first, first + _BLOCK)
            weights, totals = self._weights[rows], self._totals[rows]
            above = totals[:, None] - np.cumsum(weights, axis=1, dtype=np.float64)
            self._above[rows] = np.maximum(above, 0.0)
            found.append(tails.fit(weights, self._above[rows], totals, self._bins))
        self._tails = tails.Tails(*map(np.concatenate, zip(*found, strict=True)))


def filled(weights: Floats) -> list[list[float]]:
    """[[bin, weight], ...] of those that are not empty."""
    return [[int(bin_), round(float(weights[bin_]), 3)] for bin_ in np.flatnonzero(weights > 1e-3)]


def unfilled(bins: Sequence[Sequence[float]], count: int) -> Floats:
    """What `filled` was made of."""
    found = np.zeros(count, np.float32)
    for bin_, weight in bins:
        found[int(bin_)] = weight
    return found
