"""The head's file, and a bundle that has one."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from roost_broker.errors import Malformed, Misuse
from roost_models.bundle.folder import Bundle
from roost_models.bundle.goldens import ramps
from roost_models.bundle.manifest import render
from roost_models.bundle.writing import write_bundle
from roost_models.inference.head import Head, pack_head, read_head
from roost_models.inference.predictor import ModelInput, load_predictor


def head(labels: int = 2, features: int = 7) -> Head:
    rng = np.random.default_rng(1)
    return Head(
        rng.normal(size=(labels, features)).astype(np.float32).astype(np.float64),
        rng.normal(size=labels).astype(np.float32).astype(np.float64),
    )


def test_a_head_is_read_as_it_was_written_and_written_the_same_again() -> None:
    data = pack_head(head())
    found = read_head(data)
    assert np.array_equal(found.weights, head().weights)
    assert np.array_equal(found.bias, head().bias)
    assert pack_head(found) == data


def packed(compressed: bool = False, **arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


WEIGHTS, BIAS = np.zeros((2, 3), np.float32), np.zeros(2, np.float32)


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def zipped(weights: bytes, *, flags: int = 0, name: str = "weights.npy") -> bytes:
    """A head whose weights are these bytes; `flags` of their entry say for instance that it is encrypted."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, weights)
        archive.writestr("bias.npy", _npy(BIAS))
        archive.getinfo(name).flag_bits |= flags
    data = buffer.getvalue()
    return data[:6] + bytes([data[6] | flags]) + data[7:]


@pytest.mark.parametrize(
    "data",
    [
        b"no zip at all",
        pack_head(head())[:60],
        packed(weights=WEIGHTS),
        packed(compressed=True, weights=WEIGHTS, bias=BIAS),
        packed(weights=WEIGHTS.astype(np.float64), bias=BIAS),
        packed(weights=WEIGHTS, bias=np.zeros(3, np.float32)),
        packed(weights=np.full((2, 3), np.nan, np.float32), bias=BIAS),
        packed(weights=np.array([object()]), bias=BIAS),
        packed(weights=np.zeros((0, 3), np.float32), bias=np.zeros(0, np.float32)),
        zipped(b"\x93NUMPY\x01\x00" + b"\xff\xff" + b"(" * 9000),
        zipped(_npy(WEIGHTS).replace(b"(2, 3), }  ", b"(99999999, 3), }"[:11])),
        zipped(_npy(WEIGHTS).replace(b"(2, 3)", b"(9, 9)")),
        zipped(b"no array"),
        zipped(_npy(WEIGHTS), flags=1),
        zipped(_npy(WEIGHTS), name="weights"),
    ],
    ids=[
        *("no zip", "cut short", "no bias", "compressed", "float64", "other labels", "NaN", "pickled"),
        *("no labels", "header of brackets", "header damaged", "more than there is", "no array", "encrypted", "raw"),
    ],
)
def test_what_is_no_head_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed, match="head"):
        read_head(data)


def test_a_head_of_any_memory_order_is_written_as_one_that_can_be_read() -> None:
    turned = Head(np.asfortranarray(head().weights), head().bias)
    assert pack_head(turned) == pack_head(head())


def with_head(bundle: Bundle, folder: Path, made: Head, labels: list[str]) -> Bundle:
    """The champion's seven outputs taken as features."""
    manifest = json.loads(render(bundle.manifest))
    fields = {key: manifest[key] for key in manifest if key not in ("schema", "files")}
    fields |= {"head": "head.npz", "labels": labels, "output": {"activation": "softmax"}, "goldens": [], "card": None}
    return write_bundle(folder, fields, {"model.tflite": bundle.read("model.tflite"), "head.npz": pack_head(made)})


def test_a_bundle_with_a_head_answers_as_the_head_says_alone_and_in_a_batch(
    tflite_bundle: Bundle, tmp_path: Path
) -> None:
    made = head()
    predictor = load_predictor(with_head(tflite_bundle, tmp_path / "headed", made, ["yes", "no"]))
    inputs = [ModelInput(image=predictor.preprocess(np.roll(ramps(), turn, axis=1))) for turn in range(5)]
    plain = load_predictor(tflite_bundle)
    features = {output.label: output.score for output in plain.predict(inputs[:1])[0]}
    logits = made.weights @ np.array([features[label] for label in plain.labels]) + made.bias
    wanted = np.exp(logits) / np.exp(logits).sum()
    together = predictor.predict(inputs)
    assert {output.label: output.score for output in together[0]} == {
        "yes": pytest.approx(wanted[0], abs=1e-6),
        "no": pytest.approx(wanted[1], abs=1e-6),
    }
    assert together == [predictor.predict([item])[0] for item in inputs]


def test_a_head_that_does_not_fit_its_backbone_is_refused(tflite_bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="gives 7 features, the head takes 9"):
        load_predictor(with_head(tflite_bundle, tmp_path / "other", head(2, 9), ["yes", "no"]))
    with pytest.raises(Misuse, match="2 outputs, the manifest 3 labels"):
        load_predictor(with_head(tflite_bundle, tmp_path / "third", head(2, 7), ["yes", "no", "perhaps"]))


def test_a_manifest_whose_head_is_not_among_the_files_is_refused(tflite_bundle: Bundle, tmp_path: Path) -> None:
    manifest = json.loads(render(tflite_bundle.manifest))
    fields = {key: manifest[key] for key in manifest if key not in ("schema", "files")} | {"head": "head.npz"}
    with pytest.raises(Malformed, match=r"head 'head\.npz' is not among the files"):
        write_bundle(tmp_path / "none", fields, {"model.tflite": tflite_bundle.read("model.tflite")})
