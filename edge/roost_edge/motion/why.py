"""Why there was no event then: what the detector said, per interval, kept for days in a file of bounded size.

1. A row is one interval of one camera: how many frames got which reason, and the largest blob that was no motion.
2. Rows are committed when their interval is over; a power cut takes the last one. Nothing is synced frame by frame.
3. Bounded: the oldest rows go when there are more than `keep`. At 10 s and 60,000 rows that is a week, a few MB.
4. Times are the device's wall clock in UTC, as people ask by it. A clock that is set back makes rows overlap; both are
   shown.

One writer (the camera's thread), any number of readers.
"""

import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from roost_broker.clock import MS
from roost_broker.errors import Misuse, PeerError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS intervals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    start_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL,
    largest REAL NOT NULL,
    largest_reason TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS intervals_by_time ON intervals (start_ms);
CREATE TABLE IF NOT EXISTS reasons (
    interval INTEGER NOT NULL REFERENCES intervals (id) ON DELETE CASCADE,
    reason TEXT NOT NULL,
    frames INTEGER NOT NULL,
    PRIMARY KEY (interval, reason)
) WITHOUT ROWID;
"""
_TRIM_EVERY = 100
_DAMAGED = "Move the file away: a new one is begun. Nothing else depends on it."

EXPLAINED: Mapping[str, str] = {
    "motion": "something moved",
    "quiet": "nothing differed from the background",
    "learning": "the background was being learnt, at the start or after another picture size",
    "too-small": "what changed was smaller than `min_area`: an insect, rain, or a bird far away",
    "unconfirmed": "a blob was seen for the first time, and waited for the next frames",
    "flicker": "a blob was seen, and the next frame did not show it",
    "light-step": "the light changed",
    "shade": "the same things were seen, darker or brighter: shade or a fleck of sun",
    "ghost": "the place was seen that something had left",
    "settled": "something that had moved stood still for `rest_ms`, and became background",
    "outside": "it moved outside every zone, and `only_zones` is set",
}


@dataclass(slots=True)
class Interval:
    """What was said between two times (wall clock, milliseconds)."""

    start_ms: int
    end_ms: int
    frames: Counter[str] = field(default_factory=Counter)
    """By reason."""
    largest: float = 0.0
    """Share of the picture of the largest blob that was no motion …"""
    largest_reason: str = ""
    """… and why it was none."""


class WhyLog:
    """The writer. `note` every frame; `close` at the end."""

    def __init__(self, path: Path, *, interval_ms: int, keep: int) -> None:
        self._conn = _opened(path, writing=True)
        self._interval_ms = interval_ms
        self._keep = keep
        self._now: Interval | None = None
        self._until_trim = 0

    def note(self, reason: str, area: float, wall_ns: int) -> None:
        """One frame. Raises `PeerError` when the file cannot be written."""
        wall_ms = wall_ns // MS
        start = wall_ms - wall_ms % self._interval_ms
        if self._now is None or self._now.start_ms != start:
            self._commit()
            self._now = Interval(start, start + self._interval_ms)
        self._now.frames[reason] += 1
        if reason != "motion" and area > self._now.largest:
            self._now.largest, self._now.largest_reason = area, reason

    def _commit(self) -> None:
        one, self._now = self._now, None
        if one is None:
            return
        try:
            with self._conn:
                row = self._conn.execute(
                    "INSERT INTO intervals (start_ms, end_ms, largest, largest_reason) VALUES (?, ?, ?, ?)",
                    (one.start_ms, one.end_ms, one.largest, one.largest_reason),
                ).lastrowid
                self._conn.executemany(
                    "INSERT INTO reasons VALUES (?, ?, ?)", [(row, name, count) for name, count in one.frames.items()]
                )
                self._until_trim -= 1
                if self._until_trim < 0:
                    self._until_trim = min(_TRIM_EVERY, self._keep // 10)
                    self._conn.execute(
                        "DELETE FROM intervals WHERE id <= (SELECT MAX(id) FROM intervals) - ?", (self._keep,)
                    )
        except sqlite3.DatabaseError as error:
            raise PeerError(f"The log of motion cannot be written: {error}.", _DAMAGED) from error

    def close(self) -> None:
        """Commit the interval begun, and close the file."""
        self._commit()
        self._conn.close()


def read(path: Path, from_ms: int, until_ms: int) -> list[Interval]:
    """Intervals that have a moment in [from, until), oldest first. Raises `Misuse` when nothing was ever kept."""
    conn = _opened(path, writing=False)
    try:
        rows = conn.execute(
            "SELECT id, start_ms, end_ms, largest, largest_reason, reason, frames FROM intervals"
            " JOIN reasons ON reasons.interval = intervals.id"
            " WHERE end_ms > ? AND start_ms < ? ORDER BY id, frames DESC",
            (from_ms, until_ms),
        ).fetchall()
    except sqlite3.DatabaseError as error:
        raise PeerError(f"The log of motion {path} cannot be read: {error}.", _DAMAGED) from error
    finally:
        conn.close()
    found: dict[int, Interval] = {}
    for number, start, end, largest, why, reason, frames in rows:
        found.setdefault(number, Interval(start, end, Counter(), largest, why)).frames[reason] = frames
    return list(found.values())


def _opened(path: Path, *, writing: bool) -> sqlite3.Connection:
    if not writing and not path.is_file():
        raise Misuse(
            f"Nothing is known about motion yet: there is no {path}.",
            "It is written while the role capture runs; is this the right camera and settings file?",
        )
    try:
        if not writing:
            return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
        path.parent.mkdir(parents=True, exist_ok=True)
        conn = sqlite3.connect(path, check_same_thread=False, timeout=10)
        try:
            conn.execute("PRAGMA journal_mode = WAL")
            conn.execute("PRAGMA synchronous = NORMAL")
            conn.execute("PRAGMA foreign_keys = ON")
            conn.executescript(_SCHEMA)
        except BaseException:
            conn.close()
            raise
        else:
            return conn
    except sqlite3.DatabaseError as error:
        raise PeerError(f"The log of motion {path} cannot be opened: {error}.", _DAMAGED) from error
