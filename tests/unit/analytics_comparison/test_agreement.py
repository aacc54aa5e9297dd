"""How far answers are apart, and the bound (promises E2, E3; goal G13)."""

from functools import cache

import numpy as np
import pytest
from made_rows import row, said

from roost_rendezvous.analytics.binomial import upper_limit
from roost_rendezvous.analytics.comparison.agreement import agreement, apart, furthest, risk_bound
from roost_rendezvous.analytics.comparison.choosing import Choice
from roost_rendezvous.analytics.comparison.joining import join

A, B = Choice(model="a"), Choice(model="b")


def test_the_promised_figure_and_a_tenth_of_the_requests_bound_a_tenth_exactly() -> None:
    risk, upper = risk_bound(1_000, 100_000)
    assert risk == 0.01
    assert f"{100 * upper:.3f}" == "1.053"
    assert risk_bound(1_000, 100_000, share=0.1) == (0.1 * risk, 0.1 * upper)
    assert risk_bound(0, 0) == (1.0, 1.0)


def test_the_limit_covers_the_truth_in_95_of_100_simulations() -> None:
    limit = cache(upper_limit)
    random = np.random.default_rng(17)
    covered = [limit(int(count), 100_000) >= 0.01 for count in random.binomial(100_000, 0.01, 2_000)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.01)


def test_the_tolerance_is_explicit_and_another_best_label_is_never_almost_identical() -> None:
    assert apart(said("a", x=0.50, y=0.2), said("b", x=0.55, y=0.2), 0.0501).almost
    assert not apart(said("a", x=0.50, y=0.2), said("b", x=0.56, y=0.2), 0.0501).almost
    assert not apart(said("a", x=0.50, y=0.49), said("b", x=0.49, y=0.50), 0.05).almost
    assert apart(said("a", x=0.3), said("b", x=0.3), 0).identical


def test_a_label_that_did_not_travel_scored_no_more_than_the_least_that_did() -> None:
    one, other = {"hen": 0.6, "egg": 0.3}, {"hen": 0.6, "fox": 0.25}
    assert furthest(one, other, {"hen", "egg", "fox"}, {"hen", "egg", "fox"}) == pytest.approx(0.05)
    assert furthest(one, other, {"hen", "egg"}, {"hen", "fox"}) == pytest.approx(0.3)


def test_one_sided_silence_counts_against_sameness() -> None:
    rows = [row(number, said("a", x=1), said("b", x=1)) for number in (*range(98), 100)]
    joined = join([*rows, row(99, said("a", x=1))], A, B)
    found = agreement(joined, [apart(pair.one, pair.other, 0.05) for pair in joined.pairs], 0.05)
    assert (found.compared, found.almost, found.only_one, found.risk) == (100, 99, 1, 0.01)
    assert [scaled.upper for scaled in found.scaled if scaled.share == 0.1] == [0.1 * found.upper]
