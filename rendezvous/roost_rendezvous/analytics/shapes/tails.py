"""Comparing short periods with the history, at the tails above all: the canary's scores and the inputs (promise K2).

A period of, say, 1,000 values of which 2 % come from elsewhere has the mean it always had; its tail has not. The cuts
are quantiles of the history (the book, ch. 7: automatic bins, "the structure of the distribution near the extremes is
very well preserved"). For every cut and several strengths the likelihood ratio "so much of the period came from beyond
this cut" is taken, and their mean compared with that of periods drawn from the history itself, the uncertainty of a
short history included (Dirichlet). The surprise is minus the common logarithm of the chance of so much, whatever the
distribution: 3 is one period in a thousand.
"""

import math
from array import array

import msgspec
import numpy as np

from roost_rendezvous.analytics.reading import Reading, Signal
from roost_rendezvous.analytics.shapes.cells import Cells, quantile_edges
from roost_rendezvous.analytics.shapes.elsewhere import Alternatives, rarity
from roost_rendezvous.analytics.shapes.ratios import Floats
from roost_rendezvous.analytics.shapes.reservoir import Reservoir

_RARE = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25)
TAILS = (*_RARE, 0.5, *(1 - each for each in reversed(_RARE)))
_DRAWS = 2000
_STALE = 0.25
"""By how much history or period may have grown before periods are drawn anew."""
_DISPERSED = 30
"""Periods from which their own dispersion is learnt."""


class TailSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How periods are compared."""

    least_periods: int = 5
    """Periods of history before anything is said."""
    least_values: int = 30
    """Values in a period before it says anything: fewer are added to the next."""
    sample: int = 5_000
    """Values of the first periods from which the cuts are chosen (8 bytes each, let go afterwards)."""
    memory: float = 1_000_000.0
    """Values after which the weight of the older half is halved."""

    def __post_init__(self) -> None:
        if self.least_periods < 2 or self.least_values < 2 or self.sample < 100 or self.memory < 1000:
            raise ValueError("at least 2 periods of 2 values, a sample of 100 and a memory of 1,000 values")


class KeptTail(msgspec.Struct, kw_only=True):
    """A tail watch's memory."""

    periods: int
    period: list[float]
    learning: int
    sample: list[float]
    seen: int
    edges: list[float]
    counts: list[float]
    spreads: list[float]
    reading: Reading | None


class TailWatch:
    """One number of one stream, in periods that whoever calls `close` decides."""

    def __init__(self, signal: Signal, what: str, settings: TailSettings | None = None, *, seed: int = 7) -> None:
        self.signal = signal
        self.what = what
        self._settings = settings or TailSettings()
        self._seed = seed
        self.relearn()

    def relearn(self) -> None:
        """Forget everything: what comes now is the new normal."""
        self.periods = 0
        self._sample: Reservoir[float] = Reservoir(self._settings.sample, self._seed, array("d"))
        self._cells: Cells | None = None
        self._counts: Floats = np.zeros(0)
        self._period = 0
        self._tally: list[float] = []
        self._spreads: list[float] = []
        self._reading: Reading | None = None
        self._drawn_for, self._drawn = (1e-9, 1e-9), np.zeros(0)

    def handle(self, value: float) -> None:
        """One value of the period."""
        if not math.isfinite(value):
            return
        self._period += 1
        if self._cells is None:
            self._sample.add(value)
        else:
            self._tally[self._cells.of(value)] += 1.0

    def close(self, now: int) -> Reading:
        """The period ends: what it says beside the history, of which it then becomes a part."""
        count = self.pending
        if count < self._settings.least_values:
            return self._unsaid(
                now, f"not enough values: {count} of {self._settings.least_values} in the period", count
            )
        self.periods += 1
        self._period = 0
        if self._cells is None:
            if self.periods >= self._settings.least_periods:
                self._choose()
            why = f"not enough history: {self.periods} of {self._settings.least_periods} periods"
            return self._unsaid(now, why, count)
        tally = np.array(self._tally)
        self._reading = self._compare(now, count, tally)
        self._counts += tally
        if self._counts.sum() > self._settings.memory:
            self._counts *= 0.5
        self._tally = [0.0] * len(self._cells)
        return self._reading

    @property
    def pending(self) -> int:
        """Values in the period so far."""
        return self._period

    def tick(self, now: int) -> Reading:
        """The last period's reading again."""
        why = f"not enough history: {self.periods} of {self._settings.least_periods} periods"
        return self._reading or self._unsaid(now, why, 0)

    def _unsaid(self, now: int, why: str, events: int) -> Reading:
        return Reading(signal=self.signal, at=now, why_not=why, events=events)

    def _choose(self) -> None:
        self._cells = Cells(quantile_edges(self._sample.values, TAILS, least=1))
        self._counts = np.zeros(len(self._cells))
        for value in self._sample.values:
            self._counts[self._cells.of(value)] += 1.0
        self._tally = [0.0] * len(self._cells)
        self._sample = Reservoir(self._settings.sample, self._seed, array("d"))

    def _compare(self, now: int, count: int, tally: Floats) -> Reading:
        weight = self._weight(count, tally)
        ways = Alternatives((self._counts + 0.5) / (self._counts.sum() + 0.5 * len(self._counts)))
        told = float(ways.told(tally[None, :] * weight)[0])
        surprise = rarity(told, self._by_chance(max(2, round(count * weight)), ways))
        cut, upper = ways.foremost(tally)
        below = [float(values[: cut + 1].sum() / values.sum()) for values in (self._counts, tally)]
        normal, recent = [1 - each for each in below] if upper else below
        edge = self._cells.edges[cut] if self._cells else 0.0
        words = f"{self.what} was {'above' if upper else 'at most'} {edge:.3g}"
        return Reading(
            signal=self.signal,
            at=now,
            surprise=surprise,
            normal=normal,
            now=recent,
            unit="share",
            events=count,
            sentence=f"{words} in {recent:.2%} of {count}, usually in {normal:.2%}",
        )

    def _by_chance(self, count: int, ways: Alternatives) -> Floats:
        """What periods drawn from the history say of themselves, in order; drawn anew when there is much more of it."""
        sizes = (count, float(self._counts.sum()))
        if any(abs(now / then - 1) > _STALE for now, then in zip(sizes, self._drawn_for, strict=True)):
            rng = np.random.default_rng([self._seed, self.periods])
            drawn = rng.multinomial(count, rng.dirichlet(self._counts + 0.5, size=_DRAWS)).astype(np.float64)
            self._drawn_for, self._drawn = sizes, np.sort(ways.told(drawn))
        return self._drawn

    def _weight(self, count: int, tally: Floats) -> float:
        """How many independent values one counts for: periods of real streams differ by more than chance, and by how
        much is the median, over those seen, of their misfit per degree of freedom.
        """
        expected = (self._counts + 0.5) / (self._counts.sum() + 0.5 * len(self._counts)) * count
        stretch = 1 + count / max(1.0, float(self._counts.sum()))
        misfit = float((np.square(tally - expected) / expected).sum()) / max(1, len(expected) - 1) / stretch
        known = float(np.median(self._spreads)) if len(self._spreads) >= _DISPERSED // 3 else 1.0
        self._spreads = [*self._spreads[-_DISPERSED + 1 :], misfit]
        return 1.0 / max(1.0, known)

    def snapshot(self) -> KeptTail:
        """Everything that a restart must not lose."""
        return KeptTail(
            periods=self.periods,
            period=list(self._tally),
            learning=self._period if self._cells is None else 0,
            sample=list(self._sample.values),
            seen=self._sample.seen,
            edges=[] if self._cells is None else list(self._cells.edges),
            counts=self._counts.tolist(),
            spreads=list(self._spreads),
            reading=self._reading,
        )

    def restore(self, kept: KeptTail) -> None:
        """Continue where the snapshot was taken."""
        self.relearn()
        self.periods, self._spreads, self._reading = kept.periods, list(kept.spreads), kept.reading
        self._period = kept.learning
        self._sample.restore(kept.seen, kept.sample)
        if kept.counts:
            self._cells = Cells(kept.edges)
            self._counts, self._tally = np.array(kept.counts), list(kept.period)
            self._period = int(sum(kept.period))
