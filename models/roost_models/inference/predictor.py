"""A bundle ready to answer: the same calls whatever the engine.

Steps are kept apart so that a picture is decoded once and every part is timed alone:
decode (`images`) → `preprocess` → `predict`, many at a time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from roost_broker.errors import Misuse, PeerError
from roost_broker.messages import Output, Request
from roost_models.bundle.environment import check_environment, engines_here
from roost_models.bundle.folder import Bundle
from roost_models.bundle.manifest import ImageContract, Manifest
from roost_models.bundle.pins import python_version
from roost_models.inference import images
from roost_models.inference.head import Head, read_head
from roost_models.inference.interpreter import TfliteModel, engine_version
from roost_models.inference.preprocess import pixels, tensor
from roost_models.inference.python_model import Context, PythonModel

Pixels = NDArray[np.uint8]


class Unusable(PeerError):
    """A model that raised, or whose answer is no scores: NaN, infinite, a label it does not have."""

    def __init__(self, manifest: Manifest, why: str) -> None:
        super().__init__(f"Model {manifest.name} {manifest.version} {why}.", "Correct the model.")


@dataclass(frozen=True, slots=True)
class ModelInput:
    """One request as a model sees it. `image` is preprocessed: (height, width, channels), uint8."""

    image: Pixels | None = None
    state: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    at_ms: int = 0
    past: Any = None
    """For a model with internal state: what it may know of earlier requests."""


class Predictor(Protocol):
    """What scaffold, replay and `decide` use. Not safe for two threads at once."""

    @property
    def labels(self) -> list[str]:
        """In the manifest's order."""
        ...

    @property
    def runtime(self) -> str:
        """Engine, its version, number format, decoder: exact replay means the same text."""
        ...

    @property
    def takes_pictures(self) -> bool:
        """Whether it has an input contract. For one that has none no picture is fetched, let alone decoded."""
        ...

    def preprocess(self, rgb: Pixels) -> Pixels | None:
        """A decoded picture as this model takes it; None when it takes none."""
        ...

    def predict(self, inputs: Sequence[ModelInput]) -> list[list[Output]]:
        """Outputs of each input, best first, at most `output.top`.

        Raises `Unusable` (the model's mistake), and `BadImage` when a picture is needed and there is none.

        The scores of one input do not depend on what it is evaluated with.
        """
        ...


def load_predictor(bundle: Bundle) -> Predictor:
    """Load a verified bundle. Raises `Misuse` (wrong environment) or `Malformed` (content that cannot be used)."""
    check_environment(bundle.manifest)
    return TflitePredictor(bundle) if bundle.manifest.engine == "tflite" else PythonPredictor(bundle)


class TflitePredictor:
    """See `Predictor`."""

    def __init__(self, bundle: Bundle) -> None:
        manifest = bundle.manifest
        if manifest.input is None:
            raise Misuse("A tflite model needs an input contract.", "Add `input` to the manifest.")
        self.manifest = manifest
        self._contract: ImageContract = manifest.input
        self._model = TfliteModel(bundle.read(manifest.entry), engines_here(manifest))
        self._head = None if manifest.head is None else read_head(bundle.read(manifest.head))
        _check_shapes(manifest, self._contract, self._model, self._head)
        self._runtime = f"{engine_version(self._model.engine)} {self._model.number_format} {_pillow()}"

    @property
    def labels(self) -> list[str]:
        """See `Predictor`."""
        return self.manifest.labels

    @property
    def runtime(self) -> str:
        """See `Predictor`."""
        return self._runtime

    @property
    def takes_pictures(self) -> bool:
        """See `Predictor`."""
        return True

    def preprocess(self, rgb: Pixels) -> Pixels | None:
        """See `Predictor`."""
        return pixels(rgb, self._contract)

    def predict(self, inputs: Sequence[ModelInput]) -> list[list[Output]]:
        """See `Predictor`."""
        rows = []
        for item in inputs:
            if item.image is None:
                raise _no_picture()
            rows.append(tensor(item.image, self._contract))
        outputs: list[list[Output]] = []
        while rows:
            size = max(n for n in self.manifest.batch.sizes if n <= len(rows))
            scores = self._model.run(np.stack(rows[:size]))
            outputs.extend(self._outputs(row) for row in scores)
            rows = rows[size:]
        return outputs

    def _outputs(self, row: NDArray[np.float32]) -> list[Output]:
        if self._head is not None:
            row = self._head.logits(row)
        values = _softmax(row) if self.manifest.output.activation == "softmax" else row
        return best_first(self.manifest, [float(value) for value in values])


class PythonPredictor:
    """See `Predictor`."""

    def __init__(self, bundle: Bundle) -> None:
        self.manifest = bundle.manifest
        self._model = PythonModel(bundle)
        self._runtime = f"python {python_version()} numpy {metadata.version('numpy')} {_pillow()}"

    @property
    def model(self) -> PythonModel:
        """The author's functions, for whoever keeps the model's internal state."""
        return self._model

    @property
    def labels(self) -> list[str]:
        """See `Predictor`."""
        return self.manifest.labels

    @property
    def runtime(self) -> str:
        """See `Predictor`."""
        return self._runtime

    @property
    def takes_pictures(self) -> bool:
        """See `Predictor`."""
        return self.manifest.input is not None

    def preprocess(self, rgb: Pixels) -> Pixels | None:
        """See `Predictor`."""
        return None if self.manifest.input is None else pixels(rgb, self.manifest.input)

    def predict(self, inputs: Sequence[ModelInput]) -> list[list[Output]]:
        """See `Predictor`."""
        return [self._one(item) for item in inputs]

    def first_past(self, item: ModelInput) -> Any:
        """What the author's `observe` returns for this input, were it the first that the model ever sees; None for a
        model that keeps no internal state. Raises `Unusable`.
        """
        if self.manifest.internal_state is None:
            return None
        try:
            return self._model.observe(self._model.fresh(), self._context(item))
        except (Exception, SystemExit) as error:  # the author's code may raise anything
            raise Unusable(self.manifest, f"cannot observe: {type(error).__name__}: {error}") from error

    def _context(self, item: ModelInput) -> Context:
        return Context(self._model.model, self._model.folder, item.state, item.tags, item.values, item.at_ms, item.past)

    def _one(self, item: ModelInput) -> list[Output]:
        try:
            scores = self._model.predict(item.image, self._context(item))
        except (Exception, SystemExit) as error:  # the author's code may raise anything
            raise Unusable(self.manifest, f"cannot answer: {type(error).__name__}: {error}") from error
        strange = set(scores) - set(self.labels)
        if strange:
            raise Unusable(self.manifest, f"answered {min(strange)!r}, which is not one of its labels")
        return best_first(self.manifest, [scores.get(label, 0.0) for label in self.labels])


def best_first(manifest: Manifest, values: list[float]) -> list[Output]:
    """Scores in label order to outputs, best first, ties in label order. Raises `Unusable` at NaN or infinity."""
    if not np.all(np.isfinite(values)):
        bad = next(index for index, value in enumerate(values) if not np.isfinite(value))
        raise Unusable(manifest, f"answered {values[bad]} for {manifest.labels[bad]!r}")
    order = sorted(range(len(values)), key=lambda index: (-values[index], index))
    return [Output(label=manifest.labels[index], score=values[index]) for index in order[: manifest.output.top]]


def model_input(
    request: Request,
    predictor: Predictor,
    frame: Callable[[], bytes],
    past: Any = None,
    decode: Callable[[bytes], Pixels] = images.decode,
) -> ModelInput:
    """A request as the model sees it. `frame` fetches the bytes of the request's frame, and is called at most once:
    not at all for a model that takes no pictures.

    Scaffold and replay both come here (through `Evaluator`), so both see the same. Raises `BadImage`, and what
    `frame` raises.
    """
    image = _picture_of(request, predictor, frame, decode) if predictor.takes_pictures else None
    return ModelInput(
        image=image,
        state=request.state,
        tags=request.tags,
        values=request.input.values or {},
        at_ms=request.timestamp,
        past=past,
    )


def _picture_of(
    request: Request, predictor: Predictor, frame: Callable[[], bytes], decode: Callable[[bytes], Pixels]
) -> Pixels | None:
    if request.input.frame is not None:
        return predictor.preprocess(decode(frame()))
    if request.input.inline is not None:
        return predictor.preprocess(decode(images.from_base64(request.input.inline)))
    raise _no_picture()


def _no_picture() -> images.BadImage:
    return images.BadImage("This model needs a picture, and the request has none.", "Send a frame.")


def picture(data: bytes, predictor: Predictor) -> Pixels | None:
    """Decode and preprocess. Raises `BadImage`."""
    return predictor.preprocess(images.decode(data))


def _softmax(row: NDArray[np.float32]) -> NDArray[np.float64]:
    """In double precision, one row at a time: the same result alone and in a batch."""
    powers: NDArray[np.float64] = np.exp(row.astype(np.float64) - float(row.max()))
    shares: NDArray[np.float64] = powers / powers.sum()
    return shares


def _check_shapes(manifest: Manifest, contract: ImageContract, model: TfliteModel, head: Head | None) -> None:
    channels = 1 if contract.color == "gray" else 3
    wanted = (contract.height, contract.width, channels)
    if model.input.shape[1:] != wanted:
        raise Misuse(
            f"The input contract gives {wanted}, the model takes {model.input.shape[1:]}.",
            "Correct `input` in the manifest.",
        )
    if not model.input.quantised and model.input.dtype != "float32" and not isinstance(contract.range, str):
        raise Misuse("A range needs a model with a scale; this one has none.", 'Use `"range": "uint8"`.')
    count = int(np.prod(model.output.shape[1:]))
    if head is not None:
        labels, features = head.weights.shape
        if features != count:
            raise Misuse(f"The model gives {count} features, the head takes {features}.", "Train the head anew.")
        count = labels
    if count != len(manifest.labels):
        raise Misuse(
            f"The model has {count} outputs, the manifest {len(manifest.labels)} labels.", "Correct the labels."
        )


def _pillow() -> str:
    return f"pillow {metadata.version('pillow')}"
