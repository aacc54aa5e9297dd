"""`roost dataset …`: versions of labelled pictures, with lineage and a test split that is frozen."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roost_edge.cli import output
from roost_edge.cli.label_options import (
    DEFAULT_CENTRE,
    Author,
    CentreFolder,
    Task,
    author_or_user,
    only_task,
    open_store,
)
from roost_edge.cli.output import EXIT_CODES, Json
from roost_edge.plurals import counted

if TYPE_CHECKING:
    from roost_models.datasets.document import Dataset

app = typer.Typer(no_args_is_help=True, help="Versions of labelled pictures, to train and to test.")
Name = Annotated[str, typer.Argument(help="The dataset, or one version of it: hens, hens@3.")]
_SHOWN = 20


@app.callback()
def group() -> None:
    """Versions of labelled pictures, to train and to test."""


@app.command(epilog=EXIT_CODES)
def make(
    name: Annotated[str, typer.Argument(help="The dataset; its next version is made.")],
    centre: CentreFolder = DEFAULT_CENTRE,
    task: Task = "",
    labels: Annotated[
        str, typer.Option(help="Only these, in the order of a model's outputs: hen,duck. Else all there are.")
    ] = "",
    test_share: Annotated[float, typer.Option(help="Share of the site days that is kept for testing.")] = 0.2,
    validation_share: Annotated[float, typer.Option(help="Share of the site days that is kept for tuning.")] = 0.0,
    test_site: Annotated[
        list[str] | None, typer.Option(help="Hold this site out: what is new of it is for testing; may be repeated.")
    ] = None,
    author: Author = "",
    why: Annotated[str, typer.Option(help="The reason; kept with it.")] = "",
    as_json: Json = False,
) -> None:
    """Make the next version from what people agree on.

    Pictures people disagree about are left out and listed, and so are those that cannot be read. The split goes by
    site and day, and a picture that was once in the test split stays there in all versions.

    When nothing has changed since the newest version, none is made.
    """
    import time

    from roost_broker.centre.layout import CentreLayout
    from roost_broker.errors import FrameUnavailable
    from roost_broker.frames import FrameStore
    from roost_models.datasets import making, store
    from roost_models.datasets.split import Shares

    store.check_name(name)
    frames = FrameStore(CentreLayout(centre).frames)

    def trouble(sha256: str) -> str:
        try:
            store.read_picture(frames, sha256)
        except FrameUnavailable as error:
            return error.reason
        return ""

    earlier = store.ancestors(centre, name)
    with open_store(centre) as labelled:
        wish = making.Wish(
            name=name,
            task=only_task(labelled.tasks(), task or (earlier[-1].task if earlier else "")),
            labels=tuple(part.strip() for part in labels.split(",") if part.strip()),
            shares=Shares(test_share, validation_share),
            test_sites=tuple(test_site or ()),
            author=author_or_user(author),
            why=why,
        )
        standings = labelled.standings(wish.task)
    made = making.make(wish, standings, earlier, now_ms=time.time_ns() // 1_000_000, there=trouble)
    new = not (earlier and making.same(made, earlier[-1]))
    dataset, digest = (made, store.add_version(centre, made)) if new else store.open_version(centre, name)
    if as_json:
        output.data({"new": new, **_summary(dataset, digest), "warnings": making.warnings(dataset)})
        return
    if not new:
        output.say("Nothing has changed since this version; no other was made.")
    _print(dataset, digest)
    for warning in making.warnings(dataset):
        output.say(f"warning: {warning}")


@app.command(epilog=EXIT_CODES)
def show(name: Name, centre: CentreFolder = DEFAULT_CENTRE, as_json: Json = False) -> None:
    """Show a version: its labels, splits and what was left out.

    Also sites and days, and what the version comes from.
    """
    from roost_models.datasets import making

    dataset, digest = _open(centre, name)
    if as_json:
        output.data({**_summary(dataset, digest), "warnings": making.warnings(dataset), "leftOut": dataset.left_out})
        return
    _print(dataset, digest)
    groups: dict[tuple[str, str], int] = {}
    for item in dataset.items:
        key = (item.split, item.group if item.group != item.sha256 else "(nothing known)")
        groups[key] = groups.get(key, 0) + 1
    rows = [[split, group, str(count)] for (split, group), count in sorted(groups.items())]
    print(output.table([["split", "site and day", "pictures"], *rows[:_SHOWN]], indent="  "))
    if len(rows) > _SHOWN:
        print(f"  … and {len(rows) - _SHOWN} more")
    for one in dataset.left_out[:_SHOWN]:
        print(f"  left out: {one.sha256[:12]} {one.reason} {one.detail}".rstrip())
    if len(dataset.left_out) > _SHOWN:
        print(f"  … and {len(dataset.left_out) - _SHOWN} more (--json shows all)")
    for warning in making.warnings(dataset):
        output.say(f"warning: {warning}")


@app.command(epilog=EXIT_CODES)
def diff(
    before: Annotated[str, typer.Argument(help="A version: hens@3.")],
    after: Annotated[str, typer.Argument(help="Another: hens@4, or hens for the newest.")],
    centre: CentreFolder = DEFAULT_CENTRE,
    as_json: Json = False,
) -> None:
    """Show what changed from one version to another. Status 1 when what was tested is trained on now."""
    from roost_models.datasets.comparing import compare

    found = compare(_open(centre, before)[0], _open(centre, after)[0])
    if as_json:
        output.data(found)
    else:
        print(f"{found.before} → {found.after}: +{len(found.added)} -{counted(len(found.removed), 'picture')}")
        print(output.table([["label", "before", "after"], *_counts(found.counts)], indent="  "))
        for one in found.relabelled[:_SHOWN]:
            print(f"  relabelled: {one.sha256[:12]} {one.before} → {one.after}")
        if len(found.relabelled) > _SHOWN:
            print(f"  … and {len(found.relabelled) - _SHOWN} more")
        if found.moved:
            print(f"  {counted(len(found.moved), 'picture is', 'pictures are')} in another split")
        if found.labels_added or found.labels_removed:
            print(f"  labels: +{', '.join(found.labels_added) or '–'} -{', '.join(found.labels_removed) or '–'}")
        if found.leaked:
            leaked = counted(len(found.leaked), "picture of the test split is", "pictures of the test split are")
            output.say(f"{leaked} trained on: figures cannot be compared.")
    raise typer.Exit(output.NO if found.leaked else output.OK)


@app.command("list", epilog=EXIT_CODES)
def list_(centre: CentreFolder = DEFAULT_CENTRE, as_json: Json = False) -> None:
    """List datasets with their versions."""
    from roost_models.datasets import store

    found = [
        _summary(*store.open_version(centre, name, number))
        for name in store.names(centre)
        for number in store.versions(centre, name)
    ]
    if as_json:
        output.data(found)
        return
    if not found:
        output.say(f"There are no datasets in {centre}. `roost dataset make NAME` makes one.")
        return
    rows = [["dataset", "task", "pictures", "test", "made", "author", "why"]]
    for one in found:
        name, splits = f"{one['name']}@{one['version']}", one["splits"]
        rows.append(
            [name, one["task"], str(one["pictures"]), str(splits["test"]), one["made"], one["author"], one["why"]]
        )
    print(output.table(rows))


@app.command(epilog=EXIT_CODES)
def check(
    name: Annotated[str, typer.Argument(help="The dataset.")],
    centre: CentreFolder = DEFAULT_CENTRE,
    as_json: Json = False,
) -> None:
    """Check every version with all of its pictures.

    Its parent by digest, its pictures' bytes, and that nothing tested is ever trained on.

    Status 0 when all is well, 1 otherwise.
    """
    from roost_broker.centre.layout import CentreLayout
    from roost_broker.frames import FrameStore
    from roost_models.datasets import checking, store

    store.open_version(centre, name)
    wrong = checking.check(centre, name, FrameStore(CentreLayout(centre).frames))
    if as_json:
        output.data({"dataset": name, "ok": not wrong, "problems": wrong})
    else:
        for one in wrong:
            print(one)
        print(
            f"{len(store.versions(centre, name))} versions of {name}: {'all is well' if not wrong else 'not as made'}."
        )
    raise typer.Exit(output.NO if wrong else output.OK)


def _open(centre: Path, name: str) -> "tuple[Dataset, str]":
    from roost_broker.errors import Misuse
    from roost_models.datasets.store import open_version

    plain, at, number = name.partition("@")
    if at and not (number.isascii() and number.isdigit()):
        raise Misuse(f"{name!r} names no version.", "Write hens@3, or hens for the newest.")
    return open_version(centre, plain, int(number) if at else None)


def _summary(dataset: "Dataset", digest: str) -> dict[str, Any]:
    splits: dict[str, int] = {"train": 0, "validation": 0, "test": 0}
    labels = {label: dict.fromkeys(splits, 0) for label in dataset.labels}
    for item in dataset.items:
        splits[item.split] += 1
        labels.setdefault(item.label, dict.fromkeys(splits, 0))[item.split] += 1
    reasons: dict[str, int] = {}
    for one in dataset.left_out:
        reasons[one.reason] = reasons.get(one.reason, 0) + 1
    return {
        "name": dataset.name,
        "version": dataset.version,
        "digest": digest,
        "parent": dataset.parent,
        "task": dataset.task,
        "made": datetime.fromtimestamp(dataset.made_at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "author": dataset.author,
        "why": dataset.why,
        "pictures": len(dataset.items),
        "splits": splits,
        "labels": labels,
        "leftOutByReason": reasons,
    }


def _print(dataset: "Dataset", digest: str) -> None:
    one = _summary(dataset, digest)
    print(
        f"{dataset.name}@{dataset.version} of task {dataset.task or '(none)'}, made {one['made']} by {dataset.author}"
    )
    if dataset.why:
        print(f"  {dataset.why}")
    parent = f"version {dataset.version - 1}, {dataset.parent[:12]}" if dataset.parent else "none: the first"
    print(f"  digest {digest[:12]}, parent {parent}")
    rows = [
        [label, str(counts["train"]), str(counts["validation"]), str(counts["test"])]
        for label, counts in one["labels"].items()
    ]
    print(output.table([["label", "train", "validation", "test"], *rows], indent="  "))
    if one["leftOutByReason"]:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(one["leftOutByReason"].items()))
        print(f"  left out: {reasons}")


def _counts(counts: dict[str, list[int]]) -> list[list[str]]:
    return [[label, str(before), str(after)] for label, (before, after) in counts.items()]
