"""Looking into the decoy's archive: what was seen, found by label, time and score, the newest first.

`sqlite3` and not sqlite-utils: that imports numpy where it finds it, and the page is to stay small. A search looks at
so many requests at most and says where the next one may go on, so that a large archive costs no more than a small one.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from roost_broker.errors import PeerError
from roost_broker.messages import FrameRef, Request, Result, decode

_DATABASE, _FRAMES = "archive.db", "frames"
_KNOWN_VERSION = 1
_BUSY_S = 5.0
LOOKED_AT = 20_000
"""Requests that one search looks at, at most."""
_LABELS_OF = 5_000
_MOST_LABELS = 100

_ONE = (
    "SELECT i.arrival, i.request_id, i.timestamp_ms, i.frame_sha256, i.frame_note, r.label, r.cause, r.model,"
    " json_extract(CAST(r.payload AS TEXT), '$.answer.score') AS score, r.elapsed_ms,"
    " json_extract(CAST(i.payload AS TEXT), '$.tags.camera') AS camera"
    " FROM inputs i LEFT JOIN results r USING (request_id)"
)


class Wanted(NamedTuple):
    """What is looked for. Empty and None: whatever it is."""

    label: str = ""
    from_ms: int | None = None
    to_ms: int | None = None
    least: float | None = None
    most: float | None = None
    before: int | None = None
    """Go on behind this arrival."""


class Seen(NamedTuple):
    """One request of the archive, with its outcome."""

    arrival: int
    request_id: str
    at_ms: int
    frame: str | None
    frame_note: str | None
    label: str | None
    cause: str | None
    model: str | None
    score: float | None
    elapsed_ms: float | None
    camera: str | None


class Found(NamedTuple):
    """One page of a search."""

    seen: tuple[Seen, ...]
    further: int | None
    """Where the next page begins; None: there is nothing more."""
    complete: bool
    """Whether the page is full; if not while `further` is there, the search stopped at its bound."""


class Said(NamedTuple):
    """What one model said for a request."""

    model: str
    version: str
    label: str | None
    score: float | None
    compute_ms: float | None
    reason: str = ""
    """Why it declined."""


class Whole(NamedTuple):
    """All that the archive has of one request."""

    seen: Seen
    request: Request | None
    result: Result | None
    said: tuple[Said, ...]

    @property
    def frame(self) -> FrameRef | None:
        """The picture's reference."""
        return self.request.input.frame if self.request is not None else None


class ArchiveWindow:
    """Opened for each look and closed after it, so that it holds no file of an archive that is replaced."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._path = root / _DATABASE

    @property
    def frames(self) -> Path:
        """Where its pictures lie."""
        return self.root / _FRAMES

    def there(self) -> bool:
        """Whether anything was archived yet."""
        return self._path.is_file()

    def search(self, wanted: Wanted, most: int) -> Found:
        """Raises `PeerError`."""
        where, values = ["i.arrival <= ?", "i.arrival > ?"], list[Any]()
        for condition, value in (
            ("r.label = ?", wanted.label or None),
            ("i.timestamp_ms >= ?", wanted.from_ms),
            ("i.timestamp_ms < ?", wanted.to_ms),
            ("score >= ?", wanted.least),
            ("score <= ?", wanted.most),
        ):
            if value is not None:
                where.append(condition)
                values.append(value)
        with self._open() as db:
            newest = _number(db, "SELECT max(arrival) FROM inputs")
            oldest = _number(db, "SELECT min(arrival) FROM inputs")
            begin = newest if wanted.before is None else min(newest, wanted.before - 1)
            floor = begin - LOOKED_AT
            sql = f"{_ONE} WHERE {' AND '.join(where)} ORDER BY i.arrival DESC LIMIT ?"
            rows = [Seen(*row) for row in db.execute(sql, (begin, floor, *values, most + 1))]
        if len(rows) > most:
            return Found(tuple(rows[:most]), rows[most - 1].arrival, complete=True)
        return Found(tuple(rows), floor + 1 if floor >= oldest else None, complete=False)

    def newest_of(self, camera: str) -> Seen | None:
        """The newest request of a camera whose picture is still there."""
        with self._open() as db:
            newest = _number(db, "SELECT max(arrival) FROM inputs")
            sql = f"{_ONE} WHERE i.arrival > ? AND camera = ? AND i.frame_sha256 NOTNULL ORDER BY i.arrival DESC"
            row = db.execute(f"{sql} LIMIT 1", (newest - LOOKED_AT, camera)).fetchone()
        return Seen(*row) if row else None

    def labels(self) -> list[str]:
        """Labels that were given lately, by name."""
        with self._open() as db:
            newest = _number(db, "SELECT max(arrival) FROM inputs")
            rows = db.execute(
                "SELECT DISTINCT r.label FROM inputs i JOIN results r USING (request_id)"
                " WHERE i.arrival > ? AND r.label NOTNULL ORDER BY 1 LIMIT ?",
                (newest - _LABELS_OF, _MOST_LABELS),
            ).fetchall()
        return [row[0] for row in rows]

    def whole(self, request_id: str) -> Whole | None:
        """One request; None when it is not archived here. Raises `PeerError`."""
        with self._open() as db:
            row = db.execute(f"{_ONE} WHERE i.request_id = ?", (request_id,)).fetchone()
            if row is None:
                return None
            asked = db.execute("SELECT payload FROM inputs WHERE request_id = ?", (request_id,)).fetchone()
            told = db.execute("SELECT payload FROM results WHERE request_id = ?", (request_id,)).fetchone()
            scores = db.execute(
                "SELECT model, version, outputs, compute_ms FROM scores WHERE request_id = ? ORDER BY 1, 2 LIMIT 256",
                (request_id,),
            ).fetchall()
            declines = db.execute(
                "SELECT model, version, reason FROM declines WHERE request_id = ? ORDER BY 1, 2 LIMIT 256",
                (request_id,),
            ).fetchall()
        request, result = _message(asked), _message(told)
        return Whole(
            Seen(*row),
            request if isinstance(request, Request) else None,
            result if isinstance(result, Result) else None,
            (*_scores(scores), *(Said(model, version, None, None, None, why) for model, version, why in declines)),
        )

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if not self.there():
            raise PeerError("Nothing was archived yet.", "The first request that a camera makes begins the archive.")
        db: sqlite3.Connection | None = None
        try:
            db = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)
            version = _number(db, "PRAGMA user_version")
            if version == 0:
                raise PeerError("Nothing was archived yet.", "Look again when a request was answered.")
            if version > _KNOWN_VERSION:
                raise PeerError("A newer Roost wrote this archive.", "Bring the page to the same version.")
            yield db
        except sqlite3.Error as error:
            raise PeerError(f"{self._path} cannot be read: {error}.", "roost doctor --only stores") from error
        finally:
            if db is not None:
                db.close()


def _number(db: sqlite3.Connection, sql: str) -> int:
    row = db.execute(sql).fetchone()
    return int(row[0] or 0)


def _message(row: Sequence[Any] | None) -> object:
    if row is None:
        return None
    with contextlib.suppress(PeerError):
        return decode(bytes(row[0]))
    return None


def _scores(rows: Sequence[Any]) -> Iterator[Said]:
    for model, version, outputs, compute_ms in rows:
        with contextlib.suppress(msgspec.DecodeError, IndexError, KeyError, TypeError):
            best = msgspec.json.decode(outputs)[0]
            yield Said(model, version, str(best["label"]), float(best["score"]), compute_ms)
