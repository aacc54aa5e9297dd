"""What the centre has received and not yet written to a day's file: SQLite, committed before it is acknowledged.

Rules:

1. `put` returns when its messages are on the disk; only then may they be acknowledged.
2. A message is told apart by (outbox, lane, seq), here and among what is in files already (`settled`), for ever.
3. Rows leave only together with the record of the file that holds them now, in one transaction, after that file has
   its name. A cut in between leaves the rows; the file is written again under the same name.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from roost_broker.centre.envelope import Envelope, headers_of
from roost_broker.centre.lanes import LaneName
from roost_broker.errors import Misuse, PeerError
from roost_models.central.partitions import Partition, Ranges, day_of, place_of

DATABASE = "staging.db"
SCHEMA_VERSION = 1
_BUSY_S = 30.0
_KEPT_REFUSALS = 1000
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_SHMSIZE)

_TABLES = """
CREATE TABLE messages (
  outbox TEXT NOT NULL,
  lane TEXT NOT NULL,
  seq INTEGER NOT NULL,
  gap_first INTEGER,
  node TEXT NOT NULL,
  task TEXT NOT NULL,
  day TEXT NOT NULL,
  topic TEXT NOT NULL,
  received_ms INTEGER NOT NULL,
  late_ms INTEGER,
  retained INTEGER NOT NULL,
  stored_ms INTEGER NOT NULL,
  payload BLOB NOT NULL,
  UNIQUE (outbox, lane, seq)
) STRICT;
CREATE INDEX messages_by_partition ON messages (day, task, lane, node, outbox, seq);
CREATE TABLE days (
  outbox TEXT NOT NULL,
  lane TEXT NOT NULL,
  day TEXT NOT NULL,
  PRIMARY KEY (outbox, lane)
) STRICT;
CREATE TABLE settled (
  outbox TEXT NOT NULL,
  lane TEXT NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  PRIMARY KEY (outbox, lane, first)
) STRICT;
CREATE TABLE files (
  path TEXT PRIMARY KEY,
  day TEXT NOT NULL,
  task TEXT NOT NULL,
  lane TEXT NOT NULL,
  number INTEGER NOT NULL,
  rows INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  sha256 TEXT NOT NULL
) STRICT;
CREATE TABLE cursors (
  stream TEXT PRIMARY KEY,
  seq INTEGER NOT NULL
) STRICT;
CREATE TABLE refused (
  stream TEXT NOT NULL,
  stream_seq INTEGER NOT NULL,
  reason TEXT NOT NULL,
  stored_ms INTEGER NOT NULL,
  headers TEXT NOT NULL,
  payload BLOB NOT NULL,
  PRIMARY KEY (stream, stream_seq)
) STRICT;
"""
_COLUMNS = "outbox, lane, seq, gap_first, node, task, day, topic, received_ms, late_ms, retained, stored_ms, payload"


class ArchiveFull(PeerError):
    """The medium of the archive takes no more. What came is not acknowledged: it stays in the streams."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that no gateway can have sent, or whose number another has."""

    stream: str
    stream_seq: int
    reason: str
    stored_ms: int
    headers: dict[str, str]
    payload: bytes


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A day's file, as it was when it was written."""

    path: str
    """Below the archive's folder."""
    partition: Partition
    number: int
    rows: int
    bytes: int
    sha256: str


class Staging:
    """The one writer of an archive. Every method may raise `ArchiveFull` or `PeerError`; call from one thread."""

    def __init__(self, root: Path, *, base: str = "roost") -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self._base = base
        self._path = root / DATABASE
        self.counts: Counter[str] = Counter()
        """Stored, duplicate, refused."""
        self._db = _open(self._path)
        self._days = {(row[0], row[1]): row[2] for row in self._db.execute("SELECT outbox, lane, day FROM days")}
        self._settled: dict[tuple[str, str], Ranges] = {}
        for outbox, lane, first, last in self._db.execute("SELECT outbox, lane, first, last FROM settled"):
            self._settled.setdefault((outbox, lane), Ranges()).add(first, last)

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()

    def limit_pages(self, pages: int) -> None:
        """Take no more than so many pages of 4096 bytes: a small medium, for trying what happens when it is full."""
        self._db.execute(f"PRAGMA max_page_count = {int(pages)}")

    def put(self, rows: Iterable[Envelope], refused: Iterable[Refusal] = ()) -> int:
        """Have these on the disk when it returns; how many of them were new."""
        days: dict[tuple[str, str], str] = {}
        new = stored = duplicate = 0
        conflicts: list[Refusal] = []
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                for row in rows:
                    if self._insert(row, days):
                        stored += 1
                    elif (conflict := self._conflict(row)) is not None:
                        conflicts.append(conflict)
                    else:
                        duplicate += 1
                self._db.executemany(
                    "INSERT INTO days VALUES (?, ?, ?) ON CONFLICT (outbox, lane) DO UPDATE SET day = excluded.day",
                    [(*name, day) for name, day in days.items()],
                )
                new = self._refuse((*refused, *conflicts))
        except sqlite3.DatabaseError as error:
            raise _told(self._path, error) from error
        self._days |= days
        self.counts.update(stored=stored, duplicate=duplicate, refused=new)
        return stored

    def cursor(self, stream: str) -> int:
        """How far a stream without a consumer has been read."""
        row = self._db.execute("SELECT seq FROM cursors WHERE stream = ?", (stream,)).fetchone()
        return int(row[0]) if row else 0

    def read_to(self, stream: str, seq: int) -> None:
        """Everything up to here is safe."""
        try:
            with self._db:
                self._db.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (stream, seq))
        except sqlite3.DatabaseError as error:
            raise _told(self._path, error) from error

    def waiting(self) -> list[tuple[Partition, int]]:
        """Partitions that are not in files yet, with their messages; oldest day first."""
        rows = self._db.execute(
            "SELECT day, task, lane, count(*) FROM messages GROUP BY day, task, lane ORDER BY day, task, lane"
        )
        return [(Partition(row[0], row[1], row[2]), row[3]) for row in rows]

    def rows(self, partition: Partition, limit: int, limit_bytes: int) -> list[Envelope]:
        """The first so many messages of a partition, in order of node, outbox and number; at least one, if any."""
        found: list[Envelope] = []
        size = 0
        for row in read(self._db, partition, limit=limit):
            size += len(row.payload)
            if found and size > limit_bytes:
                break
            found.append(row)
        return found

    def files(self) -> list[FileRecord]:
        """Every file that was written."""
        return _records(self._db)

    def next_number(self, partition: Partition) -> int:
        """The number of a partition's next file."""
        row = self._db.execute(
            "SELECT coalesce(max(number), 0) + 1 FROM files WHERE day = ? AND task = ? AND lane = ?", _place(partition)
        ).fetchone()
        return int(row[0])

    def moved(self, rows: Sequence[Envelope], record: FileRecord) -> None:
        """These are in that file now, which has its name: forget them here."""
        touched: set[tuple[str, str]] = {(row.outbox, row.lane) for row in rows}
        ranges = {name: Ranges(self._settled.get(name, ())) for name in touched}
        for row in rows:
            ranges[row.outbox, row.lane].add(row.seq, row.seq)
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.execute(
                    "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (record.path, *_place(record.partition), record.number, record.rows, record.bytes, record.sha256),
                )
                for name, runs in ranges.items():
                    self._db.execute("DELETE FROM settled WHERE outbox = ? AND lane = ?", name)
                    self._db.executemany("INSERT INTO settled VALUES (?, ?, ?, ?)", [(*name, *run) for run in runs])
                self._db.executemany(
                    "DELETE FROM messages WHERE outbox = ? AND lane = ? AND seq = ?",
                    [row.key for row in rows],
                )
        except sqlite3.DatabaseError as error:
            raise _told(self._path, error) from error
        self._settled |= ranges

    def _insert(self, one: Envelope, days: dict[tuple[str, str], str]) -> bool:
        name = (one.outbox, one.lane)
        if one.seq in self._settled.get(name, ()):
            return False
        day = day_of(one.received_ms, one.stored_ms, days.get(name) or self._days.get(name))
        values = (
            *one.key,
            None if one.gap is None else one.gap[0],
            one.node,
            place_of(one.topic, self._base),
            day,
            one.topic,
            one.received_ms,
            one.late_ms,
            int(one.retained),
            one.stored_ms,
            one.payload,
        )
        done = self._db.execute(
            f"INSERT OR IGNORE INTO messages ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  # names are ours
            values,
        )
        if done.rowcount:
            days[name] = day
        return bool(done.rowcount)

    def _conflict(self, one: Envelope) -> Refusal | None:
        """Another message has this number: two gateways use copies of one outbox. None for a mere repetition."""
        found = self._db.execute(
            "SELECT node, topic, payload FROM messages WHERE outbox = ? AND lane = ? AND seq = ?", one.key
        ).fetchone()
        if found is None or found == (one.node, one.topic, one.payload):
            return None
        reason = f"Number {one.seq} of outbox {one.outbox}, of {found[0]}, is another message: the outbox was copied."
        return Refusal(f"{one.outbox}:{one.lane}", one.seq, reason, one.stored_ms, headers_of(one), one.payload)

    def _refuse(self, refused: Iterable[Refusal]) -> int:
        done = self._db.executemany(
            "INSERT OR IGNORE INTO refused VALUES (?, ?, ?, ?, ?, ?)",
            [
                (one.stream, one.stream_seq, one.reason, one.stored_ms, _json(one.headers), one.payload)
                for one in refused
            ],
        )
        if done.rowcount > 0:
            self._db.execute(
                "DELETE FROM refused WHERE rowid NOT IN (SELECT rowid FROM refused ORDER BY rowid DESC LIMIT ?)",
                (_KEPT_REFUSALS,),
            )
        return max(0, done.rowcount)


def read(db: sqlite3.Connection, partition: Partition, *, limit: int = -1) -> Iterator[Envelope]:
    """Messages of a partition, in order of node, outbox and number."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM messages WHERE day = ? AND task = ? AND lane = ? ORDER BY node, outbox, seq LIMIT ?",  # noqa: S608  # names are ours
        (*_place(partition), limit),
    )
    return (_row(row) for row in rows)


def open_for_reading(root: Path) -> sqlite3.Connection | None:
    """A connection that cannot write, beside the writer; None where there is no staging (a copy of the files)."""
    path = root / DATABASE
    if not path.is_file():
        return None
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S, check_same_thread=False)
    try:
        _check_version(db, path)
    except BaseException:
        db.close()
        raise
    return db


def records(root: Path) -> list[FileRecord]:
    """Every file that was written, as its record says; empty where there is no staging."""
    db = open_for_reading(root)
    if db is None:
        return []
    try:
        return _records(db)
    finally:
        db.close()


def _records(db: sqlite3.Connection) -> list[FileRecord]:
    found = db.execute("SELECT path, day, task, lane, number, rows, bytes, sha256 FROM files ORDER BY path")
    return [FileRecord(row[0], Partition(row[1], row[2], row[3]), *row[4:]) for row in found]


def _place(partition: Partition) -> tuple[str, str, str]:
    return partition.day, partition.task, partition.lane


def _json(headers: dict[str, str]) -> str:
    return msgspec.json.encode(headers).decode()


def _row(row: Sequence[Any]) -> Envelope:
    outbox, lane, seq, gap_first, node, _task, _day, topic, received_ms, late_ms, retained, stored_ms, payload = row
    name: LaneName = lane
    gap = None if gap_first is None else (gap_first, seq)
    return Envelope(topic, payload, node, outbox, name, seq, received_ms, late_ms, bool(retained), gap, stored_ms)


def _open(path: Path) -> sqlite3.Connection:
    # The archiver writes from one worker thread, not from the thread that opens. Transactions are begun by hand.
    db = sqlite3.connect(path, timeout=_BUSY_S, check_same_thread=False, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")  # in WAL mode: each commit is on the disk before it returns
        if not _check_version(db, path):
            with db:
                db.execute("BEGIN IMMEDIATE")
                for statement in _TABLES.split(";"):
                    if statement.strip():
                        db.execute(statement)
                db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    except sqlite3.DatabaseError as error:
        db.close()
        raise _told(path, error) from error
    except BaseException:
        db.close()
        raise
    return db


def _check_version(db: sqlite3.Connection, path: Path) -> int:
    try:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.DatabaseError as error:
        raise _told(path, error) from error
    if version > SCHEMA_VERSION:
        raise Misuse(
            f"{path} was written by a newer Roost (version {version}, known here: {SCHEMA_VERSION}).",
            "Use that version of Roost, or name another folder for the centre.",
        )
    return version


def _told(path: Path, error: sqlite3.DatabaseError) -> PeerError:
    if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode in _FULL:
        return ArchiveFull(
            f"The archive {path.parent} takes no more: {error}.",
            "Make room on its disk; what is not archived yet stays in the streams and at the gateways.",
        )
    return PeerError(
        f"The archive's database {path} cannot be used: {error}.",
        "Stop the centre and restore it from the back-up (docs/centre.md); the streams still hold what came since.",
    )
