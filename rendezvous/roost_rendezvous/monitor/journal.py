"""What the watch knows, on the card: its last save as a whole, and every observation since.

Rules:

1. A message is acknowledged to the broker when its observation is in here. So killed at any moment, the watch comes
   back by its save and what follows, and the broker brings the rest: no gap, and nothing twice (by message id).
2. A save covers what was handled, up to a number; the forgetting of that is in the same transaction. What follows is
   read page by page: it is never in memory as a whole. Rows are there once, however often they are made.
3. What was told to people (`told`) is written before it is published: what is handled again is not told again.
4. Nothing is synced: a power cut may cost the newest seconds, never the file. A file that is none any more is set
   aside, and learning begins anew.
5. Bounded: whoever writes saves when `rows` grows past the settings' bound.
"""

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from roost_broker.errors import PeerError
from roost_broker.transaction import Transaction
from roost_rendezvous.analytics.rows import Row
from roost_rendezvous.traces.store import set_aside

VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS observed (number INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS saved (
    one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, upto INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS steady (one INTEGER PRIMARY KEY CHECK (one = 1), body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS told (key TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rows (request_id TEXT PRIMARY KEY, at INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS rows_by_time ON rows (at);
"""
_BUSY_S = 5.0
_KEEP_TOLD = 10_000
_MAX_BODY = 500_000_000


class Head(NamedTuple):
    """What is found at the start without reading much."""

    upto: int
    """The last save covers observations up to this number."""
    newest: int
    """Observations behind it, up to this number, are still to be handled."""
    steady: Any | None
    told: frozenset[str]


class Journal:
    """One process, one thread. Raises `sqlite3.Error` (a full disk, mostly); nothing is lost by trying again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = _open(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # locked, read-only, full: the file itself may be good
                raise
            set_aside(path)
            self._db = _open(path)
        (newest,) = self._db.execute("SELECT coalesce(max(number), 0) FROM observed").fetchone()
        saved = self._db.execute("SELECT upto FROM saved").fetchone()
        self._number: int = max(newest, saved[0] if saved else 0)

    def close(self) -> None:
        """Leave one file behind, without its log."""
        self._db.close()

    def head(self) -> Head:
        """What is needed before anything can be heard."""
        row = self._db.execute("SELECT upto FROM saved").fetchone()
        steady = self._db.execute("SELECT body FROM steady").fetchone()
        return Head(
            row[0] if row is not None else 0,
            self._number,
            msgspec.json.decode(steady[0]) if steady is not None else None,
            frozenset(key for (key,) in self._db.execute("SELECT key FROM told")),
        )

    def saved(self) -> bytes | None:
        """The last save, for `unpacked`; None: there is none, or it is of another version."""
        row = self._db.execute("SELECT version, body FROM saved").fetchone()
        return row[1] if row is not None and row[0] == VERSION else None

    def page(self, after: int, upto: int, most: int) -> list[tuple[int, bytes]]:
        """The oldest observations behind `after`, with their numbers."""
        found = self._db.execute(
            "SELECT number, body FROM observed WHERE number > ? AND number <= ? ORDER BY number LIMIT ?",
            (after, upto, most),
        )
        return found.fetchall()

    def write(self, observed: Sequence[bytes], told: Sequence[str], steady: Any, rows: Sequence[Row] = ()) -> int:
        """Add observations, rows and what is about to be told; returns the number of the newest observation."""
        newest = self._number + len(observed)
        with Transaction(self._db, synced=False):
            self._db.executemany("INSERT INTO observed VALUES (?, ?)", enumerate(observed, self._number + 1))
            for key in told:
                self._db.execute("INSERT OR IGNORE INTO told VALUES (?, ?)", (key, newest))
            for row in rows:  # one that is made again after a kill is there already
                body = zlib.compress(msgspec.json.encode(row), 1)
                self._db.execute("INSERT OR IGNORE INTO rows VALUES (?, ?, ?)", (row.request_id, row.at, body))
            self._db.execute("INSERT OR REPLACE INTO steady VALUES (1, ?)", (msgspec.json.encode(steady),))
        self._number = newest
        return newest

    def save(self, state: Any, upto: int, *, keep_rows: int = 20_000) -> int:
        """Everything up to observation number `upto` as a whole; returns its bytes. Of the rows the newest stay."""
        body = zlib.compress(packed(state), 1)
        with Transaction(self._db, synced=False):
            self._db.execute("INSERT OR REPLACE INTO saved VALUES (1, ?, ?, ?)", (VERSION, upto, body))
            self._db.execute("DELETE FROM observed WHERE number <= ?", (upto,))
            self._db.execute(
                "DELETE FROM told WHERE number < (SELECT max(number) FROM told) AND number <= ? AND "
                "(SELECT count(*) FROM told) > ?",
                (upto, _KEEP_TOLD),
            )
            self._db.execute(
                "DELETE FROM rows WHERE at <= (SELECT at FROM rows ORDER BY at DESC LIMIT 1 OFFSET ?)", (keep_rows,)
            )
        return len(body)


def rows_of(path: Path) -> Iterator[Row]:
    """The kept rows, oldest first, while a monitor writes or not. Raises `PeerError`."""
    if not path.is_file():
        raise PeerError(f"There are no rows at {path}.", "The role `monitor` writes them, unless [analytics] is off.")
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)
        try:
            for (body,) in db.execute("SELECT body FROM rows ORDER BY at, request_id"):
                yield msgspec.json.decode(zlib.decompress(body), type=Row)
        finally:
            db.close()
    except (sqlite3.Error, zlib.error, msgspec.DecodeError) as error:
        raise PeerError(f"{path} cannot be read: {error}.", "Ask as the user that the monitor runs as.") from error


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_SCHEMA)
    except BaseException:
        db.close()
        raise
    return db


def packed(state: Any) -> bytes:
    """Plain values for `save`, which may hold them as a part (`msgspec.Raw`)."""
    return msgspec.msgpack.encode(state, enc_hook=_plain)


def unpacked(body: bytes) -> Any | None:
    """What `save` was given; None: the card is bad."""
    try:
        return msgspec.msgpack.decode(zlib.decompressobj().decompress(body, _MAX_BODY))
    except (zlib.error, msgspec.DecodeError):
        return None


def _plain(value: Any) -> Any:
    """A number of numpy's as Python has it; detectors compute with them, and this module does not know numpy."""
    return value.tolist()
