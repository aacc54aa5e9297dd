"""At what pace requests come, and which silences do not belong to it. Pure; part of `omission`.

What is known of the intervals between requests is kept in bins of their length, so memory is bounded and the question
is answered afterwards, with everything that was seen: a hold at the very beginning is judged by the pace that followed.
"""

import math
from array import array

import numpy as np

_PER_DOUBLING = 4
_SHORTEST = -20 * _PER_DOUBLING
"""2^-20 s, a microsecond."""
_BINS = 40 * _PER_DOUBLING
"""Up to 2^20 s, twelve days."""
LONG = 20.0
"""A silence is one when it is so many times the usual interval; by chance alone 1 in 10^8 is, at a steady rate."""


class Pace:
    """Intervals between the requests of one source. Lengths are seconds."""

    __slots__ = ("_busy", "_count", "_held", "_held_count", "_length")

    def __init__(self) -> None:
        self._count = _zeros()
        self._length = _zeros()
        self._busy = _zeros()
        self.forget_holds()

    def note(self, interval: float, busy: float) -> None:
        """One interval, and how much of it somebody waited for an answer."""
        index = _bin(interval)
        self._count[index] += 1
        self._length[index] += interval
        self._busy[index] += busy

    def note_held(self, interval: float, held: float) -> None:
        """An interval was held off, so much of it in this period."""
        index = _bin(interval)
        self._held[index] += held
        self._held_count[index] += 1

    def usual(self) -> tuple[float, float]:
        """Requests a second while nothing is silent, and the shortest silence; (0, infinity) when it cannot be told.

        The usual interval is the median over the time in which somebody waited. Time in which nobody did is no
        evidence of a pace; and counting intervals alone would be misled where requests come in bunches.
        """
        busy = np.cumsum(self._busy)
        if not busy[-1] or sum(self._count) < 2:
            return 0.0, math.inf
        index = int(np.searchsorted(busy, busy[-1] * 0.5))
        silence = LONG * self._length[index] / self._count[index]
        last = _bin(silence) + 1
        length = sum(self._length[:last])
        return (sum(self._count[:last]) / length if length else 0.0), silence

    def holds(self, silence: float) -> list[tuple[float, int]]:
        """Held-off silences: their average length, and how many of that length."""
        first = _bin(silence) + 1 if silence < math.inf else _BINS
        return [
            (self._held[i] / self._held_count[i], int(self._held_count[i]))
            for i in range(first, _BINS)
            if self._held_count[i]
        ]

    def forget_holds(self) -> None:
        """They were counted."""
        self._held = _zeros()
        self._held_count = _zeros()

    def fade(self, share: float) -> None:
        """Older intervals count for less; the pace follows the day."""
        for column in (self._count, self._length, self._busy):
            for index, value in enumerate(column):
                column[index] = value * share

    def snapshot(self) -> dict[str, list[float]]:
        """Plain values; bins that are empty are left out."""
        return {
            str(i): [self._count[i], self._length[i], self._busy[i], self._held[i], self._held_count[i]]
            for i in range(_BINS)
            if self._count[i] or self._held_count[i]
        }

    @classmethod
    def restore(cls, plain: dict[str, list[float]]) -> "Pace":
        """From what `snapshot` gave. Raises ValueError, IndexError or KeyError for anything else."""
        made = cls()
        for key, (count, length, busy, held, held_count) in plain.items():
            i = int(key)
            made._count[i], made._length[i], made._busy[i] = count, length, busy
            made._held[i], made._held_count[i] = held, held_count
        return made


def _zeros() -> "array[float]":
    return array("d", bytes(8 * _BINS))


def _bin(seconds: float) -> int:
    if seconds <= 0.0:
        return 0
    return min(max(math.floor(math.log2(seconds) * _PER_DOUBLING) - _SHORTEST, 0), _BINS - 1)
