"""`roost doctor`: examine this device, or ask another one to examine itself."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roost_edge.cli import output
from roost_edge.cli.operator import DEFAULT_SETTINGS, SettingsFile, with_broker
from roost_edge.cli.output import Json

if TYPE_CHECKING:
    from roost_edge.doctor.findings import Finding, Report
    from roost_edge.settings.device import Settings

_PATIENCE_S = 180.0
_MARGIN_S = 10.0


def doctor(
    settings: SettingsFile = DEFAULT_SETTINGS,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="This check or group alone, such as camera. Repeatable.")
    ] = None,
    node: Annotated[
        str, typer.Option(metavar="NAME", help="Ask this device over MQTT; the settings say where its broker is.")
    ] = "",
    timeout: Annotated[float, typer.Option(metavar="S", min=1, max=3600, help="With --node: wait so long.")] = (
        _PATIENCE_S
    ),
    as_json: Json = False,
) -> None:
    """Examine a device.

    Storage, card, memory, power, clock, certificates, packages, broker, roles, schedules, models and cameras: what is
    well, what is not, and what to do about it. Nothing is changed. Run it as root, who may look at everything. Status
    1 when something fails; a warning is no failure.
    """
    from roost_edge.doctor import telling
    from roost_edge.settings import loading

    loaded, names = loading.load(settings), tuple(only or ())
    report = _asked(loaded, node, names, timeout) if node else _examined(loaded, settings, names, silent=as_json)
    if as_json:
        output.data(report)
    elif node:
        print("\n".join(telling.lines(report, width=_width())))
    else:
        print(f"\n{telling.summary(report)}")
    if not report.ok:
        raise typer.Exit(output.NO)


def _examined(settings: "Settings", file: Path, only: Sequence[str], *, silent: bool) -> "Report":
    """Here. Each finding is printed when it and those before it are there."""
    from roost_edge.doctor import telling
    from roost_edge.doctor.checks import checks_of
    from roost_edge.doctor.examining import chosen, examine
    from roost_edge.doctor.patient import Patient

    checks = chosen(checks_of(settings), only)
    names = max(len(check.name) for check in checks)

    def tell(finding: "Finding") -> None:
        if not silent:
            print("\n".join(telling.told(finding, names=names, width=_width())), flush=True)

    return examine(Patient(settings, file=file), checks, tell)


def _width() -> int:
    """Of the terminal, within what reads well; a pipe has none."""
    return min(max(shutil.get_terminal_size((100, 24)).columns, 60), 140)


def _asked(settings: "Settings", node: str, only: Sequence[str], timeout_s: float) -> "Report":
    """There, by its desk. Raises `PeerError` when it does not answer, or cannot."""
    from roost_edge.desk.asking import examination

    return with_broker(
        settings,
        lambda bus: examination(bus, settings.broker.base, node, only, timeout_s),
        work_s=timeout_s + _MARGIN_S,
    )
