"""`roost compare`: two models on the same requests, as the archive or a file has them."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roost_broker.durable import write_durably
from roost_broker.errors import Misuse
from roost_broker.printable import printable
from roost_edge.cli import output
from roost_edge.cli.compare_bands import banded
from roost_edge.cli.compare_sources import Source, Wanted, archive_of_device, moment_ms, opened
from roost_edge.cli.operator import DEFAULT_SETTINGS, SettingsFile
from roost_edge.cli.output import Json
from roost_edge.cli.reporter import Reporter, reporting

if TYPE_CHECKING:
    from roost_rendezvous.analytics.comparison.comparing import Whole
    from roost_rendezvous.analytics.comparison.pairwise import Pairwise
    from roost_rendezvous.analytics.comparison.report import Comparison
    from roost_rendezvous.analytics.rows import Row

_SHOWN = 12
_EPOCH = date(1970, 1, 1).toordinal()


def compare(
    one: Annotated[
        str, typer.Argument(metavar="[A]", help="A model: `champion`, `champion@3`. Without models: all pairs.")
    ] = "",
    other: Annotated[str, typer.Argument(metavar="[B]", help="The model beside it. Without it: A over time.")] = "",
    settings: SettingsFile = DEFAULT_SETTINGS,
    archive: Annotated[
        Path | None,
        typer.Option(help="A device's archive (DATA/archive/TASK), or a centre's. Else that of the settings' device."),
    ] = None,
    rows: Annotated[Path | None, typer.Option(help="Rows as JSONL; - is stdin.")] = None,
    csv: Annotated[Path | None, typer.Option(help="A CSV: a column for each model, or one score a line.")] = None,
    task: Annotated[str, typer.Option(help="Only this task; needed where there are several.")] = "",
    since: Annotated[str, typer.Option(help="From this day or moment on (UTC), as 2026-10-01T06:00.")] = "",
    until: Annotated[str, typer.Option(help="Until this day or moment, itself not included.")] = "",
    tolerance: Annotated[
        float, typer.Option(min=0, max=1, help="Scores so far apart are almost identical; 0: none but equal ones.")
    ] = 0.05,
    sample: Annotated[int, typer.Option(min=1, max=2000, help="Differing requests to look at.")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="Another number draws another sample.")] = 1,
    quantiles: Annotated[
        bool, typer.Option("--quantiles", help="The tolerance is of quantiles: for scores on different scales.")
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Strata by the difference of scores; else of their quantiles.")
    ] = False,
    behind: Annotated[
        list[str] | None, typer.Option(help="A model that looks at what A (or B) lets pass; may be repeated.")
    ] = None,
    find: Annotated[str, typer.Option(help="With --behind: the label that all of them shall find.")] = "",
    canary: Annotated[str, typer.Option(help="For a model over time: the canary's name.")] = "canary",
    bands: Annotated[
        Path | None, typer.Option(help="A is a canary: judge B by the comparisons kept in this file, and keep it.")
    ] = None,
    cohort: Annotated[list[str] | None, typer.Option(help="Also by the values of this tag; may be repeated.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="What is true: a labels.db or a dataset's N.json. With --archive.")
    ] = None,
    trained_on: Annotated[
        list[Path] | None,
        typer.Option(help="With --labels: a dataset's N.json that A or B learned from; may be repeated."),
    ] = None,
    all_labels: Annotated[
        bool, typer.Option("--all-labels", help="Count labelled pictures too that a model learned from.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="Requests at most; each takes about 1 kB of memory.")] = 200_000,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots and pictures.")] = None,
    write_rows: Annotated[Path | None, typer.Option(help="Write the rows as JSONL, to be compared elsewhere.")] = None,
    as_json: Json = False,
) -> None:
    """Compare two models request by request.

    Both saw the same input and the same state, so their answers can be compared one by one: how many are the same, what
    the others put at risk at most, whether both put the requests into the same order, and which differing requests are
    worth looking at. One model alone is compared with its own yesterday, last month, the canary and the best there was.
    On a device nothing more need be said: without a source it is the archive of the settings' task.

    Status 0 when they were compared, 2 when there is nothing to compare.
    """
    if archive is None and rows is None and csv is None:
        archive = archive_of_device(settings, task)
    if labels is not None and archive is None:
        raise Misuse("Labels are found by the pictures of an archive.", "Give --archive, or put `truth` into the rows.")
    if labels is None and (trained_on or all_labels):
        raise Misuse("--trained-on and --all-labels say which labels count.", "Give --labels, too.")
    from roost_rendezvous.analytics.comparison.choosing import choice

    wanted = Wanted(
        archive=archive,
        rows=rows,
        csv=csv,
        task=task,
        since_ms=moment_ms(since),
        until_ms=moment_ms(until),
        labels=labels,
        models=tuple(choice(name).model for name in (one, other) if name),
        trained_on=tuple(trained_on or ()),
        all_labels=all_labels,
    )
    from roost_rendezvous.analytics.comparison.comparing import Options
    from roost_rendezvous.analytics.comparison.comparing import compare as compared
    from roost_rendezvous.analytics.comparison.pairwise import pairwise

    with opened(wanted) as source, reporting("Comparing") as reporter:
        drawn: list[Row] = []
        found = _drawn(_counted(source.rows, reporter), drawn, limit)
        if write_rows is not None:
            found = _kept(found, write_rows)
        if not one:
            _show_pairs(pairwise(found, tolerance=tolerance), as_json=as_json)
            return
        if not other:
            for remark in source.remarks:
                output.say(remark)
            _show_standing(found, one, canary, as_json=as_json)
            return
        options = Options(
            tolerance=tolerance,
            sample=sample,
            seed=seed,
            by="quantiles" if quantiles else "scores",
            strata_by="scores" if raw else "quantiles",
            behind=tuple(choice(name) for name in behind or ()),
            find=find,
            cohorts=tuple(cohort or ()),
            most_pairs=limit,
        )
        whole = _remarked(compared(found, choice(one), choice(other), options), source)
        whole = _always(whole, drawn, (choice(one).model, choice(other).model))
        if bands is not None:
            whole = banded(whole, bands)
        if html is not None:
            _write_page(whole, source, html)
    if as_json:
        output.data(whole.found)
    else:
        _show(whole.found)
    for written in (html, write_rows):
        if written is not None:
            output.say(f"Written: {written}")


def _counted(rows: "Iterable[Row]", reporter: Reporter) -> "Iterator[Row]":
    for number, row in enumerate(rows):
        if number % 500 == 0:
            reporter.progress(number, None)
        yield row


def _kept(rows: "Iterable[Row]", target: Path) -> "Iterator[Row]":
    """The rows, and when they are at an end they are on the file."""
    from roost_rendezvous.analytics.comparison.row_files import render

    lines = []
    for row in rows:
        lines.append(render(row))
        yield row
    write_durably(target, b"".join(lines))


def _write_page(whole: "Whole", source: Source, target: Path) -> None:
    from roost_broker.version import VERSION
    from roost_rendezvous.analytics.comparison.page import page

    made = f"Made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by Roost {VERSION}."
    write_durably(target, page(whole, source.pictures(whole.found.sample), made).encode())


def _drawn(rows: "Iterable[Row]", kept: "list[Row]", most: int) -> "Iterator[Row]":
    """The rows; those whose official answer was drawn by lot, and whose truth is known, are kept as well."""
    for row in rows:
        if row.propensity is not None and row.propensity < 1 and row.truth and len(kept) < most:
            kept.append(row)
        yield row


def _always(whole: "Whole", drawn: "list[Row]", models: tuple[str, ...]) -> "Whole":
    """With what always choosing each of the two would have brought."""
    import msgspec

    from roost_rendezvous.analytics.comparison.exploration import off_policy, right

    known = [found for model in dict.fromkeys(models) if (found := off_policy(drawn, model, right)) is not None]
    return replace(whole, found=msgspec.structs.replace(whole.found, always=known))


def _remarked(whole: "Whole", source: Source) -> "Whole":
    """With what is to be said of the labels."""
    import msgspec

    found = msgspec.structs.replace(whole.found, notes=[*source.remarks, *whole.found.notes])
    return replace(whole, found=found)


def _show_standing(rows: "Iterable[Row]", model: str, canary: str, *, as_json: bool) -> None:
    from roost_rendezvous.analytics.comparison import telling
    from roost_rendezvous.analytics.comparison.standing import days

    counted = days(rows, canary)
    names = [name for name in counted.models() if name == model or name.split("@")[0] == model]
    if not names:
        raise Misuse(f"{model} answered nothing here.", f"These did: {', '.join(counted.models()) or 'nobody'}.")
    today = max(day.day for name in names for day in counted.of(name))
    found = {name: counted.standing(name, today) for name in names if counted.of(name)[-1].day == today}
    if as_json:
        output.data({"day": today, "models": found})
        return
    for name, comparisons in found.items():
        print(printable(f"{name} on {date.fromordinal(_EPOCH + today)}"))
        print(output.table([telling.STANDING_HEAD, *telling.standing(comparisons)], indent="  "))


def _show_pairs(found: "Pairwise", *, as_json: bool) -> None:
    from roost_rendezvous.analytics.comparison.telling import percent

    if as_json:
        output.data(found)
        return
    if not found.pairs:
        raise Misuse(
            f"No two models answered the same request ({found.rows:,} rows).",
            "Answered: " + (", ".join(f"{name} {count:,}" for name, count in found.answered.items()) or "nobody."),
        )
    rows = [("model", "beside", "requests", "same label", "almost identical")]
    rows += [
        (
            pair.one,
            pair.other,
            f"{pair.compared:,}",
            percent(pair.same_label, pair.compared),
            percent(pair.almost, pair.compared),
        )
        for pair in found.pairs
    ]
    print(output.table(rows))
    if found.left_out:
        output.say(f"{found.left_out:,} answers of further models are left out.")


def _show(found: "Comparison") -> None:
    from roost_rendezvous.analytics.comparison import telling

    print(printable(telling.headline(found)))
    if telling.period(found):
        print(telling.period(found))
    for line in telling.notes(found):
        print(f"  note: {printable(line)}")
    print()
    print(printable(telling.advice(found)))
    print()
    for line in (*telling.risk(found), *telling.truth(found)):
        print(printable(line))
    print()
    print(output.table([("", found.one.name, found.other.name), *telling.sides(found)]))
    if found.labels:
        print()
        print(output.table([telling.LABELS_HEAD, *telling.labels(found)]))
        for by_label in found.labels[:3]:
            print(f"  {printable(telling.match(by_label))} {telling.calibration(by_label)}")
    if found.band:
        print()
        print(printable(found.band))
    if found.cascade is not None:
        print()
        print(printable(f"{found.cascade.advice.capitalize()}: {found.cascade.sentence}."))
        print(output.table([telling.CASCADE_HEAD, *telling.cascade(found)]))
    if found.groups:
        print()
        print(output.table([telling.GROUPS_HEAD, *telling.groups(found)]))
    if found.strata:
        print()
        print(telling.strata_explained(found))
        print(output.table([telling.STRATA_HEAD, *telling.strata(found)]))
        for one in found.sample[:_SHOWN]:
            print(f"  {printable(one.request_id)}  {printable(telling.drawn(one))}")
        if len(found.sample) > _SHOWN:
            print(f"  … and {len(found.sample) - _SHOWN} more: --json has them all, --html shows them")
