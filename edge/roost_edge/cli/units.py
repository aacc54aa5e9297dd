"""`roost units`: the device's roles as units of systemd."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roost_edge.cli import output
from roost_edge.cli.output import EXIT_CODES, Json

if TYPE_CHECKING:
    from roost_edge.units.installing import Change
    from roost_edge.units.planned import Planned

app = typer.Typer(
    help="The device's roles as units of systemd: apply, status.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
)

SETTINGS = "etc/roost/roost.toml"
Settings = Annotated[
    Path | None,
    typer.Option(
        "--settings", "-s", envvar="ROOST_SETTINGS", help="The settings file; /etc/roost/roost.toml when left out."
    ),
]
Root = Annotated[Path, typer.Option(help="Work below this folder, such as the root of an image, instead of /.")]


@app.command(epilog=EXIT_CODES)
def apply(
    settings: Settings = None,
    root: Root = Path("/"),
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; status 1 when something would change.")
    ] = False,
    base: Annotated[
        bool, typer.Option("--base", help="Only what is the same on every device; no settings are read.")
    ] = False,
    first_boot: Annotated[
        bool, typer.Option("--first-boot", help="For an image: enable what completes the device at its first boot.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring the units of this device to what the settings say.

    Units, users and folders are put there, and for each role a drop-in with its limits and its password. Roles that the
    settings have no more are stopped, and where the device runs, new ones are started. A second time nothing changes.
    Once: systemctl enable --now roost.target.

    What runs already goes on with what it began with, until it is restarted.
    """
    from roost_edge.units import installing, systemctl

    plan = _plan(settings, root, base=base)
    if first_boot:
        plan = dataclasses.replace(plan, wants=plan.wants | {installing.FIRST_BOOT})
    changes = installing.differences(plan, root)
    if base:  # what settings have put there is not known now, and not to be taken away
        changes = tuple(change for change in changes if change.what != "remove")
    live = root == Path("/") and systemctl.runs()
    if not check:
        gone = _gone(changes) if live else []
        if gone:
            systemctl.systemctl("stop", *gone)
        installing.apply(changes, root)
        if changes and (live or root != Path("/")):
            systemctl.users_and_folders(root)
        if changes and live:
            systemctl.systemctl("daemon-reload")
            _take_effect(changes)
            _start_new(changes)
    _say(changes, check=check, as_json=as_json)
    if check and changes:
        raise typer.Exit(output.NO)


@app.command(epilog=EXIT_CODES)
def render(settings: Settings = None, as_json: Json = False) -> None:
    """Print what `roost units apply` would write.

    Each drop-in of this device, and who wants what; with --json all files.
    """
    plan = _plan(settings, Path("/"), base=False)
    if as_json:
        output.data({"files": dict(plan.files), "wants": sorted(plan.wants)})
        return
    for place, text in sorted(plan.files.items()):
        if text.startswith("# Written by `roost"):
            print(f"# /{place}\n{text}")
    print(output.table([("wanted by", "unit"), *sorted(plan.wants)]))


@app.command(epilog=EXIT_CODES)
def status(settings: Settings = None, as_json: Json = False) -> None:
    """Show how each role's unit stands. Status 1 when one is not well."""
    from roost_edge.processes.named import every
    from roost_edge.settings import loading
    from roost_edge.units import systemctl
    from roost_edge.units.names import unit_for
    from roost_edge.units.status import statuses

    device = loading.load(settings or Path("/", SETTINGS))
    units = dict.fromkeys(unit_for(device, role) for role in every(device))
    said = systemctl.systemctl(*systemctl.show_words(tuple(units)))
    found = statuses(device, systemctl.show(said))
    if as_json:
        output.data([{"well": one.well, **_fields(one)} for one in found])
    else:
        head = ("role", "state", "restarts", "memory", "says")
        memory = ["" if one.memory_mb is None else f"{one.memory_mb:.0f} MB" for one in found]
        rows = [
            (one.role, one.state, str(one.restarts), used, one.detail) for one, used in zip(found, memory, strict=True)
        ]
        print(output.table([head, *rows]))
    if not all(one.well for one in found):
        raise typer.Exit(output.NO)


def _plan(settings: Path | None, root: Path, *, base: bool) -> "Planned":
    from roost_edge.settings import loading
    from roost_edge.units.planned import Planned, base_files, planned
    from roost_edge.units.shipped import shipped

    if base:
        return Planned(base_files(shipped()))
    # Units are the same whatever the device is called; that of an image has no name yet.
    return planned(loading.load(settings or root / SETTINGS, unnamed="unnamed"), shipped())


def _gone(changes: "tuple[Change, ...]") -> list[str]:
    """Units that nobody wants any more."""
    places = [Path(change.place) for change in changes if change.what == "remove"]
    return [place.name for place in places if place.parent.suffix == ".wants"]


def _start_new(changes: "tuple[Change, ...]") -> None:
    """Units that a running device wants from now on. Starting their target again would not reach them: it runs."""
    from roost_edge.units import systemctl

    places = [Path(change.place) for change in changes if change.what == "link"]
    new = [place.name for place in places if place.parent.name.startswith("roost") and place.parent.suffix == ".wants"]
    if new and systemctl.systemctl("show", "--property=ActiveState", "--value", "roost.target").strip() == "active":
        systemctl.systemctl("start", "--no-block", *new)


def _take_effect(changes: "tuple[Change, ...]") -> None:
    """What is not read again by itself."""
    from roost_edge.units import systemctl

    for change in changes:
        if "journald.conf.d" in change.place:
            systemctl.systemctl("restart", "systemd-journald.service")
        if "/system.conf.d/" in change.place and not systemctl.watch_hardware(change.text):
            output.say("The hardware watchdog counts from the next start of this device on.")


def _say(changes: "tuple[Change, ...]", *, check: bool, as_json: bool) -> None:
    if as_json:
        rows = [{"what": change.what, "place": f"/{change.place}"} for change in changes]
        output.data({"changed": bool(changes), "applied": not check, "changes": rows})
        return
    for change in changes:
        print(f"{change.what:<6}  /{change.place}")
    would = "would change" if check else "changed"
    output.say(f"{len(changes)} {would}." if changes else "Everything is as the settings say.")


def _fields(value: object) -> dict[str, object]:
    from msgspec import structs

    return structs.asdict(value)  # type: ignore[arg-type]  # a Struct; its type would be imported for this alone
