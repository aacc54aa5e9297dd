"""What warming finds out: batch sizes that work, and that a model without goldens is warm all the same."""

import itertools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from roost_broker.errors import Misuse
from roost_broker.messages import Output
from roost_models.bundle.checking import check_bundle
from roost_models.bundle.folder import Bundle
from roost_models.bundle.writing import write_bundle
from roost_models.inference import warming
from roost_models.inference.predictor import ModelInput, Pixels

COUNTS = """
evaluations = 0

def predict(image, context):
    global evaluations
    evaluations += 1
    assert image.shape == (6, 8, 3)
    return {"hen": evaluations / 100}
"""
REFUSES = """
def predict(image, context):
    raise RuntimeError("no hen looks like this")
"""


class Resizing:
    """A model of which batches of 4 cannot be built, and batches of 8 answer differently."""

    labels: ClassVar = ["hen"]
    runtime = "resizing 1"
    takes_pictures = True

    def preprocess(self, rgb: Pixels) -> Pixels:
        return rgb

    def predict(self, inputs: Sequence[ModelInput]) -> list[list[Output]]:
        if len(inputs) == 4:
            raise Misuse("No interpreter for a batch of 4.", "List only sizes that work.")
        return [[Output(label="hen", score=0.5 if len(inputs) == 8 else 0.9)] for _ in inputs]


def bundle(folder: Path, source: str = COUNTS, **fields: Any) -> Bundle:
    manifest = {
        "name": "hens",
        "version": "1",
        "task": "nest",
        "engine": "python",
        "entry": "model.py",
        "labels": ["hen"],
        "input": {"width": 8, "height": 6},
        "licence": "Apache-2.0",
        **fields,
    }
    return write_bundle(folder / "bundle", manifest, {"model.py": source.encode()})


def test_a_python_model_without_goldens_is_warmed_with_a_picture_of_the_right_shape(tmp_path: Path) -> None:
    warm = warming.warm_up(bundle(tmp_path))
    picture = np.zeros((6, 8, 3), dtype=np.uint8)
    assert warm.predictor.predict([ModelInput(image=picture)])[0][0].score > 0.01  # not its first evaluation
    assert warm.costs == {1: 0}


def test_an_author_who_does_not_bear_the_test_picture_keeps_the_model_and_hears_of_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        warming.warm_up(bundle(tmp_path, REFUSES))
    assert "no hen looks like this" in caplog.text
    assert "Give it a golden" in caplog.text


@pytest.mark.parametrize("fields", [{"pure": False}, {"input": None}])
def test_a_model_that_remembers_or_wants_no_picture_is_not_shown_an_invented_one(
    fields: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        warming.warm_up(bundle(tmp_path, REFUSES, **fields))
    assert not caplog.records


def test_sizes_that_do_not_work_are_left_out_with_a_sentence_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    batching = {"batch": {"sizes": [1, 2, 4, 8]}, "queue": {"strategy": "auto", "max_waiting": 8}}
    content = {"engine": "tflite", "entry": "model.tflite", **batching}
    manifest_of_tflite = write_bundle(
        tmp_path / "bundle",
        {
            "name": "hens",
            "version": "1",
            "task": "nest",
            "labels": ["hen"],
            "input": {"width": 8, "height": 6},
            "licence": "Apache-2.0",
            **content,
        },
        {"model.tflite": b"never loaded"},
    )
    with caplog.at_level(logging.WARNING):
        costs = warming._sizes_that_work("Model hens 1", manifest_of_tflite, Resizing(), [ModelInput()], ticking(5))
    assert costs == {1: 5, 2: 5}
    assert "does without batches of 4: No interpreter" in caplog.text
    assert "does without batches of 8: its scores are not those it gives alone" in caplog.text


def pictures(folder: Path, model: Path, side: int, labels: int) -> Bundle:
    manifest = {
        "name": "strange",
        "version": "1",
        "task": "nest",
        "engine": "tflite",
        "entry": "model.tflite",
        "labels": [f"label {number}" for number in range(labels)],
        "input": {"width": side, "height": side, "range": [-1.0, 1.0] if labels == 2 else "uint8"},
        "licence": "Apache-2.0",
        "batch": {"sizes": [1, 4]},
        "queue": {"strategy": "auto", "max_waiting": 4},
    }
    return write_bundle(folder / "bundle", manifest, {"model.tflite": model.read_bytes()})


def test_a_model_that_cannot_be_resized_serves_one_at_a_time_and_its_check_says_so(
    shared_data: Path, tmp_path: Path
) -> None:
    bundle = pictures(tmp_path, shared_data / "models" / "mobilenet_v1_0.25_128_quant.tflite", 128, 1001)
    assert warming.warm_up(bundle).costs.keys() == {1}
    report = check_bundle(bundle.root)
    assert report.ok
    assert any(remark.startswith("A batch of 4 does not work: ") for remark in report.remarks)


def test_a_model_that_can_be_resized_is_timed_in_every_size(shared_data: Path, tmp_path: Path) -> None:
    bundle = pictures(tmp_path, shared_data / "models" / "vww_96_float.tflite", 96, 2)
    costs = warming.warm_up(bundle).costs
    assert costs.keys() == {1, 4}
    assert all(cost > 0 for cost in costs.values())


def ticking(step: int) -> Callable[[], int]:
    return itertools.count(0, step).__next__
