"""`roost ota`: what runs of what the registry offers, and having a say in it on the device itself."""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roost_broker.errors import Misuse, PeerError
from roost_broker.printable import printable
from roost_edge.cli import output
from roost_edge.cli.operator import DEFAULT_SETTINGS, SettingsFile
from roost_edge.cli.output import EXIT_CODES, Json

if TYPE_CHECKING:
    from roost_edge.ota.standing import Standing
    from roost_edge.settings.device import Settings

app = typer.Typer(no_args_is_help=True, help="Bundles over the air: status, returning.")

Line = Annotated[str, typer.Argument(help="Which line (task/model), where there are several.")]
_PATIENCE_S = 10.0


@app.callback()
def group() -> None:
    """Bundles over the air: status, returning."""


@app.command(epilog=EXIT_CODES)
def status(settings: SettingsFile = DEFAULT_SETTINGS, as_json: Json = False) -> None:
    """Show what answers, and what is on its way.

    For each line: the bundles in both slots, the one that comes, the trial's counts, and what was rejected.
    Without a running agent it shows what lies on the card. Status 1 when the registry or a line has a problem.
    """
    from roost_edge.ota.pointers import OtaFolder

    device = _load(settings)
    reply = _ask(device, {"do": "status"})
    state: dict[str, Any] = reply["state"] if reply is not None else {}
    folder = OtaFolder(device.layout.ota)
    standings = {line: folder.standing(line) for line in device.lines}
    problems = [str(line.get("problem", "")) for line in state.get("lines", [])] + [str(state.get("problem", ""))]
    if as_json:
        output.data({"running": reply is not None, "report": state, "card": {k.key: v for k, v in standings.items()}})
    else:
        _print_status(device, state, standings, running=reply is not None)
    if any(problems):
        raise typer.Exit(output.NO)


@app.command(epilog=EXIT_CODES)
def check(settings: SettingsFile = DEFAULT_SETTINGS, as_json: Json = False) -> None:
    """Ask the registry now.

    Not at the next regular time. The agent must run.
    """
    _asked(_load(settings), {"do": "check"})
    if as_json:
        output.data({"asked": True})
    else:
        print("The registry is asked now. See: roost ota status")


@app.command(epilog=EXIT_CODES)
def history(settings: SettingsFile = DEFAULT_SETTINGS, as_json: Json = False) -> None:
    """List when which bundle began to answer.

    Newest last: the agent's marks in the schedules' history. Read on the device itself; nothing need run.
    """
    from roost_edge.ota.schedule_book import AUTHOR
    from roost_rendezvous.schedule_report import Knowledge, when

    device = _load(settings)
    found = [
        {"at": entry.at, "task": task, "version": entry.version, "why": entry.why}
        for task in dict.fromkeys(line.task for line in device.lines)
        for entry in Knowledge.read(device.layout.journal(task)).history
        if entry.author == AUTHOR
    ]
    found.sort(key=lambda one: str(one["at"]))
    if as_json:
        output.data(found)
    elif not found:
        output.say("No bundle of the registry came near an answer here yet.")
    else:
        rows = [(when(int(str(one["at"]))), str(one["task"]), str(one["version"]), str(one["why"])) for one in found]
        print(output.table([("when", "task", "schedule", "what"), *rows]))


@app.command("return", epilog=EXIT_CODES)
def return_(
    line: Line = "",
    why: Annotated[str, typer.Option(help="For the record.")] = "",
    settings: SettingsFile = DEFAULT_SETTINGS,
    as_json: Json = False,
) -> None:
    """Let the bundle before this one answer again.

    What answers now (or is in shadow) is rejected on this device. It counts for the next request, and nothing is
    started. Status 1 when nobody confirms it within seconds.
    """
    device = _load(settings)
    reply = _asked(device, {"do": "return", "line": line, "why": why})
    done = _wait_for_version(device, str(reply["line"]), str(reply["to"]))
    if as_json:
        output.data({**reply, "done": done})
    elif done:
        print(f"{reply['line']}: {printable(str(reply['to']))} answers.")
    if not done:
        output.say(f"{reply['line']}: not confirmed yet. See: roost ota status")
        raise typer.Exit(output.NO)


@app.command(epilog=EXIT_CODES)
def allow(
    bundle: Annotated[str, typer.Argument(help="A rejected bundle: its version, or the first digits of its digest.")],
    line: Annotated[str, typer.Option(help="Which line (task/model), where there are several.")] = "",
    settings: SettingsFile = DEFAULT_SETTINGS,
    as_json: Json = False,
) -> None:
    """Lift a rejection.

    The device may try this bundle again, if the roll-out still offers it.
    """
    reply = _asked(_load(settings), {"do": "allow", "line": line, "digest": bundle})
    if as_json:
        output.data(reply)
    else:
        print(f"{reply['line']}: {str(reply['digest'])[:12]} may be tried again.")


def _load(settings: Path) -> "Settings":
    from roost_edge.settings import loading

    device = loading.load(settings)
    if device.ota is None:
        raise Misuse(f"{settings} has no [ota]: nothing is kept up to date here.", "See docs/ota.md.")
    return device


def _ask(device: "Settings", wish: dict[str, Any]) -> dict[str, Any] | None:
    from roost_edge.ota.pointers import OtaFolder
    from roost_edge.processes import control

    return asyncio.run(control.ask(OtaFolder(device.layout.ota).socket, wish, timeout_s=_PATIENCE_S))


def _asked(device: "Settings", wish: dict[str, Any]) -> dict[str, Any]:
    reply = _ask(device, wish)
    if reply is None:
        raise PeerError("No OTA agent runs from this data folder.", "Start the device with `roost up`.")
    return reply


def _wait_for_version(device: "Settings", line: str, version: str) -> bool:
    """Whether the agent says within seconds that this version answers and nothing of it is under way."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        state = _asked(device, {"do": "status"})["state"]
        for one in state.get("lines", []):
            active = [slot["version"] for slot in one.get("slots", []) if slot["state"] == "active"]
            if f"{one['task']}/{one['model']}" == line and active == [version] and one["phase"] != "returning":
                return True
        time.sleep(0.1)
    return False


def _print_status(
    device: "Settings", state: dict[str, Any], standings: "dict[Any, Standing | None]", *, running: bool
) -> None:
    if not running:
        output.say("No OTA agent runs here; this is what lies on the card.")
    if problem := state.get("problem"):
        output.say(f"registry: {printable(str(problem))}")
    told = {f"{one['task']}/{one['model']}": one for one in state.get("lines", [])}
    for line, standing in standings.items():
        one = told.get(line.key, {})
        wanted = f", wants {printable(str(one['wanted']))}" if one.get("wanted") else ""
        print(f"{line.key} follows {line.bundle}: {one.get('phase', 'not running')}{wanted}")
        if standing is None:
            section = device.tasks[line.task].models[line.model]
            print(f"  a  {line.model}  {section.bundle}  active (as delivered)")
        else:
            for slot, content in sorted(standing.slots.items()):
                use = "active" if slot == standing.active else standing.beside
                print(f"  {slot}  {line.name(slot)}  {printable(content.title)}  {use}")
            for rejection in standing.rejected:
                print(
                    f"  rejected: {printable(rejection.version)} ({rejection.digest[:12]}): {printable(rejection.why)}"
                )
        if trial := one.get("trial"):
            counts = (f"{trial.get(name, 0)} {name}" for name in ("requests", "answered", "official", "restarts"))
            print(f"  trial of {printable(str(trial['version']))}: {', '.join(counts)}")
        if problem := one.get("problem"):
            print(f"  problem: {printable(str(problem))}")
