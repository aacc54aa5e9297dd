"""`roost replay`: score the archive again, and say how many scores come out to the bit."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from roost_edge.cli import output
from roost_edge.cli.output import Json
from roost_edge.cli.reporter import reporting

if TYPE_CHECKING:
    from roost_broker.messages import Output


def replay(
    archive: Annotated[Path, typer.Argument(help="The archive's folder: DATA/archive/TASK.")],
    bundle: Annotated[Path, typer.Option("--bundle", "-b", help="A bundle: a folder or a .roost file.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Only the newest so many inputs.")] = None,
    as_json: Json = False,
) -> None:
    """Score the archive again, and compare to the bit.

    Evaluates a bundle on every archived input and compares with what it answered then.

    Status 0 when something was compared and every score is identical to the bit, 1 otherwise.
    """
    from roost_models.archive.reading import ArchiveReader
    from roost_models.bundle.opening import open_bundle
    from roost_models.replay import replay as evaluate_again

    opened = open_bundle(bundle)
    with ArchiveReader(archive) as reader, reporting(f"Replaying {archive.name}") as report:
        found = evaluate_again(reader, opened, limit=limit, progress=report.progress)
    if as_json:
        output.data({"archive": str(archive), "exact": found.exact, **msgspec.to_builtins(found)})
    else:
        print(f"{found.name} {found.version} ({found.runtime}), {found.inputs} archived inputs")
        print(f"{found.identical} of {found.compared} scores are identical to the bit.")
        for reason, count in found.skipped.items():
            print(f"  not compared: {count} ({reason})")
        for difference in found.first_different:
            then, now = _best(difference.archived), _best(difference.replayed) or difference.detail
            print(f"  differs: request {difference.request_id}: {then} then, {now} now")
        if not found.compared:
            print("Nothing was compared, so nothing is known.")
    raise typer.Exit(output.OK if found.exact else output.NO)


def _best(outputs: "list[Output]") -> str:
    return f"{outputs[0].label} {outputs[0].score!r}" if outputs else ""
