"""Which pictures the centre does not have yet, in the outbox's file: noted with the messages that name them.

Those of alerts first, then the oldest. Bounded: beyond `most` the oldest that no alert names are given up. What was
uploaded is remembered as well, so that a picture which several messages name goes once.
"""

import sqlite3
from collections.abc import Sequence

from roost_broker.gateway.rows import Arrival
from roost_broker.transaction import Transaction

TABLES = """
CREATE TABLE IF NOT EXISTS frame (
  n INTEGER PRIMARY KEY AUTOINCREMENT, sha256 TEXT NOT NULL UNIQUE, bytes INTEGER NOT NULL, alarmed INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS uploaded (n INTEGER PRIMARY KEY, sha256 TEXT NOT NULL);
"""


class WaitingPictures:
    """See the module. `db` has the `TABLES`; the one who opened it closes it."""

    def __init__(self, db: sqlite3.Connection, most: int) -> None:
        self._db = db
        self._most = most
        sent = db.execute("SELECT sha256 FROM uploaded ORDER BY n DESC LIMIT ?", (most,)).fetchall()
        self._uploaded = dict.fromkeys(str(row[0]) for row in reversed(sent))
        self.count = self._counted()
        """How many wait."""

    def note(self, batch: Sequence[Arrival]) -> int:
        """Note the pictures of a batch in its transaction; returns how many were given up. See `undone`."""
        noted = 0
        for one in batch:
            for sha256, size, alarmed in one.frames:
                if sha256 in self._uploaded:
                    continue
                noted += self._db.execute(
                    "INSERT OR IGNORE INTO frame (sha256, bytes, alarmed) VALUES (?, ?, ?)", (sha256, size, alarmed)
                ).rowcount
                if alarmed:
                    self._db.execute("UPDATE frame SET alarmed = 1 WHERE sha256 = ?", (sha256,))
        surplus = max(self.count + noted - self._most, 0)
        if surplus:
            self._db.execute(
                "DELETE FROM frame WHERE n IN (SELECT n FROM frame ORDER BY alarmed, n LIMIT ?)", (surplus,)
            )
        self.count += noted - surplus
        return surplus

    def undone(self) -> None:
        """The transaction of `note` came to nothing."""
        self.count = self._counted()

    def next(self, *, alarmed_only: bool) -> tuple[str, int, bool] | None:
        """The picture whose turn it is: of an alert first, then the oldest. SHA-256, bytes, alarmed."""
        condition = "WHERE alarmed = 1 " if alarmed_only else ""
        row = self._db.execute(
            f"SELECT sha256, bytes, alarmed FROM frame {condition}ORDER BY alarmed DESC, n LIMIT 1"  # noqa: S608 - a constant
        ).fetchone()
        return None if row is None else (str(row[0]), int(row[1]), bool(row[2]))

    def done(self, sha256: str, *, uploaded: bool) -> None:
        """A picture is at the centre, or will never be."""
        with Transaction(self._db, synced=False):
            gone = self._db.execute("DELETE FROM frame WHERE sha256 = ?", (sha256,)).rowcount
            if uploaded:
                number = self._db.execute("INSERT INTO uploaded (sha256) VALUES (?)", (sha256,)).lastrowid or 0
                self._db.execute("DELETE FROM uploaded WHERE n <= ?", (number - self._most,))
        self.count -= gone
        if uploaded:
            self._uploaded[sha256] = None
        while len(self._uploaded) > self._most:
            del self._uploaded[next(iter(self._uploaded))]

    def _counted(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM frame").fetchone()[0])
