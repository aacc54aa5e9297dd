"""Reading an archive: the inputs in device order, who answered what, and the totals.

Reads go in pages, so that a long replay holds no long transaction and the writer beside it can go on
checkpointing. What is archived after an iteration has begun is not part of it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from roost_broker.errors import PeerError
from roost_broker.frames import FrameStore
from roost_broker.messages import Output, Request, decode
from roost_models.archive import schema as archive_schema
from roost_models.database import Database

PAGE = 200


# In the order of `ArchivedInput`'s fields.
_COLUMNS = (
    "arrival, request_id, message_id, task, timestamp_ms, received_ns, boot, seq, attempt, saw, frame_sha256,"
    " frame_note, payload"
)


@dataclass(frozen=True, slots=True)
class ArchivedInput:
    """One request as it was archived; `payload` are the exact bytes that were on the input topic."""

    arrival: int
    request_id: str
    message_id: str
    task: str
    timestamp_ms: int
    received_ns: int
    boot: str
    seq: int
    attempt: int
    saw: str
    frame_sha256: str | None
    frame_note: str | None
    """Why the frame is not in the archive, when it is not: `missing`, `truncated`, `altered`, `disk-full` …"""
    payload: bytes

    @property
    def request(self) -> Request:
        """The decoded request."""
        return as_request(self.payload, self.request_id)


@dataclass(frozen=True, slots=True)
class ArchivedScore:
    """One model's answer; `outputs` best first, floats exactly as they were on the wire."""

    request_id: str
    model: str
    version: str
    bundle: str | None
    runtime: str
    outputs: tuple[Output, ...]
    compute_ms: float
    batch: int
    saw: str | None
    at: int


ModelVersion: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Cell:
    """What one model version did for one request. `missing` is said, not left out."""

    status: Literal["answered", "declined", "missing"]
    outputs: tuple[Output, ...] = ()
    reason: str = ""
    saw_archived_bytes: bool | None = None
    """Whether the model saw the bytes archived here (None: it did not say)."""


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One request with the output of every model version of the archive (promise D7)."""

    request_id: str
    cells: dict[ModelVersion, Cell]


class ArchiveStats(msgspec.Struct, frozen=True, kw_only=True):
    """Totals of an archive."""

    inputs: int
    variants: int
    scores: int
    declines: int
    results: int
    results_by_cause: dict[str, int]
    scores_by_model: dict[str, int]
    scores_without_input: int
    scores_of_other_bytes: int
    """Scores of models that saw bytes which are not in this archive (promise V1: 0)."""
    frames: int
    frame_bytes: int
    frames_removed: int
    inputs_without_frame: dict[str, int]
    """Inputs whose frame could not be stored, by reason."""
    anomalies: dict[str, int]


class ArchiveReader:
    """An archive opened to be read only; close it, or use it in a `with`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.frames = FrameStore(root / archive_schema.FRAMES)
        self._db = self._open(root)

    def _open(self, root: Path) -> Database:
        return archive_schema.open_for_reading(root)

    def close(self) -> None:
        """Let go of the database."""
        self._db.close()

    def __enter__(self) -> "ArchiveReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def inputs(self, *, limit: int | None = None) -> Iterator[ArchivedInput]:
        """Every input in device order: (boot, seq), then timestamp; boots in the order they were first seen in.

        Wall time is only a tie-break, for it may have been set back. Cameras that share a task count each for
        itself: of two cameras' requests the order is that of their numbers.

        `limit` keeps the newest `limit` inputs of that order.
        """
        newest = self._db.execute("SELECT coalesce(max(arrival), 0) FROM inputs").fetchone()[0]
        after = self._start(limit, newest)
        while True:
            page = self._db.execute(
                f"SELECT {_COLUMNS}, boot_no FROM inputs JOIN boots USING (boot_no)"  # noqa: S608  our own names
                " WHERE (boot_no, seq, timestamp_ms, arrival) > (?, ?, ?, ?) AND arrival <= ?"
                " ORDER BY boot_no, seq, timestamp_ms, arrival LIMIT ?",
                (*after, newest, PAGE),
            ).fetchall()
            for row in page:
                yield ArchivedInput(*row[:-1])
            if len(page) < PAGE:
                return
            last = ArchivedInput(*page[-1][:-1])
            after = (page[-1][-1], last.seq, last.timestamp_ms, last.arrival)

    def arrivals(self, *, after: str | None = None, from_timestamp_ms: int | None = None) -> Iterator[ArchivedInput]:
        """Inputs in the order in which they were on the stream: those behind the request `after`, if it is known.

        `from_timestamp_ms` leaves out older ones, by their own timestamp.
        """
        newest = self._db.execute("SELECT coalesce(max(arrival), 0) FROM inputs").fetchone()[0]
        row = self._db.execute("SELECT arrival FROM inputs WHERE request_id = ?", (after,)).fetchone()
        begin = row[0] if row is not None else 0
        while True:
            page = self._db.execute(
                f"SELECT {_COLUMNS} FROM inputs JOIN boots USING (boot_no)"  # noqa: S608  our own names
                " WHERE arrival > ? AND arrival <= ? AND timestamp_ms >= ? ORDER BY arrival LIMIT ?",
                (begin, newest, from_timestamp_ms or 0, PAGE),
            ).fetchall()
            for columns in page:
                yield ArchivedInput(*columns)
            if len(page) < PAGE:
                return
            begin = page[-1][0]

    def holds(self, request_id: str) -> bool:
        """Whether this request is archived."""
        found = self._db.execute("SELECT 1 FROM inputs WHERE request_id = ?", (request_id,)).fetchone()
        return found is not None

    def newest_timestamp_ms(self) -> int | None:
        """Timestamp of the input that arrived last."""
        row = self._db.execute("SELECT timestamp_ms FROM inputs ORDER BY arrival DESC LIMIT 1").fetchone()
        return None if row is None else int(row[0])

    def tasks(self) -> list[str]:
        """Every task of which there is an input."""
        return [row[0] for row in self._db.execute("SELECT DISTINCT task FROM inputs ORDER BY 1").fetchall()]

    def count_inputs(self) -> int:
        """How many inputs there are."""
        return self._count("inputs")

    def _start(self, limit: int | None, newest: int) -> tuple[Any, ...]:
        beginning = (-1, -1, -1, -1)
        if limit is None:
            return beginning
        row = self._db.execute(
            "SELECT boot_no, seq, timestamp_ms, arrival FROM inputs WHERE arrival <= ?"
            " ORDER BY boot_no DESC, seq DESC, timestamp_ms DESC, arrival DESC LIMIT 1 OFFSET ?",
            (newest, limit),
        ).fetchone()
        return beginning if row is None else tuple(row)

    def payload_seen(self, item: ArchivedInput, saw: str | None) -> bytes | None:
        """The bytes of an input that a model saw, whichever attempt they were; None when they are not archived."""
        if saw is None or saw == item.saw:
            return item.payload
        return self.variant(item.request_id, saw)

    def variant(self, request_id: str, saw: str) -> bytes | None:
        """The bytes of another attempt of a request; None when they are not archived."""
        row = self._db.execute(
            "SELECT payload FROM variants WHERE saw = ? AND request_id = ?", (saw, request_id)
        ).fetchone()
        return None if row is None else bytes(row[0])

    def scores(self, request_ids: Iterable[str], *, bundle: str | None = None) -> list[ArchivedScore]:
        """Scores of some requests (a page at most), of one bundle if `bundle` is its digest."""
        wanted = list(request_ids)
        columns = "request_id, model, version, bundle, runtime, outputs, compute_ms, batch, saw, at"
        sql = f"SELECT {columns} FROM scores WHERE request_id IN ({_marks(wanted)})"  # noqa: S608  our names and marks
        arguments = [*wanted]
        if bundle is not None:
            sql += " AND bundle = ?"
            arguments.append(bundle)
        rows = self._db.execute(sql + " ORDER BY request_id, model, version", arguments).fetchall()
        return [ArchivedScore(r[0], r[1], r[2], r[3], r[4], _outputs(r[5]), r[6], r[7], r[8], r[9]) for r in rows]

    def declined(self, request_ids: Iterable[str]) -> dict[tuple[str, str, str], str]:
        """Reasons of the declines of some requests (a page at most), by (request, model, version)."""
        wanted = list(request_ids)
        rows = self._db.execute(
            f"SELECT request_id, model, version, reason FROM declines WHERE request_id IN ({_marks(wanted)})",  # noqa: S608  our own marks
            wanted,
        ).fetchall()
        return {(row[0], row[1], row[2]): row[3] for row in rows}

    def models_of(self, bundle: str) -> set[str]:
        """Names under which a bundle (by its digest) has answered."""
        rows = self._db.execute("SELECT DISTINCT model FROM scores WHERE bundle = ?", (bundle,)).fetchall()
        return {row[0] for row in rows}

    def model_versions(self) -> list[ModelVersion]:
        """Every model version that ever answered or declined in this archive."""
        rows = self._db.execute(
            "SELECT model, version FROM scores UNION SELECT model, version FROM declines ORDER BY 1, 2"
        ).fetchall()
        return [(row[0], row[1]) for row in rows]

    def matrix(self, *, limit: int | None = None) -> Iterator[MatrixRow]:
        """One row for each input with every model version's output, a missing one said to be missing (D7)."""
        columns = self.model_versions()
        for page in _pages(self.inputs(limit=limit)):
            ids = [item.request_id for item in page]
            saw = {item.request_id: item.saw for item in page}
            cells: dict[tuple[str, str, str], Cell] = {
                key: Cell("declined", reason=reason) for key, reason in self.declined(ids).items()
            }
            for score in self.scores(ids):  # an answer after a decline is an answer
                same = None if score.saw is None else score.saw == saw[score.request_id]
                key = (score.request_id, score.model, score.version)
                cells[key] = Cell("answered", score.outputs, saw_archived_bytes=same)
            missing = Cell("missing")
            for request_id in ids:
                yield MatrixRow(request_id, {column: cells.get((request_id, *column), missing) for column in columns})

    def stats(self) -> ArchiveStats:
        """Totals; counts every table, so not for every second."""
        frames, frame_bytes = self._db.execute(
            "SELECT count(*), coalesce(sum(bytes), 0) FROM frames WHERE removed_ns IS NULL"
        ).fetchone()
        return ArchiveStats(
            inputs=self._count("inputs"),
            variants=self._count("variants"),
            scores=self._count("scores"),
            declines=self._count("declines"),
            results=self._count("results"),
            results_by_cause=self._counts("SELECT cause, count(*) FROM results GROUP BY 1"),
            scores_by_model=self._counts("SELECT model, count(*) FROM scores GROUP BY 1"),
            scores_without_input=self._count(
                "scores WHERE NOT EXISTS (SELECT 1 FROM inputs WHERE inputs.request_id = scores.request_id)"
            ),
            scores_of_other_bytes=self._count(
                "scores JOIN inputs USING (request_id) WHERE scores.saw IS NOT NULL AND scores.saw <> inputs.saw"
                " AND NOT EXISTS (SELECT 1 FROM variants WHERE variants.saw = scores.saw)"
            ),
            frames=frames,
            frame_bytes=frame_bytes,
            frames_removed=self._count("frames WHERE removed_ns IS NOT NULL"),
            inputs_without_frame=self._counts(
                "SELECT frame_note, count(*) FROM inputs WHERE frame_note IS NOT NULL GROUP BY 1"
            ),
            anomalies=self._counts("SELECT kind, sum(times) FROM anomalies GROUP BY 1"),
        )

    def _count(self, what: str) -> int:
        return int(self._db.execute(f"SELECT count(*) FROM {what}").fetchone()[0])  # noqa: S608  our own text

    def _counts(self, sql: str) -> dict[str, int]:
        return {row[0]: row[1] for row in self._db.execute(sql).fetchall()}


def as_request(payload: bytes, request_id: str) -> Request:
    """Decode an archived payload. Raises `PeerError` when it is no request (then somebody wrote into the archive)."""
    message = decode(payload)
    if not isinstance(message, Request):
        raise PeerError(f"The archived input {request_id} is a {type(message).__name__}, not a request.")
    return message


def _outputs(text: str) -> tuple[Output, ...]:
    return msgspec.json.decode(text, type=tuple[Output, ...])


def _marks(values: list[str]) -> str:
    return ", ".join("?" * len(values))


def _pages(inputs: Iterator[ArchivedInput]) -> Iterator[list[ArchivedInput]]:
    page: list[ArchivedInput] = []
    for item in inputs:
        page.append(item)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page
