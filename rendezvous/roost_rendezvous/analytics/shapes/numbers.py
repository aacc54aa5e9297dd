"""Watching a number: whether its distribution is what it used to be.

The first values choose the cuts, more values choose them finer; between, every value is an event in a cell.
"""

import math
from array import array
from collections.abc import Callable, Sequence

import msgspec

from roost_rendezvous.analytics.reading import Reading, Signal
from roost_rendezvous.analytics.shapes.cells import Cells, quantile_edges
from roost_rendezvous.analytics.shapes.evidence import MEMORY, Evidence, Kept
from roost_rendezvous.analytics.shapes.reservoir import Reservoir

LEAST = 30
"""Values before anything is said."""
RECUT = (LEAST, 120, 500, 1000)
"""Numbers of values at which the cuts are chosen anew, in quiet; after the last they stay, and the values go."""
SAMPLE = RECUT[-1]
"""Values kept to choose cuts from: 8 kB."""


class KeptNumber(msgspec.Struct, kw_only=True):
    """A number watch's memory."""

    seen: int
    sample: list[float]
    cuts: list[float] | None
    evidence: Kept | None
    recuts: int


class NumberWatch:
    """One number of one stream.

    `bins` are edges that mean something to people (steps of 0.1, octaves of time); quantile cuts come beside them when
    `automatic`. `what` begins the sentence: `champion's score for hen`. `show` writes a value for people.
    """

    def __init__(
        self,
        signal: Signal,
        what: str,
        *,
        bins: Sequence[float] = (),
        automatic: bool = True,
        least: int = LEAST,
        memory: int = MEMORY,
        show: Callable[[float], str] = "{:.3g}".format,
    ) -> None:
        if least < 2:
            raise ValueError(f"{least} values are no history, at least 2 are needed")
        if not automatic and not bins:
            raise ValueError("a number needs bins or automatic cuts")
        self.signal = signal
        self.what = what
        self._bins = tuple(bins)
        self._automatic = automatic
        self._least = least
        self._memory = memory
        self._show = show
        self.relearn()

    def relearn(self) -> None:
        """Forget everything: what comes now is the new normal."""
        self.sample: Reservoir[float] = Reservoir(SAMPLE, values=array("d"))
        self.evidence: Evidence | None = None
        self.cells = Cells(())
        self._recuts = 0

    def handle(self, value: float) -> None:
        """One value; what is not a finite number is left out (that it is missing is another watch's matter)."""
        if not math.isfinite(value):
            return
        if self.evidence is not None:
            self.evidence.handle(self.cells.of(value))
        if self._recuts == len(RECUT):
            return
        self.sample.add(value)
        if self.sample.seen >= max(self._least, RECUT[self._recuts]) and self._quiet:
            self._recut()

    def begin(self, value: float, times: int) -> None:
        """`value` was there `times` times before this watch was, as a label that had not been named yet scores 0."""
        for _ in range(min(times, SAMPLE)):
            self.handle(value)

    @property
    def _quiet(self) -> bool:
        # Under evidence of a change nothing is chosen anew: the evidence would start again from nothing.
        return self.evidence is None or self.evidence.surprise < math.log10(self.evidence.total + 1) + 0.5

    def _recut(self) -> None:
        self._recuts = sum(self.sample.seen >= count for count in RECUT)
        cuts = quantile_edges(self.sample.values) if self._automatic else []
        self._place(cuts)
        counts = [0.0] * len(self.cells)
        for value in self.sample.values:
            counts[self.cells.of(value)] += 1.0
        fresh = Evidence(self.cells.sets(), counts, memory=self._memory)
        if self.evidence is not None:
            fresh.follow(self.evidence)
        self.evidence = fresh
        if self._recuts == len(RECUT):
            self.sample = Reservoir(SAMPLE, values=array("d"))

    def _place(self, cuts: Sequence[float]) -> None:
        self._cuts = list(cuts)
        self.cells = Cells(cuts, self._bins)

    def tick(self, now: int) -> Reading:
        """What is to be said at `now`."""
        if self.evidence is None:
            why = f"not enough history: {self.sample.seen} of {self._least} values"
            return Reading(signal=self.signal, at=now, why_not=why, events=self.sample.seen)
        at, _ = self.evidence.foremost()
        usual, recent = self.evidence.usual(at), self.evidence.now(at)
        span = self.cells.span(self.evidence.sets[:, at])
        return Reading(
            signal=self.signal,
            at=now,
            surprise=self.evidence.surprise,
            normal=usual,
            now=recent,
            unit="share",
            events=self.evidence.recent,
            sentence=f"{self.what} was {self._range(*span)} in {recent:.0%} of the newest {self.evidence.recent}, "
            f"usually in {usual:.1%}",
        )

    def _range(self, low: float, high: float) -> str:
        if math.isinf(low):
            return f"at most {self._show(high)}"
        if math.isinf(high):
            return f"above {self._show(low)}"
        if self._show(low) == self._show(high):
            return f"exactly {self._show(high)}"
        return f"between {self._show(low)} and {self._show(high)}"

    def snapshot(self) -> KeptNumber:
        """Everything that a restart must not lose."""
        return KeptNumber(
            seen=self.sample.seen,
            sample=list(self.sample.values),
            cuts=None if self.evidence is None else list(self._cuts),
            evidence=None if self.evidence is None else self.evidence.snapshot(),
            recuts=self._recuts,
        )

    def restore(self, kept: KeptNumber) -> None:
        """Continue where the snapshot was taken."""
        self.relearn()
        self.sample.restore(kept.seen, kept.sample)
        self._recuts = kept.recuts
        if kept.evidence is not None and kept.cuts is not None:
            self._place(kept.cuts)
            self.evidence = Evidence(self.cells.sets(), memory=self._memory)
            self.evidence.restore(kept.evidence)
