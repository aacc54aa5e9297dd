"""The gateway's durable memory: what waits for the centre, by lane and number (docs/decisions/0013).

Rules:

1. One transaction for a whole batch, synced to the medium before `add` returns; only then may the broker be told that
   it need not deliver the batch again.
2. Numbers count from 1 without holes, for each lane. They are given with the row's transaction, so none is given twice
   and none is missing, however the process ends.
3. What the broker delivers again is recognised: a message by its id and topic among the newest `remembered`, a
   retained one by its content, which comes again with every connection.
4. What is settled is forgotten by ranges and without a sync: lost, it only means to ask the stream once more.
5. Bounded: beyond the byte budget the oldest of the least important lane are dropped, alerts last. A dropped range
   becomes one gap row, which is sent in its place. What was loaded for sending is never dropped: it may be there.
6. The outbox has a name of its own, made with it; a lane whose numbers somebody else gave too gets another.
7. A file that cannot be read is put aside, and a new outbox begun; likewise one that another device wrote
   (`belonging`).

Standard `sqlite3`, not sqlite-utils: this process also runs on boards with 512 MB. One thread at a time.
"""

import hashlib
import logging
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from roost_broker.centre.lanes import LANE_NAMES, LaneName
from roost_broker.errors import PeerError
from roost_broker.gateway import waiting_pictures
from roost_broker.gateway.belonging import NODE_FACT
from roost_broker.gateway.dispatch import LaneStanding
from roost_broker.gateway.rows import Arrival, Row, content_of, size_of
from roost_broker.gateway.waiting_pictures import WaitingPictures
from roost_broker.moments import Stamp
from roost_broker.transaction import Transaction

_log = logging.getLogger(__name__)
_SHIFT = 48
_PAGE_BYTES = 1_000_000
_FORGET_EVERY = 128
_TABLES = """
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS boot (n INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS lane (
  n INTEGER PRIMARY KEY, settled INTEGER NOT NULL, last INTEGER NOT NULL, position INTEGER,
  bytes INTEGER NOT NULL, rows INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS waiting (
  id INTEGER PRIMARY KEY, topic TEXT NOT NULL, retained INTEGER NOT NULL, gap_first INTEGER,
  boot INTEGER NOT NULL, monotonic_ns INTEGER NOT NULL, wall_ns INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS seen (n INTEGER PRIMARY KEY, key BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS retained (topic TEXT PRIMARY KEY, digest BLOB NOT NULL) WITHOUT ROWID;
"""


class Full(PeerError):
    """The medium is full: nothing of the batch was written."""


@dataclass(slots=True)
class Added:
    """What became of a batch."""

    last: dict[LaneName, int] = field(default_factory=dict)
    known: int = 0
    """Messages that were there already."""
    dropped: dict[LaneName, int] = field(default_factory=dict)
    """Messages given up for the budget."""
    frames_dropped: int = 0


@dataclass(slots=True)
class _Lane:
    settled: int = 0
    last: int = 0
    position: int | None = None
    bytes: int = 0
    rows: int = 0
    reach: int = 0
    """What was loaded up to here may be on its way."""
    forgotten: int = 0


class Outbox:
    """See the module's rules."""

    def __init__(
        self,
        path: Path,
        *,
        boot: str,
        node: str = "",
        max_bytes: int,
        max_lane_messages: int = 1_000_000,
        remembered: int = 20_000,
        max_frames: int = 20_000,
        reach: int = 64,
        max_pages: int | None = None,
    ) -> None:
        self.path = path
        self.put_aside: Path | None = None
        """Where an unreadable outbox lies now."""
        self._boot = boot
        self._node = node
        self._max_bytes = max_bytes
        self._max_lane = max_lane_messages
        self._remembered = remembered
        self._max_frames = max_frames
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._open(reach, max_pages)
        except sqlite3.OperationalError as error:
            raise PeerError(f"{path} cannot be used as the gateway's outbox: {error}.", "Is the disk full?") from error
        except (sqlite3.DatabaseError, ValueError) as error:
            self._put_aside(error)
            self._open(reach, max_pages)

    def _open(self, reach: int, max_pages: int | None) -> None:
        # The role calls from one worker thread, and opens it from another.
        self._db = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA journal_size_limit=8000000")
            if max_pages is not None:
                self._db.execute(f"PRAGMA max_page_count={int(max_pages)}")
            self._db.executescript(_TABLES + waiting_pictures.TABLES)
            self._load(reach)
        except BaseException:
            self._db.close()
            raise

    def _load(self, reach: int) -> None:
        found = self._db.execute("SELECT value FROM fact WHERE name = 'outbox'").fetchone()
        self.fresh = found is None
        self.name: str = os.urandom(16).hex() if found is None else str(found[0])
        """As it was made; see `name_of`."""
        renamed = self._db.execute("SELECT substr(name, 8), value FROM fact WHERE name LIKE 'outbox:%'")
        self._renamed: dict[str, str] = {str(lane): str(name) for lane, name in renamed}
        self._lanes = {lane: _Lane() for lane in LANE_NAMES}
        with Transaction(self._db):
            self._db.execute("INSERT OR IGNORE INTO fact VALUES ('outbox', ?)", (self.name,))
            self._db.execute("INSERT OR IGNORE INTO fact VALUES (?, ?)", (NODE_FACT, self._node))
            self._db.execute("INSERT OR IGNORE INTO boot (name) VALUES (?)", (self._boot,))
            for number, settled, last, position, size, rows in self._db.execute("SELECT * FROM lane").fetchall():
                lane = self._lanes[LANE_NAMES[number]]
                lane.settled, lane.last, lane.position, lane.bytes, lane.rows = settled, last, position, size, rows
                lane.forgotten = settled
                # An earlier process may have sent so many of them, and not written down yet what was settled.
                lane.reach = min(last, settled + reach + _FORGET_EVERY)
        self._boots = {int(n): str(name) for n, name in self._db.execute("SELECT n, name FROM boot")}
        self._boot_number = next(n for n, name in self._boots.items() if name == self._boot)
        rows = self._db.execute("SELECT n, key FROM seen ORDER BY n DESC LIMIT ?", (self._remembered,)).fetchall()
        self._seen = dict.fromkeys(bytes(key) for _, key in reversed(rows))
        self._seen_next = rows[0][0] + 1 if rows else 1
        self._retained = {str(topic): bytes(d) for topic, d in self._db.execute("SELECT topic, digest FROM retained")}
        self.pictures = WaitingPictures(self._db, self._max_frames)

    def _put_aside(self, error: Exception) -> None:
        aside = self.path.with_name(f"{self.path.name}.unreadable")
        for suffix in ("", "-wal", "-shm"):
            part = self.path.with_name(self.path.name + suffix)
            if part.exists():
                part.replace(aside.with_name(aside.name + suffix))
        self.put_aside = aside
        _log.error("The outbox %s could not be read (%s); it lies in %s now.", self.path, error, aside)

    def condemn(self) -> None:
        """Close the file, whose content turned out to be damaged, and put it aside: the next start begins a new one."""
        self._db.close()
        self._put_aside(PeerError("its content is damaged"))

    def close(self) -> None:
        """Close the file. What was committed stays."""
        self._db.close()

    # -- what it holds --------------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Bytes that wait, as the budget counts them."""
        return sum(lane.bytes for lane in self._lanes.values())

    @property
    def count(self) -> int:
        """Rows that wait or are about to be forgotten."""
        return sum(lane.rows for lane in self._lanes.values())

    def standing(self) -> dict[LaneName, LaneStanding]:
        """Where each lane is."""
        return {lane: LaneStanding(one.settled, one.last, one.position) for lane, one in self._lanes.items()}

    def rows_after(self, lane: LaneName, after: int, limit: int = 128) -> tuple[Row, ...]:
        """Messages behind number `after`, oldest first; about a megabyte at most."""
        base = LANE_NAMES.index(lane) << _SHIFT
        cursor = self._db.execute(
            "SELECT id, topic, retained, gap_first, boot, monotonic_ns, wall_ns, payload FROM waiting"
            " WHERE id > ? AND id < ? ORDER BY id LIMIT ?",
            (base + after, base + (1 << _SHIFT), limit),
        )
        found: list[Row] = []
        size = 0
        for number, topic, retained, gap_first, boot, monotonic_ns, wall_ns, payload in cursor:
            stamp = Stamp(self._boots.get(boot, ""), monotonic_ns, wall_ns)
            row = Row(lane, number - base, topic, payload, stamp, bool(retained), gap_first)
            found.append(row)
            size += row.size
            if size >= _PAGE_BYTES:
                break
        if found:
            self._lanes[lane].reach = max(self._lanes[lane].reach, found[-1].seq)
        return tuple(found)

    # -- what is written ------------------------------------------------------------------------------------------

    def add(self, batch: Sequence[Arrival]) -> Added:
        """Keep a batch, whole and durably. Raises `Full`."""
        added = Added()
        before = {lane: (one.last, one.bytes, one.rows) for lane, one in self._lanes.items()}
        news: list[bytes] = []
        retained: dict[str, bytes] = {}
        try:
            with Transaction(self._db):
                for one in batch:
                    self._add(one, added, news, retained)
                added.frames_dropped = self.pictures.note(batch)
                self._remember(news, retained)
                self._drop_surplus(added)
                self._save_lanes()
        except sqlite3.OperationalError as error:
            for lane, (last, size, rows) in before.items():
                self._lanes[lane].last, self._lanes[lane].bytes, self._lanes[lane].rows = last, size, rows
            for key in news:
                self._seen.pop(key, None)
            self._seen_next -= len(news)
            self.pictures.undone()
            raise Full(f"The gateway's outbox cannot grow: {error}.", "Make room on the disk.") from error
        self._retained.update(retained)
        while len(self._seen) > self._remembered:
            del self._seen[next(iter(self._seen))]
        added.last = {lane: one.last for lane, one in self._lanes.items()}
        return added

    def _add(self, one: Arrival, added: Added, news: list[bytes], retained: dict[str, bytes]) -> None:
        key = hashlib.blake2b(one.topic.encode() + b"\0" + one.identity, digest_size=16).digest()
        if self._is_known(one, key, retained):
            added.known += 1
            return
        if one.state:
            retained[one.topic] = key
        if key not in self._seen:
            self._seen[key] = None
            news.append(key)
        lane = self._lanes[one.lane]
        lane.last += 1
        lane.rows += 1
        lane.bytes += size_of(one.topic, one.payload)
        stamp = (self._boot_number, one.received.monotonic_ns, one.received.wall_ns)
        self._db.execute(
            "INSERT INTO waiting VALUES (?, ?, ?, NULL, ?, ?, ?, ?)",
            (_id(one.lane, lane.last), one.topic, one.retained, *stamp, one.payload),
        )

    def _is_known(self, one: Arrival, key: bytes, retained: dict[str, bytes]) -> bool:
        if one.retained and retained.get(one.topic, self._retained.get(one.topic)) == key:
            return True
        return key in self._seen and (one.named or one.again)

    def _remember(self, news: list[bytes], retained: dict[str, bytes]) -> None:
        for key in news:
            self._db.execute("INSERT INTO seen VALUES (?, ?)", (self._seen_next, key))
            self._seen_next += 1
        if self._seen_next % _FORGET_EVERY < len(news):
            self._db.execute("DELETE FROM seen WHERE n < ?", (self._seen_next - self._remembered,))
        self._db.executemany("REPLACE INTO retained VALUES (?, ?)", retained.items())

    def _save_lanes(self, even_empty: LaneName | None = None) -> None:
        self._db.executemany(
            "REPLACE INTO lane VALUES (?, ?, ?, ?, ?, ?)",
            [
                (number, one.settled, one.last, one.position, one.bytes, one.rows)
                for number, (lane, one) in enumerate(self._lanes.items())
                if one.last or lane == even_empty
            ],
        )

    def settle(self, lane: LaneName, through: int, position: int | None) -> None:
        """The centre has everything of a lane up to `through`. Written by ranges, and not synced (rule 4)."""
        one = self._lanes[lane]
        one.settled, one.position = max(one.settled, through), position
        if one.settled - one.forgotten >= _FORGET_EVERY:
            self._forget((lane,))

    def settle_all(self, settled: Mapping[LaneName, tuple[int, int | None]]) -> None:
        """`settle` for several lanes."""
        for lane, (through, position) in settled.items():
            self.settle(lane, through, position)

    def flush(self) -> None:
        """Write down what was settled; before the end, and when nothing else is to be done."""
        self._forget([lane for lane, one in self._lanes.items() if one.settled > one.forgotten])

    def _forget(self, lanes: Iterable[LaneName]) -> None:
        # No sync: it would wear the card, and a lost deletion only means to ask the stream once more.
        with Transaction(self._db, synced=False):
            for lane in lanes:
                self._forget_one(lane)
            self._save_lanes()

    def _forget_one(self, lane: LaneName) -> None:
        one = self._lanes[lane]
        ends = (_id(lane, 0), _id(lane, one.settled))
        size, rows = self._db.execute(
            "SELECT ifnull(sum(length(CAST(topic AS BLOB)) + length(payload)), 0), count(*) FROM waiting"
            " WHERE id > ? AND id <= ?",
            ends,
        ).fetchone()
        self._db.execute("DELETE FROM waiting WHERE id > ? AND id <= ?", ends)
        one.bytes -= size + rows * size_of("", b"")
        one.rows -= rows
        one.forgotten = one.settled

    def give_up(self, lane: LaneName, seq: int) -> None:
        """Put a gap in the place of one message."""
        with Transaction(self._db):
            self._make_gap(lane, seq, seq)
            self._save_lanes()

    def _drop_surplus(self, added: Added) -> None:
        for lane, one in self._lanes.items():
            if one.rows > self._max_lane:
                self._drop(lane, rows=one.rows - self._max_lane, size=0, added=added)
        for lane in reversed(LANE_NAMES):
            while (surplus := self.size - self._max_bytes) > 0:  # again, because a gap takes some room itself
                if not self._drop(lane, rows=0, size=surplus, added=added):
                    break

    def _drop(self, lane: LaneName, *, rows: int, size: int, added: Added) -> int:
        """Turn the oldest of a lane into a gap: so many rows and bytes, if it has them. Returns how many messages."""
        one = self._lanes[lane]
        first = max(one.settled, one.reach) + 1
        through = 0
        for number, length, gap_first in self._db.execute(
            "SELECT id, length(CAST(topic AS BLOB)) + length(payload), gap_first FROM waiting"
            " WHERE id >= ? AND id < ? ORDER BY id",
            (_id(lane, first), _id(lane, 0) + (1 << _SHIFT)),
        ):
            if rows <= 0 and size <= 0:
                break
            through = number - _id(lane, 0)
            rows -= 1
            size -= 0 if gap_first is not None else length + size_of("", b"")
        lost = self._make_gap(lane, first, through) if through else 0
        if lost:
            added.dropped[lane] = added.dropped.get(lane, 0) + lost
        return lost

    def _make_gap(self, lane: LaneName, first: int, through: int) -> int:
        """One row in the place of all from `first` to `through`; returns how many messages it replaced."""
        ends = (_id(lane, first), _id(lane, through))
        found = self._db.execute(
            "SELECT id, gap_first, length(CAST(topic AS BLOB)) + length(payload) FROM waiting"
            " WHERE id BETWEEN ? AND ? ORDER BY id",
            ends,
        ).fetchall()
        if not found:
            return 0
        one = self._lanes[lane]
        begin = found[0][1] or found[0][0] - _id(lane, 0)
        topic, boot, monotonic_ns, wall_ns = self._db.execute(
            "SELECT topic, boot, monotonic_ns, wall_ns FROM waiting WHERE id = ?", (found[-1][0],)
        ).fetchone()
        self._db.execute("DELETE FROM waiting WHERE id BETWEEN ? AND ?", ends)
        self._db.execute(
            "INSERT INTO waiting VALUES (?, ?, 0, ?, ?, ?, ?, x'')",
            (found[-1][0], topic, begin, boot, monotonic_ns, wall_ns),
        )
        one.bytes += size_of(topic, b"") - sum(row[2] + size_of("", b"") for row in found)
        one.rows -= len(found) - 1
        return sum(row[1] is None for row in found)

    def name_of(self, lane: LaneName) -> str:
        """What a lane's messages are told apart by at the centre, together with lane and number."""
        return self._renamed.get(lane, self.name)

    def renew(self, lane: LaneName, present: Mapping[int, bytes]) -> int:
        """A lane takes a new name and counts from 1 again. `present` is what the centre holds under the old one.

        By number and content (`content_of`): what is another message there is not settled by it. Returns how many
        messages were renumbered. Other lanes keep their name: what waits in two copies of an outbox has the same
        number in both, and arrives once.
        """
        name = os.urandom(16).hex()
        with Transaction(self._db):
            self._db.execute("REPLACE INTO fact VALUES (?, ?)", (f"outbox:{lane}", name))
            moved = self._renumber(lane, self._lanes[lane], present)
            self._save_lanes(even_empty=lane)
        self._renamed[lane] = name
        return moved

    def _renumber(self, lane: LaneName, one: _Lane, present: Mapping[int, bytes]) -> int:
        base = _id(lane, 0)
        numbers = [
            int(row[0])
            for row in self._db.execute(
                "SELECT id FROM waiting WHERE id > ? AND id < ? ORDER BY id", (base, base + (1 << _SHIFT))
            )
        ]
        given = 0
        for number in numbers:
            if number - base <= one.settled or self._is_there(number, present.get(number - base)):
                self._db.execute("DELETE FROM waiting WHERE id = ?", (number,))
                continue
            given += 1
            self._db.execute(
                "UPDATE waiting SET id = ?, gap_first = CASE WHEN gap_first IS NULL THEN NULL ELSE ? END WHERE id = ?",
                (base + given, given, number),
            )
        one.settled, one.last, one.position, one.reach, one.forgotten = 0, given, None, 0, 0
        one.bytes, one.rows = self._db.execute(
            "SELECT ifnull(sum(length(CAST(topic AS BLOB)) + length(payload) + ?), 0), count(*) FROM waiting"
            " WHERE id > ? AND id < ?",
            (size_of("", b""), base, base + (1 << _SHIFT)),
        ).fetchone()
        return given

    def _is_there(self, number: int, content: bytes | None) -> bool:
        if content is None:
            return False
        row = self._db.execute("SELECT topic, payload FROM waiting WHERE id = ?", (number,)).fetchone()
        return content_of(str(row[0]), bytes(row[1])) == content


def _id(lane: LaneName, seq: int) -> int:
    return (LANE_NAMES.index(lane) << _SHIFT) + seq
