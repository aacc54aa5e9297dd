"""`roost alarms`: what the monitor finds strange; follow it; say that one is known."""

import asyncio
import shutil
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roost_broker.printable import printable
from roost_edge.cli import output
from roost_edge.cli.operator import DEFAULT_SETTINGS, SettingsFile, user
from roost_edge.cli.output import EXIT_CODES, Json

if TYPE_CHECKING:
    from roost_broker.bus import Delivery
    from roost_broker.messages import OpenAlarm
    from roost_edge.alarm_desk import Answer
    from roost_edge.settings.device import Settings

app = typer.Typer(invoke_without_command=True, epilog=EXIT_CODES)
_PATIENCE_S = 5.0

OneTask = Annotated[str, typer.Option(help="Only this task.")]
Patience = Annotated[float, typer.Option("--timeout", min=1, max=600, help="Seconds to wait for the monitor.")]


@app.callback()
def group(
    context: typer.Context,
    settings: SettingsFile = DEFAULT_SETTINGS,
    task: OneTask = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Tell each change as it comes, until Ctrl-C.")] = False,
    watched: Annotated[
        bool, typer.Option("--watched", help="Also everything that is watched, strangest first.")
    ] = False,
    timeout: Patience = _PATIENCE_S,
    as_json: Json = False,
) -> None:
    """List open and past alarms, and acknowledge them.

    One change is one alarm, however many signals show it. Each has a verdict (did the model change, the world, the
    camera, the clock, the link?) and the signals that moved, the culprit first. Status 1 while an alarm is open.
    """
    if context.invoked_subcommand is not None:
        return
    from roost_edge.cli import alarm_asking
    from roost_edge.settings import loading

    device = loading.load(settings)
    answer = alarm_asking.ask(device, timeout, task=task, standing=watched)
    if as_json and not follow:
        output.data(_as_data(answer, watched=watched))
    else:
        _show(answer, watched=watched, as_json=as_json)
    if follow:
        _follow(device, task, as_json=as_json)
    is_open = any(one.state == "open" for one in answer.alarms)
    raise typer.Exit(output.NO if is_open else output.OK)


@app.command(epilog=EXIT_CODES)
def acknowledge(
    alarm: Annotated[
        str, typer.Argument(metavar="ID", help="The alarm's id, or its beginning, as `roost alarms` has it.")
    ],
    settings: SettingsFile = DEFAULT_SETTINGS,
    by: Annotated[str, typer.Option(help="Who says so; kept with it. Your user name if not given.")] = "",
    timeout: Patience = _PATIENCE_S,
    as_json: Json = False,
) -> None:
    """Say that an alarm is known: what is now is normal.

    Its signals learn anew what is usual. Until they have, they raise no other alarm; a later change does.
    """
    from roost_edge.cli import alarm_asking
    from roost_edge.settings import loading

    said = alarm_asking.acknowledge(loading.load(settings), alarm, by or user(), timeout)
    if as_json:
        output.data(said)
    else:
        print(f"Acknowledged: {printable(str(said.get('alarm', alarm)))}: {printable(str(said.get('sentence', '')))}")


def _as_data(answer: "Answer", *, watched: bool) -> dict[str, Any]:
    import msgspec

    found: dict[str, Any] = msgspec.to_builtins(answer)
    return found if watched else {name: value for name, value in found.items() if name != "standing"}


def _show(answer: "Answer", *, watched: bool, as_json: bool) -> None:
    from roost_edge.alarm_desk import catching_up
    from roost_rendezvous.analytics.faces import telling
    from roost_rendezvous.analytics.faces.terminal import standing_lines
    from roost_rendezvous.monitor.standing_answer import heard

    if as_json:  # before following: one object a line
        for one in answer.alarms:
            _line(one)
        return
    for one in answer.alarms:
        _tell(one)
    if waits := catching_up(answer):
        print(waits)
    elif not answer.alarms:
        print("No alarm is open.")
    said = f"{answer.able:,} of {answer.signals:,} watched signals have enough history to raise one."
    print(f"{said} {printable(answer.why_not)}".rstrip())
    if mended := telling.mended(answer.mended):
        print(printable(mended))
    if watched:
        print()
        most = max(12, shutil.get_terminal_size().lines - 4) if sys.stdout.isatty() else 1_000
        print("\n".join(printable(line) for line in standing_lines(heard(answer.standing), most)).rstrip())


def _tell(one: "OpenAlarm") -> None:
    """An alarm in words: what changed, whose; then who else moved."""
    from roost_edge.alarm_desk import episode_of
    from roost_rendezvous.analytics.faces import telling

    head, *rest = telling.episode(episode_of(one), None)
    print(printable(head))
    for line in rest:
        print(f"  {printable(line)}")
    print(flush=True)


def _line(one: "OpenAlarm") -> None:
    import msgspec

    print(msgspec.json.encode(one).decode(), flush=True)


def _follow(device: "Settings", task: str, *, as_json: bool) -> None:
    """Until Ctrl-C, which is no failure. Alarms that change while nobody is connected come with the next connection."""
    from roost_edge.logs import one_complaint

    with one_complaint():
        try:
            asyncio.run(_hear(device, task, as_json=as_json))
        except KeyboardInterrupt:
            output.say("")


async def _hear(device: "Settings", task: str, *, as_json: bool) -> None:
    import os

    from msgspec import structs

    from roost_broker.credentials import as_operator
    from roost_broker.errors import Malformed
    from roost_broker.messages import Alarm, decode
    from roost_broker.mqtt import MqttBus

    broker = structs.replace(as_operator(device.broker), session_expiry_s=0)
    bus = MqttBus(broker, f"{device.node.name}-operator-{os.getpid()}")

    def heard(delivery: "Delivery") -> None:
        delivery.ack()
        try:
            message = decode(delivery.payload)
        except Malformed:
            return  # not from a monitor of ours
        if isinstance(message, Alarm):
            (_line if as_json else _tell)(message.alarm)

    topics = [device.task_topics(name).alarm for name in device.tasks if task in ("", name)]
    for topic in topics if task else [device.topics.alarm, *topics]:
        bus.subscribe(topic, heard)
    await bus.start()
    try:
        await asyncio.Event().wait()
    finally:
        await bus.stop(forget=True)
