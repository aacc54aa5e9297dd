"""The durable log of what was asked: a request is *accepted* when its row is here.

1. A row is written, and synced to the card, before the request is published (`accept`): one fsync per request.
2. A row stays open until the decoy's receipt and an official result have been seen; what is open is published again.
3. The first result is the answer. The same message again is a harmless duplicate; another message for the same request
   is a `second-answer`: counted, never stored over the first.
4. Receipts and results are committed before they are acknowledged to the broker. They are not synced one by one: what a
   power cut takes of them is open again, is asked again, and every consumer is idempotent.
5. A request that the gateway is to forward is noted as `unforwarded` with its acceptance, until the gateway's receipt.
6. Bounded: closed rows are trimmed by age and number. Open rows never are; capture bounds them (`max_open`).

One writer per file, in one thread at a time; any number of readers (`request_summary`). Plain sqlite3, because
sqlite-utils would cost this role 26 MB.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from roost_broker.clock import MS, boot_id
from roost_broker.errors import Misuse, PeerError
from roost_broker.messages import Receipt, Request, Result

_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_SHMSIZE)


def no_room(error: sqlite3.OperationalError) -> bool:
    """Whether the medium is full (or can no longer be written to, which looks the same to SQLite)."""
    return error.sqlite_errorcode in _FULL


Outcome: TypeAlias = Literal["recorded", "duplicate", "second-answer", "stranger"]

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE requests (
    request_id TEXT PRIMARY KEY,
    message_id TEXT NOT NULL,
    boot TEXT NOT NULL,
    seq INTEGER NOT NULL,
    payload BLOB NOT NULL,
    deadline_ms INTEGER NOT NULL,
    accepted_ns INTEGER NOT NULL,
    accepted_wall_ms INTEGER NOT NULL,
    frame TEXT,
    frame_bytes INTEGER NOT NULL DEFAULT 0,
    frame_kept INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 1, -- publications; the first follows acceptance at once
    last_published_wall_ms INTEGER,
    receipt_wall_ms INTEGER,
    result_wall_ms INTEGER,
    result_message_id TEXT,
    result BLOB,
    cause TEXT,
    model TEXT,
    elapsed_ms REAL,
    second_answers INTEGER NOT NULL DEFAULT 0,
    UNIQUE (boot, seq)
) WITHOUT ROWID;
CREATE INDEX requests_by_time ON requests (accepted_wall_ms, seq);
CREATE INDEX requests_open ON requests (accepted_wall_ms, seq)
    WHERE receipt_wall_ms IS NULL OR result_wall_ms IS NULL;
CREATE INDEX requests_with_frame ON requests (frame) WHERE frame_kept = 1;
CREATE VIEW open_requests AS SELECT * FROM requests WHERE receipt_wall_ms IS NULL OR result_wall_ms IS NULL;
CREATE VIEW closed_requests AS SELECT * FROM requests WHERE receipt_wall_ms NOT NULL AND result_wall_ms NOT NULL;
CREATE TABLE sequences (boot TEXT PRIMARY KEY, last INTEGER NOT NULL);
CREATE TABLE totals (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""


_UNFORWARDED = "CREATE TABLE IF NOT EXISTS unforwarded (request_id TEXT PRIMARY KEY) WITHOUT ROWID"
"""Beside the schema: logs that were begun without it go on."""


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """An accepted request that has not been archived, answered and, where there is a gateway, forwarded."""

    request_id: str
    payload: bytes
    """As it was first published."""
    attempts: int
    receipt: bool
    result: bool
    forwarded: bool = True
    """False: the gateway's receipt is awaited."""


@dataclass(frozen=True, slots=True)
class KeptFrame:
    """A stored frame that no open request needs any more."""

    sha256: str
    bytes: int


class RequestLog:
    """See the module's rules. Use as a context manager, or call `close`."""

    def __init__(self, path: Path, *, boot: str | None = None) -> None:
        self.path = path
        self._boot = boot or boot_id()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Statements begin and end their transactions themselves; the capture's disk thread is the one user.
            self._conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
            try:
                self._prepare()
                row = self._conn.execute("SELECT last FROM sequences WHERE boot = ?", (self._boot,)).fetchone()
                kept = self._conn.execute(
                    "SELECT COALESCE(SUM(frame_bytes), 0) FROM requests WHERE frame_kept = 1"
                ).fetchone()
            except BaseException:
                self._conn.close()
                raise
        except sqlite3.DatabaseError as error:
            raise PeerError(
                f"The request log {path} cannot be opened: {error}.",
                "If the file is damaged, move it away: a new one is begun; open requests in it are lost.",
            ) from error
        self._last_seq: int = row[0] if row else 0
        self._frame_bytes: int = kept[0]

    def _prepare(self) -> None:
        self._conn.execute("PRAGMA journal_mode = WAL")
        self._conn.execute("PRAGMA synchronous = FULL")
        (version,) = self._conn.execute("PRAGMA user_version").fetchone()
        if version == 0:
            self._conn.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;")
        elif version != _SCHEMA_VERSION:
            raise Misuse(
                f"The request log {self.path} has format {version}, this version reads {_SCHEMA_VERSION}.",
                "Use the version of Roost that wrote it, or move the file away.",
            )
        self._conn.execute(_UNFORWARDED)

    def __enter__(self) -> "RequestLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Nothing is lost without it."""
        self._conn.close()

    @contextmanager
    def _transaction(self, *, synced: bool) -> Iterator[sqlite3.Connection]:
        self._conn.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
        self._conn.execute("BEGIN IMMEDIATE")
        try:
            yield self._conn
            self._conn.execute("COMMIT")
        except BaseException:
            if self._conn.in_transaction:
                self._conn.execute("ROLLBACK")
            raise

    # What capture writes

    def next_seq(self) -> int:
        """The next number of this boot; durable, and so never used again, once its request is accepted."""
        return self._last_seq + 1

    def accept(self, request: Request, payload: bytes, *, accepted_wall_ms: int, forwarded: bool = True) -> None:
        """Write and sync a request; from now on it is *accepted*. `request.issued` is required.

        `forwarded` false: the gateway's receipt for it is awaited too.

        Raises `Misuse` for an id or a sequence number that is already in the log.
        """
        issued, frame = request.issued, request.input.frame
        if issued is None or issued.boot != self._boot:
            raise Misuse("A request for the log needs `issued` of this boot.", "Let capture build the request.")
        try:
            with self._transaction(synced=True) as conn:
                conn.execute(
                    "INSERT INTO requests (request_id, message_id, boot, seq, payload, deadline_ms, accepted_ns,"
                    " accepted_wall_ms, last_published_wall_ms, frame, frame_bytes, frame_kept)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(request.request_id, request.message_id, issued.boot, issued.seq, payload),
                        *(request.deadline_ms, issued.monotonic_ns, accepted_wall_ms, accepted_wall_ms),
                        *((frame.sha256, frame.bytes, 1) if frame else (None, 0, 0)),
                    ),
                )
                if not forwarded:
                    conn.execute("INSERT INTO unforwarded VALUES (?)", (request.request_id,))
                conn.execute(
                    "INSERT INTO sequences VALUES (?, ?)"
                    " ON CONFLICT (boot) DO UPDATE SET last = MAX(last, excluded.last)",
                    (issued.boot, issued.seq),
                )
        except sqlite3.IntegrityError as error:
            raise Misuse(
                f"Request {request.request_id} (seq {issued.seq}) is already in the log.",
                "One process writes a camera's log.",
            ) from error
        self._last_seq = max(self._last_seq, issued.seq)
        self._frame_bytes += frame.bytes if frame else 0

    def published_again(self, request_id: str, *, wall_ms: int) -> None:
        """Note that a request is being published again; the first time is part of `accept`."""
        with self._transaction(synced=False) as conn:
            conn.execute(
                "UPDATE requests SET attempts = attempts + 1, last_published_wall_ms = ? WHERE request_id = ?",
                (wall_ms, request_id),
            )

    def receipt(self, receipt: Receipt, *, wall_ms: int) -> Outcome:
        """Note that the decoy has archived a request's input."""
        with self._transaction(synced=False) as conn:
            row = conn.execute(
                "SELECT receipt_wall_ms FROM requests WHERE request_id = ?", (receipt.request_id,)
            ).fetchone()
            if row is None:
                return "stranger"
            if row[0] is not None:
                return "duplicate"
            conn.execute("UPDATE requests SET receipt_wall_ms = ? WHERE request_id = ?", (wall_ms, receipt.request_id))
        return "recorded"

    def forwarded(self, request_ids: Iterable[str]) -> None:
        """The gateway has these, or they are given up: no longer awaited."""
        with self._transaction(synced=False) as conn:
            conn.executemany("DELETE FROM unforwarded WHERE request_id = ?", [(one,) for one in request_ids])

    def result(self, result: Result, payload: bytes, *, arrived_ns: int, wall_ms: int) -> Outcome:
        """Store an official result. `arrived_ns`: monotonic, when it reached this process."""
        with self._transaction(synced=False) as conn:
            row = conn.execute(
                "SELECT result_message_id, accepted_ns, boot FROM requests WHERE request_id = ?", (result.request_id,)
            ).fetchone()
            if row is None:
                return "stranger"
            known, accepted_ns, boot = row
            if known == result.message_id:
                return "duplicate"
            if known is not None:
                conn.execute(
                    "UPDATE requests SET second_answers = second_answers + 1 WHERE request_id = ?", (result.request_id,)
                )
                return "second-answer"
            # Readings of different boots cannot be compared: such an answer has no latency.
            elapsed_ms = (arrived_ns - accepted_ns) / MS if boot == self._boot else None
            conn.execute(
                "UPDATE requests SET result_wall_ms = ?, result_message_id = ?, result = ?, cause = ?, model = ?,"
                " elapsed_ms = ? WHERE request_id = ?",
                (
                    *(wall_ms, result.message_id, payload, result.cause),
                    *(result.answer.model if result.answer else "", elapsed_ms, result.request_id),
                ),
            )
        return "recorded"

    # What capture reads

    def open_requests(self) -> list[OpenRequest]:
        """All open requests and those that the gateway has not told of, oldest first."""
        rows = self._conn.execute(
            "SELECT request_id, payload, attempts, receipt_wall_ms IS NOT NULL, result_wall_ms IS NOT NULL,"
            " request_id NOT IN unforwarded FROM requests WHERE request_id IN unforwarded"
            " OR receipt_wall_ms IS NULL OR result_wall_ms IS NULL ORDER BY accepted_wall_ms, seq"
        )
        return [OpenRequest(row[0], row[1], row[2], bool(row[3]), bool(row[4]), bool(row[5])) for row in rows]

    # What keeps it bounded

    @property
    def frame_bytes(self) -> int:
        """Bytes of the frames that rows of this log still keep (a frame asked about twice counts twice)."""
        return self._frame_bytes

    def trim(self, *, before_wall_ms: int, keep: int) -> tuple[KeptFrame, ...]:
        """Delete closed rows older than `before_wall_ms` or beyond the newest `keep`; returns the frames let go."""
        with self._transaction(synced=False) as conn:
            total = conn.execute("SELECT COUNT(*) FROM requests").fetchone()[0]
            doomed = conn.execute(
                "SELECT request_id, frame, frame_bytes, frame_kept FROM closed_requests WHERE accepted_wall_ms < ?"
                " UNION SELECT * FROM (SELECT request_id, frame, frame_bytes, frame_kept FROM closed_requests"
                " ORDER BY accepted_wall_ms, seq LIMIT ?)",
                (before_wall_ms, max(0, total - keep)),
            ).fetchall()
            for table in ("requests", "unforwarded"):
                conn.executemany(f"DELETE FROM {table} WHERE request_id = ?", [(row[0],) for row in doomed])  # noqa: S608  # our own two names
            conn.execute(
                "INSERT INTO totals VALUES ('trimmed', ?)"
                " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
                (len(doomed),),
            )
            return self._let_go([(row[1], row[2]) for row in doomed if row[3]])

    def spare_frames(self, budget_bytes: int) -> tuple[KeptFrame, ...]:
        """Give up the oldest frames of closed requests until the rest fits the budget; returns those to delete."""
        if self._frame_bytes <= budget_bytes:
            return ()
        with self._transaction(synced=False) as conn:
            excess, given_up = self._frame_bytes - budget_bytes, []
            rows = conn.execute(
                "SELECT request_id, frame, frame_bytes FROM closed_requests WHERE frame_kept = 1"
                " ORDER BY accepted_wall_ms, seq"
            )
            for row in rows:
                if excess <= 0:
                    break
                given_up.append(row)
                excess -= row[2]
            conn.executemany("UPDATE requests SET frame_kept = 0 WHERE request_id = ?", [(row[0],) for row in given_up])
            return self._let_go([(row[1], row[2]) for row in given_up])

    def could_spare(self, size: int) -> tuple[KeptFrame, ...]:
        """The oldest frames that make up `size` bytes and that no open request needs; nothing is written."""
        rows = self._conn.execute(
            "SELECT frame, frame_bytes FROM closed_requests WHERE frame_kept = 1"
            " AND frame NOT IN (SELECT frame FROM open_requests WHERE frame NOT NULL) ORDER BY accepted_wall_ms, seq"
        )
        found: list[KeptFrame] = []
        for row in rows:
            if size <= 0:
                break
            found.append(KeptFrame(row[0], row[1]))
            size -= row[1]
        return tuple(found)

    def _let_go(self, frames: list[tuple[str, int]]) -> tuple[KeptFrame, ...]:
        """Of frames whose rows gave them up: those that no other row keeps."""
        self._frame_bytes -= sum(size for _, size in frames)
        free = {}
        for sha256, size in frames:
            still = self._conn.execute(
                "SELECT 1 FROM requests WHERE frame = ? AND frame_kept = 1", (sha256,)
            ).fetchone()
            if still is None:
                free[sha256] = size
        return tuple(KeptFrame(sha256, size) for sha256, size in free.items())
