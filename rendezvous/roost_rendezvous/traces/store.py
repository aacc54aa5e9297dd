"""Traces on the card: one row per traced request in SQLite, bounded in bytes, number and days.

`sqlite3` and not sqlite-utils: that imports numpy where it finds it, and the monitor is to stay small. Writing the
same messages again changes nothing, so a restarted monitor may repeat itself. The journal is a write-ahead log, so
readers (`TraceReader`, of other processes) work while the monitor writes; a power cut may cost the newest seconds,
never the file. Traces help people to understand; they are no record, and a file that is none any more is begun anew.
"""

import contextlib
import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from roost_broker.errors import Misuse, PeerError
from roost_broker.messages import Message, decode
from roost_rendezvous.traces.ring import MAX_PARTS
from roost_rendezvous.traces.settings import TraceSettings

_SCHEMA = """
CREATE TABLE IF NOT EXISTS traces (
    request_id TEXT PRIMARY KEY, task TEXT NOT NULL, at_ms INTEGER NOT NULL, bytes INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS traces_by_time ON traces (at_ms, bytes);
CREATE TABLE IF NOT EXISTS ran_on (
    request_id TEXT NOT NULL, model TEXT NOT NULL, task TEXT NOT NULL, at_ms INTEGER NOT NULL, ns INTEGER NOT NULL,
    PRIMARY KEY (request_id, model)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ran_on_by_time ON ran_on (at_ms);
"""
_DAY_MS = 86_400_000
_BUSY_S = 5.0
_MAX_BODY = 50_000_000
"""Bytes of one unpacked row, far above what the ring lets in."""
_parts_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


class RanOn(NamedTuple):
    """A model that went on computing for one request after its answer had been given."""

    request_id: str
    task: str
    model: str
    ns: int


class StoredTrace(NamedTuple):
    """One row: everything that was said about one request."""

    request_id: str
    task: str
    at_ms: int
    messages: tuple[Message, ...]


class RanOnTotal(NamedTuple):
    """Sum over the kept days of one model."""

    task: str
    model: str
    requests: int
    total_ns: int
    longest_ns: int


class TraceStore:
    """Written by the monitor alone, from one thread. Raises `sqlite3.Error` (a full disk, mostly); nothing is lost
    by trying again."""

    def __init__(self, path: Path, settings: TraceSettings) -> None:
        self._settings = settings
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = _open_to_write(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # locked, read-only, full: the file itself may be good
                raise
            set_aside(path)
            self._db = _open_to_write(path)

    def close(self) -> None:
        """Leave one file behind, without its log."""
        self._db.close()

    def put(self, request_id: str, task: str, at_ms: int, parts: dict[str, bytes]) -> None:
        """Add messages (by id) to a request's row, as many as one request may have. Call within `transaction`."""
        row = self._db.execute("SELECT body FROM traces WHERE request_id = ?", (request_id,)).fetchone()
        known: dict[str, msgspec.Raw] = _unpack(row[0]) if row is not None else {}
        for key, payload in parts.items():
            if key in known or len(known) < MAX_PARTS:
                known[key] = msgspec.Raw(payload)
        body = zlib.compress(msgspec.json.encode(known), 6)
        self._db.execute(
            "INSERT INTO traces (request_id, task, at_ms, bytes, body) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (request_id) DO UPDATE SET bytes = excluded.bytes, body = excluded.body",
            (request_id, task, at_ms, len(body), body),
        )

    def put_ran_on(self, one: RanOn, at_ms: int) -> int:
        """Note how long a model ran on; returns what is new of it in nanoseconds. Call within `transaction`."""
        row = self._db.execute(
            "SELECT ns FROM ran_on WHERE request_id = ? AND model = ?", (one.request_id, one.model)
        ).fetchone()
        known = row[0] if row is not None else 0
        if one.ns > known:
            self._db.execute(
                "INSERT OR REPLACE INTO ran_on (request_id, model, task, at_ms, ns) VALUES (?, ?, ?, ?, ?)",
                (one.request_id, one.model, one.task, at_ms, one.ns),
            )
        return max(0, one.ns - int(known))

    def transaction(self) -> contextlib.AbstractContextManager[object]:
        """All of it or nothing."""
        return self._db

    def tidy(self, now_ms: int) -> int:
        """The janitor: delete what is too old or too much, oldest first; returns how many requests went."""
        oldest = now_ms - self._settings.keep_days * _DAY_MS
        with self._db:
            gone = self._db.execute("DELETE FROM traces WHERE at_ms < ?", (oldest,)).rowcount
            self._db.execute("DELETE FROM ran_on WHERE at_ms < ?", (oldest,))
            requests, total = self._db.execute("SELECT count(*), coalesce(sum(bytes), 0) FROM traces").fetchone()
            self._trim_ran_on()
            over_requests, over_bytes = requests - self._settings.store_requests, total - self._settings.store_bytes
            doomed: list[tuple[str]] = []
            if over_requests > 0 or over_bytes > 0:
                for request_id, size in self._db.execute("SELECT request_id, bytes FROM traces ORDER BY at_ms"):
                    if over_requests <= 0 and over_bytes <= 0:
                        break
                    doomed.append((request_id,))
                    over_requests, over_bytes = over_requests - 1, over_bytes - size
            self._db.executemany("DELETE FROM traces WHERE request_id = ?", doomed)
        return int(gone) + len(doomed)

    def _trim_ran_on(self) -> None:
        (count,) = self._db.execute("SELECT count(*) FROM ran_on").fetchone()
        over = count - self._settings.store_requests
        if over > 0:
            self._db.execute(
                "DELETE FROM ran_on WHERE at_ms <= (SELECT at_ms FROM ran_on ORDER BY at_ms LIMIT 1 OFFSET ?)",
                (over - 1,),
            )


class TraceReader:
    """Reads what a monitor wrote, also while it writes. Raises `PeerError` when there is nothing to read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.is_file():
            raise PeerError(
                f"There are no traces at {path}.",
                "They come with the role `monitor`, when [traces] has a share above 0; `roost up` runs all roles.",
            )
        db: sqlite3.Connection | None = None
        try:
            db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)
            db.execute("SELECT 1 FROM traces LIMIT 1").fetchone()
        except sqlite3.Error as error:
            if db is not None:
                db.close()
            raise PeerError(f"{path} cannot be read: {error}.", "Ask as the user that the monitor runs as.") from error
        self._db = db

    def close(self) -> None:
        """Let the file go."""
        self._db.close()

    def newest(self, limit: int, task: str = "") -> list[StoredTrace]:
        """The newest requests, newest first."""
        rows = self._rows(
            "SELECT request_id, task, at_ms, body FROM traces WHERE ? IN ('', task) "
            "ORDER BY at_ms DESC, request_id DESC LIMIT ?",
            (task, limit),
        )
        return [_stored(row) for row in rows]

    def find(self, prefix: str) -> StoredTrace:
        """The one request whose id begins so. Raises `Misuse` when there are several or none."""
        rows = self._rows(
            "SELECT request_id, task, at_ms, body FROM traces WHERE request_id >= ? AND request_id < ? LIMIT 2",
            (prefix, prefix + "g"),  # ids are hex digits, and g comes after them
        )
        if not rows:
            raise Misuse(
                f"No trace of a request {prefix} is kept.",
                "`roost trace` lists the newest; older ones are deleted by the bounds in [traces].",
            )
        if len(rows) > 1 and rows[0][0] != prefix:
            raise Misuse(f"Several requests begin with {prefix}.", "Give more digits, or `last`.")
        return _stored(rows[0])

    def ran_on(self) -> list[RanOnTotal]:
        """How long each model ran on after answers, over all that is kept; most first."""
        rows = self._rows(
            "SELECT task, model, count(*), sum(ns), max(ns) FROM ran_on GROUP BY task, model ORDER BY sum(ns) DESC"
        )
        return [RanOnTotal(*row) for row in rows]

    def count(self) -> tuple[int, int, int]:
        """Requests kept, their bytes, and the wall clock (ms) of the oldest (0 without any)."""
        [row] = self._rows("SELECT count(*), coalesce(sum(bytes), 0), coalesce(min(at_ms), 0) FROM traces")
        requests, size, oldest = row
        return requests, size, oldest

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise PeerError(
                f"{self._path} cannot be read: {error}.", "The monitor sets a damaged file aside and begins a new one."
            ) from error


def set_aside(path: Path) -> None:
    """A file that is no store any more makes way for a new one, and is kept for whoever wants to look."""
    path.replace(path.with_suffix(".damaged"))
    for beside in ("-wal", "-shm"):
        path.with_name(path.name + beside).unlink(missing_ok=True)


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is no good; what is locked, read-only or full may be good again."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _open_to_write(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_BUSY_S)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")  # no fsync per commit: see the module
        db.executescript(_SCHEMA)
    except BaseException:
        db.close()
        raise
    return db


def _unpack(body: bytes) -> dict[str, msgspec.Raw]:
    """Parts by message id; empty for what cannot be read any more (a bad card)."""
    try:
        return _parts_decoder.decode(zlib.decompressobj().decompress(body, _MAX_BODY))
    except (zlib.error, msgspec.DecodeError):
        return {}


def _stored(row: Sequence[object]) -> StoredTrace:
    request_id, task, at_ms, body = row
    assert isinstance(at_ms, int)  # noqa: S101 — the column is an integer
    assert isinstance(body, bytes)  # noqa: S101 — and this one a blob
    return StoredTrace(str(request_id), str(task), at_ms, tuple(_decoded(_unpack(body).values())))


def _decoded(parts: Iterable[msgspec.Raw]) -> Iterable[Message]:
    for part in parts:
        with contextlib.suppress(PeerError):  # written by a newer version, perhaps
            yield decode(bytes(part))
