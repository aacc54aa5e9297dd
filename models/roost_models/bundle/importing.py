"""Wrap a third-party `.tflite` with its labels as a bundle.

What the file says is read in a child process; what it does not say is guessed, and every guess is reported so that a
person can correct it: crop against squeeze alone has changed a top answer.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from roost_broker.errors import Malformed, Misuse
from roost_models.bundle.folder import Bundle
from roost_models.bundle.goldens import ramps
from roost_models.bundle.pins import installed
from roost_models.bundle.trial import ModelFacts, inspect_in_child
from roost_models.bundle.writing import check_new, seal, write_bundle
from roost_models.inference import images
from roost_models.inference.interpreter import ENGINES

MAX_LABELS_BYTES = 2_000_000
_MAX_PICTURE_BYTES = 1_000_000
_IDENTIFIER = b"TFL3"
"""In bytes 4 to 8 of every such file: the FlatBuffers file identifier of TensorFlow's `schema.fbs`."""


class ImportChoices(Struct, frozen=True, kw_only=True):
    """What the caller knows better; None means: guess, and say so."""

    name: str
    task: str
    version: str = "1.0.0"
    licence: str = "NOASSERTION"
    source: str = ""
    """Where the model comes from."""
    color: Literal["rgb", "bgr", "gray"] | None = None
    range: tuple[float, float] | Literal["uint8"] | None = None
    resize: Literal["squeeze", "crop", "pad"] | None = None
    method: Literal["box", "bilinear"] | None = None
    activation: Literal["none", "softmax"] | None = None
    picture: Path | None = None
    """A picture for the golden; a generated one otherwise."""


@dataclass(frozen=True, slots=True)
class Imported:
    """The new bundle, and a sentence for each thing that was guessed."""

    bundle: Bundle
    guesses: tuple[str, ...]


def import_bundle(model: Path, labels: Path, folder: Path, choices: ImportChoices) -> Imported:
    """Make `folder` a bundle of a `.tflite` file and a labels file. Raises `Misuse` or `Malformed`, nothing written."""
    check_new(folder, name=choices.name, task=choices.task)
    _check_tflite(_existing(model))
    facts = inspect_in_child(model)
    names = read_labels(labels)
    if len(names) != facts.outputs:
        raise Misuse(
            f"The model has {facts.outputs} outputs, {labels.name} {len(names)} labels.",
            "Give the labels file of this model; some models count a first line 'background'.",
        )
    guesses: list[str] = []
    picture_name, picture = _golden_picture(choices.picture, guesses)
    distribution = facts.engine.split()[0]
    fields = {
        "name": choices.name,
        "version": choices.version,
        "task": choices.task,
        "engine": "tflite",
        "entry": "model.tflite",
        "labels": names,
        "input": guessed_contract(facts, choices, guesses),
        "output": {"activation": _activation(facts, choices, guesses), "top": min(20, len(names))},
        "runtime": {
            "python": ">=3.11",
            "engine": {name: f"=={installed(name)}" if name == distribution else "" for name in ENGINES},
        },
        "licence": choices.licence,
        "description": f"Imported from {model.name}.",
        "training": {"source": choices.source or model.name},
        "goldens": [{"input": picture_name}],
        "batch": {"sizes": facts.batch_sizes},
        "card": "CARD.md",
    }
    files = {
        "model.tflite": model.read_bytes(),
        "CARD.md": _card(model, choices, guesses).encode(),
        picture_name: picture,
    }
    write_bundle(folder, fields, files)
    return Imported(seal(folder, goldens=True), tuple(guesses))


def read_labels(path: Path) -> list[str]:
    """Labels, one a line; leading numbers 0, 1, 2 … are taken off; repeated ones are told apart by a number."""
    data = _existing(path).read_bytes()
    if len(data) > MAX_LABELS_BYTES:
        raise Malformed(f"{path.name} of {len(data)} bytes is no labels file.", "Give one label a line.")
    try:
        lines = [line.strip() for line in data.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise Malformed(f"{path.name} is not UTF-8: {error}.", "Save it as UTF-8.") from error
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise Malformed(f"{path.name} holds no labels.", "Give one label a line.")
    split = [line.split(maxsplit=1) for line in lines]
    if all(len(parts) == 2 and parts[0].rstrip(":,") == str(index) for index, parts in enumerate(split)):
        lines = [parts[1] for parts in split]
    seen: dict[str, int] = {}
    names = []
    for index, line in enumerate(lines):
        name = line[:190] or f"label {index}"
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def guessed_contract(facts: ModelFacts, choices: ImportChoices, guesses: list[str]) -> dict[str, Any]:
    """The input contract of a strange model; a sentence is added to `guesses` for what nobody said."""
    _, height, width, channels = facts.input_shape
    floats = facts.input_dtype == "float32"
    return {
        "width": width,
        "height": height,
        "color": _choose("color", choices.color, "gray" if channels == 1 else "rgb", guesses),
        "range": _choose("range", choices.range, (0.0, 1.0) if floats else "uint8", guesses),
        "resize": _choose("resize", choices.resize, "squeeze", guesses),
        "method": _choose("method", choices.method, "bilinear", guesses),
    }


def _activation(facts: ModelFacts, choices: ImportChoices, guesses: list[str]) -> str:
    guess = "none" if facts.looks_like_probabilities else "softmax"
    return str(_choose("activation", choices.activation, guess, guesses))


def _choose(field: str, chosen: object, guess: object, guesses: list[str]) -> object:
    if chosen is not None:
        return chosen
    guesses.append(f"{field} is taken as {msgspec.json.encode(guess).decode()}.")
    return guess


def _golden_picture(path: Path | None, guesses: list[str]) -> tuple[str, bytes]:
    """Name in the bundle and bytes: the caller's picture as it is when it is small, else smaller and lossless."""
    if path is None:
        guesses.append("the golden is a generated pattern, not a picture of anything.")
        return "goldens/pattern.png", images.encode_png(ramps())
    data = _existing(path).read_bytes()
    rgb = images.decode(data)
    if len(data) <= _MAX_PICTURE_BYTES and path.suffix.lower() in (".jpg", ".jpeg", ".png"):
        return f"goldens/picture{path.suffix.lower()}", data
    return "goldens/picture.png", images.encode_png(images.shrink(rgb, 512))


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise Misuse(f"There is no file {path}.", "Check the name.")
    return path


def _check_tflite(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(8)[4:] != _IDENTIFIER:
            raise Misuse(
                f"{path} is not a .tflite model.", "Give one with its labels. The order is MODEL LABELS FOLDER."
            )


def _card(model: Path, choices: ImportChoices, guesses: list[str]) -> str:
    lines = [
        f"# {choices.name}",
        "",
        f"Imported from `{model.name}`{f' ({choices.source})' if choices.source else ''}; licence {choices.licence}.",
        "Nothing is known here of its training data or its accuracy.",
        "",
        "Guessed when it was imported:" if guesses else "Nothing was guessed when it was imported.",
        *[f"* {guess}" for guess in guesses],
    ]
    return "\n".join(lines) + "\n"
