"""What mended itself is counted, and pages by no other way than a changed rate (requirement N7)."""

import json

import numpy as np

from roost_rendezvous.analytics.alarms.repaired import HOUR_NS, SelfRepairs
from roost_rendezvous.analytics.reading import Reading

BEGAN = 490_000 * HOUR_NS
WHAT = "fallback answers in time"


def hours(repairs: SelfRepairs, counts: list[int], first: int = 0) -> list[Reading]:
    """Each hour that many, closed an hour later."""
    found: list[Reading] = []
    for hour, times in enumerate(counts, start=first):
        repairs.note("henhouse", WHAT, BEGAN + hour * HOUR_NS, times)
        found += repairs.tick(BEGAN + (hour + 1) * HOUR_NS)
    return found


def test_it_is_counted_by_task_and_kind() -> None:
    repairs = SelfRepairs()
    hours(repairs, [2, 0, 5])
    assert list(repairs.counts()) == [("henhouse", WHAT, 7, 7)]


def test_the_usual_rate_is_no_surprise_and_another_one_is() -> None:
    repairs = SelfRepairs()
    usual = [int(n) for n in np.random.default_rng(1).poisson(4.0, size=24 * 10)]
    before = [one.surprise or 0.0 for one in hours(repairs, usual)[48:]]
    (more,) = hours(repairs, [25], first=len(usual))
    assert np.quantile(before, 0.99) < 4.0
    assert more.surprise is not None
    assert more.surprise > 1.5 * max(before)
    assert "25 fallback answers in time in an hour, usually" in more.sentence


def test_never_again_is_a_surprise_too() -> None:
    repairs = SelfRepairs()
    hours(repairs, [30] * 48)
    (none,) = hours(repairs, [0], first=48)
    assert none.surprise is not None
    assert none.surprise > 8.0


def test_on_the_first_day_it_says_that_it_knows_too_little() -> None:
    first = hours(SelfRepairs(), [3, 400])
    assert [one.surprise for one in first] == [None, None]
    assert first[1].why_not == "not enough history: 1 of 24 hours"


def test_hours_nobody_watched_are_not_hours_without_any() -> None:
    repairs = SelfRepairs()
    hours(repairs, [30] * 48)
    assert repairs.tick(BEGAN + 400 * HOUR_NS) == ()
    (next_one,) = hours(repairs, [30], first=400)
    assert next_one.surprise is not None
    assert next_one.surprise < 0.5


def test_kinds_are_bounded_and_what_is_left_out_is_counted() -> None:
    repairs = SelfRepairs(most=3)
    for number in range(10):
        repairs.note("henhouse", f"kind {number}", BEGAN)
    assert len(list(repairs.counts())) == 3
    assert repairs.left_out == 7


def test_a_snapshot_is_json_and_goes_on_the_same() -> None:
    repairs, other = SelfRepairs(), SelfRepairs()
    hours(repairs, [4, 2, 7] * 20)
    other.restore(json.loads(json.dumps(repairs.snapshot())))
    assert hours(other, [9], first=60) == hours(repairs, [9], first=60)
