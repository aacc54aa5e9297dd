"""`roost bundle`: make, check, show, pack and import models."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from roost_broker.errors import Misuse
from roost_edge.cli import output
from roost_edge.cli.output import EXIT_CODES, Json

app = typer.Typer(no_args_is_help=True, help="Bundles: a model with everything it needs.")

BundlePath = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle: a folder or a .roost file.")]
Name = Annotated[str, typer.Option(help="The model's name: letters, digits, '-' and '_'.")]
Task = Annotated[str, typer.Option(help="The task it is for.")]


class Color(StrEnum):
    """Channel order of the model's input."""

    rgb = "rgb"
    bgr = "bgr"
    gray = "gray"


class Method(StrEnum):
    """The filter of the resizing."""

    box = "box"
    bilinear = "bilinear"


class Resize(StrEnum):
    """How a picture is brought to the model's shape."""

    squeeze = "squeeze"
    crop = "crop"
    pad = "pad"


class Activation(StrEnum):
    """What is still to be done to the model's numbers."""

    none = "none"
    softmax = "softmax"


@app.command(epilog=EXIT_CODES)
def new(
    folder: Annotated[Path, typer.Argument(help="Where to; it is made.")], name: Name, task: Task, as_json: Json = False
) -> None:
    """Make a small complete bundle, to be changed.

    FOLDER is a new one. Edit its model.py and manifest.json, then pack with --seal.
    """
    from roost_models.bundle.writing import new_bundle

    made = new_bundle(folder, name=name, task=task)
    if as_json:
        output.data({"path": str(folder), "name": made.manifest.name, "digest": made.digest})
    else:
        print(f"{folder} holds the bundle {made.manifest.name} {made.manifest.version}.")
        print(f"Edit {folder / made.manifest.entry}; then: roost bundle pack --seal --goldens {folder}")


@app.command(epilog=EXIT_CODES)
def check(bundle: BundlePath, as_json: Json = False) -> None:
    """Say whether a bundle can be used here.

    Verifies every file, the environment, and the goldens (in a child process). Status 1 when it cannot be used.
    """
    from roost_models.bundle.checking import check_bundle

    report = check_bundle(bundle)
    if as_json:
        output.data(report)
    else:
        for problem in report.problems:
            print(f"error: {problem}")
        for remark in report.remarks:
            print(f"remark: {remark}")
        title = f"{report.name} {report.version}".strip() or str(bundle)
        print(f"{title}: " + ("good." if report.ok else "cannot be used."))
    raise typer.Exit(output.OK if report.ok else output.NO)


@app.command(epilog=EXIT_CODES)
def show(bundle: BundlePath, as_json: Json = False) -> None:
    """Print what a bundle says of itself."""
    from roost_models.bundle.checking import show_bundle

    shown = show_bundle(bundle)
    if as_json:
        output.data(shown)
        return
    rows = [(key, _short(shown[key])) for key in shown if key not in ("files", "goldens", "schema")]
    rows.append(("files", f"{len(shown['files'])}: {', '.join(sorted(shown['files']))}"))
    rows.append(("goldens", str(len(shown["goldens"]))))
    print(output.table(rows))


@app.command(epilog=EXIT_CODES)
def pack(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The bundle's folder.")],
    to: Annotated[Path | None, typer.Option("--output", "-o", help="The file; by default NAME-VERSION.roost.")] = None,
    seal: Annotated[bool, typer.Option("--seal", help="First accept the folder's files as they are now.")] = False,
    goldens: Annotated[bool, typer.Option("--goldens", help="With --seal: evaluate the goldens anew.")] = False,
    as_json: Json = False,
) -> None:
    """Make one .roost file of a folder.

    The same bundle gives the same bytes everywhere.
    """
    from roost_broker.errors import Misuse
    from roost_models.bundle import writing as bundle_new
    from roost_models.bundle.folder import open_folder
    from roost_models.bundle.packing import SUFFIX
    from roost_models.bundle.packing import pack as pack_bundle

    if goldens and not seal:
        raise Misuse("--goldens changes the bundle, so it needs --seal.", "Add --seal.")
    opened = bundle_new.seal(folder, goldens=goldens) if seal else open_folder(folder)
    target = to or Path(f"{opened.manifest.name}-{opened.manifest.version}{SUFFIX}")
    pack_bundle(opened, target)
    if as_json:
        output.data({"path": str(target), "bytes": target.stat().st_size, "digest": opened.digest})
    else:
        print(f"{target}: {target.stat().st_size} bytes, digest {opened.digest}")


@app.command("import", epilog=EXIT_CODES)
def import_(
    model: Annotated[Path, typer.Argument(help="A .tflite file.")],
    labels: Annotated[Path, typer.Argument(help="Its labels, one a line.")],
    folder: Annotated[Path, typer.Argument(help="The new bundle's folder.")],
    name: Name,
    task: Task,
    version: Annotated[str, typer.Option(help="The bundle's version.")] = "1.0.0",
    licence: Annotated[str, typer.Option(help="SPDX expression.")] = "NOASSERTION",
    source: Annotated[str, typer.Option(help="Where the model comes from.")] = "",
    color: Annotated[Color | None, typer.Option(help="Channel order; guessed if left out.")] = None,
    value_range: Annotated[
        str | None, typer.Option("--range", help='What pixels become: "0,1", "-1,1" … or "uint8"; guessed if left out.')
    ] = None,
    resize: Annotated[Resize | None, typer.Option(help="How pictures are fitted; guessed if left out.")] = None,
    method: Annotated[Method | None, typer.Option(help="Filter of the resizing; guessed if left out.")] = None,
    activation: Annotated[Activation | None, typer.Option(help="Guessed if left out.")] = None,
    picture: Annotated[Path | None, typer.Option(help="A picture for the golden.")] = None,
    as_json: Json = False,
) -> None:
    """Wrap anybody's TFLite model and labels as a bundle.

    What the file does not say is guessed. Each guess is reported: check it, it changes the answers.
    """
    from roost_models.bundle.importing import ImportChoices, import_bundle

    choices = ImportChoices(
        name=name,
        task=task,
        version=version,
        licence=licence,
        source=source,
        color=color.value if color else None,
        range=read_range(value_range) if value_range else None,
        resize=resize.value if resize else None,
        method=method.value if method else None,
        activation=activation.value if activation else None,
        picture=picture,
    )
    imported = import_bundle(model, labels, folder, choices)
    if as_json:
        output.data({"path": str(folder), "digest": imported.bundle.digest, "guesses": imported.guesses})
        return
    for guess in imported.guesses:
        print(f"guessed: {guess}")
    print(f"{folder} holds the bundle {name} {version}.")


def read_range(text: str) -> "tuple[float, float] | Literal['uint8']":
    """What pixels become, as it is written on the command line. Raises `Misuse`."""
    if text == "uint8":
        return "uint8"
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise Misuse(
            f"--range {text!r} is not understood.", 'Write two numbers, as "0,1" or "-1,1", or "uint8".'
        ) from None
    return low, high


def _short(value: object, width: int = 100) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= width else f"{text[: width - 1]}…"
