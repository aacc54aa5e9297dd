"""What the commands about labels and datasets share: the centre's folder, the task, the author."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roost_broker.errors import Misuse
from roost_edge.cli.operator import user

if TYPE_CHECKING:
    from roost_models.labels.store import LabelStore

CentreFolder = Annotated[
    Path, typer.Option("--centre", "-c", envvar="ROOST_CENTRE", help="The centre's folder.", show_default=True)
]
DEFAULT_CENTRE = Path("roost-centre")
Archive = Annotated[
    Path | None, typer.Option(help="Another archive than the centre's: a decoy's folder, DATA/archive/TASK.")
]
Task = Annotated[str, typer.Option(help="Whose labels; needed where there are several tasks.")]
Author = Annotated[str, typer.Option(help="Who says so; kept with it. Your user name if not given.")]


def author_or_user(author: str) -> str:
    """Who labels. Raises `Misuse` for what is no name."""
    name = (author or user()).strip()
    if not name or len(name) > 100 or not name.isprintable():
        raise Misuse(f"{author[:50]!r} is no author.", "Give 1 to 100 printable characters: --author NAME.")
    return name


def only_task(tasks: Sequence[str], task: str) -> str:
    """The task meant. Raises `Misuse` when it is not named and not the only one."""
    if task or len(tasks) == 1:
        return task or tasks[0]
    known = ", ".join(name or "(none)" for name in tasks)
    raise Misuse(
        f"There are labels of several tasks: {known}."
        if tasks
        else "There are no labels yet, so nobody knows the task.",
        "Name one: --task NAME.",
    )


def open_store(centre: Path, *, make: bool = False) -> "LabelStore":
    """The centre's label store."""
    from roost_broker.centre.layout import CentreLayout
    from roost_models.labels.store import LabelStore

    return LabelStore(CentreLayout(centre).labels, make=make)


def time_of(at_ms: int) -> str:
    """A wall-clock moment for a table, UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S") if at_ms else "–"
