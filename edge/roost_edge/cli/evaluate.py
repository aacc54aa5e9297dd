"""`roost evaluate`: a candidate against the champion on archived requests, judged by a gate."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from roost_broker.centre.layout import CentreLayout
from roost_broker.durable import write_durably
from roost_broker.errors import Misuse
from roost_broker.printable import printable
from roost_edge.cli import output
from roost_edge.cli.output import Json
from roost_edge.cli.reporter import reporting

if TYPE_CHECKING:
    from roost_models.assessment.assessing import MakeCrew
    from roost_models.assessment.gate import Gate
    from roost_models.assessment.report import Assessment
    from roost_models.assessment.truth import Truth
    from roost_models.bundle.folder import Bundle
    from roost_models.datasets.document import Dataset


def evaluate(
    candidate: Annotated[
        Path | None,
        typer.Argument(metavar="CANDIDATE", help="A bundle: a folder or a .roost file.", show_default=False),
    ] = None,
    against: Annotated[
        Path | None, typer.Option("--against", "-a", help="The champion's bundle; without it, a task's first model.")
    ] = None,
    archive: Annotated[
        Path | None, typer.Option(help="A device's archive: DATA/archive/TASK. Without it, the centre's.")
    ] = None,
    centre: Annotated[Path, typer.Option(envvar="ROOST_CENTRE", help="The centre's folder.")] = Path("roost-centre"),
    task: Annotated[str, typer.Option(help="The task; without it, the candidate's.")] = "",
    since: Annotated[str, typer.Option("--from", help="From this day or moment on (UTC), as 2026-10-01T06:00.")] = "",
    until: Annotated[str, typer.Option("--to", help="Until this day or moment, itself not included.")] = "",
    node: Annotated[list[str] | None, typer.Option(help="Only this device; may be repeated.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many requests.")] = None,
    labels: Annotated[
        str, typer.Option(help="A labels.db, a dataset's N.json, or NAME@N in the centre. Else the centre's labels.db.")
    ] = "",
    all_labels: Annotated[
        bool, typer.Option("--all-labels", help="Judge by labelled pictures too that the candidate learned from.")
    ] = False,
    gate: Annotated[Path | None, typer.Option(help="A gate file; without it, the shipped one.")] = None,
    show_gate: Annotated[bool, typer.Option("--show-gate", help="Print the shipped gate file, to be changed.")] = False,
    tolerance: Annotated[
        float, typer.Option(min=0, max=1, help="Scores so far apart are almost identical; 0: none but equal ones.")
    ] = 0.05,
    reuse: Annotated[
        bool, typer.Option("--reuse-scores", help="Take the champion's archived scores; a tenth is checked.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes that evaluate.")] = 2,
    memory_mb: Annotated[int, typer.Option("--memory-mb", min=1, help="What a model may take at most.")] = 1024,
    step_s: Annotated[float, typer.Option("--time-limit", min=0.1, help="Seconds for one evaluation.")] = 30.0,
    device_factor: Annotated[
        float | None, typer.Option(help="So many times slower is a device; else estimated from archived times.")
    ] = None,
    cluster: Annotated[str, typer.Option(metavar="ADDRESS", help="Over Ray: a cluster, or `local`.")] = "",
    target: Annotated[
        Path | None, typer.Option("--output", "-o", help="The report; else reports/DIGEST.json in the centre.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="The report as a page with pictures.")] = None,
    as_json: Json = False,
) -> None:
    """Evaluate a candidate against the champion on the archive.

    Both answer every archived request again, in child processes. The report has accuracy where labelled, the share of
    identical answers and the risk that it bounds, latency, memory and failures; a gate decides. `roost registry
    publish` wants such a report.

    Status 0 when the gate accepts, 1 when it refuses (the report is written all the same), 2 misuse.
    """
    if show_gate:
        print(_shipped_gate(), end="")
        return
    if candidate is None:
        raise Misuse("No candidate is named.", "roost evaluate CANDIDATE --against CHAMPION")
    from roost_models.archive.cases import open_cases
    from roost_models.assessment.assessing import Wanted, assess
    from roost_models.assessment.child import Limits
    from roost_models.bundle.opening import open_bundle

    opened, champion = open_bundle(candidate), None if against is None else open_bundle(against)
    layout = CentreLayout(centre)
    wanted_task = task or opened.manifest.task
    wanted = Wanted(
        task=wanted_task,
        archive=str(archive or layout.archive),
        from_ms=_moment(since),
        until_ms=_moment(until),
        nodes=frozenset(node or ()),
        limit=limit,
        tolerance=tolerance,
        reuse=reuse,
        workers=workers,
        limits=Limits(memory_mb=memory_mb, step_s=step_s),
        device_factor=device_factor,
    )
    rules = _gate(gate)
    truth = _truth(labels, layout, wanted_task, opened, everything=all_labels, own_archive=archive is not None)
    source = open_cases(archive or layout.archive)
    try:
        with reporting(f"Evaluating {opened.manifest.name} {opened.manifest.version}") as reporter:
            report = assess(
                source,
                opened,
                champion,
                wanted,
                rules,
                truth=truth,
                make_crew=_crew(cluster),
                progress=reporter.progress,
            )
        where = target or (layout.reports / f"{opened.digest}.json" if archive is None else None)
        _write(report, where)
        if html is not None:
            from roost_models.assessment.page import page
            from roost_models.assessment.thumbnails import thumbnails

            write_durably(html, page(report, thumbnails(report.differing, source.frames)).encode())
    finally:
        source.close()
    if as_json:
        output.data({"report": None if where is None else str(where), **msgspec.to_builtins(report)})
    else:
        _show(report)
        for written in (where, html):
            if written is not None:
                output.say(f"Written: {written}")
    raise typer.Exit(output.OK if report.accepted else output.NO)


def _shipped_gate() -> str:
    from importlib import resources

    return resources.files("roost_models.assessment").joinpath("default_gate.toml").read_text(encoding="utf-8")


def _gate(path: Path | None) -> "Gate":
    from roost_models.assessment.gate import parse_gate

    if path is None:
        return parse_gate(_shipped_gate())
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse(
            f"The gate {path} cannot be read: {error}.", "Begin one with `roost evaluate --show-gate`."
        ) from error
    return parse_gate(text)


def _crew(address: str) -> "MakeCrew":
    if not address:
        from roost_models.assessment.crew import LocalCrew

        return LocalCrew
    from functools import partial

    from roost_models.assessment.ray_crew import RayCrew

    return partial(RayCrew, address=address)


def _truth(
    labels: str, layout: CentreLayout, task: str, candidate: "Bundle", *, everything: bool, own_archive: bool
) -> "Truth | None":
    """Labels as asked for; else the centre's, if it has any."""
    from roost_models.assessment.truth import of_dataset, read_truth

    if not labels and (own_archive or not layout.labels.is_file()):
        return None
    path = Path(labels) if labels else layout.labels
    if labels and not path.exists() and path.suffix not in (".db", ".json"):
        from roost_models.datasets.store import open_version

        name, _, number = labels.partition("@")
        if number and not number.isdecimal():
            raise Misuse(f"{labels!r} names no version of a dataset.", "Write NAME@3, or NAME for the newest.")
        return of_dataset(open_version(layout.data, name, int(number) if number else None)[0], everything=everything)
    return read_truth(path, task=task, trained_on=_trained_on(candidate, layout), everything=everything)


def _trained_on(candidate: "Bundle", layout: CentreLayout) -> "Dataset | None":
    """The dataset that the candidate says it learned from, if it is here."""
    said = candidate.manifest.trained_on
    if said is None:
        return None
    from roost_models.datasets.store import open_version

    try:
        dataset, digest = open_version(layout.data, said.name, said.version)
    except Misuse:
        return None
    return dataset if digest == said.digest else None


def _moment(text: str) -> int | None:
    """A day or a moment in UTC as milliseconds; None for none."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Misuse(f"{text!r} is no moment.", "Write it as 2026-10-01 or 2026-10-01T06:00.") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _write(report: "Assessment", where: Path | None) -> None:
    if where is None:
        return
    from roost_models.assessment.report import render

    write_durably(where, render(report))


def _show(report: "Assessment") -> None:
    from roost_models.assessment import telling

    print(telling.verdict(report))
    print(telling.subject(report))
    for line in telling.cautions(report):
        print(f"  note: {printable(line)}")
    print()
    print(output.table([*telling.rules(report)]))
    lines = telling.agreement(report)
    if lines:
        print()
        print("\n".join(lines))
    accuracies = telling.accuracies(report)
    if accuracies and report.labelled is not None:
        print()
        print(f"Accuracy by {report.labelled.source}:")
        print(output.table([("", "candidate", "champion", "labelled"), *accuracies], indent="  "))
        print(telling.paired(report))
    print()
    print(output.table([("", "candidate", "champion", "ratio"), *telling.sides(report)]))
    for line in telling.notes(report):
        print(f"  {printable(line)}")
    if report.differing:
        print()
        print("Where they differ:")
        for one in report.differing:
            print(f"  {one.stratum:<8} {printable(telling.differing(one))}  (request {one.request_id})")
