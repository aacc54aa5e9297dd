"""The privacy guard with a real person model (Visual Wake Words, 96×96) on real pictures."""

from pathlib import Path

import pytest

from roost_edge.privacy.judging import judge
from roost_edge.privacy.settings import PrivacySettings
from roost_models.bundle.writing import write_bundle
from roost_models.inference.images import decode
from roost_models.inference.predictor import ModelInput, load_predictor

FIELDS = {
    "name": "people",
    "version": "1.0",
    "task": "nest",
    "engine": "tflite",
    "entry": "model.tflite",
    "labels": ["no person", "person"],
    "input": {"width": 96, "height": 96},
    "licence": "Apache-2.0",
}


@pytest.mark.parametrize(
    ("picture", "verdict"), [("grace_hopper.bmp", "withheld"), ("bluejay.jpg", "clear"), ("cat.bmp", "clear")]
)
def test_a_portrait_stays_on_the_device_and_animals_may_leave(
    shared_data: Path, tmp_path: Path, picture: str, verdict: str
) -> None:
    model = (shared_data / "models" / "vww_96_int8.tflite").read_bytes()
    predictor = load_predictor(write_bundle(tmp_path / "people", FIELDS, {"model.tflite": model}))
    image = predictor.preprocess(decode((shared_data / "images" / picture).read_bytes()))
    answers = predictor.predict([ModelInput(image=image)])
    assert judge(answers, PrivacySettings(model="people")) == verdict, answers
