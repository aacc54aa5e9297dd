"""`roost report`: what the models did, from a file of rows or from what this device keeps."""

import shutil
import sys
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roost_broker.errors import Misuse, PeerError
from roost_edge.cli import output
from roost_edge.cli.compare_sources import Wanted, moment_ms, opened
from roost_edge.cli.operator import DEFAULT_SETTINGS, SettingsFile
from roost_edge.cli.output import Json
from roost_edge.cli.reporter import reporting

if TYPE_CHECKING:
    from roost_rendezvous.analytics.faces.markup import Html
    from roost_rendezvous.analytics.faces.values import Report
    from roost_rendezvous.analytics.rows import Row

_MS = 1_000_000
_DAYS = 14
_WIDEST, _PIPE_WIDTH = 140, 100
_RACES = 3
_NEWEST = 20_000
"""Rows of which is asked who disturbs whom: as many as a device keeps; they are held in memory."""
_ASK_S = 5.0


def report(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Rows as JSONL, or a CSV; without it, this device.", show_default=False),
    ] = None,
    settings: SettingsFile = DEFAULT_SETTINGS,
    archive: Annotated[Path | None, typer.Option(help="A device's archive (DATA/archive/TASK), or a centre's.")] = None,
    task: Annotated[str, typer.Option(help="Only this task.")] = "",
    since: Annotated[str, typer.Option(help="From this day or moment on (UTC), as 2026-10-01T06:00.")] = "",
    until: Annotated[str, typer.Option(help="Until this day or moment, itself not included.")] = "",
    alarms: Annotated[
        bool, typer.Option("--alarms", help="Of rows: put them through the watch, too; takes a while.")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots that needs nothing else.")] = None,
    width: Annotated[int, typer.Option(help="Width of the text; 0: that of the terminal.")] = 0,
    as_json: Json = False,
) -> None:
    """Show what the models did, and what changed.

    Was every request answered in time, how is the traffic, how fast is each model and how much more could it take, how
    did the scores of each label lie, what was an alarm. From a file of rows (`roost compare --write-rows`, or a CSV
    with a column for each model), from an archive, or from the windows that the monitor of this device keeps, by
    default of its last fourteen days. Nothing needs to run; open alarms are asked for where the broker answers.
    """
    if file is not None and archive is not None:
        raise Misuse("A report is of one source.", "Give a file or --archive, not both.")
    races: Html | None = None
    if file is None and archive is None:
        made, races = _of_device(settings, task, since, until, pictures=html is not None)
    else:
        made = _of_rows(file, archive, task, since, until, alarms=alarms)
    if html is not None:
        _write(html, made, races)
    if as_json:
        output.data(made)
        return
    from roost_rendezvous.analytics.faces.terminal import render

    terminal = sys.stdout.isatty()
    columns = width or (min(_WIDEST, shutil.get_terminal_size().columns) if terminal else _PIPE_WIDTH)
    print(render(made, width=columns))
    if html is not None:
        output.say(f"Written: {html}")


def _of_rows(file: Path | None, archive: Path | None, task: str, since: str, until: str, *, alarms: bool) -> "Report":
    """Two passes, so that a file need not fit into memory."""
    import time

    import msgspec

    from roost_rendezvous.analytics.faces.gathering import gather
    from roost_rendezvous.analytics.faces.neighbours import neighbours_of, told

    if file is not None and str(file) == "-":
        raise Misuse("Rows are read twice, which a pipe cannot be.", "Write them to a file first.")
    is_csv = file is not None and file.suffix.lower() == ".csv"
    wanted = Wanted(
        archive=archive,
        rows=None if is_csv else file,
        csv=file if is_csv else None,
        task=task,
        since_ms=moment_ms(since),
        until_ms=moment_ms(until),
        labels=None,
    )

    newest: deque[Row] = deque(maxlen=_NEWEST)

    with reporting("Reading") as reporter:

        def rows() -> "Iterable[Row]":
            newest.clear()
            with opened(wanted) as source:
                for nth, row in enumerate(source.rows):
                    newest.append(row)
                    if nth % 1_000 == 0:
                        reporter.progress(nth, None)
                    yield row

        made = gather(rows, source=str(file or archive), made_at=time.time_ns())
        if any(word.compute_ms is not None for row in newest for word in row.words):
            made = msgspec.structs.replace(made, neighbours=tuple(told(neighbours_of(newest))))
        if alarms:
            from roost_rendezvous.analytics.faces.replaying import watched

            episodes, standing = watched(rows())
            made = msgspec.structs.replace(made, alarms=episodes, standing=standing)
    return made


def _of_device(settings: Path, task: str, since: str, until: str, *, pictures: bool) -> "tuple[Report, Html | None]":
    """Windows from the card; alarms from the monitor, where the broker answers."""
    import time

    import msgspec

    from roost_edge import feature_reports
    from roost_edge.feature_reports import FeatureReports
    from roost_edge.settings import loading
    from roost_rendezvous.analytics.faces.from_windows import report_of
    from roost_rendezvous.analytics.sketches.asking import SketchReader

    device = loading.load(settings)
    if task and task not in device.tasks:
        raise Misuse(f"{settings} has no task {task!r}.", f"It has: {', '.join(device.tasks) or 'none'}.")
    reader = SketchReader(device.layout.analytics / "sketches.db")
    try:
        kept = reader.span()
        if kept is None:
            raise PeerError("The monitor has kept nothing yet.", "It writes after a quarter of an hour with requests.")
        from_ms, to_ms = moment_ms(since), moment_ms(until)
        end = min(kept[1], to_ms // 1000) if to_ms is not None else kept[1]
        start = from_ms // 1000 if from_ms is not None else max(kept[0], end - _DAYS * 86_400)
        if start >= end:
            raise Misuse("Nothing is kept of that time.", "Give another --since or --until.")
        made = report_of(
            reader, start, end, source=device.node.name, made_at=time.time_ns(), deadlines=_deadlines(device)
        )
    finally:
        reader.close()
    if task:
        made = msgspec.structs.replace(made, tasks=tuple(one for one in made.tasks if one.task == task))
    told = _told(device)
    inputs = tuple(feature_reports.lines(FeatureReports(device.layout.features), time.time_ns() // 1_000_000))
    made = msgspec.structs.replace(made, neighbours=_neighbours(device, start, end), inputs=inputs)
    if told is None:
        note = "The monitor did not answer, so open alarms and what is watched are not in this report."
        made = msgspec.structs.replace(made, notes=(*made.notes, note))
    else:
        alarms, standing, mended = told
        notes = (*made.notes, mended) if mended else made.notes
        made = msgspec.structs.replace(made, alarms=alarms, standing=standing, notes=notes)
    return made, _races(device, task) if pictures else None


def _neighbours(device: Any, start_s: int, end_s: int) -> tuple[str, ...]:
    """From the rows that the monitor keeps, of the report's time; of all tasks, for they share one processor."""
    from roost_rendezvous.analytics.faces.neighbours import neighbours_of, told
    from roost_rendezvous.monitor.journal import rows_of

    try:
        rows = [one for one in rows_of(device.layout.analytics / "journal.db") if start_s <= one.at / 1e9 < end_s]
    except PeerError as error:
        return (f"Not known: {error.problem}",)
    return tuple(told(neighbours_of(rows)))


def _deadlines(device: Any) -> dict[str, int]:
    """SLA by task, as the schedules of the settings have it."""
    from roost_broker.errors import RoostError
    from roost_rendezvous import schedule

    found = {}
    for name, section in device.tasks.items():
        try:
            found[name] = schedule.load(Path(section.schedule)).sla_ms
        except (RoostError, OSError):
            continue  # the report says that it does not know
    return found


def _told(device: Any) -> Any:
    """Alarms, everything that is watched, what mended itself; None: nobody answers."""
    from roost_edge.cli.alarm_asking import ask_monitor

    try:
        return ask_monitor(device, _ASK_S)
    except PeerError:
        return None


def _races(device: Any, task: str) -> "Html | None":
    """Waterfalls of the newest traced requests."""
    from roost_broker.errors import RoostError
    from roost_edge.page.views.markup import el, joined
    from roost_edge.page.views.waterfall import headline, waterfall
    from roost_rendezvous.traces.knit import knit
    from roost_rendezvous.traces.store import TraceReader

    try:
        reader = TraceReader(device.layout.traces)
    except RoostError:
        return None
    try:
        found = [knit(one.request_id, one.messages) for one in reader.newest(_RACES, task)]
    finally:
        reader.close()
    if not found:
        return None
    said = "Each line is a step of one component, on one axis of time; the upright line is the answer. "
    note = el("p", said + "What is right of it was computed though nobody waited for it.", class_="note")
    return joined(note, *(joined(headline(one), waterfall(one)) for one in found))


def _write(html: Path, made: "Report", races: "Html | None") -> None:
    from importlib import resources

    from roost_broker.durable import write_durably
    from roost_rendezvous.analytics.faces.document import document

    style = resources.files("roost_edge.page").joinpath("static", "page.css").read_text(encoding="utf-8")
    style += resources.files("roost_rendezvous.analytics.faces").joinpath("plots.css").read_text(encoding="utf-8")
    write_durably(html, document(made, style=style, zone=None, races=races).encode())
