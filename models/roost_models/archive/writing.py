"""The archive: every input as the models saw it, every answer, every result; frames within a byte budget.

Rules of this module:

1. What `write` returned for is safe: one transaction for the whole batch, synced to the medium before it returns
   whenever the batch holds an input (a receipt is about to be given for it). Batches of answers alone are not synced:
   they survive kill -9, and a power cut takes the broker's own acknowledgements with it anyway. That makes one sync
   for each event on an SD card, not three.
2. Writing is idempotent. What is already there changes nothing and is called `DUPLICATE`; what says something else
   about the same request is called `DIFFERENT`, counted by name in `anomalies`, and never written over the first.
3. A request re-published with another attempt number is the same question: its bytes are kept as a *variant*, so that
   whatever a model saw can be found by its digest.
4. A frame's file is in place before its input is committed (`frames`).
5. A frame that cannot be stored costs the frame, not the record: the reason is noted beside the input.

It does not decide what is worth keeping (that is the janitor's business) and never deletes a record.
"""

import fcntl
import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from roost_broker.errors import Misuse, RoostError
from roost_broker.frames import FrameStore
from roost_broker.messages import Declined, Request, Result, Score, decode
from roost_broker.room import Reserve, Room, keeper_counts, room_of
from roost_models.archive import schema as archive_schema
from roost_models.archive.budget import Removals
from roost_models.archive.frames import FrameShelf, Taken
from roost_models.archive.reading import ArchiveReader, as_request
from roost_models.archive.settings import ArchiveSettings as ArchiveSettings
from roost_models.database import Database


class ArchiveFull(RoostError):
    """The database could not grow. Nothing of the batch was written, so no receipt may be given for it."""


class Outcome(StrEnum):
    """What became of one message."""

    NEW = "new"
    DUPLICATE = "duplicate"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Item:
    """One message to be archived, with the exact bytes it came in."""

    payload: bytes
    message: Request | Score | Declined | Result
    task: str
    received_ns: int
    """Wall clock; a label, not an order."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one item. `saw` is the digest of an input's archived bytes, `note` why its frame is missing."""

    outcome: Outcome
    saw: str = ""
    note: str | None = None


class Archive(ArchiveReader):
    """The archive as its one writer has it. A second writer on the same folder is refused."""

    def __init__(
        self,
        root: Path,
        *,
        settings: ArchiveSettings | None = None,
        reserve: Reserve | None = None,
        measure: Callable[[Path], Room] = room_of,
    ) -> None:
        self.settings = settings or ArchiveSettings()
        super().__init__(root)
        try:
            self._shelf = FrameShelf(self._db, self.frames, self.settings, reserve=reserve, measure=measure)
        except BaseException:
            self.close()
            raise

    def _open(self, root: Path) -> Database:
        root.mkdir(parents=True, exist_ok=True)
        self._lock = (root / archive_schema.LOCK).open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return archive_schema.open_for_writing(root)
        except BlockingIOError as error:
            self._lock.close()
            raise Misuse(
                f"Another process writes the archive in {root}.",
                "Stop the other decoy, give this one another folder, or open the archive for reading.",
            ) from error
        except BaseException:
            self._lock.close()
            raise

    def close(self) -> None:
        """Let go of the database and of the writer's lock."""
        super().close()
        self._lock.close()

    # -- writing -----------------------------------------------------------------------------------------------

    def write(self, items: Sequence[Item], source: FrameStore | None = None) -> tuple[Written, ...]:
        """Archive a batch in one transaction; frames are taken over from `source`.

        Returns one `Written` for each item, in order. Raises `ArchiveFull` when the medium is full (nothing is then
        written), and FrameUnavailable never: a frame's absence is noted.
        """
        known = self._known({item.message.request_id for item in items if isinstance(item.message, Request)})
        frames: dict[str, Taken] = {}
        for item in items:
            ref = item.message.input.frame if isinstance(item.message, Request) else None
            # A frame is wanted for a new input, and for a known one whose frame could not be had the first time.
            if ref is not None and known.get(item.message.request_id, "") is not None and ref.sha256 not in frames:
                frames[ref.sha256] = self._shelf.take_over(ref, source)
        try:
            return self._commit(items, frames)
        except ArchiveFull:
            # Pictures are worth less than the record of what happened: the oldest make room for it, once.
            if not self._shelf.make_room():
                raise
            return self._commit(items, frames)

    def _commit(self, items: Sequence[Item], frames: dict[str, Taken]) -> tuple[Written, ...]:
        durable = any(isinstance(item.message, Request) for item in items)
        try:
            self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            with self._db.atomic():
                written = tuple(self._write(item, frames) for item in items)
        except sqlite3.OperationalError as error:
            if archive_schema.no_room(error):
                raise ArchiveFull(
                    f"The archive in {self.root} cannot grow: {error}.",
                    "Make room on its medium, or lower the archive's budget_mb.",
                ) from error
            raise
        if frames:
            self._shelf.committed(max(item.received_ns for item in items))
        return written

    def put(self, payload: bytes, *, task: str, received_ns: int, source: FrameStore | None = None) -> Written:
        """Archive one message from its bytes. Raises `Malformed`, and `Misuse` for kinds the archive does not keep."""
        message = decode(payload)
        if not isinstance(message, Request | Score | Declined | Result):
            raise Misuse(f"The archive does not keep a {type(message).__name__}.")
        return self.write([Item(payload, message, task, received_ns)], source)[0]

    # -- rows, within the transaction ---------------------------------------------------------------------------

    def _write(self, item: Item, frames: dict[str, Taken]) -> Written:
        message = item.message
        if isinstance(message, Request):
            return self._write_input(item, message, frames)
        if isinstance(message, Score):
            return self._write_score(item, message)
        if isinstance(message, Declined):
            return self._write_decline(message)
        return self._write_result(item, message)

    def _write_input(self, item: Item, request: Request, frames: dict[str, Taken]) -> Written:
        saw = hashlib.sha256(item.payload).hexdigest()
        issued, ref = request.issued, request.input.frame
        frame = frames.get(ref.sha256) if ref is not None else None
        note = frame.note if frame is not None else None
        cursor = self._db.execute(
            "INSERT INTO inputs (request_id, message_id, task, timestamp_ms, received_ns, boot_no, seq, attempt,"
            " saw, frame_sha256, frame_note, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (request_id) DO NOTHING",
            (
                request.request_id,
                request.message_id,
                item.task,
                request.timestamp,
                item.received_ns,
                self._boot_no(issued.boot if issued else ""),
                issued.seq if issued else 0,
                issued.attempt if issued else 1,
                saw,
                ref.sha256 if ref is not None else None,
                note,
                item.payload,
            ),
        )
        if cursor.rowcount:
            if frame is not None and note is None and ref is not None:
                self._shelf.hold(ref.sha256, frame.bytes, int(cursor.lastrowid or 0), item.received_ns)
            return Written(Outcome.NEW, saw, note)
        return self._write_again(item, request, saw, frames)

    def _write_again(self, item: Item, request: Request, saw: str, frames: dict[str, Taken]) -> Written:
        """An input whose request is already archived: the same bytes, another attempt, or another question."""
        arrival, first_saw, sha256, note, payload = self._db.execute(
            "SELECT arrival, saw, frame_sha256, frame_note, payload FROM inputs WHERE request_id = ?",
            (request.request_id,),
        ).fetchone()
        if note is not None and sha256 in frames:
            note = frames[sha256].note
            self._db.execute("UPDATE inputs SET frame_note = ? WHERE arrival = ?", (note, arrival))
            if note is None:
                self._shelf.hold(sha256, frames[sha256].bytes, arrival, item.received_ns)
        if saw == first_saw:
            return Written(Outcome.DUPLICATE, saw, note)
        self._db.execute(
            "INSERT INTO variants (saw, request_id, received_ns, attempt, payload) SELECT ?, ?, ?, ?, ?"
            " WHERE (SELECT count(*) FROM variants WHERE request_id = ?) < ? ON CONFLICT (saw) DO NOTHING",
            (
                saw,
                request.request_id,
                item.received_ns,
                request.issued.attempt if request.issued else 1,
                item.payload,
                request.request_id,
                self.settings.variants_per_request,
            ),
        )
        first = as_request(bytes(payload), request.request_id)
        if (first.input, first.state, first.tags) == (request.input, request.state, request.tags):
            return Written(Outcome.DUPLICATE, saw, note)
        self._anomaly("input-differs", request.request_id, "", item.received_ns)
        return Written(Outcome.DIFFERENT, saw, note)

    def _write_score(self, item: Item, score: Score) -> Written:
        outputs = msgspec.json.encode(score.outputs).decode()
        cursor = self._db.execute(
            "INSERT INTO scores (request_id, model, version, message_id, bundle, runtime, outputs, compute_ms, batch,"
            " saw, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                score.request_id,
                score.model,
                score.version,
                score.message_id,
                score.bundle,
                score.runtime,
                outputs,
                score.compute_ms,
                score.batch,
                score.saw,
                score.timestamp,
            ),
        )
        if cursor.rowcount:
            return Written(Outcome.NEW)
        first = self._db.execute(
            "SELECT outputs FROM scores WHERE request_id = ? AND model = ? AND version = ?",
            (score.request_id, score.model, score.version),
        ).fetchone()
        if first is not None and first[0] == outputs:
            return Written(Outcome.DUPLICATE)
        self._anomaly("score-differs", score.request_id, score.model, item.received_ns)
        return Written(Outcome.DIFFERENT)

    def _write_decline(self, declined: Declined) -> Written:
        cursor = self._db.execute(
            "INSERT INTO declines (request_id, model, version, message_id, reason, detail, saw, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                declined.request_id,
                declined.model,
                declined.version,
                declined.message_id,
                declined.reason,
                declined.detail,
                declined.saw,
                declined.timestamp,
            ),
        )
        return Written(Outcome.NEW if cursor.rowcount else Outcome.DUPLICATE)

    def _write_result(self, item: Item, result: Result) -> Written:
        decided = result.answer or result.default
        cursor = self._db.execute(
            "INSERT INTO results (request_id, message_id, cause, model, label, elapsed_ms, at, payload)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                result.request_id,
                result.message_id,
                result.cause,
                result.answer.model if result.answer else None,
                decided.label if decided else None,
                result.elapsed_ms,
                result.timestamp,
                item.payload,
            ),
        )
        if cursor.rowcount:
            return Written(Outcome.NEW)
        row = self._db.execute("SELECT payload FROM results WHERE request_id = ?", (result.request_id,)).fetchone()
        first = decode(bytes(row[0]))
        same = isinstance(first, Result) and _decision(first) == _decision(result)
        if same:
            return Written(Outcome.DUPLICATE)
        self._anomaly("result-differs", result.request_id, "", item.received_ns)
        return Written(Outcome.DIFFERENT)

    def _known(self, request_ids: set[str]) -> dict[str, str | None]:
        """Frame notes of those requests that are already archived (None: archived, and the frame is no concern)."""
        notes: dict[str, str | None] = {}
        for request_id in request_ids:
            row = self._db.execute("SELECT frame_note FROM inputs WHERE request_id = ?", (request_id,)).fetchone()
            if row is not None:
                notes[request_id] = row[0]
        return notes

    def _boot_no(self, boot: str) -> int:
        self._db.execute("INSERT INTO boots (boot) VALUES (?) ON CONFLICT (boot) DO NOTHING", (boot,))
        return int(self._db.execute("SELECT boot_no FROM boots WHERE boot = ?", (boot,)).fetchone()[0])

    def _anomaly(self, kind: str, request_id: str, model: str, now_ns: int) -> None:
        self._db.execute(
            "INSERT INTO anomalies (kind, request_id, model, times, first_ns) VALUES (?, ?, ?, 1, ?)"
            " ON CONFLICT (kind, request_id, model) DO UPDATE SET times = times + 1",
            (kind, request_id, model, now_ns),
        )

    def enforce_budget(self, now_ns: int) -> Removals:
        """Remove frames beyond the budget, one bounded slice; `more` asks to be called again.

        `now_ns` is wall time, recorded beside what was removed.
        """
        return self._shelf.enforce_budget(now_ns)

    def house_keeping(self) -> dict[str, int]:
        """How the house-keeping stands, as counts of the decoy's state (`roost_broker.room.keeper_counts`)."""
        shelf = self._shelf
        return keeper_counts(shelf.looks, shelf.held, self.settings.budget_bytes, floors_fit=shelf.floors_fit)


def _decision(result: Result) -> tuple[object, ...]:
    return (result.cause, result.answer, result.default)
