"""A stratified sample of differing requests (promise E4, goal G14)."""

import numpy as np
import pytest

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.comparison import sampling


def planted() -> tuple[list[str], list[float], np.ndarray]:
    """3,000 differing requests. Outcomes: nothing where the label stays, else the oftener the further apart."""
    random = np.random.default_rng(8)
    names, stakes, outcomes = [], [], []
    for number in range(3_000):
        same = number % 10 != 0
        difference = float(random.beta(0.7, 4))
        names.append(sampling.stratum_name(difference, same_label=same))
        stakes.append(sampling.stake(difference, same_label=same))
        outcomes.append(0.0 if same else float(random.choice([-1, 1], p=[0.7, 0.3]) * (random.random() < difference)))
    return names, stakes, np.array(outcomes)


def test_strata_have_the_counts_of_the_allocation_and_every_draw_its_weight() -> None:
    names, stakes, _ = planted()
    sample = sampling.draw(names, stakes, 200)
    assert sum(stratum.drawn for stratum in sample.strata) == len(sample.chosen) == len(set(sample.chosen)) == 200
    for number, stratum in enumerate(sample.strata):
        mine = [index for index, of in zip(sample.chosen, sample.stratum_of, strict=True) if of == number]
        assert len(mine) == stratum.drawn >= sampling.LEAST
        assert {names[index] for index in mine} == {stratum.name}
        assert stratum.size == names.count(stratum.name)
        assert stratum.weight * stratum.drawn == pytest.approx(stratum.size)
    assert sample.chosen == sampling.draw(names, stakes, 200).chosen
    assert sample.chosen != sampling.draw(names, stakes, 200, seed=2).chosen


def test_the_estimate_is_unbiased_and_varies_less_than_half_of_a_simple_random_sample() -> None:
    names, stakes, outcomes = planted()
    random = np.random.default_rng(9)
    stratified, simple, errors = [], [], []
    for seed in range(120):
        sample = sampling.draw(names, stakes, 200, seed=seed)
        found = sampling.estimate(sample, {index: float(outcomes[index]) for index in sample.chosen})
        assert found is not None
        stratified.append(found.mean)
        errors.append(found.error)
        simple.append(outcomes[random.choice(outcomes.size, 200, replace=False)].mean())
    spread = float(np.std(stratified, ddof=1))
    assert abs(np.mean(stratified) - outcomes.mean()) < 0.5 * spread
    assert spread**2 <= 0.5 * np.var(simple, ddof=1)
    assert np.mean(errors) == pytest.approx(spread, rel=0.3)


def test_a_sample_of_all_is_the_truth_and_has_no_error() -> None:
    sample = sampling.draw(["a"] * 3 + ["b"] * 2, [1, 1, 1, 0.1, 0.1], 50)
    found = sampling.estimate(sample, {0: 1.0, 1: 0.0, 2: 0.0, 3: 1.0, 4: 1.0})
    assert found is not None
    assert (found.mean, found.error, found.of) == (pytest.approx(0.6), 0, 5)


def test_without_an_outcome_in_every_stratum_nothing_is_estimated() -> None:
    sample = sampling.draw(["a"] * 30 + ["b"] * 20, [1.0] * 50, 10)
    outcomes = {index: 1.0 for index in sample.chosen if index < 30}
    assert sampling.estimate(sample, outcomes) is None


def test_fewer_than_two_of_each_stratum_are_refused() -> None:
    with pytest.raises(Misuse, match="too few for 5 strata"):
        sampling.draw([str(number % 5) for number in range(50)], [1.0] * 50, 9)


def test_strata_are_named_by_kind_and_size_of_the_difference() -> None:
    assert sampling.stratum_name(0.2, same_label=True) == "same label, scores 0.2-0.5 apart"
    assert sampling.stratum_name(0.9, same_label=False, of="quantiles") == "another label, quantiles 0.5-1 apart"
    assert sampling.stratum_name(1, same_label=False, only_one=True) == "only one answered"
