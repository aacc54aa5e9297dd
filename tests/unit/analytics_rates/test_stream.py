"""A watched stream: quiet when all is well, awake when it stops, honest when it knows too little."""

import json
from pathlib import Path

import pytest
from made_events import FIRST_HOUR, SIGNAL, clumped_events, poisson_events

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.rates.history import HOUR
from roost_rendezvous.analytics.rates.settings import RatePolicy
from roost_rendezvous.analytics.rates.stream import RateWatch


def lived(events: list[int], watch: RateWatch | None = None) -> RateWatch:
    found = watch or RateWatch(SIGNAL)
    due = (events[0] // HOUR + 1) * HOUR
    for event in events:
        while event >= due:
            found.tick(due)
            found.stopped(due)
            due += HOUR
        found.event(event)
    return found


@pytest.fixture(scope="module")
def kept() -> dict[str, object]:
    """Two weeks of a daily stream, 100 events an hour on average, ended at a full hour."""
    watch = lived(poisson_events(24 * 14, 1))
    watch.tick((FIRST_HOUR + 24 * 14) * HOUR)
    watch.stopped((FIRST_HOUR + 24 * 14) * HOUR)
    snapshot: dict[str, object] = json.loads(json.dumps(watch.snapshot()))
    return snapshot


def restored(kept: dict[str, object]) -> RateWatch:
    watch = RateWatch(SIGNAL)
    watch.restore(kept)
    watch.accept()
    return watch


def test_a_stop_is_found_by_following_the_deadlines_alone(kept: dict[str, object]):
    watch, start = restored(kept), (FIRST_HOUR + 24 * 14) * HOUR
    woken = 0
    while True:
        due = watch.deadline()
        assert due is not None
        woken += 1
        reading = watch.tick(due)
        if (reading.surprise or 0.0) >= 5.0:
            break
        assert woken < 30
    # Midnight: 50 events an hour; 12 expected ones are a quarter of an hour, uncertain rates weigh less.
    assert due - start < HOUR
    assert reading.now is not None
    assert reading.normal is not None
    assert reading.now < reading.normal


def test_a_stop_has_a_reading_of_its_own_in_expected_events(kept: dict[str, object]):
    watch, start = restored(kept), (FIRST_HOUR + 24 * 14) * HOUR
    usual = watch.silences.level(0.25) or 0.0
    early, later = watch.stopped(start + HOUR // 60), watch.stopped(start + HOUR)
    assert early.signal.part == "stop"
    assert (early.surprise or 0.0) < usual < (later.surprise or 0.0)
    assert later.now == pytest.approx(50.0, rel=0.3)
    watch.event(start + HOUR + 1)
    assert (watch.stopped(start + HOUR + 2).surprise or 0.0) >= 40.0
    assert (watch.stopped(start + HOUR + 3).surprise or 0.0) < 1.0


def test_a_doubling_is_found_within_two_hours_and_says_so(kept: dict[str, object]):
    watch, start = restored(kept), (FIRST_HOUR + 24 * 14) * HOUR
    strangest, reading = 0.0, None
    for place in range(200):  # 100 an hour at midnight, usually 50
        watch.event(start + place * HOUR // 100)
        if place % 20 == 19:
            reading = watch.tick(start + place * HOUR // 100)
            strangest = max(strangest, reading.surprise or 0.0)
    assert strangest >= 4.0
    assert reading is not None
    assert reading.sentence.startswith("nest/rate/requests: ")
    assert reading.now is not None
    assert reading.now > 75.0


def test_a_usual_day_stays_below_the_level_for_one_alarm_a_month(kept: dict[str, object]):
    watch = restored(kept)
    level = watch.history.level(0.25)
    strange = 0
    shift = 24 * 14 * HOUR
    due = (FIRST_HOUR + 24 * 14 + 1) * HOUR
    for event in poisson_events(24, 2):
        while event + shift >= due:
            strange += (watch.tick(due).surprise or 0.0) >= (level or 0.0)
            due += HOUR
        watch.event(event + shift)
    assert strange == 0


def test_within_the_first_week_nothing_is_said_whatever_happens():
    watch = lived(poisson_events(24 * 3, 3))
    reading = watch.tick((FIRST_HOUR + 24 * 4) * HOUR)
    assert reading.surprise is None
    assert reading.why_not.startswith("not enough history: ")


def test_a_stream_of_few_events_says_that_it_has_too_few():
    watch = lived(poisson_events(24 * 9, 4, lambda hour: 4.0))
    reading = watch.tick((FIRST_HOUR + 24 * 10) * HOUR)
    assert reading.surprise is None
    assert reading.why_not.startswith("too few events: ")


def test_a_level_of_its_own_past_holds_on_clumped_events_where_poisson_levels_fail():
    events = clumped_events(24 * 28, 5)
    middle = (FIRST_HOUR + 24 * 14) * HOUR
    watch = lived([event for event in events if event < middle])
    level = watch.history.level(1.0)
    assert level is not None
    due, peaks = middle + HOUR, {}
    for event in [event for event in events if event >= middle]:
        while event >= due:
            block = (due - 1) // (6 * HOUR)
            peaks[block] = max(peaks.get(block, 0.0), watch.tick(due).surprise or 0.0)
            due += HOUR
        watch.event(event)
    own = sum(peak >= level for peak in peaks.values()) / 2
    poisson = sum(peak >= 4.0 for peak in peaks.values()) / 2  # 64 an hour: 10^4 events are a week
    assert own <= 2.0
    assert poisson >= own


def test_a_restart_loses_nothing():
    events = poisson_events(24 * 9, 6)
    cut = len(events) // 2
    whole, first = lived(events), lived(events[:cut])
    second = RateWatch(SIGNAL)
    second.restore(json.loads(json.dumps(first.snapshot())))
    due = (events[cut - 1] // HOUR + 1) * HOUR
    for event in events[cut:]:
        while event >= due:
            second.tick(due)
            due += HOUR
        second.event(event)
    end = (FIRST_HOUR + 24 * 9) * HOUR + 1
    mine, other = whole.tick(end), second.tick(end)
    assert other.surprise == pytest.approx(mine.surprise, abs=0.05)
    assert other.normal == pytest.approx(mine.normal, rel=0.01)
    assert other.events == mine.events


def test_time_in_which_nobody_watched_is_not_taken_for_silence(kept: dict[str, object]):
    watch, start = restored(kept), (FIRST_HOUR + 24 * 14) * HOUR
    watch.resume(start + 5 * HOUR + HOUR // 3)
    assert (watch.tick(start + 5 * HOUR + HOUR // 3 + 1).surprise or 0.0) < 1.0


def test_a_late_event_counts_and_turns_no_clock_back(kept: dict[str, object]):
    watch, start = restored(kept), (FIRST_HOUR + 24 * 14) * HOUR
    watch.event(start + HOUR // 2)
    watch.event(start + HOUR // 4)
    assert watch.tick(start + HOUR // 2).events == 2
    assert (watch.deadline() or 0) > start + HOUR // 2


def test_a_leap_of_years_is_no_loop_without_end(kept: dict[str, object]):
    watch = restored(kept)
    watch.event((FIRST_HOUR + 24 * 4000) * HOUR)
    assert watch.tick((FIRST_HOUR + 24 * 4000) * HOUR + 1).surprise is not None


def test_before_the_first_event_there_is_no_deadline_and_no_reading_of_anything():
    watch = RateWatch(SIGNAL)
    assert watch.deadline() is None
    assert watch.tick(FIRST_HOUR * HOUR).surprise is None


def test_a_snapshot_is_smaller_than_20_kb(kept: dict[str, object]):
    assert len(json.dumps(kept)) < 20_000


@pytest.mark.parametrize("wrong", [{"least_hours": 1}, {"least_per_hour": -1.0}, {"window_ns": 1}])
def test_impossible_bounds_are_refused(wrong: dict[str, int]):
    with pytest.raises(Misuse):
        RatePolicy(**wrong)


def test_the_henhouse_log_is_too_thin_and_the_watch_says_so(shared_data: Path):
    names = [line.split(",")[0] for line in (shared_data / "henhouse-cc0" / "truth.csv").read_text().splitlines()]
    watch = RateWatch(SIGNAL)
    at = FIRST_HOUR * HOUR
    for _ in names[1:]:
        at += HOUR // 2
        watch.event(at)
    assert watch.tick(at).why_not.startswith("too few events: 2.0 an hour")
