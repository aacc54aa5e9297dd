"""From a verified bundle to a model that is fit to answer: loaded, right on its goldens, and warm (promise V6)."""

from roost_broker.errors import RoostError
from roost_models.bundle.folder import Bundle
from roost_models.bundle.goldens import differences, golden_input, warm_inputs
from roost_models.inference.predictor import Predictor, Unusable, load_predictor

_ROUNDS = 2


class ModelFailed(RoostError):
    """The model cannot serve: its goldens are wrong, it raises, or an evaluation never ended."""


def warmed_predictor(bundle: Bundle) -> Predictor:
    """Load, check the goldens, evaluate each batch size once. Raises `ModelFailed`, `Misuse` or `Malformed`."""
    title = f"Model {bundle.manifest.name} {bundle.manifest.version}"
    predictor = load_predictor(bundle)
    try:
        _check_goldens(title, bundle, predictor)
        warm = warm_inputs(bundle, predictor)
        for size in _sizes(bundle) if warm else ():
            for _ in range(_ROUNDS):
                predictor.predict((warm * size)[:size])
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
    return predictor


def _sizes(bundle: Bundle) -> tuple[int, ...]:
    """Sizes its scaffold will use; an interpreter for any other would only cost memory."""
    return tuple(bundle.manifest.batch.sizes) if bundle.manifest.queue.strategy == "batch" else (1,)


def _check_goldens(title: str, bundle: Bundle, predictor: Predictor) -> None:
    for golden in bundle.manifest.goldens:
        outputs = predictor.predict([golden_input(bundle, predictor, golden)])[0]
        found = differences(golden, outputs)
        if found:
            raise ModelFailed(
                f"{title} does not answer its goldens as it should: {found[0]}.",
                "It does not fit this runtime, or is damaged: run `roost bundle check` on it.",
            )
