"""A transaction of SQLite that ends in any case: committed whole, or as if it had never begun."""

import sqlite3


class Transaction:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK when something was raised, COMMIT itself included.

    For a connection with `isolation_level=None`. One that is not `synced` may be lost with the power, and wears no
    card; the connection is one with `synchronous = FULL` otherwise.
    """

    def __init__(self, db: sqlite3.Connection, *, synced: bool = True) -> None:
        self._db = db
        self._synced = synced

    def __enter__(self) -> None:
        if not self._synced:
            self._db.execute("PRAGMA synchronous = NORMAL")
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._sync_again()
            raise

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:  # SQLite itself rolls back when the medium is full
                self._db.execute("ROLLBACK")
            self._sync_again()

    def _sync_again(self) -> None:
        if not self._synced:
            self._db.execute("PRAGMA synchronous = FULL")
