"""Every SQLite file of the data folder, read only and within bounds: a power cut must not have torn one."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from roost_edge.doctor.findings import Verdict, fail, ok, skipped, together, warn
from roost_edge.doctor.patient import Patient, there

LIMIT_S = 30.0
ARCHIVE = "archive.db"
"""`roost_models.archive.schema.DATABASE`, without the library that module needs: it would double this process."""
_EACH_S = 6.0
_OFTEN = 20_000
"""Instructions of SQLite between two looks at the time."""
_BUSY_S = 2.0


def stores(patient: Patient) -> Verdict:
    """Each file that there is; those that roles have not made yet are no fault."""
    files = [file for file in _files(patient) if there(file)]
    if not files:
        return skipped("There are none yet.")
    end = time.monotonic() + _EACH_S
    found = [ok(f"{len(files)} databases are whole.", databases=len(files))]
    for file in files:
        problem = quick_check(file, max(0.5, end - time.monotonic()))
        if problem is None:
            found.append(warn(f"{file.name} is too large to be examined now.", "roost doctor --only stores, at night."))
        elif problem:
            remedy = (
                f"Stop the device, keep a copy of {file} for what can be rescued (sqlite3 {file.name} .recover), and "
                "remove it: its role makes a new one."
            )
            found.append(fail(f"{file} is damaged: {problem}.", remedy))
    return together(found)


def quick_check(file: Path, limit_s: float) -> str | None:
    """What is wrong with a database, in a few words; empty when nothing is; None when the time was over first."""
    end = time.monotonic() + limit_s
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)) as db:
            db.set_progress_handler(lambda: time.monotonic() > end, _OFTEN)
            lines = [str(row[0]) for row in db.execute("PRAGMA quick_check(3)")]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return None
        return str(error)
    return "" if lines == ["ok"] else "; ".join(lines)


def _files(patient: Patient) -> Iterator[Path]:
    settings = patient.settings
    layout = settings.layout
    yield from (layout.outbox, layout.notices, layout.traces, layout.gateway, layout.feed / "feed.db")
    yield from (layout.requests(name) for name in settings.cameras)
    yield from (layout.archive(task) / ARCHIVE for task in settings.tasks)
