"""The alerts' durable memory: what must still be published, which sightings are open, what was counted already.

Rules:

1. One transaction holds everything that follows from a result. When `commit` returns it survives kill -9 and power
   cut; only then may the result be acknowledged.
2. An alert leaves the outbox when the broker has taken it (PUBACK). Whoever is killed in between publishes the same
   bytes again: readers recognise the repetition by its message id.
3. Bounded: beyond `max_waiting` updates go first, then the oldest. Alerts past their expiry go too. Both are counted.

Not safe for use by two threads at the same time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from roost_broker.clock import SECOND
from roost_broker.durable_database import open_durable
from roost_broker.moments import Stamp, age_ns
from roost_broker.transaction import Transaction
from roost_edge.alerts.cameras import LastSeen
from roost_edge.alerts.rules import RuleMemory
from roost_edge.alerts.sightings import REMEMBERED, Key, Sighting

_TABLES = """
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sighting (
  task TEXT, camera TEXT, label TEXT, body BLOB NOT NULL, PRIMARY KEY (task, camera, label)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counted (n INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS rule (name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS camera (name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS waiting (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL,
  boot TEXT NOT NULL, monotonic_ns INTEGER NOT NULL, wall_ns INTEGER NOT NULL);
"""

_sightings = msgspec.json.Decoder(Sighting)
_rules = msgspec.json.Decoder(RuleMemory)
_cameras = msgspec.json.Decoder(LastSeen)


@dataclass(frozen=True, slots=True)
class Letter:
    """An alert on its way out: encoded once, so that a repetition is the same bytes."""

    type: Literal["new", "update", "end"]
    topic: str
    payload: bytes


@dataclass(slots=True)
class Changes:
    """What one turn of the role wants kept, in one transaction."""

    letters: list[Letter] = field(default_factory=list)
    save: dict[Key, Sighting | None] = field(default_factory=dict)
    """None: forget it."""
    remember: list[str] = field(default_factory=list)
    rules: dict[str, RuleMemory] = field(default_factory=dict)
    cameras: dict[str, LastSeen] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.letters or self.save or self.remember or self.rules or self.cameras)


@dataclass(frozen=True, slots=True)
class Kept:
    """What an earlier process left."""

    sightings: tuple[Sighting, ...]
    remembered: tuple[str, ...]
    same_boot: bool
    rules: tuple[RuleMemory, ...] = ()
    cameras: tuple[LastSeen, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """A letter that the broker has not taken yet."""

    seq: int
    topic: str
    payload: bytes
    age_s: float


class Outbox:
    """See the module's rules. Raises `PeerError` when the file is not a database."""

    def __init__(self, path: Path, *, boot: str, max_waiting: int) -> None:
        self._boot = boot
        self._max_waiting = max_waiting
        lost = "alerts that waited in it are lost, everything else goes on"
        self._db = open_durable(path, _TABLES, use="as the alerts' outbox", lost=lost)

    def close(self) -> None:
        """Close the file. What was committed stays."""
        self._db.close()

    def load(self) -> Kept:
        """What was open and counted when the last process ended."""
        bodies = [row[0] for row in self._db.execute("SELECT body FROM sighting")]
        ids = [row[0] for row in self._db.execute("SELECT request_id FROM counted ORDER BY n")]
        boot = self._db.execute("SELECT value FROM fact WHERE name = 'boot'").fetchone()
        return Kept(
            tuple(_sightings.decode(body) for body in bodies),
            tuple(ids),
            boot is not None and boot[0] == self._boot,
            tuple(_rules.decode(row[0]) for row in self._db.execute("SELECT body FROM rule")),
            tuple(_cameras.decode(row[0]) for row in self._db.execute("SELECT body FROM camera")),
        )

    def commit(self, changes: Changes, *, monotonic_ns: int, wall_ns: int) -> int:
        """Keep `changes`, whole and durably. Returns how many waiting letters were dropped to stay within the bound."""
        stamp = (self._boot, monotonic_ns, wall_ns)
        with Transaction(self._db):
            self._db.execute("REPLACE INTO fact VALUES ('boot', ?)", (self._boot,))
            for key, sighting in changes.save.items():
                if sighting is None:
                    self._db.execute("DELETE FROM sighting WHERE task = ? AND camera = ? AND label = ?", key)
                else:
                    self._db.execute("REPLACE INTO sighting VALUES (?, ?, ?, ?)", (*key, msgspec.json.encode(sighting)))
            for name, memory in changes.rules.items():
                self._db.execute("REPLACE INTO rule VALUES (?, ?)", (name, msgspec.json.encode(memory)))
            for name, seen in changes.cameras.items():
                self._db.execute("REPLACE INTO camera VALUES (?, ?)", (name, msgspec.json.encode(seen)))
            for request_id in changes.remember:
                self._db.execute("INSERT OR IGNORE INTO counted (request_id) VALUES (?)", (request_id,))
            self._db.execute("DELETE FROM counted WHERE n <= (SELECT max(n) FROM counted) - ?", (REMEMBERED,))
            for letter in changes.letters:
                self._db.execute(
                    "INSERT INTO waiting (type, topic, payload, boot, monotonic_ns, wall_ns) VALUES (?, ?, ?, ?, ?, ?)",
                    (letter.type, letter.topic, letter.payload, *stamp),
                )
            return self._drop_surplus()

    def waiting(self, *, after: int, limit: int, monotonic_ns: int, wall_ns: int) -> tuple[Waiting, ...]:
        """Letters with a sequence number above `after`, oldest first."""
        rows = self._db.execute(
            "SELECT seq, topic, payload, boot, monotonic_ns, wall_ns FROM waiting WHERE seq > ? ORDER BY seq LIMIT ?",
            (after, limit),
        )
        now = Stamp(self._boot, monotonic_ns, wall_ns)
        return tuple(
            Waiting(seq, topic, payload, age_ns(Stamp(*then), now) / SECOND) for seq, topic, payload, *then in rows
        )

    def taken(self, seqs: Iterable[int]) -> None:
        """Remove letters that the broker has taken, or that nobody wants any more."""
        # No sync here, it would wear the card: a lost deletion only means the same bytes once more (rule 2).
        with Transaction(self._db, synced=False):
            self._db.executemany("DELETE FROM waiting WHERE seq = ?", [(seq,) for seq in seqs])

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM waiting").fetchone()[0])

    def _drop_surplus(self) -> int:
        surplus = len(self) - self._max_waiting
        if surplus <= 0:
            return 0
        self._db.execute(
            "DELETE FROM waiting WHERE seq IN (SELECT seq FROM waiting ORDER BY type != 'update', seq LIMIT ?)",
            (surplus,),
        )
        return surplus
