"""Goldens: examples a bundle carries with the outputs it must give; run before a model is trusted with requests."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from roost_broker.messages import Output
from roost_models.bundle.folder import Bundle
from roost_models.bundle.manifest import Golden, GoldenOutput
from roost_models.inference.predictor import ModelInput, Predictor, PythonPredictor, picture

KEPT = 5
"""Outputs recorded for each golden."""


def golden_input(bundle: Bundle, predictor: Predictor, golden: Golden) -> ModelInput:
    """A golden as the model sees it. One without `past`, of a model with internal state, is the first request that the
    model ever sees: it knows what `observe` makes of an empty memory. Raises `BadImage`, and `Unusable`.
    """
    image = None if golden.input is None else picture(bundle.read(golden.input), predictor)
    item = ModelInput(image=image, state=golden.state, tags=golden.tags, values=golden.values, past=golden.past)
    if golden.past is None and isinstance(predictor, PythonPredictor):
        return replace(item, past=predictor.first_past(item))
    return item


def warm_inputs(bundle: Bundle, predictor: Predictor) -> list[ModelInput]:
    """Inputs to warm a model with: its goldens, else a test pattern.

    None for a Python model without goldens: what its author's code bears nobody can guess.
    """
    if bundle.manifest.goldens:
        return [golden_input(bundle, predictor, golden) for golden in bundle.manifest.goldens]
    if bundle.manifest.engine == "python":
        return []
    return [ModelInput(image=predictor.preprocess(ramps()))]


def synthetic_input(bundle: Bundle, predictor: Predictor) -> ModelInput | None:
    """A test picture of the shape the model wants, for one that has no goldens; it need not be able to answer.

    None where no picture is wanted (nobody can guess values), and for a model that remembers what it has seen.
    """
    if bundle.manifest.input is None or not bundle.manifest.pure:
        return None
    return ModelInput(image=predictor.preprocess(ramps()))


def ramps() -> NDArray[np.uint8]:
    """A picture without meaning, 64×48, the same everywhere: one ramp for each colour."""
    rows, columns = np.mgrid[0:48, 0:64]
    picture: NDArray[np.uint8] = np.stack([columns * 4, rows * 5, rows + columns], axis=2).astype(np.uint8)
    return picture


def differences(golden: Golden, outputs: Sequence[Output]) -> list[str]:
    """What is not as the golden says, a sentence each; empty when all is well.

    A label that fell out of the best ones scored no more than the last of them, and is judged by that.
    """
    scores = {output.label: output.score for output in outputs}
    floor = outputs[-1].score if outputs else 0.0
    found = []
    for expected in golden.outputs:
        score = scores.get(expected.label)
        if score is None:
            score = min(floor, expected.score)
        if abs(score - expected.score) > golden.tolerance:
            found.append(
                f"{golden.input or 'values'}: {expected.label} scores {score:.4f}, "
                f"the manifest says {expected.score:.4f} ± {golden.tolerance}"
            )
    return found


def recorded(outputs: Sequence[Output]) -> list[GoldenOutput]:
    """Outputs as a golden keeps them."""
    return [GoldenOutput(label=output.label, score=output.score) for output in outputs[:KEPT]]
