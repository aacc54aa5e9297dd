from pathlib import Path

import numpy as np
import pytest

from roost_broker.errors import Misuse
from roost_models.bundle.folder import Bundle
from roost_models.bundle.goldens import ramps
from roost_models.bundle.manifest import render
from roost_models.bundle.pins import installed
from roost_models.bundle.writing import write_bundle
from roost_models.inference.images import BadImage, decode
from roost_models.inference.interpreter import ENGINES, TfliteModel
from roost_models.inference.predictor import ModelInput, load_predictor


def test_scores_do_not_depend_on_the_batch_to_the_bit(tflite_bundle: Bundle) -> None:
    predictor = load_predictor(tflite_bundle)
    pictures = [np.roll(ramps(), 5 * turn, axis=1) for turn in range(7)]  # 7 = one batch of 4 and three alone
    inputs = [ModelInput(image=predictor.preprocess(picture)) for picture in pictures]
    together = predictor.predict(inputs)
    alone = [predictor.predict([item])[0] for item in inputs]
    assert together == alone
    assert len({outputs[0].score for outputs in alone}) > 1


def test_the_runtime_names_engine_version_format_and_decoder(tflite_bundle: Bundle) -> None:
    runtime = load_predictor(tflite_bundle).runtime.split()
    assert runtime[0] in ("tflite-runtime", "ai-edge-litert")
    assert runtime[2:4] == ["float32", "pillow"]


def test_a_request_without_a_picture_is_the_requests_fault(tflite_bundle: Bundle) -> None:
    with pytest.raises(BadImage, match="needs a picture"):
        load_predictor(tflite_bundle).predict([ModelInput()])


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("labels", ["one", "two"], "7 outputs, the manifest 2 labels"),
        ("input", {"width": 64, "height": 64}, "the model takes"),
        ("input", {"width": 96, "height": 96, "color": "gray"}, "the model takes"),
    ],
)
def test_a_manifest_that_does_not_fit_the_model_is_refused(
    field: str, value: object, reason: str, tflite_bundle: Bundle, tmp_path: Path
) -> None:
    import json

    manifest = json.loads(render(tflite_bundle.manifest))
    fields = {key: manifest[key] for key in manifest if key not in ("schema", "files")} | {field: value}
    other = write_bundle(tmp_path / "other", fields, {"model.tflite": tflite_bundle.read("model.tflite")})
    with pytest.raises(Misuse, match=reason):
        load_predictor(other)


def test_bytes_that_are_no_model_are_misuse_with_the_runtimes_words() -> None:
    if not any(installed(engine) for engine in ENGINES):
        pytest.skip("No TFLite runtime: install Roost with its `edge` extra.")
    with pytest.raises(Misuse, match="cannot build an interpreter"):
        TfliteModel(b"not a model at all")


def test_a_runtime_that_is_not_there_is_named() -> None:
    with pytest.raises(Misuse, match="No TFLite runtime: no-such-runtime is not installed"):
        TfliteModel(b"", ["no-such-runtime"])


def test_a_batch_size_is_used_when_it_is_listed_and_refused_when_the_model_cannot(
    shared_data: Path, tmp_path: Path
) -> None:
    """This network holds a reshape to a fixed batch of 1."""
    fields = {
        "name": "fixed",
        "version": "1.0",
        "task": "nest",
        "engine": "tflite",
        "entry": "model.tflite",
        "labels": [str(number) for number in range(1001)],
        "input": {"width": 128, "height": 128},
        "licence": "Apache-2.0",
        "batch": {"sizes": [1, 4]},
    }
    model = (shared_data / "models" / "mobilenet_v1_0.25_128_quant.tflite").read_bytes()
    predictor = load_predictor(write_bundle(tmp_path / "fixed", fields, {"model.tflite": model}))
    item = ModelInput(image=predictor.preprocess(ramps()))
    assert len(predictor.predict([item] * 3)) == 3
    with pytest.raises(Misuse, match="cannot build an interpreter for a batch of 4"):
        predictor.predict([item] * 4)


def test_float_and_quantised_twins_agree(shared_data: Path) -> None:
    """The same network as float32 and as int8: `range` and raw pixels must mean the same to both."""
    floats = TfliteModel((shared_data / "models" / "vww_96_float.tflite").read_bytes())
    quantised = TfliteModel((shared_data / "models" / "vww_96_int8.tflite").read_bytes())
    picture = np.asarray(decode((shared_data / "images" / "grace_hopper.bmp").read_bytes()))[:96, :96][np.newaxis]
    unit = picture.astype(np.float32) / 255
    expected = floats.run(unit)
    assert np.abs(quantised.run(unit) - expected).max() < 0.1
    assert np.array_equal(quantised.run(picture), quantised.run(unit))
