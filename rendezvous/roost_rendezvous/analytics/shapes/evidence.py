"""Evidence that the shares of some cells have changed: the engine under every watcher of shapes.

What is watched falls into cells (score bins, quantile cuts, clusters, there or missing); a set of cells is hit or not
by each observation: an event with a rate (the book, ch. 7, "t-Digest for One-Dimensional Score Binning"). For every set
and every factor θ by which its odds may have changed, a likelihood ratio against the stream's *own* history is kept;
Page's cumulation over the likeliest moment of change turns it into an e-detector (Shin, Ramdas and Rinaldo,
"E-detectors", 2023): if the stream has not changed, evidence of 10^s is passed at most once in 10^s observations on
average, whatever the shares are (measured: several times more rarely). The share that a ratio divides by counts the
observation itself, which keeps its mean at 1 while the history is short (Vovk's conformal e-values): a history of
thirty is used as what it is.

Real events clump: a hen sits for twenty minutes and every frame says `hen`. How much is measured on the stream
itself (how often a cell repeats beyond chance), and the ratios are taken to the power 1/clumping: a lower power of a
likelihood ratio still has a mean of at most 1, so that this can cost time but never false alarms.
"""

import math
from collections.abc import Sequence
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Sets: TypeAlias = NDArray[np.bool_]

ODDS = (1 / 30, 1 / 5, 1 / 2, 2.0, 5.0, 30.0, 300.0)
"""By how much the odds of a set may have changed: from almost stopped to a three-hundredfold. Between these the
evidence of a neighbour serves nearly as well; each more costs all others a little."""
WEIGHTS = (0.2, 0.13, 0.06, 0.06, 0.13, 0.21, 0.21)
"""How much of the evidence each is given beforehand. Small changes take hundreds of observations whatever they are
given; what a large one needs in tens depends on it."""
ALONE = 3.5
"""Where a single stream, watched by itself without `alarms`, is to be called strange: chosen so that of streams of 200
independent observations that do not change about one in a hundred gets there."""
RECENT = 50
"""How many of the newest observations are what a reading calls `now`."""
HIGHEST = 1e9
"""Evidence is kept below this, so that a stream that came back to normal is believed within some hundreds."""
MEMORY = 100_000
"""Observations after which the weight of the older half is halved."""
CLUMPS = 100.0
_BOUNDED = 64
"""How often the bound is put to use: in between evidence grows by less than a double holds."""
_EXACT = 200
"""Up to this many observations the shares are renewed each time, later whenever 2 % more have come."""


class Kept(msgspec.Struct, kw_only=True):
    """An evidence's memory, as plain values (decision 0008)."""

    counts: list[float]
    repeats: float
    basis: list[float]
    """The counts that the ratios were renewed with, and the repeats then."""
    basis_repeats: float
    last: int
    recent: list[int]
    sums: list[list[float]]
    clumping: float


class Evidence:
    """For one stream: how often each cell was seen, and how strongly the newest observations speak against it.

    `sets` has the shape (cells, sets): `sets[cell, s]` says whether the cell belongs to the set.
    """

    def __init__(self, sets: Sets, counts: Sequence[float] | Floats | None = None, *, memory: int = MEMORY) -> None:
        if sets.ndim != 2 or not sets.size:
            raise ValueError(f"sets are a table of cells by sets, not {sets.shape}")
        if memory < 2 * _EXACT:
            raise ValueError(f"a memory of {memory} observations is too short, at least {2 * _EXACT} are needed")
        self.sets = sets
        self._memory = memory
        self._odds: Floats = np.array(ODDS)
        self._weights: Floats = np.array(WEIGHTS)
        self.counts: Floats = np.zeros(len(sets)) if counts is None else np.array(counts, dtype=np.float64)
        if self.counts.shape != (len(sets),):
            raise ValueError(f"{len(self.counts)} counts for {len(sets)} cells")
        self._sums: Floats = np.zeros((sets.shape[1], len(ODDS)))
        self._recent: list[int] = []
        self._repeats = 0.0
        self._last = -1
        self.clumping = 1.0
        self._renew()

    @property
    def total(self) -> float:
        """How many observations the history holds."""
        return self._total

    @property
    def surprise(self) -> float:
        """Common logarithm of the evidence, at least 0: chance alone reaches `s` at most once in 10^s observations."""
        return math.log10(max(1.0, float((np.minimum(self._sums, HIGHEST) @ self._weights).mean())))

    def handle(self, cell: int) -> None:
        """One observation, in `cell`."""
        np.maximum(self._sums, 1.0, out=self._sums)
        self._sums *= np.where(self.sets[cell][:, None], self._if_hit, self._if_not)
        self.counts[cell] += 1.0
        self._total += 1.0
        if int(self._total) % _BOUNDED == 0:
            np.minimum(self._sums, HIGHEST, out=self._sums)
        self._repeats += cell == self._last
        self._last = cell
        self._recent.append(cell)
        if len(self._recent) > RECENT:
            del self._recent[0]
        if self._total >= self._due:
            self._renew()

    def foremost(self) -> tuple[int, bool]:
        """Which set speaks loudest, and whether it has become more frequent."""
        at, factor = np.unravel_index(int((self._sums * self._weights).argmax()), self._sums.shape)
        return int(at), ODDS[int(factor)] > 1

    def usual(self, at: int) -> float:
        """The share of the set over the history, 0 to 1."""
        return float(self.counts @ self.sets[:, at]) / max(1.0, self._total)

    def now(self, at: int) -> float:
        """The share of the set among the newest observations."""
        return float(np.mean(self.sets[self._recent, at])) if self._recent else 0.0

    @property
    def recent(self) -> int:
        """How many observations stand behind `now`."""
        return len(self._recent)

    def _renew(self) -> None:
        """The ratios for the next observation, from the counts so far."""
        self._total = float(self.counts.sum())
        if self._total >= self._memory:
            self.counts *= 0.5
            self._repeats *= 0.5
            self._total *= 0.5
        self._basis: tuple[Floats, float] = self.counts.copy(), self._repeats
        self._reckon()

    def _reckon(self) -> None:
        """The ratios from the counts that they were renewed with."""
        counts, repeats = self._basis
        total = float(counts.sum())
        hits = (counts @ self.sets)[:, None]
        more = self._odds - 1.0
        self._if_hit: Floats = self._odds / (1.0 + more * ((hits + 1.0) / (total + 1.0)))
        self._if_not: Floats = 1.0 / (1.0 + more * (hits / (total + 1.0)))
        self._clump(counts, repeats, total)
        if self.clumping > 1.0:
            self._if_hit **= 1.0 / self.clumping
            self._if_not **= 1.0 / self.clumping
        self._due = total + (1.0 if total < _EXACT else 0.02 * total)

    def _clump(self, counts: Floats, repeats: float, total: float) -> None:
        """How many observations weigh as much as one independent one: of a chain whose cells repeat with the excess ρ,
        (1 + ρ) / (1 - ρ). From what is beyond two standard errors of chance, so that independent ones stay at 1.
        """
        if total < RECENT:
            return
        chance = float(np.square(counts / total).sum())
        if chance >= 1.0:
            return
        spread = 2.0 * np.sqrt(chance / (1.0 - chance) / total)
        excess = (repeats / total - chance) / (1.0 - chance) - spread
        self.clumping = float(np.clip((1.0 + excess) / max(1e-9, 1.0 - excess), 1.0, CLUMPS))

    def follow(self, older: "Evidence") -> None:
        """This one takes over from another with other cells: what clumped before clumps still."""
        chance = float(np.square(self.counts / max(1.0, self._total)).sum())
        excess = (older.clumping - 1.0) / (older.clumping + 1.0)
        self._repeats = self._total * (chance + (1.0 - chance) * excess)
        self._renew()

    def snapshot(self) -> Kept:
        """Everything that a restart must not lose."""
        return Kept(
            counts=self.counts.tolist(),
            repeats=self._repeats,
            basis=self._basis[0].tolist(),
            basis_repeats=self._basis[1],
            last=self._last,
            recent=list(self._recent),
            sums=[[float(f"{value:.6g}") for value in row] for row in self._sums],
            clumping=self.clumping,
        )

    def restore(self, kept: Kept) -> None:
        """Continue where the snapshot was taken; ValueError where it is of other sets."""
        sums = np.array(kept.sums, dtype=np.float64)
        if not len(kept.counts) == len(kept.basis) == len(self.counts) or sums.shape != self._sums.shape:
            raise ValueError("the snapshot is of other cells")
        self.counts, self._sums = np.array(kept.counts, dtype=np.float64), sums
        self._repeats, self._last, self._recent = kept.repeats, kept.last, list(kept.recent)
        self._total = float(self.counts.sum())
        self.clumping = kept.clumping
        self._basis = np.array(kept.basis, dtype=np.float64), kept.basis_repeats
        self._reckon()


def ordered(cells: int) -> Sets:
    """Sets for cells with an order (bins of a number): each cell alone, and everything below each edge."""
    singles = np.eye(cells, dtype=np.bool_)
    below = np.triu(np.ones((cells, cells), dtype=np.bool_))[:, 1:-2] if cells > 3 else np.zeros((cells, 0), np.bool_)
    return np.concatenate([singles, below], axis=1)


def single(cells: int) -> Sets:
    """Sets for cells without an order (clusters, words): each cell alone."""
    return np.eye(cells, dtype=np.bool_)
