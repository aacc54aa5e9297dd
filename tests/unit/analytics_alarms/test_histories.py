"""A signal's own history: quantiles inside it, a tail beyond it, and forgetting."""

import json
from math import erfc, exp, log10, sqrt

import numpy as np
import pytest
from alarm_world import DAY, TICK
from hypothesis import given
from hypothesis import strategies as st

from roost_rendezvous.analytics.alarms.bins import SURPRISES
from roost_rendezvous.analytics.alarms.histories import Histories
from roost_rendezvous.analytics.alarms.odds import nines

ROW = np.array([0])
MONTH = 30 * 86_400_000_000_000


def history(values: np.ndarray, mean_life: int = 1000 * MONTH) -> Histories:
    """A day's readings are learnt at once: that is quicker, and fading is by the day."""
    found = Histories(SURPRISES, mean_life)
    found.grow(1)
    for start in range(0, len(values), DAY):
        found.tick(start * TICK)
        bins, _ = SURPRISES.place(values[start : start + DAY])
        found.add(0, np.bincount(bins, minlength=SURPRISES.count).astype(np.float32))
    return found


def stranger(of: Histories, value: float) -> float:
    return float(of.stranger(ROW, np.array([value]))[0])


@pytest.fixture(scope="module")
def exponential() -> Histories:
    return history(np.random.default_rng(1).exponential(size=28 * DAY))


@pytest.mark.parametrize("value", [0.1, 0.7, 2.3, 4.6])
def test_inside_history_the_share_beyond_is_what_was_seen(exponential: Histories, value: float) -> None:
    assert stranger(exponential, value) == pytest.approx(exp(-value), rel=0.15)


@pytest.mark.parametrize("value", [12.0, 16.0, 20.0])
def test_beyond_all_history_nines_go_on_growing_as_the_tail_does(exponential: Histories, value: float) -> None:
    true = value / np.log(10)
    assert nines(stranger(exponential, value)) == pytest.approx(true, rel=0.3)
    assert nines(stranger(exponential, value)) > log10(28 * DAY)  # where an empirical quantile would have ended


def test_a_tail_lighter_than_exponential_is_understated_and_never_overstated() -> None:
    normal = history(np.abs(np.random.default_rng(2).normal(size=28 * DAY)))
    for value in (4.5, 5.5, 6.5):
        assert erfc(value / sqrt(2.0)) < stranger(normal, value) < 1e-3


def test_a_heavy_tail_is_seen_to_be_heavy() -> None:
    heavy = history(np.random.default_rng(3).pareto(3.0, size=28 * DAY))
    assert stranger(heavy, 40.0) == pytest.approx(41.0**-3, rel=0.9)
    assert nines(stranger(heavy, 40.0)) < 6.0


def test_what_was_always_nought_makes_anything_clearly_more_very_strange_and_itself_not_at_all() -> None:
    nought = history(np.zeros(10 * DAY))
    assert nines(stranger(nought, 0.0)) == pytest.approx(0.0, abs=0.01)
    assert nines(stranger(nought, 1.0)) > 6.0


def test_bursts_that_come_again_and_again_are_usual() -> None:
    rng = np.random.default_rng(4)
    squeaks = np.where(
        rng.uniform(size=28 * DAY) < 0.03, 50.0 + rng.normal(size=28 * DAY), rng.exponential(size=28 * DAY)
    )
    assert nines(stranger(history(squeaks), 50.0)) < 2.0
    assert nines(stranger(history(rng.exponential(size=28 * DAY)), 50.0)) == 12.0


def test_what_is_learnt_reading_by_reading_is_known_some_hours_later() -> None:
    found = history(np.random.default_rng(8).exponential(size=DAY))
    for tick in range(200):
        found.tick((DAY + tick) * TICK)
        found.learn(ROW, np.array([40.0]))
    assert stranger(found, 40.0) > 0.2


def test_old_readings_fade() -> None:
    values = np.concatenate([np.full(20 * DAY, 30.0), np.random.default_rng(5).exponential(size=40 * DAY)])
    assert stranger(history(values), 10.0) > 0.3
    assert stranger(history(values, mean_life=MONTH // 4), 10.0) < 0.02


def test_a_winter_switched_off_makes_it_forget_no_more_than_a_day_does() -> None:
    kept = history(np.random.default_rng(6).exponential(size=10 * DAY), mean_life=MONTH)
    before = stranger(kept, 3.0)
    kept.tick(10**18)
    assert stranger(kept, 3.0) == pytest.approx(before, rel=0.1)


@given(st.lists(st.floats(0, 1e12), min_size=2, max_size=2))
def test_the_stranger_of_two_values_never_has_more_beyond_it(exponential: Histories, two: list[float]) -> None:
    low, high = sorted(two)
    assert 0.0 < stranger(exponential, high) <= stranger(exponential, low) * (1 + 1e-6) < 1.0


def test_a_snapshot_is_json_and_gives_the_same_answers(exponential: Histories) -> None:
    other = Histories(SURPRISES, 1000 * MONTH)
    other.restore(json.loads(json.dumps(exponential.snapshot())))
    for value in (0.0, 1.0, 5.0, 15.0):
        assert stranger(other, value) == pytest.approx(stranger(exponential, value), rel=1e-4)


def test_rows_stay_small(exponential: Histories) -> None:
    assert exponential.bytes_per_row < 7_000
