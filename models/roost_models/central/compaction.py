"""From the staging to a day's files, when a day is over: `<task>/<day>/<lane>-<number>.parquet`.

What comes for a day that has been written goes to a further file; nothing that was written is ever changed. A file
holds at most `ROWS` messages, so that memory is bounded whatever a fleet sends.
"""

from collections.abc import Callable
from pathlib import Path

from roost_models.central import parquet
from roost_models.central.partitions import Partition, is_closed
from roost_models.central.staging import FileRecord, Staging

ROWS = 100_000
_BYTES = 64_000_000
"""Payload that one file takes at most (and that is held in memory while it is written)."""


def relative_path(partition: Partition, number: int) -> str:
    """Where a partition's file lies below the archive's folder."""
    return f"{partition.task}/{partition.day}/{partition.lane}-{number}.parquet"


def compact(
    staging: Staging,
    now_ms: int,
    *,
    close_after_ms: int,
    rows: int = ROWS,
    limit: int | None = None,
    done: Callable[[FileRecord], None] | None = None,
) -> list[FileRecord]:
    """Write what belongs to closed days; returns the files written, at most `limit`. Raises `ArchiveFull`.

    The rest is for the next call. A cut at any point loses nothing and doubles nothing.
    """
    written: list[FileRecord] = []
    for partition, _ in staging.waiting():
        if not is_closed(partition.day, now_ms, close_after_ms):
            continue
        while limit is None or len(written) < limit:
            record = _write_one(staging, partition, rows)
            if record is None:
                break
            written.append(record)
            if done is not None:
                done(record)
    return written


def _write_one(staging: Staging, partition: Partition, most: int) -> FileRecord | None:
    rows = staging.rows(partition, most, _BYTES)
    if not rows:
        return None
    number = staging.next_number(partition)
    path = relative_path(partition, number)
    size, digest = parquet.write(staging.root / path, partition, rows)
    record = FileRecord(path, partition, number, len(rows), size, digest)
    staging.moved(rows, record)
    return record


def unfinished(root: Path) -> list[Path]:
    """Files that a cut left half-written."""
    return sorted(root.glob("*/*/.*.part"))
