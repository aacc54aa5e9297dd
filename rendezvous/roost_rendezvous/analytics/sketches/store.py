"""Sketches on the card: ten minutes each, by combination of qualifiers, and one a day beside them (the book, ch. 5).

Written by the monitor alone, from one thread. Rules:

1. What is put for a period is added to what is there: a monitor that was restarted puts two halves.
2. All that is put together is there together, or not at all; after a kill or a power cut the file opens without repair.
3. A day is rolled up when it is over, and again when something came late.
4. Bounded in days and bytes; what goes first is the oldest that is told twice.
5. A damaged file is set aside and a new one begun; a damaged row is left out and counted.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from roost_rendezvous.analytics.sketches.book import Closed
from roost_rendezvous.analytics.sketches.qualifiers import DAY_S, Qualifiers, Sketch, merged, other
from roost_rendezvous.analytics.sketches.schema import known_combinations, open_to_write, row_of, sketch_of
from roost_rendezvous.analytics.sketches.settings import SketchSettings
from roost_rendezvous.traces.store import is_damage, set_aside

_T = TypeVar("_T")
_BATCH_DAYS = 50
"""Days rolled up in one go at most: after a long absence the rest has to wait for the next time."""


class SketchStore:
    """See the module. Raises `sqlite3.Error` (a full disk, mostly); nothing is lost by trying again."""

    def __init__(self, path: Path, settings: SketchSettings | None = None) -> None:
        self._path = path
        self._settings = settings or SketchSettings()
        self.set_aside = 0
        """How often the file was damaged while it was in use."""
        self.unreadable = 0
        """Rows that were damaged."""
        self._open()

    def close(self) -> None:
        """Leave one file behind, without its log."""
        self._db.close()

    def put(self, closed: Iterable[Closed], *, batch: int = 0) -> None:
        """Add these sketches to their periods, in one transaction.

        With a `batch` above 0 (and rising, below 2^31) what was put as this batch or an earlier one is left out: who
        was killed in between may put it again.
        """
        everything = list(closed)
        self._or_begin_anew(lambda: self._put(everything, batch))

    def roll_up(self, now_s: int) -> int:
        """Make the day sketches of days that are over; returns how many were made."""
        return self._or_begin_anew(lambda: self._roll_up(now_s))

    def tidy(self, now_s: int) -> int:
        """The janitor: delete what is too old or too much; returns how many sketches went. Call after `roll_up`."""
        return self._or_begin_anew(lambda: self._tidy(now_s))

    def size(self) -> int:
        """Bytes that are in use; freed pages are used again."""
        (pages,) = self._db.execute("PRAGMA page_count").fetchone()
        (free,) = self._db.execute("PRAGMA freelist_count").fetchone()
        (bytes_each,) = self._db.execute("PRAGMA page_size").fetchone()
        return int((pages - free) * bytes_each)

    def _roll_up(self, now_s: int) -> int:
        today = _day(now_s)
        rows = self._db.execute("SELECT start FROM stale WHERE start < ? ORDER BY start LIMIT ?", (today, _BATCH_DAYS))
        made = 0
        for (day,) in rows.fetchall():
            with self._db:
                made += self._roll_up_day(day)
                self._db.execute("DELETE FROM stale WHERE start = ?", (day,))
        return made

    def _tidy(self, now_s: int) -> int:
        gone = self._delete("periods", _day(now_s) - self._settings.keep_days * DAY_S)
        gone += self._delete("days", _day(now_s) - self._settings.keep_rollup_days * DAY_S)
        for table in ("periods", "days"):
            while self.size() > self._settings.store_bytes:
                (oldest,) = self._db.execute(f"SELECT min(start) FROM {table}").fetchone()  # noqa: S608 — one of two
                if oldest is None:
                    break
                gone += self._delete(table, _day(oldest) + DAY_S)
        if gone:
            with self._db:
                self._db.execute(
                    "DELETE FROM combinations WHERE id NOT IN (SELECT combination FROM periods) "
                    "AND id NOT IN (SELECT combination FROM days)"
                )
            self._numbers = {about: number for number, about in known_combinations(self._db).items()}
        return gone

    def _put(self, everything: list[Closed], batch: int) -> None:
        if batch and batch <= self._db.execute("PRAGMA user_version").fetchone()[0]:
            return
        try:
            with self._db:
                for period, about, sketch in everything:
                    number = self._number(about)
                    day = _day(period)
                    if self._only_rolled_up(number, day):
                        self._add("days", number, day, sketch)
                    else:
                        self._add("periods", number, period, sketch)
                        self._db.execute("INSERT OR IGNORE INTO stale (start) VALUES (?)", (day,))
                if batch and everything:  # a part of the same transaction, as the statements above have begun it
                    self._db.execute(f"PRAGMA user_version = {batch:d}")
        except BaseException:
            self._numbers = {}  # numbers of combinations that were rolled back must not be used
            with contextlib.suppress(sqlite3.Error):
                self._numbers = {about: number for number, about in known_combinations(self._db).items()}
            raise

    def _add(self, table: str, number: int, start: int, sketch: Sketch) -> None:
        key = (number, start)
        row = self._db.execute(f"SELECT body FROM {table} WHERE combination = ? AND start = ?", key).fetchone()  # noqa: S608 — one of two
        if row is None:
            self._db.execute(f"INSERT INTO {table} (combination, start, body) VALUES (?, ?, ?)", (*key, row_of(sketch)))  # noqa: S608 — one of two
            return
        known = sketch_of(row[0])
        if known is None:
            self.unreadable += 1
        together = sketch if known is None or type(known) is not type(sketch) else merged([known, sketch])
        assert together is not None  # noqa: S101 — two parts make one
        self._db.execute(f"UPDATE {table} SET body = ? WHERE combination = ? AND start = ?", (row_of(together), *key))  # noqa: S608 — one of two

    def _only_rolled_up(self, number: int, day: int) -> bool:
        """Whether the day's periods are deleted already: then making the day anew would lose what it has."""
        inside = (number, day, day + DAY_S)
        of_days = "SELECT 1 FROM days WHERE combination = ? AND start >= ? AND start < ? LIMIT 1"
        of_periods = "SELECT 1 FROM periods WHERE combination = ? AND start >= ? AND start < ? LIMIT 1"
        return bool(
            self._db.execute(of_days, inside).fetchone() and not self._db.execute(of_periods, inside).fetchone()
        )

    def _number(self, about: Qualifiers) -> int:
        number = self._numbers.get(about)
        if number is None:
            if len(self._numbers) >= self._settings.max_combinations and about != other(about):
                return self._number(other(about))
            text = msgspec.json.encode(about).decode()
            number = self._db.execute("INSERT INTO combinations (about) VALUES (?)", (text,)).lastrowid
            assert number is not None  # noqa: S101 — a row was inserted
            self._numbers[about] = number
        return number

    def _roll_up_day(self, day: int) -> int:
        parts: dict[int, list[Sketch]] = {}
        rows = self._db.execute(
            "SELECT combination, body FROM periods WHERE start >= ? AND start < ?", (day, day + DAY_S)
        )
        for number, body in rows:
            sketch = sketch_of(body)
            if sketch is None:
                self.unreadable += 1
            else:
                parts.setdefault(number, []).append(sketch)
        for number, sketches in parts.items():
            same = [one for one in sketches if type(one) is type(sketches[0])]
            whole = merged(same)
            assert whole is not None  # noqa: S101 — there is at least one
            self._db.execute("INSERT OR REPLACE INTO days VALUES (?, ?, ?)", (number, day, row_of(whole)))
        return len(parts)

    def _delete(self, table: str, before: int) -> int:
        with self._db:
            return self._db.execute(f"DELETE FROM {table} WHERE start < ?", (before,)).rowcount  # noqa: S608 — one of two

    def _or_begin_anew(self, work: Callable[[], _T]) -> _T:
        """Do it; where the file proves to be damaged, do it with a new one."""
        try:
            return work()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            self._begin_anew()
            return work()

    def _begin_anew(self) -> None:
        self.set_aside += 1
        with contextlib.suppress(sqlite3.Error):
            self._db.close()
        set_aside(self._path)
        self._open()

    def _open(self) -> None:
        self._db = open_to_write(self._path)
        self._numbers = {about: number for number, about in known_combinations(self._db).items()}


def _day(at_s: int) -> int:
    return at_s // DAY_S * DAY_S
