"""`roost schedule`: what a schedule will do, in sentences."""

from pathlib import Path
from typing import Annotated

import typer

from roost_broker.errors import RoostError
from roost_edge.cli import output
from roost_edge.cli.output import EXIT_CODES, Json

app = typer.Typer(no_args_is_help=True, help="Schedules: which model may answer when.")


@app.callback()
def group() -> None:
    """Schedules: which model may answer when."""


@app.command(epilog=EXIT_CODES)
def check(
    file: Annotated[Path, typer.Argument(help="The schedule (TOML).")],
    as_json: Json = False,
) -> None:
    """Say whether a schedule can be used, and what it will do. Status 1 when it cannot."""
    from roost_rendezvous import schedule

    try:
        agreed = schedule.load(file)
    except RoostError as error:
        if as_json:
            output.data({"file": str(file), "ok": False, "problem": error.problem, "remedy": error.remedy})
        else:
            output.complain(error)
        raise typer.Exit(output.NO) from error
    sentences = schedule.explain(agreed)
    if as_json:
        output.data(
            {
                "file": str(file),
                "ok": True,
                "version": agreed.version,
                "schedule": schedule.to_object(agreed),
                "explanation": sentences,
            }
        )
        return
    print(f"Schedule {agreed.version} of the task {agreed.task}:")
    for sentence in sentences:
        print(f"  {sentence}")
