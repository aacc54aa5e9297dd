from pathlib import Path

import pytest

from roost_broker.clock import SystemClock
from roost_broker.errors import Malformed, Misuse
from roost_broker.messages import decode, encode
from roost_models.bundle.checking import check_bundle
from roost_models.bundle.folder import Bundle
from roost_models.bundle.importing import ImportChoices, import_bundle, read_labels
from roost_models.bundle.opening import open_bundle
from roost_models.bundle.packing import pack
from roost_models.bundle.writing import new_bundle
from roost_models.decide import decide


def model_of(bundle: Bundle) -> Path:
    return bundle.root / bundle.manifest.entry


def test_the_imported_bird_model_says_blue_jay_of_a_blue_jay(shared_data: Path, tmp_path: Path) -> None:
    picture = shared_data / "images" / "bluejay.jpg"
    imported = import_bundle(
        shared_data / "models" / "mobilenet_v2_1.0_224_inat_bird_quant.tflite",
        shared_data / "models" / "inat_bird_labels.txt",
        tmp_path / "bird",
        ImportChoices(name="bird", task="birds", licence="Apache-2.0", picture=picture),
    )
    assert any("resize" in guess for guess in imported.guesses)
    packed = pack(imported.bundle, tmp_path / "bird.roost")
    bundle = open_bundle(packed, cache=tmp_path / "cache")
    decision = decide(picture.read_bytes(), bundle, clock=SystemClock(), node="coop-1", name=picture.name)
    assert decision.result.answer is not None
    assert "Blue Jay" in decision.result.answer.label
    assert 0.7 < decision.result.answer.score < 0.9
    assert len(decision.result.answer.outputs) == 3
    assert decision.result.cause == "preferred"
    assert decision.score.bundle == bundle.digest
    for message in (decision.request, decision.score, decision.result):
        assert decode(encode(message)) == message


def test_an_imported_float_model_checks(champion: Bundle, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    names = champion.manifest.labels
    labels.write_text("".join(f"{number} {name}\n" for number, name in enumerate(names)))
    imported = import_bundle(model_of(champion), labels, tmp_path / "p", ImportChoices(name="network", task="door"))
    assert imported.bundle.manifest.labels == names
    assert imported.bundle.manifest.input is not None
    assert imported.bundle.manifest.input.range == (0.0, 1.0)
    assert imported.bundle.manifest.output.activation == "none"
    assert check_bundle(imported.bundle.root).ok


def test_labels_that_do_not_fit_are_refused_and_nothing_is_written(champion: Bundle, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\nc\n")
    with pytest.raises(Misuse, match=r"7 outputs, labels\.txt 3 labels"):
        import_bundle(model_of(champion), labels, tmp_path / "p", ImportChoices(name="network", task="door"))
    assert not (tmp_path / "p").exists()


def test_a_model_or_labels_that_are_not_there_are_named(champion: Bundle, tmp_path: Path) -> None:
    choices = ImportChoices(name="network", task="door")
    with pytest.raises(Misuse, match=r"no file .*nothing\.tflite"):
        import_bundle(tmp_path / "nothing.tflite", tmp_path / "nothing.txt", tmp_path / "p", choices)
    with pytest.raises(Misuse, match=r"no file .*nothing\.txt"):
        import_bundle(model_of(champion), tmp_path / "nothing.txt", tmp_path / "p", choices)


def test_a_folder_that_is_a_bundle_already_is_not_imported_into(champion: Bundle, tmp_path: Path) -> None:
    there = new_bundle(tmp_path / "p", name="mine", task="door")
    (tmp_path / "labels.txt").write_text("".join(f"{label}\n" for label in champion.manifest.labels))
    choices = ImportChoices(name="network", task="door")
    with pytest.raises(Misuse, match="is not empty") as refused:
        import_bundle(model_of(champion), tmp_path / "labels.txt", there.root, choices)
    assert refused.value.remedy == "Give a new folder, or remove it first."
    assert open_bundle(there.root).digest == there.digest


@pytest.mark.parametrize("content", [b"", b"TFL3", b"hen\njay\n"])
def test_swapped_arguments_and_what_is_no_model_are_told_from_a_damaged_model(
    content: bytes, champion: Bundle, tmp_path: Path
) -> None:
    (tmp_path / "labels.txt").write_bytes(content)
    choices = ImportChoices(name="network", task="door")
    with pytest.raises(Misuse, match=r"labels\.txt is not a \.tflite model\.") as refused:
        import_bundle(tmp_path / "labels.txt", model_of(champion), tmp_path / "p", choices)
    assert "MODEL LABELS FOLDER" in refused.value.remedy


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("hen\njay\n", ["hen", "jay"]),
        ("\ufeffhen\r\njay\r\n\r\n", ["hen", "jay"]),
        ("0  hen\n1  jay", ["hen", "jay"]),
        ("0: hen\n1: jay", ["hen", "jay"]),
        ("3 hens\n4 jays", ["3 hens", "4 jays"]),
        ("crane\njay\ncrane", ["crane", "jay", "crane (2)"]),
        ("hen\n\njay", ["hen", "label 1", "jay"]),
    ],
)
def test_labels_are_read_as_they_come(text: str, labels: list[str], tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(text.encode())
    assert read_labels(path) == labels


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe\x00", b"x" * 2_000_001])
def test_what_is_no_labels_file_is_malformed(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    with pytest.raises(Malformed):
        read_labels(path)
