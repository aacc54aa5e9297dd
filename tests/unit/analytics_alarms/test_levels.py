"""Episodes counted at all levels at once are those that the episode rule makes at each."""

import json

import numpy as np
import pytest
from alarm_world import MINUTE, TICK, WEEK

from roost_rendezvous.analytics.alarms.levels import LEVELS, EpisodeLevels

HOUR = 60 * MINUTE
FOREVER = 10**6 * WEEK * TICK


def walk(seed: int, ticks: int) -> np.ndarray:
    rng, found = np.random.default_rng(seed), np.zeros(ticks)
    for tick in range(1, ticks):
        found[tick] = 0.9 * found[tick - 1] + rng.normal()
    return found


def by_hand(values: np.ndarray, level: float) -> int:
    count, last = 0, -(10**18)
    for tick, value in enumerate(values):
        if value >= level:
            count += tick * TICK - last > HOUR
            last = tick * TICK
    return count


def counted(values: np.ndarray) -> EpisodeLevels:
    levels = EpisodeLevels(1, HOUR, FOREVER)
    for tick, value in enumerate(values):
        levels.tick(np.array([value]), tick * TICK)
    levels.tick(np.array([-9.0]), (len(values) + 40) * TICK)  # the tables are renewed every few hours
    return levels


@pytest.fixture(scope="module")
def six_weeks() -> EpisodeLevels:
    return counted(walk(2, 6 * WEEK))


@pytest.mark.parametrize("level", [1.0, 3.0, 4.5])
def test_episodes_of_a_level_are_those_the_rule_makes(level: float, six_weeks: EpisodeLevels) -> None:
    rate = 10.0 ** float(six_weeks.per_week(np.array([level]))[0])
    assert rate * six_weeks.weeks == pytest.approx(by_hand(walk(2, 6 * WEEK), level), rel=0.12)


@pytest.mark.parametrize("per_week", [2.0, 6.0, 20.0])
def test_a_level_chosen_for_a_budget_keeps_it_on_the_weeks_after(per_week: float, six_weeks: EpisodeLevels) -> None:
    level = six_weeks.level(0, per_week)
    assert by_hand(walk(3, 12 * WEEK), level) / 12 == pytest.approx(per_week, rel=0.5)


def test_a_long_run_is_one_episode_and_a_threshold_by_quantile_would_think_it_many() -> None:
    values = np.zeros(2 * WEEK)
    for start in range(0, 2 * WEEK, 200):
        values[start : start + 30] = 10.0  # 15 % of all ticks, but five times a week
    assert 10.0 ** float(counted(values).per_week(np.array([9.0]))[0]) == pytest.approx(11 / 2.04, rel=0.15)


def test_a_budget_that_no_level_uses_up_takes_the_highest_level_that_makes_most_episodes(
    six_weeks: EpisodeLevels,
) -> None:
    level = six_weeks.level(0, 1_000.0)
    rates = 10.0 ** np.array([float(six_weeks.per_week(np.array([at]))[0]) for at in np.arange(-3.9, 8.0, 0.1)])
    assert 10.0 ** float(six_weeks.per_week(np.array([level]))[0]) >= 0.9 * rates.max()
    assert level > -2.0


def test_before_anything_came_and_went_nothing_is_known() -> None:
    levels = EpisodeLevels(1, HOUR, FOREVER)
    assert levels.level(0, 6.0) == float("inf")
    assert np.isnan(levels.per_week(np.array([1.0]))[0])


def test_a_few_enormous_alarms_do_not_tilt_the_rate_at_the_budget(six_weeks: EpisodeLevels) -> None:
    wild = walk(2, 6 * WEEK)
    wild[[1000, 3000, 5000]] = 39.0
    assert counted(wild).level(0, 6.0) == pytest.approx(six_weeks.level(0, 6.0), abs=0.4)


def test_beyond_the_highest_level_seen_the_rate_goes_on_falling(six_weeks: EpisodeLevels) -> None:
    rates = [float(six_weeks.per_week(np.array([level]))[0]) for level in (8.0, 12.0, 20.0)]
    assert rates[0] > rates[1] > rates[2]


def test_time_nobody_watched_does_not_count() -> None:
    levels = EpisodeLevels(1, HOUR, FOREVER)
    levels.tick(np.array([0.0]), 0)
    levels.tick(np.array([0.0]), WEEK * TICK)
    assert levels.weeks < 0.04


def test_a_snapshot_is_json_and_goes_on_the_same() -> None:
    levels, values = counted(walk(6, 2 * WEEK)), walk(7, 300)
    other = EpisodeLevels(1, HOUR, FOREVER)
    other.restore(json.loads(json.dumps(levels.snapshot())))
    for tick, value in enumerate(values):
        for one in (levels, other):
            one.tick(np.array([value]), (2 * WEEK + 60 + tick) * TICK)
    assert other.level(0, 6.0) == pytest.approx(levels.level(0, 6.0), abs=1e-3)
    assert LEVELS.edges[0] < other.level(0, 6.0) < LEVELS.edges[-1]
