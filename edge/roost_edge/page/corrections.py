"""What people said on this page that a picture shows: kept durably, and sent as suggestions when the broker is there.

1. `add` returns when the correction is on the disk. It goes out as `roost.suggestion/1` on the task's `suggestions`,
   from where the gateway takes it to the centre; a label it becomes there, when somebody has reviewed it.
2. One that the broker took is marked as sent and stays, so that the gallery shows what was said. One that was not is
   sent again, the same bytes: readers know a repetition by its message id.
3. Bounded: beyond `most` the oldest that were sent go; when as many wait, no more is taken.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from roost_broker.durable_database import open_durable
from roost_broker.errors import PeerError
from roost_broker.messages import Suggestion, encode
from roost_broker.transaction import Transaction

_TABLES = """
CREATE TABLE IF NOT EXISTS correction (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL, label TEXT NOT NULL, author TEXT NOT NULL,
  at_ms INTEGER NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL, sent INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS correction_of_request ON correction (request_id, seq);
CREATE INDEX IF NOT EXISTS correction_waiting ON correction (seq) WHERE sent = 0;
"""


class Correction(NamedTuple):
    """What somebody said."""

    seq: int
    request_id: str
    label: str
    author: str
    at_ms: int
    sent: bool


class Waiting(NamedTuple):
    """A correction that the broker has not taken yet."""

    seq: int
    topic: str
    payload: bytes


class Corrections:
    """See the module. One thread calls. Raises `PeerError`."""

    def __init__(self, path: Path, most: int) -> None:
        self._most = most
        self._path = path
        lost = "corrections that waited in it are lost"
        self._db = open_durable(path, _TABLES, use="for corrections", lost=lost)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add(self, said: Suggestion, topic: str) -> None:
        """Keep a correction durably."""
        with self._told():
            (waiting,) = self._db.execute("SELECT count(*) FROM correction WHERE sent = 0").fetchone()
            if waiting >= self._most:
                raise PeerError(
                    f"{waiting} corrections wait for the broker already.",
                    "Correct more when it is reachable again; roost doctor --only broker says what it lacks.",
                )
            with Transaction(self._db):
                self._db.execute(
                    "INSERT INTO correction (request_id, label, author, at_ms, topic, payload)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    (said.request_id or "", said.label, said.author, said.timestamp, topic, encode(said)),
                )
                (held,) = self._db.execute("SELECT count(*) FROM correction").fetchone()
                self._db.execute(
                    "DELETE FROM correction WHERE seq IN"
                    " (SELECT seq FROM correction WHERE sent = 1 ORDER BY seq LIMIT ?)",
                    (max(0, held - self._most),),
                )

    def waiting(self, most: int) -> list[Waiting]:
        """The oldest that were not sent."""
        with self._told():
            rows = self._db.execute(
                "SELECT seq, topic, payload FROM correction WHERE sent = 0 ORDER BY seq LIMIT ?", (most,)
            ).fetchall()
        return [Waiting(*row) for row in rows]

    def sent(self, seq: int) -> None:
        """The broker has it. Not synced: lost, it only means the same bytes once more."""
        with self._told(), Transaction(self._db, synced=False):
            self._db.execute("UPDATE correction SET sent = 1 WHERE seq = ?", (seq,))

    def of(self, request_ids: list[str]) -> dict[str, Correction]:
        """The newest correction of each of some requests (a page at most)."""
        marks = ", ".join("?" * len(request_ids))
        with self._told():
            rows = self._db.execute(
                "SELECT max(seq), request_id, label, author, at_ms, sent FROM correction"  # noqa: S608  # our own marks
                f" WHERE request_id IN ({marks}) GROUP BY request_id",
                request_ids,
            ).fetchall()
        return {row[1]: Correction._make((*row[:5], bool(row[5]))) for row in rows}

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise PeerError(f"{self._path} cannot be written: {error}.", "roost doctor --only space") from error
