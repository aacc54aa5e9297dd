"""Train the CNNs of the henhouse: `python -m roost_henhouse.train champion|canary`. Needs the extra `train`.

Render stills → train in Keras (`roost_models.training.network`) → export TFLite in float32 → measure the exported file
→ write the bundle.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from roost_henhouse.dataset import stills
from roost_henhouse.recipe import BUNDLES, Recipe, make_bundle, recipe_parser, say
from roost_henhouse.truth import LABELS
from roost_models.training.network import CONTRACT, NetworkPlan, export, fit, require_tensorflow


@dataclass(frozen=True)
class Plan:
    """How one network is trained. `seed` is that of the stills and of the first weights."""

    stills: int
    seed: int
    width: float
    epochs: int

    @property
    def network(self) -> NetworkPlan:
        """As the network's module takes it."""
        return NetworkPlan(seed=self.seed, width=self.width, epochs=self.epochs)


PLANS = {
    "champion": Plan(stills=5600, seed=1, width=1.0, epochs=8),
    "canary": Plan(stills=1400, seed=3, width=0.5, epochs=8),
}

_TITLES = {
    "champion": (
        "henhouse-champion",
        "The henhouse's preferred model: a small convolutional network for pictures of a nest box.",
        "A 3×3 convolution (16 channels, stride 2) and seven depthwise-separable blocks, averaged, one dense layer: "
        "about 105,000 parameters.",
    ),
    "canary": (
        "henhouse-canary",
        "The henhouse's canary: a smaller network, trained before the champion, whose answers are never official.",
        "It was trained once, at half the width of the champion (about 31,000 parameters) and on a quarter of the "
        "pictures, and is then frozen. "
        "It is not meant to be good; it is meant to stay the same. When its scores move, the pictures have changed "
        "(a turned camera, a dead lamp, another kind of bird); when only the champion's move, the champion has. "
        "Do not re-train it together with the champion: a canary that changes tells nothing.",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train one network and write its bundle. Exit status: 0 done, 2 wrong arguments."""
    parser = recipe_parser("train", "Train a network of the henhouse and write its bundle.", "the committed one")
    parser.add_argument("which", choices=sorted(PLANS))
    parser.add_argument("--exported", type=Path, help="a .tflite trained before: only measure it and make the bundle")
    options = parser.parse_args(arguments)
    plan = PLANS[options.which]
    if options.exported:
        exported = options.exported.read_bytes()
    else:
        pictures, labels = stills(
            plan.stills, plan.seed, CONTRACT, workers=options.workers, keep=options.keep, report=say
        )
        exported = export(fit(plan.network, pictures, labels, len(LABELS)))
        say(f"exported {len(exported)} bytes")
        if options.keep:
            (options.keep / f"{options.which}.tflite").write_bytes(exported)
    title, description, remarks = _TITLES[options.which]
    recipe = Recipe(
        name=options.which,
        title=title,
        description=description,
        remarks=remarks,
        command=f"python -m roost_henhouse.train {options.which}",
        engine="tflite",
        entry="model.tflite",
        contract=CONTRACT,
        training={
            "stills": plan.stills,
            **asdict(plan.network),
            "tensorflow": require_tensorflow(),
            "numpy": np.__version__,
            "opencv": metadata.version("opencv-python-headless"),
            "number_format": "float32",
            "data": "stills rendered by roost_henhouse",
        },
        output={"activation": "none"},
        batch=(1, 4, 16),
    )
    make_bundle(
        options.out or BUNDLES / options.which,
        recipe,
        {"model.tflite": exported},
        date=options.date,
        workers=options.workers,
        keep=options.keep,
        report=say,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
