"""Train the CNNs of the henhouse: `python -m roost_henhouse.train champion|canary`. Needs the extra `train`.

Render stills → train in Keras → export TFLite in float32 → measure the exported file → write the bundle.

Two things that looked right and were not: with Keras' default BatchNorm momentum of 0.99 the averages lag behind in
a short training (99 % in training, 70 % held out), hence 0.9; and dynamic-range quantisation gives files that
tflite-runtime 2.14 does not load, hence none.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from roost_henhouse.dataset import stills
from roost_henhouse.recipe import BUNDLES, Recipe, make_bundle, recipe_parser, say
from roost_henhouse.truth import LABELS
from roost_models.bundle.manifest import ImageContract
from roost_models.inference.preprocess import tensor

CONTRACT = ImageContract(width=96, height=96, color="rgb", range=(-1.0, 1.0), resize="squeeze", method="box")


@dataclass(frozen=True)
class Plan:
    """How one network is trained. `width` multiplies the number of channels; `seed` is that of the stills."""

    stills: int
    seed: int
    width: float
    epochs: int
    batch: int = 32
    rate: float = 2e-3
    batchnorm_momentum: float = 0.9


PLANS = {
    "champion": Plan(stills=5600, seed=1, width=1.0, epochs=8),
    "canary": Plan(stills=1400, seed=3, width=0.5, epochs=8),
}

# Channels and stride of the seven depthwise-separable blocks.
_BLOCKS = ((32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (192, 2), (192, 1))

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
        exported = export(fit(plan, pictures, labels))
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
            **asdict(plan),
            "tensorflow": _tensorflow_version(),
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


def _tensorflow_version() -> str:
    import tensorflow as tf

    return str(tf.__version__)


def network(width: float, momentum: float) -> Any:
    """The untrained Keras model."""
    import keras
    from keras import layers

    def normed(x: Any) -> Any:
        return layers.ReLU(6.0)(layers.BatchNormalization(momentum=momentum)(x))

    def channels(count: int) -> int:
        return max(8, round(count * width))

    picture = keras.Input((CONTRACT.height, CONTRACT.width, 3), name="picture")
    x = normed(layers.Conv2D(channels(16), 3, strides=2, padding="same", use_bias=False)(picture))
    for count, stride in _BLOCKS:
        x = normed(layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(x))
        x = normed(layers.Conv2D(channels(count), 1, use_bias=False)(x))
    x = layers.Dropout(0.1)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(picture, layers.Dense(len(LABELS), activation="softmax", name="scores")(x))


def fit(plan: Plan, pictures: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> Any:
    """Train. The accuracy that Keras shows meanwhile is that in training: not a figure to trust."""
    import keras

    keras.utils.set_random_seed(plan.seed)
    model = network(plan.width, plan.batchnorm_momentum)
    steps = plan.epochs * -(-len(pictures) // plan.batch)
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(plan.rate, steps, alpha=0.02)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(tensor(pictures, CONTRACT), labels, batch_size=plan.batch, epochs=plan.epochs, shuffle=True, verbose=2)
    return model


def export(model: Any) -> bytes:
    """The model as a TFLite file, float32, without any quantisation."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    exported: bytes = converter.convert()
    return exported


if __name__ == "__main__":
    sys.exit(main())
