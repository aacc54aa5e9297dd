"""The t-digest: small, mergeable, right in the tails, and not to be upset by any data."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost_rendezvous.analytics.sketches.digest import BUFFER, TDigest
from roost_rendezvous.analytics.sketches.scale import STEPS

QUANTILES = np.array([0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999])
BOUNDS = np.array([0.05, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.05])
SHAPES: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "lognormal": lambda rng, n: rng.lognormal(0.0, 1.0, n),
    "uniform": lambda rng, n: rng.random(n),
    "normal": lambda rng, n: rng.normal(size=n),
    "negated": lambda rng, n: -rng.lognormal(0.0, 1.0, n),
}


def tail_errors(digest: TDigest, values: np.ndarray) -> np.ndarray:
    """How far the rank of each estimated quantile is off, relative to min(q, 1 - q)."""
    ranks = np.searchsorted(np.sort(values), digest.quantiles(QUANTILES)) / values.size
    return np.abs(ranks - QUANTILES) / np.minimum(QUANTILES, 1 - QUANTILES)


@pytest.mark.parametrize("shape", SHAPES)
def test_many_periods_merged_keep_both_tails(shape: str) -> None:
    rng = np.random.default_rng(7)
    periods = [SHAPES[shape](rng, 1000) for _ in range(200)]
    merged = TDigest.merged(TDigest.of(values) for values in periods)
    everything = np.concatenate(periods)
    assert merged.count == everything.size
    assert len(merged) <= 2 * STEPS
    grain = (
        1.0 / everything.size / np.minimum(QUANTILES, 1 - QUANTILES)
    )  # one rank; the tails of so few values are grainy
    assert (tail_errors(merged, everything) <= BOUNDS + 5 * grain).all()
    assert (merged.low, merged.high) == (everything.min(), everything.max())


def test_a_stream_that_drifts_is_merged_as_well_as_one_that_stands_still() -> None:
    rng = np.random.default_rng(8)
    periods = [rng.normal(3 * math.sin(i / 23), 1.0, 1000) for i in range(200)]
    merged = TDigest.merged(TDigest.of(values) for values in periods)
    everything = np.concatenate(periods)
    grain = 1.0 / everything.size / np.minimum(QUANTILES, 1 - QUANTILES)
    assert (tail_errors(merged, everything) <= BOUNDS + 5 * grain).all()


@given(st.permutations(range(12)))
@settings(max_examples=20, deadline=None)
def test_the_order_of_merging_means_nothing(order: list[int]) -> None:
    rng = np.random.default_rng(3)
    parts = [TDigest.of(rng.gamma(2.0, size=300)) for _ in order]
    straight = TDigest.merged(parts).quantiles(QUANTILES)
    assert TDigest.merged(parts[i] for i in order).quantiles(QUANTILES) == pytest.approx(straight, rel=1e-9)


@pytest.mark.parametrize("order", ["rising", "falling", "shuffled", "sawtooth"])
def test_any_order_of_arrival_one_by_one_is_within_the_bounds(order: str) -> None:
    values = np.sort(np.random.default_rng(4).lognormal(size=20_000))
    sequence = {
        "rising": values,
        "falling": values[::-1],
        "shuffled": np.random.default_rng(5).permutation(values),
        "sawtooth": values.reshape(100, 200).T.ravel(),
    }[order]
    digest = TDigest()
    for value in sequence.tolist():
        digest.add(value)
    assert digest.count == values.size
    grain = 1.0 / values.size / np.minimum(QUANTILES, 1 - QUANTILES)
    bound = 0.08 if order == "sawtooth" else 0.02  # that one is made to blur the tails
    assert (tail_errors(digest, values) <= bound + 3 * grain).all()


def test_an_empty_digest_answers_nan_and_merges_without_trace() -> None:
    empty = TDigest()
    assert math.isnan(empty.quantile(0.5))
    assert math.isnan(empty.cdf(1.0))
    assert math.isnan(empty.mean)
    assert (len(empty), empty.count) == (0, 0)
    merged = TDigest.merged([empty, TDigest.of([1.0, 2.0]), TDigest()])
    assert (merged.count, merged.low, merged.high) == (2, 1.0, 2.0)
    assert TDigest.merged([]).count == 0


def test_a_single_value_is_every_quantile() -> None:
    digest = TDigest.of([3.5])
    assert digest.quantiles([0.0, 0.25, 1.0]).tolist() == [3.5, 3.5, 3.5]
    assert [digest.cdf(x) for x in (3.0, 3.5, 4.0)] == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("size", [1, 2, 37, 5000])
def test_the_usual_value_of_a_constant_stream_is_in_its_middle(size: int) -> None:
    digest = TDigest.of(np.full(size, 5.0))
    assert len(digest) == 1
    assert [digest.cdf(x) for x in (4.999, 5.0, 5.001)] == [0.0, 0.5, 1.0]
    assert digest.shares(5.0) == (0.0, 1.0)
    assert digest.quantiles([0.001, 0.5, 0.999]).tolist() == [5.0, 5.0, 5.0]


def test_a_constant_that_is_no_binary_fraction_stays_itself_through_merges() -> None:
    digest = TDigest.merged(TDigest.of(np.full(7, 0.1)) for _ in range(100))
    assert digest.shares(0.1) == (0.0, 1.0)
    assert digest.quantile(0.5) == 0.1


def test_frequent_values_are_steps_not_slopes() -> None:
    rng = np.random.default_rng(6)
    values = np.concatenate([np.zeros(3000), np.ones(2000), rng.random(5000)])
    digest = TDigest.merged(TDigest.of(part) for part in np.array_split(rng.permutation(values), 20))
    below, up_to = digest.shares(0.0)
    assert (below, up_to) == pytest.approx((0.0, 0.3), abs=1e-3)
    below, up_to = digest.shares(1.0)
    assert (below, up_to) == pytest.approx((0.8, 1.0), abs=1e-3)
    assert digest.quantile(0.2) == 0.0
    assert digest.quantile(0.9) == 1.0


def test_a_model_that_is_always_sure_has_nothing_between_its_two_answers() -> None:
    rng = np.random.default_rng(9)
    values = np.where(rng.random(50_000) < 0.47, rng.normal(0.02, 0.003, 50_000), rng.normal(0.98, 0.003, 50_000))
    digest = TDigest.merged(TDigest.of(part) for part in np.array_split(values, 50))
    assert digest.cdfs([0.1, 0.5, 0.9]) == pytest.approx([0.47] * 3, abs=0.01)


def test_small_sets_agree_with_sorting_them() -> None:
    values = [4.0, 1.0, 3.0, 2.0, 5.0]
    digest = TDigest.of(values)
    assert digest.quantile(0.5) == 3.0
    assert (digest.quantile(0.0), digest.quantile(1.0)) == (1.0, 5.0)
    assert digest.cdfs([1.0, 3.0, 5.0]) == pytest.approx([0.1, 0.5, 0.9])
    assert digest.mean == pytest.approx(3.0)


def test_what_is_no_number_is_refused_and_counted_and_changes_nothing() -> None:
    digest = TDigest.of([1.0, math.nan, 2.0, math.inf, -math.inf, 1e300, 3.0])
    for bad in (math.nan, math.inf, -math.inf):
        digest.add(bad)
    assert (digest.count, digest.refused, digest.quantile(0.5)) == (3, 7, 2.0)
    digest.add_many([5.0, 5.0, 5.0], [0.0, -1.0, math.nan])
    assert (digest.count, digest.refused) == (3, 10)
    assert TDigest.merged([digest, digest]).refused == 20


def test_weights_count_like_repetitions() -> None:
    weighted = TDigest.of([1.0, 2.0, 3.0], [10.0, 30.0, 60.0])
    repeated = TDigest.of([1.0] * 10 + [2.0] * 30 + [3.0] * 60)
    assert weighted.quantiles(QUANTILES).tolist() == repeated.quantiles(QUANTILES).tolist()
    weighted.add(4.0, weight=100.0)
    assert weighted.cdf(3.5) == pytest.approx(0.5)


def test_values_and_weights_of_different_number_are_an_error() -> None:
    with pytest.raises(ValueError, match="2 values but 1 weights"):
        TDigest.of([1.0, 2.0], [1.0])


def test_questions_outside_of_zero_to_one_have_no_answer() -> None:
    digest = TDigest.of([1.0, 2.0])
    assert np.isnan(digest.quantiles([-0.1, 1.1, math.nan])).all()
    assert np.isnan(digest.cdfs([math.nan])).all()
    assert digest.cdfs([-math.inf, math.inf]).tolist() == [0.0, 1.0]


def test_answers_have_the_shape_of_the_question() -> None:
    digest = TDigest.of(np.arange(100.0))
    assert digest.quantiles([[0.1, 0.2], [0.3, 0.4]]).shape == (2, 2)
    assert digest.cdfs(np.zeros((0,))).shape == (0,)


@given(
    st.lists(st.floats(-1e12, 1e12) | st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=300),
    st.lists(st.floats(0.0, 1.0), min_size=2, max_size=10),
)
@settings(max_examples=200, deadline=None)
def test_quantiles_rise_and_stay_between_smallest_and_largest(values: list[float], qs: list[float]) -> None:
    digest = TDigest.of(values)
    found = digest.quantiles(sorted(qs))
    slack = 1e-9 * (digest.high - digest.low)
    assert (np.diff(found) >= -slack).all()
    assert digest.low <= found.min()
    assert found.max() <= digest.high
    shares = digest.cdfs(sorted(values))
    assert (np.diff(shares) >= -1e-12).all()
    assert shares.min() >= 0.0
    assert shares.max() <= 1.0


def test_what_waits_in_the_buffer_is_counted_and_seen() -> None:
    digest = TDigest()
    for i in range(BUFFER + 10):
        digest.add(float(i))
        assert digest.count == i + 1
    assert digest.quantile(1.0) == BUFFER + 9
    assert digest.quantile(0.5) == pytest.approx((BUFFER + 9) / 2, rel=0.02)


def test_merging_leaves_the_parts_as_they_were() -> None:
    part = TDigest.of([1.0, 2.0])
    whole = TDigest.merged([part, part])
    whole.add(9.0)
    part.add_digest(whole)
    assert (whole.count, whole.high) == (5, 9.0)
    assert (part.count, part.high) == (7, 9.0)
