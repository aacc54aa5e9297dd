"""`roost features`: which of its input variables a model uses, and which say the same."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roost_edge.cli import output
from roost_edge.cli.operator import DEFAULT_SETTINGS, SettingsFile
from roost_edge.cli.output import Json
from roost_edge.plurals import counted

if TYPE_CHECKING:
    from roost_models.assessment.leaving_out import InputReport

_DAY_S = 86_400


def features(
    archive: Annotated[
        Path | None,
        typer.Argument(help="An archive: DATA/archive/TASK, or a centre's; without it, this device's models."),
    ] = None,
    settings: SettingsFile = DEFAULT_SETTINGS,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", "-b", help="With an archive: a bundle, a folder or a .roost file.")
    ] = None,
    task: Annotated[str, typer.Option(help="The task; that of the folder's name if left out.")] = "",
    requests: Annotated[int, typer.Option(min=2, max=100_000, help="Newest requests that are asked again.")] = 500,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="How often requests exchange their values.")] = 2,
    keep: Annotated[Path | None, typer.Option(help="Write the report there, as JSON.")] = None,
    every_days: Annotated[
        float, typer.Option(min=0, help="Do nothing while the kept report is younger. For a daily timer.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Find the input variables that a model does not use.

    Every variable (picture, state, values, tags, time) is left out of archived requests in turn, and the model asked
    again. A variable that changes no score in any request is dead. Then which variables say the same (r above 0.95),
    and what a group of those does when it is left out together.

    Without an archive every model that answers on this device is looked at, and the newest report of each is kept: the
    page and `roost report` show it. Under systemd roost-features.timer does that once a month.

    Monthly from any timer: roost features --every-days 30
    """
    if archive is None or bundle is None:
        _device(
            *(archive, bundle, keep, settings), requests=requests, rounds=rounds, every_days=every_days, as_json=as_json
        )
        return
    import time

    from roost_broker.durable import write_durably
    from roost_edge.cli.features_asked import asked_again
    from roost_models.bundle.opening import open_bundle

    if keep is not None and every_days and keep.exists():
        days = (time.time() - keep.stat().st_mtime) / _DAY_S
        if days < every_days:
            output.say(f"{keep} is {days:.1f} days old; a new one is due after {every_days:g}.")
            return
    opened = open_bundle(bundle)
    report = asked_again(archive, task or archive.name, opened, opened.manifest.name, requests=requests, rounds=rounds)
    if keep is not None:
        import msgspec

        write_durably(keep, msgspec.json.format(msgspec.json.encode(report), indent=2))
    if as_json:
        output.data(report)
    else:
        _say(report)


def _device(
    archive: Path | None,
    bundle: Path | None,
    keep: Path | None,
    settings: Path,
    *,
    requests: int,
    rounds: int,
    every_days: float,
    as_json: bool,
) -> None:
    from roost_broker.errors import Misuse
    from roost_edge.cli.features_device import look
    from roost_edge.settings import loading

    if archive is not None or bundle is not None or keep is not None:
        raise Misuse(
            "An archive is looked at with one bundle.",
            "Give both, `roost features ARCHIVE --bundle BUNDLE`; or neither, for this device's models.",
        )
    if look(loading.load(settings), requests=requests, rounds=rounds, every_days=every_days, as_json=as_json):
        raise typer.Exit(1)


def _say(report: "InputReport") -> None:
    found = report.variables
    gone = f"; {report.left_out} more have no picture any more" if report.left_out else ""
    print(f"{report.name} {report.version}, {counted(report.requests, 'request')} asked again{gone}\n")
    head = ("variable", "", "changes scores by", "at most", "other answer", "values")
    rows = [
        (
            effect.name,
            effect.verdict,
            f"{effect.mean_delta:.4f}",
            f"{effect.max_delta:.4f}",
            f"{100 * effect.relabelled:.1f} %",
            str(effect.distinct),
        )
        for effect in (*found.effects, *found.groups)
    ]
    print(output.table([head, *rows]))
    for pair in report.collinear.pairs:
        print(f"\n{pair.one} and {pair.other} say the same: r {pair.r:.3f}, of the ranks {pair.rank_r:.3f}.")
    for one in report.collinear.explained:
        print(f"\n{one.column} follows from the others: R² {one.share:.3f}.")
    if found.dead:
        print(f"\nNo score depended on: {', '.join(found.dead)}.")
