from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_models.central.partitions import DAY_MS, Ranges, begin_ms, day_of, is_closed, iso_day, next_day

NOON = begin_ms("2026-11-20") + DAY_MS // 2


def test_a_message_belongs_to_the_day_on_which_the_device_received_it() -> None:
    assert day_of(NOON - 3 * DAY_MS, NOON, None) == "2026-11-17"


def test_a_clock_ahead_of_the_centre_does_not_count() -> None:
    assert day_of(NOON + 5 * DAY_MS, NOON, None) == "2026-11-20"


def test_a_clock_that_was_never_set_does_not_count() -> None:
    assert day_of(12_345, NOON, None) == "2026-11-20"


def test_a_clock_that_steps_back_does_not_turn_days_round() -> None:
    assert day_of(NOON - DAY_MS, NOON, "2026-11-20") == "2026-11-20"
    assert day_of(NOON + DAY_MS, NOON + DAY_MS, "2026-11-20") == "2026-11-21"


@given(st.lists(st.tuples(st.integers(0, 2 * NOON), st.integers(NOON, NOON + 400 * DAY_MS)), max_size=20))
def test_days_of_one_outbox_only_go_up(moments: list[tuple[int, int]]) -> None:
    last = None
    days = []
    for received, stored in moments:
        last = day_of(received, stored, last)
        days.append(last)
    assert days == sorted(days)


def test_a_day_is_closed_when_it_has_been_over_for_long_enough() -> None:
    end = begin_ms("2026-11-21")
    assert not is_closed("2026-11-20", end + 9, 10)
    assert is_closed("2026-11-20", end + 10, 10)


def test_days_are_in_utc_and_follow_each_other() -> None:
    assert (iso_day(begin_ms("2026-11-20")), iso_day(begin_ms("2026-11-20") - 1)) == ("2026-11-20", "2026-11-19")
    assert next_day("2026-12-31") == "2027-01-01"


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 8)), max_size=30))
def test_ranges_hold_what_was_added_and_nothing_else_in_as_few_runs_as_can_be(added: list[tuple[int, int]]) -> None:
    ranges, numbers = Ranges(), set()
    for first, length in added:
        ranges.add(first, first + length)
        numbers |= set(range(first, first + length + 1))
    assert {number for number in range(80) if number in ranges} == numbers
    runs = list(ranges)
    assert all(later[0] > earlier[1] + 1 for earlier, later in pairwise(runs))
    assert list(Ranges(runs)) == runs


@pytest.mark.parametrize("number", [0, 4, 9])
def test_what_is_between_and_beside_runs_is_not_in_them(number: int) -> None:
    assert number not in Ranges([(1, 3), (5, 8)])
