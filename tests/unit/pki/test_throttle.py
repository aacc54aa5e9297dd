"""How often somebody may ask."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_broker.clock import SECOND
from roost_broker.errors import Misuse
from roost_provisioning.pki.throttle import Throttle


def test_a_burst_is_let_through_and_then_so_many_a_minute() -> None:
    throttle = Throttle(burst=3, per_minute=6)
    assert [throttle.lets("a", 0) for _ in range(5)] == [True, True, True, False, False]
    assert not throttle.lets("a", 9 * SECOND)
    assert throttle.lets("a", 10 * SECOND)
    assert not throttle.lets("a", 10 * SECOND)


def test_one_who_asks_too_often_does_not_hinder_another() -> None:
    throttle = Throttle(burst=1, per_minute=1)
    assert throttle.lets("a", 0)
    assert not throttle.lets("a", 0)
    assert throttle.lets("b", 0)


def test_only_so_many_are_remembered() -> None:
    throttle = Throttle(burst=1, per_minute=1, remembered=2)
    assert all(throttle.lets(who, 0) for who in "abc")
    assert throttle.lets("a", 0), "it was forgotten for the sake of c"
    assert not throttle.lets("c", 0)


@given(st.lists(st.integers(0, 5 * SECOND), max_size=60))
def test_over_any_time_no_more_than_burst_and_rate_get_through(pauses: list[int]) -> None:
    throttle, now, through = Throttle(burst=4, per_minute=60), 0, 0
    for pause in pauses:
        now += pause
        through += throttle.lets("a", now)
    assert through <= 4 + now // SECOND + 1


@pytest.mark.parametrize("wrong", [{"burst": 0}, {"per_minute": 0}, {"remembered": 0}])
def test_a_throttle_that_lets_nobody_through_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(Misuse):
        Throttle(**{"burst": 1, "per_minute": 1, **wrong})
