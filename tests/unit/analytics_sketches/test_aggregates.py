"""Sums and averages by steps of ten seconds."""

import pytest

from roost_rendezvous.analytics.sketches.aggregates import SECOND, Aggregates, AggregateSettings, Series

REQUESTS = Series("requests", (("task", "henhouse"),))
LOAD = Series("load")


def test_counters_are_summed_and_gauges_averaged_over_each_step() -> None:
    kept = Aggregates()
    kept.tick(1_000 * SECOND)
    for amount in (1.0, 2.0):
        kept.count(REQUESTS, amount)
        kept.gauge(LOAD, amount)
    assert kept.tick(1_009 * SECOND) == ()
    assert kept.deadline() == 1_010 * SECOND
    points = kept.tick(1_010 * SECOND)
    assert [(point.at, point.series, point.value) for point in points] == [
        (1_000 * SECOND, REQUESTS, 3.0),
        (1_000 * SECOND, LOAD, 1.5),
    ]


def test_a_quiet_counter_is_zero_and_an_unread_gauge_is_nothing() -> None:
    kept = Aggregates()
    kept.tick(0)
    kept.count(REQUESTS)
    kept.gauge(LOAD, 0.4)
    kept.tick(10 * SECOND)
    assert [(point.series, point.value) for point in kept.tick(20 * SECOND)] == [(REQUESTS, 0.0)]


def test_steps_begin_at_multiples_since_1970() -> None:
    kept = Aggregates(AggregateSettings(step_s=60))
    kept.tick(1_234 * SECOND)
    kept.count(REQUESTS)
    (point,) = kept.tick(1_270 * SECOND)
    assert point.at == 1_200 * SECOND


def test_finished_steps_are_kept_for_whoever_fetches_them_and_bounded() -> None:
    kept = Aggregates(AggregateSettings(keep_steps=5))
    for step in range(20):
        kept.tick(step * 10 * SECOND)
        kept.count(REQUESTS)
    assert [point.at // SECOND for point in kept.since(0)] == [140, 150, 160, 170, 180]
    assert len(kept.since(170 * SECOND)) == 2


def test_points_are_bounded_however_many_series_there_are() -> None:
    kept = Aggregates(AggregateSettings(max_points=10))
    for step in range(6):
        kept.tick(step * 10 * SECOND)
        for i in range(4):
            kept.count(Series(str(i)))
    assert len(kept.since(0)) == 8


def test_series_beyond_the_bound_and_what_is_no_number_are_refused_and_counted() -> None:
    kept = Aggregates(AggregateSettings(max_series=1))
    kept.tick(0)
    kept.count(REQUESTS)
    kept.gauge(LOAD, 1.0)
    kept.count(REQUESTS, float("nan"))
    kept.count(REQUESTS, float("inf"))
    assert kept.refused == 3
    assert [point.value for point in kept.tick(10 * SECOND)] == [1.0]


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    kept = Aggregates()
    kept.tick(100_000 * SECOND)
    kept.count(REQUESTS)
    assert kept.tick(99_995 * SECOND) == ()
    kept.tick(50_000 * SECOND)
    assert [point.value for point in kept.tick(50_010 * SECOND)] == [1.0]


def test_bounds_that_cannot_be_are_refused_when_made() -> None:
    with pytest.raises(ValueError, match="use a value from"):
        AggregateSettings(step_s=0)
