"""Coordinated omission: a hold is as large as it was, and a pause is no hold. Smaller runs than the benchmark's."""

import json

import numpy as np
import pytest
from held_runs import (
    A_SECOND,
    HOLD_S,
    RUN_S,
    SECOND,
    Event,
    closed_load,
    counted,
    open_load,
    share_by_windows,
    with_pauses,
)

from roost_rendezvous.analytics.sketches.omission import OmissionCore, OmissionSettings
from roost_rendezvous.analytics.sketches.windows import of_equal_windows

ALIGNMENTS = [0.0, 0.003, 299.9, RUN_S - HOLD_S]


@pytest.mark.parametrize("hold_at", ALIGNMENTS)
@pytest.mark.parametrize("by_worker", [False, True])
def test_a_hold_of_a_closed_load_is_five_percent_wherever_it_lies(hold_at: float, by_worker: bool) -> None:
    found = counted(closed_load(hold_at, 1), by_worker=by_worker)
    assert found.corrected.share_above(1000) == pytest.approx(0.05, abs=0.01)
    assert found.raw.share_above(1000) < 0.001  # what everybody measures
    assert found.corrected.quantile(0.955) > 1000


@pytest.mark.parametrize("hold_at", ALIGNMENTS)
def test_a_hold_of_an_open_load_is_five_percent_and_nothing_is_added(hold_at: float) -> None:
    found = counted(open_load(hold_at, 2))
    assert found.corrected.share_above(1000) == pytest.approx(0.05, abs=0.01)
    assert found.share_held_off < 0.001


@pytest.mark.parametrize(("closed", "slow"), [(False, 0.0), (False, 0.01), (True, 0.0)])
def test_pauses_in_which_nobody_asks_are_not_corrected(closed: bool, slow: float) -> None:
    for seed in range(5):
        found = counted(with_pauses(seed, slow=slow, closed=closed))
        assert found.share_held_off <= 0.005
        assert found.corrected.share_above(1000) == pytest.approx(found.raw.share_above(1000), abs=0.005)


def test_a_slow_answer_that_kept_its_asker_from_asking_is_a_hold() -> None:
    found = counted(with_pauses(1, slow=0.01, closed=True))
    assert found.share_held_off > 0.1


def test_the_windows_of_the_book_leave_most_of_a_closed_hold_invisible() -> None:
    assert share_by_windows(closed_load(123.4, 3), 1000) < 0.01


def test_an_outage_shows_while_it_lasts() -> None:
    events = [event for event in closed_load(100.0, 4) if event.at < 100.0]
    shares = [counted(events, until=100.0 + after).corrected.share_above(1000) for after in (0.5, 5, 15, 29)]
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert shares[-1] == pytest.approx(28 / 129, rel=0.1)


def test_what_is_never_answered_is_counted_by_its_age() -> None:
    core = OmissionCore(OmissionSettings(give_up_s=60))
    core.arrive("a", 0)
    assert core.report(5 * SECOND).corrected.quantile(0.5) == pytest.approx(5000, rel=0.05)
    core.tick(59 * SECOND)
    assert core.report(59 * SECOND).waiting == 1
    core.tick(60 * SECOND)
    found = core.report(61 * SECOND)
    assert (found.waiting, found.given_up, found.raw.count) == (0, 1, 0)
    assert found.corrected.longest_ms == 60_000
    core.complete("a", 62 * SECOND)
    assert core.report(63 * SECOND).unknown == 1


def test_ages_count_from_when_a_request_was_due() -> None:
    core = OmissionCore()
    core.arrive("late to come", 40 * SECOND, intended=10 * SECOND)
    core.complete("late to come", 41 * SECOND)
    found = core.report(50 * SECOND)
    assert found.raw.longest_ms == 1_000
    assert found.corrected.longest_ms == 31_000
    assert found.held_off == 0


def test_a_request_told_twice_is_one() -> None:
    core = OmissionCore()
    core.arrive("a", 0)
    core.arrive("a", SECOND)
    core.complete("a", 2 * SECOND)
    core.complete("a", 3 * SECOND)
    found = core.report(4 * SECOND)
    assert (found.raw.count, found.raw.longest_ms, found.unknown) == (1, 2000, 1)


def test_open_requests_are_bounded_and_the_oldest_is_given_up() -> None:
    core = OmissionCore(OmissionSettings(max_open=3))
    for i in range(5):
        core.arrive(str(i), i * SECOND)
    found = core.report(5 * SECOND)
    assert (found.waiting, found.given_up) == (3, 2)
    assert found.corrected.count == 5


def test_sources_are_bounded() -> None:
    core = OmissionCore(OmissionSettings(max_sources=2))
    for i in range(10):
        core.arrive(str(i), i, source=f"worker-{i}")
        core.complete(str(i), i + 1)
    assert core.report(20).raw.count == 10


def test_an_answer_that_is_heard_of_after_the_request_it_released_is_a_hold_all_the_same() -> None:
    events = closed_load(200.0, 5)
    arrivals_first = sorted(events, key=lambda event: (event.at + (0.0 if event.is_arrival else 0.02), event.request))
    found = counted([Event(*event) for event in arrivals_first])
    assert found.corrected.share_above(1000) == pytest.approx(0.05, abs=0.01)


def test_held_off_requests_are_shared_out_to_the_periods_that_they_belong_to() -> None:
    """A hold over a period's end: 1. the first period ends in its midst, 2. it goes on, 3. both together are it."""
    core = OmissionCore()
    first = None
    for at, is_arrival, request, _ in closed_load(285.0, 6):
        if first is None and at > 300.0:
            first = core.take(300 * SECOND)
        if is_arrival:
            core.arrive(str(request), round(at * SECOND))
        elif at < RUN_S:
            core.complete(str(request), round(at * SECOND))
    assert first is not None
    second = core.take(round(RUN_S * SECOND))
    assert first.corrected.share_above(1000) == pytest.approx(14 / 300, abs=0.01)
    assert second.corrected.share_above(1000) == pytest.approx(14 / 300, abs=0.01)
    assert first.held_off + second.held_off == pytest.approx(30 * A_SECOND, rel=0.1)
    assert core.report(round(RUN_S * SECOND)).raw.count == 0


def test_a_restart_keeps_what_waits_and_the_pace() -> None:
    core = OmissionCore()
    events = closed_load(100.0, 7)
    for at, is_arrival, request, _ in events:
        if at >= 100.0:
            break
        (core.arrive if is_arrival else core.complete)(str(request), round(at * SECOND))
    plain = json.loads(json.dumps(core.snapshot()))
    again = OmissionCore()
    again.restore(plain)
    assert again.report(120 * SECOND).waiting == core.report(120 * SECOND).waiting > 0
    for at, is_arrival, request, _ in events:
        if 100.0 <= at < 140.0:
            (again.arrive if is_arrival else again.complete)(str(request), round(at * SECOND))
    found = again.report(140 * SECOND)
    assert found.corrected.share_above(1000) == pytest.approx(29 / 140, rel=0.1)
    assert found.raw.count > 90 * A_SECOND  # what was counted before the restart is counted still


@pytest.mark.parametrize("bad", [{"max_open": 0}, {"give_up_s": 0}, {"max_sources": -1}])
def test_bounds_that_cannot_be_are_refused_when_made(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="use a value from"):
        OmissionSettings(**bad)


def test_windows_weigh_the_same_and_empty_ones_repeat_the_next() -> None:
    # Window 0: two fast; 1 and 2: empty; 3: one slow. So 1/4 fast, 3/4 slow.
    found = of_equal_windows([0.1, 0.2, 16.0], [10.0, 10.0, 2000.0], start_s=0.0, end_s=20.0)
    assert found.count == pytest.approx(4.0)
    assert found.share_above(1000.0) == pytest.approx(0.75)


def test_windows_of_an_empty_run_are_empty_and_of_no_run_refused() -> None:
    assert of_equal_windows([], [], start_s=0.0, end_s=10.0).count == 0
    with pytest.raises(ValueError, match="up to a million windows"):
        of_equal_windows([], [], start_s=0.0, end_s=0.0)
    assert np.isfinite(of_equal_windows([99.0], [1.0], start_s=0.0, end_s=10.0).count)
