"""Putting messages in another order on the disk, so that a day of a large fleet needs no memory."""

import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import msgspec

from roost_broker.centre.envelope import Envelope

_RANK = {"extras": 0, "inputs": 1, "scores": 2, "results": 3, "alerts": 4, "devices": 5}
_encode = msgspec.msgpack.Encoder().encode
_rows = msgspec.msgpack.Decoder(Envelope)


class Scratch:
    """A database that is gone when it is closed. Use it in a `with`."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="roost-centre-")
        self.db = sqlite3.connect(Path(self._folder.name) / "scratch.db", isolation_level=None)
        # Nothing here outlives the process, so nothing need survive it.
        self.db.execute("PRAGMA journal_mode = OFF")
        self.db.execute("PRAGMA synchronous = OFF")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()
        self._folder.cleanup()


class ByTime(Scratch):
    """Rows in order of the moment at which they were received.

    A row counts as received no earlier than the one before it of the same outbox and lane (and no earlier than
    `floors` says of an earlier day), so that those keep their order whatever the clock did. At the same moment the
    lanes come in the order of cause and effect: what was asked before what was said of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.db.execute(
            "CREATE TABLE rows (outbox TEXT, lane TEXT, seq INTEGER, at INTEGER, rank INTEGER, row BLOB,"
            " PRIMARY KEY (outbox, lane, seq)) WITHOUT ROWID"
        )
        self.db.execute("BEGIN")

    def add(self, row: Envelope) -> None:
        """Take a row."""
        self.db.execute(
            "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)",
            (*row.key, row.received_ms, _RANK.get(row.lane, 0), _encode(row)),
        )

    def rows(self, floors: dict[tuple[str, str], int]) -> Iterator[Envelope]:
        """All of them, in order; `floors` is brought up to date for the next day."""
        self.db.execute("CREATE TEMP TABLE floors (outbox TEXT, lane TEXT, at INTEGER, PRIMARY KEY (outbox, lane))")
        self.db.executemany("INSERT INTO floors VALUES (?, ?, ?)", [(*name, at) for name, at in floors.items()])
        newest = self.db.execute("SELECT outbox, lane, max(at) FROM rows GROUP BY outbox, lane").fetchall()
        found = self.db.execute(
            "SELECT row FROM (SELECT rows.outbox AS outbox, rows.lane AS lane, seq, rank, row,"
            " max(coalesce(floors.at, 0), max(rows.at) OVER (PARTITION BY rows.outbox, rows.lane ORDER BY seq)) AS due"
            " FROM rows LEFT JOIN floors USING (outbox, lane)) ORDER BY due, rank, outbox, lane, seq"
        )
        for (row,) in found:
            yield _rows.decode(row)
        for outbox, lane, at in newest:
            floors[outbox, lane] = max(at, floors.get((outbox, lane), 0))
