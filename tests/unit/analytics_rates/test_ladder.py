"""The ladder: false alarms as it promises, changes found as soon as theory allows, a stop found by the timer."""

import json
import math
import random

import pytest

from roost_broker.errors import Misuse
from roost_rendezvous.analytics.rates.ladder import Ladder, information
from roost_rendezvous.analytics.rates.tradeoff import delays, expected_delay, told


def change_delay(draw: random.Random, ratio: float, level: float) -> float:
    ladder = Ladder()
    for _ in range(100):
        if ladder.occur(draw.expovariate(1.0)) >= level:
            ladder.reset()
    gone = 0.0
    while True:
        gap = draw.expovariate(ratio)
        if (silent := ladder.silence_to(level)) <= gap:
            return gone + silent
        gone += gap
        if ladder.occur(gap) >= level:
            return gone


def test_independent_events_reach_a_surprise_of_3_about_once_in_1000():
    draw, ladder, alarms = random.Random(1), Ladder(), 0
    for _ in range(150_000):
        if ladder.occur(draw.expovariate(1.0)) >= 3.0:
            alarms += 1
            ladder.reset()
    assert 75 <= alarms <= 225


@pytest.mark.parametrize(("ratio", "limit"), [(0.5, 80), (0.8, 600), (1.25, 500), (2.0, 35), (4.0, 8)])
def test_a_change_is_found_within_the_goal_and_within_the_printed_delay(ratio: float, limit: float):
    draw = random.Random(2)
    found = sorted(change_delay(draw, ratio, 5.0) for _ in range(120))
    assert found[60] <= limit
    assert found[60] <= 1.1 * math.log(1e5) / information(ratio)
    assert expected_delay(Ladder(), 5.0, ratio) == pytest.approx(sum(found) / len(found), rel=0.25)


def test_a_stop_is_found_by_the_timer_alone_within_14_expected_events():
    ladder = Ladder()
    for _ in range(50):
        ladder.occur(1.0)
    wait = ladder.silence_to(5.0)
    assert 11.0 < wait <= 14.0
    ladder.elapse(wait - 0.01)
    assert ladder.surprise < 5.0
    ladder.elapse(0.01)
    assert ladder.surprise == pytest.approx(5.0, abs=1e-6)
    assert ladder.ratio == 0.0


def test_more_and_fewer_events_name_their_ratio():
    ladder = Ladder()
    for _ in range(60):
        ladder.occur(0.5)
    assert ladder.ratio == 2.0
    ladder.reset()
    for _ in range(100):
        ladder.occur(2.0)
    assert ladder.ratio == 0.5


def test_nothing_strange_is_zero_and_one():
    ladder = Ladder()
    assert (ladder.surprise, ladder.ratio) == (0.0, 1.0)


def test_a_stream_that_stopped_for_good_keeps_finite_numbers():
    ladder = Ladder()
    ladder.elapse(1e12)
    assert math.isfinite(ladder.surprise)
    assert json.loads(json.dumps(ladder.snapshot())) == ladder.snapshot()


def test_a_bin_counts_like_its_events_but_for_what_happened_inside():
    single, binned = Ladder(), Ladder()
    for _ in range(40):
        single.occur(0.25)
    binned.add(40, 10.0)
    assert binned.surprise == pytest.approx(single.surprise, rel=0.05)


def test_a_restored_ladder_goes_on_where_the_other_was():
    draw, first, second = random.Random(3), Ladder(), Ladder()
    for _ in range(30):
        first.occur(draw.expovariate(2.0))
    second.restore(json.loads(json.dumps(first.snapshot())))
    assert second.occur(0.3) == pytest.approx(first.occur(0.3), abs=1e-6)


def test_sums_of_another_ladder_are_not_taken_over():
    first, second = Ladder((0.0, 2.0)), Ladder()
    first.elapse(10.0)
    second.restore(first.snapshot())
    assert second.surprise == 0.0


@pytest.mark.parametrize("ratios", [(), (1.0,), (-0.5,), (1000.0,), tuple(range(2, 50))])
def test_ratios_that_are_no_change_are_refused(ratios: tuple[float, ...]):
    with pytest.raises(Misuse):
        Ladder(ratios)


def test_the_printed_trade_off_names_each_change_in_events_and_hours():
    printed = told(delays(Ladder(), 5.0, per_hour=60.0), 5.0)
    assert printed.splitlines()[0] == "at a level of 5.00 (by chance once in 10^5.0 independent events)"
    assert [line.split(" after")[0].strip() for line in printed.splitlines()[1:]] == [
        "stop", "× 0.5", "× 0.8", "× 1.25", "× 2", "× 4",
    ]  # fmt: skip
    assert "hours" in printed


def test_a_change_too_small_for_every_rung_is_said_to_be_found_never():
    assert "never" in told(delays(Ladder((2.0,)), 5.0, ratios=(0.5,)), 5.0)


def test_clumps_that_weigh_half_take_twice_as_long():
    assert expected_delay(Ladder(), 5.0, 2.0, 0.5) == pytest.approx(2 * expected_delay(Ladder(), 5.0, 2.0))
