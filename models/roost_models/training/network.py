"""The small convolutional network that is trained whole: 3×3 convolution, seven depthwise-separable blocks, average,
one dense layer; about 106,000 parameters at width 1. Needs TensorFlow (the extra `train`), imported when it is used.

Two things that looked right and were not: with Keras' default BatchNorm momentum of 0.99 the averages lag behind in a
short training (99 % in training, 70 % held out), hence 0.9; and dynamic-range quantisation gives files that
tflite-runtime 2.14 does not load, hence none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from roost_broker.errors import Misuse
from roost_models.bundle.manifest import ImageContract
from roost_models.inference.preprocess import tensor

CONTRACT = ImageContract(width=96, height=96, color="rgb", range=(-1.0, 1.0), resize="squeeze", method="box")

_BLOCKS = ((32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (192, 2), (192, 1))
"""Channels and stride of the depthwise-separable blocks."""


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """How a network is trained. `width` multiplies the number of channels."""

    seed: int = 1
    width: float = 1.0
    epochs: int = 8
    batch: int = 32
    rate: float = 2e-3
    batchnorm_momentum: float = 0.9

    def __post_init__(self) -> None:
        if not (0.1 <= self.width <= 4 and 1 <= self.epochs <= 1000 and self.batch >= 1 and self.rate > 0):
            raise Misuse(f"A network cannot be trained so: {self}.", "Width 0.1 to 4, epochs 1 to 1000.")


def require_tensorflow() -> str:
    """TensorFlow's version. Raises `Misuse` where it is not installed."""
    try:
        import tensorflow as tf
    except ImportError as error:
        raise Misuse(
            "Training a whole network needs TensorFlow, which is not installed here.",
            "pip install 'roost[train]' (1.8 GB; best in an environment of its own), or train a head: without --whole.",
        ) from error
    return str(tf.__version__)


def network(labels: int, plan: NetworkPlan, contract: ImageContract = CONTRACT) -> Any:
    """The untrained Keras model."""
    import keras
    from keras import layers

    def normed(x: Any) -> Any:
        return layers.ReLU(6.0)(layers.BatchNormalization(momentum=plan.batchnorm_momentum)(x))

    def channels(count: int) -> int:
        return max(8, round(count * plan.width))

    picture = keras.Input((contract.height, contract.width, 3), name="picture")
    x = normed(layers.Conv2D(channels(16), 3, strides=2, padding="same", use_bias=False)(picture))
    for count, stride in _BLOCKS:
        x = normed(layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(x))
        x = normed(layers.Conv2D(channels(count), 1, use_bias=False)(x))
    x = layers.Dropout(0.1)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(picture, layers.Dense(labels, activation="softmax", name="scores")(x))


def fit(
    plan: NetworkPlan,
    pictures: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    count: int,
    *,
    contract: ImageContract = CONTRACT,
    weights: Mapping[int, float] | None = None,
    tell: bool = True,
) -> Any:
    """Train. The accuracy that Keras shows meanwhile is that in training: not a figure to trust."""
    import keras

    keras.utils.clear_session()  # else layers are numbered on, and the file's names with them
    keras.utils.set_random_seed(plan.seed)
    model = network(count, plan, contract)
    steps = plan.epochs * -(-len(pictures) // plan.batch)
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(plan.rate, steps, alpha=0.02)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(
        tensor(pictures, contract),
        labels,
        batch_size=plan.batch,
        epochs=plan.epochs,
        shuffle=True,
        verbose=2 if tell else 0,
        class_weight=None if weights is None else dict(weights),
    )
    return model


def export(model: Any) -> bytes:
    """The model as a TFLite file, float32, without any quantisation."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    exported: bytes = converter.convert()
    return exported
