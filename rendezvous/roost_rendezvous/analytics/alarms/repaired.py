"""What mended itself: counted and shown, and no page unless it happens more often or less often than it used to. Pure.

A rendezvous mends much by itself, and the book (ch. 7) counts that as a freedom to ignore it. A fallback that answered
in time, a model that was started again, a camera that came back: each is noted here. Every hour their number is
compared with the mean of the last weeks, and what comes out is a reading like any other: it shares the budget, and
needs a week of history as all do.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from roost_rendezvous.analytics.reading import Reading, Signal

HOUR_NS = 3_600_000_000_000
_MEAN_HOURS = 24 * 14
_MOST_HOURS = 24 * 7


class Mended(msgspec.Struct):
    """One kind of self-repair of one task."""

    signal: Signal
    what: str
    """For people, in the plural: `fallback answers in time`."""
    hour: int
    """Its present hour since 1970."""
    now: int = 0
    """In the present hour."""
    total: int = 0
    """Since counting began."""
    hours: int = 0
    """Full hours that were counted."""
    mean: float = 0.0
    """Of an hour, over about two weeks."""
    last_week: list[int] = []
    """Of each of the last 168 full hours, oldest first."""


class SelfRepairs:
    """Bounded by `most` kinds; beyond it new kinds are left out and counted in `left_out`."""

    def __init__(self, most: int = 200) -> None:
        self._most = most
        self._kinds: dict[tuple[str, str], Mended] = {}
        self.left_out = 0

    def note(self, task: str, what: str, now: int, times: int = 1) -> None:
        """It happened `times` times. `times` 0 makes it known, so that its hours without any are counted too."""
        kind = self._kinds.get((task, what))
        if kind is None:
            if len(self._kinds) >= self._most:
                self.left_out += times
                return
            signal = Signal(task=task, kind="quality", subject="task", of="mended", part=what, side="operational")
            kind = self._kinds[task, what] = Mended(signal=signal, what=what, hour=now // HOUR_NS)
        kind.now += times
        kind.total += times

    def tick(self, now: int) -> tuple[Reading, ...]:
        """A reading for each kind whose hour is over. Hours nobody watched are not counted as hours without any."""
        return tuple(reading for kind in self._kinds.values() for reading in self._close(kind, now))

    def counts(self) -> Iterator[tuple[str, str, int, int]]:
        """(task, what, in the last seven days, in all), for pages and messages."""
        for (task, what), kind in sorted(self._kinds.items()):
            yield task, what, sum(kind.last_week) + kind.now, kind.total

    def _close(self, kind: Mended, now: int) -> Iterator[Reading]:
        hour = now // HOUR_NS
        if hour == kind.hour:
            return
        if hour == kind.hour + 1:
            yield self._reading(kind, hour * HOUR_NS)
            kind.hours += 1
            kind.mean += (kind.now - kind.mean) / min(kind.hours, _MEAN_HOURS)
            kind.last_week = [*kind.last_week, kind.now][-_MOST_HOURS:]
        kind.hour, kind.now = hour, 0

    def _reading(self, kind: Mended, at: int) -> Reading:
        # Anscombe's square root: the spread of a count is about 1 whatever its mean, so that quiet and busy kinds
        # have surprises of one scale.
        usual, seen = np.sqrt(kind.mean + 0.375), np.sqrt(kind.now + 0.375)
        known = kind.hours >= 24
        return Reading(
            signal=kind.signal,
            at=at,
            surprise=float(2.0 * abs(seen - usual)) if known else None,
            normal=round(kind.mean, 3),
            now=float(kind.now),
            unit="an hour",
            why_not="" if known else f"not enough history: {kind.hours} of 24 hours",
            sentence=f"{kind.now} {kind.what} in an hour, usually {kind.mean:.3g}",
        )

    def snapshot(self) -> list[Any]:
        """JSON-able."""
        return [msgspec.to_builtins(kind) for kind in self._kinds.values()]

    def restore(self, kept: list[Any]) -> None:
        """What `snapshot` gave."""
        kinds = msgspec.convert(kept, list[Mended])
        self._kinds = {(kind.signal.task, kind.what): kind for kind in kinds}
