"""Reading the centre's archive: files of closed days, and what is still staged, as one.

    archive = CentralArchive(layout.archive)
    for row in archive.timeline(Choice(from_ms=…, until_ms=…, task="henhouse")):
        …

Each message once, whatever file it lies in and whatever a cut left behind. A period is about the moment at which the
device received a message (its own clock). The archiver may write meanwhile; what it adds after an iteration began is
not part of it.
"""

from collections.abc import Iterator
from pathlib import Path

from roost_broker.centre.envelope import Envelope
from roost_broker.errors import Misuse
from roost_broker.frames import FrameStore
from roost_models.archive.cases import Case
from roost_models.central import parquet, staging
from roost_models.central.joining import cases
from roost_models.central.partitions import DEVICE, Partition
from roost_models.central.sorting import ByTime
from roost_models.central.view import Choice, View, day_files

FRAMES = "frames"

__all__ = ["CentralArchive", "Choice", "is_central"]


def is_central(root: Path) -> bool:
    """Whether a folder holds an archive of the centre."""
    return (root / staging.DATABASE).is_file() or next(day_files(root), None) is not None


class CentralArchive:
    """The archive in `root`, to be read only. Raises `Misuse` (no archive there), `DamagedFile`."""

    def __init__(self, root: Path) -> None:
        if not is_central(root):
            raise Misuse(f"There is no centre's archive in {root}.", "Name the folder CENTRE/archive.")
        self.root = root
        self.frames = FrameStore(root / FRAMES)

    def close(self) -> None:
        """See `CaseSource`; each iteration lets go of its files itself."""

    def __enter__(self) -> "CentralArchive":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def partitions(self) -> list[Partition]:
        """Days, tasks and lanes of which there is something, oldest day first."""
        with View(self.root) as view:
            return view.partitions

    def tasks(self) -> list[str]:
        """Tasks (and cameras) of which there is something."""
        return sorted({one.task for one in self.partitions()} - {DEVICE})

    def rows(self, choice: Choice | None = None) -> Iterator[Envelope]:
        """Messages, day by day, and in each day by task and lane; of a device in the order in which it sent them."""
        choice = choice or Choice()
        with View(self.root) as view:
            for day in view.days:
                yield from view.of_day(day, choice)

    def timeline(self, choice: Choice | None = None) -> Iterator[Envelope]:
        """The same in order of time over all devices and lanes; of one outbox and lane always in order of sending.

        A message counts as received no earlier than the one before it of the same outbox and lane: a clock that
        stepped back does not turn messages round.
        """
        choice = choice or Choice()
        floors: dict[tuple[str, str], int] = {}
        with View(self.root) as view:
            for day in view.days:
                with ByTime() as sorting:
                    for row in view.of_day(day, choice):
                        sorting.add(row)
                    yield from sorting.rows(floors)

    def count(self, choice: Choice | None = None) -> int:
        """How many messages an iteration would give now."""
        return sum(1 for _ in self.rows(choice))

    def cases(
        self, *, task: str, from_ms: int | None = None, until_ms: int | None = None, nodes: frozenset[str] = frozenset()
    ) -> Iterator[Case]:
        """See `CaseSource`. What a model or the rendezvous said more than a day later is not found."""
        with View(self.root) as view:
            yield from cases(view, task=task, from_ms=from_ms, until_ms=until_ms, nodes=nodes)

    def verify(self) -> int:
        """Compare every file with the digest it was written with; returns how many. Raises `DamagedFile`."""
        records = staging.records(self.root)
        for record in records:
            parquet.verify(self.root / record.path, record.sha256)
        return len(records)
