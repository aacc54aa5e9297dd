"""The committed bundles: whole, as good as their cards say, and ready for the schedule that names them."""

import json
import re
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from roost_henhouse import make_embedder, make_visits
from roost_henhouse.evaluate import evaluate, held_out, table
from roost_henhouse.files import jpeg
from roost_henhouse.recipe import BUNDLES, PYTHON_MODELS
from roost_henhouse.scene import HenhouseScene
from roost_henhouse.truth import LABELS
from roost_models.bundle.opening import open_bundle
from roost_models.inference.images import decode
from roost_models.inference.predictor import ModelInput, Predictor, load_predictor
from roost_models.inference.warming import warmed_predictor
from roost_rendezvous import schedule

NAMES = ("champion", "fast", "rules", "canary")
HENHOUSE = BUNDLES.parent
FRESH_SEED = 4242  # no recipe uses it


@lru_cache(maxsize=4)
def _predictor(name: str) -> Predictor:
    return load_predictor(open_bundle(BUNDLES / name))


@lru_cache(maxsize=1)
def _fresh() -> list[tuple[bytes, str]]:
    return held_out(70, FRESH_SEED)


def test_the_folder_holds_these_bundles_and_no_other() -> None:
    assert {path.name for path in BUNDLES.iterdir()} == {*NAMES, "visits", "embedder"}


@pytest.mark.parametrize("name", NAMES)
def test_a_bundle_verifies_and_says_where_it_comes_from(name: str) -> None:
    manifest = open_bundle(BUNDLES / name).manifest
    assert manifest.name == f"henhouse-{name}"
    assert manifest.version == "0.1.0"
    assert tuple(manifest.labels) == LABELS
    assert manifest.licence == "Apache-2.0"
    assert manifest.pure
    assert {"date", "command", "seed", "stills"} <= set(manifest.training)


def test_the_visits_bundle_is_that_of_its_recipe_and_answers_its_goldens(tmp_path: Path) -> None:
    assert make_visits.main(["--out", str(tmp_path / "visits")]) == 0
    assert open_bundle(tmp_path / "visits").digest == open_bundle(BUNDLES / "visits").digest
    warmed_predictor(open_bundle(BUNDLES / "visits"))


def test_the_embedder_is_the_champion_without_its_last_layer(tmp_path: Path) -> None:
    assert make_embedder.main(["--out", str(tmp_path / "embedder")]) == 0
    assert open_bundle(tmp_path / "embedder").digest == open_bundle(BUNDLES / "embedder").digest
    warmed_predictor(open_bundle(BUNDLES / "embedder"))
    assert sum(path.stat().st_size for path in _files(BUNDLES / "embedder")) < 600_000


@pytest.mark.parametrize("name", NAMES)
def test_goldens_are_reproduced(name: str) -> None:
    bundle = open_bundle(BUNDLES / name)
    predictor = _predictor(name)
    assert len(bundle.manifest.goldens) == 4
    for golden in bundle.manifest.goldens:
        assert golden.input is not None
        picture = predictor.preprocess(decode(bundle.read(golden.input)))
        scores = {output.label: output.score for output in predictor.predict([ModelInput(image=picture)])[0]}
        assert golden.outputs
        for output in golden.outputs:
            assert scores[output.label] == pytest.approx(output.score, abs=golden.tolerance)


def test_the_champions_goldens_are_answered_with_what_they_show() -> None:
    for golden in open_bundle(BUNDLES / "champion").manifest.goldens:
        assert golden.input is not None
        assert golden.outputs[0].label == Path(golden.input).stem


@pytest.mark.parametrize(("name", "floor"), [("champion", 0.93), ("fast", 0.75), ("rules", 0.75), ("canary", 0.75)])
def test_on_fresh_stills_a_bundle_is_at_least_this_good(name: str, floor: float) -> None:
    figures = evaluate(_predictor(name), _fresh(), FRESH_SEED)
    assert figures.stills == 70
    assert figures.accuracy >= floor, figures.confusion


def test_the_champion_is_better_than_the_others_by_its_own_figures() -> None:
    accuracy = {name: json.loads((BUNDLES / name / "evaluation.json").read_text())["accuracy"] for name in NAMES}
    assert max(accuracy, key=accuracy.__getitem__) == "champion"


@pytest.mark.parametrize("name", NAMES)
def test_a_card_shows_the_figures_of_its_evaluation_and_warns_about_real_pictures(name: str) -> None:
    folder = BUNDLES / name
    figures = json.loads((folder / "evaluation.json").read_text())
    card = (folder / "CARD.md").read_text()
    assert table(figures) in card
    assert "do not transfer to real ones" in card
    confusion = np.array(figures["confusion"])
    assert confusion.sum() == figures["stills"]
    assert figures["accuracy"] == pytest.approx(np.trace(confusion) / confusion.sum(), abs=1e-4)
    assert [row["shown"] for row in figures["by_label"]] == confusion.sum(axis=1).tolist()


def test_the_readme_shows_the_figures_of_the_bundles() -> None:
    readme = (HENHOUSE / "README.md").read_text()
    for name in NAMES:
        accuracy = json.loads((BUNDLES / name / "evaluation.json").read_text())["accuracy"]
        assert re.search(rf"\| `{name}` \|.*\| {100 * accuracy:.1f} % \|", readme), name


@pytest.mark.parametrize("name", ["champion", "canary"])
def test_networks_answer_in_batches_as_they_do_alone(name: str) -> None:
    predictor = _predictor(name)
    inputs = [ModelInput(image=predictor.preprocess(decode(data))) for data, _ in _fresh()[:16]]
    alone = [predictor.predict([item])[0] for item in inputs]
    together = predictor.predict(inputs)
    for one, other in zip(alone, together, strict=True):
        assert [o.label for o in one] == [o.label for o in other]
        assert [o.score for o in one] == pytest.approx([o.score for o in other], abs=1e-5)


@pytest.mark.parametrize("name", ["fast", "rules"])
def test_the_python_models_in_the_bundles_are_those_of_the_package(name: str) -> None:
    assert (BUNDLES / name / "model.py").read_bytes() == (PYTHON_MODELS / f"{name}.py").read_bytes()


def test_the_champion_recognises_the_visitors_of_a_story() -> None:
    """What the synthetic camera sees is what the champion was taught: whole birds in a 20 s stretch of video."""
    predictor, right, shown = _predictor("champion"), 0, 0
    scene = HenhouseScene(12)
    for index in range(25, 600, 23):
        picture, truth = scene.frame(index)
        if any(box.label == truth.label and box.visible < 0.6 for box in truth.boxes):
            continue
        outputs = predictor.predict([ModelInput(image=predictor.preprocess(decode(jpeg(picture, 85))))])[0]
        shown += 1
        right += outputs[0].label == truth.label
    assert shown > 15
    assert right / shown >= 0.85


def test_the_schedule_names_bundles_that_are_here_and_never_the_canary() -> None:
    loaded = schedule.load(HENHOUSE / "schedule.toml")
    assert set(loaded.named) <= set(NAMES)
    assert "canary" in loaded.ignore
    assert loaded.sla_ms == 2000
    assert loaded.default.label not in LABELS


def test_bundles_are_small_enough_to_commit() -> None:
    sizes = {name: sum(path.stat().st_size for path in _files(BUNDLES / name)) for name in NAMES}
    assert sizes["champion"] < 600_000
    assert max(sizes[name] for name in NAMES[1:]) < 250_000


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
