"""`roost schedule`: what a schedule will do, putting one in force, seeing what is in force and was, and going back."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roost_broker.errors import Misuse, RoostError
from roost_broker.printable import printable
from roost_edge.cli import operator, output
from roost_edge.cli.operator import DEFAULT_SETTINGS, Author, SettingsFile, Task
from roost_edge.cli.output import EXIT_CODES, Json

if TYPE_CHECKING:
    from roost_edge.settings.device import Settings
    from roost_rendezvous.schedule import Schedule
    from roost_rendezvous.schedule_apply import Applied
    from roost_rendezvous.schedule_report import Knowledge, Reign

app = typer.Typer(no_args_is_help=True, help="Schedules: which model may answer when.")

Why = Annotated[str, typer.Option(help="For the record.")]


@app.callback()
def group() -> None:
    """Schedules: which model may answer when."""


@app.command(epilog=EXIT_CODES)
def check(
    file: Annotated[Path, typer.Argument(help="The schedule (TOML).")],
    settings: Annotated[
        Path | None,
        typer.Option("--settings", "-s", help="A device's settings file: warn of names and times that do not fit."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say whether a schedule can be used, and what it will do. Status 1 when it cannot.

    With --settings it also warns of names that are no models there, and asks the broker about these, if one runs.
    """
    from roost_rendezvous import schedule
    from roost_rendezvous.schedule.doubts import about_samples
    from roost_rendezvous.timeline import draw

    try:
        agreed = schedule.load(file)
    except RoostError as error:
        if as_json:
            output.data({"file": str(file), "ok": False, "problem": error.problem, "remedy": error.remedy})
        else:
            output.complain(error)
        raise typer.Exit(output.NO) from error
    sentences, picture = schedule.explain(agreed), draw(agreed)
    if settings is None:
        warnings = about_samples(agreed)
    else:
        device = _load(settings, agreed.task)
        warnings = [*_doubts(device, agreed, or_else_offline=True), *_known(device, agreed.task).warnings(agreed)]
    if as_json:
        output.data(
            {
                "file": str(file),
                "ok": True,
                "version": agreed.version,
                "schedule": schedule.to_object(agreed),
                "explanation": sentences,
                "timeline": picture,
                "warnings": warnings,
            }
        )
        return
    print(f"Schedule {agreed.version} of the task {agreed.task}:")
    _print_indented(sentences)
    print()
    _print_indented(picture)
    _print_warnings(warnings)


@app.command(epilog=EXIT_CODES)
def show(
    settings: SettingsFile = DEFAULT_SETTINGS,
    task: Task = "",
    as_json: Json = False,
) -> None:
    """Show the schedule in force.

    Who put it there, when and why, what it does, and a picture of it.

    Without a broker it shows what the rendezvous wrote down last.
    """
    from roost_edge.settings import loading
    from roost_rendezvous import schedule_report
    from roost_rendezvous.survey import survey

    device = loading.load(settings)
    name = operator.only_task(device, settings, task)
    try:
        look = operator.LOOK_S
        found = operator.with_broker(device, lambda bus: survey(bus, device.task_topics(name)), work_s=look)
    except operator.NoBroker as error:
        output.say(f"roost: {error}")
        found = None
    shown = schedule_report.show(name, found, _known(device, name))
    if as_json:
        output.data(dataclasses.asdict(shown))
        return
    why = f": {printable(shown.why)}" if shown.why else ""
    print(f"Schedule of the task {shown.task}. {printable(shown.standing)}")
    print(f"Put in force by {printable(shown.author) or 'nobody knows whom'}, {schedule_report.when(shown.at)}{why}")
    print()
    _print_indented(shown.timeline)
    print()
    _print_indented(shown.explanation)
    _print_warnings(shown.warnings)


@app.command(epilog=EXIT_CODES)
def apply(
    file: Annotated[Path, typer.Argument(help="The schedule (TOML).")],
    settings: SettingsFile = DEFAULT_SETTINGS,
    author: Author = "",
    why: Why = "",
    as_json: Json = False,
) -> None:
    """Put a schedule in force.

    It counts for the next request, and nothing is restarted. Status 1 when refused.

    Names that are no models of the device are warned of, and the schedule counts all the same: they may come later.
    """
    from roost_rendezvous import schedule
    from roost_rendezvous.schedule_apply import Applied

    try:
        wanted = schedule.load(file)
    except RoostError as error:
        if as_json:
            output.data(dataclasses.asdict(Applied("refused", "", detail=str(error))))
        else:
            output.complain(error)
        raise typer.Exit(output.NO) from error
    device = _load(settings, wanted.task, of=file)
    _tell(_apply(device, wanted, author=author, why=why), wanted, as_json)


@app.command(epilog=EXIT_CODES)
def history(
    settings: SettingsFile = DEFAULT_SETTINGS,
    task: Task = "",
    as_json: Json = False,
) -> None:
    """List every schedule that was in force, oldest first.

    When, who, why, and what arrived and was given meanwhile.

    A request that waits over a change counts as arrived under the old schedule, and its answer as given under the new.
    Read on the device itself, from what the rendezvous writes down; it need not run.
    """
    from roost_edge.settings import loading
    from roost_rendezvous import schedule_report

    device = loading.load(settings)
    name = operator.only_task(device, settings, task)
    reigns = schedule_report.reigns(_known(device, name))
    if as_json:
        output.data([{"entry": reign.entry, "counts": reign.counts} for reign in reigns])
        return
    if not reigns:
        output.say(f"No schedule of the task {name} was in force here yet.")
        return
    print(output.table([("since", "version", "by", "arrived", "given meanwhile", "why"), *map(_row, reigns)]))


@app.command(epilog=EXIT_CODES)
def rollback(
    version: Annotated[str, typer.Argument(help="Which one (the first digits do); the one before if not given.")] = "",
    settings: SettingsFile = DEFAULT_SETTINGS,
    task: Task = "",
    author: Author = "",
    why: Why = "",
    as_json: Json = False,
) -> None:
    """Put the schedule before this one in force again.

    Or an earlier one, named by its version.

    It counts for the next request, and leaves its own mark in the history. Status 1 when there is none.
    """
    from roost_edge.settings import loading
    from roost_rendezvous import schedule
    from roost_rendezvous.server.schedule_history import to_go_back_to

    device = loading.load(settings)
    name = operator.only_task(device, settings, task)
    entries = _known(device, name).history
    entry = to_go_back_to(entries, version)
    reason = f"roll-back from {entries[-1].version}" + (f": {why}" if why else "")
    wanted = schedule.parse(entry.schedule)
    _tell(_apply(device, wanted, author=author, why=reason), wanted, as_json)


def _apply(device: "Settings", wanted: "Schedule", *, author: str, why: str) -> "Applied":
    from roost_broker.clock import SystemClock
    from roost_rendezvous.schedule_apply import apply as publish

    doubts = _doubts(device, wanted)
    applied = operator.with_broker(
        device,
        lambda bus: publish(
            bus,
            device.task_topics(wanted.task),
            wanted,
            author=author or operator.user(),
            why=why,
            clock=SystemClock(),
        ),
    )
    return dataclasses.replace(applied, warnings=(*doubts, *applied.warnings))


def _doubts(device: "Settings", wanted: "Schedule", *, or_else_offline: bool = False) -> list[str]:
    """What is odd about a schedule on this device. The broker is asked only about names that the settings lack."""
    from roost_rendezvous.schedule.doubts import about_names, about_samples, unknown
    from roost_rendezvous.survey import survey

    known, asked = set(device.tasks[wanted.task].models), False
    if unknown(wanted, known):
        topics = device.task_topics(wanted.task)
        try:
            found = operator.with_broker(device, lambda bus: survey(bus, topics), work_s=operator.LOOK_S)
        except operator.NoBroker:
            if not or_else_offline:
                raise
        else:
            known, asked = known | {name for name, _ in found.models}, True
    return about_names(wanted, known, broker_asked=asked) + about_samples(wanted)


def _tell(applied: "Applied", wanted: "Schedule", as_json: bool) -> None:
    if as_json:
        output.data(dataclasses.asdict(applied))
    else:
        detail = printable(applied.detail)
        print(_SENTENCES[applied.outcome].format(version=wanted.version, task=wanted.task, detail=detail))
    _print_warnings(applied.warnings)
    if applied.outcome == "refused":
        raise typer.Exit(output.NO)


def _load(settings: Path, task: str, of: Path | None = None) -> "Settings":
    from roost_edge.settings import loading

    device = loading.load(settings)
    if task not in device.tasks:
        raise Misuse(
            f"{of or 'The schedule'} is for the task {task!r}, and {settings} has {', '.join(device.tasks) or 'none'}.",
            "Name the settings of the device that has it: --settings FILE.",
        )
    return device


def _known(device: "Settings", task: str) -> "Knowledge":
    from roost_rendezvous.schedule_report import Knowledge

    return Knowledge.read(device.layout.journal(task))


def _row(reign: "Reign") -> tuple[str, str, str, str, str, str]:
    from roost_rendezvous.schedule_report import when

    entry = reign.entry
    causes = ", ".join(f"{count} {cause}" for cause, count in reign.counts.items() if cause != "requests")
    arrived = str(reign.counts["requests"])
    return when(entry.at), entry.version, entry.author or "?", arrived, causes or "-", entry.why or "-"


def _print_indented(lines: list[str]) -> None:
    for line in lines:
        print(f"  {printable(line)}")


def _print_warnings(warnings: "list[str] | tuple[str, ...]") -> None:
    for sentence in warnings:
        output.say(f"warning: {printable(sentence)}")


_SENTENCES = {
    "applied": "Schedule {version} of the task {task} is in force for the next request.",
    "in-force-already": "Schedule {version} of the task {task} was in force already.",
    "refused": "Refused; the schedule before it stays in force. {detail}",
    "published": "Schedule {version} stands on the topic; no rendezvous of {task} answered. It counts when one starts.",
}
