"""A transaction of SQLite that ends in any case: committed whole, or as if it had never begun."""

import sqlite3


class Transaction:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK when something was raised, COMMIT itself included.

    For a connection with `isolation_level=None`.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:  # SQLite itself rolls back when the medium is full
                self._db.execute("ROLLBACK")
