"""A watched series of counts: prediction joined with surprise."""

import json

import pytest
from made_events import FIRST_HOUR, SIGNAL, hourly_counts

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.rates.counts import CountWatch
from roost_rendezvous.analytics.rates.history import HOUR
from roost_rendezvous.analytics.reading import Reading


def live(watch: CountWatch, counts: list[int], first: int = 0) -> list[Reading]:
    readings = [watch.add((FIRST_HOUR + first + place) * HOUR, HOUR, count) for place, count in enumerate(counts)]
    return [reading for reading in readings if reading is not None]


def strangest(readings: list[Reading]) -> float:
    return max((reading.surprise or 0.0 for reading in readings), default=0.0)


@pytest.mark.parametrize("factor", [0.0, 3.0])
def test_a_day_without_events_and_a_tripled_morning_pass_the_level_of_one_alarm_a_month(factor: float):
    watch = CountWatch(SIGNAL)
    usual = hourly_counts(24 * 28 + 12, 1)
    live(watch, usual[: 24 * 28])
    level = watch.level(0.25)
    assert level is not None
    changed = live(watch, [round(count * factor) for count in usual[24 * 28 :]], 24 * 28)
    assert strangest(changed) > level
    assert changed[-1].sentence.startswith("nest/rate/requests: ")


def test_usual_weeks_pass_a_level_that_is_kept_up_to_date_seldom():
    watch, usual = CountWatch(SIGNAL), hourly_counts(24 * 49, 2)
    live(watch, usual[: 24 * 28])
    passed = set()
    for place in range(24 * 28, 24 * 49):
        level = watch.level(1.0) or 0.0
        reading = watch.add((FIRST_HOUR + place) * HOUR, HOUR, usual[place])
        if reading is not None and (reading.surprise or 0.0) >= level:
            passed.add(place // 6)
    assert len(passed) <= 3 * 3


def test_within_the_first_week_nothing_is_said_whatever_happens():
    watch = CountWatch(SIGNAL)
    readings = live(watch, [*hourly_counts(24 * 5, 3), 0, 0, 0, 100_000])
    assert all(reading.surprise is None and reading.why_not for reading in readings)


def test_a_series_of_few_events_says_that_it_has_too_few():
    reading = live(CountWatch(SIGNAL), hourly_counts(24 * 9, 4, lambda hour: 3.0))[-1]
    assert reading.surprise is None
    assert reading.why_not.startswith("too few events: ")


def test_bins_of_ten_seconds_are_put_together_and_memory_stays_bounded():
    watch = CountWatch(SIGNAL)
    told = sum(
        watch.add(FIRST_HOUR * HOUR + place * HOUR // 360, HOUR // 360, 3) is not None for place in range(360 * 12)
    )
    assert 360 + 60 <= told <= 360 + 130  # each bin of the first hour, in which there is no forecast; then 6 minutes
    assert len(json.dumps(watch.snapshot())) < 20_000


def test_a_gap_in_the_series_is_no_drop():
    watch, usual = CountWatch(SIGNAL), hourly_counts(24 * 16, 5)
    live(watch, usual[: 24 * 14])
    level = watch.level(0.25) or 0.0
    after = live(watch, usual[24 * 15 : 24 * 16], 24 * 15)
    assert strangest(after) < level


def test_a_bin_out_of_order_is_left_out():
    watch = CountWatch(SIGNAL)
    live(watch, hourly_counts(48, 6))
    assert watch.add((FIRST_HOUR + 3) * HOUR, HOUR, 5) is None


def test_a_restored_watch_goes_on_where_the_other_was():
    usual = hourly_counts(24 * 15, 7)
    watch, twin = CountWatch(SIGNAL), CountWatch(SIGNAL)
    live(watch, usual[: 24 * 14])
    twin.restore(json.loads(json.dumps(watch.snapshot())))
    mine, other = live(watch, usual[24 * 14 :], 24 * 14), live(twin, usual[24 * 14 :], 24 * 14)
    assert [one.surprise for one in other] == pytest.approx([one.surprise for one in mine], rel=0.01, abs=0.01)


@pytest.mark.parametrize(("width", "count"), [(2 * HOUR, 1.0), (1, 1.0), (HOUR, -1.0), (HOUR, float("nan"))])
def test_a_bin_that_cannot_be_is_refused(width: int, count: float):
    with pytest.raises(Misuse):
        CountWatch(SIGNAL).add(FIRST_HOUR * HOUR, width, count)


def test_each_event_is_counted_in_one_reading_however_many_readings_it_stands_behind():
    counts = hourly_counts(24 * 9, 5)
    readings = live(CountWatch(SIGNAL), counts)
    judged = [reading for reading in readings if reading.unit]
    assert sum(reading.events for reading in judged) == sum(counts[-len(judged) :])
    assert (judged[-1].now or 0.0) == sum(counts[-6:])
