"""The recipes: what is trained on is what is served, and a bundle comes out with figures and goldens."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from roost_henhouse import make_rules, train, train_fast
from roost_henhouse.dataset import SEED_STRIDE, stills
from roost_henhouse.evaluate import HELD_OUT_SEED
from roost_henhouse.python_models import fast
from roost_henhouse.recipe import PYTHON_MODELS, Recipe, make_bundle
from roost_henhouse.scene import still
from roost_henhouse.truth import LABELS
from roost_models.inference.predictor import load_predictor
from roost_models.inference.preprocess import pixels

SMALL = (160, 120)


def _grids(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(count) % len(LABELS)
    grids = [pixels(still(LABELS[n], seed + i, SMALL)[0], train_fast.CONTRACT) for i, n in enumerate(labels)]
    return np.stack(grids), labels


def test_the_fast_model_learns_and_answers_alike_in_training_and_in_its_bundle(tmp_path: Path) -> None:
    pictures, labels = _grids(140, 1000)
    weights, bias = train_fast.fit(train_fast.Plan(steps=150), train_fast.features(pictures), labels)
    (tmp_path / "weights.npz").write_bytes(train_fast.packed(weights, bias))
    context = SimpleNamespace(model=fast.load(tmp_path))
    fresh, wanted = _grids(70, 5000)
    served = [fast.predict(picture, context) for picture in fresh]
    trained = (train_fast.features(fresh) @ weights.T + bias).argmax(axis=1)
    answered = np.array([LABELS.index(max(scores, key=scores.__getitem__)) for scores in served])
    assert answered.tolist() == trained.tolist()
    assert (answered == wanted).mean() > 0.5  # one in seven would be chance
    assert all(sum(scores.values()) == pytest.approx(1) for scores in served)


def test_stills_for_training_are_the_same_with_any_number_of_workers_and_when_kept(tmp_path: Path) -> None:
    first = stills(7, 3, train_fast.CONTRACT, workers=2, keep=tmp_path)
    again = stills(7, 3, train_fast.CONTRACT, keep=tmp_path)
    alone = [pixels(still(LABELS[n], 3 * SEED_STRIDE + n)[0], train_fast.CONTRACT) for n in range(7)]
    for pictures, labels in (first, again):
        assert np.array_equal(pictures, np.stack(alone))
        assert labels.tolist() == list(range(7))


def test_no_training_set_reaches_into_the_held_out_stills() -> None:
    plans = [*train.PLANS.values(), train_fast.Plan()]
    assert HELD_OUT_SEED not in {plan.seed for plan in plans}
    assert all(plan.stills < SEED_STRIDE for plan in plans)


def test_a_bundle_is_made_with_figures_card_and_goldens(tmp_path: Path) -> None:
    recipe = Recipe(
        name="trial",
        title="A trial",
        description="Rules.",
        remarks="None.",
        command="a test",
        engine="python",
        entry="model.py",
        contract=make_rules.CONTRACT,
        training={"seed": 0},
    )
    said: list[str] = []
    model = (PYTHON_MODELS / "rules.py").read_bytes()
    bundle = make_bundle(
        tmp_path / "bundle", recipe, {"model.py": model}, date="2026-01-01", count=7, report=said.append
    )
    assert bundle.manifest.training["date"] == "2026-01-01"
    assert all(golden.outputs for golden in bundle.manifest.goldens)
    assert "7 held-out" in bundle.read("CARD.md").decode()
    assert "of 7 held-out stills" in said[-1]
    assert load_predictor(bundle).labels == list(LABELS)


@pytest.mark.parametrize("command", [train.main, train_fast.main, make_rules.main])
def test_each_recipe_explains_itself(command: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(command)
    with pytest.raises(SystemExit) as ended:
        command(["--help"])
    assert ended.value.code == 0
    assert "--keep" in capsys.readouterr().out
