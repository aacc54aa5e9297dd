"""Intervals against exact sums of whole numbers, and the promise's own figures."""

import random
from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_rendezvous.analytics.binomial import incomplete_beta, lower_limit, mcnemar, upper_limit, wilson


@st.composite
def counts(draw: st.DrawFn, most: int = 300) -> tuple[int, int]:
    of = draw(st.integers(1, most))
    return draw(st.integers(0, of)), of


def at_most(count: int, of: int, share: Fraction) -> Fraction:
    """P(X <= count), exactly."""
    return sum((comb(of, k) * share**k * (1 - share) ** (of - k) for k in range(count + 1)), Fraction(0))


def test_the_promised_figure_a_thousand_of_a_hundred_thousand_differ() -> None:
    assert 1_000 / 100_000 == 0.01
    assert round(100 * upper_limit(1_000, 100_000), 3) == 1.053


@given(counts(60))
def test_the_upper_limit_is_the_share_under_which_so_few_are_seen_once_in_twenty(pair: tuple[int, int]) -> None:
    count, of = pair
    limit = upper_limit(count, of)
    if count == of:
        assert limit == 1
    else:
        assert float(at_most(count, of, Fraction(limit))) == pytest.approx(0.05, rel=1e-9)


@given(counts(60))
def test_the_lower_limit_is_the_upper_one_of_the_complement(pair: tuple[int, int]) -> None:
    count, of = pair
    assert lower_limit(count, of) == pytest.approx(1 - upper_limit(of - count, of), abs=1e-12)


@given(counts(10_000_000))
def test_limits_enclose_the_share_however_many_there_are(pair: tuple[int, int]) -> None:
    count, of = pair
    assert 0 <= lower_limit(count, of) <= count / of <= upper_limit(count, of) <= 1
    low, high = wilson(count, of)
    assert 0 <= low <= count / of <= high <= 1


@given(counts(2_000), st.integers(1, 200))
def test_more_of_the_same_makes_the_limit_tighter(pair: tuple[int, int], times: int) -> None:
    count, of = pair
    assert upper_limit(count * times, of * times) <= upper_limit(count, of) + 1e-12


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1))
def test_the_incomplete_beta_is_a_binomial_tail(a: int, b: int, x: float) -> None:
    of, share = a + b - 1, Fraction(x)
    assert incomplete_beta(a, b, x) == pytest.approx(float(1 - at_most(a - 1, of, share)), rel=1e-9, abs=1e-12)


def test_nothing_known_is_a_limit_of_one() -> None:
    assert (upper_limit(0, 0), lower_limit(0, 0), wilson(0, 0)) == (1.0, 0.0, (0.0, 1.0))


def test_the_limit_covers_the_truth_at_least_as_often_as_it_says() -> None:
    seeded = random.Random(5)
    truth, of, rounds = 0.03, 400, 2_000
    seen = (sum(seeded.random() < truth for _ in range(of)) for _ in range(rounds))
    covered = sum(upper_limit(count, of) >= truth for count in seen)
    assert covered / rounds >= 0.95


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_paired_test_is_that_of_a_fair_coin(one: int, other: int) -> None:
    total, fewer = one + other, min(one, other)
    tail = float(at_most(fewer, total, Fraction(1, 2)))
    assert mcnemar(one, other) == pytest.approx(min(1.0, 2 * tail), rel=1e-9)
    assert mcnemar(one, other) == mcnemar(other, one)


def test_wilsons_interval_has_its_published_value() -> None:
    low, high = wilson(8, 10)
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)


@pytest.mark.parametrize(("count", "of"), [(-1, 3), (4, 3)])
def test_what_is_no_share_is_refused(count: int, of: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        upper_limit(count, of)
