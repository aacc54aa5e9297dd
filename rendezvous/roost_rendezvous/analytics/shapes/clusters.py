"""Watching how numbers go together: distance to the nearest cluster of the history, and how often each is visited.

Each score by itself may be what it was while their relation has changed (the book, fig. 7-3). The history is clustered;
one half of it makes the clusters, the other half says how far from them a normal vector lies, since the vectors that
made them lie closer than any new one can. The distance alone misses a rare class that becomes frequent (it lies at its
cluster as before), so the rate of every cluster is watched, too.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from roost_rendezvous.analytics.reading import Reading, Signal
from roost_rendezvous.analytics.shapes import kmeans
from roost_rendezvous.analytics.shapes.cells import Cells, quantile_edges
from roost_rendezvous.analytics.shapes.evidence import MEMORY, WAITING, Evidence, Kept, single
from roost_rendezvous.analytics.shapes.ratios import Floats
from roost_rendezvous.analytics.shapes.reservoir import Reservoir

FITS = (60, 240, 960)
"""Numbers of vectors at which clusters are made anew, in quiet; after the last they stay."""
MOST = 16
"""Clusters at most."""


class KeptClusters(msgspec.Struct, kw_only=True):
    """A cluster watch's memory."""

    names: list[str]
    seen: int
    sample: list[list[float]]
    fits: int
    centres: list[list[float]] | None
    edges: list[float]
    far: Kept | None
    visits: Kept | None


class ClusterWatch:
    """The vectors of one stream.

    `what` begins the sentence: `champion's scores`. `names` says what each number is; more may come (`widen`)
    until there are clusters. One number has no relation: it never has clusters.
    """

    def __init__(
        self,
        signal: Signal,
        what: str,
        names: Sequence[str],
        *,
        least: int = FITS[0],
        memory: int = MEMORY,
        seed: int = 1,
    ) -> None:
        if least < 20:
            raise ValueError(f"{least} vectors make no clusters, at least 20 are needed")
        self.signal = signal
        self.what = what
        self.names = tuple(names)
        self._least = least
        self._memory = memory
        self._seed = seed
        self.relearn()

    def relearn(self) -> None:
        """Forget everything: what comes now is the new normal."""
        self.sample: Reservoir[list[float]] = Reservoir(FITS[-1], self._seed)
        self.centres: Floats | None = None
        self._fits = 0
        self._cells = Cells(())
        self._waiting: list[Sequence[float]] = []
        self._far: Evidence | None = None
        self._visits: Evidence | None = None

    def handle(self, vector: Sequence[float]) -> None:
        """One vector; one with a number missing or not finite is left out."""
        if len(vector) != len(self.names) or not all(map(math.isfinite, vector)):
            return
        if self.centres is not None:
            self._waiting.append(tuple(vector))
            if len(self._waiting) >= WAITING:
                self._place()
        if self._fits == len(FITS):
            return
        self.sample.add([float(value) for value in vector])
        if self.sample.seen >= max(self._least, FITS[self._fits]) and len(self.names) > 1 and self._quiet:
            self._fit()

    def widen(self, name: str) -> bool:
        """One more number, 0 until now; False once there are clusters, which do not know it."""
        if self.centres is not None:
            return False
        self.names = (*self.names, name)
        for vector in self.sample.values:
            vector.append(0.0)
        return True

    @property
    def far(self) -> Evidence | None:
        """How far from the nearest cluster vectors lie; None while there are no clusters."""
        self._place()
        return self._far

    @property
    def visits(self) -> Evidence | None:
        """How often each cluster is the nearest."""
        self._place()
        return self._visits

    def _place(self) -> None:
        """Find the clusters of all vectors that wait for it."""
        if not self._waiting or self.centres is None or self._far is None or self._visits is None:
            return
        points, self._waiting = np.array(self._waiting), []
        apart = kmeans.distances(points, self.centres)
        for length, nearest in zip(np.sqrt(apart.min(axis=1)).tolist(), apart.argmin(axis=1).tolist(), strict=True):
            self._far.handle(self._cells.of(length))
            self._visits.handle(nearest)

    @property
    def surprise(self) -> float:
        """The mean of both kinds of evidence, as a common logarithm; 0 while there are no clusters."""
        far, visits = self.far, self.visits
        if far is None or visits is None:
            return 0.0
        return math.log10((10**far.surprise + 10**visits.surprise) / 2)

    @property
    def _quiet(self) -> bool:
        return self.surprise < math.log10(self.sample.seen + 1) + 0.5

    def _fit(self) -> None:
        self._fits = sum(self.sample.seen >= count for count in FITS)
        points = np.array(self.sample.values)
        makers, judges = points[::2], points[1::2]
        count = min(MOST, max(3, round(math.sqrt(len(makers)))))
        older = self.far, self.visits
        self.centres = kmeans.fit(makers, count, seed=self._seed)
        apart = kmeans.distances(judges, self.centres)
        lengths = np.sqrt(apart.min(axis=1))
        self._cells = Cells(quantile_edges(lengths.tolist()))
        far = [0.0] * len(self._cells)
        for length in lengths.tolist():
            far[self._cells.of(length)] += 1.0
        visits = np.bincount(apart.argmin(axis=1), minlength=len(self.centres)).astype(np.float64)
        self._far = Evidence(self._cells.sets(), far, memory=self._memory)
        self._visits = Evidence(single(len(self.centres)), visits, memory=self._memory)
        if older[0] is not None and older[1] is not None:
            self._far.follow(older[0])
            self._visits.follow(older[1])
        if self._fits == len(FITS):
            self.sample = Reservoir(FITS[-1], self._seed)

    def tick(self, now: int) -> Reading:
        """What is to be said at `now`."""
        far, visits = self.far, self.visits
        if far is None or visits is None:
            why = f"not enough history: {self.sample.seen} of {self._least} answers"
            return Reading(signal=self.signal, at=now, why_not=why, events=self.sample.seen)
        by_distance = far.surprise >= visits.surprise
        louder = far if by_distance else visits
        at, _ = louder.foremost()
        usual, recent = louder.usual(at), louder.now(at)
        told = "lay at an unusual distance from every cluster" if by_distance else f"were like {self._like(at)}"
        return Reading(
            signal=self.signal,
            at=now,
            surprise=self.surprise,
            normal=usual,
            now=recent,
            unit="share",
            events=louder.recent,
            sentence=f"{self.what} {told} in {recent:.0%} of the newest {louder.recent}, usually in {usual:.1%}",
        )

    def _like(self, at: int) -> str:
        """A cluster for people: its two largest numbers."""
        assert self.centres is not None  # noqa: S101 - asked only with clusters
        centre = self.centres[at]
        largest = np.argsort(-centre)[:2]
        return ", ".join(f"{self.names[int(which)]} {centre[which]:.2f}" for which in largest)

    def snapshot(self) -> KeptClusters:
        """Everything that a restart must not lose."""
        far, visits = self.far, self.visits
        return KeptClusters(
            names=list(self.names),
            seen=self.sample.seen,
            sample=[list(vector) for vector in self.sample.values],
            fits=self._fits,
            centres=None if self.centres is None else self.centres.tolist(),
            edges=list(self._cells.edges),
            far=None if far is None else far.snapshot(),
            visits=None if visits is None else visits.snapshot(),
        )

    def restore(self, kept: KeptClusters) -> None:
        """Continue where the snapshot was taken."""
        self.relearn()
        self.names = tuple(kept.names)
        self.sample.restore(kept.seen, kept.sample)
        self._fits = kept.fits
        if kept.centres is not None and kept.far is not None and kept.visits is not None:
            self.centres = np.array(kept.centres, dtype=np.float64)
            self._cells = Cells(kept.edges)
            self._far = Evidence(self._cells.sets(), memory=self._memory)
            self._visits = Evidence(single(len(self.centres)), memory=self._memory)
            self._far.restore(kept.far)
            self._visits.restore(kept.visits)
