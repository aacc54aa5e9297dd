"""How a role opens the SQLite file in which it keeps what must survive kill -9 and power cut.

Standard `sqlite3`, not sqlite-utils: these processes also run on boards with 512 MB, and sqlite-utils brings
numpy along.
"""

import sqlite3
from pathlib import Path

from roost_broker.errors import PeerError


def open_durable(path: Path, tables: str, *, use: str, lost: str) -> sqlite3.Connection:
    """The file with `tables`, WAL and every commit synced; made when it is missing, with its folder.

    Whoever opens it may call from several threads, one at a time. Transactions are `Transaction`'s. Raises `PeerError`
    when it is no database or cannot be written: `use` says for what it was wanted, `lost` what is gone without it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.executescript(tables)
        except BaseException:
            db.close()
            raise
    except sqlite3.Error as error:
        raise PeerError(f"{path} cannot be used {use}: {error}.", f"Move the file away; {lost}.") from error
    return db


def look_into(path: Path, *, use: str, lost: str) -> sqlite3.Connection:
    """The same file, only to read, as whoever asks how things stand may do beside the role. Raises `PeerError`."""
    try:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        try:
            db.execute("SELECT count(*) FROM sqlite_master")
        except BaseException:
            db.close()
            raise
    except sqlite3.Error as error:
        raise PeerError(f"{path} cannot be used {use}: {error}.", f"Move the file away; {lost}.") from error
    return db
