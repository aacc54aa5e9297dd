"""The core as a whole: what pages, what is one episode, what is the new normal (goals G11, G12, G19 in small)."""

import json

import numpy as np
import pytest
from alarm_world import BEGAN, DAY, MINUTE, TICK, World, ended, opened, quiet, signals

from roost_broker.errors import Malformed, Misuse
from roost_rendezvous.analytics.alarms.core import AlarmCore
from roost_rendezvous.analytics.alarms.episode import Marker
from roost_rendezvous.analytics.alarms.settings import AnalyticsAlarmSettings
from roost_rendezvous.analytics.reading import Reading, Signal

HOUR = 6
"""In ticks."""


def calm(ticks: int, count: int = 20) -> np.ndarray:
    """Every signal at its median: nothing at all is strange."""
    return np.full((ticks, count), 0.67)


def screaming(ticks: int, column: int = 3, value: float = 6.0, count: int = 20) -> np.ndarray:
    found = calm(ticks, count)
    found[:, column] = value
    return found


# What pages


@pytest.mark.parametrize("column", [0, 7, 19])
def test_one_signal_beyond_its_history_pages_though_nineteen_are_quiet(world: World, column: int) -> None:
    world.live(calm(HOUR))
    (page,) = opened(world.live(screaming(1, column)))
    assert page.culprit is not None
    assert page.culprit.of == f"monitor{column}"
    assert page.culprit.share > 0.5
    assert page.nines > 4.0
    assert page.how == "one signal"
    assert page.per_week < 1.0


def test_eight_slightly_strange_signals_for_an_hour_page(world: World) -> None:
    rng, world_is = np.random.default_rng(3), world
    world_is.live(quiet("independent", HOUR, rng))
    havoc = quiet("independent", HOUR, rng)
    havoc[:, :8] = rng.uniform(1.96, 2.57, size=(HOUR, 8))  # of |normal| the quantiles 0.95 and 0.99
    (page,) = opened(world_is.live(havoc))
    assert page.how != "one signal"
    assert page.culprit is not None
    assert int(page.culprit.of.removeprefix("monitor")) < 8


def test_a_quiet_hour_at_the_median_does_not_page(world: World) -> None:
    assert world.live(calm(DAY)) == []


def test_the_page_says_normal_and_now_as_the_monitor_does(world: World) -> None:
    row = screaming(1)[0]
    world.now += TICK
    readings = world.readings(row)
    readings[3] = Reading(
        signal=world.of[3],
        at=world.now,
        surprise=9.0,
        normal=14.0,
        now=0.0,
        unit="hens",
        events=40,
        sentence="No hens.",
    )
    (page,) = opened(world.core.handle(readings, world.now))
    first = page.contributions[0]
    assert (first.normal, first.now, first.unit, first.sentence) == (14.0, 0.0, "hens", "No hens.")
    assert page.headline.startswith("No hens. (verdict: model")


# One change is one episode


def test_a_change_that_stays_is_one_episode_then_the_new_normal(world: World) -> None:
    rng = np.random.default_rng(4)
    shifted = quiet("independent", 3 * DAY, rng)
    shifted[:, 3] = np.abs(rng.normal(size=3 * DAY) + 4.0)
    told = world.live(shifted)
    mine = [page for page in opened(told) if page.culprit is not None and page.culprit.of == "monitor3"]
    assert len(mine) == 1
    (over,) = [page for page in ended(told) if page.id == mine[0].id]
    assert over.ending == "new-normal"
    assert over.ended is not None
    assert 24 * HOUR <= (over.ended - over.opened) / TICK <= 27 * HOUR


def test_an_acknowledged_change_is_the_new_normal_at_once_and_a_greater_one_pages_again(world: World) -> None:
    (page,) = opened(world.live(screaming(2 * HOUR, value=6.0)))
    (notice,) = world.core.acknowledge(page.id, "keeper", world.now)
    assert (notice.step, notice.episode.state, notice.episode.acknowledged_by) == (
        "acknowledged",
        "acknowledged",
        "keeper",
    )
    told = world.live(screaming(2 * DAY, value=6.0))
    assert [one.step for one in told] == ["ended"]
    assert ended(told)[0].ending == "new-normal"
    assert len(opened(world.live(screaming(HOUR, value=600.0)))) == 1


def test_what_went_by_ends_as_calm_and_is_learnt_so_that_soon_after_only_a_greater_one_pages(world: World) -> None:
    told = world.live(screaming(2)) + world.live(calm(4 * HOUR))
    assert [one.step for one in told] == ["opened", "ended"]
    assert ended(told)[0].ending == "calm"
    assert world.live(np.vstack([screaming(2), calm(4 * HOUR)])) == []
    assert len(opened(world.live(screaming(2, value=60.0)))) == 1


def test_signals_of_the_same_task_that_follow_join_and_are_told_as_an_update(world: World) -> None:
    (page,) = opened(world.live(screaming(2)))
    both = screaming(5 * HOUR)
    both[3 * HOUR :, 11] = 8.0
    told = world.live(both)
    assert {one.step for one in told} == {"updated"}
    assert told[-1].episode.id == page.id
    assert {"monitor3", "monitor11"} <= {one.of for one in told[-1].episode.contributions}


def test_another_task_joins_within_the_hour_and_pages_by_itself_later() -> None:
    of = signals(10) + signals(10, task="door", of="door")
    world = World(of)
    world.live(quiet("independent", 10 * DAY, np.random.default_rng(8)))
    soon, late = world, world.copy()
    for one, wait in ((soon, 3), (late, 3 * HOUR)):
        (first,) = opened(one.live(screaming(wait)))
        both = screaming(2)
        both[:, 15] = 8.0
        pages = opened(one.live(both))
        assert first.task == "henhouse"
        assert [page.task for page in pages] == ([] if one is soon else ["door"])


def test_an_episode_has_an_id_of_its_own_and_later_ones_sort_later(world: World) -> None:
    first = opened(world.live(screaming(1)))[0]
    world.live(calm(4 * HOUR))
    second = opened(world.live(screaming(1, value=60.0)))[0]
    assert first.id < second.id
    assert len(first.id) == 16


def test_open_episodes_end_by_the_clock_though_nobody_speaks(world: World) -> None:
    (page,) = opened(world.live(screaming(1)))
    due = world.core.deadline()
    assert due is not None
    assert world.core.expire(due - 1) == ()
    (over,) = world.core.expire(due)
    assert (over.step, over.episode.id) == ("ended", page.id)
    assert world.core.deadline() is None


def test_acknowledging_twice_or_what_is_not_open_is_refused(world: World) -> None:
    (page,) = opened(world.live(screaming(1)))
    world.core.acknowledge(page.id, "keeper", world.now)
    with pytest.raises(Misuse, match="acknowledged by keeper already"):
        world.core.acknowledge(page.id, "owner", world.now)
    with pytest.raises(Misuse, match="No episode"):
        world.core.acknowledge("0" * 16, "owner", world.now)


def test_a_step_of_a_roll_out_is_shown_with_what_follows_it(world: World) -> None:
    old = Marker(at=BEGAN, text="long ago", task="henhouse")
    step = Marker(at=world.now, text="monitor3 version 4 answers 10 %", task="henhouse", model="monitor3")
    elsewhere = Marker(at=world.now, text="a step at the door", task="door")
    for marker in (old, step, step, elsewhere):
        world.core.mark(marker)
    (page,) = opened(world.live(screaming(1)))
    assert page.markers == (step,)
    assert "Shortly before: monitor3 version 4 answers 10 %." in page.reasons


# Verdicts through the whole


@pytest.mark.parametrize(("canary_moves", "expected"), [(False, "model"), (True, "world")])
def test_the_canary_tells_model_from_world(canary_moves: bool, expected: str) -> None:
    world = World(signals(7, of="champion") + signals(7, "canary", of="canary"))
    rng = np.random.default_rng(11)
    world.live(quiet("independent", 10 * DAY, rng, 14))
    after = quiet("independent", 2 * HOUR, rng, 14)
    after[:, 2] += 7.0
    if canary_moves:
        after[:, 9] += 7.0
    world.live(after)
    (episode,) = world.core.open
    assert episode.verdict == expected


# Not enough history (G19)


@pytest.mark.parametrize(
    ("days", "events", "why"),
    [(6, 20, "not enough history: 6.0 of 7 days"), (12, 2, "not enough events: 12 of 30 an hour")],
)
def test_too_little_history_or_too_few_events_never_page_and_are_listed(days: int, events: int, why: str) -> None:
    world = World(signals(3))
    rng = np.random.default_rng(5)
    told = world.live(quiet("independent", days * DAY, rng, 3), events=events)
    told += world.live(screaming(HOUR // 2, 1, 1e6, 3), events=events)
    assert told == []
    standing = world.core.standing(world.now)
    assert [one.watch for one in standing.signals] == ["not-enough-history"] * 3
    assert why in {one.why_not for one in standing.signals}


def test_a_new_signal_among_known_ones_does_not_page_in_its_first_week(world: World) -> None:
    new = Signal(task="henhouse", kind="latency", subject="model", of="fast")
    for row in calm(DAY):
        world.now += TICK
        told = world.core.handle(
            [*world.readings(row), Reading(signal=new, at=world.now, surprise=1.0, events=9)], world.now
        )
        assert told == ()
    wild = Reading(signal=new, at=world.now + TICK, surprise=1e9, events=9)
    assert world.core.handle([*world.readings(calm(1)[0]), wild], world.now + TICK) == ()
    assert [one.signal for one in world.core.standing(world.now).signals if one.why_not] == [new.name]


def test_what_the_monitor_cannot_say_is_listed_with_its_own_reason(world: World) -> None:
    mute = Signal(task="henhouse", kind="rate", subject="task", of="jay")
    world.core.handle([Reading(signal=mute, at=world.now, why_not="not enough history: 2 of 7 days")], world.now + TICK)
    (listed,) = [one for one in world.core.standing(world.now).signals if one.signal == mute.name]
    assert listed.why_not == "not enough history: 2 of 7 days"


def test_in_the_first_days_of_the_composite_nothing_pages_and_it_says_so() -> None:
    world = World(signals(3))
    world.live(quiet("independent", 8 * DAY, np.random.default_rng(6), 3))
    assert world.live(screaming(2, 1, 1e6, 3)) == []
    assert "of 48 hours" in world.core.standing(world.now).why_not


# What must not break it


def test_a_snapshot_in_the_middle_of_an_episode_is_json_and_goes_on_the_same(world: World) -> None:
    world.live(screaming(3))
    kept = json.dumps(world.core.snapshot())
    assert len(kept) < 20 * 20_000
    other = World(world.of)
    other.core.restore(json.loads(kept))
    other.now = world.now
    after = np.vstack([screaming(HOUR), quiet("independent", DAY, np.random.default_rng(12))])
    told = [
        [
            (one.step, one.episode.id, one.episode.updated, one.episode.verdict, one.episode.markers)
            for one in each.live(after)
        ]
        for each in (other, world)
    ]
    assert told[0] == told[1] != []


@pytest.mark.parametrize("kept", [{}, {"schema": "roost.alarm-history/9"}, {"schema": "roost.alarm-history/1"}, None])
def test_a_history_that_is_none_is_refused_and_leaves_the_core_as_it_was(world: World, kept: object) -> None:
    with pytest.raises(Malformed):
        world.core.restore(kept)  # type: ignore[arg-type]  # what a damaged file may hold
    assert len(opened(world.live(screaming(1)))) == 1


def test_a_clock_that_is_set_back_or_forth_a_day_pages_nothing_by_itself(world: World) -> None:
    world.live(calm(HOUR))
    world.now -= DAY * TICK
    assert world.live(calm(HOUR)) == []
    world.now += 2 * DAY * TICK
    assert world.live(calm(HOUR)) == []
    assert len(opened(world.live(screaming(1)))) == 1


def test_numbers_that_are_none_are_left_out_and_counted(world: World) -> None:
    row = calm(1)[0]
    row[2] = float("nan")
    assert world.live(row[None]) == []
    row[2] = float("inf")
    assert len(opened(world.live(row[None]))) == 1
    assert world.core.standing(world.now).left_out == 1


def test_signals_beyond_the_bound_are_left_out_and_counted() -> None:
    core = AlarmCore(AnalyticsAlarmSettings(max_signals=5))
    for signal in signals(8):
        core.handle([Reading(signal=signal, at=BEGAN, surprise=1.0)], BEGAN)
    assert len(core.standing(BEGAN).signals) == 5
    assert core.standing(BEGAN).left_out == 3


def test_a_signal_that_falls_silent_takes_no_part_until_it_speaks_again(world: World) -> None:
    world.live(screaming(1))
    for _ in range(5):
        world.now += TICK
        world.core.handle(world.readings(calm(1)[0])[:3], world.now)
    standing = world.core.standing(world.now)
    assert sum(one.watch == "silent" for one in standing.signals) == 17
    assert {one.signal for one in standing.signals if one.watch == "watched"} == {one.name for one in world.of[:3]}
    assert world.core.settings.ns("hold_minutes") == 30 * MINUTE
