"""`roost run` (one role) and `roost up` (all roles of a settings file), in the foreground."""

import asyncio
import os
import shlex
import socket
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
    from roost_edge.settings.device import Settings as Device

_DEFAULT = "roost.toml"
_QUIET = ("debug: ", "info: ", "INFO: ")
"""The last is how TensorFlow Lite begins its own; its warnings and errors begin otherwise."""
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  # compared with, not listened on

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
        if verbose or not for_the_log_alone(text):
            output.say(f"{role}: {text}")

    supervisor = Supervisor(settings, on_line=on_line, on_change=lambda role, what: output.say(f"{role}: {what}"))
    asyncio.run(_until_stopped(supervisor, settings))


def for_the_log_alone(line: str) -> bool:
    """Whether a line of a role, as people read it, says of itself that it tells of nothing amiss."""
    return line.startswith(_QUIET)


async def _until_stopped(supervisor: "Supervisor", file: Path) -> None:
    stop = told_to_stop()
    beginning = asyncio.create_task(_begin(supervisor, file))
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


async def _begin(supervisor: "Supervisor", file: Path) -> None:
    with one_complaint():
        await supervisor.start()
    await supervisor.wait_ready(60)
    broker = supervisor.settings.broker
    output.say(
        f"All {len(supervisor.roles)} roles are ready. Watch: mosquitto_sub -p {broker.port} -t '{broker.base}/#' -v"
    )
    for line in page_lines(supervisor.settings, file):
        output.say(line)


def page_lines(settings: "Device", file: Path) -> list[str]:
    """Where the device's own page is, and what to type for a password while it has none; nothing without a page."""
    page = settings.page
    if page is None:
        return []
    if page.port == 0:  # the system chose
        lines = [f"Its page is at a port that its log names: {settings.layout.log('page')}"]
    else:
        host = socket.gethostname() if page.host in _EVERYWHERE else page.host
        host = f"[{host}]" if ":" in host else host
        lines = [f"Its page: {'https' if page.secure else 'http'}://{host}:{page.port}"]
    if not settings.layout.page_password.exists():
        named = "" if file == Path(_DEFAULT) else f" -s {shlex.quote(str(file))}"
        lines.append(f"  It has no password, so it only shows. To set one, and do more: roost page password{named}")
    return lines
