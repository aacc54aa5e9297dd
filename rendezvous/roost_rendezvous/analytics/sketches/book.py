"""The sketches of the period that is going on, one for each combination of qualifiers; pure, and bounded.

Rules:

1. A value belongs to the period of its own time, not to the one in which it is heard of; up to `late_s` after its
   end a period stays open for what comes late. What is later than that, or lies in the future by more, is counted in
   the current period.
2. Beyond `max_combinations` further combinations share one of their task and kind: nothing is left out of wide
   questions.
3. What `tick` and `close` return is forgotten here; the store adds it to what it has of that period.
"""

import base64
from typing import Any, NamedTuple

import msgspec

from roost_rendezvous.analytics.sketches.digest import TDigest
from roost_rendezvous.analytics.sketches.latency import LatencyHistogram
from roost_rendezvous.analytics.sketches.qualifiers import (
    PERIOD_S,
    Qualifiers,
    Sketch,
    from_bytes,
    other,
    period_of,
    to_bytes,
)

DURATIONS = frozenset({"latency", "latency-corrected", "compute"})
"""Kinds that are milliseconds and go into a latency histogram; all others are t-digests."""


class BookSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds. A value that cannot be raises ValueError."""

    late_s: int = 60
    """How long after its end a period waits for late values."""
    max_combinations: int = 500
    """Combinations of qualifiers in one period; 2 to 7 kB each."""

    def __post_init__(self) -> None:
        for name, least, most in (("late_s", 0, 3_600), ("max_combinations", 1, 100_000)):
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(f"{name} is {value}; use a value from {least} to {most}")


class Closed(NamedTuple):
    """A sketch that is complete."""

    period: int
    """Its start, in seconds since 1970."""
    about: Qualifiers
    sketch: Sketch


class SketchBook:
    """See the module. Times are wall clock, in nanoseconds."""

    def __init__(self, settings: BookSettings | None = None) -> None:
        self._settings = settings or BookSettings()
        self._periods: dict[int, dict[Qualifiers, Sketch]] = {}
        self.displaced = 0
        """Values counted in the current period because their own was closed, or was in the future."""
        self.shared = 0
        """Values of combinations beyond the bound."""

    def __len__(self) -> int:
        """Open sketches."""
        return sum(len(one) for one in self._periods.values())

    def add(self, about: Qualifiers, value: float, at: int, now: int) -> None:
        """One value of the time `at`, heard of at `now`."""
        self._sketch(about, at, now).add(value)

    def add_sketch(self, about: Qualifiers, sketch: Sketch, at: int, now: int) -> None:
        """A sketch made elsewhere, e.g. a corrected latency histogram. Raises TypeError for the other sort."""
        mine = self._sketch(about, at, now)
        if isinstance(mine, TDigest) and isinstance(sketch, TDigest):
            mine.add_digest(sketch)
        elif isinstance(mine, LatencyHistogram) and isinstance(sketch, LatencyHistogram):
            mine.add_histogram(sketch)
        else:
            raise TypeError(f"{about.name} is kept as another sort of sketch than this one")

    def tick(self, now: int) -> list[Closed]:
        """Periods that are over and no longer wait for late values, oldest first."""
        bound = now - (self._settings.late_s + PERIOD_S) * 1_000_000_000
        return self._closed([start for start in self._periods if start * 1_000_000_000 <= bound])

    def close(self) -> list[Closed]:
        """Everything, also what is not over: the process ends, and what it had is added to when it goes on."""
        return self._closed(list(self._periods))

    def deadline(self) -> int | None:
        """When the next period is closed."""
        if not self._periods:
            return None
        return (min(self._periods) + PERIOD_S + self._settings.late_s) * 1_000_000_000

    def current(self, about: Qualifiers, now: int) -> Sketch | None:
        """What the current period has so far."""
        return self._periods.get(period_of(now), {}).get(about)

    def snapshot(self) -> list[list[Any]]:
        """Open sketches as plain values."""
        return [
            [start, msgspec.to_builtins(about), base64.b64encode(to_bytes(sketch)).decode()]
            for start, sketches in self._periods.items()
            for about, sketch in sketches.items()
        ]

    def restore(self, plain: list[list[Any]]) -> None:
        """From what `snapshot` gave. Raises `PeerError` or ValueError (msgspec's is one) for anything else."""
        self._periods = {}
        for start, about, body in plain:
            sketch = from_bytes(base64.b64decode(body))
            self._periods.setdefault(start, {})[msgspec.convert(about, Qualifiers)] = sketch

    def _period(self, at: int, now: int) -> int:
        start, current = period_of(at), period_of(now)
        late = (start + PERIOD_S + self._settings.late_s) * 1_000_000_000 <= now
        return current if late or start > current + PERIOD_S else start

    def _sketch(self, about: Qualifiers, at: int, now: int) -> Sketch:
        period = self._period(at, now)
        if period != period_of(at):
            self.displaced += 1
        sketches = self._periods.setdefault(period, {})
        found = sketches.get(about)
        if found is None:
            name = about
            if len(sketches) >= self._settings.max_combinations:
                name = other(about)
                self.shared += 1
            found = sketches.get(name)
            if found is None:
                found = sketches[name] = LatencyHistogram() if about.kind in DURATIONS else TDigest()
        return found

    def _closed(self, starts: list[int]) -> list[Closed]:
        return [
            Closed(start, about, sketch)
            for start in sorted(starts)
            for about, sketch in self._periods.pop(start).items()
        ]
