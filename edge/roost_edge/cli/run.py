"""`roost run` (one role) and `roost up` (all roles of a settings file), in the foreground."""

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roost_broker.cancellation import cancel_and_wait
from roost_broker.stopping import told_to_stop
from roost_edge.cli import output
from roost_edge.logs import one_complaint, readable

if TYPE_CHECKING:
    from roost_edge.processes.supervisor import Supervisor

_DEFAULT = "roost.toml"

Settings = Annotated[Path, typer.Option("--settings", "-s", envvar="ROOST_SETTINGS", help="The settings file (TOML).")]


def run(context: typer.Context) -> None:
    """Run one role in the foreground.

    As systemd does: roost run ROLE --settings FILE. `roost run --help` says more.

    The process becomes the role's daemon, which speaks JSON lines on stderr and ends in order on SIGTERM.
    """
    arguments = list(context.args)
    asks_help = not arguments or "--help" in arguments or "-h" in arguments
    if not asks_help and not any(word == "--settings" or word.startswith("--settings=") for word in arguments):
        arguments += ["--settings", os.environ.get("ROOST_SETTINGS", _DEFAULT)]
    os.execv(sys.executable, [sys.executable, "-m", "roost_edge.daemon", *(arguments or ["--help"])])  # noqa: S606  # an argument list, no shell


def up(
    settings: Settings = Path(_DEFAULT),
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every line the roles say.")] = False,
) -> None:
    """Run all roles of a settings file, until Ctrl-C.

    As processes of this one; needs a running broker. For a desk. On a device systemd does this.
    """
    from roost_edge.processes.supervisor import Supervisor

    def on_line(role: str, line: str) -> None:
        text = readable(line)
        if verbose or not text.startswith(("debug: ", "info: ")):
            output.say(f"{role}: {text}")

    supervisor = Supervisor(settings, on_line=on_line, on_change=lambda role, what: output.say(f"{role}: {what}"))
    asyncio.run(_until_stopped(supervisor))


async def _until_stopped(supervisor: "Supervisor") -> None:
    stop = told_to_stop()
    beginning = asyncio.create_task(_begin(supervisor))
    waiting = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({beginning, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if beginning.done():
            beginning.result()  # what went wrong goes up
            await waiting
        output.say("Stopping, cameras first …")
    finally:
        await cancel_and_wait(beginning, waiting)
        ran = stop.is_set() or any(supervisor.pid(role.name) for role in supervisor.roles)
        await supervisor.stop()
        if ran:  # else the error that goes up is all there is to say
            output.say("All roles have ended.")


async def _begin(supervisor: "Supervisor") -> None:
    with one_complaint():
        await supervisor.start()
    await supervisor.wait_ready(60)
    broker = supervisor.settings.broker
    output.say(
        f"All {len(supervisor.roles)} roles are ready. Watch: mosquitto_sub -p {broker.port} -t '{broker.base}/#' -v"
    )
