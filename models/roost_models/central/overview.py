"""What the archive holds, in numbers: from records and indexes, without reading a message."""

import sqlite3
from collections import defaultdict
from pathlib import Path

import msgspec

from roost_broker.centre.streams import FRAMES_STREAM
from roost_broker.errors import PeerError
from roost_broker.frames import FrameStore
from roost_models.central import parquet, staging
from roost_models.central.view import day_files

FRAMES = "frames"


class DayTotals(msgspec.Struct, frozen=True, kw_only=True):
    """One task on one day."""

    day: str
    task: str
    messages: int
    staged: int
    """Of them not yet in a file."""
    files: int
    bytes: int
    """Of the files."""


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """An archive's totals."""

    days: tuple[DayTotals, ...]
    messages: int
    files: int
    frames: int
    frame_bytes: int
    frames_read: int
    """How far the stream of frames has been read: its number there."""
    refused: int
    """Messages kept aside because no gateway can have sent them."""


def overview(root: Path) -> Overview:
    """The totals of the archive in `root`; zeros where there is none. Raises `DamagedFile`, `PeerError`."""
    staged: dict[tuple[str, str], int] = defaultdict(int)
    refused = frames_read = 0
    db = staging.open_for_reading(root)
    if db is not None:
        try:
            for day, task, count in db.execute("SELECT day, task, count(*) FROM messages GROUP BY day, task"):
                staged[day, task] = count
            refused = db.execute("SELECT count(*) FROM refused").fetchone()[0]
            found = db.execute("SELECT seq FROM cursors WHERE stream = ?", (FRAMES_STREAM,)).fetchone()
            frames_read = int(found[0]) if found else 0
        except sqlite3.DatabaseError as error:
            raise PeerError(f"The archive's database in {root} cannot be read: {error}.") from error
        finally:
            db.close()
    filed: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for partition, path in day_files(root):
        filed[partition.day, partition.task].append((parquet.summary(path).rows, path.stat().st_size))
    days = tuple(
        DayTotals(
            day=day,
            task=task,
            messages=staged.get((day, task), 0) + sum(rows for rows, _ in filed.get((day, task), ())),
            staged=staged.get((day, task), 0),
            files=len(filed.get((day, task), ())),
            bytes=sum(size for _, size in filed.get((day, task), ())),
        )
        for day, task in sorted(staged.keys() | filed.keys())
    )
    sizes = [path.stat().st_size for path in FrameStore(root / FRAMES)]
    return Overview(
        days=days,
        messages=sum(day.messages for day in days),
        files=sum(day.files for day in days),
        frames=len(sizes),
        frame_bytes=sum(sizes),
        frames_read=frames_read,
        refused=refused,
    )
