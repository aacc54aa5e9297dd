"""The archive at one moment: which files there are, and what was staged, though the archiver goes on beside.

The staging is looked at first, in a transaction, and the files after it: so what moves into a file meanwhile is in
one of both, or in both; then it is given once.
"""

import heapq
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from roost_broker.centre.envelope import Envelope
from roost_broker.centre.lanes import LANE_NAMES, LaneName
from roost_broker.errors import PeerError
from roost_models.central import parquet, staging
from roost_models.central.partitions import Partition


@dataclass(frozen=True, slots=True)
class Choice:
    """Which messages are meant; everything left empty means all."""

    from_ms: int | None = None
    """Included."""
    until_ms: int | None = None
    """Excluded."""
    task: str | None = None
    """`_device` for what concerns whole devices."""
    lanes: frozenset[LaneName] = frozenset()
    nodes: frozenset[str] = frozenset()

    def of_partition(self, partition: Partition) -> bool:
        """Whether a partition can hold such messages."""
        return (self.task is None or partition.task == self.task) and (not self.lanes or partition.lane in self.lanes)

    def of_period(self, first_ms: int, last_ms: int) -> bool:
        """Whether something between these moments can be meant."""
        return (self.from_ms is None or last_ms >= self.from_ms) and (self.until_ms is None or first_ms < self.until_ms)

    def of_row(self, one: Envelope) -> bool:
        """Whether a message of a fitting partition is meant. What tells of a gap is no message."""
        return (
            one.gap is None
            and self.of_period(one.received_ms, one.received_ms)
            and (not self.nodes or one.node in self.nodes)
        )


class View:
    """Use it in a `with`; one thread at a time. Raises `DamagedFile`, `PeerError` (the staging cannot be read)."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._staged = staging.open_for_reading(root)
        self._paths: dict[Partition, list[Path]] = {}
        try:
            for partition in self._staged_partitions():
                self._paths[partition] = []
            for partition, path in day_files(root):
                self._paths.setdefault(partition, []).append(path)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the staging."""
        if self._staged is not None:
            self._staged.close()
            self._staged = None

    def __enter__(self) -> "View":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def partitions(self) -> list[Partition]:
        """Days, tasks and lanes of which there is something, oldest day first."""
        return sorted(self._paths)

    @property
    def days(self) -> list[str]:
        """Days of which there is something, oldest first."""
        return sorted({partition.day for partition in self._paths})

    def files(self, partition: Partition) -> list[Path]:
        """The files of a partition, as they were numbered."""
        return sorted(self._paths.get(partition, ()), key=lambda path: (len(path.name), path.name))

    def of_day(self, day: str, choice: Choice) -> Iterator[Envelope]:
        """Messages of one day, by task and lane."""
        for partition in self.partitions:
            if partition.day == day and choice.of_partition(partition):
                yield from self.of_partition(partition, choice)

    def of_partition(self, partition: Partition, choice: Choice) -> Iterator[Envelope]:
        """Files and staging merged by node, outbox and number; what lies in two of them is given once."""
        sources: list[Iterable[Envelope]] = [self._staged_rows(partition)]
        for path in self.files(partition):
            about = parquet.summary(path)
            if choice.of_period(about.first_ms, about.last_ms):
                sources.append(parquet.read(path))
        last = None
        for row in heapq.merge(*sources, key=_place):
            place = _place(row)
            if place != last and choice.of_row(row):
                yield row
            last = place

    def _staged_partitions(self) -> list[Partition]:
        if self._staged is None:
            return []
        try:
            self._staged.execute("BEGIN")  # from the first look on nothing changes for us
            rows = self._staged.execute("SELECT DISTINCT day, task, lane FROM messages").fetchall()
        except sqlite3.DatabaseError as error:
            raise _unreadable(self._root, error) from error
        return [Partition(*row) for row in rows]

    def _staged_rows(self, partition: Partition) -> Iterator[Envelope]:
        if self._staged is None:
            return
        try:
            yield from staging.read(self._staged, partition)
        except sqlite3.DatabaseError as error:
            raise _unreadable(self._root, error) from error


def day_files(root: Path) -> Iterator[tuple[Partition, Path]]:
    """Every file of closed days."""
    for path in root.glob("*/????-??-??/*-*.parquet"):
        lane = path.name.partition("-")[0]
        for name in LANE_NAMES:
            if lane == name:
                yield Partition(path.parent.name, path.parent.parent.name, name), path


def _place(one: Envelope) -> tuple[str, str, int]:
    return one.node, one.outbox, one.seq


def _unreadable(root: Path, error: sqlite3.DatabaseError) -> PeerError:
    return PeerError(
        f"The archive's database in {root} cannot be read: {error}.",
        "Stop the centre and restore it from the back-up (docs/centre.md).",
    )
