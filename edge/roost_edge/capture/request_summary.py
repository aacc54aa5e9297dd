"""What a request log says so far, read from any process while capture goes on writing."""

import math
import sqlite3
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from roost_broker.errors import Misuse


class RequestSummary(Struct, frozen=True, kw_only=True):
    """Figures over the rows that are still in the log. Times in ms from acceptance to the result's arrival."""

    requests: int = 0
    answered: int = 0
    within_sla: int = 0
    """Answered within the request's own deadline, by the monotonic time of one boot."""
    unjudged: int = 0
    """Answered in another boot than accepted: no latency can be told, so not counted as within."""
    receipts: int = 0
    open: int = 0
    republished: int = 0
    """Requests that were published more than once."""
    second_answers: int = 0
    trimmed: int = 0
    """Closed rows deleted since the log was begun; they are in no other figure here."""
    by_cause: dict[str, int] = {}
    by_model: dict[str, int] = {}
    """Official answers by model; the default is in `by_cause` only."""
    p50_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None


def summarise(path: Path) -> RequestSummary:
    """Read the figures. Raises `Misuse` when there is no log at `path`."""
    if not path.exists():
        raise Misuse(f"There is no request log {path}.", "Start capture first; it makes one.")
    # Read-only, and yet a reader of a WAL file: it may create the shared-memory file beside it.
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)) as conn:
        conn.execute("BEGIN")  # all figures from one moment
        return _figures(conn)


def _figures(conn: sqlite3.Connection) -> RequestSummary:
    counts = conn.execute(
        "SELECT COUNT(*), COUNT(result_wall_ms), COALESCE(SUM(elapsed_ms <= deadline_ms), 0),"
        " COALESCE(SUM(result_wall_ms IS NOT NULL AND elapsed_ms IS NULL), 0), COUNT(receipt_wall_ms),"
        " COALESCE(SUM(receipt_wall_ms IS NULL OR result_wall_ms IS NULL), 0), COALESCE(SUM(attempts > 1), 0),"
        " COALESCE(SUM(second_answers), 0) FROM requests"
    ).fetchone()
    trimmed = conn.execute("SELECT value FROM totals WHERE name = 'trimmed'").fetchone()
    times = [row[0] for row in conn.execute("SELECT elapsed_ms FROM requests WHERE elapsed_ms NOT NULL ORDER BY 1")]
    return RequestSummary(
        requests=counts[0],
        answered=counts[1],
        within_sla=counts[2],
        unjudged=counts[3],
        receipts=counts[4],
        open=counts[5],
        republished=counts[6],
        second_answers=counts[7],
        trimmed=trimmed[0] if trimmed else 0,
        by_cause=_groups(conn, "SELECT cause, COUNT(*) FROM requests WHERE cause NOT NULL GROUP BY 1 ORDER BY 1"),
        by_model=_groups(conn, "SELECT model, COUNT(*) FROM requests WHERE model != '' GROUP BY 1 ORDER BY 1"),
        p50_ms=_rank(times, 0.50),
        p99_ms=_rank(times, 0.99),
        max_ms=times[-1] if times else None,
    )


def _groups(conn: sqlite3.Connection, query: str) -> dict[str, int]:
    return dict(conn.execute(query).fetchall())


def _rank(ordered: list[float], share: float) -> float | None:
    """The smallest value that at least `share` of all values do not exceed."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
