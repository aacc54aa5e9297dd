"""`roost train`: from a version of a dataset to a measured bundle."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roost_broker.errors import Misuse
from roost_edge.cli import output
from roost_edge.cli.bundle import Color, Method, Resize, read_range
from roost_edge.cli.label_options import DEFAULT_CENTRE, CentreFolder
from roost_edge.cli.output import Json

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from roost_models.training.backbone import Backbone
    from roost_models.training.exporting import Exported, Plan
    from roost_models.training.figures import Figures, Share
    from roost_models.training.head import HeadOptions
    from roost_models.training.pictures import TrainingSet
    from roost_models.training.progress import Progress

    Trained: TypeAlias = Callable[[Plan, TrainingSet], Exported]


class Form(StrEnum):
    """How a trained head and its backbone are kept."""

    head = "head"
    tflite = "tflite"


def train(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Its name; NAME@3 is version 3, else the newest.")],
    task: Annotated[str, typer.Option(help="The task it is for.")],
    name: Annotated[str, typer.Option(help="The new bundle's name.")],
    version: Annotated[str, typer.Option(help="The new bundle's version.")],
    backbone: Annotated[
        Path | None, typer.Option(help="A bundle or a .tflite to train a head on; else the henhouse's embedder.")
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The bundle's folder; else bundles/NAME/VERSION in the centre."),
    ] = None,
    form: Annotated[Form, typer.Option(help="head: two files, small updates. tflite: one whole file.")] = Form.head,
    balanced: Annotated[bool, typer.Option(help="Every label weighs the same, however many pictures it has.")] = True,
    l2: Annotated[float | None, typer.Option(help="How strongly weights are held back; chosen if left out.")] = None,
    licence: Annotated[str | None, typer.Option(help="SPDX expression; the backbone's if left out.")] = None,
    color: Annotated[Color | None, typer.Option(help="Of a .tflite backbone: channel order.")] = None,
    value_range: Annotated[str | None, typer.Option("--range", help='Of a .tflite backbone: "0,1", "uint8" …')] = None,
    resize: Annotated[Resize | None, typer.Option(help="Of a .tflite backbone: how pictures are fitted.")] = None,
    method: Annotated[Method | None, typer.Option(help="Of a .tflite backbone: filter of the resizing.")] = None,
    keep_end: Annotated[bool, typer.Option("--keep-end", help="Cut no classifier off the backbone.")] = False,
    whole: Annotated[bool, typer.Option("--whole", help="Train a whole network (needs the extra train).")] = False,
    epochs: Annotated[int, typer.Option(min=1, max=1000, help="With --whole: rounds over the pictures.")] = 8,
    width: Annotated[float, typer.Option(min=0.1, max=4, help="With --whole: channels, times this.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="With --whole: of the first weights and the order.")] = 1,
    each_day: Annotated[
        bool, typer.Option("--each-day", help="Only measure: every day left out in turn, no bundle is kept.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that evaluate pictures.")] = 2,
    cache: Annotated[bool, typer.Option(help="Keep features for the next training.")] = True,
    centre: CentreFolder = DEFAULT_CENTRE,
    as_json: Json = False,
) -> None:
    """Train a model on a version of a dataset.

    By default only a head: a softmax regression over the features of a frozen backbone, in seconds. What it is worth
    is measured through the finished bundle, on the version's test split, and written into its card.
    """
    from roost_broker.centre.layout import CentreLayout
    from roost_edge.cli.reporter import reporting
    from roost_models.bundle.writing import check_new
    from roost_models.training.crossing import leave_days_out
    from roost_models.training.exporting import Plan

    if whole and backbone is not None:
        raise Misuse("A whole network has no backbone.", "Give either --whole or --backbone.")
    if each_day and target is not None:
        raise Misuse("--each-day only measures and keeps no bundle.", "Leave out --output.")
    layout = CentreLayout(centre)
    folder = target or layout.bundles / name / version
    if not each_day:
        check_new(folder, name=name, task=task)  # before the computing, not after it
    pictures = _open(centre, dataset, task)
    with reporting("Training") as progress:
        if whole:
            licence = licence or "NOASSERTION"
            trained = _whole(progress, epochs=epochs, width=width, seed=seed, workers=workers)
        else:
            from roost_models.bundle.importing import ImportChoices
            from roost_models.training.backbone import open_backbone
            from roost_models.training.head import HeadOptions

            choices = ImportChoices(
                name=name,
                task=task,
                licence=licence or "NOASSERTION",
                color=color.value if color else None,
                range=read_range(value_range) if value_range else None,
                resize=resize.value if resize else None,
                method=method.value if method else None,
            )
            opened = open_backbone(backbone or _own_embedder(), choices, keep_end=keep_end)
            for remark in opened.remarks:
                progress.note(f"{opened.title}: {remark}")
            licence = licence or opened.licence
            kept = layout.features if cache else None
            options = HeadOptions(form=form.value, balanced=balanced, l2=l2, workers=workers, cache=kept)
            trained = _head(progress, opened, options)

        def run(on: "TrainingSet", into: Path) -> "Exported":
            return trained(Plan(into, name, version, task, licence or ""), on)

        made = None if each_day else run(pictures, folder)
        figures = leave_days_out(pictures, run, progress) if made is None else made.figures
    if as_json:
        output.data({"figures": figures, **({} if made is None else _facts(made, folder))})
        return
    _tell(figures)
    if made is not None:
        manifest = made.bundle.manifest
        print(f"{folder} holds the bundle {manifest.name} {manifest.version} (digest {made.bundle.digest[:12]}…).")
        print(f"Its card: {folder / 'CARD.md'}")


def _open(centre: Path, text: str, task: str) -> "TrainingSet":
    from roost_broker.centre.layout import CentreLayout
    from roost_broker.frames import FrameStore
    from roost_models.datasets.store import open_version, read_picture
    from roost_models.training.pictures import TrainingSet

    name, at, number = text.partition("@")
    if at and not (number.isascii() and number.isdigit()):
        raise Misuse(f"{text!r} names no version.", "Write NAME, or NAME@3 for version 3.")
    dataset, digest = open_version(centre, name, int(number) if at else None)
    frames = FrameStore(CentreLayout(centre).frames)
    if dataset.task and dataset.task != task:
        raise Misuse(f"The dataset {name} is of task {dataset.task}, not of {task}.", f"Say --task {dataset.task}.")
    return TrainingSet(dataset, digest, lambda sha256: read_picture(frames, sha256))


def _own_embedder() -> Path:
    from roost_edge.demo.models import find_henhouse

    embedder = find_henhouse() / "bundles" / "embedder"
    if not embedder.is_dir():
        raise Misuse(f"There is no embedder at {embedder}.", "Name a backbone: --backbone BUNDLE.")
    return embedder


def _head(progress: "Progress", backbone: "Backbone", options: "HeadOptions") -> "Trained":
    from roost_models.training.head import train_head

    return lambda plan, pictures: train_head(plan, pictures, backbone, options, progress)


def _whole(progress: "Progress", *, epochs: int, width: float, seed: int, workers: int) -> "Trained":
    from roost_models.training.network import NetworkPlan
    from roost_models.training.whole import train_whole

    network = NetworkPlan(epochs=epochs, width=width, seed=seed)
    return lambda plan, pictures: train_whole(plan, pictures, network, progress, workers=workers)


def _facts(made: "Exported", folder: Path) -> dict[str, Any]:
    manifest = made.bundle.manifest
    return {
        "path": str(folder),
        "name": manifest.name,
        "version": manifest.version,
        "digest": made.bundle.digest,
        "trained_on": manifest.trained_on,
        "training": manifest.training,
    }


def _tell(figures: "Figures | None") -> None:
    if figures is None:
        print("Not measured: the dataset's version has no test split.")
        return
    right = figures.right
    print(
        f"{right.right} of {right.shown} test pictures right: {100 * right.share:.1f} % "
        f"({100 * right.low:.0f} to {100 * right.high:.0f} % with 95 %), measured through the bundle."
    )
    rows = [("label", "shown", "found", "right when said")]
    rows += [
        (row.label, str(row.found.shown), _percent(row.found), _percent(row.right_when_said))
        for row in figures.by_label
    ]
    print(output.table(rows, indent="  "))


def _percent(share: "Share") -> str:
    return f"{100 * share.share:.1f} %" if share.shown else "–"
