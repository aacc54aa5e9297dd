"""The review desk that `roost label queue` and `serve` work at, and the options that shape its queue."""

from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roost_broker.errors import Misuse
from roost_edge.cli.label_options import only_task, open_store

if TYPE_CHECKING:
    from roost_models.archive.cases import CaseSource
    from roost_models.labels.desk import Desk

Labels = Annotated[
    list[str] | None,
    typer.Option("--label", "-l", help="A label to offer, in the order of the keys. Else all that were ever used."),
]
Canary = Annotated[str, typer.Option(help="The model whose disagreement teaches most: the one that never changes.")]
Alarms = Annotated[
    list[str] | None, typer.Option("--alarm", help="A label that raises an alarm: its pictures are worth a look.")
]
Near = Annotated[
    float, typer.Option(min=0, help="Pictures of one camera within so many seconds look the same; 0: none do.")
]
Most = Annotated[int, typer.Option(min=1, max=10_000, help="At most so many pictures.")]
Since = Annotated[str, typer.Option(help="Only cases since then: 2026-05-01, or 2026-05-01T08:00Z.")]


def open_desk(
    inside: ExitStack,
    centre: Path,
    archive: Path | None,
    task: str,
    *,
    labels: list[str] | None,
    canary: str,
    alarms: list[str] | None,
    near: float,
    most: int,
    since: str,
) -> "Desk":
    """The review desk over a centre's folder; closed with `inside`."""
    from roost_broker.centre.layout import CentreLayout
    from roost_broker.clock import SystemClock
    from roost_broker.frames import FrameStore
    from roost_models.archive.cases import open_cases
    from roost_models.labels.desk import Desk, Period
    from roost_models.labels.queue import QueueSettings

    layout = CentreLayout(centre)
    cases = None
    if archive is not None or _holds_cases(layout.archive):
        cases = open_cases(archive or layout.archive)
        inside.callback(cases.close)
    store = inside.enter_context(open_store(centre, make=True))
    tasks = sorted({*store.tasks(), *_tasks(cases)})
    task = only_task(tasks, task)
    _check_known(task, tasks, cases)
    return Desk(
        store,
        cases,
        FrameStore(layout.frames),
        task=task,
        clock=SystemClock(),
        settings=QueueSettings(most=most, near_ms=round(near * 1000), canary=canary, alarms=frozenset(alarms or ())),
        period=Period(from_ms=_moment(since)),
        labels=tuple(labels or ()),
    )


def _holds_cases(archive: Path) -> bool:
    """Whether there is more than the frames that imported pictures became."""
    return archive.is_dir() and any(one.name != "frames" for one in archive.iterdir())


def _tasks(cases: "CaseSource | None") -> list[str]:
    """Tasks of the centre's archive; a decoy's does not tell its own."""
    from roost_models.central.reading import CentralArchive

    return cases.tasks() if isinstance(cases, CentralArchive) else []


def _check_known(task: str, tasks: list[str], cases: "CaseSource | None") -> None:
    """Raise `Misuse` for a task of which there is neither a label nor a case: its queue would be empty for ever."""
    if task in tasks or (cases is not None and next(iter(cases.cases(task=task)), None) is not None):
        return
    known = f"It knows: {', '.join(name or '(none)' for name in tasks)}." if tasks else "It is empty."
    raise Misuse(
        f"There is nothing of a task {task!r} here, neither labels nor cases. {known}",
        "Correct --task, or --centre; or bring something of it: roost centre up archives, roost label import labels.",
    )


def _moment(text: str) -> int | None:
    if not text:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise Misuse(f"{text!r} is no time.", "Write 2026-05-01, or 2026-05-01T08:00Z.") from error
    return round((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)
