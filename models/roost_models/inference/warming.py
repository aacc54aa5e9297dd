"""From a verified bundle to a model that is fit to answer: loaded, right on its goldens, and warm (promise V6).

Every batch size that the scaffold may use is evaluated and timed. A size that does not work (not every model can be
resized) is left out with a sentence in the log; only a model that cannot even answer alone has failed.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from roost_broker.errors import RoostError
from roost_broker.messages import Output
from roost_models.bundle.folder import Bundle
from roost_models.bundle.goldens import differences, golden_input, synthetic_input, warm_inputs
from roost_models.inference.predictor import ModelInput, Predictor, Unusable, load_predictor

_ROUNDS = 3
_SAME = 1e-3
"""Scores of one input, alone and in a batch, may differ by so much."""

_log = logging.getLogger(__name__)


class ModelFailed(RoostError):
    """The model cannot serve: its goldens are wrong, it raises, or an evaluation never ended."""


@dataclass(frozen=True, slots=True)
class WarmModel:
    """A model ready to serve. `costs`: batch sizes that work → ns of one evaluation, 0 where nothing could be tried."""

    predictor: Predictor
    costs: dict[int, int]


def warmed_predictor(bundle: Bundle) -> Predictor:
    """As `warm_up`, for those who evaluate one at a time."""
    return warm_up(bundle).predictor


def warm_up(bundle: Bundle, now: Callable[[], int] = time.monotonic_ns) -> WarmModel:
    """Load, check the goldens, evaluate each batch size. Raises `ModelFailed`, `Misuse` or `Malformed`."""
    title = f"Model {bundle.manifest.name} {bundle.manifest.version}"
    predictor = load_predictor(bundle)
    try:
        _check_goldens(title, bundle, predictor)
        known = warm_inputs(bundle, predictor)
        costs = _sizes_that_work(title, bundle, predictor, known, now) if known else _guessing(title, bundle, predictor)
    except Unusable as error:
        raise ModelFailed(
            f"{title} raised while it was warmed. {error.problem}", "Run `roost bundle check` on it."
        ) from error
    except RoostError:
        raise
    except (Exception, SystemExit) as error:  # the author's code may raise anything
        raise ModelFailed(
            f"{title} raised while it was warmed: {type(error).__name__}: {error}.", "Run `roost bundle check` on it."
        ) from error
    return WarmModel(predictor, costs)


def _sizes(bundle: Bundle) -> tuple[int, ...]:
    """Sizes its scaffold may use; an interpreter for any other would only cost memory."""
    return (1,) if bundle.manifest.queue.strategy == "skip" else tuple(bundle.manifest.batch.sizes)


def _sizes_that_work(
    title: str, bundle: Bundle, predictor: Predictor, known: Sequence[ModelInput], now: Callable[[], int]
) -> dict[int, int]:
    """Raises what the model raises when it is asked alone."""
    costs: dict[int, int] = {}
    alone: list[list[Output]] = []
    for size in _sizes(bundle):
        together = (list(known) * size)[:size]
        try:
            costs[size], outputs = _timed(predictor, together, now)
            if size == 1:
                alone = [predictor.predict([item])[0] for item in known]
            elif bundle.manifest.engine == "tflite" and not _same(outputs, (alone * size)[:size]):
                raise ModelFailed("its scores are not those it gives alone")
        except (Exception, SystemExit) as error:
            if size == 1:
                raise
            costs.pop(size, None)
            _log.warning(
                "%s does without batches of %d: %s",
                title,
                size,
                error.problem if isinstance(error, RoostError) else f"{type(error).__name__}: {error}",
            )
    return costs


def _timed(
    predictor: Predictor, together: Sequence[ModelInput], now: Callable[[], int]
) -> tuple[int, list[list[Output]]]:
    """The quickest of a few evaluations but the first, which may build an interpreter."""
    took = []
    for _ in range(_ROUNDS):
        began = now()
        outputs = predictor.predict(together)
        took.append(now() - began)
    return max(1, min(took[1:])), outputs


def _same(one: Sequence[Sequence[Output]], other: Sequence[Sequence[Output]]) -> bool:
    for left, right in zip(one, other, strict=True):
        scores = {output.label: output.score for output in right}
        if any(abs(scores.get(output.label, output.score) - output.score) > _SAME for output in left):
            return False
    return True


def _guessing(title: str, bundle: Bundle, predictor: Predictor) -> dict[int, int]:
    """Warm a model nobody gave an example for with a picture without meaning; what it thinks of it does not count."""
    guess = synthetic_input(bundle, predictor)
    if guess is not None:
        try:
            for _ in range(_ROUNDS):
                predictor.predict([guess])
        except (Exception, SystemExit) as error:  # noqa: BLE001 — its author never promised to bear this
            _log.warning("%s could not be warmed with a test picture: %s. Give it a golden.", title, error)
    return dict.fromkeys(_sizes(bundle), 0)


def _check_goldens(title: str, bundle: Bundle, predictor: Predictor) -> None:
    for golden in bundle.manifest.goldens:
        outputs = predictor.predict([golden_input(bundle, predictor, golden)])[0]
        found = differences(golden, outputs)
        if found:
            raise ModelFailed(
                f"{title} does not answer its goldens as it should: {found[0]}.",
                "It does not fit this runtime, or is damaged: run `roost bundle check` on it.",
            )
