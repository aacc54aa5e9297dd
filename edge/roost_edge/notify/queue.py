"""Notices on their way to services, durable: what must still be sent, and to whom it was sent already.

1. `add` has returned: the notice survives kill -9 and power cut. Only then may it be acknowledged to the broker. The
   same notice (its message id) is kept once, also while it is remembered after it was sent.
2. It leaves when every address has it or it has expired. Who has it is kept at once, so that after a restart nobody is
   told twice, but the one whose service took it while the power was cut.
3. Bounded: beyond `max_waiting` the oldest go; of those that are done the newest 1,000 ids are remembered.

Not safe for use by two threads at the same time.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from roost_broker.clock import SECOND
from roost_broker.durable_database import open_durable
from roost_broker.moments import Stamp, age_ns
from roost_broker.transaction import Transaction

_REMEMBERED = 1_000
_TABLES = """
CREATE TABLE IF NOT EXISTS notice (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL UNIQUE, body BLOB NOT NULL, told TEXT NOT NULL,
  boot TEXT NOT NULL, monotonic_ns INTEGER NOT NULL, wall_ns INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS done (n INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL UNIQUE);
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A notice that somebody has not got yet."""

    seq: int
    body: bytes
    told: frozenset[str]
    """Keys of the addresses that have it."""
    age_s: float


class Queue:
    """See the module's rules. Raises `PeerError` when the file is not a database."""

    def __init__(self, path: Path, *, boot: str, max_waiting: int) -> None:
        self._boot = boot
        self._max_waiting = max_waiting
        lost = "what waited in it is lost, everything else goes on"
        self._db = open_durable(path, _TABLES, use="for notices on their way", lost=lost)

    def close(self) -> None:
        """Close the file. What was committed stays."""
        self._db.close()

    def add(self, message_id: str, body: bytes, *, monotonic_ns: int, wall_ns: int) -> tuple[bool, int]:
        """Keep it. Returns whether it is new, and how many old ones were dropped for it."""
        with Transaction(self._db):
            known = "SELECT 1 FROM done WHERE message_id = ?"
            if self._db.execute(known, (message_id,)).fetchone() is not None:
                return False, 0
            added = self._db.execute(
                "INSERT OR IGNORE INTO notice (message_id, body, told, boot, monotonic_ns, wall_ns) "
                "VALUES (?, ?, '[]', ?, ?, ?)",
                (message_id, body, self._boot, monotonic_ns, wall_ns),
            ).rowcount
            surplus = len(self) - self._max_waiting
            if surplus > 0:
                self._db.execute("DELETE FROM notice WHERE seq IN (SELECT seq FROM notice LIMIT ?)", (surplus,))
        return bool(added), max(0, surplus)

    def waiting(self, *, monotonic_ns: int, wall_ns: int) -> tuple[Waiting, ...]:
        """All that wait, oldest first."""
        rows = self._db.execute("SELECT seq, body, told, boot, monotonic_ns, wall_ns FROM notice ORDER BY seq")
        now = Stamp(self._boot, monotonic_ns, wall_ns)
        return tuple(
            Waiting(seq, body, frozenset(json.loads(told)), age_ns(Stamp(*then), now) / SECOND)
            for seq, body, told, *then in rows
        )

    def told(self, seq: int, keys: frozenset[str]) -> None:
        """These addresses have it."""
        with Transaction(self._db):
            self._db.execute("UPDATE notice SET told = ? WHERE seq = ?", (json.dumps(sorted(keys)), seq))

    def finished(self, seq: int) -> None:
        """Everybody has it, or nobody wants it any more."""
        with Transaction(self._db):
            self._db.execute(
                "INSERT OR IGNORE INTO done (message_id) SELECT message_id FROM notice WHERE seq = ?", (seq,)
            )
            self._db.execute("DELETE FROM notice WHERE seq = ?", (seq,))
            self._db.execute("DELETE FROM done WHERE n <= (SELECT max(n) FROM done) - ?", (_REMEMBERED,))

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM notice").fetchone()[0])
