"""The sun against published tables of sunrise and sunset, which give the minute."""

from datetime import UTC, datetime, timedelta

import pytest

from roost_rendezvous.injector.sun import HORIZON, elevation, phase

TWO_MINUTES = timedelta(minutes=2)

# Place, latitude, longitude, sunrise and sunset in UTC.
PUBLISHED = [
    ("London", 51.507, -0.128, "2024-12-21 08:03", "2024-12-21 15:53"),
    ("London", 51.507, -0.128, "2024-06-20 03:43", "2024-06-20 20:21"),
    ("Berlin", 52.52, 13.405, "2024-12-21 07:15", "2024-12-21 14:54"),
    ("New York", 40.713, -74.006, "2024-06-20 09:25", "2024-06-21 00:30"),
    ("New York", 40.713, -74.006, "2024-12-21 12:17", "2024-12-21 21:32"),
    ("Washington", 38.905, -77.036, "2024-06-20 09:43", "2024-06-21 00:37"),
    ("Sydney", -33.868, 151.209, "2019-12-21 18:41", "2019-12-22 09:05"),
    ("Singapore", 1.29, 103.85, "2024-03-19 23:09", "2024-03-20 11:15"),
    ("Reykjavik", 64.147, -21.94, "2024-12-21 11:22", "2024-12-21 15:29"),
]


def ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(("place", "north", "east", "rise", "fall"), PUBLISHED)
def test_the_sun_rises_and_sets_within_two_minutes_of_the_published_time(
    place: str, north: float, east: float, rise: str, fall: str
) -> None:
    for moment, before_is_up in ((utc(rise), False), (utc(fall), True)):
        before = elevation(ns(moment - TWO_MINUTES), north, east) >= HORIZON
        after = elevation(ns(moment + TWO_MINUTES), north, east) >= HORIZON
        assert (before, after) == (before_is_up, not before_is_up), f"{place} {moment}"


def phases(day: str, north: float, east: float) -> set[str]:
    start = utc(day)
    return {phase(elevation(ns(start + timedelta(minutes=10 * n)), north, east)) for n in range(144)}


def test_at_tromso_the_midsummer_sun_does_not_set_and_the_midwinter_sun_does_not_rise() -> None:
    assert phases("2024-06-21", 69.65, 18.96) == {"day"}
    assert phases("2024-12-21", 69.65, 18.96) == {"twilight", "night"}
    assert phases("2024-03-20", 69.65, 18.96) == {"day", "twilight", "night"}


def test_at_the_poles_half_a_year_is_day() -> None:
    assert phases("2024-06-21", 90, 0) == phases("2024-12-21", -90, 0) == {"day"}
    assert phases("2024-12-21", 90, 0) == phases("2024-06-21", -90, 0) == {"night"}


def test_at_noon_on_the_equator_at_the_equinox_the_sun_is_overhead() -> None:
    noon = utc("2024-03-20 12:07")  # the equation of time is seven minutes
    assert elevation(ns(noon), 0, 0) > 89.5
    assert elevation(ns(noon), 40, 0) == pytest.approx(50, abs=0.5)


def test_day_ends_at_the_horizon_and_twilight_at_six_degrees_below() -> None:
    assert [phase(degrees) for degrees in (0, -0.8, -0.9, -6.0, -6.1)] == [
        "day",
        "day",
        "twilight",
        "twilight",
        "night",
    ]
