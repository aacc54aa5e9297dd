"""The budget holds on fresh data that is quiet but unfriendly (N1, N5); the benchmark measures it over months."""

import numpy as np
from alarm_world import WEEK, World, opened, quiet, signals

from roost_rendezvous.analytics.alarms.settings import AnalyticsAlarmSettings

A_WEEK = 12.0


def test_bursts_on_quiet_data_make_about_the_alarms_of_the_budget() -> None:
    world = World(signals(8), AnalyticsAlarmSettings(hours_per_week=A_WEEK / 3, minutes_per_alarm=20))
    rng = np.random.default_rng(21)
    world.live(quiet("chronic", 2 * WEEK, rng, 8))
    pages = opened(world.live(quiet("chronic", 3 * WEEK // 2, rng, 8)))
    assert 0.5 * A_WEEK <= len(pages) / 1.5 <= 1.5 * A_WEEK
    worst = sum(page.culprit is not None and page.culprit.of in {f"monitor{n}" for n in range(4)} for page in pages)
    assert worst / len(pages) <= 0.65  # four of eight squeak; without their own history they would lead nearly all
