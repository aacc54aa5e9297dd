"""Scores to quantiles of a history and back."""

import numpy as np
import pytest

from roost_rendezvous.analytics.sketches.conversion import (
    as_other_model,
    counts_between,
    cut_points,
    from_quantiles,
    log_odds,
    to_quantiles,
)
from roost_rendezvous.analytics.sketches.digest import TDigest

RNG = np.random.default_rng(1)
SCORES = RNG.normal(size=100_000)
HISTORY = TDigest.merged(TDigest.of(part) for part in np.array_split(SCORES, 50))


def test_scores_go_to_quantiles_and_back() -> None:
    quantiles = np.array([0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999])
    there = from_quantiles(quantiles, HISTORY)
    back = to_quantiles(there, HISTORY)
    assert (np.abs(back - quantiles) <= 0.001 * np.minimum(quantiles, 1 - quantiles) + 1e-9).all()
    true = np.searchsorted(np.sort(SCORES), there) / SCORES.size
    assert (np.abs(true - quantiles) <= 0.02 * np.minimum(quantiles, 1 - quantiles) + 2e-5).all()


@pytest.mark.parametrize("rising", [np.exp, np.sinh, lambda x: 1 / (1 + np.exp(-3 * x)), lambda x: 5 * x - 2])
def test_any_other_calibration_gives_the_same_quantiles(rising: np.ufunc) -> None:
    other = TDigest.of(rising(SCORES))
    fresh = np.random.default_rng(2).normal(size=2000)
    difference = to_quantiles(fresh, TDigest.of(SCORES)) - to_quantiles(rising(fresh), other)
    assert np.abs(difference).max() <= 0.005


def test_a_score_is_expressed_in_the_calibration_of_another_model() -> None:
    other = TDigest.of(np.exp(SCORES))
    assert as_other_model([-1.0, 0.0, 1.0], HISTORY, other) == pytest.approx(np.exp([-1.0, 0.0, 1.0]), rel=0.03)


def test_nothing_is_claimed_without_a_history_or_a_score() -> None:
    assert np.isnan(to_quantiles([0.5], TDigest())).all()
    assert np.isnan(to_quantiles([np.nan], HISTORY)).all()


def test_log_odds_count_nines_and_end_where_the_history_does() -> None:
    assert log_odds([0.999, 0.5, 0.001], HISTORY) == pytest.approx([2.99957, 0.0, -2.99957], abs=1e-5)
    assert log_odds([1.0], TDigest.of(np.arange(100.0)))[0] == pytest.approx(np.log10(0.995 / 0.005))


def test_cuts_part_the_history_equally_and_count_what_is_fresh() -> None:
    cuts = cut_points(HISTORY, 10)
    counts = counts_between(np.random.default_rng(3).normal(size=10_000), cuts)
    assert (len(cuts), counts.sum()) == (9, 10_000)
    assert np.abs(counts - 1000).max() < 150


def test_cuts_of_a_history_that_repeats_itself_are_fewer() -> None:
    assert cut_points(TDigest.of([0.0] * 90 + [1.0] * 10), 4).tolist() == [0.0]
