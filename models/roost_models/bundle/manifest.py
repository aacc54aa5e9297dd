"""What a bundle says about itself: `manifest.json`, schema `roost.bundle/1`.

The manifest names every file of the bundle with its SHA-256, so its own digest (`digest_of`) stands for the whole
content. Field names are snake case, as in settings; unknown fields are refused, because a misspelt limit would
otherwise be a limit silently not kept.
"""

import hashlib
import math
import re
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct, field

from roost_broker.errors import Malformed
from roost_broker.messages import Digest, Label, Name
from roost_models.bundle.pins import check_spec

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 2_000_000
MAX_FILES = 256
MAX_FILE_BYTES = 256_000_000
MAX_TOTAL_BYTES = 512_000_000
MAX_SIDE = 4096
"""Largest width or height, in pixels, that a model may ask for."""

Version: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$(?!\n)")]
Distribution: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$(?!\n)")]
Text: TypeAlias = Annotated[str, Meta(max_length=4000)]
Side: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_SIDE)]

_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*){0,7}\Z")


class _Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass  # defaults are written out: a bundle must not change its meaning with the reader's version


class FileEntry(_Part, frozen=True, kw_only=True):
    """One file of the bundle."""

    sha256: Digest
    bytes: Annotated[int, Meta(ge=0, le=MAX_FILE_BYTES)]


class ImageContract(_Part, frozen=True, kw_only=True):
    """How a picture becomes the model's input; the steps in this order (`inference.preprocess` carries them out).

    1. `resize` to width × height: `squeeze` ignores the aspect ratio, `crop` takes the largest centred part of the
       right shape, `pad` fits the whole picture in and fills the rest with black. `method` is Pillow's filter.
    2. `color`: channel order; `gray` is one channel of ITU-R 601 luma.
    3. `range`: `[lo, hi]` maps 0..255 linearly to floats lo..hi; `"uint8"` hands the pixels over as they are.
       A quantised model's own scale and zero point are applied after that.
    """

    width: Side
    height: Side
    color: Literal["rgb", "bgr", "gray"] = "rgb"
    range: tuple[float, float] | Literal["uint8"] = "uint8"
    resize: Literal["squeeze", "crop", "pad"] = "squeeze"
    method: Literal["box", "bilinear"] = "box"

    def __post_init__(self) -> None:
        if isinstance(self.range, tuple) and not self.range[0] < self.range[1]:
            raise ValueError("a range is [low, high] with low below high")


class OutputContract(_Part, frozen=True, kw_only=True):
    """How the model's numbers become scores."""

    activation: Literal["none", "softmax"] = "none"
    """`softmax` is applied here when the model gives logits."""
    top: Annotated[int, Meta(ge=1, le=1000)] = 20
    """At most so many outputs, best first, travel in a score."""


class RuntimePins(_Part, frozen=True, kw_only=True):
    """The environment the bundle was made for; another one is refused (promise V12)."""

    python: Text = ""
    """Version specifier such as `>=3.11,<3.14`; empty is any."""
    engine: dict[Distribution, str] = field(default_factory=dict)
    """Distribution → specifier; *one* of them must be installed, and the loader uses that one."""
    packages: dict[Distribution, str] = field(default_factory=dict)
    """Distribution → specifier; *all* must be installed."""

    def __post_init__(self) -> None:
        for spec in (self.python, *self.engine.values(), *self.packages.values()):
            check_spec(spec)


class GoldenOutput(_Part, frozen=True, kw_only=True):
    """An expected label with its score."""

    label: Label
    score: float


class Golden(_Part, frozen=True, kw_only=True):
    """One example with the outputs it must give, within `tolerance` (absolute, each score)."""

    input: str | None = None
    """A picture in the bundle (PNG preferred: lossless), or none."""
    outputs: list[GoldenOutput] = field(default_factory=list)
    tolerance: Annotated[float, Meta(ge=0, le=1)] = 0.05
    """Runtimes differ: 0.727 against 0.758 was seen for one picture."""
    state: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    past: Any = None
    """For a model with internal state: what `observe` is taken to have returned. Left out, it is what it returns for
    the first request that the model ever sees."""


class BatchContract(_Part, frozen=True, kw_only=True):
    """How many requests may be evaluated together. Only sizes that were measured to work belong here."""

    sizes: Annotated[list[Annotated[int, Meta(ge=1, le=256)]], Meta(min_length=1, max_length=8)] = field(
        default_factory=lambda: [1]
    )

    def __post_init__(self) -> None:
        if self.sizes[0] != 1 or sorted(set(self.sizes)) != self.sizes:
            raise ValueError("batch sizes begin with 1 and rise")


class QueueContract(_Part, frozen=True, kw_only=True):
    """What the scaffold does when the model is behind (`docs/overload.md`)."""

    strategy: Literal["skip", "batch", "auto"] = "skip"
    """`skip`: take the newest and decline the rest at once. `batch`: evaluate several together first. `auto`: measure
    what each batch size costs; batch where that pays and keeps deadlines, skip where it does not."""
    max_waiting: Annotated[int, Meta(ge=1, le=10_000)] = 1
    """Requests that may wait while the model computes; beyond it the oldest is declined at once."""
    max_age_ms: Annotated[int, Meta(ge=1, le=3_600_000)] | None = None
    """A request that has waited longer is declined `expired`; the request's own deadline holds in any case."""


class StateContract(_Part, frozen=True, kw_only=True):
    """Internal state: what the model knows from earlier requests (the book's ch. 3, "Stateful Models").

    `snapshot`: saved now and then, and rolled forward from the archive at a start. `window`: nothing is saved; what
    the last `window_s` seconds of requests say is all there is to know, and they are replayed at a start.
    """

    restore: Literal["snapshot", "window"] = "snapshot"
    window_s: Annotated[int, Meta(ge=1, le=31_536_000)] | None = None
    """Seconds by the requests' own timestamps."""
    snapshot_every: Annotated[int, Meta(ge=1, le=1_000_000)] = 100
    """Observed requests between two snapshots."""

    def __post_init__(self) -> None:
        if (self.restore == "window") != (self.window_s is not None):
            raise ValueError("window_s belongs to restore = window, which needs it")


class TrainedOn(_Part, frozen=True, kw_only=True):
    """The version of a dataset that a model was trained on: its lineage begins there."""

    name: Name
    version: Annotated[int, Meta(ge=1)]
    digest: Digest
    """Of the version's document."""


class Manifest(_Part, tag_field="schema", tag="roost.bundle/1", frozen=True, kw_only=True):
    """Everything a scaffold needs to know about a model. See the module."""

    name: Name
    version: Version
    task: Name
    engine: Literal["tflite", "python"]
    entry: str
    """The model: a `.tflite` file, or `model.py` with `predict(image, context)`."""
    head: str | None = None
    """For a `.tflite` whose outputs are features: the file with the softmax regression over them (`inference.head`).
    Where only this file differs between two bundles, it is all that travels."""
    files: Annotated[dict[str, FileEntry], Meta(max_length=MAX_FILES)]
    """Every file of the bundle but the manifest itself."""
    labels: Annotated[list[Label], Meta(min_length=1, max_length=10_000)]
    """In the order of the model's outputs."""
    input: ImageContract | None = None
    """None: the model reads values and state only, and no picture is decoded for it."""
    output: OutputContract = field(default_factory=OutputContract)
    runtime: RuntimePins = field(default_factory=RuntimePins)
    licence: Annotated[str, Meta(min_length=1, max_length=200)]
    """SPDX expression where there is one."""
    description: Text = ""
    training: dict[str, Any] = field(default_factory=dict)
    """Where the model comes from: free form."""
    trained_on: TrainedOn | None = None
    goldens: Annotated[list[Golden], Meta(max_length=64)] = field(default_factory=list)
    batch: BatchContract = field(default_factory=BatchContract)
    queue: QueueContract = field(default_factory=QueueContract)
    pure: bool = True
    """No state inside the model: the same request always gives the same scores, so the archive replays exactly."""
    internal_state: StateContract | None = None
    """The model has state that Roost keeps: `model.py` defines `observe(memory, context)`."""
    card: str | None = None
    """The model card, a file of the bundle."""

    def __post_init__(self) -> None:
        _check_files(self)
        if len(set(self.labels)) != len(self.labels):
            repeated = next(label for label in self.labels if self.labels.count(label) > 1)
            raise ValueError(f"label {repeated!r} is listed twice")
        if self.engine == "tflite" and self.input is None:
            raise ValueError("a tflite model needs an input contract")
        if self.queue.strategy != "skip" and self.queue.max_waiting < self.batch.sizes[-1]:
            raise ValueError(
                f"a batch of {self.batch.sizes[-1]} never fills while max_waiting is {self.queue.max_waiting}"
            )
        if self.internal_state is not None and (self.engine != "python" or self.pure):
            raise ValueError("internal_state is for a model of engine python that says pure = false")
        for golden in self.goldens:
            _check_golden(self, golden)


def _check_files(manifest: Manifest) -> None:
    """Names cannot leave the bundle, cannot collide on any file system, and everything referred to is there."""
    seen: set[str] = set()
    for path in manifest.files:
        check_path(path)
        if path.lower() in seen:
            raise ValueError(f"two files are named {path!r} when case is ignored")
        seen.add(path.lower())
    total = sum(entry.bytes for entry in manifest.files.values())
    if total > MAX_TOTAL_BYTES:
        raise ValueError(f"{total} bytes in all are over the limit of {MAX_TOTAL_BYTES}")
    if manifest.entry not in manifest.files:
        raise ValueError(f"the entry {manifest.entry!r} is not among the files")
    if manifest.card is not None and manifest.card not in manifest.files:
        raise ValueError(f"the card {manifest.card!r} is not among the files")
    if manifest.head is not None and (manifest.head not in manifest.files or manifest.engine != "tflite"):
        raise ValueError(f"the head {manifest.head!r} is not among the files, or the engine is not tflite")
    suffix = {"tflite": ".tflite", "python": ".py"}[manifest.engine]
    if not manifest.entry.endswith(suffix):
        raise ValueError(f"the entry of engine {manifest.engine!r} ends in {suffix}, not as {manifest.entry!r}")


def _check_golden(manifest: Manifest, golden: Golden) -> None:
    if golden.input is not None and golden.input not in manifest.files:
        raise ValueError(f"the golden input {golden.input!r} is not among the files")
    for output in golden.outputs:
        if output.label not in manifest.labels:
            raise ValueError(f"a golden expects {output.label!r}, which is not a label")
        if not math.isfinite(output.score):
            raise ValueError(f"a golden expects {output.score} for {output.label!r}")


def check_path(path: str) -> str:
    """Return `path` when it can name a file of a bundle, else raise `ValueError`."""
    if len(path) > 200 or not _PATH.match(path) or path.lower() == MANIFEST:
        raise ValueError(
            f"{path!r} cannot name a file of a bundle (relative, '/' between levels, letters, digits, '._-', "
            "no level beginning with a dot)"
        )
    return path


_LATER = ("head", "trained_on")
"""Written only where they say something: so a bundle from before there were such fields keeps its digest."""


class _Tag(Struct):
    schema: str  # msgspec takes an absent tag for the right one


def parse(data: bytes) -> Manifest:
    """Read a manifest. Raises `Malformed` with the field and the reason; never anything else."""
    if len(data) > MAX_MANIFEST_BYTES:
        raise Malformed(f"A manifest of {len(data)} bytes is over the limit of {MAX_MANIFEST_BYTES}.")
    try:
        msgspec.json.decode(data, type=_Tag)
        return msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Malformed(
            f"{MANIFEST} is not a bundle manifest: {error}.",
            "Correct that field, or make a new skeleton with `roost bundle new`.",
        ) from error


def digest_of(data: bytes) -> str:
    """SHA-256 of a manifest's canonical bytes: keys sorted, no spaces. Layout and order of keys do not matter."""
    loose = msgspec.json.decode(data)
    return hashlib.sha256(msgspec.json.encode(loose, order="sorted")).hexdigest()


def render(manifest: Manifest) -> bytes:
    """The manifest as it is written to disk: for people to read."""
    loose = msgspec.to_builtins(manifest)
    for field_name in _LATER:
        if loose[field_name] is None:
            del loose[field_name]
    return msgspec.json.format(msgspec.json.encode(loose), indent=2) + b"\n"
