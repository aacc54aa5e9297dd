"""What lasts for most of a day is told from a burst, however great the burst."""

import json
import math

import pytest
from made_events import FIRST_HOUR, SIGNAL, clumped_events

from roost_rendezvous.analytics.rates.history import HOUR, HistoryPolicy
from roost_rendezvous.analytics.rates.lasting import HOURS, Lasting
from roost_rendezvous.analytics.rates.seasonal import Forecast
from roost_rendezvous.analytics.rates.stream import RateWatch

LIVELY = Forecast(expected=60.0, low=20.0, high=180.0, mean=70.0, excess=0.2)
BEGAN = FIRST_HOUR + 24 * 21


def after(counts: list[float]) -> Lasting:
    lasting = Lasting(HistoryPolicy())
    for count in counts:
        lasting.learn(count, LIVELY)
    return lasting


def test_one_hour_that_brings_a_thousand_times_as_many_says_no_more_than_one_of_five_times_as_many():
    usual = [60.0] * (HOURS - 1)
    assert after([*usual, 60_000.0]).surprise == after([*usual, 300.0]).surprise == pytest.approx(1.5 / math.sqrt(24))


@pytest.mark.parametrize("count", [120.0, 30.0])
def test_a_day_of_twice_or_half_as_many_is_four_standard_errors_and_more(count: float):
    assert after([count] * HOURS).surprise > 4.0


def test_what_is_longer_ago_than_a_day_is_forgotten():
    assert after([*[120.0] * HOURS, *[60.0] * HOURS]).surprise < 0.1


@pytest.fixture(scope="module")
def lived() -> RateWatch:
    """Three weeks of clumps, 64 events an hour, read every hour."""
    watch, due = RateWatch(SIGNAL), (FIRST_HOUR + 1) * HOUR
    for event in clumped_events(24 * 21, 7):
        while event >= due:
            watch.lasted(due)
            due += HOUR
        watch.event(event)
    return watch


def day(lived: RateWatch, times: int, seed: int) -> float:
    """The largest surprise of a further day, each of whose events comes so many times."""
    watch = RateWatch(SIGNAL)
    watch.restore(json.loads(json.dumps(lived.snapshot())))
    strangest, due = 0.0, (BEGAN + 1) * HOUR
    for event in [*clumped_events(24, seed), (FIRST_HOUR + 24) * HOUR + 1]:
        while event + BEGAN * HOUR - FIRST_HOUR * HOUR >= due:
            strangest = max(strangest, watch.lasted(due).surprise or 0.0)
            due += HOUR
        watch.event(event + (BEGAN - FIRST_HOUR) * HOUR, times)
    return strangest


@pytest.mark.parametrize("seed", [11, 12, 13, 14])
def test_a_doubling_of_clumped_events_passes_within_a_day_the_level_that_a_usual_day_does_not(
    lived: RateWatch, seed: int
):
    level = lived.lasting.history.level(0.25)
    assert level is not None
    assert day(lived, 1, seed) < level < day(lived, 2, seed)


def test_its_reading_is_of_a_signal_of_its_own_and_says_how_many_are_usual(lived: RateWatch):
    reading = lived.lasted(BEGAN * HOUR)
    assert reading.signal.part == "lasting"
    assert reading.signal.kind == "rate"
    assert reading.sentence.startswith("nest/rate/requests: ")
    assert reading.normal == pytest.approx(24 * 64, rel=0.3)


def test_it_says_nothing_within_the_first_week_and_nothing_before_the_first_hour():
    watch = RateWatch(SIGNAL)
    assert watch.lasted(FIRST_HOUR * HOUR).surprise is None
    for hour in range(24 * 3):
        watch.event((FIRST_HOUR + hour) * HOUR + 1)
    assert watch.lasted((FIRST_HOUR + 24 * 3) * HOUR).why_not.startswith("not enough history: ")


def test_after_somebody_has_looked_it_is_judged_afresh(lived: RateWatch):
    watch = RateWatch(SIGNAL)
    watch.restore(json.loads(json.dumps(lived.snapshot())))
    watch.accept()
    assert watch.lasting.surprise == 0.0
    assert watch.lasting.history.level(0.25) == pytest.approx(lived.lasting.history.level(0.25), abs=1e-3)
