"""Questions to the store: any period, any combination of qualifiers, without reading a single score again.

Days that lie wholly within the period are answered from their roll-ups; the rest, and days without one, from ten-minute
sketches. What the monitor has not stored yet (the last ten minutes) is not in the answer.
"""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from roost_broker.errors import Misuse, PeerError
from roost_rendezvous.analytics.sketches.digest import TDigest
from roost_rendezvous.analytics.sketches.latency import LatencyHistogram
from roost_rendezvous.analytics.sketches.qualifiers import DAY_S, PERIOD_S, Qualifiers, Sketch, Wish, merged
from roost_rendezvous.analytics.sketches.schema import known_combinations, open_to_read, sketch_of


class Found(NamedTuple):
    """The answer to one question."""

    sketch: Sketch | None
    """None: nothing is kept of it."""
    sketches: int
    """How many were put together."""
    unreadable: int
    """Damaged ones, left out."""


class SketchReader:
    """Reads what a monitor wrote, also while it writes. Raises `PeerError` when there is nothing to read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = open_to_read(path)

    def close(self) -> None:
        """Let the file go."""
        self._db.close()

    def combinations(self, wish: Wish | None = None) -> list[Qualifiers]:
        """What is kept at all, in order."""
        return sorted(one for one in self._known().values() if wish is None or wish.matches(one))

    def span(self) -> tuple[int, int] | None:
        """Start of the oldest and end of the newest period, in seconds since 1970; None while the store is empty."""
        rows = self._rows(
            "SELECT min(start), max(start) FROM (SELECT start FROM periods UNION ALL SELECT start FROM days)", ()
        )
        low, high = rows[0]
        return None if low is None else (int(low), int(high) + PERIOD_S)

    def ask(self, wish: Wish, since_s: int, until_s: int, *, rolled_up: bool = True) -> Found:
        """All that matches the wish, of periods that begin from `since_s` (included) up to `until_s`, as one sketch.

        `rolled_up=False` reads ten-minute sketches alone. Raises `Misuse` for a period that ends before it begins.
        """
        numbers = [number for number, one in self._known().items() if wish.matches(one)]
        return self._ask(numbers, since_s, until_s, rolled_up=rolled_up)

    def ask_by(self, wish: Wish, group: Callable[[Qualifiers], str], since_s: int, until_s: int) -> dict[str, Found]:
        """The same, apart by whatever `group` says of a combination: a model, a label, a cohort's tag."""
        groups: dict[str, list[int]] = {}
        for number, one in self._known().items():
            if wish.matches(one):
                groups.setdefault(group(one), []).append(number)
        return {name: self._ask(numbers, since_s, until_s, rolled_up=True) for name, numbers in sorted(groups.items())}

    def history(self, wish: Wish, since_s: int, until_s: int, *, step_s: int = PERIOD_S) -> list[tuple[int, Sketch]]:
        """One sketch for each step that has any, in order of time: for plots over time.

        `step_s` is a multiple of ten minutes. Raises `Misuse` for another one.
        """
        if step_s < PERIOD_S or step_s % PERIOD_S:
            raise Misuse(f"A step of {step_s} s is no number of periods.", f"Give a multiple of {PERIOD_S}.")
        parts: dict[int, list[Sketch]] = {}
        for number in [number for number, one in self._known().items() if wish.matches(one)]:
            table = "days" if step_s % DAY_S == 0 else "periods"
            for start, body in self._table(table, number, since_s, until_s):
                sketch = sketch_of(body)
                if sketch is not None:
                    parts.setdefault(start // step_s * step_s, []).append(sketch)
        found = [(start, merged(sketches)) for start, sketches in sorted(parts.items())]
        return [(start, sketch) for start, sketch in found if sketch is not None]

    def digest(self, wish: Wish, since_s: int, until_s: int) -> TDigest:
        """The answer as a t-digest, empty without any. Raises `Misuse` for a kind that is kept as durations."""
        found = self.ask(wish, since_s, until_s).sketch
        if isinstance(found, LatencyHistogram):
            raise Misuse(f"{wish.kind!r} is kept as a latency histogram.", "Use `ask`.")
        return found if found is not None else TDigest()

    def _ask(self, numbers: Sequence[int], since_s: int, until_s: int, *, rolled_up: bool) -> Found:
        if until_s < since_s:
            raise Misuse(f"The period ends ({until_s}) before it begins ({since_s}).", "Swap them.")
        parts: list[Sketch] = []
        unreadable = 0
        for number in numbers:
            for body in self._bodies(number, since_s, until_s, rolled_up=rolled_up):
                sketch = sketch_of(body)
                if sketch is None:
                    unreadable += 1
                else:
                    parts.append(sketch)
        return Found(merged(parts), len(parts), unreadable)

    def _bodies(self, number: int, since_s: int, until_s: int, *, rolled_up: bool) -> list[bytes]:
        first, last = -(-since_s // DAY_S) * DAY_S, until_s // DAY_S * DAY_S
        days = dict(self._table("days", number, first, last)) if rolled_up and first < last else {}
        for (start,) in self._rows("SELECT start FROM stale", ()):  # something came late; it counts from where it is
            if start in days and self._table("periods", number, start, start + DAY_S):
                days.pop(start, None)
        found = list(days.values())
        at = since_s
        for day in [*sorted(days), until_s]:
            if day > at:
                found += [body for _, body in self._table("periods", number, at, day)]
            at = day + DAY_S
        return found

    def _table(self, table: str, number: int, since_s: int, until_s: int) -> list[tuple[int, bytes]]:
        rows: list[tuple[int, bytes]] = self._rows(
            f"SELECT start, body FROM {table} WHERE combination = ? AND start >= ? AND start < ? ORDER BY start",  # noqa: S608 — one of two
            (number, since_s, until_s),
        )
        return rows

    def _known(self) -> dict[int, Qualifiers]:
        try:
            return known_combinations(self._db)
        except sqlite3.Error as error:
            raise self._cannot(error) from error

    def _rows(self, query: str, values: Sequence[object]) -> list[Any]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._cannot(error) from error

    def _cannot(self, error: sqlite3.Error) -> PeerError:
        return PeerError(
            f"{self._path} cannot be read: {error}.", "The monitor sets a damaged file aside and begins a new one."
        )
