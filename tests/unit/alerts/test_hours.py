"""Hours of the day in a zone that is given as data."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from roost_broker.clock import SECOND
from roost_edge.alerts.hours import Hours, instant, local

ZURICH = ZoneInfo("Europe/Zurich")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


def test_hours_begin_and_end_before_the_end() -> None:
    day = Hours.parse("06:00-22:00")
    assert [time(5, 59) in day, time(6) in day, time(21, 59) in day, time(22) in day] == [False, True, True, False]


def test_hours_go_over_midnight() -> None:
    night = Hours.parse("22:00-06:00")
    assert [time(22) in night, time(3) in night, time(6) in night, time(12) in night] == [True, True, False, False]


@pytest.mark.parametrize("text", ["", "6:00-22:00", "06:00", "06:00-24:00", "06:00-06:00", "06:60-07:00", "a-b"])
def test_what_are_no_hours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no hours|no time"):
        Hours.parse(text)


def test_how_late_it_is_depends_on_the_zone_and_its_summer() -> None:
    winter, summer = at("2026-01-15T12:00:00+00:00"), at("2026-07-15T12:00:00+00:00")
    assert [local(one, ZURICH).hour for one in (winter, summer)] == [13, 14]
    assert local(winter, UTC).hour == 12


def test_an_instant_of_a_day_with_a_change_of_the_clock_is_the_one_that_people_mean() -> None:
    before, changed = date(2026, 3, 28), date(2026, 3, 29)
    assert instant(changed, time(10), ZURICH) - instant(before, time(10), ZURICH) == 23 * 3_600 * SECOND
