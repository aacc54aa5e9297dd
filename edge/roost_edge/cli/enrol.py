"""`roost enrol`: how a device gets its identity, and keeps it."""

import random
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roost_broker.errors import Misuse
from roost_edge.cli import output
from roost_edge.cli.operator import DEFAULT_SETTINGS, SettingsFile
from roost_edge.cli.output import EXIT_CODES, Json

if TYPE_CHECKING:
    from roost_edge.enrolment.folder import IdentityFolder

app = typer.Typer(epilog=EXIT_CODES, invoke_without_command=True)
DEFAULT_SEED = Path("/boot/firmware/roost")
_SOON = timedelta(days=5)

Identity = Annotated[
    Path | None, typer.Option("--identity", metavar="DIR", help="Its folder; else the one of the settings.")
]
Reload = Annotated[
    list[str] | None,
    typer.Option("--reload", metavar="UNIT", help="Reload this unit when something changed; as often as needed."),
]


@app.callback()
def enrol(
    context: typer.Context,
    settings: SettingsFile = DEFAULT_SETTINGS,
    seed: Annotated[Path, typer.Option(metavar="DIR", help="The folder with seed.toml.")] = DEFAULT_SEED,
    identity: Identity = None,
    wait_s: Annotated[
        float, typer.Option("--wait", min=0, metavar="SECONDS", help="How long to try while nobody answers.")
    ] = 0,
    again: Annotated[bool, typer.Option("--again", help="Forget who this device is, and enrol anew.")] = False,
    as_json: Json = False,
) -> None:
    """Enrol this device: make its key, get its certificate.

    The key is made here and never leaves; the certificate is given for the token in the seed.

    Cut off at any point, run it again: it goes on, and the same device gets the same name. An enrolled device is left
    alone. The token is taken out of the seed at the end.
    """
    if context.invoked_subcommand is not None:
        return
    from roost_edge.enrolment import enrolling

    folder = _folder(identity, settings)
    if again:
        folder.forget()
    started = time.monotonic()
    done = enrolling.patiently(
        lambda: enrolling.enrol(seed, folder, _now()),
        patience_s=wait_s,
        elapsed_s=lambda: time.monotonic() - started,
        pause=time.sleep,
        random=random.random,
        tell=output.say,
    )
    _tell_clock(done.clock_off_s)
    if done.token_left:
        output.say(f"The token is still in {seed}: {done.token_left}")
        output.say("  → It is used up, if it was for one device; else take it out by hand.")
    if as_json:
        output.data(done)
    else:
        already = " already" if done.already else ""
        print(f"This device is {done.name}{already}; its certificate ends {_day(done.until)}.")


@app.command(epilog=EXIT_CODES)
def renew(
    settings: SettingsFile = DEFAULT_SETTINGS,
    identity: Identity = None,
    new_key: Annotated[bool, typer.Option("--new-key", help="With a new key, now.")] = False,
    now: Annotated[bool, typer.Option("--now", help="Even if it is not due yet.")] = False,
    reload: Reload = None,
    as_json: Json = False,
) -> None:
    """Renew the certificate when it is due.

    It is when two thirds of its time are over. Trust bundle and revocation lists are brought up to date as well.

    For a timer, daily. What changed stands on stdout, one word a line (certificate, key, trust, crl). A change whose
    --reload was cut off or failed is made up for by the next run.
    """
    from roost_edge.enrolment import renewing

    folder = _folder(identity, settings)
    done = renewing.renew(folder, _now(), force=now, new_key=new_key)
    _tell_clock(done.clock_off_s)
    if reload and folder.to_tell.exists():
        for unit in reload:
            _reload(unit)
        folder.to_tell.unlink()
    if as_json:
        output.data(done)
        return
    for what in done.changed:
        print(what)
    output.say(f"{done.name}: certificate until {_day(done.until)}, renewed from {_day(done.next)} on.")


@app.command(epilog=EXIT_CODES)
def status(settings: SettingsFile = DEFAULT_SETTINGS, identity: Identity = None, as_json: Json = False) -> None:
    """Show who this device is and until when; asks nobody.

    Status 1 when it has not enrolled, or when certificate or revocation lists end within five days.
    """
    from roost_edge.enrolment.status import status_of

    found = status_of(_folder(identity, settings), _now(), soon=_SOON)
    if as_json:
        output.data(found)
    else:
        print(found.text())
        for problem in found.problems:
            output.say(problem)
    raise typer.Exit(output.NO if found.problems else output.OK)


def _folder(identity: Path | None, settings: Path) -> "IdentityFolder":
    from roost_edge.enrolment.folder import IdentityFolder
    from roost_edge.settings.device import DataLayout
    from roost_edge.settings.loading import load

    if identity is not None:
        return IdentityFolder(identity)
    # Before enrolment the settings have no name yet, and the identity is where the data are whatever it will be.
    return IdentityFolder(DataLayout(Path(load(settings, unnamed="unnamed").node.data)).identity)


def _reload(unit: str) -> None:
    done = subprocess.run(
        ["systemctl", "try-reload-or-restart", unit], capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode != 0:
        raise Misuse(f"{unit} was not reloaded: {done.stderr.strip()[:300]}.", f"Do it: systemctl reload {unit}.")
    output.say(f"reloaded {unit}")


def _tell_clock(off_s: int) -> None:
    if off_s > 0:
        output.say(f"This device's clock is {timedelta(seconds=off_s)} behind the enrolment desk's.")
        output.say("  → The certificate is good once the clock is set: timedatectl status")
    elif off_s < 0:
        output.say(f"This device's clock is {timedelta(seconds=-off_s)} ahead of the enrolment desk's.")
        output.say("  → Set the one that is wrong: timedatectl status")


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d")


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)
