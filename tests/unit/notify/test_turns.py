"""Whose turn it is."""

from typing import Any

import pytest

from roost_broker.clock import SECOND
from roost_edge.notify.settings import NotifySettings
from roost_edge.notify.turns import Turns


def turns(**settings: Any) -> Turns:
    return Turns(NotifySettings(urls="u", **{"retry_s": 10, "retry_max_s": 35, **settings}))


def test_the_oldest_comes_first_and_what_failed_lets_others_pass() -> None:
    core = turns()
    assert core.next([1, 2], 0) == 1
    core.failed(1, 0)
    assert (core.next([1, 2], 0), core.next([1, 2], 10 * SECOND)) == (2, 1)


def test_each_failure_makes_the_wait_twice_as_long_up_to_a_bound() -> None:
    core, now, waits = turns(), 0, []
    for _ in range(5):
        core.failed(1, now)
        due = core.deadline([1], now)
        assert due is not None
        waits.append((due - now) // SECOND)
        now = due
    assert waits == [10, 20, 35, 35, 35]
    core.forget(1)
    assert core.next([1], 0) == 1


def test_more_than_the_hour_allows_waits_for_the_hour_and_repetitions_cost_nothing() -> None:
    core = turns(max_per_hour=2)
    core.begins(1, 0)
    core.failed(1, 0)
    core.begins(1, 10 * SECOND)
    core.begins(2, 20 * SECOND)
    assert core.next([3], 30 * SECOND) is None
    assert core.deadline([3], 30 * SECOND) == 3_600 * SECOND
    assert core.next([3], 3_600 * SECOND) == 3
    assert core.deadline([], 0) is None


@pytest.mark.parametrize("settings", [{"urls": ""}, {"retry_s": 0}, {"max_per_hour": 0}, {"expiry_s": 1}])
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        NotifySettings(**{"urls": "u", **settings})
