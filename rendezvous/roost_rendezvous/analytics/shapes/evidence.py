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

Observations wait, some tens at most, and are weighed together as soon as somebody asks: the answer is the one that
weighing each of them at once would have given, at a fraction of the cost.
"""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from operator import eq

import msgspec
import numpy as np

from roost_rendezvous.analytics.shapes.ratios import EXACT, Floats, Sets, clumpings, due, ratios

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
WAITING = 64
"""Observations that wait to be weighed, at most."""
_BOUNDED = 64
"""How often the bound is put to use: in between evidence grows by less than a double holds."""
_ONE: Floats = np.ones(())  # an array already: a number is made into one each time
_ODDS: Floats = np.array(ODDS)
_WEIGHTS: Floats = np.array(WEIGHTS)


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
        if memory < 2 * EXACT:
            raise ValueError(f"a memory of {memory} observations is too short, at least {2 * EXACT} are needed")
        self._shape = sets.shape
        self._packed = np.packbits(sets)
        self._memory = memory
        self._counts: Floats = np.zeros(len(sets)) if counts is None else np.array(counts, dtype=np.float64)
        if self._counts.shape != (len(sets),):
            raise ValueError(f"{len(self._counts)} counts for {len(sets)} cells")
        self._sums: Floats = np.zeros((sets.shape[1], len(ODDS)))
        self._waiting: list[int] = []
        self._recent: list[int] = []
        self._repeats = 0.0
        self._last = -1
        self._clumping = 1.0
        self._renew()

    @property
    def sets(self) -> Sets:
        """Of the shape (cells, sets): whether the cell belongs to the set."""
        cells, sets = self._shape
        return np.unpackbits(self._packed, count=cells * sets).view(np.bool_).reshape(cells, sets)

    @property
    def counts(self) -> Floats:
        """How often each cell was seen, of the shape (cells,); fades with the memory."""
        self._weigh()
        return self._counts

    @property
    def total(self) -> float:
        """How many observations the history holds."""
        self._weigh()
        return self._total

    @property
    def clumping(self) -> float:
        """How many observations weigh as much as one independent one."""
        self._weigh()
        return self._clumping

    @property
    def surprise(self) -> float:
        """Common logarithm of the evidence, at least 0: chance alone reaches `s` at most once in 10^s observations."""
        self._weigh()
        return math.log10(max(1.0, float((np.minimum(self._sums, HIGHEST) @ _WEIGHTS).sum()) / len(self._sums)))

    def handle(self, cell: int) -> None:
        """One observation, in `cell`."""
        self._waiting.append(cell)
        if len(self._waiting) >= WAITING:
            self._weigh()

    def foremost(self) -> tuple[int, bool]:
        """Which set speaks loudest, and whether it has become more frequent."""
        self._weigh()
        at, factor = divmod(int((self._sums * _WEIGHTS).argmax()), len(ODDS))
        return at, ODDS[factor] > 1

    def usual(self, at: int) -> float:
        """The share of the set over the history, 0 to 1."""
        self._weigh()
        return float(self._counts @ self.sets[:, at]) / max(1.0, self._total)

    def now(self, at: int) -> float:
        """The share of the set among the newest observations."""
        self._weigh()
        inside: list[bool] = self.sets[:, at].tolist()
        return sum(inside[cell] for cell in self._recent) / max(1, len(self._recent))

    @property
    def recent(self) -> int:
        """How many observations stand behind `now`."""
        self._weigh()
        return len(self._recent)

    def _weigh(self) -> None:
        """Everything that waits."""
        if not self._waiting:
            return
        cells, self._waiting = self._waiting, []
        self._recent = [*self._recent, *cells][-RECENT:]
        sets = self.sets
        while cells:
            cells = cells[self._take(cells, sets) :]

    def _take(self, cells: list[int], sets: Sets) -> int:
        """Weigh the first of these: all, or up to where the history is halved. Returns how many."""
        ends, halve = self._renewals(len(cells))
        cells = cells[: ends[-1]] if halve else cells
        repeats = [self._repeats + more for more in accumulate(map(eq, [self._last, *cells], cells))]
        states, clumping = self._basis[None], [self._clumping]
        if ends:
            counts = np.zeros((len(cells), len(self._counts)))
            counts[np.arange(len(cells)), cells] = 1.0
            counts = counts.cumsum(axis=0) + self._counts  # as they are after each
            renewed, repeated = counts[[end - 1 for end in ends]], [repeats[end - 1] for end in ends]
            if halve:
                counts[-1] *= 0.5
                renewed[-1] *= 0.5
                repeats[-1] *= 0.5
                repeated[-1] *= 0.5
            clumping += clumpings(renewed, repeated, self._clumping)
            states = np.concatenate([states, renewed])
            self._counts = counts[-1].copy()
            self._stand(renewed[-1].copy(), repeated[-1], clumping[-1])
        else:
            self._counts += np.bincount(cells, minlength=len(self._counts))
        if_hit, if_not = ratios(sets, _ODDS, states, clumping)
        for nth, (begin, end) in enumerate(pairwise([0, *ends, len(cells)])):
            self._multiply(cells[begin:end], sets, if_hit[nth], if_not[nth])
        self._repeats, self._last = repeats[-1], cells[-1]
        if halve:
            self._total *= 0.5
        return len(cells)

    def _renewals(self, count: int) -> tuple[list[int], bool]:
        """After how many of the next `count` observations the ratios are renewed, up to where the history is halved;
        and whether it is."""
        ends: list[int] = []
        total, goal = self._total, self._due
        while True:
            step = max(1, math.ceil(goal - total))
            total += step
            nth = step + (ends[-1] if ends else 0)
            if nth > count:
                return ends, False
            ends.append(nth)
            if total >= self._memory:
                return ends, True
            goal = due(total)

    def _multiply(self, cells: list[int], sets: Sets, if_hit: Floats, if_not: Floats) -> None:
        """Page's cumulation over these, whose ratios are the same."""
        if not cells:
            return
        sums, bound = self._sums, _BOUNDED - int(self._total) % _BOUNDED
        seen = list(dict.fromkeys(cells))
        by_cell = dict(zip(seen, np.where(sets[seen][:, :, None], if_hit, if_not), strict=True))
        for nth, cell in enumerate(cells, 1):
            np.maximum(sums, _ONE, out=sums)
            np.multiply(sums, by_cell[cell], out=sums)
            if nth == bound:
                np.minimum(sums, HIGHEST, out=sums)
        self._total += len(cells)

    def _renew(self) -> None:
        """From the counts so far."""
        self._total = float(self._counts.sum())
        if self._total >= self._memory:
            self._counts *= 0.5
            self._repeats *= 0.5
            self._total *= 0.5
        basis = self._counts.copy()
        self._stand(basis, self._repeats, *clumpings(basis[None], [self._repeats], self._clumping))

    def _stand(self, basis: Floats, repeats: float, clumping: float) -> None:
        """Reckon the ratios from these until the next renewal. They are reckoned when they are needed, not kept."""
        self._basis: Floats = basis
        self._basis_repeats = repeats
        self._clumping = clumping
        self._due = due(float(basis.sum()))

    def follow(self, older: "Evidence") -> None:
        """This one takes over from another with other cells: what clumped before clumps still."""
        self._weigh()
        chance = float(np.square(self._counts / max(1.0, self._total)).sum())
        excess = (older.clumping - 1.0) / (older.clumping + 1.0)
        self._repeats = self._total * (chance + (1.0 - chance) * excess)
        self._renew()

    def snapshot(self) -> Kept:
        """Everything that a restart must not lose."""
        self._weigh()
        return Kept(
            counts=self._counts.tolist(),
            repeats=self._repeats,
            basis=self._basis.tolist(),
            basis_repeats=self._basis_repeats,
            last=self._last,
            recent=list(self._recent),
            sums=[[float(f"{value:.6g}") for value in row] for row in self._sums],
            clumping=self._clumping,
        )

    def restore(self, kept: Kept) -> None:
        """Continue where the snapshot was taken; ValueError where it is of other sets."""
        sums = np.array(kept.sums, dtype=np.float64)
        if not len(kept.counts) == len(kept.basis) == len(self._counts) or sums.shape != self._sums.shape:
            raise ValueError("the snapshot is of other cells")
        self._waiting = []
        self._counts, self._sums = np.array(kept.counts, dtype=np.float64), sums
        self._repeats, self._last, self._recent = kept.repeats, kept.last, list(kept.recent)
        self._total = float(self._counts.sum())
        self._stand(np.array(kept.basis, dtype=np.float64), kept.basis_repeats, kept.clumping)


def ordered(cells: int) -> Sets:
    """Sets for cells with an order (bins of a number): each cell alone, and everything below each edge."""
    singles = np.eye(cells, dtype=np.bool_)
    below = np.triu(np.ones((cells, cells), dtype=np.bool_))[:, 1:-2] if cells > 3 else np.zeros((cells, 0), np.bool_)
    return np.concatenate([singles, below], axis=1)


def single(cells: int) -> Sets:
    """Sets for cells without an order (clusters, words): each cell alone."""
    return np.eye(cells, dtype=np.bool_)
