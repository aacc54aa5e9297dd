"""The tables of the store, and rows as bytes that show when they are damaged.

Sketches lie in the order of time, so that the file only grows at its end and its pages are full; an index finds
those of one combination. Opening and setting aside are those of the store of traces: a file that is none any more is
begun anew.
"""

import sqlite3
import zlib
from pathlib import Path

import msgspec

from roost_broker.errors import PeerError
from roost_rendezvous.analytics.sketches.qualifiers import Qualifiers, Sketch, from_bytes, to_bytes
from roost_rendezvous.traces.store import set_aside

TABLES = """
CREATE TABLE IF NOT EXISTS combinations (id INTEGER PRIMARY KEY, about TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS periods (start INTEGER NOT NULL, combination INTEGER NOT NULL, body BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS periods_by_combination ON periods (combination, start);
CREATE TABLE IF NOT EXISTS days (
    combination INTEGER NOT NULL, start INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (combination, start)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stale (start INTEGER PRIMARY KEY);
"""
"""`stale`: days whose roll-up lacks something, or was never made."""
BUSY_S = 5.0
_CHECK = 4


def open_to_write(path: Path) -> sqlite3.Connection:
    """A connection to the file, made or set aside where needed. Raises `sqlite3.OperationalError` (full, locked)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _opened(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # locked, read-only, full: the file itself may be good
            raise
        set_aside(path)
        return _opened(path)


def open_to_read(path: Path) -> sqlite3.Connection:
    """The same for readers, also while a writer writes. Raises `PeerError` when there is nothing to read."""
    if not path.is_file():
        raise PeerError(
            f"There are no sketches at {path}.",
            "The role `monitor` writes them, at most half an hour after its start; `roost up` runs all roles.",
        )
    db: sqlite3.Connection | None = None
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)
        db.execute("SELECT 1 FROM periods LIMIT 1").fetchone()
    except sqlite3.Error as error:
        if db is not None:
            db.close()
        raise PeerError(f"{path} cannot be read: {error}.", "Ask as the user that the monitor runs as.") from error
    return db


def row_of(sketch: Sketch) -> bytes:
    """A sketch as it is stored: its bytes behind their checksum."""
    body = to_bytes(sketch)
    return zlib.crc32(body).to_bytes(_CHECK, "little") + body


def sketch_of(row: bytes) -> Sketch | None:
    """The sketch of a row; None when it was altered (a worn card)."""
    body = row[_CHECK:]
    if zlib.crc32(body).to_bytes(_CHECK, "little") != row[:_CHECK]:
        return None
    try:
        return from_bytes(body)
    except PeerError:  # of a newer version
        return None


def known_combinations(db: sqlite3.Connection) -> dict[int, Qualifiers]:
    """All combinations by their number; what cannot be read is left out."""
    found = {}
    for number, about in db.execute("SELECT id, about FROM combinations"):
        try:
            found[number] = msgspec.json.decode(about, type=Qualifiers)
        except msgspec.DecodeError:
            continue
    return found


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY_S)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")  # no fsync per commit: a cut may cost the newest period, not the file
        db.executescript(TABLES)
        db.execute("SELECT max(id) FROM combinations").fetchone()  # an altered file shows where it is read
        db.execute("SELECT max(start) FROM days").fetchone()
    except BaseException:
        db.close()
        raise
    return db
