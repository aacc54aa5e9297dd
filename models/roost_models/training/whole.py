"""A whole network trained on a version of a dataset, and exported as one float32 `.tflite`. Minutes, and TensorFlow."""

from dataclasses import asdict

import numpy as np

from roost_models.bundle.manifest import RuntimePins
from roost_models.inference.images import decode
from roost_models.inference.preprocess import pixels
from roost_models.training import network
from roost_models.training.backbone import ENGINE_PINS
from roost_models.training.exporting import Exported, Model, Plan, export
from roost_models.training.head import QUEUE
from roost_models.training.lineage import counts
from roost_models.training.network import CONTRACT, NetworkPlan
from roost_models.training.pictures import TrainingSet
from roost_models.training.progress import Progress
from roost_models.training.regression import label_weights

METHOD = "a small convolutional network, trained whole"


def train_whole(plan: Plan, pictures: TrainingSet, how: NetworkPlan, progress: Progress, *, workers: int) -> Exported:
    """Train and write the bundle. Raises `Misuse` without TensorFlow, and as `train_head`."""
    tensorflow = network.require_tensorflow()
    import keras
    import tensorflow as tf

    items = pictures.learnt
    tf.config.experimental.enable_op_determinism()  # slower, and the same network every time on one machine
    shown = []
    for number, data in enumerate(pictures.bytes_of(items), start=1):
        shown.append(pixels(decode(data), CONTRACT))
        progress.progress(number, len(items))
    labels = np.array([pictures.number(item) for item in items])
    weights = label_weights(labels, len(pictures.labels), balanced=True)
    progress.note(f"Training {how.epochs} epochs on {len(items)} pictures …")
    model = network.fit(
        how, np.stack(shown), labels, len(pictures.labels), weights=dict(enumerate(weights.tolist())), tell=False
    )
    exported = network.export(model)
    return export(
        plan,
        Model(
            fields={"entry": "model.tflite", "output": {"activation": "none"}},
            files={"model.tflite": exported},
            contract=CONTRACT,
            runtime=RuntimePins(python=">=3.11", engine=ENGINE_PINS),
            batch=[1, 4, 16],
            queue=QUEUE,
            method=METHOD,
            backbone="none",
            training={
                "method": METHOD,
                **asdict(how),
                "tensorflow": tensorflow,
                "keras": str(keras.__version__),
                "numpy": np.__version__,
                "number_format": "float32",
                "pictures": counts(pictures.dataset),
            },
            remarks=(),
        ),
        pictures,
        progress,
        workers=workers,
    )
