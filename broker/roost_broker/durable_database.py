"""How a role opens the SQLite file in which it keeps what must survive kill -9 and power cut.

Standard `sqlite3`, not sqlite-utils: these processes also run on boards with 512 MB, and sqlite-utils brings
numpy along.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roost_broker.errors import PeerError

_PATIENCE_S = 10.0
"""For whoever writes or looks beside the role."""


def open_durable(path: Path, tables: str, *, use: str, lost: str) -> sqlite3.Connection:
    """The file with `tables`, WAL and every commit synced; made when it is missing, with its folder.

    Whoever opens it may call from several threads, one at a time. Transactions are `Transaction`'s. Raises `PeerError`
    when it is no database or cannot be written: `use` says for what it was wanted, `lost` what is gone without it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _opened(path, "rwc", use, lost) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.executescript(tables)
    return db


def look_into(path: Path, *, use: str, lost: str) -> sqlite3.Connection:
    """The same file, only to read, as whoever asks how things stand may do beside the role. Raises `PeerError`."""
    with _opened(path, "ro", use, lost) as db:
        db.execute("SELECT count(*) FROM sqlite_master")
    return db


@contextmanager
def _opened(path: Path, mode: str, use: str, lost: str) -> Iterator[sqlite3.Connection]:
    """Stays open unless the body, which proves that the file can be used, fails."""
    try:
        place = f"{path.resolve().as_uri()}?mode={mode}"
        db = sqlite3.connect(place, uri=True, timeout=_PATIENCE_S, check_same_thread=False, isolation_level=None)
        try:
            yield db
        except BaseException:
            db.close()
            raise
    except sqlite3.Error as error:
        raise PeerError(f"{path} cannot be used {use}: {error}.", f"Move the file away; {lost}.") from error
