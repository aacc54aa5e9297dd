"""The feed's durable memory (SQLite): posts, open sightings, what was counted, what was spent, when to try again.

Rules:

1. One transaction holds everything that follows from a result. When `commit` returns it survives kill -9 and power
   cut; only then may the result be acknowledged.
2. An attempt is written down before it is made, with what it costs. Whoever is killed in between has spent it, and
   tries once more as `unsure`: the service's own rule against repetition then tells whether it was there.
3. Bounded: beyond `max_waiting` answers go first, then the oldest; beyond `max_entries` old posts are forgotten with
   their pictures. All are counted.

Not safe for use by two threads at the same time.
"""

from pathlib import Path

import msgspec

from roost_broker.clock import MS, SECOND, Clock, looks_synced
from roost_broker.durable_database import look_into, open_durable
from roost_broker.moments import Stamp, age_ns
from roost_broker.transaction import Transaction
from roost_edge.feed.budget import MONTH_MS
from roost_edge.feed.rows import Changes, Draft, Kept, Row
from roost_edge.feed.sightings import REMEMBERED, Sighting

_TABLES = """
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sighting (
  task TEXT, camera TEXT, label TEXT, body BLOB NOT NULL, PRIMARY KEY (task, camera, label)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counted (n INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS post (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL UNIQUE, sighting_id TEXT NOT NULL,
  ordinal INTEGER NOT NULL, task TEXT NOT NULL, camera TEXT NOT NULL, label TEXT NOT NULL, text TEXT NOT NULL,
  alt TEXT NOT NULL, picture BLOB NOT NULL, frame TEXT NOT NULL, at_ms INTEGER NOT NULL,
  boot TEXT NOT NULL, monotonic_ns INTEGER NOT NULL, wall_ns INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT 'waiting', reason TEXT NOT NULL DEFAULT '', service_id TEXT NOT NULL DEFAULT '',
  mode TEXT NOT NULL DEFAULT '', attempts INTEGER NOT NULL DEFAULT 0, unsure INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS spent (n INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS reply (
  id TEXT PRIMARY KEY, topic TEXT NOT NULL, message BLOB, told INTEGER NOT NULL DEFAULT 0, why TEXT NOT NULL,
  author TEXT NOT NULL, text TEXT NOT NULL, at_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS heard (task TEXT, label TEXT, PRIMARY KEY (task, label)) WITHOUT ROWID;
"""
_COLUMNS = (
    "seq, request_id, sighting_id, ordinal, task, camera, label, text, alt, frame, at_ms, state, reason, service_id, "
    "mode, attempts, unsure, boot, monotonic_ns, wall_ns"
)
_sightings = msgspec.json.Decoder(Sighting)


class Store:
    """See the module's rules. Raises `PeerError` when the file is not a database."""

    def __init__(self, path: Path, clock: Clock, *, boot: str, look: bool = False) -> None:
        """`look`: only to read, as whoever asks how the feed stands may do beside the role."""
        self._clock = clock
        self._boot = boot
        self._look = look
        use, lost = "as the feed's memory", "posts that waited in it are lost, and its budget begins anew"
        self.db = look_into(path, use=use, lost=lost) if look else open_durable(path, _TABLES, use=use, lost=lost)

    def close(self) -> None:
        """Close the file. What was committed stays."""
        self.db.close()

    # -- the core's memory -------------------------------------------------------------------------------------------

    def load(self) -> Kept:
        """What was followed and counted when the last process ended."""
        bodies = [row[0] for row in self.db.execute("SELECT body FROM sighting")]
        ids = [row[0] for row in self.db.execute("SELECT request_id FROM counted ORDER BY n")]
        heard = frozenset((row[0], row[1]) for row in self.db.execute("SELECT task, label FROM heard"))
        return Kept(tuple(map(_sightings.decode, bodies)), tuple(ids), self.fact("boot") == self._boot, heard)

    def commit(self, changes: Changes, *, max_waiting: int) -> int:
        """Keep `changes`, whole and durably. Returns how many waiting posts were dropped to stay within the bound."""
        with Transaction(self.db):
            self._set("boot", self._boot)
            for key, sighting in changes.save.items():
                if sighting is None:
                    self.db.execute("DELETE FROM sighting WHERE task = ? AND camera = ? AND label = ?", key)
                else:
                    self.db.execute("REPLACE INTO sighting VALUES (?, ?, ?, ?)", (*key, msgspec.json.encode(sighting)))
            for request_id in changes.remember:
                self.db.execute("INSERT OR IGNORE INTO counted (request_id) VALUES (?)", (request_id,))
            self.db.execute("DELETE FROM counted WHERE n <= (SELECT max(n) FROM counted) - ?", (REMEMBERED,))
            self.db.executemany("INSERT OR IGNORE INTO heard VALUES (?, ?)", changes.heard)
            for draft in changes.drafts:
                self._insert(draft)
            return self._drop_surplus(max_waiting)

    def _insert(self, draft: Draft) -> None:
        self.db.execute(
            "INSERT OR IGNORE INTO post (request_id, sighting_id, ordinal, task, camera, label, text, alt, picture, "
            "frame, at_ms, boot, monotonic_ns, wall_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(draft.request_id, draft.sighting_id, draft.ordinal, draft.task, draft.camera, draft.label),
                *(draft.text, draft.alt, draft.picture, draft.frame, draft.at_ms),
                *(self._boot, self._clock.monotonic_ns(), self._clock.wall_ns()),
            ),
        )

    def _drop_surplus(self, max_waiting: int) -> int:
        surplus = len(self) - max_waiting
        if surplus <= 0:
            return 0
        self.db.execute(
            "UPDATE post SET state = 'dropped', reason = 'the queue was full' WHERE seq IN "
            "(SELECT seq FROM post WHERE state = 'waiting' ORDER BY ordinal = 0, seq LIMIT ?)",
            (surplus,),
        )
        return surplus

    # -- posts -------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return int(self.db.execute("SELECT count(*) FROM post WHERE state = 'waiting'").fetchone()[0])

    def waiting(self) -> tuple[Row, ...]:
        """What is to be sent, oldest first."""
        return self._rows("WHERE state = 'waiting' ORDER BY seq")

    def newest(self, limit: int) -> tuple[Row, ...]:
        """The newest posts, whatever became of them; newest first."""
        return self._rows("ORDER BY seq DESC LIMIT ?", limit)

    def by_service_id(self, service_id: str) -> Row | None:
        """Which post the service knows under this number."""
        return next(iter(self._rows("WHERE service_id = ?", service_id)), None)

    def root(self, row: Row) -> str:
        """The service's number of the first post of this sighting; empty where it has none."""
        found = self.db.execute(
            "SELECT service_id FROM post WHERE sighting_id = ? AND mode = 'service' AND service_id != '' AND seq < ? "
            "ORDER BY seq LIMIT 1",
            (row.sighting_id, row.seq),
        ).fetchone()
        return "" if found is None else str(found[0])

    def picture(self, seq: int) -> bytes:
        """A post's picture; empty when the post is gone."""
        found = self.db.execute("SELECT picture FROM post WHERE seq = ?", (seq,)).fetchone()
        return b"" if found is None else bytes(found[0])

    def attempt(self, seq: int, *, paid: bool) -> int:
        """Rule 2: an attempt begins. Returns what to give to `settle`; 0 for one that costs nothing."""
        with Transaction(self.db):
            self.db.execute("UPDATE post SET attempts = attempts + 1, unsure = unsure + ? WHERE seq = ?", (paid, seq))
            if not paid:
                return 0
            made = self.db.execute("INSERT INTO spent (at_ms) VALUES (?)", (self._clock.wall_ns() // MS,))
            return int(made.lastrowid or 0)

    def posted(self, seq: int, spent: int, *, mode: str, service_id: str, said_ms: int | None) -> None:
        """It is there."""
        with Transaction(self.db):
            self.db.execute(
                "UPDATE post SET state = 'posted', reason = '', mode = ?, service_id = ?, unsure = 0 WHERE seq = ?",
                (mode, service_id, seq),
            )
            if said_ms is not None:
                self.db.execute("UPDATE spent SET at_ms = ? WHERE n = ?", (said_ms, spent))

    def put_off(self, seq: int, spent: int, why: str, *, unsure: bool) -> None:
        """Not now: it goes on waiting, and has cost nothing unless it is `unsure`."""
        with Transaction(self.db):
            self.db.execute(
                "UPDATE post SET reason = ?, unsure = max(0, unsure - ?) WHERE seq = ?", (why, not unsure, seq)
            )
            if not unsure:
                self.db.execute("DELETE FROM spent WHERE n = ?", (spent,))

    def drop(self, seq: int, why: str, *, spent: int = 0) -> None:
        """It will not be sent."""
        with Transaction(self.db):
            self.db.execute("UPDATE post SET state = 'dropped', reason = ?, unsure = 0 WHERE seq = ?", (why, seq))
            self.db.execute("DELETE FROM spent WHERE n = ?", (spent,))

    def forget_old(self, max_entries: int) -> None:
        """Forget posts beyond the newest so many, except those that still wait."""
        with Transaction(self.db, synced=False):
            self.db.execute(
                "DELETE FROM post WHERE state != 'waiting' AND seq <= "
                "(SELECT seq FROM post ORDER BY seq DESC LIMIT 1 OFFSET ?)",
                (max_entries,),
            )

    # -- budget and patience -----------------------------------------------------------------------------------------

    def spent(self) -> list[int]:
        """Stamps of all posts that still count; what is certainly too old is forgotten."""
        oldest = self._clock.wall_ns() // MS - MONTH_MS
        found = [row[0] for row in self.db.execute("SELECT at_ms FROM spent ORDER BY n")]
        if not self._look and looks_synced(self._clock.wall_ns()) and len(found) > 1_000 and found[0] < oldest:
            with Transaction(self.db, synced=False):
                self.db.execute("DELETE FROM spent WHERE at_ms < ?", (oldest,))
        return found

    def pause(self, ns: int, why: str, failures: int) -> None:
        """Nothing is sent for so long; survives a restart."""
        now = (self._clock.monotonic_ns(), self._clock.wall_ns())
        body = {"boot": self._boot, "monotonic": now[0] + ns, "wall": now[1] + ns, "ns": ns}
        with Transaction(self.db):
            self._set("pause", msgspec.json.encode({**body, "why": why, "failures": failures}).decode())

    def no_pause(self) -> None:
        """The service answered, or somebody wants it tried now."""
        with Transaction(self.db):
            self.db.execute("DELETE FROM fact WHERE name = 'pause'")

    def paused(self) -> tuple[int, str, int]:
        """How long nothing is to be sent (ns, 0: send), why, and after how many failures in a row."""
        text = self.fact("pause")
        if not text:
            return 0, "", 0
        said = msgspec.json.decode(text)
        if said["boot"] == self._boot:
            left = said["monotonic"] - self._clock.monotonic_ns()
        else:
            left = said["wall"] - self._clock.wall_ns()
        return min(max(0, left), said["ns"]), said["why"], said["failures"]  # never longer, whatever the clock did

    # -- facts -------------------------------------------------------------------------------------------------------

    def fact(self, name: str) -> str:
        """What was kept under a name; empty: nothing."""
        found = self.db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return "" if found is None else str(found[0])

    def keep(self, **facts: str) -> None:
        """Keep values under names."""
        with Transaction(self.db):
            for name, value in facts.items():
                self._set(name, value)

    def _set(self, name: str, value: str) -> None:
        self.db.execute("REPLACE INTO fact VALUES (?, ?)", (name, value))

    def _rows(self, rest: str, *values: object) -> tuple[Row, ...]:
        found = self.db.execute(f"SELECT {_COLUMNS} FROM post {rest}", values)  # noqa: S608  # our own words
        return tuple(Row(*(*row[:16], bool(row[16]), self._age_s(Stamp(*row[17:])))) for row in found.fetchall())

    def _age_s(self, then: Stamp) -> float:
        return age_ns(then, Stamp(self._boot, self._clock.monotonic_ns(), self._clock.wall_ns())) / SECOND
