"""The archive's frames: files below its folder, and the rows that say which of them are held.

A frame's file is linked in before its row is committed, and its row is marked as removed before its file is
unlinked. A cut in between leaves a stray file, never a row for a frame that is not there; strays go when the archive
is opened. One exception, for a medium that is full: there the file goes first, for a full medium takes no row, and
the row follows as soon as one can be written (at the latest when the archive is opened next).
"""

import errno
import itertools
import sqlite3
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from roost_broker.errors import FrameUnavailable
from roost_broker.frames import FrameStore
from roost_broker.messages import FrameRef
from roost_broker.room import Reserve, Room, room_of
from roost_models.archive.budget import ClassHeld, HeldFrame, Removals, Surplus, choose, surplus, tally
from roost_models.archive.schema import no_room
from roost_models.archive.settings import ArchiveSettings
from roost_models.database import Database

_PLAN_FRAMES = 2_000
"""Frames of one plan at most: they are kept in memory until their slice has its turn."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A frame that was taken over, or in `note` why it was not."""

    bytes: int = 0
    note: str | None = None


class FrameShelf:
    """Takes frames over, keeps to the byte budget, cleans up after a cut.

    `reserve` is kept free of the medium, `measure` looks at it.
    """

    def __init__(
        self,
        db: Database,
        store: FrameStore,
        settings: ArchiveSettings,
        *,
        reserve: Reserve | None = None,
        measure: Callable[[Path], Room] = room_of,
    ) -> None:
        self._db = db
        self._store = store
        self._settings = settings
        self._reserve = reserve or Reserve()
        self._measure = measure
        self._doomed: dict[str, HeldFrame] = {}
        self.looks = 0
        """House-keeping looked so often whether something must go; whoever watches it looks at this."""
        self.floors_fit = True
        """Whether the budget has room for the newest frames of every class; as the newest plan found it."""
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
        self._doomed.pop(sha256, None)
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
        """Remove frames beyond the budget and for the reserve, one bounded slice. Raises OSError (no such medium)."""
        self.looks += 1
        budget, room = self._settings.budget_bytes, self._measure(self._store.root.parent)
        short = self._reserve.shortage(room)
        if self._held <= budget and not short:
            self._doomed.clear()
            return Removals()
        if self._reserve.oldest_first(room):
            chosen = _up_to(self._oldest_alone(), short)
        elif self._held > budget:
            chosen = self._next_doomed(lambda held: self._beyond_budget(held, budget))
        else:  # a frame that capture holds, too, frees nothing: its turn comes when capture has let it go
            chosen = [one for one in self._next_doomed(lambda held: _for_room(held, short)) if self._alone(one)]
        removals = Removals(tuple(chosen), more=self._held - sum(one.bytes for one in chosen) > budget and bool(chosen))
        marked = self._try_to_mark(removals.frames, now_ns)
        for frame in removals.frames:
            self._store.remove(frame.sha256)
            self._doomed.pop(frame.sha256, None)
        if not marked:
            self._mark_removed(removals.frames, now_ns)
        self._held -= removals.bytes
        return removals

    def make_room(self) -> bool:
        """Unlink the oldest slice because the medium is full. False when there is nothing left that frees any."""
        gone = {frame.sha256 for frame in self._unmarked}
        oldest = self._oldest_alone(gone)
        for frame in oldest:
            self._store.remove(frame.sha256)
            self._doomed.pop(frame.sha256, None)
        self._unmarked += oldest
        return bool(oldest)

    def _beyond_budget(self, held: Mapping[str, ClassHeld], budget: int) -> Surplus:
        wanted = surplus(held, limit=budget, target=int(budget * self._settings.low_water))
        self.floors_fit = wanted.floors_fit
        return wanted

    def _next_doomed(self, planned: Callable[[Mapping[str, ClassHeld]], Surplus]) -> list[HeldFrame]:
        """The next slice of the plan; a new plan where there is none. It looks at every row, so it serves for long."""
        if not self._doomed:
            wanted = planned(tally(self._rows("DESC"), self._settings.floor_frames))
            chosen = choose(self._rows("ASC"), wanted, max(_PLAN_FRAMES, self._settings.slice_frames))
            self._doomed = {frame.sha256: frame for frame in chosen}
        return list(itertools.islice(self._doomed.values(), self._settings.slice_frames))

    def _oldest_alone(self, gone: Container[str] = ()) -> list[HeldFrame]:
        """One slice of the oldest whose removal frees room."""
        alone = (one for one in self._rows("ASC") if one.sha256 not in gone and self._alone(one))
        return list(itertools.islice(alone, self._settings.slice_frames))

    def _alone(self, frame: HeldFrame) -> bool:
        """Whether no other store holds this very file. One that is not there is in nobody's way."""
        try:
            return self._store.path(frame.sha256).stat().st_nlink == 1
        except FileNotFoundError:
            return True

    def _rows(self, order: Literal["ASC", "DESC"]) -> Iterator[HeldFrame]:
        """What is held, by age, each with its class: the official label of the newest request about it."""
        rows = self._db.execute(
            "SELECT f.sha256, f.bytes, CASE WHEN r.cause != 'default' THEN r.label END FROM frames AS f"  # noqa: S608  our own two words
            " LEFT JOIN inputs AS i ON i.arrival = f.arrival LEFT JOIN results AS r ON r.request_id = i.request_id"
            f" WHERE f.removed_ns IS NULL ORDER BY f.arrival {order}"
        )
        return (HeldFrame(row[0], row[1], row[2] or "") for row in rows)

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


def _for_room(held: Mapping[str, ClassHeld], short: int) -> Surplus:
    """So much less than now, but the floors stay: somebody else may have filled the medium."""
    most = max(sum(one.bytes for one in held.values()) - short, sum(one.floor_bytes for one in held.values()))
    return surplus(held, limit=most, target=most)


def _up_to(oldest_first: Iterable[HeldFrame], size: int) -> list[HeldFrame]:
    """As many as it takes to make up `size` bytes."""
    chosen: list[HeldFrame] = []
    for frame in oldest_first:
        if size <= 0:
            break
        chosen.append(frame)
        size -= frame.bytes
    return chosen
