"""`roost label import` and `export`: pictures with labels from elsewhere, suggestions, the store itself as lines."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roost_broker.errors import Misuse
from roost_broker.printable import printable
from roost_edge.cli import output
from roost_edge.cli.label_options import DEFAULT_CENTRE, Author, CentreFolder, author_or_user, open_store
from roost_edge.cli.output import Json
from roost_edge.cli.reporter import reporting
from roost_edge.plurals import counted

if TYPE_CHECKING:
    from roost_models.labels.importing import Imported
    from roost_models.labels.listing import Listing

_SHOWN = 50
"""Problems shown; the rest is counted (and whole in --json)."""


def import_(
    source: Annotated[
        Path, typer.Argument(help="A folder with one folder for each label, a .csv file, or a .jsonl file.")
    ],
    centre: CentreFolder = DEFAULT_CENTRE,
    task: Annotated[str, typer.Option(help="The task that the labels are for.")] = "",
    author: Author = "",
    why: Annotated[str, typer.Option(help="The reason; kept with every label.")] = "",
    picture_column: Annotated[str, typer.Option(help="CSV: the column with the picture's file name.")] = "",
    label_column: Annotated[str, typer.Option(help="CSV: the column with the label.")] = "",
    site_column: Annotated[str, typer.Option(help="CSV: the column that says where it was taken.")] = "",
    time_column: Annotated[str, typer.Option(help="CSV: the column that says when, as 2026-05-01T08:30:00Z.")] = "",
    delimiter: Annotated[str, typer.Option(help="CSV: what separates cells.")] = ",",
    pictures: Annotated[Path | None, typer.Option(help="CSV: the pictures' folder; else the file's own.")] = None,
    site: Annotated[str, typer.Option(help="Where the pictures were taken, for those that do not say.")] = "",
    rename: Annotated[
        list[str] | None, typer.Option(help="Give a label another name: --rename 0=empty --rename 1=hen.")
    ] = None,
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="CSV: leave out rows without a picture.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look at everything, write nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Import pictures with labels, or exported entries.

    All of them, or none and every problem with its place.

    The time of a picture is taken from the time column, its EXIF data or a date in its name; with the site it decides
    what is trained on and what is tested. A .jsonl file holds lines of `roost label export`, or Suggestion messages,
    which stay suggestions until somebody judges them.
    """
    if not source.exists():
        raise Misuse(f"There is no {source}.", "Give a folder with one folder for each label, a .csv or a .jsonl file.")
    if source.suffix.lower() == ".jsonl":
        _import_lines(source, centre, task, as_json=as_json)
        return
    import time

    from roost_broker.centre.layout import CentreLayout
    from roost_broker.frames import FrameStore
    from roost_models.labels.importing import import_pictures

    listing = _list(
        source,
        picture_column,
        label_column,
        site_column,
        time_column,
        delimiter,
        pictures,
        rename,
        skip_missing=skip_missing,
    )
    with open_store(centre, make=True) as store, reporting(f"Importing {source.name}") as report:
        found = import_pictures(
            listing,
            store,
            FrameStore(CentreLayout(centre).frames),
            author=author_or_user(author),
            task=task,
            reason=why,
            site=site,
            now_ns=time.time_ns(),
            dry_run=dry_run,
            progress=report.progress,
        )
    if as_json:
        output.data({"written": not (found.problems or dry_run), **asdict(found)})
    else:
        for problem in found.problems[:_SHOWN]:
            print(printable(f"{problem.place}: {problem.what}"))
        if len(found.problems) > _SHOWN:
            print(f"… and {len(found.problems) - _SHOWN} more")
        print(output.table([[label, str(count)] for label, count in sorted(found.labels.items())]))
        _tell(found, dry_run=dry_run)
    raise typer.Exit(output.NO if found.problems else output.OK)


def export(
    file: Annotated[Path | None, typer.Argument(help="Where to; else stdout.")] = None,
    centre: CentreFolder = DEFAULT_CENTRE,
    task: Annotated[str, typer.Option(help="Only this task's; else everything.")] = "",
) -> None:
    """Write every entry as a line of JSON.

    Exactly as it is: `roost label import` reads it back without a loss.
    """
    import sys

    from roost_broker.durable import write_durably
    from roost_models.labels.entry import render

    with open_store(centre) as store:
        lines = (render(entry) + b"\n" for entry in store.entries(task=task or None))
        if file is None:
            for line in lines:
                sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
        else:
            data = b"".join(lines)
            write_durably(file, data)
            output.say(f"{data.count(10)} entries in {file}.")


def _list(
    source: Path,
    picture_column: str,
    label_column: str,
    site_column: str,
    time_column: str,
    delimiter: str,
    pictures: Path | None,
    rename: list[str] | None,
    *,
    skip_missing: bool,
) -> "Listing":
    from roost_models.labels.listing import Columns, of_folder, of_table

    names: dict[str, str] = {}
    for one in rename or ():
        before, equals, after = one.partition("=")
        if not equals or not before or not after:
            raise Misuse(f"--rename {one!r} does not name two labels.", "Write --rename OLD=NEW.")
        names[before] = after
    if source.is_dir():
        return of_folder(source, names)
    if not picture_column or not label_column:
        raise Misuse(
            f"Nobody knows which columns of {source.name} to read.",
            "Say --picture-column NAME and --label-column NAME.",
        )
    if len(delimiter) != 1:
        raise Misuse(f"A delimiter of {delimiter!r} cannot be.", "Give one character: --delimiter ';'.")
    columns = Columns(picture_column, label_column, site_column, time_column)
    return of_table(source, columns, pictures=pictures, names=names, missing_ok=skip_missing, delimiter=delimiter)


def _import_lines(source: Path, centre: Path, task: str, *, as_json: bool) -> None:
    from roost_models.labels.importing import import_entries, numbered_lines
    from roost_models.labels.suggesting import is_suggestion, take

    lines = [line for _, line in numbered_lines(source)]
    suggested = bool(lines) and is_suggestion(lines[0])
    if suggested and not task:
        raise Misuse("Nobody knows which task the suggestions are for.", "Name it: --task NAME.")
    with open_store(centre, make=True) as store:
        if suggested:
            added, others = take(store, ((line, "") for line in lines), task=task)
        else:
            added, others = import_entries(source, store), 0
    if as_json:
        output.data({"new": added.new, "known": added.known, "others": others, "suggestions": suggested})
        return
    what = "suggestions, pending until somebody judges them" if suggested else "entries"
    print(f"{added.new} new {what}; {added.known} were known" + (f"; {others} lines were none" if others else "") + ".")


def _tell(found: "Imported", *, dry_run: bool) -> None:
    if found.problems:
        problems = counted(len(found.problems), "problem")
        output.say(f"{problems}: nothing was written. Correct them, or take those files away.")
        return
    words = ("label would be", "labels would be") if dry_run else ("label is", "labels are")
    known = counted(found.known, "was", "were")
    output.say(f"{counted(found.new, *words)} new ({found.superseding} of them corrections), {known} known.")
    if found.missing:
        output.say(f"{counted(found.missing, 'row has no picture and was', 'rows have no picture and were')} left out.")
    if found.without_time:
        words = (
            "picture does not say when it was taken: it counts",
            "pictures do not say when they were taken: they count",
        )
        output.say(f"{counted(found.without_time, *words)} as of no day.")
