"""The archive's tables, and how a connection to them is opened.

SQLite in WAL mode: one writer (the decoy), any number of readers beside it. A transaction is in the file as a whole
or not at all after kill -9 and after a power cut; an interrupted write is rolled back by the next to open it, without
any repair by hand.
"""

import os
import sqlite3
from pathlib import Path

from roost_broker.errors import Misuse, PeerError
from roost_models.database import Database, connect

DATABASE = "archive.db"
FRAMES = "frames"
LOCK = "archive.lock"
SCHEMA_VERSION = 1
_BUSY_S = 30.0
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_SHMSIZE)

_TABLES = """
CREATE TABLE boots (
  boot_no INTEGER PRIMARY KEY AUTOINCREMENT,
  boot TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE inputs (
  arrival INTEGER PRIMARY KEY AUTOINCREMENT,
  request_id TEXT NOT NULL UNIQUE,
  message_id TEXT NOT NULL,
  task TEXT NOT NULL,
  timestamp_ms INTEGER NOT NULL,
  received_ns INTEGER NOT NULL,
  boot_no INTEGER NOT NULL REFERENCES boots (boot_no),
  seq INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  saw TEXT NOT NULL,
  frame_sha256 TEXT,
  frame_note TEXT,
  payload BLOB NOT NULL
) STRICT;
CREATE INDEX inputs_in_device_order ON inputs (boot_no, seq, timestamp_ms, arrival);
CREATE TABLE variants (
  saw TEXT PRIMARY KEY,
  request_id TEXT NOT NULL,
  received_ns INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  payload BLOB NOT NULL
) STRICT;
CREATE INDEX variants_of_request ON variants (request_id);
CREATE TABLE scores (
  request_id TEXT NOT NULL,
  model TEXT NOT NULL,
  version TEXT NOT NULL,
  message_id TEXT NOT NULL UNIQUE,
  bundle TEXT,
  runtime TEXT NOT NULL,
  outputs TEXT NOT NULL,
  compute_ms REAL NOT NULL,
  batch INTEGER NOT NULL,
  saw TEXT,
  at INTEGER NOT NULL,
  PRIMARY KEY (request_id, model, version)
) STRICT;
CREATE INDEX scores_of_bundle ON scores (bundle, model);
CREATE TABLE declines (
  request_id TEXT NOT NULL,
  model TEXT NOT NULL,
  version TEXT NOT NULL,
  message_id TEXT NOT NULL UNIQUE,
  reason TEXT NOT NULL,
  detail TEXT NOT NULL,
  saw TEXT,
  at INTEGER NOT NULL,
  PRIMARY KEY (request_id, model, version)
) STRICT;
CREATE TABLE results (
  request_id TEXT PRIMARY KEY,
  message_id TEXT NOT NULL,
  cause TEXT NOT NULL,
  model TEXT,
  label TEXT,
  elapsed_ms REAL NOT NULL,
  at INTEGER NOT NULL,
  payload BLOB NOT NULL
) STRICT;
CREATE TABLE frames (
  sha256 TEXT PRIMARY KEY,
  bytes INTEGER NOT NULL,
  arrival INTEGER NOT NULL,
  stored_ns INTEGER NOT NULL,
  removed_ns INTEGER
) STRICT;
CREATE INDEX frames_held ON frames (arrival, bytes) WHERE removed_ns IS NULL;
CREATE TABLE anomalies (
  kind TEXT NOT NULL,
  request_id TEXT NOT NULL,
  model TEXT NOT NULL,
  times INTEGER NOT NULL,
  first_ns INTEGER NOT NULL,
  PRIMARY KEY (kind, request_id, model)
) STRICT;
"""


def open_for_writing(root: Path) -> Database:
    """Connection of the one writer; makes the tables where there are none."""
    path = root / DATABASE
    # The decoy writes from one worker thread at a time, not from the thread that opens.
    db = connect(path, timeout_s=_BUSY_S)
    try:
        db.enable_wal()
        _check_version(db, path)
        if not db.table_names():
            with db.atomic():
                for statement in _TABLES.split(";"):
                    if statement.strip():
                        db.execute(statement)
                db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    except sqlite3.DatabaseError as error:
        db.close()
        raise _unreadable(path, error) from error
    except BaseException:
        db.close()
        raise
    return db


def open_for_reading(root: Path) -> Database:
    """Connection that cannot write, beside a writer or without one (a copy on a read-only medium too)."""
    path = root / DATABASE
    if not path.is_file():
        raise Misuse(f"There is no archive in {root}.", f"Name the folder that holds {DATABASE}.")
    mode = "mode=ro"
    if not os.access(root, os.W_OK) and not path.with_name(f"{DATABASE}-wal").exists():
        mode = "immutable=1"  # WAL readers need a shared-memory file beside; here none can be made, or is needed
    try:
        db = connect(f"{path.resolve().as_uri()}?{mode}", timeout_s=_BUSY_S, uri=True)
    except sqlite3.DatabaseError as error:
        raise _unreadable(path, error) from error
    try:
        if _check_version(db, path) == 0:  # its decoy has only just begun
            raise Misuse(f"The archive in {root} holds nothing yet.", "Try again when something was archived.")
    except sqlite3.DatabaseError as error:
        db.close()
        raise _unreadable(path, error) from error
    except BaseException:
        db.close()
        raise
    return db


def no_room(error: sqlite3.OperationalError) -> bool:
    """Whether the medium is full (or can no longer be written to, which looks the same to SQLite)."""
    return error.sqlite_errorcode in _FULL


def _check_version(db: Database, path: Path) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise Misuse(
            f"{path} was written by a newer Roost (archive version {version}, known here: {SCHEMA_VERSION}).",
            "Use that version of Roost, or name another folder for the archive.",
        )
    if version == 0 and db.table_names():
        raise Misuse(f"{path} is a database, but not an archive of Roost.", "Name another folder for the archive.")
    return version


def _unreadable(path: Path, error: sqlite3.DatabaseError) -> PeerError:
    return PeerError(
        f"The archive {path} cannot be opened: {error}.",
        "Move its folder aside; a new one is begun at the next start, and requests still open are archived again.",
    )
