"""A clock that was never set: what helps and what does not."""

from datetime import UTC, datetime, timedelta

import pytest

from roost_edge.enrolment.clock_check import ClockWrong, time_to_use

TODAY = datetime(2030, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
BEGINS, ENDS = TODAY - DAY, TODAY + 6 * DAY
FLOOR = TODAY - 10 * DAY


@pytest.mark.parametrize("clock", [datetime(1970, 1, 1, tzinfo=UTC), TODAY - 90 * DAY, TODAY - 2 * DAY])
def test_a_clock_that_is_behind_uses_the_desks_time(clock: datetime) -> None:
    assert time_to_use(clock, FLOOR, TODAY, BEGINS, ENDS) == TODAY


def test_a_clock_that_is_ahead_is_told_so() -> None:
    with pytest.raises(ClockWrong, match="2030-08-01"):
        time_to_use(datetime(2030, 8, 1, tzinfo=UTC), FLOOR, TODAY, BEGINS, ENDS)


def test_an_old_stolen_certificate_of_a_desk_does_not_pass_where_a_newer_seed_is_known() -> None:
    """Its holder says a time at which it was valid, to a device that has none."""
    then = TODAY - 60 * DAY
    with pytest.raises(ClockWrong, match="at least"):
        time_to_use(datetime(1970, 1, 1, tzinfo=UTC), FLOOR, then, then - DAY, then + DAY)


@pytest.mark.parametrize("desk", [BEGINS - DAY, ENDS + DAY])
def test_a_desk_whose_time_is_not_within_its_own_certificate_is_not_believed(desk: datetime) -> None:
    with pytest.raises(ClockWrong, match="shows a certificate"):
        time_to_use(datetime(1970, 1, 1, tzinfo=UTC), FLOOR, desk, BEGINS, ENDS)
