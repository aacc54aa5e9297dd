"""The solver of the head, and how strongly its weights are held back."""

import numpy as np
import pytest

from roost_broker.errors import Misuse
from roost_models.training.head import check_memory
from roost_models.training.regression import Fitting, label_weights, log_loss, softmax
from roost_models.training.strength import STRENGTHS, Rows, choose


def clouds(count: int, features: int, labels: int = 3, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(11)
    wanted = np.arange(count) % labels
    centres = np.random.default_rng(2).normal(0, 2, (labels, features))
    return centres[wanted] + rng.normal(0, spread, (count, features)) * np.linspace(0.1, 5, features), wanted


def test_clouds_that_lie_apart_are_told_apart() -> None:
    features, labels = clouds(300, 8, spread=0.3)
    found = Fitting(features, labels, 3).solve(0.01)
    assert (found.logits(features).argmax(axis=1) == labels).mean() > 0.98


@pytest.mark.parametrize(("count", "features"), [(60, 5), (12, 40)])
def test_the_solution_is_a_minimum_with_many_pictures_and_with_few(count: int, features: int) -> None:
    rows, labels = clouds(count, features, spread=2.0)
    l2 = 0.05
    found = Fitting(rows, labels, 3).solve(l2)
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    standard = (rows - mean) / spread
    weights, bias = found.weights * spread, found.bias + found.weights @ mean

    def loss(weights: np.ndarray, bias: np.ndarray) -> float:
        return log_loss(standard @ weights.T + bias, labels) + l2 / 2 * float((weights**2).sum())

    here = loss(weights, bias)
    rng = np.random.default_rng(0)
    for _ in range(50):
        step = rng.normal(0, 0.03, weights.shape)
        assert loss(weights + step, bias) > here
        assert loss(weights, bias + rng.normal(0, 0.1, bias.shape)) > here - 1e-6


def test_the_same_rows_give_the_same_bits() -> None:
    features, labels = clouds(90, 20)
    one, other = (Fitting(features, labels, 3).solve(0.01) for _ in range(2))
    assert np.array_equal(one.weights, other.weights)
    assert np.array_equal(one.bias, other.bias)


def test_a_label_without_pictures_is_never_answered() -> None:
    features, labels = clouds(60, 6, labels=2)
    found = Fitting(features, labels * 2, 3).solve(0.01)  # label 1 has none
    anything = np.random.default_rng(1).normal(0, 100, (500, 6))
    assert softmax(found.logits(anything))[:, 1].max() < 1e-8


def test_a_feature_that_never_changes_is_left_out() -> None:
    features, labels = clouds(60, 4)
    features[:, 2] = 3.5
    found = Fitting(features, labels, 3).solve(0.01)
    assert np.array_equal(found.weights[:, 2], np.zeros(3))
    assert np.isfinite(found.bias).all()


def test_balanced_a_rare_label_weighs_as_much_as_a_frequent_one() -> None:
    labels = np.array([0] * 9 + [1])
    weights = label_weights(labels, 3, balanced=True)
    assert weights[0] * 9 == pytest.approx(weights[1])
    assert weights[2] == 0
    assert label_weights(labels, 3, balanced=False).tolist() == [1, 1, 1]


def test_balanced_a_rare_label_is_found_that_is_lost_without() -> None:
    rng = np.random.default_rng(4)
    features = np.concatenate([rng.normal(0, 1, (190, 1)), rng.normal(1.5, 1, (10, 1))])
    labels = np.array([0] * 190 + [1] * 10)
    found = [Fitting(features, labels, 2, balanced=balanced).solve(0.001) for balanced in (True, False)]
    rare = [(one.logits(features[190:]).argmax(axis=1) == 1).sum() for one in found]
    assert rare[0] >= 6 > rare[1]


def test_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(Misuse, match="no picture to train on"):
        Fitting(np.zeros((0, 3)), np.zeros(0, np.int64), 2)


def rows(count: int, groups: list[str], validation: list[bool] | None = None) -> Rows:
    features, labels = clouds(count, 30, spread=3.0)
    return Rows(features, labels, groups, np.array(validation or [False] * count))


def test_the_validation_split_decides_where_there_is_one() -> None:
    told: list[tuple[int, int]] = []
    shown = rows(60, ["a"] * 60, [number % 3 == 0 for number in range(60)])
    chosen = choose(shown, 3, balanced=True, tell=lambda done, total: told.append((done, total)))
    assert "validation split (20 pictures)" in chosen.measured_on
    assert chosen.l2 == min(chosen.losses, key=lambda l2: chosen.losses[l2])
    assert told[-1] == (len(STRENGTHS), len(STRENGTHS))


def test_without_a_validation_split_whole_groups_are_left_out_in_turn() -> None:
    days = [f"day {number % 4}" for number in range(60)]
    chosen = choose(rows(60, days), 3, balanced=True, tell=lambda done, total: None)
    assert "4 groups" in chosen.measured_on


def test_with_a_single_day_the_choice_says_that_it_is_too_kind() -> None:
    chosen = choose(rows(30, ["one day"] * 30), 3, balanced=True, tell=lambda done, total: None)
    assert "too kind" in chosen.measured_on


def test_a_training_that_would_not_fit_into_memory_is_refused_before_it_begins() -> None:
    check_memory(10_000, 1024, 1_000_000_000)
    with pytest.raises(Misuse, match=r"1280 features of 200,000 pictures takes 12\.3 GB.* has 4\.0"):
        check_memory(200_000, 1280, 4_000_000_000)
