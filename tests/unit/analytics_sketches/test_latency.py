"""The latency histogram: five percent everywhere, both ends counted, the same one by one and all at once."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost_broker.errors import PeerError
from roost_rendezvous.analytics.sketches import latency_wire
from roost_rendezvous.analytics.sketches.latency import BINS, EDGES_MS, LatencyHistogram

QS = np.linspace(0.0005, 0.9995, 1999)


def durations(kind: str) -> np.ndarray:
    rng = np.random.default_rng(1)
    return {
        "lognormal": rng.lognormal(3.0, 1.2, 50_000).clip(1, 10_000),
        "uniform": rng.uniform(1, 10_000, 50_000),
        "constant": np.full(500, 1234.5),
        "the shortest": np.full(500, 1.0),
        "the longest": np.full(500, 10_000.0),
        "both ends": rng.choice([1.0, 10_000.0], 501),
        "one percent at three times": np.concatenate([rng.normal(50, 5, 49_500), rng.normal(150, 15, 500)]).clip(1),
        "a few": np.array([3.0, 70.0, 900.0]),
    }[kind]


KINDS = [
    "lognormal",
    "uniform",
    "constant",
    "the shortest",
    "the longest",
    "both ends",
    "one percent at three times",
    "a few",
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_quantile_is_within_five_percent(kind: str) -> None:
    values = durations(kind)
    exact = np.quantile(values, QS, method="inverted_cdf")
    found = LatencyHistogram.of(values).quantiles(QS)
    assert np.abs(found / exact - 1.0).max() <= 0.05


@given(st.lists(st.floats(0.0, 1e9) | st.sampled_from(EDGES_MS.tolist()), max_size=100))
@settings(max_examples=200, deadline=None)
def test_one_by_one_is_the_same_as_all_at_once(values: list[float]) -> None:
    single = LatencyHistogram()
    for value in values:
        single.add(value)
    batch = LatencyHistogram.of(values)
    assert single.counts.tolist() == batch.counts.tolist()
    assert (single.shortest_ms, single.longest_ms) == (batch.shortest_ms, batch.longest_ms)
    assert single.sum_ms == pytest.approx(batch.sum_ms)


def test_borders_belong_to_the_bin_that_they_end() -> None:
    assert LatencyHistogram.of(EDGES_MS * (1 - 1e-12)).counts.tolist() == [1.0] * (BINS - 1) + [0.0]
    beyond = LatencyHistogram.of(EDGES_MS * (1 + 1e-12))
    assert beyond.counts.tolist() == [0.0] + [1.0] * (BINS - 1)


def test_bins_are_those_of_native_histograms_of_schema_four() -> None:
    assert pytest.approx(2 ** (1 / 16)) == EDGES_MS[1] / EDGES_MS[0]
    assert EDGES_MS[160] == 1000.0
    assert EDGES_MS[0] <= 1.0
    assert EDGES_MS[-1] >= 10_000.0


def test_what_is_shorter_or_longer_is_counted_at_the_ends() -> None:
    histogram = LatencyHistogram.of([0.0, 0.2, 50.0, 30_000.0, 30_000.0])
    assert (histogram.below, histogram.above, histogram.count) == (2, 2, 5)
    assert histogram.quantile(0.99) == 30_000.0
    assert histogram.quantile(0.01) <= 1.0
    assert histogram.share_above(10_500) == pytest.approx(0.4, abs=0.005)
    assert histogram.mean_ms == pytest.approx(60_050.2 / 5)


def test_what_took_thirty_seconds_is_never_told_as_less() -> None:
    histogram = LatencyHistogram.of([100.0] * 900 + [30_000.0] * 100)
    assert histogram.quantile(0.95) == 30_000.0
    assert histogram.quantile(0.5) == pytest.approx(100.0, rel=0.05)


def test_what_cannot_be_a_duration_is_refused_and_counted() -> None:
    histogram = LatencyHistogram.of([1.0, -1.0, math.nan, math.inf])
    for bad in (-0.001, math.nan, math.inf):
        histogram.add(bad)
    assert (histogram.count, histogram.refused, histogram.longest_ms) == (1, 6, 1.0)
    assert (histogram.counts >= 0).all()


def test_without_any_duration_nothing_is_claimed() -> None:
    empty = LatencyHistogram()
    assert math.isnan(empty.quantile(0.5))
    assert math.isnan(empty.mean_ms)
    assert math.isnan(empty.share_above(1.0))
    assert LatencyHistogram.of([]).count == 0


def test_merging_is_adding_and_its_order_means_nothing() -> None:
    rng = np.random.default_rng(2)
    parts = [LatencyHistogram.of(rng.lognormal(3, 1, 100)) for _ in range(10)]
    whole = LatencyHistogram.merged(parts)
    assert whole.counts.tolist() == LatencyHistogram.merged(parts[::-1]).counts.tolist()
    assert whole.count == 1000
    assert parts[0].count == 100


def test_a_group_that_is_three_times_slower_is_counted_from_the_histogram_alone() -> None:
    rng = np.random.default_rng(3)
    usual, slow = rng.lognormal(math.log(50), 0.1, 99_000), rng.lognormal(math.log(150), 0.1, 1_000)
    histogram = LatencyHistogram.of(np.concatenate([usual, slow]))
    assert histogram.share_above(90.0) == pytest.approx(0.01, abs=0.002)


def test_a_weight_spread_evenly_lies_evenly() -> None:
    histogram = LatencyHistogram()
    histogram.add_even(30_000.0, 30_000.0)
    assert histogram.count == pytest.approx(30_000)
    assert histogram.share_above(1000.0) == pytest.approx(29 / 30, rel=1e-3)
    assert histogram.quantile(0.1) == pytest.approx(3000.0, rel=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_are_few_and_give_the_same_histogram(kind: str) -> None:
    histogram = LatencyHistogram.of(durations(kind))
    data = latency_wire.to_bytes(histogram)
    again = latency_wire.from_bytes(data)
    assert len(data) <= 2000
    assert again.counts.tolist() == histogram.counts.tolist()
    assert (again.sum_ms, again.longest_ms) == (histogram.sum_ms, histogram.longest_ms)


def test_the_fullest_histogram_there_can_be_is_below_two_kilobytes() -> None:
    full = LatencyHistogram.from_parts(np.full(BINS, 1e12 + 0.5), 0.1, 1e5, 1e15)
    assert len(latency_wire.to_bytes(full)) <= 2000
    assert len(latency_wire.to_bytes(LatencyHistogram())) <= 80


def test_weights_that_are_no_whole_numbers_survive_as_bytes() -> None:
    histogram = LatencyHistogram.of([5.0, 50.0], [0.25, 1.5])
    assert latency_wire.from_bytes(latency_wire.to_bytes(histogram)).counts.tolist() == histogram.counts.tolist()


@given(st.binary(max_size=120))
@settings(max_examples=300, deadline=None)
def test_any_other_bytes_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(PeerError):
        latency_wire.from_bytes(b"\x02\x07" + data)
    with pytest.raises(PeerError):
        latency_wire.from_bytes(b"\x01" + data)


def test_cut_off_bytes_are_refused() -> None:
    good = latency_wire.to_bytes(LatencyHistogram.of(durations("both ends")))
    for length in range(len(good)):
        with pytest.raises(PeerError):
            latency_wire.from_bytes(good[:length])
