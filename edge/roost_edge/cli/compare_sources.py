"""Where `roost compare` takes rows from: an archive, JSONL, CSV; and small pictures from the archive."""

import csv
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from roost_broker.errors import Misuse
from roost_edge.cli import output
from roost_edge.cli.operator import only_task

if TYPE_CHECKING:
    from roost_models.archive.cases import CaseSource
    from roost_models.datasets.document import Dataset
    from roost_rendezvous.analytics.comparison.report import Drawn
    from roost_rendezvous.analytics.rows import Row

_MS = 1_000_000
_SOURCES = "Give one of --archive DIR, --rows FILE.jsonl, --csv FILE.csv, --settings FILE (a device's)."


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for; exactly one source."""

    archive: Path | None
    rows: Path | None
    csv: Path | None
    task: str
    since_ms: int | None
    until_ms: int | None
    labels: Path | None
    models: tuple[str, ...] = ()
    """Columns of a CSV that are models for sure."""
    trained_on: tuple[Path, ...] = ()
    """Versions of datasets that the models learned from."""
    all_labels: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """Rows, and the archive that has the pictures, if it is one."""

    rows: "Iterable[Row]"
    archive: "CaseSource | None" = None
    remarks: tuple[str, ...] = ()
    """On the labels: which of them count."""

    def pictures(self, drawn: "Iterable[Drawn]") -> dict[str, str]:
        """Data URLs by the SHA-256 of the frame; none without an archive."""
        if self.archive is None:
            return {}
        from roost_models.assessment.thumbnails import thumbnails

        return thumbnails(drawn, self.archive.frames)


def archive_of_device(file: Path, task: str) -> Path:
    """The archive that a device with these settings keeps of its task, and a word on which it is.

    Raises `Misuse` with what to add: no settings here, several tasks, nothing archived yet.
    """
    if not file.exists():
        raise Misuse(f"Rows come from one place, and there is no {file} that names a device's archive.", _SOURCES)
    from roost_edge.settings import loading
    from roost_models.archive.schema import DATABASE

    device = loading.load(file)
    archive = device.layout.archive(only_task(device, file, task))
    if not (archive / DATABASE).is_file():
        raise Misuse(
            f"This device has archived nothing yet: there is no {archive / DATABASE}.",
            "Let it run until it has answered (roost up), or give --archive DIR.",
        )
    output.say(f"Of {archive}, as {file} has it.")
    return archive


@contextmanager
def opened(wanted: Wanted) -> Iterator[Source]:
    """Raises `Misuse` when not exactly one source is named, or it cannot be read."""
    named = [one for one in (wanted.archive, wanted.rows, wanted.csv) if one is not None]
    if len(named) != 1:
        raise Misuse("Rows come from one place.", _SOURCES)
    if wanted.archive is not None:
        with _archive(wanted, wanted.archive) as source:
            yield source
    else:
        yield Source(_chosen(_file(wanted), wanted))


@contextmanager
def _archive(wanted: Wanted, root: Path) -> "Iterator[Source]":
    from roost_models.archive.cases import open_cases
    from roost_models.comparison.rows import rows

    archive = open_cases(root)
    try:
        task = wanted.task or _only_task(archive, root)
        truth, remarks = _truth(wanted, task)
        found = rows(archive, task=task, from_ms=wanted.since_ms, until_ms=wanted.until_ms, truth=truth)
        yield Source(found, archive, remarks)
    finally:
        archive.close()


def _only_task(archive: "CaseSource", root: Path) -> str:
    """An archive of one task needs no `--task`."""
    from roost_models.archive.reading import ArchiveReader
    from roost_models.central.reading import CentralArchive

    tasks = archive.tasks() if isinstance(archive, CentralArchive | ArchiveReader) else []
    if len(tasks) != 1:
        raise Misuse(
            f"The archive {root} is of {len(tasks)} tasks{': ' if tasks else ''}{', '.join(tasks)}.",
            "Name one with --task.",
        )
    return tasks[0]


def _truth(wanted: Wanted, task: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Labels by picture, without those that one of the models learned from; and what to say of that."""
    if wanted.labels is None:
        return {}, ()
    from roost_models.assessment.truth import read_truth

    every = read_truth(wanted.labels, task=task, everything=True).labels
    if wanted.all_labels:
        return every, ("Labelled pictures count that a model may have learned from: it looks better than it is.",)
    datasets: list[Dataset | None] = [_dataset(path) for path in wanted.trained_on] or [None]
    kept = [read_truth(wanted.labels, task=task, trained_on=one).labels for one in datasets]
    labels = {sha256: label for sha256, label in every.items() if all(sha256 in one for one in kept)}
    remarks = []
    if left_out := len(every) - len(labels):
        remarks.append(
            f"{left_out:,} of {len(every):,} labelled pictures are left out: a model learned from them, or from others "
            "of the same site and day. --all-labels takes them."
        )
    if not wanted.trained_on:
        remarks.append(
            "Which pictures the models learned from is not known: one that did looks better than it is. --trained-on "
            "N.json leaves them out."
        )
    return labels, tuple(remarks)


def _dataset(path: Path) -> "Dataset":
    from roost_models.assessment.truth import MAX_BYTES
    from roost_models.datasets.document import parse

    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise Misuse(f"{path} is no version of a dataset.", "Name its N.json; a bundle's `trainedOn` says which.")
    return parse(path.read_bytes())


def _file(wanted: Wanted) -> "Iterator[Row]":
    from roost_rendezvous.analytics.comparison import row_files

    path = wanted.rows or wanted.csv
    if path is None:
        return
    try:
        if wanted.csv is not None:
            csv.field_size_limit(row_files.LONGEST_LINE)
            with path.open(encoding="utf-8-sig", newline="") as text:
                yield from row_files.parse_csv(text, wanted.models)
        elif str(path) == "-":
            yield from row_files.parse(sys.stdin.buffer)
        else:
            with path.open("rb") as lines:
                yield from row_files.parse(lines)
    except FileNotFoundError as error:
        raise Misuse(f"There is no file {path}.", "Name a file of rows.") from error
    except UnicodeDecodeError as error:
        raise Misuse(f"{path} is not UTF-8: {error}.", "Save it as UTF-8.") from error


def _chosen(found: "Iterable[Row]", wanted: Wanted) -> "Iterator[Row]":
    since = None if wanted.since_ms is None else wanted.since_ms * _MS
    until = None if wanted.until_ms is None else wanted.until_ms * _MS
    for row in found:
        if wanted.task and row.task != wanted.task:
            continue
        if (since is None or row.at >= since) and (until is None or row.at < until):
            yield row


def moment_ms(text: str) -> int | None:
    """A day or a moment in UTC; None for none. Raises `Misuse`."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Misuse(f"{text!r} is no moment.", "Write it as 2026-10-01 or 2026-10-01T06:00.") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
