"""`roost schedule`: what a schedule will do, in sentences, and putting it in force."""

import asyncio
import dataclasses
import getpass
import os
from pathlib import Path
from typing import Annotated

import typer

from roost_broker.errors import Misuse, PeerError, RoostError
from roost_edge.cli import output
from roost_edge.cli.output import EXIT_CODES, Json

app = typer.Typer(no_args_is_help=True, help="Schedules: which model may answer when.")


@app.callback()
def group() -> None:
    """Schedules: which model may answer when."""


@app.command(epilog=EXIT_CODES)
def check(
    file: Annotated[Path, typer.Argument(help="The schedule (TOML).")],
    as_json: Json = False,
) -> None:
    """Say whether a schedule can be used, and what it will do. Status 1 when it cannot."""
    from roost_rendezvous import schedule

    try:
        agreed = schedule.load(file)
    except RoostError as error:
        if as_json:
            output.data({"file": str(file), "ok": False, "problem": error.problem, "remedy": error.remedy})
        else:
            output.complain(error)
        raise typer.Exit(output.NO) from error
    sentences = schedule.explain(agreed)
    if as_json:
        output.data(
            {
                "file": str(file),
                "ok": True,
                "version": agreed.version,
                "schedule": schedule.to_object(agreed),
                "explanation": sentences,
            }
        )
        return
    print(f"Schedule {agreed.version} of the task {agreed.task}:")
    for sentence in sentences:
        print(f"  {sentence}")


@app.command(epilog=EXIT_CODES)
def apply(
    file: Annotated[Path, typer.Argument(help="The schedule (TOML).")],
    settings: Annotated[Path, typer.Option("--settings", "-s", help="The device's settings file.")] = Path(
        "roost.toml"
    ),
    author: Annotated[str, typer.Option(help="Who changes it; kept with it.")] = "",
    why: Annotated[str, typer.Option(help="For the record.")] = "",
    as_json: Json = False,
) -> None:
    """Put a schedule in force: it counts for the next request, and nothing is restarted. Status 1 when refused."""
    from msgspec import structs

    from roost_broker.clock import SystemClock
    from roost_broker.mqtt import MqttBus
    from roost_edge.settings import loading
    from roost_rendezvous import schedule
    from roost_rendezvous.schedule_apply import Applied
    from roost_rendezvous.schedule_apply import apply as publish

    wanted = schedule.load(file)
    device = loading.load(settings)
    if wanted.task not in device.tasks:
        raise Misuse(
            f"{file} is for the task {wanted.task!r}, and {settings} has {', '.join(device.tasks) or 'none'}.",
            "Name the settings of the device that has it: --settings FILE.",
        )
    broker = structs.replace(device.broker, session_expiry_s=0)
    bus = MqttBus(broker, f"{device.node.name}-operator-{os.getpid()}")

    async def bounded() -> Applied:
        async with asyncio.timeout(broker.connect_timeout_s + 10):
            return await publish(
                bus, device.task_topics(wanted.task), wanted, author=author or _user(), why=why, clock=SystemClock()
            )

    try:
        applied = asyncio.run(bounded())
    except TimeoutError as error:
        raise PeerError(
            f"No broker answers at {broker.host}:{broker.port}.",
            "Start the device, or correct [broker] in the settings.",
        ) from error
    if as_json:
        output.data(dataclasses.asdict(applied))
    else:
        print(_SENTENCES[applied.outcome].format(version=wanted.version, task=wanted.task, detail=applied.detail))
    if applied.outcome == "refused":
        raise typer.Exit(output.NO)


_SENTENCES = {
    "applied": "Schedule {version} of the task {task} is in force for the next request.",
    "in-force-already": "Schedule {version} of the task {task} was in force already.",
    "refused": "Refused; the schedule before it stays in force. {detail}",
    "published": "Schedule {version} stands on the topic; no rendezvous of {task} answered. It counts when one starts.",
}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return f"uid {os.getuid()}"
