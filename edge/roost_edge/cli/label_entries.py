"""`roost label add`, `history` and `status`: single labels, and what was ever said."""

from pathlib import Path
from typing import Annotated, Any

import typer

from roost_broker.errors import Misuse
from roost_edge.cli import output
from roost_edge.cli.label_options import (
    DEFAULT_CENTRE,
    Author,
    CentreFolder,
    Task,
    author_or_user,
    only_task,
    open_store,
    time_of,
)
from roost_edge.cli.output import Json


def add(
    picture: Annotated[str, typer.Argument(help="Its SHA-256, or the beginning of it (see `roost label queue`).")],
    label: Annotated[str, typer.Argument(help="What it shows. Leave it out with --not-usable.")] = "",
    centre: CentreFolder = DEFAULT_CENTRE,
    task: Task = "",
    author: Author = "",
    why: Annotated[str, typer.Option(help="The reason; kept with it.")] = "",
    not_usable: Annotated[bool, typer.Option("--not-usable", help="Nobody should learn from this picture.")] = False,
    as_json: Json = False,
) -> None:
    """Label one picture. What you said of it before is superseded, not erased."""
    from roost_broker.centre.layout import CentreLayout
    from roost_broker.clock import SystemClock
    from roost_broker.frames import FrameStore
    from roost_models.labels.desk import Desk

    if bool(label) == not_usable:
        raise Misuse("Say what it shows, or --not-usable.", "roost label add PICTURE LABEL")
    layout = CentreLayout(centre)
    with open_store(centre, make=True) as store:
        frames = FrameStore(layout.frames)
        desk = Desk(store, None, frames, task=only_task(store.tasks(), task), clock=SystemClock())
        digest = _whole(picture, [*store.pictures(picture), *(one.stem for one in _frames(frames, picture))])
        kind: Any = "not-usable" if not_usable else "label"
        entry = desk.judge(digest, author_or_user(author), kind, label or None, why, origin="command")
        conflict = desk.conflict(digest)
    if as_json:
        output.data(entry)
    else:
        print(f"{digest[:12]} {entry.label or 'not usable'} by {entry.author}")
        if conflict:
            output.say("Others see it otherwise: it stays out of datasets until they agree (`roost label history`).")


def history(
    picture: Annotated[str, typer.Argument(help="Its SHA-256, or the beginning of it.")],
    centre: CentreFolder = DEFAULT_CENTRE,
    as_json: Json = False,
) -> None:
    """Show everything that was ever said of a picture.

    In the order in which it was written down, and whether it still holds.
    """
    with open_store(centre) as store:
        digest = _whole(picture, store.pictures(picture))
        entries = store.history(digest)
    if as_json:
        output.data({"picture": digest, "entries": entries})
        return
    gone = {entry.supersedes for entry in entries}
    rows = [["time", "task", "author", "says", "holds", "origin", "reason"]]
    for one in entries:
        holds = "no" if one.id in gone else "yes"
        rows.append([time_of(one.at), one.task, one.author, one.label or one.kind, holds, one.origin, one.reason])
    print(f"Picture {digest}")
    print(output.table(rows, indent="  "))


def status(centre: CentreFolder = DEFAULT_CENTRE, as_json: Json = False) -> None:
    """Count labelled, disputed and suggested pictures.

    By task and label; disputes with who says what.
    """
    with open_store(centre) as store:
        standings = {task: store.standings(task) for task in store.tasks()}
    found: dict[str, Any] = {}
    for task, all_of_them in standings.items():
        labels: dict[str, int] = {}
        for one in all_of_them.values():
            if one.agreed is not None:
                said = one.agreed.label or one.agreed.kind
                labels[said] = labels.get(said, 0) + 1
        found[task] = {
            "labels": dict(sorted(labels.items())),
            "conflicts": {picture: one.told for picture, one in all_of_them.items() if one.conflict},
            "pending": sum(1 for one in all_of_them.values() if one.pending),
        }
    if as_json:
        output.data(found)
        return
    for task, one in found.items():
        print(f"Task {task or '(none)'}: {sum(one['labels'].values())} judged, {one['pending']} suggested")
        print(output.table([[name, str(count)] for name, count in one["labels"].items()], indent="  "))
        for picture, told in one["conflicts"].items():
            print(f"  disputed: {picture[:12]} {told}")


def _whole(start: str, found: list[str]) -> str:
    """The one picture whose digest begins so. Raises `Misuse`."""
    if not start or not set(start) <= set("0123456789abcdef"):
        raise Misuse(f"{start!r} is no SHA-256, nor the beginning of one.", "`roost label queue` shows pictures.")
    pictures = sorted(set(found))
    if len(pictures) != 1:
        raise Misuse(
            f"{len(pictures) or 'No'} picture{'' if len(pictures) == 1 else 's'} here begin with {start}.",
            "Give more digits." if pictures else "`roost label queue` shows pictures.",
        )
    return pictures[0]


def _frames(frames: Any, start: str) -> list[Path]:
    return list(frames.root.glob(f"{start[:2]}/{start}*.jpg")) if len(start) >= 4 and start.isalnum() else []
