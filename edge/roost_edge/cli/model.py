"""`roost model`: the models of a task where the schedule has them, and retiring one."""

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from roost_broker.errors import PeerError
from roost_edge.cli import operator, output
from roost_edge.cli.operator import DEFAULT_SETTINGS, Author, SettingsFile, Task
from roost_edge.cli.output import EXIT_CODES, Json

if TYPE_CHECKING:
    from roost_edge.settings.device import Settings
    from roost_rendezvous.schedule import Schedule
    from roost_rendezvous.survey import Survey

app = typer.Typer(no_args_is_help=True, help="Models of a running device: list, retire.")


@app.callback()
def group() -> None:
    """Models of a running device: list, retire."""


@app.command("list", epilog=EXIT_CODES)
def list_models(settings: SettingsFile = DEFAULT_SETTINGS, task: Task = "", as_json: Json = False) -> None:
    """List the models of a task.

    State, version, where the schedule in force has them, and what they did.
    """
    from roost_edge.settings import loading
    from roost_models.retiring import models

    device = loading.load(settings)
    name = operator.only_task(device, settings, task)
    found, schedule = _survey(device, name)
    listed = models(found, schedule)
    if as_json:
        output.data([dataclasses.asdict(one) for one in listed])
        return
    rows = [
        (
            f"{one.model}#{one.replica}" if one.replica else one.model,
            one.state,
            one.version or "-",
            one.place,
            str(one.counts.get("answered", 0)),
            str(sum(count for reason, count in one.counts.items() if reason.startswith("declined"))),
        )
        for one in listed
    ]
    print(output.table([("model", "state", "version", "in the schedule", "answered", "declined"), *rows]))


@app.command(epilog=EXIT_CODES)
def retire(
    model: Annotated[str, typer.Argument(help="Its name.")],
    settings: SettingsFile = DEFAULT_SETTINGS,
    task: Task = "",
    author: Author = "",
    why: Annotated[str, typer.Option(help="For the record.")] = "",
    as_json: Json = False,
) -> None:
    """Retire a model: nobody waits for it or lists it any more. Its bundle and its archived answers stay.

    Status 1 while the schedule in force names it anywhere, or while it runs.
    """
    from roost_broker.clock import SystemClock
    from roost_edge.settings import loading
    from roost_models import retiring

    device = loading.load(settings)
    name = operator.only_task(device, settings, task)
    found, schedule = _survey(device, name)
    if schedule is None:
        raise PeerError(
            f"Whether {model} is still needed cannot be known: no schedule of {name} is in force.",
            "Start the device, or put one in force: roost schedule apply FILE.",
        )
    states = retiring.check_retirement(found, schedule, model)
    topics = device.task_topics(name)
    who = author or operator.user()
    operator.with_broker(
        device, lambda bus: retiring.retire(bus, topics, states, author=who, why=why, clock=SystemClock())
    )
    in_settings = model in device.tasks[name].models
    if as_json:
        output.data({"model": model, "task": name, "retired": True, "inSettings": in_settings})
        return
    print(f"The model {model} of the task {name} is retired.")
    if in_settings:
        print(f"Take [tasks.{name}.models.{model}] out of {settings}, or it returns with the next start.")


def _survey(device: "Settings", task: str) -> "tuple[Survey, Schedule | None]":
    """What stands on the topics, and the schedule in force, if any is known."""
    from roost_rendezvous import schedule as schedules
    from roost_rendezvous.schedule_report import Knowledge, show
    from roost_rendezvous.survey import survey

    topics = device.task_topics(task)
    found = operator.with_broker(device, lambda bus: survey(bus, topics), work_s=operator.LOOK_S)
    try:
        shown = show(task, found, Knowledge.read(device.layout.journal(task)))
    except PeerError:
        return found, None
    return found, schedules.parse(shown.schedule)
