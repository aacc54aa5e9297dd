"""The archive's frames: files below its folder, and the rows that say which of them are held.

A frame's file is linked in before its row is committed, and its row is marked as removed before its file is
unlinked. A cut in between leaves a stray file, never a row for a frame that is not there; strays go when the archive
is opened. One exception, for a medium that is full: there the file goes first, for a full medium takes no row, and
the row follows as soon as one can be written (at the latest when the archive is opened next).
"""

import errno
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from sqlite_utils import Database

from roost_broker.errors import FrameUnavailable
from roost_broker.frames import FrameStore
from roost_broker.messages import FrameRef
from roost_models.archive.budget import HeldFrame, Removals, plan
from roost_models.archive.schema import no_room
from roost_models.archive.settings import ArchiveSettings


@dataclass(frozen=True, slots=True)
class Taken:
    """A frame that was taken over, or in `note` why it was not."""

    bytes: int = 0
    note: str | None = None


class FrameShelf:
    """Takes frames over, keeps to the byte budget, cleans up after a cut. Knows nothing of requests."""

    def __init__(self, db: Database, store: FrameStore, settings: ArchiveSettings) -> None:
        self._db = db
        self._store = store
        self._settings = settings
        self._unmarked: list[HeldFrame] = []
        self._agree_with_files()
        self._held = self._sum()

    @property
    def held(self) -> int:
        """Bytes of all frames held."""
        return self._held

    def take_over(self, ref: FrameRef, source: FrameStore | None) -> Taken:
        """Have the frame's file here, verified. Never raises: what went wrong is the note."""
        if source is None:
            return Taken(note="missing")
        try:
            self._store.adopt(ref, source)
            return Taken(bytes=self._store.path(ref.sha256).stat().st_size)
        except FrameUnavailable as error:
            return Taken(note=error.reason)
        except OSError as error:
            return Taken(note="disk-full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "not-storable")

    def hold(self, sha256: str, size: int, arrival: int, now_ns: int) -> None:
        """Within a transaction: a frame is here. One that is seen again is as young as its newest request."""
        self._db.execute(
            "INSERT INTO frames (sha256, bytes, arrival, stored_ns) VALUES (?, ?, ?, ?) ON CONFLICT (sha256)"
            " DO UPDATE SET arrival = max(arrival, excluded.arrival), bytes = excluded.bytes,"
            " stored_ns = CASE WHEN removed_ns IS NULL THEN stored_ns ELSE excluded.stored_ns END, removed_ns = NULL",
            (sha256, size, arrival, now_ns),
        )

    def committed(self, now_ns: int) -> None:
        """After a transaction that may have held frames: pay what `make_room` owes, and count again."""
        if self._unmarked:
            self._mark_removed(self._unmarked, now_ns)
            self._unmarked = []
        self._held = self._sum()

    def enforce_budget(self, now_ns: int) -> Removals:
        """Remove the oldest frames beyond the budget, one bounded slice."""
        if self._held <= self._settings.budget_bytes:
            return Removals()
        removals = plan(
            self._oldest(),
            held=self._held,
            budget=self._settings.budget_bytes,
            low_water=self._settings.low_water,
        )
        marked = self._try_to_mark(removals.frames, now_ns)
        for frame in removals.frames:
            self._store.remove(frame.sha256)
        if not marked:
            self._mark_removed(removals.frames, now_ns)
        self._held -= removals.bytes
        return removals

    def make_room(self) -> bool:
        """Unlink the oldest slice because the medium is full. False when there is nothing left to unlink."""
        gone = {frame.sha256 for frame in self._unmarked}
        oldest = [frame for frame in self._oldest() if frame.sha256 not in gone]
        for frame in oldest:
            self._store.remove(frame.sha256)
        self._unmarked += oldest
        return bool(oldest)

    def _oldest(self) -> list[HeldFrame]:
        rows = self._db.execute(
            "SELECT sha256, bytes FROM frames WHERE removed_ns IS NULL ORDER BY arrival LIMIT ?",
            (self._settings.slice_frames,),
        )
        return [HeldFrame(row[0], row[1]) for row in rows.fetchall()]

    def _try_to_mark(self, frames: Iterable[HeldFrame], now_ns: int) -> bool:
        """False when the medium is too full for it: then the files go first, and make the room."""
        try:
            self._mark_removed(frames, now_ns)
        except sqlite3.OperationalError as error:
            if not no_room(error):
                raise
            return False
        return True

    def _mark_removed(self, frames: Iterable[HeldFrame], now_ns: int) -> None:
        with self._db.atomic():
            for frame in frames:
                self._db.execute("UPDATE frames SET removed_ns = ? WHERE sha256 = ?", (now_ns, frame.sha256))

    def _sum(self) -> int:
        row = self._db.execute("SELECT coalesce(sum(bytes), 0) FROM frames WHERE removed_ns IS NULL").fetchone()
        return int(row[0])

    def _agree_with_files(self) -> None:
        """Delete files that no row holds, half-written ones too; mark rows whose file is gone (when, nobody knows: 0).

        One folder at a time, which bounds the memory.
        """
        for prefix in (f"{number:02x}" for number in range(256)):
            rows = self._db.execute(
                "SELECT sha256, bytes FROM frames WHERE removed_ns IS NULL AND sha256 >= ? AND sha256 < ?",
                (prefix, f"{prefix}g"),  # "g" follows the last hex digit
            )
            held = {f"{row[0]}.jpg": HeldFrame(row[0], row[1]) for row in rows.fetchall()}
            folder = self._store.root / prefix
            for file in folder.iterdir() if folder.is_dir() else ():
                if held.pop(file.name, None) is None:
                    file.unlink(missing_ok=True)
            if held:
                self._mark_removed(held.values(), 0)
