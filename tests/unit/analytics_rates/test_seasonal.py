"""The forecast of hourly counts: better than guessing, honest about what it does not know."""

import json
import math

import numpy as np
import pytest
from made_events import FIRST_HOUR, busy_by_day, hourly_counts

from roost_rendezvous.analytics.rates.seasonal import NEXT_DAY, NEXT_HOUR, Seasonal


def lived(counts: list[int], seasonal: Seasonal | None = None) -> tuple[Seasonal, list[float], list[bool]]:
    found = seasonal or Seasonal()
    guesses, inside = [], []
    for place, count in enumerate(counts):
        forecast = found.forecast(FIRST_HOUR + place)
        guesses.append(math.nan if forecast is None else forecast.expected)
        inside.append(forecast is not None and forecast.low <= count <= forecast.high)
        found.learn(FIRST_HOUR + place, count)
    return found, guesses, inside


def drifting(hour: int) -> float:
    """A busy stream with days, weekends, and good and bad days."""
    day = hour // 24
    weekend = 0.6 if day % 7 in (5, 6) else 1.0
    return 20_000.0 * weekend * (1.2 - math.cos(2 * math.pi * (hour % 24) / 24)) * math.exp(0.15 * math.sin(day * 1.7))


def test_it_beats_the_last_hour_yesterday_and_the_hour_of_the_week():
    counts = hourly_counts(24 * 42, 1, drifting)
    _, guesses, _ = lived(counts)
    judged = np.arange(336, len(counts))
    truth = np.asarray(counts, dtype=float)
    week = np.asarray([truth[place % 168 : place : 168].mean() for place in judged])

    def error(guess: np.ndarray) -> float:
        return float(np.median(np.abs(guess - truth[judged]) / truth[judged]))

    ours = error(np.asarray(guesses)[judged])
    assert ours <= 0.04
    assert ours < min(error(truth[judged - 1]), error(truth[judged - 24]), error(week))


def test_nine_hours_in_ten_lie_in_the_band():
    _, _, inside = lived(hourly_counts(24 * 35, 2))
    assert 0.85 <= np.mean(inside[336:]) <= 0.95


def test_with_less_than_a_week_it_says_so_and_widens():
    seasonal, _, _ = lived(hourly_counts(24 * 6, 3))
    early = seasonal.forecast(FIRST_HOUR + 24 * 6)
    assert early is not None
    assert early.why_not == "not enough history: 6.0 of 7 days"
    lived_on = hourly_counts(24 * 30, 3)
    later = lived(lived_on)[0].forecast(FIRST_HOUR + 24 * 30)
    assert later is not None
    assert later.why_not == ""
    assert early.high / early.low > later.high / later.low


def test_with_fewer_than_30_events_an_hour_it_says_so():
    seasonal, _, _ = lived(hourly_counts(24 * 9, 4, lambda hour: 5.0))
    forecast = seasonal.forecast(FIRST_HOUR + 24 * 9)
    assert forecast is not None
    assert forecast.why_not.startswith("too few events: ")
    assert forecast.high / max(forecast.low, 1.0) > 2.0


def test_before_anything_was_seen_there_is_no_forecast():
    assert Seasonal().forecast(FIRST_HOUR) is None


def test_one_wild_hour_does_not_spoil_the_days_after_it():
    counts = hourly_counts(24 * 28, 5)
    wild = list(counts)
    wild[24 * 21 + 12] *= 50
    calm, _, _ = lived(counts)
    shaken, _, _ = lived(wild)
    for ahead in (1, 13, 24):
        usual, after = calm.forecast(FIRST_HOUR + 24 * 28 + ahead), shaken.forecast(FIRST_HOUR + 24 * 28 + ahead)
        assert usual is not None
        assert after is not None
        assert after.expected == pytest.approx(usual.expected, rel=0.2)


def test_the_next_hour_follows_a_bad_day_and_the_day_ahead_does_not():
    counts = [*hourly_counts(24 * 28, 6), *(count // 3 for count in hourly_counts(30, 7))]
    seasonal, _, _ = lived(counts[: 24 * 28 + 18])
    hour = FIRST_HOUR + 24 * 28 + 18
    near, far = seasonal.forecast(hour, NEXT_HOUR), seasonal.forecast(hour, NEXT_DAY)
    assert near is not None
    assert far is not None
    assert far.expected > near.expected
    assert far.expected == pytest.approx(busy_by_day(hour), rel=0.25)


def test_hours_that_nobody_looked_at_teach_nothing():
    counts = hourly_counts(24 * 28, 8)
    whole, _, _ = lived(counts)
    holed = Seasonal()
    for place, count in enumerate(counts):
        if not 24 * 20 <= place < 24 * 22:
            holed.learn(FIRST_HOUR + place, count)
    first, second = whole.forecast(FIRST_HOUR + 24 * 28), holed.forecast(FIRST_HOUR + 24 * 28)
    assert first is not None
    assert second is not None
    assert second.expected == pytest.approx(first.expected, rel=0.15)
    assert holed.known == 24 * 26


def test_an_hour_told_twice_counts_once():
    seasonal, _, _ = lived(hourly_counts(48, 9))
    seasonal.learn(FIRST_HOUR + 47, 1_000_000)
    assert seasonal.known == 48


def test_a_restored_forecast_is_the_same_and_its_snapshot_is_small():
    counts = hourly_counts(24 * 21, 10)
    seasonal, _, _ = lived(counts)
    kept = json.dumps(seasonal.snapshot())
    assert len(kept) < 20_000
    twin = Seasonal()
    twin.restore(json.loads(kept))
    for ahead in (NEXT_HOUR, NEXT_DAY):
        mine, other = seasonal.forecast(FIRST_HOUR + 24 * 21, ahead), twin.forecast(FIRST_HOUR + 24 * 21, ahead)
        assert mine is not None
        assert other is not None
        assert other.expected == pytest.approx(mine.expected, rel=1e-3)
        assert other.high == pytest.approx(mine.high, rel=1e-2)


@pytest.mark.parametrize("count", [0, 10**12])
def test_a_stream_without_events_or_with_very_many_gives_finite_numbers(count: int):
    seasonal, _, _ = lived([count] * 400)
    forecast = seasonal.forecast(FIRST_HOUR + 400)
    assert forecast is not None
    assert forecast.expected == pytest.approx(count, rel=0.01, abs=0.01)
    assert math.isfinite(forecast.high)
