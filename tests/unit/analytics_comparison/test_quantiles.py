"""Scores as quantiles of a history (promise E6), and what scores highest (promise E7)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost_rendezvous.analytics.comparison.matching import TOO_FEW, in_top, sentence, tops
from roost_rendezvous.analytics.comparison.quantiles import Floats, FromSketch, History, spearman
from roost_rendezvous.analytics.sketches.digest import TDigest

MAPS = {
    "odds": lambda score: score / (1 - score),
    "steep": lambda score: score**9,
    "shifted": lambda score: 1000 * score - 7,
    "logarithm": lambda score: np.log(score),
}


@pytest.mark.parametrize("name", MAPS)
def test_scores_related_by_an_increasing_map_have_the_same_quantiles_whatever_the_scores(name: str) -> None:
    scores = np.random.default_rng(2).beta(0.4, 1.7, 20_000).clip(1e-9, 1 - 1e-9)
    mapped = MAPS[name](scores)
    assert np.abs(mapped - scores).max() > 0.3
    apart = np.abs(History(scores).quantiles(scores) - History(mapped).quantiles(mapped))
    assert apart.max() <= 0.005
    past, past_mapped = History(scores[:10_000]), History(mapped[:10_000])
    assert np.abs(past.quantiles(scores[10_000:]) - past_mapped.quantiles(mapped[10_000:])).max() <= 0.005


def test_a_history_of_which_a_sketch_was_kept_will_do() -> None:
    scores = np.random.default_rng(2).normal(size=20_000)
    mapped = np.exp(2 * scores)
    one, other = FromSketch(TDigest.of(scores).cdfs), FromSketch(TDigest.of(mapped).cdfs)
    assert np.abs(one.quantiles(scores) - other.quantiles(mapped)).max() <= 0.005


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=50))
def test_equal_scores_have_equal_quantiles_and_their_mean_is_a_half(values: list[int]) -> None:
    scores = np.array(values, dtype=float)
    quantiles = History(scores).quantiles(scores)
    assert quantiles.mean() == pytest.approx(0.5)
    assert len(set(zip(values, quantiles.tolist(), strict=True))) == len(set(values))


def test_a_history_without_scores_is_refused() -> None:
    for wrong in ([], [0.1, float("nan")]):
        with pytest.raises(ValueError, match="finite"):
            History(wrong)


def exact(one: Floats, other: Floats, share: float) -> float:
    """By sets, for scores without ties."""
    count = round(share * one.size)
    first, second = set(np.argsort(-one)[:count].tolist()), set(np.argsort(-other)[:count].tolist())
    return len(first & second) / count


def test_top_sets_agree_with_the_exact_computation_within_a_point() -> None:
    random = np.random.default_rng(4)
    one = random.normal(size=10_000)
    other = one + np.where(one > 1, 0.02, 0.25) * random.normal(size=10_000)
    quantiles = History(one).quantiles(one), History(other).quantiles(other)
    found = tops(*quantiles)
    assert [top.share for top in found] == [0.01, 0.05, 0.1, 0.5]
    for top in found:
        assert top.overlap == pytest.approx(exact(one, other, top.share), abs=0.01)
        assert top.least < top.overlap
        errors = np.abs(quantiles[0] - quantiles[1])[np.argsort(-one)[: top.count]]
        assert top.rank_error == pytest.approx(np.median(errors), abs=0.01)
        assert top.rank_error <= top.rank_error_95
    assert sentence(found) == (
        "top 1 % an extremely good match, top 5 % functionally identical, "
        "top 10 % an extremely good match, top 50 % a very good match"
    )


def test_the_words_are_about_what_is_above_chance_and_few_requests_say_nothing() -> None:
    random = np.random.default_rng(4)
    same = random.random(10_000)
    assert {top.words for top in tops(same, same)} == {"functionally identical"}
    by_chance = tops(same, random.random(10_000))
    assert by_chance[-1].overlap == pytest.approx(0.5, abs=0.03)
    assert {top.words for top in by_chance} == {"hardly better than chance"}
    assert tops(same[:200], same[:200])[0].words == TOO_FEW


def test_ties_on_the_border_share_the_places() -> None:
    ties = np.array([0.9, 0.5, 0.5, 0.5, 0.1])
    assert in_top(ties, 0.4).tolist() == pytest.approx([1, 1 / 3, 1 / 3, 1 / 3, 0])
    constant = np.full(1000, 0.5)
    assert tops(constant, np.arange(1000) / 1000, (0.1,))[0].overlap == pytest.approx(0.1)
    assert spearman(constant, constant) is None
