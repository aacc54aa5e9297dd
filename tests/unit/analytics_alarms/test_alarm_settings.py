"""One knob (requirement N1), and what cannot be is said with what to do instead."""

from typing import Any

import pytest

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.alarms.settings import AnalyticsAlarmSettings


def test_two_hours_a_week_at_twenty_minutes_are_six_alarms_a_week() -> None:
    assert AnalyticsAlarmSettings(hours_per_week=2, minutes_per_alarm=20).alarms_per_week == 6.0


def test_durations_come_in_nanoseconds_by_the_unit_in_their_name() -> None:
    settings = AnalyticsAlarmSettings()
    assert settings.ns("calm_minutes") == 3_600_000_000_000
    assert settings.ns("settle_hours") == settings.ns("history_days") // 60


@pytest.mark.parametrize(
    "bad",
    [
        {"hours_per_week": 0},
        {"hours_per_week": float("nan")},
        {"minutes_per_alarm": -1},
        {"history_days": 3, "least_history_days": 7},
        {"hours_per_week": 168, "minutes_per_alarm": 0.5},
        {"hours_per_week": 0.01, "minutes_per_alarm": 10_000},
        {"calm_minutes": 0},
        {"max_signals": 0},
    ],
)
def test_what_cannot_be_is_refused_with_a_remedy(bad: dict[str, Any]) -> None:
    with pytest.raises(Misuse) as refused:
        AnalyticsAlarmSettings(**bad)
    assert refused.value.remedy
    assert (
        next(iter(bad)) in refused.value.problem or "alarms a week" in refused.value.problem or "least_" in str(refused)
    )
