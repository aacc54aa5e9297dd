"""A connection to SQLite with what our stores ask of it. It adds no library: a daemon that writes must stay small.

    db = connect(path, timeout_s=30)
    with db.atomic():
        db.execute("INSERT …")

Outside `atomic` each statement stands for itself: it is in the file when `execute` returns.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Database(sqlite3.Connection):
    """Made by `connect`."""

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """All that is done in the body, or nothing of it. Not within another one."""
        self.execute("BEGIN")
        try:
            yield
            self.execute("COMMIT")
        finally:
            if self.in_transaction:  # SQLite itself rolls back when the medium is full
                self.execute("ROLLBACK")

    def enable_wal(self) -> None:
        """Readers do not wait for the writer, nor the writer for them. The file remembers it."""
        self.execute("PRAGMA journal_mode = wal")

    def table_names(self) -> list[str]:
        """Empty for a file that is new."""
        return [name for (name,) in self.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]


def connect(path: Path | str, *, timeout_s: float, uri: bool = False) -> Database:
    """Open a database for whichever thread uses it, one at a time. `timeout_s`: how long to wait for another writer."""
    return sqlite3.connect(
        path, timeout=timeout_s, check_same_thread=False, isolation_level=None, uri=uri, factory=Database
    )
