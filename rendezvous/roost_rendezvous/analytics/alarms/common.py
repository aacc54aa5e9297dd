"""What all signals do together, taken away from each: monitors are correlated, sums are for independent ones. Pure.

Load rises, and latency, queue, skips and a dozen score bins become strange at the same time: one cause, counted twenty
times. The book adds them up all the same. Here the log-odds of all signals are followed over time; where few
directions explain more of them than chance would (eigenvalues of their correlation above what noise of that length
gives: Marchenko and Pastur), those are the common factors, at most three. At each moment the factors' strength is found
robustly (Huber: a few signals that scream do not pull it), what they explain is subtracted, and the rest of each signal
is turned into log-odds by *its* own history. The factors go on as signals of their own: all moving together may be the
news.

So many correlated monitors become few and nearly independent things to look at. Only upward strangeness of a factor is
news (its sign is chosen so that more of it means stranger signals).
"""

from typing import Any, NamedTuple

import numpy as np

from roost_rendezvous.analytics.alarms.bins import RESIDUALS, Floats, Whole
from roost_rendezvous.analytics.alarms.histories import Histories

MOST_FACTORS = 3
_HOUR_NS = 3_600_000_000_000
_ESTIMATE_EVERY_NS = 24 * _HOUR_NS
_COUNT_EVERY_NS = 7 * _ESTIMATE_EVERY_NS
_CLIP = 2.0
"""Log-odds beyond ± this count as this for the correlation: a few alarms must not make one."""
_HUBER = 1.345
_LEAST_OWN = 0.1
"""Of each signal's variance at least this share is its own."""
_LEAST_EIGENVALUE = 2.0
"""A factor explains at least as much as two signals vary."""
_LEAST_HOURS = 72.0


class Split(NamedTuple):
    """Log-odds after the split."""

    beside: Floats
    """Of each signal asked for, beside the others; shape (signals,)."""
    together: Floats
    """Of each factor; shape (factors,), empty while none is in use."""


class Common:
    """Follows the first `most` rows. `mean_life_ns`: how long it remembers; `least_ns`: watched before it is used."""

    def __init__(self, most: int, mean_life_ns: int, least_ns: int) -> None:
        self._most = most
        self._mean_life = mean_life_ns
        self._least = least_ns
        self._products = np.zeros((0, 0))
        self._times = np.zeros((0, 0))
        self._hours = 0.0
        self._now: int | None = None
        self._estimated: int | None = None
        self._counted: int | None = None
        self._since: int | None = None
        """Watched time since the present factors are followed; None: no factors."""
        self._loadings = np.zeros((0, 0))
        self._scale = np.zeros(0)
        self.own = Histories(RESIDUALS, mean_life_ns)
        self.shared = Histories(RESIDUALS, mean_life_ns)
        self.shared.grow(MOST_FACTORS)

    @property
    def factors(self) -> int:
        """How many common factors are followed."""
        return self._loadings.shape[1]

    @property
    def in_use(self) -> bool:
        """Whether they are known for long enough to be taken away."""
        return self._since is not None and self._since >= self._least

    @property
    def loadings(self) -> Floats:
        """Shape (followed signals, factors): correlation of each signal with each factor."""
        return self._loadings

    def tick(self, rows: Whole, nines: Floats, learning: Whole, now: int) -> Split:
        """Split, then learn. `nines` belong to `rows`; `learning`: rows that have just spoken."""
        gone = 0 if self._now is None else min(max(0, now - self._now), 6 * _HOUR_NS)
        self._now = now
        self.own.tick(now)
        self.shared.tick(now)
        followed = rows < self._most
        rows_in, nines_in = rows[followed], nines[followed]
        beside, together = np.array(nines), np.zeros(0)
        if self._since is not None and len(rows_in) > 2:
            self._since += gone
            rest, strength = self._split(rows_in, nines_in)
            factors = np.arange(self.factors)
            with_own = rows_in < len(self._loadings)
            if self.in_use:
                together = self.shared.nines(factors, strength)
                part = np.array(nines_in)
                part[with_own] = self.own.nines(rows_in[with_own], rest[with_own])
                beside[followed] = part
            self.shared.learn(factors, strength)
            may = with_own & np.isin(rows_in, learning)
            self.own.learn(rows_in[may], rest[may])
        self._learn(rows_in, nines_in, gone)
        self._estimate(now)
        return Split(beside, together)

    def _split(self, rows: Whole, nines: Floats) -> tuple[Floats, Floats]:
        """What is left of each row, in standard deviations, and each factor's strength."""
        inside = rows < len(self._loadings)
        loadings = np.zeros((len(rows), self.factors))
        scale = np.full(len(rows), 0.788)  # of log-odds of base 10 of something as usual: pi / sqrt(3) / ln(10)
        loadings[inside] = self._loadings[rows[inside]]
        scale[inside] = self._scale[rows[inside]]
        values = nines / scale
        own = np.sqrt(np.maximum(1.0 - (loadings**2).sum(axis=1), _LEAST_OWN))
        scaled, aim = loadings / own[:, None], values / own
        strength = np.zeros(self.factors)
        trust = np.ones(len(rows))
        for _ in range(3):
            weighted = scaled * trust[:, None]
            strength = np.linalg.solve(weighted.T @ scaled + np.eye(self.factors), weighted.T @ aim)
            trust = np.minimum(1.0, _HUBER / np.maximum(np.abs(aim - scaled @ strength), 1e-9))
        rest: Floats = aim - scaled @ strength
        return rest, strength

    def _learn(self, rows: Whole, nines: Floats, gone: int) -> None:
        size = int(rows.max()) + 1 if len(rows) else 0
        if size > len(self._products):
            self._products = _padded(self._products, size)
            self._times = _padded(self._times, size)
        if gone == 0 or size == 0:
            return
        fade, weight = np.exp(-gone / self._mean_life), gone / _HOUR_NS
        self._hours = self._hours * fade + weight
        values = np.zeros(len(self._products))
        there = np.zeros(len(self._products))
        values[rows], there[rows] = np.clip(nines, -_CLIP, _CLIP), 1.0
        self._products *= fade
        self._products += weight * np.outer(values, values)
        self._times *= fade
        self._times += weight * np.outer(there, there)

    def _estimate(self, now: int) -> None:
        due = self._estimated is None or abs(now - self._estimated) >= _ESTIMATE_EVERY_NS
        if not due or self._hours < _LEAST_HOURS or len(self._products) < 3:
            return
        self._estimated = now
        moments = self._products / np.maximum(self._times, 1e-9)
        spread = np.sqrt(np.maximum(np.diag(moments), 1e-6))
        correlation = moments / np.outer(spread, spread)
        correlation[self._times < _LEAST_HOURS / 2] = 0.0
        np.fill_diagonal(correlation, 1.0)
        values, vectors = np.linalg.eigh(correlation)
        values, vectors = values[::-1], vectors[:, ::-1]
        count = self.factors
        if self._counted is None or abs(now - self._counted) >= _COUNT_EVERY_NS:
            self._counted = now
            noise = (1.0 + np.sqrt(len(values) / self._hours)) ** 2
            # Those in use stay until they are clearly gone, so that none comes and goes with every estimate.
            ease = np.where(np.arange(len(values)) < self.factors, 0.8, 1.1)
            real = values > ease * max(noise, _LEAST_EIGENVALUE)
            count = int(np.argmin(real[: MOST_FACTORS + 1])) if not real[: MOST_FACTORS + 1].all() else MOST_FACTORS
            count = min(count, MOST_FACTORS)
        loadings = vectors[:, :count] * np.sqrt(np.maximum(values[:count] - 1.0, 0.0))
        loadings *= np.where(loadings.sum(axis=0) < 0, -1.0, 1.0)
        if count != self.factors:
            self.own = Histories(RESIDUALS, self._mean_life)
            self.shared = Histories(RESIDUALS, self._mean_life)
            self.shared.grow(MOST_FACTORS)
            self._since = 0 if count else None
        self.own.grow(len(loadings))
        self._loadings, self._scale = np.clip(loadings, -0.95, 0.95), spread

    def snapshot(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "products": np.round(self._products, 6).tolist(),
            "times": np.round(self._times, 6).tolist(),
            "hours": self._hours,
            "now": self._now,
            "estimated": self._estimated,
            "counted": self._counted,
            "since": self._since,
            "factors": self.factors,
            "loadings": self._loadings.tolist(),
            "scale": self._scale.tolist(),
            "own": self.own.snapshot(),
            "shared": self.shared.snapshot(),
        }

    def restore(self, kept: dict[str, Any]) -> None:
        """What `snapshot` gave."""
        size = len(kept["products"])
        self._products = np.array(kept["products"], float).reshape(size, size)
        self._times = np.array(kept["times"], float).reshape(size, size)
        self._hours, self._now = kept["hours"], kept["now"]
        self._estimated, self._counted, self._since = kept["estimated"], kept["counted"], kept["since"]
        self._loadings = np.array(kept["loadings"], float).reshape(len(kept["loadings"]), kept["factors"])
        self._scale = np.array(kept["scale"], float)
        self.own.restore(kept["own"])
        self.shared.restore(kept["shared"])


def _padded(square: Floats, size: int) -> Floats:
    found = np.zeros((size, size))
    found[: len(square), : len(square)] = square
    return found
