"""The label store: one SQLite file that only grows.

1. An entry is never changed and never removed; the database itself refuses to (triggers).
2. Entries that belong together are written together or not at all, and durably (WAL, `synchronous = FULL`).
3. An entry that is already there is known and nothing happens; the same id with other content is refused.
4. What supersedes must be about the same picture and task as what it supersedes, and that must be there.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from roost_broker.errors import Misuse, PeerError
from roost_models.database import connect
from roost_models.labels.entry import Entry, parse, render
from roost_models.labels.standing import Standing, standing

VERSION = 1
_BUSY_S = 30.0
_PAGE = 500
_TABLES = (
    """CREATE TABLE entries (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      id TEXT NOT NULL UNIQUE,
      picture TEXT,
      request_id TEXT,
      task TEXT NOT NULL,
      kind TEXT NOT NULL,
      label TEXT,
      author TEXT NOT NULL,
      at INTEGER NOT NULL,
      supersedes TEXT,
      entry BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX entries_of_picture ON entries (picture, task)",
    "CREATE INDEX entries_of_task ON entries (task, seq)",
    "CREATE INDEX entries_of_request ON entries (request_id) WHERE request_id IS NOT NULL",
    "CREATE TRIGGER never_changed BEFORE UPDATE ON entries BEGIN SELECT raise(ABORT, 'entries never change'); END",
    "CREATE TRIGGER never_removed BEFORE DELETE ON entries BEGIN SELECT raise(ABORT, 'entries are never removed'); END",
)


@dataclass(frozen=True, slots=True)
class Added:
    """What became of some entries."""

    new: int = 0
    known: int = 0


class LabelStore:
    """Everything ever said of pictures. Any number of processes may have it open. Raises `PeerError`, `Misuse`."""

    def __init__(self, path: Path, *, make: bool = True) -> None:
        if not make and not path.is_file():
            raise Misuse(
                f"There are no labels in {path.parent}.", "Begin with `roost label serve` or `roost label import`."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        # The page's shell opens it here and uses it from one worker thread.
        self._db = connect(path, timeout_s=_BUSY_S)
        try:
            self._begin()
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise PeerError(
                f"The labels in {path} cannot be opened: {error}.",
                "Move the file aside and import the newest export: `roost label import FILE.jsonl`.",
            ) from error
        except BaseException:
            self._db.close()
            raise

    def _begin(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise Misuse(f"{self.path} was written by a newer Roost (label store {version}).", "Use that version.")
        if version == 0 and self._db.table_names():
            raise Misuse(f"{self.path} is a database, but no label store.", "Name another folder: --centre DIR.")
        self._db.enable_wal()
        self._db.execute("PRAGMA synchronous = FULL")
        if version == 0:
            with self._db.atomic():
                if not self._db.table_names():  # somebody else may just have made them
                    for statement in _TABLES:
                        self._db.execute(statement)
                    self._db.execute(f"PRAGMA user_version = {VERSION}")

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def __enter__(self) -> "LabelStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, entries: Iterable[Entry]) -> Added:
        """Write entries, all or none. Raises `Malformed`, and `Misuse` by rules 3 and 4 of the module."""
        new = known = 0
        with self._db.atomic():
            for entry in entries:
                data = render(entry)
                parse(data)  # what could not be read again is not written
                before = self._db.execute("SELECT entry FROM entries WHERE id = ?", (entry.id,)).fetchone()
                if before is None:
                    self._check(entry)
                    self._db.execute(
                        "INSERT INTO entries (id, picture, request_id, task, kind, label, author, at, supersedes,"
                        " entry) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        (
                            entry.id,
                            entry.picture,
                            entry.request_id,
                            entry.task,
                            entry.kind,
                            entry.label,
                            entry.author,
                            entry.at,
                            entry.supersedes,
                            data,
                        ),
                    )
                    new += 1
                elif bytes(before[0]) == data:
                    known += 1
                else:
                    raise Misuse(
                        f"Entry {entry.id} is there already, and says something else.",
                        "Nothing was written. Correct a label by a new entry that supersedes the old one.",
                    )
        return Added(new, known)

    def _check(self, entry: Entry) -> None:
        if entry.supersedes is None:
            return
        row = self._db.execute("SELECT picture, task FROM entries WHERE id = ?", (entry.supersedes,)).fetchone()
        if row is None:
            raise Misuse(
                f"Entry {entry.id} supersedes {entry.supersedes}, which is not here.",
                "Nothing was written. Import the older entries with it, or before it.",
            )
        if (row[0] or entry.picture, row[1]) != (entry.picture, entry.task):
            raise Misuse(
                f"Entry {entry.id} supersedes {entry.supersedes}, which is about another picture or task.",
                "Nothing was written.",
            )

    def entry(self, entry_id: str) -> Entry | None:
        """One entry."""
        row = self._db.execute("SELECT entry FROM entries WHERE id = ?", (entry_id,)).fetchone()
        return None if row is None else parse(bytes(row[0]))

    def history(self, picture: str, *, task: str | None = None) -> list[Entry]:
        """All that was ever said of a picture, in the order in which it was written down; of one task, or of all."""
        rows = self._db.execute(
            "SELECT entry FROM entries WHERE picture = ? AND (? IS NULL OR task = ?) ORDER BY seq",
            (picture, task, task),
        )
        return [parse(bytes(row[0])) for row in rows.fetchall()]

    def pictures(self, start: str) -> list[str]:
        """Pictures whose digest begins so (a few are enough to see that it is not one)."""
        rows = self._db.execute(
            "SELECT DISTINCT picture FROM entries WHERE picture >= ? AND picture < ? ORDER BY picture LIMIT 5",
            (start, start + "g"),
        )
        return [row[0] for row in rows.fetchall()]

    def entries(self, *, task: str | None = None) -> Iterator[Entry]:
        """Everything up to now, in the order in which it was written down; of one task, or of all."""
        last = self._db.execute("SELECT coalesce(max(seq), 0) FROM entries").fetchone()[0]
        after = 0
        while True:
            rows = self._db.execute(
                "SELECT seq, entry FROM entries WHERE seq > ? AND seq <= ? AND (? IS NULL OR task = ?)"
                " ORDER BY seq LIMIT ?",
                (after, last, task, task, _PAGE),
            ).fetchall()
            for row in rows:
                yield parse(bytes(row[1]))
            if len(rows) < _PAGE:
                return
            after = rows[-1][0]

    def standings(self, task: str) -> dict[str, Standing]:
        """What holds of each picture of a task."""
        by_picture: dict[str, list[Entry]] = {}
        for entry in self.entries(task=task):
            if entry.picture is not None:
                by_picture.setdefault(entry.picture, []).append(entry)
        return {picture: standing(entries) for picture, entries in by_picture.items()}

    def unplaced(self, task: str) -> list[Entry]:
        """Suggestions that name a request, not a picture; those that were superseded left out."""
        rows = self._db.execute(
            "SELECT entry FROM entries AS said WHERE task = ? AND picture IS NULL AND NOT EXISTS"
            " (SELECT 1 FROM entries WHERE supersedes = said.id) ORDER BY seq",
            (task,),
        )
        return [parse(bytes(row[0])) for row in rows.fetchall()]

    def tasks(self) -> list[str]:
        """Tasks that something was said of."""
        rows = self._db.execute("SELECT DISTINCT task FROM entries ORDER BY task").fetchall()
        return [row[0] for row in rows]
