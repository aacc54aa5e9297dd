"""Train the fast model: `python -m roost_henhouse.train_fast`. numpy alone, a minute with kept stills.

Softmax regression on a 12×12 colour grid, by Adam on the whole set; the picture's own brightness and contrast are
divided out first, in training as in `python_models/fast.py`.
"""

import io
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from roost_henhouse.dataset import stills
from roost_henhouse.recipe import BUNDLES, EVERY_REQUEST, PYTHON_MODELS, Recipe, make_bundle, recipe_parser, say
from roost_henhouse.truth import LABELS
from roost_models.bundle.manifest import ImageContract

CONTRACT = ImageContract(width=12, height=12, color="rgb", range="uint8", resize="squeeze", method="box")

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Plan:
    """How the weights are found. `seed` is that of the stills, `decay` the weight of the squared weights."""

    stills: int = 5600
    seed: int = 1
    steps: int = 1500
    rate: float = 0.02
    decay: float = 2e-4


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and write the bundle. Exit status: 0 done, 2 wrong arguments."""
    parser = recipe_parser("train_fast", "Train the fast model and write its bundle.", "the committed one")
    options = parser.parse_args(arguments)
    plan = Plan()
    pictures, labels = stills(plan.stills, plan.seed, CONTRACT, workers=options.workers, keep=options.keep, report=say)
    weights, bias = fit(plan, features(pictures), labels)
    recipe = Recipe(
        name="fast",
        title="henhouse-fast",
        description="The henhouse's fast model: logistic regression on a 12×12 grid of colours.",
        remarks="It takes about a tenth of the champion's time and stands in for it when it is late. It sees colours "
        "and where they are, no shapes: a grey hen, a jay, and an egg in the straw are what it confuses most.",
        command="python -m roost_henhouse.train_fast",
        engine="python",
        queue=EVERY_REQUEST,
        entry="model.py",
        contract=CONTRACT,
        training={**asdict(plan), "numpy": np.__version__, "data": "stills rendered by roost_henhouse"},
    )
    files = {"model.py": (PYTHON_MODELS / "fast.py").read_bytes(), "weights.npz": packed(weights, bias)}
    make_bundle(
        options.out or BUNDLES / "fast",
        recipe,
        files,
        date=options.date,
        workers=options.workers,
        keep=options.keep,
        report=say,
    )
    return 0


def features(pictures: npt.NDArray[np.uint8]) -> Array:
    """The rows the model sees: as in `python_models/fast.py`, for many pictures."""
    grid = pictures.reshape(len(pictures), -1).astype(np.float32)
    centred = grid - grid.mean(axis=1, keepdims=True)
    return np.asarray(centred / (grid.std(axis=1, keepdims=True) + 8.0), dtype=np.float32)


def fit(plan: Plan, rows: Array, labels: npt.NDArray[np.int64]) -> tuple[Array, Array]:
    """Weights (labels, features) and bias (labels)."""
    wanted = np.eye(len(LABELS), dtype=np.float32)[labels]
    with_one = np.hstack([rows, np.ones((len(rows), 1), np.float32)])
    found = np.zeros((with_one.shape[1], len(LABELS)), np.float32)
    mean, square = np.zeros_like(found), np.zeros_like(found)
    for step in range(1, plan.steps + 1):
        logits = with_one @ found
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        gradient = with_one.T @ (powers / powers.sum(axis=1, keepdims=True) - wanted) / len(rows) + plan.decay * found
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        rate = plan.rate * (1 - step / plan.steps)
        found -= rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return np.ascontiguousarray(found[:-1].T, dtype=np.float32), np.asarray(found[-1], dtype=np.float32)


def packed(weights: Array, bias: Array) -> bytes:
    """The weights as `weights.npz`."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, weights=weights, bias=bias, labels=np.array(LABELS))
    return buffer.getvalue()


if __name__ == "__main__":
    sys.exit(main())
