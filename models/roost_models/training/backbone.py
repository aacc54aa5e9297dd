"""The frozen part of a model: what turns a picture into features. Taken from a bundle or from a bare `.tflite`.

1. A bundle with a head gives its backbone as it is: the next head over it is all that will differ.
2. An embedder (a bundle whose labels number its outputs, see `feature_labels`) is taken as it is.
3. From any other bundle or `.tflite` the classifier at its end is cut off (`grafting`).
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from roost_broker.errors import Misuse
from roost_models.bundle.folder import Bundle
from roost_models.bundle.importing import ImportChoices, guessed_contract
from roost_models.bundle.manifest import ImageContract, RuntimePins
from roost_models.bundle.opening import open_bundle
from roost_models.bundle.packing import SUFFIX
from roost_models.bundle.pins import installed
from roost_models.bundle.trial import inspect_in_child
from roost_models.inference.interpreter import ENGINES
from roost_models.training.grafting import cut, ending

ENGINE_PINS = {"tflite-runtime": "==2.14.0", "ai-edge-litert": ">=2.1,<3"}
"""What our own bundles are made and tried for."""
NO_LICENCE = "NOASSERTION"


@dataclass(frozen=True, slots=True)
class Backbone:
    """`content` is the `.tflite` that gives features."""

    content: bytes
    contract: ImageContract
    features: int
    title: str
    """Name and version, or the file's name."""
    licence: str
    source: dict[str, Any]
    """For the manifest: which bundle or file, by digest."""
    runtime: RuntimePins
    batch: list[int] = field(default_factory=lambda: [1])
    queue: dict[str, Any] = field(default_factory=dict)
    rendered: bool = False
    """Whether it was itself trained on rendered scenes."""
    remarks: tuple[str, ...] = ()
    """What was guessed or done to it, a sentence each."""

    @property
    def digest(self) -> str:
        """Of content and input contract: equal digests give equal features in one runtime."""
        return hashlib.sha256(self.content + msgspec.json.encode(self.contract)).hexdigest()


def feature_labels(count: int) -> list[str]:
    """The labels of an embedder: `f0`, `f1` …"""
    return [f"f{number}" for number in range(count)]


def open_backbone(path: Path, choices: ImportChoices, *, keep_end: bool = False) -> Backbone:
    """Open a bundle or a `.tflite`. Raises `Misuse` or `Malformed`.

    `choices` say what a bare `.tflite` does not. `keep_end`: cut nothing off, whatever its end looks like.
    """
    if path.is_file() and path.suffix != SUFFIX:
        return _from_file(path, choices, keep_end)
    return _from_bundle(open_bundle(path), keep_end)


def _from_bundle(bundle: Bundle, keep_end: bool) -> Backbone:
    manifest = bundle.manifest
    title = f"{manifest.name} {manifest.version}"
    if manifest.engine != "tflite" or manifest.input is None:
        raise Misuse(
            f"{title} is a model of engine {manifest.engine}: nobody can look into it for features.",
            "Give a bundle of engine tflite, such as the henhouse's embedder.",
        )
    content = bundle.read(manifest.entry)
    as_it_is = keep_end or manifest.head is not None or manifest.labels == feature_labels(len(manifest.labels))
    kept, features, remarks = _without_classifier(content, as_it_is)
    return Backbone(
        content=kept,
        contract=manifest.input,
        features=features,
        title=title,
        licence=manifest.licence,
        source={"name": manifest.name, "version": manifest.version, "bundle": bundle.digest},
        runtime=manifest.runtime,
        batch=list(manifest.batch.sizes),
        queue=msgspec.to_builtins(manifest.queue),
        rendered="rendered" in str(manifest.training).lower(),
        remarks=remarks,
    )


def _from_file(path: Path, choices: ImportChoices, keep_end: bool) -> Backbone:
    content = path.read_bytes()
    kept, features, remarks = _without_classifier(content, keep_end)  # first: it refuses what is no .tflite
    facts = inspect_in_child(path)
    guesses: list[str] = []
    contract = msgspec.convert(guessed_contract(facts, choices, guesses), ImageContract)
    engine = facts.engine.split()[0]
    pins = {name: f"=={installed(name)}" if name == engine else "" for name in ENGINES}
    return Backbone(
        content=kept,
        contract=contract,
        features=features,
        title=path.name,
        licence=choices.licence,
        source={"file": path.name, "sha256": hashlib.sha256(content).hexdigest()},
        runtime=RuntimePins(python=">=3.11", engine=pins),
        remarks=(*guesses, *remarks),
    )


def _without_classifier(content: bytes, as_it_is: bool) -> tuple[bytes, int, tuple[str, ...]]:
    end = ending(content, keep_end=as_it_is)
    if not end.classifier:
        return content, end.features, ()
    return cut(content), end.features, (f"The classifier at its end was cut off; {end.features} features are left.",)
